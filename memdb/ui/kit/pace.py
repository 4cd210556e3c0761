"""How often pages that stay open draw themselves anew (`again`): all browsers take a share of a core."""

from __future__ import annotations

import statistics
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final

import streamlit as st

SHARE: Final = 0.03  # of a core, for all that pages draw by themselves
STEPS_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0)
_ALONE: Final = 4.0  # times as much for one page alone: nobody else waits
_SENDING: Final = 2.0  # Streamlit's own part: it takes as much again to run a fragment and to send it
_FIRST_S: Final = 0.02  # a drawing that was not measured yet
_FASTER_AT: Final = 0.7  # of the share: below it the next faster step is taken
_GONE_AFTER: Final = 2.5  # intervals without a drawing
_MEASURED: Final = 5


class Drawer:
    """What one visitor sees drawn again and again: its last drawings."""

    def __init__(self) -> None:
        self.costs: deque[float] = deque(maxlen=_MEASURED)
        self.every_s = 0.0
        self.drawn_at = 0.0

    @property
    def cost_s(self) -> float:
        """Processor time of a drawing, with what Streamlit adds, in seconds."""
        return _SENDING * (statistics.median(self.costs) if self.costs else _FIRST_S)


class Pace:
    """Intervals for all drawers of a process, so that together they stay within a share of a core.

    Args:
        share: of one core.
        clock: monotonic seconds.
    """

    def __init__(self, share: float = SHARE, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._clock = share, clock
        self._drawers: weakref.WeakSet[Drawer] = weakref.WeakSet()
        self._lock = threading.Lock()

    def interval_s(self, drawer: Drawer, least_s: float) -> float:
        """Seconds from one drawing of it to the next: `least_s`, or the first step that all can afford."""
        with self._lock:
            self._see(drawer)
            looked_at = self._open()
            share = self._share * (_ALONE if len(looked_at) == 1 else 1)
            needed = sum(each.cost_s for each in looked_at) / share
            steps = [least_s, *(step for step in STEPS_S if step > least_s)]
            every = next((step for step in steps if step >= needed), steps[-1])
            if least_s <= every < drawer.every_s and needed > _FASTER_AT * every:
                every = drawer.every_s  # no to and fro at the edge of two steps
            drawer.every_s = every
            return every

    def drawn(self, drawer: Drawer, cost_s: float) -> None:
        """It was drawn, with so much processor time."""
        with self._lock:
            drawer.costs.append(cost_s)
            self._see(drawer)

    def open(self) -> int:
        """Drawers that are being looked at."""
        with self._lock:
            return len(self._open())

    def _see(self, drawer: Drawer) -> None:
        drawer.drawn_at = self._clock()
        self._drawers.add(drawer)

    def _open(self) -> list[Drawer]:
        now = self._clock()
        return [
            each
            for each in self._drawers
            if now - each.drawn_at <= _GONE_AFTER * max(each.every_s, STEPS_S[0])
        ]


_ALL = Pace()


def again(name: str, least_s: float | None, draw: Callable[[str], None]) -> None:
    """Draw a part of the page, and again by itself every `least_s` seconds or less often, as all can afford.

    Args:
        name: of the part, one for each place on a page.
        least_s: the shortest interval in seconds; None draws it no second time.
        draw: the part; given why it is drawn less often than wished, or an empty string.
    """
    if least_s is None:
        st.fragment(draw)("")
        return
    wished = least_s
    drawer: Drawer = st.session_state.setdefault(f"pace.{name}", Drawer())
    every = _ALL.interval_s(drawer, wished)
    drawn_with_page = True

    def paced() -> None:
        nonlocal drawn_with_page
        began = time.thread_time()
        draw(_words(every, wished))
        if drawn_with_page:  # with imports and caches that the next drawing finds done
            drawn_with_page = False
            return
        _ALL.drawn(drawer, time.thread_time() - began)
        if _ALL.interval_s(drawer, wished) != every:
            st.rerun()

    st.fragment(paced, run_every=every)()


def _words(every_s: float, wished_s: float) -> str:
    if every_s <= wished_s:
        return ""
    pages = _ALL.open()
    why = "a drawing of this page takes long" if pages == 1 else f"{pages} open pages draw themselves"
    return f"drawn every {every_s:g} s: {why}"
