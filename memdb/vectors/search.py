"""Searching: nearest documents, counts, field values, a document's vector."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.display import line
from memdb.errors import BadVector, EngineError, MemDBError, NotFound, SilentShard, UnsupportedFeature
from memdb.vectors import distance, shards, stored
from memdb.vectors.counts import TAG_VALUES, TagValue, TagValues, count, numeric_bounds, tag_values
from memdb.vectors.distance import Doubles, Vectors
from memdb.vectors.filters import may_be_broken
from memdb.vectors.index import Field, IndexInfo, VectorParams, index_info, silent_words
from memdb.vectors.membership import Membership
from memdb.vectors.query import Command, KnnRequest, Template, filled, of_some_shards, template


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found."""

    key: str
    distance: float  # NaN where the engine has none: a zero vector under COSINE, or values not finite
    fields: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class KnnResult:
    """What came back, nearest first."""

    keys: tuple[str, ...]
    distances: Doubles  # (len(keys),), in the metric of the index; squared for L2. NaN, last: undefined
    raw_fields: tuple[Reply, ...]  # each hit's fields as they came
    alias: str  # what the distance is called among them
    metric: str
    took_ms: float  # wall time around the command, at the client
    command: Command
    without_document: int = 0  # rows that came without one, left out: expired, or a key that cannot be loaded
    matches: bool = False  # the fields are JSON lists of all that their path matches
    outside: frozenset[str] = frozenset()  # of the keys, those that break the filter
    about_filter: str = ""  # what is to be said of hits and the filter
    missing: tuple[str, ...] = ()  # addresses of shards that did not answer: their documents are not among it

    @cached_property
    def fields(self) -> tuple[Mapping[str, str], ...]:
        """Each hit's fields as text, decoded when first looked at."""
        return tuple(
            {
                name: stored.shown(value) if self.matches else value
                for name, value in _texts(raw).items()
                if name != self.alias
            }
            for raw in self.raw_fields
        )

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Key, distance and fields together."""
        return tuple(
            Hit(k, float(d), f) for k, d, f in zip(self.keys, self.distances, self.fields, strict=True)
        )

    def under_filter(self) -> KnnResult:
        """The same without the hits that break the filter."""
        if not self.outside:
            return self
        inside = [i for i, key in enumerate(self.keys) if key not in self.outside]
        return replace(
            self,
            keys=tuple(self.keys[i] for i in inside),
            distances=self.distances[inside],
            raw_fields=tuple(self.raw_fields[i] for i in inside),
        )

    @property
    def undefined(self) -> int:
        """How many hits, the last ones, have no finite distance."""
        return int((~np.isfinite(self.distances)).sum())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as usual about these hits, a sentence each."""
        notes = [self.about_filter] if self.about_filter else []
        if self.missing:
            notes.append(f"{silent_words(self.missing)}: these are the nearest documents of the others only.")
        if n := self.undefined:
            why = (
                "zero vectors, which have no direction, or values that are not finite"
                if (self.metric == "COSINE")
                else "values that are not finite"
            )
            notes.append(
                f"{n:,} of {len(self.keys):,} hits have no distance and stand last: {why}. The engine counts "
                "them among its K, in the place of others, and may lose nearer documents over them."
            )
        if n := self.without_document:
            notes.append(
                f"{n:,} {'row' if n == 1 else 'rows'} without a document left out: it expired, or stands "
                "under a key the engine lists and cannot load."
            )
        return tuple(notes)

    @property
    def similarities(self) -> Doubles:
        """(len(keys),), larger is nearer; see `distance.MEANING`."""
        return distance.similarity(self.distances, self.metric)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server knows of a key itself."""

    ttl_s: float | None
    size_bytes: int | None


def knn(
    client: Client, request: KnnRequest, info: IndexInfo | None = None, *, under: Membership | None = None
) -> KnnResult:
    """The k nearest documents, one round trip (two without `info`).

    Where the engine is known to return hits that break such a filter, which of them do is asked as well:
    `KnnResult.outside`.

    Args:
        client: where to ask.
        request: what to ask.
        info: the index as known; asked for where it is not given.
        under: the request's filter, kept by who asks many queries under it.

    Raises:
        BadInput: the request does not fit the index; nothing was searched.
        EngineError: the server said no, e.g. because the index vanished.
    """
    info = info or index_info(client, request.index)
    shape = template(request, info, client.server.dialect)
    command = filled(shape, request)
    missing: tuple[str, ...] = ()
    began = time.perf_counter()
    try:
        reply = client.execute(*command.args)
    except EngineError:
        dialect = client.server.dialect
        missing = shards.silent(client, info.name) if dialect.every_shard else ()
        if not missing:
            raise
        command = of_some_shards(command, dialect)
        began = time.perf_counter()
        reply = client.execute(*command.args)
    result = knn_result(reply, shape, command, (time.perf_counter() - began) * 1000)
    result = replace(result, missing=missing) if missing else result
    result = held_against_filter(client, info, request, result, under)
    fields = [info.field(name) for name in request.return_fields]
    if client.server.dialect.loads:
        # Where the engine returns the first only of what a JSON path matches.
        fields = [f for f in fields if info.on == "JSON" and not shape.matches and stored.many(f.identifier)]
    return _with_stored(client, info, fields, result) if fields and result.keys else result


def held_against_filter(
    client: Client, info: IndexInfo, request: KnnRequest, result: KnnResult, under: Membership | None = None
) -> KnnResult:
    """A result with those of its hits named that break the filter, where the engine may return such.

    Raises:
        MemDBError: the server does not answer.
    """
    dialect = client.server.dialect
    if not result.keys or not may_be_broken(request.filter, dialect, info, request.field):
        return result
    under = under or Membership(client, info, request.filter)
    try:
        outside = under.outside(result.keys)
    except (UnsupportedFeature, SilentShard) as exc:
        doubt = f"{dialect.title} may return hits that break this filter, and which do cannot be told: {exc}"
        return replace(result, about_filter=doubt)
    return replace(result, outside=outside, about_filter=under.words(len(result.keys), len(outside)))


def _with_stored(client: Client, info: IndexInfo, fields: Sequence[Field], result: KnnResult) -> KnnResult:
    """A result with these fields as the documents hold them, which the hits did not bring, or not whole."""
    rows: list[dict[str, Reply]] = [replies.pairs(raw) for raw in result.raw_fields]
    for field in fields:
        for row, stored_bytes in zip(rows, stored.raw(client, info, field, result.keys), strict=True):
            if stored_bytes is not None:
                row[field.name] = (
                    stored.shown(replies.text(stored_bytes)) if info.on == "JSON" else stored_bytes
                )
    return replace(result, raw_fields=tuple(rows))


def knn_result(reply: Reply, shape: Template, command: Command, took_ms: float) -> KnnResult:
    """The reply of a KNN command as a result, nearest first; for replies that came in a pipeline."""
    keys, raw = _hits(reply)
    came = len(keys)
    if not all(raw):  # a row without a body, even without its distance
        answered = [i for i, part in enumerate(raw) if part]
        keys, raw = [keys[i] for i in answered], [raw[i] for i in answered]
    wanted = shape.alias.encode()
    distances = np.array([_number_of(part, wanted) for part in raw], dtype=np.float64)
    distances[~np.isfinite(distances)] = np.nan
    if (distances[1:] < distances[:-1]).any() or np.isnan(distances).any():
        order = np.argsort(distances, kind="stable")  # an engine that does not order its hits; NaN goes last
        keys, raw, distances = [keys[i] for i in order], [raw[i] for i in order], distances[order]
    return KnnResult(
        tuple(keys),
        distances,
        tuple(raw),
        shape.alias,
        shape.params.metric,
        took_ms,
        command,
        came - len(keys),
        shape.matches,
    )


def document_vector(client: Client, info: IndexInfo, field: str, key: str) -> Vectors:
    """The vector a document holds, (dim,) float32 or, of FLOAT64, float64; of several in a JSON document the
    first that is usable.

    Raises:
        NotFound: no such key, or it has no such field.
        BadVector: what it holds is no vector of this index, or one without a direction under COSINE.
    """
    vector_field, params = info.vector_field(field)
    distance.need(params.type)
    raw = client.execute(*stored.asking(info, vector_field, key))
    value = raw if info.on == "HASH" else stored.first(raw)
    if value is None:
        raise NotFound(key, "document", having=f"a field '{line(vector_field.identifier)}'")
    packed = stored.vectors(info, vector_field, params, [raw])[0]
    try:
        if packed is None:
            raise _refused(value, vector_field, params)
        rows = distance.from_bytes(packed, params.type).reshape(-1, params.dim)
        usable = np.isfinite(rows).all(axis=1) & (rows.any(axis=1) | (params.metric != "COSINE"))
        vector = rows[int(usable.argmax())]
        return distance.directed(
            distance.checked(vector, params.dim, f"'{vector_field.name}'", params.type), params.metric
        )
    except BadVector as exc:
        raise BadVector(
            f"The document '{line(key)}' does not hold a usable vector: {exc}",
            "Such a document is not in the index, or has no distance in it; choose another one.",
            expected=exc.expected,
            got=exc.got,
        ) from exc


def _refused(value: Reply, field: Field, params: VectorParams) -> BadVector:
    """Why the index does not take a value as a vector."""
    try:
        if isinstance(value, bytes):
            value = distance.from_bytes(value, params.type)
        distance.checked(value, params.dim, f"'{field.name}'")
    except BadVector as exc:
        return exc
    return BadVector(
        "It holds several values, or texts in the place of numbers.", "", expected=params.dim, got=0
    )


def random_key(client: Client, info: IndexInfo) -> str:
    """The key of some document: one of the nearest to a random direction, cheap however large the index.

    Raises:
        NotFound: the index is empty.
    """
    field, params = info.vector_field()
    vector = np.random.default_rng().normal(size=params.dim)
    result = knn(client, KnnRequest(info.name, tuple(vector.tolist()), field.name, k=10), info)
    usable = result.keys[: len(result.keys) - result.undefined]
    if not usable:
        raise NotFound(info.name, "document in the index")
    return str(np.random.default_rng().choice(np.array(usable, dtype=object)))


def document(client: Client, key: str, on: str = "HASH") -> dict[str, Reply]:
    """All fields of a document: of a hash raw, of JSON its members by path (`$.title`).

    Raises:
        NotFound: there is no such key.
        EngineError: it is not what the index is over.
    """
    if on == "JSON":
        whole = stored.first(client.execute("JSON.GET", key, "$"))
        if whole is None:
            raise NotFound(key, "document")
        return stored.members(whole)
    fields = replies.pairs(client.execute("HGETALL", key))
    if not fields:
        raise NotFound(key, "document")
    return fields


def facts(client: Client, key: str) -> Facts:
    """Size in memory and time to live of a key; the size is None where MEMORY USAGE is not allowed."""
    ttl, size = client.pipeline([("PTTL", key), ("MEMORY", "USAGE", key)], errors_as_values=True)
    if isinstance(ttl, MemDBError):
        raise ttl
    return Facts(None if replies.integer(ttl) < 0 else replies.integer(ttl) / 1000, possible.size(size))


def read_hits(reply: Reply) -> tuple[list[str], list[dict[str, str]]]:
    """Keys and fields of an FT.SEARCH reply: a flat array (RESP2, valkey-search) or a map (RESP3)."""
    keys, raw = _hits(reply)
    return keys, [_texts(part) for part in raw]


def _hits(reply: Reply) -> tuple[list[str], list[Reply]]:
    """Keys, and each hit's fields as they came."""
    if isinstance(reply, dict):
        hits = [replies.pairs(hit) for hit in replies.items(replies.pairs(reply).get("results"))]
        return (
            [replies.key(hit.get("id")) for hit in hits],
            [hit.get("extra_attributes", hit.get("values")) for hit in hits],
        )
    keys: list[str] = []
    raw: list[Reply] = []
    for part in replies.items(reply)[1:]:
        if type(part) is bytes:
            keys.append(part.decode("utf-8", "surrogateescape"))
            raw.append(None)
        elif isinstance(part, list | dict):
            if raw:
                raw[-1] = part
        elif part is not None:
            keys.append(replies.key(part))
            raw.append(None)
    return keys, raw


def _number_of(raw: Reply, wanted: bytes) -> float:
    """One field of a hit as a number, without decoding the others."""
    if type(raw) is list:
        for place in range(0, len(raw) - 1, 2):
            if raw[place] == wanted:
                try:
                    return float(raw[place + 1])
                except (TypeError, ValueError):  # it is no number
                    break
    return replies.number(replies.pairs(raw).get(wanted.decode()))


def _texts(reply: Reply) -> dict[str, str]:
    if type(reply) is list:  # the usual case, on the path of every search: no call for each value
        texts = [
            v.decode("utf-8", "backslashreplace") if type(v) is bytes else replies.text(v) for v in reply
        ]
        return dict(zip(texts[::2], texts[1::2], strict=False))
    return {name: replies.text(value) for name, value in replies.pairs(reply).items()}


__all__ = [
    "TAG_VALUES",
    "Facts",
    "Hit",
    "KnnRequest",
    "KnnResult",
    "TagValue",
    "TagValues",
    "count",
    "document",
    "document_vector",
    "facts",
    "knn",
    "knn_result",
    "numeric_bounds",
    "random_key",
    "read_hits",
    "tag_values",
]
