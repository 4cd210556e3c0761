"""`memdb recall`: the cheapest EF_RUNTIME that meets a target; exit status 1 where none does."""

from __future__ import annotations

import argparse
from pathlib import Path

from memdb.cli.output import Bar, print_json, print_table
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.errors import BadInput
from memdb.jobs import Report
from memdb.settings import Settings
from memdb.tuning import queries, store
from memdb.tuning.run import Goal, Queries, Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors.index import IndexInfo, index_info

MISSED = 1


def recall(found: argparse.Namespace) -> int:
    """Measure, keep the run, print it."""
    settings = Settings.from_env()
    request = SweepRequest(
        index=found.index,
        field=found.field,
        k=found.k,
        filter=found.filter,
        ef_min=found.ef_min,
        ef_max=found.ef_max,
        goal=Goal("recall", found.target, found.confidence),
        seed=found.seed,
        concurrency=(found.clients,) if found.clients else (),
        budget_qps=found.budget,
    )
    target = find_target(settings, found.url)
    with connect(target) as client, Bar() as bar:
        info = index_info(client, found.index)

        def documents(number: int) -> Queries:
            return queries.random_documents(
                client, info, request.field, number, request.seed, request.condition, report=bar.report
            )

        given = found.queries.replace(",", "").replace("_", "")
        if given.isdigit() or not given:
            asked = documents(int(given or request.queries))
        else:
            asked = _from_file(info, request, found.queries, bar.report)
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
    if found.json:
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
            "ef_runtime": made.ef_runtime,  # null for a FLAT index, which has none
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
            "Give a number of random documents, or the path of a .npy, .parquet, .csv or .jsonl file.",
        ) from None
    return queries.from_file(path.name, content, info, request.field, report=report)


def _show(run: Run) -> None:
    best = run.recommendation.ef_runtime if run.recommendation else None
    rows = [
        (
            ("→ " if p.ef_runtime == best else "") + (str(p.ef_runtime) if p.ef_runtime else "FLAT"),
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
