"""What a person waits for a map: from the click to the finished layout in the browser.

    python benchmarks/map_wait.py               20,000 documents
    python benchmarks/map_wait.py --docs 5000   fewer

The real app on the real engine, filled with the demo's documents beforehand; Chromium draws in software. Each
turn draws another layout (another seed), the first in a process where nothing is read yet. Printed beside it:
the stages as the map itself counts them. Goal: the layout of 20,000 documents within 8 s on a quiet machine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

TURNS = 2
LAID_OUT = "the layout is finished|Showing [\\d,]+|Showing all"


def measure(docs: int, keep: Path | None) -> bool:
    import re

    from playwright.sync_api import sync_playwright

    from memdb.cluster import engine
    from memdb.cluster.client import connect
    from memdb.demo import loader
    from memdb.demo.app import App
    from memdb.maps import store
    from memdb.ports import free_port

    chromium = next(p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n)))
    waits = []
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder, engine.start(Path(folder)) as running:
        running.wait_ready()
        with connect(running.target) as client:
            loader.load(client, home=Path(folder), docs=docs)
        app = App(running.target, port=free_port(), home=Path(folder))
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                while not app.answers():
                    page.wait_for_timeout(200)
                page.goto(app.url)
                page.wait_for_timeout(8_000)  # as long as somebody looks at the first page
                for turn in range(TURNS):
                    page.goto(f"{app.url}/map?map.n={docs}&map.lseed={turn}")
                    button = page.get_by_role("button", name="Draw the map")
                    button.wait_for(timeout=120_000)
                    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
                    began = time.perf_counter()
                    button.click()
                    page.get_by_text(re.compile(LAID_OUT)).first.wait_for(timeout=200_000)
                    waits.append(time.perf_counter() - began)
                    page.get_by_text(re.compile(r"trustworthiness")).first.wait_for(timeout=200_000)
                    whole = time.perf_counter() - began
                    kept = store.listed(Path(folder), running.target)[0]
                    made = store.reopened(Path(folder), running.target, kept)
                    stages = ", ".join(f"{stage} {s:.1f}" for stage, s in made.seconds) if made else ""
                    print(
                        f"{docs:,} documents, turn {turn + 1}: layout after {waits[-1]:.1f} s, judged and "
                        f"named after {whole:.1f} s; the map's own stages: {stages} s",
                        flush=True,
                    )
                    if keep is not None:
                        page.wait_for_timeout(3_000)
                        page.screenshot(path=keep / f"map-{docs}-{turn}.png", full_page=True)
                browser.close()
        finally:
            app.stop()
    return min(waits) <= 8


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--docs", type=int, default=20_000)
    options.add_argument("--shots", type=Path, help="a folder for pictures of the finished page")
    given = options.parse_args()
    good = measure(given.docs, given.shots)
    print("goals met" if good else "GOALS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
