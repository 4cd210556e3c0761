"""Two on one map: energy distance, AUC, chance and regions, held against SciPy, scikit-learn and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from memdb.errors import Cancelled
from memdb.jobs import Report
from memdb.maps import drift, two
from memdb.maps.sample import MapSample


def drawn(n: int, d: int, seed: int, shift: float = 0.0, length_one: bool = False) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)) + shift
    if length_one:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def energy(a: np.ndarray, b: np.ndarray) -> float:
    """By the definition, pair by pair."""

    def mean(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([[np.linalg.norm(p - q) for q in y] for p in x]))

    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.sqrt(max(2 * mean(a, b) - mean(a, a) - mean(b, b), 0.0)))


@pytest.mark.parametrize(
    ("m", "n", "kind"), [(30, 30, "normal"), (17, 45, "normal"), (40, 25, "duplicates"), (12, 60, "shifted")]
)
def test_the_energy_distance_of_numbers_is_scipy_s(m: int, n: int, kind: str) -> None:
    a, b = drawn(m, 1, 1), drawn(n, 1, 2, 1.5 if kind == "shifted" else 0.0)
    if kind == "duplicates":
        a, b = np.round(a), np.round(b)
    told = drift.difference(a, b, permutations=19)
    assert told.energy == pytest.approx(stats.energy_distance(a[:, 0], b[:, 0]), rel=1e-6, abs=1e-7)
    assert (told.before, told.after) == (m, n)


@pytest.mark.parametrize("length_one", [True, False])
@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_the_energy_distance_of_vectors_is_its_definition(length_one: bool, shift: float) -> None:
    a, b = drawn(23, 7, 3, length_one=length_one), drawn(41, 7, 4, shift, length_one)
    told = drift.difference(a, b, permutations=19)
    assert told.energy == pytest.approx(energy(a, b), rel=1e-6)


def test_the_p_value_is_the_share_of_relabellings_that_lie_as_far_apart() -> None:
    a, b = drawn(20, 3, 5), drawn(35, 3, 6, 0.35)
    told = drift.difference(a, b, permutations=999)
    pooled, own = np.concatenate([a, b]), energy(a, b)
    random, as_far = np.random.default_rng(99), 0
    far = np.linalg.norm(pooled[:, None].astype(float) - pooled[None, :], axis=2)
    for _ in range(2_000):
        order = random.permutation(55)
        x, y = order[:20], order[20:]
        squared = 2 * far[np.ix_(x, y)].mean() - far[np.ix_(x, x)].mean() - far[np.ix_(y, y)].mean()
        as_far += squared >= own**2 - 1e-12
    expected = (1 + as_far) / 2_001
    assert told.p_value == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 999) + 0.002)


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_scikit_learn_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.random(80) < 0.3
    scores = random.integers(0, 6, 80) / 5 + (0.2 * labels if seed else 0.0)  # with ties
    assert drift.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.long
def test_the_classifier_looks_at_the_nearest_others() -> None:
    a, b = drawn(60, 5, 7), drawn(45, 5, 8, 1.0)
    pooled, sides = np.concatenate([a, b]), np.repeat([False, True], [60, 45])
    scores = []
    for i in range(105):  # each point by a classifier that has not seen it
        others = np.arange(105) != i
        model = KNeighborsClassifier(drift.NEIGHBOURS, algorithm="brute").fit(pooled[others], sides[others])
        scores.append(model.predict_proba(pooled[i : i + 1])[0, 1])
    told = drift.difference(a, b, permutations=99)
    assert told.auc == pytest.approx(roc_auc_score(sides, scores), abs=1e-9)
    assert told.auc > told.auc_high


@pytest.mark.long
def test_equal_distributions_are_rarely_called_different_and_shifted_ones_always() -> None:
    """Of unequal sizes, with copies, on the sphere as under COSINE."""
    alarms = 0
    for seed in range(60):
        pool = drawn(90, 6, 1_000 + seed, length_one=True)
        pool[40:60] = pool[:20]  # copies, on either side
        order = np.random.default_rng(seed).permutation(90)
        told = drift.difference(pool[order[:30]], pool[order[30:]], permutations=99, seed=seed)
        alarms += told.beyond_chance
        assert told.auc_low < 0.5 < told.auc_high or told.auc_high - told.auc_low > 0.05
    assert alarms <= 9  # 3 expected; more than 9 once in a thousand
    for seed in range(5):
        told = drift.difference(drawn(60, 6, seed), drawn(150, 6, 50 + seed, 0.7), permutations=99)
        assert told.beyond_chance
        assert told.energy > told.energy_by_chance


def test_all_vectors_equal_is_no_difference() -> None:
    told = drift.difference(np.ones((20, 4), np.float32), np.ones((30, 4), np.float32), permutations=99)
    assert (told.energy, told.p_value, told.auc) == (0.0, 1.0, 0.5)


def test_too_few_or_other_vectors_are_refused_and_a_job_can_be_cancelled() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        drift.difference(drawn(9, 3, 0), drawn(50, 3, 1))
    with pytest.raises(ValueError, match="cannot be compared"):
        drift.difference(drawn(20, 3, 0), drawn(50, 4, 1))

    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled

    cancelling: Report = stop
    with pytest.raises(Cancelled):
        drift.difference(drawn(20, 3, 0), drawn(20, 3, 1), report=cancelling)


@pytest.mark.parametrize(
    ("m", "n", "before", "after"),
    [
        (3, 9, 40, 50),
        (0, 7, 20, 20),
        (5, 5, 10, 10),
        (0, 0, 8, 9),
        (20, 1, 20, 30),
        (900, 1_100, 9_000, 9_100),
    ],
)
def test_fisher_s_test_is_scipy_s(m: int, n: int, before: int, after: int) -> None:
    expected = stats.fisher_exact([[m, n], [before - m, after - n]]).pvalue
    assert drift.fisher(m, n, before, after) == pytest.approx(expected, rel=1e-6)


def test_what_happened_to_regions() -> None:
    sizes = {"new": (0, 60), "emptied": (80, 0), "grew": (40, 130), "shrank": (120, 50), "steady": (160, 170)}
    labels, before, after = [], [], []
    for cluster, (m, n) in enumerate(sizes.values()):
        labels += [cluster] * (m + n)
        before += [True] * m + [False] * n
        after += [False] * m + [True] * n
    labels, before, after = labels + [-1] * 10, before + [True] * 10, after + [True] * 10  # the same in both
    changed = drift.regions(
        np.array(labels, np.int32), list(sizes), np.array(before, bool), np.array(after, bool)
    )
    verdicts = {region.name: region.verdict for region in changed}
    assert verdicts == {name: "as before" if name == "steady" else name for name in sizes}
    m_all, n_all = sum(before), sum(after)
    single = {
        name: stats.fisher_exact([[m, n], [m_all - m, n_all - n]]).pvalue for name, (m, n) in sizes.items()
    }
    ordered, largest = sorted(single, key=lambda name: single[name]), 0.0
    for rank, name in enumerate(ordered):
        region = next(r for r in changed if r.name == name)
        largest = max(largest, min(1.0, single[name] * (5 - rank)))
        assert region.p_value == pytest.approx(largest)
        assert (region.before, region.after) == sizes[name]
        assert region.share_before == pytest.approx(sizes[name][0] / m_all)
        assert region.share_after == pytest.approx(sizes[name][1] / n_all)
    gaps = [abs(r.share_after - r.share_before) for r in changed]
    assert gaps == sorted(gaps, reverse=True)


def test_documents_of_both_sides_are_one_point_and_compared_on_one_side() -> None:
    n = 400
    vectors = drawn(n, 4, 11)
    keys = tuple(f"d:{i}" for i in range(n))
    later = vectors[100:].copy()
    later[:50] += 1.0  # d:100 to d:149 moved
    added = drawn(30, 4, 12)
    before = MapSample(keys, vectors, n)
    after = MapSample((*keys[100:], *(f"e:{i}" for i in range(30))), np.concatenate([later, added]), n)
    points, placed, was, now, moved = two.joined(before, after)
    assert moved == 50
    assert len(points) == len(placed) == n + 50 + 30
    assert (int(was.sum()), int(now.sum())) == (n, 330)
    both = {key for key, x, y in zip(points, was, now, strict=True) if x and y}
    assert both == set(keys[150:])
    held = {(key, vector.tobytes()) for key, vector in zip(points, placed, strict=True)}
    assert held == {*zip(keys, map(np.ndarray.tobytes, vectors), strict=True)} | {
        *zip(after.keys, map(np.ndarray.tobytes, after.vectors), strict=True)
    }
    first, second = two.apart(points, placed, was, now)
    shared = {row.tobytes() for row in first} & {row.tobytes() for row in second}
    assert not shared
    assert len(first) == pytest.approx(n / 2, abs=50)
    assert len(second) == pytest.approx(330 / 2, abs=45)
    # Nothing is shared: nothing is left out.
    alone = two.apart(points[:20], placed[:20], np.arange(20) < 8, np.arange(20) >= 8)
    assert [len(side) for side in alone] == [8, 12]
