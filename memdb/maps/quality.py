"""How far a map keeps neighbourhoods: trustworthiness, continuity, and each point's kept neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memdb.jobs import Report, silent
from memdb.maps.request import Ints, Quality
from memdb.vectors.distance import Floats, distances

Places = NDArray[np.intp]
SAMPLE = 2_000
_ROWS = 128
_AT_ONCE = 4_096  # points whose neighbours are compared at once


def quality(
    vectors: Floats,
    metric: str,
    graph: Ints,
    xy: Floats,
    *,
    sample: int = SAMPLE,
    seed: int = 0,
    report: Report = silent,
) -> Quality:
    """Judge a layout by the exact neighbours.

    Args:
        vectors: (n, d) prepared for the metric.
        metric: COSINE, IP or L2.
        graph: (n, k) exact neighbours, as `graph.graph` gives them.
        xy: (n, 2 or 3).
        sample: points that trustworthiness and continuity are computed for, each against all n; with n or
            more they are what scikit-learn computes.
        seed: of the sample.
        report: progress.
    """
    from scipy.spatial import cKDTree  # half a second that only maps pay

    n, k = graph.shape
    near = _without_self(cKDTree(xy).query(xy, k=k + 1, workers=-1)[1], k)
    kept = np.empty(n, np.float32)
    for start in range(0, n, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        kept[some] = (graph[some, :, None] == near[some, None, :]).any(axis=2).mean(axis=1)
    rows = np.arange(n)
    if sample < n:
        rows = np.sort(np.random.default_rng(seed).choice(n, sample, replace=False))
    far_there, far_here = 0.0, 0.0
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        original = distances(vectors[part], vectors, metric).astype(np.float64)
        shown = ((xy[part, None, :].astype(np.float64) - xy[None, :, :]) ** 2).sum(axis=2)
        for table in (original, shown):
            table[np.arange(len(part)), part] = np.inf
        far_there += _beyond(original, near[part], k)
        far_here += _beyond(shown, graph[part], k)
        report("Judging the map", min(len(rows), start + _ROWS), len(rows))
    # Normalised so that the worst possible layout has 0; holds for k < n / 2.
    worst = len(rows) * k * (2 * n - 3 * k - 1) / 2
    scale = 1 / worst if worst > 0 else 0.0
    return Quality(1 - far_there * scale, 1 - far_here * scale, len(rows), kept, k)


def _beyond(table: NDArray[Any], neighbours: NDArray[Any], k: int) -> float:
    """Sum over pairs of how far beyond rank k the neighbours of one space lie in the other."""
    reached = np.take_along_axis(table, neighbours, axis=1)
    total = 0.0
    for column in range(neighbours.shape[1]):
        ranks = (table < reached[:, column, None]).sum(axis=1) + 1
        total += float(np.maximum(ranks - k, 0).sum())
    return total


def _without_self(places: NDArray[Any], k: int) -> Places:
    """(n, k) neighbours without the point itself, which need not stand first where points coincide."""
    n = len(places)
    own = places == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # among many at one place it was not even listed
    others: Places = places[~own].reshape(n, k)
    return others
