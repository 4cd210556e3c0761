"""Latency of the target as it is now: a few searches, one after the other. Reads only."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.vectors import search
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn

QUERIES = 200
_SEEDS = 20  # different documents asked for; more would only be more reads
_LONGEST_S = 20.0  # a slow or distant server is not asked for longer


@dataclass(frozen=True, slots=True)
class MeasuredLatency:
    """Wall time of searches at this client, one at a time; milliseconds."""

    queries: int
    k: int
    ef_runtime: int
    p50_ms: float
    p99_ms: float


def measure(
    client: Client,
    info: IndexInfo,
    *,
    k: int = 10,
    ef_runtime: int = 64,
    queries: int = QUERIES,
    report: Report = silent,
) -> MeasuredLatency:
    """Ask for the neighbours of documents of the index.

    Raises:
        BadInput: the index is empty.
        MemDBError: the server does not answer.
    """
    if not info.documents:
        raise BadInput(
            f"Index '{info.name}' is empty, so no latency can be measured.", "Load documents first."
        )
    field, _ = info.vector_field()
    keys = {search.random_key(client, info) for _ in range(min(_SEEDS, info.documents))}
    vectors = [vector_param(search.document_vector(client, info, field.name, key)) for key in sorted(keys)]
    took: list[float] = []
    end = time.monotonic() + _LONGEST_S
    for i in range(queries):
        result = knn(
            client, KnnRequest(info.name, vectors[i % len(vectors)], field.name, k, ef_runtime), info
        )
        took.append(result.took_ms)
        report("Measuring latency", i + 1, queries)
        if time.monotonic() > end:
            break
    p50, p99 = np.percentile(took, (50, 99))
    return MeasuredLatency(len(took), k, ef_runtime, float(p50), float(p99))
