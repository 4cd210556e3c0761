"""Home while `memdb demo` still loads, on the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo import progress
from memdb.demo.app import app_folder, environment
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"


def test_how_far_the_demo_is_stands_on_home_until_it_ends(
    demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)

    def told() -> list[str]:
        progress.note(tmp_path, demo_target.address, "Embedding ![x](http://evil.example)", 745, 2_000)
        app.run()
        assert not app.exception
        return [bar.proto.text for bar in app.get("progress") if "is being loaded" in bar.proto.text]

    (words,) = told()
    assert words.endswith(" 745 of 2,000")
    assert "![x](" not in words
    progress.clear(tmp_path)
    app.run()
    assert not [bar for bar in app.get("progress") if "is being loaded" in bar.proto.text]
