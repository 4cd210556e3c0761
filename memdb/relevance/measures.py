"""nDCG, reciprocal rank, precision, recall and the unjudged of ranked hits. Pure; by trec_eval itself.

docs/relevance.md says what each is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.errors import UnsupportedFeature

Doubles = NDArray[np.float64]
# Name of a measure: what it is called at k. All but the last are the better the larger.
MEASURES = {
    "ndcg": "nDCG@{k}",
    "reciprocal_rank": "MRR@{k}",
    "precision": "precision@{k}",
    "recall": "recall of the relevant@{k}",
    "unjudged": "unjudged@{k}",
}


@dataclass(frozen=True, slots=True, eq=False)
class MeasureValues:
    """Each measure of q questions, in [0, 1]."""

    ndcg: Doubles  # (q,) gains are the grades, discounted by log2(rank + 1), over those of the best order
    reciprocal_rank: Doubles  # (q,) 1 / rank of the first relevant hit among the first k, 0 without one
    precision: Doubles  # (q,) relevant hits among the first k, divided by k also where fewer came back
    recall: Doubles  # (q,) share of the question's relevant documents that are among the first k
    unjudged: Doubles  # (q,) share of the first k hits without a grade; 0 where nothing came back


def name(measure: str, k: int) -> str:
    """A measure for people, e.g. "nDCG@10"."""
    return MEASURES[measure].format(k=k)


def measured(
    hits: Sequence[Sequence[str]], grades: Sequence[Mapping[str, int]], k: int, relevant: int = 1
) -> MeasureValues:
    """Score ranked hits by graded documents.

    Args:
        hits: q rows of keys, best first. What comes twice counts where it stands first.
        grades: q maps from a key to its grade; below 0 counts as 0, what is not in it is unjudged.
        k: how many hits count.
        relevant: the least grade of a relevant document. nDCG counts every grade above 0 by itself.

    Returns:
        Five arrays (q,). A question without a relevant document has 0 everywhere but in `unjudged`.

    Raises:
        UnsupportedFeature: pytrec_eval is not installed.
    """
    try:
        import pytrec_eval  # here: nobody else needs it, and not every platform has its wheel
    except ImportError:
        raise UnsupportedFeature(
            "The computation of relevance",
            "pytrec_eval is not installed",
            "Run: pip install pytrec-eval-terrier (without a wheel it needs a C compiler)",
        ) from None
    ranked = [list(dict.fromkeys(row))[:k] for row in hits]
    # A hit is called by its rank: a key may hold what trec_eval's texts cannot.
    ranks = [str(rank) for rank in range(max(map(len, ranked), default=0))]
    scores = {length: {rank: -float(rank) for rank in ranks[:length]} for length in set(map(len, ranked))}
    run, qrels = {}, {}
    for place, (row, judged) in enumerate(zip(ranked, grades, strict=True)):
        if row and judged:  # else trec_eval has nothing to say
            named = dict(zip(row, ranks, strict=False))
            qrels[str(place)] = {
                named.get(key) or f"other {i}": max(int(grade), 0)
                for i, (key, grade) in enumerate(judged.items())
            }
            run[str(place)] = scores[len(row)]
    wanted = {f"ndcg_cut_{k}": 0, "recip_rank": 1, f"P_{k}": 2, f"recall_{k}": 3}
    columns = np.zeros((4, len(ranked)))
    scored = pytrec_eval.RelevanceEvaluator(qrels, set(wanted), relevant).evaluate(run)
    for question, values in scored.items():
        for measure, column in wanted.items():
            columns[column, int(question)] = values[measure]
    unjudged = [
        sum(key not in judged for key in row) / len(row) if row else 0.0
        for row, judged in zip(ranked, grades, strict=True)
    ]
    ndcg, reciprocal_rank, precision, recall = columns
    return MeasureValues(ndcg, reciprocal_rank, precision, recall, np.array(unjudged, np.float64))
