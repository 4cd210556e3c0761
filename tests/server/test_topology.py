"""One shard and several, MOVED and ASK, replicas, a primary that dies: on real clusters of the local engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from memdb.cluster import engine as local_engine
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.topology import slot
from memdb.errors import Busy, EngineError, MemDBError, ReadOnlyTarget, UnsupportedFeature
from memdb.sessions import formats, listing, store
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.vectors.index import index_names
from tests.waiting import until


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Three shards, the first with a replica."""
    folder = tmp_path_factory.mktemp("shards")
    with local_engine.start(folder, cluster=True, shards=3, replicas=1, log=False) as running:
        running.wait_ready()
        with connect(running.target) as asking:
            until(lambda: any(n.role == "replica" for n in asking.nodes()), "the replica is known to all")
        yield running


@pytest.fixture
def client(shards: Engine) -> Iterator[Client]:
    with connect(shards.target) as opened:
        yield opened


def admin(port: int, password: str) -> redis.Redis:
    return redis.Redis(port=port, password=password, protocol=2)


def test_nodes_are_found_and_asked_one_by_one(client: Client, shards: Engine) -> None:
    nodes = client.nodes()
    assert [n.role for n in nodes] == ["primary", "replica", "primary", "primary"]
    assert [n.here for n in nodes] == [True, False, False, False]
    assert sum(last - first + 1 for n in nodes for first, last in n.slots) == 16_384
    assert len({client.on(n).info("server")["server"]["run_id"] for n in nodes}) == 4
    assert client.on(nodes[1]).connection is client.on(nodes[1]).connection
    with pytest.raises(ReadOnlyTarget):
        client.on(nodes[0]).execute("SET", "k", 1)


def test_keys_of_all_shards_are_read_written_counted_and_listed(client: Client) -> None:
    assert client.server.shards == 3
    keys = [f"many:{i}" for i in range(300)]
    client.pipeline([("SET", key, i) for i, key in enumerate(keys)])
    assert client.pipeline([("GET", key) for key in keys]) == [b"%d" % i for i in range(300)]
    assert client.execute("MGET", *keys[:5]) == [b"0", b"1", b"2", b"3", b"4"]
    assert client.execute("EXISTS", *keys) == 300
    assert client.execute("DBSIZE") == 300
    found, cursor = [], b"0"
    while True:
        cursor, batch = client.execute("SCAN", cursor, "MATCH", "many:*", "COUNT", 20)
        found += batch
        if cursor == b"0":
            break
    assert sorted(set(found)) == sorted(key.encode() for key in keys)
    assert client.transaction([("SET", "{t}a", 1), ("SET", "{t}b", 2)]) == [b"OK", b"OK"]
    with pytest.raises(EngineError, match="different slots"):
        client.transaction([("SET", "a", 1), ("SET", "b", 2)])
    assert client.execute("DEL", *keys, "{t}a", "{t}b") == 302


def test_a_client_that_knows_no_map_follows_moved(shards: Engine) -> None:
    for target in shards.shard_targets:
        with connect(target) as fresh:
            for i in range(4):
                fresh.execute("SET", f"moved:{i}", i)
                assert fresh.execute("GET", f"moved:{i}") == b"%d" % i
            changed = fresh.compare_and_set(
                "moved:1", [("GET", "moved:1")], lambda found: [("SET", "moved:1", found[0] + b"!")]
            )
            assert changed == [b"OK"]


def test_sessions_work_on_several_shards(client: Client) -> None:
    keys = [formats.session_key(f"shard-{i}") for i in range(40)]
    for key in keys:
        client.execute("HSET", key, "user_id", "u", "history", "[]")
    seen: set[str] = set()
    token = ""
    while True:
        page = listing.page(client, ARTICLE, SessionFilter(), token, size=7)
        seen |= {session.key for session in page.sessions}
        token = page.next_cursor
        if not token:
            break
    assert seen == set(keys)
    assert store.count(client).value == 40
    store.delete(client, keys[0])
    client.execute("DEL", *keys[1:])


def test_search_says_why_it_is_not_served(client: Client) -> None:
    assert not client.server.dialect.searches
    assert index_names(client) == ()
    with pytest.raises(UnsupportedFeature, match="within one shard, and this cluster has 3"):
        client.execute("FT.SEARCH", "idx", "*")


def test_a_slot_that_moves_is_asked_for(client: Client, shards: Engine) -> None:
    client.execute("SET", "moving", "old")
    place = slot("moving")
    nodes = [n for n in client.nodes() if n.role == "primary"]
    giver = next(n for n in nodes if any(first <= place <= last for first, last in n.slots))
    taker = next(n for n in nodes if n is not giver)
    password = shards.target.password
    with admin(giver.port, password) as one, admin(taker.port, password) as other:
        other.execute_command("CLUSTER", "SETSLOT", place, "IMPORTING", giver.id)
        one.execute_command("CLUSTER", "SETSLOT", place, "MIGRATING", taker.id)
        one.execute_command("MIGRATE", "127.0.0.1", taker.port, "moving", 0, 5000, "AUTH", password)
        assert client.execute("GET", "moving") == b"old"  # ASK
        assert client.pipeline([("GET", "moving"), ("PING",)]) == [b"old", b"PONG"]
        for node in (other, one):
            node.execute_command("CLUSTER", "SETSLOT", place, "NODE", taker.id)
        assert client.execute("GET", "moving") == b"old"  # MOVED
    assert client.execute("DEL", "moving") == 1


