"""How often the interval of a mean recall holds the true mean, by simulation."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from benchmarks.truth.row import Row

SAMPLES, CONFIDENCE = 2_000, 0.95


def rows() -> Iterable[Row]:
    """The grid of `benchmarks.intervals`, with fewer samples of each cell."""
    if importlib.util.find_spec("benchmarks.intervals") is None:
        return
    from benchmarks.intervals import RIVALS, SHAPES, cells

    shown = next(iter(RIVALS))  # the first is what the product shows
    seen = list(cells(SAMPLES, (CONFIDENCE,), rivals=(shown,)))
    least = min(seen, key=lambda cell: cell.covers)
    meets = max(cell.falsely_meets for cell in seen)
    yield Row(
        "95 % interval of a mean recall",
        "simulation: how often it holds the true mean",
        f"{len(seen)} cells of {len(SHAPES)} distributions, k 1 to 100, 20 to 4,000 queries; "
        f"{SAMPLES} samples of each",
        f"least {least.covers:.3f} ({least.shape}, {least.where}); wholly above it in {meets:.1%} at most",
    )
