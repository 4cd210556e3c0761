"""JSON that leaves the package: one writer, no NaN, nothing lost."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from memdb import export
from memdb.cli.output import print_json
from memdb.json_text import json_text

ROOT = Path(__file__).parent.parent.parent
NUMBERS = (math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("inf"))
ENDLESS = (*NUMBERS, pd.NA, pd.NaT)


def _strict(text: str | bytes) -> object:
    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


@pytest.mark.parametrize("value", ENDLESS, ids=repr)
def test_what_is_not_finite_is_null_wherever_it_stands(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"a": [1.5, value], "b": ["x", "y"]})
    rows = [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}]
    assert _strict(export.to_json(frame, {"deep": [{"er": (1.0, value)}]})) == {
        "about": {"deep": [{"er": [1.0, None if isinstance(value, float | np.floating) else _text(value)]}]},
        "rows": rows,
    }
    assert export.to_csv(frame).decode().splitlines() == ["a,b", "1.5,x", ",y"]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_a_number_that_is_not_finite_is_null_on_the_command_line_and_in_metadata(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    print_json({"hits": [{"distance": value}]})
    assert _strict(capsys.readouterr().out) == {"hits": [{"distance": None}]}
    frame = pd.DataFrame({"b": ["x", "y"]})
    metadata = pq.read_schema(BytesIO(export.to_parquet(frame, {"took": value}))).metadata
    assert _strict(metadata[b"memdb"]) == {"took": None}


def _text(value: object) -> object:
    return _strict(json_text(value))


def test_numbers_keep_their_digits_and_arrays_become_lists() -> None:
    small = np.array([1.23456789012345e-14, 0.1 + 0.2])
    frame = pd.DataFrame({"distance": small, "rank": pd.array([1, None], dtype="Int64")})
    assert _strict(export.to_json(frame, {})) == {
        "about": {},
        "rows": [{"distance": small[0], "rank": 1}, {"distance": small[1], "rank": None}],
    }
    assert _strict(json_text({"v": small, "n": np.int64(3), "ok": np.bool_(True), 5: {2}})) == {
        "v": small.tolist(),
        "n": 3,
        "ok": True,
        "5": [2],
    }
    when = datetime(2026, 1, 2, tzinfo=UTC)
    assert _strict(json_text([when, Path("a/b")])) == [when.isoformat(), "a/b"]


def test_keys_that_are_not_utf_8_come_through_every_kind_of_file(capsys: pytest.CaptureFixture[str]) -> None:
    key = b"d:\xff\xfe\x00x".decode("utf-8", "surrogateescape")
    frame = pd.DataFrame({"key": pd.Series([key, "plain"], dtype=object)})
    assert _strict(export.to_json(frame, {"key": key})) == {
        "about": {"key": key},
        "rows": [{"key": key}, {"key": "plain"}],
    }
    print_json({"key": key, "umlaut": "ü"})
    out = capsys.readouterr().out
    assert _strict(out) == {"key": key, "umlaut": "ü"}
    assert "ü" in out
    table = pq.read_table(BytesIO(export.to_parquet(frame, {"key": key}))).to_pydict()
    assert table == {"key": ["d:\\udcff\\udcfe\x00x", "plain"]}
    assert b"\\udcff\\udcfe" in export.to_csv(frame)


def test_nobody_else_writes_json_for_people() -> None:
    places = [
        *(ROOT / "memdb/cli").rglob("*.py"),
        *(ROOT / "memdb/ui").rglob("*.py"),
        ROOT / "memdb/export.py",
    ]
    assert [
        str(p) for p in places if re.search(r"json\.dumps?\(|orjson|\.to_json\(orient", p.read_text())
    ] == []


@pytest.mark.parametrize("sign", ["\x7f", "\x9b31m", "\u202e", "\u2028", "\u2066", "\u061c", "\udcff"])
def test_a_terminal_obeys_nothing_of_it(sign: str) -> None:
    text = json_text({f"k{sign}": f"ä{sign}"}, ascii_only=False)
    assert "ä" in text
    assert sign[0] not in text
    assert json.loads(text) == {f"k{sign}": f"ä{sign}"}
