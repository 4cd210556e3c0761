"""A small run worked by hand: five queries, three true neighbours each, EF 10, 40 and 160."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memdb.tuning.run import (
    Definition,
    EfPoint,
    Goal,
    Queries,
    Recommendation,
    Run,
    SweepRequest,
    Truth,
)
from memdb.tuning.source import Documents

EFS = (10, 40, 160)
K = 3
# Where the index returned the true neighbours 1, 2, 3 of each query, by EF.
RANKS = {
    10: [[0, 1, 2], [-1, 0, 1], [0, -1, -1], [0, 1, 2], [-1, -1, -1]],
    40: [[0, 1, 2], [0, 1, 2], [0, 1, -1], [0, 1, 2], [0, -1, 1]],
    160: [[0, 1, 2], [0, 1, 2], [0, 1, 2], [0, 1, 2], [0, -1, 1]],
}
TRUE = np.array([[0.1, 0.2, 0.3]] * 5)
# Distances returned; query 3 at EF 10 got two of three, query 4 nothing near.
FOUND = {
    10: [[0.1, 0.2, 0.3], [0.2, 0.3, 0.45], [0.1, 0.5, np.nan], [0.1, 0.2, 0.3], [0.6, 0.7, 0.9]],
    40: [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.2, 0.4], [0.1, 0.2, 0.3], [0.1, 0.3, 0.35]],
    160: [[0.1, 0.2, 0.3]] * 4 + [[0.1, 0.3, 0.35]],
}
NASTY = "<img src=x onerror=alert(1)>\x1b[31m=cmd|'/c calc'!A1"


def run(**changes: object) -> Run:
    """The run, with some of its fields replaced."""
    points = []
    for i, ef in enumerate(EFS):
        ranks = np.array(RANKS[ef], np.int16)
        recalls = (ranks >= 0).mean(axis=1).astype(np.float32)
        mean = float(recalls.mean())
        points.append(
            EfPoint(
                ef_runtime=ef,
                recall=mean,
                low=mean - 0.1,
                high=min(1.0, mean + 0.1),
                p50_ms=0.5 + i,
                p95_ms=1.0 + i,
                p99_ms=2.0 + i,
                calls=5,
                throughput=((8, 9000.0 / (i + 1)),),
                short=1 if ef == 10 else 0,
                recalls=recalls,
                ranks=ranks,
                hit_distances=np.array(FOUND[ef], np.float32),
                outside=np.zeros(len(recalls), np.int16),
                latencies_ms=np.full(5, 0.5 + i, np.float32),
                took_s=0.1,
            )
        )
    labels = ("doc:0", "doc:1", NASTY, "doc:3", "doc:4")
    made = Run(
        id="20260101T000000-abcdef",
        started="2026-01-01T00:00:00Z",
        target="redis://127.0.0.1:1",
        index="idx",
        fingerprint="f00d",
        dialect="redisearch",
        engine="Redis 8.2",
        documents=100,
        definition=Definition("HNSW", "FLOAT32", 4, "COSINE", 16, 200),
        request=SweepRequest("idx", "v", k=K, goal=Goal(value=0.9), source=Documents(5, extend=False)),
        queries=Queries(
            np.eye(5, 4, dtype=np.float32), labels, ("doc:0", "", "", "", ""), Documents(5), "d1"
        ),
        truth=Truth(tuple(("a", "b", "c") for _ in range(5)), TRUE, 100, 0.1),
        points=tuple(points),
        recommendation=Recommendation(40, 0.9, 0.8, 1.0, True, "EF_RUNTIME 40 is enough.", ("Because.",)),
        notes=(),
        partial=False,
        took_s=1.0,
        memdb_version="0.1",
    )
    return replace(made, **changes)  # type: ignore[arg-type]
