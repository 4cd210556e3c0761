"""Settings held against each other question by question, and what follows in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from memdb import intervals
from memdb.display import counted
from memdb.errors import BadInput
from memdb.intervals import Interval
from memdb.relevance.measures import MEASURES, Doubles, name
from memdb.relevance.run import Evaluation

ENOUGH = 10  # questions below which an interval says little
MUCH_UNJUDGED = 0.2  # a difference of so much of the hits may itself make a setting look worse


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """By how much one setting's mean exceeds another's, over the same questions."""

    first: int  # places of the settings
    second: int
    measure: str
    interval: Interval  # of the second less the first

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.interval.low > 0 or self.interval.high < 0


@dataclass(frozen=True, slots=True)
class Diffed:
    """Two evaluations, each by its first setting, over the questions that both asked."""

    questions: tuple[str, ...]
    before: Doubles  # (q,) nDCG@k of the earlier one
    after: Doubles  # (q,) of the later one
    interval: Interval  # of the later less the earlier
    confidence: float
    words: str  # one sentence

    @property
    def worse(self) -> bool:
        """Whether the later one is clearly below."""
        return self.interval.high < 0


def values(run: Evaluation, setting: int, measure: str = "ndcg") -> Doubles:
    """(q,) one measure of each question."""
    column: Doubles = getattr(run.measures[setting], measure)
    return column


def mean(run: Evaluation, setting: int, measure: str = "ndcg") -> Interval:
    """The mean over questions like these, with the request's confidence."""
    return intervals.mean(values(run, setting, measure), run.request.confidence)


def difference(run: Evaluation, first: int, second: int, measure: str = "ndcg") -> MeanDifference:
    """The second setting less the first, paired.

    All pairs of settings hold together with the request's confidence (Bonferroni), so that the best may be
    chosen after looking.
    """
    pairs = math.comb(len(run.answers), 2)
    confidence = 1 - (1 - run.request.confidence) / pairs
    first_values, second_values = (values(run, place, measure) for place in (first, second))
    return MeanDifference(first, second, measure, intervals.paired(second_values, first_values, confidence))


def differences(run: Evaluation, measure: str = "ndcg") -> tuple[MeanDifference, ...]:
    """Of every pair, the earlier named setting as the base."""
    return tuple(difference(run, a, b, measure) for a, b in combinations(range(len(run.answers)), 2))


def best(run: Evaluation, measure: str = "ndcg") -> int:
    """The place of the setting with the highest mean; the first of equal ones."""
    return int(np.argmax([np.mean(values(run, i, measure)) for i in range(len(run.answers))]))


def conclusion(run: Evaluation) -> str:
    """Which setting is better and how sure that is, in one or two sentences."""
    if not run.questions:
        return "No question was asked to its end."
    measure, count = name("ndcg", run.request.k), len(run.questions)
    sure = f"{run.request.confidence * 100:g} % confidence"
    over = f"{count:,} question{'' if count == 1 else 's'}"
    if len(run.answers) == 1:
        only = mean(run, 0)
        return (
            f"{measure} is {only.mean:.3f} ({only.low:.3f} to {only.high:.3f} with {sure}), over {over}."
            + _few(count)
        )
    leading = best(run)
    others = [difference(run, place, leading) for place in range(len(run.answers)) if place != leading]
    top = run.names[leading]
    got = mean(run, leading).mean
    margins = [
        f"{run.names[each.first]} {mean(run, each.first).mean:.3f}, {_signed(each.interval)}"
        for each in others
    ]
    if all(each.clear for each in others):
        rivals = _listed([run.names[each.first] for each in others])
        sentence = (
            f"{top} is better than {rivals} with {sure}: {measure} {got:.3f} against {'; '.join(margins)}"
        )
    elif all(not np.any(values(run, each.first) != values(run, leading)) for each in others):
        return (
            f"No difference: every setting has the same {measure} for each of {over}, {got:.3f} in the mean."
        )
    else:
        open_ = _listed([run.names[each.first] for each in others if not each.clear])
        sentence = (
            f"{top} has the highest {measure}, {got:.3f}, but whether it is better than {open_} is open "
            f"with {sure}: {'; '.join(margins)}"
        )
    return f"{sentence}, over {over}." + _needed(run, leading, others) + _unjudged(run, leading) + _few(count)


