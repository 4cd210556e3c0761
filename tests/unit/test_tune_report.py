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

from memdb import export
from memdb.tuning import misses, report
from memdb.tuning.plan import Plan
from memdb.tuning.run import Goal
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
    for words in ("EF_RUNTIME 40 is enough.", "Because.", "recall@3 ≥ 0.9", "f00d", "5 documents", "seed", "FT.SEARCH idx",
                  "EF 40, recommended", "memdb recall --index idx", "Worst queries at EF 40", "target 0.9"):  # fmt: skip
        assert words in html
    assert html.count("<polyline") == 4  # recall, and three percentiles
    assert html.count("<tr") == 2 + len(EFS) + 2 + 13


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


def test_the_command_line_repeats_the_run() -> None:
    request = replace(run().request, filter="@tag:{it's}", goal=Goal("p99_ms", 5.0))
    words = shlex.split(report.command_line(request))
    assert words[:4] == ["memdb", "recall", "--index", "idx"]
    assert words[words.index("--filter") + 1] == "@tag:{it's}"
    assert "--target" not in words
    for origin, queries in (
        ("12 rows of my file.csv", "my file.csv"),
        ("3 typed texts", "queries.jsonl"),
        ("5 random documents (seed 0)", "5"),
    ):
        words = shlex.split(report.command_line(replace(request, query_origin=origin)))
        assert words[words.index("--queries") + 1] == queries
    changed = replace(request, budget_qps=50.0, goal=Goal(confidence=0.99))
    assert "--confidence 0.99" in report.command_line(changed)
    assert "--budget 50" in report.command_line(changed)
    assert "--clients 0" in report.command_line(replace(request, concurrency=()))
    assert "--filter" not in report.command_line(run().request)


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
    assert kept["about"]["request"]["seed"] == 0
    assert kept["rows"][0]["ef_runtime"] == 10
    parquet = pq.read_table(io.BytesIO(export.to_parquet(queries, about)))
    assert parquet.num_rows == 5
    assert pd.read_csv(io.BytesIO(export.to_csv(worst))).shape[0] == 3
