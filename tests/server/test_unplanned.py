"""What a node holds beside what was read into a plan, held against what the server grows by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import connect
from memdb.cluster.engine import start
from memdb.sizing import calibrate, live_sessions, unplanned
from memdb.sizing.shape import Sessions
from memdb.sizing.unplanned import Unplanned
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec
from tests.waiting import until


def test_other_indexes_and_keys_are_told_with_what_they_take(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)

    def add(prefix: str, n: int, dim: int, pad: int) -> None:
        vectors = rng.normal(size=(n, dim)).astype("<f4")
        client.pipeline(
            [("HSET", f"{prefix}{i}", "v", v.tobytes(), "t", "x" * pad) for i, v in enumerate(vectors)]
        )

    def built(name: str, prefix: str, n: int, dim: int) -> None:
        index.create(client, IndexSpec(name, (HnswField("v", dim, "L2", m=7),), (prefix,)))
        until(lambda: index.index_info(client, name).documents == n, f"{name} is built")
        until(lambda: index.index_info(client, name).build.ready, f"{name} is ready")

    def used() -> int:
        return int(client.info("memory")["memory"]["used_memory"])

    def besides() -> Unplanned:
        return unplanned.beside(client, "a", reading, Sessions())

    with start(tmp_path, log=False) as engine:
        engine.wait_ready()
        with connect(engine.target) as client:
            add("d:", 2_000, 96, 40)
            built("a", "d:", 2_000, 96)
            reading = calibrate.from_index(client, "a")
            alone, before = besides(), used()
            assert (alone.indexes, alone.keys, alone.words, alone.sentence) == ((), 0, "", "")
            add("o:", 3_100, 40, 900)
            built("b", "o:", 3_100, 40)
            client.execute("SET", "lonely", "x")
            more, after = besides(), used()
            assert live_sessions.sessions_of(unplanned.node_read(client)) is None
    assert more.node == engine.target.address.removeprefix("redis://")
    assert (more.indexes, more.keys) == ((("b", 3_100),), 3_101)
    keys = "3,101 keys that are neither documents of a nor sessions"
    assert more.words == f"1 other index with 3,100 documents in b, and {keys}"
    assert more.bytes - alone.bytes == pytest.approx(after - before, rel=0.02)
    assert more.bytes == pytest.approx(after - before, rel=0.15)  # what the reading of a itself is off by
