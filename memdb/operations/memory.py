"""Where a node's memory goes: vectors, index structures, keys and values, tables, buffers, and the rest.

Held against what used_memory of Redis 8.2 with RediSearch 2.10 grows by (tests/server/test_memory_split.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from memdb.cluster.client import Client
from memdb.cluster.topology import Node
from memdb.errors import MemDBError
from memdb.operations import index_memory, keyspace
from memdb.operations.figures import FIGURES
from memdb.operations.index_memory import MemoryPart
from memdb.operations.keyspace import Coverage, Drawn, Freed
from memdb.operations.samples import Sample
from memdb.sizing import redisearch, valkey_keys
from memdb.vectors.index import IndexInfo

TITLES = {
    "vectors": "Vectors in indexes",
    "structures": "Index structures",
    "other_indexes": "Other indexes",
    "untold": "Not reported by the module",
    "keys": "Keys and values",
    "tables": "Key tables",
    "clients": "Clients",
    "replication": "Replication buffers",
    "aof": "AOF buffer",
    "start": "Server at start",
}
_OF_FIGURES = {
    "clients": "client_buffer_bytes",
    "replication": "replication_buffer_bytes",
    "aof": "aof_buffer_bytes",
    "start": "startup_bytes",
}
_SLOTS_FROM = 2**20  # more than a plain table's overhead can be over what is computed: tables of slots
_WRITTEN_MEANWHILE = 100  # keys that come or go between two looks, and are no other database


@dataclass(frozen=True, slots=True)
class MemorySplit:
    """Bytes of one node by what they are for. Parts that are not known are None, with the reason."""

    address: str
    used: float | None  # used_memory of the sample
    parts: tuple[MemoryPart, ...]  # in the order of TITLES
    keys: int | None  # on the node
    sampled: int  # keys that were weighed or looked at
    ttl_freed: tuple[Freed, ...]  # within an hour, within a day; empty where it is not known
    ttl_share: float | None  # of the keys, those with a time to live
    coverage: tuple[Coverage, ...]
    absent: Mapping[str, str] = field(default_factory=dict)  # "used", "ttl_freed", "ttl_share", "coverage I"

    @property
    def accounted(self) -> float:
        """Sum of the parts that are known."""
        return sum(part.bytes or 0.0 for part in self.parts)

    @property
    def rest(self) -> float | None:
        """What is used beyond the parts that are known; negative where these are too high."""
        return None if self.used is None else self.used - self.accounted

    def part(self, name: str) -> MemoryPart:
        """The part of this name, one of TITLES."""
        return next(part for part in self.parts if part.name == name)

    def facts(self) -> dict[str, Any]:
        """As plain values for JSON; `from_facts` leads back."""
        return {**asdict(self), "absent": dict(self.absent), "rest": self.rest, "accounted": self.accounted}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> MemorySplit:
        """What `facts` told, also by an earlier version that knew less.

        Raises:
            ValueError: it is no such thing.
        """
        try:
            return cls(
                facts["address"],
                facts["used"],
                tuple(MemoryPart(**part) for part in facts["parts"]),
                facts["keys"],
                facts["sampled"],
                tuple(Freed(**freed) for freed in facts.get("ttl_freed", ())),
                facts.get("ttl_share"),
                tuple(Coverage(**coverage) for coverage in facts.get("coverage", ())),
                dict(facts.get("absent", {})),
            )
        except (LookupError, AttributeError, TypeError) as exc:
            raise ValueError(f"no memory split: {exc}") from exc


@dataclass(frozen=True, slots=True)
class InAll:
    """The primaries of several shards together. A figure that one of those asked did not tell is None."""

    shards: int
    silent: tuple[str, ...]  # addresses of those that did not answer: nothing of them is in it
    used: float | None
    parts: Mapping[str, float | None]  # by the names of TITLES
    keys: int | None

    @property
    def words(self) -> str:
        """Of how many shards it is."""
        if not self.silent:
            return f"all {self.shards} shards"
        return f"{self.shards - len(self.silent)} of {self.shards} shards"


def in_all(primaries: Sequence[MemorySplit], silent: Sequence[str] = ()) -> InAll:
    """Sum the memory of the primaries.

    Args:
        primaries: those that answered.
        silent: addresses of the others.
    """

    def total(values: Sequence[float | None]) -> float | None:
        numbers = [value for value in values if value is not None]
        return sum(numbers) if numbers and len(numbers) == len(values) else None

    keys = total([each.keys for each in primaries])
    return InAll(
        len(primaries) + len(silent),
        tuple(silent),
        total([each.used for each in primaries]),
        {name: total([each.part(name).bytes for each in primaries]) for name in TITLES},
        None if keys is None else int(keys),
    )


def split(client: Client, node: Node, sample: Sample) -> MemorySplit:
    """Split what a sample says is used: two round trips, and a few more where there are few keys.

    Args:
        client: of any node of the target.
        node: the node of the sample.
        sample: a fresh one of that node.

    Growth of the parts over used_memory's, measured on Redis 8.2 with RediSearch 2.10: 0.997 on 10,000 × 256,
    0.997 on 2,000 × 1,536, 0.998 on JSON, 0.989 to 1.004 on the demo's texts, tags and numbers,
    0.965 on 20,000 × 16, 0.969 where all keys were written twice (docs/memory.md).

    Raises:
        MemDBError: the node did not answer.
    """
    there = client.on(node)
    ttls = sample.figures.get("keys_with_ttl") != 0
    drawn = keyspace.draw(there, sample.indexes, ttls=ttls)
    counted: dict[str, Coverage] = {}
    refused = ""
    if sample.indexes and drawn.population is not None and drawn.population <= keyspace.EXACT_UP_TO:
        try:
            counted = keyspace.count_few(there, sample.indexes)
        except MemDBError as exc:
            refused = str(exc)
    return assemble(sample, drawn, _dialect(client, sample.indexes), counted, refused)


def _dialect(client: Client, indexes: Sequence[IndexInfo]) -> str:
    try:
        return client.server.dialect.name
    except MemDBError:  # a user who may not ask what the server is; what FT.INFO tells gives it away
        return index_memory.dialect_of(indexes)


def assemble(
    sample: Sample, drawn: Drawn, dialect: str, counted: Mapping[str, Coverage], refused: str = ""
) -> MemorySplit:
    """Put together what a sample and a draw of keys tell. Pure.

    Args:
        sample: of the node.
        drawn: keys of the same node.
        dialect: of the search module, as `memdb.cluster.dialects` names it.
        counted: exact coverage by index.
        refused: why there is none, if it was asked for.
    """
    names = [key.name for key in drawn.keys]
    if dialect == "redisearch":
        drawn = index_memory.corrected(drawn, sample.indexes)
    elif dialect == "valkey-search":
        drawn = index_memory.with_keys(drawn, sample.allocator)
    parts = {part.name: part for part in index_memory.parts(sample, dialect, names)}
    parts |= {"keys": _keys(sample, drawn), "tables": _tables(sample, drawn, dialect)}
    for name, figure in _OF_FIGURES.items():
        value, source = sample.figures.get(figure), FIGURES[figure].source
        parts[name] = MemoryPart(name, value, None, source, "" if value is not None else _why(sample, figure))
    absent: dict[str, str] = {}
    used = sample.figures.get("used_bytes")
    if used is None:
        absent["used"] = _why(sample, "used_bytes")
    ttl_freed = keyspace.freed(drawn, sample.figures.get("keys_with_ttl"))
    if not ttl_freed:
        absent["ttl_freed"] = _first(drawn, "keys", "sizes", "ttl")
    share = _share(sample, drawn)
    if share is None:
        absent["ttl_share"] = _first(drawn, "keys", "ttl")
    return MemorySplit(
        sample.address,
        used,
        tuple(parts[name] for name in TITLES),
        drawn.population,
        len(drawn.keys),
        ttl_freed,
        share,
        _coverage(sample.indexes, drawn, counted, refused, absent),
        absent,
    )


def _keys(sample: Sample, drawn: Drawn) -> MemoryPart:
    sizes = [key.size for key in drawn.keys if key.size is not None]
    if drawn.population is None or (drawn.population and not sizes):
        return MemoryPart("keys", None, None, "RANDOMKEY and MEMORY USAGE", _first(drawn, "keys", "sizes"))
    estimate = keyspace.estimate(sizes, drawn.population)
    source = f"MEMORY USAGE of {len(sizes):,} random keys of {drawn.population:,}"
    if drawn.population and len(sizes) >= drawn.population:
        source = f"MEMORY USAGE of all {len(sizes):,} keys"
    # INFO tells all databases; a connection sees one.
    others = sample.figures.get("keys", 0.0) - (drawn.population or 0)
    elsewhere = others > max(_WRITTEN_MEANWHILE, 0.05 * (drawn.population or 0))
    absent = f"about {others:,.0f} keys of other databases are not in it" if elsewhere else ""
    return MemoryPart("keys", estimate.total, estimate.within, source, absent)


def _tables(sample: Sample, drawn: Drawn, dialect: str) -> MemoryPart:
    """Tables of keys and of times to live, computed: used_memory_overhead counts the keys' entries again."""
    keys = sample.figures.get("keys", drawn.population)
    if keys is None:
        return MemoryPart("tables", None, None, "computed from the number of keys", _first(drawn, "keys"))
    with_ttl = sample.figures.get("keys_with_ttl", 0.0)
    stored = redisearch.KEYSPACE
    if dialect == "valkey-search":
        stored = valkey_keys.keyspace(valkey_keys.allocator_of(sample.allocator))
    total = sum(stored.main_table(int(count)) for count in (keys, with_ttl) if count)
    tables = slot_tables(sample)
    if tables is not None and tables > 2 * total + _SLOTS_FROM:
        source = "INFO used_memory_overhead less start, buffers and 32 B a key: a cluster has a table a slot"
        return MemoryPart("tables", tables, None, source)
    source = "computed from the number of keys and of those with a time to live"
    return MemoryPart("tables", float(total), None, source)


