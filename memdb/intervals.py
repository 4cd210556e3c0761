"""Every interval the product shows: of a mean, a difference, a share, a total, a growth. Pure.

docs/decisions/0010 says why these and how they were chosen; `python -m benchmarks.intervals` shows how often
they hold the truth, and how wide they are beside others. SciPy's functions are imported where they are used:
every page and every command imports this, and scipy.special takes 0.2 s (scipy.stats has the same, and more).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating]
Doubles = NDArray[np.float64]

# Of growth: pieces of the time. Fewer leave Student's t too few, more make the interval of plain noise wide.
PIECES = 6
# Means of pieces of a random walk step by 2/3 of the variance with which their sum spreads.
_WALK = 1.5
_HALVINGS = 36
_PRIOR = 1 / 3  # Kerman's neutral one, of a Poisson number: as often too high as too low
_TINY = 1e-30  # keeps a variance of zero from being divided by


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval that holds the true one with the asked confidence."""

    mean: float
    low: float
    high: float


def mean(values: Numbers, confidence: float = 0.95, *, least: float = 0.0, most: float = 1.0) -> Interval:
    """The mean of all that the values are a sample of, whatever their distribution.

    Gaffke's bounds: what the mean could be if one more value had been drawn, the least possible for the lower
    end and the largest for the upper, and every value had a random weight (uniform on the simplex). Of zeros
    and ones that is Clopper and Pearson's interval; of many values it is as narrow as Student's.

    Args:
        values: (n,) each in [least, most], drawn independently; n may be 0.
        confidence: two-sided, in (0, 1); each end errs in half of the rest.
        least: no value can be smaller.
        most: no value can be larger.

    Returns:
        Interval within [least, most] around the mean of the values; NaN and the whole range of no values.
    """
    if not len(values):
        return Interval(math.nan, least, most)
    scaled = np.clip((np.asarray(values, np.float64) - least) / (most - least), 0.0, 1.0)
    distinct, counts = np.unique(scaled, return_counts=True)
    low, high = bounds(distinct, counts[None, :].astype(np.float64), confidence)
    average = float(np.mean(scaled))
    low_end, high_end = min(float(low[0]), average), max(float(high[0]), average)
    span = most - least
    return Interval(least + span * average, least + span * low_end, least + span * high_end)


def means(values: Doubles, confidence: float = 0.95) -> tuple[Interval, ...]:
    """`mean` of each row of (s, n), in [0, 1]; all at once, which is as many times as fast."""
    clipped = np.clip(values, 0.0, 1.0)
    distinct, places = np.unique(clipped, return_inverse=True)
    places = places.reshape(clipped.shape)
    counts = np.stack([np.bincount(row, minlength=len(distinct)) for row in places]).astype(np.float64)
    low, high = bounds(distinct, counts, confidence)
    rows = zip(clipped.mean(axis=1).tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(Interval(each, min(below, each), max(above, each)) for each, below, above in rows)


def bounds(values: Doubles, counts: Doubles, confidence: float = 0.95) -> tuple[Doubles, Doubles]:
    """Both ends of `mean` for many samples at once.

    Args:
        values: (v,) the distinct values in [0, 1].
        counts: (samples, v) how often each occurs; may be fractions, a sample holds one at least.
        confidence: two-sided.

    Returns:
        ((samples,), (samples,)): lower and upper ends.
    """
    tail = (1 - confidence) / 2
    nonzero = counts.any(axis=0)
    values, counts = values[nonzero], counts[:, nonzero]
    return _lowest(values, counts, tail), 1 - _lowest(1 - values, counts, tail)


def _lowest(values: Doubles, counts: Doubles, tail: float) -> Doubles:
    """(samples,) what the weighted mean of the values and one zero falls below with probability `tail`.

    The mean of weights D is below t where the sum of G (z - t) is below zero, G being independent gammas: its
    probability by Lugannani and Rice's saddlepoint formula, exact to 4 % of `tail` and on the safe side where
    it is compared with Clopper and Pearson's (tests/unit/test_intervals.py). With r = s / (1 + s t) for the
    saddlepoint s, t follows from r without solving anything, so that only r is searched for.
    """
    from scipy.special import ndtr

    z = np.concatenate([[0.0], values])
    c = np.concatenate([np.ones((len(counts), 1)), counts], axis=1)
    total = c.sum(axis=1)
    near, far = np.full(len(c), -14.0), np.full(len(c), 30.0)  # of log(-r)
    t = np.zeros(len(c))
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        r = -np.exp(middle)
        tilt = 1 / (1 - r[:, None] * z)
        weights = c * tilt
        t = weights @ z / weights.sum(axis=1)
        cumulant = total * np.log1p(-r * t) - (c * np.log1p(-r[:, None] * z)).sum(axis=1)
        second = (c * ((z - t[:, None]) * tilt) ** 2).sum(axis=1)
        w = -np.sqrt(np.maximum(-2 * cumulant, _TINY))
        u = r * np.sqrt(np.maximum(second, _TINY))
        probability = ndtr(w) + np.exp(-w * w / 2) / math.sqrt(2 * math.pi) * (1 / w - 1 / u)
        above = probability > tail
        near, far = np.where(above, middle, near), np.where(above, far, middle)
    return t


def paired(a: Numbers, b: Numbers, confidence: float = 0.95) -> Interval:
    """Mean of a - b over the same queries; (n,) each in [0, 1].

    What all queries share cancels out, so that small differences show.
    """
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return mean(difference, confidence, least=-1.0, most=1.0)


def unpaired(a: Numbers, b: Numbers, confidence: float = 0.95) -> Interval:
    """Mean of a (n,) less mean of b (m,), in [0, 1], of different queries: Newcombe's interval of the two."""
    first, second = mean(a, confidence), mean(b, confidence)
    difference = first.mean - second.mean
    low = difference - math.hypot(first.mean - first.low, second.high - second.mean)
    high = difference + math.hypot(first.high - first.mean, second.mean - second.low)
    return Interval(difference, low, high)


def share(hits: int, drawn: int, confidence: float = 0.95, *, population: int | None = None) -> Interval:
    """A share of which `hits` of `drawn` were seen, by Clopper and Pearson; (0, 1) where nothing was drawn.

    Args:
        hits: of those drawn.
        drawn: independently, or without putting back where a population is given.
        confidence: two-sided.
        population: how many there are: what was drawn is known, so that only the rest is uncertain.
    """
    if not drawn:
        return Interval(math.nan, 0.0, 1.0)
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, drawn - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, drawn - hits, 1 - tail)) if hits < drawn else 1.0
    observed = hits / drawn
    if population is None:
        return Interval(observed, low, high)
    unseen = math.sqrt(max(0.0, 1 - drawn / population))
    fewest = math.floor((observed - (observed - low) * unseen) * population)  # whole things
    largest = math.ceil((observed + (high - observed) * unseen) * population)
    return Interval(observed, fewest / population, min(1.0, largest / population))


