"""Intervals cover what they say, on samples whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from memdb.tuning import stats

MEANS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
SIZES = (50, 100, 200, 500, 1_000)
SPREADS = (0.05, 0.1, 0.2)  # how much the neighbours of one query share their fate (beta-binomial)
REPEATS = 600


def samples(mean: float, k: int, spread: float, q: int, repeats: int, seed: int) -> np.ndarray:
    """(repeats, q) recalls of q queries, each j / k, with a true mean of `mean`."""
    random = np.random.default_rng(seed)
    weight = 1 / spread - 1
    each = random.beta(mean * weight, (1 - mean) * weight, size=(repeats, q))
    return random.binomial(k, each) / k


def coverage(mean: float, k: int, spread: float, q: int, seed: int) -> float:
    found = [stats.interval(row, k) for row in samples(mean, k, spread, q, REPEATS, seed)]
    return sum(i.low <= mean <= i.high for i in found) / REPEATS


def test_the_interval_covers_as_often_as_it_says() -> None:
    """95 % ± 2 points over all regimes together and in each regime's average.

    A single cell may be above: where a sample holds only a handful of misses, an interval can only take a few
    values, and then the choice is to cover too often rather than too rarely.
    """
    found = {
        cell: coverage(cell[0], 10, cell[1], cell[2], seed)
        for seed, cell in enumerate(itertools.product(MEANS, SPREADS, SIZES))
    }
    assert abs(np.mean(list(found.values())) - 0.95) <= 0.02
    for place, values in ((0, MEANS), (1, SPREADS), (2, SIZES)):
        for value in values:
            average = np.mean([c for cell, c in found.items() if cell[place] == value])
            assert 0.93 <= average <= 0.98, (value, average)
    noise = 3 * math.sqrt(0.95 * 0.05 / REPEATS)
    rich = {cell: c for cell, c in found.items() if cell[2] * (1 - cell[0]) >= 10}
    assert len(rich) > 30
    for cell, c in rich.items():
        assert 0.93 - noise <= c <= 0.97 + noise, (cell, c)
    for cell, c in found.items():
        assert c >= 0.90, (cell, c)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_other_confidences(confidence: float) -> None:
    rows = samples(0.95, 10, 0.1, 300, 1_500, 3)
    covered = np.mean([i.low <= 0.95 <= i.high for i in (stats.interval(r, 10, confidence) for r in rows)])
    assert covered == pytest.approx(confidence, abs=0.02)


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("q", [1, 2, 50, 1_000])
def test_a_perfect_sample_proves_no_perfection(k: int, q: int) -> None:
    found = stats.interval(np.ones(q), k)
    assert found.mean == found.high == 1.0
    assert 0 <= found.low < 1.0
    none = stats.interval(np.zeros(q), k)
    assert none.mean == none.low == 0.0
    assert 0 < none.high <= 1.0


def test_bounds_lie_around_the_mean_and_more_queries_narrow_them() -> None:
    row = samples(0.97, 10, 0.1, 1_000, 1, 4)[0]
    few, many = stats.interval(row[:100], 10), stats.interval(row, 10)
    for found in (few, many):
        assert 0 <= found.low <= found.mean <= found.high <= 1
    assert many.high - many.low < few.high - few.low
    assert math.isnan(stats.interval(np.empty(0), 10).mean)


def test_pairs_cover_and_are_sharper() -> None:
    random = np.random.default_rng(5)
    covered, narrower = 0, 0
    for _ in range(500):
        each = random.beta(18, 2, size=300)  # what is hard for one EF is hard for the next
        b = random.binomial(10, each) / 10
        a = np.minimum(1, b + random.binomial(1, 0.1, size=300) * 0.1 * (b < 1))
        truth = 0.01 * (1 - np.mean(each[:, None] ** 10))
        pair, apart = stats.paired(a, b, 10), stats.unpaired(a, b, 10)
        covered += pair.low <= truth <= pair.high
        narrower += pair.high - pair.low < apart.high - apart.low
    assert covered / 500 == pytest.approx(0.95, abs=0.03)
    assert narrower == 500


def test_two_equal_samples_may_still_differ() -> None:
    same = stats.paired(np.ones(50), np.ones(50), 10)
    assert same.mean == 0
    assert -0.05 < same.low < 0 < same.high < 0.05


def test_how_many_queries_it_takes() -> None:
    for target, k in itertools.product((0.9, 0.95, 0.99, 0.999), (1, 10, 100)):
        needed = stats.queries_for(target, k)
        assert stats.interval(np.ones(needed), k).low >= target
        assert stats.interval(np.ones(int(needed * 0.8)), k).low < target
    row = samples(0.97, 10, 0.1, 100, 1, 6)[0]
    needed = stats.queries_to_tell(row, 0.95, 10)
    assert needed is not None
    assert stats.interval(np.resize(row, needed + 200), 10).low >= 0.95
    assert stats.queries_to_tell(row, 0.99, 10) is None


def test_quantiles_are_students() -> None:
    # scipy.stats.t.ppf(0.975, ·)
    for freedom, value in ((1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (30, 2.0423), (1000, 1.9623)):
        assert stats.quantile(0.975, freedom) == pytest.approx(value, rel=2e-3)


def test_percentiles_are_values_that_were_measured() -> None:
    found = stats.percentiles(np.arange(1.0, 101.0))
    assert found == (50.0, 95.0, 99.0)
    assert all(math.isnan(p) for p in stats.percentiles(np.empty(0)))
