"""Two samples on one map: two indexes, or one index at two moments. One layout places both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.maps import clusters, drift, layout, memory, plain, run, store
from memdb.maps.drift import Region, SampleDifference
from memdb.maps.neighbours import neighbours
from memdb.maps.quality import quality
from memdb.maps.request import GraphRecall, Ints, MapRequest, Quality
from memdb.maps.sample import MapSample, sample
from memdb.vectors import chance
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.index import IndexInfo

Bools = NDArray[np.bool_]
_HALVES = 2**31  # a seed that no sample has
_SAME = 1e-5  # relative: two readings of a vector that differ by less are the same


@dataclass(frozen=True, slots=True, eq=False)
class MapSide:
    """One of the two."""

    name: str  # as words: an index, or a moment of it
    sample: MapSample
    metric: str


@dataclass(frozen=True, slots=True, eq=False)
class TwoOnOne:
    """Both samples on one map. A document with the same key and vector on both sides is one point."""

    names: tuple[str, str]
    request: MapRequest
    keys: tuple[str, ...]
    xy: Floats  # (n, 2)
    before: Bools  # (n,)
    after: Bools  # (n,)
    moved: int  # keys on both sides whose vector differs: a point for each
    labels: Ints  # (n,) cluster, -1 between them
    clusters: tuple[str, ...]
    regions: tuple[Region, ...]
    difference: SampleDifference | None  # None: too few vectors to compare
    quality: Quality | None
    graph_recall: GraphRecall | None
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The conclusion, in sentences. It holds the names of the sides as they are."""
        same = int((self.before & self.after).sum())
        counts = (
            f"{int(self.before.sum()):,} documents of {self.names[0]}, {int(self.after.sum()):,} of "
            f"{self.names[1]}; {same:,} are the same, {self.moved:,} have another vector."
        )
        test = self.difference
        if test is None:
            return f"Too few vectors to say whether the difference is more than chance. {counts}"
        figures = (
            f"energy distance {test.energy:.4g}, by chance above {test.energy_by_chance:.4g} once in 20 "
            f"times, p = {test.p_value:.3g} by {test.permutations:,} permutations"
        )
        apart = (
            f"By its neighbours, a vector's side is told with an AUC of {test.auc:.3f} (by chance "
            f"{test.auc_low:.3f} to {test.auc_high:.3f}; 1 is always, 0.5 never)."
        )
        if not test.beyond_chance:
            return (
                f"No difference beyond chance was measured: {figures}. A small one can stay unseen with "
                f"{test.before:,} and {test.after:,} vectors. {apart} {counts}"
            )
        changed = [region for region in self.regions if region.verdict != "as before"]
        where = (
            " ".join(
                f"{region.name}: {region.verdict} ({region.share_before:.1%} to {region.share_after:.1%})."
                for region in changed[:3]
            )
            or "No single region changed beyond chance."
        )
        return f"The two differ by more than chance: {figures}. {apart} {where} {counts}"


def read(
    client: Client, info: IndexInfo, request: MapRequest, name: str, *, report: Report = silent
) -> MapSide:
    """An index as it is now.

    Raises:
        BadInput: fewer than four documents match, or less memory than it takes.
        MemDBError: the server does not answer.
    """
    memory.check(request, info)
    metric = info.vector_field(request.field)[1].metric
    return MapSide(name, sample(client, info, request, report=report), metric)


def earlier(client: Client, home: Path, request: MapRequest, age: int = 1) -> MapSide:
    """An index as it was when a kept map of it was drawn.

    Args:
        client: where the index is.
        home: MEMDB_HOME.
        request: whose kept maps: those of the same index, field and filter.
        age: 1 for the last one that was drawn, 2 for the one before.

    Raises:
        BadInput: there is no such map.
    """
    maps = store.earlier(home, client.target, request)
    if not 1 <= age <= len(maps):
        raise BadInput(
            f"There is no kept map number {age:,} of '{line(request.index, 80)}': {len(maps):,} are kept.",
            "Draw a map: it is kept, and can be compared with the index later.",
        )
    stored = maps[age - 1]
    opened = store.reopened(home, client.target, stored)
    vectors = None if opened is None else store.vectors(home, client.target, opened)
    if opened is None or vectors is None:
        raise BadInput(f"The map of {stored.words} is not kept any more.", "Choose another one.")
    return MapSide(stored.words, MapSample(opened.keys, vectors, opened.total), opened.metric)


