"""No write leaves a read-only client, watched by MONITOR: a part of what `benchmarks/readonly.py` tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.readonly import KEY, Monitor, tried
from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.cluster.target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """An engine of its own: MONITOR tells of everybody's commands."""
    with local_engine.start(tmp_path_factory.mktemp("readonly"), log=False) as running:
        running.wait_ready()
        yield running.target


def test_every_command_in_two_spellings_by_every_route(target: Target) -> None:
    made, seen, wrong = tried(target, spellings=2)
    assert made > 10_000
    assert {"ping", "info", "scan", f"exists|{KEY}"} <= {*seen, *(name.split("|")[0] for name in seen)}
    assert wrong == set()
    with connect(target) as client:
        assert client.execute("GET", KEY) == b"untouched"
        assert client.execute("DBSIZE") == 1


def test_a_write_would_be_seen(target: Target) -> None:
    watch = Monitor(target)
    with connect(target) as client:
        client.execute("SET", KEY, "untouched")
    assert watch.ended(target)[f"set|{KEY}"] == 1
