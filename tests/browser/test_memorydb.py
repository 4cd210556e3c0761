"""The app in a browser, on a server that speaks MemoryDB's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from memdb.cluster.target import Target
from memdb.demo.app import App
from memdb.ports import free_port
from tests.standins import Standin, memorydb
from tests.waiting import until

READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'


@pytest.fixture
def proxy(demo_target: Target) -> Iterator[Standin]:
    with memorydb(demo_target) as running:
        yield running


@pytest.fixture
def address(proxy: Standin, tmp_path: Path) -> Iterator[str]:
    production = replace(proxy.target, kind="production", label="orders", writable=True)
    app = App(production, port=free_port(), home=tmp_path)
    try:
        until(lambda: app.answers() or app.status() is not None, "the app answers")
        yield app.url
    finally:
        app.stop()


def test_search_on_memorydb_and_production_locked(address: str, proxy: Standin, page: Page) -> None:
    page.goto(f"{address}/search?search.q=restore+a+table")
    expect(page.locator(READY)).to_be_visible()
    expect(page.get_by_text("MemoryDB").first).to_be_visible()
    expect(page.locator('[data-testid="stDataFrame"]').first).to_be_visible()
    assert proxy.searches_refused == []
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar.get_by_text("read-only")).to_be_visible()
    sidebar.get_by_role("button", name="Unlock writing").click()
    page.get_by_label("Name of the target").fill("orders")
    page.get_by_role("button", name="Unlock for 15 minutes").click()
    expect(sidebar.get_by_text("writable")).to_be_visible()
    page.keyboard.press("Escape")
    sidebar.get_by_role("button", name="Commands").click()
    expect(
        page.get_by_role("dialog").get_by_text("Of a key only its pattern is kept, of a value nothing.")
    ).to_be_visible()
