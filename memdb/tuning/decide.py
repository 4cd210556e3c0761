"""Which EF_RUNTIME to measure next, and which to recommend. Pure; docs/decisions/0010 gives the reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from memdb import intervals
from memdb.display import counted
from memdb.intervals import Numbers
from memdb.tuning import unseen
from memdb.tuning.run import (
    CERTAIN,
    Beside,
    Definition,
    EfPoint,
    Goal,
    Recommendation,
    Sampled,
    SweepRequest,
    Uncertainty,
    closest,
)
from memdb.tuning.source import short_words

LARGER = 4  # times the sample, of which is said how much it would tell
POINTS = 8  # a curve of so many points shows its bend
COARSE = 4
_WORTH = 0.01  # a step in recall smaller than this is not looked into further
_MOST_TIMES = 16  # doublings: a mean that so many more queries cannot tell from the target is the target
_FINE_FROM = 4_000  # queries that can tell apart what a third of a doubling changes


def ladder(ef_min: int, ef_max: int, queries: int) -> tuple[int, ...]:
    """The EF values that may be measured, from ef_min to ef_max: steps that so many queries can tell apart.

    Three steps for each doubling, two where there are few queries: a finer choice would be noise.
    """
    steps = 3 if queries >= _FINE_FROM else 2
    count = math.ceil(math.log2(max(1.0, ef_max / ef_min)) * steps)
    values = {_rounded(round(ef_min * 2 ** (i / steps))) for i in range(1, count)}
    between = {value for value in values if ef_min < value < 0.9 * ef_max}
    return tuple(sorted(between | {ef_min, ef_max}))


def first_values(steps: Sequence[int]) -> tuple[int, ...]:
    """Where to begin: the ends and some evenly between them, on the ladder's own scale."""
    last = len(steps) - 1
    return tuple(sorted({steps[round(i * last / (COARSE - 1))] for i in range(COARSE)}))


