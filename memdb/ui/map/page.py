"""The Map page's right side: the job, the picture with what lies on it, and the views behind it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from memdb.cluster.target import Target
from memdb.display import duration, line, markdown
from memdb.errors import MemDBError, UnknownIndex
from memdb.maps import store
from memdb.maps.facets import Bools, Facet
from memdb.maps.request import Map, MapRequest
from memdb.ui import frame
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.map import (
    application,
    canvas,
    compare,
    facets,
    figures,
    form,
    honesty,
    links,
    painting,
    region,
    session,
)
from memdb.ui.map import cached as map_cached
from memdb.ui.map import query as map_query
from memdb.ui.map.figures import Colouring
from memdb.ui.map.shown import MapView
from memdb.vectors.index import IndexInfo

VIEWS = ("Map", "Quality", "Compare", "Files")
CLUSTERS, KEPT, DENSITY, TTL = "clusters", "kept neighbours", "density", "time to live"
SO_FAR = {
    "PCA": "the widest plane (PCA); a layout follows",
    "coarse": "a coarse layout of these; all points follow",
    "UMAP": "the layout so far",
    "laid out": "the layout is finished; it is being judged and named",
}
CANVAS, LIVE = "map.canvas", "map.live"
LIVE_POINTS = 20_000  # that are drawn while the job runs
_PACKED = "map.live.packed"  # of this tab
_HOVERED = "map.hovered"  # of this tab
_FIGURE = "map.figure"  # of this tab, see _base
_KEPT_S = 1_800  # as long as a field's values are, see map_cached
CONFIG = {
    "scrollZoom": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["toImage", "autoScale2d", "zoomIn2d", "zoomOut2d"],
}


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A figure, what it is of, and how many of its traces are documents."""

    name: tuple[object, ...]
    figure: go.Figure
    traces: int


def draw(target: Target) -> None:
    """A map of the index chosen in the sidebar."""
    frame.on_index(target, _draw)
    _left_of_a_dropped_index(target)


def _left_of_a_dropped_index(target: Target) -> None:
    """What was drawn stays, also where its index went meanwhile."""
    map_ = form.drawn_last(target)
    if map_ is None:
        return
    with parts.errors_shown(target):
        try:
            cached.index_info(target, map_.request.index)
        except UnknownIndex:
            name = markdown(map_.request.index, 80)
            st.caption(f"The index **{name}** is not there any more. This is what was drawn of it.")
            _drawn_so_far(map_)


def _draw(target: Target, info: IndexInfo) -> None:
    if (
        info.told_documents == 0
        and info.build.ready
        and not info.failures
        and form.drawn_last(target) is None
    ):
        parts.empty(
            "This index holds no documents",
            "There is nothing to draw yet. An index takes in what is written under its prefixes; "
            "Home shows them, and how many documents each index holds.",
            ":material/scatter_plot:",
        )
        return
    left, right = st.columns([1, 3], gap="medium")
    with left:
        request = form.form(target, info)
    with right:
        right_side(target, info, request)


def right_side(target: Target, info: IndexInfo, request: MapRequest | MemDBError) -> None:
    """The job while it runs, else the map."""
    if form.DRAWING.watch(_so_far):
        return
    drawn = form.DRAWING.outcome(target)
    if drawn is not None and drawn.state.status == "cancelled":
        earlier = " What was drawn until then is below." if drawn.result is not None else ""
        st.info(f"Cancelled.{earlier}", icon=":material/stop_circle:")
    if isinstance(request, MemDBError):
        return
    map_ = map_cached.stored_map(target, info, request)
    if map_ is None:
        partial = form.DRAWING.ended(request)  # what a cancelled or failed job had drawn
        map_ = partial.result if partial is not None else None
    if map_ is None and request == form.untouched(info):
        map_ = _last_drawn(target, info)
        if map_ is not None:
            st.caption(
                f":material/history: The map drawn last, {duration(time.time() - map_.made_at)} ago. "
                "“Draw the map” draws one as the form says."
            )
    if map_ is None:
        parts.empty(
            "No map of this yet",
            f"“Draw the map” reads vectors of **{markdown(info.name, 80)}**, shows their widest plane "
            "at once, then lays out their neighbourhoods: which documents are alike, what each group is "
            "about, what the index misses, and how far the picture can be believed. "
            "10,000 points take about ten seconds.",
            ":material/scatter_plot:",
            parts.Act("Draw it now", form.start, (target, info, request)),
        )
        _kept_maps(target, info)
        return
    map_view = MapView(target, info, map_)
    _head(map_view)
    view = parts.view_choice(VIEWS, key="map.view")
    with parts.errors_shown(target):
        if view == "Quality":
            honesty.view(map_view)
        elif view == "Compare":
            compare.view(map_view)
        elif view == "Files":
            _files(map_view)
        else:
            _map(map_view)
    for note in map_.notes:
        st.caption(f":material/info: {markdown(note, 300)}")


