"""Charts and tables, which a browser test cannot read: what they are given of hostile names and values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from tests import hostile
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
HIDDEN = re.compile("[\u202e\u200b]")
VIEWS = {
    "explore/home.py": {},
    "explore/search.py": {"search.q": "anything"},
    "explore/sessions.py": {"sessions.view": "Overview"},
    "tune/recall.py": {"recall.view": "Runs"},
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path]]:
    home = tmp_path_factory.mktemp("hostile")
    with local_engine.start(home / "engine-home", log=False) as running:
        running.wait_ready()
        hostile.kept(home, hostile.fill(running.target))
        yield running.target, home


@pytest.mark.parametrize("file", VIEWS)
def test_charts_and_tables_are_given_text_that_means_nothing(
    filled: tuple[Target, Path], monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    target, home = filled
    for name, value in environment(target, home).items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    app.switch_page(str(app_folder() / "pages" / file))
    for name, value in VIEWS[file].items():
        app.query_params[name] = value
    app.run().run()
    assert not app.exception
    specs = [str(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert [s for s in specs if "<img" in s or "<a " in s or "\\u003cimg" in s or HIDDEN.search(s)] == []
    tables = [table.value for table in app.dataframe]
    told = [str(text) for table in tables for text in [*table.columns, *table.to_numpy().ravel()]]
    assert [text for text in told if HIDDEN.search(text) or len(text) > 1_000] == []
    assert any(hostile.HOST in text for text in [*specs, *told])
