"""Two runs beside each other: paired where they asked the same queries."""

from __future__ import annotations

import math
from dataclasses import dataclass

from memdb import intervals
from memdb.intervals import Interval
from memdb.tuning.run import EfPoint, Run


@dataclass(frozen=True, slots=True)
class RecallDifference:
    """At one EF_RUNTIME: recall of the first run less that of the second."""

    ef_runtime: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p50_ms: float  # first less second; NaN where one was not measured

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Differences where both runs measured the same EF_RUNTIME."""

    paired: bool
    confidence: float
    rows: tuple[RecallDifference, ...]
    words: str  # one sentence: how they were compared, and what hinders it


def compare(first: Run, second: Run) -> RunComparison:
    """First less second. Paired, hence much sharper, where queries and k are the same.

    The one EF of a FLAT index (0) is compared with every EF of the other run.
    """
    confidence = min(first.request.goal.confidence, second.request.goal.confidence)
    same_k = first.request.k == second.request.k
    # A run that was cut short still asked all its queries at each of its points.
    paired = same_k and first.queries.digest == second.queries.digest
    rows = []
    for first_point, second_point in _pairs(first.points, second.points):
        if paired:
            difference = intervals.paired(first_point.recalls, second_point.recalls, confidence)
        else:
            difference = intervals.unpaired(first_point.recalls, second_point.recalls, confidence)
        difference = _estimated(difference, first_point, second_point)
        ef = first_point.ef_runtime or second_point.ef_runtime
        rows.append(
            RecallDifference(
                ef,
                first_point.recall,
                second_point.recall,
                difference.mean,
                difference.low,
                difference.high,
                first_point.p50_ms - second_point.p50_ms,
            )
        )
    return RunComparison(paired, confidence, tuple(rows), _words(first, second, paired, same_k, len(rows)))


def _estimated(measured: Interval, first_point: EfPoint, second_point: EfPoint) -> Interval:
    """A difference of what was returned of references, less that of what these miss themselves."""
    mean, down, up = measured.mean, measured.mean - measured.low, measured.high - measured.mean
    for sign, point in ((-1, first_point), (1, second_point)):
        if point.estimate is not None:
            unseen = point.estimate.unseen
            mean += sign * unseen.mean
            parts = unseen.high - unseen.mean, unseen.mean - unseen.low
            more, less = parts if sign < 0 else parts[::-1]
            down, up = math.hypot(down, more), math.hypot(up, less)
    return Interval(mean, mean - down, mean + up)


def _pairs(first: tuple[EfPoint, ...], second: tuple[EfPoint, ...]) -> list[tuple[EfPoint, EfPoint]]:
    return [
        (a, b)
        for a in first
        for b in second
        if a.ef_runtime == b.ef_runtime or 0 in {a.ef_runtime, b.ef_runtime}
    ]


def _words(first: Run, second: Run, paired: bool, same_k: bool, rows: int) -> str:
    if not rows:
        return "The two runs measured no EF_RUNTIME in common; run one again over the other's range."
    if not same_k:
        return (
            f"One run asked for {first.request.k} neighbours, the other for {second.request.k}: two measures."
        )
    how = (
        f"Paired: both asked the same {len(first.queries):,} queries."
        if paired
        else "Not paired, for the runs asked other queries: only large differences show."
    )
    if first.request.filter != second.request.filter:
        how += " Their filters differ."
    if first.sampled is not None or second.sampled is not None:
        how += " Recall is estimated from a sample, and so are the differences."
    return how
