"""The durability drill on real engines that are really killed."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import boto3
import pytest
import redis
from botocore.stub import Stubber

from benchmarks.soak import soak
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.durability import drill, failover, report, writes
from memdb.durability.drill import CACHE, DURABLE, PROMOTED, DrillRequest, DrillResult
from memdb.durability.ledger import Entry, LedgerBroken
from memdb.durability.verdict import verdict
from memdb.errors import Cancelled, EngineUnavailable, MemDBError, ReadOnlyTarget
from tests.waiting import PATIENCE_S


def test_the_durable_engine_loses_nothing_and_the_cache_loses_what_it_had(tmp_path: Path) -> None:
    kept: list[DrillResult] = []
    stages: set[str] = set()
    request = DrillRequest(seconds=4, writers=3, rate=60, documents=300, promotion=True, seed=1)
    result = drill.run(request, tmp_path, report=lambda stage, *_: stages.add(stage), keep=kept.append)
    assert result.finished
    assert list(result.engines) == [DURABLE, CACHE, PROMOTED]
    for side in result.engines.values():
        assert side.acknowledged == side.recovered + side.lost + side.partial > 100
        assert side.partial == 0
        assert side.killed_at_s is not None
        assert 1.4 <= side.killed_at_s < 4
        assert side.downtime_s is not None
        assert 0 < side.downtime_s < 4
        assert sum(s.acknowledged for s in side.seconds) == side.acknowledged == len(side.took_ms)
        assert sum(s.lost for s in side.seconds) == side.lost
        assert side.p50_ms is not None
        assert side.p99_ms is not None
        assert side.p50_ms <= side.p99_ms
        assert side.recall_before is not None
        assert side.recall_before > 0.9
    durable, cache = result.engines[DURABLE], result.engines[CACHE]
    assert durable.lost == 0
    assert durable.recall_after is not None
    assert durable.recall_after > 0.9
    # All that was written before the kill is gone: at least a second and a half of three writers.
    assert cache.lost > 100
    assert cache.recall_after is None
    assert "index is gone" in cache.notes[0]
    seen = result.witness
    assert seen is not None
    assert seen.there == {DURABLE: True, CACHE: False, PROMOTED: seen.there[PROMOTED]}
    assert [turn.role for turn in seen.turns] == ["user", "assistant"]
    assert seen.key.startswith("drill:session:{")
    assert "Seconds of writing" in stages
    assert not kept[0].finished
    assert not (tmp_path / "drill").exists() or not list((tmp_path / "drill").iterdir())
    json.dumps(result.facts())


def test_a_cancelled_drill_ends_its_engines(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "Seconds of writing" and done > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        drill.run(DrillRequest(seconds=30, documents=0), tmp_path, report=stop)
    assert not list((tmp_path / "drill").iterdir())


def test_a_full_disk_under_the_ledger_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = drill.Writer

    def on_a_full_disk(client, run, number, rate, ledger, began):  # type: ignore[no-untyped-def]
        return real(client, run, number, rate, Path("/dev/full"), began)

    monkeypatch.setattr(drill, "Writer", on_a_full_disk)
    with pytest.raises(LedgerBroken, match="the disk is full"):
        drill.run(DrillRequest(seconds=30, documents=0), tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
def test_a_log_that_cannot_grow_ends_the_engine_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: the engine may not write one byte more than some 30 KB of log from now on."""
    import resource

    begun = drill._begun

    def limited(stack: ExitStack, folder: Path, kind: str) -> drill.Under:
        under = begun(stack, folder, kind)
        if kind == DURABLE:
            assert under.running is not None
            resource.prlimit(under.running.pid, resource.RLIMIT_FSIZE, (30_000, 30_000))
        return under

    monkeypatch.setattr(drill, "_begun", limited)
    result = drill.run(DrillRequest(seconds=4, writers=2, rate=200, documents=0, seed=1), tmp_path)
    durable = result.engines[DURABLE]
    assert durable.acknowledged == durable.recovered > 5
    assert any("ended by itself" in note for note in durable.notes)
    assert durable.downtime_s is not None  # it came back, without the limit


def test_an_engine_that_does_not_come_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = drill._begun

    def broken(stack: ExitStack, folder: Path, kind: str) -> drill.Under:
        under = begun(stack, folder, kind)
        if kind == CACHE:
            assert under.running is not None
            monkeypatch.setattr(under.running, "restart", partial(_taken, under.running.target.port))
        return under

    monkeypatch.setattr(drill, "_begun", broken)
    result = drill.run(DrillRequest(seconds=3, writers=1, rate=50, documents=0, seed=1), tmp_path)
    assert result.engines[DURABLE].lost == 0
    assert any("did not come back" in note for note in result.engines[CACHE].notes)
    assert report.sentence(result) == "Not every engine could be read afterwards: see the notes."


