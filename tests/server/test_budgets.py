"""Budgets hold in every command that reads much, counted by the server; the jobs of pages go the same way."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster import guard
from memdb.cluster.budget import PRODUCTION
from memdb.cluster.client import Client, connect, open_for_work
from memdb.cluster.find import find_target
from memdb.cluster.target import Budget, Target
from memdb.errors import BudgetSpent, EngineError, ReadOnlyTarget
from memdb.settings import Settings
from memdb.tuning import vectors

DOCUMENTS, DIM, BOUND = 3_000, 8, 400
ON = ("--index", "docs")
COMMANDS = {
    "recall": ("recall", *ON, "--queries", "20", "--clients", "0"),
    "map": ("map", *ON),
    "exact": ("search", *ON, "--key", "d:1", "--exact"),
    "sessions": ("sessions", "--user", "nobody", "--limit", "5000"),
    "formats": ("sessions", "formats"),
    "calibrate": ("calibrate", *ON),
    "memory": ("memory", "--exact"),
}
# A call of these looks at one key each; of an aggregation, the rows of a batch.
ONE_KEY = ("hget", "hmget", "hgetall", "hstrlen", "type", "memory|usage", "object|encoding", "pttl", "exists")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_engine.start(tmp_path_factory.mktemp("budgets"), log=False) as running:
        running.wait_ready()
        rows = np.random.default_rng(5).normal(size=(DOCUMENTS, DIM)).astype(np.float32)
        with connect(running.target) as admin:
            schema = (
                "SCHEMA",
                "v",
                "VECTOR",
                "HNSW",
                6,
                "TYPE",
                "FLOAT32",
                "DIM",
                DIM,
                "DISTANCE_METRIC",
                "L2",
            )
            admin.execute("FT.CREATE", "docs", "ON", "HASH", "PREFIX", 1, "d:", *schema)
            admin.pipeline([("HSET", f"d:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
            admin.pipeline(
                [("HSET", f"session:{i}", "user_id", "u", "history", "[]") for i in range(DOCUMENTS)]
            )
            # Several prefixes: keys of an index are then sampled, and counted where that is asked for.
            admin.execute(
                "FT.CREATE", "two", "ON", "HASH", "PREFIX", 2, "d:1", "session:", "SCHEMA", "u", "TAG"
            )
        yield running.target


def calls(client: Client) -> dict[str, int]:
    """Calls of each command since the start, as the server counts them."""
    told = client.info("commandstats").get("commandstats", {})
    return {
        name.removeprefix("cmdstat_").lower(): int(facts.split(",")[0].removeprefix("calls="))
        for name, facts in told.items()
    }


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("way", ["variables", "settings file"])
def test_a_command_keeps_the_bound_of_keys(
    filled: Target,
    name: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    if way == "variables":
        monkeypatch.setenv("MEMDB_BUDGET_KEYS", str(BOUND))
        url = filled.url
    else:
        monkeypatch.setenv("C3A_TEST_PASSWORD", filled.password)
        (tmp_path / "targets.toml").write_text(
            f'[targets.here]\nurl = "{filled.address}"\npassword_env = "C3A_TEST_PASSWORD"\n'
            f"budget = {{ keys_scanned = {BOUND} }}\n"
        )
        url = "here"
    words = [*COMMANDS[name], "--json", "--url", url]
    words += ["--out", str(tmp_path / "m.csv")] if name == "map" else []
    vectors.forget()
    with connect(filled) as admin:
        before = calls(admin)
        main(words)
        after = calls(admin)
    out, err = capsys.readouterr()
    assert f"budget of {BOUND} keys is spent" in (out + err).replace(",", ""), (out, err)
    sent = {one: after.get(one, 0) - before.get(one, 0) for one in after}
    assert max((sent.get(one, 0) for one in ONE_KEY), default=0) <= BOUND
    # The first batch of rows passes the bound; no other is read: the cursor is tried, and ended.
    assert sent.get("ft.cursor", 0) <= 2
    assert sent.get("ft.aggregate", 0) <= 2
    monkeypatch.delenv("MEMDB_BUDGET_KEYS", raising=False)
    assert json.loads(out)


def test_which_budget_holds(filled: Target, tmp_path: Path) -> None:
    """The choice for this work, the target's own, production's default; the same function for pages."""

    def bound(target: Target, chosen: Budget | None = None) -> Budget | None:
        with open_for_work(target, chosen) as client:
            return client.meter.budget if client.meter else None

    own = Budget(keys_scanned=7)
    production = replace(filled, kind="production")
    assert bound(filled) is None
    assert bound(replace(filled, budget=own)) == own
    assert bound(production) == PRODUCTION
    assert bound(replace(production, budget=own)) == own
    assert bound(replace(production, budget=own), Budget(queries_per_s=1)) == Budget(queries_per_s=1)
    env = {"MEMDB_HOME": str(tmp_path), "MEMDB_BUDGET_QUERIES": "5", "MEMDB_BUDGET_SLOW": "3"}
    assert bound(find_target(Settings.from_env(env), filled.url)) == Budget(5.0, 0, 3.0)
    assert bound(find_target(Settings.from_env({**env, "MEMDB_URL": filled.url}))) == Budget(5.0, 0, 3.0)


def test_the_nodes_of_a_client_share_its_budget(filled: Target) -> None:
    with open_for_work(replace(filled, budget=Budget(keys_scanned=50))) as client:
        (node,) = client.nodes()
        assert len(client.on(node).pipeline([("HGET", f"d:{i}", "v") for i in range(40)])) == 40
        with pytest.raises(BudgetSpent, match="50 keys"):
            client.execute("SCAN", 0, "COUNT", 20)
        assert client.execute("PING") == b"PONG"  # what reads no keys goes on, e.g. a cursor's end


def test_a_key_counts_once_in_a_batch(filled: Target) -> None:
    with open_for_work(replace(filled, budget=Budget(keys_scanned=100))) as client:
        for number in range(3):
            keys = [f"d:{number}{i}" for i in range(10)]
            client.pipeline([(word, key) for key in keys for word in ("TYPE", "PTTL", "HGETALL")])
        assert client.meter is not None
        assert client.meter.keys == 30


# A call of every command on the allow-list of reads, and the keys or rows that it costs the server. Of those
# at 0 no key is read.
PAGE = 10
_OF_A_KEY = (
    "TYPE|TTL|PTTL|EXPIRETIME|PEXPIRETIME|EXISTS|STRLEN|GET|MGET|GETRANGE 0 1|HGET v|HMGET v|HGETALL|HLEN|HSTRLEN v|"
    "HEXISTS v|HKEYS|HSCAN 0|LLEN|LRANGE 0 1|LINDEX 0|SCARD|SSCAN 0|SISMEMBER x|ZCARD|ZRANGE 0 1|ZSCAN 0|ZSCORE x|"
    "XLEN|XRANGE - +|XREVRANGE + -|JSON.GET|JSON.TYPE|JSON.STRLEN|JSON.OBJKEYS|JSON.ARRLEN"
)
COSTS: dict[str, tuple[tuple[object, ...], int]] = {
    **{
        name: ((name, f"{'d' if name.startswith('H') else 'none'}:§", *rest), 1)
        for name, *rest in map(str.split, _OF_A_KEY.split("|"))
    },
    "MEMORY USAGE": (("MEMORY", "USAGE", "d:§"), 1),
    **{f"OBJECT {sub}": (("OBJECT", sub, "d:§"), 1) for sub in ("ENCODING", "FREQ", "IDLETIME", "REFCOUNT")},
    "RANDOMKEY": (("RANDOMKEY",), 1),
    "SCAN": (("SCAN", 0, "COUNT", PAGE), PAGE),
    "FT.SEARCH": (("FT.SEARCH", "docs", "*", "LIMIT", 0, PAGE), PAGE),
    "FT.SEARCH, names": (("FT.SEARCH", "docs", "*", "NOCONTENT", "LIMIT", 0, PAGE), PAGE),
    "FT.SEARCH, scores": (("FT.SEARCH", "docs", "*", "NOCONTENT", "WITHSCORES", "LIMIT", 0, PAGE), PAGE),
    "FT.AGGREGATE": (("FT.AGGREGATE", "docs", "*", "LOAD", 1, "@__key", "LIMIT", 0, PAGE), PAGE),
    "FT.CURSOR READ": (
        ("FT.AGGREGATE", "docs", "*", "LOAD", 1, "@__key", "WITHCURSOR", "COUNT", PAGE),
        PAGE,
    ),
    "FT.PROFILE": (("FT.PROFILE", "docs", "SEARCH", "QUERY", "*", "LIMIT", 0, PAGE), PAGE),
}
NOT_HERE = {"FT.HYBRID"}  # no engine that runs here has it, so that nothing can be counted at the server

NO_KEYS = {
    *(
        "PING ECHO TIME INFO DBSIZE LASTSAVE ROLE COMMAND CONFIG CLIENT CLUSTER MODULE LATENCY SLOWLOG ACL".split()
    ),
    *("FT._LIST FT.INFO FT.EXPLAIN FT.EXPLAINCLI FT.TAGVALS FT._ALIASLIST FT.CONFIG".split()),
}


@contextmanager
def monitored(target: Target) -> Iterator[list[str]]:
    """What the server gets, line by line, as MONITOR tells it; complete once the block has ended."""
    lines: list[str] = []
    with (
        socket.create_connection((target.host, target.port), timeout=30) as sock,
        sock.makefile("rwb") as file,
    ):

        def ask(*words: str) -> bytes:
            file.write(b"*%d\r\n" % len(words))
            for said in words:
                file.write(b"$%d\r\n%s\r\n" % (len(said), said.encode()))
            file.flush()
            return file.readline()

        assert ask("AUTH", target.password) == b"+OK\r\n"
        assert ask("MONITOR") == b"+OK\r\n"
        yield lines
        with connect(target) as admin:
            admin.execute("ECHO", "the end")
        while (line := file.readline()) and b"the end" not in line:
            lines.append(line.decode("utf-8", "replace"))


def test_every_command_on_the_list_has_a_cost() -> None:
    names = {name.split(",")[0].split()[0] for name in COSTS} | NO_KEYS | NOT_HERE
    assert names == set(guard.READS)


@pytest.mark.parametrize("way", ["execute", "timed", "pipeline", "node", "threads"])
@pytest.mark.parametrize("name", COSTS)
def test_the_server_reads_no_more_than_the_budget(filled: Target, name: str, way: str) -> None:
    bound = 25
    command, costs = COSTS[name]
    numbers = count()

    def another() -> tuple[Any, ...]:
        return tuple(str(part).replace("§", str(next(numbers))) for part in command)

    with (
        monitored(filled) as lines,
        open_for_work(replace(filled, budget=Budget(keys_scanned=bound))) as client,
    ):
        there = client.on(client.nodes()[0]) if way == "node" else client
        rows = 0

        def send() -> None:
            nonlocal rows
            if way == "timed":
                there.timed(*another())
            elif way == "pipeline":
                there.pipeline([another() for _ in range(10)], errors_as_values=True)
            elif name == "FT.CURSOR READ":
                _, cursor = there.execute(*another())
                while cursor:
                    _, cursor = there.execute("FT.CURSOR", "READ", "docs", cursor, "COUNT", PAGE)
            else:
                there.execute(*another())

        def until_spent() -> None:
            for _ in range(100):
                with suppress(EngineError):  # e.g. no such command here, or another type
                    send()
            raise AssertionError("the budget was never spent")

        if way == "threads":
            with ThreadPoolExecutor(8) as pool:
                ended = [pool.submit(until_spent) for _ in range(8)]
                for one in ended:
                    with pytest.raises(BudgetSpent):
                        one.result()
        else:
            with pytest.raises(BudgetSpent):
                until_spent()
    words = {part.lower() for part in name.split(",")[0].split()[:1]} | (
        {"ft.aggregate"} if "CURSOR" in name else set()
    )
    sent = [line for line in lines if line.split("] ")[-1].split()[0].strip('"').lower() in words]
    # MONITOR shows no commands that the server does not have; ten scans at once are too much, and none is sent.
    assert sent or name.startswith("JSON.") or (name, way) == ("SCAN", "pipeline")
    assert len(sent) * costs <= bound + (PAGE if costs == PAGE else 0)


def test_a_command_of_many_keys_costs_each(filled: Target) -> None:
    with open_for_work(replace(filled, budget=Budget(keys_scanned=500))) as client:
        for name in ("MGET", "EXISTS"):
            with pytest.raises(BudgetSpent):
                client.execute(name, *(f"k:{i}" for i in range(501)))
        assert client.meter is not None
        assert client.meter.keys == 0
        client.execute("MGET", *(f"k:{i}" for i in range(500)))
        with pytest.raises(BudgetSpent):
            client.execute("GET", "k:0")


def test_searches_of_one_batch_leave_one_by_one(filled: Target) -> None:
    rate, number = 20.0, 12
    search = ("FT.SEARCH", "docs", "*", "LIMIT", 0, 0)
    with (
        monitored(filled) as lines,
        open_for_work(replace(filled, budget=Budget(queries_per_s=rate))) as client,
    ):
        assert client.pipeline([("PING",), *[search, ("PING",)] * number]).count(b"PONG") == number + 1
    at = [float(line[1:].split()[0]) for line in lines if '"FT.SEARCH"' in line]
    assert len(at) == number
    # A wait may be longer on a busy machine, never shorter; the server's clock is not the client's.
    assert at[-1] - at[0] >= (number - 1) / rate * 0.9
    with (
        pytest.raises(ReadOnlyTarget),
        open_for_work(replace(filled, budget=Budget(queries_per_s=rate), writable=False)) as reader,
    ):
        reader.pipeline([search, ("FLUSHALL",)])
    assert reader.log.entries() == ()
