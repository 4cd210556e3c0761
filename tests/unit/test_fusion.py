"""Fusion and overlap of ranked lists, held against computations of the tests' own."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.errors import OutOfRange
from memdb.vectors.fusion import Fusion, fused
from memdb.vectors.hybrid import native_hits
from memdb.vectors.overlap import overlap, rank_biased_overlap
from memdb.vectors.query import Command
from memdb.vectors.search import KnnResult
from memdb.vectors.words import WordsResult, scored_hits

KEYS = [f"d:{i}" for i in range(9)]
LISTS = st.lists(st.sampled_from(KEYS), unique=True, max_size=9)
SCORES = st.floats(-50, 50, allow_nan=False)


@given(LISTS, LISTS, st.integers(1, 100), st.data())
def test_reciprocal_ranks(near: list[str], said: list[str], constant: int, data: st.DataObject) -> None:
    own: dict[str, Fraction] = {}
    for leg in (near, said):
        for rank, key in enumerate(leg, 1):
            own[key] = own.get(key, Fraction(0)) + Fraction(1, constant + rank)
    made = fused(near, np.zeros(len(near)), said, np.zeros(len(said)), Fusion(constant=constant))
    assert {hit.key for hit in made} == own.keys()
    for hit in made:
        assert hit.score == pytest.approx(float(own[hit.key]), rel=1e-12)
        assert (hit.vectors.rank if hit.vectors else None) == (
            near.index(hit.key) + 1 if hit.key in near else None
        )
        assert (hit.words.rank if hit.words else None) == (
            said.index(hit.key) + 1 if hit.key in said else None
        )
    for better, worse in itertools.pairwise(made):
        assert own[better.key] >= own[worse.key] or math.isclose(own[better.key], own[worse.key])


@given(LISTS, LISTS, st.floats(0, 1), st.data())
def test_weighted_scores(near: list[str], said: list[str], weight: float, data: st.DataObject) -> None:
    legs = [
        dict(
            zip(
                leg,
                sorted(data.draw(st.lists(SCORES, min_size=len(leg), max_size=len(leg))), reverse=True),
                strict=True,
            )
        )
        for leg in (near, said)
    ]
    own = dict.fromkeys([*near, *said], 0.0)
    for leg, share in zip(legs, (weight, 1 - weight), strict=True):
        for key, score in leg.items():
            low, high = min(leg.values()), max(leg.values())
            own[key] += share * ((score - low) / (high - low) if high > low else 1.0)
    made = fused(
        near,
        np.array([*legs[0].values()]),
        said,
        np.array([*legs[1].values()]),
        Fusion("weighted", weight=weight),
    )
    assert [hit.score for hit in made] == pytest.approx([own[hit.key] for hit in made], abs=1e-9)
    assert [own[hit.key] for hit in made] == pytest.approx(sorted(own.values(), reverse=True), abs=1e-9)


def test_a_hit_without_a_distance_gets_nothing_for_it() -> None:
    made = fused(
        ["a", "b", "c"], np.array([3.0, 1.0, np.nan]), ["c"], np.array([7.0]), Fusion("weighted", weight=0.5)
    )
    assert [(hit.key, hit.score) for hit in made] == [("a", 0.5), ("c", 0.5), ("b", 0.0)]


@pytest.mark.parametrize("bad", [{"constant": 0}, {"weight": 1.5}, {"weight": float("nan")}, {"depth": 0}])
def test_settings_of_a_fusion_that_cannot_be(bad: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        Fusion(**bad)  # type: ignore[arg-type]  # the values are the point


def extrapolated(first: list[str], second: list[str], p: float, far: int = 400) -> float:
    """The infinite sum of RBO by its definition, with agreement going on beyond the ends as the paper says.

    Beyond the shorter list each new rank agrees as often as its seen part did; beyond both the agreement
    stays what it was at the longer one's end.
    """
    short, long = sorted((first, second), key=len)
    if not long:
        return 1.0
    if not short:
        return 0.0
    s, n = len(short), len(long)
    at_short = len(set(short) & set(long[:s]))
    agreement = 0.0
    total = 0.0
    for depth in range(1, far):
        if depth <= n:
            common = len(set(short[:depth]) & set(long[:depth])) + max(0, depth - s) * at_short / s
            agreement = common / depth
        total += (1 - p) * p ** (depth - 1) * agreement
    return total


@given(LISTS, LISTS, st.sampled_from([0.5, 0.8, 0.9]))
def test_rank_biased_overlap(first: list[str], second: list[str], p: float) -> None:
    assert rank_biased_overlap(first, second, p) == pytest.approx(
        min(1.0, extrapolated(first, second, p)), abs=1e-9
    )
    assert rank_biased_overlap(first, second, p) == rank_biased_overlap(second, first, p)


def test_known_values_of_rank_biased_overlap() -> None:
    assert rank_biased_overlap(KEYS, KEYS) == pytest.approx(1)
    assert rank_biased_overlap(KEYS[:4], KEYS[4:]) == 0
    assert rank_biased_overlap(["a", "b"], ["b", "a"], 0.5) == pytest.approx(0.5)
    # The first ranks weigh more.
    top, end = ["x", *KEYS[1:]], [*KEYS[:-1], "x"]
    assert rank_biased_overlap(KEYS, top) < rank_biased_overlap(KEYS, end)
    with pytest.raises(OutOfRange):
        rank_biased_overlap(KEYS, KEYS, 1.0)


@given(LISTS, LISTS)
def test_counts_of_an_overlap(first: list[str], second: list[str]) -> None:
    told = overlap(first, second)
    both = [key for key in first if key in second]
    assert (told.shared, told.only_first, told.only_second) == (
        len(both),
        len(first) - len(both),
        len(second) - len(both),
    )
    every = len({*first, *second})
    assert told.jaccard == (len(both) / every if every else 1)


ROWS = [("d:2", "0.0325"), ("d:7", "0.0164"), ("d:1", "0.0161")]


@pytest.mark.parametrize(
    "reply",
    [
        [
            b"total_results",
            3,
            b"results",
            [[b"__key", k.encode(), b"__score", s.encode()] for k, s in ROWS],
            b"warnings",
            [],
            b"execution_time",
            b"0.5",
        ],
        {
            b"total_results": 3,
            b"results": [{b"__key": k.encode(), b"__score": s.encode()} for k, s in ROWS],
            b"warnings": [],
        },
    ],
)
def test_a_reply_of_ft_hybrid_has_the_shape_of_a_fusion_here(reply: object) -> None:
    """The reply is made after Redis 8.4's documentation: no such server runs here."""
    command = Command(("FT.SEARCH",))
    near = KnnResult(("d:1", "d:2"), np.array([0.1, 0.4]), (None, None), "distance", "COSINE", 1.0, command)
    said = WordsResult(("d:2", "d:7"), np.array([5.0, 2.0]), (None, None), 2, 1.0, (command,), "")
    hits = native_hits(reply, near, said)  # type: ignore[arg-type]  # a reply
    assert [(hit.key, hit.score) for hit in hits] == [(key, float(score)) for key, score in ROWS]
    ranks = [(hit.vectors and hit.vectors.rank, hit.words and hit.words.rank) for hit in hits]
    assert ranks == [(2, 1), (None, 2), (1, None)]
    assert hits[0].vectors is not None
    assert hits[0].vectors.score == pytest.approx(0.6)


def test_scores_of_both_protocols() -> None:
    flat = [2, b"d:1", b"1.5", [b"t", b"x"], b"d:2", b"0.5", [b"t", b"y"]]
    mapped = {
        b"total_results": 2,
        b"results": [
            {b"id": b"d:1", b"score": 1.5, b"extra_attributes": {b"t": b"x"}},
            {b"id": b"d:2", b"score": 0.5, b"extra_attributes": {b"t": b"y"}},
        ],
    }
    assert scored_hits(flat, with_fields=True)[:2] == (["d:1", "d:2"], [1.5, 0.5])
    assert scored_hits(mapped, with_fields=True)[:2] == (["d:1", "d:2"], [1.5, 0.5])
    assert scored_hits([1, b"d:1", b"1.5"], with_fields=False) == (["d:1"], [1.5], [None], 1)
