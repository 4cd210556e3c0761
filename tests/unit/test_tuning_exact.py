"""Exact neighbours against a computation in float64 that shares no code with them."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.vectors.distance import prepared, prepared_wide
from memdb.vectors.exact import nearest
from memdb.vectors.index import VectorParams
from memdb.vectors.read import Block, decoded


def independent(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    v, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        return ((v - q) ** 2).sum(axis=1)
    if metric == "IP":
        return 1.0 - (v * q).sum(axis=1)
    lengths = np.sqrt((v**2).sum(axis=1)) * np.sqrt((q**2).sum())
    return 1.0 - np.divide((v * q).sum(axis=1), lengths, out=np.zeros(len(v)), where=lengths > 0)


def blocks(vectors: np.ndarray, metric: str, size: int) -> list[Block]:
    ready = prepared(vectors, metric)
    keys = tuple(f"d{i}" for i in range(len(vectors)))
    return [Block(keys[i : i + size], ready[i : i + size]) for i in range(0, len(keys), size)]


def check(
    vectors: np.ndarray, queries: np.ndarray, k: int, metric: str, size: int, own: bool = False
) -> None:
    excluded = [f"d{i}" for i in range(len(queries))] if own else []
    found = nearest(blocks(vectors, metric, size), queries, k, metric, excluded=excluded)
    assert found.looked_at == len(vectors)
    for i, query in enumerate(queries):
        truth = independent(vectors, query, metric)
        if own:
            truth[i] = np.inf
        order = np.sort(truth)[: min(k, len(vectors) - own)]
        scale = max(1.0, float(np.abs(truth[np.isfinite(truth)]).max()))
        np.testing.assert_allclose(found.distances[i], order, rtol=1e-6, atol=3e-8 * scale)
        places = [int(key[1:]) for key in found.keys[i]]
        assert len(set(places)) == len(places)
        np.testing.assert_allclose(truth[places], order, rtol=1e-6, atol=3e-8 * scale)


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
@pytest.mark.parametrize(("count", "size"), [(5, 2), (1_003, 37), (9_001, 9_001)])
@pytest.mark.parametrize("own", [False, True])
def test_the_nearest_are_those_of_float64(metric: str, count: int, size: int, own: bool) -> None:
    random = np.random.default_rng(count)
    vectors = random.normal(size=(count, 24)).astype(np.float32) * random.gamma(2, size=(count, 1)).astype(
        "f4"
    )
    queries = vectors[:5] if own else random.normal(size=(7, 24)).astype(np.float32)
    check(vectors, queries, 10, metric, size, own)


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_what_float32_cannot_tell_apart_is_told_apart(metric: str) -> None:
    """Far from the origin the product in float32 ranks by its own rounding."""
    random = np.random.default_rng(1)
    vectors = (1_000 + random.normal(size=(3_000, 64))).astype(np.float32)
    check(vectors, vectors[:20] + np.float32(0.001), 10, metric, 500)


def test_clusters_so_narrow_that_unit_vectors_differ_more_in_length_than_in_direction() -> None:
    random = np.random.default_rng(4)
    centres = random.normal(size=(8, 1_536))
    vectors = (centres[np.arange(1_200) % 8] + 0.01 * random.normal(size=(1_200, 1_536))).astype(np.float32)
    queries = (centres[np.arange(60) % 8] + 0.01 * random.normal(size=(60, 1_536))).astype(np.float32)
    found = nearest(blocks(vectors, "COSINE", 1_000), queries, 10, "COSINE")
    for i, query in enumerate(queries):
        truth = independent(vectors, query, "COSINE")
        np.testing.assert_allclose(found.distances[i], np.sort(truth)[:10], rtol=1e-6)
        np.testing.assert_allclose(
            truth[[int(key[1:]) for key in found.keys[i]]], np.sort(truth)[:10], rtol=1e-6
        )


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_many_equal_documents_and_zero_vectors(metric: str) -> None:
    random = np.random.default_rng(2)
    vectors = np.repeat(random.normal(size=(4, 8)), 2_000, axis=0).astype(np.float32)
    vectors[::1_000] = 0
    check(vectors, np.vstack([vectors[1], vectors[0], -vectors[1]]), 50, metric, 3_000)


def test_more_queries_than_fit_at_once() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(300, 8)).astype(np.float32)
    check(vectors, random.normal(size=(1_500, 8)).astype(np.float32), 3, "L2", 128)


def test_no_documents_and_no_queries() -> None:
    one = np.ones((1, 4), np.float32)
    assert nearest([], one, 3, "L2").keys == ((),)
    assert nearest(blocks(one, "L2", 1), one[:0], 3, "L2").keys == ()
    assert nearest(blocks(one, "L2", 1), one, 3, "L2", excluded=["d0"]).keys == ((),)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_that_leave_float32(metric: str, dtype: type) -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(400, 8)).astype(dtype)
    vectors[::40] *= dtype(1e18)
    queries = np.vstack([random.normal(size=(3, 8)), random.normal(size=(3, 8)) * 1e25]).astype(np.float32)
    make = prepared if dtype is np.float32 else prepared_wide
    held = [Block(tuple(f"d{i}" for i in range(400)), make(vectors, metric))]
    answer = nearest(held, queries, 10, metric)
    for row, query in enumerate(queries):
        truth = np.sort(independent(vectors, query, metric))[:10]
        np.testing.assert_allclose(answer.distances[row], truth, rtol=1e-6, atol=3e-8)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("type_", "dtype", "large"), [("FLOAT32", "<f4", 1e20), ("FLOAT64", "<f8", 1e160)])
def test_a_vector_whose_square_overflows_is_unusable_where_the_square_counts(
    type_: str, dtype: str, large: float
) -> None:
    rows = np.array([[1, 2], [large, 1], [3, 4]], dtype)
    directed = ("a", "c") if type_ == "FLOAT64" else ("a", "b", "c")
    for metric, kept in (("L2", ("a", "c")), ("IP", ("a", "b", "c")), ("COSINE", directed)):
        params = VectorParams("FLAT", type_, 2, metric)
        block = decoded(("a", "b", "c"), [row.tobytes() for row in rows], params)
        assert block.keys == kept
        assert block.left_out.unusable == 3 - len(kept)
    single = decoded(
        ("a", "b", "c"), [row.tobytes() for row in rows], VectorParams("FLAT", type_, 2, "IP")
    ).single()
    assert (single.keys, single.vectors.tolist(), single.left_out.unusable) == (
        ("a", "c"),
        [[1, 2], [3, 4]],
        1,
    )


@pytest.mark.parametrize("wide", [np.float32, np.float64])
@pytest.mark.parametrize("clusters", [1, 2])
def test_the_nearest_of_narrow_clusters_far_from_the_origin(wide: type, clusters: int) -> None:
    """There the products of float64 lose the distances too: 1e9 squared leaves some 256 of them. Copies of
    one document, more than k, take no place of others."""
    random = np.random.default_rng(clusters)
    centre = (1e9 if wide is np.float64 else 2e7) * random.choice([-1, 1], size=(clusters, 16))
    of = random.integers(clusters, size=1_203)
    vectors = (centre[of] + 6 * random.normal(size=(1_203, 16))).astype(wide)
    vectors[1_000:1_050] = vectors[0] + 100
    queries = (centre[[0, -1]] + 6 * random.normal(size=(2, 16))).astype(wide)
    block = Block(tuple(map(str, range(len(vectors)))), vectors)
    answer = nearest([block], queries, 10, "L2", excluded=["3", ""])
    for query, keys, own in zip(queries, answer.keys, (3, None), strict=True):
        far = ((vectors.astype(np.longdouble) - query) ** 2).sum(axis=1)
        if own is not None:
            far[own] = np.inf
        assert sorted(far[list(map(int, keys))].tolist()) == np.sort(far)[:10].tolist()


@pytest.mark.parametrize("size", [3e-23, 1e-22, 1e-21])
def test_the_nearest_where_squares_leave_the_normal_range_of_float32(size: float) -> None:
    random = np.random.default_rng(7)
    vectors = (random.normal(size=(3_000, 48)) * size).astype(np.float32)
    queries = (random.normal(size=(20, 48)) * size).astype(np.float32)
    answer = nearest(blocks(vectors, "L2", 500), queries, 10, "L2")
    for query, keys in zip(queries, answer.keys, strict=True):
        best = np.argsort(independent(vectors, query, "L2"), kind="stable")[:10]
        assert [int(key[1:]) for key in keys] == best.tolist()
