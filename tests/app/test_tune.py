"""Recall and Indexes in AppTest: a sweep to its sentence, every view, links, wrong inputs, read-only."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.jobs import Job
from memdb.operations import history
from memdb.tap.record import Recorder
from memdb.tuning import queries, shadow, store
from memdb.tuning.run import Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.ui.kit import cached
from memdb.ui.tune import cached as tune_cached
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField
from memdb.watch import judge, runner, series
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.usefixtures("briefly")
ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
RECALL = app_folder() / "pages" / "tune" / "recall.py"
INDEXES = app_folder() / "pages" / "tune" / "indexes.py"
HOSTILE = "<script>alert(1)</script> **b** ![x](http://evil.example/x.png)"
DIM = 8
VIEWS = ("Curve", "Each query", "Misses", "Slices", "Selectivity", "Runs", "Code and files")


@pytest.fixture(scope="module")
def prefix() -> str:
    return "ttuned:"  # the same in every run: what is drawn from an index is drawn by its keys


@pytest.fixture(scope="module")
def small(server_target: Target, prefix: str) -> Iterator[Client]:
    """A poor index of 800 documents whose keys and tags are hostile, and an empty one."""
    with connect(server_target) as client:
        fields = (TagField("tag"), NumericField("n"), HnswField("v", DIM, m=2, ef_construction=2))
        index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
        index.create(client, IndexSpec(prefix + "none", (HnswField("v", DIM),), (prefix + "none:",)))
        vectors = np.random.default_rng(1).normal(size=(800, DIM)).astype("<f4")
        client.pipeline(
            [
                (
                    "HSET",
                    f"{prefix}d:{HOSTILE}{i}",
                    "tag",
                    f"t{i % 3}",
                    "n",
                    i,
                    "title",
                    HOSTILE,
                    "v",
                    v.tobytes(),
                )
                for i, v in enumerate(vectors)
            ]
        )
        yield client
        for name in index.index_names(client):
            if name.startswith(prefix) or shadow.base_of(name).startswith(prefix):
                index.drop(client, name)
        client.pipeline([("DEL", f"{prefix}d:{HOSTILE}{i}") for i in range(800)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


def opened(
    target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, page: Path, name: str, **query: object
) -> AppTest:
    st.cache_data.clear()
    st.cache_resource.clear()  # of an earlier target
    for variable, value in environment(target, home).items():
        monkeypatch.setenv(variable, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.query_params["index"] = name
    app.query_params["index"] = name
    for key, value in query.items():
        app.query_params[key.replace("__", ".")] = str(value)
    return app.switch_page(str(page)).run()


def texts(app: AppTest) -> str:
    parts = [
        *app.markdown,
        *app.caption,
        *app.text,
        *app.error,
        *app.warning,
        *app.success,
        *app.info,
        *app.code,
    ]
    titles = [part.proto.title for part in (*app.error, *app.warning, *app.success)]
    return "\n".join([*(str(part.value) for part in parts), *titles]).replace("\\", "")


def swept(app: AppTest) -> AppTest:
    app.button(key="recall.start").click().run()
    job: Job[Run] = cached.jobs().get(app.session_state["recall.job"].id)  # type: ignore[assignment]
    job.wait(PATIENCE_S)
    return app.run()


@pytest.fixture
def page_run(small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page after a sweep of its own."""
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    app.number_input(key="recall.n").set_value(120)
    return swept(app.run())


