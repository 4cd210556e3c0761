"""The Recall page's right side: one run in several views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import duration, line, markdown
from memdb.errors import MemDBError
from memdb.tuning import report
from memdb.tuning.plan import QueryPlan
from memdb.tuning.run import EfPoint, Goal, Recommendation, Run
from memdb.tuning.spread import BOUND
from memdb.ui import frame
from memdb.ui.kit import charts, state
from memdb.ui.tune import cached as tune_cached
from memdb.ui.tune import figures
from memdb.ui.tune.figures import Curve, Times
from memdb.vectors.index import IndexInfo, without_ef
from memdb.vectors.query import KnnRequest, vector_param

# Pages that ask with an EF_RUNTIME, and the K that each takes at most.
_USES = (
    ("search", "Search", ":material/search:", 100_000),
    ("assistant", "Assistant", ":material/assistant:", 20),
    ("map", "Map", ":material/scatter_plot:", 100),
)


SPREAD_COLUMNS = {
    "at_least": st.column_config.NumberColumn(
        f"recall ≥ {BOUND:g}", format="percent", help="Share of the queries with at least this recall."
    ),
    "perfect": st.column_config.NumberColumn(
        "all neighbours", format="percent", help="Share of the queries with all their neighbours."
    ),
    "worst_tenth": st.column_config.NumberColumn(
        "worst tenth", format="%.3f", help="Mean recall of the worst tenth of the queries."
    ),
    "distance_ratio": st.column_config.NumberColumn(
        "distance ×", format="%.4f", help="Returned by exact distances, 1 at best; none for inner products."
    ),
    "missed_ratio": st.column_config.NumberColumn(
        "where missed ×", format="%.4f", help="The same over the queries that miss a neighbour."
    ),
    "reference": st.column_config.NumberColumn(
        "of the reference", format="%.4f", help="Share of the reference's answer that was returned: measured."
    ),
    "unseen": st.column_config.NumberColumn(
        "unseen",
        format="%.4f",
        help="What the reference itself misses takes away: estimated from the sample.",
    ),
    "unseen_high": st.column_config.NumberColumn(
        "unseen at most", format="%.4f", help="The upper end of its interval."
    ),
}

# Shown by "Each query" in a table of its own: the curve's table would be wider than a small window.
EACH_QUERY = ("at_least", "perfect", "worst_tenth", "distance_ratio", "missed_ratio")


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with what all views need beside it; the index as it is now, None where it is gone."""

    target: Target
    info: IndexInfo | None
    run: Run


def headline(run_view: RunView) -> None:
    """The sentence, what it rests on, and anything that went otherwise."""
    run = run_view.run
    verdict = run.recommendation
    how = filtered_plan(run_view)
    plan_words = how.words if how is not None else ""  # told once, beside where it was read
    if verdict is not None:
        icon = ":material/check_circle:" if verdict.met else ":material/cancel:"
        (st.success if verdict.met else st.warning)(
            "\n\n".join(markdown(reason) for reason in verdict.reasons if reason != plan_words) or "–",
            title=markdown(verdict.sentence),
            icon=icon,
        )
    if run.sampled is not None:
        st.caption(f":material/casino: Recall here is {markdown(run.sampled.words)} of the documents.")
    if run.partial:
        st.info(
            "This run was ended before it was complete; what it had measured is here.",
            icon=":material/timelapse:",
        )
    for note in run.notes:
        if note != plan_words:
            st.warning(markdown(note), icon=":material/info:")
    _plan_words(how)
    _changed(run_view)


def facts(run: Run) -> None:
    """The numbers of the setting that the conclusion is about."""
    point = run.concluded
    if point is None:
        return
    with st.container(horizontal=True):
        st.metric("EF_RUNTIME", point.ef_runtime or "none", help="Of the numbers beside it.")
        st.metric(
            f"recall@{run.request.k}" + (", estimated" if run.sampled is not None else ""),
            f"{point.recall:.3f}",
            help=f"{run.request.goal.confidence * 100:g} % interval: {point.low:.4f} to {point.high:.4f}, "
            f"{len(run.queries):,} queries.",
        )
        if math.isfinite(point.p50_ms):
            st.metric("p50", f"{point.p50_ms:.2f} ms", help="Sequential calls, wall time at this app.")
            st.metric("p99", f"{point.p99_ms:.2f} ms")
        if math.isfinite(point.qps):
            st.metric("calls a second", f"{point.qps:,.0f}", help=_clients(point))


