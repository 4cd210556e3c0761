"""The table of docs/truth.md: made by one command, a row or more of every area."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.truth import bills, maps
from benchmarks.truth.__main__ import END, PAGE, START
from benchmarks.truth.areas import AREAS
from benchmarks.truth.row import Row, markdown

ROOT = Path(__file__).parents[2]


def test_a_table_of_rows() -> None:
    table = markdown([Row("recall", "NumPy", "3 indexes", "0.0")])
    assert table.splitlines() == [
        "| figure | independent check | cases | largest error |",
        "|---|---|---|---|",
        "| recall | NumPy | 3 indexes | 0.0 |",
    ]


def test_the_page_holds_a_row_of_every_area() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text.split(START)[1].split(END)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= len(AREAS)
    assert all(len(row.split(" | ")) == 4 for row in rows)
    modules = {path.stem for path in (ROOT / "benchmarks/truth").glob("*.py")}
    assert set(AREAS) <= modules


@pytest.mark.long
@pytest.mark.parametrize("area", [bills, maps], ids=["bills", "maps"])
def test_areas_without_a_server_show_no_error(area: object) -> None:
    """Bills to the cent, map figures as scikit-learn computes them."""
    (row,) = area.rows()  # type: ignore[attr-defined]
    assert row.error.startswith(("$0.00; 0 with other nodes", "0e+00")) or float(row.error) < 1e-5
