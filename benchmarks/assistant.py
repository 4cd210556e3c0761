"""The assistant's one round trip against its slowest command alone, by turns, on the demo's shape.

    python -m benchmarks.assistant [--n 20000]

Goal: at most 1.3 times the slowest single command. Also: turns lost by eight writers to one session (none).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from memdb.assistant import flow
from memdb.assistant.flow import Ask
from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.sessions import append, store
from memdb.sessions.formats import Turn, session_key
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, TagField, index_info

GOAL, DIM, ROUNDS, WRITERS, EACH = 1.3, 256, 400, 8, 250


def filled(client: Client, count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, DIM)).astype("<f4")
    text = "Restores the specified table to a point in time within the last days. " * 8
    for start in range(0, count, 1_000):
        client.pipeline(
            [
                (
                    "HSET",
                    f"doc:{i}",
                    "title",
                    f"Document {i}",
                    "content",
                    text,
                    "service",
                    f"s{i % 9}",
                    "v",
                    v.tobytes(),
                )
                for i, v in enumerate(vectors[start : start + 1_000], start)
            ]
        )
    index.create(client, IndexSpec("idx", (TagField("service"), HnswField("v", DIM, m=16)), ("doc:",)))
    while not index_info(client, "idx").build.ready:
        time.sleep(0.2)
    key = append.create(client, "bench", "u1", ttl_s=None)
    append.append(client, key, [Turn("user", "How do I restore a table?"), Turn("assistant", text)] * 6)
    client.execute("HSET", "user:u1", "embedding", vectors[7].tobytes())
    return vectors


def median_ms(times: list[float]) -> float:
    return statistics.median(times) * 1_000


def round_trip(client: Client, vectors: np.ndarray) -> float:
    info = index_info(client, "idx")
    ask = Ask("idx", session_key("bench"), "u1", "q", k=5, ef_runtime=64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    commands = [c.args for c in flow.context(client, info, ask, units[0], vectors[7]).commands]
    whole: list[float] = []
    single: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.pipeline(commands)
        whole.append(time.perf_counter() - began)
        for times, command in zip(single, commands, strict=True):
            began = time.perf_counter()
            client.execute(*command)
            times.append(time.perf_counter() - began)
    alone = [median_ms(times) for times in single]
    ratio = median_ms(whole) / max(alone)
    print(
        f"  one round trip {median_ms(whole):.3f} ms; alone: "
        + ", ".join(f"{c[0]} {t:.3f} ms" for c, t in zip(commands, alone, strict=True))
    )
    print(f"  {ratio:.2f} × the slowest alone, {median_ms(whole) / sum(alone):.2f} × one after the other")
    return ratio


def lost_turns(target: Target) -> int:
    with connect(target) as client:
        key = append.create(client, "busy", "u1", ttl_s=600)

        def write(writer: int) -> int:
            with connect(target) as own:
                return sum(
                    append.append(own, key, [Turn("user", f"{writer}.{i}")]).attempts for i in range(EACH)
                )

        began = time.perf_counter()
        with ThreadPoolExecutor(WRITERS) as pool:
            attempts = sum(pool.map(write, range(WRITERS)))
        took = time.perf_counter() - began
        kept = len({turn.content for turn in store.read(client, key).turns})
    lost = WRITERS * EACH - kept
    print(
        f"  {WRITERS} writers, {WRITERS * EACH:,} turns to one session: {lost} lost, "
        f"{attempts:,} attempts, {took:.1f} s"
    )
    return lost


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--n", type=int, default=20_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            ratio = round_trip(client, filled(client, given.n))
        lost = lost_turns(running.target)
    good = ratio <= GOAL and not lost
    print("goals met" if good else f"GOALS MISSED ({GOAL}, 0 lost)")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
