"""Pages over indexes that are not as the demo's: later types, zero vectors, numbers without an end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.ui.frame import PAGES
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField
from tests.app.test_search_page import calm, searched, started, texts
from tests.info_front import info_front
from tests.server.test_types import _svs, _typed
from tests.waiting import until

DIM = 4
FILES = sorted(page[0] for pages in PAGES.values() for page in pages)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        local_engine.start(tmp_path_factory.mktemp("odd"), log=False) as running,
        connect(running.target) as client,
    ):
        running.wait_ready()
        made = np.random.default_rng(2).normal(size=(200, DIM)).astype("<f4")
        made[:3] = 0
        commands = []
        for i, row in enumerate(made):
            number = {5: "inf", 6: "-inf"}.get(i, str(i))
            commands.append(("HSET", f"d:{i}", "kind", f"k{i % 2}", "n", number, "v", row.tobytes()))
        client.pipeline(commands)
        field = HnswField("v", DIM, "COSINE", m=4, ef_construction=20)
        index.create(client, IndexSpec("idx", (TagField("kind"), NumericField("n"), field), ("d:",)))
        until(lambda: index.index_info(client, "idx").build.ready, "the index is built")
        yield client


@contextmanager
def _as(engine: Client, told: Callable[[list[Any]], list[Any]]) -> Iterator[Target]:
    with info_front(engine.target, told) as target:
        yield target


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("told", [_svs, _typed(b"INT8")], ids=["SVS-VAMANA", "INT8"])
def test_every_page_opens_over_a_field_of_a_later_engine(
    engine: Client,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    told: Callable[[list[Any]], list[Any]],
) -> None:
    with _as(engine, told) as target:
        app = started(target, home, monkeypatch)
        app.switch_page(str(app_folder() / "pages" / file)).run()
        assert not app.exception
        shown = texts(app)
        if told is _svs:
            assert "every query looks at every vector" not in shown
            if file.endswith(("search.py", "recall.py")):
                assert "SVS-VAMANA index: approximate, and without EF_RUNTIME" in shown.replace("\\", "")


def test_search_says_what_stands_in_the_way(
    engine: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _as(engine, _typed(b"UINT8")) as target:
        app = searched(started(target, home, monkeypatch), search__by="Vector")
        app.text_area(key="search.vector").set_value("1, 2, 3, 4").run()
        assert not app.exception
        assert "A vector field of type UINT8 is not available here" in texts(app)


def test_zero_vectors_are_last_and_named(engine: Client, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = searched(started(engine.target, home, monkeypatch), search__by="Vector", search__k="200")
    app.text_area(key="search.vector").set_value("1, 2, 3, 4").run()
    assert calm(app), texts(app)
    # The graph may leave one document out.
    assert re.search(r"[23] of (199|200) hits have no distance", texts(app))
    app.text_area(key="search.vector").set_value("0 0 0 0").run()
    assert "The vector is zero" in texts(app)
    app.text_area(key="search.vector").set_value("[[1, 2, 3, 4], [5, 6, 7, 8]]").run()
    assert "There are 2 vectors" in texts(app)
    app.text_area(key="search.vector").set_value('{"data": [{"embedding": [1, 2, 3, 4]}]}').run()
    assert calm(app), texts(app)


def test_a_range_has_ends_where_numbers_have_none(
    engine: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = searched(started(engine.target, home, monkeypatch), search__by="Vector")
    assert calm(app), texts(app)
    assert app.slider(key="search.f.n").value == (0, 199)
    assert "2 documents hold a number in n that is not finite" in texts(app)
