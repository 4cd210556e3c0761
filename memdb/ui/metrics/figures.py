"""Charts of the Metrics page: figures over time with marks of events, memory by part, builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from memdb.display import byte_unit, bytes_text, figure_text
from memdb.operations.events import Event
from memdb.operations.memory import TITLES, MemorySplit
from memdb.operations.past import BuildPoint, Series
from memdb.operations.probe import Probe
from memdb.ui.kit.charts import Palette, palette, styled
from memdb.ui.kit.live import LiveChart, layered, of_kind, rule
from memdb.vectors.distance import Doubles
from memdb.watch.series import Measurement

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_STROKES = ([1, 0], [6, 3], [2, 2], [6, 2, 2, 2], [10, 4], [10, 3, 2, 3], [1, 0])  # the same in Vega's words
_THOUSANDS = 10_000
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
) -> LiveChart:
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
    if area:  # a kind that nobody sends is no line of the legend
        names = {name: title for name, title in names.items() if np.nansum(series.mean[name]) > 0} or names
    byte = unit in ("bytes", "bytes/s")
    largest = max((float(np.nanmax(series.mean[n], initial=0.0)) for n in names), default=0.0)
    divisor, name = byte_unit(largest) if byte else (1.0, "")
    rows = [
        _points(series.times, values[name] / divisor, title, kind)
        for kind, values in (("line", series.mean), ("top", series.top))
        if kind == "line" or (series.bucket_s and not area and len(names) <= 2)
        for name, title in names.items()
    ]
    marks: list[tuple[str, float | None, float | None]] = [("edge", moment, None) for moment in span]
    marks += [("alert" if e.kind == "alert" else "event", e.at, None) for e in events[:_MARKS]]
    marks += [] if limit is None else [("limit", None, limit)]
    rows.append(pd.DataFrame([{"kind": k, "x": x and x * 1_000, "y": y} for k, x, y in marks]))
    titles = list(names.values())
    # SI prefixes for the thousands of a count alone: half a millisecond is 0.5 ms, not 500 m of them.
    number_format = "%" if share else ".3~s" if not byte and largest >= _THOUSANDS else ",.4~r"
    unit_shown = unit.replace("bytes", name) if byte else unit
    hover = [
        {"field": "name", "title": "figure"},
        {"field": "y", "title": unit_shown, "format": ".1%" if share else ",.4~r"},
        {"field": "x", "type": "temporal", "title": "UTC", "timeUnit": "utchoursminutesseconds"},
    ]
    painted = {
        "x": {"field": "x"},
        "y": {"field": "y", **({"stack": True} if area else {})},
        "color": _by_name(titles, colours.categories, legend=len(titles) > 1),
    }
    dashed = {"strokeDash": _by_name(titles, _STROKES, legend=len(titles) > 1)}
    layers = [
        of_kind("line", {"type": "area" if area else "line", "strokeWidth": 1.8}, **painted)
        if area
        else of_kind("line", {"type": "line", "strokeWidth": 1.8}, **painted, **dashed),
        of_kind("top", {"type": "line", "strokeWidth": 0.9, "strokeDash": [2, 2], "opacity": 0.7}, **painted),
        of_kind("line", {"type": "point", "size": 90, "opacity": 0}, **painted, tooltip=hover),
        rule("edge", colours.quiet, opacity=0),
        rule("event", colours.good, strokeDash=[2, 2]),
        rule("alert", colours.bad, strokeDash=[2, 2]),
        rule("limit", colours.bad, "y", strokeDash=[5, 4]),
    ]
    spec = layered(
        layers,
        colours,
        height=240,
        x={"type": "temporal", "scale": {"type": "utc"}, "axis": {"title": None, "grid": False}},
        y={
            "type": "quantitative",
            "scale": {"zero": True, "nice": True},
            "axis": {"title": unit_shown, "format": number_format, "tickCount": 5},
        },
    )
    return LiveChart(spec, pd.concat(rows, ignore_index=True))


def _points(times: Doubles, values: Doubles, title: str, kind: str) -> pd.DataFrame:
    """A row a sample: time in Unix ms, value; NaN where nothing is known."""
    return pd.DataFrame({"kind": kind, "name": title, "x": times * 1_000, "y": values})


def _by_name(titles: Sequence[str], values: Sequence[object], *, legend: bool) -> dict[str, object]:
    chosen = [values[i % len(values)] for i in range(len(titles))]
    axis: dict[str, object] = {"title": None} if legend else {}
    return {
        "field": "name",
        "type": "nominal",
        "scale": {"domain": list(titles), "range": chosen},
        "legend": axis or None,
    }


def _marks(figure: go.Figure, events: Sequence[Event], colours: Palette) -> None:
    for event in events[:_MARKS]:
        figure.add_vline(
            x=event.at * 1000,
            line={"color": colours.bad if event.kind == "alert" else colours.good, "width": 1, "dash": "dot"},
        )


def memory_parts(split: MemorySplit, *, dark: bool) -> go.Figure:
    """The parts as bars, largest on top, with the interval of what was sampled."""
    colours = palette(dark)
    parts = sorted((p for p in split.parts if p.bytes), key=lambda p: -(p.bytes or 0.0))
    values = [p.bytes or 0.0 for p in parts]
    names = [TITLES[p.name] for p in parts]
    within = [p.within_bytes for p in parts]
    if split.rest is not None:
        names, values, within = [*names, "Rest"], [*values, split.rest], [*within, None]
    sizes = [bytes_text(value) for value in values]
    divisor, unit = byte_unit(max(map(abs, values), default=0.0))
    values = [value / divisor for value in values]
    within = [half and half / divisor for half in within]
    figure = go.Figure(
        go.Bar(
            x=values,
            y=names,
            orientation="h",
            marker_color=[colours.quiet if name == "Rest" else colours.main for name in names],
            customdata=sizes,
            hovertemplate="%{y}: %{customdata}<extra></extra>",
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
    figure.update_xaxes(title=unit)
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
                name=f"{figure_text(name, 60)} · {figure_text(node, 60)}",
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


def recall_trend(rows: Sequence[Measurement], *, dark: bool) -> go.Figure:
    """Recall of what is watched with its interval, the target, and marks where something changed.

    Args:
        rows: oldest first; those without a recall are gaps.
        dark: the theme.
    """
    colours = palette(dark)
    x = clock(np.array([row.at for row in rows]))
    figure = go.Figure()
    for name, values in (("low", [row.low for row in rows]), ("high", [row.high for row in rows])):
        figure.add_scatter(
            x=x,
            y=values,
            name=name,
            mode="lines",
            line={"width": 0.8, "dash": "dot", "color": colours.main},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=x,
        y=[row.recall for row in rows],
        name="recall",
        mode="lines+markers",
        marker={"size": 6},
        line={"color": colours.main, "width": 1.8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [(row.high or 0) - (row.recall or 0) for row in rows],
            "arrayminus": [(row.recall or 0) - (row.low or 0) for row in rows],
            "color": colours.main,
            "thickness": 1,
        },
        customdata=[figure_text(" ".join(row.changes), 200) for row in rows],
        hovertemplate="%{y:.4f} %{customdata}<extra></extra>",
    )
    figure.add_scatter(
        x=x,
        y=[row.watch.target for row in rows],
        name="target",
        mode="lines",
        line={"color": colours.bad, "dash": "dash", "width": 1.4, "shape": "hv"},
        hovertemplate="target %{y:.4g}<extra></extra>",
    )
    changed = [moment for moment, row in zip(x, rows, strict=True) if row.changes]
    for moment in changed[-_MARKS:]:
        figure.add_vline(x=moment, line={"color": colours.quiet, "dash": "dot", "width": 1})
    styled(figure, colours, height=280)
    figure.update_layout(showlegend=True)
    lows = [value for row in rows for value in (row.low, row.watch.target) if value is not None]
    figure.update_yaxes(title="recall", range=[max(0.0, min(lows) - 0.02), 1.005])
    figure.update_xaxes(type="date")
    return figure


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
