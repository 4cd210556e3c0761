"""Places on the plane: PCA at once, UMAP from a graph that is given, new points without laying out again.

The layout is umap-learn's, without the neighbour search whose compilation takes most of a first fit there
(docs/decisions/0030-layout.md). Epochs run one by one: a job can tell the time left and be cancelled.
umap-learn itself, as the other layout, is in `memdb.maps.plain`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from memdb.errors import Cancelled
from memdb.jobs import Report, silent
from memdb.maps.request import Ints
from memdb.vectors.distance import Doubles, Floats

SMALL = 10_000  # points up to which a layout has 500 epochs, as in umap-learn, and a spectral start
EPOCHS_SMALL, EPOCHS_LARGE = 500, 200
LANDMARKS = 1_000  # points whose graph the spectral start is computed on
_SMOOTHED = 10  # times that each point then moves to the mean of its neighbours
_SPREAD = 10.0  # of the first layout, as umap-learn scales it
SHOWN = 8  # times that a layout shows itself while it runs
COARSE = 2_000  # points that a coarse layout is made of, where there are more than SMALL
_NEAREST = 5  # of them among which every other point begins
_AT_ONCE = 4_096  # points that are placed at once
_ROWS = 65_536  # points whose weights are computed at once


def pca(vectors: Floats, dimensions: int) -> tuple[Floats, Floats, Floats]:
    """The plane of largest spread.

    Args:
        vectors: (n, d).
        dimensions: 2 or 3.

    Returns:
        ((n, dimensions) places, (dimensions, d) axes, (d,) mean). Axes without spread are zero.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    d = vectors.shape[1]
    spread = np.zeros((d, d))
    for start in range(0, len(vectors), 8_192):
        part = (vectors[start : start + 8_192] - mean).astype(np.float64)
        spread += part.T @ part
    values, axes = np.linalg.eigh(spread)
    chosen = np.zeros((dimensions, d), np.float32)
    for i in range(min(dimensions, d)):
        if values[-1 - i] > 1e-12 * max(float(values[-1]), 1e-300):
            axis = axes[:, -1 - i]
            # The sign of an axis is a matter of chance: the largest part is positive.
            chosen[i] = axis * np.sign(axis[np.abs(axis).argmax()])
    return ((vectors - mean) @ chosen.T).astype(np.float32), chosen, mean


def umap(
    graph: Ints,
    distances: Doubles,
    start: Floats,
    metric: str,
    *,
    min_dist: float = 0.1,
    seed: int = 0,
    report: Report = silent,
    show: Callable[[Floats], None] | None = None,
) -> Floats:
    """UMAP's layout of a graph.

    Args:
        graph: (n, k) neighbours of each point, without itself.
        distances: (n, k) as the engines return them.
        start: (n, 2 or 3) where the points begin if there is no spectral start (`spectral`): PCA's places, or
            beyond SMALL points those of `begun`.
        metric: COSINE, IP or L2.
        min_dist: how close points may lie.
        seed: of the sampling of edges; the same seed gives the same layout.
        report: progress by epochs.
        show: given the places so far, (n, 2 or 3), a few times.

    Returns:
        (n, 2 or 3) float32.
    """
    n = len(graph)
    report("Laying out", 0, 1)
    edges = fuzzy(graph, metric_distances(distances, metric)).tocsr()
    edges.eliminate_zeros()
    edges.sort_indices()  # a seed stands for one order
    random = np.random.default_rng(seed)
    drawn = spectral(edges, start.shape[1], random) if n <= SMALL else None
    begin = _started(start if drawn is None else drawn, random)
    return _epochs(
        begin, edges, EPOCHS_SMALL if n <= SMALL else EPOCHS_LARGE, curve(min_dist), random, report, show
    )


