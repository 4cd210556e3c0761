"""What a service allows, as it really is, held against a shape. Each with its source and its date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memdb.sizing import facts
from memdb.sizing.shape import Sessions, Shape

Where = Literal["memorydb", "elasticache", "s3vectors", "opensearch"]
# How ElastiCache for Valkey keeps what it acknowledged: the values of EffectiveDurability in its API.
Durability = Literal["disabled", "async", "sync"]
MODES: tuple[Durability, ...] = ("disabled", "async", "sync")

RESERVE = 0.25  # ElastiCache's default reserved-memory-percent; MemoryDB's is not published
MDB_REPLICAS = int(facts.value("memorydb/replicas"))
DURABLE_FAMILIES = ("r7g", "r6g", "m7g", "m6g", "c7gn")  # the fact elasticache/durable_families
DURABLE_WRITE_BYTES_S = facts.value("elasticache/durable_write_mib_s") * 2**20


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit and how the plan stands to it. `ok` None: nothing to check, good to know."""

    text: str
    ok: bool | None
    source: str
    date: str = ""  # when the source was read; empty where it is a calculation


@dataclass(frozen=True, slots=True)
class Load:
    """How the data is used.

    Rates are means a second. `query_k` neighbours come back from each query. `tenants` are the parts of equal
    size that the vectors divide into where a query knows which part it asks: S3 Vectors bills a query by the
    index it asks. `written_together` documents go into one PUT of S3 Vectors, at least.
    """

    queries_per_s: float = 10.0
    written_per_s: float = 1.0  # documents
    query_k: int = 10
    indexes: int = 1
    replicas: int = 2
    snapshot_days: int = 7
    tenants: int = 1
    written_together: int = 1


def constraints(
    where: Where,
    shape: Shape,
    load: Load,
    written_mb_s: float,
    *,
    sessions: Sessions | None = None,
    mode: Durability = "disabled",
) -> tuple[Constraint, ...]:
    """The limits that matter for a plan, broken ones first.

    Args:
        where: the service.
        shape: the documents.
        load: how they are used.
        written_mb_s: megabytes (10^6) written a second.
        sessions: what else is to be stored; None is nothing.
        mode: of ElastiCache.
    """
    live = sessions.live if sessions is not None else 0
    if where == "memorydb":
        limits = _memorydb(shape, load, written_mb_s)
    elif where == "elasticache":
        limits = _elasticache(shape, load, written_mb_s, mode)
    elif where == "s3vectors":
        limits = _s3vectors(shape, load, live)
    else:
        limits = _opensearch(shape, live)
    return tuple(sorted(limits, key=lambda c: (c.ok is not False, c.ok is None)))


def broken(limits: Sequence[Constraint]) -> tuple[Constraint, ...]:
    """Those the plan breaks."""
    return tuple(c for c in limits if c.ok is False)


def _at_most(name: str, what: str, mine: float, *, unit: str = "", yours: str = "") -> Constraint:
    """A limit that is the number of a fact."""
    limit_fact, limit = facts.fact(name), facts.value(name)
    text = f"{what} at most {limit:,.0f}{unit}; yours {yours or f'{mine:,}{unit}'}."
    return Constraint(text, mine <= limit, limit_fact.source, limit_fact.seen)


def _told(name: str, before: str = "", after: str = ".") -> Constraint:
    """A fact that is good to know."""
    fact = facts.fact(name)
    text = f"{before}{fact.text}{after}"
    return Constraint(f"{text[0].upper()}{text[1:]}", None, fact.source, fact.seen)


def _float32(shape: Shape, name: str) -> Constraint:
    fact = facts.fact(name)
    return Constraint(f"FLOAT32 only; yours {shape.type}.", shape.type == "FLOAT32", fact.source, fact.seen)


def _memorydb(shape: Shape, load: Load, written_mb_s: float) -> list[Constraint]:
    writes, indexes = facts.fact("memorydb/write_mb_s"), facts.fact("memorydb/indexes")
    limits = [
        _told("memorydb/shards", after=" only: documents and index must fit one node."),
        _told("memorydb/families", "Node families: "),
        _at_most("memorydb/dimension", "Dimension", shape.dim),
        _float32(shape, "memorydb/dimension"),
        _at_most("memorydb/m", "M", shape.m),
        Constraint(
            f"At most {facts.value('memorydb/indexes'):,.0f} indexes; yours {load.indexes}.",
            load.indexes <= facts.value("memorydb/indexes"),
            indexes.source,
            indexes.seen,
        ),
        Constraint(
            f"At most {MDB_REPLICAS} replicas; yours {load.replicas}. Each holds everything: they add "
            "reads and availability, not room.",
            load.replicas <= MDB_REPLICAS,
            facts.fact("memorydb/replicas").source,
            facts.fact("memorydb/replicas").seen,
        ),
        Constraint(
            f"About {facts.value('memorydb/write_mb_s'):g} MB/s of writes; yours {written_mb_s:,.3g} MB/s.",
            written_mb_s <= facts.value("memorydb/write_mb_s"),
            writes.source,
            writes.seen,
        ),
        Constraint(
            "TEXT is stored and returned, not searched."
            if shape.text_bytes
            else "No full-text search: vectors with tags and numbers.",
            None,
            facts.fact("memorydb/text").source,
            facts.fact("memorydb/text").seen,
        ),
        _told("memorydb/conversion"),
    ]
    return limits + _by_tag(load)


