"""Relevance and judging in AppTest: an evaluation to its sentence, every view, labels, links, wrong inputs."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cli.entry import parse
from memdb.cli.evaluate import Evaluate
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo import labelled as labelled_set
from memdb.demo.app import app_folder, environment
from memdb.embedding import local
from memdb.relevance import labels, store
from memdb.relevance.labels import Label
from memdb.ui.relevance import form
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexSpec, TextField
from tests.embedders import endpoint
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
RELEVANCE = str(app_folder() / "pages" / "tune" / "relevance.py")
SEARCH = str(app_folder() / "pages" / "explore" / "search.py")
HOSTILE = "<script>alert(1)</script> **b** ![x](http://evil.example/x.png)"
TEXTS = [
    f"{a} of a {b}"
    for a in ("price", "colour", "weight", "age")
    for b in ("horse", "boat", "house", "stone", "tree")
]
VIEWS = ("Comparison", "Questions", "Runs", "Labels", "Another model", "Code and files")


@pytest.fixture
def shelf(client: Client, prefix: str) -> str:
    """An index of the shipped model's vectors; a second one of other directions over copies."""
    fields = (TextField("content"), FlatField("v", local.DIMENSION))
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    index.create(client, IndexSpec(prefix + "poor", (HnswField("v", local.DIMENSION),), (prefix + "p:",)))
    vectors = local.embed(TEXTS)
    noise = np.random.default_rng(1).normal(size=vectors.shape).astype(np.float32)
    for i, (text, vector, other) in enumerate(zip(TEXTS, vectors, noise, strict=True)):
        client.execute("HSET", f"{prefix}d:{i}", "content", f"{text} {HOSTILE}", "v", vector.tobytes())
        client.execute("HSET", f"{prefix}p:{prefix}d:{i}", "v", other.tobytes())
    return prefix + "idx"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def app(server_target: Target, home: Path, shelf: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(server_target, home).items():
        monkeypatch.setenv(name, value)
    opened = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    opened.query_params["index"] = shelf
    return opened


@pytest.fixture
def labelled(home: Path, prefix: str) -> None:
    labels.add(home, [Label(f"{text}?", f"{prefix}d:{i}", 3) for i, text in enumerate(TEXTS)])


def relevance(app: AppTest) -> AppTest:
    app.switch_page(RELEVANCE).run()
    assert not app.exception
    return app


def evaluated(app: AppTest, home: Path, count: int = 1) -> AppTest:
    """The page after its button was pressed and the job has ended."""
    app.button(key="relevance.start").click().run()
    until(lambda: len(store.listed(home)) == count and not store.listed(home)[0].partial, "it is kept")
    until(lambda: not app.run().button(key="relevance.start").disabled, "the page shows that it has ended")
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """What the page says, as a reader sees it."""
    return marked(app).replace("\\", "")


def marked(app: AppTest) -> str:
    """The same as Markdown."""
    kinds = (app.markdown, app.caption, app.success, app.info, app.error, app.warning)
    return "\n".join(f"{getattr(e, 'title', '') or ''} {e.value}" for kind in kinds for e in kind)


def test_the_page_opens_as_the_command_begins(app: AppTest) -> None:
    made = parse(["evaluate", "--index", "i"])
    assert isinstance(made, Evaluate)
    relevance(app)
    values = {w.key: w.value for kind in (app.number_input, app.selectbox, app.text_input) for w in kind}
    assert values["relevance.k"] == made.request.k
    assert values["relevance.relevant"] == made.request.relevant
    assert values["relevance.confidence"] == made.request.confidence
    assert values["relevance.settings"] == len(made.request.settings)
    assert values["relevance.a.ef"] == made.request.settings[0].ef_runtime
    assert form.DEFAULT.filter == made.request.filter
    assert "You have no labels yet." in said(app)
    assert "Are the answers right?" in said(app)
    assert app.button(key="relevance.start").disabled


def test_the_index_of_the_demo_s_set_opens_with_it_and_others_lead_there(
    app: AppTest, server_target: Target, prefix: str
) -> None:
    """Its labels name keys of that index alone."""
    name = labelled_set.INDEX.name
    with connect(server_target) as client:
        fields = (TextField("content"), FlatField("v", local.DIMENSION))
        index.create(client, IndexSpec(name, fields, (prefix + "none:",)))
        try:
            relevance(app)
            assert app.segmented_control(key="relevance.labels").value == "mine"
            app.button(key="relevance.try").click().run()
            assert app.selectbox(key="index").value == name
            assert app.segmented_control(key="relevance.labels").value == "demo"
            again = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
            again.query_params["index"] = name
            assert relevance(again).segmented_control(key="relevance.labels").value == "demo"
            assert again.button(key="empty.act").label == "Ask them now"
        finally:
            client.execute("FT.DROPINDEX", name)


def test_two_settings_are_compared_to_the_sentence(
    app: AppTest, labelled: None, home: Path, shelf: str, prefix: str
) -> None:
    relevance(app)
    app.number_input(key="relevance.settings").set_value(2).run()
    app.selectbox(key="relevance.b.index").select(prefix + "poor").run()
    app.text_input(key="relevance.b.strip").input(prefix + "p:").run()
    evaluated(app, home)
    assert "A is better than B with 95 % confidence: nDCG@10" in said(app)
    run = store.load(home, store.listed(home)[0].id)
    assert run.request.settings[1].strip == prefix + "p:"
    assert run.measures[0].reciprocal_rank.mean() > 0.9
    for view in VIEWS:
        app.segmented_control(key="relevance.view").set_value(view).run()
        assert not app.exception, view
        assert HOSTILE not in marked(app)
    command = " ".join(block.value for block in app.code)
    assert f"--index {shelf} --index {prefix}poor" in command
    assert f"memdb evaluate --run {run.id}" in command
    (link,) = [block.value for block in app.code if "relevance.run=" in block.value]
    assert parse_qs(link.partition("?")[2])["relevance.run"] == [run.id]


def test_a_kept_evaluation_is_opened_by_its_link_and_two_are_diffed(
    app: AppTest, labelled: None, home: Path, shelf: str
) -> None:
    evaluated(relevance(app), home)
    first = store.listed(home)[0].id
    app.number_input(key="relevance.k").set_value(10).run()
    evaluated(app, home, 2)
    second = next(entry.id for entry in store.listed(home) if entry.id != first)
    app.segmented_control(key="relevance.view").set_value("Runs").run()
    app.session_state[f"relevance.runs.2.{store.listed(home)[0].id}"] = {
        "selection": {"rows": [0, 1], "columns": [], "cells": []}
    }
    app.run()
    assert not app.exception
    assert "is not clearly other than" in said(app)
    linked = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    linked.query_params["index"] = shelf
    linked.query_params["relevance.run"] = first
    assert relevance(linked).selectbox(key="relevance.run").value == first
    gone = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    gone.query_params["relevance.run"] = "20000101-000000-nothere"
    relevance(gone)
    assert "is not kept here" in said(gone)
    assert gone.selectbox(key="relevance.run").value in (first, second)


def test_a_question_shows_what_each_setting_returned(app: AppTest, labelled: None, home: Path) -> None:
    evaluated(relevance(app), home)
    app.segmented_control(key="relevance.view").set_value("Questions").run()
    run = store.load(home, store.listed(home)[0].id)
    app.session_state[f"relevance.questions.{run.id}.ndcg.0"] = {
        "selection": {"rows": [0], "columns": [], "cells": []}
    }
    app.run()
    assert not app.exception
    hits = [frame.value for frame in app.dataframe if "grade A" in frame.value.columns]
    assert len(hits) == 1
    assert (hits[0]["grade A"] == "3").sum() == 1
    assert (hits[0]["grade A"] == "unjudged").sum() == 9


def test_labels_for_keys_that_are_gone_and_a_damaged_file_are_told(
    app: AppTest, labelled: None, home: Path, client: Client, prefix: str
) -> None:
    client.execute("DEL", f"{prefix}d:0")
    evaluated(relevance(app), home)
    assert "1 of 20 labelled documents is gone, or in none of these indexes" in said(app)
    (home / labels.FILE).write_text('{"format": 1, "labels": [["q"]]}')
    relevance(app)
    assert "it was set aside as labels.json.damaged" in said(app)
    assert (home / f"{labels.FILE}.damaged").exists()


def test_what_does_not_fit_is_an_error_on_the_page(app: AppTest, labelled: None, home: Path) -> None:
    relevance(app)
    app.text_input(key="relevance.a.embedder").input("titan:512").run()
    app.button(key="relevance.start").click().run()
    until(lambda: "gives 512 numbers" in said(app.run()), "the job has failed and says why")
    assert not app.exception
    app.text_input(key="relevance.a.embedder").input("").run()
    app.number_input(key="relevance.settings").set_value(2).run()
    assert "is named twice" in said(app)
    assert app.button(key="relevance.start").disabled


# ---- judging -----------------------------------------------------------------------------------------------


@pytest.fixture
def judging(app: AppTest) -> AppTest:
    app.query_params["search.by"] = "Text"
    app.query_params["search.q"] = " age of a horse "
    app.query_params["search.view"] = "Judge"
    app.switch_page(SEARCH).run()
    assert not app.exception
    return app


def test_hits_are_judged_one_after_the_other_and_kept(judging: AppTest, home: Path, prefix: str) -> None:
    horse = f"{prefix}d:{TEXTS.index('age of a horse')}"
    assert "**0 of 10** hits are judged" in said(judging)
    judging.button(key="search.judge.3").click().run()
    judging.button(key="search.judge.0").click().run()
    judging.button(key="search.judge.back").click().run()
    judging.button(key="search.judge.1").click().run()
    kept = labels.load(home)
    assert [(each.question, each.grade) for each in kept] == [("age of a horse", 3), ("age of a horse", 1)]
    assert kept[0].key == horse
    assert "**2 of 10** hits are judged" in said(judging)
    assert HOSTILE not in marked(judging)
    judging.button(key="search.judge.back").click().run()
    judging.button(key="search.judge.take_back").click().run()
    assert [each.grade for each in labels.load(home)] == [3]
    (grades,) = [frame.value["grade"] for frame in judging.dataframe if "grade" in frame.value.columns]
    assert grades.dropna().tolist() == [3]


def test_the_keys_are_the_grades(judging: AppTest) -> None:
    shortcuts = {b.key: b.proto.shortcut for b in judging.button if str(b.key).startswith("search.judge.")}
    assert {name.rpartition(".")[2]: key.lower() for name, key in shortcuts.items()} == {
        "0": "0",
        "1": "1",
        "2": "2",
        "3": "3",
        "back": "left",
        "on": "right",
        "take_back": "x",
    }


def test_a_search_by_document_has_nothing_to_judge(judging: AppTest, prefix: str) -> None:
    judging.segmented_control(key="search.by").set_value("Document").run()
    judging.text_input(key="search.key").input(f"{prefix}d:1").run()
    assert not judging.exception
    assert "A label belongs to a question in words" in said(judging)


def test_another_model_is_planned_embedded_compared_and_taken_back(
    app: AppTest, shelf: str, prefix: str, server_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint() as model:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", model.url)
        relevance(app)
        app.segmented_control(key="relevance.view").set_value("Another model").run()
        app.button(key="relevance.another.look").click().run()
        assert "No model is named." in said(app)
        app.text_input(key="relevance.another.model").input("openai:small@12").run()
        app.text_input(key="relevance.another.field").input("content").run()
        app.button(key="relevance.another.look").click().run()
        assert "has a field 'content' already" in said(app)
        app.text_input(key="relevance.another.field").input("w").run()
        app.button(key="relevance.another.look").click().run()
        assert f"20 documents of {shelf} into w of the documents themselves." in said(app)
        assert model.calls == []
        command = next(block.value for block in app.code if "memdb reembed" in block.value)
        assert command == f"memdb reembed --index {shelf} --embedder openai:small@12 --field w --writable"
        assert app.button(key="relevance.another.start").disabled
        app.text_input(key="relevance.another.typed").input(shelf).run()
        app.button(key="relevance.another.start").click().run()
        until(lambda: "Embedded 20 documents again" in said(app.run()), "they are embedded")
        assert "From now on write both vectors with every document" in said(app)
        app.button(key="relevance.another.compare").click().run()
        assert app.selectbox(key="relevance.b.index").value == f"{shelf}:w"
        assert app.text_input(key="relevance.b.embedder").value == "openai:small@12"
        app.segmented_control(key="relevance.view").set_value("Another model").run()
        app.text_input(key="relevance.another.remove").input(f"{shelf}:w").run()
        app.button(key="relevance.another.remove_it").click().run()
        until(lambda: "Removed the field of 20 documents" in said(app.run()), "they are removed")
    assert not app.exception
    with connect(server_target) as opened:
        assert f"{shelf}:w" not in index.index_names(opened)
        assert not opened.execute("HEXISTS", f"{prefix}d:0", "w")


def test_another_model_on_a_read_only_target_is_planned_and_nothing_can_be_started(
    app: AppTest, shelf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_WRITABLE", "0")
    relevance(app)
    app.segmented_control(key="relevance.view").set_value("Another model").run()
    app.text_input(key="relevance.another.model").input("local").run()
    app.button(key="relevance.another.look").click().run()
    assert "This target is read-only." in said(app)
    assert not [b for b in app.button if b.key == "relevance.another.start"]
