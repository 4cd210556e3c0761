"""Vectors on a local engine of their own, for several areas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from memdb.cluster.client import Client
from memdb.settings import Settings
from memdb.sizing import samples
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec

Doubles = NDArray[np.float64]
Rows = NDArray[np.float32]


def clustered(count: int, dim: int, seed: int, *, clusters: int = 40, scale: float = 1.0) -> Rows:
    """(count, dim) points around centres: neighbours differ in how hard they are to find."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, dim))
    points = centres[random.integers(0, clusters, count)] + 0.6 * random.normal(size=(count, dim))
    return (scale * points).astype(np.float32)


@contextmanager
def engine() -> Iterator[Client]:
    """An empty engine that ends with the block."""
    with samples.fresh(Settings.from_env()) as client:
        yield client


def build(
    client: Client,
    name: str,
    vectors: Rows,
    metric: str,
    *,
    m: int = 8,
    flat: bool = False,
    kind: str = "FLOAT32",
) -> IndexInfo:
    """Documents `name:0` … and an index of them."""
    encoded = vectors.astype({"FLOAT32": "<f4", "FLOAT64": "<f8", "FLOAT16": "<f2"}[kind])
    for start in range(0, len(vectors), 500):
        places = range(start, min(start + 500, len(vectors)))
        client.pipeline([("HSET", f"{name}:{i}", "v", encoded[i].tobytes()) for i in places])
    dim = vectors.shape[1]
    field = (
        FlatField("v", dim, metric, kind)  # type: ignore[arg-type]
        if flat
        else HnswField("v", dim, metric, kind, m=m, ef_construction=60)  # type: ignore[arg-type]
    )
    index.create(client, IndexSpec(name, (field,), (f"{name}:",)))
    while not (info := index.index_info(client, name)).build.ready or info.documents < len(vectors):
        pass
    return info


def exact(vectors: Rows, queries: Rows, metric: str) -> Doubles:
    """(q, n) distances by NumPy in float64, as the engines define them."""
    x, q = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "L2":
        return np.asarray((q**2).sum(1)[:, None] + (x**2).sum(1)[None, :] - 2 * q @ x.T)
    if metric == "IP":
        return np.asarray(1 - q @ x.T)
    return np.asarray(1 - (q @ x.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(x, axis=1)[None, :])
