"""The valkey-search profiles against recorded memory of a real valkey-search 1.2.1, and by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdb.sizing import model, profiles, valkey, valkey_keys
from memdb.sizing.shape import Sessions, Shape

RECORDED = json.loads((Path(__file__).parent.parent / "fixtures/valkey-search-1.2.1-memory.json").read_text())
ROWS = [row for row in RECORDED["rows"] if "CAP" not in row["algorithm"] and row["algorithm"] != "NONE"]
FILLED = [row for row in ROWS if row["vectors"]]
VALKEY, ELASTICACHE = profiles.BUILT_IN["valkey-search"], profiles.BUILT_IN["elasticache"]


def shape(row: dict[str, Any]) -> Shape:
    return Shape(
        row["vectors"],
        row.get("dim") or (1_536 if "1536" in row["algorithm"] else 16),
        m=row.get("m", 16),
        algorithm="FLAT" if "FLAT" in row["algorithm"] else "HNSW",
        tags=row.get("tags", 0),
        text_bytes=155 if row.get("text_words") else 0,
        text_words=row.get("text_words", 0),
        text_vocabulary=1_000 if row.get("text_words") else 0,
        key_bytes=9,
    )


def name(row: dict[str, Any]) -> str:
    return f"{row['algorithm']} {row.get('dim', '')} M{row.get('m', '')} {row['vectors']}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_every_recorded_index_and_its_keys_within_3_percent(row: dict[str, Any]) -> None:
    predicted = model.predict(shape(row), VALKEY)
    keys = predicted.components["keys"] + predicted.components["vectors_stored"]
    assert predicted.total_bytes - keys == pytest.approx(row["index_bytes"], rel=0.025)
    if not row["vectors"]:
        assert keys == 0
        return
    assert keys == pytest.approx(row["used_with_keys"] - row["used_at_start"], rel=0.01)
    measured = row["used_with_index"] - row["used_at_start"]
    assert predicted.low_bytes < measured < predicted.high_bytes


def test_an_index_without_vectors_as_recorded() -> None:
    row = next(row for row in RECORDED["rows"] if row["algorithm"] == "NONE")
    tags = Shape(row["vectors"], 1, tags=row["tags"], key_bytes=9)
    assert sum(valkey.index(tags, "libc", vectors=False).values()) == pytest.approx(
        row["index_bytes"], rel=0.03
    )


VECTORS = [row for row in FILLED if not row["text_words"]] + [row for row in ROWS if not row["vectors"]]
CONSTANTS = ("index", "first_document", "hnsw_vector")


def _fit(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The constants of vectors, by least squares of relative errors over these rows."""
    designs = [valkey.design(shape(row), "libc") for row in rows]
    weights = np.array([1 / row["index_bytes"] for row in rows])
    counts = np.array([[of[key][1] if key in of else 0.0 for key in CONSTANTS] for _, of in designs])
    left = np.array(
        [row["index_bytes"] - sum(exact.values()) for row, (exact, _) in zip(rows, designs, strict=True)]
    )
    solved, *_ = np.linalg.lstsq(counts * weights[:, None], left * weights, rcond=None)
    return dict(zip(CONSTANTS, map(float, solved), strict=True))


