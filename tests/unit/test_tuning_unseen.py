"""Made queries: where they lie, how far, and what is not known of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memdb import intervals
from memdb.errors import Cancelled
from memdb.tuning import unseen
from memdb.tuning.run import CERTAIN, Uncertainty
from memdb.vectors.distance import prepared


def _points(count: int, dim: int, metric: str, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, dim))
    vectors = centres[random.integers(0, 20, count)] + 0.6 * random.normal(size=(count, dim))
    return prepared(vectors.astype(np.float32), metric)


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_a_made_query_lies_as_far_from_its_document_as_said(metric: str) -> None:
    everything = _points(400, 24, metric)
    ways, reach, _ = unseen.nearest_ways(everything[:50], everything, metric)
    wide = everything.astype(np.float64)
    far = np.linalg.norm(wide[:50, None] - wide[None], axis=2)
    far[np.arange(50), np.arange(50)] = np.inf
    np.testing.assert_allclose(reach, far.min(axis=1), rtol=1e-4)
    np.testing.assert_allclose(ways, everything[far.argmin(axis=1)] - everything[:50], atol=1e-6)
    lent = np.roll(np.arange(50), 1)
    made = unseen.moved(everything[:50], reach, ways[lent], 0.7, metric).astype(np.float64)
    expected = (
        wide[:50] + ways[lent] / np.linalg.norm(ways[lent], axis=1, keepdims=True) * (0.7 * reach)[:, None]
    )
    if metric == "COSINE":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_copies_and_zeros_are_no_neighbours() -> None:
    lengths = np.array(
        [
            [0.0, 0.0, 2.0, 1.0],
            [3.0, 4.0, 1e-6, 5.0],
            [0.0, 0.0, 0.0, 0.0],
            [np.nan] * 4,
            [np.nan, 2.0, 0, 7.0],
        ]
    )
    places, reach, copies = unseen.first_apart(lengths)
    assert reach.tolist() == [1.0, 3.0, 0.0, 0.0, 2.0]
    assert places[[0, 1, 4]].tolist() == [3, 0, 1]
    assert copies.tolist() == [2, 1, 4, 0, 1]
    same = np.ones((40, 8), np.float32)
    ways, reach, copies = unseen.nearest_ways(same[:5], same, "L2")
    assert not reach.any()
    assert not ways.any()
    assert (copies > 1).all()
    assert (unseen.moved(same[:5], reach, ways, 1.0, "L2") == 1).all()


def test_a_way_is_lent_by_another_and_few_are_the_beginning_of_many() -> None:
    names = [f"d{i}" for i in range(30)]
    many = unseen.lent(names * 40, names, 3)
    assert all(giver != receiver for giver, receiver in zip(many, names * 40, strict=True))
    assert unseen.lent((names * 40)[:100], names, 3) == many[:100]
    assert unseen.lent(names, names, 4) != unseen.lent(names, names, 3)
    assert unseen.lent(["a"], ["a"], 0) == ["a"]


@pytest.mark.long
@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_calibrated_queries_are_as_hard_as_documents_left_out(metric: str) -> None:
    """Against an answer of NumPy's own, on a graph that the calibration did not see."""
    everything = _points(3_000, 24, metric, seed=1)
    calibration = unseen.calibrated(everything[:1_500], metric, 8, 60, 10, 0)
    assert calibration.left_out == 1_500
    assert calibration.sample == 1_200
    assert calibration.uncertainty.too_high == pytest.approx(
        math.hypot(unseen.UNCERTAINTY.too_high, calibration.residue)
    )
    inside, outside = everything[1_000:], everything[:1_000]
    graph = unseen._graph(inside, unseen._Build(metric, 8, 60))
    graph.expansion_search = 11
    ways, reach, _ = unseen.nearest_ways(inside[:1_000], inside, metric)
    lent = np.array(unseen.lent(range(1_000), range(1_000), 5))
    made = unseen.moved(inside[:1_000], reach, ways[lent], calibration.scale, metric)
    none = np.full(1_000, -1)
    own = np.arange(1_000)
    truth = _recall(graph, outside, inside, metric, none)
    assert 0.9 < truth < 0.97
    # Two means of 1,000 queries each: they differ by up to about 0.015 by chance.
    assert _recall(graph, made, inside, metric, own) == pytest.approx(truth, abs=0.02)
    assert _recall(graph, inside[:1_000], inside, metric, own) > truth + 0.01


