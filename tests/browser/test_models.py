"""The same question in words on indexes of 256, 384, 1,024 and 1,536 numbers, and two of them side by side.

The first is embedded by the model of this machine, the others by an endpoint of the test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.demo.app import App
from memdb.embedding.local import embed
from memdb.ports import free_port
from tests import embedders
from tests.browser.test_search_page import ready, told, view
from tests.embedders import TEXTS, Endpoint, indexed
from tests.waiting import until

QUESTION = "rotate the password"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", about.url)
        monkeypatch.setenv("MEMDB_EMBEDDER_KEY", "s3cret")
        yield about


@pytest.fixture
def names(client: Client, prefix: str) -> dict[int, str]:
    """Indexes of the same texts, by their dimension."""
    made = {dim: indexed(client, prefix, dim).name for dim in (384, 1024, 1536)}
    return {256: indexed(client, prefix, 256, own=lambda text: embed([text])[0]).name} | made


@pytest.fixture
def address(
    chromium: str, server_target: Target, names: dict[int, str], endpoint: Endpoint, tmp_path: Path
) -> Iterator[str]:
    """An app of its own, whose settings file says the models of two of the indexes."""
    said = [f'[indexes."{names[dim]}"]\nembedder = "openai:any-{dim}"\n' for dim in (1024, 1536)]
    (tmp_path / "targets.toml").write_text("\n".join(said))
    app = App(server_target, port=free_port(), home=tmp_path)
    try:
        until(lambda: app.answers() or app.status() is not None, "the app answers")
        assert app.status() is None, app.log.read_text()
        yield app.url
    finally:
        app.stop()


def test_the_same_question_on_four_indexes(
    address: str, page: Page, names: dict[int, str], endpoint: Endpoint
) -> None:
    for dim, said in (
        (256, "Texts are embedded on this machine"),
        (384, "Chosen here. Texts are sent to"),
        (1024, "By the settings file. Texts are sent to"),
        (1536, "By the settings file. Texts are sent to"),
    ):
        page.goto(f"{address}/search?index={names[dim]}&search.view=Cards")
        ready(page)
        if dim == 384:
            model = page.get_by_role("combobox", name="Model")
            model.fill("openai:any-384")
            model.press("Enter")
            expect(told(page, said)).to_be_visible()
        box = page.get_by_role("textbox", name="Question")
        box.fill(QUESTION)
        box.press("Enter")
        expect(told(page, re.compile(rf"1\. {TEXTS[1]}"))).to_be_visible()
        expect(told(page, said)).to_be_visible()
        expect(told(page, re.compile(r"Embedded: 1 text, "))).to_be_visible()
    asked = [call[2]["input"] for call in endpoint.calls]
    assert asked.count([QUESTION]) == 3
    # Beside the last one the index of another dimension: the question gets the vector of its own model.
    page.goto(
        f"{address}/search?index={names[1536]}&search.q=rotate+the+password"
        f"&search.view=Side+by+side&search.side.index={names[1024]}"
    )
    ready(page)
    view(page, "Side by side")
    expect(page.get_by_test_id("stMetric").filter(has_text="shared").first).to_contain_text("4")
    questions = page.get_by_role("textbox", name="Questions, one a line")
    questions.fill("a table\ncount visitors\nrotate a bucket")
    questions.blur()
    ready(page)
    page.get_by_role("button", name="Compare all").click()
    expect(told(page, re.compile("Of 3 questions"))).to_be_visible()
    assert "s3cret" not in page.content()
