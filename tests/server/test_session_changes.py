"""Sessions of any format given another time to live, deleted and exported, one by one and many at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.errors import BadInput
from memdb.sessions import bulk, known, listing, store
from memdb.sessions.bulk import Action
from memdb.sessions.filters import SessionFilter
from memdb.sessions.mapping import TYPES, Format
from tests.standins import memorydb, valkey_search

EVERY = SessionFilter()


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("changes"), log=False, json=True) as running:
        running.wait_ready()
        yield running


def written(client: Client, *command: object) -> None:
    """Send what the client of the product sends nowhere."""
    with redis.Redis.from_url(client.target.url, protocol=2) as plain:
        plain.execute_command(*command)


@pytest.fixture(scope="module", params=["local", "valkey-search", "MemoryDB"])
def target(own_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The local engine, by itself and as the others speak."""
    if request.param == "local":
        yield own_engine.target
        return
    with (memorydb if request.param == "MemoryDB" else valkey_search)(own_engine.target) as front:
        yield replace(front.target, writable=True)


@pytest.fixture
def server(target: Target) -> Iterator[Client]:
    with connect(target) as client:
        yield client
        keys = client.execute("SCAN", 0, "COUNT", 10_000)[1]
        if keys:
            client.execute("DEL", *keys)


def message(text: str, **more: object) -> str:
    return json.dumps({"role": "user", "content": text, **more})


def put(server: Client, name: str) -> Format:
    """Three sessions, "a" and "b" with the word tea, "c" without; and beside them what is no session."""
    for id_, text in (("a", "green tea"), ("b", "tea again"), ("c", "coffee")):
        if name == "list":
            server.execute("RPUSH", f"chat:{id_}", message(text), message("more"))
            server.execute("RPUSH", "chat:queue", json.dumps({"type": "email", "message": text}))
        elif name == "stream":
            written(server, "XADD", f"chat:{id_}", "*", "role", "user", "content", text)
            written(server, "XADD", "chat:queue", "*", "job", text)
        elif name == "sorted-set":
            written(server, "ZADD", f"chat:{id_}", 1, message(text))
            written(server, "ZADD", "chat:board", 1, text)
        elif name == "text":
            server.execute("SET", f"chat:{id_}", json.dumps({"messages": [json.loads(message(text))]}))
            server.execute("SET", "chat:config", json.dumps({"messages": {"hello": text}}))
        elif name == "json":
            server.execute(
                "JSON.SET", f"chat:{id_}", "$", json.dumps({"messages": [json.loads(message(text))]})
            )
            server.execute("JSON.SET", "chat:config", "$", json.dumps({"theme": text}))
        else:
            for number in range(3):
                fields = {"role": "user", "content": text if number == 2 else "hello", "session_tag": id_}
                told = {**fields, "timestamp": str(1_784_025_000 + number)}
                pairs = [part for pair in told.items() for part in pair]
                server.execute("HSET", f"chat:{id_}:{number}", *pairs)
            server.execute("HSET", "chat:other", "colour", "red")
    return replace(known.named(name), prefix="chat:")


FORMATS = ("list", "stream", "sorted-set", "text", "json", "redisvl")


@pytest.mark.parametrize("name", FORMATS)
def test_many_of_any_format_are_changed_and_what_is_no_session_is_left_alone(
    server: Client, name: str
) -> None:
    format_ = put(server, name)
    strangers = {b"chat:queue", b"chat:board", b"chat:config", b"chat:other"}
    before = set(server.execute("SCAN", 0, "COUNT", 10_000)[1])
    each = 3 if name == "redisvl" else 1
    everything = bulk.plan(server, EVERY, Action("persist"), format_)
    assert (len(everything.sessions), len(everything.keys)) == (3, 3 * each)
    assert everything.undecided == 1  # the stranger under the same prefix
    planned = bulk.plan(server, SessionFilter(words=("tea",)), Action("expire", 500), format_)
    assert planned.phrase == "expire 2"
    assert bulk.apply(server, planned).changed == 2
    assert sum(server.execute("TTL", key) > 0 for key in before) == 2 * each
    assert all(490 < server.execute("TTL", key) <= 500 for key in planned.keys)
    gone = bulk.plan(server, SessionFilter(words=("coffee",)), Action("delete"), format_)
    assert bulk.apply(server, gone).changed == 1
    left = set(server.execute("SCAN", 0, "COUNT", 10_000)[1])
    assert len(before - left) == each
    assert left & strangers == before & strangers
    assert bulk.apply(server, gone).skipped == 1  # it went


