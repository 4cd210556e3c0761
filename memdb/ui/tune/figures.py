"""Recall tuning → plotly figures. Pure, as `figures`; colour never says something alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from memdb.display import figure_text
from memdb.ui.kit.charts import Palette, faint, palette, styled

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "triangle-down")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
CURVES = len(SYMBOLS)  # more than this on one chart cannot be told apart
_NEAR_ONE = 0.002  # room above recall 1.0, so that the line is seen


@dataclass(frozen=True, slots=True)
class Curve:
    """Recall by EF_RUNTIME with its interval; all of the same length, ascending EF."""

    name: str
    efs: tuple[int, ...]
    recall: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    confidence: float  # of the interval


@dataclass(frozen=True, slots=True)
class Times:
    """Latency and throughput by EF_RUNTIME; NaN where it was not measured."""

    efs: tuple[int, ...]
    p50_ms: tuple[float, ...]
    p95_ms: tuple[float, ...]
    p99_ms: tuple[float, ...]
    qps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """One value with its interval, for `intervals`."""

    name: str
    value: float
    low: float
    high: float
    n: int
    small: bool = False  # too few queries to trust


def recall_curve(
    curves: Sequence[Curve],
    *,
    target: float | None = None,
    best: int | None = None,
    height: int = 380,
    dark: bool,
) -> go.Figure:
    """Recall against EF_RUNTIME (log), with the confidence band.

    Args:
        curves: the first is the main one; at most CURVES.
        target: drawn as a dashed line.
        best: the recommended EF_RUNTIME of the first curve, marked by a star.
        height: px.
        dark: the theme.
    """
    colours = palette(dark)
    figure = go.Figure()
    every = sorted({ef for curve in curves for ef in curve.efs if ef > 0}) or [1]
    curves = [_widened(curve, every) for curve in curves]
    for i, curve in enumerate(curves[:CURVES]):
        colour = colours.categories[i % len(colours.categories)]
        efs = list(curve.efs)
        figure.add_scatter(
            x=efs + efs[::-1],
            y=list(curve.high) + list(curve.low)[::-1],
            fill="toself",
            mode="lines",
            fillcolor=faint(colour, 0.18),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=efs,
            y=list(curve.recall),
            name=figure_text(curve.name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": DASHES[i]},
            marker={"size": 8, "symbol": SYMBOLS[i], "color": colour},
            customdata=np.column_stack([curve.low, curve.high]) if efs else None,
            hovertemplate="EF %{x}<br>recall %{y:.4f}<br>"
            f"{_of(curve.confidence)}: %{{customdata[0]:.4f}} to %{{customdata[1]:.4f}}<extra></extra>",
        )
    lows = [v for curve in curves for v in curve.low] + ([target] if target is not None else [])
    floor = min(lows, default=0.9)
    top = 1.0 + max(_NEAR_ONE, (1.0 - floor) * 0.06)
    if target is not None:
        figure.add_hline(y=target, line={"color": colours.text, "width": 1.2, "dash": "dash"})
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=target,
            yanchor="top" if (top - target) < 0.08 * (top - floor) else "bottom",
            showarrow=False,
            text=f"target {target:g}",
            font={"size": 12, "color": colours.text},
        )
    if best is not None and curves and best in curves[0].efs:
        _mark_best(figure, best, curves[0].recall[curves[0].efs.index(best)], colours)
    styled(figure, colours, height=height)
    _ef_axis(figure, every)
    figure.update_yaxes(
        title="recall", range=[max(0.0, floor - (1.0 - floor) * 0.12), top], tickformat=".4~g"
    )
    figure.update_layout(showlegend=len(curves) > 1)
    return figure


def time_curves(
    times: Times, *, target_ms: float | None = None, best: int | None = None, height: int = 380, dark: bool
) -> go.Figure:
    """Latency percentiles above, throughput below where it was measured, on the axis of the recall curve."""
    colours = palette(dark)
    throughput = any(map(math.isfinite, times.qps))
    heights = [0.6, 0.4] if throughput else [1.0]
    figure = make_subplots(
        rows=len(heights), cols=1, shared_xaxes=True, vertical_spacing=0.09, row_heights=heights
    )
    rows = (
        ("p50", times.p50_ms, colours.main),
        ("p95", times.p95_ms, colours.second),
        ("p99", times.p99_ms, colours.bad),
    )
    for i, (name, values, colour) in enumerate(rows):
        figure.add_scatter(
            x=list(times.efs),
            y=list(values),
            name=name,
            mode="lines+markers",
            row=1,
            col=1,
            line={"color": colour, "width": 2, "dash": DASHES[i]},
            marker={"size": 7, "symbol": SYMBOLS[i], "color": colour},
            hovertemplate=f"EF %{{x}}<br>{name} %{{y:.2f}} ms<extra></extra>",
        )
    if throughput:
        figure.add_scatter(
            x=list(times.efs),
            y=list(times.qps),
            name="calls/s",
            mode="lines+markers",
            row=2,
            col=1,
            showlegend=False,
            line={"color": colours.good, "width": 2},
            marker={"size": 7, "symbol": "square", "color": colours.good},
            hovertemplate="EF %{x}<br>%{y:,.0f} calls/s<extra></extra>",
        )
    if target_ms is not None:
        figure.add_hline(
            y=target_ms, row=1, col=1, line={"color": colours.text, "width": 1.2, "dash": "dash"}
        )
    if best is not None:
        figure.add_vline(x=best, line={"color": colours.quiet, "width": 1, "dash": "dot"})
    styled(figure, colours, height=height)
    _ef_axis(figure, list(times.efs))
    figure.update_yaxes(title="ms a call", rangemode="tozero", row=1, col=1)
    if throughput:
        figure.update_xaxes(title=None, row=1, col=1)
        figure.update_yaxes(
            title="calls a second", rangemode="tozero", separatethousands=True, nticks=4, row=2, col=1
        )
    figure.update_layout(showlegend=True)
    return figure


def needed_ef(efs: Sequence[int], queries: Sequence[int], never: int, *, dark: bool) -> go.Figure:
    """How many queries need which EF_RUNTIME, a bar each; the last one those that none is enough for."""
    colours = palette(dark)
    names = [*(f"{ef:,}" for ef in efs), "more"]
    counts = [*queries, never]
    total = max(1, sum(counts))
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=[100 * n / total for n in counts],
        marker={
            "color": [*[colours.main] * len(efs), colours.bad],
            "pattern": {"shape": [*[""] * len(efs), "/"]},
        },
        text=[f"{n:,}" for n in counts],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="EF %{x}: %{text} queries, %{y:.1f} %<extra></extra>",
    )
    styled(figure, colours, height=320)
    figure.update_xaxes(title="EF_RUNTIME that is needed", type="category", showgrid=False)
    figure.update_yaxes(title="queries, %", rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure


def found_by_ef(
    ranks: Sequence[int], names: Sequence[str], efs: Sequence[int], retrieved: np.ndarray, *, dark: bool
) -> go.Figure:
    """Which true neighbour is found at which EF_RUNTIME: filled dots are found, open diamonds missed.

    Args:
        ranks: true rank of each row.
        names: a name for each, for the hover.
        efs: columns, ascending.
        retrieved: (len(ranks), len(efs)) bool.
        dark: the theme.
    """
    colours = palette(dark)
    figure = go.Figure()
    looks = ((True, "found", colours.good, "circle"), (False, "missed", colours.bad, "diamond-open"))
    for which, word, colour, symbol in looks:
        rows, columns = np.nonzero(np.asarray(retrieved, dtype=bool) == which)
        figure.add_scatter(
            x=columns,
            y=[ranks[r] for r in rows.tolist()],
            mode="markers",
            name=word,
            marker={"size": 11, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
            hovertext=[
                f"<b>{figure_text(names[r])}</b><br>true rank {ranks[r]}, EF {efs[c]}: {word}"
                for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
            ],
            hoverinfo="text",
        )
    styled(figure, colours, height=120 + 21 * min(len(ranks), 25))
    figure.update_layout(showlegend=True)
    figure.update_xaxes(
        title="EF_RUNTIME",
        tickvals=list(range(len(efs))),
        ticktext=[f"{ef:,}" for ef in efs],
        range=[-0.6, len(efs) - 0.4],
        showgrid=False,
    )
    figure.update_yaxes(
        title="true rank",
        autorange="reversed",
        tickvals=list(ranks) if len(ranks) <= 25 else None,
        showgrid=False,
    )
    return figure


def intervals(
    bars: Sequence[IntervalBar],
    *,
    confidence: float,
    reference: float | None = None,
    reference_name: str = "all",
    dark: bool,
) -> go.Figure:
    """Values with their intervals of that confidence, one a row; an open mark stands for a small sample."""
    colours = palette(dark)
    figure = go.Figure()
    if reference is not None:
        figure.add_vline(x=reference, line={"color": colours.quiet, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=reference,
            y=1,
            yref="paper",
            yanchor="bottom",
            showarrow=False,
            text=f"{figure_text(reference_name)} {reference:.3f}",
            font={"size": 11, "color": colours.text},
        )
    labels = [f"{figure_text(b.name, 34)}  (n {b.n:,})" for b in bars]
    for small, name, symbol in ((False, "enough queries", "circle"), (True, "few queries", "circle-open")):
        rows = [i for i, b in enumerate(bars) if b.small is small]
        figure.add_scatter(
            x=[bars[i].value for i in rows],
            y=rows,
            name=name,
            mode="markers",
            marker={
                "size": 10,
                "color": colours.main,
                "symbol": symbol,
                "line": {"width": 2, "color": colours.main},
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "color": colours.main,
                "thickness": 1.5,
                "width": 4,
                "array": [bars[i].high - bars[i].value for i in rows],
                "arrayminus": [bars[i].value - bars[i].low for i in rows],
            },
            hovertext=[
                f"<b>{labels[i]}</b><br>recall {bars[i].value:.4f}<br>"
                f"{_of(confidence)}: {bars[i].low:.4f} to {bars[i].high:.4f}"
                for i in rows
            ],
            hoverinfo="text",
        )
    styled(figure, colours, height=86 + 26 * max(1, len(bars)))
    figure.update_layout(showlegend=any(b.small for b in bars), margin={"t": 34})
    figure.update_yaxes(
        tickvals=list(range(len(bars))),
        ticktext=labels,
        range=[len(bars) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title="recall", range=_recall_range([b.low for b in bars]))
    return figure


def heat_map(
    rows: Sequence[str],
    efs: Sequence[int],
    values: np.ndarray,
    *,
    unit: str,
    good_high: bool,
    form: str,
    dark: bool,
) -> go.Figure:
    """A value for each filter and EF_RUNTIME, written into its cell.

    Args:
        rows: names of the filters, most selective first.
        efs: columns.
        values: (len(rows), len(efs)); NaN where nothing was measured.
        unit: what the value is, for the colour bar and hover.
        good_high: whether a large value is good: dark cells are the ones to look at.
        form: how a cell's number is written, e.g. ".3f".
        dark: the theme.
    """
    colours = palette(dark)
    matrix = np.asarray(values, dtype=np.float64)
    # One hue from the page's own to blue: readable without telling red from green.
    scale = [[0.0, "#16283a"], [1.0, "#3a93c8"]] if dark else [[0.0, "#f1f6fa"], [1.0, "#62acd8"]]
    texts = [["–" if np.isnan(v) else format(v, form) for v in row] for row in matrix]
    names = [figure_text(row, 44) for row in rows]
    finite = matrix[np.isfinite(matrix)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    figure = go.Figure(
        go.Heatmap(
            z=matrix,
            x=[f"{ef:,}" for ef in efs],
            y=list(range(len(names))),
            text=texts,
            texttemplate="%{text}",
            textfont={"size": 12, "color": colours.text},
            colorscale=scale,
            reversescale=good_high,
            zmin=low,
            zmax=high if high > low else low + 1e-9,
            xgap=3,
            ygap=3,
            showscale=False,
            customdata=[[name] * len(efs) for name in names],
            hovertemplate="<b>%{customdata}</b><br>EF %{x}<br>"
            f"{figure_text(unit)} %{{text}}<extra></extra>",
            hoverongaps=False,
        )
    )
    styled(figure, colours, height=84 + 36 * max(1, len(rows)))
    figure.update_xaxes(title="EF_RUNTIME", type="category", showgrid=False, side="bottom")
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=names,
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    return figure


def differences(
    efs: Sequence[int],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    confidence: float,
    dark: bool,
) -> go.Figure:
    """Recall of one run minus another's at the same EF_RUNTIME; a filled mark's interval leaves zero out."""
    colours = palette(dark)
    figure = go.Figure()
    figure.add_hline(y=0, line={"color": colours.text, "width": 1.2, "dash": "dash"})
    for sure, name, symbol in (
        (True, "interval leaves 0 out", "circle"),
        (False, "interval holds 0", "circle-open"),
    ):
        rows = [i for i in range(len(efs)) if (low[i] > 0 or high[i] < 0) is sure]
        figure.add_scatter(
            x=[efs[i] for i in rows],
            y=[values[i] for i in rows],
            mode="markers",
            name=name,
            marker={
                "size": 10,
                "symbol": symbol,
                "color": colours.main,
                "line": {"width": 2, "color": colours.main},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "color": colours.main,
                "thickness": 1.5,
                "width": 4,
                "array": [high[i] - values[i] for i in rows],
                "arrayminus": [values[i] - low[i] for i in rows],
            },
            hovertext=[
                f"EF {efs[i]}<br>{values[i]:+.4f}<br>{_of(confidence)}: {low[i]:+.4f} to {high[i]:+.4f}"
                for i in rows
            ],
            hoverinfo="text",
        )
    styled(figure, colours, height=280)
    _ef_axis(figure, list(efs))
    figure.update_yaxes(title="difference in recall", tickformat="+.3~f")
    figure.update_layout(showlegend=True)
    return figure


def _of(confidence: float) -> str:
    return f"{confidence * 100:g} %"


@dataclass(frozen=True, slots=True)
class Trade:
    """One index in the comparison: what its recall costs in time."""

    name: str
    efs: tuple[int, ...]
    recall: tuple[float, ...]
    p50_ms: tuple[float, ...]
    line_ms: tuple[float, ...] = ()  # the same without falls; empty: no line is drawn
    low_ms: tuple[float, ...] = ()  # least and greatest of the rounds, where it was timed in several
    high_ms: tuple[float, ...] = ()


def nearest_distances(queries: Sequence[float], documents: Sequence[float], *, dark: bool) -> go.Figure:
    """How near the nearest document lies: deciles of queries, and of documents themselves.

    Args:
        queries: the deciles 0.1 to 0.9 of the application's queries.
        documents: the same of random documents.
        dark: the theme.
    """
    colours = palette(dark)
    figure = go.Figure()
    shares = [10 * (i + 1) for i in range(9)]
    for i, (name, values) in enumerate(
        (("the application's queries", queries), ("random documents", documents))
    ):
        figure.add_scatter(
            x=list(values),
            y=shares[: len(values)],
            name=figure_text(name),
            mode="lines+markers",
            line={"color": colours.categories[i], "dash": DASHES[i]},
            marker={"symbol": SYMBOLS[i]},
            hovertemplate="%{y} % within %{x:.4g}<extra></extra>",
        )
    figure.update_xaxes(title="distance to the nearest document")
    figure.update_yaxes(title="% of them", range=[0, 100])
    styled(figure, colours, height=260)
    figure.update_layout(showlegend=True)
    return figure


def trade_off(trades: Sequence[Trade], *, target: float | None = None, dark: bool) -> go.Figure:
    """Recall against latency, a line for each index: up and to the left is better."""
    colours = palette(dark)
    figure = go.Figure()
    for i, trade in enumerate(trades[:CURVES]):
        colour = colours.categories[i % len(colours.categories)]
        name = figure_text(trade.name, 60)
        if trade.line_ms:
            figure.add_scatter(
                x=list(trade.line_ms),
                y=list(trade.recall),
                name=name,
                legendgroup=name,
                mode="lines",
                line={"color": colour, "width": 2, "dash": DASHES[i]},
                hoverinfo="skip",
                showlegend=False,
            )
        spread = {
            "type": "data",
            "symmetric": False,
            "array": [high - ms for high, ms in zip(trade.high_ms, trade.p50_ms, strict=False)],
            "arrayminus": [ms - low for low, ms in zip(trade.low_ms, trade.p50_ms, strict=False)],
            "color": colour,
            "thickness": 1.2,
            "width": 3,
        }
        figure.add_scatter(
            x=list(trade.p50_ms),
            y=list(trade.recall),
            name=name,
            legendgroup=name,
            mode="markers+text",
            marker={"size": 9, "symbol": SYMBOLS[i], "color": colour},
            error_x=spread if trade.low_ms else None,
            text=[f"{ef}" if ef else "exact" for ef in trade.efs],
            textposition="bottom right" if i % 2 else "top left",
            textfont={"size": 11, "color": colour},
            cliponaxis=False,
            hovertext=[
                f"<b>{name}</b><br>{f'EF {ef}' if ef else 'exact'}<br>recall {r:.4f}<br>p50 {ms:.2f} ms"
                for ef, r, ms in zip(trade.efs, trade.recall, trade.p50_ms, strict=True)
            ],
            hoverinfo="text",
        )
    if target is not None:
        figure.add_hline(y=target, line={"color": colours.text, "width": 1.2, "dash": "dash"})
    styled(figure, colours, height=360)
    figure.update_xaxes(title="p50 of one call, ms", rangemode="tozero")
    figure.update_yaxes(title="recall", range=_recall_range([r for t in trades for r in t.recall]))
    figure.update_layout(showlegend=True)
    return figure


def _widened(curve: Curve, efs: Sequence[int]) -> Curve:
    """The one point of an index without EF_RUNTIME (EF 0) as a level over all settings."""
    if curve.efs != (0,):
        return curve
    ends = (efs[0], efs[-1])
    return replace(curve, efs=ends, recall=curve.recall * 2, low=curve.low * 2, high=curve.high * 2)


def _mark_best(figure: go.Figure, ef: int, recall: float, colours: Palette) -> None:
    figure.add_vline(x=ef, line={"color": colours.quiet, "width": 1, "dash": "dot"})
    figure.add_scatter(
        x=[ef],
        y=[recall],
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={
            "size": 18,
            "symbol": "star",
            "color": colours.second,
            "line": {"width": 1.2, "color": colours.text},
        },
    )
    # On a log axis an annotation's x is the exponent.
    figure.add_annotation(
        x=float(np.log10(ef)),
        y=recall,
        text=f"<b>EF {ef}</b>",
        showarrow=False,
        xanchor="left",
        xshift=12,
        yshift=-14,
        font={"size": 13, "color": colours.text},
    )


def _ef_axis(figure: go.Figure, efs: Sequence[int]) -> None:
    """A log axis whose ticks are measured settings, as many as fit."""
    ticks: list[int] = []
    for ef in sorted({max(1, ef) for ef in efs}):
        if not ticks or ef / ticks[-1] >= 1.28:
            ticks.append(ef)
    figure.update_xaxes(
        title="EF_RUNTIME", type="log", tickvals=ticks, ticktext=[f"{ef:,}" for ef in ticks], tickangle=0
    )
    if efs:
        low, high = float(np.log10(max(1, min(efs)))), float(np.log10(max(1, *efs)))
        room = max(0.04, (high - low) * 0.04)
        figure.update_xaxes(range=[low - room, high + room])


def _recall_range(lows: Sequence[float]) -> list[float]:
    floor = min([v for v in lows if np.isfinite(v)], default=0.9)
    return [max(0.0, floor - max(0.02, (1 - floor) * 0.12)), 1.0 + max(0.004, (1 - floor) * 0.06)]
