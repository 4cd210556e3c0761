"""More than the mean of a run: counted by hand, and on runs whose best rule is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from memdb.tuning.run import EfPoint, Recommendation, Run, Truth
from memdb.tuning.source import Given
from memdb.tuning.spread import distance_ratios, needs, spread, two_stage
from tests.unit.tune_run import run as small_run


def test_shares_worst_tenth_and_ratio_are_those_counted_by_hand() -> None:
    run = small_run()
    run = replace(run, definition=replace(run.definition, metric="COSINE"))
    # Recalls at 10: 1, 2/3, 1/3, 1, 0.
    made = spread(run, run.points[0], 0.6)
    assert made.reach_bound.mean == pytest.approx(3 / 5)
    assert made.perfect.mean == pytest.approx(2 / 5)
    assert made.reach_bound.low < 3 / 5 < made.reach_bound.high
    assert made.worst == 0  # the worst tenth of five is one query
    # Returned by exact: 0.6/0.6, 0.95/0.6, 0.6/0.3 of two, 0.6/0.6, 2.2/0.6.
    ratios = [1, 0.95 / 0.6, 2, 1, 2.2 / 0.6]
    np.testing.assert_allclose(distance_ratios(run, run.points[0]), ratios, rtol=1e-6)
    assert made.distance_ratio == pytest.approx(np.mean(ratios))
    assert made.missed_ratio == pytest.approx(np.mean([ratios[1], ratios[2], ratios[4]]))
    # Of squared distances the roots count; inner products have no ratio.
    square = replace(run, definition=replace(run.definition, metric="L2"))
    expected = np.sqrt([0.2, 0.3, 0.45]).sum() / np.sqrt([0.1, 0.2, 0.3]).sum()
    assert distance_ratios(square, run.points[0])[1] == pytest.approx(expected, rel=1e-6)
    inner = replace(run, definition=replace(run.definition, metric="IP"))
    assert math.isnan(spread(inner, run.points[0]).distance_ratio)


def test_copies_of_the_query_have_no_ratio_but_their_recall_counts() -> None:
    run = small_run()
    zero = replace(run, truth=Truth(run.truth.keys, np.zeros((5, 3)), 100, 0.1))
    assert np.isnan(distance_ratios(zero, run.points[0])).all()
    made = spread(zero, run.points[0])
    assert math.isnan(made.distance_ratio)
    assert made.perfect.mean == pytest.approx(2 / 5)


def test_the_ef_each_query_needs_is_where_it_stays_right() -> None:
    run = small_run()
    # All neighbours: two at 10, query 2 at 40, query 3 at 160, query 5 never.
    made = needs(run)
    assert made is not None
    assert (made.efs, made.queries, made.never) == ((10, 40, 160), (2, 1, 1), 1)
    # Two thirds: three at 10, two at 40.
    lower = needs(run, 2 / 3)
    assert lower is not None
    assert (lower.queries, lower.never) == ((3, 2, 0), 0)
    # A query that was right at 10 and is not at 40 needs 160.
    ranks = run.points[1].ranks.copy()
    recalls = run.points[1].recalls.copy()
    recalls[0] = 2 / 3
    broken = replace(
        run, points=(run.points[0], replace(run.points[1], ranks=ranks, recalls=recalls), run.points[2])
    )
    again = needs(broken)
    assert again is not None
    assert again.queries == (1, 1, 2)
    # The oracle keeps each query's recall at 40, the recommended EF: 1, 1, 2/3, 1, 2/3 are had at 10 by two only.
    assert made.fixed_ef == 40
    assert made.fixed_ms == pytest.approx(1.5)
    assert made.oracle_ms == pytest.approx((0.5 + 1.5 + 1.5 + 0.5 + 1.5) / 5)
    assert "40 % of 5 queries get all their neighbours at EF_RUNTIME 10" in made.words[0]
    assert "20 % do not even at 160" in made.words[0]
    assert "40 for all takes 1.50 ms: at most 27 % could be saved" in made.words[1]
    assert needs(replace(run, points=run.points[:1])) is None
    rounding = replace(made, oracle_ms=made.fixed_ms * (1 - 1e-15))
    assert "at most 0 % could be saved" in rounding.words[1]


def _two_kinds(tell: bool) -> Run:
    """Four of five queries are right at 10; the rest, whose hits lie far if `tell`, need 160."""
    random = np.random.default_rng(1)
    count, k = 400, 10
    hard = random.random(count) < 0.2
    points = []
    for ef, ms in ((10, 1.0), (40, 2.0), (160, 5.0)):
        recalls = np.where(hard, {10: 0.3, 40: 0.6, 160: 1.0}[ef], 1.0).astype(np.float32)
        far = random.uniform(0.1, 0.2, (count, k)) + (hard[:, None] * 0.5 if tell else 0)
        points.append(
            EfPoint(
                ef,
                float(recalls.mean()),
                0.0,
                1.0,
                ms,
                ms,
                ms,
                100,
                (),
                0,
                recalls,
                np.where(np.arange(k) < recalls[:, None] * k, 0, -1).astype(np.int16),
                np.sort(far, axis=1).astype(np.float32),
                np.zeros(count, np.int16),
                np.full(100, ms, np.float32),
                0.1,
            )
        )
    usual = small_run()
    return replace(
        usual,
        points=tuple(points),
        queries=replace(
            usual.queries,
            vectors=np.zeros((count, 4), np.float32),
            labels=("q",) * count,
            own_keys=("",) * count,
            source=Given(),
        ),
        truth=Truth((("a",) * k,) * count, np.full((count, k), 0.1), 1_000, 0.1),
        recommendation=Recommendation(160, 1.0, 0.9, 1.0, True, "160."),
    )


def test_asking_again_where_hits_lie_far_gains_what_it_can() -> None:
    made = two_stage(_two_kinds(tell=True))
    assert made is not None
    assert (made.low_ef, made.high_ef, made.fixed_ef) == (10, 160, 160)
    assert made.again == pytest.approx(0.25, abs=0.1)
    assert made.recall > 0.98
    assert made.mean_ms == pytest.approx(1 + 5 * made.again)
    assert made.gains
    assert "less time" in made.words
    assert "recall" in made.words


def test_where_distances_tell_nothing_asking_twice_gains_nothing() -> None:
    made = two_stage(_two_kinds(tell=False))
    assert made is None or not made.gains or made.difference.low < -0.01
    run = _two_kinds(tell=True)
    assert two_stage(replace(run, points=run.points[:1])) is None
    unmeasured = tuple(replace(p, latencies_ms=np.empty(0, np.float32)) for p in run.points)
    assert two_stage(replace(run, points=unmeasured)) is None
    assert two_stage(small_run()) is None  # five queries choose no rule
