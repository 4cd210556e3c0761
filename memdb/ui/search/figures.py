"""Charts of the Search page's comparisons."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from memdb.ui.kit.charts import palette, styled
from memdb.vectors.distance import Doubles


def agreement(jaccard: Doubles, rbo: Doubles, *, dark: bool) -> go.Figure:
    """How many questions agree how far: both measures, (questions,) each, in tenths."""
    colours = palette(dark)
    edges = np.linspace(0, 1, 11)
    names = [f"{low:.1f} – {low + 0.1:.1f}" for low in edges[:-1]]
    figure = go.Figure()
    for values, name, colour in (
        (rbo, "rank-biased overlap", colours.main),
        (jaccard, "Jaccard", colours.second),
    ):
        counts, _ = np.histogram(values, edges)
        figure.add_bar(
            x=names,
            y=counts,
            name=name,
            marker={"color": colour},
            hovertemplate=f"{name} %{{x}}: %{{y}} questions<extra></extra>",
        )
    styled(figure, colours, height=240)
    figure.update_layout(showlegend=True, barmode="group")
    figure.update_xaxes(title="agreement of both answers")
    figure.update_yaxes(title="questions", rangemode="tozero")
    return figure
