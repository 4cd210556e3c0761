"""How fast memory grows and when it reaches its limit, with how sure that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import theilslopes

LEAST_POINTS, LEAST_S = 10, 60.0
_POINTS = 60  # neighbouring samples repeat each other; the interval of all of them would be far too narrow


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a second by the median of all slopes between two moments (Theil and Sen), with its 95 % interval.

    Seconds to the limit are None where it is never reached at that rate.
    """

    per_s: float
    low: float
    high: float
    left_s: float | None
    soonest_s: float | None
    latest_s: float | None
    over_s: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves open neither growth nor shrinking."""
        return self.low > 0 or self.high < 0


def growth(
    times: npt.NDArray[np.float64], used: npt.NDArray[np.float64], limit: float | None
) -> Growth | None:
    """Growth over what is given; None of too little.

    Args:
        times: (n,) seconds, ascending.
        used: (n,) bytes; NaN is left out.
        limit: bytes, or None where there is no limit.
    """
    told = np.isfinite(times) & np.isfinite(used)
    times, used = times[told], used[told]
    if len(times) < LEAST_POINTS or times[-1] - times[0] < LEAST_S:
        return None
    groups = np.array_split(np.arange(len(times)), min(_POINTS, len(times)))
    x = np.array([times[g].mean() for g in groups])
    y = np.array([np.median(used[g]) for g in groups])
    slope, _, low, high = theilslopes(y, x, alpha=0.95)
    room = None if limit is None else limit - float(used[-1])
    return Growth(
        float(slope),
        float(low),
        float(high),
        _left(room, slope),
        _left(room, high),
        _left(room, low),
        float(times[-1] - times[0]),
    )


def _left(room: float | None, rate: float) -> float | None:
    return None if room is None or rate <= 0 else max(0.0, room / rate)