def _elasticache(shape: Shape, load: Load, written_mb_s: float, mode: Durability) -> list[Constraint]:
    limits = [
        _told(f"elasticache/{mode}/durability"),
        _told("elasticache/search", after="; several shards are allowed."),
        _at_most("elasticache/dimension", "Dimension", shape.dim),
        _float32(shape, "elasticache/range"),
        _at_most("elasticache/m", "M", shape.m),
        Constraint(
            f"At most 1,000 indexes with 9.0, 10 with 8.2; yours {load.indexes}.",
            load.indexes <= facts.value("elasticache/indexes"),
            facts.fact("elasticache/indexes").source,
            facts.fact("elasticache/indexes").seen,
        ),
    ]
    if mode != "disabled":
        writes, replicas = (
            facts.fact("elasticache/durable_write_mib_s"),
            facts.fact("elasticache/durable_replicas"),
        )
        limits += [
            _told("elasticache/durable", "Durability: "),
            _told("elasticache/durable_not", "Durability: "),
            _told("elasticache/durable_families", "Durability: "),
            Constraint(
                f"At least {replicas.value:.0f} replica a shard; yours {load.replicas}.",
                load.replicas >= (replicas.value or 0),
                replicas.source,
                replicas.seen,
            ),
            Constraint(
                f"About {writes.value:.0f} MiB/s of writes a primary; yours {written_mb_s:,.3g} MB/s "
                f"({written_mb_s * 1e6 / 2**20:,.3g} MiB/s): "
                f"{durable_shards(written_mb_s * 1e6):,} shards or more.",
                None,
                writes.source,
                writes.seen,
            ),
        ]
    return limits + _by_tag(load)


def durable_shards(written_bytes_s: float) -> int:
    """Shards that a rate of writes needs where each goes through the log: about 100 MiB/s a primary."""
    return max(1, -int(-written_bytes_s // DURABLE_WRITE_BYTES_S))


def _by_tag(load: Load) -> list[Constraint]:
    if load.tenants == 1:
        return []
    return [
        Constraint(
            f"{load.tenants:,} tenants share an index: a tag with the tenant's name is part of each query.",
            None,
            "calculated",
        )
    ]


def _s3vectors(shape: Shape, load: Load, live: int) -> list[Constraint]:
    other = shape.metadata_bytes + shape.text_bytes
    vectors, written = facts.fact("s3vectors/vectors"), facts.fact("s3vectors/written")
    per_bucket, buckets = facts.value("s3vectors/indexes"), facts.value("s3vectors/buckets")
    each = -(-shape.vectors // load.tenants)
    limits = [
        _at_most("s3vectors/dimension", "Dimension", shape.dim),
        _float32(shape, "s3vectors/dimension"),
        Constraint(
            f"At most 2 billion vectors an index; yours {each:,}.",
            each <= facts.value("s3vectors/vectors"),
            vectors.source,
            vectors.seen,
        ),
        Constraint(
            f"At most {per_bucket:,.0f} indexes a bucket, {buckets:,.0f} buckets a Region; yours "
            f"{load.tenants:,} in {-(-load.tenants // int(per_bucket)):,}.",
            load.tenants <= per_bucket * buckets,
            facts.fact("s3vectors/indexes").source,
            facts.fact("s3vectors/indexes").seen,
        ),
        Constraint(
            f"At most 40 KB of metadata a vector; yours {other:,} bytes.",
            other <= facts.value("s3vectors/metadata"),
            facts.fact("s3vectors/metadata").source,
            facts.fact("s3vectors/metadata").seen,
        ),
        Constraint(
            "At most 2,500 vectors written a second and index; yours "
            f"{load.written_per_s / load.tenants:,.4g}.",
            load.written_per_s / load.tenants <= facts.value("s3vectors/written"),
            written.source,
            written.seen,
        ),
        _at_most("s3vectors/k", "Top-K", load.query_k),
        _told("s3vectors/text", "Text: "),
        _told("s3vectors/classic"),
    ]
    if not shape.vectors:
        why = "It stores no sessions, and there are no vectors." if live else "There are no vectors."
        limits.append(Constraint(why, False, "S3 Vectors User Guide"))
    elif live:
        limits.append(
            Constraint(
                "Vectors alone are counted: sessions need another service.", None, "S3 Vectors User Guide"
            )
        )
    return limits


def _opensearch(shape: Shape, live: int) -> list[Constraint]:
    limits = [
        _at_most("opensearch/dimension", "Dimension", shape.dim),
        _told("opensearch/fresh"),
        _told("opensearch/ocus"),
    ]
    if not shape.vectors:
        why = (
            "It speaks no Redis for sessions, and there are no vectors." if live else "There are no vectors."
        )
        limits.append(Constraint(why, False, "the article"))
    elif live:
        limits.append(
            Constraint("Vectors alone are counted: it speaks no Redis for sessions.", None, "the article")
        )
    return limits
