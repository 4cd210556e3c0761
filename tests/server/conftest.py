"""Servers that several files of this folder use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with JSON documents for one file of tests."""
    with local_engine.start(tmp_path_factory.mktemp("own"), log=False, json=True) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def server(own_engine: Engine) -> Iterator[Client]:
    """Its writable client. All keys and indexes are gone afterwards."""
    with connect(own_engine.target) as opened:
        yield opened
        cursor = b"0"
        while True:
            cursor, keys = opened.execute("SCAN", cursor, "COUNT", 10_000)
            if keys:
                opened.execute("DEL", *keys)
            if cursor == b"0":
                break
        for name in opened.execute("FT._LIST"):
            opened.execute("FT.DROPINDEX", name)