def slot_tables(sample: Sample) -> float | None:
    """Tables of keys as used_memory_overhead has them; None where a figure is missing.

    Redis 8.2 counts 32 B a key in it that are no allocation of their own. In a cluster each slot has a table
    with counts of sizes, some 2.6 KB a slot that holds a key: 42 MB once all do.
    """
    wanted = ("startup_bytes", "client_buffer_bytes", "replication_buffer_bytes", "aof_buffer_bytes")
    figures = sample.figures
    if "overhead_bytes" not in figures or not set(wanted) <= figures.keys():
        return None
    return figures["overhead_bytes"] - sum(figures[name] for name in wanted) - 32 * figures.get("keys", 0.0)


def _share(sample: Sample, drawn: Drawn) -> float | None:
    keys, with_ttl = sample.figures.get("keys"), sample.figures.get("keys_with_ttl")
    if keys and with_ttl is not None:
        return with_ttl / keys
    if drawn.population == 0:
        return 0.0
    return keyspace.ttl_share(drawn)


def _coverage(
    indexes: Sequence[IndexInfo],
    drawn: Drawn,
    counted: Mapping[str, Coverage],
    refused: str,
    absent: dict[str, str],
) -> tuple[Coverage, ...]:
    coverages = []
    for info in indexes:
        coverage = counted.get(info.name) or keyspace.estimated(info, drawn)
        if coverage is None:
            absent[f"coverage {info.name}"] = refused or _first(drawn, "keys", "types")
        else:
            coverages.append(coverage)
    return tuple(coverages)


def _why(sample: Sample, figure: str) -> str:
    return sample.absent.get(figure) or sample.absent.get("INFO") or sample.problem or "the node is silent"


def _first(drawn: Drawn, *names: str) -> str:
    return next((drawn.absent[name] for name in names if name in drawn.absent), "no key was drawn")
