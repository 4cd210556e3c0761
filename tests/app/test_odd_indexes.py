"""Pages on indexes as people make them: without a vector field, with names that need escapes or are no text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import Client
from memdb.demo.app import environment
from memdb.tuning import shadow
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parent.parent.parent
VECTOR = ("VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "COSINE")
Opener = Callable[[str, str], AppTest]


@pytest.fixture
def opened(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """A page of the app on an index of the test's engine."""
    for name, value in environment(replace(client.target, writable=True), tmp_path).items():
        monkeypatch.setenv(name, value)

    def opener(page: str, index: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "memdb/ui/entry.py"), default_timeout=PATIENCE_S)
        app.query_params["index"] = index
        app.query_params["index"] = index
        if page == "pages/present.py":
            app.query_params["step"] = "3"
        app.switch_page(str(ROOT / page)).run()
        assert not app.exception
        return app

    return opener


def said(app: AppTest) -> str:
    kinds = (*app.markdown, *app.caption, *app.error, *app.warning, *app.info)
    return "\n".join(str(item.value) for item in kinds).replace("\\", "")


PAGES = (
    "pages/explore/search.py",
    "pages/explore/map.py",
    "pages/explore/assistant.py",
    "pages/tune/recall.py",
    "pages/tune/relevance.py",
    "pages/tune/indexes.py",
)


@pytest.mark.parametrize("page", PAGES)
def test_an_index_without_a_vector_field_is_named(
    opened: Opener, client: Client, prefix: str, page: str
) -> None:
    client.execute(
        "FT.CREATE", prefix + "words", "PREFIX", 1, prefix + "d:", "SCHEMA", "t", "TEXT", "k", "TAG"
    )
    client.execute("HSET", prefix + "d:1", "t", "some words", "k", "a")
    app = opened(page, prefix + "words")
    assert f"'{prefix}words' has no vector field" in said(app)
    assert not app.error


@pytest.mark.parametrize(
    "page", ["pages/explore/map.py", "pages/tune/recall.py", "pages/explore/assistant.py"]
)
def test_an_index_that_holds_nothing_is_called_empty(
    opened: Opener, client: Client, prefix: str, page: str
) -> None:
    client.execute("FT.CREATE", prefix + "idx", "PREFIX", 1, prefix + "d:", "SCHEMA", "v", *VECTOR)
    client.execute("HSET", prefix + "d:1", "v", b"no vector")
    until(lambda: client.execute("FT.SEARCH", prefix + "idx", "*")[0] == 0, "the index is asked")
    titles = [str(error.proto.title).replace("\\", "") for error in opened(page, prefix + "idx").error]
    assert titles == [f"Index '{prefix}idx' holds no documents."]


def test_a_step_about_an_index_without_a_vector_field_names_it(
    opened: Opener, client: Client, prefix: str
) -> None:
    client.execute("FT.CREATE", prefix + "words", "PREFIX", 1, prefix + "d:", "SCHEMA", "t", "TEXT")
    left = f"{shadow.PREFIX}{prefix}gone:m4"  # a shadow index whose original was dropped is no other choice
    client.execute("FT.CREATE", left, "PREFIX", 1, prefix + "d:", "SCHEMA", "v", *VECTOR)
    app = opened("pages/present.py", prefix + "words")
    assert [error.proto.title.replace("\\", "") for error in app.error] == [
        f"Index '{prefix}words' has no vector field, so it has no nearest neighbours."
    ]


def test_home_shows_what_an_index_without_a_vector_field_holds(
    opened: Opener, client: Client, prefix: str
) -> None:
    client.execute("FT.CREATE", prefix + "words", "PREFIX", 1, prefix + "d:", "SCHEMA", "k", "TAG")
    client.pipeline([("HSET", f"{prefix}d:{i}", "k", "a,b" if i % 2 else "A") for i in range(9)])
    until(lambda: b"num_docs" in client.execute("FT.INFO", prefix + "words"), "the index is there")
    app = opened("pages/explore/home.py", prefix + "words")
    assert "no vector" in str(app.dataframe[0].value["field"].tolist())
    held = app.dataframe[1].value
    assert dict(zip(held["k"].str.lower(), held["documents"], strict=True)) == {"a": 9, "b": 4}


