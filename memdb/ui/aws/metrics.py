"""The AWS page's charts of CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from memdb.display import byte_unit, figure_text, line, markdown
from memdb.operations import aws_metrics
from memdb.operations.aws_metrics import GROUPS, ListedSeries, Metric, Series
from memdb.operations.aws_session import Absent, ask
from memdb.ui.aws import choice
from memdb.ui.aws.choice import ChosenCluster
from memdb.ui.kit import charts, parts, state

_RANGES = {"1 hour": 1, "6 hours": 6, "1 day": 24, "7 days": 168, "30 days": 720}
_FITTING = "fitting"
_STATISTICS = (_FITTING, "Average", "Maximum", "Minimum", "Sum", "p50", "p90", "p99")
_DASHES = ("solid", "dash", "dot", "dashdot")


@st.cache_data(ttl="1m", max_entries=32, show_spinner="Asking CloudWatch")
def _read(
    region: str, wanted: tuple[ListedSeries, ...], statistic: str, hours: int, run: int
) -> tuple[Series, ...]:
    return aws_metrics.read(choice.client("cloudwatch", region), wanted, statistic, hours, datetime.now(UTC))


def view(chosen: ChosenCluster) -> None:
    """Choose a group, a range, a statistic; a chart with its table for each metric."""
    listed = choice.listed(chosen)
    if isinstance(listed, Absent):
        choice.absent(listed)
        return
    if not listed:
        parts.empty(
            "CloudWatch has no series of this cluster",
            "A new cluster's first values take some minutes; a series without a value for two weeks is not "
            "listed.",
            ":material/monitoring:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = st.segmented_control(
            "Metrics",
            GROUPS,
            default=GROUPS[0],
            required=True,
            key="aws.group",
            bind="query-params",
        )
        span = st.selectbox("Time", list(_RANGES), key="aws.time", bind="query-params", width=140)
        statistic = st.selectbox(
            "Statistic",
            _STATISTICS,
            key="aws.statistic",
            bind="query-params",
            width=140,
            help="fitting: the worst of a period for limits, sums for counts, p99 for latencies.",
        )
    frames = []
    metrics = [m for m in aws_metrics.METRICS if m.group == group and chosen.service in m.of]
    if not metrics:
        st.caption("This service has no metrics of that kind.")
    for metric in metrics:
        wanted = aws_metrics.chosen(listed, metric.name)
        if not wanted:
            continue
        frames += _metric(chosen, metric, wanted, str(statistic), _RANGES[str(span)])
    missing = [m.name for m in metrics if not aws_metrics.chosen(listed, m.name)]
    if missing:
        st.caption(f"CloudWatch has no values here of: {', '.join(map(markdown, missing))}.")
    if frames:
        settings = {"cluster": chosen.name, "group": group, "time": span, "statistic": statistic}
        parts.export(pd.concat(frames, ignore_index=True), "cloudwatch", settings, key="aws.metrics")


def _metric(
    chosen: ChosenCluster, metric: Metric, wanted: tuple[ListedSeries, ...], statistic: str, hours: int
) -> list[pd.DataFrame]:
    used = metric.statistics[0] if statistic == _FITTING else statistic
    unit = f", {metric.unit}" if metric.unit not in ("", "bytes") else ""  # bytes are told by the axis
    note = f" · {metric.note}" if metric.note else ""
    st.markdown(f"###### {markdown(f'{metric.name}{unit} · {used}{note}')}")
    lines = ask("cloudwatch:GetMetricData", lambda: _read(chosen.region, wanted, used, hours, chosen.run))
    if isinstance(lines, Absent):
        choice.absent(lines)
        return []
    for series in lines:
        if series.problem:
            st.caption(f":material/help: {markdown(series.node)}: {markdown(series.problem)}")
    frame = pd.DataFrame(
        [
            (metric.name, line(s.node or "cluster"), s.statistic, time, value)
            for s in lines
            for time, value in zip(s.times, s.values, strict=True)
        ],
        columns=["metric", "node", "statistic", "time", "value"],
    )
    if frame.empty:
        st.caption("No value in this time.")
        return []
    st.plotly_chart(_figure(metric, lines, hours, dark=state.dark()), key=f"aws.chart.{metric.name}")
    with st.expander("Table"):
        st.dataframe(
            frame.drop(columns="metric").rename(columns={"value": metric.unit or "value"}),
            hide_index=True,
            key=f"aws.table.{metric.name}",
        )
    return [frame]


def _figure(metric: Metric, lines: tuple[Series, ...], hours: int, *, dark: bool) -> go.Figure:
    """Lines over time, one a node, told apart by colour and dashes."""
    colours = charts.palette(dark)
    largest = max((value for series in lines for value in series.values), default=0.0)
    divisor, unit = byte_unit(largest) if metric.unit == "bytes" else (1.0, metric.unit)
    figure = go.Figure(
        [
            go.Scatter(
                x=series.times,
                y=[value / divisor for value in series.values],
                name=figure_text(series.node or "cluster"),
                mode="lines+markers" if len(series.times) < 60 else "lines",
                line={
                    "color": colours.categories[i % len(colours.categories)],
                    "dash": _DASHES[i % len(_DASHES)],
                    "width": 1.8,
                },
            )
            for i, series in enumerate(lines)
        ]
    )
    charts.styled(figure, colours, height=240)
    now = datetime.now(UTC)
    figure.update_layout(showlegend=True, hovermode="x unified")
    figure.update_xaxes(title="UTC", range=[now - timedelta(hours=hours), now])
    figure.update_yaxes(title=unit, rangemode="tozero", separatethousands=True)
    if not largest:  # of nothing at all Plotly makes an axis of tenths
        figure.update_yaxes(range=[0, 1], dtick=1)
    return figure