def _taken(port: int) -> None:
    """Instead of a restart: somebody else has the port."""
    raise EngineUnavailable(f"Port {port} is taken.")


def test_what_is_lost_half_there_changed_and_not_acknowledged(client: Client, prefix: str) -> None:
    run = prefix.strip(":")
    for number in range(6):
        client.transaction(writes.commands(run, 0, number))
    noted = [Entry(0, n, writes.whole(writes.fields(run, 0, n)), 0.0, 1.0) for n in range(4)]
    names = [writes.keys(run, 0, number) for number in range(6)]
    client.execute("DEL", *names[0])
    client.execute("DEL", names[1][1])
    client.execute("HSET", names[2][0], "history", "[]")
    client.execute("DEL", names[5][0])
    found = verdict(client, run, noted, [(0, 4), (0, 5), (0, 6)])
    client.execute("DEL", *(name for pair in names for name in pair))
    assert (found.acknowledged, found.recovered, found.lost) == (4, 1, 1)
    assert found.partial == 3  # 1 and 2, and 5, of which nobody was told
    assert found.unacknowledged_present == 1
    assert [e.number for e in found.lost_entries] == [0]


def test_a_soak_of_a_few_kills(tmp_path: Path) -> None:
    found = soak(6, tmp_path, seed=3)
    assert found.rounds == 6
    assert found.acknowledged == found.recovered > 100
    assert found.partial == found.lost == 0


def test_the_command_line(tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "memdb",
            "drill",
            "--seconds",
            "2",
            "--writers",
            "2",
            "--documents",
            "50",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        env={"MEMDB_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 0, ran.stderr
    engines = json.loads(ran.stdout)["engines"]
    assert set(engines) == {"durable", "cache"}
    names = (
        "acknowledged",
        "recovered",
        "lost",
        "partial",
        "unacknowledged_present",
        "downtime_s",
        "p50_ms",
        "p99_ms",
    )
    assert all(name in engines["durable"] for name in names)
    assert engines["durable"]["lost"] == 0
    refused = subprocess.run(
        [sys.executable, "-m", "memdb", "drill", "--writers", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert refused.returncode == 2
    assert "writers is 0" in refused.stderr


def test_a_cluster_that_fails_over_keeps_what_it_acknowledged_and_is_clean_afterwards(tmp_path: Path) -> None:
    """A shard of two local nodes; what MemoryDB does on FailoverShard, the replica is told directly."""
    with local_engine.start(tmp_path / "engine", cluster=True, replicas=1) as running:
        running.wait_ready()
        (replica,) = running.replica_targets
        request = DrillRequest(seconds=6, writers=2, rate=50, documents=0)

        def pull() -> None:
            with redis.Redis(port=replica.port, password=replica.password) as there:
                there.execute_command("CLUSTER", "FAILOVER")

        with connect(running.target) as client:
            result = failover.run(client, request, pull, tmp_path)
            side = result.engines[drill.OWN]
            assert result.finished
            assert side.acknowledged == side.recovered > 100  # CLUSTER FAILOVER waits for the replica
            assert side.killed_at_s is not None
            assert 1.8 <= side.killed_at_s < 6
            assert side.downtime_s is not None
            assert "Your cluster lost 0 of" in report.sentence(result)
            assert client.execute("DBSIZE") == 0
        with connect(replica) as reader:
            assert reader.info("replication")["replication"]["role"] == "master"  # it did fail over
        with connect(replace(running.target, writable=False)) as reader, pytest.raises(ReadOnlyTarget):
            failover.run(reader, request, pull, tmp_path)


def test_a_refused_failover_is_told_and_leaves_nothing(client: Client, tmp_path: Path) -> None:
    memorydb = boto3.client(
        "memorydb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    with Stubber(memorydb) as stub:
        stub.add_client_error("failover_shard", "APICallRateForCustomerExceededFault", "too often")
        before = client.execute("DBSIZE")
        with pytest.raises(MemDBError):
            failover.run(
                client,
                DrillRequest(seconds=5, writers=1, documents=0),
                lambda: failover.shard_failover(memorydb, "mine", "0001", writable=True),
                tmp_path,
            )
        assert client.execute("DBSIZE") == before
        stub.add_response(
            "failover_shard", {"Cluster": {"Name": "mine"}}, {"ClusterName": "mine", "ShardName": "0001"}
        )
        failover.shard_failover(memorydb, "mine", "0001", writable=True)
        stub.assert_no_pending_responses()
        with pytest.raises(ReadOnlyTarget):
            failover.shard_failover(memorydb, "mine", "0001", writable=False)
