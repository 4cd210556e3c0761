"""The Metrics page: each view on real samples, switched off, and thresholds that are kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.operations import history
from memdb.operations.past import Past
from memdb.operations.sampler import THRESHOLDS, thresholds_of
from memdb.ui.kit import cached
from memdb.ui.metrics import page as metrics_page
from memdb.watch.series import Measurement, Watch
from tests.waiting import PATIENCE_S, until

ENTRY = Path(__file__).parent.parent.parent / "memdb/ui/entry.py"
PAGE = Path(__file__).parent.parent.parent / "pages/operate/metrics.py"


@pytest.fixture
def past(demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "0.5")
    return Past(history.path_of(tmp_path, demo_target))


def app_at(view: str) -> AppTest:
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.query_params["metrics.view"] = view
    return app.switch_page(str(PAGE)).run()


def test_every_view_draws_what_was_sampled(past: Past) -> None:
    app = app_at("Overview")
    assert not app.exception
    until(lambda: (past.span() or (0, 0))[1] > (past.span() or (0, 0))[0], "two samples")
    until(lambda: past.last_split(past.nodes()[0].address, 4e9) is not None, "a split")
    for view in metrics_page.VIEWS:
        app.segmented_control(key="metrics.view").set_value(view).run()
        assert not app.exception, view
        assert not app.error, view
    app.segmented_control(key="metrics.view").set_value("Overview").run()
    assert {m.label for m in app.metric} >= {"Memory", "CPU", "Connections"}
    assert any("data " in c.value and "one for all browsers" in c.value for c in app.caption)
    app.segmented_control(key="metrics.view").set_value("Memory").run()
    assert "Vectors in indexes" in list(app.dataframe[0].value["part"])
    app.segmented_control(key="metrics.view").set_value("Index build").run()
    rows = app.dataframe[0].value.to_dict("records")
    row = next(one for one in rows if one["index"] == "idx:embeddings")
    assert (row["state"], row["built"], row["gap"]) == ("ready", 1.0, "+0")
    assert any("does not exist on MemoryDB" in c.value for c in app.caption)


def test_the_probe_of_a_ready_index_looks_once(past: Past) -> None:
    app = app_at("Index build")
    until(lambda: past.nodes() != (), "a sample")
    app.run()
    app.selectbox(key="metrics.probe_index").set_value("idx:embeddings").run()
    app.button(key="metrics.probe").click().run()
    assert not app.exception
    job = cached.jobs().get(app.session_state["metrics.probe_job"].id)
    assert job is not None
    until(lambda: job.state.status != "running", "the probe ends")
    assert job.error is None
    app.run()
    assert not app.exception
    assert any("truth from 2,000 keys" in m.value for m in app.markdown)


def test_thresholds_are_kept_for_all_who_look_and_raise_a_strip(past: Past) -> None:
    app = app_at("Alerts")
    until(lambda: past.nodes() != (), "a sample")
    app.run()
    # a busy machine may raise alerts of its own; that of connections waits for its threshold
    assert [s.value for s in app.success] or "what to do" in app.dataframe[0].value
    assert not any("CLIENT LIST" in w.value for w in app.warning)
    app.number_input(key="metrics.clients").set_value(0)
    app.button(key="FormSubmitter:metrics.thresholds-Keep").click().run()
    assert not app.exception
    assert thresholds_of(past.kept(THRESHOLDS)).connections == 0.0
    assert thresholds_of(past.kept(THRESHOLDS)).cpu == 0.7
    until(lambda: any(e.kind == "alert" for e in past.events(0, 4e9)), "the alert is raised")
    app.run()
    assert any("CLIENT LIST" in w.value for w in app.warning)
    assert any(", see Metrics" in c.value for c in app.sidebar.caption)


def test_pausing_holds_the_view(past: Past) -> None:
    app = app_at("Overview")
    until(lambda: past.nodes() != (), "a sample")
    app.toggle(key="metrics.pause").set_value(True).run()
    held = app.session_state[metrics_page.PAUSED]
    app.run()
    assert app.session_state[metrics_page.PAUSED] == held
    assert any("**paused**" in c.value for c in app.caption)
    app.toggle(key="metrics.pause").set_value(False).run()
    assert metrics_page.PAUSED not in app.session_state


def test_switched_off_says_how_to_switch_it_on(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "0")
    app = app_at("Overview")
    assert not app.exception
    assert any("Sampling is switched off" in m.value for m in app.markdown)


def test_a_wrong_setting_or_a_damaged_history_takes_no_other_page_down(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_WEBHOOK", "no address")
    home_page = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    assert not home_page.exception
    assert any("no metrics" in c.value for c in home_page.sidebar.caption)
    app = home_page.switch_page(str(PAGE)).run()
    assert not app.exception
    assert any("MEMDB_WEBHOOK" in str(e.proto).replace("\\", "") for e in app.error)
    monkeypatch.delenv("MEMDB_WEBHOOK")
    past.path.parent.mkdir(parents=True, exist_ok=True)
    past.path.write_text("no database " * 100)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    assert not app.exception
    app = app.switch_page(str(PAGE)).run()
    assert not app.exception
    assert any(past.path.name in str(e.proto).replace("\\", "") for e in app.error)


def test_recall_that_is_watched_is_drawn_and_its_alert_stands_everywhere(
    past: Past, demo_target: Target
) -> None:
    AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()  # the first sample
    app = app_at("Recall")
    assert any("No recall is watched" in str(m.value) for m in app.markdown)
    watch = Watch("idx:embeddings", ef_runtime=32, target=0.9)
    for n, recall in enumerate((0.95, None, 0.85)):
        bounds = (None, None) if recall is None else (recall - 0.01, recall + 0.01)
        row = Measurement(
            1e9 + n, watch, 5 if n == 2 else 500, "made queries", recall, *bounds, 1_000 + n, "ready", 1.0, "r", "d", None, None,
            problem="" if recall else "it is being built", changes=("It holds 1 documents more.",) if n else (),
        )  # fmt: skip
        history.add_recall(past.path, watch.name, row.at, asdict(row), [])
    st.cache_data.clear()
    app.run()
    assert not app.exception
    told = [error.value.replace("\\", "") for error in app.error]
    assert any("is 0.850 (0.840 to 0.860); the target is 0.9" in each for each in told)
    captions = [caption.value.replace("\\", "") for caption in app.caption]
    assert any("5 queries are too few for recall@10 ≥ 0.9 with 95" in each for each in captions)
    table = app.dataframe[0].value
    assert table["recall"].tolist()[::2] == [0.85, 0.95]  # the newest first
    assert table["not measured"].tolist() == ["", "it is being built", ""]
    app.segmented_control(key="metrics.view").set_value("Alerts").run()
    assert "recall idx:embeddings" in list(app.dataframe[0].value["figure"])
    assert any("alert, see Metrics" in caption.value for caption in app.caption)
