"""Predicted memory against the difference of used_memory: some of the kinds of `benchmarks.sizing`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from benchmarks.sizing import KINDS, held
from benchmarks.truth.row import Row

EVERY = 3  # the whole list takes minutes


def rows() -> Iterable[Row]:
    """Every third kind."""
    seen = list(held(KINDS[::EVERY]))
    errors = [abs(result.error) for result in seen]
    worst = max(seen, key=lambda result: abs(result.error))
    inside = sum(result.inside for result in seen)
    yield Row(
        "predicted memory, `redisearch` profile",
        "difference of `used_memory` on the local engine",
        f"{len(seen)} of the {len(KINDS)} kinds of [sizing](sizing.md), not fitted",
        f"{abs(worst.error):.1%} ({worst.kind.words}), median {statistics.median(errors):.1%}; {inside} "
        "inside the interval",
    )
