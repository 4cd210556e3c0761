"""Distances, exact neighbours and recall against an independent float64 computation."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.errors import BadVector
from memdb.vectors import distance, upload
from memdb.vectors.exact import nearest
from memdb.vectors.read import Block
from memdb.vectors.recall import Near, judged

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


def near(**distances: float) -> dict[str, Near]:
    return {key: Near(d, 1e-9) for key, d in distances.items()}


def test_a_hit_as_near_stands_in_for_a_neighbour_that_was_not_returned() -> None:
    true, distances = ("a", "b", "c"), np.array([0.1, 0.2, 0.3])
    assert judged(("a", "b", "c"), true, distances, {}).recall == 1.0
    tied = judged(("a", "b", "x"), true, distances, near(x=0.3))
    assert (tied.recall, tied.retrieved, tied.places, tied.extra) == (1.0, (True,) * 3, (0, 1, 2), ())
    # As near as the last, but it is the first that was missed.
    hidden = judged(("b", "c", "x"), true, distances, near(x=0.3))
    assert (hidden.retrieved, hidden.extra) == ((False, True, True), (2,))
    just_beyond = judged(("a", "b", "x"), true, distances, near(x=0.3 + 2e-9))
    assert just_beyond.retrieved == (True, True, False)
    worse = judged(("a", "y"), true, distances, near(y=0.5))
    assert worse.recall == pytest.approx(1 / 3)
    assert (worse.extra, worse.distances) == ((1,), (0.1, 0.5))
    gone = judged(("a", "gone"), true, distances, {})
    assert (gone.retrieved, gone.extra) == ((True, False, False), (1,))
    assert np.isnan(gone.distances[1])
    assert judged((), (), np.array([]), {}).recall == 1.0


def test_a_hit_that_breaks_the_filter_stands_in_for_nothing() -> None:
    true, distances = ("a", "b", "c"), np.array([0.1, 0.2, 0.3])
    verdict = judged(("x", "a", "y"), true, distances, near(x=0.05, y=0.3), {"x", "y"})
    assert verdict.recall == pytest.approx(1 / 3)
    assert (verdict.places, verdict.outside, verdict.extra) == ((1, -1, -1), (0, 2), ())
    # One that could not be read is gone, not outside; a true neighbour is never outside.
    gone = judged(("a", "gone", "y"), true, distances, near(y=0.3), {"a", "gone", "y"})
    assert (gone.outside, gone.extra, gone.recall) == ((2,), (1,), pytest.approx(1 / 3))


def test_each_hit_stands_in_for_one_neighbour() -> None:
    true, distances = ("a", "b", "c"), np.array([0.1, 0.3, 0.3])
    verdict = judged(("x", "y", "z"), true, distances, near(x=0.1, y=0.3, z=0.3))
    assert sorted(verdict.places) == [0, 1, 2]
    assert verdict.places[0] == 0
    one = judged(("x", "far"), true, distances, near(x=0.3, far=0.4))
    assert (one.recall, one.extra) == (pytest.approx(1 / 3), (1,))


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
@pytest.mark.parametrize(("dim", "scale"), [(8, 1.0), (300, 1e-3), (1_536, 30.0)])
def test_what_rounding_may_do_is_what_it_does(metric: str, dim: int, scale: float) -> None:
    """Distances before and after rounding to float32 differ by about one standard deviation told; of half
    numbers, which float32 holds whole, by no more."""
    random = np.random.default_rng(3)
    query = (scale * random.normal(size=dim)).astype(np.float32)[None].repeat(400, axis=0)
    given = query + 0.2 * scale * random.normal(size=(400, dim))
    rounded = given.astype(np.float32)
    moved = distance.exact(query, rounded, metric) - distance.exact(query, given, metric)
    told = distance.uncertainty(query, rounded, metric, "FLOAT32")
    for half in ("FLOAT16", "BFLOAT16"):
        stored = np.stack([distance.from_bytes(distance.to_bytes(v, half), half) for v in given])
        halves = distance.uncertainty(query, stored, metric, half)
        assert halves.mean() == pytest.approx(told.mean(), rel=0.02)
    assert (distance.uncertainty(query, rounded, metric, "FLOAT64") < 1e-3 * told).all()
    if metric == "COSINE":  # unit vectors are float32 as well: an allowance for both
        assert moved.std() < told.mean() < 15 * moved.std()
    else:
        assert told.mean() == pytest.approx(moved.std(), rel=0.25)


def test_numbers_are_rounded_to_the_nearest() -> None:
    """Against exact fractions: no number of the type lies nearer, and of two as near the even one is taken."""
    values = np.random.default_rng(1).normal(size=3_000).astype(np.float32)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -(1 + 2.0**-8)], np.float32)
    got = distance.from_bytes(distance.to_bytes(np.concatenate([values, ties]), "BFLOAT16"), "BFLOAT16")
    step = 2.0 ** (np.floor(np.log2(np.abs(values.astype(float)))) - 7)
    assert (np.abs(got[:-3] - values) <= step / 2).all()
    assert got[-3:].tolist() == [1.0, 1 + 4 * 2.0**-8, -1.0]
    wide = np.array([1e-40, 3e38, 1 / 3])
    assert distance.from_bytes(distance.to_bytes(wide, "FLOAT64"), "FLOAT64").tolist() == wide.tolist()


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


def test_the_largest_step_of_a_list_of_distances_is_named() -> None:
    words = distance.profile_words(np.array([0.1, 0.2, 0.6, 0.7]))
    assert words == "Distances go from 0.1 to 0.7; the largest step, 67% of that, is after rank 2."
    even = distance.profile_words(np.linspace(1, 2, 9))
    assert even == "Distances go from 1 to 2 in even steps: no hit stands out."
    assert "even steps" in distance.profile_words(np.full(5, 0.5))
    assert distance.profile_words(np.array([0.1, 0.2])) == ""
    assert distance.profile_words(np.array([0.1, np.nan, 0.2])) == ""
