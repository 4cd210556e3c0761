"""Presenter mode by keyboard, and the Durability page it leads to."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.waiting import PATIENCE_S

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests


def drawn(page: Page, title: str, last: str) -> None:
    """Wait for a whole step: a key that comes before its button is lost, and the link is drawn last."""
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_role("link", name=last)).to_be_visible()
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


@pytest.mark.timeout(240)
def test_the_plug_is_pulled_and_the_arrows_lead_on(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/present")
    drawn(page, "The loss", "The drill, with all its settings")
    plug = page.get_by_role("button", name="Pull the plug")
    expect(plug).to_be_enabled()
    page.keyboard.press("p")
    expect(plug).to_be_disabled()
    expect(page.get_by_text(re.compile(r"^Seconds of writing"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ acknowledged writes are gone"))).to_be_visible(
        timeout=LONG_MS
    )
    drawn(page, "The loss", "The drill, with all its settings")
    page.keyboard.press("ArrowRight")
    drawn(page, "The proof", "The drill's charts, figures and report")
    expect(page.get_by_text(re.compile("the durable engine lost none of"))).to_be_visible()
    expect(page).to_have_url(re.compile("step=2"))
    page.keyboard.press("ArrowLeft")
    drawn(page, "The loss", "The drill, with all its settings")
    page.get_by_role("link", name="The drill, with all its settings").click()
    expect(page.get_by_role("heading", name="Durability", exact=True)).to_be_visible()
    # The same drill, in full.
    with page.expect_download() as waited:
        page.get_by_role("button", name="Report (HTML)").click()
    text = waited.value.path().read_text()
    assert "What was not shown" in text
    assert "<script" not in text
