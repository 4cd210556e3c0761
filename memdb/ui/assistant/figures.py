"""Charts of the Assistant page."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from memdb.assistant.flow import TimedStep
from memdb.display import figure_text
from memdb.ui.kit.charts import palette, styled


def waterfall(steps: Sequence[TimedStep], *, dark: bool) -> go.Figure:
    """Steps as bars from their beginning to their end, the first on top; hatched where remote."""
    colours = palette(dark)
    figure = go.Figure()
    for remote, colour, pattern in ((False, colours.main, ""), (True, colours.second, "/")):
        chosen = [s for s in steps if s.remote is remote]
        figure.add_bar(
            y=[figure_text(s.name) for s in chosen],
            x=[s.took_ms for s in chosen],
            base=[s.start_ms for s in chosen],
            orientation="h",
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": colours.back},
            },
            name="server and wire" if remote else "here",
            text=[f"{s.took_ms:.2f} ms" for s in chosen],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.2f} ms from %{base:.2f} ms<extra></extra>",
        )
    styled(figure, colours, height=70 + 40 * len(steps))
    figure.update_layout(showlegend=True, barmode="overlay", bargap=0.35)
    figure.update_yaxes(
        categoryorder="array", categoryarray=[figure_text(s.name) for s in steps][::-1], showgrid=False
    )
    longest = max((s.end_ms for s in steps), default=1.0)
    figure.update_xaxes(title="ms", range=[0, longest * 1.15], rangemode="tozero")
    return figure
