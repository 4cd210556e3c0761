"""Exact neighbours: every vector the index holds is looked at, in blocks through BLAS.

The product is float32; what could be among the k nearest is then computed again in float64, so that no
rounding of the product decides (docs/decisions/0011-exact-neighbours.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.vectors.distance import Doubles, Floats, prepared
from memdb.vectors.read import NOTHING, Block, LeftOut

# Two distances this close are the same: engines sum in another order and, for COSINE, normalise themselves.
TIE = 1e-5
ROWS_AT_ONCE = 4_096  # of a block: the product of so many with 1,024 queries stays near the caches
QUERIES_AT_ONCE = 1_024
_REFINED_BYTES = 16 * 2**20  # float64 copies made at once
_EPS = float(np.finfo(np.float32).eps)

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The exact answer for q queries, nearest first. Rows are shorter where fewer documents match."""

    keys: tuple[tuple[str, ...], ...]
    distances: tuple[Doubles, ...]  # each (len(keys[i]),), as the engine would return them
    looked_at: int  # documents compared with each query
    left_out: LeftOut = NOTHING  # documents that were not, by why
    several: bool = False  # whether a document held several vectors: the nearest of them counted

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or stands for several, a sentence each."""
        several = ("Some documents hold several vectors: the nearest of each counts.",) * self.several
        return (*self.left_out.words, *several)


def nearest(
    blocks: Iterable[Block],
    queries: Floats,
    k: int,
    metric: str,
    *,
    excluded: Sequence[str] = (),
) -> Neighbours:
    """The k nearest documents of each query.

    Args:
        blocks: all documents, from `read.blocks` or kept from an earlier reading. Of a document of several
            vectors the nearest to the query counts.
        queries: (q, dim), as given to the engine.
        k: how many.
        metric: COSINE, IP or L2.
        excluded: for each query the key that does not count (a document is its own nearest); "" for none.
            Empty for no exclusion at all.

    Returns:
        Neighbours; memory is bounded by ROWS_AT_ONCE x QUERIES_AT_ONCE and the answer itself, however many
        documents there are. At the same distance any of the documents may stand.
    """
    ready = prepared(queries, metric)
    parts = [
        _Best(ready[start : start + QUERIES_AT_ONCE], k, metric, excluded[start : start + QUERIES_AT_ONCE])
        for start in range(0, len(ready), QUERIES_AT_ONCE)
    ]
    looked_at, left_out, several = 0, NOTHING, False
    for block in blocks:
        looked_at += block.documents
        left_out += block.left_out
        several = several or block.several
        for start in range(0, len(block.keys), ROWS_AT_ONCE):
            keys = block.keys[start : start + ROWS_AT_ONCE]
            vectors = block.vectors[start : start + ROWS_AT_ONCE]
            starts = _starts(keys) if block.several else None
            for part in parts:
                part.look_at(keys, vectors, starts)
    rows = [row for part in parts for row in part.rows()]
    return Neighbours(
        tuple(keys for keys, _ in rows), tuple(d for _, d in rows), looked_at, left_out, several
    )


class _Best:
    """The k nearest so far of some queries.

    A document's score is larger the nearer it is: the inner product, for L2 less half the squared length.
    Only scores above what the k-th nearest so far would have can matter; they are few after the first
    blocks, so one comparison passes over the product instead of a partition.
    """

    def __init__(self, queries: Floats, k: int, metric: str, excluded: Sequence[str]) -> None:
        self.queries, self.k, self.metric = queries, k, metric
        self.wide: Doubles = queries.astype(np.float64)
        self.squares: Doubles = np.einsum("ij,ij->i", self.wide, self.wide)
        self.distances: Doubles = np.full((len(queries), k), np.inf)
        self.keys = np.full((len(queries), k), "", dtype=object)
        self.excluded: dict[str, list[int]] = {}
        for row, key in enumerate(excluded):
            if key:
                self.excluded.setdefault(key, []).append(row)
        self._product = np.empty((0, 0), np.float32)  # both are used again: making them costs a tenth
        self._above = np.empty((0, 0), np.bool_)

    def look_at(self, keys: tuple[str, ...], vectors: Floats, starts: Places | None = None) -> None:
        """Take in the documents of one block.

        Args:
            keys: of the documents.
            vectors: (len(keys), dim).
            starts: where each document begins, if some have several vectors.
        """
        if self._product.shape != (len(self.queries), len(keys)):
            self._product = np.empty((len(self.queries), len(keys)), np.float32)
            self._above = np.empty(self._product.shape, np.bool_)
        scores = np.matmul(self.queries, vectors.T, out=self._product)
        halves = 0.5 * np.einsum("ij,ij->i", vectors, vectors)
        longest = float(halves.max(initial=0.0))
        if self.metric == "L2":
            scores -= halves
        if self.excluded:
            for column, key in enumerate(keys):
                for row in self.excluded.get(key, ()):
                    scores[row, column] = -np.inf
        slack = _EPS * np.sqrt(vectors.shape[1]) * (np.sqrt(self.squares * 2 * longest) + longest)
        # What bounds the k-th document is the best vector of each.
        best = scores if starts is None else np.maximum.reduceat(scores, starts, axis=1)
        np.greater(scores, self._thresholds(best, slack)[:, None], out=self._above)
        rows, columns = _places(self._above)
        crowded = np.flatnonzero(np.bincount(rows, minlength=len(scores)) > 4 * self.k + 64)
        if len(crowded) and starts is None:
            alone = ~np.isin(rows, crowded)
            more_rows, more_columns = self._nearest_of(crowded, vectors, np.isfinite(scores[crowded]))
            rows = np.concatenate([rows[alone], more_rows])
            columns = np.concatenate([columns[alone], more_columns])
        for start, end in _chunks(len(rows), vectors.shape[1]):
            self._refine(rows[start:end], columns[start:end], keys, vectors, several=starts is not None)

    def rows(self) -> Iterator[tuple[tuple[str, ...], Doubles]]:
        """Keys and distances of each query."""
        for keys, found in zip(self.keys, self.distances, strict=True):
            known = int(np.isfinite(found).sum())
            yield tuple(keys[:known]), found[:known].copy()

    def _thresholds(self, scores: Floats, slack: Doubles) -> Floats:
        """(q,) scores that a document must exceed, an allowance for float32 below the exact ones."""
        last = self.distances[:, -1]
        limit: Doubles = 0.5 * (self.squares - last) if self.metric == "L2" else 1.0 - last
        new = np.flatnonzero(np.isinf(last))
        if len(new) and scores.shape[1] > self.k:
            # Not k yet: the k-th of this block bounds it.
            limit[new] = np.partition(scores[new], scores.shape[1] - self.k, axis=1)[:, -self.k]
        lowered: Floats = np.nextafter((limit - slack).astype(np.float32), np.float32(-np.inf))
        return lowered

    def _nearest_of(self, rows: Places, vectors: Floats, allowed: NDArray[np.bool_]) -> tuple[Places, Places]:
        """The k nearest of a block where float32 tells few apart: equal ones, or far from the origin."""
        wide = vectors.astype(np.float64)
        scores = self.wide[rows] @ wide.T
        if self.metric == "L2":
            scores -= 0.5 * np.einsum("ij,ij->i", wide, wide)
        scores[~allowed] = -np.inf
        keep = min(self.k, scores.shape[1])
        columns = np.argpartition(scores, scores.shape[1] - keep, axis=1)[:, -keep:]
        owner = np.repeat(rows, keep)
        usable = np.take_along_axis(allowed, columns, axis=1).ravel()
        return owner[usable], columns.ravel()[usable]

    def _refine(
        self, rows: Places, columns: Places, keys: tuple[str, ...], vectors: Floats, *, several: bool
    ) -> None:
        wide = vectors[columns].astype(np.float64)
        exact: Doubles = np.einsum("ij,ij->i", self.wide[rows], wide)
        if self.metric == "L2":
            difference = self.wide[rows] - wide
            exact = np.einsum("ij,ij->i", difference, difference)
        elif self.metric == "COSINE":
            lengths = np.sqrt(self.squares[rows] * np.einsum("ij,ij->i", wide, wide))
            exact = 1.0 - np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > 0)
        else:
            exact = 1.0 - exact
        better = exact < self.distances[rows, -1]
        rows, columns, exact = rows[better], columns[better], exact[better]
        if not len(rows):
            return
        concerned, inverse = np.unique(rows, return_inverse=True)
        owner = np.concatenate([np.repeat(np.arange(len(concerned)), self.k), inverse])
        candidates = np.concatenate([self.distances[concerned].ravel(), exact])
        names = np.concatenate([self.keys[concerned].ravel(), np.array([keys[c] for c in columns], object)])
        order = np.lexsort((candidates, owner))
        if several:
            repeated = _repeated(owner[order], names[order])
            candidates[order[repeated]], names[order[repeated]] = np.inf, ""
            order = np.lexsort((candidates, owner))
        first = np.searchsorted(owner[order], np.arange(len(concerned)))
        chosen = order[first[:, None] + np.arange(self.k)]
        self.distances[concerned] = candidates[chosen]
        self.keys[concerned] = names[chosen]


def _starts(keys: tuple[str, ...]) -> Places:
    """Where each document begins in keys whose equals stand side by side."""
    return np.array([i for i, key in enumerate(keys) if not i or key != keys[i - 1]], dtype=np.int64)


def _repeated(owner: NDArray[np.intp], names: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Entries, nearest first for each owner, whose document stood before."""
    seen: set[tuple[int, str]] = set()
    found = np.zeros(len(names), dtype=bool)
    for i, entry in enumerate(zip(owner.tolist(), names.tolist(), strict=True)):
        found[i] = entry in seen
        if entry[1]:
            seen.add(entry)
    return found


