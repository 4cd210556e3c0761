"""Which EF is measured next and which is recommended, on curves whose truth is known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from memdb import intervals
from memdb.intervals import Interval
from memdb.tuning import decide
from memdb.tuning.estimate import Estimate
from memdb.tuning.run import Definition, EfPoint, Goal, SweepRequest, Uncertainty
from tests.unit.tune_run import run as some_run

HNSW = Definition("HNSW", "FLOAT32", 8, "L2", 16, 200)


def point(ef: int, recalls: np.ndarray, p99_ms: float = 1.0, short: int = 0) -> EfPoint:
    band = intervals.mean(recalls)
    empty = np.empty((len(recalls), 0))
    return EfPoint(
        ef,
        band.mean,
        band.low,
        band.high,
        p99_ms / 2,
        p99_ms,
        p99_ms,
        300,
        ((8, 100.0),),
        short,
        recalls.astype(np.float32),
        empty.astype(np.int16),
        empty.astype(np.float32),
        np.zeros(len(recalls), np.int16),
        np.full(300, p99_ms, np.float32),
        0.1,
    )


def search(measure: Callable[[int], EfPoint], request: SweepRequest, queries: int) -> dict[int, EfPoint]:
    """What the sweep does, without a server."""
    steps = decide.ladder(request.ef_min, request.ef_max, queries)
    points = {ef: measure(ef) for ef in decide.first_values(steps)}
    while True:
        ef = decide.next_value(
            steps,
            {e: p.recall for e, p in points.items()},
            {e: decide.meets(p, request.goal) for e, p in points.items()},
            request.goal.kind,
        )
        if ef is None:
            return points
        assert ef not in points
        points[ef] = measure(ef)


@pytest.mark.parametrize(("low", "high"), [(10, 512), (1, 4096), (10, 10), (10, 11), (100, 640), (1, 3)])
@pytest.mark.parametrize("queries", [50, 5_000])
def test_the_ladder_has_its_ends_and_even_steps(low: int, high: int, queries: int) -> None:
    steps = decide.ladder(low, high, queries)
    assert (steps[0], steps[-1]) == (low, high)
    assert list(steps) == sorted(set(steps))
    assert all(b / a <= 2 for a, b in pairwise(steps))
    assert set(decide.first_values(steps)) <= set(steps)
    assert {low, high} <= set(decide.first_values(steps))


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95, 0.98])
def test_the_boundary_is_found_in_few_measurements(target: float) -> None:
    request = SweepRequest("i", goal=Goal("recall", target), ef_min=10, ef_max=640)
    steps = decide.ladder(10, 640, 2_000)

    def measure(ef: int) -> EfPoint:
        truth = 1 - 0.4 * (10 / ef) ** 0.9
        share = truth * 10 - math.floor(truth * 10)
        recalls = np.full(2_000, math.floor(truth * 10) / 10)
        recalls[: round(share * 2_000)] += 0.1
        return point(ef, recalls)

    points = search(measure, request, 2_000)
    assert len(points) <= 10
    every = {ef: measure(ef) for ef in steps}
    cheapest = min(ef for ef, p in every.items() if decide.meets(p, request.goal))
    found = decide.recommend(
        sorted(points.values(), key=lambda p: p.ef_runtime), request, HNSW, ef_limit=4096
    )
    assert found is not None
    assert found.met
    assert found.ef_runtime == cheapest
    assert found.low >= target
    assert str(cheapest) in found.sentence
    assert "95 %" in found.sentence


@pytest.mark.long
def test_a_setting_that_misses_is_rarely_recommended() -> None:
    """However many EF are looked at, the chance to recommend one whose true recall misses stays small."""
    random = np.random.default_rng(0)
    request = SweepRequest("i", goal=Goal("recall", 0.95), ef_min=10, ef_max=640)
    steps = decide.ladder(10, 640, 300)
    # Half of the ladder lies just below the target, the worst case for looking often.
    truth = {ef: 0.949 if i < len(steps) // 2 else 0.99 for i, ef in enumerate(steps)}
    wrong = 0
    for _ in range(150):
        hard = random.beta(1, 1, size=300)  # the same queries are hard at every EF

        def measure(ef: int, hard: np.ndarray = hard) -> EfPoint:
            miss = (1 - truth[ef]) * 2 * hard
            return point(ef, random.binomial(10, 1 - miss) / 10)

        best = decide.chosen(tuple(search(measure, request, 300).values()), request.goal)
        wrong += best is not None and truth[best.ef_runtime] < 0.95
    assert wrong / 150 <= 0.05


def test_where_no_setting_meets_the_target_it_is_told_what_would() -> None:
    request = SweepRequest("i", goal=Goal("recall", 0.99), ef_max=100)
    rising = [point(10, np.full(500, 0.5)), point(100, np.full(500, 0.9), short=3)]
    found = decide.recommend(rising, request, HNSW, ef_limit=4096)
    assert found is not None
    assert (found.met, found.ef_runtime) == (False, None)
    assert "No EF_RUNTIME from 10 to 100" in found.sentence
    reasons = " ".join(found.reasons)
    for said in (
        "still rises at 100",
        "4,096",
        "M (now 16)",
        "EF_CONSTRUCTION (now 200)",
        "3 queries came back",
    ):
        assert said in reasons
    near = [point(10, np.r_[np.ones(38), np.full(12, 0.97)])]
    told = decide.recommend(near, request, HNSW, ef_limit=4096)
    assert told is not None
    assert not told.met
    assert "queries would tell" in " ".join(told.reasons)
    assert decide.recommend([], request, HNSW, ef_limit=4096) is None


def test_a_plan_that_is_exact_is_said() -> None:
    request = SweepRequest("i", goal=Goal("recall", 0.9))
    flat = [point(ef, np.ones(200)) for ef in (10, 512)]
    found = decide.recommend(flat, request, HNSW, ef_limit=4096, plan_words="Brute force.", plan_exact=True)
    assert found is not None
    assert found.sentence == "EF_RUNTIME does not matter under this filter: exact by brute force."
    assert (found.ef_runtime, found.recall, found.low, found.high, found.met) == (None, 1.0, 1.0, 1.0, True)
    assert "Brute force." in found.reasons
    assert "200 queries answered, each exactly" in found.reasons[0]
    # One miss, and it is no such thing: documents may have changed meanwhile.
    off = [point(10, np.r_[np.ones(199), 0.9]), point(512, np.ones(200))]
    told = decide.recommend(off, request, HNSW, ef_limit=4096, plan_exact=True)
    assert told is not None
    assert told.ef_runtime == 10


@pytest.mark.parametrize(
    ("ef", "said"), [(5, "below K the engine uses K"), (10, "below K"), (40, "from 10 to it")]
)
def test_no_setting_below_k_is_held_out(ef: int, said: str) -> None:
    request = SweepRequest("i", k=10, goal=Goal("recall", 0.9))
    told = decide.recommend([point(ef, np.ones(200))], request, HNSW, ef_limit=4096)
    assert told is not None
    assert any(said in reason for reason in told.reasons)


def test_a_latency_target_takes_the_best_recall_within_it() -> None:
    request = SweepRequest("i", goal=Goal("p99_ms", 5.0))
    points = [point(ef, np.full(200, 0.8 + ef / 1000), p99_ms=ef / 20) for ef in (10, 50, 100, 150)]
    found = decide.recommend(points, request, HNSW, ef_limit=4096)
    assert found is not None
    assert found.ef_runtime == 100
    missed = decide.recommend(points, SweepRequest("i", goal=Goal("p99_ms", 0.1)), HNSW, ef_limit=4096)
    assert missed is not None
    assert not missed.met
    assert "0.50 ms" in missed.sentence


@pytest.mark.parametrize(
    ("goal", "ef"), [(Goal("p99_ms", 0.1), 10), (Goal("recall", 0.999), 40), (Goal("recall", 0.9), 10)]
)
def test_what_the_sentence_is_about_is_what_the_numbers_beside_it_are_of(goal: Goal, ef: int) -> None:
    """160 is measured, and no better than 40: neither the fastest nor the cheapest of the best."""
    recalls = {10: 0.97, 40: 0.99, 160: 0.99}
    points = tuple(point(each, np.full(500, recall), p99_ms=each / 20) for each, recall in recalls.items())
    request = SweepRequest("i", goal=goal)
    verdict = decide.recommend(points, request, HNSW, ef_limit=4096)
    assert verdict is not None
    assert str(ef) in re.findall(r"(?:the best|the fastest|^EF_RUNTIME),? (\d+)", verdict.sentence)
    concluded = some_run(points=points, request=request, recommendation=verdict).concluded
    assert concluded is not None
    assert concluded.ef_runtime == ef
    assert some_run(points=(), request=request, recommendation=None).concluded is None


def test_more_queries_are_wanted_only_where_they_could_help() -> None:
    goal = Goal("recall", 0.9)
    open_ = [point(10, np.r_[np.full(15, 1.0), np.full(5, 0.7)]), point(100, np.ones(100))]
    assert open_[0].recall >= 0.9 > open_[0].low
    assert decide.left_open(open_, goal)
    assert not decide.left_open([point(10, np.full(50, 0.5)), open_[1]], goal)
    assert not decide.left_open(open_, Goal("p99_ms", 5))


def test_a_larger_sample_is_wanted_only_where_what_the_reference_misses_hides_the_answer() -> None:
    """The cheaper setting: 0.955, of which the queries leave 0.005 open and what may be unseen 0.01 or 0.001."""
    goal = Goal("recall", 0.945)

    def points(queries: float, sample: float) -> list[EfPoint]:
        hits = Interval(0.96, 0.96 - queries, 0.96 + queries)
        both = math.hypot(queries, sample)
        made = Estimate(
            Interval(0.955, 0.955 - both, 0.955 + both), hits, Interval(0.005, 0.0, 0.005 + sample)
        )
        cheap = replace(point(20, np.ones(9)), recall=0.955, low=made.recall.low, estimate=made)
        return [cheap, replace(point(40, np.ones(9)), recall=0.99, low=0.98)]

    assert decide.hidden(points(0.005, 0.01), goal)
    assert not decide.hidden(points(0.005, 0.001), goal)  # shown as it is
    assert not decide.hidden(points(0.015, 0.01), goal)  # more queries are what it takes
    assert not decide.hidden(points(0.005, 0.01), Goal("recall", 0.96))
    assert not decide.hidden(points(0.005, 0.01), Goal("p99_ms", 5))
    assert not decide.hidden(points(0.005, 0.01), goal, Uncertainty(0.3, 0.3))  # nor does a sample tell that


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("target", [0.5, 0.9, 0.99, 0.999])
def test_how_many_perfect_answers_show_a_recall(target: float, confidence: float) -> None:
    needed = decide.queries_for(target, confidence)
    # One query in so many that finds nothing must not be overlooked more often than the confidence allows.
    assert needed == pytest.approx(math.log((1 - confidence) / 2) / math.log(target), rel=0.03, abs=2)
    assert intervals.mean(np.ones(needed), confidence).low >= target
    assert intervals.mean(np.ones(needed - 1), confidence).low < target
    assert decide.queries_for(1.0) == 0


@pytest.mark.parametrize("target", [0.9, 0.95, 0.96])
def test_how_many_queries_like_these_would_tell(target: float) -> None:
    recalls = np.r_[np.ones(75), np.full(20, 0.9), np.full(5, 0.8)]  # mean 0.97
    needed = decide.queries_to_tell(recalls, target)
    assert needed is not None
    many = np.tile(recalls, math.ceil(needed / 100))
    assert intervals.mean(many, 0.95).low >= target
    # A tenth fewer, by weights: at as many as this the interval must not hold yet.
    values, shares = np.unique(recalls, return_counts=True)
    low, _ = intervals.bounds(values, shares[None] * (0.9 * needed / 100), 0.95)
    assert low[0] < target
    assert decide.queries_to_tell(recalls, float(recalls.mean())) is None
    assert decide.queries_to_tell(np.ones(30), 0.999) == pytest.approx(decide.queries_for(0.999), rel=0.04)
