"""Searching: nearest documents, counts, field values, a document's vector."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.errors import BadFilter, BadVector, MemDBError, NotFound, UnsupportedFeature
from memdb.vectors import distance, read, stored, tags
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.filters import EVERYTHING, Condition, Or, Range, Rendered, Tag, attribute, render
from memdb.vectors.index import Field, IndexInfo, VectorParams, index_info
from memdb.vectors.query import Command, KnnRequest, Template, count_command, filled, template

TAG_VALUES = 500  # values of a TAG field that are listed at most
GROUPS = 10_000  # different contents of a TAG field that are looked at for its values
_COUNTS_AT_ONCE = 250
_LARGEST = float(np.finfo(np.float64).max)
_NO_VALUE = "memdbnosuchvalue"  # of letters only: nothing to escape, and of no document


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found."""

    key: str
    distance: float
    fields: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class KnnResult:
    """What came back, nearest first."""

    keys: tuple[str, ...]
    distances: Doubles  # (len(keys),), in the metric of the index; squared for L2
    raw_fields: tuple[Reply, ...]  # each hit's fields as they came
    alias: str  # what the distance is called among them
    metric: str
    took_ms: float  # wall time around the command, at the client
    command: Command
    matches: bool = False  # the fields are JSON lists of all that their path matches

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

    @property
    def similarities(self) -> Doubles:
        """(len(keys),), larger is nearer; see `distance.MEANING`."""
        return distance.similarity(self.distances, self.metric)


@dataclass(frozen=True, slots=True)
class TagValue:
    """A value of a TAG field and how many documents its filter finds."""

    value: str
    documents: int


