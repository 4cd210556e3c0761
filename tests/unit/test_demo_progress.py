"""How far `memdb demo` is: told to the app for its own server, and only while it is told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from memdb.demo import progress
from memdb.errors import DamagedFile

HERE, THERE = "redis://127.0.0.1:6390/0", "redis://127.0.0.1:6391/0"


def test_what_was_noted_is_told_for_that_server_until_it_is_cleared(tmp_path: Path) -> None:
    assert progress.now(tmp_path, HERE) is None
    progress.note(tmp_path, HERE, "Embedding documents", 745, 2_000)
    told = progress.now(tmp_path, HERE)
    assert told is not None
    assert (told.stage, told.done, told.total) == ("Embedding documents", 745, 2_000)
    assert progress.now(tmp_path, THERE) is None
    progress.clear(tmp_path)
    progress.clear(tmp_path)
    assert progress.now(tmp_path, HERE) is None


@pytest.mark.parametrize("age_s", [11, 3_600, -3_600])
def test_what_a_killed_demo_left_says_nothing(tmp_path: Path, age_s: float) -> None:
    noted = {"address": HERE, "stage": "Loading", "done": 1, "total": 2, "at": time.time() - age_s}
    (tmp_path / progress.FILE).write_text(json.dumps(noted))
    assert progress.now(tmp_path, HERE) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"address": 1}', '{"done": "x"}'])
def test_another_file_in_its_place_is_named_and_set_aside(tmp_path: Path, content: str) -> None:
    (tmp_path / progress.FILE).write_text(content)
    with pytest.raises(DamagedFile, match=progress.FILE):
        progress.now(tmp_path, HERE)
    assert progress.now(tmp_path, HERE) is None


def test_a_home_that_cannot_be_written_stops_no_demo(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    progress.note(tmp_path / "home", HERE, "Loading", 1, 2)
    assert progress.now(tmp_path / "home", HERE) is None
