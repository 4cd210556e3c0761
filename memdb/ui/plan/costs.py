"""What single choices cost in bytes, and what recall costs in nodes and dollars."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, code, labels, markdown
from memdb.sizing import model, recall_price
from memdb.sizing.plan import SizingPlan
from memdb.ui import frame, tune
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.plan import figures
from memdb.ui.plan import state as plan_state
from memdb.ui.plan.columns import USD

_LOOKED_AT = 8  # newest runs that are read for one with a throughput


def changes_view(sizing: SizingPlan) -> None:
    """What M, dimension, type and metadata each cost."""
    changes = model.changes(sizing.inputs.shape, sizing.estimate.profile)
    st.caption("One change each, everything else as in the form; bytes of one node.")
    st.plotly_chart(
        figures.deltas(
            [words for words, _, _ in changes], [delta for _, _, delta in changes], dark=state.dark()
        ),
        key="plan.changes",
        config=charts.PLAIN,
        alt="Bytes that single changes save or cost",
    )
    rows = []
    wishes = sizing.inputs.wishes
    for words, shape, delta in changes:
        then = plan_state.other(sizing, shape)
        rows.append(
            {
                "change": words,
                "bytes": round(delta),
                "size": bytes_text(sizing.estimate.total_bytes + delta),
                "node": then.node.name if then else "none",
                "nodes a month $": then.monthly_usd if then else None,
            }
        )
    table = pd.DataFrame(rows)
    st.dataframe(
        table,
        hide_index=True,
        key="plan.changes_table",
        placeholder="–",
        column_config={"nodes a month $": USD, "bytes": st.column_config.NumberColumn(format="localized")},
    )
    st.caption(
        f"Prices: {markdown(wishes.region)}. A cut dimension needs a model trained for it (Matryoshka), and "
        "costs recall: measure it on the Indexes page."
    )
    parts.export(table, "changes", plan_state.about(sizing), key="plan.changes_file")


def _first_priced(run_ids: list[str]) -> int | None:
    """Place of the newest run with a throughput, since only such a one has a price; else of the newest."""
    for place, run_id in enumerate(run_ids[:_LOOKED_AT]):
        if any(point.throughput for point in tune.saved(run_id).points):
            return place
    return 0 if run_ids else None


def recall_view(target: Target, sizing: SizingPlan) -> None:
    """Each setting of a saved tuning run as nodes and dollars."""
    runs = {entry.id: entry for entry in tune.listed(cached.home())}
    first = sizing.options[0] if sizing.options else None
    if not runs:
        parts.empty(
            "No tuning run yet",
            "Measure recall and throughput on the Recall page; each setting is priced here.",
            ":material/speed:",
        )
        st.page_link(frame.link("recall"), label="Open Recall", icon=":material/speed:")
        return
    if first is None:
        st.warning("No node holds this plan, so a setting has no price.", icon=":material/block:")
        return
    linked = st.session_state.get("plan.run")
    if linked not in runs:
        st.session_state.pop("plan.run", None)
    names = cached.index_names(target)
    there = [e.id for e in runs.values() if e.target == target.address and e.index in names]
    # A run of an index that is gone, or of another server, is priced where somebody chooses it.
    chosen = st.selectbox(
        "Tuning run",
        [*there, *(run_id for run_id in runs if run_id not in there)],
        index=_first_priced(there),
        format_func=labels(list(runs)),
        key="plan.run",
        bind="query-params",
        placeholder="Choose a run",
    )
    if chosen is None:
        st.caption("No run of an index that is on this target now. Those of others can be chosen above.")
        return
    run = tune.saved(chosen)
    if chosen not in there:
        st.warning(
            f"{code(run.index, 80)} is not on this target: the run is of {markdown(run.target, 80)}.",
            icon=":material/link_off:",
        )
    points = [
        recall_price.MeasuredSetting(p.ef_runtime, p.recall, p.low, p.high, p.qps, p.p99_ms)
        for p in run.points
    ]
    qps = sizing.inputs.load.queries_per_s
    price_points = recall_price.price(points, qps, first.choice)
    priced = [p for p in price_points if p.nodes is not None and p.monthly_usd is not None]
    st.caption(
        f"{markdown(run.index, 60)} · {run.documents:,} documents · recall@{run.request.k} measured on "
        f"{markdown(run.engine, 60)}. Nodes for {qps:,.4g} queries a second at "
        f"{markdown(first.choice.node.size)}, each taken to answer as many as that target did: an estimate."
    )
    if not priced:
        st.warning(
            "This run measured no throughput (Clients: none, or a budget), so its settings have no price.",
            icon=":material/info:",
        )
    else:
        st.plotly_chart(
            figures.recall_cost(
                [p.point.recall for p in priced],
                [p.point.low for p in priced],
                [p.point.high for p in priced],
                [p.monthly_usd or 0.0 for p in priced],
                [_ef(p.point.ef_runtime) for p in priced],
                [p.nodes or 0 for p in priced],
                dark=state.dark(),
            ),
            key="plan.recall_chart",
            config=charts.PLAIN,
            alt="Recall against dollars a month",
        )
    table = pd.DataFrame(
        [
            {
                "EF": p.point.ef_runtime or None,
                "recall": p.point.recall,
                "low": p.point.low,
                "high": p.point.high,
                "answers a second": None if math.isnan(p.point.qps) else p.point.qps,
                "p99 ms": None if math.isnan(p.point.p99_ms) else p.point.p99_ms,
                "nodes": p.nodes,
                "clusters": p.clusters,
                "a month $": p.monthly_usd,
                "more than the cheapest $": p.dearer,
            }
            for p in price_points
        ]
    )
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        key="plan.recall_table",
        placeholder="–",
        column_config={
            **dict.fromkeys(("recall", "low", "high"), number(format="%.4f")),
            "p99 ms": number(format="%.2f"),
            "answers a second": number(format="%.0f"),
            "a month $": USD,
            "more than the cheapest $": USD,
        },
    )
    parts.export(
        table, "price-of-recall", {**plan_state.about(sizing), "run": run.id}, key="plan.recall_file"
    )


def _ef(ef: int) -> str:
    return f"EF {ef}" if ef else "no EF"
