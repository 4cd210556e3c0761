"""The sweep: exact answer, a first curve, then the EF values that decide. One function, run as a job.

run = sweep(client, info, SweepRequest("idx", goal=Goal("recall", 0.95)), queries)
print(run.recommendation.sentence)
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from memdb import intervals
from memdb.cluster.client import Client
from memdb.errors import BadInput, Cancelled, MemDBError, UnknownIndex
from memdb.jobs import Report, silent
from memdb.tuning import decide, load
from memdb.tuning.checks import checked
from memdb.tuning.plan import Plan, plan
from memdb.tuning.run import Definition, EfPoint, Queries, Run, SweepRequest, Truth
from memdb.tuning.scoring import scored
from memdb.tuning.truth import truth
from memdb.vectors import distance
from memdb.vectors.filters import Condition
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import count

LEAST_CALLS, MOST_CALLS = 100, 1_000  # of single calls at each EF
LATENCY_S = 1.0
THROUGHPUT_S = 0.4
MORE = 4
SLOWED, SLOWED_MS = 1.5, 0.3  # a second measurement that differs by this factor and by so much is told
_NAN = float("nan")

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
        more: so many queries that begin with `queries`, e.g. `random_documents` with the same seed. Asked
            once, for MORE times as many, where `queries` leave open which EF meets a recall.

    Returns:
        The run. `partial` where the server or the index went away meanwhile: `notes` say so in words.

    Raises:
        BadInput: the request or the queries do not fit the index; nothing was measured.
        MemDBError: the server failed before anything was measured.
        Cancelled: from `report`.
    """
    info = index_info(client, info.name)
    request = checked(client, info, request, queries, condition)
    work = _Sweep(client, info, request, queries, report, keep, more)
    work.prepare(home)
    try:
        work.measure()
    except Cancelled:
        raise
    except MemDBError as exc:
        if not work.points:
            raise
        work.notes.append(_stopped(exc, len(work.points)))
        return work.made(partial=True)
    work.look_again()
    return work.made(partial=False)