@pytest.mark.parametrize("row", [row for row in VECTORS if row["vectors"]], ids=name)
def test_a_recorded_index_is_foretold_by_the_others(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leave one out: the constants are fitted without the row, which is then predicted."""
    monkeypatch.setattr(
        valkey, "FITTED", valkey.FITTED | _fit([other for other in VECTORS if other is not row])
    )
    assert sum(valkey.index(shape(row), "libc").values()) == pytest.approx(row["index_bytes"], rel=0.012)


def test_small_recordings_foretell_the_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants fitted to 2,000 vectors and none predict up to eleven times as many."""
    small = [row for row in VECTORS if row["vectors"] <= 2_000]
    monkeypatch.setattr(valkey, "FITTED", valkey.FITTED | _fit(small))
    large = [row for row in VECTORS if row["vectors"] >= 4_000]
    errors = [sum(valkey.index(shape(r), "libc").values()) / r["index_bytes"] - 1 for r in large]
    assert len(errors) == 13
    assert max(map(abs, errors)) < 0.02, errors


def test_the_constants_are_those_of_the_fit() -> None:
    fitted = _fit(VECTORS)
    assert valkey.FITTED["hnsw_vector"] == pytest.approx(fitted["hnsw_vector"], rel=0.05)
    assert valkey.FITTED["index"] == pytest.approx(fitted["index"], rel=0.05)
    assert valkey.FITTED["first_document"] == pytest.approx(fitted["first_document"], rel=0.25)


def test_an_hnsw_index_by_hand() -> None:
    """3,000 × 256, M 16 on libc: what the source says, added up here with malloc's own rounding."""

    def malloc(size: int) -> int:
        return (size + 8 + 15) // 16 * 16 - 8

    room = malloc(10_240 * (4 + 128 + 4 + 16)) + malloc(10_240 * 8) + malloc(10_240 * 40) + malloc(10_240 * 4)
    room += malloc(10_240 * 2) + malloc(65_536 * 40)
    chunks = math.ceil(3_000 / 39)  # 39 vectors of 1,032 bytes to 40,960
    vectors = chunks * (
        malloc(39 * 1_032) + malloc(128) + malloc(512) + malloc(64) + malloc(56)
    ) + 3_000 * malloc(16)
    # Tables of 2ⁿ − 1 slots, at most seven eighths full: 3,000 in 4,095, 6,000 in 8,191, 2,640 in 4,095.
    tables = 4_095 * (41 + 17 + 17 + 25) + 8_191 * 9 + 4_095 * 89
    each = malloc(8 + 9 + 1) + malloc(24) + malloc(24)
    above = 3_000 / 15 * malloc(4 + 64 + 1)
    expected = room + vectors + tables + 3_000 * (each + 100) + malloc(8 * 5_087) + above + 22_600 + 64_000
    assert sum(valkey.index(Shape(3_000, 256, key_bytes=9), "libc").values()) == pytest.approx(
        expected, rel=1e-6
    )


def test_room_is_taken_by_blocks_of_10_240() -> None:
    """Observed: an empty HNSW index takes 4.8 MB, and document 10,241 brings as many places again."""
    one, last, next_one = (sum(valkey.index(Shape(n, 16), "libc").values()) for n in (1, 10_240, 10_241))
    assert sum(valkey.index(Shape(0, 16), "libc").values()) == pytest.approx(4.83e6, rel=0.02)
    assert next_one - last == pytest.approx(10_240 * (8 * 16 + 8 + 16 + 54), rel=0.01)
    assert one < last


def test_initial_cap_sets_places_aside() -> None:
    """Recorded: INITIAL_CAP 100 takes less than the default; a block more once they are taken."""
    small, plain = (
        next(row for row in RECORDED["rows"] if row["algorithm"] == of)["index_bytes"]
        for of in ("empty HNSW with INITIAL_CAP 100", "empty HNSW 1536")
    )
    assert valkey.beyond_default(Shape(0, 16), "libc", 100) == pytest.approx(small - plain, rel=0.001)
    assert [valkey.capacity(n, 100) for n in (0, 100, 101, 10_340, 10_341)] == [
        100,
        100,
        10_340,
        10_340,
        20_580,
    ]
    assert [valkey.capacity(n) for n in (0, 10_240, 10_241)] == [10_240, 10_240, 20_480]


def test_an_index_that_was_there_first_lies_in_the_interval() -> None:
    """Documents that are written one at a time do not wait: the table of those that wait is not there."""
    for n, dim in ((100_000, 16), (20_000, 256), (5_000, 768)):
        planned = Shape(n, dim)
        estimate = model.predict(planned, VALKEY)
        without = estimate.total_bytes - valkey.waiting(planned, valkey.WAITING["HNSW"])
        assert estimate.low_bytes < without * 0.97
        assert any("there first" in note for note in estimate.notes)


def test_jemalloc_rounds_more_than_libc() -> None:
    """A value of 1,024 bytes with header and end takes 1,280 bytes with jemalloc and 1,032 with libc."""
    plain = Shape(1_000, 256)
    libc, jemalloc = (model.predict(plain, profile).components for profile in (VALKEY, ELASTICACHE))
    assert (libc["vectors_stored"], jemalloc["vectors_stored"]) == (1_032_000, 1_280_000)
    assert ELASTICACHE.low < VALKEY.low
    assert ELASTICACHE.grade == "estimate"


@pytest.mark.parametrize(
    ("key", "fields", "takes"),
    [
        (9, [(9, 64)], 40 + 88),  # one listpack
        (9, [(9, 1_024)], 40 + 88 + 72 + 24 + 1_032),  # table, bucket, field, value
        (9, [(9, 1_024), (4, 6)], 40 + 88 + 72 + 24 + 1_032 + 24),  # a short value beside its name
        (40, [(9, 64)], 72 + 88),
    ],
)
def test_hashes_of_valkey_9_by_hand(key: int, fields: list[tuple[int, int]], takes: int) -> None:
    stored = valkey_keys.keyspace("libc")
    assert stored.key_object(key) + stored.hash_fields(fields) == takes


def test_sessions_are_stored_as_the_engine_stores_keys() -> None:
    """8,000 bytes in a hash of four fields, two of them counted by hand; Redis and Valkey differ."""
    sessions = Sessions(per_second=1, bytes=8_000, ttl_s=1_000)
    of_valkey = model.predict(None, VALKEY, sessions).total_bytes
    history = 8_000 - 44 - 7 - 80
    one = (16 + 8 + 1 + 3 + 44 + 1) + 80 + 64 + (8 + 3 + 7 + 1) + (history + 4) + 3 * (3 + 7 + 1 + 1 + 19 + 1)
    assert of_valkey / 1_000 == pytest.approx(one, rel=0.02)
    assert of_valkey != model.predict(None, profiles.BUILT_IN["redisearch"], sessions).total_bytes


def test_memorydb_is_halfway() -> None:
    """MemoryDB runs jemalloc, so it follows valkey-search with jemalloc's size classes."""
    plain = Shape(50_000, 384, tags=2)
    totals = {key: model.predict(plain, profile).total_bytes for key, profile in profiles.BUILT_IN.items()}
    halfway = (totals["redisearch"] + totals["elasticache"] - valkey.CONNECTED) / 2
    assert totals["memorydb"] == pytest.approx(halfway)


def test_a_factor_leaves_alone_what_an_empty_index_takes() -> None:
    planned = Shape(2_000, 16)
    empty, plain = (model.index_bytes(of, VALKEY) for of in (replace(planned, vectors=0), planned))
    more = model.index_bytes(planned, replace(VALKEY, index_factor=1.5))
    assert more == pytest.approx(empty + 1.5 * (plain - empty))