def _plain(target: Target, info: IndexInfo) -> list[store.KeptMap]:
    """Kept maps of this index without a filter, the last looked at first."""
    mine = [each for each in store.listed(cached.home(), target) if each.request.index == info.name]
    return [each for each in mine if each.request.condition == "*"][:3]


def _last_drawn(target: Target, info: IndexInfo) -> Map | None:
    """For who has asked for nothing yet: a kept map that still holds."""
    for each in _plain(target, info):
        map_ = map_cached.stored_map(target, info, each.request)
        if map_ is not None:
            return map_
    return None


def _kept_maps(target: Target, info: IndexInfo) -> None:
    """Maps of this index that are there at once."""
    for place, stored in enumerate(_plain(target, info)):
        request = stored.request
        count_words = (
            f"{min(request.count, stored.total):,} of {stored.total:,}" if request.by != "all" else "all"
        )
        parts.choose_here(
            markdown(f"Open the map of {count_words} documents that is there, {request.dimensions}-D"),
            links.map_values(request),
            key=f"map.kept.{place}",
            icon=":material/scatter_plot:",
        )


def _so_far(map_: Map | None) -> None:
    if map_ is not None:
        st.caption(f"{markdown(map_.words)}: {SO_FAR[_stage(map_)]}.")
        _drawn_so_far(map_)
    else:
        st.caption("First the vectors are read.")


def _drawn_so_far(map_: Map) -> None:
    """Points in one colour: nothing that takes time from the job. Of many the first, a random part of all."""
    if len(map_.xy) > LIVE_POINTS:
        st.caption(f"{LIVE_POINTS:,} of them are drawn here.")
    quiet = Colouring("", ["documents"] * min(LIVE_POINTS, len(map_.keys)))
    if map_.request.dimensions == 3 or not canvas.possible():
        some = map_.xy[:LIVE_POINTS]
        figure = figures.points(some, quiet, [""] * len(some), dark=state.dark())
        if map_.request.dimensions == 2:
            figure = figures.without_webgl(figure)
        figure.update_layout(showlegend=False)
        st.plotly_chart(figure, key=f"map.live.{_stage(map_)}", config=charts.PLAIN, alt="The map so far")
        return
    shades = painting.painted(quiet, dark=state.dark())
    packed = st.session_state.get(_PACKED)
    if packed is None or packed[0] is not map_:  # looked at each second, and rarely another one
        packed = (map_, canvas.packed(LIVE, map_.xy[:LIVE_POINTS], shades.codes))
        st.session_state[_PACKED] = packed
    points = packed[1]
    canvas.carry(points, LIVE)
    canvas.show(points, shades.categories, key=LIVE, view="live", dark=state.dark(), alt="The map so far")


def _stage(map_: Map) -> str:
    """Which of SO_FAR a map is that is still being made."""
    return "laid out" if len(map_.graph) else map_.method


def _head(map_view: MapView) -> None:
    map_ = map_view.made
    quality = map_.quality
    words = [f"**Showing {markdown(map_.words)}**"]
    if map_.method == "PCA" and map_.quality is not None:
        words.append("the plane of largest spread (PCA)")
    elif map_.method == "PCA":
        words.append("the widest plane only (PCA), not laid out")
    elif map_.method == "coarse":
        words.append("a coarse layout only")
    elif not len(map_.graph):
        words.append("the layout as it was when it was cancelled")
    elif map_.method == "umap-learn":
        words.append("laid out by umap-learn")
    if quality is not None:
        words.append(f"trustworthiness **{quality.trustworthiness:.3f}**")
        words.append(f"continuity **{quality.continuity:.3f}**")
        words.append(f"**{quality.mean_kept:.0%}** of neighbours kept")
    if map_.graph_recall is not None:
        words.append(map_.graph_recall.words)
    words.append(f"{sum(s for _, s in map_.seconds):.1f} s")
    if quality is not None:
        st.markdown(f"{honesty.headline(map_.method, quality)} “Quality” has the figures.")
    st.markdown(" · ".join(words))


