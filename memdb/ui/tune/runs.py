"""Saved runs: the list, two or more of them overlaid, and a run as files, code and link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import bytes_text, line, markdown
from memdb.errors import MemDBError
from memdb.tuning import compare, report, store
from memdb.tuning.compare import RunComparison
from memdb.tuning.run import Run
from memdb.tuning.source import Documents, Repeated, Unseen
from memdb.tuning.store import ListedRun
from memdb.ui.kit import cached, charts, kept_runs, parts, role, state
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune import figures
from memdb.ui.tune.views import RunView, curve_of, filtered_plan, frame_of, run_name
from memdb.vectors.query import KnnRequest, knn_command, vector_param

OPEN = "recall.open"  # a run to be shown from the next script run on


def runs_view(run_view: RunView | None) -> None:
    """The list of saved runs; chosen ones are compared."""
    stored = tune_cached.listed(cached.home())
    if not stored:
        parts.empty("No saved run yet", "A sweep is saved when it ends.", ":material/history:")
        return
    st.caption("Choose one to open or delete it, two or more to compare them.")
    digest = f"{len(stored)}.{stored[0].id}"
    event = st.dataframe(
        list_frame(stored),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"recall.runs.{digest}",
        height=min(330, 38 + 35 * len(stored)),
        placeholder="–",
        column_config={
            "index": st.column_config.TextColumn(width=200),
            "recall": st.column_config.NumberColumn(format="%.4f", width=70),
            "target met": st.column_config.TextColumn(width=85),
            "EF": st.column_config.NumberColumn(format="%d", width=60),
            "k": st.column_config.NumberColumn(width=40),
        },
    )
    rows = [r for r in event.get("selection", {}).get("rows", []) if r < len(stored)]
    chosen = [stored[row] for row in rows]
    if len(chosen) == 1:
        kept_runs.open_or_delete("run", chosen[0], open_run, _delete, key="recall.runs")
    elif len(chosen) > 1:
        comparison([tune_cached.saved(entry.id) for entry in chosen[: figures.CURVES]], key="recall.compare")
    elif run_view is not None:
        st.caption(f"Open now: {markdown(run_name(run_view.run))}.")


def comparison(runs: Sequence[Run], *, key: str, names: Sequence[str] = ()) -> None:
    """Curves overlaid, and each against the first as differences with intervals."""
    names = names or unique_names(runs)
    goal = runs[0].request.goal
    st.markdown("###### Curves")
    st.plotly_chart(
        figures.recall_curve(
            [curve_of(run, name) for run, name in zip(runs, names, strict=True)],
            target=goal.value if goal.kind == "recall" else None,
            dark=state.dark(),
        ),
        key=f"{key}.curves",
        config=charts.PLAIN,
        alt="Recall curves of the runs, overlaid",
    )
    for i, other in enumerate(runs[1:], 1):
        compared = compare.compare(other, runs[0])
        st.markdown(f"###### {markdown(names[i])} less {markdown(names[0])}")
        st.caption(f"{markdown(compared.words)} Intervals at {compared.confidence * 100:g} % confidence.")
        if not compared.rows:
            continue
        st.plotly_chart(
            figures.differences(
                [d.ef_runtime for d in compared.rows],
                [d.difference for d in compared.rows],
                [d.low for d in compared.rows],
                [d.high for d in compared.rows],
                confidence=compared.confidence,
                dark=state.dark(),
            ),
            key=f"{key}.differences.{i}",
            config=charts.PLAIN,
            alt="Difference in recall by EF_RUNTIME",
        )
        frame = difference_frame(compared)
        st.dataframe(
            frame,
            hide_index=True,
            key=f"{key}.table.{i}",
            placeholder="–",
            column_config={
                **{c: st.column_config.NumberColumn(format="%.4f") for c in ("first", "second")},
                **{c: st.column_config.NumberColumn(format="%+.4f") for c in ("difference", "low", "high")},
                "p50 ms": st.column_config.NumberColumn(format="%+.2f"),
            },
        )
        about = {"first": report.about(other), "second": report.about(runs[0]), "paired": compared.paired}
        parts.export(frame, "comparison", about, key=f"{key}.export.{i}")


def files_view(run_view: RunView) -> None:
    """The run as files, as a command, as code, as a link."""
    run = run_view.run
    st.markdown("###### Files")
    which = st.segmented_control(
        "Table",
        ["Curve", "Each query"],
        default="Curve",
        required=True,
        key="recall.files.table",
        label_visibility="collapsed",
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        frame = report.curve_frame(run) if which == "Curve" else report.queries_frame(run)
        name = "recall" if which == "Curve" else "recall-queries"
        parts.export(frame, name, report.about(run), key="recall.files")
        st.download_button(
            "HTML report",
            lambda: report.html_report(run, commands=_commands(run_view), plan=filtered_plan(run_view)),
            file_name=f"recall-{line(run.id, 80)}.html",
            mime="text/html",
            icon=":material/description:",
            on_click="ignore",
            key="recall.files.report",
            help="One file with curve, settings, worst queries and commands; it loads nothing.",
        )
    st.text_input(
        "Name of this run",
        value=run.title,
        key=f"recall.title.{run.id}",
        on_change=_rename,
        args=(run.id,),
        placeholder=line(run_name(run)),
        max_chars=120,
        disabled=role.locked(),
    )
    st.markdown("###### The same on the command line")
    again = report.command_line(run)
    for limit in again.limits:
        st.caption(f":material/info: {markdown(limit, 400)}")
    if again.command:
        parts.code_block(again.command, "bash")
        st.caption("It exits with 1 when the target is missed, so that a pipeline can guard an index.")
    for what, command in _commands(run_view):
        st.markdown(f"###### {markdown(what)}")
        parts.code_block(command, "bash")
    st.markdown("###### With this library")
    parts.code_block(library_code(run_view), "python")
    st.markdown("###### Link to this run")
    address = (st.context.url or "").split("?")[0]
    parts.code_block(
        f"{address}?{urlencode({state.INDEX: state.index_in_link(run.index), 'recall.run': run.id})}"
    )
    st.caption(
        f"It opens where the same runs are kept. Run {markdown(run.id)}, fingerprint of the "
        f"index {markdown(run.fingerprint)}, queries {markdown(run.queries.digest)}."
    )


def list_frame(stored: Sequence[ListedRun]) -> pd.DataFrame:
    """Saved runs as rows."""
    return frame_of(
        [
            {
                "when": entry.started[:16].replace("T", " "),
                "index": line(entry.index, 80),
                "EF": entry.recommendation.ef_runtime if entry.recommendation else None,
                "recall": entry.recommendation.recall if entry.recommendation else None,
                "target met": "–"
                if entry.recommendation is None
                else "met"
                if entry.recommendation.met
                else "missed",
                "goal": entry.goal.words(entry.k),
                "name": line(entry.title, 80),
                "documents": entry.sampled.words if entry.sampled else "all",
                "k": entry.k,
                "filter": line(entry.filter, 80),
                "queries": entry.queries,
                "state": "partial" if entry.partial else "complete",
                "size": bytes_text(entry.size_bytes),
            }
            for entry in stored
        ]
    )


def difference_frame(compared: RunComparison) -> pd.DataFrame:
    """A comparison as rows."""
    return pd.DataFrame(
        {
            "EF_RUNTIME": [d.ef_runtime for d in compared.rows],
            "first": [d.first for d in compared.rows],
            "second": [d.second for d in compared.rows],
            "difference": [d.difference for d in compared.rows],
            "low": [d.low for d in compared.rows],
            "high": [d.high for d in compared.rows],
            "p50 ms": [d.p50_ms for d in compared.rows],
            "verdict": ["clear" if d.clear else "may be chance" for d in compared.rows],
        }
    )


def unique_names(runs: Sequence[Run]) -> list[str]:
    """A name for each run, numbered where two would be the same."""
    names = [run_name(run) for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]


def open_run(run_id: str) -> None:
    """A callback: show this run, in its curve."""
    st.session_state[OPEN] = run_id
    st.session_state["recall.view"] = "Curve"


def library_code(run_view: RunView) -> str:
    """The same sweep with this library, ready to run."""
    run, request = run_view.run, run_view.run.request
    # What would be long, or is kept nowhere else, is asked again out of the run.
    drawn = isinstance(request.source, Unseen | Documents)
    source = request.source if drawn else Repeated(run.id)
    changed = [
        f"    {name}={value!r},"
        for name, value in (
            ("field", request.field),
            ("k", request.k),
            ("filter", request.filter),
            ("filter_params", request.filter_params),
            ("ef_min", request.ef_min),
            ("ef_max", request.ef_max),
            ("goal", request.goal),
            ("source", source),
            ("concurrency", request.concurrency),
            ("budget_qps", request.budget_qps),
            *((("sample", request.sample),) if request.sample is not None else ()),
        )
    ]
    user = "" if not run_view.target.username else "  # user and password: MEMDB_URL, MEMDB_PASSWORD"
    body = "\n".join(changed)
    return f"""import os

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.settings import Settings
from memdb.tuning.ask import recall
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.source import {type(source).__name__}
from memdb.vectors.index import index_info

