"""Reading all vectors out of the engine against a bare pipelined client that reads the same bytes.

    python benchmarks/read.py                  20,000 x 256 numbers
    python benchmarks/read.py --n 50000

The bare client is redis-py with hiredis, which knows all keys beforehand; ours lists them as well, checks
and normalises what comes. Both read by turns; the median of the ratios counts. Goal: at least 60 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import redis

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.vectors import index, read
from memdb.vectors.index import HnswField, IndexSpec, TagField

BATCH = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        ours, bare = _measured(running.target, options.n, options.dim, options.rounds)
    mb = options.n * options.dim * 4 / 1e6
    ratio = statistics.median(b / o for o, b in zip(ours, bare, strict=True))
    print(
        json.dumps(
            {
                "vectors": options.n,
                "dim": options.dim,
                "rounds": options.rounds,
                "bare_mb_s": round(mb / statistics.median(bare), 1),
                "ours_mb_s": round(mb / statistics.median(ours), 1),
                "ratio_median": round(ratio, 3),
            },
            indent=1,
        )
    )
    print("goal met" if ratio >= 0.6 else "GOAL MISSED (60 %)")
    return 0 if ratio >= 0.6 else 1


def _measured(target: Target, count: int, dim: int, rounds: int) -> tuple[list[float], list[float]]:
    random = np.random.default_rng(0)
    raw = redis.Redis(host=target.host, port=target.port, password=target.password, protocol=2)
    ours: list[float] = []
    bare: list[float] = []
    with connect(target) as client:
        # A small graph: the index's own quality plays no part here.
        spec = IndexSpec("idx", (TagField("t"), HnswField("v", dim, m=4, ef_construction=8)), ("d:",))
        index.create(client, spec)
        for start in range(0, count, BATCH):
            vectors = random.standard_normal((BATCH, dim), dtype=np.float32)
            client.pipeline(
                [("HSET", f"d:{start + i}", "t", "x", "v", v.tobytes()) for i, v in enumerate(vectors)]
            )
        info = index.index_info(client, "idx")
        keys = [f"d:{i}" for i in range(count)]
        for _ in range(rounds):
            began = time.perf_counter()
            read_bytes = 0
            for start in range(0, count, BATCH):
                with raw.pipeline(transaction=False) as pipe:
                    for key in keys[start : start + BATCH]:
                        pipe.execute_command("HGET", key, "v")
                    read_bytes += sum(map(len, pipe.execute()))
            bare.append(time.perf_counter() - began)
            began = time.perf_counter()
            got = sum(block.vectors.nbytes for block in read.blocks(client, info))
            ours.append(time.perf_counter() - began)
            assert got == read_bytes == count * dim * 4
    return ours, bare


if __name__ == "__main__":
    sys.exit(main())
