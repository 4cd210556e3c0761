"""Distances, exact neighbours and recall against an independent float64 computation."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.errors import BadVector
from memdb.vectors import distance, upload
from memdb.vectors.exact import compare, nearest
from memdb.vectors.read import Block

RNG = np.random.default_rng(7)


def slow(query: np.ndarray, vector: np.ndarray, metric: str) -> float:
    """One distance by its definition, in float64."""
    q, v = query.astype(np.float64), vector.astype(np.float64)
    if metric == "L2":
        return float(sum((a - b) ** 2 for a, b in zip(q, v, strict=True)))
    dot = float(sum(a * b for a, b in zip(q, v, strict=True)))
    return 1 - dot if metric == "IP" else 1 - dot / float(np.linalg.norm(q) * np.linalg.norm(v))


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_nearest_is_the_sorted_list(metric: str, size: int) -> None:
    vectors = RNG.normal(size=(100, 12)).astype(np.float32)
    queries = RNG.normal(size=(5, 12)).astype(np.float32)
    keys = [f"d:{i}" for i in range(100)]
    blocks = [
        Block(tuple(keys[i : i + size]), distance.prepared(vectors[i : i + size], metric))
        for i in range(0, 100, size)
    ]
    found = nearest(blocks, queries, 10, metric)
    assert found.looked_at == 100
    for row, query in enumerate(queries):
        truth = sorted((slow(query, v, metric), key) for v, key in zip(vectors, keys, strict=True))[:10]
        assert [key for _, key in truth] == list(found.keys[row])
        np.testing.assert_allclose(found.distances[row], [d for d, _ in truth], atol=2e-5)


def test_a_document_can_be_held_out_of_its_own_answer() -> None:
    vectors = RNG.normal(size=(20, 4)).astype(np.float32)
    block = Block(tuple(map(str, range(20))), distance.prepared(vectors, "COSINE"))
    found = nearest([block], vectors[:2], 20, "COSINE", excluded=("0", ""))
    assert "0" not in found.keys[0]
    assert len(found.keys[0]) == 19
    assert found.keys[1][0] == "1"


def test_fewer_documents_than_k() -> None:
    block = Block(("a", "b"), distance.prepared(np.eye(2, dtype=np.float32), "L2"))
    found = nearest([block], np.zeros((1, 2), np.float32), 10, "L2")
    assert len(found.keys[0]) == 2
    assert nearest([], np.zeros((1, 2), np.float32), 10, "L2").keys == ((),)


def test_a_vector_of_length_zero_is_at_cosine_distance_one() -> None:
    block = Block(("zero",), distance.prepared(np.zeros((1, 3), np.float32), "COSINE"))
    assert nearest([block], np.ones((1, 3), np.float32), 1, "COSINE").distances[0][0] == 1.0


def test_recall_counts_ties_by_distance() -> None:
    true = ("a", "b", "c")
    distances = np.array([0.1, 0.2, 0.3])
    assert compare(("a", "b", "c"), distances, true, distances).recall == 1.0
    tied = compare(("a", "b", "x"), np.array([0.1, 0.2, 0.3]), true, distances)
    assert tied.recall == 1.0
    assert tied.found == (True, True, False)
    worse = compare(("a", "y"), np.array([0.1, 0.5]), true, distances)
    assert worse.recall == pytest.approx(1 / 3)
    assert worse.extra == ("y",)
    assert compare((), np.array([]), (), np.array([])).recall == 1.0


@pytest.mark.parametrize("type_", ["FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16"])
def test_bytes_and_back(type_: str) -> None:
    vector = np.array([1.0, -0.5, 0.25, 2.0], np.float32)  # exact in every type
    np.testing.assert_array_equal(distance.from_bytes(distance.to_bytes(vector, type_), type_), vector)


def test_bytes_of_no_whole_numbers() -> None:
    with pytest.raises(BadVector, match="no multiple of 4"):
        distance.from_bytes(b"12345", "FLOAT32")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1, 2", "has 2 numbers; here expects 3"),
        ("one two three", "not a vector"),
        ("[1, 2, ", "not a vector"),
        ('{"text": "x"}', "no vector in this JSON"),
        ("[1, 2, null]", "not finite|not consist"),
        ("1 2 nan", "not finite"),
        ('["a", "b", "c"]', "not consist of numbers"),
    ],
)
def test_pasted_nonsense(text: str, message: str) -> None:
    with pytest.raises(BadVector, match=message) as caught:
        upload.from_text(text, 3, "here")
    assert caught.value.hint


@pytest.mark.parametrize(
    "text", ["1,2,3", "1 2 3", "[1, 2, 3]", "[[1, 2, 3]]", '{"embedding": [1, 2, 3]}', "1;2;3"]
)
def test_pasted_vectors(text: str) -> None:
    np.testing.assert_array_equal(upload.from_text(text, 3, "here"), [1, 2, 3])


def test_similarity_by_metric() -> None:
    d = np.array([0.0, 0.25])
    np.testing.assert_allclose(distance.similarity(d, "COSINE"), [1, 0.75])
    np.testing.assert_allclose(distance.similarity(d, "L2"), [1, 1 / 1.5])
