"""Kept evaluations: the list, one opened or deleted, two held against each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.display import counted, line, markdown
from memdb.relevance import compare, report, store
from memdb.relevance.measures import name
from memdb.relevance.store import ListedEvaluation
from memdb.ui.kit import cached, charts, kept_runs, parts, role, state
from memdb.ui.relevance import cached as own
from memdb.ui.relevance import figures

OPEN = "relevance.open"  # an evaluation to be shown from the next script run on


def named(entry: ListedEvaluation) -> str:
    """What an evaluation was of, in a line."""
    settings = "; ".join(line(setting.words, 80) for setting in entry.settings)
    return f"{settings} · {counted(entry.questions, 'question')} of {line(entry.source, 80)}"


def runs_view() -> None:
    """The list; a chosen one is opened or deleted, two are compared."""
    stored = own.listed(cached.home())
    if not stored:
        parts.empty("No evaluation yet", "One is kept when it ends.", ":material/history:")
        return
    st.caption("Choose one to open or delete it, two to compare their first settings.")
    event = st.dataframe(
        list_frame(stored),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"relevance.runs.{len(stored)}.{stored[0].id}",
        height=min(330, 38 + 35 * len(stored)),
        column_config={"nDCG": st.column_config.TextColumn(width=120)},
    )
    rows = [row for row in event.get("selection", {}).get("rows", []) if row < len(stored)]
    chosen = [stored[row] for row in rows]
    if len(chosen) == 1:
        kept_runs.open_or_delete("evaluation", chosen[0], open_run, _delete, key="relevance.runs")
    elif len(chosen) == 2:
        later, earlier = chosen  # newest first
        _diff(earlier.id, later.id)


def list_frame(stored: Sequence[ListedEvaluation]) -> pd.DataFrame:
    """Kept evaluations as rows."""
    return pd.DataFrame(
        {
            "when": [entry.started[:16].replace("T", " ") for entry in stored],
            "name": [line(entry.title, 80) for entry in stored],
            "settings": ["; ".join(line(s.words, 80) for s in entry.settings) for entry in stored],
            "nDCG": [" · ".join(f"{value:.3f}" for value in entry.ndcg) for entry in stored],
            "k": [entry.k for entry in stored],
            "questions": [entry.questions for entry in stored],
            "of": [line(entry.source, 80) for entry in stored],
            "state": ["partial" if entry.partial else "complete" for entry in stored],
        }
    )


def _diff(earlier_id: str, later_id: str) -> None:
    earlier, later = (own.saved(cached.home(), each) for each in (earlier_id, later_id))
    diffed = compare.diff(earlier, later)
    st.markdown("###### The later one less the earlier one")
    st.caption(markdown(diffed.words, 800))
    title = name("ndcg", later.request.k)
    st.plotly_chart(
        figures.changes(
            diffed.after - diffed.before, names=("the earlier", "the later"), title=title, dark=state.dark()
        ),
        key="relevance.diff",
        config=charts.PLAIN,
        alt=f"Change of {line(title)} by question",
    )
    table = pd.DataFrame(
        {
            "question": [line(text, 300) for text in diffed.questions],
            "earlier": diffed.before,
            "later": diffed.after,
            "change": diffed.after - diffed.before,
        }
    ).sort_values("change", key=lambda column: -column.abs(), kind="stable")
    st.dataframe(
        table,
        hide_index=True,
        key="relevance.diff.table",
        column_config={
            column: st.column_config.NumberColumn(format="%.3f") for column in ("earlier", "later", "change")
        },
    )
    about = {"earlier": report.about(earlier), "later": report.about(later)}
    parts.export(table, "relevance-diff", about, key="relevance.diff.export")


def open_run(run_id: str) -> None:
    """A callback: show this evaluation."""
    st.session_state[OPEN] = run_id
    st.session_state["relevance.view"] = "Comparison"


@role.changes
def _delete(run_id: str) -> None:
    store.delete(cached.home(), run_id)
    own.forget()
