"""A link, or a tab, that names an index the server does not have: every page says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.ui import frame
from memdb.vectors.index import HnswField, IndexSpec, create
from tests.waiting import PATIENCE_S

ENTRY = Path(frame.__file__).with_name("entry.py")
SPEC = IndexSpec("here", prefixes=("here:",), fields=(HnswField("v", dim=2, metric="L2"),))


def _warnings(app: AppTest) -> list[str]:
    return [w.value for w in app.warning if "not on this server" in w.value]


@pytest.fixture
def app(demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def test_every_page_says_that_the_index_of_its_link_is_not_there(app: AppTest) -> None:
    for file in (page[0] for pages in frame.PAGES.values() for page in pages):
        app.switch_page(str(app_folder() / "pages" / file))
        app.query_params["index"] = "idx:gone *s*"
        app.run()
        assert not app.exception, file
        (said,) = _warnings(app)
        assert "`idx:gone *s*`" in said
        assert f"This page shows `{app.session_state['index']}`" in said, file


def test_an_index_that_came_a_moment_ago_is_there(
    app: AppTest, server_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """The names that another tab has read a second ago are not yet all."""
    for name, value in environment(server_target, home).items():
        monkeypatch.setenv(name, value)
    with connect(server_target) as client:
        AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
        create(client, IndexSpec(f"{prefix}new", (HnswField("v", 2),), (f"{prefix}n:",)))
        app.query_params["index"] = f"{prefix}new"
        app.run()
        client.execute("FT.DROPINDEX", f"{prefix}new")
    assert not _warnings(app)
    assert app.session_state["index"] == f"{prefix}new"


def test_the_warning_goes_with_another_choice_and_does_not_come_without_cause(app: AppTest) -> None:
    app.query_params["index"] = "idx:users"
    app.run()
    assert app.session_state["index"] == "idx:users"
    assert not _warnings(app)
    app.query_params["index"] = "idx:gone"
    app.run()
    assert len(_warnings(app)) == 1
    others = [name for name in app.sidebar.selectbox(key="index").options if name != "idx:users"]
    app.query_params["index"] = others[0]  # as a browser's address then says
    app.sidebar.selectbox(key="index").select(others[0]).run()
    assert app.session_state["index"] == others[0]
    assert not _warnings(app)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Client]:
    with local_engine.start(tmp_path / "own", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            yield client


def test_an_index_that_is_dropped_while_the_page_is_open(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(own.target, home).items():
        monkeypatch.setenv(name, value)
    create(own, SPEC)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    assert app.session_state["index"] == "here"
    own.execute("FT.DROPINDEX", "here")
    st.cache_data.clear()
    app.run()
    (said,) = _warnings(app)
    assert "`here`" in said
    assert "There is no index to show." in said
