"""NN-descent, compiled: approximate neighbours of every point, with no search structure to keep.

Dong, Moses and Li 2011, as pynndescent does it: neighbours within the leaves of random projection trees, then
neighbours of neighbours until few change. pynndescent itself compiles for 40 to 60 s where numba has
nothing cached yet; this compiles in four and is cached on disk (docs/decisions/0120-approximate-graph.md).
A point's list is written by the thread that has the point alone, from lists that nobody writes meanwhile: the
result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from memdb.maps.compiled import compiled
from memdb.maps.request import Ints
from memdb.vectors.distance import Floats


def _random(state: np.uint32) -> np.uint32:
    state = numba.uint32(state ^ (state << numba.uint32(13)))
    state = numba.uint32(state ^ (state >> numba.uint32(17)))
    return numba.uint32(state ^ (state << numba.uint32(5)))


_next = compiled(_random)


def _tree(vectors: Floats, order: Ints, ends: Any, leaf: int, seed: int) -> int:
    """Part the points by planes half way between two of them, drawn at random, down to small leaves.

    Args:
        vectors: (n, d).
        order: (n,) int32, the points, changed: those of a leaf side by side.
        ends: (n,) int64, written: where each leaf ends in `order`.
        leaf: most points of a leaf.
        seed: of the drawing, not 0.

    Returns:
        How many leaves there are.
    """
    n, d = vectors.shape
    state = numba.uint32(seed)
    normal = np.empty(d, np.float32)
    stack = np.empty((256, 2), np.int64)
    stack[0, 0], stack[0, 1] = 0, n
    top, leaves = 1, 0
    while top > 0:
        top -= 1
        begin, end = stack[top, 0], stack[top, 1]
        size = end - begin
        if size <= leaf:
            ends[leaves] = end
            leaves += 1
            continue
        state = _next(state)
        first = order[begin + numba.int64(state) % size]
        state = _next(state)
        second = order[begin + numba.int64(state) % size]
        middle = numba.float32(0.0)
        for x in range(d):
            normal[x] = vectors[first, x] - vectors[second, x]
            middle += normal[x] * (vectors[first, x] + vectors[second, x])
        middle *= numba.float32(0.5)
        low, high = begin, end - 1
        while low <= high:
            point = order[low]
            side = numba.float32(0.0)
            for x in range(d):
                side += normal[x] * vectors[point, x]
            side -= middle
            if side == 0:  # equal points: by chance, or one leaf would hold them all
                state = _next(state)
                side = numba.float32(1.0) if state & numba.uint32(65536) else numba.float32(-1.0)
            if side > 0:
                low += 1
            else:
                order[low] = order[high]
                order[high] = point
                high -= 1
        if min(low - begin, end - low) * 20 < size:  # hardly parted: halves, by chance
            for at in range(begin, end - 1):
                state = _next(state)
                other = at + numba.int64(state) % (end - at)
                order[at], order[other] = order[other], order[at]
            low = begin + size // 2
        stack[top, 0], stack[top, 1] = low, end
        stack[top + 1, 0], stack[top + 1, 1] = begin, low
        top += 2
    return leaves


tree = compiled(_tree)


def _push(graph: Ints, scores: Floats, fresh: Any, point: int, other: int, score: np.float32) -> None:
    """Put a neighbour into a point's list where it belongs, unless it is there or too far."""
    k = graph.shape[1]
    if score <= scores[point, k - 1]:
        return
    for a in range(k):
        if graph[point, a] == other:
            return
    a = k - 1
    while a > 0 and scores[point, a - 1] < score:
        scores[point, a] = scores[point, a - 1]
        graph[point, a] = graph[point, a - 1]
        fresh[point, a] = fresh[point, a - 1]
        a -= 1
    scores[point, a], graph[point, a], fresh[point, a] = score, other, True


_put = compiled(_push)


