"""Stored names and values reach out to nobody: every page in a real browser, with hostile data everywhere.

The content-security policy is switched off here, so that what is held is the escaping; `test_policy.py` holds the policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from memdb.cluster import engine as local_engine
from memdb.demo.app import App
from memdb.display import line
from memdb.ports import free_port
from tests import hostile
from tests.aws_front import moto_server
from tests.browser.conftest import drawn, strangers
from tests.waiting import PATIENCE_S, until


@pytest.fixture(scope="module")
def hostile_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of an app on hostile data, and the index's name."""
    home = tmp_path_factory.mktemp("hostile")
    with (
        moto_server(),
        pytest.MonkeyPatch.context() as patch,
        local_engine.start(home / "engine-home", log=False) as running,
    ):
        running.wait_ready()
        patch.setenv("AWS_REGION", hostile.REGION)
        hostile.in_aws()
        index = hostile.fill(running.target)
        hostile.kept(home, index)
        with hostile.saying_so(running.target) as target:
            app = App(target, port=free_port(), home=home)
            try:
                until(lambda: app.answers() or app.status() is not None, "the app answers")
                yield app.url, index
            finally:
                app.stop()


@pytest.fixture(scope="module")
def unprotected(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 2400}, bypass_csp=True)
    context.set_default_timeout(PATIENCE_S * 1_000)
    yield context
    context.close()


@pytest.fixture
def page(unprotected: BrowserContext) -> Iterator[Page]:
    with strangers(unprotected), unprotected.new_page() as page:
        yield page


# View → a place whose text it must show, so that the view is known to have drawn it.
VIEWS = {
    "": "index",
    "search?search.q=anything&search.view=Cards": "value",
    "map": "index",
    "sessions": "content",
    "sessions?sessions.view=Overview": "user",
    "sessions?sessions.view=Formats": "index",
    "assistant": "index",
    "recall": "note",
    "recall?recall.view=Runs": "runtitle",
    "indexes": "index",
    "metrics": "own",
    "connect": "label",
    "aws": "cluster",
    "durability": "own",
    "sizing": "own",
    "sizing?plan.view=Recall+cost": "engine",
    "compare": "own",
    # Last: a presentation keeps a run of its own, which Recall then opens with.
    "present?step=3": "index",
    "present?step=4": "index",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_stored_reaches_out(hostile_app: tuple[str, str], page: Page, view: str) -> None:
    url, index = hostile_app
    joint = "&" if "?" in view else "?"
    page.goto(f"{url}/{view}{joint}index={quote(line(index))}")
    drawn(page)
    if view == "aws":
        page.get_by_role("button", name="Ask AWS").click()
        expect(page.get_by_text("Production checklist")).to_be_visible()
        drawn(page)
    elif "Recall+cost" in view:  # the saved run is of another server: it is priced once it is chosen
        page.get_by_label("Tuning run").click()
        page.get_by_role("option").first.click()
        drawn(page)
    elif view.startswith("search"):
        expect(page.get_by_text("More like this").first).to_be_visible()
    assert page.get_by_test_id("stException").count() == 0
    seen(page, VIEWS[view])


def seen(page: Page, place: str) -> None:
    """Nothing of the page is an image, a link or a picture that the data made."""

    def text() -> str:
        typed = page.eval_on_selector_all("input", "all => all.map(e => e.value)")  # what a select box holds
        return "\n".join([page.locator("body").inner_text(), *map(str, typed)])

    until(lambda: f"![{place}]" in text(), f"the page shows the {place}, as text")
    addresses = page.eval_on_selector_all("[src], [href]", "all => all.map(e => e.src || e.href || '')")
    places = [urlsplit(str(a)) for a in addresses]
    assert [p for p in places if p.scheme == "mailto" or hostile.HOST in (p.hostname or "")] == []
    assert not re.search("[\u202e\u200b\U0001f604]", text())  # neither hidden marks nor :smile: as a picture
    assert page.locator(".katex").count() == 0