def coarse(
    vectors: Floats, metric: str, dimensions: int, *, neighbours: int, min_dist: float, seed: int
) -> tuple[Ints, Floats]:
    """A layout of a few of the points, which stands within seconds.

    Args:
        vectors: (n, d), prepared, more than COARSE of them.
        metric: COSINE, IP or L2.
        dimensions: 2 or 3.
        neighbours: as of the layout that follows.
        min_dist: likewise.
        seed: which points, and of their layout.

    Returns:
        ((COARSE,) which, (COARSE, dimensions) their places).
    """
    from memdb.maps.graph import graph

    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(len(vectors), COARSE, replace=False)).astype(np.int32)
    some = vectors[chosen]
    places, far = graph(some, min(neighbours, COARSE - 1), metric)
    start = pca(some, dimensions)[0]
    return chosen, umap(places, far, start, metric, min_dist=min_dist, seed=seed)


def begun(vectors: Floats, chosen: Ints, placed: Floats, metric: str, *, report: Report = silent) -> Floats:
    """Where all points begin by a coarse layout: among the nearest of its points.

    Args:
        vectors: (n, d), prepared.
        chosen: (m,) of `coarse`.
        placed: (m, 2 or 3) of `coarse`.
        metric: COSINE, IP or L2.
        report: progress by points.

    Returns:
        (n, 2 or 3) float32.
    """
    n, some = len(vectors), vectors[chosen]
    begins = np.empty((n, placed.shape[1]), np.float32)
    for first in range(0, n, _AT_ONCE):
        part = slice(first, min(n, first + _AT_ONCE))
        begins[part] = place(vectors[part], some, placed, metric, _NEAREST)
        report("Beginning", part.stop, n)
    return begins


