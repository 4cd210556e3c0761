"""Search by words and both, and two ways side by side, in AppTest: figures against the library's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from memdb.asking.side import Side, ask, opened
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.settings import Settings
from memdb.vectors.index import IndexInfo
from memdb.vectors.titles import title_of
from tests import embedders
from tests.app.test_memorydb import app as memorydb_app  # noqa: F401  # a fixture
from tests.app.test_memorydb import proxy  # noqa: F401  # its own
from tests.app.test_search_page import SEARCH, searched, started, texts
from tests.embedders import Endpoint, indexed
from tests.waiting import until

TEXTS = [
    f"{a} {b}"
    for a in ("restore", "rotate", "count", "move")
    for b in ("table", "password", "bucket", "region", "budget")
]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", about.url)
        yield about


@pytest.fixture
def infos(client: Client, prefix: str, endpoint: Endpoint) -> tuple[IndexInfo, IndexInfo]:
    return indexed(client, prefix, 16, texts=TEXTS), indexed(client, prefix, 96, texts=TEXTS)


@pytest.fixture
def app(
    server_target: Target, infos: tuple[IndexInfo, IndexInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AppTest:
    monkeypatch.setenv("MEMDB_ALLOW_ADDRESSES", "1")  # as at this machine: AppTest has no browser
    return started(server_target, tmp_path, monkeypatch)


def shown(app: AppTest, column: str) -> list[object]:
    return next(frame.value[column].tolist() for frame in app.dataframe if column in frame.value.columns)


def test_words_and_vectors_with_each_leg_s_rank(
    app: AppTest, infos: tuple[IndexInfo, IndexInfo], client: Client, tmp_path: Path, endpoint: Endpoint
) -> None:
    info = infos[0]
    model = {f"model.{info.name}.embedding": "openai:any-16"}
    app = searched(
        app, index=info.name, search__q="rotate a bucket", search__way="both", search__k=5, **model
    )
    assert not app.exception
    assert not app.error, texts(app)
    settings = Settings.from_env({"MEMDB_HOME": str(tmp_path), "MEMDB_EMBEDDER_URL": endpoint.url})
    side = Side(info.name, by="both", k=5, model="openai:any-16")
    own = ask(opened(client, side, settings), "rotate a bucket")
    assert shown(app, "key") == list(own.keys)
    assert shown(app, "score") == pytest.approx(own.scores.tolist())
    assert shown(app, "words: rank")[0] == (own.legs[0].words.rank if own.legs[0].words else None)
    app.segmented_control(key="search.way").set_value("words").run()
    assert not app.error, texts(app)
    assert "BM25" in texts(app)
    words_alone = ask(opened(client, replace(side, by="words"), settings), "rotate a bucket")
    assert shown(app, "by") == ["words", "words and vectors"]
    assert shown(app, "first hit") == [
        title_of(got.fields[0], got.keys[0], info) for got in (words_alone, own)
    ]
    app.segmented_control(key="search.view").set_value("Code and link").run()
    code = "\n".join(str(part.value) for part in app.code)
    assert "WITHSCORES SCORER BM25STD" in code
    assert "search.way=words" in code


def test_two_indexes_side_by_side_and_a_set_of_questions(
    app: AppTest, infos: tuple[IndexInfo, IndexInfo]
) -> None:
    first, second = infos
    app = searched(
        app,
        index=first.name,
        search__q="rotate a bucket",
        search__k=6,
        search__view="Side by side",
        search__side__index=second.name,
        **{
            f"model.{first.name}.embedding": "openai:any-16",
            f"search.side.model.{second.name}.": "openai:any-96",
        },
    )
    assert not app.exception
    assert not app.error, texts(app)
    metrics = {metric.label: metric.value for metric in app.metric}
    shared = int(metrics["shared"])
    assert int(metrics["only in the first"]) == int(metrics["only in the second"]) == 6 - shared
    assert shared == sum(
        a is not None and b is not None
        for a, b in zip(_ranks(app, "first"), _ranks(app, "second"), strict=True)
    )
    app.text_area(key="search.side.questions").set_value("count a table\nrotate\nmove region").run()
    app.button(key="search.side.start").click().run()
    until(lambda: "Of 3 questions" in texts(app.run()), "all questions are compared")
    overlaps = shown(app, "overlap")
    assert overlaps == sorted(overlaps)  # type: ignore[type-var]  # numbers
    assert set(shown(app, "question")) == {"count a table", "rotate", "move region"}


def _ranks(app: AppTest, side: str) -> list[int | None]:
    values = shown(app, side)
    return [None if pd.isna(value) else int(value) for value in values]  # type: ignore[call-overload]  # a number


def test_one_index_by_vectors_and_by_words(app: AppTest, infos: tuple[IndexInfo, IndexInfo]) -> None:
    info = infos[0]
    app = searched(
        app,
        index=info.name,
        search__q="rotate a bucket",
        search__view="Side by side",
        search__side__way="words",
        **{f"model.{info.name}.embedding": "openai:any-16"},
    )
    assert not app.error, texts(app)
    assert "Second: words" in texts(app)


def test_two_indexes_of_other_dimensions_are_told_where_no_words_are_asked(
    app: AppTest, infos: tuple[IndexInfo, IndexInfo]
) -> None:
    first, second = infos
    app = searched(
        app,
        index=first.name,
        search__by="Document",
        search__key=f"{first.prefixes[0]}0",
        search__view="Side by side",
        search__side__index=second.name,
    )
    assert not app.exception
    assert "The question's vector has 16 numbers; the vectors of" in texts(app)
    assert "Ask in words" in texts(app)


def test_on_memorydb_the_choice_is_shown_with_the_reason(memorydb_app: AppTest) -> None:  # noqa: F811
    app = memorydb_app
    app.query_params["search.q"] = "restore a table"
    app.query_params["search.way"] = "both"
    app.switch_page(str(SEARCH)).run()
    assert not app.exception
    assert not app.error, texts(app)
    assert app.segmented_control(key="search.way").disabled
    assert "MemoryDB returns TEXT fields but does not search them" in texts(app)
