"""Slices: groups of queries, worked by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from memdb.errors import BadInput
from memdb.tuning import slices


def _interval(recalls: np.ndarray) -> tuple[float, float]:
    return float(recalls.min()), float(recalls.max())


def test_recall_of_each_group() -> None:
    found = slices.sliced(["a", "b", "a"], np.array([1.0, 0.5, 0.8]), _interval, by_size=True)
    assert [(s.name, s.queries, s.recall, s.low, s.high) for s in found] == [
        ("a", 2, 0.9, 0.8, 1.0),
        ("b", 1, 0.5, 0.5, 0.5),
    ]
    assert all(s.small for s in found)
    assert not slices.sliced(["a"] * 30, np.ones(30), _interval, by_size=True)[0].small
    with pytest.raises(BadInput, match="2 labels for 3 queries"):
        slices.sliced(["a", "b"], np.ones(3), _interval, by_size=True)


def test_many_groups_are_put_together_and_nobody_is_lost() -> None:
    labels = [f"t{i}" for i in range(40) for _ in range(40 - i)]
    found = slices.sliced(labels, np.ones(len(labels)), _interval, by_size=True)
    assert len(found) == slices.SLICES
    assert found[0].name == "t0"
    assert found[-1].name == slices.OTHERS
    assert sum(s.queries for s in found) == len(labels)


def test_a_query_lies_in_the_slice_of_each_of_its_values() -> None:
    labels = slices.tag_labels([("s3", "ec2"), (), ("rds",), ("ec2",)])
    assert labels == [("s3", "ec2"), (slices.MISSING,), ("rds",), ("ec2",)]
    found = slices.sliced(labels, np.array([1.0, 0.2, 0.4, 0.5]), _interval, by_size=True)
    assert [(s.name, s.queries, s.recall) for s in found] == [
        ("ec2", 2, 0.75),
        ("rds", 1, 0.4),
        ("s3", 1, 1.0),
        (slices.MISSING, 1, 0.2),
    ]
    many = [(f"t{i}", f"t{i + 1}") for i in range(40)]
    others = slices.sliced(many, np.arange(40) / 40, _interval, by_size=True)[-1]
    # t1 … t39 hold two queries each; the first eleven by name have slices of their own.
    own = set(sorted(f"t{i}" for i in range(1, 40))[: slices.SLICES - 1])
    assert (others.name, others.queries) == (slices.OTHERS, sum(not own.issuperset(pair) for pair in many))


def test_ranges_hold_about_as_many_queries() -> None:
    labels = slices.number_labels([str(i) for i in range(100)])
    assert sorted({labels.count(name) for name in set(labels)}) == [20]
    assert labels[0] == "0 to 19"
    assert labels[99] == "80 to 99"


def test_repeated_numbers_and_words_among_numbers() -> None:
    labels = slices.number_labels(["2015"] * 90 + [str(y) for y in range(2016, 2026)] + ["", "n/a", "nan"])
    assert labels[0] == "2015"
    assert labels[-3:] == [slices.MISSING] * 3
    assert "2016" not in labels[0]
    assert slices.number_labels(["", "x"]) == [slices.MISSING] * 2
    assert slices.number_labels(["7"]) == ["7"]
    assert slices.number_labels(["inf", "-inf", "nan"]) == ["inf", "-inf", slices.MISSING]
    assert slices.number_labels(["inf", "1", ""]) == ["inf", "1", slices.MISSING]


@pytest.mark.parametrize("step", [1.0, 1000.0, 1e-9])
@pytest.mark.parametrize("start", [0.0, 1_700_000_000.0, -5.0])
def test_ranges_of_numbers_that_begin_alike_stay_apart(start: float, step: float) -> None:
    numbers = [start + step * i for i in range(100)]
    labels = slices.number_labels([repr(number) for number in numbers])
    counted = Counter(labels)
    different = len(set(numbers))
    assert len(counted) == min(slices.BINS, different)
    assert max(counted.values()) <= 2 * 100 / min(slices.BINS, different)
    for number, label in zip(numbers, labels, strict=True):
        low, _, high = label.partition(" to ")
        assert float(low) <= number + abs(number) * 1e-14
        assert number - abs(number) * 1e-14 <= float(high or low)


def test_density_goes_from_dense_to_sparse() -> None:
    labels = slices.density_labels(np.array([0.1, 0.2, 0.3, 0.4, 0.5, np.nan]), bins=5)
    assert labels[0] == "k-th neighbour at 0.1"
    assert labels[-1] == slices.MISSING


def test_clusters_find_what_is_apart() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[10, 0], [0, 10], [-10, 0]], np.float32)
    truth = np.repeat([0, 1, 2], [50, 30, 20])
    vectors = (centres[truth] + rng.normal(size=(100, 2))).astype(np.float32)
    found, middle = slices.clusters(vectors, 3, seed=1)
    assert [sorted(set(truth[found == i])) for i in range(3)] == [[0], [1], [2]]  # by size
    assert [int(truth[m]) for m in middle] == [0, 1, 2]
    again, _ = slices.clusters(vectors, 3, seed=1)
    assert (found == again).all()
    labels = slices.cluster_labels(vectors, [f"title {i}\n" for i in range(100)], 3, seed=1)
    assert labels[0].startswith("1: like “title ")


@pytest.mark.parametrize("n", [1, 3, 6])
def test_few_or_equal_vectors_make_few_clusters(n: int) -> None:
    found, middle = slices.clusters(np.ones((n, 4), np.float32), 8)
    assert len(found) == n
    assert len(middle) >= 1
