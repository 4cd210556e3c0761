"""Results → plotly figures. Pure: knows no Streamlit, no client. One palette, one style.

Colours follow Okabe and Ito; where two things must be told apart, their shape or place differs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from memdb.display import figure_text, line

PLAIN = {"displayModeBar": False}  # the configuration of every chart without Plotly's own buttons


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme."""

    main: str
    second: str
    good: str
    bad: str
    quiet: str
    second_quiet: str
    alarm: str  # these two are not among the categories
    mark: str
    text: str
    grid: str
    back: str
    categories: tuple[str, ...]


LIGHT = Palette(
    main="#0072b2",
    second="#e69f00",
    good="#009e73",
    bad="#d55e00",
    quiet="#9aa7b3",
    second_quiet="#c8b89a",
    alarm="#b0003a",
    mark="#5b2a86",
    text="#17222d",
    grid="#e3e8ed",
    back="#ffffff",
    categories=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6ff0", "#7f8c99"),
)
DARK = Palette(
    main="#56b4e9",
    second="#e69f00",
    good="#2fbf94",
    bad="#f0804a",
    quiet="#6b7986",
    second_quiet="#8a7a5c",
    alarm="#ff4d7d",
    mark="#d9b8ff",
    text="#e4eaf0",
    grid="#26323d",
    back="#0f161d",
    categories=("#56b4e9", "#e69f00", "#2fbf94", "#e09cc4", "#8ecdf2", "#f0804a", "#a79ff5", "#93a1ae"),
)


def palette(dark: bool) -> Palette:
    """The colours for a theme."""
    return DARK if dark else LIGHT


