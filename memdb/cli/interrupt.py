"""Ctrl-C as Cancel: what was measured until then can still be kept."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from memdb.cli.output import note
from memdb.errors import Cancelled
from memdb.jobs import Report


class Interrupt:
    """While it is entered, Ctrl-C asks the work to end at its next report; a second one ends it at once.

    For the main thread, as Python's signals are.
    """

    def __init__(self) -> None:
        self._wanted = False

    def watching(self, report: Report) -> Report:
        """The report, which raises Cancelled once Ctrl-C was pressed."""

        def watched(stage: str, steps: int, total: int) -> None:
            report(stage, steps, total)
            if self._wanted:
                raise Cancelled

        return watched

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._seen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _seen(self, _number: int, _frame: FrameType | None) -> None:
        if self._wanted:
            raise KeyboardInterrupt
        self._wanted = True
        note("Stopping after this step; Ctrl-C again stops at once.")
