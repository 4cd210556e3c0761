"""Surveys of sessions → plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from memdb.display import byte_unit, bytes_text
from memdb.sessions.survey import TtlBin
from memdb.ui.kit.charts import palette, styled

HEIGHT = 260


def by_ttl(bins: Sequence[TtlBin], *, dark: bool) -> go.Figure:
    """Sessions by the time they have left; those that never expire in a colour and place of their own."""
    colours = palette(dark)
    figure = go.Figure(
        go.Bar(
            x=[b.name for b in bins],
            y=[b.sessions for b in bins],
            marker_color=[colours.second if b.name == "never" else colours.main for b in bins],
            customdata=[bytes_text(b.bytes) for b in bins],
            hovertemplate="%{x}: %{y:,} sessions, %{customdata}<extra></extra>",
        )
    )
    styled(figure, colours, height=HEIGHT)
    figure.update_xaxes(title="expires within", type="category", showgrid=False)
    figure.update_yaxes(title="sessions", rangemode="tozero")
    return figure


def freed(bins: Sequence[TtlBin], *, dark: bool) -> go.Figure:
    """Memory that expiry will have freed by each time, of all that the sessions take."""
    colours = palette(dark)
    ends = [b for b in bins if b.name not in ("never", "later")]
    unit, word = byte_unit(sum(b.bytes for b in bins))
    figure = go.Figure(
        go.Scatter(
            x=[b.name for b in ends],
            y=[b.freed_bytes / unit for b in ends],
            mode="lines+markers",
            fill="tozeroy",
            line={"color": colours.good},
            customdata=[bytes_text(b.freed_bytes) for b in ends],
            hovertemplate="within %{x}: %{customdata} freed<extra></extra>",
        )
    )
    styled(figure, colours, height=HEIGHT)
    total = sum(b.bytes for b in bins) / unit
    figure.add_hline(
        y=total,
        line={"color": colours.quiet, "dash": "dash"},
        annotation_text="all sessions",
        annotation_position="bottom left",
        annotation_font_color=colours.text,
    )
    figure.update_xaxes(title="by", type="category", showgrid=False)
    figure.update_yaxes(title=f"memory freed, {word}", rangemode="tozero")
    return figure


def sizes(sizes_bytes: npt.NDArray[np.int64], *, dark: bool) -> go.Figure:
    """Sessions by size in bins of a doubling. `found` is (n,) bytes."""
    colours = palette(dark)
    names, counts = size_bins(sizes_bytes)
    figure = go.Figure(
        go.Bar(
            x=names,
            y=counts,
            marker_color=colours.main,
            hovertemplate="%{x}: %{y:,} sessions of the sample<extra></extra>",
        )
    )
    styled(figure, colours, height=HEIGHT)
    figure.update_xaxes(title="size in memory, up to", type="category", showgrid=False)
    figure.update_yaxes(title="sessions of the sample", rangemode="tozero")
    return figure


def size_bins(sizes_bytes: npt.NDArray[np.int64]) -> tuple[list[str], list[int]]:
    """Upper ends and counts of bins that double, of sizes (n,) in bytes, without empty bins at the ends."""
    if not len(sizes_bytes):
        return [], []
    powers = np.ceil(np.log2(np.maximum(sizes_bytes, 1))).astype(int)
    low, high = int(powers.min()), int(powers.max())
    counts = np.bincount(powers - low, minlength=high - low + 1)
    return [bytes_text(2.0**p) for p in range(low, high + 1)], [int(n) for n in counts]


def activity(begun: Sequence[tuple[datetime, int]], *, dark: bool) -> go.Figure:
    """Sessions begun over time."""
    colours = palette(dark)
    figure = go.Figure(
        go.Bar(
            x=[start for start, _ in begun],
            y=[n for _, n in begun],
            marker_color=colours.main,
            hovertemplate="%{x|%Y-%m-%d %H:%M}: %{y:,} sessions begun<extra></extra>",
        )
    )
    styled(figure, colours, height=HEIGHT)
    figure.update_xaxes(title="begun (UTC)", showgrid=False)
    figure.update_yaxes(title="sessions", rangemode="tozero")
    return figure
