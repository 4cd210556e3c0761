"""Charts of the Map page: points in WebGL, a density picture for many, the query's neighbours on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from memdb.display import figure_text, line
from memdb.maps.overlay import Overlay
from memdb.ui.kit.charts import Palette, palette, styled
from memdb.vectors.distance import Floats

POINTS = 50_000  # drawn one by one; above, a density picture
SVG_POINTS = 5_000  # likewise without WebGL
HEIGHT = 620
TOP = 7  # categories with a colour of their own; the rest is "other"
OTHER, BETWEEN = "(all other values)", "between clusters"
QUIET = (OTHER, BETWEEN, "")
_BINS = (360, 260)
SHAPES = {"found": "circle", "missed": "x", "wrong": "diamond"}
MEANING = {
    "found": "found: index and exact agree",
    "missed": "missed: near, and not returned",
    "wrong": "wrong: returned, and others are nearer",
}


@dataclass(frozen=True, slots=True, eq=False)
class Colouring:
    """What a point's colour says: a category each, or a number each (NaN where it has none)."""

    title: str
    categories: Sequence[str] = ()
    numbers: NDArray[np.float64] | None = None


def points(
    xy: Floats,
    colouring: Colouring,
    labels: Sequence[str],
    *,
    dark: bool,
    chosen: NDArray[np.intp] | None = None,
    height: int = HEIGHT,
) -> go.Figure:
    """Points by colour; a click in the legend hides a category. Each carries its place as customdata.

    Args:
        xy: (n, 2 or 3).
        colouring: of n points.
        labels: (n,) for the hover card; shortened here.
        dark: the theme.
        chosen: places that stand out; the others fade.
        height: in pixels.
    """
    colours = palette(dark)
    figure = go.Figure()
    if colouring.numbers is not None:
        _numbers(figure, xy, colouring, labels, colours)
    else:
        _categories(figure, xy, colouring, labels, colours)
    if chosen is not None and len(chosen):
        figure.add_trace(
            _trace(
                xy[chosen],
                {"size": 9, "color": "rgba(0,0,0,0)", "line": {"width": 1.5, "color": colours.text}},
                name="selected",
                hoverinfo="skip",
            )
        )
    return _plane(figure, colours, height)


def density(xy: Floats, *, dark: bool, height: int = HEIGHT) -> go.Figure:
    """How many points (n, 2) lie where, as a picture whose size does not depend on their number."""
    colours = palette(dark)
    counts, x, y = np.histogram2d(xy[:, 0], xy[:, 1], bins=_BINS)
    logarithms = np.where(counts > 0, np.log10(np.maximum(counts, 1)), np.nan).T.astype(np.float32)
    figure = go.Figure(
        go.Heatmap(
            z=logarithms,
            x=((x[1:] + x[:-1]) / 2).astype(np.float32),
            y=((y[1:] + y[:-1]) / 2).astype(np.float32),
            colorscale="Cividis",
            hovertemplate="10^%{z:.1f} points here<extra></extra>",
            colorbar={
                "title": "points",
                "tickvals": [0, 1, 2, 3],
                "ticktext": ["1", "10", "100", "1,000"],
                "thickness": 10,
                "len": 0.5,
            },
        )
    )
    # A picture cannot be lassoed: a thin sample of points can, and stands for the rest.
    some = np.linspace(0, len(xy) - 1, 2_000).astype(np.intp)
    figure.add_trace(
        _trace(xy[some], {"size": 4, "color": "rgba(0,0,0,0)"}, name="", hoverinfo="skip", customdata=some)
    )
    return _plane(figure, colours, height)