def test_a_sweep_of_what_the_application_asked(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the record of a tap to what the application gets, and to every view of it."""
    with Recorder(folder / "taps" / "20260101-000000-here.parquet") as recorder:
        for n, query in enumerate(np.random.default_rng(2).normal(size=(60, DIM)).astype("<f4")):
            clause = f"@tag:{{t{n % 2}}}=>[KNN {4 + n % 2} @v $q EF_RUNTIME {20 + n % 2}]"
            words = ("FT.SEARCH", prefix + "idx", clause, "PARAMS", "2", "q")
            recorder.offer(recorder.wanted() or 0.0, [*(w.encode() for w in words), query.tobytes()], n, 1.0)
    app = opened(
        small.target, folder, monkeypatch, RECALL, prefix + "idx", recall__by="What the application asked"
    )
    assert app.selectbox(key="recall.tap").value == "20260101-000000-here.parquet"
    app.selectbox(key="recall.clients").select(0).run()
    app = swept(app)
    assert not app.exception
    (run_id,) = (entry.id for entry in store.listed(folder))
    told = store.load(folder, run_id).as_asked
    assert told is not None
    assert told.words in texts(app)
    table = app.dataframe[-1].value
    assert table["K"].tolist() == [4, 5]
    assert table["filter"].tolist() == ["@tag:{t0}", "@tag:{t1}"]
    app.segmented_control(key="recall.view").select("Each query").run()
    assert not app.exception
    run = store.load(folder, run_id)
    first = run.points[0]
    ranks, recalls = first.ranks.copy(), first.recalls.copy()
    ranks[7, 0], recalls[7] = -1, 0.8  # so small an index misses nothing: the eighth query did
    store.save(replace(run, points=(replace(first, ranks=ranks, recalls=recalls), *run.points[1:])), folder)
    app.segmented_control(key="recall.view").select("Misses").run()
    app.segmented_control(key="recall.miss_ef").select(first.ef_runtime).run()
    assert not app.exception
    assert "1 of 5 true neighbours were missed" in texts(app)
    assert "with its own filter `@tag:{t1}` and K 5" in texts(app)
    app.segmented_control(key="recall.view").select("Slices").run()
    assert not app.exception
    app.selectbox(key="recall.slice").select("asked").run()
    assert not app.exception
    sliced = app.dataframe[-1].value
    assert dict(zip(sliced["slice"], sliced["queries"], strict=True)) == {
        "K 4, @tag:{t0}": 30,
        "K 5, @tag:{t1}": 30,
    }
    app.segmented_control(key="recall.view").select("Selectivity").run()
    assert "The vectors that the application asked with, at K 4" in texts(app)
    assert not app.exception


def test_the_switch_that_watches_recall(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    app.number_input(key="recall.watch.ef").set_value(20)
    app.number_input(key="recall.target").set_value(0.999).run()
    assert "500 queries are too few for recall@10 ≥ 0.999 with 95 % confidence" in texts(app)
    app.number_input(key="recall.target").set_value(0.5).run()
    assert "queries are too few for" not in texts(app)
    app.button(key="recall.watch.start").click().run()
    assert not app.exception
    (watch,) = series.listed(folder, small.target)
    assert (watch.index, watch.k, watch.ef_runtime, watch.target) == (prefix + "idx", 10, 20, 0.5)
    path = history.path_of(folder, small.target)
    until(lambda: bool(runner.rows_of(path, watch)), "the first measurement")
    app.run()
    (row,) = runner.rows_of(path, watch)
    assert judge.words(row) in texts(app)
    (toggle,) = (each for each in app.toggle if each.label.startswith("Watched every 15"))
    toggle.set_value(False).run()
    assert series.listed(folder, small.target) == ()
    assert not app.exception


@pytest.fixture(scope="module")
def kept_home(small: Client, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two saved runs, as the page makes them but for the clients in parallel."""
    home = tmp_path_factory.mktemp("kept") / "home"
    info = index.index_info(small, prefix + "idx")
    asked = queries.unseen(small, info, "", 120, 0)
    for _ in range(2):
        store.save(sweep(small, info, SweepRequest(info.name, concurrency=()), asked), home)
    return home


@pytest.fixture
def run_of(
    small: Client, kept_home: Path, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    """The page with the newest of two saved runs open."""
    shutil.copytree(kept_home, folder)
    saved = store.listed(folder)[0].id
    return opened(small.target, folder, monkeypatch, RECALL, prefix + "idx", recall__run=saved)


def test_before_a_run_the_page_says_what_a_sweep_does(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    assert not app.exception
    assert not app.error
    assert "Which EF_RUNTIME meets the target?" in texts(app)
    assert not app.button(key="recall.start").disabled
    app.segmented_control(key="recall.read").set_value("All").run()
    app.button(key="empty.act").click().run()  # the same as the form's, where it is seen first
    assert "recall.job" in app.session_state


def test_runs_of_other_indexes_are_offered_before_the_first_of_this(
    small: Client, folder: Path, prefix: str, kept_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(kept_home, folder)
    entry = store.listed(folder)[0]
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "none")
    assert not app.exception
    assert "Measured before, of other indexes:" in texts(app)
    app.button(key=f"recall.before.{entry.id}").click().run()
    assert app.selectbox(key="recall.run").value == entry.id
    app.selectbox(key="index").set_value(entry.index).run()
    assert app.selectbox(key="recall.run").value == entry.id
    app.selectbox(key="index").set_value(prefix + "none").run()
    assert not app.exception
    assert "Which EF_RUNTIME meets the target?" in texts(app), "a run of the index that was left stays there"


def test_a_sweep_ends_in_one_sentence_and_is_saved(page_run: AppTest, folder: Path) -> None:
    assert not page_run.exception
    assert not page_run.error
    runs = store.listed(folder)
    assert len(runs) == 1
    verdict = runs[0].recommendation
    assert verdict is not None
    assert verdict.sentence in texts(page_run)
    assert page_run.selectbox(key="recall.run").value == runs[0].id
    table = next(f.value for f in page_run.dataframe if "ef_runtime" in f.value.columns)
    assert len(table) >= 3
    assert "has changed since this run" not in texts(page_run)
    assert "is not known" not in texts(page_run)


def test_a_sampled_sweep_says_so_wherever_its_recall_stands(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(
        small.target, folder, monkeypatch, RECALL, prefix + "idx", recall__n="60", recall__clients="0"
    )
    app.segmented_control(key="recall.read").set_value("Sample").run()
    app.number_input(key="recall.sample").set_value(300).run()
    app.toggle(key="recall.cost").set_value(True).run()
    cost = next(c.value for c in app.caption if "All: " in c.value)
    assert cost.startswith("All: 800 vectors, ")
    assert "A sample: 300 vectors, " in cost
    app = swept(app)
    assert not app.exception
    assert not app.error
    (kept,) = store.listed(folder)
    run = store.load(folder, kept.id)
    assert run.sampled is not None
    assert (run.sampled.drawn, run.sampled.documents) == (300, 800)
    words = "estimated from a sample of 300 (38 %)"
    assert f"Recall here is {words}" in texts(app)
    assert f"recall@10, {words}" in texts(app)
    assert "of the reference's answer" in texts(app)
    table = next(f.value for f in app.dataframe if "ef_runtime" in f.value.columns)
    np.testing.assert_allclose(table["recall"], (table["reference"] - table["unseen"]).clip(0), atol=1e-9)
    app.segmented_control(key="recall.view").set_value("Each query").run()
    assert not app.exception
    assert f"Recall of this run is {words}" in texts(app)
    app.segmented_control(key="recall.view").set_value("Misses").run()
    assert "True neighbours are here those of the reference" in texts(app)
    app.segmented_control(key="recall.view").set_value("Runs").run()
    listed = next(f.value for f in app.dataframe if "documents" in f.value.columns)
    assert listed["documents"].tolist() == [words]


def test_the_ef_each_query_needs_is_counted_again(run_of: AppTest, folder: Path) -> None:
    run_of.segmented_control(key="recall.view").set_value("Each query").run()
    run = store.load(folder, store.listed(folder)[0].id)
    recalls = np.stack([p.recalls for p in run.points])
    for bound in (1.0, 0.8):
        run_of.segmented_control(key="recall.each.bound").set_value(bound).run()
        expected = []
        for query in recalls.T:
            below = [i for i, recall in enumerate(query) if recall < bound - 1e-6]
            expected.append(below[-1] + 1 if below else 0)
        counts = next(f.value for f in run_of.dataframe if list(f.value.columns) == ["EF_RUNTIME", "queries"])
        assert counts["queries"].tolist() == [expected.count(i) for i in range(len(run.points) + 1)]
        table = next(f.value for f in run_of.dataframe if "worst_tenth" in f.value.columns)
        np.testing.assert_allclose(table["at_least"], (recalls >= bound - 1e-6).mean(axis=1))
    assert (
        "less time" in texts(run_of) or "gains nothing here" in texts(run_of) or "Not tried" in texts(run_of)
    )


def test_every_view_opens_and_shows_stored_text_as_text(run_of: AppTest) -> None:
    assert "Whether the documents are those that this run measured is not known" in texts(run_of)
    for view in VIEWS:
        run_of.segmented_control(key="recall.view").set_value(view).run()
        assert not run_of.exception, view
        assert not run_of.error, view
        for part in (*run_of.markdown, *run_of.caption, *run_of.warning, *run_of.success):
            bare = re.sub(r"(`+).*?\1", "", str(part.value))  # in a code span signs mean nothing
            assert "<script>" not in bare
            assert "![x](" not in bare


def test_the_recommended_setting_is_carried_to_the_pages_that_ask(
    run_of: AppTest, folder: Path, small: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.load(folder, store.listed(folder)[0].id)
    assert run.recommendation is not None
    assert not any("ef=" in link.proto.query_string for link in run_of.get("page_link")), "nothing is advised"
    store.save(replace(run, recommendation=replace(run.recommendation, ef_runtime=23, met=True)), folder)
    st.cache_data.clear()
    st.cache_resource.clear()
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx", recall__run=run.id)
    linked = {}
    for link in app.get("page_link"):
        held = {key: values[0] for key, values in parse_qs(link.proto.query_string).items()}
        linked |= {name: value for name, value in held.items() if name.endswith((".ef", ".k"))}
    k = str(run.request.k)
    pages = ("search", "assistant", "map")
    assert linked == {f"{page}.{name}": value for page in pages for name, value in (("ef", "23"), ("k", k))}


def test_a_miss_is_explained_and_linked_to_search(run_of: AppTest) -> None:
    run_of.segmented_control(key="recall.view").set_value("Misses").run()
    assert "true neighbours were missed" in texts(run_of)
    worst = next(f.value for f in run_of.dataframe if "nearest missed" in f.value.columns)
    assert worst["recall"].is_monotonic_increasing
    extras = next(
        f.value
        for f in run_of.dataframe
        if {"index rank", "true rank", "title"} == set(f.value.columns) - {"distance", "key", "filter"}
    )
    assert (extras["true rank"] > extras["index rank"]).any()
    assert any("Open its document in Search" in str(link.proto.label) for link in run_of.get("page_link"))


def test_slices_by_tag_number_cluster_and_density(run_of: AppTest) -> None:
    run_of.segmented_control(key="recall.view").set_value("Slices").run()
    for kind, some in (
        ("tag tag", "t0"),
        ("number n", " to "),
        ("cluster", "like “"),
        ("density", "k-th neighbour at"),
    ):
        run_of.selectbox(key="recall.slice").set_value(kind).run()
        table = next(f.value for f in run_of.dataframe if "slice" in f.value.columns)
        assert any(some in name for name in table["slice"])
        assert table["queries"].sum() == 120


def test_selectivity_by_ef_is_a_job_of_its_own(run_of: AppTest) -> None:
    run_of.segmented_control(key="recall.view").set_value("Selectivity").run()
    run_of.button(key="recall.grid.start").click().run()
    job = cached.jobs().get(run_of.session_state["recall.grid_job"].id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "done"
    run_of.run()
    assert not run_of.exception
    table = next(f.value for f in run_of.dataframe if "plan" in f.value.columns)
    assert "HYBRID_ADHOC_BF" in set(table["plan"])
    assert "brute force" in texts(run_of)
    for measure in ("latency", "short results"):
        run_of.segmented_control(key="recall.grid.measure").set_value(measure).run()
        assert not run_of.exception


def test_under_a_filter_the_page_says_that_ef_changes_nothing(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    app.text_input(key="recall.raw").set_value("@tag:{t1}")
    app.number_input(key="recall.n").set_value(100)
    app = swept(app.run())
    assert not app.exception
    assert "EF_RUNTIME changes nothing" in texts(app)
    assert "HYBRID_ADHOC_BF" in texts(app)


def test_a_link_opens_a_run_and_a_wrong_link_is_explained(
    run_of: AppTest, small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = store.listed(folder)[0].id
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "none", recall__run=run_id)
    assert app.selectbox(key="recall.run").value == run_id
    wrong = opened(
        small.target,
        folder,
        monkeypatch,
        RECALL,
        prefix + "idx",
        recall__run="../../etc/passwd",
        recall__k="abc",
        recall__ef="x",
    )
    assert not wrong.exception
    assert wrong.selectbox(key="recall.run").value == run_id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recall.raw": "@tag:{t1"}, "never closes"),
        ({"recall.raw": "@nothere:{x}"}, "no field 'nothere'"),
        ({"recall.raw": "@n:[9000 9001]"}, "No document matches the filter"),
        ({"recall.f.n": "abc"}, "'abc' is no range of 'n'"),
    ],
)
def test_what_cannot_be_run_is_said_before_it_is_run(
    changes: dict[str, str],
    words: str,
    small: Client,
    folder: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    for key, value in changes.items():
        app.text_input(key=key).set_value(value)
    app.run()
    assert not app.exception
    assert words in texts(app)
    assert app.button(key="recall.start").disabled


def test_k_beyond_what_matches_goes_on_with_a_note_as_the_command_does(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    app.text_input(key="recall.raw").set_value("@n:[0 4]").run()
    assert "K is 10, and 5 documents match the filter: recall is of those" in texts(app)
    app = swept(app)
    assert not app.exception
    assert not app.error
    (run,) = store.listed(folder)
    notes = store.load(folder, run.id).notes
    assert any(note in texts(app) and "k is 10, but for some queries only" in note for note in notes)


def test_texts_need_a_model_of_the_index(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "idx")
    app.selectbox(key="recall.by").set_value("Texts").run()
    app.text_area(key="recall.texts").set_value("a question").run()
    assert "Nothing says which model made the vectors of 8 numbers" in texts(app)
    assert app.button(key="recall.start").disabled


def test_an_empty_index_and_a_server_that_is_down(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, RECALL, prefix + "none")
    assert not app.exception
    assert app.button(key="recall.start").disabled
    for page in (RECALL, INDEXES):
        down = opened(Target.parse("redis://127.0.0.1:1"), folder, monkeypatch, page, "x")
        assert not down.exception
        assert "No answer from" in texts(down)


def test_runs_are_compared_opened_and_deleted(run_of: AppTest, folder: Path) -> None:
    known = store.listed(folder)
    assert len(known) == 2
    run_of.session_state[f"recall.runs.2.{known[0].id}"] = {
        "selection": {"rows": [0, 1], "columns": [], "cells": []}
    }
    run_of.segmented_control(key="recall.view").set_value("Runs").run()
    assert not run_of.exception
    assert "Paired: both asked the same 120 queries" in texts(run_of)
    table = next(f.value for f in run_of.dataframe if "difference" in f.value.columns)
    assert (table["difference"].abs() < 0.05).all()


# ---- indexes ---------------------------------------------------------------------------------------------


def done(app: AppTest, button: str) -> AppTest:
    app.button(key=button).click().run()
    job = cached.jobs().get(app.session_state["indexes.job"].id)
    assert job is not None
    job.wait(PATIENCE_S)
    tune_cached.forget()  # in a browser the fragment that watches the job does so
    cached.index_names.clear()
    return app.run()


def test_shadow_indexes_are_built_measured_and_dropped(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target, folder, monkeypatch, INDEXES, prefix + "idx")
    assert not app.exception
    assert "No shadow index yet" in texts(app)
    app.multiselect(key="indexes.m").set_value([16]).run()
    app.toggle(key="indexes.flat").set_value(True).run()
    assert "needed (an estimate)" in texts(app)
    app = done(app, "indexes.build")
    assert not app.error
    takes = next(f.value for f in app.dataframe if "built in" in f.value.columns)
    assert len(takes) == 3
    assert set(takes["documents"]) == {800}
    app.number_input(key="indexes.n").set_value(60).run()
    app = done(app, "indexes.measure")
    assert not app.exception
    assert not app.error
    gives = next(f.value for f in app.dataframe if "target" in f.value.columns)
    assert gives.loc[gives["parameters"].str.startswith("FLAT"), "recall"].iloc[0] == 1.0
    assert gives["recall"].notna().all()
    name = app.selectbox(key="indexes.drop").value
    assert app.button(key="indexes.drop_it").disabled
    app.text_input(key="indexes.typed").set_value(prefix + "idx").run()
    assert app.button(key="indexes.drop_it").disabled
    app.text_input(key="indexes.typed").set_value(name).run()
    app.button(key="indexes.drop_it").click().run()
    assert not app.exception
    assert not index.exists(small, name)
    assert index.exists(small, prefix + "idx")


def test_a_read_only_target_shows_the_commands(
    small: Client, folder: Path, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(small.target.read_only(), folder, monkeypatch, INDEXES, prefix + "idx")
    assert not app.exception
    assert "FT.CREATE" in texts(app)
    assert "read-only" in texts(app)
    assert not [b for b in app.button if b.key in {"indexes.build", "indexes.drop_it"}]
    password = small.target.password
    assert password
    assert password not in texts(app)
