"""Monthly bills against sums made here, from the prices in the catalogue's file."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import memdb.sizing
from benchmarks.truth.row import Row
from memdb.sizing import catalogue, plan, services
from memdb.sizing.constraints import Load
from memdb.sizing.plan import Inputs
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions, Shape

PLANS = 300
SECONDS, GB, TB = 730 * 3_600, 2**30, 2**40


def rows() -> Iterable[Row]:
    """Random plans on MemoryDB and S3 Vectors."""
    file = Path(memdb.sizing.__file__).parent / "catalogue.toml"
    book = tomllib.loads(file.read_text(encoding="utf-8"))
    price = {p["id"]: p["value"] for p in book["prices"] if p["region"] == "us-east-1"}
    memory = {
        n["name"]: n["memory_bytes"] for n in book["nodes"] if n["service"] == "memorydb" and n["search"]
    }
    random, known = np.random.default_rng(0), catalogue.load()
    worst = wrong_nodes = nothing = 0.0
    for _ in range(PLANS):
        shape = Shape(
            int(10 ** random.uniform(3, 7.5)),
            int(random.integers(16, 3_072)),
            metadata_bytes=int(random.integers(0, 3_000)),
        )
        sessions = Sessions(float(random.uniform(0, 50)), int(random.integers(500, 9_000)), 1_800)
        load = Load(
            float(10 ** random.uniform(-1, 3)),
            float(10 ** random.uniform(-1, 3)),
            10,
            1,
            int(random.integers(0, 6)),
            int(random.integers(0, 36)),
        )
        made = plan.plan(Inputs(shape, sessions, load, Wishes()), BUILT_IN["redisearch"], known)
        needed = made.estimate.total_bytes
        fitting = {
            name: 730 * (1 + load.replicas) * price[f"memorydb/{name}/valkey"]
            for name, size in memory.items()
            if needed <= size * 0.75 and f"memorydb/{name}/valkey" in price
        }
        if not fitting:
            nothing += 1
            wrong_nodes += bool(made.options)
            continue
        document = shape.key_bytes + 4 * shape.dim + shape.metadata_bytes
        written = (load.written_per_s * document + sessions.per_second * sessions.bytes) * SECONDS / GB
        # 10 TB are free with Valkey; one snapshot is.
        by_hand = (
            min(fitting.values())
            + max(0.0, written - price["memorydb/written_free_tb/valkey"] * 1_024)
            * price["memorydb/written/valkey"]
            + max(0, load.snapshot_days - 1) * needed / GB * price["memorydb/snapshot"]
        )
        worst = max(worst, abs(made.options[0].monthly_usd - by_hand))
        worst = max(
            worst,
            abs(
                (services.s3vectors(shape, load, known, Wishes()).monthly_usd or 0.0)
                - _s3(shape, load, document, price)
            ),
        )
    yield Row(
        "a month of MemoryDB and of S3 Vectors",
        "sums from the prices in the catalogue's file",
        f"{PLANS} random plans, of which {nothing:.0f} fit no node",
        f"${worst:.2f}; {wrong_nodes:.0f} with other nodes",
    )


def _s3(shape: Shape, load: Load, document: int, price: dict[str, float]) -> float:
    queries = load.queries_per_s * SECONDS
    filterable = shape.key_bytes + 4 * shape.dim + min(shape.metadata_bytes, 2_048)
    first, more, rest = np.diff([0, *(min(shape.vectors, end) for end in (100_000, 10_000_000, math.inf))])
    read = (
        filterable
        / TB
        * (
            first * price["s3vectors/processed_first"]
            + more * price["s3vectors/processed_next"]
            + rest * price["s3vectors/processed_above"]
        )
    )
    together = min(500.0, max(1.0, load.written_per_s))
    puts = load.written_per_s * SECONDS / together
    put = max(document * together, price["s3vectors/put_least_kb"] * 1_024)
    returned = max(0, load.query_k * max(256, shape.key_bytes + shape.metadata_bytes) - 512 * 1_024)
    return float(
        document * shape.vectors / GB * price["s3vectors/storage"]
        + puts * put / GB * price["s3vectors/put"]
        + queries / 1e6 * price["s3vectors/query"]
        + queries * read
        + queries * returned / GB * price["s3vectors/returned"]
    )
