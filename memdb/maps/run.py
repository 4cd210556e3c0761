"""A map from its request: PCA's picture first, then the graph, the layout, quality and clusters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import counted
from memdb.errors import UnknownIndex
from memdb.jobs import Report, silent
from memdb.maps import clusters, layout, memory, plain, store
from memdb.maps.neighbours import neighbours
from memdb.maps.quality import quality
from memdb.maps.request import Ints, Layout, Level, Map, MapRequest, Method
from memdb.maps.sample import sample
from memdb.vectors import evidence, stored
from memdb.vectors.distance import Floats
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.titles import text_field

_COPIES_COUNTED = 20_000  # documents of which copies are counted
_METHODS: dict[Layout, Method] = {"graph": "UMAP", "umap": "umap-learn", "pca": "PCA"}


def make(
    client: Client,
    info: IndexInfo,
    request: MapRequest,
    *,
    home: Path | None = None,
    report: Report = silent,
    keep: Callable[[Map], None] | None = None,
) -> Map:
    """Make a map, or find it among those that are kept.

    Args:
        client: where the index is.
        info: the index as it is now.
        request: what to draw.
        home: MEMDB_HOME; None keeps nothing.
        report: progress; may raise Cancelled.
        keep: given the PCA picture as soon as it is there, and each later state.

    Raises:
        BadInput: too few documents, none with a usable vector, less memory than it takes, or umap-learn has
            no such metric.
        MemDBError: the server did not answer, or said no.
    """
    if home is not None and (stored_map := store.find(home, client, info, request)) is not None:
        return stored_map
    _, params = info.vector_field(request.field)
    memory.check(request, info)
    if request.layout == "umap":
        plain.check(params.metric)
    else:  # import and compilation, while reading waits for the server
        points = min(request.count, info.documents)
        threading.Thread(target=layout.ready_for, args=(points,), name="layout", daemon=True).start()
    watch = _Watch()
    chosen = sample(client, info, request, report=report)
    watch.lap("read")
    vectors = chosen.vectors
    witnessed = evidence.of_documents(
        client, info, request.field, (*chosen.keys, *chosen.without), store.condition_of(request)
    )
    xy, axes, mean = layout.pca(vectors, request.dimensions)
    watch.lap("PCA")
    notes = (*filter(None, (info.unfinished,)), *_notes(vectors, params.metric), *chosen.left_out.words)
    if chosen.several:
        notes += ("Some documents hold several vectors: each stands where its first vector puts it.",)
    new_map = Map(
        request,
        "PCA",
        chosen.keys,
        xy,
        chosen.total,
        params.metric,
        info.fingerprint,
        watch.seconds,
        axes=axes,
        mean=mean,
        notes=notes,
        made_at=time.time(),
        evidence=witnessed,
    )
    if keep is not None:
        keep(new_map)
    k = min(request.neighbours, len(vectors) - 1)
    if k < request.neighbours:
        notes += (f"{len(vectors):,} documents have {k} neighbours each, not {request.neighbours}.",)
    equal = not np.ptp(vectors, axis=0).any()
    coarse = None if equal else _coarse(new_map, vectors, keep)
    if coarse is not None:
        watch.lap("coarse layout")
    near = neighbours(vectors, k, params.metric, request.graph, report=report)
    places, distances = near.places, near.distances
    notes += (near.note,) if near.note else ()
    watch.lap("neighbours")
    method = _METHODS[request.layout]
    if equal:  # a layout would draw patterns that are not there
        placed = np.zeros_like(xy)
        notes += ("All vectors are equal: there is nothing to lay out.",)
    elif layout.only_copies(distances, params.metric):
        placed, method = xy, "PCA"
        notes += ("Every document's neighbours are copies of it: this is the widest plane (PCA).",)
    elif request.layout == "pca":
        placed = xy
    elif request.layout == "umap":
        placed = plain.fit(
            vectors,
            params.metric,
            request.dimensions,
            neighbours=request.neighbours,
            min_dist=request.min_dist,
            seed=request.layout_seed,
            report=report,
        )
    else:
        begins = xy if coarse is None else layout.begun(vectors, *coarse, params.metric, report=report)
        placed = layout.umap(
            places,
            distances,
            begins,
            params.metric,
            min_dist=request.min_dist,
            seed=request.layout_seed,
            report=report,
            show=None if keep is None else lambda so_far: keep(replace(new_map, method="UMAP", xy=so_far)),
        )
    watch.lap("layout")
    new_map = replace(
        new_map,
        method=method,
        xy=placed,
        graph=places,
        graph_distances=distances,
        graph_recall=near.recall,
        seconds=watch.seconds,
        notes=notes,
    )
    if keep is not None:
        keep(new_map)
    judged = quality(vectors, params.metric, places, placed, exact=near.recall is None, report=report)
    watch.lap("quality")
    labels = clusters.clusters(placed, report=report)
    new_map = replace(new_map, quality=judged, labels=labels)
    if keep is not None:
        keep(new_map)
    some = clusters.told(len(labels))
    titles = texts(client, info, tuple(chosen.keys[i] for i in some))
    new_map = replace(new_map, names=_named(titles, labels, some))
    if keep is not None:
        keep(new_map)
    finer = [clusters.clusters(placed, level=level, report=report) for level in range(1, clusters.LEVELS)]
    new_map = replace(new_map, finer=tuple(Level(fine, _named(titles, fine, some)) for fine in finer))
    watch.lap("clusters")
    try:
        current = index_info(client, info.name)
    except UnknownIndex:  # what was drawn stays; it is not kept, since nothing can check it
        notes += ("The index was dropped while the map was made: this is what it held.",)
        return replace(new_map, seconds=watch.seconds, notes=notes, evidence=None)
    if current.fingerprint != info.fingerprint:
        changed = current.documents - info.documents
        what = (
            f"{counted(abs(changed), 'document')} {'more' if changed > 0 else 'fewer'}"
            if changed
            else "changed documents"
        )
        notes += (f"The index changed while the map was made: {what}. Redraw to see them.",)
    new_map = replace(new_map, seconds=watch.seconds, notes=notes)
    if home is not None and new_map.evidence is not None:
        store.save(home, client.target, new_map, vectors)
    return new_map


def _coarse(new_map: Map, vectors: Floats, keep: Callable[[Map], None] | None) -> tuple[Ints, Floats] | None:
    """A layout of some points where there are many, shown; None where all are laid out as quickly."""
    request = new_map.request
    if len(vectors) <= layout.SMALL or request.layout != "graph":
        return None
    chosen, placed = layout.coarse(
        vectors,
        new_map.metric,
        request.dimensions,
        neighbours=request.neighbours,
        min_dist=request.min_dist,
        seed=request.layout_seed,
    )
    if keep is not None:
        keep(replace(new_map, method="coarse", keys=tuple(new_map.keys[i] for i in chosen), xy=placed))
    return chosen, placed


class _Watch:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[tuple[str, float]] = []

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self._laps.append((stage, now - self._last))
        self._last = now

    @property
    def seconds(self) -> tuple[tuple[str, float], ...]:
        return tuple(self._laps)


def _named(texts: list[str], labels: Ints, some: Ints) -> tuple[str, ...]:
    return clusters.names(texts, labels[some], int(labels.max(initial=-1)) + 1)


def texts(client: Client, info: IndexInfo, keys: tuple[str, ...]) -> list[str]:
    """What names the documents (n,): the beginning of their text field, "" where there is none."""
    field = text_field(info)
    if field is None:
        return [""] * len(keys)
    return [replies.text(value)[:300] for value in stored.values(client, info, field, keys)]


def _notes(vectors: Floats, metric: str) -> tuple[str, ...]:
    zero = int((~vectors.any(axis=1)).sum())
    notes = []
    if zero:
        means = (
            "lie at the origin" if metric == "L2" else "have no direction, and where they lie means nothing"
        )
        notes.append(f"{counted(zero, 'vector')} {'is' if zero == 1 else 'are'} zero. Zero vectors {means}.")
    if len(vectors) <= _COPIES_COUNTED:
        counts = np.unique(vectors, axis=0, return_counts=True)[1]
        same = int(counts[counts > 1].sum())
        if same:
            notes.append(f"{same:,} documents have the same vector as another one: they share a point.")
    return tuple(notes)
