"""Distances of hits, and exact neighbours, against NumPy in float64."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.truth.row import Row
from benchmarks.truth.stored import build, clustered, engine, exact
from memdb.cluster.client import Client
from memdb.vectors import read
from memdb.vectors.exact import nearest
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest
from memdb.vectors.search import knn

DIMS = (3, 64, 768)


def rows() -> Iterable[Row]:
    """Of searches on a FLAT index, whose hits are exact: every difference is one of arithmetic."""
    worst = {"FLOAT32": 0.0, "FLOAT64": 0.0, "FLOAT16": 0.0}
    hits = wrong = asked = 0
    with engine() as client:
        for kind in worst:
            for metric in ("COSINE", "L2", "IP"):
                for dim in DIMS:
                    made = clustered(620, dim, dim)
                    documents, queries = made[:600], made[600:]
                    name = f"{kind}{metric}{dim}"
                    info = build(client, name, documents, metric, flat=True, kind=kind)
                    # What is stored, not what was meant.
                    kept = documents.astype(np.float16).astype(np.float32) if kind == "FLOAT16" else documents
                    sent = queries.astype(np.float16).astype(np.float32) if kind == "FLOAT16" else queries
                    table = exact(kept, sent, metric)
                    for place, query in enumerate(queries):
                        found = knn(client, KnnRequest(name, tuple(map(float, query)), k=10), info)
                        truth = table[place, [int(key.rsplit(":", 1)[1]) for key in found.keys]]
                        off = np.abs(found.distances - truth) / np.maximum(1.0, np.abs(truth))
                        worst[kind], hits = max(worst[kind], float(off.max())), hits + len(truth)
                    if kind == "FLOAT32":
                        wrong += _differs(client, info, queries, table)
                        asked += len(queries)
    yield Row(
        "distance of a hit",
        "NumPy in float64 on the stored vectors",
        f"{hits:,} hits: COSINE, L2, IP; FLOAT32, FLOAT64, FLOAT16; {', '.join(map(str, DIMS))} dimensions",
        ", ".join(f"{size:.0e} ({kind})" for kind, size in worst.items()) + ", of max(1, distance)",
    )
    yield Row(
        "exact neighbours",
        "NumPy in float64, sorted",
        f"{asked} queries, k 10: COSINE, L2, IP; {', '.join(map(str, DIMS))} dimensions",
        f"{wrong} queries with another set",
    )


def _differs(client: Client, info: IndexInfo, queries: np.ndarray, table: np.ndarray) -> int:
    found = nearest(read.blocks(client, info), queries, 10, info.vector_field()[1].metric)
    wrong = 0
    for place, keys in enumerate(found.keys):
        truth = set(np.argsort(table[place], kind="stable")[:10].tolist())
        wrong += {int(key.rsplit(":", 1)[1]) for key in keys} != truth
    return wrong
