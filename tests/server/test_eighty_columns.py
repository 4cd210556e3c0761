"""What every command prints in a terminal of 80 columns: tables that fit, whole headers, no progress left."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.cells import cell_len
from rich.table import Table

from memdb.cli import entry, main
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.durability.drill import DrillRequest, DrillResult, DrillSide
from tests.aws_front import moto_server

WIDTH = 80
INDEX = "idx:embeddings"
GRADES = "grades.csv"
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
    ("calibrate", "--index", INDEX),
    ("evaluate", "--index", INDEX, "--index", INDEX, "--ef", "10", "--ef", "90", "--qrels", GRADES),
    ("reembed", "--index", INDEX, "--field", "v2", "--embedder", "local", "--dry-run"),
    ("exporter", "--once"),
)


@pytest.fixture
def eighty(demo_target: Target, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("MEMDB_URL", demo_target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", demo_target.password)
    monkeypatch.setenv("MEMDB_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    with connect(demo_target.read_only()) as client:
        keys = [key for key in client.execute("SCAN", 0, "COUNT", 2_000)[1] if key.startswith(b"doc:")]
    rows = [f"how to restore a table of {i} rows,{key.decode()},{i % 3}" for i, key in enumerate(keys[:9])]
    (tmp_path / GRADES).write_text("\n".join(["query,key,grade", *rows]), "utf-8")


@pytest.mark.usefixtures("eighty", "briefly")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_tables_fit_and_their_headers_are_whole(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits(words, capsys, monkeypatch)


@pytest.mark.usefixtures("eighty")
@pytest.mark.parametrize("words", [("card",), ("alarms",), ("snapshots",)], ids=" ".join)
def test_what_aws_tells_fits(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    region = "sa-east-1"
    with moto_server():
        made = boto3.client("memorydb", region_name=region)
        name = f"eighty-columns-of-{words[0]}"  # moto keeps what it made for the whole run
        made.create_cluster(
            ClusterName=name, NodeType="db.r7g.16xlarge", ACLName="open-access", SnapshotRetentionLimit=1
        )
        made.create_snapshot(ClusterName=name, SnapshotName=f"before-{words[0]}-of-a-larger-node")
        fits(("aws", *words, "--cluster", name, "--region", region), capsys, monkeypatch)


@pytest.mark.usefixtures("eighty")
def test_what_a_drill_tells_fits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines are not run here: it is about the table, with large figures."""
    whole = DrillSide("durable", 1_234_567, 1_234_567, 0, 0, 3, 2, 1.0, 12.5, 1.25, 104.5, 0.987, 0.987)
    promoted = DrillSide("promoted", 7_654_321, 7_000_000, 654_321, 9, 0, 0, 1.0, 2.5, 0.1, 2, None, None)
    cache = DrillSide("cache", 7_654_321, 1_000, 7_653_321, 9, 0, 0, 1.0, None, None, None, 1.0, 0.0)
    told = DrillResult(
        DrillRequest(promotion=True), {s.name: s for s in (whole, cache, promoted)}, True, 60.0
    )
    monkeypatch.setattr("memdb.durability.drill.run", lambda *_, **__: told)
    fits(("drill", "--promotion"), capsys, monkeypatch)


def fits(words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command and hold its tables against the width."""
    named: list[str] = []
    add_column = Table.add_column

    def noted(self: Table, header: str = "", **look: Any) -> None:
        named.extend([header] if self.show_header else [])
        add_column(self, header, **look)

    monkeypatch.setattr(Table, "add_column", noted)
    assert main(words) in (0, 1)
    out, err = capsys.readouterr()
    assert "\r" not in out + err
    assert not re.search(r"\d of \d|\d/s", err)  # no progress is left
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
