"""Loading the demo: is the engine the bottleneck? Against bare redis-py sending the same commands.

    python benchmarks/load.py [--docs 20000] [--runs 3]

Embeddings are computed before; each run writes into an engine of its own, ours and the bare client in turn.
The goal is an engine that computes at least 90 % of the time. The bare client sends one pipeline after the
other from one thread, as a plain loader would.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.demo import corpus, loader
from memdb.embedding import local
from memdb.vectors import index

GOAL = 0.90


@contextmanager
def fresh() -> Iterator[Client]:
    """An empty engine with a log, as the demo's."""
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder)) as running:
        running.wait_ready()
        with connect(running.target) as client:
            yield client


def bare(documents: list[corpus.Document], vectors: object) -> tuple[float, float]:
    """Seconds, and share of them in which the engine computed."""
    with fresh() as client:
        index.create(client, loader.DOCUMENTS)
        target = client.target
        plain = redis.Redis(host=target.host, port=target.port, password=target.password, protocol=2)
        busy, began = cpu(plain), time.monotonic()
        for batch in loader.batches(loader._document_commands(documents, vectors), loader.SENT_AT_ONCE):
            with plain.pipeline(transaction=False) as pipe:
                for command in batch:
                    pipe.execute_command(*command)
                pipe.execute()
        took = time.monotonic() - began
        return took, (cpu(plain) - busy) / took


def cpu(client: redis.Redis) -> float:
    facts = client.info("cpu")
    return facts["used_cpu_user"] + facts["used_cpu_sys"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--docs", type=int, default=20_000)
    options.add_argument("--runs", type=int, default=3)
    given = options.parse_args()
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as home:
        with fresh() as client:  # embeds, and keeps the embeddings for the runs that count
            loader.load(client, home=Path(home), docs=given.docs, users=0, sessions=0)
            documents = corpus.documents(client, count=given.docs)
        vectors = local.embed([d.text for d in documents])
        for _ in range(given.runs):
            with fresh() as client:
                report = loader.load(client, home=Path(home), docs=given.docs, users=0, sessions=0)
                ours.append((report.ingest_s, report.engine_busy or 0.0))
            theirs.append(bare(documents, vectors))
    print(f"{len(documents):,} documents of 256 dimensions, HNSW M 16, EF_CONSTRUCTION 200, fsync always")
    for name, runs in (("memdb", ours), ("redis-py", theirs)):
        seconds = statistics.median(took for took, _ in runs)
        busy = statistics.median(share for _, share in runs)
        rate = len(documents) / seconds
        print(f"  {name:<9} median {seconds:.2f} s  {rate:,.0f} documents/s  engine busy {busy:.0%}")
    ratio = statistics.median(t for t, _ in theirs) / statistics.median(t for t, _ in ours)
    print(f"  speed against redis-py: {ratio:.2f}; goal: engine busy at least {GOAL:.0%}")


if __name__ == "__main__":
    main()
