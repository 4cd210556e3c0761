"""The README's screenshots, from the real app on the real engine: `make shots`.

Starts an engine and an app of its own, loads a demo of 20,000 documents, and writes each page in light and dark
to docs/screenshots; `python docs/shots.py map search` writes those alone. Needs a Chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.demo import loader
from memdb.demo.app import App
from memdb.ports import free_port

FOLDER = Path(__file__).parent / "screenshots"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
SIZE = {"width": 1280, "height": 860}


@dataclass(frozen=True)
class Shot:
    """A page to show: its name, its link, and whether the first row of its table is opened."""

    name: str
    link: str
    click: str = ""  # a button to press first
    until: str = ""  # what stands there when it is done
    at: str = ""  # what the picture begins with


SHOTS = (
    Shot("home", ""),
    Shot("map", "map?map.n=20000", "Draw the map", ".map[data-points='20000'] .name", ".map .stage"),
    Shot("search", "search?search.q=restore+a+table+to+a+point+in+time&search.f.source=aws_docs"),
    Shot(
        "exact",
        "search?search.q=who+may+read+an+object&search.ef=10&search.view=Against+exact",
        "Compute exact neighbours",
    ),
    Shot("two-settings", "search?search.q=who+may+read+an+object&search.view=Two+EF+settings"),
    Shot("sessions", "sessions"),
    Shot("tools", "sessions?sessions.open=tools&sessions.context=travel"),
)
TOOLS = [
    {"role": "user", "content": "What is the weather in Oslo and Bergen?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Two cities: two calls."},
            {"type": "text", "text": "I look."},
        ],
        "tool_calls": [
            {"id": "c1", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
            {"id": "c2", "function": {"name": "weather", "arguments": '{"city": "Bergen"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": '{"celsius": 4, "rain": true}'},
    {"role": "tool", "tool_call_id": "c2", "name": "weather", "content": "No station.", "status": "error"},
    {"role": "assistant", "content": "Oslo has 4 degrees and rain. Bergen's station does not answer."},
]


def with_tools(client: Client) -> None:
    """A session in which tools are called, beside the demo's."""
    fields = ("user_id", "ann", "context", "travel", "created_at", "2026-07-14T10:30:00Z")
    client.execute("HSET", "session:tools", *fields, "history", json.dumps(TOOLS))
    client.execute("EXPIRE", "session:tools", 5_000)


def settled(page: Page) -> None:
    """Until the script has run and its charts are drawn."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1_500)


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("No Chromium found on the PATH.")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, engine.start(Path(home)) as running:
        running.wait_ready()
        with connect(running.target) as client:
            loader.load(client, home=Path(home), docs=20_000)
            with_tools(client)
        app = App(running.target, port=free_port(), home=Path(home))
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
                for scheme in ("light", "dark"):
                    context = browser.new_context(viewport=SIZE, color_scheme=scheme)
                    page = context.new_page()
                    while not app.answers():
                        page.wait_for_timeout(200)
                    for shot in (each for each in SHOTS if each.name in sys.argv[1:] or not sys.argv[1:]):
                        page.goto(f"{app.url}/{shot.link}")
                        settled(page)
                        button = page.get_by_role("button", name=shot.click) if shot.click else None
                        if button is not None and button.is_visible():  # else the app still knows
                            button.click()
                            page.wait_for_timeout(2_500)
                            settled(page)
                        if shot.until:
                            page.wait_for_selector(shot.until, timeout=600_000)
                            settled(page)
                        if shot.at:
                            page.locator(shot.at).first.evaluate(
                                "part => part.scrollIntoView({block: 'center'})"
                            )
                        page.screenshot(path=FOLDER / f"{shot.name}-{scheme}.png")
                    context.close()
                browser.close()
        finally:
            app.stop()


if __name__ == "__main__":
    main()
