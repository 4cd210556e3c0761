"""The app opens in a browser."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import drawn
from tests.waiting import until


@pytest.mark.parametrize("path", ["", "search?search.k=7", "home"])
def test_an_address_opens_without_an_error_in_the_console(app_server: str, page: Page, path: str) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{app_server}/{path}")
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    expect(page).to_have_title(re.compile("MemoryDB Explorer|Search"))
    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert errors == []


def test_home_by_its_own_name_takes_the_index_of_its_link_along(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/home?index=idx:users")
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page.get_by_role("heading", name="What idx:users holds")).to_be_visible()
    drawn(page)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    marked = page.get_by_test_id("stSidebar").get_by_role("link", name="Home", exact=True)
    expect(marked).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    page.get_by_role("link", name="Search", exact=True).first.click()
    expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()
    page.get_by_role("link", name="Home", exact=True).first.click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()
    expect(page.get_by_text("What idx:users holds")).to_be_visible()


def _offered(box: Locator, option: Locator, value: str) -> bool:
    """What is typed while the page is being drawn may be lost."""
    box.fill(value)
    with suppress(AssertionError):
        expect(option).to_be_visible(timeout=5_000)
    return option.is_visible()


def test_the_filter_panel_stays_open_after_a_choice(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/recall")
    ready = page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(ready).to_be_visible()
    page.get_by_text("Filter", exact=True).click()
    page.mouse.move(0, 0)  # Enter takes what lies under the pointer before what is like the text
    for value in ("s3", "ec2"):
        box = page.locator('[class*="st-key-recall-f-service"]').get_by_role("combobox")
        option = page.get_by_role("option", name=value, exact=True)
        until(partial(_offered, box, option, value), f"{value} is offered")
        box.press("Enter")
        expect(page).to_have_url(re.compile(rf"recall\.f\.service={value}(&|$)"))
        page.keyboard.press("Escape")
        expect(ready).to_be_visible()
        expect(box).to_be_visible()


def test_a_bar_of_home_opens_search_with_that_filter(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/?index=idx:embeddings")
    chart = page.locator(".st-key-home-holds-source")
    expect(page.get_by_text(re.compile("Healthy|Attention"))).to_be_visible()
    bar = chart.locator('[aria-roledescription="bar"]').first
    expect(bar).to_be_attached()
    name = re.findall(r"value: (\w+)", bar.get_attribute("aria-label") or "")
    assert name
    until(partial(_led_to_search, page, chart), "the bar leads to Search")
    expect(page).to_have_url(re.compile(rf"search\.f\.source={name[0]}"))
    expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()


def _led_to_search(page: Page, chart: Locator) -> bool:
    """A click while the page is being drawn may be lost."""
    if "/search" not in page.url:
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        if box is not None:
            page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 18)
        with suppress(AssertionError):
            expect(page).to_have_url(re.compile("/search"), timeout=5_000)
    return "/search" in page.url
