"""Imports point one way, and pages hold no command names."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STREAMLIT = re.compile(r"^\s*(import|from) streamlit", re.MULTILINE)
UI = re.compile(r"^\s*(import memdb\.ui|from memdb\.ui|from memdb import .*\bui\b)", re.MULTILINE)
COMMANDS = re.compile(r"execute\(|\.pipeline\(|[\"'](FT\.[A-Z]+|HGET\w*|SCAN|INFO|HSET|DEL)\b")


def _python(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_only_ui_knows_streamlit() -> None:
    outside = [p for p in _python("memdb") if "ui" not in p.relative_to(ROOT).parts]
    assert [str(p) for p in outside if STREAMLIT.search(p.read_text())] == []


def test_the_library_does_not_know_its_screens() -> None:
    outside = [p for p in _python("memdb") if "ui" not in p.relative_to(ROOT).parts and p.name != "cli.py"]
    assert [str(p) for p in outside if UI.search(p.read_text())] == []


def test_pages_hold_no_commands_and_stay_short() -> None:
    pages = _python("pages")
    assert pages
    assert [str(p) for p in pages if COMMANDS.search(p.read_text())] == []
    assert [str(p) for p in pages if len(p.read_text().splitlines()) > 120] == []


def test_no_html_is_ever_switched_on() -> None:
    sources = [*_python("memdb"), *_python("pages"), ROOT / "streamlit_app.py"]
    assert [
        str(p) for p in sources if re.search(r"unsafe_allow_html|st\.html\(|components\.v1", p.read_text())
    ] == []
