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
from memdb.tuning import misses, queries, report
from memdb.tuning.ask import Source
from memdb.tuning.plan import Plan
from memdb.tuning.run import Goal, SweepRequest
from memdb.vectors.index import BuildState, Field, IndexInfo, VectorParams
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


@given(
    k=st.integers(1, 1_000),
    filter_=st.sampled_from(("*", "@tag:{it's}", "-@tag:{a b}", '@t:("x" | $y)', "@n:[-inf (3]")),
    efs=st.tuples(st.integers(1, 100), st.integers(100, 4_096)),
    goal=st.one_of(
        st.builds(Goal, st.just("recall"), st.floats(0.01, 1), st.sampled_from((0.9, 0.95, 0.99))),
        st.builds(Goal, st.just("p99_ms"), st.floats(0.01, 60_000), st.sampled_from((0.9, 0.95, 0.99))),
    ),
    seed=st.integers(0, 2**31 - 1),
    concurrency=st.sampled_from(((), (1,), (8,), (32,))),
    field=st.sampled_from(("", "v", "-odd name")),
)
def test_the_command_line_asks_for_what_the_run_asked_for(
    k: int,
    filter_: str,
    efs: tuple[int, int],
    goal: Goal,
    seed: int,
    concurrency: tuple[int, ...],
    field: str,
) -> None:
    """Read back by the command's own parser."""
    request = SweepRequest(
        "idx:'a b'", field, k, filter_, (), *efs, goal, seed, concurrency, "12 random documents", 12
    )  # fmt: skip
    made = parse(shlex.split(report.command_line(request))[1:])
    assert isinstance(made, Recall)
    assert made.json
    assert made.source == Source("Documents", 12)
    default = SweepRequest("")
    assert made.request == replace(request, queries=default.queries, query_origin=default.query_origin)
    budgeted = parse(shlex.split(report.command_line(replace(request, budget_qps=50.0)))[1:])
    assert isinstance(budgeted, Recall)
    assert budgeted.request.budget_qps == 50


def test_the_command_line_names_the_file_of_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The origin is the one that reading the file gave."""
    monkeypatch.chdir(tmp_path)
    field = Field("v", "v", "VECTOR", vector=VectorParams("HNSW", "FLOAT32", 2, "L2"))
    info = IndexInfo("idx", "HASH", ("d:",), (field,), 5, None, BuildState("ready", 1.0, ""), None, None, 0)
    for name in ("my file.npy", "3 rows of it's.npy", "typed texts.npy"):
        np.save(name, np.ones((3, 2), np.float32))
        content = Path(name).read_bytes()
        origin = queries.from_file(name, content, info).origin
        line = report.command_line(SweepRequest("idx", query_origin=origin, queries=3))
        made = parse(shlex.split(line)[1:])
        assert isinstance(made, Recall)
        assert made.source == Source("File", file_name=name, content=content)


def test_what_the_command_line_cannot_say_is_said() -> None:
    line = report.command_line(replace(run().request, filter_params=(("tag0", "a"),)))
    assert line.startswith("# ")
    assert "only from Python" in line
    assert shlex.split(line, comments=True) == []


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
