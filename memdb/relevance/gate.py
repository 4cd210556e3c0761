"""Bounds that an evaluation is held against, for pipelines. Pure. Both look at the first setting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memdb.relevance import compare
from memdb.relevance.measures import name
from memdb.relevance.run import Evaluation


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a bound is kept, and why, in one sentence."""

    kept: bool
    words: str


def at_least(run: Evaluation, ndcg: float) -> Verdict:
    """Whether the mean nDCG@k of these questions is at least so much."""
    got = float(np.mean(compare.values(run, 0))) if run.questions else 0.0
    reached = bool(run.questions) and got >= ndcg
    mean = f"{name('ndcg', run.request.k)} of {run.names[0]} is {got:.4f}"
    return Verdict(reached, f"{mean}, {'at least' if reached else 'below'} the {ndcg:g} asked for.")


def not_below(run: Evaluation, earlier: Evaluation) -> Verdict:
    """Whether nDCG@k is not clearly below that of an earlier evaluation, over the questions of both.

    Raises:
        BadInput: they have no question in common, or counted another number of hits.
    """
    diffed = compare.diff(earlier, run)
    return Verdict(not diffed.worse, diffed.words)
