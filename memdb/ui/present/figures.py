"""Charts of the presentation: those of the pages, in a size that a room can read."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go

from memdb.display import figure_text, line
from memdb.maps.request import Map
from memdb.sizing.services import Bill
from memdb.tuning.run import Run
from memdb.ui import map as map_page
from memdb.ui import plan, tune
from memdb.ui.kit.charts import palette
from memdb.ui.kit.live import LiveChart

_TYPE = 18  # px of all texts
_HIGH = 300  # px of a live chart
NAMED = 10  # groups of the map that are named: more cannot be read


def large(figure: go.Figure, height: int) -> go.Figure:
    """The same chart with large type."""
    figure.update_layout(height=height, font={"size": _TYPE}, legend={"font": {"size": _TYPE}})
    figure.update_xaxes(title_font={"size": _TYPE}, tickfont={"size": _TYPE})
    figure.update_yaxes(title_font={"size": _TYPE}, tickfont={"size": _TYPE})
    figure.update_annotations(font={"size": _TYPE})
    return figure


def large_live(chart: LiveChart) -> LiveChart:
    """The same live chart with large type."""
    spec = deepcopy(chart.spec)
    spec["height"] = _HIGH
    config = spec.setdefault("config", {})
    config["axis"] = {"labelFontSize": _TYPE, "titleFontSize": _TYPE}
    config["legend"] = {**config.get("legend", {}), "labelFontSize": _TYPE}
    config["text"] = {"fontSize": _TYPE}
    return replace(chart, spec=spec)


def named_map(map_: Map, *, dark: bool) -> go.Figure:
    """The points by group, the largest groups with their names at their middle."""
    names = np.array([*map_.names, map_page.BETWEEN], dtype=object)
    categories = names[map_.labels].tolist() if len(map_.labels) else [""] * len(map_.keys)
    figure = map_page.points(
        map_.xy,
        map_page.Colouring("clusters", categories),
        [line(key, 60) for key in map_.keys],
        dark=dark,
    )
    colours = palette(dark)
    large(figure, 560)
    figure.update_layout(showlegend=False)
    sizes = np.bincount(map_.labels[map_.labels >= 0], minlength=len(map_.names))
    for place in np.argsort(sizes)[::-1][:NAMED]:
        x, y = np.median(map_.xy[map_.labels == place][:, :2], axis=0)
        figure.add_annotation(
            x=float(x),
            y=float(y),
            text=f"<b>{figure_text(line(map_.names[int(place)], 28))}</b>",
            showarrow=False,
            font={"size": _TYPE, "color": colours.text},
            bgcolor=colours.back,
            opacity=0.85,
        )
    return figure


def curve(run: Run, *, dark: bool) -> go.Figure:
    """Recall against EF_RUNTIME with the target and what is recommended."""
    verdict = run.recommendation
    figure = tune.recall_curve(
        (tune.curve_of(run),),
        target=run.request.goal.value if run.request.goal.kind == "recall" else None,
        best=verdict.ef_runtime if verdict is not None else None,
        dark=dark,
    )
    return large(figure, 400)


def bills(priced: Sequence[Bill], *, dark: bool) -> go.Figure:
    """The sum of each service, the cheapest first."""
    ordered = sorted(priced, key=lambda bill: bill.monthly_usd or 0.0)
    values = np.array([[bill.monthly_usd or 0.0] for bill in ordered])
    at_least = [bool(bill.unknown) for bill in ordered]
    figure = plan.bills([bill.title for bill in ordered], ["a month"], values, at_least, dark=dark)
    large(figure, 100 + 48 * max(1, len(ordered)))
    figure.update_traces(textfont={"size": _TYPE}, selector={"mode": "text"})
    figure.update_layout(showlegend=False)
    return figure
