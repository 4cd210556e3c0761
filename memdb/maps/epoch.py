"""One epoch of UMAP's layout, compiled.

Both ends of an edge move at once and at their present places, as in umap-learn, so an epoch runs in one order
on one core: moving each point by its own edges alone, among the places of an epoch before, runs on all cores
and tears what is connected (docs/decisions/0030-layout.md). Importing umap-learn would also compile
pynndescent, half a minute where nothing is cached yet; this compiles in a second and is cached on disk.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from memdb.maps.compiled import compiled
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


def _move(
    places: Floats,
    begins: Ints,
    tail: Ints,
    gaps: Floats,
    turns: Floats,
    states: Any,
    pulls: Floats,
    pushes: Floats,
    alpha: np.float32,
    epoch: np.float32,
) -> None:
    """Move both ends of every due edge together, and its first end away from random points.

    Args:
        places: (n, dimensions) float32, changed.
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
    n, dimensions = places.shape
    four = numba.float32(4.0)  # the longest step, as in umap-learn
    for i in range(n):
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
                    gap = places[i, d] - places[other, d]
                    squared += gap * gap
                row = numba.int32(np.float32(squared).view(np.int32)) >> _KEPT_BITS
                force = pushes[row] if turn else pulls[row]
                for d in range(dimensions):
                    step = min(four, max(-four, force * (places[i, d] - places[other, d]))) * alpha
                    places[i, d] += step
                    if not turn:
                        places[other, d] -= step
        states[i] = state


move = compiled(_move)
