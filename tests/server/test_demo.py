"""`memdb demo` as a person runs it: what is killed comes back, what ends ends in order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memdb.cluster.client import connect
from memdb.cluster.engine import running_engines, start
from memdb.cluster.target import Target
from memdb.ports import free_port, port_is_free
from memdb.vectors.index import index_info
from tests.waiting import PATIENCE_S, gone, until

SMALL = ("--docs", "200", "--users", "5", "--sessions", "10", "--no-prepare")
Run = Callable[..., "Demo"]


class Demo:
    """A `memdb demo` that runs."""

    def __init__(self, home: Path, port: int, words: tuple[str, ...], env: dict[str, str]) -> None:
        self.home, self.port, self.log = home, port, home / "demo.log"
        home.mkdir(exist_ok=True)
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "memdb", "demo", "--port", str(port), "--no-browser", *words],
                stdout=out,
                stderr=out,
                env={k: v for k, v in os.environ.items() if not k.startswith("MEMDB_")}
                | {"MEMDB_HOME": str(home)}
                | env,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def serves(self) -> bool:
        assert self.process.poll() is None, self.said
        try:
            with urllib.request.urlopen(f"http://localhost:{self.port}/_stcore/health", timeout=2) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def documents(self) -> int:
        engines = running_engines(self.home)
        if not engines:
            return -1
        with connect(engines[0].target) as client:
            return int(client.execute("DBSIZE"))

    def app_pid(self) -> int:
        found = subprocess.run(["ps", "axww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
        lines = [line.split(None, 1) for line in found.stdout.splitlines()]
        (pid,) = [int(p) for p, args in lines if "streamlit" in args and f"--server.port {self.port}" in args]
        return pid


@pytest.fixture
def demo(tmp_path: Path, corpus_folder: Path) -> Iterator[Run]:
    # A demo that has to read its documents first: tests/server/test_package.py.
    started: list[Demo] = []
    shutil.copytree(corpus_folder, tmp_path / "home" / "corpus")

    def run(*words: str, port: int = 0, **env: str) -> Demo:
        started.append(Demo(tmp_path / "home", port or free_port(), words or SMALL, env))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def test_killed_engine_and_killed_app_come_back_and_the_end_is_clean(demo: Run) -> None:
    running = demo()
    until(running.serves, "the app answers")
    until(
        lambda: "services as JSON" in " ".join(running.said.split()) and running.documents() >= 215,
        "the data is there",
        timeout_s=120,
    )
    until(lambda: "Open http://localhost" in running.said, "it says where")
    (before,) = running_engines(running.home)
    count = running.documents()

    os.kill(before.pid, signal.SIGKILL)
    until(lambda: any(e.pid != before.pid for e in running_engines(running.home)), "the engine is back")
    (after,) = running_engines(running.home)
    assert after.target == before.target
    until(lambda: running.documents() == count, "with its data")

    app = running.app_pid()
    os.kill(app, signal.SIGKILL)
    until(lambda: gone(app), "the app is gone")
    until(running.serves, "the app is back")
    app = running.app_pid()

    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(PATIENCE_S) == 0
    assert gone(after.pid)
    assert gone(app)
    assert port_is_free(running.port)
    assert "Traceback" not in running.said
    assert after.password not in running.said
    with start(running.home) as engine, connect(engine.target) as client:
        engine.wait_ready()  # with JSON, although nobody asks for it: its log holds JSON documents
        assert client.execute("DBSIZE") == count
        others = [index_info(client, name).documents for name in ("idx:services", "idx:labelled")]
        assert sum(others) == count - 215
        assert min(others) > 0


def test_killed_demo_leaves_nothing_behind(demo: Run) -> None:
    running = demo()
    until(running.serves, "the app answers")
    (engine,) = running_engines(running.home)
    app = running.app_pid()
    running.process.kill()
    until(lambda: gone(engine.pid) and gone(app), "engine and app end")
    assert running_engines(running.home) == []


def test_interrupted_while_loading_it_goes_on_next_time(demo: Run) -> None:
    words = ("--docs", "4000", "--users", "5", "--sessions", "10", "--no-prepare")
    running = demo(*words)
    until(lambda: running.documents() > 0, "loading has begun")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE_S) == 0
    assert "Traceback" not in running.said
    assert "Loaded" not in running.said
    again = demo(*words)
    until(lambda: "were there" in again.said, "it is complete")
    assert re.search(r"Loaded [\d,]+ .*; [\d,]+ were there", " ".join(again.said.split())), again.said
    (engine,) = running_engines(again.home)
    with connect(engine.target) as client:
        services = index_info(client, "idx:services").documents
        labelled = index_info(client, "idx:labelled").documents
    assert services > 300
    assert labelled > 300
    assert again.documents() == 4015 + services + labelled
    again.process.terminate()
    assert again.process.wait(PATIENCE_S) == 0


def test_taken_port_is_told_before_anything_starts(demo: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = demo(port=taken.getsockname()[1])
        assert running.process.wait(PATIENCE_S) == 2
    assert f"Port {running.port} is taken" in running.said
    assert f"PORT={running.port + 1}" in running.said
    assert running.said.count("\n") == 1
    assert not (running.home / "engine").exists()


def test_engine_stopped_from_outside_ends_the_demo(demo: Run) -> None:
    running = demo()
    until(lambda: bool(running_engines(running.home)), "the engine runs")
    subprocess.run(
        [sys.executable, "-m", "memdb", "engine", "stop"],
        env=os.environ | {"MEMDB_HOME": str(running.home)},
        check=True,
        capture_output=True,
    )
    assert running.process.wait(PATIENCE_S) == 0
    assert "stopped from outside" in running.said


def test_memdb_url_is_opened_read_only_and_nothing_is_loaded(demo: Run, server_target: Target) -> None:
    with connect(server_target) as client:
        before = client.execute("DBSIZE")
        running = demo(MEMDB_URL=server_target.address, MEMDB_PASSWORD=server_target.password)
        until(lambda: "Open http://localhost" in running.said, "it says where")
        assert "read-only" in running.said
        assert "MEMDB_WRITABLE=1" in running.said
        assert running_engines(running.home) == []
        running.process.terminate()
        assert running.process.wait(PATIENCE_S) == 0
        assert client.execute("DBSIZE") == before


def test_no_engine_for_this_system_names_the_ways_on(demo: Run, tmp_path: Path) -> None:
    running = demo(MEMDB_ENGINE_SERVER=str(tmp_path / "nothing"))
    assert running.process.wait(PATIENCE_S) == 2
    assert "MEMDB_ENGINE_SERVER" in running.said
    assert running.said.count("\n") == 1
