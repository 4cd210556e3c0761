"""The Sessions page's other views: formats, overview, changes to many sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.demo.app import environment
from memdb.sessions import format_file, indexed
from memdb.sessions.mapping import Format
from memdb.settings import Settings
from tests.app.test_sessions_page import ENTRY, HOSTILE, healthy, opened, put, texts
from tests.waiting import PATIENCE_S, until


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("views"), log=False, json=True) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    with connect(own_engine.target) as client:
        yield client
        for name in client.execute("FT._LIST"):
            client.execute("FT.DROPINDEX", name)
        cursor = b"0"
        while True:
            cursor, keys = client.execute("SCAN", cursor, "COUNT", 10_000)
            if keys:
                client.execute("DEL", *keys)
            if cursor == b"0":
                return


@pytest.fixture
def app(own_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(own_engine.target, tmp_path).items():
        monkeypatch.setenv(name, value)
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def marked(app: AppTest) -> str:
    return "\n".join(
        str(m.value) for m in [*app.markdown, *app.caption, *app.info, *app.success, *app.warning]
    )


def frames(app: AppTest) -> list[pd.DataFrame]:
    return [frame.value for frame in app.dataframe]


def langchain(server: Client, id_: str, *texts_: str) -> None:
    for i, text in enumerate(texts_):
        message: dict[str, Any] = {"type": ("human", "ai")[i % 2], "data": {"content": text}}
        server.execute("LPUSH", f"message_store:{id_}", json.dumps(message))


def test_a_key_a_message_and_a_conversation_in_one_text(app: AppTest, server: Client) -> None:
    for number, role in enumerate(("user", "assistant"), 1):
        message = {"role": role, "content": f"talk {number}"}
        server.execute("SET", f"talk:ann:a:{number}", json.dumps(message))
    server.execute("SET", "log:1", f"Benutzer: {HOSTILE}\nAssistent: ho")
    opened(app)
    healthy(app)
    options = {option.partition(" · ")[2]: option for option in app.selectbox(key="sessions.format").options}
    assert "talk:…:*" in options
    for keys, id_, said, turns in (("talk:…:*", "ann:a", "talk 2", 2), ("log:", "1", "ho", 2)):
        app.selectbox(key="sessions.format").set_value(options[keys]).run()
        healthy(app)
        (frame,) = frames(app)[:1]
        assert (list(frame["session"]), list(frame["turns"])) == ([id_], [turns])
        app.text_input(key="sessions.open").set_value(id_).run()
        healthy(app)
        assert said in texts(app)


def test_sessions_of_another_format(app: AppTest, server: Client) -> None:
    langchain(server, "s1", "Hello there", HOSTILE)
    langchain(server, "s2", "Other")
    opened(app)  # nothing of the article's is here: what is there is shown
    healthy(app)
    assert "LangChain" in app.selectbox(key="sessions.format").options[0]
    assert sorted(frames(app)[0]["session"]) == ["s1", "s2"]
    app.text_input(key="sessions.open").set_value("s1").run()
    healthy(app)
    assert "Hello there" in texts(app)
    assert "<script>alert(1)</script>" in texts(app)  # as text
    for view in ("Fields", "Code"):
        app.segmented_control(key="sessions.view").set_value(view).run()
        healthy(app)
    app.text_input(key="sessions.open").set_value("gone").run()
    assert not app.exception
    assert "expired" in app.error[0].value


def test_another_format_has_the_same_list(app: AppTest, server: Client) -> None:
    for i in range(30):
        langchain(server, f"s{i}", f"Question {i}", "Answer")
    server.execute("EXPIRE", "message_store:s7", 100)
    opened(app)
    app.selectbox(key="sessions.size").set_value(25).run()
    pages = [set(frames(app)[0]["session"])]
    app.button(key="sessions.next").click().run()
    pages.append(set(frames(app)[0]["session"]))
    assert sorted(map(len, pages)) == [5, 25]
    assert len(pages[0] | pages[1]) == 30
    app.text_input(key="sessions.words").set_value("question 2").run()
    assert sorted(frames(app)[0]["session"]) == sorted(f"s{i}" for i in range(30) if "2" in str(i))
    app.text_input(key="sessions.words").set_value("").run()
    app.select_slider(key="sessions.ttl").set_value(("1 min", "15 min")).run()
    assert list(frames(app)[0]["session"]) == ["s7"]
    assert "expires in **1:" in str([p.proto for p in app.get("progress")])
    assert not [box for box in app.selectbox if box.key == "sessions.context"]  # this format keeps none
    assert {b.key for b in app.button} >= {"sessions.extend", "sessions.persist", "sessions.delete"}
    server.execute("LPUSH", "message_store:s7", json.dumps({"type": "human", "data": {"content": "More"}}))
    app.run()
    assert "changed this session" in marked(app)
    app.segmented_control(key="sessions.show").set_value("Change many").run()
    app.segmented_control(key="sessions.bulk.action").set_value("Export").run()
    app.button(key="sessions.bulk.plan").click().run()
    until(lambda: "1 session" in marked(app.run()), "the dry run has ended")
    app.button(key="sessions.bulk.read").click().run()
    until(lambda: "Save 1 session" in str(app.run().get("download_button")), "the export is made")
    healthy(app)


def test_the_articles_sessions_behind_another_prefix_can_be_changed(app: AppTest, server: Client) -> None:
    history = json.dumps([{"role": "user", "content": "Hello"}])
    server.execute("HSET", "talk:1", "user_id", "ann", "context", "c", "created_at", "", "history", history)
    server.execute("EXPIRE", "talk:1", 100)
    opened(app)
    healthy(app)
    assert list(frames(app)[0]["session"]) == ["1"]
    assert app.button(key="sessions.extend").label == "Extend"
    app.segmented_control(key="sessions.show").set_value("Change many").run()
    app.button(key="sessions.bulk.plan").click().run()
    until(lambda: "1 session" in marked(app.run()), "the dry run has ended")
    healthy(app)


@pytest.mark.parametrize("token", ["nothing · x:", "LangChain: list of messages · ", " · ", "x"])
def test_a_link_to_a_format_that_is_not_there(app: AppTest, server: Client, token: str) -> None:
    put(server, "a")
    opened(app, format=token)
    healthy(app)


def test_a_link_to_a_format(app: AppTest, server: Client) -> None:
    put(server, "a")
    langchain(server, "s1", "Hello")
    opened(app, format="LangChain: list of messages · message_store:")
    healthy(app)
    assert list(frames(app)[0]["session"]) == ["s1"]
    assert "1 key of this format" in marked(app)


@pytest.mark.parametrize("view", ["Overview", "Change many", "Formats"])
def test_every_view_of_an_empty_server(app: AppTest, server: Client, view: str) -> None:
    opened(app, show=view)
    healthy(app)
    assert any("###" in m.value for m in app.markdown)


def test_the_overview(app: AppTest, server: Client) -> None:
    put(server, "a", ttl_s=100)
    put(server, "b", user_id=HOSTILE)
    opened(app, show="Overview")
    healthy(app)
    lives = next(f for f in frames(app) if "memory freed by then" in f)
    assert dict(zip(lives["expires within"], lives["sessions"], strict=True))["5 min"] == 1
    assert "All 2 keys were walked over" in marked(app)
    app.selectbox(key="sessions.soon.open").set_value("a").run()
    healthy(app)
    assert app.segmented_control(key="sessions.show").value == "Sessions"
    assert "Hello from a" in texts(app)


def test_many_are_changed_only_after_the_words_are_typed(app: AppTest, server: Client) -> None:
    for i in range(5):
        put(server, f"s{i}", user_id="bob" if i else "ann")
    opened(app, show="Change many", user="bob")
    assert app.segmented_control(key="sessions.bulk.action").value == "Expire"
    app.segmented_control(key="sessions.bulk.action").set_value("Delete").run()
    app.button(key="sessions.bulk.plan").click().run()
    until(lambda: "4 sessions" in marked(app.run()), "the dry run has ended")
    healthy(app)
    submit = next(b for b in app.button if b.label == "Delete 4 sessions")
    app.text_input(key="sessions.bulk.typed").set_value("delete 5")
    submit.click().run()
    assert any("Nothing was changed" in e.value for e in app.error)
    assert server.execute("DBSIZE") == 5
    app.text_input(key="sessions.bulk.typed").set_value("delete 4")
    next(b for b in app.button if b.label == "Delete 4 sessions").click().run()
    until(lambda: "4 of 4 sessions deleted" in marked(app.run()).replace("\\", ""), "the job has ended")
    assert server.execute("DBSIZE") == 1
    healthy(app)


def test_another_filter_asks_for_another_dry_run(
    app: AppTest, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_WRITABLE", "0")
    put(server, "a")
    opened(app, show="Change many", action="Expire")
    app.segmented_control(key="sessions.bulk.action").set_value("Expire").run()
    app.button(key="sessions.bulk.plan").click().run()
    until(lambda: "1 session" in marked(app.run()), "the dry run has ended")
    assert "read-only" in marked(app)
    app.text_input(key="sessions.user").set_value("x").run()
    assert "run it dry again" in marked(app)
    healthy(app)


def test_a_format_of_ones_own_is_tried_and_saved(app: AppTest, server: Client, tmp_path: Path) -> None:
    entry = {"who": "customer", "body": {"text": "My bill is wrong"}}
    server.execute("JSON.SET", "support:1", "$", json.dumps({"conversation": {"entries": [entry]}}))
    opened(app, show="Formats")
    healthy(app)
    typed = {"prefix": "support:", "messages": "conversation.entries", "role": "who", "text": "body.text"}

    def field(name: str) -> str:
        return next(
            t.key for t in app.text_input if t.key and t.key.endswith(f".{name}") and ".own." in t.key
        )

    def submit(label: str) -> None:
        for name, value in typed.items():
            app.text_input(key=field(name)).set_value(value)
        app.selectbox(key=field("prefix").removesuffix("prefix") + "stored").set_value("json")
        if label:
            next(b for b in app.button if b.label == label).click()
        app.run()

    submit("")
    healthy(app)
    assert "My bill is wrong" in texts(app)
    submit("Save")
    assert "no name" in app.error[0].value
    typed["name"] = "desk"
    submit("Save")
    healthy(app)
    assert [f.name for f in format_file.own_formats(Settings(home=tmp_path))] == ["desk"]
    app.run()
    assert any(o.startswith("desk") for o in app.selectbox(key="sessions.format").options)
    lines = format_file.to_toml(Format("x", "X", "support:", "json", messages=("conversation[*]",), own=True))
    app.text_area(key="sessions.own.lines").set_value(lines)
    app.button(key="sessions.own.use").click().run()
    healthy(app)
    assert app.text_input(key=field("messages")).value == "conversation[*]"
    app.text_area(key="sessions.own.lines").set_value("[[")
    app.button(key="sessions.own.use").click().run()
    assert "no TOML" in app.error[0].value
    typed["role"] = "a..b"
    submit("")
    assert "no path" in str(app.error[0].proto)
    format_file.file_path(Settings(home=tmp_path)).write_text("[[")
    app.run()
    assert "cannot be read" in str(app.error[0].proto)
    assert not app.exception


def test_an_index_is_offered_with_its_cost(app: AppTest, server: Client) -> None:
    put(server, "a")
    put(server, "b", user_id="bob")
    opened(app, user="bob")
    assert "bytes a session" in marked(app)
    app.button(key="sessions.index.create").click().run()
    until(lambda: (i := indexed.find(server)) is not None and i.build.ready, "the index is built")
    app.button(key="sessions.index.use").click().run()
    assert "found through index" in marked(app)
    assert list(frames(app)[0]["session"]) == ["b"]
    healthy(app)


TOOLS = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Weather?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 120}"}},
        ],
    },
    {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}],
        "tool_calls": [{"id": "c1", "function": {"name": "weather", "arguments": '{"city": "<b>Oslo</b>"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "no **station**", "status": "error"},
    {"role": "assistant", "content": "Half \ud83d. Write to ann@example.com."},
]


def test_a_conversation_with_tools(app: AppTest, server: Client) -> None:
    put(server, "tools", history=json.dumps(TOOLS))
    opened(app, open="tools")
    healthy(app)
    shown = "\n".join(
        [texts(app), marked(app), *(c.value for c in app.code), *(e.label for e in app.expander)]
    )
    for part in ("calls **weather**", '{"city": "<b>Oslo</b>"}', "no **station**", "Thinking", "90 B"):
        assert part in shown.replace("\\", ""), part
    assert "Half \\ud83d. Write to ann@example.com." in texts(app)
    assert not app.get("imgs")
    app.segmented_control(key="sessions.view").set_value("Usage").run()
    healthy(app)
    used = next(f for f in frames(app) if "failed in turn" in f)
    assert used.to_dict("records") == [
        {"tool": "weather", "calls": 1, "answered": 0, "failed": 1, "no result": 0, "failed in turn": "3"}
    ]
    app.segmented_control(key="sessions.view").set_value("Conversation").run()
    next(t for t in app.toggle if t.label == "Hide personal data").set_value(True).run()
    healthy(app)
    assert "Write to [e-mail address]." in texts(app)
    app.segmented_control(key="sessions.view").set_value("Fields").run()
    assert "ann@example.com" not in str([p.proto for p in [*app.code, *app.text, *app.markdown]])


def test_personal_data_is_hidden_on_production_that_is_served_to_others(
    app: AppTest, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "tools", history=json.dumps(TOOLS))
    monkeypatch.setenv("MEMDB_KIND", "production")
    monkeypatch.setattr("memdb.ui.kit.access.on_this_machine", lambda: False)
    opened(app, open="tools")
    assert "Write to [e-mail address]." in texts(app)
    next(t for t in app.toggle if t.label == "Hide personal data").set_value(False).run()
    assert "ann@example.com" in texts(app)


def test_a_long_list_is_read_as_one_goes_back(app: AppTest, server: Client) -> None:
    server.pipeline(
        [
            (
                "LPUSH",
                "message_store:long",
                json.dumps({"type": "human", "data": {"content": f"Message {i}"}}),
            )
            for i in range(700)
        ]
    )
    opened(app, open="long", format="LangChain: list of messages · message_store:")
    healthy(app)
    assert (frames(app)[0]["turns"][0], frames(app)[0]["began with"][0]) == (700, "Message 0")
    assert "Message 699" in texts(app)
    while any(b.key == "sessions.more" for b in app.button):
        before = app.button(key="sessions.more").label
        app.button(key="sessions.more").click().run()
        assert not any(b.label == before for b in app.button)
    assert "Message 0\n" in texts(app)


def test_turns_by_meaning(app: AppTest, server: Client) -> None:
    langchain(server, "s1", "How do I restore a table?", "From a backup.")
    langchain(server, "s2", "Cats purr", "They do.")
    opened(app, format="LangChain: list of messages · message_store:")
    app.text_input(key="sessions.meaning").set_value("a backup of the database").run()
    healthy(app)
    near = next(f for f in frames(app) if "cosine" in f)
    assert list(near["cosine"]) == sorted(near["cosine"], reverse=True)
    assert set(near["session"][:2]) == {"s1"}
    app.toggle(key="sessions.page_usage").set_value(True).run()
    healthy(app)
    assert "tokens in 2 sessions" in marked(app)


def test_half_an_emoji_hides_no_other_session(app: AppTest, server: Client) -> None:
    server.execute("RPUSH", "chat:1", '{"role": "user", "content": "cut \\ud83d"}')
    server.execute("RPUSH", "chat:2", '{"role": "user", "content": "fine"}')
    opened(app, open="1")
    healthy(app)
    assert sorted(frames(app)[0]["began with"]) == ["cut \\ud83d", "fine"]
    assert "cut \\ud83d" in texts(app)


def test_memories_that_are_alike(app: AppTest, server: Client) -> None:
    for i, text in enumerate(("Likes green tea", "Likes green tea!", "Lives in Oslo", "Lives in Bergen")):
        server.execute("HSET", f"mem:{i}", "memory", text, "user_id", "ann", "hash", str(i))
    opened(app, format="Memories: a hash each · mem:")
    app.toggle(key="sessions.alike").set_value(True).run()
    healthy(app)
    pairs = next(f for f in frames(app) if "earlier" in f)
    told = sorted(zip(pairs["reading"], pairs["only earlier"], pairs["only later"], strict=True))
    assert [reading for reading, _, _ in told] == ["duplicate", "may contradict"]
    assert sorted(told[1][1:]) == ["Bergen", "Oslo"]


def test_turns_by_the_vectors_stored_beside_them(app: AppTest, server: Client) -> None:
    for number in range(6):
        row = np.eye(16, dtype="<f4")[number] + np.float32(0.1) * number
        told = ["session_tag", f"s{number % 2}", "role", "user", "content", f"text {number}"]
        server.execute("HSET", f"history:{number}", *told, "vector_field", row.tobytes())
    opened(app)
    app.text_input(key="sessions.meaning.like").set_value("history:4").run()
    healthy(app)
    near = next(f for f in frames(app) if "cosine" in f)
    assert near["text"].iloc[0] == "text 4"
    assert near["cosine"].iloc[0] == pytest.approx(1.0)
    assert len(near) == 6
    assert "6 keys that were read" in marked(app)
    app.text_input(key="sessions.meaning.like").set_value("").run()
    app.text_input(key="sessions.meaning").set_value("a refund").run()
    assert not app.exception
    assert "by the vector of a stored turn" in app.error[0].value


def test_times_beyond_what_a_calendar_holds_are_shown_as_stored(app: AppTest, server: Client) -> None:
    put(server, "early", created_at="0001-01-01T00:00:00+05:00")
    put(server, "late", created_at="9999-12-31T23:59:59-05:00")
    opened(app)
    healthy(app)
    created = frames(app)[0]["created"]
    assert created.isna().all()
    for id_, told in (("early", "0001-01-01"), ("late", "9999-12-31")):
        app.text_input(key="sessions.open").set_value(id_).run()
        healthy(app)
        assert told in marked(app)
