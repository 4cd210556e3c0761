"""A tuning run as an object: what was asked, what was measured, what follows. Immutable.

`memdb.tuning.store` keeps runs on disk, `memdb.tuning.compare` sets two beside each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memdb.display import percent
from memdb.intervals import Interval
from memdb.tuning.estimate import Estimate
from memdb.tuning.source import Source, Unseen, words
from memdb.vectors.distance import Doubles, Floats, Vectors
from memdb.vectors.filters import Raw

Ranks = NDArray[np.int16]
Counts = NDArray[np.int16]
GoalKind = Literal["recall", "p99_ms"]
_MADE = Unseen()
USUAL: Literal["usual"] = "usual"  # of `SweepRequest.sample`
CONCURRENCY = 8  # clients at once, where nobody says otherwise


@dataclass(frozen=True, slots=True)
class Goal:
    """What the setting must reach.

    kind "recall": mean recall@k of at least `value`, in [0, 1], shown with `confidence`.
    kind "p99_ms": sequential calls whose 99th percentile is at most `value` milliseconds; then the
    recommendation is the EF with the highest recall among those.
    """

    kind: GoalKind = "recall"
    value: float = 0.95
    confidence: float = 0.95

    def words(self, k: int) -> str:
        """For people, e.g. "recall@10 ≥ 0.95 with 95 % confidence"."""
        if self.kind == "p99_ms":
            return f"p99 ≤ {self.value:g} ms"
        return f"recall@{k} ≥ {self.value:g} with {self.confidence * 100:g} % confidence"


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What to measure. Hashable, and all that is needed to repeat it."""

    index: str
    field: str = ""  # empty: the index's first vector field
    k: int = 10
    filter: str = "*"  # in the engine's words, as `filters.render` gives it
    filter_params: tuple[tuple[str, str], ...] = ()
    ef_min: int = 10
    ef_max: int = 512
    goal: Goal = Goal()
    concurrency: tuple[int, ...] = (CONCURRENCY,)  # clients at once, for the throughput; () measures none
    source: Source = _MADE  # of the queries
    budget_qps: float | None = None  # at most so many queries a second; then no throughput is measured
    # Documents that recall is estimated from. 0: none, all are read. USUAL: as many as are usual, and more
    # where these leave open which setting meets a recall. None: all, or USUAL where all are more than the
    # target's budget allows.
    sample: int | Literal["usual"] | None = None

    @property
    def condition(self) -> Raw:
        """The filter as `KnnRequest` and `read.blocks` take it."""
        return Raw(self.filter, self.filter_params)


@dataclass(frozen=True, slots=True)
class Definition:
    """How the measured vector field is indexed. None where the engine does not tell."""

    algorithm: str  # "HNSW", "FLAT", or one of a later engine, such as "SVS-VAMANA"
    type: str
    dim: int
    metric: str
    m: int | None = None
    ef_construction: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EfPoint:
    """One EF_RUNTIME, measured. NaN where latency or throughput were not (yet) measured.

    `ef_runtime` is 0 for an index that is not HNSW, which has none. Rows of the arrays follow `Run.queries`.
    """

    ef_runtime: int
    recall: float  # mean over the queries
    low: float  # interval of the mean at Goal.confidence, two-sided
    high: float
    p50_ms: float  # of sequential calls, wall time at the client
    p95_ms: float
    p99_ms: float
    calls: int  # how many calls the percentiles are of
    throughput: tuple[tuple[int, float], ...]  # (clients at once, answers a second)
    short: int  # queries answered with fewer than min(k, what matches)
    recalls: Floats  # (q,) of each query
    ranks: Ranks  # (q, k) where the index returned the j-th true neighbour or one as near, from 0; -1: missed
    # (q, k) distances from the stored vectors; NaN where fewer came, and for a hit that breaks the filter
    hit_distances: Floats
    outside: Counts  # (q,) hits of each query that break the filter; they count as not found
    latencies_ms: Floats  # (calls,) in order of the calls
    took_s: float
    estimate: Estimate | None = None  # of a sampled run: what `recall` is made of

    @property
    def broken(self) -> int:
        """How many hits break the filter."""
        return int(self.outside.sum())

    @property
    def qps(self) -> float:
        """Answers a second at the largest concurrency measured; NaN where none was."""
        return max(self.throughput)[1] if self.throughput else float("nan")


