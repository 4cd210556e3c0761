"""What an index returned, against the exact answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from memdb.tuning.load import Answer
from memdb.tuning.run import Ranks
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.exact import compare


def scored(
    answers: Sequence[Answer],
    own_keys: Sequence[str],
    true_keys: Sequence[tuple[str, ...]],
    true_distances: Doubles,
    metric: str,
) -> tuple[Floats, Ranks, Floats, int]:
    """Recall, ranks and distances of q queries.

    Args:
        answers: q answers, nearest first; where the query is a document, of k + 1.
        own_keys: (q,) the document that each query is, "" for none: it does not count.
        true_keys: (q,) the exact answer, at most k each.
        true_distances: (q, k), NaN where fewer match.
        metric: COSINE, IP or L2.

    Returns:
        recalls (q,); ranks (q, k) int16 where the j-th true neighbour was returned, -1 where it was not;
        found (q, k) distances returned, NaN where fewer came; how many queries came back short.
    """
    q, k = true_distances.shape
    recalls, found = np.ones(q, np.float32), np.full((q, k), np.nan, np.float32)
    ranks = np.full((q, k), -1, np.int16)
    short = 0
    for row, (returned, far) in enumerate(answers):
        own = own_keys[row]
        place = returned.index(own) if own and own in returned else k
        keys = (returned[:place] + returned[place + 1 :])[:k]
        distances = (far[:place] + far[place + 1 :])[:k]
        truth = true_keys[row]
        recalls[row] = compare(keys, distances, truth, true_distances[row, : len(truth)], metric).recall
        at = {key: place for place, key in enumerate(keys)}
        ranks[row, : len(truth)] = [at.get(key, -1) for key in truth]
        found[row, : len(keys)] = distances
        short += len(keys) < len(truth)
    return recalls, ranks, found, short


def scored_batches(
    batches: Iterable[list[Answer]],
    own_keys: Sequence[str],
    true_keys: Sequence[tuple[str, ...]],
    true_distances: Doubles,
    metric: str,
) -> tuple[Floats, Ranks, Floats, int]:
    """The same for answers that come some at a time, in the order of the queries."""
    start, short = 0, 0
    recalls: list[Floats] = []
    ranks: list[Ranks] = []
    found: list[Floats] = []
    for answers in batches:
        rows = slice(start, start + len(answers))
        part = scored(answers, own_keys[rows], true_keys[rows], true_distances[rows], metric)
        recalls.append(part[0])
        ranks.append(part[1])
        found.append(part[2])
        short += part[3]
        start += len(answers)
    return np.concatenate(recalls), np.concatenate(ranks), np.concatenate(found), short