def next_value(
    steps: Sequence[int], recalls: Mapping[int, float], meets: Mapping[int, bool], kind: str
) -> int | None:
    """The EF to measure next, None when the boundary is found and the curve has its points.

    First by bisection to the boundary between what meets the goal and what does not, then where the curve
    rises most between two neighbours.

    Args:
        steps: the ladder.
        recalls: what was measured, by EF.
        meets: whether each of these meets the goal.
        kind: of the goal: for a recall those above the boundary meet it, for a latency those below.
    """
    measured = [i for i, ef in enumerate(steps) if ef in recalls]
    if kind == "recall":
        low = max((i for i in measured if not meets[steps[i]]), default=None)
        high = min((i for i in measured if low is None or i > low), default=None)
    else:
        high = min((i for i in measured if not meets[steps[i]]), default=None)
        low = max((i for i in measured if high is None or i < high), default=None)
    if low is not None and high is not None and high - low > 1:
        return steps[(low + high) // 2]
    if len(measured) >= POINTS:
        return None
    gaps = [(abs(recalls[steps[b]] - recalls[steps[a]]), a, b) for a, b in pairwise(measured) if b - a > 1]
    if not gaps or max(gaps)[0] < _WORTH:
        return None
    _, a, b = max(gaps)
    return steps[(a + b) // 2]


def meets(point: EfPoint, goal: Goal) -> bool:
    """Whether a point shows the goal: for a recall its whole interval must lie at or above the target."""
    return point.p99_ms <= goal.value if goal.kind == "p99_ms" else point.low >= goal.value


def chosen(points: Sequence[EfPoint], goal: Goal) -> EfPoint | None:
    """The point to recommend.

    For a recall: going down from the largest EF while the goal is met, the last one. Tested in this order
    the chance to recommend one that misses is that of a single interval, however many are looked at: the
    first that truly misses must pass its own test. For a latency: the best recall among those that meet it.
    """
    if goal.kind == "p99_ms":
        fitting = [p for p in points if meets(p, goal)]
        return max(fitting, key=lambda p: (round(p.recall, 4), -p.ef_runtime), default=None)
    cheapest = None
    for point in sorted(points, key=lambda p: -p.ef_runtime):
        if not meets(point, goal):
            break
        cheapest = point
    return cheapest


def too_few(goal: Goal, k: int, queries: int) -> str:
    """Why so many queries show no recall of the goal, even all answered perfectly; empty where they can."""
    if goal.kind != "recall":
        return ""
    if goal.value >= 1:
        return "No sample can show a recall of exactly 1; choose a target below, e.g. 0.999."
    needed = queries_for(goal.value, goal.confidence)
    if needed <= queries:
        return ""
    are = "is" if queries == 1 else "are"
    return (
        f"{counted(queries, 'query', 'queries')} {are} too few for {goal.words(k)}, "
        f"even if all were answered perfectly: it takes at least {needed:,}."
    )


def queries_for(target: float, confidence: float = 0.95) -> int:
    """How many queries it takes before a perfect answer to all of them shows a recall of `target`.

    With fewer, a query in so many hundred that finds nothing could well have been missed.
    """
    if target >= 1:
        return 0  # no number of queries shows that none is ever missed
    if target <= 0:
        return 1

    def shown(q: int) -> bool:
        low, _ = intervals.bounds(np.ones(1), np.array([[float(q)]]), confidence)
        return bool(low[0] >= target)

    least = math.ceil(math.log((1 - confidence) / 2) / math.log(target))
    low, high = max(1, least), max(2, math.ceil(least * 1.05))
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(middle) else (middle + 1, high)
    return low


def queries_to_tell(recalls: Numbers, target: float, confidence: float = 0.95) -> int | None:
    """How many queries like these (n,) would show a mean above `target`, to 3 %; None where none would."""
    if not len(recalls) or not float(np.mean(recalls)) > target:
        return None
    values, counts = np.unique(np.clip(recalls.astype(np.float64), 0.0, 1.0), return_counts=True)
    fewest = -24 * math.floor(math.log2(len(recalls)))  # one query: fewer than there are may be enough
    tried = np.arange(fewest, _MOST_TIMES * 24) / 24  # in doublings of the queries there are
    times = 2.0**tried
    low, _ = intervals.bounds(values, counts[None, :] * times[:, None], confidence)
    enough = np.flatnonzero(low >= target)
    return math.ceil(len(recalls) * float(times[enough[0]])) if len(enough) else None


def left_open(points: Sequence[EfPoint], goal: Goal, uncertainty: Uncertainty = CERTAIN) -> bool:
    """Whether a cheaper setting may meet a recall, and only the number of queries hinders to show it.

    `uncertainty` is that of the queries: what is not known of made queries no number of them tells.
    """
    if goal.kind != "recall":
        return False
    best = chosen(points, goal)
    below = [p for p in points if best is None or p.ef_runtime < best.ef_runtime]
    return any(unseen.surely(p.recall, goal.confidence, uncertainty) >= goal.value for p in below)


def hidden(points: Sequence[EfPoint], goal: Goal, uncertainty: Uncertainty = CERTAIN) -> bool:
    """Whether a cheaper setting would be shown to meet a recall, were it known what the reference misses.

    Then a larger sample may show it. `uncertainty` is that of the queries.
    """
    if goal.kind != "recall":
        return False
    best = chosen(points, goal)
    for point in points:
        estimate = point.estimate
        if estimate is None or (best is not None and point.ef_runtime >= best.ef_runtime):
            continue
        hits = estimate.reference
        low = estimate.recall.mean - (hits.mean - hits.low)
        widened = unseen.widened(replace(estimate.recall, low=low), goal.confidence, uncertainty)
        if widened.low >= goal.value:
            return True
    return False


def recommend(
    points: Sequence[EfPoint],
    request: SweepRequest,
    definition: Definition,
    *,
    ef_limit: int,
    plan_words: str = "",
    plan_exact: bool = False,
    uncertainty: Uncertainty = CERTAIN,
    beside: Beside | None = None,
    sampled: Sampled | None = None,
) -> Recommendation | None:
    """One plain sentence, and what it rests on; None where nothing was measured.

    Args:
        points: measured, by EF_RUNTIME.
        request: what was asked.
        definition: how the field is indexed.
        ef_limit: the largest EF_RUNTIME the engine takes.
        plan_words: how the engine runs the filter, where it tells.
        plan_exact: whether it compares all that match, so that EF_RUNTIME changes nothing.
        uncertainty: of the queries.
        beside: what made queries get, where documents were asked.
        sampled: what recall was estimated from, where not all documents were read.
    """
    if not points:
        return None
    goal, k = request.goal, request.k
    best = chosen(points, goal)
    plan = (*((beside.words,) if beside else ()), *((plan_words,) if plan_words else ()))
    if sampled is not None:
        plan = (sampled.reference_words, *narrowing(best or closest(points, goal), sampled), *plan)
    if plan_exact and definition.algorithm == "HNSW" and goal.kind == "recall" and all_exact(points):
        return _brute_force(points, plan)
    if best is None:
        return _missed(points, request, definition, ef_limit, plan, plan_exact, uncertainty, sampled)
    what = _result(best, request, sampled)
    if definition.algorithm != "HNSW":
        sentence = f"This {definition.algorithm} index meets {goal.words(k)} without any EF_RUNTIME: {what}."
        return Recommendation(None, best.recall, best.low, best.high, True, sentence, plan)
    reasons: list[str] = []
    if goal.kind == "p99_ms":
        sentence = (
            f"EF_RUNTIME {best.ef_runtime} has the highest recall@{k} of those that meet {goal.words(k)}: "
            f"{what}; its p99 is {best.p99_ms:.2f} ms."
        )
        reasons.append(f"The p99 is of {best.calls:,} sequential calls; a single slow call moves it.")
    else:
        sentence = f"EF_RUNTIME {best.ef_runtime} is the cheapest that meets {goal.words(k)}: {what}."
        below = [p for p in points if p.ef_runtime < best.ef_runtime]
        if below:
            reasons.append(_below(max(below, key=lambda p: p.ef_runtime), goal))
        elif best.ef_runtime <= k:
            reasons.append("A lower one changes nothing: below K the engine uses K.")
        else:
            reasons.append(f"It is the lowest that was measured: one from {k} to it may do as well.")
        if math.isfinite(best.p99_ms):
            reasons.append(
                f"It costs {best.p50_ms:.2f} ms a call at the median and {best.p99_ms:.2f} ms at p99 "
                f"({best.calls:,} sequential calls)."
            )
    return Recommendation(
        best.ef_runtime, best.recall, best.low, best.high, True, sentence, (*reasons, *plan)
    )


def unfinished(verdict: Recommendation) -> Recommendation:
    """The same of an index that lacked documents: nothing is shown for the index it will be."""
    return replace(
        verdict,
        ef_runtime=None,
        met=False,
        sentence=f"Not shown: documents were missing from the index. Of what it held: {verdict.sentence}",
    )


def all_exact(points: Sequence[EfPoint]) -> bool:
    """Whether every query of every point got all its true neighbours."""
    return all(len(p.recalls) > 0 and float(p.recalls.min()) >= 1 for p in points)


def _brute_force(points: Sequence[EfPoint], plan: tuple[str, ...]) -> Recommendation:
    """No setting is better than another where all that match are compared."""
    count = len(points[0].recalls)
    queries = "query" if count == 1 else "queries"
    answered = f"{count:,} {queries} answered, each exactly, at every EF_RUNTIME measured"
    reason = f"{answered[0].upper()}{answered[1:]}. Other queries under another filter may run otherwise."
    return Recommendation(
        None,
        1.0,
        1.0,
        1.0,
        True,
        "EF_RUNTIME does not matter under this filter: exact by brute force.",
        (reason, *plan),
    )


def _below(point: EfPoint, goal: Goal) -> str:
    start = f"EF_RUNTIME {point.ef_runtime}, the next lower one measured, gives {point.recall:.3f} "
    width = f"({point.low:.3f} to {point.high:.3f})"
    if point.recall >= goal.value:
        return f"{start}{width}: it may meet the goal, but these queries do not show it."
    return f"{start}{width}."


def _missed(
    points: Sequence[EfPoint],
    request: SweepRequest,
    definition: Definition,
    ef_limit: int,
    plan: tuple[str, ...],
    plan_exact: bool,
    uncertainty: Uncertainty,
    sampled: Sampled | None,
) -> Recommendation:
    goal, k = request.goal, request.k
    ordered = sorted(points, key=lambda p: p.ef_runtime)
    best = closest(points, goal)
    if goal.kind == "p99_ms":
        sentence = (
            f"No EF_RUNTIME from {ordered[0].ef_runtime} to {ordered[-1].ef_runtime} meets "
            f"{goal.words(k)}: the fastest, {best.ef_runtime}, has a p99 of {best.p99_ms:.2f} ms."
        )
        reasons = ["A lower M, a smaller k, fewer returned fields or a faster node would shorten the call."]
        return Recommendation(None, best.recall, best.low, best.high, False, sentence, (*reasons, *plan))
    q = len(best.recalls)
    reasons = []
    needed = queries_to_tell(best.recalls, goal.value, goal.confidence)
    if goal.value >= 1:
        reasons.append("No sample shows a recall of exactly 1; set a target below, e.g. 0.999.")
    elif unseen.surely(best.recall, goal.confidence, uncertainty) < goal.value <= best.recall:
        reasons.append(
            "The measured recall is above the target, its interval is not, and more made queries would not "
            "tell: they stand for unseen ones only so well. A file of real queries would tell."
        )
    elif sampled is not None and best.recall > goal.value:
        reasons.append(
            f"The estimated recall is above the target, its interval is not: more queries than {q:,}, "
            f"or a larger sample than {sampled.drawn:,}, would tell."
        )
    elif needed is not None:
        reasons.append(
            f"The measured recall is above the target, its interval is not: about {max(needed, q + 1):,} "
            f"queries would tell, {q:,} were asked."
        )
    else:
        reasons += _ways(ordered, definition, ef_limit, plan_exact)
    if definition.algorithm != "HNSW":
        what = f"This {definition.algorithm} index does not show"
    else:
        what = f"No EF_RUNTIME from {ordered[0].ef_runtime} to {ordered[-1].ef_runtime} shows"
    at = f"the best, {best.ef_runtime}, gives " if best.ef_runtime else ""
    sentence = f"{what} {goal.words(k)}: {at}{_result(best, request, sampled)}."
    return Recommendation(None, best.recall, best.low, best.high, False, sentence, (*reasons, *plan))


def _ways(ordered: Sequence[EfPoint], definition: Definition, ef_limit: int, plan_exact: bool) -> list[str]:
    """What would meet a recall that no measured EF meets."""
    if definition.algorithm == "FLAT" or plan_exact:
        zero = " Zero vectors have no cosine distance, and the engine loses nearer documents over them."
        return [
            "The engine compares every vector that matches, so nothing it could be told would find more: "
            "look at whether documents changed during the run, and at the type of the field."
            + (zero if definition.metric == "COSINE" else "")
        ]
    if definition.algorithm != "HNSW":
        return [
            f"{definition.algorithm} has no EF_RUNTIME: what it finds was set when it was built, and its own "
            "settings of a query are not measured here. An HNSW or a FLAT index beside it shows what is lost."
        ]
    last = ordered[-1]
    if last.broken:
        return [
            f"{last.broken:,} hits at {last.ef_runtime} break the filter and take the places of others: no "
            "EF_RUNTIME and no M helps against that; TAG fields in place of words do, or a FLAT index."
        ]
    ways = []
    rising = len(ordered) < 2 or last.recall - ordered[-2].recall > 0.002
    if rising and last.ef_runtime < ef_limit:
        ways.append(
            f"The curve still rises at {last.ef_runtime}: ask for larger values (this engine takes up to "
            f"{ef_limit:,})."
        )
    m = "" if definition.m is None else f" (now {definition.m})"
    construction = "" if definition.ef_construction is None else f" (now {definition.ef_construction})"
    ways.append(
        f"A graph built with a higher M{m} or EF_CONSTRUCTION{construction} finds more at the same "
        "EF_RUNTIME: try it in a shadow index."
    )
    if last.short:
        ways.append(
            f"{last.short:,} queries came back short: under a filter the walk ends before k documents are "
            "found; a more selective filter, which the engine runs by brute force, or a FLAT index would not."
        )
    return ways


def _result(point: EfPoint, request: SweepRequest, sampled: Sampled | None) -> str:
    how = f", {sampled.words}" if sampled is not None else ""
    return (
        f"recall {point.recall:.3f}, {request.goal.confidence * 100:g} % interval {point.low:.3f} to "
        f"{point.high:.3f} over {len(point.recalls):,} {short_words(request.source)}{how}"
    )


def narrowing(point: EfPoint, sampled: Sampled) -> tuple[str, ...]:
    """The two parts of an estimate, and what a larger sample would make of its interval."""
    if point.estimate is None:
        return ()
    reference, lost = point.estimate.reference, point.estimate.unseen
    at = f"At EF_RUNTIME {point.ef_runtime} the index" if point.ef_runtime else "The index"
    parts = (
        f"{at} returned {reference.mean:.4f} of the reference's answer ({reference.low:.4f} to "
        f"{reference.high:.4f}); what the reference misses takes {lost.mean:.4f} of it "
        f"({lost.low:.4f} to {lost.high:.4f})."
    )
    width = point.high - point.low
    times = min(LARGER, 1 / sampled.share)
    if times <= 1:
        return (parts,)
    # What is not known of made queries stays as it is.
    saved = point.estimate.recall.high - point.estimate.recall.low - point.estimate.narrower(times)
    larger = f"with a sample of {round(times * sampled.drawn):,} it would be about"
    return (parts, f"The interval is {width:.4f} wide; {larger} {max(0.0, width - saved):.4f}.")


def _rounded(value: int) -> int:
    """Two digits are enough for a number people type."""
    if value < 100:
        return value
    unit = 10 ** (len(str(value)) - 2)
    return int(round(value / unit) * unit)
