"""How often Metrics is drawn: what all browsers that look at it take together is bounded.

A drawing costs the app some hundredths of a second of a core. One browser is drawn as often as it chose. The
more look, the less often each is drawn: pages that nobody reads leave the core to those who search.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

SHARE = 0.04  # of a core, for all of them
OVERHEAD = 2.5  # what a drawing costs the process, for each second of its own thread (benchmarks/browsers.py)
STEPS = (2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0)
_SLACK = 0.6  # drawn more often again only where less than this of the time is needed
_GONE = 3.0  # times that one is not drawn until it counts as gone


@dataclass(frozen=True, slots=True)
class _Drawing:
    at: float
    took_s: float
    every_s: float


@dataclass(slots=True)
class Pace:
    """The browsers that look, and what a drawing took each."""

    _drawn: dict[str, _Drawing] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def drew(self, viewer: str, took_s: float, every_s: float, now: float) -> None:
        """Note a drawing.

        Args:
            viewer: a browser's session.
            took_s: processor time of its thread.
            every_s: how often this one is drawn.
            now: seconds of a clock that never goes back.
        """
        with self._lock:
            self._drawn[viewer] = _Drawing(now, took_s, every_s)
            for name, last in list(self._drawn.items()):
                if now - last.at > _GONE * last.every_s:
                    del self._drawn[name]

    def every(self, chosen_s: float, current_s: float = 0.0) -> float:
        """Seconds between two drawings: as chosen, or longer where together they would take too much.

        Args:
            chosen_s: by the visitor.
            current_s: as it is; it gets shorter only where that would last. 0 before the first drawing.
        """
        with self._lock:
            need = OVERHEAD * sum(last.took_s for last in self._drawn.values()) / SHARE
            if len(self._drawn) < 2:
                return chosen_s
        longer = next((step for step in STEPS if step >= need), STEPS[-1])
        if chosen_s < longer < current_s and need > _SLACK * current_s:
            return current_s
        return max(chosen_s, longer)

    @property
    def viewers(self) -> int:
        """How many look."""
        with self._lock:
            return len(self._drawn)
