"""How fast memory grows and when it reaches its limit, with how sure that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memdb import intervals

LEAST_POINTS, LEAST_S = 12, 60.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes a second with a 95 % interval, which holds also where memory wanders without growing.

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
    finite = np.isfinite(times) & np.isfinite(used)
    times, used = times[finite], used[finite]
    if len(times) < LEAST_POINTS or times[-1] - times[0] < LEAST_S:
        return None
    rate = intervals.growth(times, used)
    room = None if limit is None else limit - float(used[-1])
    return Growth(
        rate.mean,
        rate.low,
        rate.high,
        _left(room, rate.mean),
        _left(room, rate.high),
        _left(room, rate.low),
        float(times[-1] - times[0]),
    )


def _left(room: float | None, rate: float) -> float | None:
    return None if room is None or rate <= 0 else max(0.0, room / rate)