def with_overlay(figure: go.Figure, overlay: Overlay, titles: dict[str, str], *, dark: bool) -> go.Figure:
    """A query and its neighbours on top: told apart by shape and colour, lines from the query."""
    colours = palette(dark)
    # No colour of a category: those may lie below.
    tones = {"found": colours.text, "missed": colours.alarm, "wrong": colours.mark}
    for kind, tone in tones.items():
        marks = [m for m in overlay.marks if m.kind == kind]
        if not marks:
            continue
        there = np.array([m.place for m in marks], np.float32)
        here = np.broadcast_to(np.array(overlay.place, np.float32), there.shape)
        gap = np.full_like(there, np.nan)
        lines = np.stack([here, there, gap], axis=1).reshape(-1, there.shape[1])
        figure.add_trace(
            _trace(
                lines,
                None,
                mode="lines",
                line={
                    "color": tone,
                    "width": 1.2,
                    **(
                        {}
                        if there.shape[1] == 3
                        else {"dash": {"found": "solid", "missed": "dot", "wrong": "dash"}[kind]}
                    ),
                },
                hoverinfo="skip",
                showlegend=False,
            )
        )
        figure.add_trace(
            _trace(
                there,
                {
                    "size": 12 if there.shape[1] == 2 else 6,
                    "color": tone,
                    "symbol": SHAPES[kind],
                    "line": {"width": 1.5, "color": colours.back},
                },
                name=f"{len(marks)} {kind}",
                hoverinfo="text",
                hovertext=[
                    f"<b>{figure_text(titles.get(m.key, m.key))}</b><br>{figure_text(line(m.key, 80))}<br>"
                    f"{MEANING[kind]}"
                    f"<br>distance {m.distance:.4f}" + ("" if m.on_map else "<br>not in the sample: placed")
                    for m in marks
                ],
            )
        )
    at = np.array([overlay.place], np.float32)
    figure.add_trace(
        _trace(
            at,
            {
                "size": 18 if at.shape[1] == 2 else 9,
                "color": colours.text,
                "symbol": "star" if at.shape[1] == 2 else "diamond",
                "line": {"width": 1.5, "color": colours.back},
            },
            name="the query",
            hoverinfo="name",
        )
    )
    return figure


def with_path(figure: go.Figure, places: Floats, texts: Sequence[str], name: str, *, dark: bool) -> go.Figure:
    """Turns of a session, (n, 2|3), as a numbered line."""
    colours = palette(dark)
    figure.add_trace(
        _trace(
            places,
            {"size": 13, "color": colours.back, "line": {"width": 2, "color": colours.text}},
            mode="lines+markers+text",
            line={"color": colours.text, "width": 2},
            text=[str(i) for i in range(1, len(places) + 1)],
            textfont={"size": 9, "color": colours.text},
            name=figure_text(name),
            hoverinfo="text",
            hovertext=[f"{i}. {figure_text(line(text, 160))}" for i, text in enumerate(texts, 1)],
            gl=False,
        )
    )
    return figure


def with_users(figure: go.Figure, places: Floats, names: Sequence[str], *, dark: bool) -> go.Figure:
    """Preference vectors of users, placed at (n, 2|3), as triangles or in 3-D as squares."""
    colours = palette(dark)
    figure.add_trace(
        _trace(
            places,
            {
                "size": 10,
                "symbol": "triangle-up" if places.shape[1] == 2 else "square",
                "color": colours.categories[3],
                "line": {"width": 1, "color": colours.back},
            },
            name="users",
            hoverinfo="text",
            hovertext=[f"preference of {figure_text(line(n, 60))}" for n in names],
        )
    )
    return figure


def without_webgl(figure: go.Figure) -> go.Figure:
    """The same figure drawn as SVG, for browsers that have nothing else."""
    drawn = [
        {**trace, "type": "scatter"} if trace["type"] == "scattergl" else trace
        for trace in figure.to_plotly_json()["data"]
    ]
    return go.Figure(drawn, figure.layout)


def kept_histogram(shares: Floats, neighbours: int, *, dark: bool) -> go.Figure:
    """How many points keep which share of their neighbours; `shares` is (n,)."""
    colours = palette(dark)
    counts = np.bincount(np.rint(shares * neighbours).astype(int), minlength=neighbours + 1)
    figure = go.Figure(
        go.Bar(
            x=[i / neighbours for i in range(neighbours + 1)],
            y=counts,
            marker={"color": colours.main},
            hovertemplate="%{y:,} points keep %{x:.0%}<extra></extra>",
        )
    )
    styled(figure, colours, height=220)
    figure.update_xaxes(
        title=f"share of a point's {neighbours} true neighbours that are near it on the map", tickformat=".0%"
    )
    figure.update_yaxes(title="points")
    return figure


