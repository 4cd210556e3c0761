"""Measurements one after the other: each kept in the history, none beside another of the same watch."""

from __future__ import annotations

import fcntl
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from memdb import files
from memdb.cluster.client import open_for_work
from memdb.cluster.target import Target
from memdb.errors import BadInput, Cancelled, MemDBError, UnderWay, UnknownIndex
from memdb.jobs import Report, silent
from memdb.operations import history
from memdb.operations.alerts import Change
from memdb.operations.events import Event
from memdb.operations.past import Past
from memdb.operations.webhook import Webhook
from memdb.watch import judge, series
from memdb.watch.measure import measure
from memdb.watch.series import Measurement, Watch

LATEST = 2_000  # measurements of a watch that are read
_LOOK_S = 2.0
_SKEW_S = 60.0  # that clocks of two machines with one history may differ


@dataclass(frozen=True, slots=True)
class Outcome:
    """A measurement, and what it changed."""

    now: Measurement
    below: bool  # the target, by the whole interval, since this or an earlier measurement
    changed: bool  # whether that began or ended with this one
    causes: tuple[judge.Cause, ...] = ()
    error: MemDBError | None = None  # why there is no recall, where the server was asked in vain


def once(
    target: Target,
    watch: Watch,
    home: Path,
    *,
    report: Report = silent,
    webhook: Webhook | None = None,
) -> Outcome:
    """Measure once and keep the result, also that there is none.

    Args:
        target: the server.
        watch: what to measure.
        home: MEMDB_HOME.
        report: progress; may raise Cancelled.
        webhook: is told where recall falls below the target, or is back.

    Raises:
        UnderWay: another process measures this just now.
        BadInput: the first measurement does not fit the index.
        UnknownIndex: the first measurement is of no index.
        Damaged: the history cannot be written.
        Cancelled: from `report`.
    """
    path = history.path_of(home, target)
    with _alone(path, watch):
        rows = rows_of(path, watch)
        error: MemDBError | None = None
        try:
            with open_for_work(target) as client:
                measured = measure(client, watch, home, report=report)
        except Cancelled:
            raise
        except MemDBError as exc:
            if not rows and isinstance(exc, BadInput | UnknownIndex):
                raise  # mistyped: there is nothing to keep
            error = exc
            measured = _without(watch, exc)
        if error is None and (before := [row for row in rows if row.definition]):
            measured = replace(measured, changes=judge.changes(before[-1], measured))
        earlier, after = judge.fell(rows), judge.fell([*rows, measured])
        changed = (earlier is None) != (after is None)
        alert = judge.alert([*rows, measured], target.address) or judge.alert(rows, target.address)
        events = []
        if changed and alert is not None:
            word = "raised" if after is not None else "cleared"
            saw = (
                alert.saw
                if after is not None
                else f"{watch.words} of '{watch.index}' is {judge.words(measured)}"
            )
            events = [Event(measured.at, target.address, "alert", alert.name, f"{word}: {saw}")]
        history.add_recall(path, watch.name, measured.at, asdict(measured), events)
        if webhook is not None and changed and alert is not None:
            webhook.send(target.name, Change(alert, raised=after is not None))
        causes = judge.causes([*rows, measured]) if after is not None and measured.recall is not None else ()
        return Outcome(measured, after is not None, changed, causes, error)


def rows_of(path: Path, watch: Watch, limit: int = LATEST) -> list[Measurement]:
    """The newest measurements of a watch, oldest first.

    Raises:
        Damaged: the history cannot be read.
    """
    return read(Past(path).recalls(watch.name, limit=limit))


def all_rows(path: Path, limit: int = LATEST) -> dict[str, list[Measurement]]:
    """The newest measurements of every watch, by its name.

    Raises:
        Damaged: the history cannot be read.
    """
    past = Past(path)
    return {name: rows for name in past.recall_names() if (rows := read(past.recalls(name, limit=limit)))}


def read(stored: tuple[object, ...]) -> list[Measurement]:
    """Measurements as the history keeps them; those of another version are left out."""
    rows = []
    for facts in stored:
        try:
            rows.append(files.typed(facts, Measurement))
        except files.DAMAGE:
            continue
    return rows


class Watcher:
    """Measures what the app watches on a target, each when it is due, until it is stopped."""

    def __init__(self, target: Target, home: Path, *, webhook: Webhook | None = None) -> None:
        self.target = replace(target, writable=False)
        self._home, self._webhook = home, webhook
        self._stop = threading.Event()
        self.problem = ""  # why nothing can be kept
        self._thread = threading.Thread(target=self._run, name=f"watch {target.name}", daemon=True)
        self._thread.start()

    def stop(self, *, wait_s: float = 5.0) -> None:
        """End it; a measurement under way ends with its next step."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for watch in series.listed(self._home, self.target):
                    if self._stop.is_set():
                        return
                    self._turn(watch)
                self.problem = ""
            except Cancelled:
                return
            except MemDBError as exc:  # a full disk, or a damaged list: it is tried again
                self.problem = exc.full()
            self._stop.wait(_LOOK_S)

    def _turn(self, watch: Watch) -> None:
        if due_s(history.path_of(self._home, self.target), watch) > 0:
            return
        try:
            once(self.target, watch, self._home, report=self._report, webhook=self._webhook)
        except UnderWay:
            return  # its result comes into the same history
        except BadInput as exc:
            self.problem = exc.full()

    def _report(self, _stage: str, _done: int, _total: int) -> None:
        if self._stop.is_set():
            raise Cancelled


def due_s(path: Path, watch: Watch) -> float:
    """Seconds until the next measurement is due, whoever made the last one; 0 after a clock went back.

    Raises:
        Damaged: the history cannot be read.
    """
    rows = rows_of(path, watch, limit=1)
    wait_s = rows[-1].at + watch.every_s - time.time() if rows else 0.0
    return wait_s if 0 < wait_s <= watch.every_s + _SKEW_S else 0.0


def repeat(
    watch: Watch,
    measure_once: Callable[[], object],
    path: Path,
    wait: Callable[[float], bool],
) -> None:
    """Measure whenever it is due, until `wait` says that it was ended. Where another process measures, its
    result is waited for.

    Args:
        watch: what to measure.
        measure_once: does it.
        path: of the history.
        wait: waits so many seconds; True where it is to end.
    """
    while True:
        wait_s = due_s(path, watch)
        if wait_s > 0:
            if wait(wait_s):
                return
            continue
        pause_s = 0.0
        try:
            measure_once()
        except UnderWay:
            pause_s = _LOOK_S
        if wait(pause_s):
            return


def _without(watch: Watch, exc: MemDBError) -> Measurement:
    return Measurement(
        at=time.time(),
        watch=watch,
        queries=0,
        asked="",
        recall=None,
        low=None,
        high=None,
        documents=0,
        build="unknown",
        built=0.0,
        run_id="",
        definition="",
        revision=None,
        removals=None,
        problem=str(exc),
    )


@contextmanager
def _alone(path: Path, watch: Watch) -> Iterator[None]:
    digest = hashlib.sha256(watch.name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    at = path.with_name(f"{path.stem}-watch-{digest}.lock")
    with history.told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.is_there(at)
        lock = at.open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UnderWay(
                f"{watch.words} of '{watch.index}' is being measured just now, by another process or page.",
                "Its result comes into the same history.",
            ) from None
        yield
