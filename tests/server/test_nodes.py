"""Every node asked for itself: on a shard with a replica, and on the Home page."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.demo.app import app_folder, environment
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec
from memdb.vectors.nodes import node_views
from tests.waiting import PATIENCE_S, until


def test_primary_and_replica_each_tell_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_engine.start(tmp_path, cluster=True, replicas=1, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            index.create(client, IndexSpec("idx", (HnswField("v", 8),), ("d:",)))
            vectors = np.random.default_rng(0).normal(size=(200, 8)).astype("<f4")
            client.pipeline([("HSET", f"d:{i}", "v", v.tobytes()) for i, v in enumerate(vectors)])

            def replicated() -> bool:
                views = node_views(client, "idx")
                return len(views) == 2 and all(
                    v.index is not None and v.index.documents == 200 for v in views
                )

            until(replicated, "both nodes hold the index")
            primary, replica = node_views(client, "idx")
            assert (primary.node.role, replica.node.role) == ("primary", "replica")
            assert primary.facts is not None
            assert replica.facts is not None
            assert primary.facts.keys == replica.facts.keys == 200
            assert (primary.link, replica.link) == ("", "up")
            assert primary.behind_bytes is None
            assert replica.behind_bytes == 0
            assert replica.index is not None
            assert replica.index.build.ready

            for name, value in environment(running.target, tmp_path / "home").items():
                monkeypatch.setenv(name, value)
            app = AppTest.from_file(
                str(app_folder() / "memdb" / "ui" / "entry.py"), default_timeout=PATIENCE_S
            ).run()
            assert not app.exception
            table = next(f.value for f in app.dataframe if "role" in f.value.columns)
            assert table["role"].tolist() == ["primary", "replica"]
            assert table["documents"].tolist() == [200, 200]

            os.kill(_pid(client.on(replica.node).info("server")), signal.SIGKILL)
            until(
                lambda: any(v.problem for v in node_views(client, "idx")), "the dead replica is told as such"
            )
            alive = next(v for v in node_views(client, "idx") if not v.problem)
            assert alive.node.role == "primary"


def _pid(info: dict[str, dict[str, str]]) -> int:
    return int(info["server"]["process_id"])