@pytest.mark.long
def test_under_a_filter_they_are_as_hard_as_what_it_lets_through() -> None:
    """A filter lets half of the documents through, and the others lie otherwise: what is hard for all is not for
    these."""
    random = np.random.default_rng(3)
    flat = random.normal(size=(3_000, 8)) @ random.normal(size=(8, 24))
    order = random.permutation(6_000)
    everything = np.concatenate([flat, 4 + random.normal(size=(3_000, 24))]).astype(np.float32)[order]
    passes, some = order < 3_000, everything[:3_000]
    of_all = unseen.calibrated(some, "L2", 4, 20, 10, 0)
    of_these = unseen.calibrated(some, "L2", 4, 20, 10, 0, matching=passes[:3_000])
    inside, outside = everything[1_500:], everything[:1_500][passes[:1_500]]
    graph = unseen._graph(inside, unseen._Build("L2", 4, 20))
    graph.expansion_search = 20
    own = np.flatnonzero(passes[1_500:])[:1_500]
    ways, reach, _ = unseen.nearest_ways(inside[own], inside, "L2")
    lent = np.array(unseen.lent(range(len(own)), range(len(own)), 5))
    truth = _recall(graph, outside, inside, "L2", np.full(len(outside), -1))
    flattering, made = (
        _recall(graph, unseen.moved(inside[own], reach, ways[lent], c.scale, "L2"), inside, "L2", own)
        for c in (of_all, of_these)
    )
    assert flattering > truth + 0.02
    assert made == pytest.approx(truth, abs=0.02)


@pytest.mark.long
def test_a_filter_of_few_documents_is_calibrated_with_all() -> None:
    vectors = _points(1_200, 16, "L2", seed=4)
    few = np.arange(1_200) < unseen.FEWEST_MATCHING - 1
    assert unseen.calibrated(vectors, "L2", 8, 50, 10, 0, matching=few) == unseen.calibrated(
        vectors, "L2", 8, 50, 10, 0
    )


def _recall(graph, asked: np.ndarray, inside: np.ndarray, metric: str, own: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    wide = inside.astype(np.float64)
    hits = 0
    for query, mine, found in zip(asked.astype(np.float64), own, graph.search(asked, 11).keys, strict=True):
        far = ((wide - query) ** 2).sum(axis=1) if metric == "L2" else -wide @ query
        if mine >= 0:
            far[mine] = np.inf
        true = set(np.argsort(far)[:10].tolist())
        hits += len(true & set([key for key in found.tolist() if key != mine][:10]))
    return hits / (10 * len(asked))


@pytest.mark.long
def test_the_same_sample_is_calibrated_alike_and_once() -> None:
    vectors = _points(600, 16, "L2")
    told: list[str] = []

    def report(stage: str, done: int, total: int) -> None:
        told.append(stage)

    first = unseen.calibrated(vectors, "L2", 8, 50, 10, 0, report=report)
    heard = len(told)
    assert heard > 3
    assert unseen.calibrated(vectors.copy(), "L2", 8, 50, 10, 0, report=report) == first
    assert len(told) == heard
    unseen._calibrated.cache_clear()
    assert unseen.calibrated(vectors, "L2", 8, 50, 10, 0) == first


@pytest.mark.long
def test_a_calibration_can_be_cancelled_and_is_then_computed_again() -> None:
    vectors = _points(600, 16, "L2", seed=9)

    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        unseen.calibrated(vectors, "L2", 8, 50, 10, 0, report=stop)
    assert unseen.calibrated(vectors, "L2", 8, 50, 10, 0).left_out == 600


@pytest.mark.parametrize("vectors", [np.ones((500, 4), np.float32), np.eye(120, 130, dtype=np.float32)])
@pytest.mark.parametrize("metric", ["L2", "IP"])
def test_samples_without_any_difference_end(vectors: np.ndarray, metric: str) -> None:
    calibration = unseen.calibrated(vectors, metric, 8, 50, 10, 0)
    assert unseen.SCALES[0] <= calibration.scale <= unseen.SCALES[1]
    assert math.isfinite(calibration.uncertainty.too_high)


def test_too_few_documents_are_not_calibrated_and_less_is_known() -> None:
    few = unseen.calibrated(_points(90, 16, "L2"), "L2", 8, 50, 10, 0)
    assert few == unseen.UNMEASURED
    assert few.uncertainty.too_high > unseen.UNCERTAINTY.too_high
    assert unseen.calibrated(_points(500, 16, "L2"), "L2", 8, 50, 100, 0) == unseen.UNMEASURED


def test_the_interval_holds_what_is_not_known_of_made_queries() -> None:
    recalls = np.full(400, 0.9)
    recalls[:80] = 0.7
    plain = intervals.mean(recalls, 0.95)
    assert unseen.interval(recalls, 0.95, CERTAIN) == plain
    wide = unseen.interval(recalls, 0.95, Uncertainty(0.2, 0.4))
    method = 1.959964 * 0.2 * (1 - plain.mean)
    assert wide.mean == plain.mean
    assert wide.low == pytest.approx(plain.mean - math.hypot(plain.mean - plain.low, method), abs=1e-6)
    assert wide.high == pytest.approx(plain.mean + math.hypot(plain.high - plain.mean, 2 * method), abs=1e-6)
    # However many are asked, the lower end stays below this.
    many = unseen.interval(np.tile(recalls, 500), 0.95, Uncertainty(0.2, 0.4))
    assert many.low == pytest.approx(unseen.surely(many.mean, 0.95, Uncertainty(0.2, 0.4)), abs=1e-3)
    # Where nothing is missed nothing is uncertain but what few queries leave open.
    assert unseen.interval(np.ones(400), 0.95, Uncertainty(0.2, 0.4)) == intervals.mean(np.ones(400), 0.95)
