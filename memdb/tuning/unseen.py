"""Queries that are no documents but as hard to answer as unseen ones, made without writing to the index.

A document is a node of the graph and easier to find than a question. A made query is a document moved by
another document's way to its nearest neighbour, over `scale` times the own nearest distance, and the document
itself does not count among its results. The scale is the one at which made queries are answered as well as
documents that a graph was built without: that is measured in this process, on a sample of the index's
vectors (docs/decisions/0013-unseen-queries.md). Nothing here knows a server.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memdb import intervals
from memdb.intervals import Interval, Numbers
from memdb.jobs import Report, silent
from memdb.tuning.run import CERTAIN, Uncertainty
from memdb.vectors.distance import Doubles, Floats, distances, prepared

SAMPLE = 10_000  # documents of the calibration
DONORS = 1_000  # documents whose ways to their neighbours are lent to others
LEFT_OUT = 0.2  # share of the sample that its graph is built without, and that then are asked
ASKED = 2_000  # at least, of each kind
KNOWN_TO = 0.005  # standard error at which the two kinds' means are told apart: more are asked until then
ROUNDS = 5  # graphs at most, each without another fifth, until so many were asked
FEWEST = 100  # documents below which nothing is calibrated
# Documents of the sample under the filter, and their share, below which all are asked instead: a mean of few
# tells less than what the filter changes.
FEWEST_MATCHING, LEAST_SHARE = 1_000, 0.2
NEIGHBOURS = 16  # among which the first at a distance above zero is looked for: documents may be equal
EQUAL = 1e-3  # a neighbour nearer than this share of the sixteenth is a copy
SCALES = (0.1, 4.0)
_STEPS = 7
_THREADS = 2  # that search at once: their answers do not depend on it
# Recall at which the two kinds are compared: below, no setting is recommended; above, too few are missed.
_LOW, _HIGH, _PERFECT = 0.8, 0.95, 0.99
_RISE = 0.01
_MOST_EF = 1_000
_RECALL_AT_ONCE = 500

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]
T = TypeVar("T")


# Recall by made queries against that of truly unseen documents, measured by `benchmarks/unseen.py`
# (docs/decisions/0013-unseen-queries.md): how far it read too high, and too low.
UNCERTAINTY = Uncertainty(too_high=0.09, too_low=0.30)
UNCALIBRATED = Uncertainty(too_high=0.5, too_low=0.5)  # scale 1, for indexes too small to be calibrated


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far made queries must lie from their documents."""

    scale: float  # in nearest distances; 1 where nothing was measured
    left_out: int  # documents asked that the sample graph does not hold; 0: nothing was measured
    sample: int  # documents that the sample graph holds
    residue: float  # what remains between the two kinds at this scale, as a share of the missed neighbours

    @property
    def uncertainty(self) -> Uncertainty:
        """Of recall by these queries: the method's own, and what the calibration did not reach."""
        if not self.left_out:
            return UNCALIBRATED
        high, low = UNCERTAINTY.too_high, UNCERTAINTY.too_low
        return Uncertainty(math.hypot(high, self.residue), math.hypot(low, self.residue))


UNMEASURED = Calibration(1.0, 0, 0, 0.0)


def moved(bases: Floats, reach: Doubles, displacements: Floats, scale: float, metric: str) -> Floats:
    """Documents moved away from where they are.

    Args:
        bases: (q, dim) prepared documents.
        reach: (q,) length of each one's way to its nearest neighbour.
        displacements: (q, dim) another document's way to its own neighbour each.
        scale: how many times `reach` they are moved.
        metric: COSINE, IP or L2.

    Returns:
        (q, dim), of unit length for COSINE.
    """
    lengths = np.linalg.norm(displacements.astype(np.float64), axis=1)
    steps = np.divide(scale * reach, lengths, out=np.zeros(len(bases)), where=lengths > 0)
    return prepared(bases + displacements * steps[:, None].astype(np.float32), metric)


def lent(receivers: Sequence[T], donors: Sequence[T], seed: int) -> list[T]:
    """(q,) the donor whose way each document is moved by: random, itself only where there is no other.

    By its own way a document would be moved to its neighbour. Fewer receivers get the beginning of what more
    would get.
    """
    drawn = np.random.default_rng(seed).integers(0, len(donors), len(receivers)).tolist()
    return [
        donors[(place + 1) % len(donors)] if donors[place] == receiver else donors[place]
        for receiver, place in zip(receivers, drawn, strict=True)
    ]


