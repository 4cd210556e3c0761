"""One epoch of UMAP's layout, compiled: the loop of umap-learn's `layouts.py` (BSD licence) without its rest.

Importing umap-learn compiles pynndescent, half a minute where nothing is cached yet; a map has its exact
graph already. This compiles in a second and is cached on disk (docs/decisions/0030-layout.md).
A test holds it against umap-learn's own, number by number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from memdb.maps.request import Ints
from memdb.vectors.distance import Doubles, Floats


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        made: Callable[..., Any] = numba.njit(function, fastmath=True, cache=True, nogil=True)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        made = numba.njit(function, fastmath=True, nogil=True)
    return made


def _epoch(
    placed: Floats, head: Ints, tail: Ints, per_sample: Doubles, next_sample: Doubles, per_negative: Doubles,
    next_negative: Doubles, states: Any, a: float, b: float, alpha: float, epoch: int,
) -> None:  # fmt: skip
    """Pull the ends of each due edge together and push its head from random points. All arrays are changed.

    Args:
        placed: (n, dimensions) float32.
        head: (e,) int32, the edges' points.
        tail: (e,) int32.
        per_sample: (e,) epochs from one turn of an edge to its next.
        next_sample: (e,) epoch of its next turn.
        per_negative: (e,) the same for pushes.
        next_negative: (e,).
        states: (n, 3) int64, each point's random numbers.
        a: of the curve 1 / (1 + a d^2b).
        b: of the same.
        alpha: length of a step.
        epoch: which one.
    """
    n, dimensions = placed.shape
    for i in range(head.shape[0]):
        if next_sample[i] > epoch:
            continue
        j, k = head[i], tail[i]
        squared = numba.float32(0.0)
        for d in range(dimensions):
            gap = placed[j, d] - placed[k, d]
            squared += gap * gap
        pull = 0.0
        if squared > 0.0:
            power = pow(squared, b)
            pull = -2.0 * a * b * (power / squared) / (a * power + 1.0)
        for d in range(dimensions):
            step = min(4.0, max(-4.0, pull * (placed[j, d] - placed[k, d])))
            placed[j, d] += step * alpha
            placed[k, d] -= step * alpha
        next_sample[i] += per_sample[i]
        pushes = int((epoch - next_negative[i]) / per_negative[i])
        state = states[j]
        for _ in range(pushes):
            # Tausworthe, 32 bits: umap-learn's `tau_rand_int`.
            state[0] = (((state[0] & 4294967294) << 12) & 0xFFFFFFFF) ^ (
                (((state[0] << 13) & 0xFFFFFFFF) ^ state[0]) >> 19
            )
            state[1] = (((state[1] & 4294967288) << 4) & 0xFFFFFFFF) ^ (
                (((state[1] << 2) & 0xFFFFFFFF) ^ state[1]) >> 25
            )
            state[2] = (((state[2] & 4294967280) << 17) & 0xFFFFFFFF) ^ (
                (((state[2] << 3) & 0xFFFFFFFF) ^ state[2]) >> 11
            )
            other = numba.int32(state[0] ^ state[1] ^ state[2]) % n
            squared = numba.float32(0.0)
            for d in range(dimensions):
                gap = placed[j, d] - placed[other, d]
                squared += gap * gap
            if squared > 0.0:
                push = 2.0 * b / ((0.001 + squared) * (a * pow(squared, b) + 1.0))
                for d in range(dimensions):
                    step = min(4.0, max(-4.0, push * (placed[j, d] - placed[other, d])))
                    placed[j, d] += step * alpha
        next_negative[i] += pushes * per_negative[i]


epoch = _compiled(_epoch)