def closest(points: Sequence[EfPoint], goal: Goal) -> EfPoint:
    """Where no setting meets the goal: the fastest, or the cheapest of those with the highest recall.

    Args:
        points: measured, at least one.
        goal: which of the two counts.
    """
    if goal.kind == "p99_ms":
        return min(points, key=lambda point: point.p99_ms)
    return max(points, key=lambda point: (point.recall, -point.ef_runtime))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer. `ef_runtime` is None where no setting that was measured meets the goal."""

    ef_runtime: int | None
    recall: float
    low: float
    high: float
    met: bool
    sentence: str  # one plain sentence
    reasons: tuple[str, ...] = ()  # what it rests on, or what would meet the goal


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a run rests on whose recall is estimated."""

    documents: int  # under the filter
    drawn: int  # of these, compared with each query
    way: str  # "listed": all sets of documents equally likely; "drawn": with RANDOMKEY
    seed: int
    kept: bool  # whether a sample of an earlier run was used
    reference_ef: int  # EF_RUNTIME of the reference; 0 where the index has none
    missed: Interval  # share of the k that the reference itself misses, from the sample
    shown: int  # queries of which the sample shows a miss of the reference

    @property
    def share(self) -> float:
        """Of the documents, how many were drawn."""
        return min(1.0, self.drawn / self.documents) if self.documents else 1.0

    @property
    def words(self) -> str:
        """For people, e.g. "estimated from a sample of 20,000 (2 %)"."""
        return f"estimated from a sample of {self.drawn:,} ({percent(self.share)})"

    @property
    def reference_words(self) -> str:
        """What is known of the reference, in one sentence."""
        at = f" at EF_RUNTIME {self.reference_ef:,}" if self.reference_ef else ""
        beginning = f"Recall is {self.words} of {self.documents:,} documents."
        start = f"{beginning} The reference, the index's own answer{at},"
        missed = self.missed
        if not self.shown:
            return f"{start} misses none that the sample shows: at most {missed.high:.4f} of the neighbours."
        return (
            f"{start} itself misses {missed.mean:.4f} of the true neighbours ({missed.low:.4f} to "
            f"{missed.high:.4f}): {self.shown:,} of the queries show it."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The exact nearest documents of each query, under the filter, itself left out.

    Of a sampled run the reference in their place: the index's own answer at a high EF_RUNTIME.
    """

    keys: tuple[tuple[str, ...], ...]  # q rows, each at most k, nearest first
    distances: Doubles  # (q, k), NaN where fewer match
    looked_at: int  # documents compared with each query
    took_s: float  # 0 where an earlier computation was used
    kept: bool = False  # whether it was
    notes: tuple[str, ...] = ()  # what is not as usual about it, a sentence each


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """By how much recall may be off because queries stand for others. Nothing by default.

    Shares of the missed neighbours, each one standard deviation.
    """

    too_high: float = 0.0
    too_low: float = 0.0


CERTAIN = Uncertainty()


@dataclass(frozen=True, slots=True)
class Ask:
    """What one query is asked with, where the queries of a run differ in it."""

    filter: str  # in the engine's words
    filter_params: tuple[tuple[str, str], ...]
    k: int
    ef_runtime: int | None  # what the application chose; None: the index's own


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The vectors that are asked."""

    vectors: Vectors  # (q, dim); in a run as they were sent, rounded to the type of the index
    labels: tuple[str, ...]  # for people: the key or text of each, or "row 12 of file.npy"
    # Key of the document that a query is, or was made from: left out of its results. "" where there is none.
    own_keys: tuple[str, ...]
    source: Source
    digest: str  # of vectors and own keys: equal in two runs that asked the same
    uncertainty: Uncertainty = CERTAIN  # of made queries, `memdb.tuning.unseen`
    asks: tuple[Ask, ...] = ()  # of each query; empty: all have the filter and K of the run
    notes: tuple[str, ...] = ()  # what was left out of where they came from, a sentence each

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def words(self) -> str:
        """For people, e.g. "500 random documents (seed 0)"."""
        return words(self.source, len(self))


@dataclass(frozen=True, slots=True)
class Beside:
    """What made queries get at one EF_RUNTIME of a run that asked documents, which are easier to find."""

    ef_runtime: int
    documents: float  # recall of the run's own queries
    recall: float  # of made queries
    low: float
    high: float
    queries: int

    @property
    def words(self) -> str:
        """By how much documents flatter, in one sentence."""
        at = f" at EF_RUNTIME {self.ef_runtime}" if self.ef_runtime else ""
        return (
            f"Documents as queries flatter: made queries as hard as unseen ones get {self.recall:.3f} "
            f"({self.low:.3f} to {self.high:.3f}){at} where documents get {self.documents:.3f}, "
            f"{self.documents - self.recall:+.3f}."
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """What an application asks with, and how many of its queries do."""

    filter: str
    k: int
    ef_runtime: int | None  # None: the index's own
    queries: int


@dataclass(frozen=True, slots=True)
class AsAsked:
    """The queries of an application with its own settings, beside random documents with the same ones.

    Intervals have the confidence of the run's goal. Distances are those to the nearest document, at the nine
    deciles between 0.1 and 0.9; of a document, to the nearest other one.
    """

    recall: float
    low: float
    high: float
    documents: int  # how many were asked
    documents_recall: float
    documents_low: float
    documents_high: float
    nearest: tuple[float, ...]
    documents_nearest: tuple[float, ...]
    settings: tuple[Setting, ...]  # the most frequent ones, most frequent first
    all_settings: int  # how many differ
    estimated: str = ""  # from which sample, where not all documents were read: `Sampled.words`

    @property
    def words(self) -> str:
        """What the application gets, and how its queries differ from documents, in sentences."""
        own = "" if self.all_settings == 1 else f" ({self.all_settings:,} different)"
        sentence = (
            f"With its own settings{own} the application gets a recall of {self.recall:.3f} "
            f"({self.low:.3f} to "
            f"{self.high:.3f}); random documents asked the same way get {self.documents_recall:.3f} "
            f"({self.documents_low:.3f} to {self.documents_high:.3f})."
        )
        if self.estimated:
            sentence += f" Both are {self.estimated}."
        middle = len(self.nearest) // 2
        if len(self.nearest) and len(self.documents_nearest):
            ours, theirs = self.nearest[middle], self.documents_nearest[middle]
            reference_note = ", by the reference" if self.estimated else ""
            sentence += (
                f" Half of its queries have a document within {ours:.4g}; half of the documents one "
                f"within {theirs:.4g}{reference_note}."
            )
        return sentence


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as it was when the run began."""

    address: str  # of its primary
    slots: tuple[tuple[int, int], ...]  # first and last of each range
    documents: int  # of the index


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A sweep, finished or not (`partial`)."""

    id: str  # sortable by time
    started: str  # ISO, UTC
    target: str  # address without user or password
    index: str
    fingerprint: str
    dialect: str
    engine: str  # e.g. "Redis 8.2.3, search 2.10.5"
    documents: int
    definition: Definition
    request: SweepRequest
    queries: Queries
    truth: Truth
    points: tuple[EfPoint, ...]  # by EF_RUNTIME
    recommendation: Recommendation | None
    notes: tuple[str, ...]  # sentences about what went otherwise, e.g. the index grew meanwhile
    partial: bool
    took_s: float
    memdb_version: str
    beside: Beside | None = None  # where documents were asked: how made queries do
    title: str = ""  # given by the user
    sampled: Sampled | None = None  # of a run whose recall is estimated
    as_asked: AsAsked | None = None  # where the queries have settings of their own
    shards: tuple[Shard, ...] = ()  # where the index is spread over several; `memdb.tuning.by_shard`
    unfinished: str = ""  # that the index lacked documents at some time of the run, as a sentence

    def request_of(self, query: int) -> SweepRequest:
        """The request with the filter and K of one query, which are its own where a tap has recorded it."""
        if not self.queries.asks:
            return self.request
        ask = self.queries.asks[query]
        return replace(self.request, filter=ask.filter, filter_params=ask.filter_params, k=ask.k)

    def point(self, ef_runtime: int) -> EfPoint | None:
        """The point at this EF_RUNTIME, if it was measured."""
        return next((p for p in self.points if p.ef_runtime == ef_runtime), None)

    @property
    def concluded(self) -> EfPoint | None:
        """What the conclusion is about: the recommended setting, or what came closest. None: no points."""
        if self.recommendation is not None and self.recommendation.ef_runtime is not None:
            return self.point(self.recommendation.ef_runtime)
        return closest(self.points, self.request.goal) if self.points else None
