"""The "?" of every page leads to commands and guides that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdb.cli.entry import COMMANDS
from memdb.ui.frame import PAGES
from memdb.ui.help import HELP

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_page_with_a_heading_has_one() -> None:
    assert set(HELP) == {title for pages in PAGES.values() for _, title, _, _ in pages} - {"Present"}


@pytest.mark.parametrize("title", list(HELP))
def test_what_it_names_is_there(title: str) -> None:
    told = HELP[title]
    assert (DOCS / told.guide).is_file()
    assert not told.command or told.command in COMMANDS
    text = told.as_markdown()
    assert text.startswith(told.answers)
    assert told.answers.endswith("?")
    assert f"docs/{told.guide}" in text
    assert ("**Command:**" in text) == bool(told.command)
