"""The pages about searching in a browser, on the stand-ins for valkey-search, of one shard and three, and MemoryDB.

`tests/app/test_engines.py` holds their figures on all three engines; this is what a person then sees of them.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import redis
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.demo import loader
from memdb.demo.app import App
from memdb.embedding.local import embed
from memdb.ports import free_port
from memdb.sessions import append, formats, store
from memdb.tuning import store as runs
from tests.browser.conftest import drawn
from tests.standins import Standin, memorydb, valkey_cluster, valkey_search
from tests.waiting import PATIENCE_S, until

QUESTION = "How do I restore a table to a point in time?"
LONG_MS = 2_000 * PATIENCE_S  # a sweep or a map, on a cold app beside other tests


@dataclass(frozen=True)
class Front:
    """A stand-in with an app on it, and what lies in the demo behind both."""

    standins: tuple[Standin, ...]  # one, or one before each shard
    address: str
    home: Path
    keys: tuple[str, ...]
    vectors: NDArray[np.float64]  # (documents, dim)
    years: NDArray[np.float64]  # NaN where a document has none

    def distances(self, text: str) -> NDArray[np.float64]:
        """Cosine distances of all documents to a text."""
        query = embed([text])[0].astype(np.float64)
        lengths = np.linalg.norm(self.vectors, axis=1) * np.linalg.norm(query)
        return 1 - self.vectors @ query / lengths


@pytest.fixture(params=["valkey-search", "memorydb", "three shards"])
def front(request: pytest.FixtureRequest, home: Path, corpus_folder: Path, tmp_path: Path) -> Iterator[Front]:
    with ExitStack() as stack:
        if request.param == "three shards":
            shutil.copytree(corpus_folder, home / "corpus", dirs_exist_ok=True)
            started = local_engine.start(tmp_path / "cluster", cluster=True, shards=3, log=False)
            running = stack.enter_context(started)
            running.wait_ready()
            standins: tuple[Standin, ...] = stack.enter_context(valkey_cluster(running))
            behind = [shard.engine for shard in standins]
            with connect(replace(standins[0].target, writable=True)) as client:
                loader.load(client, home=home, docs=300, users=10, sessions=30)
        else:
            demo = request.getfixturevalue("demo_target")
            made = {"valkey-search": valkey_search, "memorydb": memorydb}[request.param]
            standins, behind = (stack.enter_context(made(demo)),), [demo]
        keys, rows = [], []
        for engine in behind:
            with redis.Redis(port=engine.port, password=engine.password or None, driver_info=None) as client:
                keys += [key.decode() for key in client.scan_iter("doc:*", count=1_000)]
                rows += [client.hmget(key, "embedding", "year") for key in keys[len(rows) :]]
        app = App(replace(standins[0].target, writable=True), port=free_port(), home=tmp_path / "home")
        stack.callback(app.stop)
        until(lambda: app.answers() or app.status() is not None, "the app answers")
        yield Front(
            standins,
            app.url,
            tmp_path / "home",
            tuple(keys),
            np.array([np.frombuffer(row[0], "<f4") for row in rows], np.float64),
            np.array([float(row[1] or "nan") for row in rows]),
        )


def opened(page: Page, front: Front, path: str) -> None:
    page.goto(f"{front.address}/{path}")
    calm(page)


def calm(page: Page) -> None:
    """All is drawn, and nothing went wrong."""
    drawn(page)
    for sign in ("stException", "stAlertContentError"):
        expect(page.get_by_test_id(sign)).to_have_count(0)


def test_search_map_recall_indexes_and_assistant(front: Front, page: Page) -> None:
    early, late = np.nanpercentile(front.years, (30, 70)).astype(int)
    count = len(front.keys)
    under = (front.years >= early) & (front.years <= late)
    near = np.sort(front.distances(QUESTION)[under])
    expression = quote(f"@year:[{early} {late}]")
    opened(
        page,
        front,
        f"search?search.q={quote(QUESTION)}&search.raw={expression}&search.view=Cards&search.ef=1000",
    )
    expect(page.get_by_text(f"{under.sum():,} of {count:,} documents match")).to_be_visible()
    for distance in near[:3]:
        expect(page.get_by_text(f"distance {distance:.4f} ").first).to_be_visible()

    opened(page, front, "map?map.n=200")
    page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(f"Showing 200 of {count:,}, random, seed 0")).to_be_visible(timeout=LONG_MS)
    calm(page)
    question = page.get_by_role("textbox", name="On the map")
    question.fill(front.keys[7])
    question.press("Enter")
    expect(page.get_by_text(re.compile(r"recall@10")).first).to_be_visible(timeout=LONG_MS)
    calm(page)

    opened(page, front, "recall?recall.n=12&recall.clients=none&recall.target=0.3&recall.extend=false")
    page.get_by_role("button", name="Run the sweep").click()
    until(lambda: bool(runs.listed(front.home)), "the run is kept", 2 * PATIENCE_S)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden(timeout=LONG_MS)
    calm(page)
    (saved,) = runs.listed(front.home)
    run = runs.load(front.home, saved.id)
    unit = front.vectors / np.linalg.norm(front.vectors, axis=1, keepdims=True)
    asked = run.queries.vectors / np.linalg.norm(run.queries.vectors, axis=1, keepdims=True)
    exact = np.sort(1 - asked @ unit.T, axis=1)
    own = any(run.queries.own_keys)  # a document as a query is no neighbour of itself
    assert run.truth.distances[:, :5] == pytest.approx(exact[:, int(own) : 5 + int(own)], abs=1e-5)
    assert run.recommendation is not None
    expect(page.get_by_text(run.recommendation.sentence).first).to_be_visible()

    opened(page, front, "indexes")
    expect(page.get_by_text("Memory and build time").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()

    with connect(replace(front.standins[0].target, writable=True)) as client:
        key = append.create(client, f"t{uuid.uuid4().hex[:8]}", "user001", ttl_s=600)
        try:
            session = quote(key.removeprefix(formats.SESSION_PREFIX))
            opened(
                page,
                front,
                f"assistant?assistant.user=user001&assistant.session={session}&assistant.weight=0.0",
            )
            box = page.get_by_test_id("stChatInputTextArea")
            box.fill(QUESTION)
            box.press("Enter")
            expect(page.get_by_text(re.compile(r"\(2 turns\)"))).to_be_visible()
            calm(page)
            assert [turn.role for turn in store.read(client, key).turns] == ["user", "assistant"]
        finally:
            client.execute("DEL", key)  # the demo is for reading: others count its sessions
    assert [standin.searches_refused for standin in front.standins] == [[] for _ in front.standins]
