"""Charts of the drill: acknowledgements by second with what was lost of them, and latencies."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from memdb.durability.drill import CACHE, DURABLE, OWN, PROMOTED, DrillResult, Side
from memdb.ui.kit.charts import Palette, palette, styled

_BINS = np.logspace(-1.3, 3.3, 70)  # 0.05 ms to 2 s


def timeline(side: Side, seconds: float, most: int, *, dark: bool) -> go.Figure:
    """Acknowledged writes by second: kept, and hatched what was lost; a line where the plug was pulled.

    Args:
        side: one engine.
        seconds: of the whole run, for the axis.
        most: the highest bar of all engines.
        dark: the theme.
    """
    colours = palette(dark)
    x = [s.at_s + 0.5 for s in side.seconds]
    figure = go.Figure()
    for name, heights, colour, pattern in (
        ("there afterwards", [s.acknowledged - s.lost for s in side.seconds], colours.main, ""),
        ("lost", [s.lost for s in side.seconds], colours.bad, "/"),
    ):
        figure.add_trace(
            go.Bar(
                x=x,
                y=heights,
                name=name,
                marker={"color": colour, "pattern": {"shape": pattern}},
                hovertemplate="second %{x:.0f}: %{y:,} " + name + "<extra></extra>",
            )
        )
    styled(figure, colours, height=220)
    figure.update_layout(barmode="stack", bargap=0.12, showlegend=any(s.lost for s in side.seconds))
    figure.update_xaxes(range=[0, max(seconds, len(side.seconds))], title="seconds")
    figure.update_yaxes(range=[0, 1.15 * max(most, 1)], title="acknowledged writes")
    if side.killed_at_s is not None:
        figure.add_vline(
            x=side.killed_at_s,
            line={"color": colours.text, "width": 1.5, "dash": "dot"},
            annotation={"text": "plug pulled", "font": {"color": colours.text}},
        )
    return figure


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
