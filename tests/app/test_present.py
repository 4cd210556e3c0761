"""The presentation: each step by its link, where there is nothing to show, and on targets of other kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.jobs import Job, Jobs
from memdb.story.prepare import Prepared
from memdb.ui.present.scene import Scene
from memdb.ui.present.steps import STEPS
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parent.parent.parent
Opener = Callable[..., AppTest]


@pytest.fixture
def opened(demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    def opener(step: str, target: Target = demo_target, **query: str) -> AppTest:
        for name, value in environment(target, home).items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(ROOT / "memdb/ui/entry.py"), default_timeout=PATIENCE_S)
        if "index" in query:  # a browser's link is there from the first run
            app.query_params["index"] = query["index"]
        app.switch_page(str(ROOT / "pages/present.py"))
        app.query_params["step"] = step
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app

    return opener


def _said(app: AppTest) -> str:
    return " ".join([*(m.value for m in app.markdown), *(c.value for c in app.caption)])


def test_a_step_that_is_not_prepared_says_so_and_how_to_prepare_it(demo_target: Target) -> None:
    go_on = threading.Event()

    def work(job: Job[Prepared]) -> Prepared:
        job.report("Reading vectors", 3, 10)
        go_on.wait(PATIENCE_S)
        return Prepared()

    def page() -> None:
        import streamlit

        streamlit.session_state["scene"].has("map")

    job = Jobs().start("Presentation", work)
    try:
        until(lambda: job.state.stage == "Reading vectors", "it is at work")
        app = AppTest.from_function(page, default_timeout=PATIENCE_S)
        app.session_state["scene"] = Scene(demo_target, None, job)
        app.run()
        assert not app.exception
        assert "Being prepared: the map" in _said(app)
        assert "memdb present --prepare" in _said(app)
    finally:
        go_on.set()
        job.wait(PATIENCE_S)


def test_every_step_draws_and_leads_on(opened: Opener) -> None:
    for number, step in enumerate(STEPS, 1):
        app = opened(str(number))
        assert app.header[0].value == step.title
        assert app.button(key="present.back").disabled == (number == 1)
        assert app.button(key="present.next").disabled == (number == len(STEPS))
        assert not app.error, step.title
    assert [m.label for m in app.metric][2] == "A million documents, a month"
    assert "The plug was not pulled." in _said(app)
    app = opened("2")
    assert "No session to look for yet" in _said(app)
    app.button(key="present.next").click().run()
    assert app.header[0].value == STEPS[2].title
    for key, title in (
        ("present.on.0", STEPS[3]),
        ("present.before.0", STEPS[2]),
        ("present.on.1", STEPS[3]),
    ):
        app.button(key=key).click().run()
        assert app.header[0].value == title.title


def test_two_users_get_different_documents_and_what_is_shared_is_counted(opened: Opener) -> None:
    app = opened("3")

    def drawn() -> bool:
        app.run()
        return any("documents are the same for both" in c.value for c in app.caption)

    until(drawn, "the users are ready")
    lists = [m.value.splitlines() for m in app.markdown if m.value.startswith("1. ")]
    assert [len(each) for each in lists] == [5, 5]
    plain = [{text.split(". ", 1)[1] for text in each if "**" not in text} for each in lists]
    assert plain[0] == plain[1]
    assert f"{len(plain[0])} of 5 documents are the same for both" in _said(app)


@pytest.mark.parametrize("step", ["", "0", "-3", "99", "two", "²"])
def test_a_link_to_no_step_opens_one(opened: Opener, step: str) -> None:
    assert opened(step).header[0].value in (STEPS[0].title, STEPS[-1].title)


def test_notes_of_no_presentation_say_so(opened: Opener) -> None:
    app = opened("1", notes="nobody")
    assert "This presentation is not known" in _said(app)
    assert not app.header


def test_an_index_of_another_model_fails_in_one_step_and_the_others_go_on(
    opened: Opener, client: Client, prefix: str, server_target: Target
) -> None:
    name = f"{prefix}other"
    index.create(client, IndexSpec(name, (HnswField("v", 8),), (f"{prefix}o:",)))
    rows = np.random.default_rng(3).normal(size=(60, 8)).astype("<f4")
    client.pipeline([("HSET", f"{prefix}o:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
    users = [("HSET", f"user:{prefix}{i}", "embedding", rows[i].tobytes()) for i in range(2)]
    client.pipeline(users)
    until(lambda: index.index_info(client, name).documents == 60, "the index holds them")
    try:
        app = opened("3", server_target.read_only(), index=name)

        def told() -> bool:
            app.run()
            return bool(app.error)

        until(told, "the step says why")
        assert "Choose an index of the local model's vectors" in app.error[0].value
        assert "This step cannot be shown now. Go on with →." in _said(app)
        app.button(key="present.next").click().run()
        assert app.header[0].value == STEPS[3].title
        assert not app.exception
    finally:
        client.pipeline([("DEL", f"user:{prefix}{i}") for i in range(2)])