@pytest.mark.parametrize("name", FORMATS)
def test_many_of_any_format_are_exported_whole(server: Client, name: str) -> None:
    format_ = put(server, name)
    planned = bulk.plan(server, SessionFilter(words=("tea",)), Action("export"), format_)
    lines = [json.loads(line) for line in bulk.exported(server, planned)]
    said = sorted(turn["content"] for line in lines for turn in line["history"])
    hello = ["hello"] * 4 if name == "redisvl" else []
    more = ["more"] * 2 if name == "list" else []
    assert said == sorted(["green tea", "tea again", *hello, *more])
    assert all(line["fields"] for line in lines)
    file = bulk.export_file(server, planned, 2**20)
    assert ([json.loads(line) for line in file.lines.splitlines()], file.whole) == (lines, True)
    one = bulk.export_file(server, planned, len(file.lines) - 1)
    assert (one.sessions, one.whole, one.lines.count(b"\n")) == (1, False, 1)
    with pytest.raises(BadInput, match="changes nothing"):
        bulk.apply(server, planned)


def test_an_export_has_all_fields_of_a_session_of_many_keys_and_hides_what_is_personal(
    server: Client,
) -> None:
    for number in range(120):
        told = ("role", "user", "content", f"ann@example.com {number}", "session_tag", "s")
        server.execute("HSET", f"chat:s:{number}", *told, "timestamp", 1_784_025_000 + number)
    format_ = replace(known.REDISVL, prefix="chat:")
    planned = bulk.plan(server, EVERY, Action("export"), format_)
    (whole,) = (json.loads(line) for line in bulk.exported(server, planned))
    assert [turn["content"] for turn in whole["history"]] == [f"ann@example.com {n}" for n in range(120)]
    opened = listing.open_session(server, format_, "s")
    assert len(opened.session.fields) == 120 * 4
    (hidden,) = bulk.exported(server, planned, hide=True)
    assert "ann@" not in hidden
    assert json.loads(hidden)["fields"] == {}


@pytest.mark.parametrize("name", FORMATS)
def test_an_open_session_of_any_format_is_changed_with_all_its_keys(server: Client, name: str) -> None:
    format_ = put(server, name)
    opened = listing.open_session(server, format_, "a")
    kind = TYPES[format_.stored]
    with pytest.raises(BadInput, match="never expires"):
        store.extend_ttl(server, opened.written, 60, kind)
    for key in opened.written:
        server.execute("EXPIRE", key, 100)
    change = store.extend_ttl(server, opened.written, 400, kind)
    assert change.ttl_after_s == pytest.approx(500, abs=5)
    assert all(490 < server.execute("TTL", key) <= 500 for key in opened.written)
    store.persist(server, opened.written, kind)
    assert all(server.execute("TTL", key) == -1 for key in opened.written)
    store.delete(server, opened.written, kind)
    assert server.execute("EXISTS", *opened.written) == 0
    assert len(listing.page(server, format_).sessions) >= 2


def test_all_states_of_a_thread_are_deleted_with_it(server: Client) -> None:
    for number in range(3):
        state = {
            "thread_id": "t",
            "checkpoint_id": f"1f{number}",
            "checkpoint": {
                "ts": f"2026-07-14T10:3{number}:00Z",
                "channel_values": {"messages": [json.loads(message("hi"))]},
            },
        }
        server.execute("JSON.SET", f"checkpoint:t:__empty__:1f{number}", "$", json.dumps(state))
    opened = listing.open_session(server, known.LANGGRAPH, "t")
    assert len(opened.keys) == 1  # the newest is shown
    assert len(opened.written) == 3
    planned = bulk.plan(server, EVERY, Action("delete"), known.LANGGRAPH)
    assert planned.phrase == "delete 1"
    bulk.apply(server, planned)
    assert server.execute("DBSIZE") == 0


def test_a_hash_of_all_sessions_of_a_user_is_exported_and_not_changed(server: Client) -> None:
    event = {"author": "user", "content": {"role": "user", "parts": [{"text": "Hi"}]}}
    held = {"id": "s1", "events": [event]}
    server.execute("HSET", "session:app:ann", "s1", json.dumps(held), "s2", json.dumps(held))
    with pytest.raises(BadInput, match="read here, not changed"):
        bulk.plan(server, EVERY, Action("delete"), known.ADK_HASH)
    planned = bulk.plan(server, EVERY, Action("export"), known.ADK_HASH)
    assert len(list(bulk.exported(server, planned))) == 1


def test_sessions_of_several_keys_are_not_changed_where_some_keys_were_not_looked_at(
    server: Client,
) -> None:
    server.pipeline([("SET", f"other:{n}", "x") for n in range(5_000)])
    format_ = put(server, "redisvl")
    with pytest.raises(BadInput, match="not all of 5,"):
        bulk.plan(server, EVERY, Action("delete"), format_, budget_keys=1_000)
