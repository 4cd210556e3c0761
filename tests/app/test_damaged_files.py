"""Damaged files of every kind under MEMDB_HOME at once: every page stands, and names them."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb import files
from memdb.cluster.target import Target
from memdb.operations import history
from memdb.ui import frame
from tests.app.test_connect import ENTRY, environment
from tests.waiting import PATIENCE_S

DAMAGES = {
    "lists in lists": lambda path: path.write_text("[" * 100_000),
    "another kind": lambda path: path.write_text('[{"id": 1}]'),
}
PAGES = ("plan/sizing.py", "plan/compare.py", "operate/connect.py", "tune/recall.py", "operate/metrics.py")


@pytest.mark.parametrize("damage", DAMAGES)
def test_pages_go_on_without_files_that_are_damaged(
    server_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    for name, value in environment(server_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    files.NOTICES.clear()
    damaged = [
        tmp_path / name for name in ("prices.json", "run/1.json", "runs/2026-a.json", "profiles/mine.json")
    ]
    damaged.append(history.path_of(tmp_path, server_target.read_only()))
    for path in damaged:
        path.parent.mkdir(exist_ok=True)
        DAMAGES[damage](path)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    assert not app.exception
    for page in PAGES:
        app.switch_page(str(frame.app_folder() / "pages" / page)).run()
        assert not app.exception, page
        assert app.title, page
    shown = "".join(str(each.proto) for each in app.error).replace("\\", "")
    for name in ("prices.json", "run/1.json"):  # what these pages read without an index
        assert name in shown
    assert "set aside" in shown
    files.NOTICES.clear()
