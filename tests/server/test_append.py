"""Turns appended to a session: eight writers at once lose nothing, what is damaged stays as it is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadInput, NotFound, ReadOnlyTarget
from memdb.sessions import append, store
from memdb.sessions.turns import said

pytestmark = pytest.mark.any_engine

WRITERS, EACH = 8, 25


def test_eight_writers_lose_no_turn(client: Client, prefix: str, server_target: Target) -> None:
    key = append.create(client, f"{prefix}busy", "user001", ttl_s=600)

    def write(writer: int) -> int:
        with connect(server_target) as own:
            return sum(
                append.append(
                    own, key, [said("user", f"{writer}.{i}"), said("assistant", f"to {writer}.{i}")]
                ).attempts
                for i in range(EACH)
            )

    with ThreadPoolExecutor(WRITERS) as pool:
        attempts = sum(pool.map(write, range(WRITERS)))
    turns = store.read(client, key).turns
    assert len(turns) == 2 * WRITERS * EACH
    asked = [turn.content for turn in turns if turn.role == "user"]
    for writer in range(WRITERS):  # each in its own order, each with its answer behind it
        assert [t for t in asked if t.startswith(f"{writer}.")] == [f"{writer}.{i}" for i in range(EACH)]
    assert all(b.content == f"to {a.content}" for a, b in zip(turns[::2], turns[1::2], strict=True))
    assert attempts > WRITERS * EACH, "nobody came between: the test showed nothing"


def test_the_ttl_is_renewed_and_forever_stays_forever(client: Client, prefix: str) -> None:
    key = append.create(client, f"{prefix}a", "u", ttl_s=5)
    done = append.append(client, key, [said("user", "x")], ttl_s=900)
    assert (done.turns, done.ttl_s, done.attempts) == (1, 900, 1)
    assert 890 < client.execute("TTL", key) <= 900
    append.append(client, key, [said("user", "y")], ttl_s=None)
    assert 880 < client.execute("TTL", key) <= 900
    client.execute("PEXPIRE", key, 57_600_000)
    assert 57_590 < (append.append(client, key, [said("user", "w")]).ttl_s or 0) <= 57_600
    assert 57_590 < client.execute("TTL", key) <= 57_600, "renewing shortened a life"
    client.execute("PERSIST", key)
    assert append.append(client, key, [said("user", "z")]).ttl_s is None
    assert client.execute("TTL", key) == -1


def test_what_else_the_history_holds_is_kept(client: Client, prefix: str) -> None:
    key = f"session:{prefix}odd"
    odd = [{"role": "tool", "content": "x", "id": 7}, "a bare text", None]
    client.execute("HSET", key, "history", json.dumps(odd), "user_id", "u", "mine", b"\xff\x00")
    append.append(client, key, [said("user", "ü«»\ud83d")])
    stored = json.loads(client.execute("HGET", key, "history"))
    assert stored == [*odd, {"role": "user", "content": "ü«»\ud83d"}]
    assert client.execute("HGET", key, "mine") == b"\xff\x00"


@pytest.mark.parametrize("history", ["{", "{}", "7", '"text"', "[" * 100_000])
def test_a_history_that_is_no_list_is_left_alone(client: Client, prefix: str, history: str) -> None:
    key = f"session:{prefix}bad"
    client.execute("HSET", key, "history", history)
    with pytest.raises(BadInput, match="nothing was added"):
        append.append(client, key, [said("user", "x")])
    assert client.execute("HGET", key, "history") == history.encode()


def test_gone_other_types_and_too_much(client: Client, prefix: str, server_target: Target) -> None:
    with pytest.raises(NotFound):
        append.append(client, f"session:{prefix}none", [said("user", "x")])
    client.execute("SET", f"session:{prefix}text", "x")
    with pytest.raises(BadInput, match="holds a string"):
        append.append(client, f"session:{prefix}text", [said("user", "x")])
    key = append.create(client, f"{prefix}b", "u")
    for turns in ([], [said("user", "x" * 1_000_001)]):
        with pytest.raises(BadInput):
            append.append(client, key, turns)
    for ttl in (0, -1, float("nan"), 1e12):
        with pytest.raises(BadInput, match="cannot live"):
            append.append(client, key, [said("user", "x")], ttl_s=ttl)
    with pytest.raises(BadInput, match="already"):
        append.create(client, f"{prefix}b", "u")
    with connect(server_target.read_only()) as reader, pytest.raises(ReadOnlyTarget):
        append.append(reader, key, [said("user", "x")])
    assert store.read(client, key).turns == ()
