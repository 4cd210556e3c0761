"""The Each query view: how recall differs between queries, the EF each needs, and asking twice."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import markdown
from memdb.tuning import report, spread
from memdb.ui.kit import charts, parts, state
from memdb.ui.tune import figures
from memdb.ui.tune.views import EACH_QUERY, SPREAD_COLUMNS, RunView

BOUNDS = (0.5, 0.8, 0.9, 0.95, 1.0)


def view(run_view: RunView) -> None:
    """Draw the view."""
    run = run_view.run
    if not run.points:
        st.caption("Nothing was measured yet.")
        return
    chosen = st.segmented_control(
        "Recall of a query, at least",
        BOUNDS,
        default=1.0,
        required=True,
        key="recall.each.bound",
        bind="query-params",
        help="How many queries reach it at which setting.",
    )
    bound = float(chosen or 1.0)
    if run.sampled is not None:
        st.caption(
            f"Against the reference. Recall of this run is {markdown(run.sampled.words)}: of all "
            "queries together, not of single ones."
        )
    _needed(run_view, bound)
    st.markdown("###### Asking twice")
    twice = spread.two_stage(run)
    if twice is None:
        st.caption(
            f"Not tried: it takes two settings with measured times, {spread.FEWEST} queries, and a pair of "
            "settings that reaches the recall of one."
        )
    else:
        st.markdown(markdown(twice.words))
        st.caption("The rule was chosen by one half of the queries, the figures are of the other.")
    st.markdown("###### From query to query")
    # Inner products have no ratio.
    without = ("distance_ratio", "missed_ratio") if run.definition.metric == "IP" else ()
    columns = ["ef_runtime", "recall", *(name for name in EACH_QUERY if name not in without)]
    frame = report.curve_frame(run, bound)[columns]
    st.dataframe(
        frame,
        hide_index=True,
        key="recall.each.table",
        placeholder="–",
        column_config={
            **SPREAD_COLUMNS,
            "ef_runtime": st.column_config.NumberColumn("EF_RUNTIME", format="%d"),
            "recall": st.column_config.NumberColumn(f"recall@{run.request.k}", format="%.4f"),
            "at_least": st.column_config.NumberColumn(f"recall ≥ {bound:g}", format="percent"),
        },
    )
    parts.export(frame, "recall-each-query", report.about(run), key="recall.each.export")


def _needed(run_view: RunView, bound: float) -> None:
    """The EF that each query needs: in words, as a chart, as a table."""
    needed = spread.needs(run_view.run, bound)
    if needed is None:
        st.caption("One setting was measured: the EF each query needs takes two at least.")
        return
    for sentence in needed.words:
        st.markdown(markdown(sentence))
    st.plotly_chart(
        figures.needed_ef(needed.efs, needed.queries, needed.never, dark=state.dark()),
        key="recall.each.needed",
        config=charts.PLAIN,
        alt="How many queries need which EF_RUNTIME",
    )
    counts = pd.DataFrame(
        {"EF_RUNTIME": [*map(str, needed.efs), "more"], "queries": [*needed.queries, needed.never]}
    )
    st.dataframe(counts, hide_index=True, key="recall.each.counts", height="content")
