"""Nothing that writes leaves a read-only client; secrets stay where they are; refusals of ACLs are explained."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Budget, Target
from memdb.errors import BudgetSpent, EngineError, LoginFailed, MemDBError, ReadOnlyTarget
from memdb.vectors.index import index_names

pytestmark = pytest.mark.any_engine

# Flagged `write` by the engine, though they change no data: a cursor lives only to be read.
HARMLESS = {"ft.cursor|read", "ft.cursor|del", "ft.cursor"}


@pytest.fixture
def admin(server_target: Target) -> Iterator[redis.Redis]:
    with redis.Redis(port=server_target.port, password=server_target.password, protocol=2) as opened:
        opened.response_callbacks.clear()
        yield opened


def described(admin: redis.Redis) -> dict[str, set[str]]:
    """Every command and subcommand of the server, with its flags."""
    found: dict[str, set[str]] = {}

    def take(entry: list[object]) -> None:
        flags = {replies.text(flag) for flag in replies.items(entry[2])}
        found[replies.text(entry[0]).lower()] = flags
        for below in replies.items(entry[9]) if len(entry) > 9 else []:
            take(below)

    for entry in admin.execute_command("COMMAND"):
        take(entry)
    return found


def called(admin: redis.Redis) -> set[str]:
    stats = replies.info(admin.execute_command("INFO", "commandstats")).get("commandstats", {})
    return {name.removeprefix("cmdstat_") for name in stats}


def test_no_writing_command_leaves_a_read_only_client(server_target: Target, admin: redis.Redis) -> None:
    flags = described(admin)
    assert len(flags) > 300
    writing = {name for name, found in flags.items() if "write" in found} - HARMLESS
    dangerous = {name for name, found in flags.items() if "admin" in found or "dangerous" in found}
    assert len(writing) > 100
    sent = set()
    with connect(server_target.read_only()) as client:
        client.execute("PING")
        admin.execute_command("CONFIG", "RESETSTAT")
        for name in flags:
            words = name.upper().split("|")
            for command in ((*words, "k", "1", "2"), tuple(words), tuple(w.lower().encode() for w in words)):
                for way in (
                    lambda c: client.execute(*c),
                    lambda c: client.pipeline([("PING",), c]),
                    lambda c: client.transaction([c]),
                    lambda c: client.compare_and_set("k", [c], lambda _: [c]),
                ):
                    try:
                        way(command)
                    except ReadOnlyTarget:
                        continue
                    except MemDBError:
                        pass  # it was sent, and the engine did not like its arguments
                    sent.add(name)
    seen = called(admin)
    assert seen & writing == set()
    assert sent & writing == set()
    assert {name.split("|")[0] for name in sent & dangerous} <= {
        "client",
        "cluster",
        "config",
        "latency",
        "module",
        "slowlog",
        "acl",
        "role",
        "lastsave",
        "info",
    }
    assert not any(name.startswith(("eval", "fcall", "script", "function")) for name in seen)
    assert {"get", "hgetall", "ping"} <= seen


def test_what_was_sent_is_logged_without_keys_and_values(client: Client, prefix: str) -> None:
    client.execute("SET", f"{prefix}secret-key", "secret-value")
    client.pipeline(
        [("GET", f"{prefix}secret-key"), ("HGET", f"{prefix}secret-key", "f")], errors_as_values=True
    )
    with suppress(MemDBError):
        client.execute("FT.SEARCH", "no-index", "secret-query")
    client.execute("CONFIG", "GET", "maxmemory")
    shown = [(e.name, e.pattern, e.commands, e.outcome) for e in client.log.entries()]
    assert shown == [
        ("SET", f"{prefix}*", 1, "ok"),
        ("GET", f"{prefix}*", 2, "WrongType"),
        ("FT.SEARCH", "no-index", 1, "UnknownIndex"),
        ("CONFIG GET", "", 1, "ok"),
    ]
    assert "secret" not in repr(client.log.entries())
    assert all(e.took_ms > 0 for e in client.log.entries())
    for _ in range(2_500):
        client.log.add(("PING",), 0.0)
    assert len(client.log.entries()) == 2_000


def test_a_budget_stops_heavy_reads(client: Client, prefix: str) -> None:
    client.pipeline([("SET", f"{prefix}{i}", i) for i in range(60)])
    frugal = client.budgeted(Budget(keys_scanned=50))
    assert len(frugal.pipeline([("GET", f"{prefix}{i}") for i in range(40)])) == 40
    with pytest.raises(BudgetSpent, match="50 keys is spent"):
        frugal.execute("SCAN", 0, "COUNT", 20)
    assert frugal.execute("PING") == b"PONG"
    assert client.execute("GET", f"{prefix}0") == b"0"  # only the work is bounded, not the client
    assert client.budgeted(Budget()) is client


def test_a_server_that_grows_slow_is_left_alone(client: Client, prefix: str) -> None:
    careful = client.budgeted(Budget(slow_factor=4.0))
    careful.execute("GET", prefix)
    meter = careful.meter
    assert meter is not None
    meter._ping = lambda: 400.0  # as a server does that is busy with others
    for _ in range(4):  # a median of five looks decides
        meter._probed -= 1.0
        careful.execute("GET", prefix)
    meter._probed -= 1.0
    with pytest.raises(BudgetSpent, match="times the"):
        careful.execute("GET", prefix)


NO_SEARCH = ("-ft.search", "-ft.aggregate", "-ft.info", "-ft._list", "-ft.create")

# ---- ACL -------------------------------------------------------------------------------------------------


@pytest.fixture
def user(admin: redis.Redis, prefix: str) -> Iterator[str]:
    name = prefix.rstrip(":")
    yield name
    admin.execute_command("ACL", "DELUSER", name)


def test_a_user_without_search_and_one_who_may_not_see_a_prefix(
    client: Client, server_target: Target, admin: redis.Redis, user: str, prefix: str
) -> None:
    vector = ("SCHEMA", "e", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2")
    client.execute("FT.CREATE", f"{prefix}i", "ON", "HASH", "PREFIX", 1, f"{prefix}d:", *vector)
    client.execute("SET", f"{prefix}hidden:1", "x")
    as_user = replace(server_target, username=user, password="of-the-user", writable=False)

    # RediSearch 2.10 has no category @search, as MemoryDB and Redis 8 have: its commands one by one.
    admin.execute_command("ACL", "SETUSER", user, "on", ">of-the-user", "~*", "+@all", *NO_SEARCH)
    with connect(as_user) as limited:
        assert limited.server.dialect.searches  # the server can; the user may not
        with pytest.raises(LoginFailed, match="may not run FT") as caught:
            index_names(limited)
        assert "@search" in caught.value.hint
        with pytest.raises(LoginFailed):
            limited.execute("FT.SEARCH", f"{prefix}i", "*")

    admin.execute_command("ACL", "SETUSER", user, "resetkeys", "~elsewhere:*", "+@all")
    with connect(as_user) as limited, pytest.raises(LoginFailed, match="may not") as hidden:
        limited.execute("GET", f"{prefix}hidden:1")
    assert "prefix" in hidden.value.hint


# ---- secrets ---------------------------------------------------------------------------------------------


def test_the_password_is_in_no_message_log_repr_or_file(
    server_target: Target, home: Path, caplog: pytest.LogCaptureFixture, prefix: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = server_target.password
    said = []
    for target in (
        server_target,
        replace(server_target, password=secret + "x"),
        replace(server_target, port=1),
        replace(server_target, scheme="rediss", timeout_s=0.5),
    ):
        with connect(target) as client:
            said += [repr(target), str(target), target.address, target.name, repr(client)]
            for command in (
                ("PING",),
                ("FLUSHALL",),
                ("GET", prefix),
                ("HGET", prefix),
                ("FT.SEARCH", "x", "("),
            ):
                try:
                    client.execute(*command)
                except MemDBError as exc:
                    said += [exc.full(), repr(exc), "".join(traceback.format_exception(exc)), repr(exc.hint)]
            said += [repr(client.log.entries())]
            with suppress(MemDBError):
                said += [repr(client.server), repr(client.nodes())]
    assert secret not in "\n".join(said) + caplog.text
    kept = [p for p in home.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert kept == []


def test_wrong_types_stay_explained(client: Client, prefix: str) -> None:
    client.execute("SET", f"{prefix}s", "x")
    with pytest.raises(EngineError, match="another type"):
        client.execute("HGETALL", f"{prefix}s")
