"""The probe on a real build: recall grows with it, and what is refused is counted."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from memdb.cluster.client import Client
from memdb.errors import BadInput, OutOfRange
from memdb.operations import probe
from memdb.operations.slowlog import slow_commands
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec

pytestmark = pytest.mark.any_engine


def test_recall_rises_while_it_builds(client: Client, prefix: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(12_000, 64)).astype("<f4")
    for start in range(0, len(vectors), 2_000):
        client.pipeline(
            [("HSET", f"{prefix}{i}", "v", vectors[i].tobytes()) for i in range(start, start + 2_000)]
        )
    spec = IndexSpec(prefix + "idx", (HnswField("v", 64, ef_runtime=200),), (prefix,))
    index.create(client, spec)
    kept: list[probe.Probe] = []
    found = probe.run(client, prefix + "idx", every_s=0.1, keep=kept.append)
    assert found.keys == 12_000
    last = found.looks[-1]
    assert (last.state, last.rejected) == ("ready", 0)
    assert last.recall is not None
    assert last.recall > 0.8
    first = found.looks[0]
    assert first.fraction <= last.fraction
    assert first.recall is None or first.recall <= last.recall + 0.05
    assert [len(one.looks) for one in kept] == list(range(1, len(found.looks) + 1))


def test_nothing_to_probe_and_a_silly_k(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "idx", (HnswField("v", 4),), (prefix,)))
    with pytest.raises(BadInput, match="No key under the prefixes"):
        probe.run(client, prefix + "idx")
    with pytest.raises(OutOfRange):
        probe.run(client, prefix + "idx", k=0)


def test_an_index_dropped_under_the_probe_counts_as_refused(client: Client, prefix: str) -> None:
    client.pipeline([("HSET", f"{prefix}{i}", "v", np.float32([i, 1]).tobytes()) for i in range(50)])
    index.create(client, IndexSpec(prefix + "idx", (HnswField("v", 2),), (prefix,)))
    info = index.index_info(client, prefix + "idx")
    queries = np.array([[1.0, 1.0]], np.float32)
    truth = probe.exact.nearest(probe._every(client, info, probe.silent), queries, 3, "COSINE")
    client.execute("FT.DROPINDEX", prefix + "idx")
    look = probe._look(client, info, queries, truth, 3, 0.0, "v")
    assert (look.asked, look.rejected, look.recall) == (1, 1, None)
    assert look.problem


@pytest.mark.needs("config")
def test_slow_commands_are_told_without_their_values(client: Client, prefix: str) -> None:
    with redis.Redis(
        host=client.target.host, port=client.target.port, password=client.target.password
    ) as server:
        server.slowlog_reset()  # a run before this one may have left the same key there
        server.execute_command("CONFIG", "SET", "slowlog-log-slower-than", "0")
        try:
            client.execute("SET", prefix + "k", "s3cret")
            logged = server.slowlog_get(128)
        finally:
            server.execute_command("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    found = slow_commands(client, client.nodes()[0])
    (one,) = [e for e in found if e.what == prefix + "k"]
    (microseconds,) = [e["duration"] for e in logged if f"{prefix}k".encode() in e["command"].split()]
    assert (one.command, one.took_ms) == ("SET", microseconds / 1_000)
    assert not any("s3cret" in e.what for e in found)
