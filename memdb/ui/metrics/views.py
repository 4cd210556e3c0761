"""The views of the Metrics page; here those that are charts alone, with a table and an export."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import bytes_text, line, markdown
from memdb.operations import sampler
from memdb.operations.events import Event
from memdb.operations.figures import CHARTS, FIGURES, on_chart
from memdb.operations.past import NodeNow, Past, Series
from memdb.ui.kit import live, parts, state
from memdb.ui.metrics import alerts, builds, cached, memory, probe, recall
from memdb.ui.metrics import figures as figures_metrics

Span = tuple[float, float]


def draw(part: str, target: Target, past: Past, node: NodeNow, nodes: Sequence[NodeNow], span: Span) -> None:
    """One of the views."""
    if part == "Overview":
        _tiles(node)
        _charts(past, node, span, part, past.events(*span))
    elif part == "Memory":
        memory.view(past, node, span)
    elif part == "Load":
        _charts(past, node, span, part, past.events(*span))
        st.caption(
            "Rates are differences of the server's counters; a restart is a gap. p50 and p99 are upper edges "
            "of the server's buckets, which double from one to the next. The app's own samples are in them: "
            "a few commands each time (MEMDB_SAMPLE_SECONDS), and up to 1,600 to see where memory goes: "
            "every five minutes, or when it changed."
        )
        _slow(target, node)
    elif part == "Index build":
        builds.view(past, nodes, span)
        if node.indexes:
            probe.view(target, node)
    elif part == "Recall":
        recall.view(target, past)
    elif part == "Alerts":
        alerts.view(target, past)
    else:
        alerts.events(past.events(*span))
    if node.absent and part not in ("Recall", "Alerts", "Events"):
        with st.expander("Not available from this node"):
            st.dataframe(
                pd.DataFrame(
                    [(line(k), line(v, 300)) for k, v in node.absent.items()], columns=["figure", "why"]
                ),
                hide_index=True,
                key="metrics.absent",
            )


def _tiles(node: NodeNow) -> None:
    figures = node.figures
    used, limit = figures.get("used_bytes"), figures.get("limit_bytes")
    free = f"{1 - used / limit:.0%} free" if used is not None and limit else "no limit"
    tiles = (
        ("Memory", "–" if used is None else bytes_text(used), free),
        ("Commands/s", _number(figures.get("commands")), "all kinds"),
        ("Searches/s", _number(figures.get("searches")), _ms("mean", figures.get("search_ms")) or "none now"),
        ("Search p99", _ms("≤", figures.get("search_p99_ms")) or "–", "last sample"),
        ("CPU", _share(figures.get("cpu")), _all_threads(figures.get("cpu_process"))),
        ("Connections", _whole(figures.get("clients")), f"of {_whole(figures.get('client_limit'))}"),
    )
    for column, (title, value, under) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(markdown(title), markdown(value))
            st.caption(markdown(under))


def _charts(past: Past, node: NodeNow, span: Span, view: str, events: Sequence[Event]) -> None:
    drawn = [chart for chart in CHARTS if chart.view == view]
    figures = list(dict.fromkeys(figure for chart in drawn for figure in on_chart(chart)))
    series = past.series(node.address, *span, figures)
    limits = sampler.thresholds_of(past.kept(sampler.THRESHOLDS))
    columns = st.columns(2)
    name = view.lower()
    for i, chart in enumerate(drawn):
        chosen = on_chart(chart)
        with_values = {
            figure: word for figure, word in chosen.items() if np.isfinite(series.mean[figure]).any()
        }
        with columns[i % 2]:
            st.markdown(f"###### {markdown(chart.title)}")
            if not with_values:
                why = next(
                    (node.absent[f] for f in chosen if f in node.absent), "nothing happened in this time"
                )
                st.caption(f"No value: {markdown(why, 300)}.")
                continue
            live.draw(
                figures_metrics.over_time(
                    series,
                    with_values,
                    span,
                    events,
                    unit=chart.unit,
                    dark=state.dark(),
                    limit=limits.cpu if "cpu" in chosen else None,
                    share=chart.unit == "share",
                    area=chart.stacked,
                ),
                key=f"metrics.{name}.{i}",
                alt=f"{line(chart.title)} of {line(node.address)} over time",
            )
    _table(series, figures, node, span, name)
    if events:
        st.caption(
            f"Vertical lines mark {min(len(events), 12)} of {len(events)} events; orange ones are alerts."
        )


def _slow(target: Target, node: NodeNow) -> None:
    opened = st.expander("Slow log", on_change="rerun", key="metrics.slow")
    if not opened.open:
        return
    with opened, parts.errors_shown():
        commands = cached.slow_commands(target, node.address)
        if not commands:
            st.caption("Empty: no command took longer than slowlog-log-slower-than, or it was reset.")
            return
        frame = pd.DataFrame(
            [(pd.to_datetime(e.at, unit="s", utc=True), e.took_ms, e.command, e.what) for e in commands],
            columns=["time", "ms", "command", "key, or index and query"],
        )
        st.dataframe(frame, hide_index=True, height=240, key="metrics.slow.frame")
        st.caption("Asked when opened, by the server's clock. Values are left out.")


def _table(series: Series, figures: Sequence[str], node: NodeNow, span: Span, name: str) -> None:
    opened = st.expander("Table and export", on_change="rerun", key=f"metrics.{name}.table")
    if not opened.open:
        return
    frame = pd.DataFrame(
        {"time": pd.to_datetime(series.times, unit="s", utc=True), **{n: series.mean[n] for n in figures}}
    )
    with opened:
        st.dataframe(frame[::-1], hide_index=True, height=240, key=f"metrics.{name}.frame")
        about = {"node": node.address, "from": span[0], "to": span[1], "bucket_s": series.bucket_s}
        parts.export(frame, f"metrics-{name}", about, key=f"metrics.{name}.export")
        st.dataframe(figures_frame(figures), hide_index=True, key=f"metrics.{name}.figures")


def figures_frame(names: Sequence[str]) -> pd.DataFrame:
    """What figures are: unit, text, source, and which way is better."""
    rows = [
        (
            name,
            f"{figure.unit}/s" if figure.kind == "counter" else figure.unit,
            figure.text,
            figure.source,
            figure.direction,
        )
        for name in names
        for figure in [FIGURES[name]]
    ]
    return pd.DataFrame(rows, columns=["figure", "unit", "what it is", "source", "better"])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:,.1f}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _all_threads(cores: float | None) -> str:
    return "main thread" if cores is None else f"main thread; all threads: {cores:.2f} cores"


def _ms(word: str, value: float | None) -> str:
    return "" if value is None else f"{word} {value:,.2f} ms"
