"""What a trimmed history and a shorter time to live would free, held against MEMORY USAGE before and after."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.sessions import known, listing
from memdb.sessions.mapping import Format
from memdb.sessions.survey import survey
from memdb.sessions.usage import KEPT, trimmed_bytes

WAYS: dict[str, Format] = {
    "hash": replace(known.ARTICLE, prefix="s:"),
    "list": replace(known.MESSAGE_LIST, prefix="s:"),
    "text": replace(known.BARE_TEXT, prefix="s:"),
    "json": replace(known.DOCUMENT, prefix="s:"),
    "stream": replace(known.STREAM, prefix="s:"),
    "zset": replace(known.SORTED_SET, prefix="s:"),
    "hash-fields": replace(known.HASH_FIELDS, prefix="s:"),
    "hash-message": replace(known.REDISVL, prefix="s:"),
}


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("memory"), log=False, json=True) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    with connect(own_engine.target) as client:
        yield client
        client.execute("DEL", *client.execute("SCAN", 0, "COUNT", 10_000)[1])


def put(client: Client, way: str, turns: list[dict[str, str]]) -> int:
    """Write one session anew; the bytes that MEMORY USAGE tells of its keys, all entries looked at."""
    with redis.Redis.from_url(client.target.url, protocol=2) as server:
        server.flushdb()
        texts = [json.dumps(turn) for turn in turns]
        told = {"user_id": "ann", "context": "c", "created_at": "2026-07-14T10:30:00Z", "note": "n" * 3_000}
        if way == "hash":
            server.hset("s:1", mapping={**told, "history": json.dumps(turns)})
        elif way == "list":
            server.rpush("s:1", *texts)
        elif way == "text":
            server.set("s:1", json.dumps(turns))
        elif way == "json":
            server.execute_command("JSON.SET", "s:1", "$", json.dumps({"messages": turns}))
        elif way == "zset":
            server.zadd("s:1", {text: 1_784_025_000 + i for i, text in enumerate(texts)})
        elif way == "hash-fields":
            server.hset("s:1", mapping={f"{i:04d}": text for i, text in enumerate(texts)})
        for i, turn in enumerate(turns):
            if way == "stream":
                server.xadd("s:1", dict(turn), id=f"{1_784_025_000_000 + i}-0")
            elif way == "hash-message":
                server.hset(
                    f"s:1:{i:04d}", mapping={**turn, "session_id": "1", "timestamp": 1_784_025_000 + i}
                )
        sizes = [server.memory_usage(key, samples=0) for key in server.scan_iter(count=10_000)]
        return sum(size or 0 for size in sizes)


@pytest.mark.parametrize("number", [60, 700])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_trimmed_history_frees_about_what_was_said(server: Client, way: str, number: int) -> None:
    draw = random.Random(number)
    turns = [
        {"role": ("user", "assistant")[i % 2], "content": f"{i} " + "x" * draw.randrange(20, 900)}
        for i in range(number)
    ]
    after = put(server, way, turns[-KEPT:])
    before = put(server, way, turns)
    session = listing.open_session(server, WAYS[way], "1").session
    assert session.total == number
    estimated = trimmed_bytes(session)
    assert estimated == pytest.approx(before - after, rel=0.15)


def test_nothing_is_freed_of_a_short_history(server: Client) -> None:
    put(server, "list", [{"role": "user", "content": "hi"}] * KEPT)
    session = listing.open_session(server, WAYS["list"], "1").session
    assert trimmed_bytes(session) == 0
    assert trimmed_bytes(replace(session, size_bytes=None)) is None


@pytest.mark.parametrize("way", ["hash", "list", "json"])
def test_a_shorter_time_to_live_frees_what_memory_usage_tells_of_those_that_live_longer(
    server: Client, way: str
) -> None:
    with redis.Redis.from_url(server.target.url, protocol=2) as plain:
        for i in range(30):
            turn = {"role": "user", "content": "x" * (i * 40 + 1)}
            if way == "hash":
                plain.hset(f"s:{i}", mapping={"user_id": "ann", "history": json.dumps([turn])})
            elif way == "list":
                plain.rpush(f"s:{i}", json.dumps(turn))
            else:
                plain.execute_command("JSON.SET", f"s:{i}", "$", json.dumps({"messages": [turn]}))
            if i % 3:
                plain.expire(f"s:{i}", 600 if i % 3 == 1 else 9_000)
        told = survey(server, WAYS[way]).beyond(3_600)
        longer = [f"s:{i}" for i in range(30) if i % 3 != 1]
        before = sum(plain.memory_usage(key, samples=0) or 0 for key in plain.scan_iter(count=1_000))
        plain.delete(*longer)  # what a shorter time to live comes to
        after = sum(plain.memory_usage(key, samples=0) or 0 for key in plain.scan_iter(count=1_000))
        assert told == before - after
