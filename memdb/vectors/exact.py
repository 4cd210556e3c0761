"""Exact neighbours: every vector the index holds is looked at, in blocks through BLAS.

The product is float32; what could be among the k nearest is then computed again in float64, so that no
rounding of the product decides (docs/decisions/0011-exact-neighbours.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.vectors import distance
from memdb.vectors.distance import Doubles, Floats, Vectors, prepared, prepared_wide
from memdb.vectors.read import NOTHING, Block, LeftOut

ROWS_AT_ONCE = 4_096  # of a block: the product of so many with 1,024 queries stays near the caches
QUERIES_AT_ONCE = 1_024
_REFINED_BYTES = 16 * 2**20  # float64 copies made at once
_LARGE = 1e37  # a tenth of float32's range
_EPS = float(np.finfo(np.float32).eps)
_LEAST = float(np.finfo(np.float32).smallest_subnormal)

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The exact answer for q queries, nearest first. Rows are shorter where fewer documents match."""

    keys: tuple[tuple[str, ...], ...]
    distances: tuple[Doubles, ...]  # each (len(keys[i]),), as the engine would return them
    looked_at: int  # documents compared with each query
    left_out: LeftOut = NOTHING  # documents that were not, by why
    several: bool = False  # whether a document held several vectors: the nearest of them counted

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or stands for several, a sentence each."""
        several = ("Some documents hold several vectors: the nearest of each counts.",) * self.several
        return (*self.left_out.words, *several)


def nearest(
    blocks: Iterable[Block],
    queries: Vectors,
    k: int,
    metric: str,
    *,
    excluded: Sequence[str] = (),
) -> Neighbours:
    """The k nearest documents of each query.

    Args:
        blocks: all documents, from `read.blocks` or kept from an earlier reading. Of a document of several
            vectors the nearest to the query counts.
        queries: (q, dim), as the engine receives them (`distance.as_sent`).
        k: how many.
        metric: COSINE, IP or L2.
        excluded: for each query the key that does not count (a document is its own nearest); "" for none.
            Empty for no exclusion at all.

    Returns:
        Neighbours; memory is bounded by ROWS_AT_ONCE x QUERIES_AT_ONCE and the answer itself, however many
        documents there are. At the same distance any of the documents may stand.
    """
    parts = [
        _Best(queries[start : start + QUERIES_AT_ONCE], k, metric, excluded[start : start + QUERIES_AT_ONCE])
        for start in range(0, len(queries), QUERIES_AT_ONCE)
    ]
    looked_at, left_out, several = 0, NOTHING, False
    for block in blocks:
        looked_at += block.documents
        left_out += block.left_out
        several = several or block.several
        for start in range(0, len(block.keys), ROWS_AT_ONCE):
            keys = block.keys[start : start + ROWS_AT_ONCE]
            vectors = block.vectors[start : start + ROWS_AT_ONCE]
            starts = _starts(keys) if block.several else None
            for part in parts:
                part.look_at(keys, vectors, starts)
    rows = [row for part in parts for row in part.rows()]
    return Neighbours(
        tuple(keys for keys, _ in rows), tuple(d for _, d in rows), looked_at, left_out, several
    )


class _Best:
    """The k nearest so far of some queries.

    A document's score is larger the nearer it is: the inner product, for L2 less half the squared length.
    Only scores above what the k-th nearest so far would have can matter; they are few after the first
    blocks, so one comparison passes over the product instead of a partition.
    """

    def __init__(self, queries: Vectors, k: int, metric: str, excluded: Sequence[str]) -> None:
        self.queries, self.k, self.metric = prepared(queries, metric), k, metric
        self.wide = prepared_wide(queries, metric)
        self.squares: Doubles = np.einsum("ij,ij->i", self.wide, self.wide)
        self.distances: Doubles = np.full((len(queries), k), np.inf)
        self.keys = np.full((len(queries), k), "", dtype=object)
        self.excluded: dict[str, list[int]] = {}
        for row, key in enumerate(excluded):
            if key:
                self.excluded.setdefault(key, []).append(row)
        # Both are used again: making them costs a tenth.
        self._product: Vectors = np.empty((0, 0), np.float32)
        self._above = np.empty((0, 0), np.bool_)

    def look_at(self, keys: tuple[str, ...], vectors: Vectors, starts: Places | None = None) -> None:
        """Take in the documents of one block.

        Args:
            keys: of the documents.
            vectors: (len(keys), dim).
            starts: where each document begins, if some have several vectors.
        """
        with np.errstate(over="ignore"):
            halves = 0.5 * np.einsum("ij,ij->i", vectors, vectors)
        longest = float(halves.max(initial=0.0))
        if vectors.dtype == np.float32 and np.sqrt(self.squares.max() * 2 * longest) > _LARGE:
            self.look_at(keys, vectors.astype(np.float64), starts)  # the product could leave float32
            return
        if self._product.shape != (len(self.queries), len(keys)) or self._product.dtype != vectors.dtype:
            self._product = np.empty((len(self.queries), len(keys)), vectors.dtype)
            self._above = np.empty(self._product.shape, np.bool_)
        sent = self.wide if vectors.dtype == np.float64 else self.queries
        scores = np.matmul(sent, vectors.T, out=self._product)
        if self.metric == "L2":
            scores -= halves
        if self.excluded:
            for column, key in enumerate(keys):
                for row in self.excluded.get(key, ()):
                    scores[row, column] = -np.inf
        slack = _EPS * np.sqrt(vectors.shape[1]) * (np.sqrt(self.squares * 2 * longest) + longest)
        slack += 2 * vectors.shape[1] * _LEAST  # squares below float32's normal range lose more
        # What bounds the k-th document is the best vector of each.
        best = scores if starts is None else np.maximum.reduceat(scores, starts, axis=1)
        np.greater(scores, self._thresholds(best, slack)[:, None], out=self._above)
        rows, columns = _places(self._above)
        crowded = np.flatnonzero(np.bincount(rows, minlength=len(scores)) > 4 * self.k + 64)
        if len(crowded) and starts is None:
            alone = ~np.isin(rows, crowded)
            more_rows, more_columns = self._nearest_of(crowded, vectors, np.isfinite(scores[crowded]))
            rows = np.concatenate([rows[alone], more_rows])
            columns = np.concatenate([columns[alone], more_columns])
        for start, end in _chunks(len(rows), vectors.shape[1]):
            self._refine(rows[start:end], columns[start:end], keys, vectors, several=starts is not None)

    def rows(self) -> Iterator[tuple[tuple[str, ...], Doubles]]:
        """Keys and distances of each query."""
        for keys, distances in zip(self.keys, self.distances, strict=True):
            filled = int(np.isfinite(distances).sum())
            yield tuple(keys[:filled]), distances[:filled].copy()

    def _thresholds(self, scores: Vectors, slack: Doubles) -> Floats:
        """(q,) scores that a document must exceed, an allowance for float32 below the exact ones."""
        last = self.distances[:, -1]
        limit: Doubles = 0.5 * (self.squares - last) if self.metric == "L2" else 1.0 - last
        new = np.flatnonzero(np.isinf(last))
        if len(new) and scores.shape[1] > self.k:
            # Not k yet: the k-th of this block bounds it.
            limit[new] = np.partition(scores[new], scores.shape[1] - self.k, axis=1)[:, -self.k]
        with np.errstate(over="ignore"):
            lowered: Floats = np.nextafter((limit - slack).astype(np.float32), np.float32(-np.inf))
        return lowered

    def _nearest_of(
        self, rows: Places, vectors: Vectors, allowed: NDArray[np.bool_]
    ) -> tuple[Places, Places]:
        """What may be among the k nearest of a block where float32 tells few apart: equal ones, or far from
        the origin. Where float64 tells few apart either, all those."""
        wide = vectors.astype(np.float64)
        scores = self.wide[rows] @ wide.T
        squares = np.einsum("ij,ij->i", wide, wide)
        lengths = np.sqrt(self.squares[rows] * squares.max(initial=0.0))
        if self.metric == "L2":
            scores -= 0.5 * squares
            lengths += squares.max(initial=0.0)
        elif self.metric == "COSINE":  # a unit vector in float32 is up to 1e-7 too long or short
            scores /= np.sqrt(np.where(squares > 0, squares, 1.0))
        scores[~allowed] = -np.inf
        keep = min(self.k, scores.shape[1])
        last = np.partition(scores, scores.shape[1] - keep, axis=1)[:, -keep]
        slack = 4 * np.finfo(np.float64).eps * np.sqrt(vectors.shape[1]) * lengths
        near = allowed & (scores >= (last - slack)[:, None])
        if np.count_nonzero(near) > 2 * keep * len(rows):
            near &= ~_surplus(vectors, keep + 1)  # one of them may be the query's own
        owner, columns = np.nonzero(near)
        return rows[owner], columns

    def _refine(
        self, rows: Places, columns: Places, keys: tuple[str, ...], vectors: Vectors, *, several: bool
    ) -> None:
        exact = distance.exact(self.wide[rows], vectors[columns], self.metric)
        better = exact < self.distances[rows, -1]
        rows, columns, exact = rows[better], columns[better], exact[better]
        if not len(rows):
            return
        concerned, inverse = np.unique(rows, return_inverse=True)
        owner = np.concatenate([np.repeat(np.arange(len(concerned)), self.k), inverse])
        candidates = np.concatenate([self.distances[concerned].ravel(), exact])
        names = np.concatenate([self.keys[concerned].ravel(), np.array([keys[c] for c in columns], object)])
        order = np.lexsort((candidates, owner))
        if several:
            repeated = _repeated(owner[order], names[order])
            candidates[order[repeated]], names[order[repeated]] = np.inf, ""
            order = np.lexsort((candidates, owner))
        first = np.searchsorted(owner[order], np.arange(len(concerned)))
        chosen = order[first[:, None] + np.arange(self.k)]
        self.distances[concerned] = candidates[chosen]
        self.keys[concerned] = names[chosen]


def _surplus(vectors: Vectors, keep: int) -> NDArray[np.bool_]:
    """(n,) which rows (n, d) have `keep` equals before them."""
    seen: Counter[bytes] = Counter()
    surplus = np.zeros(len(vectors), dtype=bool)
    for i, vector in enumerate(vectors):
        same = vector.tobytes()
        seen[same] += 1
        surplus[i] = seen[same] > keep
    return surplus


def _starts(keys: tuple[str, ...]) -> Places:
    """Where each document begins in keys whose equals stand side by side."""
    return np.array([i for i, key in enumerate(keys) if not i or key != keys[i - 1]], dtype=np.int64)


def _repeated(owner: NDArray[np.intp], names: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Entries, nearest first for each owner, whose document stood before."""
    entries: set[tuple[int, str]] = set()
    repeated = np.zeros(len(names), dtype=bool)
    for i, entry in enumerate(zip(owner.tolist(), names.tolist(), strict=True)):
        repeated[i] = entry in entries
        if entry[1]:
            entries.add(entry)
    return repeated


def _places(mask: NDArray[np.bool_]) -> tuple[Places, Places]:
    """`np.nonzero` of a mask with few true values: eight of them are looked at at once."""
    flat = mask.reshape(-1)
    if len(flat) % 8:
        flat_places = np.flatnonzero(flat)
    else:
        words = np.flatnonzero(flat.view(np.uint64))
        inside = np.nonzero(flat.reshape(-1, 8)[words])
        flat_places = words[inside[0]] * 8 + inside[1]
    return flat_places // mask.shape[1], flat_places % mask.shape[1]


def _chunks(count: int, dim: int) -> Iterator[tuple[int, int]]:
    size = max(1, _REFINED_BYTES // (8 * dim))
    for start in range(0, count, size):
        yield start, min(start + size, count)
