"""Every page on three shards of valkey-search, with all of them there and with one out of reach."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.demo import loader
from memdb.demo.app import app_folder
from memdb.tuning import queries, store
from memdb.tuning.by_shard import by_shard
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.source import Selected
from memdb.tuning.sweep import sweep
from memdb.ui.frame import PAGES
from memdb.vectors.index import index_info
from tests.app.test_search_page import ENTRY, SEARCH, calm, hits, texts
from tests.standins import Shard, valkey_cluster
from tests.waiting import PATIENCE_S

FILES = sorted(page[0] for pages in PAGES.values() for page in pages)
DOCS = 300


@pytest.fixture(scope="module")
def shards(
    home: Path, corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shard, ...]]:
    """Three shards with a small demo."""
    shutil.copytree(corpus_folder, home / "corpus", dirs_exist_ok=True)
    folder = tmp_path_factory.mktemp("cluster")
    with local_engine.start(folder, cluster=True, shards=3, log=False) as running:
        running.wait_ready()
        with valkey_cluster(running) as served:
            with connect(replace(served[0].target, writable=True)) as client:
                loader.load(client, home=home, docs=DOCS, users=10, sessions=30)
            yield served


@pytest.fixture
def app(shards: tuple[Shard, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    monkeypatch.setenv("MEMDB_URL", shards[0].target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", shards[0].target.password)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    yield AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    for shard in shards:
        shard.down = False
        shard.refused.clear()


def said(app: AppTest) -> str:
    """The page's words without the signs that escape them."""
    return texts(app).replace("\\", "")


def opened(app: AppTest, file: str) -> AppTest:
    return app.switch_page(str(app_folder() / "pages" / file)).run()


def test_every_page_opens(app: AppTest, shards: tuple[Shard, ...]) -> None:
    app.run()
    for file in FILES:
        opened(app, file)
        assert not app.exception, (file, [e.value for e in app.exception])
        if file != "tune/relevance.py":  # it wants labels
            assert not app.error, (file, [e.value for e in app.error])
    assert [words for shard in shards for words in shard.searches_refused] == []


@pytest.mark.parametrize("out", [None, 0, 2])
def test_search_is_of_all_shards_or_names_the_one_that_is_missing(
    app: AppTest, shards: tuple[Shard, ...], out: int | None
) -> None:
    app.run()
    if out is not None:
        shards[out].down = True
    app.query_params["search.q"] = f"restore a table {out}"
    app.switch_page(str(SEARCH)).run()
    assert not app.exception
    owners = [shards.index(shards[0].owner(key.encode())) for key in hits(app)["key"]]
    assert len(owners) == 10
    assert out not in owners
    warned = [str(warning.value).replace("\\", "") for warning in app.warning]
    named = "" if out is None else f"The shard at 127.0.0.1:{shards[out].target.port} does not answer"
    assert any(named and named in words for words in warned) is (out is not None)
    assert any("these are the nearest documents of the others only" in words for words in warned) is bool(
        named
    )


def test_every_page_with_a_shard_out_of_reach(app: AppTest, shards: tuple[Shard, ...]) -> None:
    shards[1].down = True
    app.run()
    assert f"The shard at 127.0.0.1:{shards[1].target.port} does not answer" in said(app)  # Home
    for file in FILES:
        opened(app, file)
        assert not app.exception, (file, [e.value for e in app.exception])


@pytest.mark.usefixtures("briefly")
def test_recall_is_shown_by_shard(app: AppTest, shards: tuple[Shard, ...], tmp_path: Path) -> None:
    with connect(shards[0].target) as client:
        name = loader.DOCUMENTS.name
        info = index_info(client, name)
        _, listed = client.execute("SCAN", 0, "MATCH", f"{info.prefixes[0]}*", "COUNT", 100)
        keys = tuple(key.decode() for key in listed[:12])
        request = SweepRequest(
            name, k=5, ef_max=12, goal=Goal("recall", 0.5), concurrency=(), source=Selected(keys)
        )
        run = sweep(client, info, request, queries.of_keys(client, info, "", keys))
    store.save(run, tmp_path)
    app.run()
    app.query_params["index"] = name
    opened(app, "tune/recall.py")
    assert calm(app), texts(app)
    assert "###### by shard" in texts(app)
    told = next(frame.value for frame in app.dataframe if "neighbours" in frame.value.columns)
    at = [row for point in run.points for row in by_shard(run, point.ef_runtime)]
    assert list(told["address"]) == [row.address for row in at]
    assert list(told["neighbours"]) == [row.neighbours for row in at]
    assert list(told["recall"]) == pytest.approx([row.recall for row in at], nan_ok=True)


def test_the_indexes_page_tells_what_each_shard_holds(app: AppTest, shards: tuple[Shard, ...]) -> None:
    held = {}
    for shard in shards:
        behind = shard.engine
        with redis.Redis(port=behind.port, password=behind.password or None, driver_info=None) as client:
            mine = sum(1 for _ in client.scan_iter("doc:*", count=1_000))
        held[f"127.0.0.1:{shard.target.port}"] = mine
    assert sum(held.values()) == DOCS
    app.run()
    app.query_params["index"] = loader.DOCUMENTS.name
    opened(app, "tune/indexes.py")
    assert calm(app), texts(app)
    told = next(frame.value for frame in app.dataframe if "shard" in frame.value.columns)
    assert dict(zip(told["shard"], told["documents"], strict=True)) == held
    assert set(told["state"]) == {"ready"}
