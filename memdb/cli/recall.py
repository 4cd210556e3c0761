"""`memdb recall`: the cheapest EF_RUNTIME that meets a target.

Exit status 1 where none does, or the index is not complete.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from memdb.cli.arguments import InWords, amount, count, sample_size, share
from memdb.cli.interrupt import Interrupt
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, note, print_json, print_table, say
from memdb.cluster.client import open_for_work
from memdb.errors import BadInput, Cancelled
from memdb.numerals import whole_number
from memdb.settings import Settings
from memdb.tuning import ask, queries, report, store
from memdb.tuning import source as sources
from memdb.tuning.by_shard import by_shard, words
from memdb.tuning.run import CONCURRENCY, AsAsked, Goal, Run, SweepRequest
from memdb.tuning.source import COUNT, Documents, File, Repeated, Source, Unseen
from memdb.tuning.spread import BOUND, spread
from memdb.vectors.index import index_info

MISSED = 1
_DEFAULT = SweepRequest("")
AT_LEAST = "K + 1 at least where the queries are or were made from documents"


@dataclass(frozen=True, kw_only=True)
class Recall(InWords):
    """`memdb recall`."""

    target: float = option(
        "--target", default=_DEFAULT.goal.value, type=share, metavar="R", help="recall@k", either="goal"
    )
    p99: float | None = option(
        "--p99",
        type=amount,
        metavar="MS",
        either="goal",
        help="instead: the highest recall whose sequential calls take at most so long, 99 of 100",
    )
    confidence: float = option(
        "--confidence", default=_DEFAULT.goal.confidence, type=share, metavar="C", help="of the intervals"
    )
    k: int = option("--k", default=_DEFAULT.k, type=count(1), metavar="N", help="neighbours")
    queries: str = option(
        "--queries",
        default="",
        metavar="N|FILE|run:ID",
        help="N made queries, as hard as unseen ones; or a .npy, .parquet, .csv, .json or .jsonl of vectors "
        "or texts; or the file of a tap, each search with its own filter, K and EF_RUNTIME; or those of a "
        f"saved run (default: {COUNT:,} made queries, and 4 times as many where "
        "these leave the answer open)",
    )
    documents: bool = option(
        "--documents",
        default=False,
        help="ask documents of the index themselves: recall then reads too high, by how much is measured",
    )
    ef_min: int = option("--ef-min", default=_DEFAULT.ef_min, type=count(1), metavar="N", help=AT_LEAST)
    ef_max: int = option("--ef-max", default=_DEFAULT.ef_max, type=count(1), metavar="N")
    seed: int = option("--seed", default=0, type=count(0), metavar="N", help="of the choice")
    clients: int = option(
        "--clients", default=CONCURRENCY, type=count(0), metavar="N", help="at once, for qps; 0 for none"
    )
    budget: int | None = option(
        "--budget", type=count(1), metavar="QPS", help="at most so many queries a second"
    )
    sample: int | Literal["usual"] | None = option(
        "--sample",
        type=sample_size,
        metavar="N|usual",
        help="estimate recall from N random documents instead of reading all; usual: 2 % of them, 20,000 at "
        "least, and more where these leave the answer open; 0 reads all (default: all, or usual where all "
        "are more than the target's budget of keys allows)",
    )
    bound: float = option(
        "--bound",
        default=BOUND,
        type=share,
        metavar="R",
        help="of a query's recall: how many reach it is told",
    )
    json: bool = option("--json", default=False, help="print JSON")

    @property
    def request(self) -> SweepRequest:
        """What to measure."""
        by_recall = Goal("recall", self.target, self.confidence)
        return SweepRequest(
            index=self.index,
            field=self.field,
            k=self.k,
            filter=self.filter,
            ef_min=self.ef_min,
            ef_max=self.ef_max,
            goal=by_recall if self.p99 is None else Goal("p99_ms", self.p99, self.confidence),
            concurrency=(self.clients,) if self.clients else (),
            source=self.source,
            budget_qps=self.budget,
            sample=self.sample,
        )

    @property
    def source(self) -> Source:
        """Where the queries come from.

        Raises:
            BadInput: the file cannot be read, or documents and others are asked for at once.
        """
        kind = Documents if self.documents else Unseen
        digits = self.queries.replace(",", "").replace("_", "")
        if not digits:
            return kind(seed=self.seed)
        if (count := whole_number(digits)) is not None:  # a number that was asked for is kept to
            return kind(count, self.seed, extend=False)
        if self.documents:
            raise BadInput(
                f"--documents asks documents, --queries {self.queries} asks others.",
                "Leave one of them out, or give a number of documents.",
            )
        if self.queries.startswith("run:"):
            return Repeated(self.queries.removeprefix("run:"))
        path = str(Path(self.queries).expanduser())
        return File(Path(path).name, path, queries.content_of(path), self.embedder)

    def run(self) -> int:
        """Measure, keep the run, print it. After Ctrl-C what was measured is kept, as on the page."""
        settings, request = Settings.from_env(), self.request
        so_far: list[Run] = []
        with open_for_work(self.find(settings)) as client, ProgressBar() as bar, Interrupt() as interrupt:
            progress = interrupt.watching(bar.report)
            info = index_info(client, self.index)
            if isinstance(request.source, File):  # which may hold texts
                self.tell_embedder(info, settings)
            try:
                run = ask.run_saved(client, info, request, settings.home, report=progress, keep=so_far.append)
            except Cancelled:
                if so_far and so_far[-1].points:
                    note(f"What was measured is kept as run {so_far[-1].id}.")
                raise
        if self.json:
            print_json(as_json(run, self.bound))
        else:
            _show(run, self.bound)
        if run.unfinished:
            note(f"The target is not shown to be met: {run.unfinished}")
        met = run.recommendation is not None and run.recommendation.met
        # A run that was cut short proves nothing: no pipeline may go on by it.
        return 0 if met and not run.partial else MISSED


def as_json(run: Run, bound: float = BOUND) -> dict[str, object]:
    """The run in the shape that pipelines rely on; `recommended` is null where the target is missed."""
    recommendation = run.recommendation
    recommended = None
    if recommendation is not None and recommendation.met:
        recommended = {
            "ef_runtime": recommendation.ef_runtime,  # null for an index that is not HNSW, which has none
            "recall": round(recommendation.recall, 5),
            "low": round(recommendation.low, 5),
            "high": round(recommendation.high, 5),
        }
    return {
        "recommended": recommended,
        "curve": store.curve(run.points),
        "queries": len(run.queries),
        "k": run.request.k,
        "filter": run.request.filter,
        "source": sources.to_dict(run.request.source),
        "seed": sources.seed(run.request.source),
        "goal": run.request.goal.kind,
        "target": run.request.goal.value,
        "sentence": recommendation.sentence if recommendation else "",
        "reasons": list(recommendation.reasons) if recommendation else [],
        "unseen": None if run.beside is None else asdict(run.beside),
        "each_query": report.each_query(run, bound),
        "sample": None if run.sampled is None else {**asdict(run.sampled), "words": run.sampled.words},
        "as_asked": None if run.as_asked is None else asdict(run.as_asked),
        "shards": [
            {"ef_runtime": p.ef_runtime, **_finite(asdict(row))}
            for p in run.points
            for row in by_shard(run, p.ef_runtime)
        ],
        "notes": list(run.notes),
        "partial": run.partial,
        "run": run.id,
    }


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """NaN as null: a shard without true neighbours has no recall."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()
    }


