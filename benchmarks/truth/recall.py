"""Recall of a sweep against hits that were asked for by hand and neighbours by NumPy in float64."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.truth.row import Row
from benchmarks.truth.stored import Rows, build, clustered, engine, exact
from memdb.cluster.client import Client
from memdb.tuning import queries as asking
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.sweep import sweep

K = 10
INDEXES = (
    ("COSINE", 48, 8, 1.0),
    ("L2", 32, 6, 1.0),
    ("L2", 16, 4, 1e-3),
    ("IP", 64, 12, 0.05),
    ("COSINE", 200, 16, 1.0),
)


def rows() -> Iterable[Row]:
    """Mean recall of each EF_RUNTIME that a sweep measured."""
    worst, points = 0.0, 0
    with engine() as client:
        for place, (metric, dim, m, scale) in enumerate(INDEXES):
            made = clustered(4_200, dim, place, scale=scale)
            documents, queries = made[:4_000], made[4_000:]
            name = f"r{place}"
            info = build(client, name, documents, metric, m=m)
            labels = [f"query {i}" for i in range(len(queries))]
            asked = asking.made(queries, labels)
            request = SweepRequest(name, k=K, ef_max=200, goal=Goal("recall", 0.9), concurrency=())
            run = sweep(client, info, request, asked)
            truth = np.argsort(exact(documents, queries, metric), axis=1, kind="stable")[:, :K]
            for point in run.points:
                by_hand = asked_by_hand(client, name, queries, truth, point.ef_runtime)
                worst, points = max(worst, abs(point.recall - by_hand)), points + 1
    kinds = "COSINE, L2, IP; 16 to 200 dimensions; M 4 to 16; values near 1 and near 0.001"
    yield Row(
        "recall@10 of a sweep",
        "hits asked for one by one, neighbours by NumPy in float64",
        f"{points} EF values on {len(INDEXES)} indexes of 4,000 documents, 200 queries each: {kinds}",
        f"{worst:.4f}",
    )


def asked_by_hand(client: Client, name: str, queries: Rows, truth: np.ndarray, ef: int) -> float:
    """Mean recall of (q, dim) queries whose (q, K) nearest documents are known, by commands written here."""
    commands = [
        (
            "FT.SEARCH",
            name,
            f"*=>[KNN {K} @v $q EF_RUNTIME {ef} AS d]",
            "PARAMS",
            2,
            "q",
            query.tobytes(),
            "SORTBY",
            "d",
            "RETURN",
            1,
            "d",
            "LIMIT",
            0,
            K,
            "DIALECT",
            2,
        )
        for query in queries
    ]
    shares = []
    for reply, wanted in zip(client.pipeline(commands), truth, strict=True):
        hits = {int(key.rsplit(":", 1)[1]) for key in _keys(reply)}
        shares.append(len(hits & set(wanted.tolist())) / K)
    return float(np.mean(shares))


def _keys(reply: object) -> list[str]:
    """The keys of a reply, as either protocol writes them."""
    if isinstance(reply, dict):
        found = {_text(name): value for name, value in reply.items()}
        return [_text({_text(n): v for n, v in hit.items()}["id"]) for hit in found["results"]]
    assert isinstance(reply, list)
    return [_text(key) for key in reply[1::2]]


def _text(value: object) -> str:
    return bytes(value).decode() if isinstance(value, bytes | bytearray | memoryview) else str(value)
