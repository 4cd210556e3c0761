"""The query of the presentation: of a run worked by hand, that which gains most from a higher EF_RUNTIME."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memdb.durability.drill import CACHE, DrillSide, Second
from memdb.story.contrast import Contrast, contrast
from memdb.ui.durability import timeline
from tests.unit.tune_run import run


def _with_recalls(rows: dict[int, list[float]]) -> Contrast | None:
    made = run()
    points = tuple(
        replace(made.points[0], ef_runtime=ef, recalls=np.array(recalls, np.float32))
        for ef, recalls in rows.items()
    )
    return contrast(replace(made, points=points))


def test_the_query_that_gains_most_at_the_lowest_setting_that_gives_it() -> None:
    # Query 4 of the run by hand goes from none of three to two at EF 40, and to no more at 160.
    assert contrast(run()) == Contrast(4, 10, 40)
    assert _with_recalls({10: [0.5, 0.0], 20: [1.0, 0.9], 40: [1.0, 1.0]}) == Contrast(1, 10, 40)
    assert _with_recalls({40: [1.0, 1.0], 10: [0.0, 0.2], 20: [1.0, 1.0]}) == Contrast(0, 10, 20)


def test_where_nothing_is_gained_there_is_none() -> None:
    assert _with_recalls({10: [1.0, 0.7], 20: [1.0, 0.7]}) is None
    assert _with_recalls({10: [0.9, 0.8], 20: [0.4, 0.2]}) is None
    assert _with_recalls({10: [0.5]}) is None
    assert _with_recalls({0: [0.5, 0.1], 20: [1.0, 1.0]}) is None, "0: an index without EF_RUNTIME"
    assert _with_recalls({10: [np.nan, np.nan], 20: [1.0, 1.0]}) is None
    assert contrast(replace(run(), points=())) is None


def test_the_drill_s_bars_reach_from_what_is_kept_to_what_was_acknowledged() -> None:
    seconds = (Second(0, 10, 0), Second(1, 8, 5), Second(2, 3, 3))
    side = DrillSide(CACHE, 21, 13, 8, 0, 0, 0, 1.5, 0.5, 1.0, 2.0, None, None, seconds)
    chart = timeline(side, 4, 10, dark=False)
    bars = chart.rows[chart.rows["kind"] == "bar"]
    edges = {(row["name"], row["x"]): (row["low"], row["y"]) for row in bars.to_dict("records")}
    assert edges == {
        ("there afterwards", 0): (0, 10),
        ("lost", 0): (10, 10),
        ("there afterwards", 1): (0, 3),
        ("lost", 1): (3, 8),
        ("there afterwards", 2): (0, 0),
        ("lost", 2): (0, 3),
    }
    (layer,) = [each for each in chart.spec["layer"] if each["usermeta"]["kind"] == "bar"]
    assert layer["mark"]["type"] == "rect"
    assert layer["encoding"]["y2"] == {"field": "low"}
