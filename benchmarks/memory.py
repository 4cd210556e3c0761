"""What a memory split asks of the server, held against 20 ms, and how often its interval is right.

    python benchmarks/memory.py [--keys 100000] [--splits 50]

The server's time is what its main thread spent, from INFO. Starts a local engine of its own, without a log.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.operations import keyspace
from memdb.operations.memory import split
from memdb.operations.samples import sample
from memdb.vectors import index
from memdb.vectors.index import IndexSpec, NumericField, TagField

LIMIT_MS = 20.0
DIM, BATCH = 64, 1_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--splits", type=int, default=50)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            index.create(client, IndexSpec("idx", (TagField("title"), NumericField("year")), ("doc:",)))
            for keys in sorted({min(keyspace.EXACT_UP_TO, chosen.keys), chosen.keys}):
                load(client, keys)
                measure(client, keys, chosen.splits)


def load(client: Client, keys: int) -> None:
    """Hashes with a vector and texts of 100 to 1,000 bytes; a tenth has a time to live."""
    there = int(client.execute("DBSIZE"))
    rng = np.random.default_rng(there)
    for first in range(there, keys, BATCH):
        places = range(first, min(keys, first + BATCH))
        texts = rng.integers(100, 1_000, len(places))
        client.pipeline(
            [
                (
                    "HSET",
                    f"doc:{i}",
                    "title",
                    f"t{i}",
                    "year",
                    2020,
                    "content",
                    "x" * int(size),
                    "embedding",
                    rng.bytes(4 * DIM),
                )
                for i, size in zip(places, texts, strict=True)
            ]
            + [("EXPIRE", f"doc:{i}", 3_600 + i) for i in places if i % 10 == 0]
        )
    while index.index_info(client, "idx").documents < keys:
        time.sleep(0.1)


def measure(client: Client, keys: int, splits: int) -> None:
    """Print the server's time, wall time and round trips of a split, and where the true size was."""
    (node,) = client.nodes()
    now = sample(client, node)
    split(client, node, now)
    client.log.clear()
    split(client, node, now)
    trips = len(client.log.entries())
    walls, found = [], []
    before = busy_ms(client)
    for _ in range(splits):
        began = time.perf_counter()
        found.append(split(client, node, now))
        walls.append((time.perf_counter() - began) * 1_000)
    server = (busy_ms(client) - before) / splits
    names = [f"doc:{i}" for i in range(keys)]
    true = 0
    for first in range(0, keys, BATCH):
        true += sum(
            client.pipeline(
                [("MEMORY", "USAGE", name, "SAMPLES", 100) for name in names[first : first + BATCH]]
            )
        )
    parts = [one.part("keys") for one in found]
    right = sum(abs((part.bytes or 0.0) - true) <= (part.within_bytes or 0.0) for part in parts)
    print(
        f"  {keys:,} keys: server {server:.1f} ms = {server / LIMIT_MS:.2f} of the limit, wall "
        f"{statistics.median(walls):.1f} ms, {trips} round trips; true size within the interval "
        f"{right} of {splits} times (95 % wanted)"
    )


def busy_ms(client: Client) -> float:
    """Time of the server's main thread since it started."""
    told = client.info("cpu")["cpu"]
    return 1_000 * sum(float(told[f"used_cpu_{kind}_main_thread"]) for kind in ("user", "sys"))


if __name__ == "__main__":
    main()