def lay(
    client: Client,
    info: IndexInfo,
    request: MapRequest,
    before: MapSide,
    after: MapSide,
    *,
    seed: int = 0,
    report: Report = silent,
) -> TwoOnOne:
    """Both sides on one map, and whether they differ by more than chance.

    Args:
        client: where the index of the later side is: the regions' names are read there.
        info: that index.
        request: how to lay out; in 2-D.
        before: one side.
        after: the other.
        seed: of the comparison with chance.
        report: progress; may raise Cancelled.

    Raises:
        BadInput: the two have another metric or number of dimensions, both need more memory than there is, or
            umap-learn has no such metric.
        MemDBError: the server does not answer.
    """
    dims = [side.sample.vectors.shape[1] for side in (before, after)]
    if dims[0] != dims[1] or before.metric != after.metric:
        raise BadInput(
            f"{before.name} has {dims[0]:,} dimensions under {before.metric}, {after.name} {dims[1]:,} under "
            f"{after.metric}: one layout cannot place both.",
            "Choose an index whose vectors are of the same model and metric.",
        )
    metric = after.metric
    memory.fits(len(before.sample.keys) + len(after.sample.keys), dims[0], request.neighbours)
    keys, vectors, was, is_now, moved = joined(before.sample, after.sample)
    k = min(request.neighbours, len(keys) - 1)
    near = neighbours(vectors, k, metric, request.graph, report=report)
    xy = _placed(vectors, near.places, near.distances, metric, replace(request, dimensions=2), report)
    judged = quality(vectors, metric, near.places, xy, exact=near.recall is None, report=report)
    labels = clusters.clusters(xy, report=report)
    some = clusters.told(len(labels))
    texts = run.texts(client, info, tuple(keys[i] for i in some))
    named = clusters.names(texts, labels[some], int(labels.max(initial=-1)) + 1)
    notes = [near.note] if near.note else []
    first, second = apart(keys, vectors, was, is_now)
    difference = None
    if min(len(first), len(second)) >= drift.LEAST:
        difference = drift.difference(first, second, seed=seed, report=report)
    if (was & is_now).any():
        notes.append(
            "Documents on both sides are compared on one of them, by chance: the two samples share none."
        )
    return TwoOnOne(
        (before.name, after.name),
        request,
        keys,
        xy,
        was,
        is_now,
        moved,
        labels,
        named,
        drift.regions(labels, named, was, is_now),
        difference,
        judged,
        near.recall,
        (*notes, *before.sample.left_out.words, *after.sample.left_out.words),
    )


def joined(before: MapSample, after: MapSample) -> tuple[tuple[str, ...], Floats, Bools, Bools, int]:
    """Both samples as points: keys (n,), vectors (n, d), on which side (n,) twice, and how many moved."""
    places = {key: i for i, key in enumerate(before.keys)}
    was = np.ones(len(before.keys), bool)
    both = np.zeros(len(before.keys), bool)
    added, moved = [], 0
    for i, key in enumerate(after.keys):
        place = places.get(key)
        if place is not None and _equal(before.vectors[place], after.vectors[i]):
            both[place] = True
        else:
            moved += place is not None
            added.append(i)
    keys = (*before.keys, *(after.keys[i] for i in added))
    new = np.ones(len(added), bool)
    vectors = np.concatenate([before.vectors, after.vectors[added]])
    # In an order by chance, as a sample's: any first part of the points stands for all.
    order = np.random.default_rng(0).permutation(len(keys))
    sides = np.concatenate([was, ~new]), np.concatenate([both, new])
    return tuple(keys[i] for i in order), vectors[order], sides[0][order], sides[1][order], moved


def apart(keys: tuple[str, ...], vectors: Floats, before: Bools, after: Bools) -> tuple[Floats, Floats]:
    """Two independent samples, (m, d) and (n, d), of what the sides are samples of.

    Where documents lie on both sides, half of all keys by chance count before and the other half after: each
    side loses every kind of document alike, and none is compared with itself.
    """
    if not (set(_chosen(keys, before)) & set(_chosen(keys, after))):
        return vectors[before], vectors[after]
    salt = chance.salted(_HALVES)
    first = np.array([chance.number(key, salt) & 1 for key in keys], bool)
    return vectors[before & first], vectors[after & ~first]


def _equal(first: Floats, other: Floats) -> bool:
    return bool(np.abs(first - other).max(initial=0.0) <= _SAME * np.abs(first).max(initial=0.0))


def _chosen(keys: tuple[str, ...], side: Bools) -> list[str]:
    return [keys[i] for i in np.flatnonzero(side)]


def _placed(
    vectors: Floats, places: Ints, distances: Doubles, metric: str, request: MapRequest, report: Report
) -> Floats:
    if not np.ptp(vectors, axis=0).any():
        return np.zeros((len(vectors), 2), np.float32)
    begins = layout.pca(vectors, 2)[0]
    if request.layout == "pca" or layout.only_copies(distances, metric):
        return begins
    if request.layout == "umap":
        return plain.fit(
            vectors,
            metric,
            2,
            neighbours=request.neighbours,
            min_dist=request.min_dist,
            seed=request.layout_seed,
            report=report,
        )
    if len(vectors) > layout.SMALL:
        chosen = layout.coarse(
            vectors,
            metric,
            2,
            neighbours=request.neighbours,
            min_dist=request.min_dist,
            seed=request.layout_seed,
        )
        begins = layout.begun(vectors, *chosen, metric, report=report)
    return layout.umap(
        places,
        distances,
        begins,
        metric,
        min_dist=request.min_dist,
        seed=request.layout_seed,
        report=report,
    )
