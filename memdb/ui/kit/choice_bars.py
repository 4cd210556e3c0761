"""Bars of which one can be chosen: a click tells its place."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from memdb.display import labels
from memdb.ui.kit.charts import palette

_BAR, _GAP = 20, 6


def choice_bars(
    names: Sequence[str], values: Sequence[float], *, key: str, alt: str, dark: bool
) -> int | None:
    """Draw horizontal bars with their names and values; the place of the one that was clicked."""
    colours = palette(dark)
    label = labels({name: f"{name} · {value:,.0f}" for name, value in zip(names, values, strict=True)}, 48)
    rows = pd.DataFrame(
        {"place": range(len(names)), "name": [label(name) for name in names], "documents": list(values)}
    )
    axis = {
        "title": None,
        "labelLimit": 180,
        "labelFontSize": 12,
        "labelColor": colours.text,
        "ticks": False,
        "domain": False,
    }
    spec = {
        "description": alt,
        "params": [{"name": "chosen", "select": {"type": "point", "fields": ["place"]}}],
        "mark": {"type": "bar", "color": colours.main, "cursor": "pointer"},
        "encoding": {
            "y": {"field": "name", "type": "nominal", "sort": None, "axis": axis},
            "x": {"field": "documents", "type": "quantitative", "axis": None},
            "tooltip": [{"field": "name", "title": "value"}],
        },
        "config": {"view": {"stroke": None}},
    }
    event = st.vega_lite_chart(
        rows,
        spec,
        key=key,
        width="stretch",
        height=(_BAR + _GAP) * max(1, len(names)) + 20,
        on_select="rerun",
    )
    chosen = event["selection"].get("chosen")  # a list of bars; nothing is an empty dict
    return int(chosen[0]["place"]) if chosen else None
