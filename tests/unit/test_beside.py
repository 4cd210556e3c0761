"""The plan beside the cluster: parts cut alike, room and the day it is full, worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from memdb.operations.growth import Growth, growth
from memdb.operations.index_memory import MemoryPart
from memdb.operations.memory import MemorySplit
from memdb.sizing import beside, profiles
from memdb.sizing.model import COMPONENTS, predict
from memdb.sizing.shape import Sessions, Shape


def _split(used: float, **sizes: float | None) -> MemorySplit:
    parts = tuple(MemoryPart(name, size, None, "a test") for name, size in sizes.items())
    return MemorySplit("a:1", used, parts, 10, 10, (), None, ())


def test_every_component_and_part_stands_in_one_group() -> None:
    from memdb.operations.memory import TITLES

    planned = [name for group, _ in beside.GROUPS.values() for name in group]
    measured = [name for _, group in beside.GROUPS.values() for name in group]
    assert sorted(planned) == sorted(COMPONENTS)
    assert sorted(measured) == sorted(TITLES)


def test_parts_of_both_add_up(tmp_path: Path) -> None:
    estimate = predict(Shape(10_000, 64), profiles.load("redisearch", tmp_path), Sessions(kept=500))
    split = _split(100.0, vectors=40.0, structures=10.0, other_indexes=None, keys=20.0, tables=5.0, start=3.0)
    rows = beside.parts(estimate, split)
    assert [(row.name, row.now) for row in rows] == [
        ("Vectors in the index", 40.0),
        ("Index structures", 10.0),
        ("Keys, documents, sessions", 25.0),
        ("Server and buffers", 3.0),
        ("Rest", 22.0),
    ]
    assert sum(row.planned for row in rows) == pytest.approx(estimate.total_bytes)
    assert all(row.now is None for row in beside.parts(estimate, None))
    assert beside.parts(estimate, _split(70.0, vectors=80.0))[-1].name == "Server and buffers"


def test_the_day_it_is_full() -> None:
    trend = Growth(10.0, 8.0, 20.0, None, None, None, 600.0)
    assert beside.room(600.0, 1_000.0, trend) == beside.Room(400.0, 40.0, 20.0, 50.0)
    unsure = Growth(10.0, -1.0, 20.0, None, None, None, 600.0)
    assert beside.room(600.0, 1_000.0, unsure) == beside.Room(400.0, None, None, None)
    assert beside.room(600.0, 1_000.0, None).full_s is None
    assert beside.room(1_200.0, 1_000.0, trend) == beside.Room(-200.0, None, None, None)
    times = np.arange(0.0, 300.0, 5.0)
    seen = beside.room(5e6 + 1e3 * 295, 10e6, growth(times, 5e6 + 1e3 * times, None))
    assert seen.full_s is not None
    assert math.isclose(seen.full_s, (5e6 - 1e3 * 295) / 1e3, rel_tol=1e-6)