@dataclass(frozen=True, slots=True)
class TagValues(Sequence[TagValue]):
    """Values of a TAG field, most frequent first."""

    known: tuple[TagValue, ...]
    complete: bool  # whether the field has no others; if not, others may be as frequent

    def __len__(self) -> int:
        return len(self.known)

    @overload
    def __getitem__(self, place: int) -> TagValue: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[TagValue, ...]: ...

    def __getitem__(self, place: int | slice) -> TagValue | tuple[TagValue, ...]:
        return self.known[place]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server knows of a key itself."""

    ttl_s: float | None
    size_bytes: int | None


def knn(client: Client, request: KnnRequest, info: IndexInfo | None = None) -> KnnResult:
    """The k nearest documents, one round trip (two without `info`).

    Args:
        client: where to ask.
        request: what to ask.
        info: the index as known; asked for where it is not given.

    Raises:
        BadInput: the request does not fit the index; nothing was searched.
        EngineError: the server said no, e.g. because the index vanished.
    """
    info = info or index_info(client, request.index)
    made = template(request, info, client.server.dialect)
    command = filled(made, request)
    began = time.perf_counter()
    reply = client.execute(*command.args)
    return knn_result(reply, made, command, (time.perf_counter() - began) * 1000)


def knn_result(reply: Reply, made: Template, command: Command, took_ms: float) -> KnnResult:
    """The reply of a KNN command as a result, nearest first; for replies that came in a pipeline."""
    keys, raw = _hits(reply)
    wanted = made.alias.encode()
    numbers = [_number_of(part, wanted) for part in raw]
    if numbers != sorted(numbers):  # an engine that does not order its hits
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        keys, raw = [keys[i] for i in order], [raw[i] for i in order]
        numbers = [numbers[i] for i in order]
    found = np.array(numbers, dtype=np.float64)
    return KnnResult(
        tuple(keys), found, tuple(raw), made.alias, made.params.metric, took_ms, command, made.matches
    )


def count(client: Client, info: IndexInfo, condition: Condition | str = EVERYTHING) -> int:
    """How many documents a filter lets through."""
    rendered = render(condition, client.server.dialect, info)
    if rendered.everything:
        return info.documents
    if not client.server.dialect.plain_queries:
        title = client.server.dialect.title
        raise UnsupportedFeature("A count under a filter", f"{title} answers only queries with a KNN clause")
    return _total(client.execute(*count_command(info, rendered).args))


def tag_values(client: Client, info: IndexInfo, field: str, *, limit: int = TAG_VALUES) -> TagValues:
    """Values of a TAG field, most frequent first, at most `limit`, each with what its filter finds.

    Which values there are is read from the documents (FT.AGGREGATE, at most GROUPS different contents); how
    many documents hold one is asked of the index by the filter itself. Values that no filter of this engine
    can say are left out.

    Raises:
        UnknownField: the index has no such TAG field.
        UnsupportedFeature: the server has no FT.AGGREGATE.
    """
    found = info.field(field, "TAG")
    contents, all_seen = _contents(client, info, found)
    estimates: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for content, documents in contents:
        for value in tags.values(content, found, matches=info.on == "JSON"):
            same = tags.folded(value, found)
            estimates[same] += documents
            spellings.setdefault(same, Counter())[value] += documents
    ranked = sorted(estimates, key=lambda same: (-estimates[same], same))
    # The most frequent spelling; of equally frequent ones the first by the alphabet.
    named = [min(spellings[same].items(), key=lambda item: (-item[1], item[0]))[0] for same in ranked[:limit]]
    sayable: list[tuple[str, Rendered]] = []
    for value in named:
        with suppress(BadFilter):
            sayable.append((value, render(Tag(field, (value,)), client.server.dialect, info)))
    matching = counts(client, info, [rendered for _, rendered in sayable])
    known = [TagValue(value, n) for (value, _), n in zip(sayable, matching, strict=True) if n]
    known.sort(key=lambda item: (-item.documents, item.value))
    return TagValues(tuple(known), all_seen and len(ranked) <= limit)


def _contents(client: Client, info: IndexInfo, found: Field) -> tuple[list[tuple[Reply, int]], bool]:
    """What the documents hold in a TAG field, with how many hold just that; whether all were seen."""
    if info.on == "JSON" and client.server.dialect.json_dialect < 3:
        # There FT.AGGREGATE brings only the first value of a path that matches several: documents are read.
        if not client.server.dialect.plain_queries:
            raise UnsupportedFeature(
                "Values with counts", f"{client.server.dialect.title} answers only queries with a KNN clause"
            )
        keys: list[str] = []
        for batch in read.matching_keys(client, info):
            keys += batch
            if len(keys) >= GROUPS:
                break
        seen = Counter(
            reply
            for start in range(0, len(keys), 1_000)
            for reply in client.pipeline(
                [stored.asking(info, found, key) for key in keys[start : start + 1_000]]
            )
        )
        return list(seen.items()), len(keys) < GROUPS
    name = found.name
    # Without the field, too, so that all documents are seen to be counted. A negation is everything on
    # engines that take no "*"; a range would leave out who has no such number.
    everything = "*"
    if not client.server.dialect.bare_star:
        everything = f"-{attribute(name, client.server.dialect)}:{{{_NO_VALUE}}}"
    rows = _aggregate(
        client, info, everything, "LOAD", 1, f"@{name}", "GROUPBY", 1, f"@{name}", "REDUCE", "COUNT", 0, "AS",
        "documents", "SORTBY", 2, "@documents", "DESC", "MAX", GROUPS,
    )  # fmt: skip
    found_rows = [(row.get(name), replies.integer(row.get("documents"))) for row in rows]
    return found_rows, len(rows) < GROUPS and sum(n for _, n in found_rows) >= info.documents


def numeric_bounds(client: Client, info: IndexInfo, field: str) -> tuple[float, float] | None:
    """Smallest and largest finite value of a NUMERIC field in the index; None where no document has one.

    Taken from the documents and held against the index; where that finds others (several numbers in one JSON
    document), the index is asked by halves.

    Raises:
        UnknownField: the index has no such NUMERIC field.
        UnsupportedFeature: the server has no FT.AGGREGATE.
    """
    info.field(field, "NUMERIC")
    dialect = client.server.dialect
    finite = render(Range(field, -_LARGEST, _LARGEST), dialect, info).query
    rows = _aggregate(
        client, info, finite, "LOAD", 1, f"@{field}", "APPLY", "1", "AS", "memdb_all", "GROUPBY", 1,
        "@memdb_all", "REDUCE", "MIN", 1, f"@{field}", "AS", "low", "REDUCE", "MAX", 1, f"@{field}",
        "AS", "high",
    )  # fmt: skip
    if not rows:
        return None
    low, high = replies.number(rows[0].get("low")), replies.number(rows[0].get("high"))
    if np.isfinite([low, high]).all() and low <= high:
        below, above, at = counts(
            client, info,
            [
                render(condition, dialect, info)
                for condition in (
                    Range(field, -_LARGEST, low, include_high=False),
                    Range(field, high, _LARGEST, include_low=False),
                    Or((Range(field, low, low), Range(field, high, high))),
                )
            ],
        )  # fmt: skip
        if not below and not above and at:
            return low, high
    return (
        _edge(lambda middle: bool(count(client, info, Range(field, -_LARGEST, middle)))),
        -_edge(lambda middle: bool(count(client, info, Range(field, -middle, _LARGEST)))),
    )


def _edge(holds: Callable[[float], bool]) -> float:
    """The smallest finite double for which `holds`, which stays true above it: at most 64 steps."""
    low, high = _ordered(-_LARGEST), _ordered(_LARGEST)
    while low < high:
        middle = (low + high) // 2
        if holds(_double(middle)):
            high = middle
        else:
            low = middle + 1
    return _double(low)


def _ordered(value: float) -> int:
    """A double as a whole number that sorts as it does."""
    bits = int(struct.unpack("<q", struct.pack("<d", value))[0])
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _double(place: int) -> float:
    size = float(struct.unpack("<d", struct.pack("<q", abs(place)))[0])
    return size if place >= 0 else -size


def counts(client: Client, info: IndexInfo, filters: Sequence[Rendered]) -> list[int]:
    """How many documents each filter lets through, in one round trip for a few hundred."""
    found: list[int] = []
    for start in range(0, len(filters), _COUNTS_AT_ONCE):
        commands = [count_command(info, one).args for one in filters[start : start + _COUNTS_AT_ONCE]]
        found += [_total(reply) for reply in client.pipeline(commands)]
    return found


def _total(reply: Reply) -> int:
    if isinstance(reply, dict):
        return replies.integer(replies.pairs(reply).get("total_results"))
    return replies.integer(replies.items(reply)[0])


def document_vector(client: Client, info: IndexInfo, field: str, key: str) -> Floats:
    """The vector a document holds, (dim,) float32.

    Raises:
        NotFound: no such key, or it has no such field.
        BadVector: what it holds is no vector of this index.
    """
    found, params = info.vector_field(field)
    raw = client.execute(*stored.asking(info, found, key))
    value = raw if info.on == "HASH" else stored.first(raw)
    if value is None:
        raise NotFound(key, f"document with a field '{found.identifier}'")
    return decoded(value, found, params, key)


def decoded(value: Reply, found: Field, params: VectorParams, key: str) -> Floats:
    """A stored value as a vector of the field, (dim,) float32.

    Raises:
        BadVector: it has another length or holds values that are not finite.
    """
    where = f"'{found.name}'"
    try:
        vector = distance.from_bytes(value, params.type) if isinstance(value, bytes) else value
        return distance.checked(vector, params.dim, where)
    except BadVector as exc:
        raise BadVector(
            f"The document '{key}' does not hold a usable vector: {exc}",
            "Such a document is not in the index; choose another one.",
            expected=exc.expected,
            got=exc.got,
        ) from exc


def random_key(client: Client, info: IndexInfo) -> str:
    """The key of some document: one of the nearest to a random direction, cheap however large the index.

    Raises:
        NotFound: the index is empty.
    """
    field, params = info.vector_field()
    vector = np.random.default_rng().normal(size=params.dim)
    found = knn(client, KnnRequest(info.name, tuple(vector.tolist()), field.name, k=10), info)
    if not found.keys:
        raise NotFound(info.name, "document in the index")
    return str(np.random.default_rng().choice(np.array(found.keys, dtype=object)))


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
    found = replies.pairs(client.execute("HGETALL", key))
    if not found:
        raise NotFound(key, "document")
    return found


def facts(client: Client, key: str) -> Facts:
    """Size in memory and time to live of a key; the size is None where MEMORY USAGE is not allowed."""
    ttl, size = client.pipeline([("PTTL", key), ("MEMORY", "USAGE", key)], errors_as_values=True)
    if isinstance(ttl, MemDBError):
        raise ttl
    known = None if isinstance(size, MemDBError) or size is None else replies.integer(size)
    return Facts(None if replies.integer(ttl) < 0 else replies.integer(ttl) / 1000, known)


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
                return float(raw[place + 1])
    return replies.number(replies.pairs(raw).get(wanted.decode()))


def _texts(reply: Reply) -> dict[str, str]:
    if type(reply) is list:  # the usual case, on the path of every search: no call for each value
        texts = [
            v.decode("utf-8", "backslashreplace") if type(v) is bytes else replies.text(v) for v in reply
        ]
        return dict(zip(texts[::2], texts[1::2], strict=False))
    return {name: replies.text(value) for name, value in replies.pairs(reply).items()}


def _aggregate(client: Client, info: IndexInfo, query: str, *args: Arg) -> list[dict[str, Reply]]:
    dialect = client.server.dialect
    if not dialect.has("FT.AGGREGATE"):
        raise UnsupportedFeature("Values with counts", f"{dialect.title} of this version has no FT.AGGREGATE")
    spoken = dialect.json_dialect if info.on == "JSON" else 2
    timeout = dialect.limits.timeout_ms
    reply = client.execute("FT.AGGREGATE", info.name, query, "TIMEOUT", timeout, *args, "DIALECT", spoken)
    if isinstance(reply, dict):
        rows = replies.items(replies.pairs(reply).get("results"))
        return [replies.pairs(replies.pairs(row).get("extra_attributes")) for row in rows]
    return [replies.pairs(row) for row in replies.items(reply)[1:]]