request = SweepRequest(
    {run.index!r},
{body}
)
target = Target.parse({run_view.target.address!r}, password=os.environ.get("MEMDB_PASSWORD", "")){user}
with connect(target) as client:
    info = index_info(client, request.index)
    run = recall(client, info, request, home=Settings.from_env().home)
print(run.recommendation.sentence)
for point in run.points:
    print(f"EF {{point.ef_runtime:5d}}  recall {{point.recall:.4f}}  {{point.low:.4f}} to {{point.high:.4f}}")
"""


def _commands(run_view: RunView) -> list[tuple[str, str]]:
    """The search with the recommended setting."""
    run, info = run_view.run, run_view.info
    best = run.recommendation.ef_runtime if run.recommendation else None
    if info is None or not best or not len(run.queries):
        return []
    request = KnnRequest(
        run.index,
        vector_param(np.asarray(run.queries.vectors[0])),
        run.request.field,
        run.request.k,
        best,
        run.request.condition,
    )
    try:
        command = knn_command(request, info, cached.server(run_view.target).dialect)
    except MemDBError:
        return []
    return [("A search with the recommended setting", command.redis_cli(run_view.target))]


@role.changes
def _rename(run_id: str) -> None:
    title = str(st.session_state.get(f"recall.title.{run_id}", "")).strip()
    try:
        store.save(replace(tune_cached.saved(run_id), title=title), cached.home())
    except MemDBError as exc:
        st.toast(markdown(exc.full()))
    tune_cached.forget()


@role.changes
def _delete(run_id: str) -> None:
    store.delete(cached.home(), run_id)
    tune_cached.forget()
    if st.session_state.get("recall.run") == run_id:
        st.session_state["recall.run"] = None
