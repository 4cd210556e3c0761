"""Samples and `memdb check` on the real engine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import redis

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.operations.figures import FIGURES
from memdb.operations.history import Writer, path_of
from memdb.operations.rates import RESTARTED, rates
from memdb.operations.sampler import keep_thresholds
from memdb.operations.samples import sample, sample_all
from memdb.operations.thresholds import Thresholds
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec
from tests.waiting import until


def test_a_sample_takes_two_round_trips_and_tells_all(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "idx", (HnswField("v", 4),), (prefix,)))
    (before,) = sample_all(client)
    node = client.nodes()[0]
    client.log.clear()  # one log for the client and those of its nodes
    after = sample(client, node)
    assert [one.name for one in client.log.entries()] == ["INFO", "FT.INFO"]
    assert after.problem == ""
    assert after.figures["used_bytes"] > 0
    assert after.figures["client_limit"] > 0
    assert "limit_bytes" in after.figures or "maxmemory" in after.absent["limit_bytes"]
    assert prefix + "idx" in {one.name for one in after.indexes}
    found = rates(before, after)
    assert found.values["commands"] > 0
    assert 0 <= found.values["cpu"] < 2


def test_searches_are_counted_and_timed(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "idx", (HnswField("v", 4),), (prefix,)))
    (before,) = sample_all(client)
    for _ in range(5):
        client.execute("FT.SEARCH", prefix + "idx", "*")
    (after,) = sample_all(client)
    assert after.figures["searches"] - before.figures["searches"] >= 5
    assert rates(before, after).values["search_ms"] > 0


def test_a_real_build_over_20000_keys_moves(client: Client, prefix: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(20_000, 64)).astype("<f4")
    for start in range(0, len(vectors), 2_000):
        client.pipeline(
            [("HSET", f"{prefix}{i}", "v", vectors[i].tobytes()) for i in range(start, start + 2_000)]
        )
    index.create(client, IndexSpec(prefix + "idx", (HnswField("v", 64),), (prefix,)))
    seen: list[float] = []
    states: list[str] = []

    def done() -> bool:
        one = next(i for i in sample_all(client)[0].indexes if i.name == prefix + "idx")
        seen.append(one.build.fraction)
        states.append(one.build.state)
        return one.build.ready and one.documents == 20_000

    until(done, "the index is built")
    assert "building" in states
    assert any(0 < fraction < 1 for fraction in seen)
    assert seen == sorted(seen)


@pytest.fixture
def limited(server_target: Target) -> Iterator[Target]:
    """A user who may neither ask for settings nor see indexes."""
    host, port, name = server_target.host, server_target.port, "limited-user"
    with redis.Redis(host=host, port=port, password=server_target.password) as server:
        server.execute_command(
            "ACL", "SETUSER", name, "reset", "on", ">p", "~*", "+@all", "-config", "-FT._LIST"
        )
        yield replace(server_target, username=name, password="p")
        server.execute_command("ACL", "DELUSER", name)


def test_what_a_user_may_not_ask_is_absent_and_the_rest_goes_on(limited: Target) -> None:
    with connect(limited) as client:
        (one,) = sample_all(client)
    assert one.problem == ""
    assert one.figures["used_bytes"] > 0
    assert one.indexes == ()
    assert "indexes" in one.absent
    assert "searches" in one.figures
    assert "client_limit" in one.figures or "client_limit" in one.absent


def test_check_is_calm_on_a_healthy_engine_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        words = ["check", "--url", running.target.url, "--seconds", "1", "--cpu", "100", "--json"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["level"] == "ok"
        assert main([*words, "--connections", "0"]) == 1
        found = json.loads(capsys.readouterr().out)
        (bad,) = [one for one in found["findings"] if one["level"] == "warning"]
        assert bad["name"] == "connections"
        assert "CLIENT LIST" in bad["todo"]
        assert main([*words, "--cpu", "170"]) == 2
        assert "accepts 0 to 1" in capsys.readouterr().out


def test_a_replica_killed_between_samples(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, cluster=True, replicas=1, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            until(lambda: [s.link for s in sample_all(client)] == ["", "up"], "the replica follows")
            before = sample_all(client)
            replica = client.nodes()[1]
            pid = int(client.on(replica).info("server")["server"]["process_id"])
            os.kill(pid, signal.SIGKILL)
            until(lambda: bool(sample_all(client)[1].problem), "the dead node is told as such")
            primary, dead = sample_all(client)
            assert primary.problem == ""
            assert dead.figures == {}
            assert rates(before[0], primary).values["commands"] > 0
            assert rates(before[1], dead).values == {}
            assert RESTARTED in rates(before[0], replace(primary, run_id="another")).absent["all"]


def test_a_standalone_server_gets_no_error_from_samples(client: Client) -> None:
    sample_all(client)
    before = client.info("errorstats").get("errorstats", {})
    sample_all(client)
    assert client.info("errorstats").get("errorstats", {}) == before


def test_an_index_whose_name_is_not_utf8_is_sampled(client: Client, prefix: str) -> None:
    name = prefix.encode() + b"\xff"
    client.execute("FT.CREATE", name, "PREFIX", 1, prefix, "SCHEMA", "t", "TAG")
    try:
        (one,) = sample_all(client)
        assert prefix + "\udcff" in {index.name for index in one.indexes}
        assert not any(key.startswith("index ") for key in one.absent)
    finally:
        client.execute("FT.DROPINDEX", name)


def test_every_figure_of_a_sample_is_exported(client: Client) -> None:
    (one,) = sample_all(client)
    assert {name for name in one.figures if not FIGURES[name].metric} == set()


def test_check_takes_the_thresholds_kept_on_the_page(
    server_target: Target, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(home, server_target)
    Writer(path).close()
    words = ["check", "--url", server_target.url, "--seconds", "1", "--json"]
    try:
        keep_thresholds(path, Thresholds(cpu=1.0, connections=0.0))
        main(words)
        levels = {f["name"]: f["level"] for f in json.loads(capsys.readouterr().out)["findings"]}
        assert levels["connections"] == "warning"
        main([*words, "--connections", "90"])
        levels = {f["name"]: f["level"] for f in json.loads(capsys.readouterr().out)["findings"]}
        assert levels["connections"] == "ok"
    finally:
        path.unlink()
