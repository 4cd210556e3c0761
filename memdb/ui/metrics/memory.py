"""The Memory view of the Metrics page: over time, growth, where it goes, what TTLs free."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from memdb.display import bytes_text, duration, line, markdown
from memdb.operations import growth
from memdb.operations.figures import CHARTS, on_chart
from memdb.operations.memory import TITLES, MemorySplit
from memdb.operations.past import NodeNow, Past
from memdb.ui import frame as page_frame
from memdb.ui.kit import charts, live, parts, state
from memdb.ui.metrics import figures


def view(past: Past, node: NodeNow, span: tuple[float, float]) -> None:
    """Memory of a node over time, and where it goes."""
    (chart,) = (chart for chart in CHARTS if chart.view == "Memory")
    names = on_chart(chart)
    series = past.series(node.address, *span, list(names))
    limit = node.figures.get("limit_bytes")
    trend = growth.growth(series.times, series.mean["used_bytes"], limit)
    left, right = st.columns(2)
    with left:
        st.markdown(f"###### {markdown(chart.title)}")
        if limit is None:
            del names["limit_bytes"]
        live.draw(
            figures.over_time(series, names, span, past.events(*span), unit=chart.unit, dark=state.dark()),
            key="metrics.memory.time",
            alt="Memory over time",
        )
        st.markdown(growth_text(trend, limit))
        fragmentation = node.figures.get("fragmentation")
        if fragmentation is not None:
            st.caption(
                f"Fragmentation {fragmentation:.2f}: resident memory over used; high where little is used."
            )
    last = past.last_split(node.address, span[1])
    with right:
        st.markdown("###### Where it goes")
        if last is None:
            st.caption("The first split comes within seconds of the first sample.")
            return
        split = last[1]
        st.plotly_chart(
            figures.memory_parts(split, dark=state.dark()),
            key="metrics.memory.parts",
            config=charts.PLAIN,
            alt="Memory by part",
        )
    frame = _split_frame(split)
    st.dataframe(frame, hide_index=True, key="metrics.memory.table", height="content")
    words = []
    for freed in split.ttl_freed:
        within = "" if freed.within_bytes is None else f" ± {bytes_text(freed.within_bytes)}"
        when = "hour" if freed.seconds == 3600 else "day"
        words.append(f"{bytes_text(freed.bytes)}{within} within the next {when}")
    if words:
        st.markdown(f":material/timer: TTLs will free about {' and '.join(words)}, of keys alone.")
    at = pd.to_datetime(last[0], unit="s").strftime("%H:%M:%S")
    st.caption(
        f"Split of {at} UTC, from {split.sampled:,} keys; asked every five minutes. `memdb memory` asks now."
    )
    st.page_link(
        page_frame.link("sizing"),
        label="Take what is there into the plan",
        icon=":material/calculate:",
        query_params={"plan.take": "1"},
        help="Sizing reads the index chosen in the sidebar, and the sessions, into its form.",
    )
    with st.container(horizontal=True):
        parts.export(frame, "memory-split", {"node": node.address, "at": last[0]}, key="metrics.memory")


def growth_text(trend: growth.Growth | None, limit: float | None) -> str:
    """One sentence about growth, Markdown."""
    if trend is None:
        return ":material/trending_flat: Growth: a minute of samples is needed."
    hour = trend.per_s * 3600
    low, high = (bytes_text(abs(v) * 3600) for v in (trend.low, trend.high))
    over = duration(trend.over_s)
    if not trend.certain:
        return f":material/trending_flat: No growth that could be told from noise over {over}."
    if hour < 0:
        return (
            f":material/trending_down: Shrinks by {bytes_text(-hour)} an hour ({high} to {low}, over {over})."
        )
    text = f":material/trending_up: Grows by {bytes_text(hour)} an hour ({low} to {high}, over {over})."
    if limit is None:
        return text + " There is no limit (maxmemory 0)."
    latest = duration(trend.latest_s) if trend.latest_s is not None else "never"
    return text + (
        f" **The limit is reached in {duration(trend.left_s)}** ({duration(trend.soonest_s)} to {latest}), "
        "if it goes on like this."
    )


def _split_frame(split: MemorySplit) -> pd.DataFrame:
    rows = [
        (
            TITLES[part.name],
            "–" if part.bytes is None else bytes_text(part.bytes),
            "" if part.within_bytes is None else f"± {bytes_text(part.within_bytes)}",
            line(part.source, 200),
            line(part.absent, 200),
        )
        for part in split.parts
    ]
    if split.rest is not None:
        sign = "−" if split.rest < 0 else ""
        rows.append(("Rest", sign + bytes_text(abs(split.rest)), "", "used memory less the parts above", ""))
    return pd.DataFrame(rows, columns=["part", "memory", "95 %", "source", "not available"])