class _Sweep:
    def __init__(
        self,
        client: Client,
        info: IndexInfo,
        request: SweepRequest,
        queries: Queries,
        report: Report,
        keep: Keep | None,
        more: Callable[[int], Queries] | None = None,
    ) -> None:
        self.params = info.vector_field(request.field)[1]
        self.client, self.info, self.request = client, info, request
        self.queries = self._sent(queries)
        self.report, self.keep, self.more = report, keep, more
        self.home: Path | None = None
        self.points: dict[int, EfPoint] = {}
        self.notes: list[str] = []
        self.plan: Plan | None = None
        self.truth: Truth | None = None
        self.began = time.monotonic()
        self.started = datetime.now(UTC)
        self.pace = min(filter(None, (request.budget_qps, client.queries_per_s)), default=None)
        self.run_id = client.server.run_id
        self.own = any(queries.own_keys)
        self.first_ef: int | None = None
        self.done, self.total = 0, 1
        self.suffix = uuid.uuid4().hex[:6]

    # ---- before ---------------------------------------------------------------------------------------

    def prepare(self, home: Path | None) -> None:
        """The exact answer, the engine's plan, and what can be said before anything is measured."""
        request, info = self.request, self.info
        matching = count(self.client, info, request.condition)
        if not matching:
            raise BadInput(
                f"No document of '{info.name}' matches the filter {request.filter}.", "Widen the filter."
            )
        self.report("Exact neighbours", 0, info.documents)
        self.truth = truth(
            self.client, info, request.field, self.queries, request.k, request.condition,
            home=home, report=self.report,
        )  # fmt: skip
        if left := matching - self.truth.looked_at:
            self.notes.append(
                f"{left:,} of the documents that match could not be compared: they hold no usable vector, or "
                "expired meanwhile. They are no true neighbours here."
                if left > 0
                else f"{-left:,} documents more matched when the vectors were read than shortly before."
            )
        fewest = min(map(len, self.truth.keys))
        if not max(map(len, self.truth.keys)):
            raise BadInput(
                f"No document but the query itself matches the filter {request.filter}."
                if self.truth.looked_at
                else f"None of the {matching:,} documents that match holds a usable vector.",
                "Widen the filter, or choose another index.",
            )
        if fewest < request.k:
            self.notes.append(
                f"k is {request.k}, but for some queries only {fewest:,} documents match: recall is then of "
                f"those {fewest:,}."
            )
        if not info.build.ready:
            self.notes.append(
                f"The index is not ready (state {info.build.state}, {info.build.fraction:.0%}): "
                "measure again when it is."
            )
        self._enough()
        if self.params.algorithm != "FLAT" and request.filter != "*":
            vector = vector_param(self.queries.vectors[0])
            asked = KnnRequest(request.index, vector, request.field, request.k, None, request.condition)
            self.plan = plan(self.client, asked, info)

    def _sent(self, queries: Queries) -> Queries:
        """The queries as the index receives them: rounded to its type, which the exact answer then is of."""
        return replace(queries, vectors=distance.as_sent(queries.vectors, self.params.type))

    def _exact(self, queries: Queries) -> Truth:
        request, info = self.request, self.info
        self.report("Exact neighbours", 0, info.documents)
        return truth(
            self.client, info, request.field, queries, request.k, request.condition,
            home=self.home, report=self.report,
        )  # fmt: skip

    def _enough(self) -> None:
        goal, k, q = self.request.goal, self.request.k, len(self.queries)
        if goal.kind != "recall":
            return
        if goal.value >= 1:
            self.notes.append("No sample can show a recall of exactly 1; choose a target below, e.g. 0.999.")
        elif (needed := decide.queries_for(goal.value, goal.confidence)) > q:
            self.notes.append(
                f"{q:,} queries are too few for {goal.words(k)}, even if all were answered perfectly: "
                f"it takes at least {needed:,}."
            )

    # ---- measuring ------------------------------------------------------------------------------------

    def measure(self) -> None:
        """First the recall at a few values, which is the first curve; then what each costs; then the rest."""
        request = self.request
        single = not self.params.has_ef
        steps = (0,) if single else decide.ladder(request.ef_min, request.ef_max, len(self.queries))
        first = steps if single else decide.first_values(steps)
        latency = self._latency_calls()
        self.total = (1 if single else decide.POINTS) * (len(self.queries) + latency)
        self.first_ef = first[0]
        for ef in first:
            self._recall(ef)
        for ef in first:
            self._cost(ef)
        self._refine(steps)
        if self.more is not None and decide.left_open(tuple(self.points.values()), request.goal):
            self._ask_more(self.more)
            self._refine(steps)
        self._slowed()
        self.report("Measuring", self.total, self.total)

    def _refine(self, steps: tuple[int, ...]) -> None:
        """One EF after the other until the boundary is found and the curve has its points."""
        while steps != (0,):
            ef = decide.next_value(
                steps,
                {ef: p.recall for ef, p in self.points.items()},
                {ef: decide.meets(p, self.request.goal) for ef, p in self.points.items()},
                self.request.goal.kind,
            )
            if ef is None:
                return
            remaining = max(1, decide.POINTS - len(self.points))
            self.total = self.done + remaining * (len(self.queries) + self._latency_calls())
            self._recall(ef)
            self._cost(ef)

    def _ask_more(self, more: Callable[[int], Queries]) -> None:
        """Further queries at every EF measured so far; the ones asked already are not asked again."""
        before = len(self.queries)
        queries = self._sent(more(MORE * before))
        if len(queries) <= before or queries.own_keys[:before] != self.queries.own_keys:
            return
        kept = (self.truth, self.queries, self.request, self.points, self.keep)
        self.total = self.done + len(self.points) * (len(queries) - before)
        try:
            self.truth, self.queries = self._exact(queries), queries
            self.request = replace(self.request, queries=len(queries), query_origin=queries.origin)
            self.points, self.keep = {}, None  # what is kept must have the same rows at every point
            for ef in sorted(kept[3]):
                self._recall(ef, kept[3][ef])
        except MemDBError:  # Cancelled among them: what was measured before stands
            self.truth, self.queries, self.request, self.points, self.keep = kept
            raise
        self.keep = kept[-1]
        self.notes.append(
            f"{before:,} queries left open which setting meets the goal; {len(queries) - before:,} more were "
            "asked."
        )
        self._keep()

    def _recall(self, ef: int, earlier: EfPoint | None = None) -> None:
        """The recall at one EF; rows that `earlier` has are taken from it."""
        began = time.monotonic()
        assured = self.truth
        assert assured is not None  # noqa: S101  # set by prepare
        first = len(earlier.recalls) if earlier else 0
        asked = self._questions(ef, first)
        got = load.answers(self.client, asked, self._progress, budget_qps=self.pace)
        recalls, ranks, found, short = scored(
            self.client, self.info, self.request.field, [answer for some in got for answer in some],
            self.queries, assured, first,
        )  # fmt: skip
        point = EfPoint(
            ef_runtime=ef, recall=_NAN, low=_NAN, high=_NAN, p50_ms=_NAN, p95_ms=_NAN, p99_ms=_NAN, calls=0,
            throughput=(), short=short, recalls=recalls, ranks=ranks, found=found,
            latencies_ms=np.empty(0, np.float32), took_s=time.monotonic() - began,
        )  # fmt: skip
        if earlier is not None:
            point = replace(
                earlier,
                short=earlier.short + short,
                recalls=np.concatenate([earlier.recalls, recalls]),
                ranks=np.concatenate([earlier.ranks, ranks]),
                found=np.concatenate([earlier.found, found]),
                took_s=earlier.took_s + point.took_s,
            )
        band = intervals.mean(point.recalls, self.request.goal.confidence)
        self.points[ef] = replace(point, recall=band.mean, low=band.low, high=band.high)
        self._keep()

    def _cost(self, ef: int) -> None:
        began = time.monotonic()
        request, asked = self.request, self._questions(ef)
        most = self._latency_calls()
        took = load.latencies(
            self.client, asked, self._progress, least=min(LEAST_CALLS, most), most=most,
            at_most_s=LATENCY_S, budget_qps=self.pace,
        )  # fmt: skip
        rates = []
        for clients in () if self.pace else request.concurrency:
            self.report("Measuring", self.done, self.total)
            rates.append((clients, load.throughput(self.client, asked, clients, THROUGHPUT_S)))
        p50, p95, p99 = load.percentiles(np.array(took))
        point = self.points[ef]
        self.points[ef] = replace(
            point, p50_ms=p50, p95_ms=p95, p99_ms=p99, calls=len(took), throughput=tuple(rates),
            latencies_ms=np.array(took, np.float32), took_s=point.took_s + time.monotonic() - began,
        )  # fmt: skip
        self._keep()

    def _questions(self, ef: int, first: int = 0) -> load.Questions:
        # One more than k where the query is a document: it finds itself, and does not count.
        k = self.request.k + self.own
        vectors = self.queries.vectors[first:]
        return load.questions(
            self.client, self.info, self.request, vectors, ef, k=k, condition=self.request.condition
        )

    def _latency_calls(self) -> int:
        most = min(MOST_CALLS, max(len(self.queries), 3 * LEAST_CALLS))
        budget = self.pace
        return most if budget is None else max(20, min(most, int(budget * LATENCY_S * 5)))

    def _progress(self, more: int) -> None:
        self.done = min(self.done + more, self.total)
        self.report("Measuring", self.done, self.total)

    # ---- after ----------------------------------------------------------------------------------------

    def _slowed(self) -> None:
        """The first EF once more: did the server become slower or faster meanwhile?"""
        first = self.points[self.first_ef or 0]
        again = load.latencies(
            self.client, self._questions(first.ef_runtime), lambda more: None, least=50, most=50,
            at_most_s=LATENCY_S, budget_qps=self.pace,
        )  # fmt: skip
        now, _, _ = load.percentiles(np.array(again))
        less, more = sorted((now, first.p50_ms))
        if more > SLOWED * less and more - less > SLOWED_MS:
            word = "slower" if now > first.p50_ms else "faster"
            self.notes.append(
                f"The server became {word} during the run: the median call went from {first.p50_ms:.2f} to "
                f"{now:.2f} ms at the same setting, so compare latencies of this run with care."
            )

    def look_again(self) -> None:
        """Whether the index or the server is another one than at the start."""
        try:
            now = index_info(self.client, self.info.name)
            self.client.forget_server()
            if self.client.server.run_id != self.run_id:
                self.notes.append("The server was restarted or replaced during the run.")
        except UnknownIndex:
            self.notes.append("The index was dropped at the end of the run.")
            return
        except MemDBError as exc:
            self.notes.append(f"Whether the index changed is not known: {exc}")
            return
        if now.fingerprint == self.info.fingerprint:
            return
        change = now.documents - self.info.documents
        if change:
            what = f"{'grew' if change > 0 else 'shrank'} by {abs(change):,} documents"
        elif now.revision != self.info.revision:
            what = "had documents written or replaced"
        else:
            what = "changed"
        self.notes.append(
            f"The index {what} during the run; the exact answer is of its start, so recall may be off."
        )

    def made(self, *, partial: bool) -> Run:
        """The run as it stands."""
        info, server, params = self.info, self.client.server, self.params
        assert self.truth is not None  # noqa: S101  # set by prepare
        points = tuple(self.points[ef] for ef in sorted(self.points))
        definition = Definition(
            params.algorithm, params.type, params.dim, params.metric, params.m, params.ef_construction
        )
        notes = list(self.notes)
        if self.plan is not None and self.plan.exact:
            notes.append(self.plan.words)
        return Run(
            id=f"{self.started:%Y%m%d-%H%M%S}-{self.suffix}",
            started=self.started.isoformat(timespec="seconds"),
            target=self.client.target.address,
            index=info.name,
            fingerprint=info.fingerprint,
            dialect=server.dialect.name,
            engine=" ".join([server.title, *(f"{n} {v}" for n, v in server.modules)]),
            documents=info.documents,
            definition=definition,
            request=self.request,
            queries=self.queries,
            truth=self.truth,
            points=points,
            recommendation=decide.recommend(
                [p for p in points if self.request.goal.kind == "recall" or p.calls],
                self.request,
                definition,
                ef_limit=server.dialect.limits.ef_runtime,
                plan_words=self.plan.words if self.plan else "",
                plan_exact=bool(self.plan and self.plan.exact),
            ),
            notes=tuple(notes),
            partial=partial,
            took_s=time.monotonic() - self.began,
            memdb_version=_version(),
        )

    def _keep(self) -> None:
        if self.keep is not None:
            self.keep(self.made(partial=True))


def _stopped(exc: MemDBError, points: int) -> str:
    dropped = isinstance(exc, UnknownIndex)
    why = "the index was dropped during the run" if dropped else str(exc).rstrip(".")
    return f"The run ended early with {points} of its points: {why}."


def _version() -> str:
    try:
        return version("memdb-explorer")
    except PackageNotFoundError:
        return "source"
