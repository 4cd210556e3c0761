"""How far a map keeps neighbourhoods: trustworthiness, continuity, and each point's kept neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memdb.jobs import Report, silent
from memdb.maps.request import Ints, Quality
from memdb.vectors.distance import Floats, distances

Places = NDArray[np.intp]
SAMPLE = 2_000  # points up to MANY, half as many beyond
MANY = 200_000
_TABLE = 8_000_000  # distances that are held at once
_PAIRS = 20  # others that a judged point's distance is compared with, at random
_AT_ONCE = 4_096  # points whose neighbours are compared at once


def quality(
    vectors: Floats,
    metric: str,
    graph: Ints,
    xy: Floats,
    *,
    exact: bool = True,
    sample: int | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Quality:
    """Judge a layout by the neighbours in the index's metric.

    Trustworthiness and continuity rest on exact neighbours in any case: distances of the sampled points to
    all others are computed. Each point's kept neighbours are those of the graph.

    Args:
        vectors: (n, d) prepared for the metric.
        metric: COSINE, IP or L2.
        graph: (n, k) neighbours, as `neighbours.neighbours` gives them.
        xy: (n, 2 or 3).
        exact: whether the graph is exact; where it is not, `kept_of_exact` is measured on the sample.
        sample: points that trustworthiness and continuity are computed for, each against all n; with n or
            more they are what scikit-learn computes.
        seed: of the sample.
        report: progress.
    """
    from scipy.spatial import cKDTree  # half a second that only maps pay

    n, k = graph.shape
    near = without_self(cKDTree(xy).query(xy, k=k + 1, workers=-1)[1], k)
    shares = np.empty(n, np.float32)
    for start in range(0, n, _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        shares[some] = (graph[some, :, None] == near[some, None, :]).any(axis=2).mean(axis=1)
    rows = np.arange(n)
    if sample is None:
        sample = SAMPLE if n <= MANY else SAMPLE // 2
    if sample < n:
        rows = np.sort(np.random.default_rng(seed).choice(n, sample, replace=False))
    far_there, far_here, agreeing = 0.0, 0.0, 0
    random, pairs = np.random.default_rng(seed), []
    wide = xy.astype(np.float64).T.copy()
    step = max(1, min(128, _TABLE // n))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        own = np.arange(len(part)), part
        original = distances(vectors[part], vectors, metric)
        on_map = sum((axis[part, None] - axis[None, :]) ** 2 for axis in wide)
        others = random.integers(0, n - 1, (len(part), _PAIRS))
        others += others >= part[:, None]  # not the point itself
        there, here = (np.take_along_axis(table, others, axis=1) for table in (original, on_map))
        pairs.append(np.stack([there.ravel(), here.ravel()]))
        original[own] = on_map[own] = np.inf
        true = graph[part] if exact else np.argpartition(original, k - 1, axis=1)[:, :k]
        agreeing += int((true[:, :, None] == near[part][:, None, :]).sum())
        far_there += _beyond(original, near[part], k)
        far_here += _beyond(on_map, true, k)
        report("Judging the map", min(len(rows), start + step), len(rows))
    # Normalised so that the worst possible layout has 0; holds for k < n / 2.
    worst = len(rows) * k * (2 * n - 3 * k - 1) / 2
    scale = 1 / worst if worst > 0 else 0.0
    ranks = rank_correlation(*np.concatenate(pairs, axis=1))
    kept_of_exact = None if exact else agreeing / (len(rows) * k)
    return Quality(1 - far_there * scale, 1 - far_here * scale, len(rows), shares, k, kept_of_exact, ranks)


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's, of pairs of numbers (n,) and (n,); equal ones share a rank. NaN where one is constant."""
    a, b = (ranks(values) - (len(values) + 1) / 2 for values in (first, second))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread > 0 else float("nan")


def ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """(n,) ranks of numbers (n,), from 1; equal ones share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return shared


def _beyond(table: NDArray[Any], neighbours: NDArray[Any], k: int) -> float:
    """Sum over pairs of how far beyond rank k the neighbours of one space lie in the other."""
    total = 0.0
    for row, reached in zip(table, np.take_along_axis(table, neighbours, axis=1), strict=True):
        nearer = np.sort(row[row < reached.max()])
        ranks = np.searchsorted(nearer, reached) + 1
        total += float(np.maximum(ranks - k, 0).sum())
    return total


def without_self(places: NDArray[Any], k: int) -> Places:
    """(n, k) neighbours without the point itself, which need not stand first where points coincide."""
    n = len(places)
    own = places == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True  # among many at one place it was not even listed
    others: Places = places[~own].reshape(n, k)
    return others