def surely(recall: float, confidence: float, uncertainty: Uncertainty) -> float:
    """The lower end of the interval that remains however many made queries are asked."""
    return recall - _sure(confidence) * uncertainty.too_high * (1 - recall)


def interval(recalls: Numbers, confidence: float, uncertainty: Uncertainty) -> Interval:
    """The mean recall of unseen queries: `intervals.mean`, and what is not known of made queries on top.

    Args:
        recalls: (q,) of each query.
        confidence: two-sided.
        uncertainty: of `Queries`.
    """
    return widened(intervals.mean(recalls, confidence), confidence, uncertainty)


def widened(band: Interval, confidence: float, uncertainty: Uncertainty) -> Interval:
    """The interval of a recall, with what is not known of the queries on top."""
    if uncertainty == CERTAIN or math.isnan(band.mean):
        return band
    missed = _sure(confidence) * (1 - band.mean)
    low = math.hypot(band.mean - band.low, uncertainty.too_high * missed)
    high = math.hypot(band.high - band.mean, uncertainty.too_low * missed)
    return Interval(band.mean, max(0.0, band.mean - low), min(1.0, band.mean + high))


def _sure(confidence: float) -> float:
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def calibrated(
    vectors: Floats,
    metric: str,
    m: int,
    ef_construction: int,
    k: int,
    seed: int,
    *,
    matching: Mask | None = None,
    report: Report = silent,
) -> Calibration:
    """The scale at which made queries are answered as well as documents that a graph was built without.

    Args:
        vectors: (n, dim) prepared, a random sample of the documents.
        metric: COSINE, IP or L2.
        m: links of a node, of the index.
        ef_construction: of the index.
        k: neighbours asked for.
        seed: of what is left out. The same arguments give the same answer, and are computed once.
        matching: (n,) which of them the filter lets through. These alone are asked and moved: they may be
            harder to find than others. The graph holds all, as the index does. Too few are not regarded.
        report: told the stage; may raise Cancelled.
    """
    if len(vectors) < max(FEWEST, 10 * k):
        return UNMEASURED
    if matching is None or matching.sum() < FEWEST_MATCHING or matching.mean() < LEAST_SHARE:
        matching = np.ones(len(vectors), np.bool_)
    digest = hashlib.sha256(np.ascontiguousarray(vectors).tobytes())
    digest.update(matching.tobytes())
    sample = _Sample(digest.hexdigest(), vectors, matching, report)
    return _calibrated(sample, _Build(metric, m, ef_construction), k, seed)


@dataclass(frozen=True, slots=True)
class _Build:
    """What a graph is built with."""

    metric: str
    m: int
    ef_construction: int


class _Sample:
    """Vectors, and which the filter lets through: one argument to a cache where their digest is the same."""

    def __init__(self, digest: str, vectors: Floats, matching: Mask, report: Report) -> None:
        self.digest, self.vectors, self.matching, self.report = digest, vectors, matching, report

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Sample) and self.digest == other.digest


@lru_cache(maxsize=64)
def _calibrated(sample: _Sample, index: _Build, k: int, seed: int) -> Calibration:
    vectors, matching, report = sample.vectors, sample.matching, sample.report
    if index.metric == "L2":  # near the origin float32 tells distances apart
        vectors = (vectors - vectors.mean(axis=0, dtype=np.float64)).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(vectors))
    share = int(len(vectors) * LEFT_OUT)
    rounds: list[_Round] = []
    efs: tuple[int, ...] = ()
    needed = ASKED
    while len(rounds) < ROUNDS and sum(len(part.outside) for part in rounds) < needed:
        turn = len(rounds)
        report("Calibrating queries", turn, ROUNDS + _STEPS)
        left_out = order[turn * share : (turn + 1) * share]
        inside = np.delete(vectors, left_out, axis=0)
        outside = vectors[left_out[matching[left_out]]]
        rounds.append(_Round(inside, outside, np.delete(matching, left_out), index, k, seed + turn))
        # Where a graph loses whole clusters, a query finds all or nothing: a mean of few tells little then.
        efs = _telling(rounds, k)
        spread = max(float(np.concatenate([part.unseen(ef) for part in rounds]).std()) for ef in efs)
        needed = max(ASKED, math.ceil(2 * (spread / KNOWN_TO) ** 2))
    truth = np.array([_mean_of(rounds, ef) for ef in efs])
    missed = max(1 - float(truth.mean()), 1e-3)

    def excess(scale: float, step: int) -> float:
        # The largest: made queries are to be easier at none of these, and a little harder at the others.
        report("Calibrating queries", ROUNDS + step, ROUNDS + _STEPS)
        return float((np.mean([part.made(scale, efs) for part in rounds], axis=0) - truth).max())

    scale, residue = _root(excess, 0.02 * missed)
    query_count = sum(len(part.outside) for part in rounds)
    return Calibration(round(scale, 3), query_count, len(rounds[0].inside), abs(residue) / missed)


