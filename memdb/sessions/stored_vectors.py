"""Turns and memories by the vectors that a framework stored beside them: redisvl's semantic history, mem0's.

stored = find(client, layout)                        # an index over them, or the field under their prefix
near = near_stored(client, layout, stored, question)  # a vector of the model that made theirs

Where an index is over the sessions it is asked; else the vectors under the format's prefix are read, up to a
bound, and compared here.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import line
from memdb.embedding import Embedder, embedder_for, named, silent
from memdb.embedding.choice import LOCAL
from memdb.errors import BadInput, BadVector, EngineError, NoEmbedder, NotAllowed, NotFound
from memdb.sessions.mapping import TYPES, Format, read
from memdb.sessions.meaning import NearTurn
from memdb.sessions.number_types import LEAST, guessed
from memdb.sessions.values import Value, values
from memdb.settings import Settings
from memdb.vectors import index
from memdb.vectors.distance import Floats, Vectors, from_bytes
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.read import vectors_of
from memdb.vectors.search import document_vector, knn

MOST_KEYS = 20_000  # under a prefix without an index, whose vectors are read
SAMPLE = 40  # keys of a prefix that are looked into for a vector
_STEP, _BYTES = 500, 64 * 2**20
_LOCAL_NUMBERS = 256


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Where the vectors of a format's turns are."""

    field: str
    dimension: int
    info: IndexInfo | None  # an index over them; None: they are read under the prefix
    type: str = "FLOAT32"  # of the numbers of a hash's field; without an index told by what they would be

    @property
    def words(self) -> str:
        """For people."""
        where = f"index '{line(self.info.name)}'" if self.info else "the values, which no index is over"
        kind = "" if self.type == "FLOAT32" else f" ({self.type})"
        return f"{self.dimension:,} numbers{kind} in '{line(self.field, 60)}', by {where}"


@dataclass(frozen=True, slots=True)
class NearStored:
    """What is nearest, and how it was found."""

    turns: tuple[NearTurn, ...]
    how: str  # a sentence


def _names(client: Client) -> tuple[str, ...]:
    try:
        return index.index_names(client)
    except NotAllowed:
        return ()


def find(client: Client, format_: Format) -> StoredVectors | None:
    """Where vectors stand beside the turns of a format's sessions; None where there are none."""
    if client.server.dialect.searches:
        # Who may not list or look at indexes has none to search with; the values are read all the same.
        for name in _names(client):
            try:
                info = index.index_info(client, name)
            except (EngineError, NotAllowed):  # dropped meanwhile, or not this user's
                continue
            if info.of_kind("VECTOR") and _covers(info, format_):
                field, params = info.vector_field()
                return StoredVectors(field.name, params.dim, info, params.type)
    if format_.stored not in ("hash", "json"):
        return None
    fields = Counter(
        stored
        for several in _keys(client, format_, SAMPLE)
        for value in values(client, several, format_, total=_BYTES)
        for stored in _vectors(value)
    )
    if not fields:
        return None
    (name, dimension, type_), _ = max(fields.items(), key=lambda item: item[1])
    return StoredVectors(name, dimension, None, type_)


def question_vector(
    client: Client,
    stored: StoredVectors,
    question: str,
    settings: Settings,
    *,
    model: str = "",
    tell: Callable[[Embedder], None] = silent,
) -> tuple[Floats, Embedder]:
    """A question by the model that made the stored vectors, (d,) float32, and that model.

    Args:
        client: of the server.
        stored: where they are.
        question: not blank.
        settings: say the model of an index.
        model: its name, where it is said here; see `memdb.embedding.named`.
        tell: gets the model before the question is sent to it.

    Raises:
        NoEmbedder: nothing says which model it is.
        BadInput: the model has another dimension.
        MemDBError: it had to be asked and did not answer.
    """
    if stored.info is not None:
        embedder = embedder_for(client, stored.info, settings, here=model, tell=tell)
    elif model or stored.dimension == _LOCAL_NUMBERS:
        embedder = named(model or LOCAL, settings)
        tell(embedder)
    else:
        raise NoEmbedder(
            f"Nothing says which model made the stored vectors of {stored.dimension:,} numbers.",
            "Choose one with --embedder, or search by the vector of a stored turn.",
            dimension=stored.dimension,
        )
    vector = embedder.embed([question])[0]
    if len(vector) != stored.dimension:
        raise BadInput(
            f"{embedder.name} gives {len(vector):,} numbers; the stored vectors have {stored.dimension:,}.",
            "Choose the model that made them.",
        )
    return vector, embedder


def turn_vector(client: Client, format_: Format, stored: StoredVectors, key: str) -> Floats:
    """The vector that is stored beside a turn, (d,) float32: what is near to it can be asked without a model.

    Raises:
        NotFound: there is no such key, or it holds none.
        BadVector: what it holds is no vector of the index.
    """
    if stored.info is not None:
        return document_vector(client, stored.info, stored.field, key).astype(np.float32)
    (value,) = values(client, [key], format_, total=_BYTES)
    if value.kind == "none":
        raise NotFound(key, "turn")
    vector = _vector_in(value, stored)
    if vector is None:
        raise NotFound(key, "turn", having=f"a vector in '{line(stored.field, 60)}'")
    return vector.astype(np.float32)


def near_stored(
    client: Client,
    format_: Format,
    stored: StoredVectors,
    vector: Floats,
    k: int = 10,
    *,
    most_keys: int = MOST_KEYS,
) -> NearStored:
    """The turns whose stored vectors are nearest to one.

    Args:
        client: where they are stored.
        format_: of the sessions.
        stored: where the vectors are.
        vector: (d,), of the model that made the stored ones.
        k: turns at most.
        most_keys: keys that are read at most, where no index is asked.

    Returns:
        The index's hits in its order, which may be approximate; or those of the keys that were read, by their
        cosine. The cosine of each is computed here from its stored vector.

    Raises:
        MemDBError: the server does not answer, or the vector has another dimension.
    """
    if stored.info is not None:
        return _by_index(client, format_, stored, stored.info, vector, k)
    return _by_reading(client, format_, stored, vector, k, most_keys)


