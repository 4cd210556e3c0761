"""Sizing and cost → plotly figures. Pure, as `figures`; colour never says something alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from memdb.display import bytes_text, duration, figure_text
from memdb.ui.kit.charts import Palette, faint, palette, styled

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_PATTERNS = ("", "/", "\\", "x", ".", "-", "+")  # components differ by more than colour
_GB = 2.0**30


@dataclass(frozen=True, slots=True)
class BarPart:
    """One piece of a stacked bar."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Limit:
    """A node: what it has, and what of it is for data."""

    name: str
    memory: float
    usable: float


def memory_bars(
    parts: Sequence[BarPart], low: float, high: float, limits: Sequence[Limit], *, dark: bool
) -> go.Figure:
    """Above, what is needed by component; below, the nodes with room for data and the hatched reserve.

    Each has its own axis, so that a small need is still seen in its parts; in the lower one a dashed line and
    a band stand for the need and its interval.

    Args:
        parts: bytes by component.
        low: the interval's lower end, bytes.
        high: its upper end.
        limits: nodes, smallest first.
        dark: the theme.
    """
    colours = palette(dark)
    rows = 2 if limits else 1
    figure = make_subplots(
        rows=rows,
        cols=1,
        vertical_spacing=0.24,
        row_heights=[1.35, len(limits)] if limits else [1.0],
    )
    total = sum(part.value for part in parts)
    scale, unit = _unit(high)
    for i, part in enumerate(p for p in parts if p.value > 0):
        figure.add_bar(
            x=[part.value / scale],
            y=["needed"],
            orientation="h",
            name=figure_text(part.name),
            row=1,
            col=1,
            marker=_look(i, colours),
            hovertemplate=f"<b>{figure_text(part.name)}</b><br>{bytes_text(part.value)}, "
            f"{part.value / total:.0%}<extra></extra>",
        )
    figure.add_scatter(
        x=[total / scale],
        y=["needed"],
        mode="markers",
        showlegend=False,
        cliponaxis=False,
        row=1,
        col=1,
        marker={"size": 9, "symbol": "line-ns", "line": {"width": 2, "color": colours.text}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [(high - total) / scale],
            "arrayminus": [(total - low) / scale],
            "color": colours.text,
            "thickness": 1.6,
            "width": 5,
        },
        hovertemplate=f"<b>{bytes_text(total)}</b><br>{bytes_text(low)} to {bytes_text(high)}<extra></extra>",
    )
    styled(figure, colours, height=180 + (70 + 36 * len(limits) if limits else 0))
    if limits:
        _nodes(figure, total, low, high, limits, colours)
    figure.update_layout(barmode="stack", bargap=0.34, showlegend=True, legend={"traceorder": "normal"})
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticksuffix="  ")
    figure.update_xaxes(title=unit, rangemode="tozero", title_standoff=4, row=1, col=1)
    return figure


def _nodes(
    figure: go.Figure, total: float, low: float, high: float, limits: Sequence[Limit], colours: Palette
) -> None:
    scale, unit = _unit(max(limit.memory for limit in limits))
    names = [figure_text(limit.name) for limit in limits]
    figure.add_bar(
        x=[limit.usable / scale for limit in limits],
        y=names,
        orientation="h",
        showlegend=False,
        row=2,
        col=1,
        marker={"color": faint(colours.quiet, 0.55)},
        customdata=[bytes_text(limit.usable) for limit in limits],
        hovertemplate="<b>%{y}</b><br>room for data %{customdata}<extra></extra>",
    )
    figure.add_bar(
        x=[(limit.memory - limit.usable) / scale for limit in limits],
        y=names,
        orientation="h",
        showlegend=False,
        row=2,
        col=1,
        marker={
            "color": faint(colours.quiet, 0.16),
            "pattern": {
                "shape": "/",
                "size": 5,
                "solidity": 0.3,
                "fillmode": "overlay",
                "fgcolor": colours.quiet,
            },
        },
        customdata=[bytes_text(limit.memory - limit.usable) for limit in limits],
        hovertemplate="<b>%{y}</b><br>kept free %{customdata}<extra></extra>",
    )
    figure.add_vrect(
        x0=low / scale, x1=high / scale, fillcolor=faint(colours.main, 0.18), line_width=0, row=2, col=1
    )
    figure.add_vline(
        x=total / scale, line={"color": colours.text, "width": 1.4, "dash": "dash"}, row=2, col=1
    )
    figure.update_xaxes(title=unit, rangemode="tozero", title_standoff=4, row=2, col=1)