def use_ef(run_view: RunView) -> None:
    """The recommended setting carried to the pages that ask with one, and to the code."""
    run = run_view.run
    best = run.recommendation.ef_runtime if run.recommendation else None
    if not best or run_view.info is None:
        return
    request = run.request
    written = request.filter not in ("", "*") and not request.filter_params
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"Use EF\\_RUNTIME {best} in")
        for address, name, icon, most in _USES:
            query = {
                state.INDEX: state.index_in_link(run.index),
                f"{address}.ef": str(best),
                f"{address}.k": str(min(request.k, most)),
            }
            if written and address != "map":  # a map is drawn of the documents it was made from
                query[f"{address}.raw"] = request.filter
            st.page_link(frame.link(address), label=name, icon=icon, query_params=query)
        st.button("Code", icon=":material/code:", key="recall.use.code", on_click=_code, type="tertiary")


def _code() -> None:
    """A callback: commands and code with the setting."""
    st.session_state["recall.view"] = "Code and files"


def curve_view(run_view: RunView, key: str = "recall.curve") -> None:
    """Recall beside latency and throughput on one EF axis, and the table."""
    run = run_view.run
    if not run.points:
        st.caption("Nothing was measured yet.")
        return
    goal = run.request.goal
    best = run.recommendation.ef_runtime if run.recommendation else None
    if run.points[0].ef_runtime == 0:
        st.caption(f"{markdown(without_ef(run.definition.algorithm))} One point.")
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            how = f", {markdown(run.sampled.words)}" if run.sampled is not None else ""
            st.markdown(f"###### recall@{run.request.k}{how}")
            st.plotly_chart(
                figures.recall_curve(
                    [curve_of(run)],
                    target=goal.value if goal.kind == "recall" else None,
                    best=best,
                    dark=state.dark(),
                ),
                key=f"{key}.recall",
                config=charts.PLAIN,
                alt="Recall by EF_RUNTIME with its interval",
            )
        with right:
            measured = [p for p in run.points if math.isfinite(p.p50_ms)]
            more = any(p.throughput for p in measured)
            st.markdown(f"###### latency{' and throughput' if more else ''}")
            if measured:
                st.plotly_chart(
                    figures.time_curves(
                        times_of(measured),
                        target_ms=goal.value if goal.kind == "p99_ms" else None,
                        best=best,
                        dark=state.dark(),
                    ),
                    key=f"{key}.times",
                    config=charts.PLAIN,
                    alt=f"Latency percentiles{' and calls a second' if more else ''} by EF_RUNTIME",
                )
            else:
                st.caption("Latency is measured after the recall.")
    points_table(run, key)


def points_table(run: Run, key: str) -> None:
    """The curve as a table, with the recommended setting marked."""
    frame = report.curve_frame(run)
    best = run.recommendation.ef_runtime if run.recommendation else None
    frame["qps"] = frame["qps"].round()
    frame.insert(0, "★", ["★" if ef == best else "" for ef in frame["ef_runtime"]])
    st.dataframe(
        frame,
        hide_index=True,
        key=f"{key}.table",
        placeholder="–",
        column_order=[str(name) for name in frame if name not in EACH_QUERY],
        column_config={
            "★": st.column_config.TextColumn(width=30, help="★ is the recommended setting"),
            "ef_runtime": st.column_config.NumberColumn("EF_RUNTIME", format="%d"),
            "recall": st.column_config.NumberColumn(f"recall@{run.request.k}", format="%.4f"),
            "low": st.column_config.NumberColumn(format="%.4f"),
            "high": st.column_config.NumberColumn(format="%.4f"),
            **{f"p{n}_ms": st.column_config.NumberColumn(f"p{n} ms", format="%.2f") for n in (50, 95, 99)},
            "qps": st.column_config.NumberColumn("calls/s", format="localized"),
            "short": st.column_config.NumberColumn(
                help="Queries answered with fewer than K although more match."
            ),
            "calls": st.column_config.NumberColumn(help="Sequential calls that the percentiles are of."),
            **SPREAD_COLUMNS,
        },
    )


