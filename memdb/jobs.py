"""Long work as a job: a thread of its own, progress with time left, cancel, partial result.

A job knows nothing of Streamlit: the page keeps its id and polls `Job.state` from a fragment.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from memdb.errors import Cancelled, MemDBError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

# Called by long work with (stage, done, total); may raise Cancelled, which the work lets pass.
Report = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """The Report that reports to nobody."""


@dataclass(frozen=True, slots=True)
class JobState:
    """A job at one moment. Rate and time left are of the current stage."""

    status: Literal["running", "done", "failed", "cancelled"]
    stage: str
    done: int
    total: int
    elapsed_s: float
    rate: float  # items a second, 0 until known
    left_s: float | None  # None until known

    @property
    def fraction(self) -> float:
        """Share of the stage that is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class Job(Generic[T]):
    """One piece of work in its own thread."""

    def __init__(self, title: str, work: Callable[[Job[T]], T]) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.title = title
        self.result: T | None = None
        self.error: MemDBError | None = None
        self._bug: BaseException | None = None
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._status: Literal["running", "done", "failed", "cancelled"] = "running"
        self._stage, self._done, self._total = "Starting", 0, 0
        self._began = self._stage_began = time.monotonic()
        self._ended: float | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), name=f"job {title}", daemon=True)
        _ALL.add(self)
        self._thread.start()

    def report(self, stage: str, done: int, total: int) -> None:
        """Called by the work: where it is. Ends the work with Cancelled if the user asked for it.

        Raises:
            Cancelled: the user asked for the end.
        """
        with self._lock:
            if stage != self._stage:
                self._stage, self._stage_began = stage, time.monotonic()
            self._done, self._total = done, total
        if self._cancel.is_set():
            raise Cancelled

    def keep(self, partial: T) -> None:
        """Called by the work: a partial result that survives a cancel or failure."""
        self.result = partial

    def cancel(self) -> None:
        """Ask the work to end at its next report."""
        self._cancel.set()

    def wait(self, timeout_s: float | None = None) -> JobState:
        """Wait for the end, at most `timeout_s`."""
        self._thread.join(timeout_s)
        return self.state

    @property
    def state(self) -> JobState:
        """Progress now. Raises what the work raised if that was a bug and not one of our errors."""
        if self._bug is not None:
            raise self._bug
        with self._lock:
            now = self._ended or time.monotonic()
            spent = now - self._stage_began
            rate = self._done / spent if spent > 0.2 else 0.0
            left_s = (self._total - self._done) / rate if rate and self._total else None
            return JobState(
                self._status, self._stage, self._done, self._total, now - self._began, rate, left_s
            )

    def _run(self, work: Callable[[Job[T]], T]) -> None:
        status: Literal["done", "failed", "cancelled"] = "done"
        try:
            self.result = work(self)
        except Cancelled:
            status = "cancelled"
        except MemDBError as exc:
            self.error, status = exc, "failed"
        except BaseException as exc:  # noqa: BLE001  # a bug: raised again where the state is read
            self._bug, status = exc, "failed"
        with self._lock:
            self._ended, self._status = time.monotonic(), status
        # Its title may hold the name of an index or of a target: a log is read by others.
        facts = {"job": self.id, "status": status, "seconds": round(self._ended - self._began, 1)}
        _LOG.info("A job ended.", extra={"facts": facts})


_ALL: weakref.WeakSet[Job[Any]] = weakref.WeakSet()  # of this process


@dataclass(frozen=True, slots=True)
class Ended:
    """How many jobs ran when the end was asked for, and how many of them did not end in time."""

    asked: int
    left: int


def end_all(within_s: float) -> Ended:
    """Ask every running job of this process to end, and wait for that; each keeps its partial result.

    Args:
        within_s: seconds for all of them together.
    """
    running = [job for job in list(_ALL) if job._ended is None]
    for job in running:
        job.cancel()
    end = time.monotonic() + within_s
    for job in running:
        job.wait(max(0.0, end - time.monotonic()))
    return Ended(len(running), sum(job._ended is None for job in running))


class Jobs:
    """The jobs of one process, newest last; old ended ones are forgotten."""

    def __init__(self, keep: int = 32) -> None:
        self._keep = keep
        self._jobs: OrderedDict[str, Job[object]] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, title: str, work: Callable[[Job[T]], T]) -> Job[T]:
        """Start `work` in a thread of its own."""
        job = Job(title, work)
        with self._lock:
            self._jobs[job.id] = job  # type: ignore[assignment]  # results differ in type
            ended = [i for i, j in self._jobs.items() if j._ended is not None]
            for old in ended[: max(0, len(self._jobs) - self._keep)]:
                del self._jobs[old]
        return job

    def get(self, job_id: str) -> Job[object] | None:
        """The job with this id, if it is still known."""
        with self._lock:
            return self._jobs.get(job_id)
