"""Charts of the drill: acknowledgements by second with what was lost of them, and latencies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from memdb.durability.drill import CACHE, DURABLE, OWN, PROMOTED, DrillResult, DrillSide
from memdb.ui.kit.charts import Palette, palette, styled
from memdb.ui.kit.live import LiveChart, layered, of_kind, rule

_THERE, _LOST = "there afterwards", "lost"
_BINS = np.logspace(-1.3, 3.3, 70)  # 0.05 ms to 2 s


def timeline(side: DrillSide, seconds: float, most: int, *, dark: bool) -> LiveChart:
    """Acknowledged writes by second: kept, and what was lost; a line where the plug was pulled.

    Args:
        side: one engine.
        seconds: of the whole run, for the axis.
        most: the highest bar of all engines.
        dark: the theme.
    """
    colours = palette(dark)
    # Rectangles from edge to edge: a Vega-Lite bar with both edges on x is a thin line at its height.
    bars = [
        {
            "kind": "bar",
            "name": name,
            "x": s.at_s,
            "end": s.at_s + 0.88,
            "low": low,
            "y": high,
            "number": high - low,
        }
        for s in side.seconds
        for name, low, high in (
            (_THERE, 0, s.acknowledged - s.lost),
            (_LOST, s.acknowledged - s.lost, s.acknowledged),
        )
    ]
    ends = [{"kind": "edge", "x": x} for x in (0.0, max(seconds, len(side.seconds)))]
    top = [{"kind": "top", "y": 1.15 * max(most, 1)}]
    pulled = (
        [] if side.killed_at_s is None else [{"kind": "pulled", "x": side.killed_at_s, "name": "plug pulled"}]
    )
    layers = [
        of_kind(
            "bar",
            {"type": "rect"},
            x={"field": "x"},
            x2={"field": "end"},
            y={"field": "y"},
            y2={"field": "low"},
            color={
                "field": "name",
                "type": "nominal",
                "scale": {"domain": [_THERE, _LOST], "range": [colours.main, colours.bad]},
                "legend": {"title": None},
            },
            tooltip=[
                {"field": "x", "title": "second", "format": ".0f"},
                {"field": "name", "title": "writes"},
                {"field": "number", "title": "number", "format": ","},
            ],
        ),
        rule("edge", colours.quiet, opacity=0),
        rule("top", colours.quiet, "y", opacity=0),
        rule("pulled", colours.text, strokeDash=[3, 3], strokeWidth=1.5),
        of_kind(
            "pulled",
            {"type": "text", "align": "left", "dx": 5, "baseline": "top", "y": 0, "color": colours.text},
            x={"field": "x"},
            text={"field": "name"},
        ),
    ]
    spec = layered(
        layers,
        colours,
        height=220,
        x={
            "type": "quantitative",
            "axis": {"title": "seconds", "grid": False, "format": "d", "tickMinStep": 1},
            "scale": {"nice": False},
        },
        y={
            "type": "quantitative",
            "axis": {"title": "acknowledged writes", "tickCount": 4},
            "scale": {"nice": False},
        },
    )
    columns = ["kind", "name", "x", "end", "low", "y", "number"]
    return LiveChart(spec, pd.DataFrame([*bars, *ends, *top, *pulled], columns=columns))


def latencies(result: DrillResult, *, dark: bool) -> go.Figure:
    """How long the acknowledged writes took, on a logarithmic axis; a line style for each engine."""
    colours = palette(dark)
    figure = go.Figure()
    for side in result.engines.values():
        if not side.took_ms:
            continue
        counts, _ = np.histogram(side.took_ms, _BINS)
        figure.add_trace(
            go.Scatter(
                x=np.sqrt(_BINS[1:] * _BINS[:-1]),
                y=counts / counts.sum() if counts.sum() else counts,
                name=side.name,
                mode="lines",
                line={"shape": "hvh", "width": 2, **_lines(colours)[side.name]},
                hovertemplate="%{x:.2f} ms: %{y:.1%}<extra>" + side.name + "</extra>",
            )
        )
    styled(figure, colours, height=260)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(type="log", title="ms from sending to acknowledgement")
    figure.update_yaxes(tickformat=".0%", title="share of writes", rangemode="tozero")
    return figure


def _lines(colours: Palette) -> dict[str, dict[str, str]]:
    return {
        DURABLE: {"color": colours.main, "dash": "solid"},
        OWN: {"color": colours.main, "dash": "solid"},
        CACHE: {"color": colours.second, "dash": "dash"},
        PROMOTED: {"color": colours.good, "dash": "dot"},
    }
