"""The exact neighbours of every point among the points: what the layout is made of and judged by."""

from __future__ import annotations

import numpy as np

from memdb.jobs import Report, silent
from memdb.maps.request import Ints
from memdb.vectors.distance import Doubles, Floats

_BLOCK_BYTES = 96 * 2**20  # of the products that are held at once
_PROBED = 2_048  # columns whose k-th best bounds what can be among the k nearest of all


def graph(vectors: Floats, k: int, metric: str, *, report: Report = silent) -> tuple[Ints, Doubles]:
    """The k nearest others of each point, nearest first.

    All pairs are compared, in float32: two neighbours nearer to each other than its rounding may swap ranks.

    Args:
        vectors: (n, dim), prepared for the metric.
        k: below n.
        metric: COSINE, IP or L2.
        report: progress by points.

    Returns:
        ((n, k) places, (n, k) distances as the engines return them: L2 squared).
    """
    n = len(vectors)
    halves = 0.5 * np.einsum("ij,ij->i", vectors, vectors) if metric == "L2" else None
    places, distances = np.empty((n, k), np.int32), np.empty((n, k))
    step = max(64, min(n, _BLOCK_BYTES // (4 * n)))
    across = vectors.T.copy()
    product = np.empty((step, n), np.float32)
    # Columns over the whole range: the first ones may be alike.
    probed = np.linspace(0, n - 1, min(n, max(_PROBED, 4 * k))).astype(np.intp)
    for start in range(0, n, step):
        part = vectors[start : start + step]
        scores = np.matmul(part, across, out=product[: len(part)])
        if halves is not None:
            scores -= halves
        scores[np.arange(len(part)), np.arange(start, start + len(part))] = -np.inf
        some = scores[:, probed]
        bound = np.partition(some, some.shape[1] - k, axis=1)[:, -k]
        above = np.flatnonzero(scores >= bound[:, None])
        rows, columns = np.divmod(above, n)
        values = scores.ravel()[above]
        order = np.lexsort((-values, rows))
        firsts = np.searchsorted(rows, np.arange(len(part)))
        chosen = order[firsts[:, None] + np.arange(k)[None, :]]
        places[start : start + len(part)] = columns[chosen]
        best = values[chosen].astype(np.float64)
        best = 1.0 - best if halves is None else 2 * (halves[start : start + len(part), None] - best)
        distances[start : start + len(part)] = np.maximum(best, 0.0) if metric != "IP" else best
        report("Neighbours", min(n, start + len(part)), n)
    return places, distances
