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


def view(shown: MapView) -> None:
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
        two.view(shown)
    else:
        _two_maps(shown)


def _two_maps(shown: MapView) -> None:
    """Other parameters, or another index over the same keys; a selection is marked on both."""
    made = shown.made
    with st.container(border=True):
        left, right = st.columns([1, 1])
        with left:
            names = _alike(shown)
            name = (
                st.selectbox(
                    "Index",
                    names,
                    key="map2.index",
                    bind="query-params",
                    format_func=labels(names),
                    help="Another index over the same keys, e.g. a shadow index with another metric.",
                )
                or shown.info.name
            )
            info = cached.index_info(shown.target, name)
        with right:
            request = form.layout_widgets(replace(made.request, index=name), info, "map2", first=1)
        request = replace(
            request, field=info.vector_field()[0].name if name != shown.info.name else request.field
        )
        second = map_cached.kept(shown.target, info, request)
        if request == made.request:
            st.caption("The same as the first map: choose another layout, seed or index.")
            return
        if second is None:
            parts.start_button(
                "Draw the second map",
                form.start,
                (shown.target, info, request),
                icon=":material/scatter_plot:",
                key="map2.draw",
            )
            return
    both = compare.pair(made, second)
    if both is None:
        st.warning("The two maps share no documents: choose the same sample.", icon=":material/link_off:")
        return
    _side_by_side(shown, MapView(shown.target, info, second), both)


@st.fragment
def _side_by_side(shown: MapView, other: MapView, pair: compare.Pair) -> None:
    made, second = shown.made, other.made
    dark = state.dark()
    names = np.array([*made.names, figures.BETWEEN], dtype=object)
    groups = names[made.labels].tolist() if len(made.labels) else [""] * len(made.keys)
    first_chart, second_chart = st.columns(2)
    with first_chart:
        st.caption(markdown(_words(made)))
        event = st.plotly_chart(
            figures.points(
                made.xy, figures.Colouring("clusters", groups), shown.labels, dark=dark, height=440
            ),
            key="map2.left",
            config={"scrollZoom": True, "displaylogo": False},
            on_select="rerun",
            selection_mode=("lasso", "box"),
            alt="The first map",
        )
    chosen = region.places(event, made, False)
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
        for name, map_ in (("first", made), ("second", second))
    ]
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, key="map2.table")
    if len(chosen):
        st.caption(f"{len(chosen):,} selected on the left, {len(marked):,} of them on the right.")
        titles = shown.titles
        st.dataframe(
            pd.DataFrame(
                {
                    "document": [titles[i] for i in chosen[:500]],
                    "key": [line(made.keys[i], 200) for i in chosen[:500]],
                }
            ),
            hide_index=True,
            key="map2.chosen",
            height=220,
        )
    parts.export(
        table, "maps", {**shown.about, "shared_neighbours": float(pair.shared.mean())}, key="map2.file"
    )


def _alike(shown: MapView) -> list[str]:
    """Indexes that may lie over the same keys: the same prefixes."""
    names = [n for n in cached.index_names(shown.target) if n != shown.info.name]
    base = shown.info.name
    return [
        base,
        *(
            n
            for n in names
            if shadow.base_of(n) == base or _same(shown.info, cached.index_info(shown.target, n))
        ),
    ]


def _same(info: IndexInfo, other: IndexInfo) -> bool:
    return info.prefixes == other.prefixes and info.on == other.on and bool(other.of_kind("VECTOR"))


def _words(made: Map) -> str:
    request = made.request
    return (
        f"{line(request.index, 50)} · {form.LAYOUT_NAMES[request.layout]}, {request.neighbours} neighbours, "
        f"min_dist {request.min_dist:g}, seed {request.layout_seed}"
    )
