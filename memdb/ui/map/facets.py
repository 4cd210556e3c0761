"""Bars of fields beside the map: a value that is chosen filters the points, a lasso changes the bars."""

from __future__ import annotations

import hashlib
from functools import reduce

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import labels, line
from memdb.maps.facets import Bools, Facet
from memdb.ui.map import cached as map_cached
from memdb.ui.map.canvas import Places
from memdb.ui.map.shown import MapView

AT_ONCE = 50_000  # points up to which the first fields are read unasked
FIRST = 2


def choose(shown: MapView) -> list[Facet]:
    """Which fields have bars, with their values over the map's points."""
    fields = [f.name for f in shown.info.fields if f.kind in ("TAG", "NUMERIC")]
    if not fields:
        return []
    few = len(shown.made.keys) <= AT_ONCE
    chosen = st.multiselect(
        "Bars of",
        fields,
        default=fields[:FIRST] if few else [],
        key="map.facets",
        format_func=labels(fields),
        help="How often each value is on the map and in the selection. Choosing values filters the points.",
    )
    return [map_cached.facet(*shown.key, name, shown.info, shown.made) for name in chosen]


def shown_points(facets_: list[Facet], n: int) -> Bools:
    """The points (n,) that hold a chosen value of every field in which values are chosen."""
    every = (facet.holding(_rows(facet)) for facet in facets_)
    return reduce(np.logical_and, every, np.ones(n, bool))


def bars(facets_: list[Facet], visible: Bools, selected: Places | None) -> None:
    """The bars; a change of the chosen values draws the page anew.

    Args:
        facets_: of `choose`.
        visible: (n,) of `shown_points`.
        selected: (m,) places of the lasso, or None.
    """
    here = visible
    if selected is not None:
        here = np.zeros(len(visible), bool)
        here[selected] = True
    for facet in facets_:
        every, some = facet.holds.sum(axis=1), facet.counts(here)
        table = pd.DataFrame(
            {
                line(facet.field, 40): [line(value, 60) for value in facet.values],
                "here": some / max(1, int(here.sum())),
                "on the map": every / max(1, len(here)),
                "points here": some,
            }
        )
        before = _rows(facet)
        event = st.dataframe(
            table,
            hide_index=True,
            key=_key(facet),
            on_select="rerun",
            selection_mode="multi-row",
            height=min(38 + 35 * len(table), 250),
            column_config={
                "here": st.column_config.ProgressColumn(
                    format="percent", min_value=0.0, max_value=1.0, width="small"
                ),
                "on the map": st.column_config.ProgressColumn(
                    format="percent", min_value=0.0, max_value=1.0, width="small"
                ),
            },
        )
        if facet.left:
            st.caption(f"{facet.left:,} rarer values are not listed.")
        if list(event.selection.rows) != before:
            st.session_state[f"{_key(facet)}.rows"] = list(event.selection.rows)
            st.rerun()


def _key(facet: Facet) -> str:
    """Of the table: other values have another one, since what is chosen are its rows."""
    digest = hashlib.blake2b("\0".join(facet.values).encode("utf-8", "replace"), digest_size=6).hexdigest()
    return f"map.facet.{digest}.{line(facet.field, 60)}"


def _rows(facet: Facet) -> list[int]:
    """The places of the values that are chosen."""
    rows: list[int] = st.session_state.get(f"{_key(facet)}.rows", [])
    return [row for row in rows if row < len(facet.values)]
