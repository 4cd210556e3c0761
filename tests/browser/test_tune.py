"""Recall and Indexes as a person uses them: a sweep to its sentence, cancel, a miss, two runs, a shadow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page, expect

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.embedding.local import embed
from memdb.tap import recording
from memdb.tuning import queries, store
from memdb.tuning.run import SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors.index import index_info
from tests.waiting import PATIENCE_S

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


def opened(page: Page, address: str, path: str) -> list[str]:
    """The page, and what its console then says."""
    errors: list[str] = []
    page.on(
        "console",
        lambda m: errors.append(m.text) if m.type == "error" else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}/{path}")
    ready(page)
    return errors


def view(page: Page, name: str) -> None:
    page.locator(".st-key-recall-view").get_by_text(name, exact=True).click()
    ready(page)


def swept(page: Page, queries: int) -> None:
    box = page.get_by_role("spinbutton", name="How many")
    box.fill(str(queries))
    box.press("Enter")
    ready(page)
    page.get_by_role("button", name="Run the sweep").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden(timeout=LONG_MS)
    ready(page)


def test_a_sweep_ends_in_a_sentence_and_a_miss_opens_in_search(app_server: str, page: Page) -> None:
    errors = opened(page, app_server, "recall")
    swept(page, 200)
    expect(page.get_by_text(re.compile(r"recall@10 ≥ 0\.95 with 95 % confidence")).first).to_be_visible()
    expect(page.locator(".st-key-recall-curve-recall .main-svg").first).to_be_visible()
    view(page, "Misses")
    expect(page.get_by_text(re.compile(r"true neighbours were missed")).first).to_be_visible()
    page.get_by_role("link", name="Open its document in Search").click()
    expect(page).to_have_url(re.compile(r"/search\?.*search\.by=Document.*search\.ef="))
    expect(page.get_by_text(re.compile(r"11 of K 11 · EF")).first).to_be_visible()
    assert errors == []


def test_from_a_tapped_file_to_the_sentence(
    app_server: str, page: Page, demo_target: Target, tmp_path: Path
) -> None:
    """Searches recorded around a real client, uploaded, swept; then watched, and the trend opened."""
    tapped = tmp_path / "tap.parquet"
    with (
        redis.Redis(port=demo_target.port, password=demo_target.password or None) as client,
        recording(client, tapped),
    ):
        for n, text in enumerate(
            ("restore a table", "rotate a secret", "read a csv file", "who may read") * 5
        ):
            clause = f"*=>[KNN {5 + n % 2} @embedding $q EF_RUNTIME 20]"
            vector = embed([f"{text} {n}"])[0].tobytes()
            client.execute_command(
                "FT.SEARCH", "idx:embeddings", clause, "PARAMS", 2, "q", vector, "DIALECT", 2
            )
    asked = "recall.by=What%20the%20application%20asked&recall.clients=none&recall.target=0.2"
    errors = opened(page, app_server, f"recall?{asked}")
    page.locator('.st-key-recall-tap_file input[type="file"]').set_input_files(str(tapped))
    ready(page)
    page.get_by_role("button", name="Run the sweep").click()
    sentence = re.compile(r"With its own settings \(2 different\) the application gets a recall of [01]\.\d+")
    expect(page.get_by_text(sentence).first).to_be_visible(timeout=LONG_MS)
    expect(page.locator(".st-key-recall-asked-nearest .main-svg").first).to_be_visible()
    ready(page)
    assert errors == []


def test_a_cancelled_sweep_keeps_what_it_has_measured(app_server: str, page: Page) -> None:
    opened(page, app_server, "recall?recall.n=2000&recall.budget=200")
    page.get_by_role("button", name="Run the sweep").click()
    # The first setting is measured as soon as the live chart is there.
    expect(page.locator(".st-key-recall-live-recall").first).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This run was ended before it was complete")).to_be_visible(timeout=LONG_MS)
    expect(page.locator(".st-key-recall-curve-recall")).to_be_visible()


def test_two_runs_are_compared(app_server: str, page: Page, demo_target: Target, home: Path) -> None:
    """Runs as the page keeps them; that it makes them is the first test's."""
    with connect(demo_target.read_only()) as client:
        info = index_info(client, "idx:embeddings")
        asked = queries.random_documents(client, info, "", 150, 0)
        for _ in range(2):
            request = SweepRequest(info.name, ef_min=10, ef_max=40, concurrency=())
            store.save(sweep(client, info, request, asked), home)
    opened(page, app_server, "recall")
    view(page, "Runs")
    rows = page.locator('[class*="st-key-recall-runs"]').get_by_test_id("stDataFrame").first
    expect(rows).to_be_visible()
    box = rows.bounding_box()
    assert box is not None
    for row in (0, 1):  # the table is a canvas: its boxes are found by place
        page.mouse.click(box["x"] + 16, box["y"] + 36 + 35 * row + 17)
        ready(page)
    expect(page.get_by_text(re.compile("Paired: both asked the same 150 queries")).first).to_be_visible()


@pytest.mark.timeout(300)
def test_a_shadow_index_is_built_measured_and_dropped(app_server: str, page: Page) -> None:
    errors = opened(page, app_server, "indexes?indexes.n=100")
    expect(page.get_by_text("No shadow index yet")).to_be_visible()
    page.get_by_role("button", name="Build 1 shadow index").click()
    expect(page.get_by_text("No shadow index yet")).to_be_hidden(timeout=LONG_MS)
    page.get_by_role("tab", name="Measure").click()
    page.get_by_role("button", name="Measure all").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden(timeout=LONG_MS)
    expect(page.get_by_role("heading", name="Recall over time")).to_be_visible()
    page.get_by_role("tab", name="Drop").click()
    drop = page.get_by_role("button", name="Drop it")
    expect(drop).to_be_disabled()
    name = page.get_by_test_id("stCode").filter(has_text="memdb:shadow:").last.inner_text().strip()
    assert name.startswith("memdb:shadow:idx:embeddings:")
    typed = page.get_by_role("textbox", name="Type its whole name")
    typed.fill(name)
    typed.press("Enter")
    expect(drop).to_be_enabled()
    drop.click()
    expect(page.get_by_text("No shadow index yet")).to_be_visible()
    assert errors == []


def test_a_link_opens_its_index_where_another_is_chosen(
    app_server: str, page: Page, demo_target: Target, home: Path
) -> None:
    """The sidebar's box was there before the link: its own value is not to win over the link's."""
    with connect(demo_target.read_only()) as client:
        info = index_info(client, "idx:users")
        asked = queries.random_documents(client, info, "", 40, 0)
        run = sweep(client, info, SweepRequest(info.name, ef_min=10, ef_max=20, concurrency=()), asked)
        store.save(run, home)
    opened(page, app_server, "home?index=idx:embeddings")
    box = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Index")
    expect(box).to_have_value("idx:embeddings")
    page.get_by_test_id("stMain").get_by_role("link", name="idx:users").first.click()
    expect(page).to_have_url(re.compile(r"/recall\?.*index=idx(:|%3A)users"))
    expect(box).to_have_value("idx:users")
    expect(page.get_by_text(re.compile("idx:users · all documents")).first).to_be_visible()
