"""Distances as the engines return them, and the one place where a distance becomes a similarity."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from memdb.display import counted
from memdb.errors import BadVector, UnsupportedFeature

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Vectors = Floats | Doubles  # as stored: float64 for FLOAT64, float32 holds the values of every other type

DTYPES: dict[str, str] = {"FLOAT32": "<f4", "FLOAT64": "<f8", "FLOAT16": "<f2"}
TYPES = (*DTYPES, "BFLOAT16")
_LEAST, _MOST = 1e-30, 1e38  # of a square in float32 that loses nothing

# Half the distance between 1 and the next number: what rounding to the type may change, as a share.
ROUNDING: dict[str, float] = {
    "FLOAT64": 2.0**-53,
    "FLOAT32": 2.0**-24,
    "FLOAT16": 2.0**-11,
    "BFLOAT16": 2.0**-8,
}

_SPREAD = float(np.sqrt(3 / (8 * np.log(2)) / 3))  # of the rounding of a number, as a share of the largest

MEANING: dict[str, tuple[str, str]] = {
    "COSINE": ("cosine distance", "cosine similarity = 1 - distance"),
    "IP": ("1 - inner product", "inner product = 1 - distance"),
    "L2": ("squared Euclidean distance", "1 / (1 + √distance)"),
}


def similarity(distance: Doubles, metric: str) -> Doubles:
    """How alike, larger is nearer; MEANING says in words what the number is.

    Args:
        distance: (n,) as the engine returns it: 1 - cosine, 1 - inner product, or *squared* L2
            (all engines return the square, fact sheet §1.2).
        metric: COSINE, IP or L2.
    """
    if metric == "L2":
        return np.asarray(1.0 / (1.0 + np.sqrt(np.maximum(distance, 0.0))))
    return np.asarray(1.0 - distance)


def prepared(vectors: NDArray[np.floating], metric: str) -> Floats:
    """Vectors ready for `distances`: (n, d) float32, of unit length for COSINE.

    A vector of length zero has no direction; it is left as it is. `read.blocks` brings none under COSINE.
    """
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if metric != "COSINE":
        return matrix
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
    lengths = np.sqrt(squares)[:, None]
    unit: Floats = np.divide(matrix, lengths, out=matrix.copy(), where=lengths > 0)
    # Lengths whose square leaves float32: directions all the same, and engines return them as such.
    extreme = np.flatnonzero(~((squares > _LEAST) & (squares < _MOST)))
    if len(extreme):
        wide = matrix[extreme].astype(np.float64)
        exact = np.linalg.norm(wide, axis=1, keepdims=True)
        unit[extreme] = np.divide(wide, exact, out=wide.copy(), where=exact > 0)
    return unit


def prepared_wide(vectors: NDArray[np.floating], metric: str) -> Doubles:
    """The same, (n, d) to (n, d), in float64, for what float32 does not hold."""
    matrix = np.ascontiguousarray(vectors, dtype=np.float64)
    if metric != "COSINE":
        return matrix
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: Doubles = np.divide(matrix, lengths, out=matrix.copy(), where=lengths > 0)
    return unit


def exact(queries: NDArray[np.floating], vectors: NDArray[np.floating], metric: str) -> Doubles:
    """Distances in float64, each query to one vector: (p, d) and (p, d) give (p,)."""
    wide_queries, wide_vectors = (
        queries.astype(np.float64, copy=False),
        vectors.astype(np.float64, copy=False),
    )
    if metric == "L2":
        difference = wide_queries - wide_vectors
        return np.asarray(np.einsum("ij,ij->i", difference, difference))
    product = np.einsum("ij,ij->i", wide_queries, wide_vectors)
    if metric == "COSINE":
        lengths = np.sqrt(
            np.einsum("ij,ij->i", wide_queries, wide_queries)
            * np.einsum("ij,ij->i", wide_vectors, wide_vectors)
        )
        product = np.divide(product, lengths, out=np.zeros_like(product), where=lengths > 0)
    return np.asarray(1.0 - product)


def uncertainty(
    queries: NDArray[np.floating], vectors: NDArray[np.floating], metric: str, type_: str
) -> Doubles:
    """By how much the distances of `exact` may differ for equally near documents: (p,), in their unit.

    The stored numbers are the documents: rounding to their type has made some equal, and those are equal
    here too. What is left is arithmetic, in float32 (FLOAT64: in float64). Rounding to that moves each
    number by up to u of itself (ROUNDING), 0.425 u in the mean of squares (even within an interval whose
    width is the same from one power of two to the next). To first order that moves the distance by the slope
    in each number times that; the errors are independent, so their squares are added: one standard deviation.
    Added to it: the rounding of the float64 sums, and for COSINE of the float32 numbers that unit vectors are
    kept as. All of it is relative to the terms of the sum, never a fixed number.

    Args:
        queries: (p, d) as sent.
        vectors: (p, d) as stored.
        metric: COSINE, IP or L2.
        type_: of the stored vectors.
    """
    wide_queries, wide_vectors = (
        queries.astype(np.float64, copy=False),
        vectors.astype(np.float64, copy=False),
    )
    single = ROUNDING["FLOAT64" if type_ == "FLOAT64" else "FLOAT32"]
    arithmetic = ROUNDING["FLOAT64"]
    if metric == "L2":
        slopes, terms = 2.0 * (wide_queries - wide_vectors), (wide_queries - wide_vectors) ** 2
    elif metric == "IP":
        slopes, terms = wide_queries, wide_queries * wide_vectors
    else:
        wide_queries, wide_vectors = prepared_wide(wide_queries, metric), prepared_wide(wide_vectors, metric)
        terms = wide_queries * wide_vectors
        slopes = wide_queries - terms.sum(axis=1, keepdims=True) * wide_vectors
        arithmetic = single
    moved = np.sqrt(np.einsum("ij,ij->i", slopes * wide_vectors, slopes * wide_vectors))
    sums = 4 * ROUNDING["FLOAT64"] * (np.abs(terms).sum(axis=1) + (metric != "L2"))
    return np.asarray((_SPREAD * single + 4 * arithmetic) * moved + sums)


def distances(queries: Floats, vectors: Floats, metric: str) -> Floats:
    """All distances between prepared queries and prepared vectors, through one matrix product.

    Args:
        queries: (q, d) float32 from `prepared`.
        vectors: (n, d) float32 from `prepared`.
        metric: COSINE, IP or L2.

    Returns:
        (q, n) float32: 1 - cosine, 1 - inner product, or squared L2.
    """
    product: Floats = queries @ vectors.T
    if metric != "L2":
        np.subtract(1.0, product, out=product)
        return product
    product *= -2.0
    product += np.einsum("ij,ij->i", queries, queries)[:, None]
    product += np.einsum("ij,ij->i", vectors, vectors)[None, :]
    np.maximum(product, 0.0, out=product)
    return product


def need(type_: str) -> None:
    """Refuse a type whose numbers are not read and written here.

    Raises:
        UnsupportedFeature: it is one, e.g. INT8.
    """
    if type_ not in TYPES:
        raise UnsupportedFeature(
            f"A vector field of type {type_}",
            f"vectors of {', '.join(TYPES)} are read and asked",
            "The index is listed with its size; search it with redis-cli, or index the vectors as FLOAT32.",
        )


def to_bytes(vector: NDArray[np.floating], type_: str) -> bytes:
    """A vector (d,) as the engine's PARAMS take it: little-endian numbers of the field's type.

    Rounded to the nearest, ties to even, as the engines round what they read from JSON; half types by way of
    float32, as they do.

    Raises:
        UnsupportedFeature: numbers of this type are not written here.
    """
    need(type_)
    if type_ == "BFLOAT16":  # the upper half of a float32
        bits = vector.astype("<f4").view("<u4").astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    if type_ == "FLOAT16":
        with np.errstate(over="ignore"):  # beyond the type's range: infinite, and refused as such
            return vector.astype("<f4", copy=False).astype("<f2").tobytes()
    return vector.astype(DTYPES[type_], copy=False).tobytes()


@overload
def as_sent(vectors: Floats, type_: str) -> Floats: ...
@overload
def as_sent(vectors: Vectors, type_: str) -> Vectors: ...
def as_sent(vectors: Vectors, type_: str) -> Vectors:
    """Query vectors (n, d) as an index of this type receives them, which is what its answer is to."""
    if type_ == "FLOAT64":
        return vectors
    if type_ == "FLOAT32":
        return np.asarray(vectors, dtype=np.float32)
    whole = np.ascontiguousarray(vectors, dtype=np.float32)
    return from_bytes(to_bytes(whole, type_), type_).astype(np.float32).reshape(whole.shape)


@overload
def from_bytes(value: bytes, type_: Literal["FLOAT32"]) -> Floats: ...
@overload
def from_bytes(value: bytes, type_: str) -> Vectors: ...
def from_bytes(value: bytes, type_: str) -> Vectors:
    """A stored vector as (d,) numbers that hold its values exactly: float64 for FLOAT64, else float32.

    Raises:
        BadVector: the length is no multiple of the number's size.
        UnsupportedFeature: numbers of this type are not read here.
    """
    need(type_)
    size = 2 if type_ == "BFLOAT16" else np.dtype(DTYPES[type_]).itemsize
    if len(value) % size:
        raise BadVector(
            f"A stored vector has {len(value)} bytes, which is no multiple of {size} ({type_}).",
            "The value was written with another type.",
            expected=size,
            got=len(value),
        )
    if type_ == "BFLOAT16":
        return (np.frombuffer(value, dtype="<u2").astype("<u4") << 16).view("<f4").astype(np.float32)
    if type_ == "FLOAT64":
        return np.frombuffer(value, dtype="<f8").astype(np.float64, copy=False)
    return np.frombuffer(value, dtype=DTYPES[type_]).astype(np.float32, copy=False)


def directed(vector: Vectors, metric: str) -> Vectors:
    """The same vector (d,), which has a direction where the metric needs one.

    Raises:
        BadVector: it is zero under COSINE.
    """
    if metric == "COSINE" and not vector.any():
        raise BadVector(
            "The vector is zero: it has no direction, so no cosine distance to anything.",
            "Look at how it was made; an embedding that failed is often stored as zeros.",
            expected=len(vector),
            got=len(vector),
        )
    return vector


@overload
def checked(vector: object, dim: int, where: str) -> Floats: ...
@overload
def checked(vector: object, dim: int, where: str, type_: str) -> Vectors: ...
def checked(vector: object, dim: int, where: str, type_: str = "FLOAT32") -> Vectors:
    """A vector from a user or a document, as (dim,) float32; float64 for a field of FLOAT64.

    Raises:
        BadVector: not numbers, not finite, or not `dim` of them.
    """
    try:
        values = np.asarray(vector)
        flags = isinstance(vector, list) and any(isinstance(number, bool) for number in vector)
        if flags or values.dtype.kind in "bcmMV":  # what NumPy would turn into numbers without a word
            raise TypeError
        numbers = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadVector(
            "The vector does not consist of numbers.",
            "Give numbers separated by commas, or a JSON list.",
            expected=dim,
            got=0,
        ) from None
    if numbers.ndim != 1 and numbers.size == max(numbers.shape, default=1):
        numbers = numbers.reshape(-1)  # a row, a column, a single number
    if numbers.ndim == 2:
        raise BadVector(
            f"There are {len(numbers):,} vectors of {numbers.shape[1]:,} numbers; {where} expects one of "
            f"{dim:,}.",
            "Give one vector, e.g. one row of the matrix.",
            expected=dim,
            got=int(numbers.size),
        )
    if numbers.ndim != 1 or len(numbers) != dim:
        got = int(numbers.size)
        raise BadVector(
            f"The vector has {counted(got, 'number')}; {where} expects {dim:,}.",
            "Use the model the index was built with.",
            expected=dim,
            got=got,
        )
    with np.errstate(over="ignore"):
        single = numbers.astype(np.float32)  # beyond it nothing is compared here, of any type
    if not np.isfinite(single).all():
        raise BadVector(
            "The vector holds a value that is not finite, or too large for float32.",
            "Replace NaN and infinity.",
            expected=dim,
            got=dim,
        )
    return numbers if type_ == "FLOAT64" else single


def profile_words(distances: Doubles) -> str:
    """Where distances of hits begin and end, and their largest step, in a sentence; "" of fewer than three.

    Args:
        distances: (n,), nearest first.
    """
    if len(distances) < 3 or not np.isfinite(distances).all():
        return ""
    steps = np.diff(distances)
    at = int(np.argmax(steps))
    share = steps[at] / (distances[-1] - distances[0]) if distances[-1] > distances[0] else 0.0
    range_words = f"Distances go from {distances[0]:.4g} to {distances[-1]:.4g}"
    if share < 2 / len(steps):
        return f"{range_words} in even steps: no hit stands out."
    return f"{range_words}; the largest step, {share:.0%} of that, is after rank {at + 1}."
