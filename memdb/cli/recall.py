"""`memdb recall`: the cheapest EF_RUNTIME that meets a target; exit status 1 where none does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memdb.cli.arguments import OnIndex, count, share
from memdb.cli.options import option
from memdb.cli.output import Bar, print_json, print_table
from memdb.cluster.client import connect
from memdb.errors import BadInput
from memdb.jobs import Report
from memdb.settings import Settings
from memdb.tuning import queries, store
from memdb.tuning.run import Goal, Queries, Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors.index import IndexInfo, index_info

MISSED = 1


@dataclass(frozen=True, kw_only=True)
class Recall(OnIndex):
    """`memdb recall`."""

    target: float = option("--target", default=0.95, type=share, metavar="R", help="recall@k")
    confidence: float = option("--confidence", default=0.95, type=share, metavar="C")
    k: int = option("--k", default=10, type=count(1), metavar="N", help="neighbours")
    queries: str = option(
        "--queries",
        default="",
        metavar="FILE|N",
        help="N random documents, or a .npy, .parquet, .csv, .json or .jsonl of vectors or texts "
        "(default: 1,000 documents, and 4,000 where these leave the answer open)",
    )
    ef_min: int = option("--ef-min", default=10, type=count(1), metavar="N")
    ef_max: int = option("--ef-max", default=512, type=count(1), metavar="N")
    seed: int = option("--seed", default=0, type=count(0), metavar="N", help="of the choice")
    clients: int = option(
        "--clients", default=8, type=count(0), metavar="N", help="at once, for qps; 0 for none"
    )
    budget: int | None = option(
        "--budget", type=count(1), metavar="QPS", help="at most so many queries a second"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Measure, keep the run, print it."""
        settings = Settings.from_env()
        request = SweepRequest(
            index=self.index,
            field=self.field,
            k=self.k,
            filter=self.filter,
            ef_min=self.ef_min,
            ef_max=self.ef_max,
            goal=Goal("recall", self.target, self.confidence),
            seed=self.seed,
            concurrency=(self.clients,) if self.clients else (),
            budget_qps=self.budget,
        )
        target = self.find(settings)
        with connect(target) as client, Bar() as bar:
            info = index_info(client, self.index)

            def documents(number: int) -> Queries:
                return queries.random_documents(
                    client, info, request.field, number, request.seed, request.condition, report=bar.report
                )

            given = self.queries.replace(",", "").replace("_", "")
            if given.isdigit() or not given:
                asked = documents(int(given or request.queries))
            else:
                asked = _from_file(info, request, self.queries, bar.report)
            run = sweep(
                client,
                info,
                request,
                asked,
                report=bar.report,
                home=settings.home,
                more=None if given else documents,  # a number that was asked for is kept to
            )
        store.save(run, settings.home)
        if self.json:
            print_json(as_json(run))
        else:
            _show(run)
        met = run.recommendation is not None and run.recommendation.met
        # A run that was cut short proves nothing: a pipeline must not go on because of it.
        return 0 if met and not run.partial else MISSED


def as_json(run: Run) -> dict[str, object]:
    """The run in the shape that pipelines rely on; `recommended` is null where the target is missed."""
    made = run.recommendation
    recommended = None
    if made is not None and made.met:
        recommended = {
            "ef_runtime": made.ef_runtime,  # null for an index that is not HNSW, which has none
            "recall": round(made.recall, 5),
            "low": round(made.low, 5),
            "high": round(made.high, 5),
        }
    return {
        "recommended": recommended,
        "curve": store.curve(run.points),
        "queries": len(run.queries),
        "k": run.request.k,
        "filter": run.request.filter,
        "seed": run.request.seed,
        "target": run.request.goal.value,
        "sentence": made.sentence if made else "",
        "reasons": list(made.reasons) if made else [],
        "notes": list(run.notes),
        "partial": run.partial,
        "run": run.id,
    }


def _from_file(info: IndexInfo, request: SweepRequest, given: str, report: Report) -> Queries:
    path = Path(given).expanduser()
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise BadInput(
            f"The file of queries '{given}' cannot be read: {exc.strerror}.",
            "Give a number of random documents, or the path of a .npy, .parquet, .csv, .json or .jsonl file.",
        ) from None
    return queries.from_file(path.name, content, info, request.field, report=report)


def _show(run: Run) -> None:
    best = run.recommendation.ef_runtime if run.recommendation else None
    rows = [
        (
            ("→ " if p.ef_runtime == best else "")
            + (str(p.ef_runtime) if p.ef_runtime else run.definition.algorithm),
            f"{p.recall:.4f}",
            f"{p.low:.4f} – {p.high:.4f}",
            *(f"{ms:.2f}" for ms in (p.p50_ms, p.p95_ms, p.p99_ms)),
            f"{p.qps:,.0f}",
            f"{p.short:,}",
        )
        for p in run.points
    ]
    head = ("EF_RUNTIME", f"recall@{run.request.k}", "interval", "p50 ms", "p95 ms", "p99 ms", "qps", "short")
    print_table(f"{run.index} on {run.target}", head, rows, right=range(8))
    if run.recommendation is not None:
        print(run.recommendation.sentence)
        for reason in run.recommendation.reasons:
            print(f"  {reason}")
    for note in run.notes:
        print(f"Note: {note}")
    print(f"Queries: {run.queries.origin}. Kept as run {run.id}.")
