"""A real browser on the real app, on the demo's data."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError

from memdb.cluster.target import LOOPBACK, Target
from memdb.demo.app import App
from memdb.ports import free_port, port_is_free
from tests.waiting import PATIENCE_S, until

# Chromium without a window to draw takes a third less processor time for the same pages.
_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
)
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


def drawn(page: Page) -> None:
    """Wait until the script has run and all it asked for is there."""
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()
    page.wait_for_load_state("networkidle")


@contextlib.contextmanager
def streamlit_run(script: Path, variables: dict[str, str]) -> Iterator[str]:
    """Serve a script as `streamlit run` does, on a free port; its address."""
    port = free_port()
    options = {
        "server.port": str(port),
        "server.address": "localhost",
        "server.headless": "true",
        "browser.gatherUsageStats": "false",  # the app's own config.toml says so too; other scripts have none
    }
    words = [part for name, value in options.items() for part in (f"--{name}", value)]
    with subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *words],
        env={**os.environ, **variables},
        cwd=script.parent,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            until(lambda: not port_is_free(port) or process.poll() is not None, "it listens")
            assert process.poll() is None
            yield f"http://localhost:{port}"
        finally:
            process.terminate()


@contextlib.contextmanager
def strangers(context: BrowserContext) -> Iterator[None]:
    """Fail where a page of this context asks another host than this machine, or breaks the app's policy."""
    faults: list[str] = []

    def requested(request: Request) -> None:
        place = urlsplit(request.url)
        if place.scheme not in ("data", "blob", "about") and place.hostname not in LOOPBACK:
            faults.append(request.url)

    def logged(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    context.on("request", requested)
    context.on("console", logged)
    yield
    context.remove_listener("request", requested)
    context.remove_listener("console", logged)
    assert faults == []


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """What all tests of a worker share: the app's scripts are fetched and compiled once (a third of a page)."""
    opened = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(PATIENCE_S * 1_000)
    yield opened
    opened.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """Pages 1280 wide that talk to nobody but the app. What they stored is gone with them."""
    with strangers(profile):
        yield profile
        for page in profile.pages:
            with contextlib.suppress(PlaywrightError):  # a page that never was at an address has no storage
                page.evaluate("localStorage.clear()")
            page.close()
    profile.clear_cookies()
    profile.clear_permissions()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page; go to `app_server` with it."""
    return context.new_page()