def _by_index(
    client: Client, format_: Format, stored: StoredVectors, info: IndexInfo, vector: Floats, k: int
) -> NearStored:
    request = KnnRequest(info.name, vector_param(vector), field=stored.field, k=k, return_fields=())
    result = knn(client, request, info)
    keys = [key for key in result.keys if format_.owns(key)]
    block = vectors_of(client, info, stored.field, keys)
    cosines = (
        {}
        if block is None
        else dict(zip(block.keys, _cosines(np.asarray(block.vectors), vector), strict=True))
    )
    turns = _turns(client, format_, [(key, cosines.get(key, float("nan"))) for key in keys])
    _, params = info.vector_field(stored.field)
    kind = "exact" if params.algorithm == "FLAT" else "approximate"
    notes = " ".join(filter(None, (info.unfinished, *result.notes)))
    return NearStored(turns, f"The nearest in index '{line(info.name)}' ({kind}). {notes}".strip())


def _by_reading(
    client: Client, format_: Format, stored: StoredVectors, vector: Floats, k: int, most_keys: int
) -> NearStored:
    best: list[tuple[float, str]] = []
    read_keys = 0
    for several in _keys(client, format_, most_keys):
        read_keys += len(several)
        rows: list[tuple[str, Vectors]] = []
        for value in values(client, several, format_, total=_BYTES):
            row = _vector_in(value, stored)
            if row is not None and len(row) == len(vector):
                rows.append((value.key, row))
        if rows:
            cosines = _cosines(np.stack([row for _, row in rows]), vector)
            ranked = zip(cosines, (key for key, _ in rows), strict=True)
            best = heapq.nlargest(k, [*best, *((c, key) for c, key in ranked if np.isfinite(c))])
    turns = _turns(client, format_, [(key, cosine) for cosine, key in best])
    limit = f", at most {most_keys:,}," if read_keys >= most_keys else ""
    return NearStored(
        turns, f"The nearest by cosine of the {read_keys:,} keys that were read{limit} compared here."
    )


def _turns(client: Client, format_: Format, ranked: Sequence[tuple[str, float]]) -> tuple[NearTurn, ...]:
    near: list[NearTurn] = []
    stored = values(client, [key for key, _ in ranked], format_, total=_BYTES)
    for (key, cosine), value in zip(ranked, stored, strict=True):
        if value.document is None:
            continue  # it expired meanwhile
        reading = read(format_, value.document)
        turn = next((turn for turn in reading.turns if turn.parts), None)
        if turn is not None:
            session_id = reading.session if format_.holds != "session" else ""
            near.append(NearTurn(session_id or format_.id_of(key), None, turn, float(cosine), key))
    return tuple(near)


def _cosines(rows: np.ndarray[Any, Any], vector: Floats) -> list[float]:
    """(n, d) and (d,) to n cosines in float64; NaN where a vector is of zeros."""
    wide, query = rows.astype(np.float64), vector.astype(np.float64)
    with np.errstate(all="ignore"):
        cosines = wide @ query / (np.linalg.norm(wide, axis=1) * np.linalg.norm(query))
    return [float(cosine) for cosine in cosines]


def _covers(info: IndexInfo, format_: Format) -> bool:
    """Whether an index is over keys of a format: its kind of key, and a prefix that takes them."""
    if index.KEY_TYPES.get(info.on.upper()) != TYPES[format_.stored]:
        return False
    return any(prefix and format_.prefix.startswith(prefix) for prefix in info.prefixes)


def _keys(client: Client, format_: Format, most: int) -> Iterator[list[str]]:
    """Keys of a format as SCAN brings them, each once, `most` of them at most."""
    cursor, earlier = b"0", set[str]()
    while True:
        cursor, batch = client.execute(
            "SCAN", cursor, "MATCH", format_.pattern, "TYPE", TYPES[format_.stored], "COUNT", _STEP
        )
        names = [k for k in dict.fromkeys(map(replies.key, batch)) if k not in earlier and format_.owns(k)]
        names = names[: most - len(earlier)]
        earlier.update(names)
        if names:
            yield names
        if replies.integer(cursor) == 0 or len(earlier) >= most:
            return


def _vectors(value: Value) -> Iterator[tuple[str, int, str]]:
    """Fields of a value that can be an embedding: name, how many numbers, and their type."""
    if not isinstance(value.document, dict):
        return
    if value.stored == "hash":
        for field in value.fields:
            raw = field.value or b""
            if not raw.isascii() and (type_ := guessed(raw)):
                yield field.name, len(from_bytes(raw, type_)), type_
        return
    for name, content in value.document.items():
        if _numbers(content):
            yield name, len(content), "FLOAT32"


def _vector_in(value: Value, stored: StoredVectors) -> Vectors | None:
    """The vector that a value holds, (d,) float64 for FLOAT64, else float32; None where it holds none."""
    if value.stored == "hash":
        raw = next((field.value for field in value.fields if field.name == stored.field), None)
        if not raw or guessed(raw) == "":
            return None
        try:
            return from_bytes(raw, stored.type)
        except BadVector:
            return None
    numbers = value.document.get(stored.field) if isinstance(value.document, dict) else None
    return np.asarray(numbers, dtype=np.float32) if _numbers(numbers) else None


def _numbers(content: Any) -> bool:
    return (
        isinstance(content, list)
        and len(content) >= LEAST
        and all(isinstance(n, int | float) for n in content)
    )
