"""Anatomy of a miss on a run worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from memdb.errors import BadInput
from memdb.tuning import misses
from memdb.tuning.run import Recommendation
from tests.unit.tune_run import EFS, run


def test_which_neighbours_were_missed_and_from_when_on_they_are_found() -> None:
    found = misses.anatomy(run(), 2, 10)
    assert [(n.rank, n.key, n.returned, n.first_ef) for n in found.neighbours] == [
        (1, "a", 1, 10),
        (2, "b", None, 40),
        (3, "c", None, 160),
    ]
    assert [n.rank for n in found.missed] == [2, 3]
    assert found.nearest_missed == 2
    assert found.found_by == 160
    assert found.neighbours[2].found_at == (False, False, True)
    assert found.efs == EFS
    assert (found.returned, found.short) == (2, 1)


def test_how_much_farther_a_hit_is() -> None:
    found = misses.anatomy(run(), 4, 10)
    assert found.worst_distance == pytest.approx(0.9)
    assert found.kth_distance == pytest.approx(0.3)
    assert found.excess == pytest.approx(2.0)
    assert found.extra_distances == pytest.approx((0.6, 0.7, 0.9))
    assert found.nearest_missed == 1
    assert found.found_by is None
    words = found.words()
    assert "3 of 3 true neighbours were missed" in words
    assert "the very nearest among them" in words
    assert "200% beyond" in words
    assert "No EF up to 160" in words


def test_a_query_that_misses_nothing() -> None:
    found = misses.anatomy(run(), 0, 10)
    assert (found.missed, found.excess, found.found_by) == ((), 0.0, 10)
    assert found.words() == "All 3 true neighbours were returned, or others as near."


def test_a_document_at_the_same_distance_is_no_miss() -> None:
    made = run()
    ranks = made.points[0].ranks.copy()
    ranks[1] = [2, 0, 1]  # another document, at the third place, stands in for the first neighbour
    point = replace(made.points[0], recalls=(ranks >= 0).mean(axis=1).astype(np.float32), ranks=ranks)
    found = misses.anatomy(replace(made, points=(point, *made.points[1:])), 1, 10)
    assert found.words() == "All 3 true neighbours were returned, or others as near."
    assert (found.missed, found.extra_distances, found.excess) == ((), (), 0.0)


def test_the_excess_has_no_fixed_tolerance() -> None:
    """Squared distances of 1e-8 are told apart like those of 1."""
    made = run()
    small = replace(
        made,
        truth=replace(made.truth, distances=made.truth.distances * 1e-8),
        points=tuple(
            replace(p, hit_distances=(p.hit_distances * 1e-8).astype(np.float32)) for p in made.points
        ),
    )
    found = misses.anatomy(small, 4, 10)
    assert found.excess == pytest.approx(2.0, rel=1e-5)
    assert len(found.extra_distances) == 3
    inner = misses.anatomy(replace(made, definition=replace(made.definition, metric="IP")), 4, 10)
    assert inner.excess == pytest.approx(0.6)
    assert "lies 0.6 beyond" in inner.words()


def test_worst_first() -> None:
    assert [m.query for m in misses.worst(run(), 10)] == [4, 2, 1]
    assert [m.query for m in misses.worst(run(), 10, limit=1)] == [4]
    assert [m.query for m in misses.worst(run(), 160)] == [4]


def test_the_setting_to_look_at_first() -> None:
    made = run()
    assert misses.default_ef(made) == 40
    none = Recommendation(None, 0.9, 0.8, 1.0, False, "No EF is enough.")
    assert misses.default_ef(replace(made, recommendation=none)) == 160
    with pytest.raises(BadInput, match="no measured setting"):
        misses.default_ef(replace(made, points=(), recommendation=None))


def test_nothing_matches_the_filter() -> None:
    made = run()
    truth = replace(made.truth, keys=(() for _ in range(5)))  # type: ignore[arg-type]
    truth = replace(truth, keys=tuple(() for _ in range(5)))
    found = misses.anatomy(replace(made, truth=truth), 0, 10)
    assert found.words() == "No document matches the filter for this query."


@pytest.mark.parametrize(
    ("query", "ef", "words"), [(5, 10, "no query 6"), (-1, 10, "no query 0"), (0, 11, "EF 11")]
)
def test_wrong_questions(query: int, ef: int, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        misses.anatomy(run(), query, ef)
