"""The map in the browser: time to the first picture, frames a second, memory.

    python benchmarks/map_draw.py                     20,000 and 200,000 points
    python benchmarks/map_draw.py --points 1000000    a million
    python benchmarks/map_draw.py --points 1000000 --pictures FOLDER
        only a map of a million vectors, laid out, with its names: a picture in each theme, after six minutes

A page of one component in an app of its own, with points drawn at random in 60 groups; no server, no layout.
Chromium draws in software. First paint: from the points being in the browser to the picture. Frames: turns of
requestAnimationFrame while the map is panned and zoomed by its own camera, each waited for until it is drawn.
Goals for 1,000,000: first paint at most 2 s, 20 frames a second.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Page

FLAGS = ["--no-sandbox", "--disable-gpu"]

PAGE = """
import numpy as np
import streamlit as st
from memdb.ui.map import canvas
n = int(st.query_params["n"])
@st.cache_resource
def points(n):
    rng = np.random.default_rng(0)
    group = rng.integers(0, 60, n)
    xy = rng.normal(size=(60, 2))[group] * 8 + rng.normal(size=(n, 2))
    return canvas.packed("bench", xy.astype(np.float32), (group % 7).astype(np.uint8))
made = points(n)
canvas.carry(made, "bench")
colours = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a6ff0")
canvas.show(made, [canvas.Category(c, c) for c in colours], key="bench", view="v", dark=False, alt="points")
"""

PICTURE = """
import os
import numpy as np
import streamlit as st
from memdb.maps.request import Level, Map, MapRequest
from memdb.ui.map import canvas, figures, painting
from memdb.ui.map.figures import Colouring
@st.cache_resource
def laid():
    with np.load(os.environ["PICTURE_OF"]) as arrays:
        held = {name: arrays[name] for name in arrays}
    levels = [Level(held[f"labels{i}"], tuple(held[f"names{i}"].tolist())) for i in range(3)]
    n = len(held["xy"])
    return Map(MapRequest("drawn"), "UMAP", (), held["xy"], n, "COSINE", "", (), labels=levels[0].labels,
               names=levels[0].names, finer=tuple(levels[1:]))
dark = st.query_params["theme"] == "dark"
@st.cache_resource
def points(dark):
    made = laid()
    names = np.array([*made.names, figures.BETWEEN], dtype=object)
    shades = painting.painted(Colouring("clusters", names[made.labels].tolist()), dark=dark)
    return shades, canvas.packed("picture", made.xy, shades.codes)
shades, made = points(dark)
canvas.carry(made, "picture")
canvas.show(made, shades.categories, key="picture", view="v", dark=dark, alt="points",
            labels=painting.labels(made.plane, laid()))
