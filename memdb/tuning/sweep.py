"""The sweep: exact answer, a first curve, then the EF values that decide. One function, run as a job.

run = sweep(client, info, SweepRequest("idx", goal=Goal("recall", 0.95)), queries)
print(run.recommendation.sentence)
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import Cancelled, MemDBError, UnknownIndex
from memdb.jobs import Report, silent
from memdb.tuning import decide, load, own, unseen
from memdb.tuning.checks import checked
from memdb.tuning.estimate import Nearer, estimates
from memdb.tuning.plan import QueryPlan, plan
from memdb.tuning.reference import Reference, enlarged, reference
from memdb.tuning.run import (
    USUAL,
    AsAsked,
    Beside,
    Definition,
    EfPoint,
    Queries,
    Run,
    Sampled,
    Setting,
    Shard,
    SweepRequest,
    Truth,
)
from memdb.tuning.sample import Sample, chosen, larger
from memdb.vectors import distance, shards
from memdb.vectors.anew import Watched
from memdb.vectors.filters import Condition
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.membership import Membership
from memdb.vectors.nothing import nothing
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import count

LEAST_CALLS, MOST_CALLS = 100, 1_000  # of single calls at each EF
LATENCY_S = 1.0
THROUGHPUT_S = 0.4
MORE = 4
SETTINGS = 50  # of an application that are listed
SLOWED, SLOWED_MS = 1.5, 0.3  # a second measurement that differs by this factor and by so much is told
_NAN = float("nan")
_NO_TRUTH = Truth((), np.empty((0, 0)), 0, 0.0)  # before `prepare`

Keep = Callable[[Run], None]


def sweep(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    *,
    report: Report = silent,
    keep: Keep | None = None,
    home: Path | None = None,
    condition: Condition | str | None = None,
    more: Callable[[int], Queries] | None = None,
    beside: Callable[[], Queries] | None = None,
    sample: Sample | None = None,
    documents: Callable[[], Queries] | None = None,
) -> Run:
    """Measure recall, latency and throughput over EF_RUNTIME and recommend one.

    Args:
        client: the server; nothing is written to it.
        info: the index as known; its state is asked for again.
        request: what to measure.
        queries: from `memdb.tuning.queries`.
        report: progress; may raise Cancelled.
        keep: called with the run so far after every step, e.g. `Job.keep`; it survives a cancel.
        home: MEMDB_HOME, where exact answers are kept; None keeps none.
        condition: the filter as a condition; `request.filter` is then replaced by its rendered text.
        more: so many queries that begin with `queries`, e.g. `unseen` with the same seed. Asked once, for
            MORE times as many, where `queries` leave open which EF meets a recall.
        beside: made queries, asked once at the EF that is recommended: `Run.beside` then tells by how much
            `queries`, which are documents, flatter.
        sample: drawn already for this request; without it one is drawn where the request or the target's
            budget asks for it.
        documents: random documents, asked once beside `queries` that have settings of their own, with these:
            `Run.as_asked` then tells what the application gets.

    Returns:
        The run. `partial` where the server or the index went away meanwhile: `notes` say so in words.

    Raises:
        BadInput: the request or the queries do not fit the index; nothing was measured.
        MemDBError: the server failed before anything was measured.
        Cancelled: from `report`.
    """
    info = index_info(client, info.name)
    request = checked(client, info, request, queries, condition)
    if sample is None:
        sample = chosen(client, info, request, queries=len(queries), home=home, report=report)
    work = _Sweep(client, info, request, queries, report, keep, home, sample)
    work.prepare()
    try:
        with shards.explained(client, info.name):
            work.measure(more)
            if beside is not None:
                work.ask_beside(beside())
            if documents is not None and queries.asks:
                work.ask_as_asked(documents())
    except Cancelled:
        raise
    except MemDBError as exc:
        if not work.state.points:
            raise
        work.notes.append(_stopped(exc, len(work.state.points)))
        return work.made(partial=True)
    work.look_again()
    return work.made(partial=False)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Queries with their exact answer, and what was measured with them: replaced as a whole."""

    request: SweepRequest
    queries: Queries
    truth: Truth
    points: Mapping[int, EfPoint]  # by EF_RUNTIME; rows of each follow `queries`
    reference: Reference | None = None  # of a sampled run: it stands in the place of `truth`

    @property
    def nearer(self) -> Nearer | None:
        """What the reference misses."""
        return None if self.reference is None else self.reference.nearer

    def with_point(self, point: EfPoint) -> _State:
        return replace(self, points={**self.points, point.ef_runtime: point})


