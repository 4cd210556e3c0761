"""Every page against a server that speaks MemoryDB's dialect (tests/standins/memorydb.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.embedding.local import embed
from memdb.errors import Busy
from memdb.tuning import plan
from memdb.ui.frame import PAGES
from memdb.vectors.filters import Tag
from memdb.vectors.index import index_info
from memdb.vectors.query import KnnRequest
from memdb.vectors.search import knn, tag_values
from tests.app.test_search_page import ENTRY, SEARCH, calm, hits, texts
from tests.standins import Standin, memorydb
from tests.waiting import PATIENCE_S

MOST_SEARCHES = 150  # of opening a page: the demo has some 700 values of TAG fields
FILES = sorted(page[0] for pages in PAGES.values() for page in pages)


@pytest.fixture
def proxy(demo_target: Target) -> Iterator[Standin]:
    with memorydb(demo_target) as running:
        yield running


@pytest.fixture
def app(proxy: Standin, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("MEMDB_URL", proxy.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", proxy.target.password)
    monkeypatch.setenv("MEMDB_HOME", str(home / "memorydb"))
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def test_the_library_finds_the_same_as_on_the_engine(proxy: Standin, demo_target: Target) -> None:
    (vector,) = embed(["read a csv file"])
    request = KnnRequest(
        "idx:embeddings", vector.tobytes(), "embedding", 10, 64, Tag("service", ("s3",)), ("title",)
    )
    with connect(proxy.target) as client:
        info = index_info(client, "idx:embeddings")
        found = knn(client, request, info).keys
        assert info.vector_field()[1].m == 16
        assert client.server.dialect.name == "memorydb"
        assert not plan.plan(client, request, info).source.startswith("counters")
        services = tag_values(client, info, "service")
        few = tag_values(client, info, "service", counted=3)
        assert few.known == services[:3]
        assert sorted(few.uncounted) == sorted(v.value for v in services[3:])
        assert few.complete
    with connect(demo_target) as client:
        info = index_info(client, "idx:embeddings")
        assert info.vector_field()[1].m == 16
        assert knn(client, request, info).keys == found
        assert len(found) == 10
        assert tag_values(client, info, "service") == services
    assert proxy.searches_refused == []


@pytest.mark.parametrize("file", FILES)
def test_every_page_opens(app: AppTest, proxy: Standin, file: str) -> None:
    st.cache_data.clear()  # what the first page read
    proxy.searches = 0
    app.switch_page(str(app_folder() / "pages" / file)).run()
    assert calm(app), texts(app)
    assert proxy.searches < MOST_SEARCHES
    assert proxy.searches_refused == []


def test_home_counts_the_values_it_shows_and_says_what_it_does_not_count(
    app: AppTest, proxy: Standin, demo_target: Target
) -> None:
    app.query_params["index"] = "idx:embeddings"
    app.switch_page(str(app_folder() / "pages" / "explore" / "home.py")).run()
    with connect(demo_target) as client:
        every = {
            v.value: v.documents for v in tag_values(client, index_info(client, "idx:embeddings"), "service")
        }
    (table,) = [frame.value for frame in app.dataframe if "service" in frame.value]
    shown = dict(zip(table["service"], table["documents"], strict=True))
    assert 8 <= len(shown) < len(every)
    assert shown == {value: every[value] for value in shown}
    assert min(shown.values()) >= max(n for value, n in every.items() if value not in shown)
    assert f"{len(every) - len(shown):,} further values are not counted" in texts(app)


def test_search_shows_hits_and_what_memorydb_lacks(app: AppTest, proxy: Standin) -> None:
    assert "MemoryDB" in texts(app.run())
    app.query_params["search.q"] = "restore a table"
    app.switch_page(str(SEARCH)).run()
    assert calm(app), texts(app)
    assert len(hits(app)) == 10
    assert proxy.searches_refused == []


def test_while_the_index_is_built_the_page_says_so(app: AppTest, proxy: Standin) -> None:
    proxy.building = True
    with connect(proxy.target) as client, pytest.raises(Busy, match="built"):
        client.execute("FT.SEARCH", "idx:embeddings", "*", "LIMIT", 0, 0, "DIALECT", 2)
    app.query_params["search.q"] = "restore a table"
    app.switch_page(str(SEARCH)).run()
    assert not app.exception
    assert "built" in texts(app) or "building" in texts(app)


def test_a_wrong_password_is_told_by_the_proxy_too(proxy: Standin) -> None:
    from memdb.errors import LoginFailed

    with connect(replace(proxy.target, password="wrong")) as client, pytest.raises(LoginFailed):
        client.execute("PING")
