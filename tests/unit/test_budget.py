"""The meter's pace, on a clock of its own."""

from __future__ import annotations

import pytest

from memdb.cluster.budget import Meter
from memdb.cluster.target import Budget
from memdb.errors import BadSettings, BudgetSpent


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_searches_keep_their_pace_and_other_commands_do_not_wait() -> None:
    clock = Clock()
    meter = Meter(Budget(queries_per_s=4.0), lambda: 1.0, clock=clock, sleep=clock.sleep)
    begun = []
    for _ in range(9):
        meter.before((("FT.SEARCH", "i", "*"),))
        begun.append(clock.now)
    assert begun == pytest.approx([i / 4 for i in range(9)])
    meter.before((("GET", "k"),))
    assert clock.now == pytest.approx(2.0)
    meter.before([("FT.SEARCH", "i", "*")] * 8)  # a batch takes the time of its searches
    meter.before((("FT.SEARCH", "i", "*"),))
    assert clock.now == pytest.approx(2.25 + 2.0)


def test_nothing_is_sent_before_the_work_begins() -> None:
    pings: list[float] = []
    clock = Clock()
    meter = Meter(Budget(slow_factor=2.0), lambda: pings.append(1.0) or 10.0, clock=clock)  # type: ignore[func-returns-value]
    assert pings == []
    meter.before((("GET", "k"),))
    assert len(pings) == 5
    assert meter.first_ms == 10.0


def test_rows_of_an_aggregation_count_and_its_cursor_can_be_ended() -> None:
    meter = Meter(Budget(keys_scanned=10), lambda: 1.0)
    ask = ("FT.AGGREGATE", "i", "*", "WITHCURSOR")
    meter.before((ask,))
    meter.after((ask,), ([[12, *[[b"__key", b"k"]] * 12], 7],))
    assert meter.keys == 12
    with pytest.raises(BudgetSpent):
        meter.before((("FT.CURSOR", "READ", "i", 7),))
    meter.before((("FT.CURSOR", "DEL", "i", 7),))


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("name", ["queries_per_s", "keys_scanned", "slow_factor"])
def test_a_bound_that_would_bound_nothing_is_refused(name: str, bound: float) -> None:
    with pytest.raises(BadSettings, match="bound of the budget"):
        Budget(**{name: bound})  # type: ignore[arg-type]
