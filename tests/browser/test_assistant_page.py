"""A question typed into the Assistant, its answer in the session, and what the preference changed."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


def test_a_conversation_in_a_new_session(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/assistant")
    ready(page)
    page.get_by_role("button", name="New session").click()
    expect(page.get_by_text("Nothing was said yet")).to_be_visible()
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill("How do I restore a table to a point in time?")
    box.press("Enter")
    expect(page.get_by_text(re.compile(r"Kept in session .*\(2 turns\)"))).to_be_visible()
    ready(page)
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    expect(page.get_by_test_id("stChatMessage").last).to_contain_text(re.compile(r"\[\d\]"))
    page.get_by_text("With and without the preference", exact=True).click()
    expect(
        page.get_by_text(re.compile(r"of 5 documents are the same|documents are the same"))
    ).to_be_visible()
    page.get_by_text("Where the time went", exact=True).click()
    expect(page.get_by_text(re.compile(r"Sent at once: .* One by one: "))).to_be_visible()
    box.fill("And who may do that?")
    box.press("Enter")
    expect(page.get_by_text(re.compile(r"Kept in session .*\(4 turns\)"))).to_be_visible()
