"""Judging by keyboard, then the Relevance page to its sentence, as a person does it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.test_search_page import asked, ready, view
from tests.waiting import until

QUESTION = "rotate a secret automatically"


def test_hits_are_graded_by_keys_and_evaluated(app_server: str, page: Page) -> None:
    asked(page, app_server, QUESTION)
    view(page, "Judge")
    judged = page.locator("p").filter(has_text=re.compile(r"\d+ of 10 hits are judged"))
    expect(judged).to_contain_text("0 of 10 hits")
    for count, key in enumerate("310", 1):

        def is_counted(count: int = count, key: str = key) -> bool:
            """A key that meets a page which is being drawn may be lost with it; a grade is never given twice."""
            ready(page)
            if f"{count} of 10 hits" not in judged.inner_text():
                page.keyboard.press(key)
                ready(page)
            return f"{count} of 10 hits" in judged.inner_text()

        until(is_counted, f"{key} is kept as grade {count}")
    page.goto(f"{app_server}/relevance")
    ready(page)
    start = page.get_by_role("button", name="Evaluate", exact=True)
    expect(start).to_be_enabled()
    start.click()
    expect(page.get_by_text(re.compile(r"nDCG@10 is [01]\.\d+ \(.*over 1 question"))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
