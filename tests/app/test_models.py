"""One choice of model on all pages: chosen once, told what leaves, what it cost, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.demo.app import app_folder
from memdb.vectors.index import IndexInfo
from tests import embedders
from tests.app.test_search_page import hits, searched, started, texts
from tests.embedders import TEXTS, Endpoint, indexed

RECALL = app_folder() / "pages" / "tune" / "recall.py"
ASSISTANT = app_folder() / "pages" / "explore" / "assistant.py"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", about.url)
        monkeypatch.setenv("MEMDB_EMBEDDER_KEY", "s3cret")
        yield about


@pytest.fixture
def info(client: Client, prefix: str) -> IndexInfo:
    return indexed(client, prefix, 384)


@pytest.fixture
def app(
    server_target: Target,
    info: IndexInfo,
    endpoint: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AppTest:
    monkeypatch.setenv("MEMDB_ALLOW_ADDRESSES", "1")  # as at this machine: AppTest has no browser
    return started(server_target, tmp_path, monkeypatch)


def test_a_model_chosen_in_search_is_the_one_of_every_page(
    app: AppTest, info: IndexInfo, endpoint: Endpoint
) -> None:
    key = f"model.{info.name}.embedding"  # by link: AppTest cannot type what is no option
    app = searched(app, index=info.name, search__q="rotate the password", **{key: "openai:any-384"})
    assert not app.exception
    assert not app.error, texts(app)
    assert hits(app)["title"][0] == TEXTS[1]
    assert "Chosen here. Texts are sent to 127" in texts(app)
    assert "All 4 vectors looked at have length 1, which does not matter under COSINE." in texts(app)
    assert "Embedded: 1 text, 3 tokens, " in texts(app).replace("\\", "")
    asked = len(endpoint.calls)
    app.switch_page(str(RECALL)).run()
    app.selectbox(key="recall.by").set_value("Texts").run()
    assert app.selectbox(key=key).value == "openai:any-384"
    app.text_area(key="recall.texts").set_value("rotate the password\na table").run()
    assert not app.error, texts(app)
    assert not app.button(key="recall.start").disabled
    app.switch_page(str(ASSISTANT)).run()
    assert app.selectbox(key=key).value == "openai:any-384"
    assert len(endpoint.calls) == asked  # nothing is sent before something is asked
    assert "s3cret" not in texts(app)


def test_the_code_of_a_search_names_the_model(
    app: AppTest, info: IndexInfo, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = searched(
        app,
        index=info.name,
        search__q="a table",
        search__view="Code and link",
        **{f"model.{info.name}.embedding": "openai:any-384"},
    )
    app.segmented_control(key="search.code.kind").set_value("Python, memdb").run()
    code = "\n".join(str(part.value) for part in app.code)
    assert (
        "embedder_for(client, info, Settings.from_env(), here='openai:any-384').embed(['a table'])[0]" in code
    )
    assert "openai%3Aany-384" in code


@pytest.mark.parametrize(
    ("statuses", "answer", "said"),
    [
        ([401], None, "refused the key (HTTP 401)"),
        ([404], None, "answered HTTP 404: status 404"),
        ([500] * 9, None, "answered HTTP 500: status 500"),
        ([], {"data": [{"embedding": [float("nan")] * 384}]}, "values that are not finite numbers"),
        ([], {"data": [{"embedding": [1.0] * 512}]}, "512 numbers; the vectors of"),
    ],
)
def test_an_endpoint_that_fails_is_told_in_one_sentence(
    app: AppTest,
    info: IndexInfo,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    statuses: list[int],
    answer: object,
    said: str,
) -> None:
    monkeypatch.setenv("MEMDB_EMBEDDER", "openai:any-384")
    monkeypatch.setattr("memdb.embedding.embedder.time.sleep", lambda s: None)
    endpoint.statuses, endpoint.answer = statuses, answer
    app = searched(app, index=info.name, search__q="a table")
    assert not app.exception
    (error,) = app.error
    assert said in error.proto.title.replace("\\", "")
    assert "s3cret" not in texts(app)
    assert "Trying again" not in texts(app)


def test_an_endpoint_that_is_down_is_told_once_and_not_waited_for(
    app: AppTest, info: IndexInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_EMBEDDER", "openai:any-384")
    monkeypatch.setenv("MEMDB_EMBEDDER_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("memdb.embedding.embedder.time.sleep", lambda s: None)
    app = searched(app, index=info.name, search__q="a table")
    (error,) = app.error
    assert "The embedding endpoint 127.0.0.1:9 did not answer" in error.proto.title.replace("\\", "")
    assert "Trying again" not in texts(app)


def test_visitors_from_elsewhere_choose_among_what_is_offered(
    app: AppTest, info: IndexInfo, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdb.ui.kit.targets.may_enter_addresses", lambda: False)
    key = f"model.{info.name}.embedding"
    app = searched(app, index=info.name, search__q="a table", **{key: "folder:/etc"})
    assert "is not among those offered here" in texts(app)
