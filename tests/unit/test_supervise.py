"""Restarting what ended: at once, then with pauses, and not forever."""

from __future__ import annotations

import pytest

from memdb.demo.supervise import LIMIT, WINDOW_S, Keeper, described
from memdb.errors import EngineUnavailable


class Thing:
    """Something that runs, ends, and starts again unless it cannot."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.starts = 0
        self.broken = False
        self.now = 1000.0
        self.said: list[str] = []
        self.keeper = Keeper(
            "The thing",
            status=lambda: self.status,
            restart=self.restart,
            say=self.said.append,
            log=lambda: "Its log is LOG.",
            clock=lambda: self.now,
        )

    def restart(self) -> None:
        self.starts += 1
        if self.broken:
            raise EngineUnavailable("it does not start")
        self.status = None

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.keeper.check()
            self.now += 0.1


def test_nothing_happens_while_it_runs() -> None:
    thing = Thing()
    thing.run(5)
    assert (thing.starts, thing.said) == (0, [])


def test_it_starts_again_and_says_why_it_ended() -> None:
    thing = Thing()
    thing.status = 128 + 9
    thing.run(1)
    assert (thing.starts, thing.status) == (1, None)
    assert thing.said == ["The thing ended (by SIGKILL); it starts again."]


def test_pauses_grow_and_it_gives_up_with_where_to_read_on() -> None:
    thing = Thing()
    waited = []
    for _ in range(LIMIT):
        thing.status, before = 1, thing.now
        while thing.status is not None:
            thing.run(0.1)
        waited.append(thing.now - before)
    assert waited == sorted(waited)
    assert waited[-1] > 2
    thing.status = 1
    with pytest.raises(EngineUnavailable, match=f"again after {LIMIT} restarts") as caught:
        thing.run(10)
    assert caught.value.hint == "Its log is LOG."
    assert thing.starts == LIMIT


def test_a_start_that_fails_counts_too() -> None:
    thing = Thing()
    thing.status, thing.broken = 1, True
    with pytest.raises(EngineUnavailable, match="it does not start"):
        thing.run(WINDOW_S)
    assert thing.starts == LIMIT


def test_one_crash_in_a_while_is_always_repaired() -> None:
    thing = Thing()
    for _ in range(3 * LIMIT):
        thing.status = 1
        thing.run(WINDOW_S)
    assert thing.starts == 3 * LIMIT


def test_exit_statuses_in_words() -> None:
    assert [described(s) for s in (0, 3, 137, 250)] == ["status 0", "status 3", "by SIGKILL", "status 250"]
