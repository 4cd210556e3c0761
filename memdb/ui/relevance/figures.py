"""Evaluations → plotly figures. Pure; colour never says something alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from memdb.display import figure_text
from memdb.intervals import Interval
from memdb.relevance.measures import Doubles
from memdb.ui.kit.charts import palette, styled

_MOST_BARS = 400  # questions drawn; beyond it every n-th in order of its change


def means(
    names: Sequence[str], values: Sequence[Interval], *, title: str, confidence: float, dark: bool
) -> go.Figure:
    """Each setting's mean with its interval, one a row."""
    colours = palette(dark)
    labels = [figure_text(name, 60) for name in names]
    figure = go.Figure()
    figure.add_scatter(
        x=[value.mean for value in values],
        y=list(range(len(values))),
        mode="markers",
        marker={"size": 11, "color": colours.main},
        error_x={
            "type": "data",
            "symmetric": False,
            "color": colours.main,
            "thickness": 1.5,
            "width": 4,
            "array": [value.high - value.mean for value in values],
            "arrayminus": [value.mean - value.low for value in values],
        },
        hovertext=[
            f"<b>{label}</b><br>{figure_text(title)} {value.mean:.4f}<br>"
            f"{confidence * 100:g} %: {value.low:.4f} to {value.high:.4f}"
            for label, value in zip(labels, values, strict=True)
        ],
        hoverinfo="text",
    )
    styled(figure, colours, height=90 + 34 * max(1, len(values)))
    figure.update_layout(showlegend=False)
    figure.update_yaxes(
        tickvals=list(range(len(values))),
        ticktext=labels,
        range=[len(values) - 0.5, -0.5],
        showgrid=False,
        zeroline=False,
    )
    figure.update_xaxes(title=figure_text(title), range=[-0.02, 1.02])
    return figure


def changes(change: Doubles, *, names: tuple[str, str], title: str, dark: bool) -> go.Figure:
    """How each question changed, in order of the change.

    Args:
        change: (q,) of the second setting less the first.
        names: of the two settings.
        title: of the measure.
        dark: the theme.
    """
    colours = palette(dark)
    ordered = np.sort(change)
    if len(ordered) > _MOST_BARS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _MOST_BARS).round().astype(int)]
    place = (np.arange(len(ordered)) + 0.5) / max(1, len(ordered)) * 100
    figure = go.Figure()
    figure.add_bar(
        x=place,
        y=ordered,
        marker={"color": colours.main, "line": {"width": 0}},
        hovertemplate="%{y:+.3f}<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": colours.text, "width": 1.2})
    styled(figure, colours, height=240)
    figure.update_layout(showlegend=False, bargap=0)
    figure.update_xaxes(title="questions, by their change, %", range=[0, 100])
    first, second = (figure_text(name, 20) for name in names)
    figure.update_yaxes(title=f"{figure_text(title)}, {second} less {first}", range=[-1.05, 1.05])
    return figure
