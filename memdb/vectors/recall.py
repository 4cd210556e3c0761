"""What counts as found: the one rule that every recall passes through.

A returned document counts where it is one of the true neighbours, or where it stands in for a true neighbour
that was not returned and is as near as that one. How near it is is computed here in float64 from its stored
vector; the distance that the engine reports is not trusted, since it carries the rounding of the engine's
arithmetic. "As near" allows for the rounding of float32 (FLOAT64: of float64), and no more: numbers of half
types are taken as they are stored (docs/decisions/0060-found.md). A hit that breaks the filter counts for
nothing, however near it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.vectors import distance, read
from memdb.vectors.distance import Doubles, Vectors
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership

MISSED = -1
_PAIRS_BYTES = 16 * 2**20  # float64 copies made at once


@dataclass(frozen=True, slots=True)
class Near:
    """How far a document lies from a query."""

    distance: float  # float64, from the stored vector
    uncertainty: float  # by how much equally near documents may differ


@dataclass(frozen=True, slots=True)
class Judged:
    """A search's answer against the exact answer of the same query."""

    places: tuple[int, ...]  # for each true neighbour that of the hit which is it or stands in; MISSED
    distances: tuple[float, ...]  # of each hit, float64; NaN where its vector could not be read
    extra: tuple[int, ...]  # places of the hits under the filter that count for no true neighbour
    outside: tuple[int, ...] = ()  # places of the hits that break the filter

    @property
    def retrieved(self) -> tuple[bool, ...]:
        """For each true neighbour, whether it or an equally near document was returned."""
        return tuple(place != MISSED for place in self.places)

    @property
    def recall(self) -> float:
        """Share of the true neighbours that were found; 1 where there are none."""
        return sum(self.retrieved) / len(self.places) if self.places else 1.0


def judged(
    returned: Sequence[str],
    true_keys: Sequence[str],
    true_distances: Doubles,
    others: Mapping[str, Near],
    outside: Collection[str] = (),
) -> Judged:
    """The rule, pure.

    Args:
        returned: keys of the hits, at most k.
        true_keys: the exact answer, nearest first, at most k.
        true_distances: (len(true_keys),).
        others: of the returned keys that are no true neighbours, those whose vectors could be read.
        outside: of these, those that the filter does not let through.
    """
    at = {key: place for place, key in enumerate(returned)}
    places = [at.get(key, MISSED) for key in true_keys]
    far = dict(zip(true_keys, map(float, true_distances), strict=True))
    distances = [
        far[key] if key in far else others[key].distance if key in others else float("nan")
        for key in returned
    ]
    # The farthest neighbour that was not returned takes the farthest of the others that is as near.
    broken = {at[key] for key in at if key not in far and key in others and key in outside}
    waiting = sorted(
        (others[key].distance, at[key])
        for key in at
        if key not in far and key in others and at[key] not in broken
    )
    for row in reversed([row for row, place in enumerate(places) if place == MISSED]):
        while waiting:
            near, place = waiting.pop()
            if near <= far[true_keys[row]] + others[returned[place]].uncertainty:
                places[row] = place
                break
    used = set(places)
    extra = tuple(p for p in range(len(returned)) if p not in used and p not in broken)
    return Judged(tuple(places), tuple(distances), extra, tuple(sorted(broken)))


def judge(
    client: Client,
    info: IndexInfo,
    field: str,
    queries: Vectors,
    returned: Sequence[Sequence[str]],
    true_keys: Sequence[Sequence[str]],
    true_distances: Sequence[Doubles],
    under: Membership,
) -> list[Judged]:
    """Each answer against its exact one. Reads the vectors of the hits that are no true neighbours, and asks
    which of them the filter lets through.

    Every such document is read once, a batch of at most 1,000 or 8 MB at a time; nothing is read where all
    hits are true neighbours.

    Args:
        client: where the index is.
        info: the index.
        field: its vector field; empty for the first.
        queries: (q, dim) as sent.
        returned: q rows of keys, nearest first, without the query's own document.
        true_keys: q rows, at most k each.
        true_distances: q rows, each at least as long as that of the keys.
        under: the filter that was asked under.

    Raises:
        UnsupportedFeature: the engine cannot tell which documents the filter lets through.
        MemDBError: the server does not answer.
    """
    truths = [set(row) for row in true_keys]
    asking: dict[str, list[int]] = {}
    for row, keys in enumerate(returned):
        for key in keys:
            if key not in truths[row]:
                asking.setdefault(key, []).append(row)
    others: list[dict[str, Near]] = [{} for _ in returned]
    for block in read.blocks_of(client, info, field, list(asking)):
        _measure(block, queries, asking, others, info, field)
    outside = under.outside(asking)
    return [
        judged(keys, true, np.asarray(far)[: len(true)], near, outside)
        for keys, true, far, near in zip(returned, true_keys, true_distances, others, strict=True)
    ]


def _measure(
    block: read.Block,
    queries: Vectors,
    asking: Mapping[str, list[int]],
    others: list[dict[str, Near]],
    info: IndexInfo,
    field: str,
) -> None:
    """Distances of a block's documents to the queries that returned them; of several vectors the nearest."""
    _, params = info.vector_field(field)
    pairs = [(row, place) for place, key in enumerate(block.keys) for row in asking[key]]
    size = max(1, _PAIRS_BYTES // (8 * params.dim))
    for start in range(0, len(pairs), size):
        rows, places = np.array(pairs[start : start + size]).T
        queried, returned = queries[rows], block.vectors[places]
        far = distance.exact(queried, returned, params.metric)
        unsure = distance.uncertainty(queried, returned, params.metric, params.type)
        for row, place, d, u in zip(rows, places, far.tolist(), unsure.tolist(), strict=True):
            key = block.keys[place]
            earlier = others[row].get(key)
            if earlier is None or d < earlier.distance:
                others[row][key] = Near(d, u)