def test_names_that_need_escapes_and_values_that_are_no_text(
    opened: Opener, client: Client, prefix: str
) -> None:
    name = prefix + "odd ünï $x*"
    client.execute(
        "FT.CREATE",
        name,
        "PREFIX",
        1,
        prefix + "d:",
        "SCHEMA",
        "my-tag",
        "TAG",
        "a b",
        "NUMERIC",
        "$.t",
        "TEXT",
        b"n\xff",
        "TAG",
        "my-vector",
        *VECTOR,
    )
    for i in range(12):
        vector = np.array([1, i], "<f4").tobytes()
        fields = {"my-tag": b"x\xff" if i % 3 else b"y z", "a b": i, "$.t": "hello", "my-vector": vector}
        client.execute("HSET", f"{prefix}d:{i}", *[part for pair in fields.items() for part in pair])
    app = opened("pages/explore/search.py", name)
    app.segmented_control(key="search.by").set_value("Document").run()
    app.text_input(key="search.key").set_value(prefix + "d:3").run()
    assert not app.exception
    assert not app.error, [e.value for e in app.error]
    assert 10 in [len(frame.value) for frame in app.dataframe]
    tags = app.multiselect(key="search.f.my-tag")
    assert sorted(tags.options) == ["x\\xff", "y z"]
    assert re.fullmatch(r"Documents: x\S+ 8 · y z 4", tags.help)
    tags.set_value(["y z"]).run()
    assert not app.exception
    assert "**4** of 12 documents match" in said(app)
    app.text_input(key="search.raw").set_value(r"@a\ b:[0 6]").run()
    assert "**3** of 12 documents match" in said(app)


def test_an_index_whose_name_is_no_text_is_named_and_not_opened(
    opened: Opener, client: Client, prefix: str
) -> None:
    name = prefix.encode() + b"bin\xff\xfe"
    client.execute("FT.CREATE", name, "PREFIX", 1, prefix + "d:", "SCHEMA", "v", *VECTOR)
    try:
        app = opened("pages/explore/home.py", "")
        assert "the name is not UTF-8" in said(app)
        assert f"{prefix}bin\\xff\\xfe".replace("\\", "") in said(app)
    finally:
        client.execute("FT.DROPINDEX", name)


OTHERS = (
    "pages/explore/home.py",
    "pages/explore/sessions.py",
    "pages/operate/aws.py",
    "pages/operate/connect.py",
    "pages/operate/durability.py",
    "pages/operate/metrics.py",
    "pages/plan/compare.py",
    "pages/plan/sizing.py",
)


@pytest.fixture
def hostile(client: Client, prefix: str) -> Iterator[str]:
    """An index of odd names, options and documents, beside one whose name is no text."""
    name = prefix + "i* a{b}|'\"$😀"
    fields = (
        "k-1",
        "TAG",
        "SEPARATOR",
        "$",
        "CASESENSITIVE",
        "tt x",
        "TEXT",
        "n.um",
        "NUMERIC",
        "geo",
        "GEO",
    )
    definition = ("PREFIX", 2, prefix + "d:", prefix + "d:1", "STOPWORDS", 0, "LANGUAGE", "german")
    client.execute("FT.CREATE", name, *definition, "SCHEMA", *fields, "my-v.ec", *VECTOR)
    other = prefix.encode() + b"bin\xff\xfe"
    client.execute("FT.CREATE", other, "PREFIX", 1, prefix + "d:", "SCHEMA", "my-v.ec", *VECTOR)
    for i in range(60):
        vector = np.array({3: [0, 0], 4: [np.nan, 1]}.get(i, [1, i]), "<f4").tobytes()
        values = {"k-1": "Aa$aA$"[i % 3 :], "tt x": "to be", "n.um": ("inf", "-inf", i)[i % 3]}
        values |= {"geo": "1.5,2.5", "my-v.ec": vector}
        client.execute("HSET", f"{prefix}d:{i}", *[part for pair in values.items() for part in pair])
        if i % 2:
            client.execute("PEXPIRE", f"{prefix}d:{i}", 1_500)
    yield name
    client.execute("FT.DROPINDEX", other)


@pytest.mark.parametrize("page", OTHERS)
def test_pages_that_are_of_no_one_index_open_beside_an_odd_one(
    opened: Opener, hostile: str, page: str
) -> None:
    """Half of its documents expire meanwhile."""
    app = opened(page, hostile).run()
    assert not app.exception
    for words in ("cannot be read", "set aside", "Traceback"):
        assert words not in said(app)


@pytest.mark.parametrize("page", ["pages/plan/sizing.py", "pages/plan/compare.py"])
def test_what_cannot_be_read_into_a_plan_is_said(
    opened: Opener, client: Client, prefix: str, hostile: str, page: str
) -> None:
    client.execute("FT.CREATE", prefix + "words", "PREFIX", 1, prefix + "d:", "SCHEMA", "tt x", "TEXT")
    for index, why in ((hostile, "too few to calibrate on"), (prefix + "words", "has no vector field")):
        app = opened(page, index)
        (read,) = [button for button in app.button if button.label == "Read from this cluster"]
        read.click().run()
        assert not app.exception
        assert why in " ".join(error.proto.title for error in (*app.error, *app.warning))
