"""Users who may do less: what works without a command works, and what is not told is said. Real ACLs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import redis

from memdb.cli import main
from memdb.cluster import doctor
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.overview import overview
from memdb.cluster.target import Target
from memdb.errors import NotAllowed
from memdb.sessions import listing
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.tuning import vectors
from memdb.vectors.exact import nearest
from memdb.vectors.index import index_info, index_names
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.read import blocks
from memdb.vectors.search import knn
from tests.standins import memorydb

DOCUMENTS, SESSIONS, DIM = 1_300, 7, 8  # more documents than one batch of a cursor holds
SEARCH = ("+ft.search", "+ft.info", "+ft._list", "+ft.aggregate", "+ft.cursor")  # 2.10 has no @search
RIGHTS = {
    "info": ("+@all", "-info"),
    "command": ("+@all", "-command"),
    "dangerous": ("+@all", "-@dangerous"),
    "admin": ("+@all", "-@admin"),
    "cluster": ("+@all", "-cluster"),
    "read": ("-@all", "+@read", *SEARCH),
    "little": ("+@all", "-info", "-command", "-ping", "-module", "-client", "-config", "-acl"),
    "list": ("+@all", "-ft._list"),
    "cursor": ("+@all", "-ft.cursor"),
    "aggregate": ("+@all", "-ft.aggregate"),
}
UNTOLD = {
    "info": ("INFO",),
    "dangerous": ("INFO",),
    "command": ("COMMAND",),
    "read": ("INFO", "COMMAND"),
    "little": ("INFO", "COMMAND"),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, np.ndarray]]:
    """An engine with an index, sessions, and a user for each set of rights."""
    with local_engine.start(tmp_path_factory.mktemp("acl"), log=False) as running:
        running.wait_ready()
        rows = np.random.default_rng(3).normal(size=(DOCUMENTS, DIM)).astype(np.float32)
        with connect(running.target) as admin:
            schema = ("SCHEMA", "t", "TAG", "v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", DIM)
            admin.execute(
                *("FT.CREATE", "docs", "ON", "HASH", "PREFIX", 1, "d:", *schema, "DISTANCE_METRIC", "L2")
            )
            admin.pipeline(
                [("HSET", f"d:{i}", "t", "ab"[i % 2], "v", row.tobytes()) for i, row in enumerate(rows)]
                + [("HSET", f"session:{i}", "user_id", "u", "history", "[]") for i in range(SESSIONS)]
            )
        made_users(running.target)
        yield running, rows


def made_users(target: Target) -> None:
    with redis.Redis(port=target.port, password=target.password, protocol=2) as admin:
        for name, rights in RIGHTS.items():
            admin.execute_command("ACL", "SETUSER", name, "reset", "on", ">of-the-user", "~*", *rights)


def as_user(target: Target, name: str) -> Target:
    return replace(target, username=name, password="of-the-user", writable=False, label="")


@pytest.fixture(params=("engine", "memorydb"))
def front(
    request: pytest.FixtureRequest, filled: tuple[Engine, np.ndarray]
) -> Iterator[Callable[[str], Target]]:
    """The engine itself, or behind the stand-in for MemoryDB, as a user of some rights."""
    target = filled[0].target
    with ExitStack() as stack:
        if request.param == "engine":
            yield lambda name: as_user(target, name)
        else:
            yield lambda name: as_user(stack.enter_context(memorydb(target)).target, name)


def found_by(client: Client, query: np.ndarray, k: int = 5) -> tuple[str, ...]:
    info = index_info(client, "docs")
    return knn(client, KnnRequest("docs", vector_param(query), k=k), info).keys


@pytest.mark.parametrize("name", RIGHTS)
def test_search_and_sessions_work_with_few_rights(
    front: Callable[[str], Target], filled: tuple[Engine, np.ndarray], name: str
) -> None:
    rows = filled[1]
    query = np.full(DIM, 0.25, np.float32)
    away = ((rows.astype(np.float64) - query) ** 2).sum(1)
    right = tuple(f"d:{i}" for i in np.argsort(away)[:5])
    vectors.forget()
    with connect(front(name)) as client:
        assert client.server.dialect.searches
        assert client.server.untold == UNTOLD.get(name, ())
        assert client.server.version.startswith("8.2")  # HELLO tells it where INFO may not
        assert found_by(client, query) == right
        info = index_info(client, "docs")
        read = [key for block in blocks(client, info) for key in block.keys]
        assert sorted(read) == sorted(f"d:{i}" for i in range(DOCUMENTS))
        half = [key for block in blocks(client, info, condition="@t:{a}") for key in block.keys]
        assert sorted(half) == sorted(f"d:{i}" for i in range(0, DOCUMENTS, 2))
        assert nearest(blocks(client, info), query[None], 5, "L2").keys[0] == right
        assert len(listing.page(client, ARTICLE, SessionFilter(), size=20).sessions) == SESSIONS
        facts = overview(client)
        assert facts.keys == DOCUMENTS + SESSIONS
        assert (facts.used_bytes is None) == ("INFO" in UNTOLD.get(name, ()))
        if name == "list":
            with pytest.raises(NotAllowed, match=r"FT._LIST"):
                index_names(client)
        else:
            assert index_names(client) == ("docs",)


@pytest.mark.parametrize("name", RIGHTS)
def test_the_doctor_tells_what_is_not_told(front: Callable[[str], Target], name: str) -> None:
    steps = {step.name: step for step in doctor.diagnose(front(name)).steps}
    assert {step.outcome for step in steps.values()} <= {"ok", "note", "skipped"}
    assert steps["Login"].outcome == "ok"
    assert "Redis 8.2" in steps["Cluster mode"].saw
    assert ("INFO is not allowed" in steps["Cluster mode"].saw) == ("INFO" in UNTOLD.get(name, ()))
    assert steps["Search"].outcome == ("note" if name == "list" else "ok")
    if name == "list":
        assert "may search, but not list indexes" in steps["Search"].saw


def test_a_user_who_may_not_search_is_told_so(filled: tuple[Engine, np.ndarray]) -> None:
    target = filled[0].target
    with redis.Redis(port=target.port, password=target.password, protocol=2) as admin:
        for rights in (
            ("-ft.search", "-ft._list"),
            ("-ft.search", "-command"),
            ("-ft._list", "-ft.search", "-command"),
        ):
            admin.execute_command(
                "ACL", "SETUSER", "none", "reset", "on", ">of-the-user", "~*", "+@all", *rights
            )
            (step,) = [s for s in doctor.diagnose(as_user(target, "none")).steps if s.name == "Search"]
            assert step.outcome == "failed"
            assert "+@search" in step.todo


@pytest.mark.parametrize("name", ["read", "little", "aggregate"])
def test_commands_work_with_few_rights(
    filled: tuple[Engine, np.ndarray],
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    url = ["--json", "--url", as_user(filled[0].target, name).url]
    vectors.forget()

    def said(*words: str) -> dict[str, object]:
        status = main([*words, *url])
        out, err = capsys.readouterr()
        assert status == 0, err
        found: dict[str, object] = json.loads(out)
        return found

    on = ("--index", "docs")
    assert said("search", *on, "--key", "d:1", "--k", "3", "--exact")["hits"]
    assert said("recall", *on, "--queries", "20", "--clients", "0", "--target", "0.5")["recommended"]
    assert len(said("sessions")["sessions"]) == SESSIONS  # type: ignore[arg-type]
    assert said("sessions", "show", "1")["key"] == "session:1"
    assert said("doctor")["ok"] is True
    assert said("memory")["nodes"]


def test_a_health_check_that_is_refused_is_a_sign_of_life(filled: tuple[Engine, np.ndarray]) -> None:
    with connect(as_user(filled[0].target, "little")) as client:
        assert client.execute("EXISTS", "d:1") == 1
        pool = client.connection.routes.seed.connection_pool
        connection = pool.get_connection()
        connection.next_health_check = 0.0  # as after half a minute without a command
        pool.release(connection)
        assert client.execute("EXISTS", "d:1") == 1


def test_slots_where_the_nodes_may_not_be_asked(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, cluster=True, shards=3, log=False) as running:
        running.wait_ready()
        for target in running.shard_targets:
            made_users(target)
            with redis.Redis(port=target.port, password=target.password, protocol=2) as admin:
                rights = ("+@all", "-cluster", "+cluster|slots", "-info")
                admin.execute_command("ACL", "SETUSER", "slots", "reset", "on", ">of-the-user", "~*", *rights)
        with connect(running.target) as admin_client:
            for i in range(60):
                admin_client.execute("HSET", f"session:{i}", "user_id", "u", "history", "[]")
        for user in ("", "slots"):
            target = as_user(running.target, user) if user else running.target
            with connect(target) as client:  # nothing was asked before: the first command covers all shards
                assert client.execute("DBSIZE") == 60
            with connect(target) as client:
                assert len(listing.page(client, ARTICLE, SessionFilter(), size=100).sessions) == 60
                assert len([n for n in client.nodes() if n.role == "primary"]) == client.server.shards == 3
        with connect(as_user(running.target, "cluster")) as client:
            for command in (("DBSIZE",), ("SCAN", 0)):  # of one shard, it would be told as all
                with pytest.raises(NotAllowed, match="several shards") as caught:
                    client.execute(*command)
                assert "+cluster|slots" in caught.value.hint
