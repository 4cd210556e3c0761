"""Queries with settings of their own: a tap's each have a filter and a K, and are asked and scored with
these.

A run whose queries share the run's filter and K is one part; every other one falls into parts that are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memdb.cluster.client import Client
from memdb.jobs import Report, silent
from memdb.tuning import load
from memdb.tuning.load import Answer, Questions
from memdb.tuning.queries import made
from memdb.tuning.run import Ask, Queries, SweepRequest, Truth
from memdb.tuning.scoring import Scored, scored
from memdb.tuning.truth import truth
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import Template


class QueryPart(NamedTuple):
    """Queries of one filter and K."""

    rows: NDArray[np.intp]  # (n,) among all queries, ascending
    request: SweepRequest  # with that filter and K
    queries: Queries


def parts(request: SweepRequest, queries: Queries) -> tuple[QueryPart, ...]:
    """The queries by filter and K, in the order in which these first appear."""
    if not queries.asks:
        return (QueryPart(np.arange(len(queries)), request, queries),)
    rows: dict[tuple[object, ...], list[int]] = {}
    for row, ask in enumerate(queries.asks):
        rows.setdefault((ask.filter, ask.filter_params, ask.k), []).append(row)
    divided = []
    for members in rows.values():
        ask = queries.asks[members[0]]
        own = replace(request, filter=ask.filter, filter_params=ask.filter_params, k=ask.k)
        divided.append(QueryPart(np.array(members), own, subset(queries, members)))
    return tuple(divided)


def subset(queries: Queries, rows: Sequence[int]) -> Queries:
    """Some of the queries, in this order."""
    return made(
        queries.vectors[list(rows)],
        tuple(queries.labels[row] for row in rows),
        tuple(queries.own_keys[row] for row in rows),
        queries.source,
        uncertainty=queries.uncertainty,
    )


def section(queries: Queries, rows: slice) -> Queries:
    """Some of the queries, with their own settings."""
    return replace(
        queries,
        vectors=queries.vectors[rows],
        labels=queries.labels[rows],
        own_keys=queries.own_keys[rows],
        asks=queries.asks[rows],
    )


def exact(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    *,
    home: Path | None = None,
    report: Report = silent,
) -> Truth:
    """The exact neighbours of each query, under its filter, as many as its K.

    Raises:
        UnsupportedFeature: the vectors of this index cannot be read.
    """
    answers = []
    for part in parts(request, queries):
        own = part.request
        answers.append(
            (
                part,
                truth(client, info, own.field, part.queries, own.k, own.condition, home=home, report=report),
            )
        )
    if not queries.asks:
        return answers[0][1]
    widest = max(part.request.k for part, _ in answers)
    keys: list[tuple[str, ...]] = [()] * len(queries)
    distances = np.full((len(queries), widest), np.nan)
    for part, answer in answers:
        for place, row in enumerate(part.rows.tolist()):
            keys[row] = answer.keys[place]
        distances[part.rows, : answer.distances.shape[1]] = answer.distances
    return Truth(
        tuple(keys),
        distances,
        max(answer.looked_at for _, answer in answers),
        sum(answer.took_s for _, answer in answers),
        all(answer.kept for _, answer in answers),
        tuple(dict.fromkeys(note for _, answer in answers for note in answer.notes)),
    )


def questions(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    ef_runtime: int | None,
    first: int = 0,
) -> Questions:
    """The commands of all queries from `first` on.

    Args:
        client: the server.
        info: the index.
        request: the filter and K of queries that have none of their own.
        queries: what is asked.
        ef_runtime: for all; 0 leaves it out, None asks each with its own.
        first: row of the first query.

    Raises:
        BadInput: field, K, EF_RUNTIME or filter do not fit the index.
    """
    # One more than k where a query is a document or made from one: that comes, and does not count.
    more = int(any(queries.own_keys))
    if not queries.asks:
        vectors = queries.vectors[first:]
        ef = ef_runtime or 0
        k = request.k + more
        return load.questions(client, info, request, vectors, ef, k=k, condition=request.condition)
    commands: dict[int, tuple[Template, bytes]] = {}
    rows_of: dict[Ask, list[int]] = {}
    for row, ask in enumerate(queries.asks[first:], first):
        rows_of.setdefault(ask, []).append(row)
    for ask, rows in rows_of.items():
        own = replace(request, filter=ask.filter, filter_params=ask.filter_params)
        ef = (ask.ef_runtime or 0) if ef_runtime is None else ef_runtime
        alike = load.questions(
            client, info, own, queries.vectors[rows], ef, k=ask.k + more, condition=own.condition
        )
        commands |= {row: (alike.made, blob) for row, blob in zip(rows, alike.blobs, strict=True)}
    ordered = [commands[row] for row in sorted(commands)]
    return Questions(ordered[0][0], tuple(blob for _, blob in ordered), tuple(shape for shape, _ in ordered))


def score(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    answers: Sequence[Answer],
    queries: Queries,
    neighbours: Truth,
    under: Membership,
    first: int = 0,
) -> Scored:
    """Recall, ranks and distances of the queries from `first` on, each under its own filter.

    Args:
        client: where the index is.
        info: the index.
        request: the filter and K of queries that have none of their own.
        answers: of these queries, nearest first.
        queries: all of them.
        neighbours: their exact answer.
        under: the request's filter.
        first: row of the first query that was asked; 0 where queries have settings of their own.

    Raises:
        MemDBError: the server does not answer.
    """
    if not queries.asks:
        return scored(client, info, request.field, answers, queries, neighbours, under, first)
    count, widest = len(queries), neighbours.distances.shape[1]
    whole = Scored(
        np.empty(count, np.float32),
        np.full((count, widest), -1, np.int16),
        np.full((count, widest), np.nan, np.float32),
        np.empty(count, np.int16),
        0,
    )
    for part in parts(request, queries):
        rows, k = part.rows, part.request.k
        of_part = replace(
            neighbours,
            keys=tuple(neighbours.keys[row] for row in rows.tolist()),
            distances=neighbours.distances[rows, :k],
        )
        came = scored(
            client,
            info,
            part.request.field,
            [answers[row] for row in rows.tolist()],
            part.queries,
            of_part,
            Membership(client, info, part.request.condition),
        )
        whole.recalls[rows], whole.outside[rows] = came.recalls, came.outside
        whole.ranks[rows, :k], whole.hit_distances[rows, :k] = came.ranks, came.hit_distances
        whole = whole._replace(short=whole.short + came.short)
    return whole
