"""The sidebar's safety panel: production locked until its name is typed, the budget, the commands sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.sent import CommandLog
from memdb.cluster.target import Target
from memdb.ui.kit import safety
from tests.app.test_search_page import calm, started, texts
from tests.waiting import PATIENCE_S


@pytest.fixture
def production(demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in {
        "MEMDB_URL": demo_target.address,
        "MEMDB_PASSWORD": demo_target.password,
        "MEMDB_KIND": "production",
        "MEMDB_LABEL": "orders",
        "MEMDB_WRITABLE": "1",
        "MEMDB_HOME": str(home / "nothing-runs-here"),
    }.items():
        monkeypatch.setenv(name, value)
    app = started_at(monkeypatch)
    assert calm(app)
    return app


def started_at(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    from tests.app.test_search_page import ENTRY

    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()


def badges(app: AppTest) -> str:
    return "\n".join(str(part.value) for part in app.sidebar.markdown)


def test_production_is_read_only_until_its_name_is_typed(production: AppTest) -> None:
    app = production
    assert "read-only" in badges(app)
    app.text_input(key=safety.TYPED).set_value("another").run()
    app.button(key="safety.unlock").click().run()
    assert calm(app)
    assert "read-only" in badges(app)
    app.text_input(key=safety.TYPED).set_value("orders").run()
    app.button(key="safety.unlock").click().run()
    assert calm(app)
    assert "writable" in badges(app)
    app.button(key="safety.lock").click().run()
    assert "read-only" in badges(app)


def test_a_production_target_has_a_budget_that_can_be_changed(production: AppTest) -> None:
    app = production
    assert app.number_input(key="safety.queries").value == 100.0
    assert app.number_input(key="safety.keys").value == 200_000
    app.number_input(key="safety.queries").set_value(5.0).run()
    assert calm(app)
    (chosen,) = app.session_state[safety.BUDGETS].values()
    assert chosen.queries_per_s == 5.0
    assert app.number_input(key="safety.queries").value == 5.0


def test_the_commands_sent_are_shown(production: AppTest, demo_target: Target) -> None:
    app = production
    app.button(key="safety.commands").click().run()
    assert calm(app)
    frame = next(f.value for f in app.dataframe if "command" in f.value.columns and "ms" in f.value.columns)
    assert "COMMAND INFO" in set(frame["command"])
    assert demo_target.password not in texts(app) + frame.to_csv()


def test_other_targets_have_no_lock_and_no_bound(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = started(demo_target, home, monkeypatch).run()
    assert "writable" in badges(app)
    assert app.number_input(key="safety.queries").value == 0.0
    locked = replace(demo_target, kind="production")
    assert not safety.guarded(locked.read_only()).writable
    assert safety.table(CommandLog()).empty