def curve_of(run: Run, name: str = "") -> Curve:
    """A run as a figure takes it."""
    return Curve(
        name or run_name(run),
        tuple(p.ef_runtime for p in run.points),
        tuple(p.recall for p in run.points),
        tuple(p.low for p in run.points),
        tuple(p.high for p in run.points),
        run.request.goal.confidence,
    )


def times_of(points: Sequence[EfPoint]) -> Times:
    """Latency and throughput as a figure takes them."""
    return Times(
        tuple(p.ef_runtime for p in points),
        tuple(p.p50_ms for p in points),
        tuple(p.p95_ms for p in points),
        tuple(p.p99_ms for p in points),
        tuple(p.qps for p in points),
    )


def run_name(run: Run) -> str:
    """What tells a run from others, for a legend."""
    request = run.request
    name = named(run.index, request.filter, request.goal, request.k, run.recommendation)
    return run.title or f"{name} · {run.started[5:16].replace('T', ' ')}"


def named(index: str, condition: str, goal: Goal, k: int, verdict: Recommendation | None) -> str:
    """A run by its index, filter, target and answer, on one line."""
    among = "all documents" if condition in ("", "*") else line(condition, 60)
    answer = "no answer yet"
    if verdict is not None and verdict.met:
        answer = f"EF {verdict.ef_runtime}" if verdict.ef_runtime else "met without EF_RUNTIME"
    elif verdict is not None:
        answer = "missed"
    return f"{line(index, 60)} · {among} · {goal.words(k)} · {answer}"


def ef_choice(run: Run, key: str, default: int) -> int:
    """A choice among the settings of a run."""
    efs = [p.ef_runtime for p in run.points]
    if len(efs) == 1:
        return efs[0]
    if st.session_state.get(key) not in efs:
        st.session_state.pop(key, None)
    chosen = st.segmented_control(
        "At EF_RUNTIME",
        efs,
        default=default,
        required=True,
        key=key,
        persist_state="session",
        help="One of the settings that were measured.",
    )
    return int(chosen)


def frame_of(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Rows as a table."""
    return pd.DataFrame(list(rows))


def _clients(point: EfPoint) -> str:
    return f"With {max(point.throughput)[0]} clients at once." if point.throughput else ""


def _plan_words(plan: QueryPlan | None) -> None:
    """Beside a filtered run: how the engine runs it, for a flat curve is no accident."""
    if plan is None:
        return
    icon = (
        ":material/info:" if plan.exact else ":material/help:" if plan.exact is None else ":material/route:"
    )
    mode = f" · {markdown(plan.mode)}" if plan.mode else ""
    st.info(f"{markdown(plan.words)}  \n:gray[{markdown(plan.source)}{mode}]", icon=icon)


def filtered_plan(run_view: RunView) -> QueryPlan | None:
    """How the engine runs the queries of this run now; None without a filter, or where it cannot be asked."""
    run = run_view.run
    if run_view.info is None or not run.points or run.request.filter in ("", "*") or not len(run.queries):
        return None
    try:
        request = KnnRequest(
            run.index,
            vector_param(run.queries.vectors[0]),
            run.request.field,
            run.request.k,
            run.points[-1].ef_runtime or None,
            run.request.condition,
        )
        return tune_cached.plan(run_view.target, run_view.info, request)
    except MemDBError:
        return None


def _changed(run_view: RunView) -> None:
    """The index may be another one by now."""
    run, info = run_view.run, run_view.info
    if info is None:
        st.caption(f":material/link_off: The index {markdown(run.index)} is not on this server (any more).")
        return
    if run.partial:
        return
    if run.queries.asks:  # its exact answers are kept by filter; what the index tells has to do
        if info.fingerprint != run.fingerprint:
            st.caption(":material/update: The index has changed since this run.")
        return
    same = tune_cached.still(run_view.target, info, run)
    if same is None:
        st.caption(
            ":material/help: Whether the documents are those that this run measured is not known: its exact "
            "answer is not kept any more, or the server was restarted."
        )
    elif not same:
        more = info.documents - run.documents
        change = f"{abs(more):,} documents {'more' if more > 0 else 'fewer'}" if more else "other contents"
        st.caption(f":material/update: The index has changed since this run: {change} than it measured.")


def took(run: Run) -> str:
    """How long and when, for a caption."""
    return f"{markdown(run.started[:16].replace('T', ' '))} UTC · took {duration(run.took_s)}"