class _Sweep:
    def __init__(
        self,
        client: Client,
        info: IndexInfo,
        request: SweepRequest,
        queries: Queries,
        report: Report,
        keep: Keep | None = None,
        home: Path | None = None,
        sample: Sample | None = None,
    ) -> None:
        self.sample = sample
        self.params = info.vector_field(request.field)[1]
        self.under = Membership(client, info, request.condition)
        self.client, self.info = client, info
        self.report, self.keep, self.home = report, keep, home
        self.state = _State(request, self._sent(queries), _NO_TRUTH, {})
        self.beside: Beside | None = None
        self.as_asked: AsAsked | None = None
        self.notes: list[str] = list(queries.notes)
        self.unfinished = ""
        self.watched = Watched(client, info)
        self.plan: QueryPlan | None = None
        self.began = time.monotonic()
        self.started = datetime.now(UTC)
        self.pace = min(filter(None, (request.budget_qps, client.queries_per_s)), default=None)
        self.run_id = client.server.run_id
        self.first_ef: int | None = None
        self.done, self.total = 0, 1
        self.suffix = uuid.uuid4().hex[:6]

    # ---- before ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The exact answer, the engine's plan, and what can be said before anything is measured."""
        request, info, queries = self.state.request, self.info, self.state.queries
        matching = count(self.client, info, request.condition)
        if not matching:
            raise nothing(info, request.filter)
        self.state = self._known(self.state)
        exact = self.state.truth
        if request.sample and self.sample is None:
            size = "" if request.sample == USUAL else f" of {request.sample:,}"
            self.notes.append(
                f"A sample{size} was asked for; {matching:,} documents match: all were read, "
                "and recall is measured, not estimated."
            )
        if self.sample is not None:
            self.notes += [f"Of the sample: {words}" for words in self.sample.left_out.words]
            if self.sample.left_out.zero:
                self.notes.append(
                    "Searches may go wrong among zero vectors, at a high EF_RUNTIME as well: the reference "
                    "also holds what a low one found. Delete them, or write no vector in their place."
                )
        # Of several filters it is the widest; of a sample it is known what was left out.
        gap = 0 if queries.asks or self.sample is not None else matching - exact.looked_at
        if gap:
            self.notes.append(
                f"{gap:,} of the documents that match could not be compared: they hold no usable vector, or "
                "expired meanwhile. They are no true neighbours here."
                if gap > 0
                else f"{-gap:,} documents more matched when the vectors were read than shortly before."
            )
        wanted = [ask.k for ask in queries.asks] or [request.k] * len(exact.keys)
        fewest = min(map(len, exact.keys))
        if not max(map(len, exact.keys)):
            name = info.vector_field(request.field)[0].name
            raise nothing(info, request.filter, name, but_itself=exact.looked_at > 0)
        if queries.asks:
            if fewer := sum(len(row) < k for row, k in zip(exact.keys, wanted, strict=True)):
                self.notes.append(
                    f"For {fewer:,} queries fewer documents match than their K: recall is then of those "
                    "that match."
                )
        elif fewest < request.k:
            self.notes.append(
                f"k is {request.k}, but for some queries only {fewest:,} documents match: recall is then of "
                f"those {fewest:,}."
            )
        self._building(info)
        self._enough()
        if self.params.algorithm != "FLAT" and request.filter != "*":
            vector = vector_param(queries.vectors[0])
            request_knn = KnnRequest(request.index, vector, request.field, request.k, None, request.condition)
            self.plan = plan(self.client, request_knn, info)

    def _building(self, current: IndexInfo, when: str = "") -> None:
        """Tell once that documents are missing; a build may begin, and end, at any time of the run."""
        if current.unfinished and not self.unfinished:
            self.unfinished = current.unfinished
            self.notes.append(f"{when}{current.unfinished} Measure again when it is complete.")
        if again := self.watched.certain(current):
            self.unfinished = self.unfinished or again
            self.notes.append(f"{when}{again} Measure again.")
        elif perhaps := self.watched.possible():
            self.notes.append(f"{when}{perhaps}")

    def _look(self) -> None:
        """Whether the index is being built now, after a setting was measured."""
        with suppress(MemDBError):  # what is wrong stops the next search, and is told there
            current = index_info(self.client, self.info.name)
            if not current.missing:  # as that
                self._building(current, "During the run: ")

    def _sent(self, queries: Queries) -> Queries:
        """The queries as the index receives them: rounded to its type, which the exact answer then is of."""
        return replace(queries, vectors=distance.as_sent(queries.vectors, self.params.type))

    def _known(self, state: _State, earlier: Reference | None = None) -> _State:
        """The same with its exact answer, or with the reference in its place.

        `earlier` is that of queries which these begin with.
        """
        if self.sample is None:
            return replace(state, truth=self._exact(state.queries))
        of_reference = reference(
            self.client,
            self.info,
            self.state.request,
            state.queries,
            self.sample,
            self.under,
            report=self.report,
            pace=self.pace,
            earlier=earlier,
        )
        return replace(state, truth=of_reference.truth, reference=of_reference)

    def _exact(self, queries: Queries) -> Truth:
        request, info = self.state.request, self.info
        self.report("Exact neighbours", 0, info.documents)
        return own.exact(self.client, info, request, queries, home=self.home, report=self.report)

    def _enough(self) -> None:
        request = self.state.request
        if why := decide.too_few(request.goal, request.k, len(self.state.queries)):
            self.notes.append(why)

    # ---- measuring ------------------------------------------------------------------------------------

    def measure(self, more: Callable[[int], Queries] | None) -> None:
        """First the recall at a few values, which is the first curve; then what each costs; then the rest."""
        request, queries = self.state.request, self.state.queries
        single = not self.params.has_ef
        steps = (0,) if single else self._steps()
        first = steps if single else decide.first_values(steps)
        latency = self._latency_calls()
        self.total = (1 if single else decide.POINTS) * (len(queries) + latency)
        self.first_ef = first[0]
        for ef in first:
            self._recall(ef)
        for ef in first:
            self._cost(ef)
        self._refine(steps)
        self._enlarge(steps)
        open_ = decide.left_open(tuple(self.state.points.values()), request.goal, queries.uncertainty)
        if more is not None and open_:
            self._ask_more(more)
            self._refine(steps)
            self._enlarge(steps)
        self._slowed()
        self.report("Measuring", self.total, self.total)

    def _steps(self) -> tuple[int, ...]:
        """The EF values that may be measured.

        A search for k results never keeps fewer candidates than k. Queries with a document of their own are
        asked for one more, so that a lower EF than that would be measured as k + 1.
        """
        request, queries = self.state.request, self.state.queries
        low = max(request.ef_min, request.k + 1) if any(queries.own_keys) else request.ef_min
        return decide.ladder(low, max(low, request.ef_max), len(queries))

    def _refine(self, steps: tuple[int, ...]) -> None:
        """One EF after the other until the boundary is found and the curve has its points."""
        while steps != (0,):
            ef = decide.next_value(
                steps,
                {ef: p.recall for ef, p in self.state.points.items()},
                {ef: decide.meets(p, self.state.request.goal) for ef, p in self.state.points.items()},
                self.state.request.goal.kind,
            )
            if ef is None:
                return
            remaining = max(1, decide.POINTS - len(self.state.points))
            self.total = self.done + remaining * (len(self.state.queries) + self._latency_calls())
            self._recall(ef)
            self._cost(ef)

    def _enlarge(self, steps: tuple[int, ...]) -> None:
        """A larger sample as long as this one leaves open which setting meets a recall.

        Where it came with RANDOMKEY the budget is short, and another would not begin with it.
        """
        before = self.sample
        while self.sample is not None and self.state.request.sample in (None, USUAL):
            state, sample = self.state, self.sample
            assert state.reference is not None  # noqa: S101  # of a sampled run it is known
            goal, unsure = state.request.goal, state.queries.uncertainty
            if not decide.hidden(tuple(state.points.values()), goal, unsure):
                break
            wider = larger(self.client, self.info, state.request, sample, home=self.home, report=self.report)
            if wider is None:
                break
            enlarged_reference = enlarged(
                self.client, self.info, state.request, state.queries, wider, self.under, state.reference
            )
            self.sample = wider
            state = replace(state, truth=enlarged_reference.truth, reference=enlarged_reference)
            points = {ef: self._with_recall(state, point) for ef, point in state.points.items()}
            self.state = replace(state, points=points)
            self._refine(steps)
        if before is not None and self.sample is not None and self.sample is not before:
            self.notes.append(
                f"A sample of {len(before.keys):,} left open which setting meets the goal; "
                f"{len(self.sample.keys):,} were read."
            )
            self._keep()

    def _ask_more(self, more: Callable[[int], Queries]) -> None:
        """Further queries at every EF measured so far; the ones asked already are not asked again."""
        earlier = self.state
        before = len(earlier.queries)
        queries = self._sent(more(MORE * before))
        if len(queries) <= before or not np.array_equal(queries.vectors[:before], earlier.queries.vectors):
            return
        wider = _State(replace(earlier.request, source=queries.source), queries, _NO_TRUTH, {})
        wider = self._known(wider, earlier.reference)
        self.total = self.done + len(earlier.points) * (len(queries) - before)
        # What is kept has the same rows at every point: the state changes when all are measured.
        for ef in sorted(earlier.points):
            wider = wider.with_point(self._recalled(wider, ef, earlier.points[ef]))
        self.state = wider
        self.notes.append(
            f"{before:,} queries left open which setting meets the goal; {len(queries) - before:,} more were "
            "asked."
        )
        self._keep()

    def ask_beside(self, queries: Queries) -> None:
        """Made queries at the recommended EF, else at the largest measured."""
        points = self.state.points
        best = decide.chosen(tuple(points.values()), self.state.request.goal)
        point = best or points[max(points)]
        if not len(queries):
            return
        queries = self._sent(queries)
        state = self._known(replace(self.state, queries=queries, points={}))
        self.total = self.done + len(queries)
        without = self._recalled(state, point.ef_runtime)
        self.beside = Beside(
            point.ef_runtime, point.recall, without.recall, without.low, without.high, len(queries)
        )

    def ask_as_asked(self, documents: Queries) -> None:
        """The queries with their own settings, and random documents with the same ones in turn."""
        state = self.state
        asks = state.queries.asks
        beside = replace(
            self._sent(documents), asks=tuple(asks[row % len(asks)] for row in range(len(documents)))
        )
        self.total = self.done + len(state.queries) + len(beside)
        ours = self._recalled(state, None)
        other = self._known(replace(state, queries=beside, points={}))
        theirs = self._recalled(other, None)
        frequent = Counter((ask.filter, ask.k, ask.ef_runtime) for ask in asks)
        self.as_asked = AsAsked(
            ours.recall,
            ours.low,
            ours.high,
            len(beside),
            theirs.recall,
            theirs.low,
            theirs.high,
            _deciles(state.truth),
            _deciles(other.truth),
            tuple(Setting(*each, number) for each, number in frequent.most_common(SETTINGS)),
            len(frequent),
            sampled.words if (sampled := self._sampled()) is not None else "",
        )

    def _recall(self, ef: int) -> None:
        self.state = self.state.with_point(self._recalled(self.state, ef))
        self._look()
        self._keep()

    def _recalled(self, state: _State, ef: int | None, earlier: EfPoint | None = None) -> EfPoint:
        """The recall at one EF, None: at each query's own; rows that `earlier` has are taken from it."""
        began = time.monotonic()
        first = len(earlier.recalls) if earlier else 0
        came = own.score(
            self.client,
            self.info,
            state.request,
            self._answers(state, ef, first),
            state.queries,
            state.truth,
            self.under,
            first,
        )
        point = EfPoint(
            ef_runtime=ef or 0,
            recall=_NAN,
            low=_NAN,
            high=_NAN,
            p50_ms=_NAN,
            p95_ms=_NAN,
            p99_ms=_NAN,
            calls=0,
            throughput=(),
            short=came.short,
            recalls=came.recalls,
            ranks=came.ranks,
            hit_distances=came.hit_distances,
            outside=came.outside,
            latencies_ms=np.empty(0, np.float32),
            took_s=time.monotonic() - began,
        )
        if earlier is not None:
            point = replace(
                earlier,
                short=earlier.short + came.short,
                recalls=np.concatenate([earlier.recalls, came.recalls]),
                ranks=np.concatenate([earlier.ranks, came.ranks]),
                hit_distances=np.concatenate([earlier.hit_distances, came.hit_distances]),
                outside=np.concatenate([earlier.outside, came.outside]),
                took_s=earlier.took_s + point.took_s,
            )
        return self._with_recall(state, point)

    def _with_recall(self, state: _State, point: EfPoint) -> EfPoint:
        """A point with its recall and interval, of what its queries got."""
        if self.plan is not None and self.plan.exact and decide.all_exact([point]):
            return replace(point, recall=1.0, low=1.0, high=1.0)  # by how it runs, not by these queries
        goal, unsure = state.request.goal, state.queries.uncertainty
        if self.sample is not None and state.nearer is not None:
            # Of the k that were asked for: where the reference itself came short, those are missing too.
            returned = point.ranks >= 0
            (point_estimate,) = estimates([returned], state.nearer, self.sample.share, goal.confidence)
            band = unseen.widened(point_estimate.recall, goal.confidence, unsure)
            point = replace(
                point, recalls=state.nearer.recalls(returned).astype(np.float32), estimate=point_estimate
            )
        else:
            band = unseen.interval(point.recalls, goal.confidence, unsure)
        return replace(point, recall=band.mean, low=band.low, high=band.high)

    def _cost(self, ef: int) -> None:
        began = time.monotonic()
        request, batch = self.state.request, self._questions(self.state, ef)
        most = self._latency_calls()
        took = load.latencies(
            self.client,
            batch,
            self._progress,
            least=min(LEAST_CALLS, most),
            most=most,
            at_most_s=LATENCY_S,
            budget_qps=self.pace,
        )
        rates = []
        for clients in () if self.pace else request.concurrency:
            self.report("Measuring", self.done, self.total)
            rates.append((clients, load.throughput(self.client, batch, clients, THROUGHPUT_S)))
        p50, p95, p99 = load.percentiles(np.array(took))
        point = self.state.points[ef]
        self.state = self.state.with_point(
            replace(
                point,
                p50_ms=p50,
                p95_ms=p95,
                p99_ms=p99,
                calls=len(took),
                throughput=tuple(rates),
                latencies_ms=np.array(took, np.float32),
                took_s=point.took_s + time.monotonic() - began,
            )
        )
        self._keep()

    def _answers(self, state: _State, ef: int | None, first: int) -> list[load.Answer]:
        """What the index returns to the queries from `first` on; the reference's answers serve twice."""
        reference_kept = state.reference
        if reference_kept is not None and reference_kept.answers and ef == reference_kept.ef:
            answers = list(reference_kept.answers[first:])
            self._progress(len(answers))
            return answers
        batch = self._questions(state, ef, first)
        got = load.answers(self.client, batch, self._progress, budget_qps=self.pace)
        return [answer for some in got for answer in some]

    def _questions(self, state: _State, ef: int | None, first: int = 0) -> load.Questions:
        return own.questions(self.client, self.info, state.request, state.queries, ef, first)

    def _latency_calls(self) -> int:
        most = min(MOST_CALLS, max(len(self.state.queries), 3 * LEAST_CALLS))
        budget = self.pace
        return most if budget is None else max(20, min(most, int(budget * LATENCY_S * 5)))

    def _progress(self, more: int) -> None:
        self.done = min(self.done + more, self.total)
        self.report("Measuring", self.done, self.total)

    # ---- after ----------------------------------------------------------------------------------------

    def _slowed(self) -> None:
        """The first EF once more: did the server become slower or faster meanwhile?"""
        first = self.state.points[self.first_ef or 0]
        again = load.latencies(
            self.client,
            self._questions(self.state, first.ef_runtime),
            lambda more: None,
            least=50,
            most=50,
            at_most_s=LATENCY_S,
            budget_qps=self.pace,
        )
        again_ms, _, _ = load.percentiles(np.array(again))
        less, more = sorted((again_ms, first.p50_ms))
        if more > SLOWED * less and more - less > SLOWED_MS:
            word = "slower" if again_ms > first.p50_ms else "faster"
            self.notes.append(
                f"The server became {word} during the run: the median call went from {first.p50_ms:.2f} to "
                f"{again_ms:.2f} ms at the same setting, so compare latencies of this run with care."
            )

    def look_again(self) -> None:
        """Whether the index or the server is another one than at the start."""
        try:
            current = index_info(self.client, self.info.name)
            self.client.forget_server()
            if self.client.server.run_id != self.run_id:
                self.notes.append("The server was restarted or replaced during the run.")
        except UnknownIndex:
            self.notes.append("The index was dropped at the end of the run.")
            return
        except MemDBError as exc:
            self.notes.append(f"Whether the index changed is not known: {exc}")
            return
        if [shard.node.slots for shard in current.shards] != [shard.node.slots for shard in self.info.shards]:
            self.notes.append(
                "Slots moved between shards during the run: which shard a true neighbour lies on is as it "
                "was at the start."
            )
        if current.missing:
            self.notes.append(current.unfinished)
        else:
            self._building(current, "At the end of the run: ")
        if current.fingerprint == self.info.fingerprint or current.missing:
            return
        change = current.documents - self.info.documents
        if change:
            what = f"{'grew' if change > 0 else 'shrank'} by {abs(change):,} documents"
        elif current.revision != self.info.revision:
            what = "had documents written or replaced"
        else:
            what = "changed"
        self.notes.append(
            f"The index {what} during the run; the exact answer is of its start, so recall may be off."
        )

    def _sampled(self) -> Sampled | None:
        """What the run rests on where not all documents were read."""
        state, sample = self.state, self.sample
        nearer = state.nearer
        if sample is None or nearer is None:
            return None
        request = state.request
        # The reference as if it were a setting: all of its hits returned.
        every = np.isfinite(state.truth.distances)
        (whole,) = estimates([every], nearer, sample.share, request.goal.confidence)
        return Sampled(
            sample.documents,
            len(sample.keys),
            sample.way,
            sample.seed,
            sample.kept,
            0 if state.reference is None else state.reference.ef,
            whole.unseen,
            len(np.unique(nearer.rows)),
        )

    def made(self, *, partial: bool) -> Run:
        """The run as it stands."""
        info, server, params = self.info, self.client.server, self.params
        state = self.state
        points = tuple(state.points[ef] for ef in sorted(state.points))
        sampled = self._sampled()
        definition = Definition(
            params.algorithm, params.type, params.dim, params.metric, params.m, params.ef_construction
        )
        notes = list(self.notes)
        if self.plan is not None and self.plan.exact:
            notes.append(self.plan.words)
        if broken := sum(p.broken for p in points):
            hits = broken + sum(int(np.isfinite(p.hit_distances).sum()) for p in points)
            notes.append(self.under.words(hits, broken))
        verdict = decide.recommend(
            [p for p in points if state.request.goal.kind == "recall" or p.calls],
            state.request,
            definition,
            uncertainty=state.queries.uncertainty,
            beside=self.beside,
            sampled=sampled,
            ef_limit=server.dialect.limits.ef_runtime,
            plan_words=self.plan.words if self.plan else "",
            plan_exact=bool(self.plan and self.plan.exact),
        )
        if verdict is not None and self.unfinished:
            verdict = decide.unfinished(verdict)
        return Run(
            id=f"{self.started:%Y%m%d-%H%M%S}-{self.suffix}",
            started=self.started.isoformat(timespec="seconds"),
            target=self.client.target.address,
            index=info.name,
            fingerprint=info.fingerprint,
            dialect=server.dialect.name,
            engine=server.with_search,
            documents=info.documents,
            definition=definition,
            request=state.request,
            queries=state.queries,
            truth=state.truth,
            points=points,
            recommendation=verdict,
            beside=self.beside,
            notes=tuple(notes),
            partial=partial,
            unfinished=self.unfinished,
            took_s=time.monotonic() - self.began,
            memdb_version=_version(),
            sampled=sampled,
            as_asked=self.as_asked,
            shards=tuple(
                Shard(shard.node.address, shard.node.slots, shard.info.documents)
                for shard in info.shards
                if shard.info is not None
            ),
        )

    def _keep(self) -> None:
        if self.keep is not None:
            self.keep(self.made(partial=True))


def _deciles(exact: Truth) -> tuple[float, ...]:
    """Of the distances to the nearest document."""
    nearest = exact.distances[:, 0]
    nearest = nearest[np.isfinite(nearest)]
    if not len(nearest):
        return ()
    return tuple(float(value) for value in np.quantile(nearest, np.arange(1, 10) / 10))


def _stopped(exc: MemDBError, points: int) -> str:
    dropped = isinstance(exc, UnknownIndex)
    why = "the index was dropped during the run" if dropped else str(exc).rstrip(".")
    return f"The run ended early with {points} of its points: {why}."


def _version() -> str:
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return "source"
