"""One sampler a target, however many browsers and processes look on: a thread that writes the history.

Whoever holds the lock beside the history samples; another process with the same home waits for its turn and
reads what the first one writes.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from msgspec import ValidationError

from memdb import files
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import MemDBError
from memdb.operations import alerts, events, history, memory
from memdb.operations.alerts import Alert, Change
from memdb.operations.events import Event
from memdb.operations.rates import Rates, rates
from memdb.operations.samples import Sample, sample_all
from memdb.operations.thresholds import Finding, Thresholds, judge
from memdb.operations.webhook import Webhook

EVERY_S = 2.0
SPLIT_S = 300.0  # where memory goes is asked rarely: it reads some hundred keys, which shows in the load
_SOON_S, _CHANGED = 30.0, 0.05  # sooner where memory has changed by so much since: an index was built
_AGAIN_S = 10.0  # after the history could not be written
ALERTS, THRESHOLDS, SAMPLING = "alerts", "thresholds", "sampling"


@dataclass(frozen=True, slots=True)
class Status:
    """What the sampler of this process does."""

    state: str  # "sampling", "waiting" for another process, "stopped"
    problem: str = ""  # why nothing could be kept


class Sampler:
    """Samples a target until it is stopped."""

    def __init__(
        self,
        target: Target,
        folder: Path,
        *,
        every_s: float = EVERY_S,
        split_s: float = SPLIT_S,
        webhook: Webhook | None = None,
        max_bytes: int = history.MAX_BYTES,
        max_age_s: float = history.MAX_AGE_S,
    ) -> None:
        self.target = replace(target, writable=False)
        self.path = history.path_of(folder, target)
        self.every_s, self._split_s = every_s, split_s
        self._webhook = webhook
        self._bounds = (max_bytes, max_age_s)
        self._status = Status("waiting")
        self._stop = threading.Event()
        self._windows: dict[str, deque[Sample]] = {}
        self._before: dict[str, Sample] = {}
        self._split_at: dict[str, tuple[float, float]] = {}  # address → when, memory used then
        self._thread = threading.Thread(target=self._run, name=f"sampler {target.name}", daemon=True)
        self._thread.start()

    @property
    def status(self) -> Status:
        """What it does now."""
        return self._status

    def stop(self, *, wait_s: float = 5.0) -> None:
        """End it; the history stays."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
            except history.Damaged as exc:  # e.g. a full disk: go on once there is room
                self._status = Status("sampling", exc.full())
                self._stop.wait(_AGAIN_S)
        self._status = Status("stopped")

    def _turn(self) -> None:
        """Sample once the lock is ours."""
        with history.told_of(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            at = self.path.with_suffix(".lock")
            files.is_there(at)
            lock = at.open("w")
        with lock:
            while not self._stop.is_set():
                if not _taken(lock):
                    self._sample()
                    return
                self._status = Status("waiting")
                self._stop.wait(self.every_s)

    def _sample(self) -> None:
        max_bytes, max_age_s = self._bounds
        writer = history.Writer(self.path, max_bytes=max_bytes, max_age_s=max_age_s)
        try:
            with connect(self.target) as client:
                writer.keep(SAMPLING, {"every_s": self.every_s})
                standing = alerts.from_facts(writer.kept(ALERTS))
                self._status = Status("sampling")
                while not self._stop.is_set():
                    began = time.monotonic()
                    standing = self._round(client, writer, standing)
                    self._stop.wait(max(0.05, self.every_s - (time.monotonic() - began)))
        finally:
            writer.close()

    def _round(self, client: Client, writer: history.Writer, standing: dict[str, Alert]) -> dict[str, Alert]:
        try:
            samples = sample_all(client)
        except MemDBError as exc:
            # Nobody says who the nodes are: those that were known are silent.
            earlier = list(self._before.values()) or [Sample(self.target.address, "primary", 0.0)]
            now = time.monotonic()
            samples = tuple(Sample(node.address, node.role, now, problem=str(exc)) for node in earlier)
        at = time.time()
        rated = [
            (
                sample,
                rates(last, sample)
                if (last := self._last(sample))
                else Rates(0.0, {}, {"all": "first look"}),
            )
            for sample in samples
        ]
        events_seen = events.happened(at, self._before, samples)
        self._before = {
            sample.address: events.carried(self._before.get(sample.address), sample) for sample in samples
        }
        self._windows = {address: self._windows[address] for address in self._before}
        limits = thresholds_of(writer.kept(THRESHOLDS))
        strict, mild = self._judged(samples, limits)
        after, changes = alerts.step(standing, at, strict, mild)
        alert_events = [
            Event(
                at,
                c.alert.node,
                "alert",
                c.alert.name,
                ("raised: " if c.raised else "cleared: ") + c.alert.saw,
            )
            for c in changes
        ]
        writer.add(at, rated, [*events_seen, *alert_events, *self._delivered()])
        if after != standing:
            writer.keep(ALERTS, alerts.facts(after))
        self._tell(changes)
        for sample in samples:
            self._split(client, writer, sample, at)
        return after

    def _last(self, sample: Sample) -> Sample | None:
        window = self._windows.setdefault(sample.address, deque())
        return window[-1] if window else None

    def _judged(self, samples: tuple[Sample, ...], limits: Thresholds) -> tuple[list[Finding], list[Finding]]:
        strict: list[Finding] = []
        mild: list[Finding] = []
        for sample in samples:
            window = self._windows[sample.address]
            if sample.problem or (window and window[-1].run_id != sample.run_id):
                window.clear()  # a restart: rates begin anew
            first = window[0] if window else None
            changed = rates(first, sample) if first else Rates(0.0, {}, {"all": "first look"})
            strict += judge(sample, changed, limits)
            mild += judge(sample, changed, alerts.relaxed(limits))
            if not sample.problem:
                window.append(sample)
            while len(window) > 1 and window[0].at < sample.at - alerts.WINDOW_S:
                window.popleft()
        return strict, mild

    def _split(self, client: Client, writer: history.Writer, sample: Sample, at: float) -> None:
        used = sample.figures.get("used_bytes", 0.0)
        last, before = self._split_at.get(sample.address, (0.0, 0.0))
        changed = abs(used - before) > _CHANGED * max(before, 1.0)
        if sample.problem or at - last < (min(_SOON_S, self._split_s) if changed else self._split_s):
            return
        self._split_at[sample.address] = (at, used)
        try:
            node = next(n for n in client.nodes() if n.address == sample.address)
            writer.add_split(at, sample.address, memory.split(client, node, sample).facts())
        except (MemDBError, StopIteration) as exc:
            if isinstance(exc, history.Damaged):
                raise
            # The node died since it was sampled: the next sample says so.

    def _tell(self, changes: tuple[Change, ...]) -> None:
        if self._webhook is not None:
            for change in changes:
                self._webhook.send(self.target.name, change)

    def _delivered(self) -> tuple[Event, ...]:
        return () if self._webhook is None else self._webhook.failures()


def thresholds_of(stored: object) -> Thresholds:
    """Thresholds as they were kept; the defaults where there are none."""
    try:
        limits: Thresholds = files.typed(stored, Thresholds)
    except (ValidationError, MemDBError):  # of another version
        return Thresholds()
    return limits


def keep_thresholds(path: Path, limits: Thresholds) -> None:
    """Set a target's thresholds; its sampler takes them with the next round."""
    history.keep(path, THRESHOLDS, asdict(limits))


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
