"""Every page against a server that speaks valkey-search's language (tests/standins/valkey.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.ui.frame import PAGES
from tests.app.test_search_page import ENTRY, SEARCH, calm, hits, texts
from tests.standins import Standin, valkey_search
from tests.standins.valkey import ValkeySearch
from tests.waiting import PATIENCE_S

# The presentation, which prepares itself beside what follows it, is the last one.
FILES = sorted((page[0] for pages in PAGES.values() for page in pages), key=lambda file: file == "present.py")
OF_AN_INDEX = ("search.py", "map.py", "assistant.py", "tune/recall.py", "tune/indexes.py")


@pytest.fixture
def standin(demo_target: Target) -> Iterator[Standin]:
    with valkey_search(demo_target) as running:
        yield running


@pytest.fixture
def app(standin: Standin, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("MEMDB_URL", standin.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", standin.target.password)
    monkeypatch.setenv("MEMDB_HOME", str(home / "valkey"))
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def test_every_page_opens(app: AppTest, standin: Standin) -> None:
    for file in FILES:
        app.switch_page(str(app_folder() / "pages" / file)).run()
        assert calm(app), (file, texts(app))
        assert standin.searches_refused == [], file


def said(app: AppTest) -> str:
    """The page's words without the signs that escape them."""
    return texts(app).replace("\\", "")


def test_while_the_index_is_built_every_page_of_it_says_so(app: AppTest, standin: Standin) -> None:
    standin.building = True
    app.run()
    assert "is still being built" in said(app)  # Home
    pages = [file for file in FILES if file.endswith(OF_AN_INDEX)]
    assert len(pages) >= len(OF_AN_INDEX)
    for file in pages:
        app.switch_page(str(app_folder() / "pages" / file)).run()
        assert not app.exception, file
        assert "is still being built" in said(app), file


@pytest.mark.parametrize("view", ["Table", "Cards", "Against exact"])
def test_search_marks_hits_that_break_the_filter(app: AppTest, standin: Standin, view: str) -> None:
    app.query_params["search.q"] = "restore a table"
    app.query_params["search.raw"] = "@title:table @year:[2000 2100]"
    app.query_params["search.view"] = view
    app.switch_page(str(SEARCH)).run()
    assert calm(app), texts(app)
    warned = [str(warning.value).replace("\\", "") for warning in app.warning]
    assert ["hits break the filter" in words for words in warned] == [True]
    assert "a fault of valkey-search 1.2" in warned[0]
    assert standin.searches_refused == []


def test_the_table_names_the_hits_that_break_the_filter(app: AppTest) -> None:
    app.query_params["search.q"] = "restore a table"
    app.query_params["search.raw"] = "@title:table @year:[2000 2100]"
    app.switch_page(str(SEARCH)).run()
    rows = hits(app)
    marked = rows["filter"] == "breaks it"
    assert 0 < marked.sum() <= len(rows) == 10
    holds = rows["title"].str.lower().str.contains(r"\btables?\b")  # as a word, in either number
    assert not (holds & marked).any()
    assert holds[~marked].all()


def test_a_filter_that_cannot_be_counted_is_searched_all_the_same(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """valkey-search 1.0, and ElastiCache 8.2: no FT.AGGREGATE, and queries with a KNN clause alone."""
    monkeypatch.setattr(ValkeySearch, "commands", ValkeySearch.commands - {"FT.AGGREGATE"})
    with valkey_search(demo_target) as standin:
        monkeypatch.setenv("MEMDB_URL", standin.target.address)
        monkeypatch.setenv("MEMDB_PASSWORD", standin.target.password)
        monkeypatch.setenv("MEMDB_HOME", str(home / "valkey"))
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
        app.query_params["search.q"] = "restore a table"
        app.query_params["search.raw"] = "@service:{dynamodb}"
        app.switch_page(str(SEARCH)).run()
        assert calm(app), texts(app)
        assert "answers only queries with a KNN clause" in said(app)
        rows = hits(app)
        assert len(rows) == 10
        assert set(rows["service"]) == {"dynamodb"}
        assert standin.searches_refused == []
