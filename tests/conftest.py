"""Fixtures for every layer. The engine is a real one; nothing stands in for it."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from memdb.cluster import engine as local_engine
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.settings import SETTINGS

# What an example may find must not depend on how busy the machine is.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

LONG_FIRST = (
    "test_calibration",
    "browser/test_tune",
    "test_package",
    "browser/",
    "test_unseen",
    "app/",
    "server/",
)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts tests in the background ignores SIGINT, and every child would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: what begins last would be waited for while other workers have nothing left to do."""
    items.sort(key=lambda item: next((n for n, part in enumerate(LONG_FIRST) if part in item.nodeid), 99))


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's documents as a home keeps them, read once for all workers of a run."""
    from memdb.demo import corpus

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "documents"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch.setattr(corpus, "_read", {})
        corpus.documents(home=shared)
    return shared / "corpus"


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
def server_target(engine: Engine) -> Target:
    """The engine's target: writable."""
    return engine.target


@pytest.fixture(scope="session")
def demo_target(
    home: Path, corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A second engine that holds a small demo: 2,000 documents, 200 sessions. For reading."""
    from memdb.demo import loader

    shutil.copytree(corpus_folder, home / "corpus", dirs_exist_ok=True)
    with local_engine.start(tmp_path_factory.mktemp("demo"), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            loader.load(client, home=home, docs=2000, users=40, sessions=200)
            _outlive_the_run(client)
        yield running.target


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
def prefix() -> str:
    """A start for key and index names that no other test uses, e.g. `t3f9c1:`."""
    return f"t{uuid.uuid4().hex[:6]}:"


@pytest.fixture
def client(server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client. Indexes and keys whose names begin with `prefix` are gone afterwards."""
    with connect(server_target) as opened:
        yield opened
        clean(opened, prefix)


def clean(client: Client, prefix: str) -> None:
    """Remove every index and key whose name begins with `prefix`."""
    for name in map(replies.text, replies.items(client.execute("FT._LIST"))):
        if name.startswith(prefix):
            client.execute("FT.DROPINDEX", name)
    cursor = b"0"
    while True:
        cursor, keys = client.execute("SCAN", cursor, "MATCH", prefix + "*", "COUNT", 1000)
        if keys:
            client.execute("DEL", *keys)
        if cursor == b"0":
            return
