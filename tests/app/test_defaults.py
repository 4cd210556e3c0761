"""A page as it opens asks for what its command asks for without options."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cli.drill import Drill
from memdb.cli.entry import command, parse
from memdb.cli.map import Map
from memdb.cli.recall import Recall
from memdb.cli.search import Search
from memdb.cli.sessions import Sessions
from memdb.cli.size import Size
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
INDEX = ("--index", "idx:embeddings")


@pytest.fixture
def opened(demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


def _values(app: AppTest, page: str) -> dict[str, object]:
    """What the widgets of a page hold before anything was touched."""
    app.switch_page(str(app_folder() / "pages" / page)).run()
    assert not app.exception
    kinds = (
        app.number_input,
        app.selectbox,
        app.select_slider,
        app.toggle,
        app.segmented_control,
        app.text_input,
    )
    return {widget.key: widget.value for kind in kinds for widget in kind if widget.key}


def test_recall(opened: AppTest) -> None:
    made = parse(["recall", *INDEX])
    assert isinstance(made, Recall)
    page = _values(opened, "tune/recall.py")
    assert page["recall.n"] == made.source.count
    assert page["recall.extend"] == made.source.extend
    assert page["recall.by"] == type(made.source).__name__
    assert page["recall.seed"] == made.seed
    assert page["recall.goal"] == "Recall"
    assert made.p99 is None
    assert page["recall.target"] == made.target
    assert page["recall.confidence"] == made.confidence
    assert page["recall.k"] == made.k
    assert page["recall.clients"] == made.clients
    assert page["recall.budget"] == made.budget
    assert page["recall.ef"] == (made.ef_min, made.ef_max)


def test_map(opened: AppTest) -> None:
    made = parse(["map", *INDEX, "--out", "m.csv"])
    assert isinstance(made, Map)
    page = _values(opened, "explore/map.py")
    assert page["map.by"] == made.request.by
    assert page["map.n"] == made.request.count
    assert page["map.seed"] == made.seed
    assert page["map.lseed"] == made.layout_seed
    assert page["map.dims"] == f"{made.dimensions}-D"
    assert page["map.preset"] == "Balanced"
    opened.selectbox(key="map.preset").select("Own").run()
    assert opened.number_input(key="map.nn").value == made.neighbours
    assert opened.number_input(key="map.md").value == made.min_dist


def test_search(opened: AppTest) -> None:
    made = parse(["search", *INDEX, "--text", "a"])
    assert isinstance(made, Search)
    page = _values(opened, "explore/search.py")
    assert (page["search.k"], page["search.ef"], page["search.raw"]) == (made.k, made.ef, "")


def test_sessions(opened: AppTest) -> None:
    made = parse(["sessions"])
    assert isinstance(made, Sessions)
    assert _values(opened, "explore/sessions.py")["sessions.size"] == made.limit


def _plan(target):  # type: ignore[no-untyped-def]  # runs elsewhere, without these imports
    import streamlit as st

    from memdb.ui.plan import form

    st.session_state["asked"] = form.form(target)


def test_size(demo_target: Target, opened: AppTest) -> None:
    made = parse(["size"])
    assert isinstance(made, Size)
    app = AppTest.from_function(_plan, default_timeout=PATIENCE_S, args=(demo_target,)).run()
    assert not app.exception
    asked = app.session_state["asked"]
    assert asked.inputs == made.inputs
    assert asked.profile.name == made.profile


def test_drill(opened: AppTest) -> None:
    made = parse(["drill"])
    assert isinstance(made, Drill)
    page = _values(opened, "operate/durability.py")
    assert page["drill.seconds"] == made.seconds
    assert page["drill.writers"] == made.writers
    assert page["drill.rate"] == made.rate
    assert page["drill.promotion"] == made.promotion


def test_app_and_demo_share_their_options() -> None:
    app, demo = parse(["app"]), parse(["demo"])
    shared = {field.name for _, field in command("app").options()} & {
        f.name for _, f in command("demo").options()
    }
    assert shared == {"port", "no_browser"}
    assert all(getattr(app, name) == getattr(demo, name) for name in shared)
