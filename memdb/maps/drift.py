"""Whether two sets of vectors differ by more than chance, and where on a common map. Pure.

Energy distance (Székely and Rizzo 2004) decides; a classifier's AUC says how well the two can be told apart.
Chance is what relabelling the same vectors at random gives (a permutation test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memdb.jobs import Report, silent
from memdb.maps.quality import ranks
from memdb.maps.request import Ints
from memdb.vectors.distance import Doubles, Floats

LEAST = 10  # vectors of each side that a comparison needs
COMPARED = 1_500  # vectors of each side that are held against each other
PERMUTATIONS = 999
ALPHA = 0.05  # what is rarer by chance is called a difference
NEIGHBOURS = 15  # of the classifier
_NEW = 0.05  # a region is new where its share was at most this part of what it is now
_AT_ONCE = 111  # permutations

Verdict = Literal["new", "grew", "as before", "shrank", "emptied"]


@dataclass(frozen=True, slots=True)
class SampleDifference:
    """How far two samples lie apart, beside chance."""

    energy: float  # energy distance, the root as scipy.stats.energy_distance has it; 0: the same distribution
    energy_by_chance: float  # what it exceeds in 5 % of the permutations
    p_value: float  # share of permutations with at least this energy distance, itself among them
    auc: float  # of telling a vector's side by its neighbours' sides; 0.5: it cannot be told
    auc_low: float  # 95 % of what the AUC is by chance
    auc_high: float
    before: int  # vectors that were compared
    after: int
    permutations: int

    @property
    def beyond_chance(self) -> bool:
        """Whether so large an energy distance is rare (below ALPHA) by chance."""
        return self.p_value < ALPHA


@dataclass(frozen=True, slots=True)
class Region:
    """A cluster of the common map."""

    name: str
    before: int  # points
    after: int
    share_before: float  # of all points of that side
    share_after: float
    p_value: float  # of Fisher's exact test, corrected for the number of regions (Holm)
    verdict: Verdict


def difference(
    before: Floats,
    after: Floats,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    report: Report = silent,
) -> SampleDifference:
    """Hold two independent samples against each other, by Euclidean distances.

    Args:
        before: (m, d) prepared for the metric: under COSINE of length 1.
        after: (n, d) likewise, none of them a member of the first sample.
        permutations: how often the sides are drawn again.
        seed: of these draws, and of the COMPARED vectors of a larger side.
        report: progress; may raise Cancelled.

    Raises:
        ValueError: a side has fewer than LEAST vectors, or they have different lengths.
    """
    if min(len(before), len(after)) < LEAST or before.shape[1] != after.shape[1]:
        raise ValueError(f"{before.shape} and {after.shape} cannot be compared")
    random = np.random.default_rng(seed)
    sides = [
        side[np.sort(random.choice(len(side), COMPARED, replace=False))] if len(side) > COMPARED else side
        for side in (before, after)
    ]
    m, n = (len(side) for side in sides)
    far = _euclidean(np.concatenate(sides))
    later = np.arange(m + n) >= m
    if not far.any():  # all equal: there is nothing to tell them apart by
        return SampleDifference(0.0, 0.0, 1.0, 0.5, 0.5, 0.5, m, n, permutations)
    near = _near(far, min(NEIGHBOURS, m + n - 1))
    own_energy, own_auc = float(_energies(far, later[None, :])[0]), _aucs(near, later[None, :])[0]
    energies, aucs = np.empty(permutations), np.empty(permutations)
    for start in range(0, permutations, _AT_ONCE):
        count = min(_AT_ONCE, permutations - start)
        drawn = np.stack([random.permutation(later) for _ in range(count)])
        energies[start : start + count] = _energies(far, drawn)
        aucs[start : start + count] = _aucs(near, drawn)
        report("Comparing with chance", start + count, permutations)
    # Sums of the same distances in another order may differ by rounding.
    as_far = int((energies >= own_energy - 1e-12 * max(1.0, float(far.max()))).sum())
    return SampleDifference(
        float(np.sqrt(max(own_energy, 0.0))),
        float(np.sqrt(max(float(np.quantile(energies, 1 - ALPHA)), 0.0))),
        (1 + as_far) / (1 + permutations),
        own_auc,
        float(np.quantile(aucs, 0.025)),
        float(np.quantile(aucs, 0.975)),
        m,
        n,
        permutations,
    )


def auc(later: NDArray[np.bool_], scores: Doubles) -> float:
    """The area under the ROC curve of scores (n,) for labels (n,): ties count half."""
    positive = int(later.sum())
    negative = len(later) - positive
    return float((ranks(scores)[later].sum() - positive * (positive + 1) / 2) / (positive * negative))


def regions(
    labels: Ints, names: Sequence[str], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> tuple[Region, ...]:
    """What happened to each cluster of a common map, the largest changes of share first.

    Args:
        labels: (n,) cluster, -1 for none.
        names: of the clusters.
        before: (n,) whether a point was there; at least one was.
        after: (n,) whether it is there now; at least one is. A point may be both.
    """
    all_before, all_after = int(before.sum()), int(after.sum())
    counted = []
    for cluster in range(len(names)):
        here = labels == cluster
        m, n = int((here & before).sum()), int((here & after).sum())
        counted.append((m, n, fisher(m, n, all_before, all_after)))
    corrected = holm([p for _, _, p in counted])
    changed = [
        Region(name, m, n, m / all_before, n / all_after, p, _verdict(m / all_before, n / all_after, p))
        for name, (m, n, _), p in zip(names, counted, corrected, strict=True)
    ]
    return tuple(sorted(changed, key=lambda region: -abs(region.share_after - region.share_before)))


def fisher(m: int, n: int, all_before: int, all_after: int) -> float:
    """P-value of Fisher's exact test, two-sided: whether m of all_before and n of all_after are one share."""
    from scipy.stats import fisher_exact

    return float(fisher_exact([[m, all_before - m], [n, all_after - n]]).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, so that the chance of any false alarm among them stays what it says."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected


def _verdict(before: float, after: float, p_value: float) -> Verdict:
    if p_value >= ALPHA:
        return "as before"
    if before <= _NEW * after:
        return "new"
    if after <= _NEW * before:
        return "emptied"
    return "grew" if after > before else "shrank"


def _euclidean(vectors: Floats) -> Doubles:
    """(n, n) distances, exactly zero between equal vectors."""
    from scipy.spatial.distance import cdist

    wide = vectors.astype(np.float64)
    far: Doubles = cdist(wide, wide)
    return far


def _energies(far: Doubles, later: NDArray[np.bool_]) -> Doubles:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of each of (p, n) ways to part n points with distances (n, n)."""
    weights = later / later.sum(axis=1, keepdims=True) - ~later / (~later).sum(axis=1, keepdims=True)
    energies: Doubles = -np.einsum("pn,pn->p", weights @ far, weights)
    return energies


def _near(far: Doubles, k: int) -> Doubles:
    """(n, n) how much each other point counts among the k nearest of each: those at one distance alike."""
    others = far.copy()
    np.fill_diagonal(others, np.inf)
    last = np.partition(others, k - 1, axis=1)[:, k - 1, None]
    nearer, level = others < last, others == last
    weights: Doubles = nearer + level * ((k - nearer.sum(axis=1)) / level.sum(axis=1))[:, None]
    return weights / k


def _aucs(near: Doubles, later: NDArray[np.bool_]) -> list[float]:
    """Of each of (p, n) ways to part n points, by the sides of their neighbours (n, n)."""
    scores = np.round(later @ near.T, 9)  # sums in another order are the same
    return [auc(labels, row) for labels, row in zip(later, scores, strict=True)]
