"""The app opens in a browser."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_home_opens_without_an_error(app_server: str, page: Page) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app_server)
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    expect(page).to_have_title(re.compile("MemoryDB Explorer"))
    expect(page.get_by_role("heading", name="What idx:embeddings holds")).to_be_visible()
    assert errors == []
