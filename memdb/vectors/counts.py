"""Counting: how many documents a filter finds, which values a TAG field has, how far a NUMERIC field reaches.

Every number comes from the index, by the filter that it stands beside.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.errors import BadFilter, UnsupportedFeature
from memdb.vectors import read, shards, stored, tags
from memdb.vectors.filters import EVERYTHING, Condition, Range, Rendered, Tag, all_documents, render
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.query import count_command

TAG_VALUES = 500  # values of a TAG field that are listed at most
DOCUMENTS = 50_000  # of JSON that are looked at for the values of a TAG field
GROUPS = 10_000  # different contents of a TAG field that are looked at for its values
_COUNTS_AT_ONCE = 250
_LARGEST = float(np.finfo(np.float64).max)
_SEPARATORS = ",;|/ :\t\x1f"  # tried where FT.INFO does not tell, in this order
_TRIED = 20  # contents that an untold option is tried on

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")

Contents = list[tuple[Reply, int]]  # what documents hold in a field, and how many hold just that


@dataclass(frozen=True, slots=True)
class TagValue:
    """A value of a TAG field and how many documents its filter finds."""

    value: str
    documents: int


@dataclass(frozen=True, slots=True)
class TagValues(Sequence[TagValue]):
    """Values of a TAG field, most frequent first: as a sequence, those whose documents were counted."""

    known: tuple[TagValue, ...]
    complete: bool  # whether the field has no others; if not, others may be as frequent
    uncounted: tuple[str, ...] = ()  # further values, as the documents hold them; the index was not asked

    def __len__(self) -> int:
        return len(self.known)

    @overload
    def __getitem__(self, place: int) -> TagValue: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[TagValue, ...]: ...

    def __getitem__(self, place: int | slice) -> TagValue | tuple[TagValue, ...]:
        return self.known[place]


def count(client: Client, info: IndexInfo, condition: Condition | str = EVERYTHING) -> int:
    """How many documents a filter lets through.

    Raises:
        UnsupportedFeature: the engine answers no query without a KNN clause.
        BadFilter: this engine cannot say the filter.
        MemDBError: the server does not answer.
    """
    rendered = render(condition, client.server.dialect, info)
    if rendered.everything:
        return info.documents
    if not client.server.dialect.plain_queries:
        title = client.server.dialect.title
        raise UnsupportedFeature("A count under a filter", f"{title} answers only queries with a KNN clause")
    command = count_command(info, rendered, client.server.dialect)
    with shards.explained(client, info.name):
        return _total(client.execute(*command.args))


def tag_values(
    client: Client, info: IndexInfo, field: str, *, limit: int = TAG_VALUES, counted: int = TAG_VALUES
) -> TagValues:
    """Values of a TAG field, most frequent first, at most `limit`, each with what its filter finds.

    Each count is a query of its own: of more than `counted` values the most frequent are counted, by what
    documents hold, and the others are named only.

    Which values there are is read from the documents (FT.AGGREGATE, at most GROUPS different contents; of
    JSON at most DOCUMENTS documents). How many documents hold one is asked of the index by the filter itself.
    Values that no filter of this engine can say are left out.

    Raises:
        UnknownField: the index has no such TAG field.
        UnsupportedFeature: the server has no FT.AGGREGATE.
    """
    tag = info.field(field, "TAG")
    contents, all_seen = _contents(client, info, tag)
    if not info.tag_options_told:
        tag = _tried(client, info, tag, contents)
    estimates: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for content, documents in contents:
        for value in tags.values(content, tag, matches=info.on == "JSON"):
            same = tags.folded(value, tag)
            estimates[same] += documents
            spellings.setdefault(same, Counter())[value] += documents
    ranked = sorted(estimates, key=lambda same: (-estimates[same], same))
    named = [tags.most_frequent(spellings[same]) for same in ranked[:limit]]
    candidates, others = named[:counted], named[counted:]
    matching = _matching(client, info, tag, [(value,) for value in candidates])
    counted_values = [TagValue(value, n) for value, n in zip(candidates, matching, strict=True) if n]
    counted_values.sort(key=lambda item: (-item.documents, item.value))
    sayable = _sayable(client, info, tag, [(value,) for value in others])
    uncounted = tuple(others[place] for place, _ in sayable)
    complete = all_seen and len(ranked) <= limit and None not in matching and len(uncounted) == len(others)
    return TagValues(tuple(counted_values), complete, uncounted)


def tag_field(client: Client, info: IndexInfo, field: str) -> Field:
    """A TAG field with its separator and case: as FT.INFO tells them, else as the index shows them.

    Raises:
        UnknownField: the index has no such TAG field.
        UnsupportedFeature: they are not told, and the server has no FT.AGGREGATE to find them out.
    """
    tag = info.field(field, "TAG")
    return tag if info.tag_options_told else _tried(client, info, tag, _contents(client, info, tag)[0])


def _matching(
    client: Client, info: IndexInfo, tag: Field, several: Sequence[tuple[str, ...]]
) -> list[int | None]:
    """How many documents hold any of these values, for each tuple; None for what no filter can say."""
    sayable = _sayable(client, info, tag, several)
    numbers: list[int | None] = [None] * len(several)
    answered = counts(client, info, [rendered for _, rendered in sayable])
    for (place, _), number in zip(sayable, answered, strict=True):
        numbers[place] = number
    return numbers


def _sayable(
    client: Client, info: IndexInfo, tag: Field, several: Sequence[tuple[str, ...]]
) -> list[tuple[int, Rendered]]:
    """The filter for any of these values, for each tuple that a filter can say, with its place."""
    # By the field as it was found to be: without a separator, blanks around a value belong to it.
    splitting = replace(info, fields=tuple(tag if f.name == tag.name else f for f in info.fields))
    sayable: list[tuple[int, Rendered]] = []
    for place, values in enumerate(several):
        with suppress(BadFilter):
            sayable.append((place, render(Tag(tag.name, values), client.server.dialect, splitting)))
    return sayable


def _tried(client: Client, info: IndexInfo, tag: Field, contents: Contents) -> Field:
    """The field with the separator and case that the index shows, where its FT.INFO tells neither.

    A wrong separator cuts out values that no document is found by. Spellings that differ only in case find
    the same documents where case is folded.
    """
    matches = info.on == "JSON"
    # Those that hold most signs tell most.
    telling = sorted((c for c, _ in contents if c), key=lambda c: -len(set(c) - _WORD))[:_TRIED]
    best, most = tag, -1.0
    answered: dict[tuple[str, bool], int | None] = {}  # most separators cut out the same values
    for separator in dict.fromkeys((tag.separator, *_SEPARATORS)):
        tried = replace(tag, separator=separator, case_sensitive=True)
        values = {v for content in telling for v in tags.values(content, tried, matches=matches)}
        whole = not separator  # blanks around a value then belong to it
        new = [value for value in sorted(values) if (value, whole) not in answered]
        numbers = _matching(client, info, tried, [(value,) for value in new])
        answered |= {(value, whole): number for value, number in zip(new, numbers, strict=True)}
        hits = [answered[value, whole] for value in values]
        share = sum(map(bool, hits)) / len(hits) if hits else 0.0
        if share > most:
            best, most = tried, share
    spelled: dict[str, set[str]] = {}
    for content, _ in contents:
        for value in tags.values(content, best, matches=matches):
            spelled.setdefault(tags.folded(value, replace(best, case_sensitive=False)), set()).add(value)
    pairs = [tuple(sorted(values)[:2]) for values in spelled.values() if len(values) > 1][:_TRIED]
    requests = [values for pair in pairs for values in ((pair[0],), (pair[1],), pair)]
    numbers = _matching(client, info, best, requests)
    folded = all(len(set(numbers[i : i + 3])) == 1 for i in range(0, len(numbers), 3))
    return replace(best, case_sensitive=not folded)


def _contents(client: Client, info: IndexInfo, tag: Field) -> tuple[Contents, bool]:
    """What the documents hold in a TAG field, with how many hold just that; whether all were seen."""
    dialect = client.server.dialect
    if (info.on == "JSON" and dialect.json_dialect < 3) or not dialect.loads:
        # There FT.AGGREGATE brings only the first value of a path that matches several, or none: documents
        # are read.
        if not client.server.dialect.plain_queries:
            raise UnsupportedFeature(
                "Values with counts", f"{client.server.dialect.title} answers only queries with a KNN clause"
            )
        keys: list[str] = []
        for batch in read.matching_keys(client, info):
            keys += batch
            if len(keys) >= GROUPS:  # each is a read of its own
                break
        documents_of: Counter[Reply] = Counter()
        for start in range(0, len(keys), stored.BATCH):
            batch = keys[start : start + stored.BATCH]
            documents_of.update(stored.raw(client, info, tag, batch))
        return list(documents_of.items()), len(keys) < GROUPS
    name = tag.name
    # Without the field, too, so that all documents are seen to be counted.
    everything = all_documents(dialect, info)
    if info.on == "JSON":
        # Not grouped: RediSearch takes arrays for equal that begin with the same value.
        rows = _aggregate(client, info, everything, "LOAD", 1, f"@{name}", "LIMIT", 0, DOCUMENTS)
        each = Counter(row.get(name) for row in rows)
        return list(each.items()), len(rows) < DOCUMENTS and len(rows) >= info.documents
    rows = _aggregate(
        client, info, everything, "LOAD", 1, f"@{name}", "GROUPBY", 1, f"@{name}", "REDUCE", "COUNT", 0, "AS",
        "memdb_documents", "SORTBY", 2, "@memdb_documents", "DESC", "MAX", GROUPS,
    )  # fmt: skip  # a clause and its arguments side by side
    found_rows = [(row.get(name), replies.integer(row.get("memdb_documents"))) for row in rows]
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
    if not dialect.loads:
        matching = count(client, info, Range(field, -_LARGEST, _LARGEST))
        return _bounds(client, info, field) if matching else None
    finite = render(Range(field, -_LARGEST, _LARGEST), dialect, info).query
    rows = _aggregate(
        client, info, finite, "LOAD", 1, f"@{field}", "APPLY", "1", "AS", "memdb_all", "GROUPBY", 1,
        "@memdb_all", "REDUCE", "MIN", 1, f"@{field}", "AS", "memdb_low", "REDUCE", "MAX", 1, f"@{field}",
        "AS", "memdb_high",
    )  # fmt: skip  # a clause and its arguments side by side
    if not rows:
        return None
    low, high = replies.number(rows[0].get("memdb_low")), replies.number(rows[0].get("memdb_high"))
    if np.isfinite([low, high]).all() and low <= high:
        beyond: list[Condition] = [Range(field, -_LARGEST, low, include_high=False)] * (low > -_LARGEST)
        beyond += [Range(field, high, _LARGEST, include_low=False)] * (high < _LARGEST)
        ends = [Range(field, end, end) for end in (low, high)]  # the reply's twelve digits may be beyond one
        *others, at_low, at_high = counts(client, info, [render(c, dialect, info) for c in (*beyond, *ends)])
        if not any(others) and at_low and at_high:
            return low, high
    return _bounds(client, info, field)


def infinite(client: Client, info: IndexInfo, field: str) -> int:
    """How many documents hold a number in a NUMERIC field, and none that is finite.

    Raises:
        UnknownField: the index has no such NUMERIC field.
        UnsupportedFeature: the engine does not count under a filter.
    """
    info.field(field, "NUMERIC")
    return count(client, info, Range(field)) - count(client, info, Range(field, -_LARGEST, _LARGEST))


def _bounds(client: Client, info: IndexInfo, field: str) -> tuple[float, float]:
    """Where some document holds a finite number: both ends, asked of the index by halves."""
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
    totals: list[int] = []
    dialect = client.server.dialect
    for start in range(0, len(filters), _COUNTS_AT_ONCE):
        commands = [
            count_command(info, rendered, dialect).args
            for rendered in filters[start : start + _COUNTS_AT_ONCE]
        ]
        with shards.explained(client, info.name):
            totals += [_total(reply) for reply in client.pipeline(commands)]
    return totals


def _total(reply: Reply) -> int:
    if isinstance(reply, dict):
        return replies.integer(replies.pairs(reply).get("total_results"))
    return replies.integer(replies.items(reply)[0])


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
