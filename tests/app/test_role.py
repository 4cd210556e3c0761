"""Who may look only, and who comes from elsewhere, finds nothing on any page that changes or starts something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.relevance import labels
from memdb.relevance import store as evaluations
from memdb.tuning import store
from memdb.ui import frame
from memdb.ui.kit import access, cached
from memdb.vectors import index
from memdb.vectors.schema import HnswField, IndexSpec, TagField
from tests.conftest import clean
from tests.unit.test_relevance import at_rank, evaluation
from tests.unit.tune_run import run as tuned
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
DIM, DOCUMENTS = 256, 120  # of the model that comes with the package, so that a text can be asked for
ADA = {"is_logged_in": True, "email": "ada@example.com"}
# Each page, with what chooses its views.
VIEWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "search": ("search.view", ("Table", "Cards", "Judge", "Against exact", "Side by side")),
    "recall": ("recall.view", ("Curve", "Each query", "Slices", "Selectivity", "Runs", "Code and files")),
    "relevance": ("relevance.view", ("Comparison", "Questions", "Runs", "Labels", "Code and files")),
    "metrics": ("metrics.view", ("Overview", "Index build", "Recall", "Alerts")),
    "sizing": ("plan.view", ("Memory", "Prices", "Deploy")),
    "compare": ("compare.view", ("Cost", "Table", "Advisor")),
}
# What may be pressed without a right: it shows, draws, opens, or reads once more.
LOOKS = (
    *("access.", "safety.commands", "cancel.", "connect.test.", "connect.open.", "connect.close"),
    *("connect.form_", "connect.aws", "connect.drop.", "metrics.probe", "compare.measure", "map.draw"),
    *("relevance.another.look", "relevance.another.compare", "recall.grid.start", "recall.rank"),
    *("recall.use.code", "recall.runs.open", "relevance.runs.open"),
    *("search.", "sessions.", "plan.prices.forget", "present.", "aws.ask", "home."),
)
NAMED = ("recall.title.", "relevance.title.", "recall.watch.on")  # widgets that change by themselves
READS = {
    "Draw it now",
    "Again",
    "Refresh",
    "A random document",
    "Compute exact neighbours",
    "Clear all filters",
    "Log out",
}
CHANGES = {  # of which at least these are drawn, and locked
    *("recall.start", "recall.runs.delete", "recall.watch.start", "indexes.measure", "search.judge.3"),
    *("relevance.start", "relevance.runs.delete", "relevance.labels.remove", "relevance.import.start"),
    *("drill.run", "present.plug", "plan.read_button", "plan.prices.refresh"),
}


@pytest.fixture
def home(
    server_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> Iterator[Path]:
    """A home with a run, an evaluation, a label; a server with an index that a text can be asked of."""
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("ROLE_PASSWORD", server_target.password)
    (tmp_path / "targets.toml").write_text(
        f'[targets.here]\nurl = "{server_target.address}"\npassword_env = "ROLE_PASSWORD"\nwritable = true\n'
        '[access]\nlook = ["email=*@example.com"]\nwrite = ["groups=platform"]\n'
    )
    store.save(replace(tuned(), index=f"{prefix}idx", target=server_target.address), tmp_path)
    evaluations.save(evaluation(at_rank([1, 2]), target=server_target.address), tmp_path)
    labels.judge(tmp_path, "restore", f"{prefix}d:1", 2)
    with connect(server_target) as client:
        index.create(
            client, IndexSpec(f"{prefix}idx", (TagField("tag"), HnswField("v", DIM)), (f"{prefix}d:",))
        )
        rows = np.random.default_rng(3).normal(size=(DOCUMENTS, DIM)).astype("<f4")
        client.pipeline(
            [("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", row.tobytes()) for i, row in enumerate(rows)]
        )
    yield tmp_path
    with connect(server_target) as client:
        clean(client, prefix)


def kept(home: Path) -> dict[str, bytes]:
    """Everything that others see afterwards. Caches, and what the app notes by itself, are left out."""
    folders = ("maps", "embeddings", "history", "logs", "models", "truth")
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.relative_to(home).parts[0] not in folders
    }


def opened(monkeypatch: pytest.MonkeyPatch, home: Path, who: str, index_name: str) -> AppTest:
    st.cache_resource.clear()
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    if who == "looks only":
        app.secrets["auth"] = {"redirect_uri": "http://h/oauth2callback", "cookie_secret": "x"}
        app.user = ADA
    else:  # a table [access] would say who may write
        file = home / "targets.toml"
        file.write_text(file.read_text().partition("[access]")[0].replace("writable = true", ""))
        monkeypatch.setattr(access, "on_this_machine", lambda: False)
    app.query_params["index"] = index_name
    app.run()
    assert not app.exception
    return app


def select_first(app: AppTest, run_id: str, made_id: str, home: Path) -> None:
    """Rows of tables that show what can be deleted; a question that was labelled."""
    chosen = {"selection": {"rows": [0], "columns": [], "cells": []}}
    newest, count = store.listed(home)[0].id, len(store.listed(home))
    for table in (
        f"recall.runs.{count}.{newest}",
        f"relevance.runs.1.{made_id}",
        "relevance.labels.table.1.1",
    ):
        app.session_state[table] = chosen
    app.session_state["recall.run"], app.session_state["relevance.run"] = run_id, made_id
    app.session_state["search.q"] = "restore"


@pytest.mark.long
@pytest.mark.parametrize("who", ["looks only", "from elsewhere"])
def test_no_page_offers_what_changes_anything(
    home: Path, prefix: str, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    app = opened(monkeypatch, home, who, f"{prefix}idx")
    (run,), (made,), before = store.listed(home), evaluations.listed(home), kept(home)
    locked: set[str] = set()
    offered: list[tuple[str, str, str | None, str]] = []
    for pages in frame.PAGES.values():
        for page in pages:
            name = page[3]
            key, views = VIEWS.get(name, ("", ("",)))
            app.switch_page(str(frame.link(name)))
            for view in views:
                select_first(app, run.id, made.id, home)
                if key:
                    app.session_state[key] = view
                app.run()
                assert not app.exception, (name, view)
                for button in app.button:
                    if button.disabled:
                        locked.add(str(button.key))
                    elif not (str(button.key).startswith(LOOKS) or button.label in READS):
                        offered.append((name, view, button.key, button.label))
                offered += [
                    (name, view, widget.key, widget.label)
                    for widget in (*app.text_input, *app.toggle)
                    if str(widget.key).startswith(NAMED) and not widget.disabled
                ]
    assert not offered
    assert locked >= CHANGES, CHANGES - locked
    # The presentation prepares itself when it is opened: its sweep is not kept for others.
    (job,) = (job for job in cached.jobs()._jobs.values() if job.title == "Presentation")
    assert job.wait(PATIENCE_S).status == "done"
    after = kept(home)
    assert {name: after.get(name) for name in before} == before
    assert after.keys() == before.keys()
    assert len(store.listed(home)) == 1
