"""The report stands alone, shows what was measured, and executes nothing that was stored."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pyarrow.parquet as pq
import pytest

from memdb import export
from memdb.tuning import misses, report
from memdb.tuning.plan import Plan
from memdb.tuning.run import Goal
from memdb.tuning.source import (
    Documents,
    File,
    Given,
    Repeated,
    Selected,
    Source,
    Texts,
    Unseen,
)
from tests.unit.tune_run import EFS, NASTY, run


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def _seen(html: bytes) -> _Seen:
    seen = _Seen()
    seen.feed(html.decode())
    return seen


def test_it_says_what_was_measured() -> None:
    html = report.html_report(run(), commands=[("The recommended setting", "FT.SEARCH idx")]).decode()
    for words in ("EF_RUNTIME 40 is enough.", "Because.", "recall@3 ≥ 0.9", "f00d", "5 random documents (seed 0)", "FT.SEARCH idx",
                  "EF 40, recommended", "memdb recall --index idx", "Worst queries at EF 40", "target 0.9"):  # fmt: skip
        assert words in html
    assert html.count("<polyline") == 4  # recall, and three percentiles
    assert html.count("<tr") == 2 + len(EFS) + 2 + 12


def test_it_loads_and_runs_nothing() -> None:
    nasty = replace(run(title=NASTY, notes=(NASTY,), index=NASTY), target=NASTY)
    seen = _seen(report.html_report(nasty, commands=[(NASTY, NASTY)], plan=Plan("", None, NASTY, NASTY)))
    assert not {"script", "img", "link", "iframe", "object"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in {"src", "href"}]
    assert b"default-src 'none'" in report.html_report(run())
    assert "\x1b" not in report.html_report(nasty).decode()


def test_partial_and_empty_runs_have_a_report() -> None:
    html = report.html_report(run(partial=True, points=(), recommendation=None)).decode()
    assert "before it was complete" in html
    assert "<svg" not in html


def test_numbers_that_were_not_measured_are_dashes() -> None:
    made = run()
    points = tuple(
        replace(p, p50_ms=float("nan"), p95_ms=float("nan"), p99_ms=float("nan"), throughput=())
        for p in made.points
    )
    html = report.html_report(replace(made, points=points)).decode()
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html)
    assert "–" in html


def _command(**changes: object) -> list[str]:
    made = run()
    request = replace(made.request, **changes)  # type: ignore[arg-type]
    return shlex.split(report.command_line(replace(made, request=request)).command)


def test_the_command_line_repeats_the_run() -> None:
    words = _command(filter="@tag:{it's}")
    assert words[:4] == ["memdb", "recall", "--index", "idx"]
    assert words[words.index("--filter") + 1] == "@tag:{it's}"
    assert words[words.index("--target") + 1] == "0.9"
    assert "--confidence" not in words
    assert " --confidence 0.99 " in " ".join(_command(goal=Goal(confidence=0.99)))
    assert "--budget 50" in " ".join(_command(budget_qps=50.0))
    assert "--clients 0" in " ".join(_command(concurrency=()))
    assert "--filter" not in _command()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Unseen(1_000, 7), "--seed 7"),
        (Unseen(250, 7), "--queries 250 --seed 7"),
        (Unseen(1_000, 7, extend=False), "--queries 1000 --seed 7"),
        (Documents(4_000, 3, extend=False), "--documents --queries 4000 --seed 3"),
        (File("my file.csv", "/data/my file.csv"), "--queries '/data/my file.csv'"),
    ],
)
def test_the_command_line_asks_the_same_queries(asked: Source, words: str) -> None:
    made = run()
    again = report.command_line(replace(made, request=replace(made.request, source=asked)))
    assert f" {words} --ef-min" in again.command
    assert again.limits == ()


@pytest.mark.parametrize(
    "asked",
    [Selected(("doc:1",)), Texts(("what?",)), File("uploaded.csv"), Given(), Repeated("r1", Unseen(5, 9))],
)
def test_what_only_the_run_holds_is_repeated_from_it_and_said(asked: Source) -> None:
    made = run()
    again = report.command_line(replace(made, request=replace(made.request, source=asked)))
    assert f"--queries run:{made.id} " in again.command
    assert "--seed" not in again.command
    assert "MEMDB_HOME" in " ".join(again.limits)
    assert (
        "MEMDB_HOME"
        in report.html_report(replace(made, request=replace(made.request, source=asked))).decode()
    )


def test_what_the_command_line_cannot_repeat_is_said() -> None:
    made = run()
    latency = report.command_line(replace(made, request=replace(made.request, goal=Goal("p99_ms", 5.0))))
    assert "--target" not in latency.command
    assert "p99 ≤ 5 ms is not tested" in latency.limits[0]
    bound = replace(made.request, filter="@n:[$low 9]", filter_params=(("low", "1"),))
    assert "$low" in report.command_line(replace(made, request=bound)).limits[0]


def test_tables_for_export() -> None:
    made = run()
    curve = report.curve_frame(made)
    assert list(curve["ef_runtime"]) == list(EFS)
    assert {"recall", "low", "high", "p50_ms", "p95_ms", "p99_ms", "qps"} <= set(curve.columns)
    queries = report.queries_frame(made)
    assert queries["recall at EF 10"].round(3).tolist() == [1.0, 0.667, 0.333, 1.0, 0.0]
    assert "\x1b" not in queries.to_csv()
    worst = report.worst_frame(misses.worst(made, 10))
    assert worst["found by EF"].isna().sum() == 1
    about = report.about(made)
    kept = json.loads(export.to_json(curve, about))
    assert kept["about"]["request"]["source"] == {"kind": "documents", "count": 5, "seed": 0, "extend": False}
    assert kept["rows"][0]["ef_runtime"] == 10
    parquet = pq.read_table(io.BytesIO(export.to_parquet(queries, about)))
    assert parquet.num_rows == 5
    assert pd.read_csv(io.BytesIO(export.to_csv(worst))).shape[0] == 3
