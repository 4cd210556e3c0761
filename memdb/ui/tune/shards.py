"""Recall of each shard, where an index is spread over several."""

from __future__ import annotations

import streamlit as st

from memdb.display import line, markdown
from memdb.tuning import report
from memdb.tuning.by_shard import ShardRecall, by_shard, words
from memdb.tuning.run import Run
from memdb.ui.kit import charts, parts, state
from memdb.ui.tune import figures
from memdb.ui.tune.figures import Curve


def view(run: Run) -> None:
    """Whether the shards differ, a curve of each, and the numbers."""
    if not run.points:
        return
    efs = [point.ef_runtime for point in run.points]
    chosen = run.recommendation.ef_runtime if run.recommendation else None
    at = chosen if chosen is not None else efs[-1]
    st.markdown("###### by shard")
    st.markdown(markdown(words(run, at), 600))
    every = [by_shard(run, ef) for ef in efs]
    if len(efs) > 1:
        st.plotly_chart(
            figures.recall_curve(
                [_curve(run, efs, [rows[place] for rows in every]) for place in range(len(run.shards))],
                target=run.request.goal.value if run.request.goal.kind == "recall" else None,
                best=chosen,
                dark=state.dark(),
            ),
            key="recall.shards.chart",
            config=charts.PLAIN,
            alt="Recall of each shard by EF_RUNTIME with its interval",
        )
    frame = report.shards_frame(run)
    st.dataframe(
        frame,
        hide_index=True,
        key="recall.shards.table",
        placeholder="–",
        column_config={
            "ef_runtime": st.column_config.NumberColumn("EF_RUNTIME", format="%d"),
            "address": st.column_config.TextColumn("shard"),
            "documents": st.column_config.NumberColumn(format="localized"),
            "neighbours": st.column_config.NumberColumn(
                "true neighbours", help="Of all queries, by the slot of their keys.", format="localized"
            ),
            "returned": st.column_config.NumberColumn(
                help="Of these, those that the index returned, or a document as near.", format="localized"
            ),
            **{name: st.column_config.NumberColumn(format="%.4f") for name in ("recall", "low", "high")},
        },
    )
    parts.export(frame, "shards", report.about(run), key="recall.shards.export")


def _curve(run: Run, efs: list[int], rows: list[ShardRecall]) -> Curve:
    return Curve(
        line(rows[0].address),
        tuple(efs),
        tuple(row.recall for row in rows),
        tuple(row.low for row in rows),
        tuple(row.high for row in rows),
        run.request.goal.confidence,
    )