def fuzzy(graph: Ints, distances: Doubles) -> Any:
    """UMAP's fuzzy graph of exact neighbours, as `umap_.fuzzy_simplicial_set` makes it.

    Written with NumPy because numba would compile umap-learn's for longer than this takes; a test holds the
    two against each other. The point itself counts as its first neighbour, as it does there.

    Args:
        graph: (n, k) neighbours.
        distances: (n, k), not negative, nearest first.

    Returns:
        (n, n) scipy sparse matrix of weights in (0, 1].
    """
    from scipy.sparse import csr_matrix

    n, k = graph.shape
    mean = distances.sum() / (n * (k + 1))
    weights = np.empty((n, k), np.float32)
    for start in range(0, n, _ROWS):  # a million at once would hold gigabytes
        weights[start : start + _ROWS] = _weights(distances[start : start + _ROWS], mean)
    one_way = csr_matrix((weights.ravel(), graph.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    other_way = one_way.T.tocsr()
    return one_way + other_way - one_way.multiply(other_way)


def _weights(distances: Doubles, mean: float) -> Doubles:
    """How strongly points (m,) hold to their neighbours (m, k), by the mean of all distances."""
    n, k = distances.shape
    positive = np.where(distances > 0, distances, np.inf)
    nearest = positive.min(axis=1)
    nearest[~np.isfinite(nearest)] = 0.0
    beyond = np.maximum(distances - nearest[:, None], 0.0)
    wanted = np.log2(k + 1)
    low, high, scale = np.zeros(n), np.full(n, np.inf), np.ones(n)
    for _ in range(64):
        mass = np.exp(-beyond / scale[:, None]).sum(axis=1)
        over = mass > wanted
        high = np.where(over, scale, high)
        low = np.where(over, low, scale)
        scale = np.where(np.isinf(high), scale * 2, (low + high) / 2)
        if np.all(np.abs(mass - wanted) < 1e-5):
            break
    least = np.where(nearest > 0, distances.sum(axis=1) / (k + 1), mean)
    scale = np.maximum(scale, 1e-3 * least)
    scale[scale <= 0] = 1.0  # all points at one place
    weights: Doubles = np.exp(-beyond / scale[:, None])
    return weights


def spectral(edges: Any, dimensions: int, random: np.random.Generator) -> Floats | None:
    """Where a spectral embedding of the graph puts the points: what is connected begins unfolded.

    Beyond LANDMARKS points it is that of a coarser graph: each point belongs to its nearest landmark, and
    then moves to the mean of its neighbours, so that the time does not depend on how fast the graph mixes.

    Args:
        edges: (n, n) scipy sparse rows of weights, symmetric, none of them zero.
        dimensions: 2 or 3.
        random: for the choice of landmarks.

    Returns:
        (n, dimensions) float32; None where the graph is not connected, has too few points, or the
        eigenvectors do not converge.
    """
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.csgraph import connected_components, dijkstra

    n = edges.shape[0]
    if n <= 2 * (dimensions + 1) or connected_components(edges, directed=False)[0] > 1:
        return None
    wide = edges.astype(np.float64)
    if n <= LANDMARKS:
        vectors = _eigenvectors(wide, dimensions)
        return None if vectors is None else vectors.astype(np.float32)
    landmarks = np.sort(random.choice(n, LANDMARKS, replace=False))
    lengths = csr_matrix((1.0 / wide.data, wide.indices, wide.indptr), shape=(n, n))
    nearest = dijkstra(lengths, indices=landmarks, min_only=True, return_predecessors=True)[2]
    belongs = csr_matrix(
        (np.ones(n), (np.arange(n), np.searchsorted(landmarks, nearest))), shape=(n, LANDMARKS)
    )
    vectors = _eigenvectors((belongs.T @ wide @ belongs).tocsr(), dimensions)
    if vectors is None:
        return None
    placed = belongs @ vectors
    mean = diags(1.0 / np.asarray(wide.sum(axis=1)).ravel()) @ wide
    for _ in range(_SMOOTHED):
        placed = mean @ placed
    return np.asarray(placed, np.float32)


def _eigenvectors(edges: Any, dimensions: int) -> Doubles | None:
    """The largest of the graph's normalised adjacency behind the constant one, (n, dimensions)."""
    from scipy.sparse import diags, identity
    from scipy.sparse.linalg import ArpackError, eigsh

    n = edges.shape[0]
    roots = np.sqrt(np.asarray(edges.sum(axis=1)).ravel())
    scaled = diags(1.0 / roots) @ edges @ diags(1.0 / roots) + identity(n)
    try:
        # Not the Laplacian's smallest by its inverse: the factors of such a graph fill up.
        values, vectors = eigsh(scaled, k=dimensions + 1, which="LA", v0=roots, tol=1e-8, maxiter=1_000)
    except ArpackError:  # it has not converged
        return None
    harmonics: Doubles = vectors[:, np.argsort(-values)[1:]] / roots[:, None]
    return harmonics


def place(vectors: Floats, neighbours: Floats, xy: Floats, metric: str, k: int = 10) -> Floats:
    """Where new points belong on a map: the weighted mean of their nearest known points' places.

    Args:
        vectors: (q, d), prepared.
        neighbours: (n, d), the map's.
        xy: (n, 2 or 3).
        metric: COSINE, IP or L2.
        k: neighbours that count.

    Returns:
        (q, 2 or 3). Nothing is laid out again, and the map does not move.
    """
    from memdb.vectors.distance import distances as between

    table = between(vectors, neighbours, metric)
    k = min(k, len(neighbours))
    near = np.argpartition(table, k - 1, axis=1)[:, :k]
    far = np.take_along_axis(table, near, axis=1).astype(np.float64)
    far -= far.min(axis=1, keepdims=True)
    scale = np.maximum(np.median(far, axis=1, keepdims=True), 1e-9)
    weights = np.exp(-far / scale)
    weights /= weights.sum(axis=1, keepdims=True)
    placed: Floats = np.einsum("qk,qkd->qd", weights, xy[near]).astype(np.float32)
    return placed


def metric_distances(distances: Doubles, metric: str) -> Doubles:
    """Distances (n, k) to measure a neighbourhood with: the root of squared L2, IP from its row's nearest."""
    measured: Doubles = np.maximum(distances, 0.0)
    if metric == "L2":
        measured = np.sqrt(measured)
    if metric == "IP":  # may be negative: only differences within a neighbourhood mean something
        measured = distances - np.minimum(distances.min(axis=1, keepdims=True), 0.0)
    return measured


def only_copies(distances: Doubles, metric: str) -> bool:
    """Whether all neighbours, at distances (n, k), are copies of their point: such a graph holds no shape."""
    return metric != "IP" and not distances.max(initial=0.0) > 0  # IP's distances may be negative


def curve(min_dist: float) -> tuple[float, float]:
    """a and b of 1 / (1 + a d^2b), near 1 below min_dist and exp(min_dist - d) beyond, as umap-learn."""
    from scipy.optimize import curve_fit

    x = np.linspace(0, 3, 300)
    y = np.where(x < min_dist, 1.0, np.exp(min_dist - x))
    (a, b), _ = curve_fit(lambda x, a, b: 1.0 / (1.0 + a * x ** (2 * b)), x, y)
    return float(a), float(b)


def ready() -> None:
    """Import numba, and compile or read from disk what a layout needs, e.g. beside other work."""
    points = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    ring = (np.arange(64)[:, None] + np.arange(1, 6)[None, :]) % 64
    umap(ring.astype(np.int32), np.ones((64, 5)), points, "COSINE")


def ready_for(n: int) -> None:
    """The same for a map of n points: beyond EXACT also what finds approximate neighbours."""
    from memdb.maps import neighbours

    ready()
    if n > neighbours.EXACT:
        points = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
        neighbours.approximate(points, 5, "L2")


def warm() -> None:
    """All that a first map would wait for: for a thread at the start of the app."""
    ready()
    import scipy.spatial  # noqa: F401
    import sklearn.cluster
    import sklearn.feature_extraction.text  # noqa: F401


def _started(start: Floats, random: np.random.Generator) -> Floats:
    """A first layout scaled as umap-learn does, shaken so that equal points can part."""
    low, high = start.min(axis=0), start.max(axis=0)
    span = np.where(high - low > 0, high - low, 1.0)
    placed = _SPREAD * (start - low) / span
    return np.ascontiguousarray(placed + random.normal(scale=1e-3, size=start.shape), dtype=np.float32)


def _epochs(
    placed: Floats,
    edges: Any,
    epochs: int,
    ab: tuple[float, float],
    random: np.random.Generator,
    report: Report,
    show: Callable[[Floats], None] | None = None,
) -> Floats:
    """UMAP's optimisation.

    Args:
        placed: (n, dimensions) float32, the start, changed.
        edges: (n, n) scipy sparse rows of weights, symmetric.
        epochs: how many.
        ab: of the curve.
        random: where each point's random numbers begin.
        report: progress by epochs.
        show: given a copy of the places after each SHOWN-th part of the epochs, and of the last one when
            the user cancels.
    """
    from memdb.maps.epoch import forces, move  # numba's import takes half a second

    n = len(placed)
    most = edges.data.max()
    strong = edges.data >= most / epochs  # a weaker edge would never be due
    heads = np.repeat(np.arange(n), np.diff(edges.indptr))[strong]
    begins = np.searchsorted(heads, np.arange(n + 1)).astype(np.int32)
    tail = edges.indices[strong].astype(np.int32)
    gaps = (most / edges.data[strong]).astype(np.float32)
    turns = gaps.copy()
    states = random.integers(1, 2**32, n, dtype=np.uint32)
    tables = forces(*ab)
    for epoch in range(epochs):
        alpha = np.float32(1.0 - max(0, epoch - 1) / epochs)
        move(placed, begins, tail, gaps, turns, states, *tables, alpha, np.float32(epoch))
        if show is not None and (epoch + 1) % (epochs // SHOWN) == 0:
            show(placed.copy())
        try:
            report("Laying out", epoch + 1, epochs)
        except Cancelled:
            if show is not None:
                show(placed.copy())
            raise
    return placed
