"""Indexes timed in turn: each setting of each index in every round, so that what slows the machine slows all.

Times of runs that followed each other differ by more than the indexes do. What was timed together is kept
with the runs it belongs to, in `tuning/interleaved.json`.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from memdb import files
from memdb.cluster.client import Client
from memdb.errors import DamagedFile, NotKept
from memdb.jobs import Report, silent
from memdb.json_text import json_text
from memdb.tuning import load, own
from memdb.tuning.run import Run
from memdb.vectors.index import IndexInfo

ROUNDS = 5
CALLS = 20  # of each setting of each index in a round
_FILE = "interleaved.json"
_KEPT = 200  # runs


@dataclass(frozen=True, slots=True)
class Timed:
    """One setting of one index."""

    ef_runtime: int  # 0: the index has none
    p50_ms: float  # median of the rounds' medians
    low_ms: float  # the least and the greatest of them
    high_ms: float


@dataclass(frozen=True, slots=True)
class Interleaved:
    """One index of a comparison, at every setting its run measured."""

    comparison: str  # the same for all that were timed in turn
    rounds: int
    calls: int  # of each setting in a round
    points: tuple[Timed, ...] = field(default=())  # ascending by EF_RUNTIME

    def of_ef(self, ef_runtime: int) -> Timed | None:
        """The times of one setting."""
        return next((point for point in self.points if point.ef_runtime == ef_runtime), None)


def measure(
    client: Client,
    measured: Sequence[tuple[IndexInfo, Run]],
    *,
    rounds: int = ROUNDS,
    calls: int = CALLS,
    pace: float | None = None,
    report: Report = silent,
) -> dict[str, Interleaved]:
    """Time every setting of every run, in turn, with the queries of the runs; by the run's id.

    A round begins with another setting than the one before, and within a setting with another index.

    Args:
        client: the server.
        measured: indexes with their runs, of the same queries.
        rounds: how often all are timed.
        calls: of each setting in a round, one after another.
        pace: calls a second at most.
        report: progress; may raise Cancelled.

    Raises:
        MemDBError: the server does not answer or refuses.
        Cancelled: from `report`.
    """
    places = [(info, run, point.ef_runtime) for info, run in measured for point in run.points]
    places.sort(key=lambda place: place[2])
    question_sets = [own.questions(client, info, run.request, run.queries, ef) for info, run, ef in places]
    medians: list[list[float]] = [[] for _ in places]
    total, calls_made = rounds * calls * len(places), 0
    for turn in range(rounds):
        first = turn * len(places) // max(1, rounds)
        for i in [*range(first, len(places)), *range(first)]:
            took = load.latencies(
                client,
                question_sets[i],
                lambda _: None,
                least=calls,
                most=calls,
                at_most_s=0.0,
                budget_qps=pace,
            )
            medians[i].append(statistics.median(took))
            calls_made += calls
            report("Timing in turn", calls_made, total)
    comparison = secrets.token_hex(8)
    times_of: dict[str, list[Timed]] = {run.id: [] for _, run in measured}
    for (_, run, ef), values in zip(places, medians, strict=True):
        if values:
            times_of[run.id].append(Timed(ef, statistics.median(values), min(values), max(values)))
    return {name: Interleaved(comparison, rounds, calls, tuple(points)) for name, points in times_of.items()}


def remember(times: Mapping[str, Interleaved], home: Path) -> None:
    """Keep what was timed together, by run. A full disk is no reason to fail."""
    every = {**known(home), **times}
    newest = dict(list(every.items())[-_KEPT:])
    text = json_text({name: asdict(value) for name, value in newest.items()})
    with contextlib.suppress(NotKept):
        files.write(home / "tuning" / _FILE, text.encode())


def known(home: Path) -> dict[str, Interleaved]:
    """All that is kept, by the id of its run; a damaged file counts as none, and is named elsewhere."""
    try:
        return files.document(home / "tuning" / _FILE, dict[str, Interleaved]) or {}
    except DamagedFile:
        return {}


def rising(times: Sequence[float]) -> tuple[float, ...]:
    """The nearest times that never fall, by least squares: a larger EF looks at more candidates.

    Args:
        times: by ascending EF_RUNTIME, all finite.
    """
    from scipy.optimize import isotonic_regression  # heavy: for a chart of this page alone

    return tuple(float(value) for value in isotonic_regression(list(times)).x) if len(times) else ()


def cheapest(recalls: Sequence[float], times: Sequence[float], target: float) -> float:
    """The least time among the settings whose recall is at least the target; infinite where none is."""
    return min((ms for r, ms in zip(recalls, times, strict=True) if r >= target), default=math.inf)


def worth(
    before: tuple[Sequence[float], Sequence[float]],
    after: tuple[Sequence[float], Sequence[float]],
    margin: float,
) -> tuple[float, float] | None:
    """Between which targets the second index is the faster way to them, or the only one.

    Of the recalls that were measured on either: the first and the last of the longest unbroken row of them.

    Args:
        before: recalls and times of the first index.
        after: of the second.
        margin: share of a time that counts as no difference.
    """
    best: list[float] = []
    row: list[float] = []
    for target in sorted({*before[0], *after[0]}):
        old, new = cheapest(*before, target), cheapest(*after, target)
        row = [*row, target] if math.isfinite(new) and new < (1 - margin) * old else []
        best = row if len(row) >= len(best) else best
    return (best[0], best[-1]) if best else None
