"""The Sessions page in AppTest: with data, empty, with the server down, by link, with every bad session."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.demo.app import app_folder, environment
from memdb.sessions import append
from memdb.sessions.strategy import Budget
from memdb.sessions.turns import said
from memdb.ui.sessions.listing import bar_share, left_text
from memdb.ui.sessions.panel import countdown
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
PAGE = app_folder() / "pages" / "explore" / "sessions.py"
HOSTILE = "<script>alert(1)</script> **b** ![x](http://evil.example/x.png) \x1b[31mred\x07"


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("page"), log=False) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    """A server whose keys are this test's alone."""
    with connect(own_engine.target) as opened:
        yield opened
        cursor = b"0"
        while True:
            cursor, keys = opened.execute("SCAN", cursor, "COUNT", 10_000)
            for start in range(0, len(keys), 10_000):
                opened.execute("DEL", *keys[start : start + 10_000])
            if cursor == b"0":
                return


@pytest.fixture
def app(own_engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(own_engine.target, home).items():
        monkeypatch.setenv(name, value)
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def opened(app: AppTest, **query: str) -> AppTest:
    """The page as a link opens it."""
    for name, value in query.items():
        app.query_params[f"sessions.{name}"] = value
    return app.switch_page(str(PAGE)).run()


def put(client: Client, id_: str, ttl_s: int = 0, **fields: str | bytes) -> None:
    history = [{"role": "user", "content": f"Hello from {id_}"}, {"role": "assistant", "content": "Hi"}]
    values: dict[str, str | bytes] = {
        "user_id": "ann",
        "context": "greeting",
        "created_at": "2026-07-14T10:30:00Z",
        "history": json.dumps(history),
        **fields,
    }
    key = f"session:{id_}"
    client.execute("HSET", key, *[part for pair in values.items() for part in pair])
    if ttl_s:
        client.execute("EXPIRE", key, ttl_s)


def table(app: AppTest) -> pd.DataFrame:
    found = app.dataframe[0].value
    assert isinstance(found, pd.DataFrame)
    return found


def texts(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in app.text)


def healthy(app: AppTest) -> None:
    assert not app.exception
    assert [error.value for error in app.error] == []


def test_a_page_of_sessions_and_the_first_one_open(app: AppTest, server: Client) -> None:
    put(server, "a", ttl_s=3_000)
    put(server, "b")
    opened(app)
    healthy(app)
    rows = table(app)
    assert sorted(rows["session"]) == ["a", "b"]
    assert dict(zip(rows["session"], rows["expires in"], strict=True))["b"] == "never"
    assert f"Hello from {rows['session'].iloc[0]}" in texts(app)
    assert any("the last page" in caption.value for caption in app.caption)


def test_a_server_without_sessions_says_what_to_do(app: AppTest, server: Client) -> None:
    opened(app)
    healthy(app)
    assert any("No sessions on this server" in m.value for m in app.markdown)


def test_a_filter_that_nothing_passes(app: AppTest, server: Client) -> None:
    put(server, "a")
    opened(app)
    app.text_input(key="sessions.user").set_value("nobody").run()
    healthy(app)
    assert any("No session passes this filter" in m.value for m in app.markdown)


def test_filters_narrow_the_list(app: AppTest, server: Client) -> None:
    put(server, "a", ttl_s=100)
    put(server, "b", user_id="Bob", context="billing")
    put(server, "c", ttl_s=5_000)
    opened(app)
    app.text_input(key="sessions.user").set_value("bo").run()
    assert list(table(app)["session"]) == ["b"]
    app.text_input(key="sessions.user").set_value("").run()
    app.select_slider(key="sessions.ttl").set_value(("1 min", "15 min")).run()
    assert list(table(app)["session"]) == ["a"]
    app.select_slider(key="sessions.ttl").set_value(("never", "never")).run()
    assert list(table(app)["session"]) == ["b"]
    app.select_slider(key="sessions.ttl").set_value(("now", "never")).run()
    app.text_input(key="sessions.words").set_value("FROM c").run()
    assert list(table(app)["session"]) == ["c"]
    app.text_input(key="sessions.words").set_value("").run()
    app.text_input(key="sessions.id").set_value("*").run()
    assert any("No session passes" in m.value for m in app.markdown)
    healthy(app)


def test_paging_goes_forth_and_back(app: AppTest, server: Client) -> None:
    for i in range(60):
        put(server, f"s{i}")
    opened(app)
    app.selectbox(key="sessions.size").set_value(25).run()
    pages = [set(table(app)["session"])]
    while not app.button(key="sessions.next").disabled:
        app.button(key="sessions.next").click().run()
        if app.dataframe:
            pages.append(set(table(app)["session"]))
    assert sum(map(len, pages)) == 60
    assert len(set().union(*pages)) == 60
    while not app.button(key="sessions.previous").disabled:
        app.button(key="sessions.previous").click().run()
    assert set(table(app)["session"]) == pages[0]
    healthy(app)


def test_a_link_opens_a_session(app: AppTest, server: Client) -> None:
    put(server, "a")
    put(server, "b")
    opened(app, open="b", view="Fields")
    healthy(app)
    assert app.text_input(key="sessions.open").value == "b"
    assert any("Hello from b" in code.value for code in app.code)


def test_a_link_to_what_is_gone_is_explained_and_the_list_stays(app: AppTest, server: Client) -> None:
    put(server, "a")
    opened(app, open="gone")
    assert not app.exception
    assert len(app.error) == 1
    assert "expired" in app.error[0].value
    assert list(table(app)["session"]) == ["a"]


@pytest.mark.parametrize(
    "query", [{"ttl": "soon"}, {"size": "7"}, {"order": "x"}, {"since": "x"}, {"view": "x"}]
)
def test_nonsense_in_a_link_falls_back(app: AppTest, server: Client, query: dict[str, str]) -> None:
    put(server, "a")
    opened(app, **query)
    healthy(app)
    assert list(table(app)["session"]) == ["a"]


BAD = {
    "nojson": ({"history": "no JSON"}, "The history is not JSON"),
    "shape": ({"history": '{"a": 1}'}, "not a list of turns"),
    "utf8": ({"history": b'[{"role": "user", "content": "\xff"}]'}, "is not all UTF\\-8"),
    "user": ({"user_id": b"\xff"}, "is not UTF\\-8"),
    "time": ({"created_at": "soon"}, "no time"),
    "large": ({"history": json.dumps([{"role": "user", "content": "x" * 5 * 2**20}])}, ""),
    "hostile": (
        {
            "context": HOSTILE,
            "user_id": HOSTILE,
            "history": json.dumps([{"role": HOSTILE, "content": HOSTILE}]),
        },
        "",
    ),
}


@pytest.mark.parametrize("view", ["Conversation", "User", "Fields", "Code"])
@pytest.mark.parametrize("name", list(BAD))
def test_every_bad_session_is_shown(app: AppTest, server: Client, name: str, view: str) -> None:
    fields, sentence = BAD[name]
    put(server, name, **fields)
    opened(app, open=name, view=view)
    assert not app.exception
    if view == "User":
        assert "no user record" in app.error[0].icon + str(app.error[0].proto)
    else:
        healthy(app)
    assert [w.value for w in app.warning if sentence in w.value] if sentence else not app.warning
    assert list(table(app)["session"]) == [name]


def test_stored_text_never_reaches_markdown(app: AppTest, server: Client) -> None:
    fields, _ = BAD["hostile"]
    put(server, "hostile", **fields)
    opened(app)
    marked = [*app.markdown, *app.caption, *app.warning]
    assert not [m.value for m in marked if re.search(r"(?<!\\)<script|(?<!\\)!\[|\x1b", m.value)]
    assert "<script>alert(1)</script>" in texts(app)  # as text it is shown as it is
    assert "\x1b" not in texts(app)


def test_a_session_that_another_tab_changes_is_named(app: AppTest, server: Client) -> None:
    put(server, "a", ttl_s=3_000)
    opened(app, open="a")
    assert not any("changed this session" in c.value for c in app.caption)
    append.append(server, "session:a", [said("user", "From another tab")])
    app.run()
    assert any("changed this session" in c.value for c in app.caption)
    next(b for b in app.button if b.label == "Refresh").click().run()
    assert "From another tab" in texts(app)
    assert not any("changed this session" in c.value for c in app.caption)
    healthy(app)


def test_a_missing_hash_field_and_an_odd_id(app: AppTest, server: Client) -> None:
    server.execute("HSET", b"session:\xff *", "title", "x")
    opened(app)
    healthy(app)
    assert list(table(app)["session"]) == ["%FF%20*"]
    assert len(app.warning) == 4
    app.text_input(key="sessions.open").set_value("%FF%20*").run()
    healthy(app)
    assert len(app.warning) == 4


def test_a_long_conversation_begins_at_its_end(app: AppTest, server: Client) -> None:
    turns = [{"role": "user", "content": f"turn {i}."} for i in range(200)]
    put(server, "long", history=json.dumps(turns))
    opened(app)
    assert "turn 199." in texts(app)
    assert "turn 100." not in texts(app)
    app.button(key="sessions.more").click().run()
    assert "turn 120." in texts(app)


@pytest.mark.parametrize("action", ["extend", "persist", "delete"])
def test_nothing_is_written_before_it_is_confirmed(app: AppTest, server: Client, action: str) -> None:
    """Confirming is tested in a browser: AppTest draws no dialog anew."""
    put(server, "a", ttl_s=100)
    opened(app, open="a")
    app.button(key=f"sessions.{action}").click().run()
    assert app.button(key="sessions.confirm").label in {action.capitalize(), f":red[{action.capitalize()}]"}
    assert 0 < server.execute("TTL", "session:a") <= 100
    healthy(app)


def test_a_read_only_target_offers_no_writes(
    app: AppTest, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_WRITABLE", "0")
    put(server, "a", ttl_s=100)
    opened(app)
    healthy(app)
    keys = {button.key for button in app.button}
    assert not keys & {"sessions.extend", "sessions.persist", "sessions.delete"}


def test_all_sessions_of_a_user(app: AppTest, server: Client) -> None:
    put(server, "a")
    put(server, "b", user_id="annabel")
    put(server, "c")
    server.execute("HSET", "user:ann", "company_size", "startup", "embedding", b"12345")
    opened(app, open="a", view="User")
    assert not app.exception
    assert "startup" in texts(app)
    assert any("no multiple of 4" in w.value for w in app.warning)
    app.button(key="sessions.of_user").click().run()
    assert sorted(table(app)["session"]) == ["a", "c"]


def test_a_page_is_filled_in_the_background(
    app: AppTest, server: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one call's budget ends before the page is full."""
    put(server, "a", user_id="wanted")
    commands = [("SET", f"other:{i}", "x") for i in range(2 * Budget().keys)]
    for start in range(0, len(commands), 10_000):
        server.pipeline(commands[start : start + 10_000])
    opened(app, user="wanted")
    healthy(app)
    app.button(key="sessions.search").click().run()
    job = app.session_state["sessions.job"].id
    assert job

    def done() -> bool:
        app.run()
        return bool(app.dataframe) and "the last page" in " ".join(c.value for c in app.caption)

    until(done, "the page is filled")
    assert list(table(app)["session"]) == ["a"]
    healthy(app)


def test_a_server_that_is_down_is_explained(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        for name, value in environment(running.target, home).items():
            monkeypatch.setenv(name, value)
    app = opened(AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S))
    assert not app.exception
    assert app.error
    assert "No answer" in str(app.error[0].proto)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45.9, "0:45"), (3_723, "1:02:03"), (3 * 86_400 + 4_000, "3 d 01:06:40"), (0, "0:00")],
)
def test_a_countdown(seconds: float, text: str) -> None:
    assert countdown(seconds) == text


def test_a_bars_length() -> None:
    assert bar_share(None) == 1
    assert bar_share(0) == 0
    assert bar_share(86_400) == 1
    assert bar_share(10 * 86_400) == 1
    assert bar_share(86_400 / 8) == pytest.approx(0.5)
    assert [left_text(None), left_text(0.0), left_text(60.0)] == ["never", "expired", "60 s"]
