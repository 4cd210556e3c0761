"""Charts that are drawn again and again: the chart that stands takes the new values.

A Plotly chart in Streamlit gets its identity from its figure, so that each redraw mounts another, empty at
first, beside the one that goes. A Vega-Lite chart stays as long as its specification does. So all that
changes with time is data here: a row for each point and each mark, told apart by its `kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from memdb.ui.kit.charts import Palette


@dataclass(frozen=True, slots=True, eq=False)
class LiveChart:
    """A specification, the same from one drawing to the next, and its rows as they are now."""

    spec: dict[str, Any]
    rows: pd.DataFrame


def draw(chart: LiveChart, *, key: str, alt: str) -> None:
    """Draw it, or give the chart of this key its new rows."""
    kinds = set(chart.rows["kind"])  # a layer of no row is left out: Vega warns of it at each drawing
    layers = [layer for layer in chart.spec["layer"] if layer["usermeta"]["kind"] in kinds]
    spec = {**chart.spec, "layer": layers, "description": alt}
    st.vega_lite_chart(chart.rows, spec, key=key, width="stretch", height=chart.spec["height"])


def of_kind(kind: str, mark: dict[str, Any], **encoding: Any) -> dict[str, Any]:
    """A layer of the rows of one kind."""
    chosen = [{"filter": f"datum.kind == '{kind}'"}]
    return {"transform": chosen, "mark": mark, "encoding": encoding, "usermeta": {"kind": kind}}


def rule(kind: str, colour: str, field: str = "x", **look: Any) -> dict[str, Any]:
    """A line across the chart for each row of a kind, at its x or y."""
    return of_kind(kind, {"type": "rule", "color": colour, **look}, **{field: {"field": field}})


def layered(
    layers: list[dict[str, Any]],
    colours: Palette,
    *,
    height: int,
    x: dict[str, Any],
    y: dict[str, Any],
) -> dict[str, Any]:
    """A specification in the look of the other charts.

    Args:
        layers: from `of_kind` and `rule`; x and y of a layer need no more than their fields.
        colours: of the theme.
        height: in pixels.
        x: of all layers: type, scale, axis.
        y: likewise.
    """
    quiet = {"grid": True, "gridColor": colours.grid, "domain": False, "ticks": False, "labelOverlap": True}
    for layer in layers:
        for field, common in (("x", x), ("y", y)):
            if field in layer["encoding"]:
                axis = {**quiet, **common.get("axis", {})}
                layer["encoding"][field] = {**common, "axis": axis, **layer["encoding"][field]}
    return {
        "height": height,
        "layer": layers,
        "config": {"view": {"stroke": None}, "legend": {"orient": "top", "title": None}},
    }
