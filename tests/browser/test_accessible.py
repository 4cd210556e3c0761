"""No page has a serious fault by axe-core, in neither theme; Search and Recall are used by keyboard alone.

`axe/axe.min.js` is axe-core 4.14.1 as its npm package holds it (Mozilla Public Licence 2.0, beside it).
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from memdb.ui import frame
from tests.browser.conftest import drawn
from tests.waiting import PATIENCE_S, until

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
PAGES = [page[3] for pages in frame.PAGES.values() for page in pages]
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(15, 22, 29)"
MORE = ("search?search.q=who+may+read+an+object", "aws?aws.sample=true", "metrics?metrics.view=Load")
RUN = """async rules => (await axe.run(document, {resultTypes: ["violations"], ...rules})).violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .flatMap(rule => rule.nodes.map(node => [rule.id, node.html.slice(0, 200), node.failureSummary]))"""


def _faults(page: Page, *, colors_alone: bool = False) -> list[Any]:
    page.evaluate(AXE)
    faults: list[Any] = page.evaluate(
        RUN, {"runOnly": ["color-contrast", "link-in-text-block"]} if colors_alone else {}
    )
    return faults


@pytest.mark.long
@pytest.mark.timeout(300)
def test_no_page_has_a_serious_fault(app_server: str, page: Page) -> None:
    """Each page is opened in light and looked at, then its colours in dark, as where a computer changes over."""
    ground = page.locator(".stApp")
    for address in (*PAGES, *MORE):
        page.emulate_media(color_scheme="light")
        page.goto(f"{app_server}/{'' if address == 'home' else address}")
        drawn(page)
        for theme, color in (("light", LIGHT), ("dark", DARK)):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its words
            expect(ground).to_have_css("background-color", color)
            drawn(page)
            assert _faults(page, colors_alone=theme == "dark") == [], (address, theme)


def test_axe_finds_a_fault_that_is_there(page: Page) -> None:
    page.set_content("<html lang='en'><title>x</title><main><h1 style='color: #999'>grey</h1></main></html>")
    assert [fault[0] for fault in _faults(page)] == ["color-contrast"]


FOCUSED = """name => {
    const at = document.activeElement;
    return [at.getAttribute("aria-label"), at.innerText?.split("\\n").pop()].includes(name);
}"""


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what has this name has the focus; a page that is drawn meanwhile is gone through again."""

    def is_reached() -> bool:
        drawn(page)
        for _ in range(120):
            if page.evaluate(FOCUSED, name):
                return True
            page.keyboard.press("Tab")
        return False

    until(is_reached, f"{name} is reached by Tab")


def _press(page: Page, name: str, done: Locator) -> None:
    """Press Enter on what has this name, until it shows; a key that meets a page being drawn may be lost."""

    def is_done() -> bool:
        drawn(page)
        if not done.is_visible():
            _tab_to(page, name)
            page.keyboard.press("Enter")
            with suppress(PlaywrightTimeout):
                done.wait_for(timeout=10_000)
        return done.is_visible()

    until(is_done, f"{name} has been pressed")


def _type_into(page: Page, name: str, text: str) -> None:
    _tab_to(page, name)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def test_a_search_by_keyboard_alone(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/search")
    drawn(page)
    _type_into(page, "Question", "who may read an object")
    expect(page.get_by_text(re.compile(r"of K 10 · EF 64"))).to_be_visible()
    drawn(page)
    _type_into(page, "EF_RUNTIME", "20")
    expect(page.get_by_text(re.compile(r"of K 10 · EF 20"))).to_be_visible()
    drawn(page)
    _tab_to(page, "Table")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("search.view=Cards"))
    expect(page.get_by_role("radio", name="Cards")).to_be_checked()
    drawn(page)
    _tab_to(page, "More like this")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("search.by=Document"))


@pytest.mark.long
def test_a_sweep_by_keyboard_alone(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/recall?index=idx:embeddings")
    drawn(page)
    _type_into(page, "How many", "60")
    drawn(page)
    _type_into(page, "Recall at least", "0.87")
    expect(page.get_by_text(re.compile(r"Target: recall@10 ≥ 0\.87"))).to_be_visible()
    drawn(page)
    swept = page.get_by_text(re.compile(r"all documents · recall@10 ≥ 0\.87")).first
    _press(page, "Run the sweep", page.get_by_role("button", name="Cancel").or_(swept).first)
    expect(swept).to_be_visible(timeout=2_000 * PATIENCE_S)  # a sweep beside other tests
    drawn(page)
    _tab_to(page, "Curve")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("From query to query")).to_be_visible()
