"""The settings of EF_RUNTIME that controls offer: the same on every page."""

from __future__ import annotations

STEPS = (1, 2, 5, 10, 16, 20, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096)


def steps(most: int) -> list[int]:
    """Those an engine takes, smallest first."""
    return [ef for ef in STEPS if ef <= most]


def nearest(ef_runtime: int) -> int:
    """The step closest to a measured setting."""
    return min(STEPS, key=lambda step: abs(step - ef_runtime))
