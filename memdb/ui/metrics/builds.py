"""The Index build view of the Metrics page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.display import duration, line, markdown
from memdb.operations.keyspace import Coverage
from memdb.operations.past import BuildPoint, NodeNow, Past
from memdb.ui.kit import charts, parts, state
from memdb.ui.metrics import figures


def view(past: Past, nodes: Sequence[NodeNow], span: tuple[float, float]) -> None:
    """Every index on every node, how it went, and the builds that ended."""
    coverage = {
        (node.address, covered.index): covered
        for node in nodes
        if (last := past.last_split(node.address, span[1]))
        for covered in last[1].coverage
    }
    points = past.builds(*span)
    events = past.events(*span)
    rows = []
    for node in nodes:
        for index in node.indexes:
            rate = build_rate([p for p in points if (p.name, p.node) == (index.name, node.address)])
            there = coverage.get((node.address, index.name))
            building = index.state == "building" and rate
            rows.append(
                {
                    "index": line(index.name),
                    "node": line(node.address),
                    "state": index.state,
                    "built": index.fraction,
                    "documents": index.documents,
                    "keys under prefix": "–"
                    if there is None
                    else f"{there.keys:,.0f}" + ("" if there.exact else f" ± {there.within:,.0f}"),
                    "gap": gap_text(there),
                    "built/s": f"{rate:.2%}" if building and rate else "",
                    "time left": duration((1 - index.fraction) / rate)
                    if building and rate and index.fraction is not None
                    else "",
                    "failures": index.failures,
                    "last error": line(
                        f"{index.last_error} ({index.last_error_key})" if index.last_error else "", 200
                    ),
                    "told by": line(index.source),
                }
            )
    if not rows:
        parts.empty(
            "No index on this target",
            "The Home page loads demo data with an index; FT.CREATE makes one.",
            ":material/stacks:",
        )
        return
    frame = pd.DataFrame(rows)
    idle = {name for name in ("built/s", "time left", "last error") if not any(frame[name])}
    st.dataframe(
        frame,
        hide_index=True,
        column_order=[name for name in frame.columns if name not in idle],
        key="metrics.builds",
        placeholder="not available",
        column_config={
            "built": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
            "documents": st.column_config.NumberColumn(format="localized"),
            "failures": st.column_config.NumberColumn(format="localized"),
        },
    )
    st.plotly_chart(
        figures.build_progress(points, span, events, dark=state.dark()),
        key="metrics.builds.chart",
        config=charts.PLAIN,
        alt="Build progress of each index on each node",
    )
    ended = [e for e in events if e.kind == "build"]
    for event in ended[:5]:
        at = pd.to_datetime(event.at, unit="s").strftime("%H:%M:%S")
        st.markdown(
            f":material/flag: {at} UTC · **{markdown(event.name)}** on {markdown(event.node)}: "
            f"{markdown(event.text)}"
        )
    st.caption(
        "Each node builds for itself, so the primary may be done while a replica is not. Keys under the "
        "prefix are counted, or estimated from a sample, every five minutes; the gap is of that moment, and "
        "`memdb memory --exact` counts. `VectorIndexBuiltPercent`, "
        "which the article names, does not exist on MemoryDB: this page reads FT.INFO and INFO of each node."
    )
    parts.export(frame, "index-builds", {"to": span[1]}, key="metrics.builds.export")


def gap_text(coverage: Coverage | None) -> str:
    """Keys under the prefix that are no documents, of the same moment; only what an estimate can tell."""
    if coverage is None:
        return "–"
    if coverage.documents is None:
        return "not available"
    if not coverage.exact and coverage.low - 0.5 <= coverage.documents <= coverage.high + 0.5:
        return "≈ 0"
    return f"{coverage.keys - coverage.documents:+,.0f}"


def build_rate(points: Sequence[BuildPoint]) -> float | None:
    """Share of an index built a second, over the build that runs; None where it does not move."""
    running: list[tuple[float, float]] = []
    for point in points:
        if running and point.fraction < running[-1][1]:
            running = []  # another build began
        running.append((point.at, point.fraction))
    if len(running) < 2 or running[-1][0] <= running[0][0]:
        return None
    rate = (running[-1][1] - running[0][1]) / (running[-1][0] - running[0][0])
    return rate if rate > 0 else None
