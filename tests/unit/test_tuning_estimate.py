"""Recall from a sample, held against a full answer that is counted here."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from memdb.tuning.compare import compare
from memdb.tuning.estimate import Estimate, Nearer, estimates, least_unseen, shared
from memdb.tuning.run import Run
from tests.unit.tune_run import run as small_run

K = 10


@dataclass
class World:
    """Queries with all that is nearer than their reference's last hit, and one setting's hits of it."""

    returned: np.ndarray  # (q, K)
    rows: np.ndarray  # (pairs,)
    places: np.ndarray
    documents: np.ndarray
    population: int

    def recall(self) -> float:
        """Counted: the true neighbours are the K nearest of the reference's hits and the missed documents."""
        total = 0
        for query, flags in enumerate(self.returned):
            places = self.places[self.rows == query]
            # A document that r hits are as near as stands between the r-th hit and the next.
            order = sorted([(j, 1, j) for j in range(K)] + [(int(r) - 0.5, 0, -1) for r in places])
            total += sum(flags[j] for _, _, j in order[:K] if j >= 0)
        return total / (K * len(self.returned))

    def draw(self, random: np.random.Generator, queries: int, share: float) -> tuple[np.ndarray, Nearer]:
        chosen = random.integers(0, len(self.returned), queries)
        taken = np.zeros(self.population, bool)
        taken[random.choice(self.population, round(share * self.population), replace=False)] = True
        seen = taken[self.documents]  # pairs stand in the order of their queries
        first = np.searchsorted(self.rows[seen], np.arange(len(self.returned) + 1))
        lengths = np.diff(first)[chosen]
        parts = [np.arange(first[query], first[query + 1]) for query in chosen]
        of = np.concatenate(parts).astype(np.int64)
        pairs = np.repeat(np.arange(queries), lengths), self.places[seen][of], self.documents[seen][of]
        return self.returned[chosen], Nearer(*pairs)


def world(sizes: np.ndarray, seed: int, *, hubs: bool = False, wrong: bool = False) -> World:
    """As many documents missed by each query as `sizes` says.

    Args:
        sizes: (q,).
        seed: of everything.
        hubs: whether many queries miss the same few documents.
        wrong: whether all missed lie nearer than the first hit, as after a search that ended elsewhere.
    """
    random = np.random.default_rng(seed)
    population = 20_000
    rows = np.repeat(np.arange(len(sizes)), sizes)
    parts = [random.choice(300 if hubs else population, size, replace=False) for size in sizes]
    places = np.zeros(len(rows), int) if wrong else random.integers(0, K, len(rows))
    returned = random.random((len(sizes), K)) < random.beta(18, 1.2, size=(len(sizes), 1))
    documents = np.concatenate(parts) if len(rows) else np.empty(0, np.int64)
    return World(returned, rows, places, documents.astype(np.int64), population)


def estimated(case: World, share: float, seed: int, draws: int = 50, queries: int = 500) -> list[Estimate]:
    random = np.random.default_rng(seed)
    made = []
    for _ in range(draws):
        returned, nearer = case.draw(random, queries, share)
        (one_setting,) = estimates([returned], nearer, share)
        made.append(one_setting)
    return made


def some(seed: int, share: float, size: int, count: int = 500) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(count) < share, size, 0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "sizes", "share", "how"),
    [
        ("few miss one", some(1, 0.06, 1), 0.05, {}),
        ("some miss five", some(2, 0.2, 5), 0.05, {}),
        ("some ended in a wrong region", some(3, 0.1, 150), 0.05, {"wrong": True}),
        ("one and many", some(4, 0.3, 1) + some(5, 0.08, 300), 0.04, {"wrong": True}),
        ("the same are missed by many", some(6, 0.3, 4), 0.1, {"hubs": True}),
        ("nearly none", some(7, 0.005, 1), 0.05, {}),
    ],
)
def test_the_estimate_is_right_on_average_and_its_interval_holds(
    name: str, sizes: np.ndarray, share: float, how: dict[str, bool]
) -> None:
    case = world(sizes, 11, **how)
    true = case.recall()
    made = estimated(case, share, 12)
    means = np.array([m.recall.mean for m in made])
    assert abs(means.mean() - true) < 4 * means.std() / np.sqrt(len(made)) + 0.002, name
    holds = np.mean([m.recall.low <= true <= m.recall.high for m in made])
    assert holds >= 0.84, name  # of 50 draws 0.95 is counted as 0.84 or more, but for one time in 200
    against = float(case.returned.mean())
    assert against - true > 0.003 or name == "nearly none"
    for m in made:
        assert m.recall.low <= m.recall.mean <= m.recall.high
        assert m.recall.mean == pytest.approx(m.reference.mean - m.unseen.mean)
        assert m.unseen.low <= m.unseen.mean <= m.unseen.high


def test_of_all_documents_nothing_is_estimated_but_by_the_queries() -> None:
    case = world(some(8, 0.4, 3) + some(9, 0.1, 40), 13)
    nearer = Nearer(case.rows, case.places, case.documents)
    (whole,) = estimates([case.returned], nearer, 1.0)
    assert whole.recall.mean == pytest.approx(case.recall(), abs=1e-12)
    assert whole.unseen.low == whole.unseen.high == whole.unseen.mean


