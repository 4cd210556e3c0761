"""What a service allows, as it really is, held against a shape. Each with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memdb.sizing.shape import Shape

Where = Literal["memorydb", "elasticache", "s3vectors", "opensearch"]

RESERVE = 0.25  # ElastiCache's default reserved-memory-percent; MemoryDB's is not published
MDB_WRITE_MB_S = 100  # about, per primary; throttled above
MDB_REPLICAS = 5
MDB_INDEXES = 10


@dataclass(frozen=True, slots=True)
class Constraint:
    """One limit and how the plan stands to it. `ok` None: nothing to check, good to know."""

    text: str
    ok: bool | None
    source: str


@dataclass(frozen=True, slots=True)
class Load:
    """How the data is used.

    Rates are means a second. `query_k` neighbours come back from each query.
    """

    queries_per_s: float = 10.0
    written_per_s: float = 1.0  # documents
    query_k: int = 10
    indexes: int = 1
    replicas: int = 2
    snapshot_days: int = 7


def constraints(where: Where, shape: Shape, load: Load, written_mb_s: float) -> tuple[Constraint, ...]:
    """The limits that matter for a plan, broken ones first."""
    limits = {
        "memorydb": _memorydb,
        "elasticache": _elasticache,
        "s3vectors": _s3vectors,
        "opensearch": _opensearch,
    }[where](shape, load, written_mb_s)
    return tuple(sorted(limits, key=lambda c: (c.ok is not False, c.ok is None)))


def broken(limits: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Those the plan breaks."""
    return tuple(c for c in limits if c.ok is False)


def _memorydb(shape: Shape, load: Load, written_mb_s: float) -> list[Constraint]:
    limits = "MemoryDB Developer Guide, vector search limits"
    return [
        Constraint("Search runs on one shard only: documents and index must fit one node.", None, limits),
        Constraint(
            "Node families with search: R6g, R7g, T4g; no data tiering (r6gd), no Multi-Region.", None, limits
        ),
        Constraint(f"Dimension at most 32,768; yours {shape.dim:,}.", shape.dim <= 32_768, limits),
        Constraint(f"FLOAT32 only; yours {shape.type}.", shape.type == "FLOAT32", limits),
        Constraint(f"M at most 512; yours {shape.m}.", shape.m <= 512, limits),
        Constraint(
            f"At most {MDB_INDEXES} indexes; yours {load.indexes}.", load.indexes <= MDB_INDEXES, limits
        ),
        Constraint(
            f"At most {MDB_REPLICAS} replicas; yours {load.replicas}. Each holds everything: they add "
            "reads and availability, not room.",
            load.replicas <= MDB_REPLICAS,
            limits,
        ),
        Constraint(
            f"About {MDB_WRITE_MB_S} MB/s of writes; yours {written_mb_s:,.3g} MB/s.",
            written_mb_s <= MDB_WRITE_MB_S,
            "MemoryDB Developer Guide, replication",
        ),
        Constraint(
            "TEXT is stored and returned, not searched."
            if shape.text_bytes
            else "No full-text search: vectors with tags and numbers.",
            None,
            "MemoryDB Developer Guide, vector search overview",
        ),
        Constraint(
            "Search is chosen when the cluster is created; an old one is converted by a snapshot.",
            None,
            limits,
        ),
    ]


def _elasticache(shape: Shape, load: Load, written_mb_s: float) -> list[Constraint]:
    limits = "ElastiCache User Guide, search features and limits"
    del written_mb_s
    return [
        Constraint(
            "A cache: a write is acknowledged before it is replicated, and may be lost.",
            None,
            "the article; ElastiCache User Guide",
        ),
        Constraint(
            "Node-based clusters with Valkey 8.2 or later; several shards are allowed; no serverless, "
            "no data tiering.",
            None,
            limits,
        ),
        Constraint(f"Dimension at most 32,768; yours {shape.dim:,}.", shape.dim <= 32_768, limits),
        Constraint(f"FLOAT32 only; yours {shape.type}.", shape.type == "FLOAT32", "valkey-search source"),
        Constraint(
            f"At most 1,000 indexes with 9.0, 10 with 8.2; yours {load.indexes}.",
            load.indexes <= 1_000,
            limits,
        ),
    ]


def _s3vectors(shape: Shape, load: Load, written_mb_s: float) -> list[Constraint]:
    limits = "S3 Vectors User Guide, limitations"
    del written_mb_s
    other = shape.metadata_bytes + shape.text_bytes
    return [
        Constraint(f"Dimension at most 4,096; yours {shape.dim:,}.", shape.dim <= 4_096, limits),
        Constraint(f"FLOAT32 only; yours {shape.type}.", shape.type == "FLOAT32", limits),
        Constraint(
            f"At most 2 billion vectors an index; yours {shape.vectors:,}.",
            shape.vectors <= 2_000_000_000,
            limits,
        ),
        Constraint(f"At most 40 KB of metadata a vector; yours {other:,} bytes.", other <= 40 * 1024, limits),
        Constraint(
            f"At most 2,500 vectors written a second; yours {load.written_per_s:,.4g}.",
            load.written_per_s <= 2_500,
            limits,
        ),
        Constraint(f"Top-K at most 10,000; yours {load.query_k:,}.", load.query_k <= 10_000, limits),
    ]


def _opensearch(shape: Shape, load: Load, written_mb_s: float) -> list[Constraint]:
    del load, written_mb_s
    return [
        Constraint(f"Dimension at most 16,000; yours {shape.dim:,}.", shape.dim <= 16_000, "the article"),
        Constraint("New documents are found after a delay of seconds.", None, "the article"),
        Constraint(
            "Vector collections share no OCUs with collections of other types.",
            None,
            "OpenSearch Service Developer Guide, serverless scaling",
        ),
    ]