def _show_shards(run: Run, ef_runtime: int) -> None:
    shards = by_shard(run, ef_runtime)
    rows = [
        (
            row.address,
            *(f"{n:,}" for n in (row.documents, row.neighbours, row.returned)),
            f"{row.recall:.4f}" if row.neighbours else "–",
            f"{row.low:.4f} – {row.high:.4f}" if row.neighbours else "–",
        )
        for row in shards
    ]
    head = ("shard", "documents", "true neighbours", "returned", f"recall@{run.request.k}", "interval")
    where = f" at EF_RUNTIME {ef_runtime}" if ef_runtime else ""
    print_table(f"By shard{where}", head, rows, right=range(1, 6))
    say(words(run, ef_runtime))


def _show_settings(as_asked: AsAsked) -> None:
    rows = [
        (
            each.filter,
            str(each.k),
            "the index's" if each.ef_runtime is None else str(each.ef_runtime),
            f"{each.queries:,}",
        )
        for each in as_asked.settings[:10]
    ]
    print_table("How the application asks", ("filter", "K", "EF_RUNTIME", "queries"), rows, right=(1, 2, 3))


def _show(run: Run, bound: float) -> None:
    best = run.recommendation.ef_runtime if run.recommendation else None
    rows = [
        (
            ("→ " if p.ef_runtime == best else "")
            + (str(p.ef_runtime) if p.ef_runtime else run.definition.algorithm),
            f"{p.recall:.4f}",
            f"{p.low:.4f} – {p.high:.4f}",
            *(f"{ms:.2f}" if p.calls else "–" for ms in (p.p50_ms, p.p95_ms, p.p99_ms)),
            f"{p.qps:,.0f}" if p.throughput else "–",
            f"{p.short:,}",
        )
        for p in run.points
    ]
    head = ("EF", f"recall@{run.request.k}", "interval", "p50 ms", "p95 ms", "p99 ms", "qps", "short")
    how = f", {run.sampled.words}" if run.sampled is not None else ""
    print_table(f"{run.index} on {run.target}{how}", head, rows, right=range(8))
    spreads = [spread(run, p, bound) for p in run.points]
    print_table(
        "From query to query" + (", against the reference" if run.sampled is not None else ""),
        (
            "EF_RUNTIME",
            f"recall ≥ {bound:g}",
            "all neighbours",
            "worst tenth",
            "distance ×",
            "where missed ×",
        ),
        [
            (
                str(s.ef_runtime or run.definition.algorithm),
                f"{s.reach_bound.mean:.1%}",
                f"{s.perfect.mean:.1%}",
                f"{s.worst:.3f}",
                *(
                    f"{ratio:.4f}" if math.isfinite(ratio) else "–"
                    for ratio in (s.distance_ratio, s.missed_ratio)
                ),
            )
            for s in spreads
        ],
        right=range(6),
    )
    for sentence in report.sentences(run):
        say(f"  {sentence}")
    if run.recommendation is not None:
        say(run.recommendation.sentence)
        for reason in run.recommendation.reasons:
            say(f"  {reason}")
    if run.shards and run.concluded is not None:
        _show_shards(run, run.concluded.ef_runtime)
    if run.as_asked is not None:
        say(run.as_asked.words)
        _show_settings(run.as_asked)
    for text in run.notes:
        say(f"Note: {text}")
    say(f"Queries: {run.queries.words}. Kept as run {run.id}.")
