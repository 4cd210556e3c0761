"""Recall of each shard, where an index is spread over several: which of its true neighbours it brought. Pure.

The engine asks every shard and merges; each has a graph of its own, so recall can differ. On which shard a
true neighbour lies is known by the slot of its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memdb import intervals
from memdb.cluster.topology import slot
from memdb.display import line
from memdb.errors import BadInput
from memdb.intervals import Interval
from memdb.tuning import unseen
from memdb.tuning.run import Run


@dataclass(frozen=True, slots=True)
class ShardRecall:
    """One shard at one EF_RUNTIME."""

    address: str
    documents: int  # that it holds of the index
    neighbours: int  # true neighbours of all queries that lie on it
    returned: int  # of these, those that the index returned, or one as near
    recall: float  # returned by neighbours; NaN where none lies on it
    low: float  # interval at Goal.confidence, two-sided, over the queries
    high: float


def by_shard(run: Run, ef_runtime: int) -> tuple[ShardRecall, ...]:
    """Recall of each shard at an EF_RUNTIME that was measured; nothing where the index is not spread.

    The recall of a shard is of all true neighbours that lie on it; their mean, weighted by their number, is
    the recall of the run where every query has equally many. Of a sampled run the reference stands in the
    place of true neighbours; what it misses itself is in no shard's figure.

    Raises:
        BadInput: this EF_RUNTIME was not measured.
    """
    point = run.point(ef_runtime)
    if point is None:
        raise BadInput(f"EF_RUNTIME {ef_runtime} was not measured in this run.", "Choose one of its points.")
    if not run.shards:
        return ()
    # (q, k) the shard of each true neighbour, -1 where there are fewer
    places = np.full(point.ranks.shape, -1)
    for row, keys in enumerate(run.truth.keys):
        places[row, : len(keys)] = [_place(run, key) for key in keys]
    rows = []
    for place, shard in enumerate(run.shards):
        here = (places == place).sum(axis=1)
        got = ((places == place) & (point.ranks >= 0)).sum(axis=1)
        band = _interval(run, here, got)
        number, came = int(here.sum()), int(got.sum())
        rows.append(ShardRecall(shard.address, shard.documents, number, came, band.mean, band.low, band.high))
    return tuple(rows)


def words(run: Run, ef_runtime: int) -> str:
    """Whether shards differ, in a sentence or two; "" where there is nothing to compare.

    Raises:
        BadInput: this EF_RUNTIME was not measured.
    """
    rows = [row for row in by_shard(run, ef_runtime) if row.neighbours]
    if len(rows) < 2:
        return ""
    against = (
        " Against the reference: what that misses itself is in no shard's figure." if run.sampled else ""
    )
    return compared(rows, ef_runtime) + against


def compared(rows: Sequence[ShardRecall], ef_runtime: int) -> str:
    """Whether shards differ, in a sentence.

    Args:
        rows: two or more, each with true neighbours.
        ef_runtime: at which they were measured; 0 where the index has none.
    """
    worst, best = min(rows, key=lambda row: row.recall), max(rows, key=lambda row: row.recall)
    at = f" at EF_RUNTIME {ef_runtime}" if ef_runtime else ""
    if worst.high < best.low:
        return (
            f"Shards differ{at}: {line(worst.address)} brings {worst.recall:.3f} ({worst.low:.3f} to "
            f"{worst.high:.3f}) of its true neighbours, {line(best.address)} {best.recall:.3f} "
            f"({best.low:.3f} to {best.high:.3f})."
        )
    return (
        f"No difference between the shards is shown{at}: from {worst.recall:.3f} at {line(worst.address)} to "
        f"{best.recall:.3f} at {line(best.address)}, and their intervals overlap."
    )


def _place(run: Run, key: str) -> int:
    at = slot(key)
    for place, shard in enumerate(run.shards):
        if any(first <= at <= last for first, last in shard.slots):
            return place
    return -1


def _interval(run: Run, here: np.ndarray, got: np.ndarray) -> Interval:
    """Of the share of neighbours that came: the queries are the sample, each weighs what it has here."""
    has_neighbours = here > 0
    here, got = here[has_neighbours], got[has_neighbours]
    if not len(here):
        return intervals.mean(np.empty(0))
    shares, place = np.unique(got / here, return_inverse=True)
    # As many queries of equal weight as are worth these (Kish).
    worth = here * (here.sum() / (here**2).sum())
    counts = np.bincount(place, weights=worth)
    confidence, average = run.request.goal.confidence, float(got.sum() / here.sum())
    low, high = intervals.bounds(shares.astype(np.float64), counts[None, :].astype(np.float64), confidence)
    band = Interval(average, min(float(low[0]), average), max(float(high[0]), average))
    return unseen.widened(band, confidence, run.queries.uncertainty)