def rare(total: float, variance: float, least: float, confidence: float = 0.95) -> Interval:
    """A total of rare events that all count alike: a Poisson number of them with a neutral prior.

    Args:
        total: what was estimated, 0 or more.
        variance: of the estimate; how many events these are is `total`² by it.
        least: what one event counts, where none was seen.
        confidence: two-sided.

    Returns:
        Interval that is 0 to a bound where nothing was seen, and as wide as a normal one of many events.
    """
    from scipy.special import gammaincinv

    tail = (1 - confidence) / 2
    events = total * total / variance if variance > 0 else total / least if least else 0.0
    step = total / events if events > 0 else least
    low = step * float(gammaincinv(events + _PRIOR, tail)) if events > 0 else 0.0
    return Interval(total, min(low, total), max(step * float(gammaincinv(events + _PRIOR, 1 - tail)), total))


def total_within(values: Sequence[float], population: int, confidence: float = 0.95) -> float | None:
    """Half of the interval of a total over `population` things of which the values are a random sample.

    Student's t with the correction for a finite population: 0 where the sample is all of it, None where one
    value cannot tell. Sizes have no largest possible value, so that nothing is said of rare large ones that
    were not drawn.
    """
    n = len(values)
    if n >= population:
        return 0.0
    if n < 2:
        return None
    from scipy.special import stdtrit

    spread = float(np.std(np.asarray(values, np.float64), ddof=1))
    factor = float(stdtrit(n - 1, 0.5 + confidence / 2)) * math.sqrt((1 - n / population) / n)
    return spread * factor * population


def growth(times: Doubles, values: Doubles, confidence: float = 0.95) -> Interval:
    """Change of a value for each unit of time, under noise that may remember anything up to all of its past.

    The medians of six equal pieces, and how unequal the five steps between them are: as if the noise were a
    random walk, the worst that does not itself drift. Plain noise gets an interval five times as wide as need
    be.

    Args:
        times: (n,) ascending, at least PIECES.
        values: (n,) finite.
        confidence: two-sided.
    """
    from scipy.special import stdtrit

    pieces = np.array_split(np.arange(len(times)), PIECES)
    at = np.array([times[piece].mean() for piece in pieces])
    level = np.array([np.median(values[piece]) for piece in pieces])
    passed, changed = np.diff(at), np.diff(level)
    slope = float(changed.sum() / passed.sum())
    variance = _WALK * float(((changed - slope * passed) ** 2 / passed).sum()) / (PIECES - 2)
    half = float(stdtrit(PIECES - 2, 0.5 + confidence / 2)) * math.sqrt(variance / float(passed.sum()))
    return Interval(slope, slope - half, slope + half)
