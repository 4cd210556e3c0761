"""The whole presentation by keyboard and by its notes, and the Durability page it leads to."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from memdb.ui.present.steps import STEPS
from tests.waiting import PATIENCE_S

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests


def drawn(page: Page, place: int) -> None:
    """Wait for a whole step: a key that comes before its button is lost, and the buttons are drawn last."""
    expect(page.get_by_role("heading", name=STEPS[place].title)).to_be_visible()
    expect(page.get_by_text(re.compile(f"^{place + 1} of {len(STEPS)} · "))).to_be_visible()
    expect(page.get_by_role("link", name="Leave")).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


@pytest.mark.timeout(300)
def test_the_presentation_is_played_by_keyboard(app_server: str, page: Page, context: BrowserContext) -> None:
    page.goto(f"{app_server}/present")
    drawn(page, 0)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    plug = page.get_by_role("button", name="Pull the plug")
    expect(plug).to_be_enabled()
    page.keyboard.press("p")
    expect(plug).to_be_disabled()
    expect(page.get_by_text(re.compile(r"the durable engine lost none of"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text(re.compile(r"lost of [\d,]+ acknowledged writes"))).to_have_count(2)
    drawn(page, 0)
    page.keyboard.press("ArrowRight")
    drawn(page, 1)
    expect(page.get_by_text("The same session, word for word.")).to_have_count(1)
    expect(page.get_by_text("There is no such key.")).to_have_count(1)
    page.keyboard.press("PageDown")  # as a clicker sends it
    drawn(page, 2)
    expect(page.get_by_text(re.compile("documents are the same for both"))).to_be_visible(timeout=LONG_MS)
    page.keyboard.press("PageUp")
    drawn(page, 1)
    page.keyboard.press("PageDown")
    drawn(page, 2)
    page.keyboard.press("ArrowRight")
    drawn(page, 3)
    expect(page.locator(".st-key-present-map .main-svg").first).to_be_visible(timeout=LONG_MS)
    drawn(page, 3)
    page.keyboard.press("ArrowRight")
    drawn(page, 4)
    expect(page.locator(".st-key-present-curve .main-svg").first).to_be_visible(timeout=LONG_MS)
    drawn(page, 4)
    # The notes' window follows, and leads on.
    with context.expect_page() as waited:
        page.keyboard.press("n")
    notes = waited.value
    expect(notes.get_by_role("heading", name=STEPS[4].title)).to_be_visible()
    notes.get_by_role("button", name="Next").click()
    drawn(page, 5)
    expect(page.locator(".st-key-present-bills .main-svg").first).to_be_visible()
    page.keyboard.press("ArrowRight")
    drawn(page, 6)
    expect(notes.get_by_role("heading", name=STEPS[6].title)).to_be_visible()
    expect(page.get_by_text("Acknowledged writes lost")).to_be_visible()
    page.get_by_role("link", name="The drill").click()
    expect(page.get_by_role("heading", name="Durability", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    # The same drill, in full.
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report (HTML)").click()
    text = waiting.value.path().read_text()
    assert "What was not shown" in text
    assert "<script" not in text
