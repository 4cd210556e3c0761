"""Search and Home in AppTest: with data, empty, with the server down, by link, with every wrong input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.ui import frame
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, TagField, TextField
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
SEARCH = app_folder() / "pages" / "explore" / "search.py"
HOSTILE = "<script>alert(1)</script> **b** ![x](http://evil.example/x.png) \x1b[31mred"


def started(target: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    for name, value in environment(target, home).items():
        monkeypatch.setenv(name, value)
    return AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)


@pytest.fixture
def app(demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return started(demo_target, home, monkeypatch)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Client]:
    """An empty engine of this test alone."""
    with local_engine.start(tmp_path / "own", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            yield client


def searched(app: AppTest, **query: object) -> AppTest:
    """The Search page as a link opens it."""
    for name, value in query.items():
        app.query_params[name.replace("__", ".")] = value
    return app.switch_page(str(SEARCH)).run()


def calm(app: AppTest) -> bool:
    return not app.exception and not app.error


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.text, *app.error, *app.warning, *app.code, *app.title]
    titles = [part.proto.title for part in (*app.error, *app.warning)]
    return "\n".join([*(str(part.value) for part in parts), *titles])


def hits(app: AppTest) -> pd.DataFrame:
    return next(frame.value for frame in app.dataframe if "rank" in frame.value.columns)


def test_home_says_what_is_there(app: AppTest, demo_target: Target) -> None:
    with connect(demo_target) as client:  # other tests of this run may have begun sessions
        sessions = len(client.execute("SCAN", 0, "MATCH", "session:*", "COUNT", 100_000)[1])
    assert calm(app.run())
    assert app.metric[0].value.startswith("Redis 8.2")
    assert {m.label: m.value for m in app.metric}["Sessions"] == str(sessions)
    table = app.dataframe[0].value
    row = table[table["index"] == "idx:embeddings"].iloc[0]
    assert (row["documents"], row["dimensions"], row["metric"], row["M"], row["EF_CONSTRUCTION"]) == (
        2000,
        256,
        "COSINE",
        16,
        200,
    )
    assert row["state"] == "ready"


def test_home_leads_to_every_page_and_each_value_to_its_documents(app: AppTest) -> None:
    links = app.run().get("page_link")
    led = {link.proto.page for link in links if not link.proto.query_string}
    assert len(led) >= len([page for pages in frame.PAGES.values() for page in pages]) - 1, "all but itself"
    queries = [parse_qs(link.proto.query_string) for link in links if link.proto.query_string]
    (service,) = [q for q in queries if "search.f.service" in q][:1]
    value = service["search.f.service"][0]
    searched(app, search__q="x", search__f__service=value)
    assert calm(app)
    assert app.multiselect(key="search.f.service").value == [value]
    assert set(hits(app)["service"]) == {value}


def test_home_of_an_empty_server_offers_the_demo(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = started(own.target, home, monkeypatch).run()
    assert calm(app)
    assert "This server is empty" in texts(app)
    assert [b.label for b in app.button if "demo" in b.label] == ["Load the demo data"]


def test_a_read_only_empty_server_offers_no_loading(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = started(own.target.read_only(), home, monkeypatch).run()
    assert calm(reader)
    assert not [b.label for b in reader.button if "demo" in b.label]
    assert "read-only" in texts(reader)


def test_search_of_a_server_without_an_index(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = searched(started(own.target, home, monkeypatch))
    assert calm(app)
    assert "No index yet" in texts(app)


@pytest.mark.parametrize("page", ["home", "search"])
def test_a_server_that_is_down_is_explained(page: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = started(Target.parse("redis://127.0.0.1:1"), home, monkeypatch)
    app = searched(app) if page == "search" else app.run()
    assert not app.exception
    assert "No answer from" in texts(app).replace("\\", "")


def test_a_wrong_password_is_explained(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Target.parse(demo_target.address, password="geheim")
    app = searched(started(wrong, home, monkeypatch))
    assert not app.exception
    assert "refused the login" in texts(app)
    assert "geheim" not in texts(app)


def test_no_target_at_all_says_what_to_do(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.delenv("MEMDB_URL", raising=False)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
    assert not app.exception
    assert "memdb demo" in texts(app).replace("\\", "")


def test_a_question_is_answered_with_a_table(app: AppTest) -> None:
    searched(app, index="idx:embeddings", search__q="copy an object to another bucket", search__k="7")
    assert calm(app)
    table = hits(app)
    assert list(table["rank"]) == list(range(1, 8))
    assert list(table["distance"]) == sorted(table["distance"])
    assert any("Copy" in title for title in table["title"])
    assert "2,000** of 2,000 documents" in texts(app)


def test_a_filter_narrows_and_counts(app: AppTest) -> None:
    searched(
        app,
        index="idx:embeddings",
        search__q="delete a user",
        search__raw="@source:{redis_docs | python_docs}",
    )
    assert calm(app)
    assert set(hits(app)["source"]) <= {"redis_docs", "python_docs"}
    app.multiselect(key="search.f.service").select("redis").run()
    assert calm(app)
    assert set(hits(app)["service"]) == {"redis"}


@pytest.mark.parametrize("ef", [1, 14, 20, 63, 4_096])
def test_a_link_opens_with_the_very_ef_it_names(app: AppTest, ef: int) -> None:
    searched(app, index="idx:embeddings", search__q="delete a user", search__ef=str(ef))
    assert calm(app)
    assert app.number_input(key="search.ef").value == ef
    assert f"EF {ef} " in texts(app)


def test_a_filter_s_link_names_the_value_and_outlives_its_count(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = (TagField("kind"), HnswField("v", 256, "COSINE"))
    index.create(own, IndexSpec("i", fields, ("d:",)))

    def add(first: int, last: int) -> None:
        rows = np.random.default_rng(first).normal(size=(last - first, 256)).astype("<f4")
        own.pipeline(
            [
                ("HSET", f"d:{first + i}", "kind", ("s3", "s3 (2)", "swf")[i % 3], "v", row.tobytes())
                for i, row in enumerate(rows)
            ]
        )
        until(lambda: index.index_info(own, "i").documents == last, "the index is built")

    add(0, 6)
    for count in (2, 4):
        app = searched(started(own.target, home, monkeypatch), search__q="x", search__f__kind="s3")
        assert calm(app)
        assert app.multiselect(key="search.f.kind").value == ["s3"]
        assert app.multiselect(key="search.f.kind").options == ["s3", "s3 (2)", "swf"]
        assert not app.multiselect(key="search.f.kind").proto.select_all
        assert f"{count}** of {count * 3} documents" in texts(app)
        add(6, 12) if count == 2 else None
        st.cache_data.clear()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"search__raw": "@service:{s3"}, "never closes it"),
        ({"search__raw": "@nope:{s3}"}, "has no field 'nope'"),
        ({"search__raw": "@service:{*}"}, "could not run the query"),
        ({"search__by": "Document", "search__key": "doc:nobody"}, "no document"),
        ({"search__f__content": "the of"}, "no word that is indexed"),
    ],
)
def test_wrong_input_gets_one_sentence_and_stays(app: AppTest, query: dict[str, str], message: str) -> None:
    searched(app, index="idx:embeddings", search__q="a question", **query)
    assert not app.exception
    assert len(app.error) == 1
    assert message in texts(app).replace("\\", "")
    assert "Traceback" not in texts(app)
    if "search__raw" in query:
        assert app.text_input(key="search.raw").value == query["search__raw"]
        app.text_input(key="search.raw").set_value("").run()
        assert calm(app)


@pytest.mark.parametrize(
    ("pasted", "message"),
    [("1, 2, 3", "has 3 numbers"), ("one two", "not a vector"), ("nan " * 256, "not finite")],
)
def test_a_wrong_vector(app: AppTest, pasted: str, message: str) -> None:
    searched(app, index="idx:embeddings", search__by="Vector")
    app.text_area(key="search.vector").set_value(pasted).run()
    assert not app.exception
    assert message in texts(app).replace("\\", "")


def test_a_pasted_vector_searches(app: AppTest) -> None:
    searched(app, index="idx:embeddings", search__by="Vector")
    vector = np.random.default_rng(1).normal(size=256)
    app.text_area(key="search.vector").set_value(str(vector.tolist())).run()
    assert calm(app)
    assert len(hits(app)) == 10


@pytest.mark.parametrize(
    "query",
    [
        {"search__k": "999999999"},
        {"search__k": "x"},
        {"search__ef": "77"},
        {"search__view": "Nope"},
        {"index": "idx:gone"},
        {"search__by": "<script>"},
        {"search__f__year": "x"},
        {"search__f__service": "no-such"},
    ],
)
def test_a_wrong_link_falls_back(app: AppTest, query: dict[str, str]) -> None:
    searched(app, **({"index": "idx:embeddings", "search__q": "a question"} | query))
    assert not app.exception
    assert "Traceback" not in texts(app)


def test_two_settings_and_code(app: AppTest) -> None:
    searched(
        app,
        index="idx:embeddings",
        search__q="restore a table",
        search__view="Two EF settings",
        search__ef2="10",
    )
    assert calm(app)
    assert {"EF 10", "EF 64"} <= {m.label for m in app.metric}
    app.segmented_control(key="search.view").set_value("Code and link").run()
    assert calm(app)
    command = app.code[0].value
    assert command.startswith("redis-cli -h 127.0.0.1 -p ")
    assert "KNN 10 @embedding $vec EF_RUNTIME 64" in command
    link = app.code[1].value
    assert "search.q=restore+a+table" in link
    assert "index=idx%3Aembeddings" in link
    assert "127.0.0.1" not in link.partition("?")[2]


def test_the_library_code_it_shows_runs(
    app: AppTest, demo_target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(
        app,
        index="idx:embeddings",
        search__q="restore a table",
        search__view="Code and link",
        search__raw="@source:{aws_docs}",
    )
    app.segmented_control(key="search.code.kind").set_value("Python, memdb").run()
    code = app.code[0].value
    assert demo_target.password not in code
    monkeypatch.setenv("MEMDB_PASSWORD", demo_target.password)
    shown: list[str] = []
    exec(code, {"print": shown.append})  # noqa: S102  # the text that the page offers to copy
    assert len(shown) == 10


def test_hostile_values_are_text(own: Client, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (TextField("title"), TextField("content"), TagField("tag"), HnswField("v", 4))
    index.create(own, IndexSpec("idx:h", fields, ("h:",)))
    blob = np.ones(4, "<f4").tobytes()
    own.execute("HSET", "h:1", "title", HOSTILE, "content", HOSTILE * 10, "tag", HOSTILE, "v", blob)
    own.execute("HSET", "h:2", "title", "x" * 5_000_000, "content", b"\xff\xfe\x00", "v", blob)
    own.execute("HSET", b"h:\xff\xfe", "title", "a key that is not text", "v", blob)
    app = started(own.target, home, monkeypatch)
    for view in ("Table", "Cards", "Two EF settings", "Code and link"):
        searched(app, index="idx:h", search__by="Document", search__key="h:1", search__view=view)
        assert calm(app), view
        for part in app.markdown:
            # Markdown may only hold such signs behind a backslash.
            assert "<script" not in part.value.replace("\\<", ""), view
            assert "![" not in part.value.replace("\\!\\[", ""), view


def test_an_index_that_vanished_while_the_page_was_open(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.create(own, IndexSpec("idx:v", (TagField("t"), HnswField("v", 4)), ("v:",)))
    own.execute("HSET", "v:1", "t", "x", "v", np.ones(4, "<f4").tobytes())
    app = searched(
        started(own.target, home, monkeypatch), index="idx:v", search__by="Document", search__key="v:1"
    )
    assert calm(app)
    index.drop(own, "idx:v")
    app.number_input(key="search.k").set_value(3).run()
    assert not app.exception
    assert "Traceback" not in texts(app)


def test_an_index_of_another_model_says_so(own: Client, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.create(own, IndexSpec("idx:o", (HnswField("v", 1536),), ("o:",)))
    app = searched(started(own.target, home, monkeypatch), index="idx:o", search__q="anything")
    assert not app.exception
    assert "Nothing says which model made the vectors of 1,536 numbers in 'v' of 'idx:o'" in texts(
        app
    ).replace("\\", "")


def test_an_empty_index_is_no_filter_without_matches(
    own: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.create(own, IndexSpec("idx:e", (HnswField("v", 256),), ("e:",)))
    app = searched(started(own.target, home, monkeypatch), index="idx:e", search__q="anything")
    assert calm(app)
    assert "The index is empty" in texts(app)
    assert "No document passes the filter" not in texts(app)
