"""No page has a serious fault by axe-core, in neither theme; Search and Recall are used by keyboard alone.

`axe/axe.min.js` is axe-core 4.14.1 as its npm package holds it (Mozilla Public Licence 2.0, beside it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from memdb.ui import frame
from tests.browser.conftest import drawn, strangers
from tests.waiting import PATIENCE_S

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
PAGES = [page[3] for pages in frame.PAGES.values() for page in pages]
MORE = ("search?search.q=who+may+read+an+object", "aws?aws.sample=true", "metrics?metrics.view=Load")
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .flatMap(rule => rule.nodes.map(node => [rule.id, node.html.slice(0, 200), node.failureSummary]))"""


def _faults(page: Page) -> list[Any]:
    page.evaluate(AXE)
    faults: list[Any] = page.evaluate(RUN)
    return faults


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault(app_server: str, browser: Browser, theme: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme=theme,  # type: ignore[arg-type]  # one of its words
    )
    context.set_default_timeout(PATIENCE_S * 1_000)
    with strangers(context):
        page = context.new_page()
        for address in (*PAGES, *MORE):
            page.goto(f"{app_server}/{'' if address == 'home' else address}")
            drawn(page)
            assert _faults(page) == [], address
    context.close()


def test_axe_finds_a_fault_that_is_there(page: Page) -> None:
    page.set_content("<html lang='en'><title>x</title><main><h1 style='color: #999'>grey</h1></main></html>")
    assert [fault[0] for fault in _faults(page)] == ["color-contrast"]
