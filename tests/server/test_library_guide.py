"""The Python of docs/library.md runs as it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memdb.cluster.target import Target
from memdb.demo.app import environment

GUIDE = Path(__file__).parent.parent.parent / "docs" / "library.md"


def test_the_python_of_the_library_guide_runs_as_shown(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102  # the guide's own text
    out = capsys.readouterr().out
    assert "user: " in out
    assert "redis-cli -h 127.0.0.1" in out
