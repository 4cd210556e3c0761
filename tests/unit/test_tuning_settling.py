"""The EF_RUNTIME of the reference is doubled while that brings documents that lie nearer."""

from __future__ import annotations

from collections import Counter

import pytest

from memdb.tuning.run import SweepRequest
from memdb.tuning.settling import reference_ef, settled

Answers = list[tuple[list[str], list[float]]]


class Index:
    """Answers of some queries; each finds a nearer third document from the EF_RUNTIME on that it needs."""

    def __init__(self, needed: list[int], *, far: float = 2.0) -> None:
        self.needed, self.far = needed, far
        self.asked: Counter[int] = Counter()  # queries by EF_RUNTIME

    def ask(self, rows: slice, ef: int) -> Answers:
        self.asked[ef] += len(self.needed[rows])
        return [
            (["a", "b", "c"], [0.5, 1.0, 1.5]) if ef >= need else (["a", "b", "d"], [0.5, 1.0, self.far])
            for need in self.needed[rows]
        ]


def ended(index: Index, limit: int = 4_096) -> int:
    return settled(index.ask, 1_024, limit, len(index.needed), 3)[0]


@pytest.mark.parametrize(
    ("needed", "ef", "asked"),
    [
        # Where half of them gained nothing, the others are not asked.
        ([10] * 100, 1_024, {1_024: 32, 2_048: 32}),
        # As soon as the queries left cannot change it, they are not asked: half of the first 32 gained.
        ([10, 2_000] * 50, 2_048, {1_024: 32, 2_048: 64, 4_096: 64}),
        ([2_000, 4_000] * 50, 4_096, {1_024: 32, 2_048: 32, 4_096: 32}),
        ([9_000] * 100, 1_024, {1_024: 32, 2_048: 32}),
        # Few queries gain: four hits of 300 are more than one of a hundred.
        ([2_000] * 4 + [10] * 96, 2_048, {1_024: 32, 2_048: 64, 4_096: 64}),
    ],
)
def test_it_is_doubled_while_it_brings_nearer_documents_and_no_further_than_the_limit(
    needed: list[int], ef: int, asked: dict[int, int]
) -> None:
    index = Index(needed)
    best, answers = settled(index.ask, 1_024, 4_096, len(needed), 3)
    assert best == ef
    assert index.asked == asked
    assert answers == Index(needed).ask(slice(len(answers)), ef)


def test_so_few_gains_that_they_are_within_what_is_let_pass() -> None:
    """Of the first 600 hits six are one of a hundred; of 1,200 four are more than three of a thousand."""
    assert ended(Index([2_000] * 6 + [10] * 394)) == 1_024
    assert ended(Index([2_000] * 7 + [10] * 393)) == 2_048
    # From the half on, so few that they are a third of what is let pass end it.
    assert ended(Index([2_000] * 3 + [10] * 193 + [2_000] * 4 + [10] * 200)) == 2_048
    assert ended(Index([2_000] * 1 + [10] * 193 + [2_000] * 6 + [10] * 200)) == 1_024
    # Once it was raised, less is let pass.
    assert ended(Index([2_000] * 20 + [4_000] * 4 + [10] * 376)) == 4_096
    assert ended(Index([2_000] * 20 + [4_000] * 3 + [10] * 377)) == 2_048


def test_other_documents_as_near_are_no_gain() -> None:
    assert ended(Index([2_000] * 100, far=1.5)) == 1_024


@pytest.mark.parametrize(
    ("low", "high", "ef"),
    [
        # By inner product distances are negative; engines compute them in float32.
        ((["b"], [-100.0]), (["a"], [-100.0001]), 1_024),
        (([], []), ([], []), 1_024),
        # An answer that was short gains by every hit more.
        ((["a"], [1.0]), (["a", "b"], [1.0, 2.0]), 2_048),
    ],
)
def test_what_is_a_gain(low: Answers, high: Answers, ef: int) -> None:
    def ask(rows: slice, ef: int) -> Answers:
        return [high if ef > 1_024 else low] * len(range(3)[rows])

    assert settled(ask, 1_024, 2_048, 3, 2)[0] == ef


def test_an_index_without_the_setting_is_left_to_be_asked() -> None:
    index = Index([0] * 100)
    assert settled(index.ask, 0, 4_096, 100, 3) == (0, [])
    assert not index.asked


def test_it_begins_no_lower_than_what_is_measured_within_what_the_engine_takes() -> None:
    assert reference_ef(SweepRequest("i", ef_max=100), 4_096) == 500
    assert reference_ef(SweepRequest("i", ef_max=1_500), 4_096) == 1_500
    assert reference_ef(SweepRequest("i", ef_max=5_000), 4_096) == 4_096
