"""`memdb watch`: an index's recall measured now and then. With --once, exit 1 where it lies below the
target."""

from __future__ import annotations

import argparse
import re
import signal
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from memdb.cli.arguments import OnIndex, count, sample_size, share
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, note, print_json, say
from memdb.cluster.target import Target
from memdb.errors import BadInput, MemDBError
from memdb.jobs import silent
from memdb.numerals import whole_number
from memdb.operations import history
from memdb.operations.webhook import Webhook
from memdb.settings import Settings
from memdb.watch import judge, runner, series
from memdb.watch.runner import Outcome

BELOW, NOT_MEASURED = 1, 2
_DEFAULT = series.Watch("")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def time_s(text: str) -> float:
    """A time such as 30s, 15m, 6h or 1d, in seconds."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; write it like 15m, 6h or 1d")
    seconds = float(int(match[1]) * _UNITS[match[2]])
    if seconds < series.LEAST_EVERY_S:
        raise argparse.ArgumentTypeError(f"{text} is too often; at least {series.LEAST_EVERY_S:g}s")
    return seconds


@dataclass(frozen=True, kw_only=True)
class Watch(OnIndex):
    """`memdb watch`."""

    target: float = option(
        "--target", default=_DEFAULT.target, type=share, metavar="R", help="recall@k that must not be missed"
    )
    every: float = option(
        "--every",
        default=_DEFAULT.every_s,
        type=time_s,
        metavar="TIME",
        help="how often, e.g. 30s, 15m, 6h or 1d (default: 15m)",
    )
    once: bool = option("--once", default=False, help="measure once and end, for cron")
    k: int = option("--k", default=_DEFAULT.k, type=count(1), metavar="N", help="neighbours")
    ef: int | None = option(
        "--ef",
        type=count(1),
        metavar="N",
        help="EF_RUNTIME that the application uses (default: the index's own; of a tap each search's own)",
    )
    queries: str = option(
        "--queries",
        default=str(_DEFAULT.queries),
        metavar="N|FILE",
        help="N made queries, the same each time; or the file of a tap, whose newest searches are asked",
    )
    sample: int | Literal["usual"] | None = option(
        "--sample",
        type=sample_size,
        metavar="N|usual",
        help="estimate from so many documents drawn at random; usual: 2 % of them, 20,000 at least; 0 reads "
        "all (default: all, or usual where all are more than the target's budget of keys allows)",
    )
    confidence: float = option(
        "--confidence", default=_DEFAULT.confidence, type=share, metavar="C", help="of the interval"
    )
    json: bool = option("--json", default=False, help="print JSON, a line each measurement")

    @property
    def watch(self) -> series.Watch:
        """What to measure.

        Raises:
            BadInput: there is no such file.
        """
        digits = self.queries.replace(",", "").replace("_", "")
        number, tap = series.QUERIES, ""
        if (count := whole_number(digits)) is not None:
            number = count
        else:
            path = Path(self.queries).expanduser().absolute()
            if not path.is_file():
                raise BadInput(
                    f"There is no file '{self.queries}'.",
                    "Give a number of queries, or the file of `memdb tap`.",
                )
            tap = str(path)
        return series.Watch(
            self.index,
            self.field,
            self.k,
            self.ef,
            self.filter,
            self.target,
            self.confidence,
            self.every,
            number,
            tap,
            self.sample,
        )

    def run(self) -> int:
        """Measure once, or until Ctrl-C or SIGTERM.

        Raises:
            MemDBError: the first measurement cannot be made as asked, or nothing can be kept.
        """
        settings, watch = Settings.from_env(), self.watch
        target = self.find(settings)
        webhook = Webhook(settings.webhook) if settings.webhook else None
        if self.once:
            with ProgressBar() as bar, Interrupt() as interrupt:
                report = interrupt.watching(bar.report)
                outcome = runner.once(target, watch, settings.home, report=report, webhook=webhook)
            self._show(outcome)
            if outcome.now.recall is None:
                return NOT_MEASURED
            return BELOW if outcome.below else 0
        self._repeat(target, watch, settings.home, webhook)
        return 0

    def _repeat(self, target: Target, watch: series.Watch, home: Path, webhook: Webhook | None) -> None:
        stop = threading.Event()
        before = {
            each: signal.signal(each, lambda *_: stop.set()) for each in (signal.SIGINT, signal.SIGTERM)
        }
        note(f"{watch.words} of '{watch.index}', every {watch.every_s:g} s; Ctrl-C ends.")
        try:
            runner.repeat(
                watch,
                lambda: self._show(
                    runner.once(self._again(target), watch, home, report=silent, webhook=webhook)
                ),
                history.path_of(home, target),
                stop.wait,
            )
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _again(self, target: Target) -> Target:
        """The same server with the login it has by now: a local engine has another one after each start."""
        try:
            entered = self.find(Settings.from_env())
        except MemDBError:
            return target  # the measurement tells what is wrong
        return entered if entered.address == target.address else target

    def _show(self, outcome: Outcome) -> None:
        current = outcome.now
        if self.json:
            print_json(
                {
                    **asdict(current),
                    "below": outcome.below,
                    "notes": [too_few] if (too_few := judge.note(current)) else [],
                    "causes": [asdict(cause) for cause in outcome.causes],
                }
            )
            return
        if current.recall is None:
            note(f"Not measured: {outcome.error.full() if outcome.error else current.problem}")
            return
        verdict = (
            f"below the target of {current.watch.target:g}"
            if outcome.below
            else f"not shown to be below the target of {current.watch.target:g}"
        )
        say(
            f"{current.watch.words} of '{current.watch.index}' is {judge.words(current)}: "
            f"{verdict} ({current.asked})."
        )
        if too_few := judge.note(current):
            say(f"  {too_few}")
        for change in current.changes:
            say(f"  {change}")
        for cause in outcome.causes:
            say(f"  Perhaps: {cause.what} {cause.remedy}")
