"""The EF_RUNTIME of the reference is doubled while that brings documents that lie nearer."""

from __future__ import annotations

import pytest

from memdb.tuning.reference import reference_ef, settled
from memdb.tuning.run import SweepRequest


class Index:
    """Answers of 100 queries; each finds a nearer third document from the EF_RUNTIME on that it needs."""

    def __init__(self, needed: list[int], *, far: float = 2.0) -> None:
        self.needed, self.far, self.efs = needed, far, []

    def ask(self, ef: int) -> list[tuple[list[str], list[float]]]:
        self.efs.append(ef)
        return [
            (["a", "b", "c"], [0.5, 1.0, 1.5]) if ef >= need else (["a", "b", "d"], [0.5, 1.0, self.far])
            for need in self.needed
        ]


@pytest.mark.parametrize(
    ("needed", "ended", "efs"),
    [
        ([10] * 100, 1_024, [1_024, 2_048]),
        ([10] * 50 + [2_000] * 50, 2_048, [1_024, 2_048, 4_096]),
        ([2_000, 4_000] * 50, 4_096, [1_024, 2_048, 4_096]),
        ([9_000] * 100, 1_024, [1_024, 2_048]),
    ],
)
def test_it_is_doubled_while_it_brings_nearer_documents_and_no_further_than_the_limit(
    needed: list[int], ended: int, efs: list[int]
) -> None:
    index = Index(needed)
    ef, answers = settled(index.ask, 1_024, 4_096)
    assert ef == ended
    assert index.efs == efs
    assert answers == Index(needed).ask(ended)


def test_other_documents_as_near_are_no_gain() -> None:
    ef, _ = settled(Index([2_000] * 100, far=1.5).ask, 1_024, 4_096)
    assert ef == 1_024


def test_rounding_is_no_gain_below_zero_either() -> None:
    """By inner product distances are negative; engines compute them in float32."""

    def ask(ef: int) -> list[tuple[list[str], list[float]]]:
        return [(["a"], [-100.0001])] if ef > 1_024 else [(["b"], [-100.0])]

    assert settled(ask, 1_024, 2_048)[0] == 1_024


def test_queries_without_any_answer_end_it() -> None:
    assert settled(lambda ef: [([], [])] * 3, 1_024, 4_096)[0] == 1_024


def test_an_answer_that_was_short_gains_by_every_hit_more() -> None:
    def ask(ef: int) -> list[tuple[list[str], list[float]]]:
        return [(["a", "b"], [1.0, 2.0])] if ef > 1_024 else [(["a"], [1.0])]

    assert settled(ask, 1_024, 2_048)[0] == 2_048


def test_an_index_without_the_setting_is_asked_once() -> None:
    index = Index([0] * 100)
    assert settled(index.ask, 0, 4_096)[0] == 0
    assert index.efs == [0]


def test_it_begins_above_what_is_measured_within_what_the_engine_takes() -> None:
    assert reference_ef(SweepRequest("i", ef_max=100), 4_096) == 1_000
    assert reference_ef(SweepRequest("i", ef_max=1_500), 4_096) == 3_000
    assert reference_ef(SweepRequest("i", ef_max=4_000), 4_096) == 4_096
