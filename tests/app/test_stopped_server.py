"""A server that is stopped, not gone: it takes connections and never answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.engine import Engine
from memdb.ui import frame
from memdb.ui.kit import cached
from tests.app.test_connect import ENTRY, environment, texts

LIMIT_S = 100.0  # of the target: a page that waited for it once would take as long
PAGES = [file for pages in frame.PAGES.values() for file, *_ in pages]


@pytest.fixture(scope="module")
def stoppable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("stopped"), log=False) as running:
        running.wait_ready()
        yield running


@pytest.mark.parametrize("known", [False, True], ids=["first visit", "after a visit"])
def test_every_page_stands_and_says_that_the_server_does_not_answer(
    stoppable: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    for name, value in environment(stoppable.target, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEMDB_TIMEOUT", str(LIMIT_S))
    app = AppTest.from_file(str(ENTRY), default_timeout=90)
    if known:
        app.run()
    os.kill(stoppable.pid, signal.SIGSTOP)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(cached, "ANSWER_S", 0.3)  # each of fifteen pages waits so long
            for page in PAGES:
                began = time.monotonic()
                app.switch_page(str(frame.app_folder() / "pages" / page)).run()
                assert time.monotonic() - began < LIMIT_S / 2, page
                assert not app.exception, page
                assert "not answering" in texts(app), page
                assert [*app.title, *app.header], page
        app.switch_page(str(frame.link("search"))).run()
        assert "did not answer within 1.5 s" in " ".join([*(str(e.proto) for e in app.error), texts(app)])
    finally:
        os.kill(stoppable.pid, signal.SIGCONT)
    app.run()
    assert "not answering" not in texts(app)
    assert not app.exception
