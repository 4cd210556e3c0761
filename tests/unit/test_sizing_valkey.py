"""The valkey-search profile against recorded memory of a real valkey-search 1.2.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memdb.sizing import allocator, model, profiles, redisearch, valkey
from memdb.sizing.shape import Shape

RECORDED = json.loads((Path(__file__).parent.parent / "fixtures/valkey-search-1.2.1-memory.json").read_text())
# Sizes with another INITIAL_CAP or without vectors are no shapes.
ROWS = [row for row in RECORDED["rows"] if "CAP" not in row["algorithm"] and row["algorithm"] != "NONE"]
INDEX_ERROR, TOTAL_ERROR = 0.015, 0.032


def libc(size: int) -> int:
    """What glibc's malloc sets aside, with which the sizes were recorded."""
    return max(24, -(-(size + 8) // 16) * 16 - 8) if size > 0 else 0


def shape(row: dict[str, Any]) -> Shape:
    return Shape(
        row["vectors"],
        row.get("dim") or (1_536 if "1536" in row["algorithm"] else 16),
        m=row.get("m", 16),
        algorithm="FLAT" if "FLAT" in row["algorithm"] else "HNSW",
        tags=row.get("tags", 0),
        text_bytes=170 if row.get("text_words") else 0,
        text_words=row.get("text_words", 0),
        key_bytes=9,
    )


@pytest.fixture
def with_libc(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (allocator, redisearch, valkey):
        monkeypatch.setattr(module, "size_class", libc)


@pytest.mark.usefixtures("with_libc")
def test_recorded_indexes_within_1_5_percent_and_all_within_3_2() -> None:
    errors, totals = [], []
    for row in ROWS:
        predicted = model.predict(shape(row), profiles.BUILT_IN["valkey-search"])
        keys = predicted.components["keys"] + predicted.components["vectors_stored"]
        index = predicted.total_bytes - keys
        errors.append(index / row["index_bytes"] - 1)
        if row["vectors"]:
            measured = row["used_with_index"] - row["used_at_start"]
            totals.append(predicted.total_bytes / measured - 1)
    assert len(errors) == 22
    assert max(map(abs, errors)) < INDEX_ERROR, errors
    assert max(map(abs, totals)) < TOTAL_ERROR, totals


def test_the_stated_interval_is_wider_than_the_errors() -> None:
    """The services run jemalloc, whose size classes were not recorded: the interval stays wider."""
    profile = profiles.BUILT_IN["valkey-search"]
    assert profile.low <= 1 - 3 * TOTAL_ERROR
    assert profile.high >= 1 + 3 * TOTAL_ERROR
    assert profile.grade == "estimate"


def test_room_is_taken_by_blocks_of_10_240() -> None:
    """Observed: an empty HNSW index takes 4.8 MB, and document 10,241 brings as many places again."""
    one, last, next_one = (sum(valkey.index(Shape(n, 16)).values()) for n in (1, 10_240, 10_241))
    assert sum(valkey.index(Shape(0, 16)).values()) == pytest.approx(4.83e6, rel=0.02)
    places = 10_240 * (8 * 16 + 4 + 16 + 50)
    assert next_one - last == pytest.approx(places, rel=0.05)
    assert one < last


def test_memorydb_is_halfway() -> None:
    plain = Shape(50_000, 384, tags=2)
    totals = {name: model.predict(plain, profiles.BUILT_IN[name]).total_bytes for name in profiles.BUILT_IN}
    assert totals["memorydb"] == pytest.approx((totals["redisearch"] + totals["valkey-search"]) / 2)
