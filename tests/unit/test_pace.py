"""Open pages draw themselves as often as wished while that is cheap, and together never above their share."""

from __future__ import annotations

import gc

import pytest

from memdb.ui.kit.pace import STEPS_S, Drawer, Pace


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(pace: Pace, drawer: Drawer, cost_s: float, times: int = 5) -> None:
    for _ in range(times):
        pace.drawn(drawer, cost_s)


@pytest.mark.parametrize("cost_s", [0.001, 0.011, 0.021, 0.041, 0.21])
@pytest.mark.parametrize("pages", [1, 2, 3, 10, 25])
def test_all_pages_together_stay_within_the_share_or_take_the_longest_step(cost_s: float, pages: int) -> None:
    pace = Pace(share=0.04)
    drawers = [Drawer() for _ in range(pages)]
    for drawer in drawers:
        drawn(pace, drawer, cost_s)
    intervals = [pace.interval_s(drawer, 2.0) for drawer in drawers]
    assert len(set(intervals)) == 1, "nobody is served before another"
    used = sum(2 * cost_s / interval for interval in intervals)  # a drawing, and sending it
    share = 0.04 if pages > 1 else 0.16  # one page alone may take four times as much
    assert used <= share or intervals[0] == STEPS_S[-1]
    faster = [step for step in STEPS_S if step < intervals[0]]
    assert all(sum(2 * cost_s / step for _ in drawers) > share for step in faster), "no slower than needed"


def test_what_was_wished_is_never_undercut() -> None:
    pace, drawer = Pace(), Drawer()
    drawn(pace, drawer, 0.0001)
    assert [pace.interval_s(drawer, least) for least in (2.0, 7.0, 15.0, 60.0)] == [2.0, 7.0, 15.0, 60.0]


def test_who_left_is_not_counted_and_the_others_draw_faster_again() -> None:
    clock = Clock()
    pace = Pace(share=0.04, clock=clock)
    first, second, leaving, gone = Drawer(), Drawer(), Drawer(), Drawer()
    for drawer in (first, second, leaving, gone):
        drawn(pace, drawer, 0.021)
    for drawer in (second, leaving, gone):
        pace.interval_s(drawer, 2.0)
    assert pace.interval_s(first, 2.0) == 5.0  # 0.168 s for all four: 4.2 s
    del gone, drawer  # a session that ended
    gc.collect()
    assert pace.open() == 3
    clock.now += 13.0  # another one went to another page
    for drawer in (first, second):
        drawn(pace, drawer, 0.018)
    assert pace.open() == 2
    assert pace.interval_s(first, 2.0) == 5.0, "0.072 s in 2 s would be faster, and too near the edge"
    for drawer in (first, second):
        drawn(pace, drawer, 0.012)
    assert pace.interval_s(first, 2.0) == 2.0


def test_one_slow_drawing_among_five_changes_nothing() -> None:
    pace, drawer = Pace(share=0.04), Drawer()
    drawn(pace, drawer, 0.01)
    pace.drawn(drawer, 3.0)
    assert pace.interval_s(drawer, 2.0) == 2.0