def test_reads_go_to_replicas_on_request(shards: Engine) -> None:
    with connect(shards.target) as writer:
        first = writer.nodes()[0]
        key = next(k for k in map(str, range(999)) if any(a <= slot(k) <= b for a, b in first.slots))
        writer.execute("SET", key, "v")
        (replica,) = (n for n in writer.nodes() if n.role == "replica")
        until(lambda: writer.on(replica).execute("GET", key) == b"v", "the replica has it")
        before = writer.on(replica).info("commandstats")["commandstats"].get("cmdstat_get", "calls=0")
        with connect(replace(shards.target, read_from_replicas=True)) as reader:
            for _ in range(10):
                assert reader.execute("GET", key) == b"v"
            reader.execute("SET", key, "w")  # writes go to the primary
        after = writer.on(replica).info("commandstats")["commandstats"]["cmdstat_get"]
        calls = [int(said.split(",")[0].removeprefix("calls=")) for said in (before, after)]
        assert calls[1] - calls[0] == 10
        writer.execute("DEL", key)


def test_a_replica_that_holds_the_cluster_for_down_is_passed_over(tmp_path: Path) -> None:
    """It forgot a shard: to it the cluster has gaps, while its primary serves. A cluster of its own."""
    with local_engine.start(tmp_path, cluster=True, shards=2, replicas=1, log=False) as running:
        running.wait_ready()
        with connect(running.target) as writer:
            first, replica, second = writer.nodes()
            for node in (first, replica, second):  # on a busy machine none holds another for dead
                with admin(node.port, running.target.password) as patient:
                    patient.config_set("cluster-node-timeout", 60_000)
            key = next(k for k in map(str, range(999)) if any(a <= slot(k) <= b for a, b in first.slots))
            writer.execute("SET", key, "v")
        reading = connect(replace(running.target, read_from_replicas=True))
        with admin(replica.port, running.target.password) as there, reading as reader:

            def down() -> bool:
                return "cluster_state:fail" in str(
                    there.execute_command("CLUSTER", "INFO", NEVER_DECODE=True)
                )

            def answered_while_it_is_down() -> bool:
                with suppress(redis.ResponseError):  # forgotten already
                    there.execute_command("CLUSTER", "FORGET", second.id)
                until(down, "it sees a gap")
                try:
                    assert reader.execute("GET", key) == b"v"
                except Busy:  # on a busy machine the primary may hold the other for dead as well, for a while
                    return False
                return down()  # still, so the primary has answered; gossip brings the shard back in a minute

            until(answered_while_it_is_down, "the primary answers while the replica sees a gap")


def test_a_replica_asked_without_readonly_is_explained(shards: Engine) -> None:
    with connect(shards.target) as client:
        (replica,) = (n for n in client.nodes() if n.role == "replica")
        plain = connect(replace(shards.replica_targets[0], writable=True))
        plain.connection.routes.pinned = True  # as somebody would who opens this node and no other
        with plain, pytest.raises(EngineError) as caught:
            plain.execute("GET", next(k for k in map(str, range(999)) if slot(k) < 5000))
        assert "READONLY" in caught.value.hint
        primary = client.nodes()[0]
        until(
            lambda: client.on(replica).execute("DBSIZE") == client.on(primary).execute("DBSIZE"),
            "asked with READONLY it answers as its primary does",
        )


def test_a_primary_dies_and_the_client_goes_on(shards: Engine) -> None:
    """The last test of this module: it leaves the first shard without its old primary."""
    with connect(shards.target) as client:
        first = client.nodes()[0]
        key = next(k for k in map(str, range(999)) if any(a <= slot(k) <= b for a, b in first.slots))
        client.execute("SET", key, "kept")
        client.execute("WAIT", 1, 5000)
        (replica,) = (n for n in client.nodes() if n.role == "replica")
        until(lambda: client.on(replica).execute("GET", key) == b"kept", "the replica has it")
        os.kill(shards.pid, signal.SIGKILL)
        until(lambda: not shards.alive(), "it is dead")
        with pytest.raises(Busy, match="does not answer") as caught:
            client.execute("GET", key)
        assert "choosing a new primary" in caught.value.hint

        def answered() -> bool:
            with suppress(MemDBError):
                return bool(client.execute("GET", key) == b"kept")
            return False

        until(answered, "the replica is the primary")
        assert client.execute("SET", key, "written") == b"OK"
        assert client.nodes()[0].port == replica.port
        assert replies.text(client.pipeline([("GET", key)])[0]) == "written"
