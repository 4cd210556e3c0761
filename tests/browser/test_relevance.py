"""Judging by keyboard, then the Relevance page to its sentence, as a person does it."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.test_search_page import asked, ready, view
from tests.waiting import until

QUESTION = "rotate a secret automatically"


def test_hits_are_graded_by_keys_and_evaluated(app_server: str, page: Page) -> None:
    asked(page, app_server, QUESTION)
    view(page, "Judge")
    judged = page.locator("p").filter(has_text=re.compile(r"\d+ of 10 hits are judged"))
    expect(judged).to_contain_text("0 of 10 hits")

    def count() -> int:
        return int(judged.inner_text().split(" of ")[0])

    for wanted, key in enumerate("310", 1):

        def is_counted(wanted: int = wanted, key: str = key) -> bool:
            """A key that meets a page which is being drawn may be lost with it; a late one counts as well."""
            ready(page)
            if count() < wanted:
                page.keyboard.press(key)
                with suppress(PlaywrightTimeout):
                    page.wait_for_function(
                        "n => [...document.querySelectorAll('p')].some(p => p.innerText.startsWith(n))",
                        arg=f"{wanted} of 10 hits",
                        timeout=10_000,
                    )
            return count() >= wanted

        until(is_counted, f"{key} is kept as grade {wanted}")
    page.goto(f"{app_server}/relevance")
    ready(page)
    start = page.get_by_role("button", name="Evaluate", exact=True)
    expect(start).to_be_enabled()
    start.click()
    expect(page.get_by_text(re.compile(r"nDCG@10 is [01]\.\d+ \(.*over 1 question"))).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
