"""The Recall view of the Metrics page: what is watched over time, with its interval and what changed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import code, duration, labels, line, markdown
from memdb.operations.past import Past
from memdb.ui.kit import charts, parts, state
from memdb.ui.metrics import cached, figures
from memdb.watch import judge
from memdb.watch.series import Measurement


def view(target: Target, past: Past) -> None:
    """The line of what is chosen, its sentence above, its table below."""
    watched = cached.watched(past.path)
    if not watched:
        parts.empty(
            "No recall is watched",
            "Switch it on under Tune → Recall, or run `memdb watch --index NAME` here.",
            ":material/visibility:",
        )
        return
    newest = sorted(watched, key=lambda name: -watched[name][-1].at)
    name = newest[0]
    if len(newest) > 1:
        named = {each: title(watched[each][-1]) for each in newest}
        chosen = st.selectbox("Watched", newest, format_func=labels(named), key="metrics.watched")
        name = chosen or name
    rows = watched[name]
    _sentence(target, rows)
    if few := judge.note(rows[-1]):
        st.caption(f":material/info: {markdown(few)}")
    measured = [row for row in rows if row.recall is not None]
    if measured:
        st.plotly_chart(
            figures.recall_trend(rows, dark=state.dark()),
            key="metrics.recall.chart",
            config=charts.PLAIN,
            alt=f"{line(title(rows[-1]))} over time with its interval",
        )
        st.caption(
            f"The newest {len(rows):,} measurements, whatever time is chosen above; every "
            f"{duration(rows[-1].watch.every_s)}. The band is the {rows[-1].watch.confidence:.0%} "
            "interval; dotted "
            "lines mark where something changed. An alert is raised where the whole interval lies below "
            "the target, "
            "and ends where the mean is at it again."
        )
    frame = table(rows)
    st.dataframe(
        frame.iloc[::-1],
        hide_index=True,
        key="metrics.recall.table",
        placeholder="–",
        height=260,
        column_config={
            "time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
            **{name: st.column_config.NumberColumn(format="%.4f") for name in ("recall", "low", "high")},
        },
    )
    parts.export(frame, "recall", {"watch": rows[-1].watch.words}, key="metrics.recall.export")


def title(row: Measurement) -> str:
    """What is watched, on one line."""
    questions = "newest of a tap" if row.watch.tap else "made queries"
    return f"{row.watch.index}: {row.watch.words}, {questions}"


def table(rows: Sequence[Measurement]) -> pd.DataFrame:
    """Measurements, oldest first."""
    return pd.DataFrame(
        [
            (
                pd.to_datetime(row.at, unit="s", utc=True),
                row.recall,
                row.low,
                row.high,
                row.queries,
                row.documents,
                row.build,
                line(" ".join(row.changes), 400),
                line(row.problem, 300),
            )
            for row in rows
        ],
        columns=[
            "time",
            "recall",
            "low",
            "high",
            "queries",
            "documents",
            "build",
            "what changed",
            "not measured",
        ],
    )


def _sentence(target: Target, rows: Sequence[Measurement]) -> None:
    newest = rows[-1]
    if newest.recall is None:
        st.warning(
            f"The newest measurement has no recall: {markdown(newest.problem, 300)}",
            icon=":material/hourglass_disabled:",
        )
        if not any(row.recall is not None for row in rows):
            return
    alert = judge.alert(rows, target.address)
    if alert is None:
        last = next(row for row in reversed(rows) if row.recall is not None)
        st.success(
            f"{markdown(title(last))}: {markdown(judge.words(last))}; the target is {last.watch.target:g}. "
            "It is not shown to be below.",
            icon=":material/check_circle:",
        )
        return
    causes = "\n".join(f"- {markdown(c.what)} {markdown_with_code(c.remedy)}" for c in judge.causes(rows))
    st.error(f"{markdown(alert.saw)}.\n\nPerhaps:\n\n{causes}", icon=":material/trending_down:")


def markdown_with_code(text: str) -> str:
    """A remedy as Markdown, its commands as code."""
    pieces = text.split("`")
    return "".join(code(piece, 300) if i % 2 else markdown(piece, 300) for i, piece in enumerate(pieces))