def growth(
    months: Sequence[int],
    size: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    room: float | None,
    room_name: str,
    unfit: int | None,
    *,
    dark: bool,
) -> go.Figure:
    """Memory over months with its band, against the room of today's node."""
    colours = palette(dark)
    scale, unit = _unit(max([*high, room or 0.0]))
    months = list(months)
    figure = go.Figure()
    figure.add_scatter(
        x=months + months[::-1],
        y=[v / scale for v in [*high, *list(low)[::-1]]],
        fill="toself",
        mode="lines",
        line={"width": 0},
        fillcolor=faint(colours.main, 0.16),
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=months,
        y=[v / scale for v in size],
        mode="lines+markers",
        name="needed",
        line={"color": colours.main, "width": 2},
        marker={"size": 6},
        customdata=[bytes_text(v) for v in size],
        hovertemplate="month %{x}<br>%{customdata}<extra></extra>",
    )
    if room is not None:
        figure.add_hline(y=room / scale, line={"color": colours.text, "width": 1.2, "dash": "dash"})
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=room / scale,
            yanchor="bottom",
            showarrow=False,
            text=f"room of {figure_text(room_name)}",
            font={"size": 12, "color": colours.text},
        )
    if unfit is not None and unfit in months:
        place = months.index(unfit)
        figure.add_scatter(
            x=[unfit],
            y=[size[place] / scale],
            mode="markers+text",
            text=[f"month {unfit}"],
            textposition="bottom right" if place < len(months) - 3 else "bottom left",
            showlegend=False,
            marker={"size": 13, "symbol": "diamond", "color": colours.bad},
            textfont={"color": colours.bad, "size": 12},
            hoverinfo="skip",
            cliponaxis=False,
        )
    styled(figure, colours, height=340)
    figure.update_xaxes(title="months from now", dtick=3, range=[-0.4, max(months) + 0.4])
    figure.update_yaxes(title=unit, rangemode="tozero")
    return figure


def ttl_curves(
    ttls_s: Sequence[float],
    documents: float,
    sessions: Sequence[float],
    monthly: Sequence[float],
    chosen_s: float,
    *,
    dark: bool,
) -> go.Figure:
    """Memory above, the nodes' bill below, over the sessions' time to live."""
    colours = palette(dark)
    scale, unit = _unit(documents + max(sessions))
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09, row_heights=[0.6, 0.4])
    names = [duration(ttl) for ttl in ttls_s]
    figure.add_bar(
        x=names,
        y=[documents / scale] * len(names),
        name="documents and index",
        row=1,
        col=1,
        marker={"color": faint(colours.quiet, 0.6)},
        hovertemplate=f"documents {bytes_text(documents)}<extra></extra>",
    )
    figure.add_bar(
        x=names,
        y=[v / scale for v in sessions],
        name="sessions",
        row=1,
        col=1,
        marker={
            "color": colours.second,
            "pattern": {
                "shape": "/",
                "size": 6,
                "solidity": 0.18,
                "fillmode": "overlay",
                "fgcolor": colours.back,
            },
        },
        customdata=[bytes_text(v) for v in sessions],
        hovertemplate="TTL %{x}<br>sessions %{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=list(monthly),
        mode="lines+markers",
        row=2,
        col=1,
        showlegend=False,
        line={"color": colours.main, "width": 2, "shape": "hvh"},
        marker={"size": 7},
        hovertemplate="TTL %{x}<br>$%{y:,.0f} a month<extra></extra>",
    )
    styled(figure, colours, height=420)
    if chosen_s in ttls_s:
        place = list(ttls_s).index(chosen_s)
        figure.add_vline(x=place, line={"color": colours.text, "width": 1, "dash": "dot"})
    figure.update_layout(barmode="stack", showlegend=True, bargap=0.35)
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_xaxes(title="time to live of a session", row=2, col=1)
    figure.update_yaxes(title=unit, row=1, col=1)
    figure.update_yaxes(
        title="$ a month", rangemode="tozero", tickprefix="$", separatethousands=True, nticks=4, row=2, col=1
    )
    return figure


