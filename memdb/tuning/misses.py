"""Anatomy of a miss: what an index did not find, from when on it does, and how much farther its hits are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.tuning.run import EfPoint, Run
from memdb.vectors import search
from memdb.vectors.distance import Doubles, exact
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.read import Block


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A true neighbour of a query, and what became of it."""

    rank: int  # true rank, from 1
    key: str
    distance: float
    returned: int | None  # rank at which the index returned it or one as near, from 1; None: missed
    first_ef: int | None  # the lowest EF_RUNTIME of the run that returns it; None: none does
    found_at: tuple[bool, ...]  # at each point of the run


@dataclass(frozen=True, slots=True)
class Miss:
    """One query at one EF_RUNTIME."""

    query: int  # its row in the run
    label: str
    own_key: str
    ef_runtime: int
    metric: str
    recall: float  # share of the neighbours that are not missed
    neighbours: tuple[Neighbour, ...]
    efs: tuple[int, ...]  # the points of the run, for `Neighbour.found_at`
    recalls: tuple[float, ...]  # of this query at each of them
    kth_distance: float  # of the farthest true neighbour; NaN where nothing matches
    worst_distance: float  # of the farthest document returned; NaN where none was
    extra_distances: tuple[float, ...]  # returned although enough nearer documents exist
    returned: int  # documents under the filter
    short: int  # how many fewer came than there are true neighbours
    outside: int = 0  # hits that break the filter

    @property
    def missed(self) -> tuple[Neighbour, ...]:
        """The true neighbours that were not returned."""
        return tuple(n for n in self.neighbours if n.returned is None)

    @property
    def nearest_missed(self) -> int | None:
        """Rank of the nearest neighbour that was missed: 1 is the gravest."""
        return next((n.rank for n in self.neighbours if n.returned is None), None)

    @property
    def excess(self) -> float:
        """How much farther the farthest document returned lies than the farthest true neighbour.

        A share of that distance, 0 where nothing farther was returned. For IP, whose distances have no
        zero, and where that distance is 0, the plain difference.
        """
        if not self.extra_distances:
            return 0.0
        gap = max(self.extra_distances) - self.kth_distance
        if not gap > 0:  # also where one of them is NaN
            return 0.0
        return gap / self.kth_distance if self.metric != "IP" and self.kth_distance > 0 else gap

    @property
    def found_by(self) -> int | None:
        """The lowest EF_RUNTIME of the run that finds all; None where none does."""
        return next((ef for ef, r in zip(self.efs, self.recalls, strict=True) if r >= 1.0), None)

    def words(self) -> str:
        """One sentence on what happened."""
        if not self.neighbours:
            return "No document matches the filter for this query."
        if self.recall >= 1.0:
            return f"All {len(self.neighbours)} true neighbours were returned, or others as near."
        parts = [f"{len(self.missed)} of {len(self.neighbours)} true neighbours were missed"]
        if self.nearest_missed == 1:
            parts.append("the very nearest among them")
        if self.outside:
            hits = "hit breaks" if self.outside == 1 else "hits break"
            parts.append(f"{self.outside} {hits} the filter, a fault of the engine")
        if self.short:
            parts.append(f"{self.short} fewer documents came back than match")
        if self.excess > 0:
            relative = self.metric != "IP" and self.kth_distance > 0
            beyond = f"{self.excess:.0%}" if relative else f"{self.excess:.3g}"
            parts.append(f"the farthest one returned lies {beyond} beyond the true ones")
        complete_at = self.found_by
        after = (
            f"EF {complete_at} finds all of them."
            if complete_at is not None
            else f"No EF up to {max(self.efs, default=0)} finds all of them."
        )
        return "; ".join(parts) + ". " + after


@dataclass(frozen=True, slots=True)
class Extra:
    """A document that was returned in the place of a true neighbour."""

    key: str
    distance: float
    returned: int  # rank at which it came, from 1
    true_rank: int | None  # 1 + the documents that are nearer; None: it breaks the filter


def anatomy(run: Run, query: int, ef_runtime: int) -> Miss:
    """What became of the true neighbours of one query.

    Raises:
        BadInput: the run has no such query, or was not measured at this EF_RUNTIME.
    """
    point = _point(run, ef_runtime)
    if not 0 <= query < len(point.recalls):
        raise BadInput(f"The run has no query {query + 1}.", f"It has {len(point.recalls)}.")
    keys, true = run.truth.keys[query], run.truth.distances[query]
    found_at = np.array([p.ranks[query, : len(keys)] >= 0 for p in run.points], dtype=bool)
    efs = tuple(p.ef_runtime for p in run.points)
    neighbours = []
    for j, key in enumerate(keys):
        where = int(point.ranks[query, j])
        first = next((ef for ef, row in zip(efs, found_at, strict=True) if row[j]), None)
        neighbours.append(
            Neighbour(
                j + 1,
                key,
                float(true[j]),
                where + 1 if where >= 0 else None,
                first,
                tuple(bool(row[j]) for row in found_at),
            )
        )
    came = point.hit_distances[query][np.isfinite(point.hit_distances[query])]
    counted = set(point.ranks[query].tolist())
    kth = float(true[len(keys) - 1]) if keys else float("nan")
    return Miss(
        query=query,
        label=run.queries.labels[query],
        own_key=run.queries.own_keys[query],
        ef_runtime=ef_runtime,
        metric=run.definition.metric,
        recall=float(point.recalls[query]),
        neighbours=tuple(neighbours),
        efs=efs,
        recalls=tuple(float(p.recalls[query]) for p in run.points),
        kth_distance=kth,
        worst_distance=float(came.max()) if len(came) else float("nan"),
        extra_distances=tuple(float(d) for place, d in enumerate(came) if place not in counted),
        returned=len(came),
        short=max(0, len(keys) - len(came) - int(point.outside[query])),
        outside=int(point.outside[query]),
    )


