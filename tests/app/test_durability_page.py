"""The Durability page: empty, running, finished, and the numbers it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.durability import report
from memdb.durability.drill import DrillRequest, DrillResult, DrillSide, Second
from memdb.ui.kit import cached
from tests.waiting import PATIENCE_S, until

ENTRY = Path(__file__).parent.parent.parent / "memdb/ui/entry.py"
PAGE = Path(__file__).parent.parent.parent / "pages/operate/durability.py"


@pytest.fixture
def opened(demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.query_params["drill.seconds"] = "2"
    return app.switch_page(str(PAGE)).run()


def test_from_the_button_to_the_verdict(opened: AppTest) -> None:
    assert not opened.exception
    assert any("Pull the plug" in m.value for m in opened.markdown)
    opened.number_input(key="drill.seconds").set_value(2)
    opened.number_input(key="drill.documents").set_value(200)
    opened.number_input(key="drill.seed").set_value(5).run()
    opened.button(key="drill.run").click().run()
    job = cached.jobs().get(opened.session_state["drill.job"].id)
    assert job is not None
    until(lambda: job.state.status != "running", "the drill ends")
    assert job.error is None
    opened.run()
    assert not opened.exception
    assert any("the durable engine lost none of" in m.value for m in opened.markdown)
    assert any("--documents 200 --seed 5" in c.value for c in opened.code)
    lost, cache_lost = (m.value for m in opened.metric if m.label == "Lost")
    assert lost == "0"
    assert int(cache_lost.replace(",", "")) > 0


def test_your_cluster_asks_aws_first_and_says_what_it_would_do(opened: AppTest) -> None:
    opened.segmented_control(key="drill.where").set_value("On your cluster").run()
    assert not opened.exception
    assert any("Nothing is killed" in m.value for m in opened.markdown)
    assert not [b for b in opened.button if b.label == "Write, and fail over"]


def test_words_of_a_drill_that_could_not_look_and_notes_are_escaped() -> None:
    side = DrillSide("durable", 10, 0, 0, 0, 0, 0, 1.0, None, None, None, None, None, notes=("<b>gone</b>",))
    other = DrillSide("cache", 10, 4, 6, 0, 0, 0, 1.0, 0.2, 1, 2, None, None, (Second(0, 10, 6),), (1.0, 2.0))
    told = DrillResult(DrillRequest(), {"durable": side, "cache": other}, True, 3.0)
    assert report.sentence(told) == "Not every engine could be read afterwards: see the notes."
    page = report.html(told)
    assert "<b>gone" not in page
    assert "&lt;b&gt;gone" in page
    assert "url(#lost)" in page
    assert report.frame(told)["durable"].tolist()[0] == "10"
    assert report.seconds_frame(told).to_dict("records") == [
        {"engine": "cache", "second": 0, "acknowledged": 10, "lost": 6}
    ]
