"""What an index returned, against the exact answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memdb.cluster.client import Client
from memdb.tuning.load import Answer
from memdb.tuning.run import Counts, Queries, Ranks, Truth
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.recall import judge


class Scored(NamedTuple):
    """What n queries got."""

    recalls: Floats  # (n,)
    ranks: Ranks  # (n, k), see `EfPoint`
    hit_distances: Floats  # (n, k), see `EfPoint`
    outside: Counts  # (n,) hits of each that break the filter
    short: int  # queries that came back with fewer than match


def scored(
    client: Client,
    info: IndexInfo,
    field: str,
    answers: Sequence[Answer],
    queries: Queries,
    truth: Truth,
    under: Membership,
    first: int = 0,
) -> Scored:
    """Recall, ranks and distances of the queries from `first` on.

    Args:
        client: where the index is: vectors of hits that are no true neighbours are read.
        info: the index.
        field: its vector field; empty for the first.
        answers: of these queries, nearest first; where the query is a document, of k + 1.
        queries: all of them; a query's own document does not count.
        truth: their exact answer.
        under: the filter of the queries and of `truth`.
        first: row of the first query that was asked.

    Raises:
        MemDBError: the server does not answer.
    """
    rows, k = slice(first, first + len(answers)), truth.distances.shape[1]
    true_keys, true_distances = truth.keys[rows], truth.distances[rows]
    hits = [
        _without(own, keys, far, k) for (keys, far), own in zip(answers, queries.own_keys[rows], strict=True)
    ]
    returned = [keys for keys, _ in hits]
    verdicts = judge(
        client, info, field, queries.vectors[rows], returned, true_keys, list(true_distances), under
    )
    ranks = np.full((len(hits), k), -1, np.int16)
    distances = np.full((len(hits), k), np.nan, np.float32)
    for row, ((keys, far), verdict) in enumerate(zip(hits, verdicts, strict=True)):
        ranks[row, : len(verdict.places)] = verdict.places
        # The engine's own distance only where the document is gone since.
        distances[row, : len(keys)] = np.where(np.isnan(verdict.distances), far, verdict.distances)
        distances[row, list(verdict.outside)] = np.nan
    recalls = np.array([verdict.recall for verdict in verdicts], np.float32)
    short = sum(len(keys) < len(true) for (keys, _), true in zip(hits, true_keys, strict=True))
    outside = np.array([len(verdict.outside) for verdict in verdicts], np.int16)
    return Scored(recalls, ranks, distances, outside, short)


def _without(own: str, keys: list[str], far: list[float], k: int) -> Answer:
    """The k nearest other than the query's own document."""
    place = keys.index(own) if own and own in keys else k
    return (keys[:place] + keys[place + 1 :])[:k], (far[:place] + far[place + 1 :])[:k]
