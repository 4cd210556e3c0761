"""Intervals hold what they say, on samples whose truth is known. `benchmarks/intervals.py` has the whole grid."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import beta, binom, hypergeom, t

from benchmarks.intervals import SHAPES
from memdb import intervals
from memdb.tuning import load

SAMPLES = 1_500
SLACK = 0.02  # of coverage: the published grid is held to it


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_of_a_mean_holds_whatever_the_shape(shape: str) -> None:
    """0.93 at least where 0.95 is said, in every cell: heavy tails, k of 100, a few queries, means near 1."""
    for k, n, mean in itertools.product((1, 100), (20, 200, 2_000), (0.5, 0.95, 0.999)):
        made = SHAPES[shape](mean, k)
        assert made.values @ made.shares == pytest.approx(mean, abs=1e-9)
        counts = np.random.default_rng([n, k]).multinomial(n, made.shares, size=SAMPLES).astype(np.float64)
        low, high = intervals.bounds(made.values, counts)
        covers = np.mean((low <= mean + 1e-9) & (mean <= high + 1e-9))
        assert covers >= 0.95 - SLACK, (k, n, mean, covers)
        assert np.mean(low > mean + 1e-9) <= 0.025 + 0.015, (k, n, mean)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("lost", [1.0, 0.5, 0.05])
def test_rare_losses_are_reckoned_with_exactly(confidence: float, lost: float) -> None:
    """Values 1 and 1 - lost: every possible sample, weighted with its probability; no simulation."""
    for n in (20, 100, 1_000):
        hits = np.arange(n + 1)
        counts = np.stack([n - hits, hits], axis=1).astype(np.float64)
        low, high = intervals.bounds(np.array([1 - lost, 1.0]), counts, confidence)
        for rare in (0.3, 1.0, 2.0, 3.0, 3.6, 5.0, 10.0):  # expected among n
            mean, chance = 1 - lost * rare / n, binom.pmf(hits, n, 1 - rare / n)
            assert chance @ (low > mean + 1e-9) <= (1 - confidence) / 2 + 1e-3, (n, rare)
            assert chance @ (high < mean - 1e-9) <= (1 - confidence) / 2 + 1e-3, (n, rare)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_of_zeros_and_ones_it_is_clopper_and_pearson(confidence: float) -> None:
    for n, hits in ((1, 1), (7, 3), (50, 49), (50, 50), (1_000, 997), (1_000, 0)):
        values = np.r_[np.ones(hits), np.zeros(n - hits)]
        found, exact = intervals.mean(values, confidence), intervals.share(hits, n, confidence)
        tail = (1 - confidence) / 2
        # The probability below each end, by SciPy's own beta: what was asked, to 6 %, and on the safe side.
        if hits:
            below = beta.cdf(found.low, hits, n - hits + 1)
            assert 0.92 * tail <= below <= 1.001 * tail
            assert beta.cdf(exact.low, hits, n - hits + 1) == pytest.approx(tail)
        if hits < n:
            above = beta.sf(found.high, hits + 1, n - hits)
            assert 0.92 * tail <= above <= 1.001 * tail
            assert beta.sf(exact.high, hits + 1, n - hits) == pytest.approx(tail)


@pytest.mark.long
def test_many_different_values_against_drawn_weights() -> None:
    """The bound is a quantile of a mean with random weights: here 100,000 of them are drawn."""
    random = np.random.default_rng(0)
    for n in (3, 40, 400):
        values = random.beta(9, 1, size=n)
        weights = random.standard_exponential((100_000, n + 1))
        drawn = (weights[:, :n] @ values) / weights.sum(axis=1)
        for confidence in (0.8, 0.95):
            low = intervals.mean(values, confidence).low
            assert np.mean(drawn <= low) == pytest.approx((1 - confidence) / 2, rel=0.08)


def test_of_many_it_is_as_narrow_as_student() -> None:
    values = np.random.default_rng(1).beta(8, 2, size=20_000)
    found = intervals.mean(values)
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    assert (found.high - found.low) / (2 * half) == pytest.approx(1, abs=0.04)
    assert found.mean == pytest.approx(values.mean())


@pytest.mark.parametrize("q", [1, 2, 50, 1_000])
def test_a_perfect_sample_proves_no_perfection(q: int) -> None:
    found = intervals.mean(np.ones(q))
    assert found.mean == found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / q), rel=0.06)
    none = intervals.mean(np.zeros(q))
    assert (none.mean, none.low, none.high) == (0.0, 0.0, pytest.approx(1 - found.low))


def test_bounds_lie_around_the_mean_and_more_queries_narrow_them() -> None:
    row = np.random.default_rng(4).binomial(10, 0.97, size=1_000) / 10
    few, many, surer = intervals.mean(row[:100]), intervals.mean(row), intervals.mean(row, 0.99)
    for found in (few, many, surer):
        assert 0 <= found.low <= found.mean <= found.high <= 1
    assert many.high - many.low < few.high - few.low
    assert surer.low < many.low
    assert surer.high > many.high
    nothing = intervals.mean(np.empty(0))
    assert (math.isnan(nothing.mean), nothing.low, nothing.high) == (True, 0.0, 1.0)


@pytest.mark.long
def test_pairs_cover_and_are_sharper() -> None:
    random = np.random.default_rng(5)
    covered, narrower = 0, 0
    for _ in range(150):
        each = random.beta(18, 2, size=600)  # what is hard for one EF is hard for the next
        b = random.binomial(10, each) / 10
        a = np.minimum(1, b + random.binomial(1, 0.1, size=600) * 0.1 * (b < 1))
        truth = 0.01 * (1 - np.mean(each[:, None] ** 10))
        pair, apart = intervals.paired(a, b), intervals.unpaired(a, b)
        assert pair.mean == pytest.approx(np.mean(a - b))
        covered += pair.low <= truth <= pair.high
        narrower += pair.high - pair.low < apart.high - apart.low
    assert covered / 150 >= 0.93
    assert narrower == 150
    rows = np.random.default_rng(3).choice([0.0, 0.3, 0.9, 1.0], (4, 60))
    for row, made in zip(rows, intervals.means(rows, 0.9), strict=True):
        alone = intervals.mean(row, 0.9)
        assert (made.mean, made.low, made.high) == pytest.approx(
            (alone.mean, alone.low, alone.high), abs=1e-9
        )


def test_two_equal_samples_may_still_differ() -> None:
    same = intervals.paired(np.ones(50), np.ones(50))
    assert same.mean == 0
    # A query that one of them misses wholly can be one in 14 and still be absent from 50, once in 40 times.
    assert same.low == pytest.approx(0.025 ** (1 / 50) - 1, rel=0.06)
    assert same.high == pytest.approx(-same.low)


@pytest.mark.parametrize(
    ("population", "drawn"), [(30, 5), (30, 29), (1_000, 20), (1_000, 700), (1_000, 999)]
)
def test_shares_of_a_population_hold(population: int, drawn: int) -> None:
    found = [intervals.share(hits, drawn, population=population) for hits in range(drawn + 1)]
    assert intervals.share(drawn, drawn, population=drawn).low == 1.0
    for marked in {0, 1, 2, 5, population // 7, population // 2, population - 1, population}:
        chances = hypergeom.pmf(np.arange(drawn + 1), population, marked, drawn)
        truth = marked / population
        held = [one.low - 1e-9 <= truth <= one.high + 1e-9 for one in found]
        assert chances @ held >= 0.95, marked


def noise(kind: str, n: int, random: np.random.Generator) -> np.ndarray:
    """(n,) of deviation 1, or the sum of such steps for "walk"."""
    white = random.normal(size=n)
    if kind == "walk":
        return np.cumsum(white)
    memory = float(kind)
    start = random.normal()
    return np.asarray(lfilter([1], [1, -memory], white * math.sqrt(1 - memory**2), zi=[memory * start])[0])


@pytest.mark.parametrize("kind", ["0", "0.5", "0.9", "0.97", "0.99", "0.998", "walk"])
@pytest.mark.parametrize("jitter", [0.0, 2.0])
def test_growth_holds_under_noise_that_remembers(kind: str, jitter: float) -> None:
    random = np.random.default_rng(3)
    for n in (12, 60, 600):
        times, covered = np.arange(n) * 2.0, 0
        for _ in range(500):
            values = 1e6 * (noise(kind, n, random) + jitter * random.normal(size=n)) + 500 * times + 1e9
            found = intervals.growth(times, values)
            covered += found.low <= 500 <= found.high
        assert covered / 500 >= 0.92, n  # 0.95 less three times what 500 draws leave open


def test_growth_of_a_line_is_exact_and_gaps_in_time_do_not_matter() -> None:
    times = np.r_[np.arange(0, 60, 2.0), np.arange(400, 460, 2.0)]
    found = intervals.growth(times, 7 * times + 3)
    assert (found.mean, found.low, found.high) == (pytest.approx(7), pytest.approx(7), pytest.approx(7))
    spiked = 7 * times + 3
    spiked[[4, 33]] = 1e9  # one sample of a piece moves its median hardly
    assert intervals.growth(times, spiked).mean == pytest.approx(7, rel=0.02)


def test_totals_of_a_sample() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    half = t.ppf(0.975, 3) * np.std(values, ddof=1) / 2 * math.sqrt(1 - 4 / 100) * 100
    assert intervals.total_within(values, 100) == pytest.approx(half)
    assert intervals.total_within(values, 4) == 0.0
    assert intervals.total_within([1.0], 5) is None


def test_percentiles_are_values_that_were_measured() -> None:
    assert load.percentiles(np.arange(1.0, 101.0)) == (50.0, 95.0, 99.0)
    assert all(math.isnan(p) for p in load.percentiles(np.empty(0)))


@pytest.mark.parametrize("expected", [0.4, 2.0, 8.0, 60.0])
def test_rare_events_are_within_their_interval(expected: float) -> None:
    step, holds = 0.01, 0.0
    for count in range(200):
        probability = math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
        band = intervals.rare(count * step, count * step * step, step)
        holds += probability * (band.low <= expected * step <= band.high)
    assert holds > 0.9
    assert holds < 0.985 or expected < 1  # of few events every interval that reaches 0 holds
    none = intervals.rare(0.0, 0.0, step)
    assert (none.low, none.mean) == (0, 0)
    # As many events as its end says would have shown themselves in 86 of 100 cases.
    assert math.exp(-none.high / step) < 0.14