def _root(excess: Callable[[float, int], float], tolerance: float) -> tuple[float, float]:
    """The scale where made queries are neither easier nor harder, and what remains there.

    The larger the scale, the harder: bracketed from 1 on, then by regula falsi over its logarithm.
    """
    tried: list[tuple[float, float]] = [(0.0, excess(1.0, 0))]
    low, high = np.log(SCALES)
    for step in range(1, _STEPS):
        at, excess_left = min(tried, key=lambda pair: abs(pair[1]))
        if abs(excess_left) <= tolerance:
            break
        easier = max((p for p in tried if p[1] > 0), default=None)  # largest scale that is still too easy
        harder = min((p for p in tried if p[1] < 0), default=None)
        if easier is None or harder is None:
            at = tried[-1][0] + (0.5 if easier is not None else -0.5)
            if not low <= at <= high:
                break
        elif harder[0] <= easier[0]:  # noise: not monotone any more
            break
        else:
            slope = (easier[1] - harder[1]) / (harder[0] - easier[0])
            width = harder[0] - easier[0]
            at = easier[0] + min(0.8 * width, max(0.2 * width, easier[1] / slope))
        tried.append((float(at), excess(float(np.exp(at)), step)))
    at, excess_left = min(tried, key=lambda pair: abs(pair[1]))
    return float(np.exp(at)), excess_left


def _telling(rounds: list[_Round], k: int) -> tuple[int, ...]:
    """EF values where the left-out documents' recall is neither low nor perfect: at most two.

    Doubled until it is high, or no longer rises: by inner product some documents are found at no EF.
    """
    tried: dict[int, float] = {}
    ef, before = max(10, k), -1.0
    while True:
        tried[ef] = _mean_of(rounds, ef)
        if tried[ef] >= _HIGH or tried[ef] - before < _RISE or ef >= _MOST_EF:
            break
        ef, before = 2 * ef, tried[ef]
    good = [ef for ef, recall in tried.items() if _LOW <= recall <= _PERFECT]
    return tuple(good[-2:]) or (min(tried, key=lambda ef: abs(tried[ef] - _HIGH)),)


def _mean_of(rounds: Sequence[_Round], ef: int) -> float:
    return float(np.mean([part.unseen(ef).mean() for part in rounds]))


class _Round:
    """A graph of some documents, others that it was built without, and made queries."""

    def __init__(
        self, inside: Floats, outside: Floats, matching: Mask, index: _Build, k: int, seed: int
    ) -> None:
        self.inside, self.outside, self.metric, self.k = inside, outside[:ASKED], index.metric, k
        self.graph = _graph(inside, index)
        self.limits = _kth(self.outside, inside, k, self.metric)
        order = np.random.default_rng(seed).permutation(len(inside))
        self.own = order[matching[order]][:ASKED]
        self.bases = inside[self.own]
        ways, reach, copies = nearest_ways(self.bases, inside, self.metric)
        self.reach = np.where(copies > 1, 0.0, reach)  # each is its own first copy
        if not matching.all():  # the ways that are lent are of all documents
            ways, reach, _ = nearest_ways(inside[order[:DONORS]], inside, self.metric)
        donors = np.flatnonzero(reach > 0).tolist()
        self.ways = ways[lent(range(len(self.own)), donors, seed)] if donors else np.zeros_like(self.bases)
        self._known: dict[int, Doubles] = {}

    def unseen(self, ef: int) -> Doubles:
        """(len(outside),) recall of each document left out."""
        if ef not in self._known:
            self._known[ef] = self._recalls(self.outside, self.limits, ef)
        return self._known[ef]

    def made(self, scale: float, efs: tuple[int, ...]) -> list[float]:
        """Mean recall of made queries at some EF values."""
        moved_queries = moved(self.bases, self.reach, self.ways, scale, self.metric)
        limits = _kth(moved_queries, self.inside, self.k, self.metric, self.own)
        return [float(self._recalls(moved_queries, limits, ef, self.own).mean()) for ef in efs]

    def _recalls(self, sent: Floats, limits: Floats, ef: int, own: Places | None = None) -> Doubles:
        self.graph.expansion_search = ef
        hits = np.empty(len(sent), np.int64)
        # One more than k of either kind: a search never keeps fewer candidates than it is asked for, so that
        # the two would not be asked with the same EF_RUNTIME where that is k.
        wanted = self.k + 1
        for start in range(0, len(sent), _RECALL_AT_ONCE):
            rows = slice(start, start + _RECALL_AT_ONCE)
            got = self.graph.search(sent[rows], wanted, threads=_THREADS)
            good = np.arange(wanted) < np.asarray(got.counts)[:, None]
            good &= got.distances <= limits[rows, None]
            if own is not None:
                good &= got.keys != own[rows, None]
            hits[rows] = np.minimum(good.sum(axis=1), self.k)
        return np.asarray(hits / self.k)


