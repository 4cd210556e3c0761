"""A size that cannot be true is not shown, and named, on Home and on the Metrics page."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.demo.app import environment
from memdb.operations import history
from memdb.operations.past import Past
from memdb.vectors.index import HnswField
from tests.server.test_impossible_figures import EMPTIED, empty
from tests.waiting import PATIENCE_S, until

ENTRY = Path(__file__).parent.parent.parent / "memdb/ui/entry.py"
METRICS = Path(__file__).parent.parent.parent / "pages/operate/metrics.py"


def test_pages_name_what_cannot_be_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_engine.start(tmp_path / "engine", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            empty(client, HnswField("v", 8))
        for name, value in environment(running.target, tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "0.5")
        past = Past(history.path_of(tmp_path / "home", running.target))
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
        assert not app.exception
        assert any(EMPTIED in c.value and "impossible" in c.value for c in app.caption)
        app.query_params["metrics.view"] = "Memory"
        app.switch_page(str(METRICS)).run()
        until(lambda: bool(past.nodes()) and past.last_split(past.nodes()[0].address, 4e9), "a split")
        app.run()
        assert not app.exception
        frames = [frame.value for frame in app.dataframe]
        absent = next(frame for frame in frames if list(frame.columns) == ["figure", "why"])
        assert f"total_bytes of index {EMPTIED}" in list(absent["figure"])
        assert not any("TiB" in frame.to_string() for frame in frames)
