"""One epoch of UMAP's layout, compiled, for a range of points: ranges can run side by side.

umap-learn moves both ends of an edge at once, so that its epochs run in one order, or in none that repeats.
Here each point moves by its own edges alone, among the places that the others had an epoch ago: the map is
the same on any number of cores (docs/decisions/0030-layout.md). Importing umap-learn would also compile
pynndescent, half a minute where nothing is cached yet; this compiles in a second and is cached on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from memdb.maps.request import Ints
from memdb.vectors.distance import Floats

PUSHES = 5  # random points that a point is pushed from, for each pull: umap-learn's negative_sample_rate
_KEPT_BITS = 16  # of a float32: sign, exponent and 7 of the mantissa name a table's row, 0.4 % apart


def forces(a: float, b: float) -> tuple[Floats, Floats]:
    """What an edge pulls with and a random point pushes with, for every squared distance.

    Powers take most of an epoch where they are computed; these are read by the first bits of the distance.

    Args:
        a: of the curve 1 / (1 + a d^2b).
        b: of the same.

    Returns:
        ((32768,), (32768,)) float32: factors of the gap, zero for points at one place.
    """
    bits = np.arange(1 << (31 - _KEPT_BITS), dtype=np.uint32) << _KEPT_BITS
    squared = (bits + (1 << (_KEPT_BITS - 1))).view(np.float32)  # the middle of each row
    real = np.isfinite(squared) & (squared > 1e-30)
    at = np.where(real, squared, 1.0).astype(np.float64)
    power = at**b
    pull = -2.0 * a * b * power / (at * (a * power + 1.0))
    push = 2.0 * b / ((0.001 + at) * (a * power + 1.0))
    return np.where(real, pull, 0.0).astype(np.float32), np.where(real, push, 0.0).astype(np.float32)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        made: Callable[..., Any] = numba.njit(
            function, cache=True, fastmath=True, nogil=True, error_model="numpy"
        )
    except RuntimeError:  # neither this folder nor the user's cache can be written
        made = numba.njit(function, fastmath=True, nogil=True, error_model="numpy")
    return made


def _move(
    before: Floats, after: Floats, first: int, last: int, begins: Ints, tail: Ints, gaps: Floats,
    turns: Floats, states: Any, pulls: Floats, pushes: Floats, alpha: np.float32, epoch: np.float32,
) -> None:  # fmt: skip
    """Move the points first to last - 1 by their due edges, and away from random points.

    Args:
        before: (n, dimensions) float32, read.
        after: (n, dimensions) float32, these points' rows are written.
        first: of the range.
        last: behind the range.
        begins: (n + 1,) int32, where each point's edges begin.
        tail: (e,) int32, the other end of each edge.
        gaps: (e,) float32, epochs from one turn of an edge to its next.
        turns: (e,) float32, epoch of its next turn, changed.
        states: (n,) uint32, each point's random numbers, not zero, changed.
        pulls: of `forces`.
        pushes: of `forces`.
        alpha: length of a step.
        epoch: which one.
    """
    n, dimensions = before.shape
    four = numba.float32(4.0)  # the longest step, as in umap-learn
    for i in range(first, last):
        for d in range(dimensions):
            after[i, d] = before[i, d]
        state = numba.uint32(states[i])
        for e in range(begins[i], begins[i + 1]):
            if turns[e] > epoch:
                continue
            turns[e] += gaps[e]
            other = numba.int64(tail[e])
            for turn in range(PUSHES + 1):
                if turn:  # xorshift, 32 bits
                    state = numba.uint32(state ^ (state << 13))
                    state = numba.uint32(state ^ (state >> 17))
                    state = numba.uint32(state ^ (state << 5))
                    other = numba.int64((numba.uint64(state) * numba.uint64(n)) >> 32)
                squared = numba.float32(0.0)
                for d in range(dimensions):
                    gap = after[i, d] - before[other, d]
                    squared += gap * gap
                row = numba.int32(np.float32(squared).view(np.int32)) >> _KEPT_BITS
                force = pushes[row] if turn else pulls[row]
                for d in range(dimensions):
                    step = force * (after[i, d] - before[other, d])
                    after[i, d] += min(four, max(-four, step)) * alpha
        states[i] = state


move = _compiled(_move)
