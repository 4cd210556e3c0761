"""Keeping what was started running: restarts with a growing pause, and an end to them."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from memdb.errors import EngineUnavailable

Say = Callable[[str], None]
Clock = Callable[[], float]

LIMIT = 5  # restarts within WINDOW_S; more of them mean that restarting does not help
WINDOW_S = 60.0
_FIRST_S, _LONGEST_S = 0.2, 5.0


class Keeper:
    """Restarts one thing when it has ended. Never waits: the pause is over when a later check finds so."""

    def __init__(
        self,
        name: str,
        *,
        status: Callable[[], int | None],
        restart: Callable[[], None],
        say: Say,
        log: Callable[[], str],
        clock: Clock = time.monotonic,
    ) -> None:
        """Watch something.

        Args:
            name: as in "The engine".
            status: None while it runs, else its exit status (128 + n: signal n).
            restart: starts it again; EngineUnavailable counts as another end.
            say: a line for the user.
            log: where to read more, for the last message.
            clock: seconds.
        """
        self._name, self._status, self._restart = name, status, restart
        self._say, self._log, self._clock = say, log, clock
        self._times: deque[float] = deque()
        self._due: float | None = None

    def check(self) -> None:
        """Look, and restart what is due.

        Raises:
            EngineUnavailable: it ended too often.
        """
        status = self._status()
        now = self._clock()
        if status is None:
            self._due = None
        elif self._due is None:
            pause = self._pause(now, described(status))
            self._say(f"{self._name} ended ({described(status)}); it starts again.")
            self._due = now + pause
        elif now >= self._due:
            try:
                self._restart()
            except EngineUnavailable as exc:
                self._due = now + self._pause(now, str(exc))
            else:
                self._due = None

    def _pause(self, now: float, why: str) -> float:
        while self._times and now - self._times[0] > WINDOW_S:
            self._times.popleft()
        if len(self._times) >= LIMIT:
            raise EngineUnavailable(
                f"{self._name} ended again after {LIMIT} restarts within a minute ({why}).", self._log()
            )
        self._times.append(now)
        return float(min(_LONGEST_S, _FIRST_S * 2 ** (len(self._times) - 1)))


def described(status: int) -> str:
    """An exit status in words."""
    if status > 128:
        try:
            return f"by {signal.Signals(status - 128).name}"
        except ValueError:
            pass
    return f"status {status}"


class Signals:
    """While open, Ctrl-C, SIGTERM and SIGHUP are wishes to end, in order; the third one ends at once."""

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self._event = threading.Event()
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def wanted(self, wait_s: float = 0.0) -> bool:
        """Whether the end is wanted; waits that long for it."""
        return self._event.wait(wait_s)

    def __enter__(self) -> Signals:
        for number in self._NUMBERS:
            self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        self._event.set()
        if self._count > 2:
            raise KeyboardInterrupt