def nearest_ways(documents: Floats, others: Floats, metric: str) -> tuple[Floats, Doubles, Places]:
    """The way from each document to its nearest neighbour that is no copy of it.

    Args:
        documents: (q, dim) prepared, some of `others`.
        others: (n, dim) prepared.
        metric: COSINE, IP or L2; nearness is that of the points themselves, also for IP.

    Returns:
        (q, dim) ways; (q,) their lengths, 0 where all of NEIGHBOURS are copies; and (q,) how many of the
        nearest are, the document itself among them.
    """
    ways, lengths = np.zeros_like(documents), np.zeros(len(documents))
    copies = np.zeros(len(documents), np.int64)
    count = min(NEIGHBOURS + 1, len(others))
    for start in range(0, len(documents), _RECALL_AT_ONCE):
        part = documents[start : start + _RECALL_AT_ONCE]
        far = distances(part, others, "L2")
        places = np.argpartition(far, count - 1, axis=1)[:, :count]
        towards = others[places] - part[:, None]
        long = np.linalg.norm(towards.astype(np.float64), axis=2)
        chosen, reach, same = first_apart(long)
        rows = np.arange(len(part))
        ways[start + rows] = np.where(reach[:, None] > 0, towards[rows, chosen], 0)
        lengths[start + rows] = reach
        copies[start + rows] = same
    return ways, lengths, copies


def first_apart(lengths: Doubles) -> tuple[Places, Doubles, Places]:
    """(q, c) distances to neighbours in any order → (q,) place and distance of the nearest that is no copy,
    and how many are.

    Distance 0 where all are copies. NaN stands for no neighbour.
    """
    finite = np.where(np.isfinite(lengths), lengths, np.inf)
    widest = np.where(np.isfinite(lengths), lengths, 0.0).max(axis=1, keepdims=True)
    far = (finite > EQUAL * widest) & (finite > 0)
    apart = np.where(far, finite, np.inf)
    places = apart.argmin(axis=1)
    reach = np.take_along_axis(apart, places[:, None], 1)[:, 0]
    return places.astype(np.int64), np.where(np.isfinite(reach), reach, 0.0), (~far).sum(axis=1)


def _graph(vectors: Floats, index: _Build) -> Any:
    # Imported here: a third of a second that only calibrations should pay.
    from usearch.index import Index

    graph = Index(
        ndim=vectors.shape[1],
        metric="l2sq" if index.metric == "L2" else "ip",
        dtype="f32",
        connectivity=max(2, index.m),
        expansion_add=index.ef_construction,
    )
    # One thread: the same vectors make the same graph.
    graph.add(np.arange(len(vectors)), vectors, threads=1)
    return graph


def _kth(queries: Floats, vectors: Floats, k: int, metric: str, own: Places | None = None) -> Floats:
    """(q,) distance of the k-th nearest, a little rounding added."""
    limits = np.empty(len(queries), np.float32)
    for start in range(0, len(queries), _RECALL_AT_ONCE):
        part = queries[start : start + _RECALL_AT_ONCE]
        far = distances(part, vectors, metric)
        if own is not None:
            far[np.arange(len(part)), own[start : start + len(part)]] = np.inf
        limits[start : start + len(part)] = np.partition(far, k - 1, axis=1)[:, k - 1]
    slack = np.abs(limits) if metric == "L2" else np.maximum(1.0, np.abs(limits))
    widened: Floats = (limits + 1e-5 * slack).astype(np.float32)
    return widened