def test_few_documents_that_were_shown_are_taken_to_be_as_alike_as_those_that_stand_last() -> None:
    """The part of the sample has a variance as of so many fewer documents: four stand for what is not known yet."""
    assert shared(["a", "b", "a", "c", "a"]) == pytest.approx((9 + 1 + 1) / 5)
    assert shared([]) == 1
    pairs = np.array([3, 400]), np.array([5, 9]), np.array([7, 8])
    flags = np.ones((2_000, K), bool)
    widths = []
    for alike in (1.0, 2.0, 10.0):
        (made,) = estimates([flags], Nearer(*pairs, alike=alike), 0.05)
        assert made.unseen.mean == pytest.approx(2 / 0.05 / 2_000 / K, rel=0.05)
        widths.append(made.unseen.high)
    assert widths == sorted(set(widths))


def test_where_nothing_is_seen_the_bound_shrinks_with_sample_and_queries() -> None:
    nobody = Nearer(*(np.empty(0, np.int64) for _ in range(3)))
    perfect = np.ones((2_000, K), bool)
    for share, queries in ((0.05, 2_000), (0.02, 2_000), (0.05, 500)):
        (made,) = estimates([perfect[:queries]], nobody, share)
        assert made.unseen.mean == made.unseen.low == 0
        assert made.unseen.high == pytest.approx(least_unseen(queries, K, share))
        # As many unseen ones as the bound says would have shown themselves in 86 of 100 samples at least.
        assert (1 - share) ** (made.unseen.high * queries * K) < 0.14
        assert made.recall.mean == made.recall.high == 1
        assert 1 - made.recall.low >= max(made.unseen.high, 1 - made.reference.low) - 1e-12
    assert least_unseen(2_000, K, 1.0) == 0


def test_what_is_unseen_takes_no_more_than_what_was_returned() -> None:
    """Three queries and a sample of a tenth say nothing: neither does the interval, in shares of 0 to 1."""
    nobody = Nearer(*(np.empty(0, np.int64) for _ in range(3)))
    half = np.arange(K)[None, :] < np.array([[5], [5], [5]])
    for returned, most in ((np.ones((3, K), bool), 1.0), (half, 0.5), (np.zeros((3, K), bool), 0.0)):
        (made,) = estimates([returned], nobody, 0.1, 0.999)
        assert made.unseen.high <= most
        assert 0 <= made.recall.low <= made.recall.mean <= made.recall.high <= 1
    assert least_unseen(3, K, 0.1, 0.999) == 1


def test_queries_with_fewer_neighbours_than_others_are_estimated_as_among_their_like() -> None:
    """Four neighbours in a row of ten are four: as in a row of four."""
    random = np.random.default_rng(31)
    case = world(some(31, 0.2, 4), 31)
    ten, nearer = case.draw(random, 500, 0.1)
    four = ten[:, :4]
    of_four = replace(nearer, places=np.minimum(nearer.places, 3))
    (alone,) = estimates([four], of_four, 0.1)
    wide = np.concatenate([four, np.zeros((500, 6), bool)], axis=1)
    (padded,) = estimates([wide], replace(of_four, ks=np.full(500, 4)), 0.1)
    assert padded == alone
    assert estimates([ten], replace(nearer, ks=np.full(500, K)), 0.1) == estimates([ten], nearer, 0.1)


def test_of_queries_with_different_numbers_of_neighbours_each_counts_as_much() -> None:
    """All documents drawn: nothing is estimated, and the recall of each query is of its own neighbours."""
    ks = np.array([2, 3, 3])
    returned = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], bool)
    none = np.empty(0, np.int64)
    assert Nearer(none, none, none, ks).recalls(returned).tolist() == [1, 2 / 3, 1]
    # The first query misses one that is nearer than both its hits: one of two is left. The third misses two.
    nearer = Nearer(np.array([0, 2, 2]), np.array([0, 1, 3]), np.array([5, 6, 7]), ks)
    (made,) = estimates([returned], nearer, 1.0)
    assert made.recall.mean == pytest.approx((1 / 2 + 2 / 3 + 2 / 3) / 3)
    assert made.reference.mean == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_settings_are_estimated_together_and_the_worse_lose_less() -> None:
    case = world(some(10, 0.3, 6), 14)
    random = np.random.default_rng(15)
    returned, nearer = case.draw(random, 500, 0.1)
    worse = returned & (random.random(returned.shape) < 0.5)
    low, high = estimates([worse, returned], nearer, 0.1)
    assert low.recall.mean < high.recall.mean
    # What it did not return cannot be taken from it.
    assert low.unseen.mean < high.unseen.mean
    assert estimates([], nearer, 0.1) == ()
    wide = estimates([returned], nearer, 0.1, 0.99)[0].recall
    assert wide.low < high.recall.low < high.recall.high < wide.high


def test_a_difference_of_estimates_leaves_out_what_both_references_miss() -> None:
    nobody = Nearer(*(np.empty(0, np.int64) for _ in range(3)))
    case = world(some(16, 0.4, 5), 17)
    returned, nearer = case.draw(np.random.default_rng(18), 300, 0.1)
    usual = small_run()
    point = usual.points[0]

    def run_of(hits: np.ndarray, missed: Nearer) -> Run:
        (made,) = estimates([hits], missed, 0.1)
        recalls = hits.mean(axis=1).astype(np.float32)
        measured = replace(point, recalls=recalls, recall=made.recall.mean, estimate=made)
        return replace(usual, points=(measured,))

    first, second = run_of(returned, nearer), run_of(returned, nobody)
    (row,) = compare(first, second).rows
    # The same answers: what differs is what the sample shows that one reference misses.
    unseen = first.points[0].estimate
    assert unseen is not None
    assert row.difference == pytest.approx(-unseen.unseen.mean)
    assert row.difference == pytest.approx(row.first - row.second)
    assert row.low < -unseen.unseen.high + 1e-9
    assert row.high > -unseen.unseen.low
    whole = replace(second, points=(replace(second.points[0], estimate=None),))
    assert compare(whole, whole).rows[0].difference == 0