def _map(map_view: MapView) -> None:
    map_ = map_view.made
    options = [CLUSTERS, KEPT, DENSITY]
    if map_.quality is None:
        options = [DENSITY]
    options += [f.name for f in map_view.info.fields if f.kind in ("TAG", "NUMERIC")] + [TTL]
    left, middle, right = st.columns([1.2, 2, 1.2], vertical_alignment="bottom")
    colour = left.selectbox(
        "Colour by",
        options,
        key="map.colour",
        bind="query-params",
        format_func=line,
        help="A field's values are read when it is chosen.",
    )
    with middle:
        query = map_query.ask(map_view)
    with right:
        path = session.choose(map_view)
    _picture(map_view, colour or options[0], query, path)
    application.section(map_view)


def _picture(map_view: MapView, colour: str, query: map_query.Query | None, path: session.Path) -> None:
    """The points with what lies on them: in WebGL, or where there is none, or in 3-D, as charts."""
    if map_view.made.request.dimensions == 3 or not canvas.possible():
        _charts(map_view, colour, query, path)
        return
    drawn = st.container()  # the map before what is chosen for its bars: it is what one comes for
    bars = facets.choose(map_view)
    visible = facets.shown_points(bars, len(map_view.made.keys))
    shades = painting.painted(colouring(map_view, colour), dark=state.dark())
    if not visible.all():
        shades = replace(shades, codes=np.where(visible, shades.codes, np.uint8(canvas.HIDDEN)))
    points = _points(map_view, shades)
    with drawn:
        canvas.carry(points, CANVAS)
        _canvas(map_view, shades, points, bars, visible, query, path)


def _points(map_view: MapView, shades: painting.Shades) -> canvas.Points:
    titles = map_view.titles if len(map_view.made.keys) <= canvas.TITLED else []
    digest = hashlib.blake2b(shades.codes.tobytes(), digest_size=16).hexdigest()
    return map_cached.points(*map_view.key, digest, CANVAS, map_view.made, shades.codes, titles)


@st.fragment
def _canvas(
    map_view: MapView,
    shades: painting.Shades,
    points: canvas.Points,
    bars: list[Facet],
    visible: Bools,
    query: map_query.Query | None,
    path: session.Path,
) -> None:
    """A fragment: EF_RUNTIME, a selection and a hover redraw only this, and send no points again."""
    map_ = map_view.made
    overlay = map_query.live(map_view, query)
    titles = map_query.titles(map_view, overlay) if overlay is not None else {}
    upon = painting.Upon(map_.xy)
    hovered = st.session_state.get(_HOVERED)
    beside = st.columns([2.6, 1]) if bars else [st.container()]
    with beside[0]:
        canvas_state = canvas.show(
            points,
            shades.categories,
            key=CANVAS,
            view=f"{map_.state} {hashlib.blake2b(map_.xy.tobytes(), digest_size=8).hexdigest()}",
            dark=state.dark(),
            alt=f"{len(map_.keys):,} documents laid out by their neighbourhoods",
            labels=map_cached.names(*map_view.key, map_, points),
            query=None if overlay is None else upon.query(overlay, titles),
            path=None if path.session is None else upon.path(path.session.places, path.session.texts),
            users=() if path.users is None else upon.users(path.users.places, path.users.names),
            hover=hovered if hovered is not None and hovered[0] < len(map_.keys) else None,
        )
    if not canvas_state.drawn:
        canvas.give_up()
        st.rerun()
    if bars:
        with beside[1]:
            facets.bars(bars, facets.selection(visible, canvas_state.selected))
    st.caption(
        "Drag to move, wheel to zoom; Lasso or Box to select; a click in the legend shows one group alone. "
        "By keyboard: arrows, + and −, 0 for the whole map."
    )
    if bars:
        facets.tables(bars, facets.selection(visible, canvas_state.selected))
    if canvas_state.hovered is not None and (hovered is None or hovered[0] != canvas_state.hovered):
        key = map_.keys[canvas_state.hovered]
        st.session_state[_HOVERED] = (canvas_state.hovered, map_query.title(map_view, key))
        st.rerun(scope="fragment")
    if overlay is not None:
        map_query.table(map_view, overlay, titles)
    region.view(
        map_view, canvas_state.selected if canvas_state.selected is not None else region.NOTHING, many=False
    )


