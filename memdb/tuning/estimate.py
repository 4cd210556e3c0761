"""Recall estimated from a sample of the documents. Pure; docs/decisions/0100 gives the reasons.

A reference, the index's own answer at a high EF_RUNTIME, stands in the place of the exact answer. What a
setting misses of it is measured. What it misses itself is estimated from sampled documents that lie nearer
than its last hit: a query of which M such documents exist shows s of them, binomially. How M is distributed
over the queries that show any is found by maximum likelihood (EM over a grid, no shape assumed), and every
such query stands for all that miss as much and show nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from memdb import intervals
from memdb.intervals import Interval
from memdb.vectors.distance import Doubles

STEPS = 200  # of EM, from the same start each time: more change no fourth digit
RESAMPLES = 100  # of the queries, for the variance
# What resampling the queries leaves out of the variance where the reference misses much: over draws of
# queries and documents the deviation was up to a tenth larger; with the least variance below, half of that
# gives the coverage in docs/recall.md (docs/decisions/0100).
_SHORT = 1.1
_PRIOR = 4  # documents that the sample would have to show, before they tell as much as `Nearer.alike`
_FINE, _COARSE = 20, 30  # values of M: each up to the first, then so many on a logarithmic scale
_LEAST_SHOWN = 1e-9

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Nearer:
    """Sampled documents nearer to a query than the last hit of its reference, and not in it; m pairs."""

    rows: Rows  # (m,) of the query
    places: Rows  # (m,) how many of the reference's hits are at least as near; 0 to k - 1
    documents: Rows  # (m,) of the sampled document: one document may be missed by many queries
    ks: Rows | None = None  # (q,) neighbours of each query, where these differ; 1 to k
    alike: float = 1.0  # `shared` of the documents that stand last in the reference's answers

    def recalls(self, returned: Flags) -> Doubles:
        """(q,) share of the reference's hits that came, of each query's own number; `returned` is (q, k)."""
        width = returned.shape[1]
        shares: Doubles = returned.sum(axis=1) / (width if self.ks is None else self.ks)
        return shares


@dataclass(frozen=True, slots=True)
class Estimate:
    """Recall at a setting: the mean of `reference` less that of `unseen`, the two parts it is made of."""

    recall: Interval
    reference: Interval  # share of the reference's hits that the setting returned: measured, over the queries
    unseen: Interval  # what the reference itself misses takes away; its upper end where nothing was seen

    def narrower(self, times: float) -> float:
        """How wide the interval would be, about, with so many times the documents in the sample.

        The part of the queries stays. That of the sample shrinks with its root, or in proportion where
        nothing was seen.
        """
        shrink = times if self.unseen.mean == 0 else math.sqrt(times)
        width = 0.0
        for queries, sample in (
            (self.reference.mean - self.reference.low, self.unseen.high - self.unseen.mean),
            (self.reference.high - self.reference.mean, self.unseen.mean - self.unseen.low),
        ):
            width += math.hypot(queries, sample / shrink)
        return min(width, self.recall.high - self.recall.low)


def estimates(
    returned: Sequence[Flags], nearer: Nearer, share: float, confidence: float = 0.95
) -> tuple[Estimate, ...]:
    """Recall at some settings, of the same queries.

    Args:
        returned: for each setting (q, k): whether it returned the reference's j-th hit. Of a query with fewer
            neighbours than k these stand in the first columns.
        nearer: what the sample shows that the reference misses.
        share: of the documents that were sampled, in (0, 1]; at 1 nothing is unseen.
        confidence: two-sided.
    """
    if not len(returned) or not len(returned[0]):
        return ()
    work = _Unseen(np.stack(returned), nearer, share, confidence)
    return tuple(work.estimate(setting) for setting in range(len(returned)))


def shared(documents: Sequence[object]) -> float:
    """How many queries, about, share the document of one, itself included; a document of each; 1 of none."""
    of_each = np.array(list(Counter(documents).values()), np.float64)
    return float((of_each**2).sum() / of_each.sum()) if len(of_each) else 1.0


def least_unseen(queries: int, k: int, share: float, confidence: float = 0.95) -> float:
    """What may be unseen, as a share of k, where the sample shows nothing."""
    if share >= 1:
        return 0.0
    return min(1.0, intervals.rare(0.0, 0.0, _hidden(share) / (share * queries * k), confidence).high)


def _hidden(share: float) -> float:
    """How many misses may be hidden where none of them was drawn, beside those of a small share: none hides
    with probability 1 - share, which is exp(-share) of a small one."""
    return share / -math.log1p(-share)


class _Unseen:
    """The estimate of all settings, and its variance by resampling the queries."""

    def __init__(self, returned: Flags, nearer: Nearer, share: float, confidence: float) -> None:
        self.settings, self.queries, self.k = returned.shape
        self.share, self.confidence = share, confidence
        self.hits: Doubles = np.stack([nearer.recalls(each) for each in returned])  # (settings, q)
        self.ks = np.full(self.queries, self.k) if nearer.ks is None else nearer.ks
        self.loss = np.zeros((self.settings, self.queries))  # of each query, as weighted
        self.resampled: Doubles = np.zeros((self.settings, 1))
        self.resampled_hits: Doubles = np.zeros((self.settings, 1))
        self.shared = np.zeros(self.settings)  # variance because queries miss the same documents
        self.alike = 1.0  # queries, about, that miss a document that was drawn: it is seen by all or by none
        self.nearer = nearer
        if len(nearer.rows):
            self._weigh(returned)
        # Where nothing is hidden the recall of each query is known.
        self.bands = intervals.means(self.hits, confidence)
        self.whole = intervals.means(self.hits - self.loss, confidence) if share >= 1 else ()

    def _weigh(self, returned: Flags) -> None:
        nearer, k = self.nearer, self.k
        # Hits of a query with fewer than k stand at the end, where they are pushed off.
        column = np.arange(k) - (k - self.ks[:, None])
        moved = np.take_along_axis(returned, np.maximum(column, 0)[None], axis=2) & (column >= 0)
        places = nearer.places + (k - self.ks[nearer.rows])
        shown = np.bincount(nearer.rows, minlength=self.queries)
        rows = np.flatnonzero(shown)
        counts, of_count = np.unique(shown[rows], return_inverse=True)
        sizes = _grid(counts, self.share)
        likelihood, seen = _likelihood(counts, sizes, self.share)
        # Sampled documents nearer than the j-th hit, j from 1.
        before = np.zeros((self.queries, k))
        np.add.at(before, (nearer.rows, np.minimum(places, k - 1)), 1)
        before = np.cumsum(before[rows], axis=1)
        last = np.zeros((self.settings, len(rows), k + 1))  # hits of a setting among the last 0 … k
        np.cumsum(moved[:, rows, ::-1], axis=2, out=last[:, :, 1:])
        taken = np.zeros((self.settings, len(rows), len(sizes)))  # what M unseen ones take from a setting
        rank = np.arange(1, k + 1)
        for place, size in enumerate(sizes):
            grown = before * (size / shown[rows])[:, None]
            pushed = (rank + grown > k + 1e-9).sum(axis=1)
            taken[:, :, place] = last[:, np.arange(len(rows)), pushed] / self.ks[rows] / seen[place]
        weights = np.zeros(self.queries)
        weights[rows] = 1
        posterior = _posterior(likelihood, np.bincount(of_count)[None, :].astype(float))[0]
        self.loss[:, rows] = np.einsum("erm,rm->er", taken, posterior[of_count])
        random = np.random.default_rng(len(nearer.rows))
        drawn = random.multinomial(self.queries, np.full(self.queries, 1 / self.queries), RESAMPLES)
        tally = np.zeros((RESAMPLES, len(counts)))
        for place in range(len(counts)):
            tally[:, place] = drawn[:, rows[of_count == place]].sum(axis=1)
        posteriors = _posterior(likelihood, tally)
        self.resampled = np.zeros((self.settings, RESAMPLES))
        for turn in range(RESAMPLES):
            each = np.einsum("erm,rm->er", taken, posteriors[turn][of_count])
            self.resampled[:, turn] = each @ drawn[turn, rows] / self.queries
        self.resampled_hits = self.hits @ drawn.T / self.queries
        # Few documents that were shown look all alike, or none: what stands last in answers tells as well.
        of_each = np.unique(nearer.documents, return_counts=True)[1]
        self.alike = float((of_each**2).sum() + _PRIOR * nearer.alike) / float(of_each.sum() + _PRIOR)
        part = self.loss[:, nearer.rows] / shown[nearer.rows] / self.queries
        _, document = np.unique(nearer.documents, return_inverse=True)
        for setting in range(self.settings):
            of_document = np.bincount(document, weights=part[setting])
            alike = float((of_document**2).sum() - (part[setting] ** 2).sum())
            self.shared[setting] = max(0.0, alike) * (1 - self.share)

    def estimate(self, setting: int) -> Estimate:
        hits, confidence = self.bands[setting], self.confidence
        lost = float(self.loss[setting].mean())
        if self.whole:
            return Estimate(self.whole[setting], hits, Interval(lost, lost, lost))
        # What a single miss takes away that showed itself.
        least = float((self.hits[setting] / self.ks).mean()) / (self.share * self.queries)
        # No less than that of a Poisson number of documents, each missed by as many queries.
        alike = self.alike * (1 - self.share) + self.share
        variance = float(self.resampled[setting].var()) + float(self.shared[setting])
        variance = _SHORT * max(variance, lost * least * alike)
        unseen = intervals.rare(lost, variance, least * _hidden(self.share), confidence)
        # It cannot take more than what the setting returned.
        unseen = replace(unseen, high=max(lost, min(unseen.high, float(self.hits[setting].mean()))))
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        # Both parts are of the same queries: what they share counts once.
        both = float(
            np.mean(
                (self.resampled[setting] - self.resampled[setting].mean())
                * (self.resampled_hits[setting] - self.resampled_hits[setting].mean())
            )
        )
        mean = hits.mean - lost
        together = -2 * z * z * both
        down = (hits.mean - hits.low) ** 2 + (unseen.high - lost) ** 2 + together
        up = (hits.high - hits.mean) ** 2 + (lost - unseen.low) ** 2 + together
        low = mean - math.sqrt(max(down, 0.25 * (hits.mean - hits.low) ** 2))
        if not lost:
            # Neither a query that loses all nor a document that is missed was drawn: both bounds are of what
            # could be and hid, and it is not probable that both did. Beside the spread of what was seen the
            # larger counts, not both.
            seen = z * float(self.hits[setting].std()) / math.sqrt(self.queries)
            low = mean - max(hits.mean - hits.low, math.hypot(seen, unseen.high))
        high = mean + math.sqrt(max(up, 0.25 * (hits.high - hits.mean) ** 2))
        bounded = min(1.0, max(0.0, mean))
        return Estimate(
            Interval(bounded, max(0.0, min(low, bounded)), min(1.0, max(high, bounded))), hits, unseen
        )


def _grid(counts: Rows, share: float) -> Doubles:
    """(m,) how many documents a query may miss: those seen, and up to twice what they stand for."""
    if share >= 1:
        return counts.astype(np.float64)
    most = max(2 * _FINE, math.ceil(2 * counts.max() / share))
    wide = np.geomspace(_FINE + 1, most, _COARSE).astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, _FINE + 1), wide, counts])).astype(np.float64)


def _likelihood(counts: Rows, sizes: Doubles, share: float) -> tuple[Doubles, Doubles]:
    """(counts, sizes) probability to show so many where any is shown, and (sizes,) that any is."""
    if share >= 1:
        return np.equal(counts[:, None], sizes).astype(np.float64), np.ones(len(sizes))
    shown, rest = counts[:, None].astype(np.float64), sizes - counts[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        log = _log_factorials(sizes) - _log_factorials(shown) - _log_factorials(np.maximum(rest, 0))
        log += shown * math.log(share) + rest * math.log1p(-share)
    seen = -np.expm1(sizes * math.log1p(-share))
    return np.where(rest >= 0, np.exp(log), 0.0) / np.maximum(seen, _LEAST_SHOWN), seen


def _log_factorials(numbers: Doubles) -> Doubles:
    whole = numbers.astype(np.int64)
    table = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, whole.max(initial=0) + 1)))])
    logs: Doubles = table[whole]
    return logs


def _posterior(likelihood: Doubles, tally: Doubles) -> Doubles:
    """(b, counts, sizes) how probable each size is where so many are shown, for b tallies (b, counts)."""
    mixed = np.full((len(tally), likelihood.shape[1]), 1 / likelihood.shape[1])
    for _ in range(STEPS):
        predicted = mixed @ likelihood.T
        ratio = tally / np.maximum(predicted, 1e-300)
        mixed = mixed * (ratio @ likelihood)
        mixed /= np.maximum(mixed.sum(axis=1, keepdims=True), 1e-300)
    joint = mixed[:, None, :] * likelihood
    posterior: Doubles = joint / np.maximum(joint.sum(axis=2, keepdims=True), 1e-300)
    return posterior
