"""A child process: what it is given, what it leaves, how it ends."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from memdb.child import Child, Order
from tests.waiting import gone, until


def order(folder: Path, code: str, **more: object) -> Order:
    return Order(argv=(sys.executable, "-c", code), directory=folder, log=folder / "log", **more)  # type: ignore[arg-type]


def test_input_environment_folder_and_output(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.stdin.read(), os.environ['X'], os.getcwd()); sys.exit(3)"
    child = Child(order(tmp_path, code, input="given"), env=os.environ | {"X": "set"})
    until(lambda: child.status == 3, "it ends")
    child.stop()
    assert child.tail() == [f"given set {tmp_path.resolve()}"]
    assert child.ended_by() == "ended with status 3"


def test_output_is_kept_within_bounds(tmp_path: Path) -> None:
    child = Child(order(tmp_path, "for i in range(400_000): print('line', i)"))
    until(lambda: child.status == 0, "it ends")
    child.stop()
    assert child.tail()[-1] == "line 399999"
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"log", "log.1"}
    assert max(sizes.values()) <= 1_000_000


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()\nwhile True: signal.pause()"
    child = Child(order(tmp_path, code, grace_s=0.5))
    until(lambda: child.tail() == ["up"], "it runs")
    child.stop()
    assert gone(child.pid)
    assert child.status == 128 + signal.SIGKILL
    assert child.ended_by() == "ended by SIGKILL"


def test_files_named_for_it_go_with_it(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.touch()
    child = Child(order(tmp_path, "import sys; sys.exit(0)", remove=(note,)))
    until(lambda: child.status == 0, "it ends")
    child.stop()
    assert not note.exists()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere cannot be run: No such file"):
        Child(Order(argv=(str(tmp_path / "nowhere"),), directory=tmp_path, log=tmp_path / "log"))
