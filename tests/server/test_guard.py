"""The allow-list against what the engine itself says of its commands, and the client's behaviour."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis.exceptions

from memdb.cluster import guard, replies
from memdb.cluster.client import Client, connect
from memdb.cluster.refusals import explain
from memdb.cluster.target import Target
from memdb.errors import EngineError, LoginFailed, MemDBError, ReadOnlyTarget, Unreachable

# Flagged `write` or with a side effect, and still a read for us: they change no data.
HARMLESS = {"CLIENT", "FT.CURSOR"}


def test_no_read_of_ours_writes_by_the_engines_own_account(client: Client) -> None:
    described = replies.items(client.execute("COMMAND", "INFO", *guard.READS))
    flags = {
        replies.text(entry[0]).upper(): {replies.text(flag) for flag in replies.items(entry[2])}
        for entry in described
        if entry
    }
    assert len(flags) > 50
    writing = {name for name, found in flags.items() if "write" in found} - HARMLESS
    assert writing == set()


def test_a_read_only_client_changes_nothing(server_target: Target, client: Client, prefix: str) -> None:
    client.execute("HSET", prefix + "k", "f", "1")
    with connect(server_target.read_only()) as reader:
        assert reader.execute("HGET", prefix + "k", "f") == b"1"
        for command in (("DEL", prefix + "k"), ("HSET", prefix + "k", "f", "2"), ("FLUSHALL",)):
            with pytest.raises(ReadOnlyTarget):
                reader.execute(*command)
            with pytest.raises(ReadOnlyTarget):
                reader.pipeline([("HGET", prefix + "k", "f"), command])
            with pytest.raises(ReadOnlyTarget):
                reader.transaction([command])
    assert client.execute("HGET", prefix + "k", "f") == b"1"


def test_pipeline_tells_which_failed(client: Client, prefix: str) -> None:
    client.execute("SET", prefix + "s", "x")
    good, bad = client.pipeline([("GET", prefix + "s"), ("HGET", prefix + "s", "f")], errors_as_values=True)
    assert good == b"x"
    assert isinstance(bad, EngineError)
    with pytest.raises(EngineError, match="another type"):
        client.pipeline([("HGET", prefix + "s", "f")])
    assert client.pipeline([]) == []


def test_keys_that_are_not_utf8_lead_back_to_themselves(client: Client, prefix: str) -> None:
    raw = prefix.encode() + b"\xff\xfe"
    client.execute("SET", raw, "1")
    (found,) = (k for k in client.execute("SCAN", 0, "MATCH", prefix + "*", "COUNT", 100_000)[1])
    assert client.execute("GET", replies.key(found)) == b"1"


def test_nobody_there_and_wrong_password(server_target: Target) -> None:
    with connect(Target.parse("redis://127.0.0.1:1")) as nobody, pytest.raises(Unreachable) as caught:
        nobody.execute("PING")
    assert caught.value.hint
    for password in ("", "wrong"):
        stranger = connect(replace(server_target, password=password))
        with stranger, pytest.raises(LoginFailed) as refused:
            stranger.execute("PING")
        assert server_target.password not in refused.value.full()


def test_every_error_of_redis_py_becomes_one_of_ours() -> None:
    target = Target.parse("redis://h")
    classes = [
        kind
        for kind in vars(redis.exceptions).values()
        if isinstance(kind, type) and issubclass(kind, redis.exceptions.RedisError)
    ]
    assert len(classes) > 20
    for kind in classes:
        assert isinstance(explain(kind("7000 127.0.0.1:7000"), target, ("GET", "k")), MemDBError)
