"""Trustworthiness and continuity of a layout against scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from benchmarks.truth.row import Row
from benchmarks.truth.stored import clustered
from memdb.maps.quality import quality

CASES = (("L2", 900, 24, 15, 2), ("COSINE", 700, 64, 10, 2), ("L2", 600, 8, 30, 3))


def rows() -> Iterable[Row]:
    """Of a good picture (PCA) and of a random one, every point judged."""
    worst, judged = 0.0, 0
    for place, (metric, count, dim, k, axes) in enumerate(CASES):
        vectors = clustered(count, dim, place)
        if metric == "COSINE":
            vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        graph = (
            NearestNeighbors(n_neighbors=k).fit(vectors).kneighbors(return_distance=False).astype(np.int32)
        )
        for picture in ("PCA", "random"):
            random = np.random.default_rng(place).normal(size=(count, axes))
            xy = (PCA(axes).fit_transform(vectors) if picture == "PCA" else random).astype(np.float32)
            ours = quality(vectors, metric, graph, xy, sample=count)
            trust = trustworthiness(vectors, xy, n_neighbors=k)
            continuity = trustworthiness(xy, vectors, n_neighbors=k)
            worst = max(worst, abs(ours.trustworthiness - trust), abs(ours.continuity - continuity))
            judged += 2
    yield Row(
        "trustworthiness, continuity of a map",
        "scikit-learn's `trustworthiness`, both ways round",
        f"{judged} figures: PCA and random pictures, L2 and COSINE, k 10 to 30, two and three axes",
        f"{worst:.0e}",
    )
