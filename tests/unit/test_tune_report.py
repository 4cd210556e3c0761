"""The report stands alone, shows what was measured, and executes nothing that was stored."""

from __future__ import annotations

import io
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb import export
from memdb.cli.entry import parse
from memdb.cli.recall import Recall
from memdb.tuning import misses, report
from memdb.tuning.plan import QueryPlan
from memdb.tuning.run import Goal, SweepRequest
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
    for words in (
        "EF_RUNTIME 40 is enough.",
        "Because.",
        "recall@3 ≥ 0.9",
        "f00d",
        "5 random documents (seed 0)",
        "FT.SEARCH idx",
        "EF 40, recommended",
        "memdb recall --index idx",
        "Worst queries at EF 40",
        "target 0.9",
    ):
        assert words in html
    assert html.count("<polyline") == 4  # recall, and three percentiles
    assert html.count("<tr") == 2 + len(EFS) + 2 + 12 + 1 + len(EFS)  # the last: from query to query


def test_it_loads_and_runs_nothing() -> None:
    nasty = replace(run(title=NASTY, notes=(NASTY,), index=NASTY), target=NASTY)
    seen = _seen(report.html_report(nasty, commands=[(NASTY, NASTY)], plan=QueryPlan("", None, NASTY, NASTY)))
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


SOURCES: list[Source] = [
    Unseen(1_000, 7),
    Unseen(250, 7, extend=False),
    Unseen(1_000, 7, extend=False),
    Documents(4_000, 3, extend=False),
    Documents(1_000, 3),
]


@pytest.mark.long
@given(
    k=st.integers(1, 1_000),
    filter_=st.sampled_from(("*", "@tag:{it's}", "-@tag:{a b}", '@t:("x" | $y)', "@n:[-inf (3]")),
    efs=st.tuples(st.integers(1, 100), st.integers(100, 4_096)),
    goal=st.one_of(
        st.builds(Goal, st.just("recall"), st.floats(0.01, 1), st.sampled_from((0.9, 0.95, 0.99))),
        st.builds(Goal, st.just("p99_ms"), st.floats(0.01, 60_000), st.sampled_from((0.9, 0.95, 0.99))),
    ),
    source=st.sampled_from(SOURCES),
    concurrency=st.sampled_from(((), (1,), (8,), (32,))),
    field=st.sampled_from(("", "v", "-odd name")),
)
def test_the_command_line_asks_for_what_the_run_asked_for(
    k: int,
    filter_: str,
    efs: tuple[int, int],
    goal: Goal,
    source: Source,
    concurrency: tuple[int, ...],
    field: str,
) -> None:
    """Read back by the command's own parser."""
    request = SweepRequest("idx:'a b'", field, k, filter_, (), *efs, goal, concurrency, source)
    again = report.command_line(run(request=request))
    assert again.limits == ()
    made = parse(shlex.split(again.command)[1:])
    assert isinstance(made, Recall)
    assert made.json
    assert made.request == request
    budgeted = report.command_line(run(request=replace(request, budget_qps=50.0)))
    limited = parse(shlex.split(budgeted.command)[1:])
    assert isinstance(limited, Recall)
    assert limited.request.budget_qps == 50


def test_the_command_line_names_the_file_of_queries(tmp_path: Path) -> None:
    for name in ("my file.npy", "3 rows of it's.npy", "typed texts.npy"):
        path = tmp_path / name
        np.save(path, np.ones((3, 2), np.float32))
        request = replace(run().request, source=File(name, str(path)))
        made = parse(shlex.split(report.command_line(run(request=request)).command)[1:])
        assert isinstance(made, Recall)
        assert made.source == File(name, str(path), path.read_bytes())


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


def test_what_the_command_line_cannot_say_is_said() -> None:
    again = report.command_line(run(request=replace(run().request, filter_params=(("tag0", "a"),))))
    assert again.command == ""
    assert "$tag0" in again.limits[0]
    assert "only from Python" in again.limits[0]


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