"""

SYLLABLES = ("ka", "lu", "mi", "ro", "ta", "ven", "so", "dor", "pel", "zi", "nam", "gri")

MEASURE = """
async () => {
  const scatter = window.memdbMap;
  const camera = scatter.get('camera');
  const within = (element) => element.shadowRoot?.querySelector('.map');
  const root = [...document.querySelectorAll('*')].map(within).find(Boolean);
  const frame = () => new Promise((done) => {
    let left = 2;  // WebGL's part and ours
    const some = () => { left--; if (!left) done(); };
    root.addEventListener('painted', some, { once: true });
    scatter.subscribe('draw', some, 1);
    scatter.redraw();
  });
  for (let i = 0; i < 3; i++) { camera.pan([0.01, 0]); await frame(); }
  const began = performance.now();
  let frames = 0;
  let least = Infinity;
  while (performance.now() - began < 4000) {
    camera.pan([0.01 * Math.sin(frames / 5), 0.01 * Math.cos(frames / 5)]);
    camera.scale([1 + 0.01 * Math.sin(frames / 9), 1 + 0.01 * Math.sin(frames / 9)], [0, 0]);
    await frame();
    frames++;
    least = Math.min(least, Number(root.dataset.shown ?? root.dataset.points));
  }
  return [frames / ((performance.now() - began) / 1000), least];
}
"""


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), float("nan"))


@contextmanager
def served(script: str, folder: Path, **variables: str) -> Iterator[tuple[str, int]]:
    """A script as an app: its address and process."""
    from memdb.ports import free_port

    port = free_port()
    page_file = folder / "page.py"
    page_file.write_text(script)
    options = {"port": str(port), "headless": "true"}
    app = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(page_file), "--browser.gatherUsageStats", "false"]
        + [part for name, value in options.items() for part in (f"--server.{name}", value)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **variables},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"http://localhost:{port}", app.pid
    finally:
        app.terminate()
        app.wait()


def chromium() -> str:
    return next(p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n)))


def opened(page: Page, address: str, n: int) -> None:
    """Open a page of the app, which may not be up yet, and wait until its points are there."""
    from playwright.sync_api import Error

    for _ in range(120):
        try:
            page.goto(address)
            break
        except Error:
            time.sleep(0.5)
    page.wait_for_selector(f'.map[data-points="{n}"]', timeout=300_000)


def measure(sizes: list[int]) -> bool:
    from playwright.sync_api import sync_playwright

    good = True
    with (
        tempfile.TemporaryDirectory(prefix="memdb-") as folder,
        served(PAGE, Path(folder)) as (address, pid),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for n in sizes:
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            began = time.perf_counter()
            opened(page, f"{address}/?n={n}", n)
            there = time.perf_counter() - began
            paint = int(page.get_attribute(".map", "data-drawn-ms") or 0) / 1000
            page.wait_for_selector(f'.map[data-by="webgl"], .map[data-shown="{n}"]')
            whole = int(page.get_attribute(".map", "data-whole-ms") or paint * 1000) / 1000
            rate, least = page.evaluate(MEASURE)
            heap = page.evaluate("() => performance.memory.usedJSHeapSize") / 2**20
            print(
                f"{n:,} points: first paint {paint:.2f} s after the data, all drawn {whole:.2f} s, "
                f"page {there:.1f} s after it was opened, {rate:.0f} frames a second of at least "
                f"{least:,} points; heap of the page {heap:,.0f} MB, server {memory_mb(pid):,.0f} MB",
                flush=True,
            )
            good = good and (n < 1_000_000 or (paint <= 2 and rate >= 20))
            page.close()
        browser.close()
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")
    return good


def lay(n: int, file: Path) -> None:
    """Lay out n drawn vectors as the product does, and keep places, clusters and names."""
    from maps import GROUPS, drawn, groups, ours

    from memdb.maps import clusters

    xy, near, spent = ours(drawn(n, 128))
    recall = "exact" if near.recall is None else near.recall.words
    print(f"{n:,} x 128 laid out in {spent['total']:.0f} s, {recall}", flush=True)
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(SYLLABLES, 3)) for _ in range(2 * GROUPS)]
    where = groups(n)
    kept: dict[str, np.ndarray] = {"xy": xy}
    some = clusters.told(n)
    texts = [f"{words[2 * g]} {words[2 * g + 1]}" for g in where[some].tolist()]
    for level in range(clusters.LEVELS):
        labels = clusters.clusters(xy, level=level)
        kept[f"labels{level}"] = labels
        names = clusters.names(texts, labels[some], int(labels.max(initial=-1)) + 1)
        kept[f"names{level}"] = np.array(names)
    np.savez(file, **kept)


def pictures(n: int, into: Path) -> None:
    """Write map-N-light.png and map-N-dark.png."""
    from playwright.sync_api import sync_playwright

    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder:
        file = Path(folder) / "laid.npz"
        lay(n, file)
        with (
            served(PICTURE, Path(folder), PICTURE_OF=str(file)) as (address, _),
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
            for theme in ("light", "dark"):
                size = {"width": 1000, "height": 900}
                page = browser.new_page(viewport=size, color_scheme=theme)  # type: ignore[arg-type]
                opened(page, f"{address}/?theme={theme}", n)
                page.wait_for_selector(f'.map[data-by="webgl"], .map[data-shown="{n}"]', timeout=60_000)
                page.wait_for_selector(".map .name")
                page.locator(".map .stage").screenshot(path=into / f"map-{n}-{theme}.png")
                print(f"map-{n}-{theme}.png: {page.locator('.map .name').count()} names", flush=True)
                page.close()
            browser.close()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--points", type=int, nargs="+", default=[20_000, 200_000])
    options.add_argument("--pictures", type=Path, metavar="FOLDER")
    given = options.parse_args()
    if given.pictures is not None:
        for n in given.points:
            pictures(n, given.pictures)
        return 0
    good = measure(given.points)
    print("goals met" if good else "GOALS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
