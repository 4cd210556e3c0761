"""Intervals that hold near 1.0, paired differences, percentiles. Pure; docs/decisions/0010 says why these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]

# What is believed of the spread before the queries speak, worth PRIOR_MISSES missed neighbours: without it
# a sample whose recalls are all 1 would claim to have no spread. Both were chosen by simulation over means
# of 0.5 to 0.999, 50 to 1,000 queries and k of 1 to 100 (tests/unit/test_tuning_stats.py).
PRIOR_SPREAD = 0.5
PRIOR_MISSES = 1.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval that covers the true one with the asked confidence."""

    mean: float
    low: float
    high: float


def interval(recalls: Numbers, k: int, confidence: float = 0.95) -> Interval:
    """The mean recall of all queries like these.

    Wilson's score interval for a proportion whose spread is that of the queries: the recalls of one query's
    k neighbours depend on each other, so the spread is estimated and lies between that of q x k independent
    hits and that of q hits.

    Args:
        recalls: (q,) each in [0, 1], a multiple of 1/k or nearly; q may be 1.
        k: neighbours asked for.
        confidence: two-sided, in (0, 1).

    Returns:
        Interval within [0, 1], never of zero width; NaN to 0 and 1 where there are no queries.
    """
    q = len(recalls)
    if not q:
        return Interval(math.nan, 0.0, 1.0)
    mean = float(np.mean(recalls))
    width = quantile(0.5 + confidence / 2, q - 1) ** 2 * spread(recalls, k) / q
    centre = (mean + width / 2) / (1 + width)
    half = math.sqrt(width * mean * (1 - mean) + width * width / 4) / (1 + width)
    return Interval(mean, max(0.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))


def spread(recalls: Numbers, k: int) -> float:
    """Variance of a query's recall in units of mean x (1 - mean): 1/k if its hits were independent, 1 if
    a query finds all or nothing. A little of the prior is mixed in."""
    mean = float(np.mean(recalls))
    prior = PRIOR_MISSES / k
    seen = float(np.sum((np.asarray(recalls, np.float64) - mean) ** 2))
    expected = min(1.0, PRIOR_SPREAD + 1 / k)
    possible = max(0, len(recalls) - 1) * mean * (1 - mean)
    return min(1.0, max(0.0, (seen + expected * prior) / (possible + prior)))


def paired(a: Numbers, b: Numbers, k: int, confidence: float = 0.95) -> Interval:
    """Mean of a - b over the same queries, with its interval; (q,) each.

    What all queries share cancels out, so that small differences show. Two samples without any difference
    still get an interval: one of half a missed neighbour is taken to be unseen.
    """
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    q = len(difference)
    if not q:
        return Interval(math.nan, -1.0, 1.0)
    mean = float(difference.mean())
    variance = (float(np.sum((difference - mean) ** 2)) + 0.5 / k**2) / max(1, q - 1)
    half = quantile(0.5 + confidence / 2, q - 1) * math.sqrt(variance / q)
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def unpaired(a: Numbers, b: Numbers, k: int, confidence: float = 0.95) -> Interval:
    """Mean of a less mean of b where the queries differ: Newcombe's interval from the two."""
    one, two = interval(a, k, confidence), interval(b, k, confidence)
    mean = one.mean - two.mean
    low = mean - math.hypot(one.mean - one.low, two.high - two.mean)
    high = mean + math.hypot(one.high - one.mean, two.mean - two.low)
    return Interval(mean, low, high)


def queries_for(target: float, k: int, confidence: float = 0.95) -> int:
    """How many queries it takes before a perfect answer to all could show a recall of `target`."""
    if target >= 1:
        return 0  # no number of queries shows that none is ever missed
    needed = 2
    for _ in range(6):  # the quantile itself depends a little on how many there are
        z = quantile(0.5 + confidence / 2, needed - 1)
        needed = math.ceil(z * z * min(1.0, PRIOR_SPREAD + 1 / k) * target / (1 - target)) + 1
    return needed


def queries_to_tell(recalls: Numbers, target: float, k: int, confidence: float = 0.95) -> int | None:
    """About how many queries would show that the mean is above `target`; None if it is not."""
    mean = float(np.mean(recalls)) if len(recalls) else math.nan
    if not mean > target:
        return None
    z = quantile(0.5 + confidence / 2, 10_000)
    # Wilson's bound touches the target where (mean - target)² = z² · spread · target · (1 - target) / q.
    return math.ceil(z * z * spread(recalls, k) * target * (1 - target) / (mean - target) ** 2) + 2


def percentiles(latencies_ms: Numbers) -> tuple[float, float, float]:
    """p50, p95 and p99: the smallest measured value that so many per cent do not exceed; NaN of none."""
    if not len(latencies_ms):
        return math.nan, math.nan, math.nan
    found = np.percentile(latencies_ms, (50, 95, 99), method="inverted_cdf")
    return float(found[0]), float(found[1]), float(found[2])


def quantile(probability: float, freedom: int) -> float:
    """Of Student's t with this many degrees of freedom; exact for 1 and 2, else to about 1 % at 3."""
    if freedom <= 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        u = 2 * probability - 1
        return u * math.sqrt(2 / (1 - u * u))
    z = NormalDist().inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )  # Cornish-Fisher in powers of 1 / freedom (Abramowitz and Stegun 26.7.5)
    return z + math.fsum(term / float(freedom) ** (i + 1) for i, term in enumerate(terms))
