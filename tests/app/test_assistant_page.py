"""Assistant in AppTest: a question and its answer, kept; read-only; a user and a session made; wrong input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.sessions import append, formats, listing, store, users
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, TextField
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
PAGE = app_folder() / "pages" / "explore" / "assistant.py"
QUESTION = "How do I restore a table to a point in time?"
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png)"

Open = Callable[..., AppTest]


@pytest.fixture
def opened(demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opener(target: Target = demo_target, **query: str) -> AppTest:
        for name in (
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in environment(target, tmp_path).items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
        if "index" in query:
            app.query_params["index"] = query["index"]
        for key, value in query.items():
            app.query_params[key.replace("__", ".")] = value
        app.switch_page(str(PAGE)).run()
        assert not app.exception
        return app

    return opener


def said(app: AppTest) -> str:
    parts = [
        *app.markdown,
        *app.caption,
        *app.error,
        *app.warning,
        *app.success,
        *app.info,
        *app.text,
        *app.code,
    ]
    titles = [part.proto.title for part in (*app.error, *app.warning)]
    return "\n".join([*(str(part.value) for part in parts), *titles]).replace("\\", "").replace("`", "")


@pytest.fixture
def session(demo_target: Target, prefix: str) -> Iterator[str]:
    with connect(demo_target) as client:
        key = append.create(client, f"{prefix}talk", "user001", ttl_s=600)
        yield key.removeprefix(formats.SESSION_PREFIX)
        client.execute("DEL", key)  # the demo is for reading: others count its sessions


def test_a_question_is_answered_and_kept(opened: Open, demo_target: Target, session: str) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    app.chat_input[0].set_value(QUESTION).run()
    assert not app.exception
    assert f"Kept in session {session} (2 turns)" in said(app)
    assert "[1]" in said(app)
    with connect(demo_target) as client:
        turns = store.read(client, formats.session_key(session)).turns
    assert [turn.role for turn in turns] == ["user", "assistant"]
    assert turns[0].content == QUESTION
    for view, expected in (
        ("Where the time went", "one round trip"),
        ("With and without the preference", "documents are the same"),
        ("Code", "flow.context(client, info, ask"),
        ("Sources", "Answered by sentences of the documents"),
    ):
        app.segmented_control(key="assistant.view").set_value(view).run()
        assert not app.exception
        assert expected in said(app)


def test_the_code_it_shows_runs(opened: Open, session: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    app.chat_input[0].set_value(QUESTION).run()
    app.segmented_control(key="assistant.view").set_value("Code").run()
    shown = next(code.value for code in app.code if "flow.Ask" in code.value)
    exec(shown, {})  # noqa: S102  # the page's own text
    assert "[1]" in capsys.readouterr().out


def test_a_read_only_target_answers_and_keeps_nothing(
    opened: Open, demo_target: Target, session: str
) -> None:
    app = opened(demo_target.read_only(), assistant__user="user001", assistant__session=session)
    assert not [b for b in app.button if b.label in ("New session", "Create")]
    app.chat_input[0].set_value(QUESTION).run()
    assert "Not kept: this target is read-only." in said(app)
    with connect(demo_target) as client:
        assert store.read(client, formats.session_key(session)).turns == ()


def test_a_user_and_a_session_are_made(opened: Open, demo_target: Target, prefix: str) -> None:
    app = opened()
    name = f"{prefix}u".replace(":", "_")
    app.text_input(key="assistant.new_user").set_value(name)
    app.text_area(key="assistant.likes").set_value("restores databases at night")
    app.button(key="assistant.create_user").click().run()
    assert f"User {name} is there" in said(app)
    app.button(key="assistant.new_session").click().run()
    assert "begins" in said(app)
    assert "Nothing was said yet" in said(app)
    with connect(demo_target) as client:
        assert users.user_record(client, name).vector is not None
        for made in listing.page(client, ARTICLE, SessionFilter(user=name)).sessions:
            client.execute("DEL", made.key)
        client.execute("DEL", formats.user_key(name))


def test_each_of_two_visitors_writes_to_the_session_that_their_page_names(
    opened: Open, demo_target: Target, prefix: str, session: str
) -> None:
    """Both begin a session of the same user; what was there before keeps its turns and its life."""
    old = formats.session_key(session)
    visitors = [opened(assistant__user="user001", assistant__session=session) for _ in range(2)]
    made: list[str] = []
    with connect(demo_target) as client:
        client.execute("PEXPIRE", old, 57_600_000)
        for visitor in visitors:
            visitor.button(key="assistant.new_session").click().run()
        for number, visitor in enumerate(visitors):
            chosen = str(visitor.selectbox(key="assistant.session").value)
            assert f"Session {chosen} begins" in said(visitor)
            made.append(formats.session_key(chosen))
            visitor.chat_input[0].set_value(f"{number}: {QUESTION}").run()
            assert f"Kept in session {chosen} (2 turns)" in said(visitor)
            assert visitor.selectbox(key="assistant.session").value == chosen
        try:
            assert len({old, *made}) == 3
            for number, key in enumerate(made):
                assert store.read(client, key).turns[0].content == f"{number}: {QUESTION}"
            assert store.read(client, old).turns == ()
            assert (store.time_left(client, old) or 0) > 57_000
        finally:
            client.execute("DEL", *made)


def test_what_the_documents_do_not_answer_is_said_and_the_bound_is_the_user_s(
    opened: Open, session: str
) -> None:
    weather = "What will the weather be like tomorrow in Paris?"
    app = opened(assistant__user="user001", assistant__session=session)
    app.chat_input[0].set_value(weather).run()
    assert not app.exception
    assert "The documents do not answer this." in said(app)
    app.number_input(key="assistant.bound.idx:embeddings").set_value(2.0).run()
    app.chat_input[0].set_value(weather).run()
    assert "[1]" in app.text[-1].value


def test_a_follow_up_is_searched_with_the_question_before_it(opened: Open, session: str) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    app.chat_input[0].set_value(QUESTION).run()
    app.chat_input[0].set_value("How long does it take?").run()
    assert not app.exception
    assert f"Searched together with the question before: {QUESTION} How long does it take?" in said(app)


def test_a_session_that_is_gone_is_replaced_by_no_other(
    opened: Open, demo_target: Target, session: str
) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    with connect(demo_target) as client:
        client.execute("DEL", formats.session_key(session))
    st.cache_data.clear()
    app.run()
    assert app.selectbox(key="assistant.session").value is None
    assert f"{session} is gone" in said(app)
    assert not app.chat_input


@pytest.mark.parametrize(
    ("name", "likes", "wrong"), [("", "x", "empty"), ("user001", "x", "already"), ("new", " ", "blank")]
)
def test_a_user_that_cannot_be_made(opened: Open, name: str, likes: str, wrong: str) -> None:
    app = opened()
    app.text_input(key="assistant.new_user").set_value(name)
    app.text_area(key="assistant.likes").set_value(likes)
    app.button(key="assistant.create_user").click().run()
    assert not app.exception
    assert wrong in " ".join(toast.value for toast in app.toast)


def test_hostile_texts_stay_texts(opened: Open, demo_target: Target, session: str) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    app.chat_input[0].set_value(HOSTILE).run()
    assert not app.exception
    assert any(HOSTILE in text.value for text in app.text)
    assert not any("![x](" in part.value for part in (*app.markdown, *app.caption))


def test_a_session_that_expires_between_choice_and_question(
    opened: Open, demo_target: Target, session: str
) -> None:
    app = opened(assistant__user="user001", assistant__session=session)
    with connect(demo_target) as client:
        client.execute("DEL", formats.session_key(session))
    app.chat_input[0].set_value(QUESTION).run()
    assert not app.exception
    assert "session" in said(app)
    assert any(
        "does not exist" in e.proto.title or "gone" in e.proto.title or "no" in e.proto.title.lower()
        for e in app.error
    )


def test_another_model_than_the_index_s_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDB_EMBEDDER", "titan:512")
    app = opened()
    assert "512 numbers; the vectors of 'idx:embeddings' have 256" in said(app)


def test_what_is_not_as_usual_about_the_documents_is_said(
    opened: Open, demo_target: Target, session: str, prefix: str
) -> None:
    """A zero vector has no direction: the engine counts it among the K, and the page says so as Search does."""
    name = f"{prefix}odd"
    rows = [*np.random.default_rng(4).normal(size=(3, 256)), np.zeros(256)]
    with connect(demo_target) as client:
        for i, row in enumerate(rows):
            client.execute(
                "HSET", f"{prefix}o:{i}", "content", f"Text {i}.", "embedding", row.astype("<f4").tobytes()
            )
        fields = (HnswField("embedding", 256, "COSINE"), TextField("content"))
        index.create(client, IndexSpec(name, fields, (f"{prefix}o:",)))
        until(lambda: index.index_info(client, name).documents == len(rows), "the index is built")
        try:
            app = opened(index=name, assistant__user="user001", assistant__session=session)
            app.chat_input[0].set_value(QUESTION).run()
            assert not app.exception
            assert "hits have no distance and stand last: zero vectors" in said(app)
        finally:
            index.drop(client, name)
            client.pipeline([("DEL", f"{prefix}o:{i}") for i in range(len(rows))])


def test_links_with_nonsense_open_the_page(opened: Open, demo_target: Target) -> None:
    for query in (
        {"assistant__user": HOSTILE},
        {"assistant__session": "../x"},
        {"assistant__k": "x"},
        {"assistant__weight": "7"},
    ):
        opened(replace(demo_target), **query)


def test_a_question_to_begin_with_is_asked_by_a_press(opened: Open, session: str) -> None:
    app = opened(index="idx:embeddings", assistant__user="user001", assistant__session=session)
    app.button(key="assistant.example.2").click().run()
    assert not app.exception
    assert "The documents do not answer this." in said(app)
    assert "Will it rain in Lisbon?" in said(app)
    keys = {button.key for button in app.button}
    assert not any(str(key).startswith("assistant.example") for key in keys), "who has begun needs none"