def deltas(names: Sequence[str], values: Sequence[float], *, dark: bool) -> go.Figure:
    """Bytes that single changes save or cost: to the left saves, to the right costs."""
    colours = palette(dark)
    scale, unit = _unit(max((abs(v) for v in values), default=1.0))
    scaled = [v / scale for v in values]
    reach = max((abs(v) for v in scaled), default=1.0) or 1.0
    figure = go.Figure(
        go.Bar(
            x=scaled,
            y=[figure_text(name, 48) for name in names],
            orientation="h",
            marker={
                "color": [colours.good if v < 0 else colours.second for v in values],
                "pattern": {
                    "shape": ["" if v < 0 else "/" for v in values],
                    "size": 6,
                    "solidity": 0.18,
                    "fillmode": "overlay",
                    "fgcolor": colours.back,
                },
            },
            text=[f"{'−' if v < 0 else '+'}{bytes_text(abs(v))}" for v in values],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    styled(figure, colours, height=60 + 34 * max(1, len(names)))
    figure.add_vline(x=0, line={"color": colours.text, "width": 1})
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticksuffix="  ")
    figure.update_xaxes(title=unit, range=[-1.35 * reach, 1.35 * reach], zeroline=False)
    return figure


def recall_cost(
    recall: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    monthly: Sequence[float],
    names: Sequence[str],
    nodes: Sequence[int],
    *,
    dark: bool,
) -> go.Figure:
    """Dollars a month against recall, a mark for each setting."""
    colours = palette(dark)
    figure = go.Figure(
        go.Scatter(
            x=list(monthly),
            y=list(recall),
            mode="lines+markers+text",
            text=[figure_text(n) for n in names],
            textposition="bottom right",
            textfont={"size": 11, "color": colours.text},
            line={"color": colours.main, "width": 1.5, "shape": "vh", "dash": "dot"},
            marker={"size": 10, "color": colours.main},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [h - r for h, r in zip(high, recall, strict=True)],
                "arrayminus": [r - v for r, v in zip(recall, low, strict=True)],
                "thickness": 1.3,
                "width": 4,
            },
            customdata=list(nodes),
            cliponaxis=False,
            hovertemplate="<b>%{text}</b><br>recall %{y:.4f}<br>%{customdata} nodes, $%{x:,.0f} a month"
            "<extra></extra>",
        )
    )
    styled(figure, colours, height=340)
    figure.update_xaxes(
        title="$ a month", tickprefix="$", separatethousands=True, range=[0, 1.15 * max([*monthly, 1.0])]
    )
    figure.update_yaxes(title="recall")
    return figure


