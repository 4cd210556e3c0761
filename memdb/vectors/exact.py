"""Exact neighbours: every vector the index holds is looked at, in blocks through BLAS."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.vectors.distance import Doubles, Floats, distances, prepared
from memdb.vectors.read import Block

# Two distances this close are the same: engines sum in another order and, for COSINE, normalise themselves.
TIE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The exact answer for q queries, nearest first. Rows are shorter where fewer documents match."""

    keys: tuple[tuple[str, ...], ...]
    distances: tuple[Doubles, ...]  # each (len(keys[i]),), as the engine would return them
    looked_at: int  # documents compared with each query


def nearest(
    blocks: Iterable[Block],
    queries: Floats,
    k: int,
    metric: str,
    *,
    excluded: tuple[str, ...] = (),
) -> Neighbours:
    """The k nearest documents of each query.

    Args:
        blocks: all documents, from `read.blocks` or kept from an earlier reading.
        queries: (q, dim), as given to the engine.
        k: how many.
        metric: COSINE, IP or L2.
        excluded: for each query the key that does not count (a document is its own nearest); "" for none.
            Empty for no exclusion at all.

    Returns:
        Neighbours; memory is bounded by one block times q, however many documents there are.
    """
    ready = prepared(queries, metric)
    best: list[NDArray[np.float32]] = [np.empty(0, np.float32) for _ in ready]
    best_keys: list[NDArray[np.object_]] = [np.empty(0, object) for _ in ready]
    looked_at = 0
    for block in blocks:
        looked_at += len(block.keys)
        found = distances(ready, block.vectors, metric)
        names = np.array(block.keys, dtype=object)
        if excluded:
            places = {key: i for i, key in enumerate(block.keys)}
            for row, key in enumerate(excluded):
                if key in places:
                    found[row, places[key]] = np.inf
        keep = min(k, found.shape[1])
        nearest_here = np.argpartition(found, keep - 1, axis=1)[:, :keep]
        for row, columns in enumerate(nearest_here):
            merged = np.concatenate([best[row], found[row, columns]])
            merged_keys = np.concatenate([best_keys[row], names[columns]])
            order = np.argsort(merged, kind="stable")[:k]
            order = order[np.isfinite(merged[order])]
            best[row], best_keys[row] = merged[order], merged_keys[order]
    return Neighbours(
        tuple(tuple(keys) for keys in best_keys), tuple(d.astype(np.float64) for d in best), looked_at
    )


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What an index found against the exact answer of the same query."""

    recall: float  # share of the true neighbours found; a hit as near as the farthest of them counts
    found: tuple[bool, ...]  # for each true neighbour, whether the index returned it
    extra: tuple[str, ...]  # returned, but not among the true neighbours and not as near


def compare(
    keys: tuple[str, ...], found: Doubles, true_keys: tuple[str, ...], true_distances: Doubles
) -> Comparison:
    """Recall of one query, ties counted by distance (as ann-benchmarks does).

    Args:
        keys: what the index returned, at most k.
        found: (len(keys),) their distances.
        true_keys: the exact answer, at most k.
        true_distances: (len(true_keys),).
    """
    if not true_keys:
        return Comparison(1.0, (), keys)
    limit = float(true_distances[-1])
    limit += TIE * max(1.0, abs(limit))
    truth, returned = set(true_keys), set(keys)
    good = [key in truth or d <= limit for key, d in zip(keys, found, strict=True)]
    extra = tuple(key for key, ok in zip(keys, good, strict=True) if not ok)
    recall = min(1.0, sum(good) / len(true_keys))
    return Comparison(recall, tuple(key in returned for key in true_keys), extra)
