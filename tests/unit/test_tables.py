"""Tables of the command line at 80 columns: the widest column gives way, no header is broken within a word."""

from __future__ import annotations

import itertools
import time

import pytest

from memdb.cli.output import ProgressBar, fitting, print_table


@pytest.mark.parametrize(
    ("wanted", "least", "room", "widths"),
    [
        ([10, 20, 5], [4, 4, 4], 40, [10, 20, 5]),
        ([10, 60, 5], [4, 4, 4], 40, [10, 25, 5]),
        ([50, 60, 5], [4, 4, 4], 65, [30, 30, 5]),
        ([50, 60, 5], [4, 30, 4], 45, [10, 30, 5]),
        ([50, 60, 5], [20, 30, 4], 45, None),
        ([9, 9], [9, 9], 12, None),
        ([], [], 10, []),
    ],
)
def test_the_widest_gives_way(
    wanted: list[int], least: list[int], room: int, widths: list[int] | None
) -> None:
    assert fitting(wanted, least, room) == widths


@pytest.fixture
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.usefixtures("eighty")
def test_numbers_stay_whole_and_the_long_text_wraps(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a sentence that is much longer than the room beside the numbers of this table has for it"
    print_table("T", ("service", "a month", "what to know"), [("MemoryDB", "$1,234", text)], right=(1,))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "service" in lines[2]
    assert "a month" in lines[2]
    assert "what to know" in lines[2]
    assert "MemoryDB" in lines[4]
    assert "$1,234" in lines[4]
    assert " ".join(each.split("│")[3].strip() for each in lines[4:-1]).split() == text.split()


@pytest.mark.usefixtures("eighty")
def test_too_many_columns_become_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    head = tuple(f"longheader{i}" for i in range(9))
    print_table("Title", head, [tuple(f"value {i}" for i in range(9)), ("[b]", *[""] * 8)])
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for i, name in enumerate(head):
        assert any(name in each and f"value {i}" in each for each in text.splitlines())
    assert "[b]" in text, "no value is read as markup"


def test_no_progress_is_left_in_a_pipe_however_long_the_work_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.count(0, 3_600)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(hours)))
    with ProgressBar() as bar:
        for done in range(4):
            bar.report("Reading", done, 3)
            bar.report("Writing", done, 3)
        bar.say("A note.")
    assert capsys.readouterr().err == "A note.\n"