def worst(run: Run, ef_runtime: int, limit: int = 200) -> tuple[Miss, ...]:
    """The queries that miss something at this EF_RUNTIME, worst first.

    Lowest recall first; among equals those whose nearest neighbour is missed, then the largest
    excess.

    Raises:
        BadInput: the run was not measured at this EF_RUNTIME.
    """
    point = _point(run, ef_runtime)
    rows = np.argsort(point.recalls, kind="stable")
    rows = rows[point.recalls[rows] < 1.0]
    # Take some more than asked for, so that a tie at the limit is cut by gravity and not by number.
    anatomies = [anatomy(run, int(row), ef_runtime) for row in rows[: limit * 2]]
    anatomies.sort(key=lambda m: (m.recall, m.nearest_missed or 0, -m.excess, m.query))
    return tuple(anatomies[:limit])


def default_ef(run: Run) -> int:
    """The setting to look at first: the recommended one, else the highest that misses something.

    Raises:
        BadInput: nothing was measured.
    """
    if not run.points:
        raise BadInput("This run has no measured setting.", "Run a sweep to its first curve.")
    if run.recommendation is not None and run.recommendation.ef_runtime is not None:
        return run.recommendation.ef_runtime
    missing = [p.ef_runtime for p in run.points if p.recall < 1.0]
    return missing[-1] if missing else run.points[0].ef_runtime


def extras(
    client: Client, info: IndexInfo, run: Run, query: int, ef_runtime: int, blocks: Iterable[Block]
) -> tuple[Extra, ...]:
    """Ask once more and say where the documents that should not have come rank truly.

    Args:
        client: of the run's target.
        info: the index as it is now.
        run: the run.
        query: row of the query.
        ef_runtime: setting to ask with; 0 for none.
        blocks: all vectors under the filter of the query.

    Raises:
        BadInput: the run has no such query.
        UnsupportedFeature: the engine cannot tell which documents the filter lets through.
        MemDBError: the search fails.
    """
    if not 0 <= query < len(run.queries):
        raise BadInput(f"The run has no query {query + 1}.", f"It has {len(run.queries)}.")
    own = run.queries.own_keys[query]
    vector = run.queries.vectors[query]
    query_request = run.request_of(query)
    request = KnnRequest(
        run.index,
        vector_param(vector),
        query_request.field,
        query_request.k + (1 if own else 0),
        ef_runtime or None,
        query_request.condition,
    )
    under = Membership(client, info, query_request.condition)
    answer = search.knn(client, request, info, under=under)
    hits = [(k, float(d)) for k, d in zip(answer.keys, answer.distances, strict=True) if k != own]
    hits = hits[: query_request.k]
    wanted = [(i, k, d) for i, (k, d) in enumerate(hits, 1) if k not in set(run.truth.keys[query])]
    outside = under.outside(key for _, key, _ in wanted)
    nearer = _nearer(blocks, vector, run.definition.metric, [k for _, k, _ in wanted], own)
    return tuple(
        Extra(key, distance, place, None if key in outside else nearer[key] + 1)
        for place, key, distance in wanted
        if key in nearer or key in outside
    )


def _nearer(
    blocks: Iterable[Block], vector: np.ndarray, metric: str, keys: Sequence[str], own: str
) -> dict[str, int]:
    """For each key how many documents are nearer, all by the same arithmetic."""
    parts: list[tuple[tuple[str, ...], Doubles]] = []
    for block in blocks:
        far = exact(np.broadcast_to(vector, block.vectors.shape), block.vectors, metric)
        if block.several:  # the nearest vector of each document
            starts = [i for i, key in enumerate(block.keys) if not i or key != block.keys[i - 1]]
            parts.append((tuple(block.keys[i] for i in starts), np.minimum.reduceat(far, starts)))
        else:
            parts.append((block.keys, far))
    if not parts:
        return {}
    every = np.concatenate([distances for _, distances in parts])
    names = [key for block_keys, _ in parts for key in block_keys]
    places = {key: i for i, key in enumerate(names)}
    if own in places:
        every[places[own]] = np.inf
    return {key: int((every < every[places[key]]).sum()) for key in keys if key in places}


def _point(run: Run, ef_runtime: int) -> EfPoint:
    point = run.point(ef_runtime)
    if point is None:
        measured = ", ".join(str(p.ef_runtime) for p in run.points) or "none"
        raise BadInput(f"The run was not measured at EF {ef_runtime}.", f"It was at: {measured}.")
    return point
