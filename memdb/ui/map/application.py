"""Where the application's searches lie on the map: the record of a tap laid over it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from memdb.display import labels, line, markdown
from memdb.maps import layout
from memdb.tap import record as taps
from memdb.tuning import tapped
from memdb.tuning.queries import content_of
from memdb.tuning.source import File
from memdb.ui.kit import cached, charts, parts, state
from memdb.ui.kit.taps import visible
from memdb.ui.map.shown import MapView
from memdb.vectors.distance import Doubles, Floats, Vectors, distances, prepared

SEARCHES = 300  # of a record that are laid over the map
POINTS = 3_000  # of the map that are drawn below them
JUDGED = 500  # points of the map whose own neighbours are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """Searches on a map."""

    places: Floats  # (q, 2 or 3)
    nearest: Doubles  # (q,) distance of each search to the nearest point of the map
    of_points: Doubles  # (p,) the same of some of its points, to another one

    @property
    def words(self) -> str:
        """How the searches lie, in a sentence."""
        outside = float(np.mean(self.nearest > np.quantile(self.of_points, 0.95)))
        return (
            f"Half of these {len(self.nearest):,} searches lie within {np.median(self.nearest):.4g} of a "
            "document of "
            f"the map, half of its documents within {np.median(self.of_points):.4g} of another one. "
            f"{outside:.0%} of "
            "the searches lie farther out than 95 % of the documents: their places among them say little."
        )


def laid(vectors: Vectors, points: Floats, places: Floats, metric: str) -> Laid:
    """Searches laid over a map.

    Args:
        vectors: (q, d) of the searches, as sent.
        points: (n, d) of the map, prepared.
        places: (n, 2 or 3) of the map.
        metric: COSINE, IP or L2.
    """
    queried = np.asarray(prepared(vectors, metric))
    rows = np.random.default_rng(0).choice(len(points), min(JUDGED, len(points)), replace=False)
    own = distances(points[rows], points, metric)
    own[np.arange(len(rows)), rows] = np.inf
    return Laid(
        layout.place(queried, points, places, metric),
        distances(queried, points, metric).min(axis=1).astype(np.float64),
        own.min(axis=1).astype(np.float64),
    )


def section(map_view: MapView) -> None:
    """A record that lies here, laid over the map; nothing where there is none."""
    taps_kept = visible(cached.home())
    points = map_view.vectors
    if not taps_kept or points is None or len(points) < 2:
        return
    opened = st.expander(
        "What the application asks", icon=":material/record_voice_over:", on_change="rerun", key="map.asked"
    )
    if not opened.open:
        return
    with opened, parts.errors_shown(map_view.target):
        name = st.selectbox(
            "Record of a tap", list(taps_kept), format_func=labels(list(taps_kept)), key="map.tap"
        )
        _draw(map_view, taps_kept[str(name)], points)


def _draw(map_view: MapView, path: Path, points: Floats) -> None:
    map_ = map_view.made
    record = taps.load(path.name, content_of(str(path)))
    if record is None:
        st.caption(f"{markdown(path.name)} is damaged, or no record of a tap.")
        return
    client = cached.client(map_view.target)
    questions = tapped.queries(
        client, map_view.info, map_.request.field, record, File(path.name, str(path)), most=SEARCHES
    )
    placed = laid(questions.vectors, points, map_.xy, map_.metric)
    st.markdown(markdown(placed.words))
    st.plotly_chart(
        figure(placed.places, map_.xy, dark=state.dark()),
        key="map.asked.chart",
        config=charts.PLAIN,
        alt=f"{line(path.name)}: searches among the points of the map",
    )
    for note in questions.notes:
        st.caption(f":material/info: {markdown(note, 300)}")


def figure(searches: Floats, points: Floats, *, dark: bool) -> go.Figure:
    """Searches (q, 2|3) as diamonds over points (n, 2|3), seen from above."""
    colours = charts.palette(dark)
    some = points[np.random.default_rng(0).choice(len(points), min(POINTS, len(points)), replace=False)]
    drawn = go.Figure()
    for name, at, marker in (
        ("documents", some, {"size": 3, "color": colours.quiet, "opacity": 0.5}),
        ("searches", searches, {"size": 8, "symbol": "diamond", "color": colours.bad}),
    ):
        drawn.add_scattergl(
            x=at[:, 0], y=at[:, 1], name=name, mode="markers", marker=marker, hoverinfo="skip"
        )
    charts.styled(drawn, colours, height=420)
    drawn.update_layout(showlegend=True)
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    return drawn