def worst(run: Evaluation, setting: int, measure: str = "ndcg") -> NDArray[np.intp]:
    """(q,) rows, the question with the lowest value first; equal ones as they stand."""
    return np.argsort(values(run, setting, measure), kind="stable")


def most_changed(run: Evaluation, first: int, second: int, measure: str = "ndcg") -> NDArray[np.intp]:
    """(q,) rows, the question with the largest change either way first; equal ones as they stand."""
    change = np.abs(values(run, second, measure) - values(run, first, measure))
    return np.argsort(-change, kind="stable")


def diff(earlier: Evaluation, later: Evaluation) -> Diffed:
    """The first settings of two evaluations, over the questions that both asked, by the later one's labels.

    Raises:
        BadInput: they asked no question in common, or counted another number of hits.
    """
    if earlier.request.k != later.request.k:
        raise BadInput(
            f"Run {earlier.id} counted {earlier.request.k} hits, the other {later.request.k}: two measures.",
            f"Evaluate with k {earlier.request.k}, or compare with another run.",
        )
    before = {text: row for row, text in enumerate(earlier.questions)}
    rows = [(before[text], row) for row, text in enumerate(later.questions) if text in before]
    if not rows:
        raise BadInput(
            f"Run {earlier.id} asked none of these {len(later.questions):,} questions.",
            "Compare runs over the same questions.",
        )
    latest = _only(later, [row for _, row in rows], later)
    then = _only(earlier, [row for row, _ in rows], latest)
    then_ndcg, latest_ndcg = values(then, 0), values(latest, 0)
    interval = intervals.paired(latest_ndcg, then_ndcg, later.request.confidence)
    common = f"{len(rows):,} question{'' if len(rows) == 1 else 's'} of both"
    verdict = (
        "better than" if interval.low > 0 else "worse than" if interval.high < 0 else "not clearly other than"
    )
    measure = name("ndcg", later.request.k)
    words = (
        f"{measure} {float(latest_ndcg.mean()):.3f} is {verdict} the {float(then_ndcg.mean()):.3f} of run "
        f"{earlier.id}: {_signed(interval)} with {later.request.confidence * 100:g} % confidence, "
        f"over {common}."
    )
    return Diffed(latest.questions, then_ndcg, latest_ndcg, interval, later.request.confidence, words)


def _only(run: Evaluation, rows: Sequence[int], labels: Evaluation) -> Evaluation:
    """The run with its first setting and some of its questions, by the labels of another run for them."""
    grades = dict(zip(labels.questions, labels.grades, strict=True))
    first = run.answers[0]
    return replace(
        run,
        ids=tuple(run.ids[row] for row in rows),
        questions=tuple(run.questions[row] for row in rows),
        grades=tuple(grades[run.questions[row]] for row in rows),
        answers=(replace(first, hits=tuple(first.hits[row] for row in rows)),),
    )


def _signed(interval: Interval) -> str:
    return f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _few(count: int) -> str:
    return f" {counted(count, 'question')} cannot say much; judge more." if count < ENOUGH else ""


def _needed(run: Evaluation, leading: int, others: Sequence[MeanDifference]) -> str:
    """About how many questions would show a difference of the size that was seen."""
    still = [each for each in others if not each.clear and each.interval.mean > 0]
    if not still:
        return ""
    near = min(still, key=lambda each: each.interval.mean)
    half = (near.interval.high - near.interval.low) / 2
    count = len(run.questions) * (half / near.interval.mean) ** 2
    if count > 1_000_000:
        return f" {run.names[leading]} and {run.names[near.first]} are as good as equal here."
    rounded = int(round(count, -max(0, len(str(int(count))) - 2)))
    return f" About {rounded:,} such questions would show a difference of that size (estimated)."


def _unjudged(run: Evaluation, leading: int) -> str:
    """A warning where others may look worse only because their hits were not judged."""
    share = [float(values(run, place, "unjudged").mean()) for place in range(len(run.answers))]
    more = [i for i, each in enumerate(share) if each - share[leading] > MUCH_UNJUDGED]
    if not more:
        return ""
    shares = ", ".join(f"{run.names[i]} {share[i]:.0%}" for i in (leading, *more))
    return f" Unjudged hits count as not relevant, and their share differs ({shares}): judge them first."


__all__ = [
    "MEASURES",
    "Diffed",
    "MeanDifference",
    "best",
    "conclusion",
    "diff",
    "difference",
    "differences",
    "mean",
    "most_changed",
    "values",
    "worst",
]
