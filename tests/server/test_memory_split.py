"""The memory split against what the real engine's used_memory grows by, and where commands are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import redis

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo import loader
from memdb.errors import Cancelled
from memdb.operations import keyspace
from memdb.operations.memory import MemorySplit, split
from memdb.operations.samples import sample
from memdb.sizing.samples import settled
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField, TextField
from tests.standins import memorydb
from tests.waiting import until


def now(client: Client) -> MemorySplit:
    (node,) = client.nodes()
    return split(client, node, sample(client, node))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Client]:
    """An engine that holds nothing, as growth is measured best."""
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            yield client


def test_a_cluster_has_a_table_for_each_slot(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, log=False, cluster=True) as running:
        running.wait_ready()
        with connect(running.target) as client:
            index.create(client, IndexSpec("idx", (HnswField("v", 256),), ("d:",)))
            before = now(client)
            vectors = np.random.default_rng(0).normal(size=(10_000, 256)).astype("<f4")
            for start in range(0, 10_000, 500):
                client.pipeline(
                    [("HSET", f"d:{i}", "v", vectors[i].tobytes()) for i in range(start, start + 500)]
                )
            until(lambda: index.index_info(client, "idx").documents == 10_000, "all are indexed")
            settled(client)
            after = now(client)
    assert before.used is not None
    assert after.used is not None
    tables = after.part("tables").bytes
    assert tables is not None
    assert tables > 10 * 2**20
    grown = (after.accounted - before.accounted) / (after.used - before.used)
    assert abs(grown - 1) < 0.05, (before, after)


@pytest.mark.parametrize(("count", "dim"), [(10_000, 256), (2_000, 1_536)])
def test_added_vectors_are_accounted_for(empty: Client, count: int, dim: int) -> None:
    index.create(empty, IndexSpec("idx", (HnswField("v", dim),), ("d:",)))
    before = now(empty)
    assert before.part("keys").bytes == 0
    vectors = np.random.default_rng(0).normal(size=(count, dim)).astype("<f4")
    for start in range(0, count, 500):
        empty.pipeline([("HSET", f"d:{i}", "v", vectors[i].tobytes()) for i in range(start, start + 500)])
    until(lambda: index.index_info(empty, "idx").documents == count, "all are indexed")
    settled(empty)
    after = now(empty)
    assert before.used is not None
    assert after.used is not None
    grown = (after.accounted - before.accounted) / (after.used - before.used)
    assert abs(grown - 1) < 0.05, (before, after)
    assert after.part("vectors").bytes == count * dim * 4
    (covered,) = after.coverage
    assert covered == keyspace.Coverage("idx", count, count, count, count, exact=True)
    # A second index over the same keys counts none of them again.
    index.create(empty, IndexSpec("again", (HnswField("v", dim),), ("d:",)))
    until(lambda: index.index_info(empty, "again").build.ready, "the second is built")
    until(lambda: index.index_info(empty, "again").documents == count, "all are indexed again")
    settled(empty)
    twice = now(empty)
    keys, again = after.part("keys").bytes, twice.part("keys").bytes
    assert keys is not None
    assert again == pytest.approx(keys, rel=0.02)
    assert twice.part("vectors").bytes == 2 * count * dim * 4
    assert twice.used is not None
    assert abs((twice.accounted - after.accounted) / (twice.used - after.used) - 1) < 0.05


def test_json_documents_are_accounted_for(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(1_500, 256))
    with local_engine.start(tmp_path, log=False, json=True) as running:
        running.wait_ready()
        with connect(running.target) as client:
            spec = IndexSpec("idx", (HnswField("v", 256, path="$.v"),), ("d:",), "JSON")
            index.create(client, spec)
            before = now(client)
            client.pipeline([("HSET", f"d:h{i}", "a", "1") for i in range(10)])
            for start in range(0, 1_500, 500):
                places = range(start, start + 500)
                written = [json.dumps({"v": vectors[i].tolist()}) for i in places]
                client.pipeline([("JSON.SET", f"d:{i}", "$", written[i - start]) for i in places])
            until(lambda: index.index_info(client, "idx").documents == 1_500, "all are indexed")
            settled(client)
            after = now(client)
    assert before.used is not None
    assert after.used is not None
    assert abs((after.accounted - before.accounted) / (after.used - before.used) - 1) < 0.05
    assert [(one.keys, one.exact) for one in after.coverage] == [(1_500, True)]


def test_the_command(demo_target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "--url", demo_target.url, "--json", "--exact"]) == 0
    (node,) = json.loads(capsys.readouterr().out)["nodes"]
    assert node["role"] == "primary"
    assert MemorySplit.from_facts(node).part("vectors").bytes == 2_040 * 256 * 4
    assert main(["memory", "--url", demo_target.url]) == 0
    shown = capsys.readouterr().out
    assert "Vectors in indexes" in shown
    assert "idx:embeddings" in shown
    with user(demo_target, "-memory|usage", "-info") as client:
        assert main(["memory", "--url", client.target.url]) == 0
    assert "no permissions" in " ".join(capsys.readouterr().out.split())
    assert main(["memory", "--url", "redis://127.0.0.1:1", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["hint"]


def test_memorydb_tells_bytes_and_leaves_nothing_to_a_model(demo_target: Target) -> None:
    with memorydb(demo_target) as proxy, connect(proxy.target) as client:
        found = now(client)
    assert found.part("vectors").bytes
    assert found.part("structures").bytes
    assert found.part("other_indexes").bytes is not None
    assert found.part("untold").bytes is None
    assert found.part("keys").bytes
    assert [one.exact for one in found.coverage] == [True, True]


def test_primary_and_replica_tell_their_own(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, cluster=True, replicas=1, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            client.pipeline([("SET", f"k{i}", "x" * 100, "EX", 600) for i in range(500)])
            primary, replica = client.nodes()
            until(
                lambda: split(client, replica, sample(client, replica)).keys == 500,
                "the replica has followed",
            )
            found = [split(client, node, sample(client, node)) for node in (primary, replica)]
    assert [one.address for one in found] == [primary.address, replica.address]
    for one in found:
        assert one.part("keys").bytes
        assert one.ttl_freed[0].bytes == pytest.approx(one.part("keys").bytes)
        assert one.ttl_share == 1.0


def test_the_demo_is_accounted_for_and_nothing_twice(home: Path, tmp_path: Path) -> None:
    # An engine of its own: the one that all tests share keeps about 1 MB of what was asked of it.
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            loader.load(client, home=home, docs=2000, users=40, sessions=200)
            found = now(client)
    assert found.used is not None
    start = found.part("start").bytes or 0.0
    assert found.accounted <= 1.05 * found.used
    # Texts, tags, numbers, sessions with times to live: what is there beyond the server itself.
    keys = found.part("keys")
    assert keys.within_bytes is not None
    assert abs(found.accounted - found.used) < 0.05 * (found.used - start) + keys.within_bytes
    assert {one.index: one.keys for one in found.coverage} == {"idx:embeddings": 2_000, "idx:users": 40}
    assert all(one.documents == one.keys and one.exact for one in found.coverage)
    assert found.ttl_share == pytest.approx(200 / 2_240, abs=0.02)
    assert len(found.ttl_freed) == 2
    assert 0 <= found.ttl_freed[0].bytes <= found.ttl_freed[1].bytes


def test_none_one_and_keys_that_expire_meanwhile(empty: Client) -> None:
    found = now(empty)
    assert (found.keys, found.part("keys").bytes) == (0, 0.0)
    empty.execute("SET", "one", "value")
    found = now(empty)
    assert (found.keys, found.sampled) == (1, 1)
    assert found.part("keys").within_bytes == 0.0
    assert found.coverage == ()
    empty.pipeline([("SET", f"k{i}", "x" * 100, "PX", 1_000) for i in range(300)])
    assert now(empty).ttl_freed[0].bytes > 0
    until(lambda: now(empty).keys == 1, "they are gone, and no look on the way failed")


@contextmanager
def user(target: Target, *rules: str) -> Iterator[Client]:
    """A client of a user who may do all but what the rules take away."""
    with redis.Redis(host=target.host, port=target.port, password=target.password) as server:
        server.execute_command("ACL", "SETUSER", "poor", "reset", "on", ">p", "~*", "+@all", *rules)
        with connect(replace(target, username="poor", password="p")) as client:
            yield client
        server.execute_command("ACL", "DELUSER", "poor")


@pytest.mark.parametrize(
    ("rule", "absent"),
    [("-memory|usage", {"keys"}), ("-randomkey", {"keys"}), ("-dbsize", {"keys"})],
)
def test_one_command_refused_is_one_figure_absent(demo_target: Target, rule: str, absent: set[str]) -> None:
    with user(demo_target, rule) as client:
        found = now(client)
    assert {part.name for part in found.parts if part.bytes is None} == absent
    assert "poor" in found.part("keys").absent or rule[1:5].upper() in found.part("keys").absent.upper()
    assert found.used is not None
    assert found.part("vectors").bytes
    assert found.ttl_freed == ()
    assert found.absent["ttl_freed"]
    if rule != "-dbsize":
        assert all(one.exact for one in found.coverage)


def test_info_and_scan_refused(demo_target: Target) -> None:
    with user(demo_target, "-info", "-scan") as client:
        (node,) = client.nodes()
        found = split(client, node, sample(client, node))
    assert found.used is None
    assert found.rest is None
    assert found.absent["used"]
    assert found.part("keys").bytes
    assert [one.exact for one in found.coverage] == [False, False]
    assert all(one.low <= one.documents <= one.high for one in found.coverage)


def test_an_exact_count_as_a_job(client: Client, prefix: str) -> None:
    odd = prefix + "[a*]?"
    fields = (HnswField("v", 4), TagField("t"), NumericField("n"), TextField("w"))
    index.create(client, IndexSpec(prefix + "idx", fields, (odd,)))
    client.pipeline([("HSET", f"{odd}{i}", "t", "x") for i in range(2_500)])
    client.pipeline([("HSET", f"{prefix}a{i}", "t", "x") for i in range(50)])
    client.pipeline([("SET", f"{odd}s{i}", "x") for i in range(50)])
    (node,) = client.nodes()
    info = index.index_info(client, prefix + "idx")
    told: list[int] = []
    found = keyspace.count_exactly(client, node, info, lambda _, done, __: told.append(done))
    assert (found.keys, found.exact) == (2_500, True)
    assert told == sorted(told)
    in_a_hurry = keyspace.count_exactly(client, node, info, seconds=0.0)
    assert not in_a_hurry.exact
    assert in_a_hurry.low <= 2_500 <= in_a_hurry.high

    def cancel(stage: str, done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        keyspace.count_exactly(client, node, info, cancel)
