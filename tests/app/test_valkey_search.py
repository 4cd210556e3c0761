"""Every page against a server that speaks valkey-search's language (tests/standins/valkey.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.ui.frame import PAGES
from tests.app.test_search_page import ENTRY, SEARCH, calm, texts
from tests.standins import Standin, valkey_search
from tests.waiting import PATIENCE_S

FILES = sorted(page[0] for pages in PAGES.values() for page in pages)
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
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()


@pytest.mark.parametrize("file", FILES)
def test_every_page_opens(app: AppTest, standin: Standin, file: str) -> None:
    app.switch_page(str(app_folder() / "pages" / file)).run()
    assert calm(app), texts(app)
    assert standin.searches_refused == []


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(OF_AN_INDEX)])
def test_while_the_index_is_built_every_page_of_it_says_so(app: AppTest, standin: Standin, file: str) -> None:
    standin.building = True
    app.switch_page(str(app_folder() / "pages" / file)).run()
    assert not app.exception
    assert "is still being built" in texts(app)


@pytest.mark.parametrize("view", ["Table", "Cards", "Against exact"])
def test_search_marks_hits_that_break_the_filter(app: AppTest, standin: Standin, view: str) -> None:
    app.query_params["search.q"] = "restore a table"
    app.query_params["search.raw"] = "@title:table @year:[2000 2100]"
    app.query_params["search.view"] = view
    app.switch_page(str(SEARCH)).run()
    assert calm(app), texts(app)
    assert "valkey-search 1.2" in texts(app)
    assert "break the filter" in texts(app)
    assert standin.searches_refused == []
