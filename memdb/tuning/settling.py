"""How high an EF_RUNTIME the reference of a sampled run is asked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from memdb.tuning import load
from memdb.tuning.run import SweepRequest

LEAST_EF = 500  # to begin with, or the largest that is measured; it is doubled from there
MOST_EF = 4_096  # unless more is measured
TRIED = 128  # queries that tell whether a higher EF would find more
# Share of nearer hits at twice the EF, up to which it is not raised. The first doubling must bring more: the
# largest EF that is measured is asked by the sweep as well, a higher one is asked for the reference alone.
FIRST, SETTLED = 0.01, 0.003
_CLEAR = 3  # where half of them gained so many times less, the others are not asked
_ROUNDING = 1e-5  # of distances that the engine computed in float32


def reference_ef(request: SweepRequest, limit: int) -> int:
    """The EF_RUNTIME that the reference begins with, no lower than what is measured."""
    return min(limit, max(LEAST_EF, request.ef_max))


def settled(
    ask: Callable[[slice, int], Sequence[load.Answer]], ef: int, limit: int, tried: int, k: int
) -> tuple[int, list[load.Answer]]:
    """The lowest doubling of an EF_RUNTIME beyond which another brings next to nothing nearer.

    Half of the queries are tried at first, since more than FIRST shows sooner than more than SETTLED. Some
    are asked at a time. As soon as those that are left cannot change it, it is doubled; where half of them
    gained next to nothing, the others are not asked.

    Args:
        ask: answers of the queries in a slice, at an EF_RUNTIME.
        ef: to begin with; 0 where the index has none.
        limit: the highest.
        tried: how many queries are asked at most, of the first doubling half of them.
        k: hits of each, at most.

    Returns:
        (EF_RUNTIME, answers there to the first queries: those that were asked).
    """
    answers: list[load.Answer] = []
    allowed = FIRST
    while ef > 0 and 2 * ef <= limit:
        further: list[load.Answer] = []
        hits = nearer = 0
        most = max(1, tried // 2) if allowed == FIRST else tried
        while len(further) < most and nearer <= allowed * k * most:
            end = min(len(further) + load.BATCH, most)
            if len(answers) < end:
                answers += ask(slice(len(answers), end), ef)
            some = ask(slice(len(further), end), 2 * ef)
            hits += sum(len(keys) for keys, _ in some)
            nearer += sum(map(_nearer_hits, answers[len(further) : end], some))
            further += some
            if _CLEAR * nearer <= allowed * hits and 2 * len(further) >= most:
                break
        if nearer <= allowed * hits:
            break
        ef, answers, allowed = 2 * ef, further, SETTLED
    return ef, answers


def _nearer_hits(low: load.Answer, high: load.Answer) -> int:
    """Hits of the one answer that are not in the other and nearer than its last."""
    (keys, far), (further, nearer) = low, high
    last = far[-1] - _ROUNDING * abs(far[-1]) if far and len(keys) >= len(further) else math.inf
    return sum(length < last for key, length in zip(further, nearer, strict=True) if key not in keys)
