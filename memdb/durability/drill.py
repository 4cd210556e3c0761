"""The drill: the same writes on two engines, the plug pulled on both, and what the ledger says of them.

`durable` writes every command to its log on disk before it acknowledges it, as MemoryDB promises for its
multi-zone log. `cache` keeps no log. `promoted`, on request, keeps none either, but has a replica that takes
over: replication is asynchronous, so what the replica had not heard of is lost.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import redis

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.durability import writes
from memdb.durability.ledger import Entry, entries
from memdb.durability.verdict import Verdict, held, recall, verdict
from memdb.durability.writers import Writer
from memdb.errors import EngineUnavailable, MemDBError, OutOfRange
from memdb.jobs import Report, silent
from memdb.sessions.formats import history_of
from memdb.sessions.turns import Turn
from memdb.vectors import index

DURABLE, CACHE, PROMOTED, OWN = "durable", "cache", "promoted", "cluster"
WORDS = {
    DURABLE: "every write on disk before it is acknowledged",
    CACHE: "a cache without durability: what is in memory is all there is",
    PROMOTED: "no log, and a replica that takes over",
    OWN: "your cluster, told to fail over",
}
_TICK_S = 0.1
_DEATH_S = 10.0  # a killed process writes its memory off


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """What to run.

    Args:
        seconds: of writing, the plug is pulled at a random moment in the middle of it.
        writers: threads on each engine.
        rate: writes a second of one writer; 0 as fast as they are acknowledged.
        documents: loaded before, for the recall.
        promotion: also the engine with a replica.
        seed: of the moment; None takes any.

    Raises:
        OutOfRange: a number makes no sense.
    """

    seconds: float = 20.0
    writers: int = 4
    rate: float = 100.0
    documents: int = 1_000
    promotion: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("seconds", self.seconds, 1, 600),
            ("writers", self.writers, 1, 64),
            ("rate", self.rate, 0, 100_000),
            ("documents", self.documents, 0, 100_000),
        ):
            if not low <= value <= high:
                raise OutOfRange(name, value, low, high, "the drill")


@dataclass(frozen=True, slots=True)
class Second:
    """Acknowledgements within one second of the run."""

    at_s: int
    acknowledged: int
    lost: int  # of them


@dataclass(frozen=True, slots=True)
class DrillSide:
    """One engine in the drill."""

    name: str
    acknowledged: int
    recovered: int
    lost: int
    partial: int
    unacknowledged_present: int
    unanswered: int
    killed_at_s: float | None  # None: it was not killed
    downtime_s: float | None  # from the kill to the next acknowledgement; None: there was none
    p50_ms: float | None
    p99_ms: float | None
    recall_before: float | None
    recall_after: float | None
    seconds: tuple[Second, ...] = ()
    took_ms: tuple[float, ...] = ()  # of every acknowledged write, for the histogram
    notes: tuple[str, ...] = ()  # what could not be measured, and why

    def facts(self) -> dict[str, object]:
        """The figures, for JSON."""
        names = (
            "acknowledged",
            "recovered",
            "lost",
            "partial",
            "unacknowledged_present",
            "downtime_s",
            "p50_ms",
            "p99_ms",
            "recall_before",
            "recall_after",
            "killed_at_s",
            "notes",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Witness:
    """One session that every engine acknowledged before the plug was pulled, looked for on each of them."""

    key: str
    turns: tuple[Turn, ...]  # as they were written
    there: dict[str, bool]  # engine → whether the same session was read there afterwards


@dataclass(frozen=True, slots=True)
class DrillResult:
    """A drill, whole or as far as it came."""

    request: DrillRequest
    engines: dict[str, DrillSide]
    finished: bool
    elapsed_s: float
    witness: Witness | None = None  # None: not every engine acknowledged the same session, or could be read

    def facts(self) -> dict[str, object]:
        """As `memdb drill --json` prints it."""
        return {"engines": {name: side.facts() for name, side in self.engines.items()}}


@dataclass(slots=True, eq=False)
class Under:
    """One engine while it is under the drill."""

    name: str
    client: Client
    folder: Path
    running: Engine | None = None  # None: it is somebody's cluster
    recall_before: float | None = None
    writers: list[Writer] = field(default_factory=list)
    killed_at_s: float | None = None
    gone_at_s: float | None = None  # when the process was seen to have ended
    reader: Client | None = None  # where the writes are looked for afterwards
    notes: list[str] = field(default_factory=list)

    def noted(self) -> list[Entry]:
        """Acknowledgements of all its writers, as they are."""
        return [entry for writer in self.writers for entry in list(writer.noted)]


def run(
    request: DrillRequest,
    home: Path,
    *,
    report: Report = silent,
    keep: Callable[[DrillResult], None] | None = None,
) -> DrillResult:
    """Run the drill on engines of its own, which end with it. Nothing else on this machine is touched.

    Args:
        request: what to run.
        home: MEMDB_HOME; a folder for the run is made there and removed.
        report: progress; may raise Cancelled, and the engines are ended.
        keep: given the figures as they are, several times a second.

    Raises:
        EngineUnavailable: an engine did not start.
        Cancelled: by the report.
    """
    name = uuid.uuid4().hex[:8]
    folder = home / "drill" / name
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            report("Starting the engines", 0, 1)
            runs = [_begun(stack, folder, kind) for kind in _kinds(request)]
            for each in runs:
                report("Loading documents", 0, 1)
                for spec in writes.SPECS:
                    index.create(each.client, spec)
                writes.base(each.client, request.documents)
                each.recall_before = recall(each.client) if request.documents else None
            stack.callback(end_writers, runs)  # before the engines
            _write(request, name, runs, report, keep, began)
            report("Comparing with the ledger", 0, len(runs))
            witness = _witness(name, runs)  # before the promoted replica is let go
            sides = {}
            for i, each in enumerate(runs):
                sides[each.name] = judged(each, name)
                report("Comparing with the ledger", i + 1, len(runs))
            return DrillResult(request, sides, True, time.monotonic() - began, witness)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kinds(request: DrillRequest) -> tuple[str, ...]:
    return (DURABLE, CACHE, PROMOTED) if request.promotion else (DURABLE, CACHE)


def _begun(stack: ExitStack, folder: Path, kind: str) -> Under:
    place = folder / kind
    running = stack.enter_context(
        # A home of its own: other commands look for the user's engine in the user's.
        engine.start(place, log=kind == DURABLE, replicas=1 if kind == PROMOTED else 0)
    )
    running.wait_ready()
    client = stack.enter_context(connect(running.target))
    return Under(kind, client, place, running)


def _write(
    request: DrillRequest,
    name: str,
    runs: list[Under],
    report: Report,
    keep: Callable[[DrillResult], None] | None,
    started: float,
) -> None:
    chance = random.Random(request.seed)  # noqa: S311  # a moment, no secret
    plug_s = request.seconds * chance.uniform(0.35, 0.65)
    began = time.monotonic()
    for each in runs:
        each.writers = [
            Writer(each.client, name, i, request.rate, each.folder / f"ledger-{i}.txt", began)
            for i in range(request.writers)
        ]
    for each in runs:
        for writer in each.writers:
            writer.start()
    with ThreadPoolExecutor(len(runs), "drill restart") as pool:
        back: list[Future[None]] = []
        while (now := time.monotonic() - began) < request.seconds:
            if now >= plug_s and not back:
                back = [pool.submit(_plug, each, began) for each in runs]
            report("Seconds of writing", int(now), int(request.seconds))
            if keep is not None:
                keep(DrillResult(request, {e.name: so_far(e) for e in runs}, False, now))
            if broken := next((w.broken for e in runs for w in e.writers if w.broken), None):
                raise broken
            time.sleep(_TICK_S)
        report("Waiting for the engines", 0, 1)
        for future in back:
            future.result()
    end_writers(runs)


def _plug(each: Under, began: float) -> None:
    """Kill the server, and bring it, or its replica, back."""
    assert each.running is not None  # noqa: S101  # only engines of ours are killed
    if not each.running.alive():
        each.notes.append(
            "The engine had ended by itself before the plug was pulled, as it does where its log cannot be "
            "written: it takes no write that it cannot keep."
        )
    with suppress(ProcessLookupError):
        os.kill(each.running.pid, signal.SIGKILL)
    each.killed_at_s = time.monotonic() - began
    try:
        gone(each.running)
        each.gone_at_s = time.monotonic() - began
        if each.name == PROMOTED:
            _promote(each)
            each.notes.append(
                "Replication is asynchronous: what was acknowledged and not yet sent on is lost. On one "
                "machine that takes microseconds, and often nothing is; between zones it takes longer."
            )
        else:
            each.running.restart()
            each.running.wait_ready()
    except MemDBError as exc:
        each.notes.append(f"The engine did not come back: {exc} What it kept could not be looked at.")


def gone(running: Engine) -> None:
    """Wait for the end of the process that was killed: what still seems to run is not started again.

    Raises:
        EngineUnavailable: it runs on.
    """
    end = time.monotonic() + _DEATH_S
    while running.alive():
        if time.monotonic() > end:
            raise EngineUnavailable(f"Process {running.pid} was killed and still runs after {_DEATH_S:g} s.")
        time.sleep(0.002)


def _promote(each: Under) -> None:
    """Make the replica the primary, and send the writers there."""
    assert each.running is not None  # noqa: S101  # as above
    (target,) = each.running.replica_targets
    target = replace(target, writable=True)
    with redis.Redis(port=target.port, password=target.password) as there:
        try:
            there.execute_command("REPLICAOF", "NO", "ONE")
        except redis.RedisError as exc:
            raise EngineUnavailable(f"The replica was not promoted: {exc}.") from exc
    each.reader = connect(target)
    for writer in each.writers:
        writer.move(each.reader)


def end_writers(runs: Sequence[Under]) -> None:
    """End them, and wait for the writes under way."""
    writers = [writer for each in runs for writer in each.writers]
    for writer in writers:
        writer.end()
    for writer in writers:
        if writer.is_alive():
            writer.join(60)


def judged(each: Under, name: str) -> DrillSide:
    """What became of the writes; the ledgers are read from disk, not from memory."""
    noted = [entry for i in range(len(each.writers)) for entry in entries(each.folder / f"ledger-{i}.txt")]
    unanswered = [place for writer in each.writers for place in writer.unanswered]
    client = each.reader or each.client
    outcome: Verdict | None = None
    after: float | None = None
    try:
        outcome = verdict(client, name, noted, unanswered)
        after = recall(client)
    except MemDBError as exc:
        each.notes.append(f"The server could not be read after the restart: {exc}")
    finally:
        if each.reader is not None:
            each.reader.close()
    if after is None and each.recall_before is not None and outcome is not None:
        each.notes.append("The index is gone with the data: there is no recall to measure.")
    side = so_far(each)
    if outcome is None:
        return side
    return replace(
        side,
        acknowledged=outcome.acknowledged,
        recovered=outcome.recovered,
        lost=outcome.lost,
        partial=outcome.partial,
        unacknowledged_present=outcome.unacknowledged_present,
        recall_after=after,
        seconds=_seconds(noted, outcome.lost_entries),
        notes=tuple(each.notes),
    )


def _witness(name: str, runs: Sequence[Under]) -> Witness | None:
    """The last session of the first writers that all engines acknowledged while none was killed."""
    common = set.intersection(
        *({e.number for e in each.writers[0].noted if e.at_s < (each.killed_at_s or 0.0)} for each in runs)
    )
    if not common:
        return None
    number = max(common)
    written, _ = writes.fields(name, 0, number)
    key, _ = writes.keys(name, 0, number)
    try:
        there = {each.name: held(each.reader or each.client, key) == written for each in runs}
    except MemDBError:
        return None  # the notes of that engine say why it cannot be read
    return Witness(key, history_of(written[b"history"]).turns, there)


def so_far(each: Under) -> DrillSide:
    """The figures while it runs; nothing was looked for yet."""
    noted = each.noted()
    took = np.array([entry.took_ms for entry in noted])
    p50, p99 = (float(np.percentile(took, q)) for q in (50, 99)) if len(took) else (None, None)
    return DrillSide(
        name=each.name,
        acknowledged=len(noted),
        recovered=0,
        lost=0,
        partial=0,
        unacknowledged_present=0,
        unanswered=sum(len(writer.unanswered) for writer in each.writers),
        killed_at_s=each.killed_at_s,
        downtime_s=_downtime(each, noted),
        p50_ms=p50,
        p99_ms=p99,
        recall_before=each.recall_before,
        recall_after=None,
        seconds=_seconds(noted, ()),
        took_ms=tuple(took.tolist()),
        notes=tuple(each.notes),
    )


def _downtime(each: Under, noted: list[Entry]) -> float | None:
    if each.killed_at_s is None:
        return None
    if each.running is None:  # nothing tells when a cluster's old primary was gone: the longest silence
        times = sorted(e.at_s for e in noted)
        around = [(b - a) for a, b in itertools.pairwise(times) if b >= each.killed_at_s]
        return max(around, default=None)
    # An answer may have been on its way when the process ended: only what was sent after counts as back.
    ended = each.gone_at_s
    after = [e.at_s for e in noted if ended is not None and e.at_s - e.took_ms / 1e3 > ended]
    return min(after) - each.killed_at_s if after else None


def _seconds(noted: list[Entry], lost: tuple[Entry, ...]) -> tuple[Second, ...]:
    if not noted:
        return ()
    last = int(max(entry.at_s for entry in noted))
    answered = np.bincount([int(e.at_s) for e in noted], minlength=last + 1)
    gone = np.bincount([int(e.at_s) for e in lost], minlength=last + 1)
    return tuple(Second(i, int(a), int(b)) for i, (a, b) in enumerate(zip(answered, gone, strict=True)))
