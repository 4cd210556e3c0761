"""A primary dies while the app is open: the page says so, and goes on when another one answers."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.errors import Busy
from memdb.sessions import formats
from memdb.ui.kit import cached
from tests.app.test_search_page import calm, started, texts
from tests.waiting import until


def test_a_failover_is_told_and_survived(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_engine.start(tmp_path, cluster=True, replicas=1, log=False) as engine:
        engine.wait_ready()
        (replica,) = engine.replica_targets
        with connect(engine.target) as client:
            client.execute("HSET", formats.session_key("kept"), "user_id", "u", "history", "[]")
            client.execute("WAIT", 1, 5000)
        app = started(engine.target, home, monkeypatch).run()
        assert calm(app)
        os.kill(engine.pid, signal.SIGKILL)
        until(lambda: engine.status is not None, "it is dead")
        cached.overview.clear()
        app.run()
        assert not app.exception
        assert "does not answer" in texts(app)
        assert "goes on by itself" in texts(app)
        with pytest.raises(Busy, match="1 replica holds"):
            cached.client(engine.target).execute("PING")
        with redis.Redis(port=replica.port, password=replica.password, protocol=2) as admin:
            admin.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")

            def promoted() -> bool:
                return b"myself,master" in admin.execute_command("CLUSTER", "NODES")

            admin.response_callbacks.clear()
            until(promoted, "the replica is the primary")

        def found() -> bool:
            with suppress(Busy):
                return bool(cached.client(engine.target).execute("PING"))
            return False

        until(found, "the client found it")
        cached.overview.clear()
        app.run()
        assert calm(app), texts(app)
        assert {m.label: m.value for m in app.metric}["Sessions"] == "1"
