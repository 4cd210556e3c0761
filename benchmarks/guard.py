"""What the guard adds to a command: the check of the allow-list, and with it the log of what was sent.

    python benchmarks/guard.py [--calls 20000]

Pure checks are timed in a loop; whole calls alternate with bare redis-py. The goal is 20 µs a command.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis

from memdb.cluster import engine, guard
from memdb.cluster.client import connect
from memdb.cluster.sent import CommandLog

GOAL_US = 20.0
COMMANDS = (
    ("HGETALL", "doc:s3:CreateBucket"),
    ("FT.SEARCH", "idx:embeddings", "*=>[KNN 10 @embedding $v]", "PARAMS", 2, "v", b"\0" * 1024),
    ("CONFIG", "GET", "maxmemory"),
)


def each_us(run: Callable[[], object], calls: int) -> float:
    """Median of ten rounds, in microseconds a call."""
    rounds = []
    for _ in range(10):
        began = time.perf_counter()
        for _ in range(calls // 10):
            run()
        rounds.append((time.perf_counter() - began) / (calls // 10) * 1e6)
    return statistics.median(rounds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--calls", type=int, default=20_000)
    calls = options.parse_args().calls
    log = CommandLog()
    for command in COMMANDS:
        check = each_us(lambda c=command: guard.check(c, writable=False), calls)  # type: ignore[misc]
        kept = each_us(lambda c=command: log.add(c, 0.001), calls)  # type: ignore[misc]
        print(
            f"  {command[0]:<10} check {check:.2f} µs, log {kept:.2f} µs, "
            f"both {check + kept:.2f} µs of {GOAL_US:g} µs"
        )
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        target = running.target
        bare = redis.Redis(host=target.host, port=target.port, password=target.password, protocol=2)
        bare.response_callbacks.clear()
        with connect(target) as client:
            times: tuple[list[float], list[float]] = ([], [])
            for n in range(calls):
                for kind in (0, 1) if n % 2 else (1, 0):
                    began = time.perf_counter()
                    client.execute("GET", "k") if kind else bare.execute_command("GET", "k")
                    times[kind].append((time.perf_counter() - began) * 1e6)
    theirs, ours = map(statistics.median, times)
    print(
        f"  a GET: memdb {ours:.1f} µs, redis-py {theirs:.1f} µs, {ours - theirs:+.1f} µs, "
        f"ratio {ours / theirs:.3f}"
    )


if __name__ == "__main__":
    main()
