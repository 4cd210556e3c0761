"""Charts that are drawn again and again: what changes with time is rows, so that the chart can stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from memdb.operations.events import Event
from memdb.operations.past import Series
from memdb.ui.metrics.figures import over_time


def _series(times: list[float], values: list[float], bucket_s: float = 0.0) -> Series:
    mean = {"used_bytes": np.array(values)}
    return Series(np.array(times), mean, {"used_bytes": np.array(values) * 2}, bucket_s)


@pytest.mark.parametrize(
    ("unit", "largest", "divisor", "shown"),
    [
        ("bytes", 700.0, 1, "B"),
        ("bytes", 146_800_640.0, 1_048_576, "MiB"),
        ("bytes/s", 5_000.0, 1_024, "KiB/s"),
        ("1/s", 5_000.0, 1, "1/s"),
    ],
)
def test_values_stand_in_the_unit_that_the_axis_names(
    unit: str, largest: float, divisor: int, shown: str
) -> None:
    series = _series([10.0, 12.0, 14.0], [largest, float("nan"), largest / 4])
    chart = over_time(series, {"used_bytes": "used"}, (0.0, 14.0), unit=unit, dark=False)
    lines = chart.rows[chart.rows["kind"] == "line"]
    assert lines["x"].tolist() == [10_000.0, 12_000.0, 14_000.0]
    assert lines["y"].tolist()[::2] == [largest / divisor, largest / 4 / divisor]
    assert np.isnan(lines["y"].tolist()[1])
    assert chart.spec["layer"][0]["encoding"]["y"]["axis"]["title"] == shown


def test_new_samples_and_marks_leave_the_specification_as_it_was() -> None:
    event = Event(11.0, "node", "alert", "memory", "text")
    first = over_time(_series([1.0], [5.0]), {"used_bytes": "used"}, (0.0, 1.0), unit="1/s", dark=True)
    again = over_time(
        _series([1.0, 11.0], [5.0, 9.0], 2.0),
        {"used_bytes": "used"},
        (0.0, 12.0),
        (event,),
        unit="1/s",
        dark=True,
        limit=7.0,
    )
    assert json.dumps(first.spec) == json.dumps(again.spec)
    told = again.rows.set_index("kind")
    assert told.loc["alert", "x"] == 11_000.0
    assert told.loc["limit", "y"] == 7.0
    assert told.loc["edge", "x"].tolist() == [0.0, 12_000.0]
    assert told.loc["top", "y"].tolist() == [10.0, 18.0]


@pytest.mark.parametrize(("largest", "shown"), [(0.5, ",.4~r"), (900.0, ",.4~r"), (50_000.0, ".3~s")])
def test_less_than_one_is_no_thousandth(largest: float, shown: str) -> None:
    chart = over_time(_series([1.0], [largest]), {"used_bytes": "p99"}, (0.0, 1.0), unit="ms", dark=False)
    assert chart.spec["layer"][0]["encoding"]["y"]["axis"]["format"] == shown
