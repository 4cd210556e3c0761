"""A run for others: tables for export, the command that repeats it, and one HTML file without any dependency.

The report holds no script and loads nothing: a drawing of ours in SVG, a style sheet, escaped text.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from memdb.display import line
from memdb.errors import BadInput
from memdb.tuning import misses
from memdb.tuning.by_shard import ShardRecall, by_shard
from memdb.tuning.by_shard import words as shard_words
from memdb.tuning.drawing import RIGHT, STYLE, WIDTH, Plot, escaped
from memdb.tuning.plan import QueryPlan
from memdb.tuning.run import CONCURRENCY, AsAsked, Goal, Run
from memdb.tuning.source import COUNT, Documents, File, Unseen
from memdb.tuning.spread import BOUND, needs, spread, two_stage
from memdb.tuning.store import no_nan, to_dict

WORST_SHOWN = 25


def curve_frame(run: Run, bound: float = BOUND) -> pd.DataFrame:
    """The curve, a row for each EF_RUNTIME. Latency in milliseconds, qps at the largest concurrency.

    Args:
        run: finished or partial.
        bound: recall of a query; `at_least` is the share of the queries that reach it.
    """
    spreads = [spread(run, p, bound) for p in run.points]
    estimated = (
        {}
        if run.sampled is None
        else {
            "reference": [p.estimate.reference.mean if p.estimate else math.nan for p in run.points],
            "unseen": [p.estimate.unseen.mean if p.estimate else math.nan for p in run.points],
            "unseen_high": [p.estimate.unseen.high if p.estimate else math.nan for p in run.points],
        }
    )
    return pd.DataFrame(
        {
            "ef_runtime": [p.ef_runtime for p in run.points],
            "recall": [p.recall for p in run.points],
            "low": [p.low for p in run.points],
            "high": [p.high for p in run.points],
            "p50_ms": [p.p50_ms for p in run.points],
            "p95_ms": [p.p95_ms for p in run.points],
            "p99_ms": [p.p99_ms for p in run.points],
            "qps": [p.qps for p in run.points],
            "short": [p.short for p in run.points],
            "calls": [p.calls for p in run.points],
            "at_least": [s.reach_bound.mean for s in spreads],
            "perfect": [s.perfect.mean for s in spreads],
            "worst_tenth": [s.worst for s in spreads],
            "distance_ratio": [s.distance_ratio for s in spreads],
            "missed_ratio": [s.missed_ratio for s in spreads],
            **estimated,
        }
    )


def each_query(run: Run, bound: float = BOUND) -> dict[str, Any]:
    """How recall differs between the queries, as JSON takes it; see `memdb.tuning.spread`."""
    needed, twice = needs(run), two_stage(run)
    columns: dict[str, Any] = no_nan(
        {
            "of": "the reference" if run.sampled is not None else "the exact answer",
            "spread": [asdict(spread(run, p, bound)) for p in run.points],
            "needs": asdict(needed) if needed else None,
            "two_stage": {**asdict(twice), "gains": twice.gains} if twice else None,
            "sentences": list(sentences(run)),
        }
    )
    return columns


def sentences(run: Run) -> tuple[str, ...]:
    """What the EF each query needs and asking twice come to."""
    needed, twice = needs(run), two_stage(run)
    added = (*(needed.words if needed else ()), *((twice.words,) if twice else ()))
    if added and run.sampled is not None:
        added = (*added, "All of this is against the reference, of which the sample shows what it misses.")
    return added


def shards_frame(run: Run) -> pd.DataFrame:
    """Recall of each shard at each EF_RUNTIME; without rows where the index is not spread over several."""
    rows = [
        {"ef_runtime": point.ef_runtime, **asdict(row)}
        for point in run.points
        for row in by_shard(run, point.ef_runtime)
    ]
    columns = ["ef_runtime", *(field.name for field in fields(ShardRecall))]
    return pd.DataFrame(rows, columns=columns)


def queries_frame(run: Run) -> pd.DataFrame:
    """Recall of each query at each EF_RUNTIME, a row for each query."""
    columns: dict[str, object] = {
        "query": [line(label, 300) for label in run.queries.labels],
        "true neighbours": [len(keys) for keys in run.truth.keys],
        "k-th distance": [
            float(row[len(keys) - 1]) if keys else math.nan
            for keys, row in zip(run.truth.keys, run.truth.distances, strict=True)
        ],
    }
    columns |= {f"recall at EF {p.ef_runtime}": p.recalls.astype(np.float64) for p in run.points}
    return pd.DataFrame(columns)


def worst_frame(worst: Sequence[misses.Miss]) -> pd.DataFrame:
    """Queries that miss something, in the order given."""
    return pd.DataFrame(
        {
            "query": [line(m.label, 300) for m in worst],
            "recall": [m.recall for m in worst],
            "missed": [len(m.missed) for m in worst],
            "nearest missed": pd.array([m.nearest_missed for m in worst], dtype="Int64"),
            "excess": [m.excess for m in worst],
            "short": [m.short for m in worst],
            "found by EF": pd.array([m.found_by for m in worst], dtype="Int64"),
        }
    )


def about(run: Run) -> dict[str, object]:
    """What made a run: goes into every exported file."""
    facts = to_dict(run)
    return {name: value for name, value in facts.items() if name != "points"}


@dataclass(frozen=True, slots=True)
class Repeat:
    """A command that repeats a run."""

    command: str  # empty where no command can
    limits: tuple[str, ...]  # sentences: where it works only, or why there is none


def command_line(run: Run) -> Repeat:
    """`memdb recall …` that repeats a run, for a shell or a pipeline."""
    request, goal = run.request, run.request.goal
    if request.filter_params:
        named = ", ".join(f"${name}" for name, _ in request.filter_params)
        return Repeat("", (f"The filter has parameters ({named}): it can be repeated only from Python.",))
    words = ["memdb", "recall", "--index", request.index]
    words += ["--target" if goal.kind == "recall" else "--p99", repr(goal.value)]
    words += ["--confidence", repr(goal.confidence)] if goal.confidence != Goal().confidence else []
    words += ["--k", str(request.k)]
    words += ["--field", request.field] if request.field else []
    words += ["--filter", request.filter] if request.filter not in ("", "*") else []
    queries_words, limits = _queries_words(run)
    words += [*queries_words, "--ef-min", str(request.ef_min), "--ef-max", str(request.ef_max)]
    if request.sample is not None:
        words += ["--sample", str(request.sample)]
    if request.budget_qps is not None:
        words += ["--budget", f"{request.budget_qps:g}"]
    elif request.concurrency != (CONCURRENCY,):
        words += ["--clients", str(max(request.concurrency, default=0))]
    return Repeat(shlex.join([*words, "--json"]), tuple(limits))


def _queries_words(run: Run) -> tuple[list[str], list[str]]:
    source = run.request.source
    match source:
        case Unseen(count=count, seed=seed, extend=extend) | Documents(count=count, seed=seed, extend=extend):
            words = ["--documents"] if isinstance(source, Documents) else []
            words += [] if extend and count == COUNT else ["--queries", str(count)]
            return [*words, "--seed", str(seed)], []
        case File(path=path) if path:
            return ["--queries", path], []
    where = "The queries are taken from this run: it works where that is kept (MEMDB_HOME)."
    return ["--queries", f"run:{run.id}"], [where]


def html_report(
    run: Run, *, commands: Sequence[tuple[str, str]] = (), plan: QueryPlan | None = None
) -> bytes:
    """The whole run as one HTML file, readable without a network, light and dark.

    Args:
        run: finished or partial.
        commands: (what it is, the command) to show beside the one that repeats the run.
        plan: how the engine ran the filter, where it was asked.
    """
    request, goal = run.request, run.request.goal
    title = f"Recall of {line(run.index)}"
    try:
        ef = misses.default_ef(run)
        worst: tuple[misses.Miss, ...] = misses.worst(run, ef, WORST_SHOWN)
    except BadInput:  # nothing was measured yet
        ef, worst = 0, ()
    verdict = run.recommendation
    plan_words = plan.words if plan is not None else ""  # told once, beside where it was read
    mark = "" if verdict is None else ("met" if verdict.met else "missed")
    where = f"{escaped(run.started)} · {escaped(run.target)} · {escaped(run.engine)}"
    body = [f"<h1>{escaped(title)}</h1>", f"<p class=quiet>{where}</p>"]
    if run.title:
        body.append(f"<p>{escaped(run.title)}</p>")
    if run.partial:
        body.append(
            "<p class=note>This run was ended before it was complete; what it had measured is here.</p>"
        )
    if verdict is not None:
        body.append(f'<p class="verdict {mark}">{escaped(verdict.sentence)}</p>')
        body.append(
            "".join(f"<p>{escaped(reason)}</p>" for reason in verdict.reasons if reason != plan_words)
        )
    if run.sampled is not None:
        body.append(f"<p class=note>Recall here is {escaped(run.sampled.words)} of the documents.</p>")
    body += [f"<p class=note>{escaped(note)}</p>" for note in run.notes if note != plan_words]
    if plan is not None:
        plan_html = f"{escaped(plan.words)} <span class=quiet>({escaped(plan.source)})</span>"
        body.append(f"<p><b>How the engine ran it:</b> {plan_html}</p>")
    best = verdict.ef_runtime if verdict is not None else None
    if run.points:
        level = goal.value if goal.kind == "recall" else None
        body.append(f"<h2>Recall@{request.k}</h2>" + _recall_svg(run, level, best))
        if any(math.isfinite(p.p50_ms) for p in run.points):
            limit = goal.value if goal.kind == "p99_ms" else None
            body.append("<h2>Latency of one call</h2>" + _latency_svg(run, limit, best))
        body.append("<h2>The curve</h2>" + _curve_table(run, best))
    if run.shards and run.points:
        ef_shown = best if best is not None else ef
        shards = by_shard(run, ef_shown)
        body.append(f"<h2>By shard at EF {ef_shown}</h2><p>{escaped(shard_words(run, ef_shown))}</p>")
        body.append(_shards_table(shards))
    if said_more := sentences(run):
        body.append("<h2>From query to query</h2>" + _spread_table(run))
        body += [f"<p>{escaped(sentence)}</p>" for sentence in said_more]
    if run.as_asked is not None:
        plan_html = escaped(run.as_asked.words)
        body.append(f"<h2>As the application asks</h2><p>{plan_html}</p>" + _asked_table(run.as_asked))
    if worst:
        body.append(f"<h2>Worst queries at EF {ef}</h2>" + _worst_table(worst))
    body.append("<h2>What was measured</h2>" + _settings(run))
    again = command_line(run)
    body.append("<h2>To repeat it</h2>")
    body += [_pre("This run, on the command line", again.command)] if again.command else []
    body += [f"<p class=quiet>{escaped(limit)}</p>" for limit in again.limits]
    body += [_pre(what, text) for what, text in commands]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head><body>{''.join(body)}</body></html>"
    )
    return page.encode("utf-8")


def _recall_svg(run: Run, target: float | None, best: int | None) -> str:
    efs = [p.ef_runtime for p in run.points]
    floor = min([p.low for p in run.points] + ([target] if target is not None else []))
    plot = Plot(efs, max(0.0, floor - (1 - floor) * 0.1), 1.0)
    plot.band([(p.ef_runtime, p.low, p.high) for p in run.points])
    if target is not None:
        plot.target(target, f"target {target:g}")
    if best:
        plot.best(best)
    plot.line([(p.ef_runtime, p.recall) for p in run.points], "50")
    return plot.svg("Recall by EF_RUNTIME with its interval; the table below holds the numbers")


def _latency_svg(run: Run, target: float | None, best: int | None) -> str:
    points = [p for p in run.points if math.isfinite(p.p50_ms)]
    top = max([p.p99_ms for p in points] + ([target] if target is not None else []))
    plot = Plot([p.ef_runtime for p in points], 0.0, top * 1.05)
    if target is not None:
        plot.target(target, f"target {target:g} ms")
    if best and any(p.ef_runtime == best for p in points):
        plot.best(best)
    for name in ("50", "95", "99"):
        values = [getattr(p, f"p{name}_ms") for p in points]
        plot.line([(p.ef_runtime, v) for p, v in zip(points, values, strict=True)], name)
        plot.text(WIDTH - RIGHT, plot.y(values[-1]) - 8, f"p{name}", "end", strong=True)
    return plot.svg("Latency percentiles by EF_RUNTIME; the table below holds the numbers")


def _curve_table(run: Run, best: int | None) -> str:
    heads = (
        "EF_RUNTIME",
        f"recall@{run.request.k}",
        "low",
        "high",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "calls/s",
        "short",
    )
    rows = []
    for point in run.points:
        cells = [
            str(point.ef_runtime or run.definition.algorithm),
            *(f"{v:.4f}" for v in (point.recall, point.low, point.high)),
        ]
        cells += [_number(v, ".2f") for v in (point.p50_ms, point.p95_ms, point.p99_ms)]
        cells += [_number(point.qps, ",.0f"), f"{point.short:,}"]
        rows.append((cells, point.ef_runtime == best))
    return _table(heads, rows)


def _spread_table(run: Run) -> str:
    heads = (
        "EF_RUNTIME",
        f"recall ≥ {BOUND:g}",
        "all neighbours",
        "worst tenth",
        "distance ×",
        "where missed ×",
    )
    rows = []
    for point in run.points:
        measured = spread(run, point)
        cells = [str(point.ef_runtime or run.definition.algorithm)]
        cells += [f"{share:.1%}" for share in (measured.reach_bound.mean, measured.perfect.mean)]
        cells += [
            f"{measured.worst:.3f}",
            _number(measured.distance_ratio, ".4f"),
            _number(measured.missed_ratio, ".4f"),
        ]
        rows.append((cells, False))
    return _table(heads, rows)


def _shards_table(rows: Sequence[ShardRecall]) -> str:
    heads = ("shard", "documents", "true neighbours", "returned", "recall", "low", "high")
    cells = [
        (
            [
                line(row.address),
                *(f"{n:,}" for n in (row.documents, row.neighbours, row.returned)),
                *(_number(v, ".4f") for v in (row.recall, row.low, row.high)),
            ],
            False,
        )
        for row in rows
    ]
    return _table(heads, cells)


def _asked_table(as_asked: AsAsked) -> str:
    heads = ("filter", "K", "EF_RUNTIME", "queries")
    cells = [
        (
            [
                line(each.filter, 200),
                f"{each.k:,}",
                f"{each.ef_runtime or 'the index’s own'}",
                f"{each.queries:,}",
            ],
            False,
        )
        for each in as_asked.settings
    ]
    return _table(heads, cells)


def _worst_table(worst: Sequence[misses.Miss]) -> str:
    heads = ("query", "recall", "missed", "nearest missed", "excess", "found by EF")
    rows = [
        (
            [
                line(m.label, 160),
                f"{m.recall:.2f}",
                str(len(m.missed)),
                str(m.nearest_missed or "–"),
                f"{m.excess:.1%}",
                str(m.found_by or "none"),
            ],
            False,
        )
        for m in worst
    ]
    return _table(heads, rows)


def _settings(run: Run) -> str:
    request, kind = run.request, run.definition
    build = f"{kind.algorithm}, {kind.metric}, {kind.dim} × {kind.type}"
    if kind.m is not None:
        build += f", M {kind.m}, EF_CONSTRUCTION {kind.ef_construction}"
    truth = f"{run.truth.looked_at:,} documents compared with each query"
    if run.sampled is not None:
        truth = run.sampled.reference_words
    rows = (
        ("goal", request.goal.words(request.k)),
        ("index", f"{run.index} ({run.documents:,} documents)"),
        ("definition", build),
        ("filter", request.filter + "".join(f"  ${name} = {value}" for name, value in request.filter_params)),
        ("queries", run.queries.words),
        ("EF_RUNTIME", f"{request.ef_min} to {request.ef_max}"),
        ("truth", truth),
        ("index fingerprint", run.fingerprint),
        ("queries' digest", run.queries.digest),
        ("run", run.id),
        ("took", f"{run.took_s:.1f} s"),
        ("memdb", run.memdb_version),
    )
    return (
        "<table>"
        + "".join(f"<tr><td>{escaped(a)}</td><td>{escaped(b)}</td></tr>" for a, b in rows)
        + "</table>"
    )


def _table(heads: Sequence[str], rows: Sequence[tuple[Sequence[str], bool]]) -> str:
    head = "".join(f"<th>{escaped(h)}</th>" for h in heads)
    lines = [
        f"<tr{' class=best' if best else ''}>" + "".join(f"<td>{escaped(c)}</td>" for c in cells) + "</tr>"
        for cells, best in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _pre(what: str, text: str) -> str:
    return f"<p class=quiet>{escaped(what)}</p><pre>{escape(text)}</pre>"


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"
