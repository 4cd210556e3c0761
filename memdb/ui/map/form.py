"""The Map page's left side: which documents, laid out how; the job that draws."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import streamlit as st

from memdb.cluster.target import Target
from memdb.display import labels
from memdb.errors import BadInput, MemDBError
from memdb.jobs import Job
from memdb.maps import memory, plain, run
from memdb.maps.request import GRAPHS, LAYOUTS, MOST, By, How, Map, MapRequest
from memdb.ui.kit import cached, filter_form, parts, safety
from memdb.ui.kit.job import JobSlot
from memdb.vectors.filters import render
from memdb.vectors.index import IndexInfo

DRAWING = JobSlot[Map]("map.job")
DEFAULT = MapRequest("")
_OF = "map.job.target"  # of this browser's newest job
BY = {"random": "Random", "stratified": "By tag", "all": "All"}
LAYOUT_NAMES = {"graph": "Neighbour graph", "umap": "umap-learn", "pca": "Widest plane (PCA)"}
GRAPH_NAMES: dict[How, str] = {"auto": "Automatic", "exact": "Exact", "approximate": "Approximate"}
# Preset → neighbours, min_dist, and what it is good for.
PRESETS: dict[str, tuple[int, float, str]] = {
    "Balanced": (DEFAULT.neighbours, DEFAULT.min_dist, "UMAP's own defaults: a fair first look."),
    "Fine": (5, 0.0, "Few neighbours, points close: small groups and near duplicates."),
    "Broad": (50, 0.3, "Many neighbours: large shapes, details blurred."),
    "Own": (DEFAULT.neighbours, DEFAULT.min_dist, "Your own neighbours and min_dist."),
}


def form(target: Target, info: IndexInfo) -> MapRequest | MemDBError:
    """Draw the form; the error where nothing can be drawn."""
    try:
        with st.container(border=True):
            request = _sample(info)
            condition, matching = filter_form.filter_form(target, info, "map")
            rendered = render(condition, cached.server(target).dialect, info)
            request = replace(request, condition=rendered.query, params=rendered.params)
            if matching == 0:
                raise filter_form.none_match(info)
        with st.container(border=True):
            request = layout_widgets(request, info, "map")
            dims = st.segmented_control(
                "Dimensions",
                ["2-D", "3-D"],
                default="2-D",
                required=True,
                key="map.dims",
                bind="query-params",
                width="stretch",
            )
            request = replace(request, dimensions=3 if dims == "3-D" else 2)
    except MemDBError as exc:
        parts.show_error(exc)
        return exc
    fits = True
    try:
        memory.check(request, info)
    except BadInput as exc:  # said before anything starts; a map that is kept is shown all the same
        parts.show_error(exc)
        fits = False
    parts.start_button(
        "Draw the map",
        start,
        (target, info, request),
        icon=":material/scatter_plot:",
        width="stretch",
        key="map.draw",
        disabled=not fits or DRAWING.current() is not None,
    )
    st.caption("Reads vectors; writes nothing to the server. A map that was drawn before is there at once.")
    return request


def untouched(info: IndexInfo) -> MapRequest:
    """What the form asks for before anybody changed it."""
    return replace(DEFAULT, index=info.name, field=info.vector_field()[0].name)


def layout_widgets(request: MapRequest, info: IndexInfo, key: str, first: int = 0) -> MapRequest:
    """Which layout, presets and parameters; the preset at place `first` is chosen at first."""
    _, params = info.vector_field()
    offered = [name for name in LAYOUTS if name != "umap" or params.metric in plain.METRICS]
    layout = st.selectbox(
        "Layout",
        offered,
        key=f"{key}.layout",
        bind="query-params",
        format_func=LAYOUT_NAMES.__getitem__,
        help=" ".join(f"{LAYOUT_NAMES[name]}: {LAYOUTS[name]}" for name in offered),
    )
    graph = st.selectbox(
        "Neighbours of a point",
        list(GRAPHS),
        key=f"{key}.graph",
        bind="query-params",
        format_func=GRAPH_NAMES.__getitem__,
        help=" ".join(f"{GRAPH_NAMES[name]}: {words}" for name, words in GRAPHS.items()),
    )
    preset = st.selectbox("Preset", list(PRESETS), index=first, key=f"{key}.preset", bind="query-params")
    neighbours, min_dist, help_text = PRESETS[preset or "Balanced"]
    st.caption(help_text)
    if preset == "Own":
        left, right = st.columns(2)
        neighbours = left.number_input(
            "Neighbours",
            min_value=2,
            max_value=200,
            value=neighbours,
            key=f"{key}.nn",
            bind="query-params",
            help="How many true neighbours of each point hold it in place.",
        )
        min_dist = right.number_input(
            "min_dist",
            min_value=0.0,
            max_value=0.99,
            value=min_dist,
            step=0.05,
            key=f"{key}.md",
            bind="query-params",
            help="How close points may lie.",
        )
    seed = st.number_input(
        "Layout seed",
        min_value=0,
        max_value=2**31 - 1,
        value=0,
        key=f"{key}.lseed",
        bind="query-params",
        help="Another seed draws another picture of the same neighbourhoods: what changes was chance.",
    )
    return replace(
        request,
        layout=layout,
        graph=graph,
        neighbours=int(neighbours),
        min_dist=float(min_dist),
        layout_seed=int(seed or 0),
    )


def start(target: Target, info: IndexInfo, request: MapRequest) -> None:
    """A callback: draw in the background."""
    opened, home, budget = cached.client(target), cached.home(), safety.budget(target)

    def work(job: Job[Map]) -> Map:
        client = opened.budgeted(budget)  # made here: it counts from the job's own beginning
        return run.make(client, info, request, home=home, report=job.report, keep=job.keep)

    if DRAWING.start(f"Map of {info.name}", work, about=request):
        st.session_state[_OF] = target


def drawn_last(target: Target) -> Map | None:
    """What this browser's newest job drew of a target, also before its end; None where it drew nothing."""
    job = DRAWING.job() if st.session_state.get(_OF) == target else None
    return None if job is None else job.result


def _sample(info: IndexInfo) -> MapRequest:
    tags = [f.name for f in info.of_kind("TAG")]
    kinds = [order for order in BY if order != "stratified" or tags]
    order = st.selectbox(
        "Sample",
        kinds,
        format_func=BY.__getitem__,
        key="map.by",
        bind="query-params",
        help="Random: every document alike. By tag: as many of each value of a TAG field as can be had.",
    )
    stratum: str | None = ""
    with st.container():  # there or not, the blocks below keep their places
        if order == "stratified":
            stratum = st.selectbox(
                "Tag", tags, key="map.stratum", bind="query-params", format_func=labels(tags)
            )
    left, right = st.columns(2)
    count = left.number_input(
        "Points",
        min_value=4,
        max_value=MOST,
        value=DEFAULT.count,
        step=1_000,
        key="map.n",
        bind="query-params",
        disabled=order == "all",
        help=f"At most {MOST:,}.",
    )
    seed = right.number_input(
        "Seed",
        min_value=0,
        max_value=2**31 - 1,
        value=0,
        key="map.seed",
        bind="query-params",
        disabled=order == "all",
        help="Another seed redraws with other documents.",
    )
    return MapRequest(
        info.name,
        info.vector_field()[0].name,
        by=cast(By, order or "random"),
        count=int(count or DEFAULT.count),
        stratum=stratum or "",
        seed=int(seed or 0),
    )
