"""Bars of fields beside the map: a value that is chosen filters the points, a lasso changes the bars."""

from __future__ import annotations

import hashlib
from functools import reduce

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import labels, line
from memdb.maps.facets import Bools, Facet
from memdb.ui.kit import state
from memdb.ui.map import cached as map_cached
from memdb.ui.map import canvas
from memdb.ui.map.canvas import Places
from memdb.ui.map.shown import MapView
from memdb.vectors.distance import Doubles

AT_ONCE = 50_000  # points up to which the first fields are read unasked
FIRST = 2


def choose(map_view: MapView) -> list[Facet]:
    """Which fields have bars, with their values over the map's points."""
    fields = [f.name for f in map_view.info.fields if f.kind in ("TAG", "NUMERIC")]
    if not fields:
        return []
    few = len(map_view.made.keys) <= AT_ONCE
    chosen = st.multiselect(
        "Bars of",
        fields,
        default=fields[:FIRST] if few else [],
        key="map.facets",
        format_func=labels(fields),
        help="How often each value is on the map and in the selection. Choosing values filters the points.",
    )
    return [map_cached.facet(*map_view.key, name, map_view.info, map_view.made) for name in chosen]


def shown_points(facets_: list[Facet], n: int) -> Bools:
    """The points (n,) that hold a chosen value of every field in which values are chosen."""
    every = (facet.holding(_rows(facet)) for facet in facets_)
    return reduce(np.logical_and, every, np.ones(n, bool))


def bars(facets_: list[Facet], here: Bools) -> None:
    """The bars; a change of the chosen values draws the page anew.

    Args:
        facets_: of `choose`.
        here: (n,) of `selection`.
    """
    chosen_bars = canvas.bars([_bars(facet, here) for facet in facets_], key="map.bars", dark=state.dark())
    changed = False
    for facet in facets_:
        rows = chosen_bars.get(_key(facet))
        if rows is not None and rows != _rows(facet):
            st.session_state[f"{_key(facet)}.rows"] = rows
            changed = True
    if changed:
        st.rerun()


def selection(visible: Bools, selected: Places | None) -> Bools:
    """The points (n,) that the bars are of: those in the lasso, or where there is none, those that show."""
    if selected is None:
        return visible
    here = np.zeros(len(visible), bool)
    here[selected] = True
    return here


def tables(facets_: list[Facet], here: Bools) -> None:
    """The numbers of the bars, of the points (n,) in here."""
    with st.expander("The bars as tables"):
        for facet in facets_:
            some, every = _shares(facet, here)
            st.dataframe(
                pd.DataFrame(
                    {
                        line(facet.field, 40): [line(value, 60) for value in facet.values],
                        "here": some,
                        "on the map": every,
                        "points here": facet.counts(here),
                    }
                ),
                hide_index=True,
                key=f"{_key(facet)}.table",
                height=min(38 + 35 * len(facet.values), 250),
                column_config={
                    "here": st.column_config.NumberColumn(format="percent"),
                    "on the map": st.column_config.NumberColumn(format="percent"),
                },
            )


def _shares(facet: Facet, here: Bools) -> tuple[Doubles, Doubles]:
    """Of the points that hold each value: the share of those here (values,), and of all (values,)."""
    return facet.counts(here) / max(1, int(here.sum())), facet.holds.mean(axis=1)


def _bars(facet: Facet, here: Bools) -> canvas.Bars:
    some, every = _shares(facet, here)
    counts, n = facet.counts(here).tolist(), int(here.sum())
    values = [
        canvas.ValueBar(
            line(value, 60),
            share,
            of_all,
            f"{line(value, 120)}: {count:,} of {n:,} here ({share:.1%}), {of_all:.1%} of the whole map",
        )
        for value, share, of_all, count in zip(
            facet.values, some.tolist(), every.tolist(), counts, strict=True
        )
    ]
    rarer = f"{facet.left:,} rarer values are not listed." if facet.left else ""
    return canvas.Bars(_key(facet), line(facet.field, 40), tuple(values), tuple(_rows(facet)), rarer)


def _key(facet: Facet) -> str:
    """Of the table: other values have another one, since what is chosen are its rows."""
    digest = hashlib.blake2b("\0".join(facet.values).encode("utf-8", "replace"), digest_size=6).hexdigest()
    return f"map.facet.{digest}.{line(facet.field, 60)}"


def _rows(facet: Facet) -> list[int]:
    """The places of the values that are chosen."""
    rows: list[int] = st.session_state.get(f"{_key(facet)}.rows", [])
    return [row for row in rows if row < len(facet.values)]