@st.fragment
def _charts(map_view: MapView, colour: str, query: map_query.Query | None, path: session.Path) -> None:
    """The same as charts of Plotly's."""
    map_ = map_view.made
    plain = map_.request.dimensions == 2
    if plain:
        st.caption(":material/info: This browser has no WebGL: the map is drawn as a chart.")
    overlay = map_query.live(map_view, query)
    many = len(map_.keys) > (figures.SVG_POINTS if plain else figures.POINTS)
    figure = _base(map_view, colour)
    dark = state.dark()
    if path.session is not None and len(path.session.places):
        figures.with_path(figure, path.session.places, path.session.texts, path.session.name, dark=dark)
    if path.users is not None and len(path.users.names):
        figures.with_users(figure, path.users.places, path.users.names, dark=dark)
    titles: dict[str, str] = {}
    if overlay is not None:
        titles = map_query.titles(map_view, overlay)
        figures.with_overlay(figure, overlay, titles, dark=dark)
    if plain:
        figure = figures.without_webgl(figure)
    event = st.plotly_chart(
        figure,
        key="map.chart",
        config=CONFIG,
        on_select="rerun",
        selection_mode=("lasso", "box"),
        alt=f"{len(map_.keys):,} documents laid out by their neighbourhoods",
    )
    if map_.request.dimensions == 2:
        st.caption(
            "Drag to move, wheel to zoom; lasso or box (top right) to select"
            + (": a region of this density picture is drawn point by point below." if many else ".")
        )
    if overlay is not None:
        map_query.table(map_view, overlay, titles)
    chosen = region.places(event, map_, many)
    region.view(map_view, chosen, many)


def _base(map_view: MapView, colour: str) -> go.Figure:
    """The documents. Kept in this tab, since making the figure takes longer than all that lies upon it."""
    map_, dark = map_view.made, state.dark()
    name = (map_view.key, colour, dark, int(time.time() // _KEPT_S))
    last_figure = st.session_state.get(_FIGURE)
    if last_figure is not None and last_figure.name == name and colour != TTL:
        last_figure.figure.data = last_figure.figure.data[
            : last_figure.traces
        ]  # without the last run's query and path
        return last_figure.figure
    flat = map_.request.dimensions == 2
    if (colour == DENSITY and flat) or len(map_.keys) > (figures.SVG_POINTS if flat else figures.POINTS):
        figure = figures.density(map_.xy, dark=dark)
    else:
        figure = figures.points(map_.xy, colouring(map_view, colour), map_view.labels, dark=dark)
    st.session_state[_FIGURE] = _Held(name, figure, len(figure.data))
    return figure


def colouring(map_view: MapView, colour: str) -> Colouring:
    """What the colours say."""
    map_ = map_view.made
    if colour == KEPT and map_.quality is not None:
        return Colouring("kept neighbours", numbers=map_.quality.kept.astype(np.float64))
    if colour == TTL:
        return Colouring("TTL, s", numbers=map_cached.ttls(*map_view.key, map_))
    if colour == DENSITY:  # the shade under the points tells it
        return Colouring("", [""] * len(map_.keys))
    if colour == CLUSTERS:
        names = np.array([*map_.names, figures.BETWEEN], dtype=object)
        return Colouring(
            "clusters", names[map_.labels].tolist() if len(map_.labels) else [""] * len(map_.keys)
        )
    if map_view.info.field(colour).kind == "TAG":
        tags = map_cached.tag_values(*map_view.key, colour, map_view.info, map_)
        return Colouring(colour, [values[0] if values else "" for values in tags])
    values = map_cached.values(*map_view.key, colour, map_view.info, map_)
    if map_view.info.field(colour).kind == "NUMERIC":
        return Colouring(
            colour, numbers=pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64)
        )
    return Colouring(colour, values)


def _files(map_view: MapView) -> None:
    """Coordinates with keys and parameters."""
    map_ = map_view.made
    names = ("x", "y", "z")[: map_.xy.shape[1]]
    table = pd.DataFrame({"key": [line(k, 300) for k in map_.keys]})
    if len(map_.keys) <= figures.POINTS:  # of more, the titles would take as long to read as the vectors
        table["title"] = map_view.titles
    for i, name in enumerate(names):
        table[name] = map_.xy[:, i]
    if len(map_.labels):
        table["cluster"] = [map_.names[label] if label >= 0 else "" for label in map_.labels.tolist()]
    if map_.quality is not None:
        table["kept"] = map_.quality.kept
    st.dataframe(table.head(1_000), hide_index=True, key="map.files")
    if len(table) > 1_000:
        st.caption(f"The first 1,000 of {len(table):,} rows; the files hold all.")
    parts.export(table, "map", map_view.about, key="map.export")
    request = map_.request
    st.markdown("##### The same with Python")
    parts.code_block(
        "from memdb.cluster.client import connect\nfrom memdb.cluster.find import find_target\n"
        "from memdb.maps import run\nfrom memdb.maps.request import MapRequest\n"
        "from memdb.settings import Settings\nfrom memdb.vectors.index import index_info\n\n"
        "settings = Settings.from_env()\nwith connect(find_target(settings)) as client:\n"
        f"    info = index_info(client, {request.index!r})\n"
        f"    made = run.make(client, info, {request!r}, home=settings.home)\n"
        "print(made.words, made.quality.trustworthiness)\n",
        "python",
    )