def _places(mask: NDArray[np.bool_]) -> tuple[Places, Places]:
    """`np.nonzero` of a mask with few true values: eight of them are looked at at once."""
    flat = mask.reshape(-1)
    if len(flat) % 8:
        found = np.flatnonzero(flat)
    else:
        words = np.flatnonzero(flat.view(np.uint64))
        inside = np.nonzero(flat.reshape(-1, 8)[words])
        found = words[inside[0]] * 8 + inside[1]
    return found // mask.shape[1], found % mask.shape[1]


def _chunks(count: int, dim: int) -> Iterator[tuple[int, int]]:
    size = max(1, _REFINED_BYTES // (8 * dim))
    for start in range(0, count, size):
        yield start, min(start + size, count)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What an index found against the exact answer of the same query."""

    recall: float  # share of the true neighbours found; a hit as near as the farthest of them counts
    found: tuple[bool, ...]  # for each true neighbour, whether the index returned it
    extra: tuple[str, ...]  # returned, but not among the true neighbours and not as near


def compare(
    keys: Sequence[str],
    found: Sequence[float] | Doubles,
    true_keys: tuple[str, ...],
    true_distances: Doubles,
    metric: str = "",
) -> Comparison:
    """Recall of one query, ties counted by distance (as ann-benchmarks does).

    Args:
        keys: what the index returned, at most k.
        found: (len(keys),) their distances.
        true_keys: the exact answer, at most k.
        true_distances: (len(true_keys),).
        metric: of the index; for L2, whose distances may be of any size, nearness is relative.
    """
    if not true_keys:
        return Comparison(1.0, (), tuple(keys))
    limit = float(true_distances[-1])
    limit += TIE * (abs(limit) if metric == "L2" else max(1.0, abs(limit)))
    truth, returned = set(true_keys), set(keys)
    good = [key in truth or d <= limit for key, d in zip(keys, found, strict=True)]
    extra = tuple(key for key, ok in zip(keys, good, strict=True) if not ok)
    recall = min(1.0, sum(good) / len(true_keys))
    return Comparison(recall, tuple(key in returned for key in true_keys), extra)
