"""The durability drill on real engines that are really killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memdb.cluster.client import Client
from memdb.durability import drill, writes
from memdb.durability.drill import CACHE, DURABLE, PROMOTED, DrillRequest, DrillResult
from memdb.durability.ledger import Entry, LedgerBroken
from memdb.durability.soak import soak
from memdb.durability.verdict import verdict
from memdb.errors import Cancelled


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
    with pytest.raises(LedgerBroken, match="No space left"):
        drill.run(DrillRequest(seconds=30, documents=0), tmp_path)


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
        [sys.executable, "-m", "memdb", "drill", "--seconds", "2", "--writers", "2", "--documents", "50", "--json"],
        capture_output=True, text=True, check=False, timeout=120,
        env={"MEMDB_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
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
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "writers is 0" in refused.stderr
