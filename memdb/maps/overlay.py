"""A query laid over a map: the live index's answer beside the exact one, told apart point by point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from memdb.cluster.client import Client
from memdb.maps import layout
from memdb.maps.request import Map
from memdb.tuning import queries
from memdb.tuning.truth import truth
from memdb.vectors import distance
from memdb.vectors.distance import Doubles, Floats, prepared
from memdb.vectors.exact import Neighbours
from memdb.vectors.filters import EVERYTHING, Condition
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.read import vectors_of
from memdb.vectors.recall import Judged, judge
from memdb.vectors.search import KnnResult, knn

Kind = Literal["found", "missed", "wrong"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A neighbour on the map. `found`: both say so; `missed`: only exact; `wrong`: only the index."""

    key: str
    kind: Kind
    distance: float
    place: tuple[float, ...]
    on_map: bool  # False: not in the sample, placed among its neighbours


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """A query's place and its neighbours."""

    place: tuple[float, ...]
    marks: tuple[Mark, ...]
    result: KnnResult
    recall: float  # share of the exact neighbours that the index found; NaN where there are none
    note: str = ""  # hits that break the filter, where there are some


def exact(
    client: Client,
    info: IndexInfo,
    field: str,
    vector: Floats,
    k: int,
    condition: Condition | str = EVERYTHING,
    own_key: str = "",
) -> Neighbours:
    """The true neighbours of a vector (d,) in the whole index, kept in memory: the same at any EF_RUNTIME."""
    query = queries.made(vector[None, :], ("",), (own_key,))
    nearest = truth(client, info, field, query, k, condition)
    return Neighbours(nearest.keys, (nearest.distances[0, : len(nearest.keys[0])],), nearest.looked_at)


def overlay(
    client: Client,
    info: IndexInfo,
    drawn_map: Map,
    points: Floats,
    vector: Floats,
    near: Neighbours,
    *,
    k: int,
    ef_runtime: int | None,
    condition: Condition | str = EVERYTHING,
    own_key: str = "",
) -> Overlay:
    """Ask the index, hold its answer against the exact one, and find a place for everybody.

    Args:
        client: where the index is.
        info: the index.
        drawn_map: the map.
        points: (n, d) the vectors of its points.
        vector: (d,) the query.
        near: of `exact`.
        k: neighbours.
        ef_runtime: of the search; None leaves the index's own.
        condition: the filter, the same as of `near`.
        own_key: a document that asks for its neighbours, left out of them.
    """
    request = KnnRequest(
        info.name,
        vector_param(vector),
        drawn_map.request.field,
        k + (1 if own_key else 0),
        ef_runtime,
        condition,
    )
    under = Membership(client, info, condition)
    result = knn(client, request, info, under=under)
    pairs = [(key, float(d)) for key, d in zip(result.keys, result.distances, strict=True) if key != own_key][
        :k
    ]
    true_keys, true_distances = near.keys[0][:k], near.distances[0][:k]
    _, params = info.vector_field(drawn_map.request.field)
    sent = distance.as_sent(vector[None, :], params.type)
    field = drawn_map.request.field
    returned = [[key for key, _ in pairs]]
    verdict = judge(client, info, field, sent, returned, [true_keys], [true_distances], under)[0]
    kinds = _kinds(pairs, true_keys, true_distances, verdict)
    where = {key: i for i, key in enumerate(drawn_map.keys)}
    absent = [key for key in kinds if key not in where]
    block = vectors_of(client, info, drawn_map.request.field, absent) if absent else None
    placed: dict[str, tuple[float, ...]] = {}
    if block is not None:
        block = block.single()
        spots = layout.place(
            block.vectors.astype(np.float32, copy=False), points, drawn_map.xy, drawn_map.metric
        )
        placed = {key: tuple(map(float, spot)) for key, spot in zip(block.keys, spots, strict=True)}
    marks = tuple(
        Mark(
            key,
            kind,
            d,
            tuple(map(float, drawn_map.xy[where[key]])) if key in where else placed[key],
            key in where,
        )
        for key, (kind, d) in kinds.items()
        if key in where or key in placed
    )
    if own_key in where:
        here = drawn_map.xy[where[own_key]]
    else:
        here = layout.place(
            prepared(vector[None, :], drawn_map.metric), points, drawn_map.xy, drawn_map.metric
        )[0]
    recall = verdict.recall if true_keys else float("nan")
    note = under.words(len(pairs), len(verdict.outside))
    return Overlay(tuple(map(float, here)), marks, result, recall, note)


def _kinds(
    hits: list[tuple[str, float]], true_keys: tuple[str, ...], true_distances: Doubles, verdict: Judged
) -> dict[str, tuple[Kind, float]]:
    """Each neighbour once. A hit that stands in for a true neighbour is shown in its place."""
    kinds: dict[str, tuple[Kind, float]] = {}
    for place, (key, d) in enumerate(hits):
        kinds[key] = ("wrong" if place in verdict.extra or place in verdict.outside else "found", d)
    for key, d, there in zip(true_keys, true_distances, verdict.retrieved, strict=True):
        if not there:
            kinds[key] = ("missed", float(d))
    return kinds
