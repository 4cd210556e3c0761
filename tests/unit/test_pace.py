"""How often Metrics is drawn, for one browser and for many."""

from __future__ import annotations

from memdb.ui.metrics.pace import OVERHEAD, SHARE, STEPS, Pace

TOOK_S = 0.03


def watched(browsers: int, every_s: float = 2.0, took_s: float = TOOK_S) -> Pace:
    pace = Pace()
    for number in range(browsers):
        pace.drew(f"b{number}", took_s, every_s, 100.0)
    return pace


def test_one_browser_is_drawn_as_often_as_it_chose() -> None:
    assert Pace().every(2.0) == 2.0
    assert watched(1, took_s=5.0).every(2.0, 2.0) == 2.0


def test_together_they_take_no_more_than_their_share() -> None:
    for browsers in (2, 5, 10, 50):
        every = watched(browsers).every(2.0, 2.0)
        assert browsers * TOOK_S * OVERHEAD / every <= SHARE
    assert every in STEPS


def test_who_chose_longer_keeps_it() -> None:
    assert watched(3).every(60.0, 60.0) == 60.0


def test_what_left_counts_no_more_and_the_others_are_drawn_more_often() -> None:
    pace = watched(10, every_s=20.0)
    assert pace.every(2.0, 20.0) == 20.0
    pace.drew("b0", TOOK_S, 20.0, 159.0)
    assert pace.viewers == 10
    pace.drew("b0", TOOK_S, 20.0, 161.0)  # three times its twenty seconds after the others
    assert pace.viewers == 1
    assert pace.every(2.0, 20.0) == 2.0


def test_a_little_less_changes_nothing() -> None:
    """The page is drawn whole when its pace changes: not to and fro."""
    pace = watched(10)
    now = pace.every(2.0, 2.0)
    pace.drew("b0", 0.0, now, 100.0)
    assert pace.every(2.0, now) == now
