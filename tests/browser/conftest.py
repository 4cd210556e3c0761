"""A real browser on the real app, on the demo's data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from memdb.cluster.target import Target
from memdb.demo.app import App
from memdb.ports import free_port
from tests.waiting import PATIENCE_S, until

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_FLAGS = (
    # As root in a container there is no sandbox; the rest keeps the browser from calling home.
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
expect.set_options(timeout=PATIENCE_S * 1_000)  # its own limit is 5 s, less than a cold app may take


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one the test is skipped, or fails where MEMDB_REQUIRE_BROWSER=1."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    found = found or next((path for path in _MAC if Path(path).is_file()), None)
    if found is None:
        message = "No Chromium found (chromium, chromium-browser or google-chrome on the PATH)."
        if os.environ.get("MEMDB_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message + " Install one to run the browser tests.")
    return found


@pytest.fixture(scope="session")
def app_server(chromium: str, demo_target: Target, home: Path) -> Iterator[str]:
    """Address of the app on a small demo. Its log is printed if it does not come up."""
    app = App(demo_target, port=free_port(), home=home)
    try:
        until(lambda: app.answers() or app.status() is not None, "the app answers")
        assert app.status() is None, f"the app ended: {app.log.read_text()}"
        yield app.url
    finally:
        print(f"--- {app.log}\n{app.log.read_text() if app.log.exists() else ''}")  # noqa: T201  # pytest shows it with a failure
        app.stop()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for the run."""
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A context of its own for each test, 1280 wide."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(PATIENCE_S * 1_000)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page; go to `app_server` with it."""
    return context.new_page()
