"""umap-learn: what our layout is held against, and itself a layout. This module alone compiles it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.jobs import Job
from memdb.maps import layout, plain, run, store
from memdb.maps.graph import graph
from memdb.maps.quality import quality
from memdb.maps.request import Map
from memdb.vectors import distance
from tests.server.test_maps import groups, made

pytestmark = pytest.mark.any_engine

# umap-learn says that an optional part of it is not installed.
pytestmark = pytest.mark.filterwarnings("ignore::ImportWarning")


def clustered(n: int, dim: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(8, dim))[rng.integers(0, 8, n)] * 3 + rng.normal(size=(n, dim))
    return distance.prepared(raw.astype(np.float32), "COSINE")


def test_the_fuzzy_graph_and_the_curve_are_umap_s() -> None:
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set

    vectors = clustered(500)
    places, distances = graph(vectors, 14, "COSINE")
    near = np.column_stack([np.arange(len(vectors)), places]).astype(np.int32)
    far = np.column_stack([np.zeros(len(vectors)), distances]).astype(np.float32)
    theirs = fuzzy_simplicial_set(
        vectors, 15, np.random.RandomState(0), "cosine", knn_indices=near, knn_dists=far
    )[0].toarray()
    np.testing.assert_allclose(layout.fuzzy(places, distances).toarray(), theirs, atol=2e-3)
    np.testing.assert_allclose(layout.curve(0.1), find_ab_params(1.0, 0.1), rtol=1e-6)


def test_our_layout_keeps_as_much_as_umap_learn_s() -> None:
    vectors = clustered(500)
    places, distances = graph(vectors, 15, "COSINE")
    ours = layout.umap(places, distances, layout.pca(vectors, 2)[0], "COSINE")
    told: list[tuple[str, int, int]] = []
    theirs = plain.fit(vectors, "COSINE", 2, seed=1, report=lambda *where: told.append(where))
    mine, other = (quality(vectors, "COSINE", places, xy) for xy in (ours, theirs))
    assert mine.trustworthiness >= other.trustworthiness - 0.01
    assert mine.continuity >= other.continuity - 0.01
    assert mine.mean_kept >= other.mean_kept - 0.03
    assert told[0] == (plain.SEARCH, 0, 1)
    assert told[-1] == (plain.EPOCHS, 500, 500)


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
def test_plain_umap_is_what_umap_learn_draws(metric: str) -> None:
    import umap

    vectors = distance.prepared(clustered(120), metric)
    name = {"COSINE": "cosine", "L2": "euclidean"}[metric]
    model = umap.UMAP(n_neighbors=7, min_dist=0.3, metric=name, random_state=4, n_components=3, n_jobs=1)
    drawn = plain.fit(vectors, metric, 3, neighbours=7, min_dist=0.3, seed=4)
    np.testing.assert_array_equal(drawn, model.fit_transform(vectors))
    assert not np.array_equal(drawn, plain.fit(vectors, metric, 3, neighbours=7, min_dist=0.3, seed=5))


@pytest.mark.parametrize("n", [4, 5, 7, 12])
def test_a_handful_of_points(n: int) -> None:
    for dimensions in (2, 3):
        xy = plain.fit(clustered(n), "COSINE", dimensions)
        assert xy.shape == (n, dimensions)
        assert np.isfinite(xy).all()


def test_a_plain_map_is_another_map_judged_alike(client: Client, prefix: str, tmp_path: Path) -> None:
    info, request = made(client, prefix, groups(200))
    exact = run.make(client, info, request, home=tmp_path)
    asked = replace(request, layout="umap")
    drawn = run.make(client, info, asked, home=tmp_path)
    assert (exact.method, drawn.method) == ("UMAP", "umap-learn")
    assert len(list((tmp_path / "maps").glob("*.npz"))) == 2
    for kept in (exact, drawn):
        again = store.find(tmp_path, client, info, kept.request)
        assert again is not None
        np.testing.assert_array_equal(again.xy, kept.xy)
        points = store.vectors(tmp_path, client.target, kept)
        assert points is not None
        judged = quality(points, "COSINE", graph(points, 15, "COSINE")[0], kept.xy)
        assert kept.quality is not None
        assert kept.quality.continuity == judged.continuity
        assert kept.quality.trustworthiness == judged.trustworthiness


def test_a_plain_map_can_be_cancelled_at_its_epochs(client: Client, prefix: str, tmp_path: Path) -> None:
    info, request = made(client, prefix, groups(200))

    def work(job: Job[Map]) -> Map:
        def report(stage: str, done: int, total: int) -> None:
            if stage == plain.EPOCHS and done == 3:
                job.cancel()
            job.report(stage, done, total)

        return run.make(
            client, info, replace(request, layout="umap"), home=tmp_path, report=report, keep=job.keep
        )

    job = Job("Map", work)
    assert job.wait(240).status == "cancelled"
    assert job.result is not None
    assert job.result.method == "PCA"


def test_umap_learn_has_no_inner_product(client: Client, prefix: str) -> None:
    info, request = made(client, prefix, groups(40), "IP")
    with pytest.raises(BadInput, match="no metric for IP"):
        run.make(client, info, replace(request, layout="umap"))


def test_umap_learn_is_imported_by_who_chooses_it() -> None:
    code = "import sys, memdb.maps.plain, memdb.maps.run, memdb.maps.layout as l; l.warm(); print('umap' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
