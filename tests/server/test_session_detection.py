"""Which formats are told apart on servers of many kinds of keys, and that nothing unread is called no session."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import Any

import msgpack
import numpy as np
import pytest
import redis

from memdb.cluster.client import Client
from memdb.cluster.engine import Engine
from memdb.errors import NotFound
from memdb.sessions import known, listing
from memdb.sessions.detect import GROUPS, Detected, detect, grouped
from memdb.sessions.survey import survey
from tests.server.test_session_frameworks import put

USER = json.dumps({"role": "user", "content": "Hi"})
HUMAN = json.dumps({"type": "human", "data": {"content": "Hi"}})


def raw(engine: Engine) -> Any:
    """For commands that our client does not send."""
    return redis.Redis.from_url(engine.target.url)


def told(detected: Detected) -> dict[tuple[str, str], int]:
    return {(seen.format.name, seen.format.keys): seen.keys for seen in detected.formats}


def ids(client: Client, detected: Detected, name: str) -> set[str]:
    (format_,) = [seen.format for seen in detected.formats if seen.format.name == name]
    return {s.id for s in listing.search(client, format_, limit=1_000).sessions}


def test_ids_without_a_prefix_are_one_format(server: Client) -> None:
    keys = [f"{i:08d}-1111-4222-8333-abcdefabcdef" for i in range(300)]
    server.pipeline([("LPUSH", key, HUMAN) for key in keys])
    server.execute("LPUSH", "celery", json.dumps({"body": "x", "headers": {}}))
    server.pipeline([("LPUSH", f"message_store:{i}", HUMAN) for i in range(7)])
    detected = detect(server)
    assert told(detected)["langchain", "message_store:"] == 7
    # A group of which some are read is counted by its share; the stranger may be among them or not.
    assert 295 <= told(detected)["langchain", "…"] <= 301
    assert detected.unknown == 0
    format_ = next(s.format for s in detected.formats if not s.format.prefix)
    seen = {s.id for s in listing.search(server, format_, limit=1_000).sessions}
    assert seen == set(keys)
    assert listing.open_session(server, format_, keys[7]).session.total == 1
    assert {s.key for s in survey(server, format_).seen} == set(keys)
    assert known.of_token(format_.token) == format_


@pytest.mark.parametrize(
    ("keys", "expected", "names"),
    [
        (["ann:chat", "bob:chat", "eve:chat"], "…:chat", {"ann", "bob", "eve"}),
        (["user:1:chat", "user:2:chat"], "user:…:chat", {"1", "2"}),
        ([f"{n}1f0aa11-1111-4222-8333-abcdefabcde1:messages" for n in "ab"], "…:messages", None),
        (["chat:a:b", "chat:c"], "chat:", {"a:b", "c"}),
        (["15551234567", "15551234568"], "…", {"15551234567", "15551234568"}),
    ],
)
def test_keys_are_grouped_by_what_they_begin_and_end_with(
    server: Client, keys: list[str], expected: str, names: set[str] | None
) -> None:
    server.pipeline([("RPUSH", key, USER) for key in keys])
    if "…:" in expected:  # other things of the same ids
        server.pipeline([("RPUSH", f"{key.rpartition(':')[0]}:profile", "x") for key in keys])
    detected = detect(server)
    ((format_, number),) = [(seen.format, seen.keys) for seen in detected.formats]
    assert (format_.keys, number) == (expected, len(keys))
    seen = {s.id for s in listing.page(server, format_).sessions}
    assert seen == (names or {key.partition(":")[0] for key in keys})
    for id_ in seen:
        assert listing.open_session(server, format_, id_).session.total == 1


def test_a_key_that_ends_as_others_do_without_an_id_is_in_a_group_too() -> None:
    keys = ["user:1:chat", "user:2:chat", "user:chat", "user::chat", "user:3"]
    groups = grouped([(key, "list") for key in keys])
    assert sorted(key for members in groups.values() for key in members) == sorted(keys)


def test_queues_and_records_are_no_conversations(server: Client) -> None:
    jobs = [{"type": "email", "message": "send", "id": 1}, {"from": "a@example.com", "body": "x"}]
    server.pipeline([("RPUSH", "queue:jobs", json.dumps(job)) for job in jobs])
    server.execute("SET", "order:1", json.dumps({"items": [{"name": "x", "type": "book"}], "user": "ann"}))
    server.execute("HSET", "book:1", "author", "Melville", "text", "Call me", "session_id", "x")
    detected = detect(server)
    assert (detected.formats, detected.other, detected.unknown) == ((), 3, 0)


def test_what_was_not_looked_into_is_not_called_no_session(server: Client, own_engine: Engine) -> None:
    server.pipeline(
        [("RPUSH", f"kind{chr(97 + i // 26)}{chr(97 + i % 26)}:{i}", USER) for i in range(GROUPS + 9)]
    )
    raw(own_engine).sadd("a-set", "x")
    detected = detect(server)
    assert sum(seen.keys for seen in detected.formats) == GROUPS
    assert (detected.other, detected.unknown, len(detected.unread)) == (0, 9, 9)
    assert detected.types == (("set", 1),)
    assert "9 were not read" in detected.rest


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["RPUSH", "talk:1", "User: Hi", "AI: Hello\nthere"], "list"),
        (["RPUSH", "talk:1", '["user", "Hi"]', '["ai", "Hello\\nthere"]'], "list"),
        (["SET", "talk:1", '[["User", "Hi"], ["AI", "Hello\\nthere"]]'], "text-list"),
        (
            ["HSET", "talk:1", "m10", '{"role": "ai", "content": "Hello\\nthere"}', "m9", USER],
            "hash-fields",
        ),
    ],
)
def test_plain_ways_to_keep_a_conversation(server: Client, command: list[str], name: str) -> None:
    server.execute(*command)
    server.execute("RPUSH", "notes:1", "Note: call Bob", "TODO: buy tea")
    server.execute("HSET", "user:1", "name", "ann", "note", "AI: maybe")
    ((format_, number),) = [(seen.format, seen.keys) for seen in detect(server).formats]
    assert (format_.name, number) == (name, 1)
    session = listing.open_session(server, format_, "1").session
    assert [(turn.role.lower(), turn.content) for turn in session.turns] == [
        ("user", "Hi"),
        ("ai", "Hello\nthere"),
    ]
    assert session.problems == ()


def test_a_list_with_a_line_that_is_no_json_is_a_conversation(server: Client) -> None:
    server.execute("RPUSH", "chat:1", USER, "plain", json.dumps({"role": "assistant", "content": "two"}))
    server.execute("RPUSH", "chat:2", b"\x80\x04\x95pickle")
    detected = detect(server)
    format_ = detected.formats[0].format
    session = listing.open_session(server, format_, "1").session
    assert [turn.content for turn in session.turns] == ["Hi", "plain", "two"]
    assert session.problems == ("Message 2 is a text, not a message with a role; it is shown as it is.",)
    assert "pickle" in " ".join(listing.open_session(server, format_, "2").session.problems)


def test_values_that_are_not_opened_are_named_and_packed_ones_are_read(server: Client) -> None:
    entries = [{"role": "user", "content": "grün"}, {"role": "assistant", "content": "Hello"}]
    whole = json.dumps(entries).encode()
    server.execute("SET", "pk:1", pickle.dumps(entries))
    server.execute("RPUSH", "pkl:1", *map(pickle.dumps, entries))
    server.execute("SET", "enc:1", b"gAAAAABm" + b"Zm9v" * 30)
    server.execute("SET", "deep:1", "[" * 5_000 + "]" * 5_000)
    server.execute("SET", "large:1", json.dumps([{"role": "user", "content": "x" * 5_000_000}]))
    server.execute("SET", "gz:1", gzip.compress(whole))
    server.execute("RPUSH", "gzl:1", *(gzip.compress(json.dumps(entry).encode()) for entry in entries))
    server.execute("HSET", "gzh:1", "messages", gzip.compress(whole), "user_id", "ann")
    server.execute("RPUSH", "mp:1", *map(msgpack.packb, entries))
    detected = detect(server)
    assert {s.format.prefix for s in detected.formats} == {"gz:", "gzl:", "gzh:", "mp:"}
    assert (detected.other, detected.unknown) == (0, 5)
    assert {kind.split(",")[0]: number for kind, number in detected.closed} == {
        "a pickle of Python": 2,
        "encrypted (Fernet)": 1,
        "JSON nested too deeply": 1,
        "too large to be read": 1,
    }
    for seen in detected.formats:
        session = listing.open_session(server, seen.format, "1").session
        assert [turn.content for turn in session.turns] == ["grün", "Hello"]
        assert len(session.problems) == 1, session.problems  # how it is packed, once for all entries


def test_vectors_beside_messages_are_no_damage(server: Client) -> None:
    vector = np.random.default_rng(7).normal(size=384).astype("<f4").tobytes()
    for i, role in enumerate(("user", "llm")):
        fields = (
            "entry_id",
            f"s1:{i}",
            "role",
            role,
            "content",
            f"text {i}",
            "timestamp",
            f"{1732571234.5 + i}",
        )
        server.execute("HSET", f"hist:s1:{i}", *fields, "session_tag", "s1", "vector_field", vector)
    server.execute("HSET", "hist:s2:0", "role", "user", "content", b"caf\xe9", "session_tag", "s2")
    format_ = detect(server).formats[0].format
    rows = {s.id: s for s in listing.page(server, format_).sessions}
    assert (rows["s1"].turns, rows["s1"].problems) == (2, ())
    assert "'content' is not JSON" not in " ".join(rows["s2"].problems)
    assert "not all UTF-8" in " ".join(rows["s2"].problems)


def test_a_key_that_changes_its_type_or_goes_between_list_and_open(
    server: Client, own_engine: Engine
) -> None:
    put(server, "openai-agents")
    format_ = next(s.format for s in detect(server).formats if s.format.name == "openai-agents")
    assert {s.id for s in listing.page(server, format_).sessions} == {"user-1", "user-2"}
    server.execute("DEL", "agents:session:user-1:messages")
    with pytest.raises(NotFound):
        listing.open_session(server, format_, "user-1")
    server.execute("DEL", "agents:session:user-2:messages")
    raw(own_engine).sadd("agents:session:user-2:messages", "x")
    opened = listing.open_session(server, format_, "user-2").session
    assert (opened.turns, opened.problems) == ((), ("The key holds a set, which no format reads.",))


def test_states_that_are_encrypted_are_named(server: Client) -> None:
    state = {
        "thread_id": "t",
        "checkpoint_id": "c",
        "checkpoint": "AAAA",
        "type": "msgpack+aes",
        "metadata": "AA",
    }
    server.execute("SET", "checkpoint:t:c", json.dumps(state))
    format_ = detect(server).formats[0].format
    assert "msgpack+aes, which is encrypted" in listing.open_session(server, format_, "t").session.problems[0]


def test_channels_of_a_state_stand_beside_its_messages(server: Client) -> None:
    values = {"messages": [json.loads(USER)], "documents": [{"id": 1}], "empty": None}
    state = {"thread_id": "t", "checkpoint_id": "c", "checkpoint": {"channel_values": values}}
    server.execute("JSON.SET", "checkpoint:t:c", "$", json.dumps(state))
    format_ = detect(server).formats[0].format
    session = listing.open_session(server, format_, "t").session
    assert session.total == 1
    assert [(kept.kind, kept.json) for kept in session.state] == [("documents", '[{"id": 1}]')]
