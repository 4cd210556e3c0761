"""What every command prints in a terminal of 80 columns: tables that fit, whole headers, no progress left."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.table import Table

from memdb.cli import entry, main
from memdb.cluster.target import Target

WIDTH = 80
INDEX = "idx:embeddings"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("search", "--index", INDEX, "--text", "restore a table", "--k", "3"),
    ("search", "--index", INDEX, "--text", "rotate a secret", "--k", "4", "--beside-ef", "12"),
    ("recall", "--index", INDEX, "--queries", "60", "--ef-max", "40", "--clients", "1"),
    ("watch", "--index", INDEX, "--queries", "60", "--once", "--target", "0.2"),
    ("map", "--index", "idx:users", "--sample", "30", "--out", "points.csv"),
    ("sessions", "list"),
    ("sessions", "formats"),
    ("sessions", "usage"),
    ("sessions", "near", "restore a backup"),
    ("memory",),
    ("check",),
    ("doctor",),
    ("targets",),
    ("settings",),
    ("labels", "list"),
    ("facts",),
    ("size", "--vectors", "3000000", "--dim", "768", "--sessions-per-second", "40"),
    ("compare", "--vectors", "3000000", "--dim", "768"),
)


@pytest.fixture
def eighty(demo_target: Target, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("MEMDB_URL", demo_target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", demo_target.password)
    monkeypatch.setenv("MEMDB_HOME", str(home))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("eighty")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_tables_fit_and_their_headers_are_whole(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    add_column = Table.add_column

    def noted(self: Table, header: str = "", **look: Any) -> None:
        named.extend([header] if self.show_header else [])
        add_column(self, header, **look)

    monkeypatch.setattr(Table, "add_column", noted)
    assert main(words) in (0, 1)
    out = capsys.readouterr().out
    assert "\r" not in out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines
    drawn = [line.rstrip() for line in lines if line[:1] in "┏┃┡│├└"]
    assert [line for line in drawn if cell_len(line) > WIDTH] == []
    assert [name for head in headers(lines) for name in head] == named  # none is broken within a word
    assert "" not in named  # a column without a name tells nobody what it holds


def headers(lines: list[str]) -> list[list[str]]:
    """Names of the columns of each table. A name in several lines is joined: its words are whole."""
    tables: list[list[str]] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if not line.startswith("┃"):
            continue
        cells = [cell.strip() for cell in line.rstrip()[1:-1].split("┃")]
        if before.startswith("┏"):
            tables.append(cells)
        else:
            tables[-1] = [f"{name} {cell}".strip() for name, cell in zip(tables[-1], cells, strict=True)]
    return tables


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and the commands below it."""
    known = [words]
    for action in parser._actions:  # argparse offers no other way to its commands
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                known += commands(below, (*words, name))
    return known


def test_the_help_of_every_command_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    known = commands(entry._parser())  # the one place that knows them all
    assert len(known) > 30
    for words in known:
        with pytest.raises(SystemExit):
            main((*words, "--help"))
        told = capsys.readouterr().out
        assert re.match("usage: memdb", told)
        assert [line for line in told.splitlines() if cell_len(line) > WIDTH] == [], words
