"""The Metrics page live: a real build moves on it, and an engine is killed under it and comes back."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.cluster.engine import Engine
from memdb.demo.app import App
from memdb.operations.figures import CHARTS
from memdb.operations.history import path_of
from memdb.operations.past import Past
from memdb.ports import free_port
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec
from tests.waiting import PATIENCE_S, until

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests
ALWAYS = 4e9


@pytest.fixture
def own(chromium: str, tmp_path: Path) -> Iterator[tuple[str, Engine, Past]]:
    """An app of its own on an engine that may be killed, sampling twice a second."""
    with (
        local_engine.start(tmp_path / "engine", password="p") as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        running.wait_ready()
        patch.setenv("MEMDB_SAMPLE_SECONDS", "0.5")
        app = App(running.target, port=free_port(), home=tmp_path / "home")
        try:
            until(lambda: app.answers() or app.status() is not None, "the app answers")
            yield app.url, running, Past(path_of(tmp_path / "home", running.target))
        finally:
            app.stop()


@pytest.mark.timeout(280)
def test_a_build_moves_and_a_killed_engine_comes_back(
    own: tuple[str, Engine, Past], page: Page, tmp_path: Path
) -> None:
    url, running, past = own
    with connect(running.target) as client:
        vectors = np.random.default_rng(0).normal(size=(20_000, 96)).astype("<f4")
        for start in range(0, len(vectors), 2_000):
            client.pipeline(
                [("HSET", f"d:{i}", "v", vectors[i].tobytes()) for i in range(start, start + 2_000)]
            )
        page.goto(f"{url}/metrics?metrics.view=Index%20build")
        expect(page.get_by_text("No index on this target")).to_be_visible(timeout=LONG_MS)
        index.create(client, IndexSpec("idx", (HnswField("v", 96),), ("d:",)))
        # The chart's own account of the build, as it was drawn while it ran.
        expect(page.locator(".st-key-metrics-builds-chart")).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_text(re.compile("build finished, 20,000 documents"))).to_be_visible(
            timeout=LONG_MS
        )
    fractions = [p.fraction for p in past.builds(0, ALWAYS) if p.name == "idx"]
    assert fractions == sorted(fractions)
    assert len({f for f in fractions if 0 < f < 1}) >= 2
    assert fractions[-1] == 1.0

    os.kill(running.pid, signal.SIGKILL)
    expect(page.get_by_text("does not answer").first).to_be_visible(timeout=LONG_MS)
    with local_engine.start(tmp_path / "engine", port=running.target.port, password="p") as again:
        again.wait_ready()
        # By itself, without a reload.
        expect(page.get_by_text("does not answer")).to_have_count(0, timeout=LONG_MS)
        page.get_by_text("Events", exact=True).click()
        until(lambda: "restarted" in [e.text for e in past.events(0, ALWAYS)], "the restart is told")
        expect(page.locator(".st-key-metrics-events-export-CSV")).to_be_visible(timeout=LONG_MS)
        expect(page.get_by_text("Traceback")).to_have_count(0)


def test_charts_stay_where_they_are_and_take_the_new_samples(
    own: tuple[str, Engine, Past], page: Page
) -> None:
    """No redraw mounts a chart beside the one that stands, or leaves one empty."""
    url, _, _ = own
    drawn = page.get_by_test_id("stVegaLiteChart")
    page.goto(f"{url}/metrics?metrics.view=Load")
    expect(drawn.first).to_be_visible(timeout=LONG_MS)
    page.wait_for_timeout(3_000)  # charts whose first value comes with the second sample
    page.evaluate(
        """() => {
            window.seen = {most: 0, empty: 0, drawings: 0};
            const charts = () => [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
            charts().forEach(chart => { chart.stood = true });
            window.first = charts();
            new MutationObserver(() => {
                const now = charts();
                window.seen.drawings += 1;
                window.seen.most = Math.max(window.seen.most, now.length);
                window.seen.empty += now.filter(chart => chart.stood && !chart.querySelector('svg, canvas')).length;
            }).observe(document.body, {childList: true, subtree: true, attributes: true});
        }"""
    )
    many = drawn.count()
    before = page.evaluate("() => window.first.map(chart => chart.innerHTML)")
    page.wait_for_function(
        "before => window.first.every((chart, i) => chart.innerHTML !== before[i])",
        arg=before,
        timeout=LONG_MS,
    )
    assert page.evaluate("() => window.first.every(chart => chart.isConnected)")
    seen = page.evaluate("() => window.seen")
    assert seen["drawings"] > 0
    assert seen["most"] <= sum(chart.view == "Load" for chart in CHARTS)
    assert many <= seen["most"]
    assert seen["empty"] == 0
