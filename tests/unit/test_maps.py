"""Maps: the graph, the layout and the honesty figures against scikit-learn and brute force.

What is held against umap-learn is in tests/server/test_maps_plain.py, which alone compiles it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr
from sklearn.datasets import make_swiss_roll
from sklearn.manifold import trustworthiness

from memdb.errors import BadInput, Cancelled, OutOfRange
from memdb.maps import clusters, compare, epoch, layout
from memdb.maps.graph import graph
from memdb.maps.neighbours import approximate, measured, neighbours
from memdb.maps.quality import quality, rank_correlation
from memdb.maps.request import Map, MapRequest
from memdb.vectors import distance

METRICS = ("COSINE", "L2", "IP")


def clustered(n: int = 900, dim: int = 24, groups: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    where = rng.integers(0, groups, n)
    centres = rng.normal(size=(groups, dim)) * 3
    return (centres[where] + rng.normal(size=(n, dim))).astype(np.float32), where


@pytest.mark.parametrize("metric", METRICS)
def test_the_graph_is_exact(metric: str) -> None:
    vectors = distance.prepared(clustered()[0], metric)
    places, distances = graph(vectors, 10, metric)
    wide = vectors.astype(np.float64)
    table = ((wide[:, None, :] - wide[None, :, :]) ** 2).sum(axis=2) if metric == "L2" else 1 - wide @ wide.T
    np.fill_diagonal(table, np.inf)
    expected = np.sort(table, axis=1)[:, :10]
    np.testing.assert_allclose(distances, expected, atol=2e-3 if metric == "L2" else 1e-4, rtol=1e-4)
    assert not (places == np.arange(len(vectors))[:, None]).any()
    np.testing.assert_allclose(np.take_along_axis(table, places, axis=1), expected, atol=1e-3, rtol=1e-3)


def brute(vectors: np.ndarray, metric: str) -> np.ndarray:
    wide = vectors.astype(np.float64)
    lengths = (wide**2).sum(axis=1)
    product = wide @ wide.T
    table = lengths[:, None] + lengths[None, :] - 2 * product if metric == "L2" else 1 - product
    np.fill_diagonal(table, np.inf)
    return table


@pytest.mark.long
@pytest.mark.parametrize("metric", METRICS)
def test_an_approximate_graph_has_true_distances_and_the_recall_it_says(metric: str) -> None:
    vectors = distance.prepared(clustered(2_000, dim=20, groups=9)[0], metric)
    places, distances = approximate(vectors, 10, metric)
    again, _ = approximate(vectors, 10, metric)
    np.testing.assert_array_equal(places, again)
    table = brute(vectors, metric)
    np.testing.assert_allclose(
        distances, np.take_along_axis(table, places, axis=1), atol=2e-3 if metric == "L2" else 1e-4, rtol=1e-4
    )
    assert (np.diff(distances, axis=1) >= -1e-9).all()
    assert not (places == np.arange(2_000)[:, None]).any()
    assert all(len(set(row)) == 10 for row in places.tolist())
    true = np.argsort(table, axis=1)[:, :10]
    share = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(places.tolist(), true.tolist(), strict=True)])
    recall = measured(vectors, places, metric)
    assert recall.low - 0.01 <= share <= recall.high + 0.01
    assert share > (0.5 if metric == "IP" else 0.9)
    # A graph that is half wrong is called so.
    spoiled = places.copy()
    spoiled[:, 5:] = np.argsort(-np.where(np.isinf(table), -np.inf, table), axis=1)[:, :5]
    assert measured(vectors, spoiled, metric).mean == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", ["equal", "pairs", "two groups"])
def test_an_approximate_graph_of_what_coincides(kind: str) -> None:
    rng = np.random.default_rng(0)
    raw = {
        "equal": np.ones((600, 8)),
        "pairs": np.repeat(rng.normal(size=(300, 8)), 2, axis=0),
        "two groups": np.repeat(rng.normal(size=(2, 8)), 300, axis=0),
    }[kind]
    vectors = distance.prepared(raw.astype(np.float32), "L2")
    places, distances = approximate(vectors, 6, "L2")
    assert ((places >= 0) & (places < 600)).all()
    assert not (places == np.arange(600)[:, None]).any()
    if kind == "pairs":  # the twin is the nearest
        assert (places[:, 0] == np.arange(600) ^ 1).mean() > 0.95
    else:
        np.testing.assert_allclose(distances, 0.0, atol=1e-5)


def test_which_graph_a_map_rests_on(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = distance.prepared(clustered(1_000, dim=12)[0], "COSINE")
    assert neighbours(vectors, 8, "COSINE").recall is None
    recall = neighbours(vectors, 8, "COSINE", "approximate").recall
    assert recall is not None
    assert f"recall {recall.mean:.3f}" in recall.words
    monkeypatch.setattr("memdb.maps.neighbours.EXACT", 500)
    assert neighbours(vectors, 8, "COSINE").recall is not None
    assert neighbours(vectors, 8, "COSINE", "exact").recall is None
    # Where it would miss too much, all pairs are compared, and it is said.
    monkeypatch.setattr("memdb.maps.neighbours.ENOUGH", 1.1)
    compared = neighbours(vectors, 8, "COSINE")
    assert compared.recall is None
    assert "all pairs were compared" in compared.note


def test_quality_of_an_approximate_graph_rests_on_exact_neighbours() -> None:
    vectors = distance.prepared(clustered(700, dim=16)[0], "COSINE")
    exact, _ = graph(vectors, 10, "COSINE")
    xy = layout.pca(vectors, 2)[0]
    wrong = np.roll(exact, 350, axis=0)  # another point's neighbours
    true = quality(vectors, "COSINE", exact, xy)
    judged = quality(vectors, "COSINE", wrong, xy, exact=False)
    assert judged.kept_of_exact == pytest.approx(float(true.kept.mean()), abs=1e-6)
    assert judged.mean_kept == judged.kept_of_exact
    assert judged.continuity == pytest.approx(true.continuity, abs=1e-6)
    assert judged.kept.mean() < true.kept.mean()


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
def test_trustworthiness_is_scikit_learn_s_and_kept_a_brute_force_count(metric: str) -> None:
    vectors = distance.prepared(clustered(400)[0], metric)
    places, _ = graph(vectors, 12, metric)
    xy = layout.pca(vectors, 2)[0]
    found = quality(vectors, metric, places, xy)
    name = "cosine" if metric == "COSINE" else "euclidean"
    assert found.trustworthiness == pytest.approx(
        trustworthiness(vectors, xy, n_neighbors=12, metric=name), abs=1e-6
    )
    # Continuity is trustworthiness with the spaces exchanged; prepared for COSINE, vectors are of length 1.
    assert found.continuity == pytest.approx(trustworthiness(xy, vectors, n_neighbors=12), abs=1e-6)
    shown = ((xy[:, None, :] - xy[None, :, :]) ** 2).sum(axis=2)
    np.fill_diagonal(shown, np.inf)
    near = np.argsort(shown, axis=1)[:, :12]
    counted = [len(set(a) & set(b)) / 12 for a, b in zip(near.tolist(), places.tolist(), strict=True)]
    np.testing.assert_allclose(found.kept, counted, atol=1e-6)
    part = quality(vectors, metric, places, xy, sample=200)
    assert part.sample == 200
    assert part.trustworthiness == pytest.approx(found.trustworthiness, abs=0.02)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["many ties", "opposed", "noise", "constant"])
def test_the_rank_correlation_is_spearman_s(kind: str) -> None:
    random = np.random.default_rng(4)
    first = random.normal(size=300)
    second = {
        "many ties": np.round(first),
        "opposed": -first,
        "noise": first + random.normal(size=300),
        "constant": np.ones(300),
    }[kind]
    told = rank_correlation(first, second)
    if kind == "constant":
        assert np.isnan(told)
    else:
        assert told == pytest.approx(spearmanr(first, second).statistic)


def test_pca_keeps_large_distances_and_the_figure_says_so() -> None:
    random = np.random.default_rng(2)
    vectors = (random.normal(size=(400, 12)) * np.array([9, 6, *[1] * 10])).astype(np.float32)
    places, _ = graph(vectors, 10, "L2")
    flat = layout.pca(vectors, 2)[0]
    torn = flat[random.permutation(400)]
    far = cdist(vectors, vectors)[np.triu_indices(400, 1)]
    for xy in (flat, torn):
        expected = spearmanr(far, cdist(xy, xy)[np.triu_indices(400, 1)]).statistic  # of all pairs
        assert quality(vectors, "L2", places, xy).rank_correlation == pytest.approx(expected, abs=0.03)


@pytest.mark.long
def test_umap_keeps_what_pca_loses_and_the_same_seed_draws_the_same() -> None:
    raw, where = clustered(1_200, dim=40, groups=12)
    vectors = distance.prepared(raw, "COSINE")
    places, distances = graph(vectors, 15, "COSINE")
    start = layout.pca(vectors, 2)[0]
    stages: list[tuple[str, int, int]] = []
    one = layout.umap(places, distances, start, "COSINE", seed=3, report=lambda *a: stages.append(a))
    two = layout.umap(places, distances, start, "COSINE", seed=3)
    other = layout.umap(places, distances, start, "COSINE", seed=4)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
    before = quality(vectors, "COSINE", places, start)
    after = quality(vectors, "COSINE", places, one)
    assert after.trustworthiness > before.trustworthiness + 0.02
    assert after.mean_kept > 1.3 * before.mean_kept
    assert stages[-1] == ("Laying out", layout.EPOCHS_SMALL, layout.EPOCHS_SMALL)
    labels = clusters.clusters(one)
    seen = labels >= 0
    assert seen.mean() > 0.8
    pure = [np.bincount(where[labels == i]).max() / (labels == i).sum() for i in range(labels.max() + 1)]
    assert np.mean(pure) > 0.9
    three = layout.umap(places, distances, layout.pca(vectors, 3)[0], "COSINE")
    assert three.shape == (1_200, 3)


def test_a_layout_can_be_cancelled() -> None:
    vectors = distance.prepared(clustered(300)[0], "L2")
    places, distances = graph(vectors, 8, "L2")

    def stop(stage: str, done: int, total: int) -> None:
        if done > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        layout.umap(places, distances, layout.pca(vectors, 2)[0], "L2", report=stop)


def test_a_cancelled_layout_keeps_its_last_epoch() -> None:
    vectors = distance.prepared(clustered(300)[0], "L2")
    places, distances = graph(vectors, 8, "L2")
    start = layout.pca(vectors, 2)[0]
    kept: list[np.ndarray] = []

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "Laying out" and total > 1 and done == 7:
            raise Cancelled

    with pytest.raises(Cancelled):
        layout.umap(places, distances, start, "L2", report=stop, show=kept.append)
    assert len(kept) == 1
    edges = layout.fuzzy(places, layout.metric_distances(distances, "L2")).tocsr()
    edges.eliminate_zeros()
    edges.sort_indices()
    random = np.random.default_rng(0)
    begin = layout.spectral(edges, 2, random)
    placed = layout._started(start if begin is None else begin, random)
    with pytest.raises(Cancelled):
        layout._epochs(placed, edges, layout.EPOCHS_SMALL, layout.curve(0.1), random, stop)
    np.testing.assert_array_equal(kept[0], placed)


def test_new_points_lie_among_their_neighbours() -> None:
    vectors, where = clustered(800)
    vectors = distance.prepared(vectors, "COSINE")
    places, distances = graph(vectors, 15, "COSINE")
    xy = layout.umap(places, distances, layout.pca(vectors, 2)[0], "COSINE")
    found = layout.place(vectors[:50], vectors[50:], xy[50:], "COSINE")
    right = [where[50:][np.argmin(((xy[50:] - p) ** 2).sum(axis=1))] for p in found]
    assert np.mean(np.array(right) == where[:50]) > 0.95


@pytest.mark.parametrize("kind", ["equal", "zero", "pairs"])
def test_vectors_that_coincide(kind: str) -> None:
    rng = np.random.default_rng(0)
    raw = {
        "equal": np.ones((60, 8)),
        "zero": np.zeros((60, 8)),
        "pairs": np.repeat(rng.normal(size=(30, 8)), 2, axis=0),
    }[kind]
    vectors = distance.prepared(raw.astype(np.float32), "COSINE")
    places, distances = graph(vectors, 5, "COSINE")
    xy = layout.umap(places, distances, layout.pca(vectors, 2)[0], "COSINE")
    assert np.isfinite(xy).all()
    assert np.isfinite(quality(vectors, "COSINE", places, xy).mean_kept)


def test_names_are_the_words_that_set_clusters_apart() -> None:
    texts = ["Restore table backup"] * 20 + ["Stream video channel"] * 20 + ["DeleteBucketPolicy"] * 20
    labels = np.repeat([0, 1, 2], 20).astype(np.int32)
    found = clusters.names(texts, labels, 3)
    assert "restore" in found[0]
    assert "video" in found[1]
    assert "bucket" in found[2]
    common = clusters.names([f"amazon guide {text}" for text in texts], labels, 3)
    assert common == found  # what all of them hold sets nothing apart
    assert clusters.names(["amazon guide"] * 60, labels, 3) == ("cluster 1", "cluster 2", "cluster 3")
    assert clusters.names(["tags tag blue"] * 30 + ["x"] * 30, np.repeat([0, -1], 30), 1)[0].count("tag") == 1
    assert clusters.names(["blue maps"] * 9, np.zeros(9, np.int32), 1) == ("blue, maps",)
    assert clusters.names([""] * 60, labels, 3) == ("cluster 1", "cluster 2", "cluster 3")
    assert clusters.names(["the and 12 !"] * 60, labels, 3) == ("cluster 1", "cluster 2", "cluster 3")
    assert clusters.names(["x"] * 3, np.full(3, -1, np.int32), 0) == ()


def test_maps_of_copies_are_held_against_each_other() -> None:
    """The point itself is none of its neighbours, also where others lie at its place."""
    places = np.repeat(np.random.default_rng(0).normal(size=(12, 2)), 4, axis=0).astype(np.float32)
    keys = tuple(map(str, range(48)))
    first = Map(MapRequest("i"), "PCA", keys, places, 48, "L2", "", ())
    pair = compare.pair(first, replace(first, xy=places[::-1].copy(), keys=keys[::-1]), k=3)
    assert pair is not None
    np.testing.assert_array_equal(pair.shared, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"count": 3},
        {"count": 10**7},
        {"neighbours": 1},
        {"neighbours": 999},
        {"min_dist": -1},
        {"min_dist": float("nan")},
        {"dimensions": 4},
        {"seed": -1},
    ],
)
def test_requests_that_make_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(OutOfRange):
        MapRequest("idx", **change)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="TAG field"):
        MapRequest("idx", by="stratified")
    with pytest.raises(BadInput, match="no layout 'tsne'"):
        MapRequest("idx", layout="tsne")  # type: ignore[arg-type]


def test_the_forces_are_umap_s() -> None:
    """Read from a table by the first bits of the squared distance, against the formulas in float64."""
    a, b = layout.curve(0.1)
    pulls, pushes = epoch.forces(a, b)
    squared = np.random.default_rng(0).lognormal(0, 4, 10_000).astype(np.float32)
    rows = squared.view(np.int32) >> 16
    at = squared.astype(np.float64)
    np.testing.assert_allclose(pulls[rows], -2 * a * b * at ** (b - 1) / (a * at**b + 1), rtol=8e-3)
    np.testing.assert_allclose(pushes[rows], 2 * b / ((0.001 + at) * (a * at**b + 1)), rtol=8e-3)
    assert pulls[0] == pushes[0] == 0  # points at one place: no direction to move in


def test_an_epoch_does_what_its_words_say() -> None:
    """Against the same moves written plainly in float64."""
    random = np.random.default_rng(0)
    n, a, b = 50, *layout.curve(0.1)
    before = (random.normal(size=(n, 2)) * 4).astype(np.float32)
    begins = np.arange(0, 4 * n + 1, 4, dtype=np.int32)
    tail = random.integers(0, n, 4 * n).astype(np.int32)
    gaps = random.uniform(1, 5, 4 * n).astype(np.float32)
    turns = random.uniform(0, 4, 4 * n).astype(np.float32)
    states = random.integers(1, 2**32, n, dtype=np.uint32)
    wanted, their_turns = before.astype(np.float64), turns.copy()
    for i in range(n):
        state = int(states[i])
        for edge in range(4 * i, 4 * i + 4):
            if turns[edge] > 3:
                continue
            their_turns[edge] += gaps[edge]
            for turn in range(6):
                other = int(tail[edge])
                if turn:
                    state ^= state << 13 & 0xFFFFFFFF
                    state ^= state >> 17
                    state ^= state << 5 & 0xFFFFFFFF
                    other = state * n >> 32
                gap = wanted[i] - wanted[other]
                squared = float(gap @ gap)
                if squared > 1e-30:
                    pull = -2 * a * b * squared ** (b - 1) / (a * squared**b + 1)
                    push = 2 * b / ((0.001 + squared) * (a * squared**b + 1))
                    step = 0.8 * np.clip((push if turn else pull) * gap, -4, 4)
                    wanted[i] += step
                    if not turn:  # an edge moves both ends
                        wanted[other] -= step
    after = before.copy()
    epoch.move(after, begins, tail, gaps, turns, states, *epoch.forces(a, b), np.float32(0.8), np.float32(3))
    np.testing.assert_allclose(turns, their_turns)
    assert np.median(np.abs(after - wanted)) < 0.01  # the table's 0.4 %, step after step
    assert np.abs(wanted - before).mean() > 0.5


def islands(xy: np.ndarray) -> int:
    """Parts of a map with at least 1 % of the points, joined where points lie within 1 of each other."""
    near = cKDTree(xy).sparse_distance_matrix(cKDTree(xy), 1.0)
    _, part = connected_components(near)
    return int((np.bincount(part) >= len(xy) / 100).sum())


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1])
def test_a_swiss_roll_is_not_torn_to_pieces(seed: int) -> None:
    """Judged by scikit-learn's figure with the spaces exchanged.

    Epochs that move each point among the places of an epoch before leave fifteen islands and 0.983; these
    from PCA's places instead of a spectral start at most 0.993.
    """
    rolled, _ = make_swiss_roll(2_000, random_state=seed)
    vectors = rolled.astype(np.float32)
    places, distances = graph(vectors, 15, "L2")
    xy = layout.umap(places, distances, layout.pca(vectors, 2)[0], "L2", seed=seed)
    assert islands(xy) <= 4
    assert trustworthiness(xy, rolled, n_neighbors=15) > 0.995
    assert trustworthiness(rolled, xy, n_neighbors=15) > 0.99


@pytest.mark.parametrize("n", [layout.LANDMARKS, layout.LANDMARKS + 1_000])
def test_a_spectral_start_unrolls(n: int) -> None:
    """Along a spiral it goes by the length of the way, from all points' graph as from the landmarks'."""
    way = np.sort(np.random.default_rng(0).uniform(3, 15, n))
    spiral = np.column_stack([way * np.cos(way), way * np.sin(way)]).astype(np.float32)
    places, distances = graph(spiral, 10, "L2")
    edges = layout.fuzzy(places, np.sqrt(distances)).tocsr()
    begin = layout.spectral(edges, 2, np.random.default_rng(0))
    assert begin is not None
    assert abs(spearmanr(begin[:, 0], way)[0]) > 0.99
    assert abs(spearmanr(layout.pca(spiral, 2)[0][:, 0], way)[0]) < 0.5


def test_what_has_no_spectral_start_begins_at_pca_s_places() -> None:
    rng = np.random.default_rng(0)
    apart = np.concatenate([rng.normal(size=(60, 5)), rng.normal(size=(60, 5)) + 1_000]).astype(np.float32)
    places, distances = graph(apart, 8, "L2")
    assert layout.spectral(layout.fuzzy(places, np.sqrt(distances)).tocsr(), 2, rng) is None
    xy = layout.umap(places, distances, layout.pca(apart, 2)[0], "L2")
    assert islands(xy) == 2
    few, far = graph(apart[:6], 3, "L2")
    assert layout.spectral(layout.fuzzy(few, np.sqrt(far)).tocsr(), 2, rng) is None
