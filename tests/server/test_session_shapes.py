"""Conversations as applications of their own write them, and what looks like one: recognised, opened, exported."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.sessions import formats, known, listing
from memdb.sessions.detect import detect
from memdb.sessions.turns import part_line, turn_rows
from memdb.sessions.usage import tool_use
from tests.standins import memorydb, valkey_search


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("shapes"), log=False, json=True) as running:
        running.wait_ready()
        yield running


def written(client: Client, *command: object) -> None:
    """Send what the client of the product sends nowhere."""
    with redis.Redis.from_url(client.target.url, protocol=2) as plain:
        plain.execute_command(*command)


@pytest.fixture(params=["local", "valkey-search", "MemoryDB"])
def of_any_engine(own_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Client]:
    """The local engine, by itself and as the others speak; what is written there is gone afterwards."""
    standin = {"local": None, "valkey-search": valkey_search, "MemoryDB": memorydb}[request.param]
    with contextlib.ExitStack() as fronts, connect(own_engine.target) as own:
        target = own_engine.target if standin is None else fronts.enter_context(standin(own.target)).target
        yield fronts.enter_context(connect(target))
        own.execute("DEL", *own.execute("SCAN", 0, "COUNT", 10_000)[1])


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    with connect(own_engine.target) as client:
        yield client
        keys = client.execute("SCAN", 0, "COUNT", 10_000)[1]
        if keys:
            client.execute("DEL", *keys)


def m(role: str, content: object, **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


HI = ["user: hi", "assistant: ho"]
LIST = [m("user", "hi"), m("assistant", "ho")]
SHAPES: dict[str, tuple[object, list[str]]] = {
    "from and value": (
        [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}],
        ["human: hi", "gpt: ho"],
    ),
    "sender type and body": (
        [{"sender_type": "customer", "body": "hi"}, {"sender_type": "agent", "body": "ho"}],
        ["customer: hi", "agent: ho"],
    ),
    "author objects": (
        [
            {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["hi"]}},
            {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["ho"]}},
        ],
        HI,
    ),
    "sender with an id": (
        [
            {"type": "message", "from": {"id": "u1", "role": "user"}, "text": "hi"},
            {"type": "message", "from": {"id": "b1", "role": "bot"}, "text": "ho"},
        ],
        ["user: hi", "bot: ho"],
    ),
    "an exchange an entry": ([{"user": "hi", "assistant": "ho"}], HI),
    "turns of exchanges": ({"turns": [{"human": "hi", "ai": "ho"}]}, ["human: hi", "ai: ho"]),
    "chatHistory": ({"chatHistory": LIST}, HI),
    "within a conversation": ({"conversation": {"messages": LIST}}, HI),
    "a graph's values": ({"state": {"values": {"messages": LIST}}}, HI),
    "by their ids": ({"messages": {"1": LIST[0], "2": LIST[1]}}, HI),
    "a tree": (
        {"mapping": {f"n{i}": {"message": {"author": {"role": e["role"]}, **e}} for i, e in enumerate(LIST)}},
        HI,
    ),
    "a dialogue": ({"dialogue": [{"speaker": "user", "utterance": "hi"}]}, ["user: hi"]),
    "JSON within JSON": (json.dumps(LIST), HI),
    "JSON within JSON within JSON": ({"data": json.dumps(json.dumps({"messages": json.dumps(LIST)}))}, HI),
    "under names of its own": ({"payload": {"chat": json.dumps({"log": LIST})}, "history": [1, 2]}, HI),
    "an empty list before": ({"messages": [], "history": LIST}, HI),
    "events of a bot": (
        {"sender_id": "x", "events": [{"event": "user", "text": "hi"}, {"event": "bot", "text": "ho"}]},
        ["user: hi", "bot: ho"],
    ),
    "roles in any case": ([m("User", "hi"), m("Narrator", "x")], ["User: hi", "Narrator: x"]),
    "numbers as content": ([m("user", 42), m("assistant", True)], ["user: 42", "assistant: true"]),
    "null content and no parts": ([m("user", None), m("assistant", [])], ["user: ", "assistant: "]),
    "calls alike without ids": (
        [
            m(
                "assistant",
                "",
                tool_calls=[
                    {"function": {"name": "w", "arguments": {"c": 1}}},
                    {"function": {"name": "w", "arguments": {"c": 1}}},
                ],
            )
        ],
        ['assistant: [calls w({"c": 1})] [calls w({"c": 1})]'],
    ),
}
STRANGERS: dict[str, object] = {
    "texts of a program": {"messages": {"welcome": "Hello", "bye": "Bye"}},
    "typed texts of a program": {"messages": {"a": {"type": "system", "text": "Hello"}}},
    "a list of texts": {"messages": ["Hello", "Bye"]},
    "texts with ids": {"messages": [{"id": "welcome", "text": "Hi"}]},
    "roles and rights": {"roles": [{"role": "admin", "permissions": ["x"]}], "history": [1, 2, 3]},
    "people": [{"role": "admin", "name": "Ann"}, {"role": "user", "name": "Bob"}],
    "typed records": [{"type": "user", "id": 1, "name": "Ann"}],
    "numbers": [1, 2, 3],
    "texts": ["a", "b"],
    "jobs": [{"type": "email", "message": "x"}, {"role": "worker", "content": "resize"}],
    "settings": [{"type": "system", "value": "dark"}],
    "notices": [{"type": "user", "content": "Bob followed you"}, {"type": "system", "content": "Soon"}],
    "a log": [{"level": "info", "source": "system", "message": "up"}, {"source": "agent", "message": "x"}],
    "notices within": {"inbox": {"entries": [{"type": "user", "content": "x"}, {"type": "system"}]}},
    "an event of a session": {"session_id": "s", "source": "system", "content": "started"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_conversation_of_another_shape(server: Client, name: str) -> None:
    stored, expected = SHAPES[name]
    server.execute("SET", "conv:1", json.dumps(stored))
    (recognised,) = detect(server).formats
    (row,) = listing.page(server, recognised.format).sessions
    session = listing.open_session(server, recognised.format, row.id).session
    said = [f"{turn.role}: {' '.join(part_line(part) for part in turn.parts)}" for turn in session.turns]
    assert said == expected
    assert len(turn_rows(session.turns)) == len(expected)
    exported = json.loads(formats.to_json(session))
    assert json.loads(exported["fields"]["conv:1"]) == stored


@pytest.mark.parametrize("name", STRANGERS)
def test_what_only_looks_like_one(server: Client, name: str) -> None:
    server.execute("SET", "doc:1", json.dumps(STRANGERS[name]))
    held = STRANGERS[name]
    if isinstance(held, list):
        server.execute("RPUSH", "queue:1", *(json.dumps(entry) for entry in held))
    server.execute("RPUSH", "log:1", "user: root logged in", "system: started")
    written(server, "XADD", "events:1", "*", "type", "order", "message", "x")
    written(server, "ZADD", "board:1", 5, "ann", 7, "bob")
    detected = detect(server)
    assert detected.formats == ()
    assert detected.other == detected.sampled


def test_lines_of_json_are_a_conversation_and_a_bad_one_is_named(server: Client) -> None:
    server.execute("SET", "conv:1", "\n".join([json.dumps(LIST[0]), '{"role": "user', json.dumps(LIST[1])]))
    (recognised,) = detect(server).formats
    session = listing.open_session(server, recognised.format, "1").session
    assert [turn.content for turn in session.turns] == ["hi", '{"role": "user', "ho"]
    assert session.problems[0].startswith("Message 2 is no JSON")


def test_a_hash_whose_fields_hold_json_within_json(server: Client) -> None:
    server.execute("HSET", "sess:1", "owner", "ann", "data", json.dumps(json.dumps({"chat": {"log": LIST}})))
    server.execute(
        "HSET", "sess:2", "owner", "ann", "data", json.dumps({"cart": [{"type": "user", "text": "x"}]})
    )
    (recognised,) = detect(server).formats
    assert recognised.format.name == "hash"
    session = listing.open_session(server, recognised.format, "1").session
    assert [(turn.role, turn.content) for turn in session.turns] == [("user", "hi"), ("assistant", "ho")]


def test_an_id_that_is_half_an_emoji_is_opened_and_can_be_typed(server: Client) -> None:
    for number, text in enumerate(("hi", "ho")):
        told = f'{{"session_id": "a\\ud83d %", "role": "user", "content": "{text}", "ts": {1_784_025_000 + number}}}'
        server.execute("SET", f"msg:{number}", told)
    (recognised,) = detect(server).formats
    (row,) = listing.page(server, recognised.format).sessions
    assert row.id == "a\ud83d %"
    assert formats.typed_id(formats.printable_id(row.id)) == row.id
    session = listing.open_session(server, recognised.format, row.id).session
    assert [turn.content for turn in session.turns] == ["hi", "ho"]
    assert formats.to_json(session)


def test_lists_and_hashes_in_utf_16(server: Client) -> None:
    server.execute("RPUSH", "wide:1", *(json.dumps(entry).encode("utf-16-le") for entry in LIST))
    server.execute("HSET", "old:1", "user_id", "ann", "history", json.dumps(LIST).encode("utf-16"))
    server.execute(
        "HSET", "note:1", "session_id", "s", "role", "user", "content", "grüße, 你好".encode("utf-16")
    )
    by_prefix = {f.format.prefix: f.format for f in detect(server).formats}
    said = {}
    for prefix, format_ in by_prefix.items():
        (row,) = listing.page(server, format_).sessions
        session = listing.open_session(server, format_, row.id).session
        said[prefix] = [turn.content for turn in session.turns]
        assert any("UTF-16" in problem for problem in session.problems)
    assert said == {"wide:": ["hi", "ho"], "old:": ["hi", "ho"], "note:": ["grüße, 你好"]}


def test_a_result_before_its_call_belongs_to_it(server: Client) -> None:
    call = {"id": "c9", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    entries = [m("tool", "late", tool_call_id="c9"), m("assistant", None, tool_calls=[call])]
    server.execute("SET", "conv:1", json.dumps(entries))
    opened = listing.open_session(server, replace(known.BARE_TEXT, prefix="conv:"), "1")
    (use,) = tool_use(opened.session.turns)
    assert (use.name, use.calls, use.answered, use.failed, use.open) == ("weather", 1, 1, 0, 0)


def test_streams_and_sorted_sets_are_read_from_their_newest_with_their_times(
    of_any_engine: Client,
) -> None:
    server = of_any_engine
    for number in range(700):
        told = ("role", "user", "content", f"turn {number}")
        written(server, "XADD", "talk:a", f"{1_784_025_000_000 + number}-0", *told)
        message = json.dumps(m("user", f"turn {number}"))
        written(server, "ZADD", "rank:a", 1_784_025_000 + number, message)
    written(server, "XADD", "wrapped:a", "1784025000000-0", "data", json.dumps(m("user", "inside")))
    written(server, "ZADD", "place:a", 2, json.dumps(m("assistant", "ho")), 1, json.dumps(m("user", "hi")))
    names = {f.format.prefix: f.format for f in detect(server).formats}
    assert {prefix: f.name for prefix, f in names.items()} == {
        "talk:": "stream",
        "wrapped:": "stream",
        "rank:": "sorted-set",
        "place:": "sorted-set",
    }
    for prefix in ("talk:", "rank:"):
        (row,) = listing.page(server, names[prefix]).sessions
        assert (row.turns, row.opening) == (700, "turn 0")
        opened = listing.open_session(server, names[prefix], "a")
        turns = opened.session.turns
        assert (len(turns), turns[-1].content, opened.session.earlier) == (500, "turn 699", 200)
        assert turns[0].at is not None
        unit = 1_000 if prefix == "talk:" else 1
        assert turns[0].at.timestamp() == pytest.approx(1_784_025_000 + 200 / unit)
        assert listing.pulse(server, names[prefix], opened) is not None
        assert opened.size == 700
    assert [t.content for t in listing.open_session(server, names["wrapped:"], "a").session.turns] == [
        "inside"
    ]
    placed = listing.open_session(server, names["place:"], "a").session.turns
    assert [(t.content, t.at) for t in placed] == [("hi", None), ("ho", None)]
