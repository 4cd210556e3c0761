"""How long a visitor waits: the first page after a start, each page, ten interactions, Metrics with a sweep.

    python benchmarks/interactions.py [--docs 3000] [--rounds 3]

Starts an engine and an app of its own, loads the demo, and uses the pages in a browser. A wait ends when the
script has run and what was asked for is seen. Needs a Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.demo import loader, second
from memdb.demo.app import App
from memdb.errors import MemDBError
from memdb.ports import free_port
from memdb.tuning import ask
from memdb.tuning.run import SweepRequest
from memdb.tuning.source import Unseen
from memdb.vectors import index

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
GOALS_S = {"first page after a start": 4.0, "home": 2.0, "metrics click beside a sweep": 1.0, "present": 1.0}
QUESTION = "restore a table to a point in time"
VIEWS = ("Load", "Memory", "Overview", "Index build", "Events", "Alerts")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--docs", type=int, default=3_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("No Chromium found on the PATH.")
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder)) as running:
        running.wait_ready()
        home = Path(folder)
        with connect(running.target) as client:
            loader.load(client, home=home, docs=chosen.docs)
            second.build(client, home=home)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                began = time.perf_counter()
                app = App(running.target, port=free_port(), home=home)
                try:
                    while not app.answers():
                        time.sleep(0.05)
                    opened(page, app.url, "Home")
                    told("first page after a start", [time.perf_counter() - began])
                    pages(page, app.url, chosen.rounds)
                    interactions(page, app.url, chosen.rounds)
                    beside_a_sweep(page, app.url, client, home)
                    present(page, app.url, home)
                finally:
                    app.stop()
                browser.close()


def opened(page: Page, url: str, heading: str) -> None:
    page.goto(url)
    expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
    expect(page.locator(READY)).to_be_visible()


def timed(page: Page, act: Callable[[], object], seen: Callable[[], object]) -> float:
    """Seconds from an act to what it brings."""
    began = time.perf_counter()
    act()
    seen()
    expect(page.locator(READY)).to_be_visible()
    return time.perf_counter() - began


def told(what: str, took: list[float]) -> None:
    goal = GOALS_S.get(what)
    goal_words = f", {max(took) / goal:.2f} of the goal of {goal:g} s" if goal is not None else ""
    print(f"{what}: median {statistics.median(took):.2f} s, most {max(took):.2f} s{goal_words}", flush=True)


def pages(page: Page, url: str, rounds: int) -> None:
    """Each page by its link."""
    for name in ("Home", "Search", "Map", "Sessions", "Assistant", "Recall", "Indexes", "Metrics", "Sizing"):
        address = "" if name == "Home" else name.lower()
        took = []
        for _ in range(rounds):
            began = time.perf_counter()
            opened(page, f"{url}/{address}", name)
            took.append(time.perf_counter() - began)
        told(name.lower(), took)


def interactions(page: Page, url: str, rounds: int) -> None:
    """Ten things that a visitor does."""

    def typed(label: str, value: str) -> Callable[[], object]:
        def act() -> None:
            box = page.get_by_label(label, exact=True).first
            box.fill(value)
            box.press("Enter")

        return act

    def says(pattern: str) -> Callable[[], object]:
        return lambda: expect(page.get_by_text(re.compile(pattern)).first).to_be_visible()

    def shows(name: str) -> Callable[[], object]:
        return lambda: page.get_by_role("radio", name=name, exact=True).click()

    def clicks(role: str, name: str) -> Callable[[], object]:
        return page.get_by_role(role, name=name, exact=True).first.click  # type: ignore[arg-type]  # a role

    search, sessions, sizing = f"{url}/search", f"{url}/sessions", f"{url}/sizing"
    steps: tuple[tuple[str, str, Callable[[], object], Callable[[], object]], ...] = (
        ("a question", search, typed("Question", QUESTION), says("of K 10")),
        ("another EF_RUNTIME", f"{search}?search.q={QUESTION}", typed("EF_RUNTIME", "20"), says("EF 20")),
        ("another K", f"{search}?search.q={QUESTION}", typed("K", "5"), says("of K 5")),
        ("cards", f"{search}?search.q={QUESTION}", shows("Cards"), says("More like this|distance")),
        ("code and link", f"{search}?search.q={QUESTION}", shows("Code and link"), says("redis-cli")),
        ("the next sessions", sessions, clicks("button", "Next"), says("Page 2")),
        ("the survey of sessions", sessions, shows("Overview"), says("expire|Estimated")),
        ("ten times the vectors", sizing, typed("Vectors", "10000000"), says("10,000,000|GiB")),
        ("growth", sizing, shows("Growth"), says("Growth a month")),
        ("what recall costs", sizing, shows("Recall cost"), says("recall")),
    )
    for what, link, act, seen in steps:
        took = []
        for _ in range(rounds):
            page.goto(link)
            expect(page.locator(READY)).to_be_visible()
            page.wait_for_load_state("networkidle")
            took.append(timed(page, act, seen))
        told(what, took)


def beside_a_sweep(page: Page, url: str, client: Client, home: Path) -> None:
    """Clicks on Metrics while a sweep runs in a process' other thread."""
    info = index.index_info(client, loader.DOCUMENTS.name)
    ended = threading.Event()

    def sweep() -> None:
        try:
            with connect(client.target) as own:
                while not ended.is_set():
                    request = SweepRequest(info.name, source=Unseen(400, 0, extend=False))
                    ask.recall(own, info, request, home=home)
        except MemDBError as exc:
            print(f"the sweep ended: {exc}", flush=True)

    opened(page, f"{url}/metrics", "Metrics")
    page.wait_for_timeout(4_000)
    thread = threading.Thread(target=sweep)
    thread.start()
    took = []
    try:
        for _ in range(4):
            for view in VIEWS:
                button = page.get_by_role("radio", name=view, exact=True)
                took.append(timed(page, button.click, lambda: None))
                page.wait_for_timeout(500)
    finally:
        ended.set()
        thread.join()
    ranked = sorted(took)
    p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
    print(f"{len(took)} clicks on Metrics beside a sweep: median {statistics.median(took):.2f} s", flush=True)
    told("metrics click beside a sweep", [p95])


def present(page: Page, url: str, home: Path) -> None:
    """Each step of the presentation, once all is prepared."""
    page.goto(f"{url}/present?step=5")
    expect(page.locator(".st-key-present-curve .main-svg").first).to_be_visible(timeout=180_000)
    page.goto(f"{url}/present?step=1")
    expect(page.get_by_text(re.compile("^1 of 7"))).to_be_visible()
    page.wait_for_timeout(2_000)
    for step in range(2, 8):
        expect(page.locator(READY)).to_be_visible()
        took = timed(
            page,
            lambda: page.keyboard.press("ArrowRight"),
            expect(page.get_by_text(re.compile(f"^{step} of 7"))).to_be_visible,
        )
        told("present", [took])
        page.wait_for_timeout(1_500)


if __name__ == "__main__":
    main()
