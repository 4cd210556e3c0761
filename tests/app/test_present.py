"""Presenter mode: each step by its link, also where there is nothing to show yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.ui.present import STEPS
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def opened(demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AppTest]:
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)

    def opener(step: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "memdb/ui/entry.py"), default_timeout=PATIENCE_S)
        app.run()
        app.switch_page(str(ROOT / "pages/present.py"))
        app.query_params["step"] = step
        app.run()
        assert not app.exception
        return app

    return opener


def test_every_step_draws_and_leads_on(opened: Callable[[str], AppTest]) -> None:
    for number, step in enumerate(STEPS, 1):
        app = opened(str(number))
        assert app.header[0].value == step.title
        assert app.button(key="present.back").disabled == (number == 1)
        assert app.button(key="present.next").disabled == (number == len(STEPS))
    assert [m.label for m in app.metric] == ["Memory of one node", "Smallest fitting node", "A month"]
    app = opened("2")
    assert any("Nothing was tried yet" in m.value for m in app.markdown)
    app.button(key="present.next").click().run()
    assert app.header[0].value == "The search"
    found = app.dataframe[0].value
    assert len(found) == 5
    assert not found["document"].str.startswith("doc:").any()  # titles, not keys


@pytest.mark.parametrize("step", ["", "0", "-3", "99", "two", "²"])
def test_a_link_to_no_step_opens_one(opened: Callable[[str], AppTest], step: str) -> None:
    assert opened(step).header[0].value in (STEPS[0].title, STEPS[-1].title)