def faint(colour: str, share: float) -> str:
    """A colour like #0072b2, seen through: `share` is how much of it is left."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share})"


def styled(figure: go.Figure, colours: Palette, *, height: int) -> go.Figure:
    """One look for all charts: no frame, a quiet grid, the theme's text."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 13, "color": colours.text},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
        showlegend=False,
        dragmode=False,
    )
    axis = {
        "gridcolor": colours.grid,
        "zerolinecolor": colours.grid,
        "linecolor": colours.grid,
        "automargin": True,
        "title_font": {"size": 12},
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure


def distance_profile(
    keys: Sequence[str], titles: Sequence[str], distances: np.ndarray, meaning: str, *, dark: bool
) -> go.Figure:
    """How distance grows with rank: a knee shows where the good answers end.

    Args:
        keys: nearest first.
        titles: a name for each, for the hover.
        distances: (len(keys),).
        meaning: what the distance is, for the axis.
        dark: the theme.
    """
    colours = palette(dark)
    ranks = np.arange(1, len(keys) + 1)
    hover = [
        f"<b>{figure_text(title)}</b><br>{figure_text(key)}<br>{meaning} {d:.4f}"
        for key, title, d in zip(keys, titles, distances, strict=True)
    ]
    figure = go.Figure(
        go.Scatter(
            x=ranks,
            y=distances,
            mode="lines+markers",
            line={"color": colours.main, "width": 1.5},
            marker={"size": 8, "color": colours.main},
            hovertext=hover,
            hoverinfo="text",
        )
    )
    figure.update_xaxes(title="rank", dtick=max(1, len(keys) // 10), range=[0.5, len(keys) + 0.5])
    figure.update_yaxes(title=meaning)
    return styled(figure, colours, height=230)


@dataclass(frozen=True, slots=True)
class Move:
    """A document in two rankings; a rank is 1 for the nearest, None where it is not among them."""

    key: str
    title: str
    before: int | None
    after: int | None


def moves(
    first: Sequence[str], right: Sequence[str], titles: dict[str, str], limit: int = 50
) -> tuple[Move, ...]:
    """The documents of two rankings, in the order of the left, then what only the right has."""
    places_left = {key: i for i, key in enumerate(first, 1)}
    places_right = {key: i for i, key in enumerate(right, 1)}
    keys = [*first, *(key for key in right if key not in places_left)]
    return tuple(
        Move(key, titles.get(key, key), places_left.get(key), places_right.get(key)) for key in keys[:limit]
    )


def rank_moves(moves: Sequence[Move], names: tuple[str, str], *, dark: bool) -> go.Figure:
    """A slope chart: left ranking, right ranking, a line for each document.

    Grey stays, orange-yellow moves, a diamond stands for a document that only one side has.
    """
    colours = palette(dark)
    depth = max([m.before or 0 for m in moves] + [m.after or 0 for m in moves] + [1])
    figure = go.Figure()
    for move in moves:
        both = move.before is not None and move.after is not None
        colour = colours.bad if not both else colours.quiet if move.before == move.after else colours.second
        x, y = _ends(move)
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            line={"color": colour, "width": 2 if both else 0},
            marker={"size": 10, "color": colour, "symbol": "circle" if both else "diamond"},
            hovertext=f"<b>{figure_text(move.title)}</b><br>{figure_text(move.key)}<br>"
            f"{figure_text(names[0])}: {_place(move.before)} · {figure_text(names[1])}: {_place(move.after)}",
            hoverinfo="text",
        )
        for rank, at, anchor, shift in ((move.before, 0, "right", -12), (move.after, 1, "left", 12)):
            if rank is not None and depth <= 25:
                figure.add_annotation(
                    x=at,
                    y=rank,
                    text=f"{rank} · {figure_text(line(move.title, 34))}"
                    if at
                    else f"{figure_text(line(move.title, 34))} · {rank}",
                    showarrow=False,
                    xanchor=anchor,
                    xshift=shift,
                    font={"size": 12, "color": colours.text if both else colours.bad},
                )
    styled(figure, colours, height=90 + 26 * min(depth, 25) if depth <= 25 else 90 + 9 * depth)
    wide = 0.9 if depth <= 25 else 0.1
    figure.update_xaxes(
        tickvals=[0, 1],
        ticktext=[f"<b>{figure_text(n)}</b>" for n in names],
        side="top",
        range=[-wide, 1 + wide],
        showgrid=False,
        zeroline=False,
        tickfont={"size": 13},
    )
    figure.update_yaxes(visible=False, range=[depth + 0.7, 0.3])
    return figure


def truth_ranks(
    titles: Sequence[str],
    keys: Sequence[str],
    distances: np.ndarray,
    retrieved: Sequence[bool],
    *,
    dark: bool,
) -> go.Figure:
    """The exact neighbours by `distances` (k,): found ones as filled dots, missed ones as open diamonds."""
    colours = palette(dark)
    ranks = np.arange(1, len(keys) + 1)
    mask = np.asarray(retrieved, dtype=bool)
    figure = go.Figure()
    for which, name, colour, symbol in (
        (mask, "found by the index", colours.good, "circle"),
        (~mask, "missed by the index", colours.bad, "diamond-open"),
    ):
        rows = np.flatnonzero(which).tolist()
        figure.add_scatter(
            x=ranks[rows],
            y=distances[rows],
            mode="markers",
            name=f"{name} ({len(rows)})",
            marker={"size": 12, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
            hovertext=[
                f"<b>{figure_text(titles[i])}</b><br>{figure_text(keys[i])}<br>true rank {i + 1}, "
                f"distance {distances[i]:.4f}<br>{name}"
                for i in rows
            ],
            hoverinfo="text",
        )
    styled(figure, colours, height=260)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title="true rank", dtick=max(1, len(keys) // 10), range=[0.5, len(keys) + 0.5])
    figure.update_yaxes(title="distance")
    return figure


def bars(names: Sequence[str], values: Sequence[float], *, dark: bool, unit: str = "") -> go.Figure:
    """Horizontal bars, largest on top, each with its value."""
    colours = palette(dark)
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=[figure_text(name, 40) for name in names],
            orientation="h",
            marker_color=colours.main,
            text=[f"{value:,.0f}{unit}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    styled(figure, colours, height=40 + 26 * max(1, len(names)))
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
    # Room for the number behind the longest bar.
    figure.update_xaxes(visible=False, range=[0, 1.3 * max([*values, 1])])
    return figure


def _ends(move: Move) -> tuple[list[int], list[int]]:
    points = [(at, rank) for at, rank in ((0, move.before), (1, move.after)) if rank is not None]
    return [at for at, _ in points], [rank for _, rank in points]


def _place(rank: int | None) -> str:
    return "not among them" if rank is None else f"rank {rank}"
