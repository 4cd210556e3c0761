"""Figures of recall tuning: what they show, in both themes, and that stored text stays text."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from memdb.ui.tune import figures
from memdb.ui.tune.figures import Curve, IntervalBar, Times, Trade
from tests.unit.tune_run import NASTY

EFS = (10, 20, 40, 80)
CURVE = Curve(NASTY, EFS, (0.8, 0.9, 0.96, 0.99), (0.75, 0.87, 0.94, 0.98), (0.85, 0.93, 0.98, 1.0), 0.9)
TIMES = Times(
    EFS, (0.5, 0.6, 0.8, 1.2), (0.7, 0.8, 1.1, 1.9), (1.0, 1.2, 1.5, float("nan")), (9e3, 8e3, 6e3, 4e3)
)


def _all(dark: bool) -> list[go.Figure]:
    matrix = np.array([[1.0, 0.9], [np.nan, 0.8]])
    return [
        figures.recall_curve([CURVE, CURVE], target=0.95, best=40, dark=dark),
        figures.time_curves(TIMES, target_ms=2.0, best=40, dark=dark),
        figures.found_by_ef(
            [1, 2], [NASTY, "b"], (10, 20), np.array([[True, True], [False, True]]), dark=dark
        ),
        figures.intervals(
            [IntervalBar(NASTY, 0.9, 0.8, 1.0, 40), IntervalBar("b", 0.5, 0.2, 0.8, 3, True)],
            confidence=0.9,
            reference=0.9,
            dark=dark,
        ),
        figures.heat_map(
            [NASTY, "b"], (10, 20), matrix, unit="recall", good_high=True, form=".3f", dark=dark
        ),
        figures.differences((10, 20), (0.1, 0.0), (0.05, -0.1), (0.15, 0.1), confidence=0.9, dark=dark),
        figures.trade_off([Trade(NASTY, EFS, (0.8, 0.9, 0.96, 0.99), (1, 2, 3, 4))], target=0.95, dark=dark),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_every_figure_is_made_small_and_shows_stored_text_as_text(dark: bool) -> None:
    for figure in _all(dark):
        text = figure.to_json()
        assert len(text) < 100_000
        assert "<img" not in text
        assert "\\u001b" not in text


@pytest.mark.parametrize(
    "figure",
    [
        figures.recall_curve([], target=0.9, best=40, dark=False),
        figures.intervals([], confidence=0.95, reference=0.9, dark=False),
        figures.trade_off([], target=0.9, dark=False),
        figures.differences((), (), (), (), confidence=0.95, dark=False),
        figures.heat_map([], (10,), np.empty((0, 1)), unit="x", good_high=True, form=".2f", dark=False),
        figures.found_by_ef([], [], (10,), np.empty((0, 1), dtype=bool), dark=False),
        figures.time_curves(Times((), (), (), (), ()), dark=False),
    ],
    ids=["recall", "intervals", "trade-off", "differences", "heat map", "found", "times"],
)
def test_without_data_there_is_no_mark_and_there_are_titled_axes(figure: go.Figure) -> None:
    marks = [trace.z if trace.type == "heatmap" else trace.x for trace in figure.data]
    assert [0 if places is None else np.size(places) for places in marks] == [0] * len(marks)
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    assert any(axis.title.text for axis in axes)
    assert np.isfinite([end for axis in axes for end in axis.range or ()]).all()


def test_the_axis_of_ef_is_logarithmic_with_measured_settings_as_ticks() -> None:
    figure = figures.recall_curve([CURVE], dark=False)
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == list(EFS)


def test_a_flat_index_is_a_level_over_all_settings() -> None:
    flat = Curve("flat", (0,), (1.0,), (0.99,), (1.0,), 0.95)
    figure = figures.recall_curve([CURVE, flat], dark=False)
    line = next(t for t in figure.data if t.name == "flat")
    assert (sorted(line.x), list(line.y)) == ([10, 80], [1.0, 1.0])
    figures.recall_curve([flat], dark=False)
    figures.differences((0,), (0.1,), (0.05,), (0.15,), confidence=0.95, dark=False)


def test_curves_differ_in_dash_and_symbol_too() -> None:
    lines = [t for t in figures.recall_curve([CURVE] * 4, dark=False).data if t.mode == "lines+markers"]
    assert len({t.line.dash for t in lines}) == 4
    assert len({t.marker.symbol for t in lines}) == 4
    assert len({t.line.color for t in lines}) == 4


def test_the_recommended_setting_carries_a_star_and_the_target_a_line() -> None:
    figure = figures.recall_curve([CURVE], target=0.95, best=40, dark=False)
    star = next(t for t in figure.data if t.mode == "markers")
    assert (list(star.x), list(star.y), star.marker.symbol) == ([40], [0.96], "star")
    assert any(shape.y0 == 0.95 for shape in figure.layout.shapes)
    assert any("EF 40" in a.text for a in figure.layout.annotations)


def test_small_samples_are_drawn_open() -> None:
    figure = figures.intervals(
        [IntervalBar("a", 0.9, 0.8, 1.0, 40), IntervalBar("b", 0.5, 0.2, 0.8, 3, True)],
        confidence=0.95,
        dark=False,
    )
    assert [t.marker.symbol for t in figure.data] == ["circle", "circle-open"]
    assert [list(t.x) for t in figure.data] == [[0.9], [0.5]]


def test_found_and_missed_have_their_own_shape() -> None:
    figure = figures.found_by_ef(
        [1, 2], ["a", "b"], (10, 20), np.array([[True, True], [False, True]]), dark=False
    )
    found, missed = figure.data
    assert (len(found.x), len(missed.x)) == (3, 1)
    assert (list(missed.x), list(missed.y)) == ([0], [2])
    assert (found.marker.symbol, missed.marker.symbol) == ("circle", "diamond-open")


def test_cells_that_were_not_measured_say_so() -> None:
    figure = figures.heat_map(
        ["a"], (10, 20), np.array([[0.5, np.nan]]), unit="recall", good_high=True, form=".2f", dark=False
    )
    assert json.loads(figure.to_json())["data"][0]["text"] == [["0.50", "–"]]


@pytest.mark.parametrize(("confidence", "said"), [(0.9, "90 %: "), (0.99, "99 %: "), (0.995, "99.5 %: ")])
def test_a_hover_names_the_confidence_that_was_chosen(confidence: float, said: str) -> None:
    curve = replace(CURVE, confidence=confidence)
    drawn = [
        figures.recall_curve([curve], dark=False),
        figures.recall_curve([replace(curve, efs=(0,), recall=(1.0,), low=(0.9,), high=(1.0,))], dark=False),
        figures.intervals([IntervalBar("a", 0.9, 0.8, 1.0, 40)], confidence=confidence, dark=False),
        figures.differences((10,), (0.1,), (0.05,), (0.15,), confidence=confidence, dark=False),
    ]
    for figure in drawn:
        text = figure.to_json()
        assert said in text
        assert "95 %: " not in text


def test_throughput_that_was_not_measured_has_no_chart() -> None:
    nan = (float("nan"),) * len(EFS)
    with_it = figures.time_curves(TIMES, dark=False)
    without = figures.time_curves(replace(TIMES, qps=nan), dark=False)
    assert [axis.title.text for axis in with_it.select_yaxes()] == ["ms a call", "calls a second"]
    assert [axis.title.text for axis in without.select_yaxes()] == ["ms a call"]
    assert [axis.title.text for axis in without.select_xaxes()] == ["EF_RUNTIME"]