def _within(
    vectors: Floats,
    halves: Floats,
    order: Ints,
    ends: Any,
    first: int,
    last: int,
    graph: Ints,
    scores: Floats,
    fresh: Any,
) -> None:
    """Compare the points of some leaves with each other.

    Args:
        vectors: (n, d).
        halves: (n,) taken from the products: half the squared lengths for L2, else 0.
        order: (n,) of `tree`.
        ends: of `tree`.
        first: leaf.
        last: leaf, not included.
        graph: (n, k) int32, -1 where nothing is yet, changed.
        scores: (n, k) float32, highest first, changed.
        fresh: (n, k) bool, changed: whether the neighbour is new.
    """
    d = vectors.shape[1]
    for number in range(first, last):
        begin, end = (ends[number - 1] if number else 0), ends[number]
        for a in range(begin, end):
            i = order[a]
            for b in range(a + 1, end):
                j = order[b]
                product = numba.float32(0.0)
                for x in range(d):
                    product += vectors[i, x] * vectors[j, x]
                _put(graph, scores, fresh, i, j, product - halves[j])
                _put(graph, scores, fresh, j, i, product - halves[i])


within = compiled(_within)


def _surround(graph: Ints, fresh: Any, ball: Ints, ball_fresh: Any, sizes: Ints) -> None:
    """Who is near whom, both ways: a point's neighbours, and those whose neighbour it is, nearest first.

    Args:
        graph: (n, k).
        fresh: (n, k).
        ball: (n, m) int32, written, m of at least k.
        ball_fresh: (n, m) bool, written.
        sizes: (n,) int32, written: how many of `ball` hold.
    """
    n, k = graph.shape
    most = ball.shape[1]
    for i in range(n):
        sizes[i] = 0
        for a in range(k):
            if graph[i, a] >= 0:
                ball[i, sizes[i]], ball_fresh[i, sizes[i]] = graph[i, a], fresh[i, a]
                sizes[i] += 1
    for a in range(k):
        for i in range(n):
            j = graph[i, a]
            if j < 0 or sizes[j] >= most:
                continue
            mutual = False
            for b in range(k):
                mutual = mutual or graph[j, b] == i
            if not mutual:
                ball[j, sizes[j]], ball_fresh[j, sizes[j]] = i, fresh[i, a]
                sizes[j] += 1


surround = compiled(_surround)


def _join(
    vectors: Floats,
    halves: Floats,
    ball: Ints,
    ball_fresh: Any,
    sizes: Ints,
    first: int,
    last: int,
    graph: Ints,
    scores: Floats,
    fresh: Any,
) -> None:
    """Try the neighbours of their neighbours for some points, where either step is new.

    Args:
        vectors: (n, d).
        halves: (n,) as in `within`.
        ball: (n, m) of `surround`.
        ball_fresh: (n, m) of the same.
        sizes: (n,) of the same.
        first: point.
        last: point, not included.
        graph: (n, k), changed for these points.
        scores: (n, k), changed for these points.
        fresh: (n, k), changed for these points.
    """
    n, d = vectors.shape
    k = graph.shape[1]
    last_seen = np.full(n, -1, np.int32)
    for i in range(first, last):
        last_seen[i] = i
        for a in range(k):
            fresh[i, a] = False
            if graph[i, a] >= 0:
                last_seen[graph[i, a]] = i
        for a in range(sizes[i]):
            j = ball[i, a]
            for b in range(-1, sizes[j]):
                other = j
                if b >= 0:
                    if not (ball_fresh[i, a] or ball_fresh[j, b]):
                        continue
                    other = ball[j, b]
                if last_seen[other] == i:
                    continue
                last_seen[other] = i
                score = numba.float32(0.0)
                for x in range(d):
                    score += vectors[i, x] * vectors[other, x]
                score -= halves[other]
                if score > scores[i, k - 1]:
                    _put(graph, scores, fresh, i, other, score)


join = compiled(_join)