def top_categories(values: Sequence[str]) -> list[str]:
    """Values with the rare ones as "other": at most eight in all, most frequent first."""
    counts = Counter(values)
    top = {value for value, _ in counts.most_common(TOP if len(counts) > TOP + 1 else TOP + 1)}
    return [value if value in top else OTHER for value in values]


def _categories(
    figure: go.Figure, xy: Floats, colouring: Colouring, labels: Sequence[str], colours: Palette
) -> None:
    shown_names = top_categories(colouring.categories)
    names = np.array(shown_names, dtype=object)
    sizes = Counter(shown_names)
    order = sorted(sizes, key=lambda name: (name in QUIET, -sizes[name]))
    for i, name in enumerate(order):
        places = np.flatnonzero(names == name)
        quiet = name in QUIET
        colour = (
            colours.second_quiet
            if name == OTHER
            else colours.quiet
            if quiet
            else colours.categories[i % len(colours.categories)]
        )
        figure.add_trace(
            _trace(
                xy[places],
                {"size": _size(len(xy)), "color": colour, "opacity": 0.45 if quiet else 0.75},
                name=figure_text(line(name or "(none)", 28)),
                customdata=places.astype(np.int32),
                hovertext=[labels[p] for p in places.tolist()],
                hoverinfo="text+name",
            )
        )


def _numbers(
    figure: go.Figure, xy: Floats, colouring: Colouring, labels: Sequence[str], colours: Palette
) -> None:
    assert colouring.numbers is not None  # noqa: S101  # asked before
    finite = np.isfinite(colouring.numbers)
    for places, marker, name in (
        (np.flatnonzero(~finite), {"color": colours.quiet, "opacity": 0.35}, "no value"),
        (
            np.flatnonzero(finite),
            {
                "color": colouring.numbers[finite].astype(np.float32),
                "colorscale": "Viridis",
                "opacity": 0.8,
                "colorbar": {"title": figure_text(line(colouring.title, 20)), "thickness": 10, "len": 0.5},
            },
            figure_text(line(colouring.title, 28)),
        ),
    ):
        if len(places):
            figure.add_trace(
                _trace(
                    xy[places],
                    {"size": _size(len(xy)), **marker},
                    name=name,
                    customdata=places.astype(np.int32),
                    hovertext=[labels[p] for p in places.tolist()],
                    hoverinfo="text",
                )
            )


def _size(n: int) -> float:
    return 7 if n < 2_000 else 5 if n < 12_000 else 3.5


def _trace(
    xy: Floats, marker: dict[str, object] | None, *, gl: bool = True, **options: object
) -> go.Scattergl:
    axes = {"x": xy[:, 0], "y": xy[:, 1]}
    options = {"mode": "markers", **options}
    if marker is not None:
        options["marker"] = marker
    if xy.shape[1] == 3:
        return go.Scatter3d(**axes, z=xy[:, 2], **options)
    return (go.Scattergl if gl else go.Scatter)(**axes, **options)


def _plane(figure: go.Figure, colours: Palette, height: int) -> go.Figure:
    styled(figure, colours, height=height)
    hidden = {"visible": False, "showgrid": False, "zeroline": False}
    figure.update_xaxes(**hidden)
    # One unit is as long in both directions: distances must not be stretched.
    figure.update_yaxes(**hidden, scaleanchor="x", scaleratio=1)
    figure.update_scenes(xaxis=hidden, yaxis=hidden, zaxis=hidden, aspectmode="data")
    figure.update_layout(
        showlegend=True,
        dragmode="pan",
        uirevision="map",
        legend={
            "orientation": "v",
            "x": 0.0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "top",
            "itemsizing": "constant",
            "bgcolor": "rgba(128,128,128,0.08)",
            "font": {"size": 11},
        },
    )
    return figure
