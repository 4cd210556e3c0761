"""Fixtures for every layer. The engine is a real one: the local one, or a server that `--url` names."""

from __future__ import annotations

import base64
import fcntl
import gc
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from memdb import files
from memdb.cluster import engine as local_engine
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.settings import SETTINGS
from memdb.tuning import shadow
from memdb.tuning import sweep as timing
from tests.abilities import Server

# What an example may find must not depend on how busy the machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Every worker imports all tests and what they use: looking for garbage meanwhile took a third of that.
gc.disable()

ROOT = Path(__file__).parent.parent
LONG_FIRST = (
    "test_calibration",
    "browser/test_tune",
    "test_installed",
    "test_package",
    "browser/",
    "test_unseen",
    "app/",
    "server/",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--url", default="", help="an empty server that tests are run on, e.g. redis://127.0.0.1:6379"
    )
    parser.addoption(
        "--disposable", action="store_true", help="that server may be emptied, whatever it holds"
    )


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts tests in the background ignores SIGINT, and every child would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: what begins last would be waited for while other workers have nothing left to do."""
    items.sort(key=lambda item: next((n for n, part in enumerate(LONG_FIRST) if part in item.nodeid), 99))


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, but not among what was imported."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's documents as a home keeps them, read once for all workers of a run (7 s of one core).

    This process has them from then on, with or without a home: for files whose code asks without one.
    """
    from memdb.demo import corpus

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "documents"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setattr(corpus, "_read", {})
        corpus.documents(home=shared)
        read = corpus._read
    corpus._read.update(read)
    return shared / "corpus"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's wheel, built once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "dist"
    out.mkdir(exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(out.glob("*.whl")):
            words = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)]
            built = subprocess.run(words, capture_output=True, text=True, check=False)
            assert built.returncode == 0, built.stdout + built.stderr
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """MEMDB_HOME of the whole run: tests never see the user's own data or settings."""
    with pytest.MonkeyPatch.context() as patch:
        for field, row in SETTINGS.items():
            # The engine itself may be chosen from outside, e.g. to test against another server.
            if not field.startswith("engine_"):
                patch.delenv(row.name, raising=False)
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("MEMDB_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One empty local engine for the run, without a log, under a home of its own."""
    with local_engine.start(tmp_path_factory.mktemp("engine"), log=False) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def server_target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The engine's target, or that of `--url`: writable."""
    url = request.config.getoption("url")
    if not url:
        yield request.getfixturevalue("engine").target
        return
    target = Target.parse(url, writable=True)
    emptied(target, disposable=request.config.getoption("disposable"))
    yield target
    emptied(target, disposable=True)


@pytest.fixture(scope="session")
def demo_target(
    request: pytest.FixtureRequest, home: Path, corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A second engine that holds a small demo: 2,000 documents, 200 sessions. For reading.

    With `--url` there is one server alone, and the demo lies beside what the tests make.
    """
    from memdb.demo import loader

    shutil.copytree(corpus_folder, home / "corpus", dirs_exist_ok=True)
    with ExitStack() as stack:
        if request.config.getoption("url"):
            target = request.getfixturevalue("server_target")
        else:
            folder = tmp_path_factory.mktemp("demo")
            running = stack.enter_context(local_engine.start(folder, log=False))
            running.wait_ready()
            target = running.target
        with connect(target) as client:
            loader.load(client, home=home, docs=2000, users=40, sessions=200)
            _outlive_the_run(client)
        yield target


@pytest.fixture(scope="session")
def abilities(server_target: Target) -> Server:
    """What the server can."""
    return Server(server_target)


@pytest.fixture(autouse=True)
def needed(request: pytest.FixtureRequest) -> None:
    """Skip what the server cannot: `@pytest.mark.needs(…)`."""
    for mark in request.node.iter_markers("needs"):
        server: Server = request.getfixturevalue("abilities")
        lacking = [name for name in mark.args if not server.can(name)]
        if lacking:
            pytest.skip(f"the server lacks: {', '.join(lacking)}")


def emptied(target: Target, *, disposable: bool) -> None:
    """Remove everything of a server that is empty already, or that somebody called disposable."""
    with redis.Redis.from_url(target.url, protocol=2, driver_info=None) as client:
        names = client.execute_command("FT._LIST")
        if (client.dbsize() or names) and not disposable:
            pytest.exit(
                f"{target.address} holds {client.dbsize():,} keys and {len(names)} indexes, and tests remove "
                "everything. Name an empty server, or say that this one is disposable (DISPOSABLE=yes).",
                returncode=2,
            )
        for name in names:
            client.execute_command("FT.DROPINDEX", name)
        client.flushall()


def _outlive_the_run(client: Client) -> None:
    """Give each session a day more, so that a count does not depend on how long the tests before it took."""
    cursor = b"0"
    while True:
        cursor, keys = client.execute("SCAN", cursor, "MATCH", "session:*", "COUNT", 1000)
        for key in keys:
            left_ms = client.execute("PTTL", key)
            if left_ms > 0:
                client.execute("PEXPIRE", key, left_ms + 86_400_000)
        if cursor == b"0":
            return


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long calls take is measured by few of them: for tests of recall, of which it says nothing.

    Most of what a sweep costs are these calls, up to 1,000 at each EF_RUNTIME.
    """
    monkeypatch.setattr(timing, "LEAST_CALLS", 20)
    monkeypatch.setattr(timing, "LATENCY_S", 0.02)
    monkeypatch.setattr(timing, "THROUGHPUT_S", 0.05)


@pytest.fixture(autouse=True)
def no_notices() -> None:
    """Files that another test damaged are told once in a process: not in this test."""
    files.NOTICES.clear()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A start for key and index names that no other test uses, e.g. `t3f9c1q:`.

    Of the test's name, not random: what is drawn from an index is drawn by its keys, so a measurement is of the
    same documents in every run.
    """
    digest = hashlib.blake2b(request.node.nodeid.encode(), digest_size=5).digest()
    return f"t{base64.b32encode(digest).decode().lower()[:6]}:"


@pytest.fixture
def client(server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client. Indexes and keys whose names begin with `prefix` are gone afterwards."""
    with connect(server_target) as opened:
        yield opened
        clean(opened, prefix)


def clean(client: Client, prefix: str) -> None:
    """Remove every index and key whose name begins with `prefix`."""
    for name in map(replies.text, replies.items(client.execute("FT._LIST"))):
        if name.startswith(prefix) or shadow.base_of(name).startswith(prefix):
            client.execute("FT.DROPINDEX", name)
    cursor = b"0"
    while True:
        cursor, keys = client.execute("SCAN", cursor, "MATCH", prefix + "*", "COUNT", 1000)
        if keys:
            client.execute("DEL", *keys)
        if cursor == b"0":
            return
