"""The map in the browser: time to the first picture, frames a second, memory.

    python benchmarks/map_draw.py                     20,000 and 200,000 points
    python benchmarks/map_draw.py --points 1000000    a million

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
from pathlib import Path

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


def measure(sizes: list[int]) -> bool:
    from playwright.sync_api import Error, sync_playwright

    from memdb.ports import free_port

    chromium = next(p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n)))
    port = free_port()
    good = True
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder:
        page_file = Path(folder) / "page.py"
        page_file.write_text(PAGE)
        app = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                str(page_file),
                "--server.port",
                str(port),
                "--server.headless",
                "true",
                "--browser.gatherUsageStats",
                "false",
            ],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.DEVNULL,
        )
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
                )
                for n in sizes:
                    page = browser.new_page(viewport={"width": 1200, "height": 900})
                    began = time.perf_counter()
                    for _ in range(120):
                        try:
                            page.goto(f"http://localhost:{port}/?n={n}")
                            break
                        except Error:  # the app is not up yet
                            time.sleep(0.5)
                    page.wait_for_selector(f'.map[data-points="{n}"]', timeout=300_000)
                    opened = time.perf_counter() - began
                    paint = int(page.get_attribute(".map", "data-drawn-ms") or 0) / 1000
                    page.wait_for_selector(f'.map[data-by="webgl"], .map[data-shown="{n}"]')
                    whole = int(page.get_attribute(".map", "data-whole-ms") or paint * 1000) / 1000
                    rate, least = page.evaluate(MEASURE)
                    heap = page.evaluate("() => performance.memory.usedJSHeapSize") / 2**20
                    print(
                        f"{n:,} points: first paint {paint:.2f} s after the data, all drawn {whole:.2f} s, "
                        f"page {opened:.1f} s after it was opened, {rate:.0f} frames a second of at least "
                        f"{least:,} points; heap of the page {heap:,.0f} MB, "
                        f"server {memory_mb(app.pid):,.0f} MB",
                        flush=True,
                    )
                    good = good and (n < 1_000_000 or (paint <= 2 and rate >= 20))
                    page.close()
                browser.close()
        finally:
            app.terminate()
            app.wait()
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB at most")
    return good


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--points", type=int, nargs="+", default=[20_000, 200_000])
    good = measure(options.parse_args().points)
    print("goals met" if good else "GOALS MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
