"""Charts of the Metrics page: figures over time with marks of events, memory by part, builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from memdb.display import figure_text
from memdb.operations.events import Event
from memdb.operations.memory import TITLES, MemorySplit
from memdb.operations.past import BuildPoint, Series
from memdb.operations.probe import Probe
from memdb.ui.kit.charts import Palette, palette, styled
from memdb.vectors.distance import Doubles

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_MARKS = 12  # lines of events on a chart: more hide what they mark


def clock(times: Doubles) -> np.ndarray:
    """Unix seconds (n,) → what plotly draws as UTC, (n,) datetime64."""
    return np.asarray((times * 1000).astype("datetime64[ms]"))


def over_time(
    series: Series,
    names: Mapping[str, str],
    span: tuple[float, float],
    events: Sequence[Event] = (),
    *,
    unit: str,
    dark: bool,
    limit: float | None = None,
    share: bool = False,
    area: bool = False,
) -> go.Figure:
    """Figures of one node as lines; the largest of each bucket as a thin dotted line where it was thinned.

    Args:
        series: the figures.
        names: figure → name in the legend.
        span: the range of the axis, Unix seconds.
        events: marked by vertical lines, newest first.
        unit: title of the axis.
        dark: the theme.
        limit: a horizontal line, e.g. an alert's threshold.
        share: values are shares in [0, 1].
        area: stack the figures.
    """
    colours = palette(dark)
    x = clock(series.times)
    figure = go.Figure()
    if area:  # a kind that nobody sends is no line of the legend
        names = {name: title for name, title in names.items() if np.nansum(series.mean[name]) > 0} or names
    for i, (name, title) in enumerate(names.items()):
        colour = colours.categories[i % len(colours.categories)]
        shown = ":.1%" if share else ":,.4~g"
        figure.add_trace(
            go.Scatter(
                x=x,
                y=series.mean[name],
                name=title,
                mode="lines",
                line={"color": colour, "width": 1.8, "dash": "solid" if area else _DASHES[i % len(_DASHES)]},
                stackgroup="all" if area else None,
                hovertemplate=f"%{{y{shown}}} {unit}<extra>{title}</extra>",
            )
        )
        if series.bucket_s and not area and len(names) <= 2:
            figure.add_trace(
                go.Scatter(
                    x=x,
                    y=series.top[name],
                    name=f"{title}, largest",
                    mode="lines",
                    line={"color": colour, "width": 0.9, "dash": "dot"},
                    opacity=0.7,
                    hoverinfo="skip",
                )
            )
    styled(figure, colours, height=240)
    figure.update_layout(showlegend=len(figure.data) > 1, hovermode="x unified", uirevision="kept")
    _marks(figure, events, colours)
    if limit is not None:
        figure.add_hline(
            y=limit,
            line={"color": colours.bad, "width": 1, "dash": "dash"},
            annotation={"text": "alert", "font": {"color": colours.bad}},
        )
    low, high = clock(np.array(span))
    figure.update_xaxes(range=[low, high], type="date", title=None)
    byte = unit in ("bytes", "bytes/s")
    figure.update_yaxes(title=unit, rangemode="tozero", tickformat=".0%" if share else "~s" if byte else None)
    return figure


def _marks(figure: go.Figure, events: Sequence[Event], colours: Palette) -> None:
    for event in events[:_MARKS]:
        figure.add_vline(
            x=event.at * 1000,
            line={"color": colours.bad if event.kind == "alert" else colours.good, "width": 1, "dash": "dot"},
        )


def memory_parts(split: MemorySplit, *, dark: bool) -> go.Figure:
    """The parts as bars, largest on top, with the interval of what was sampled."""
    colours = palette(dark)
    known = sorted((p for p in split.parts if p.bytes), key=lambda p: -(p.bytes or 0.0))
    values = [p.bytes or 0.0 for p in known]
    names = [TITLES[p.name] for p in known]
    within = [p.within_bytes for p in known]
    if split.rest is not None:
        names, values, within = [*names, "Rest"], [*values, split.rest], [*within, None]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker_color=[colours.quiet if name == "Rest" else colours.main for name in names],
            hovertemplate="%{y}: %{x:.4s}B<extra></extra>",
        )
    )
    sampled = [i for i, half in enumerate(within) if half]
    figure.add_trace(
        go.Scatter(
            x=[values[i] for i in sampled],
            y=[names[i] for i in sampled],
            mode="markers",
            marker={"size": 1, "color": colours.text},
            error_x={"array": [within[i] for i in sampled], "color": colours.text, "thickness": 1.2},
            hoverinfo="skip",
        )
    )
    styled(figure, colours, height=60 + 30 * max(1, len(names)))
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(tickformat="~s", title="bytes")
    return figure


def build_progress(
    points: Sequence[BuildPoint], span: tuple[float, float], events: Sequence[Event], *, dark: bool
) -> go.Figure:
    """Progress of each index on each node as steps; a mark where a build ended."""
    colours = palette(dark)
    figure = go.Figure()
    lines: dict[tuple[str, str], list[BuildPoint]] = {}
    for point in points:
        lines.setdefault((point.name, point.node), []).append(point)
    for i, ((name, node), line) in enumerate(list(lines.items())[:24]):
        times, fractions = _builds_apart(line)
        figure.add_trace(
            go.Scatter(
                x=clock(np.array([*times, span[1]])),
                y=[*fractions, line[-1].fraction],
                name=f"{figure_text(name, 30)} · {figure_text(node, 30)}",
                mode="lines+markers",
                marker={"size": 4},
                line={
                    "color": colours.categories[i % len(colours.categories)],
                    "dash": _DASHES[i % len(_DASHES)],
                    "width": 1.8,
                },
                hovertemplate="%{y:.1%}<extra></extra>",
            )
        )
    styled(figure, colours, height=260)
    figure.update_layout(showlegend=True, uirevision="kept")
    _marks(figure, [e for e in events if e.kind == "build"], colours)
    low, high = clock(np.array(span))
    figure.update_xaxes(range=[low, high], type="date")
    figure.update_yaxes(range=[-0.03, 1.05], tickformat=".0%", title="built")
    return figure


def _builds_apart(points: Sequence[BuildPoint]) -> tuple[list[float], list[float | None]]:
    """Times and fractions, with nothing between the end of a build and the beginning of the next one."""
    times: list[float] = []
    fractions: list[float | None] = []
    for before, point in zip([None, *points], points, strict=False):
        if before is not None and point.fraction < before.fraction:
            times.append(point.at)
            fractions.append(None)
        times.append(point.at)
        fractions.append(point.fraction)
    return times, fractions


def probe(run: Probe, *, dark: bool) -> go.Figure:
    """Recall, share built and share refused at each look."""
    colours = palette(dark)
    x = [look.at_s for look in run.looks]
    figure = go.Figure()
    for title, values, colour, dash in (
        (f"recall@{run.k}", [look.recall for look in run.looks], colours.main, "solid"),
        ("built", [look.fraction for look in run.looks], colours.good, "dash"),
        ("refused", [look.rejected / max(1, look.asked) for look in run.looks], colours.bad, "dot"),
    ):
        figure.add_trace(
            go.Scatter(
                x=x,
                y=values,
                name=title,
                mode="lines+markers",
                marker={"size": 5},
                line={"color": colour, "dash": dash, "width": 1.8},
                hovertemplate="%{y:.1%}<extra>" + title + "</extra>",
            )
        )
    styled(figure, colours, height=240)
    figure.update_layout(showlegend=True, hovermode="x unified")
    figure.update_xaxes(title="seconds since the first look")
    figure.update_yaxes(range=[-0.03, 1.05], tickformat=".0%")
    return figure
