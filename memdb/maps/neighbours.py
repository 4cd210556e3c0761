"""The neighbours a layout is made of: exact while that is quick, else approximate, with their own recall."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from memdb import intervals
from memdb.jobs import Report, silent
from memdb.maps.graph import graph
from memdb.maps.request import GraphRecall, How, Ints
from memdb.vectors.distance import Doubles, Floats, distances

EXACT = 10_000  # points up to which all pairs are compared; of twice as many it takes five times as long
FALLBACK = 100_000  # points up to which all pairs are compared after all where NN-descent misses too many
ENOUGH = 0.9  # recall of a graph that is laid out without comparing all pairs
SAMPLE = 500  # points whose exact neighbours the graph is held against
_TREES, _LEAF = 12, 60
_BALL = 5  # whose neighbour a point is: at most so many more than its own neighbours
_ROUNDS = 8
_SETTLED = 0.002  # share of neighbours that are new in a round: then there is no other
_CHUNK = 16_384  # points between two reports
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhoods:
    """The neighbours of every point."""

    places: Ints  # (n, k), nearest first, without the point itself
    distances: Doubles  # (n, k) as the engines return them: L2 squared
    recall: GraphRecall | None = None  # of approximate ones; None: exact
    note: str = ""


def neighbours(
    vectors: Floats, k: int, metric: str, how: How = "auto", *, report: Report = silent
) -> Neighbourhoods:
    """The k nearest others of each point.

    Args:
        vectors: (n, d), prepared for the metric.
        k: below n.
        metric: COSINE, IP or L2.
        how: exact; approximate; auto takes the exact ones up to EXACT points, and up to FALLBACK where the
            approximate ones have a recall below ENOUGH.
        report: progress; may raise Cancelled.
    """
    n = len(vectors)
    if how == "exact" or (how == "auto" and n <= EXACT) or k >= n // 4:
        return Neighbourhoods(*graph(vectors, k, metric, report=report))
    places, far = approximate(vectors, k, metric, report=report)
    recall = measured(vectors, places, metric)
    if how == "auto" and recall.mean < ENOUGH and n <= FALLBACK:
        words = (
            f"Approximate neighbours had a recall of {recall.mean:.2f} on this data: all pairs were compared."
        )
        return Neighbourhoods(*graph(vectors, k, metric, report=report), note=words)
    return Neighbourhoods(places, far, recall)


def approximate(
    vectors: Floats, k: int, metric: str, *, seed: int = 1, report: Report = silent
) -> tuple[Ints, Doubles]:
    """The neighbours by NN-descent (`memdb.maps.descent`); the same whatever the number of cores.

    Args:
        vectors: (n, d), prepared for the metric.
        k: well below n.
        metric: COSINE, IP or L2.
        seed: of the trees.
        report: progress; may raise Cancelled.

    Returns:
        ((n, k) places, (n, k) distances as the engines return them).
    """
    from memdb.maps import descent  # numba's import takes half a second

    n = len(vectors)
    steps = _TREES + _ROUNDS  # a bar that gets to its end early is better than one that waits
    report("Neighbours", 0, steps)
    order, ends = np.arange(n, dtype=np.int32), np.empty(n, np.int64)
    descent.tree(vectors, order, ends, _LEAF, seed)
    by_tree = order.copy()
    near = vectors[by_tree]  # who is compared lies side by side: half the time
    halves = np.zeros(n, np.float32)
    if metric == "L2":
        halves = (0.5 * np.einsum("ij,ij->i", near, near)).astype(np.float32)
    lists = np.full((n, k), -1, np.int32)
    scores = np.full((n, k), -np.inf, np.float32)
    fresh = np.zeros((n, k), bool)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def over(count: int, work: Callable[[int, int], None], steps_done: int) -> None:
            starts = range(0, count, max(1, min(_CHUNK, count // 8)))
            parts = [(start, min(count, start + starts.step)) for start in starts]
            running = [pool.submit(work, *part) for part in parts]
            try:
                for each in running:
                    each.result()
                    report("Neighbours", steps_done, steps)
            finally:
                for each in running:
                    each.cancel()

        for number in range(_TREES):
            order = np.arange(n, dtype=np.int32)
            leaves = descent.tree(near, order, ends, _LEAF, seed * 1_000 + number + 1)

            def compare(first: int, last: int, order: Ints = order) -> None:
                descent.within(near, halves, order, ends, first, last, lists, scores, fresh)

            over(leaves, compare, number)
        ball = np.empty((n, k + _BALL), np.int32)
        ball_fresh, sizes = np.empty((n, k + _BALL), bool), np.empty(n, np.int32)

        def join(first: int, last: int) -> None:
            descent.join(near, halves, ball, ball_fresh, sizes, first, last, lists, scores, fresh)

        for number in range(_ROUNDS):
            descent.surround(lists, fresh, ball, ball_fresh, sizes)
            over(n, join, _TREES + number)
            if fresh.mean() < _SETTLED:
                break
    _complete(near, lists, scores, halves)
    places, best = np.empty((n, k), np.int32), np.empty((n, k))
    places[by_tree], best[by_tree] = by_tree[lists], scores
    if metric == "L2":
        own = np.empty(n)
        own[by_tree] = halves
        return places, np.maximum(2 * (own[:, None] - best), 0.0)
    return places, 1.0 - best if metric == "IP" else np.maximum(1.0 - best, 0.0)


def measured(vectors: Floats, places: Ints, metric: str, *, seed: int = 5) -> GraphRecall:
    """The share of exact neighbours that a graph holds, over SAMPLE of its points.

    A neighbour counts also where it is exactly as far as the last of the exact ones.

    Args:
        vectors: (n, d), prepared for the metric.
        places: (n, k) the graph.
        metric: COSINE, IP or L2.
        seed: of the sample.
    """
    n, k = places.shape
    rows = np.sort(np.random.default_rng(seed).choice(n, min(SAMPLE, n), replace=False))
    shares = np.empty(len(rows))
    step = max(1, _BLOCK_BYTES // (4 * n))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        table = distances(vectors[part], vectors, metric)
        table[np.arange(len(part)), part] = np.inf
        last = np.partition(table, k - 1, axis=1)[:, k - 1, None]
        shares[start : start + step] = (np.take_along_axis(table, places[part], axis=1) <= last).mean(axis=1)
    likely = intervals.mean(shares)
    return GraphRecall(float(shares.mean()), likely.low, likely.high, len(rows))


def _complete(vectors: Floats, lists: Ints, scores: Floats, halves: Floats) -> None:
    """Fill lists (n, k) that NN-descent left short, by comparing their points with all others."""
    k = lists.shape[1]
    for i in np.flatnonzero(lists[:, -1] < 0).tolist():
        against = vectors @ vectors[i] - halves
        against[i] = -np.inf
        best = np.argpartition(-against, k - 1)[:k]
        best = best[np.argsort(-against[best], kind="stable")]
        lists[i], scores[i] = best, against[best]