def bills(
    titles: Sequence[str],
    items: Sequence[str],
    values: np.ndarray,
    at_least: Sequence[bool],
    *,
    dark: bool,
    height: int = 0,
) -> go.Figure:
    """Monthly cost of each service, stacked by item, with the sum behind the bar.

    Args:
        titles: services, (s,).
        items: kinds of line, (i,).
        values: (s, i) dollars a month.
        at_least: whether a price of the service is not known and not in its sum, (s,).
        dark: the theme.
        height: px; 0 by the number of services.
    """
    colours = palette(dark)
    figure = go.Figure()
    names = [figure_text(title, 40) for title in titles]
    for i, item in enumerate(items):
        if not values[:, i].any():
            continue
        figure.add_bar(
            x=values[:, i],
            y=names,
            orientation="h",
            name=figure_text(item),
            marker=_look(i, colours),
            hovertemplate=f"<b>%{{y}}</b><br>{figure_text(item)} $%{{x:,.2f}}<extra></extra>",
        )
    sums = values.sum(axis=1)
    figure.add_scatter(
        x=sums,
        y=names,
        mode="text",
        text=[f"  {'at least ' * least}${v:,.0f}" for v, least in zip(sums, at_least, strict=True)],
        textposition="middle right",
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
        textfont={"color": colours.text},
    )
    styled(figure, colours, height=height or 110 + 44 * max(1, len(names)))
    figure.update_layout(barmode="stack", bargap=0.4, showlegend=True, legend={"traceorder": "normal"})
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticksuffix="  ")
    figure.update_xaxes(
        title="$ a month",
        tickprefix="$",
        separatethousands=True,
        range=[0, (1.36 if any(at_least) else 1.18) * max([*sums.tolist(), 1.0])],
    )
    return figure


def break_even(
    axis: str,
    values: Sequence[float],
    series: Sequence[tuple[str, Sequence[float]]],
    here: float,
    crossings: Sequence[tuple[float, str]],
    *,
    dark: bool,
) -> go.Figure:
    """Dollars a month over one input, both logarithmic; a line for each service, a dotted one at yours."""
    colours = palette(dark)
    figure = go.Figure()
    for i, (name, costs) in enumerate(series):
        colour = colours.categories[i % len(colours.categories)]
        figure.add_scatter(
            x=list(values),
            y=list(costs),
            mode="lines+markers",
            name=figure_text(name),
            connectgaps=False,
            line={"color": colour, "width": 2, "dash": DASHES[i % len(DASHES)]},
            marker={"size": 6, "symbol": SYMBOLS[i % len(SYMBOLS)], "color": colour, "maxdisplayed": 12},
            hovertemplate=f"<b>{figure_text(name)}</b><br>%{{x:,.4~r}} {figure_text(axis)}<br>"
            "$%{y:,.0f} a month<extra></extra>",
        )
    figure.add_vline(x=here, line={"color": colours.text, "width": 1.2, "dash": "dot"})
    figure.add_annotation(
        x=math.log10(here),
        y=1,
        yref="paper",
        yanchor="bottom",
        showarrow=False,
        text="yours",
        font={"size": 12, "color": colours.text},
    )
    for value, _ in crossings:
        figure.add_vline(x=value, line={"color": colours.quiet, "width": 1})
    styled(figure, colours, height=400)
    figure.update_layout(showlegend=True, margin={"t": 56}, legend={"y": 1.09})
    ticks = [
        10.0**p for p in range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ]
    figure.update_xaxes(
        title=axis, type="log", tickvals=ticks, ticktext=[f"{t:,.0f}" if t >= 1 else f"{t:g}" for t in ticks]
    )
    figure.update_yaxes(title="$ a month", type="log", tickprefix="$", tickformat="~s", dtick=1)
    return figure


def _look(place: int, colours: Palette) -> dict[str, object]:
    """Colour and pattern of the place-th piece of a stacked bar."""
    return {
        "color": colours.categories[place % len(colours.categories)],
        "line": {"width": 0},
        "pattern": {
            "shape": _PATTERNS[place % len(_PATTERNS)],
            "size": 6,
            "solidity": 0.18,
            "fillmode": "overlay",
            "fgcolor": colours.back,
        },
    }


def _unit(largest: float) -> tuple[float, str]:
    return (_GB, "GiB") if largest >= _GB else (2.0**20, "MiB")


__all__ = [
    "BarPart",
    "Limit",
    "Palette",
    "bills",
    "break_even",
    "deltas",
    "growth",
    "memory_bars",
    "recall_cost",
    "ttl_curves",
]
