"""More than the mean: how recall differs between queries, the EF each needs, what asking twice would gain.

All of it from what a run measured; nothing is asked. Of a sampled run recall is that against the reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb import intervals
from memdb.display import percent
from memdb.intervals import Interval
from memdb.tuning.run import EfPoint, Run
from memdb.vectors.distance import Doubles

BOUND = 0.9  # recall of a query, of which is said how many reach it
WORST = 0.1  # share of the queries that are the worst
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the queries that may be asked again
FEWEST = 40  # queries below which no rule is chosen
_ROUNDING = 1e-6  # recalls are kept in float32


@dataclass(frozen=True, slots=True)
class Spread:
    """One setting, beyond its mean."""

    ef_runtime: int
    bound: float
    reach_bound: Interval  # share of the queries with a recall of at least `bound`
    perfect: Interval  # share of the queries with all their neighbours
    worst: float  # mean recall of the worst tenth of the queries
    distance_ratio: float  # mean of returned by exact distances, 1 at best; NaN where there is no such ratio
    missed_ratio: float  # the same over the queries that miss a neighbour


@dataclass(frozen=True, slots=True)
class Needs:
    """The smallest measured EF_RUNTIME from which on a query has a recall of at least `bound`."""

    bound: float
    efs: tuple[int, ...]  # ascending
    queries: tuple[int, ...]  # how many need each of these
    never: int  # how many reach it at no measured setting, or not at the largest
    fixed_ef: int | None  # the setting that the oracle is compared with; None where no time was measured
    fixed_ms: float  # mean time of a call there
    oracle_ms: float  # where each query were asked with the smallest EF that gives it the same recall

    @property
    def words(self) -> tuple[str, ...]:
        """What it says, in sentences."""
        total = sum(self.queries) + self.never
        what = "all their neighbours" if self.bound >= 1 else f"a recall of {self.bound:g}"
        first, count = self.efs[0], self.queries[0]
        share = percent(count / total) if count else "none"
        parts = [f"{share} of {total:,} queries get {what} at EF_RUNTIME {first}"]
        if len(self.efs) > 1:
            last = max((ef for ef, n in zip(self.efs, self.queries, strict=True) if n), default=first)
            if last != first:
                parts.append(f"some need {last}")
        if self.never:
            parts.append(f"{percent(self.never / total)} do not even at {self.efs[-1]}")
        sentences = [f"{'; '.join(parts)}."]
        if self.fixed_ef is not None and self.fixed_ms > 0:
            saved = max(0.0, round(1 - self.oracle_ms / self.fixed_ms, 4))  # less is rounding of the sums
            sentences.append(
                f"With the smallest that each query needs, a call takes {self.oracle_ms:.2f} ms. "
                f"EF_RUNTIME {self.fixed_ef} for all takes {self.fixed_ms:.2f} ms: at most "
                f"{percent(saved)} could be saved."
            )
        return tuple(sentences)


@dataclass(frozen=True, slots=True)
class TwoStage:
    """Ask low, and ask again where distances look unsure: the best such rule, held against one EF for all.

    The rule was chosen by one half of the queries; the figures are of the other half.
    """

    low_ef: int
    high_ef: int
    sign: str  # what makes an answer unsure
    limit: float  # of the sign: at or above it is asked again
    again: float  # share of the queries asked twice
    recall: float
    mean_ms: float
    fixed_ef: int
    fixed_recall: float
    fixed_ms: float
    difference: Interval  # recall of the rule less that of the fixed EF, of the same queries
    queries: int  # that the figures are of

    @property
    def gains(self) -> bool:
        """Whether it is faster without showing a lower recall."""
        return self.mean_ms < self.fixed_ms and self.difference.high >= 0

    @property
    def words(self) -> str:
        """The gain, in one sentence."""
        rule = (
            f"Asking at EF_RUNTIME {self.low_ef}, and again at {self.high_ef} where {self.sign} is "
            f"{self.limit:.4g} or more ({percent(self.again)} of the queries)"
        )
        against = (
            f"recall {self.recall:.4f} and {self.mean_ms:.2f} ms a call, {self.fixed_ef} for all "
            f"{self.fixed_recall:.4f} and {self.fixed_ms:.2f} ms"
        )
        change = 1 - self.mean_ms / self.fixed_ms
        if self.gains:
            return f"{rule} gives {against}: {percent(change)} less time ({self.queries:,} queries)."
        return f"Asking twice gains nothing here. {rule} gives {against} ({self.queries:,} queries)."


def spread(run: Run, point: EfPoint, bound: float = BOUND) -> Spread:
    """How recall at one setting differs between the queries."""
    recalls = point.recalls.astype(np.float64)
    count, confidence = len(recalls), run.request.goal.confidence
    reach = int((recalls >= bound - _ROUNDING).sum())
    perfect = int((recalls >= 1 - _ROUNDING).sum())
    tenth = np.sort(recalls)[: max(1, math.ceil(WORST * count))]
    ratios = distance_ratios(run, point)
    finite = np.isfinite(ratios)
    misses = finite & (recalls < 1 - _ROUNDING)
    return Spread(
        point.ef_runtime,
        bound,
        intervals.share(reach, count, confidence),
        intervals.share(perfect, count, confidence),
        float(tenth.mean()) if count else math.nan,
        float(ratios[finite].mean()) if finite.any() else math.nan,
        float(ratios[misses].mean()) if misses.any() else math.nan,
    )


def distance_ratios(run: Run, point: EfPoint) -> Doubles:
    """Sum of the returned distances by that of as many exact ones, (q,): 1 where nothing nearer exists.

    Of L2 the distances themselves, not their squares. NaN where the metric is IP, whose distances have no
    zero, where nothing came, or where all exact ones are 0.
    """
    ratios = np.full(len(point.recalls), math.nan)
    if run.definition.metric == "IP":
        return ratios
    came = np.sort(point.hit_distances.astype(np.float64), axis=1)  # what is not known stands last
    exact = np.sort(run.truth.distances, axis=1)
    both = np.isfinite(came) & np.isfinite(exact)
    came, exact = (np.where(both, np.maximum(far, 0), 0) for far in (came, exact))
    if run.definition.metric == "L2":
        came, exact = np.sqrt(came), np.sqrt(exact)
    sums, nearest = came.sum(axis=1), exact.sum(axis=1)
    positive = nearest > 0
    ratios[positive] = np.maximum(1.0, sums[positive] / nearest[positive])
    return ratios


def needs(run: Run, bound: float = 1.0) -> Needs | None:
    """The EF_RUNTIME each query needs; None where fewer than two settings were measured."""
    points = sorted((p for p in run.points if p.ef_runtime), key=lambda p: p.ef_runtime)
    if len(points) < 2:
        return None
    recalls = np.stack([p.recalls for p in points]).astype(np.float64)
    first = _first_from_which_on(recalls >= bound - _ROUNDING)
    counts = tuple(int((first == place).sum()) for place in range(len(points)))
    fixed = _fixed(run, points)
    times = _times(points)
    fixed_ms = oracle_ms = math.nan
    if fixed is not None and np.isfinite(times).all():
        at = points.index(fixed)
        enough = (recalls >= recalls[at] - _ROUNDING)[: at + 1]
        cheapest = np.argmax(enough, axis=0)
        fixed_ms, oracle_ms = float(times[at]), float(np.minimum(times[cheapest], times[at]).mean())
    return Needs(
        bound,
        tuple(p.ef_runtime for p in points),
        counts,
        int((first == len(points)).sum()),
        fixed.ef_runtime if fixed is not None and math.isfinite(fixed_ms) else None,
        fixed_ms,
        oracle_ms,
    )


def two_stage(run: Run) -> TwoStage | None:
    """The best rule of two settings, chosen by every other query; None where none can be tried.

    Of all pairs of settings, signs and shares asked again it is the one with the least mean time among those
    whose recall is at least that of the fixed setting: the recommended one, else the largest measured. The
    time of a query that is asked twice is that of both calls.
    """
    points = sorted((p for p in run.points if p.ef_runtime), key=lambda p: p.ef_runtime)
    fixed = _fixed(run, points)
    count = len(run.queries)
    if fixed is None or len(points) < 2 or count < FEWEST:
        return None
    times = _times(points)
    if not np.isfinite(times).all():
        return None
    chosen, tested = np.arange(0, count, 2), np.arange(1, count, 2)
    goal = float(fixed.recalls[chosen].astype(np.float64).mean())
    best: tuple[float, int, int, str, float] | None = None
    for low, first in enumerate(points[:-1]):
        for sign, values in _signs(first):
            for share in SHARES:
                limit = float(np.quantile(values[chosen], 1 - share, method="higher"))
                again = values[chosen] >= limit
                if not again.any() or not math.isfinite(limit):
                    continue
                for high in range(low + 1, len(points)):
                    recall = np.where(again, points[high].recalls[chosen], first.recalls[chosen]).mean()
                    time = times[low] + again.mean() * times[high]
                    if recall >= goal - _ROUNDING and (best is None or time < best[0]):
                        best = (float(time), low, high, sign, limit)
    if best is None:
        return None
    _, low, high, sign, limit = best
    values = dict(_signs(points[low]))[sign]
    again = values[tested] >= limit
    recalls = np.where(again, points[high].recalls[tested], points[low].recalls[tested]).astype(np.float64)
    fixed_recalls = fixed.recalls[tested].astype(np.float64)
    return TwoStage(
        points[low].ef_runtime,
        points[high].ef_runtime,
        sign,
        limit,
        float(again.mean()),
        float(recalls.mean()),
        float(times[low] + again.mean() * times[high]),
        fixed.ef_runtime,
        float(fixed_recalls.mean()),
        float(times[points.index(fixed)]),
        intervals.paired(recalls, fixed_recalls, run.request.goal.confidence),
        len(tested),
    )


def _signs(point: EfPoint) -> Sequence[tuple[str, Doubles]]:
    """What an application sees of an answer that may tell how good it is: larger is less sure.

    An answer that came short is the least sure of all.
    """
    far = point.hit_distances.astype(np.float64)
    short = ~np.isfinite(far).all(axis=1)
    filled = np.where(np.isfinite(far), far, 0.0)
    first, last = filled.min(axis=1), filled.max(axis=1)
    reach = last - first
    signs = (
        ("the distance of the nearest hit", first),
        ("the distance of the farthest hit", last),
        ("the difference between the farthest and the nearest hit", reach),
    )
    return [(name, np.where(short, np.inf, value)) for name, value in signs]


def _fixed(run: Run, points: Sequence[EfPoint]) -> EfPoint | None:
    """The setting that others are compared with: the recommended one, else the largest measured."""
    best = run.recommendation.ef_runtime if run.recommendation else None
    return next((p for p in points if p.ef_runtime == best), points[-1] if points else None)


def _times(points: Sequence[EfPoint]) -> Doubles:
    """(settings,) mean milliseconds of a call; NaN where none was measured."""
    return np.array(
        [float(p.latencies_ms.astype(np.float64).mean()) if len(p.latencies_ms) else math.nan for p in points]
    )


def _first_from_which_on(good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(settings, q) → (q,) the first setting from which on all are good; the number of settings for none."""
    from_on = np.flip(np.logical_and.accumulate(np.flip(good, axis=0), axis=0), axis=0)
    return np.where(from_on.any(axis=0), np.argmax(from_on, axis=0), len(good)).astype(np.int64)
