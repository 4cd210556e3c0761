"""Two maps of the same documents side by side: what is the data, and what was the setting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import streamlit as st

from memdb.display import labels, line, markdown
from memdb.maps import compare
from memdb.maps.request import Map
from memdb.tuning import shadow
from memdb.ui.kit import cached, parts, state
from memdb.ui.map import cached as map_cached
from memdb.ui.map import figures, form, region, two
from memdb.ui.map.shown import MapView
from memdb.vectors.index import IndexInfo

LAYOUTS, ONE_MAP = "Two maps of these documents", "Two on one map"


def view(map_view: MapView) -> None:
    """Another map of the same documents, or other documents on the same map."""
    kind = st.segmented_control(
        "Compare",
        [LAYOUTS, ONE_MAP],
        default=LAYOUTS,
        required=True,
        key="map.compare",
        bind="query-params",
        label_visibility="collapsed",
    )
    if kind == ONE_MAP:
        two.view(map_view)
    else:
        _two_maps(map_view)


def _two_maps(map_view: MapView) -> None:
    """Other parameters, or another index over the same keys; a selection is marked on both."""
    map_ = map_view.made
    with st.container(border=True):
        left, right = st.columns([1, 1])
        with left:
            names = _alike(map_view)
            name = (
                st.selectbox(
                    "Index",
                    names,
                    key="map2.index",
                    bind="query-params",
                    format_func=labels(names),
                    help="Another index over the same keys, e.g. a shadow index with another metric.",
                )
                or map_view.info.name
            )
            info = cached.index_info(map_view.target, name)
        with right:
            request = form.layout_widgets(replace(map_.request, index=name), info, "map2", first=1)
        request = replace(
            request, field=info.vector_field()[0].name if name != map_view.info.name else request.field
        )
        second = map_cached.stored_map(map_view.target, info, request)
        if request == map_.request:
            st.caption("The same as the first map: choose another layout, seed or index.")
            return
        if second is None:
            parts.start_button(
                "Draw the second map",
                form.start,
                (map_view.target, info, request),
                icon=":material/scatter_plot:",
                key="map2.draw",
            )
            return
    both = compare.pair(map_, second)
    if both is None:
        st.warning("The two maps share no documents: choose the same sample.", icon=":material/link_off:")
        return
    _side_by_side(map_view, MapView(map_view.target, info, second), both)


@st.fragment
def _side_by_side(map_view: MapView, other: MapView, pair: compare.Pair) -> None:
    first, second = map_view.made, other.made
    dark = state.dark()
    names = np.array([*first.names, figures.BETWEEN], dtype=object)
    groups = names[first.labels].tolist() if len(first.labels) else [""] * len(first.keys)
    first_chart, second_chart = st.columns(2)
    with first_chart:
        st.caption(markdown(_words(first)))
        event = st.plotly_chart(
            figures.points(
                first.xy, figures.Colouring("clusters", groups), map_view.labels, dark=dark, height=440
            ),
            key="map2.left",
            config={"scrollZoom": True, "displaylogo": False},
            on_select="rerun",
            selection_mode=("lasso", "box"),
            alt="The first map",
        )
    chosen = region.places(event, first, False)
    there = dict(zip(pair.left.tolist(), pair.right.tolist(), strict=True))
    marked = np.array([there[i] for i in chosen.tolist() if i in there], dtype=np.intp)
    same = np.full(len(second.keys), "not on the first", dtype=object)
    same[pair.right] = np.array(groups, dtype=object)[pair.left]
    with second_chart:
        st.caption(markdown(_words(second)))
        st.plotly_chart(
            figures.points(
                pair.aligned,
                figures.Colouring("clusters", same.tolist()),
                other.labels,
                dark=dark,
                chosen=marked,
                height=440,
            ),
            key="map2.right",
            config={"scrollZoom": True, "displaylogo": False},
            alt="The second map",
        )
    st.markdown(
        f"**{float(pair.shared.mean()):.0%}** of a document's {pair.neighbours:,} nearest on one map "
        f"are its nearest on "
        f"the other ({len(pair.left):,} documents on both). The second is turned onto the first; "
        f"colours are the first's "
        "clusters. What both show is the data; the rest was the setting."
    )
    rows = [
        {
            "map": name,
            "layout": _words(map_),
            "at neighbours": map_.quality.neighbours if map_.quality else None,
            "trustworthiness": map_.quality.trustworthiness if map_.quality else None,
            "continuity": map_.quality.continuity if map_.quality else None,
            "distances (rank correlation)": map_.quality.rank_correlation if map_.quality else None,
            "kept neighbours": map_.quality.mean_kept if map_.quality else None,
        }
        for name, map_ in (("first", first), ("second", second))
    ]
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, key="map2.table")
    if len(chosen):
        st.caption(f"{len(chosen):,} selected on the left, {len(marked):,} of them on the right.")
        titles = map_view.titles
        st.dataframe(
            pd.DataFrame(
                {
                    "document": [titles[i] for i in chosen[:500]],
                    "key": [line(first.keys[i], 200) for i in chosen[:500]],
                }
            ),
            hide_index=True,
            key="map2.chosen",
            height=220,
        )
    parts.export(
        table, "maps", {**map_view.about, "shared_neighbours": float(pair.shared.mean())}, key="map2.file"
    )


def _alike(map_view: MapView) -> list[str]:
    """Indexes that may lie over the same keys: the same prefixes."""
    names = [n for n in cached.index_names(map_view.target) if n != map_view.info.name]
    base = map_view.info.name
    return [
        base,
        *(
            n
            for n in names
            if shadow.base_of(n) == base or _same(map_view.info, cached.index_info(map_view.target, n))
        ),
    ]


def _same(info: IndexInfo, other: IndexInfo) -> bool:
    return info.prefixes == other.prefixes and info.on == other.on and bool(other.of_kind("VECTOR"))


def _words(map_: Map) -> str:
    request = map_.request
    return (
        f"{line(request.index, 50)} · {form.LAYOUT_NAMES[request.layout]}, {request.neighbours} neighbours, "
        f"min_dist {request.min_dist:g}, seed {request.layout_seed}"
    )
