"""One KNN call: memdb against the same command through bare redis-py with hiredis, side by side.

    python benchmarks/knn.py [--docs 20000] [--calls 3000]

Calls alternate, so that both meet the same noise; medians and their ratio count. The goal is a ratio of 1.15
at most, for k 10, EF_RUNTIME 64 and three returned fields on the demo's documents.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.demo import loader
from memdb.embedding.local import embed
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest, knn_command, vector_param
from memdb.vectors.search import knn

QUESTIONS = (
    "restore a table to a point in time",
    "who may read the objects in my bucket",
    "rotate a secret",
    "add members to a sorted set",
    "read a csv file",
)
GOAL = 1.15


def alternately(
    one: Callable[[int], object], other: Callable[[int], object], calls: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each call; the two take turns in going first."""
    times: tuple[list[float], list[float]] = ([], [])
    for n in range(calls):
        for kind in (0, 1) if n % 2 else (1, 0):
            began = time.perf_counter()
            (one, other)[kind](n)
            times[kind].append((time.perf_counter() - began) * 1000)
    return times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--docs", type=int, default=20_000)
    options.add_argument("--calls", type=int, default=3_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        target = running.target
        bare = redis.Redis(host=target.host, port=target.port, password=target.password, protocol=2)
        bare.response_callbacks.clear()
        with connect(target) as client:
            loader.load(client, home=Path(folder), docs=given.docs, users=1, sessions=0)
            info = index_info(client, "idx:embeddings")
            requests = [
                KnnRequest(info.name, vector_param(v), "embedding", 10, 64, "*", ("title", "service", "year"))
                for v in embed(QUESTIONS)
            ]
            commands = [knn_command(r, info, client.server.dialect).args for r in requests]
            run = lambda ask, n: ask(client, requests[n % len(requests)], info)  # noqa: E731
            theirs, ours = alternately(
                lambda n: bare.execute_command(*commands[n % len(commands)]),
                lambda n: run(knn, n),
                given.calls,
            )
            theirs_again, read = alternately(
                lambda n: bare.execute_command(*commands[n % len(commands)]),
                lambda n: run(knn, n).fields,
                given.calls,
            )
    print(f"KNN, k 10, EF 64, 3 fields, {info.documents:,} documents of 256 dimensions")
    print(f"{given.calls:,} calls of each kind, alternating with bare redis-py")
    for name, times, base in (("keys, distances", ours, theirs), ("and all fields", read, theirs_again)):
        medians = statistics.median(times), statistics.median(base)
        p99 = statistics.quantiles(times, n=100)[98]
        print(
            f"  memdb, {name:<16} median {medians[0]:.3f} ms  p99 {p99:.3f} ms  "
            f"redis-py {medians[1]:.3f} ms  ratio {medians[0] / medians[1]:.3f}"
        )
    print(f"  goal for the call: at most {GOAL}; fields are decoded as text when they are first looked at")


if __name__ == "__main__":
    main()
