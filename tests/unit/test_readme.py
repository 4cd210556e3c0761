"""The README tells the truth about what can be checked: variables, commands, files, and code that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.settings import VARIABLES

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_every_variable_is_named() -> None:
    assert [name for name in VARIABLES if f"`{name}`" not in README] == []


def test_every_file_it_shows_exists() -> None:
    named = re.findall(r"\((docs/[^)]+)\)|`((?:benchmarks|memdb|docs)/[\w/]+\.py)`", README)
    files = [first or second for first, second in named]
    assert len(files) > 10
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_every_decision_is_short_and_says_why() -> None:
    for file in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = file.read_text()
        assert "**Context" in text, file.name
        assert "**Choice" in text, file.name


def test_its_python_runs_as_shown(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102  # the README's own text
    out = capsys.readouterr().out
    assert "user: " in out
    assert "redis-cli -h 127.0.0.1" in out
