"""The map with a real lasso and hover: drawn, asked, selected, and the region taken to the Recall page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from memdb.tuning.packing import unpacked
from tests.waiting import PATIENCE_S

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible(
        timeout=LONG_MS
    )


def drawn(page: Page) -> Locator:
    """The map once its points are there."""
    canvas = page.locator(".map[data-points]")
    expect(canvas).to_have_count(1, timeout=LONG_MS)
    return canvas


def lasso(page: Page, canvas: Locator) -> None:
    """Around the middle of the map."""
    canvas.locator("[data-action=lasso]").click()
    stage = canvas.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = ((-160, -140), (150, -160), (170, 160), (-150, 130), (-158, -130))
    page.mouse.move(x + corners[0][0], y + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[1:]:
        page.mouse.move(x + dx, y + dy, steps=12)
    page.mouse.up()
    expect(canvas).to_have_attribute("data-selected", re.compile(r"[1-9]\d*"))


def within(polygon: list[list[float]], xy: np.ndarray) -> list[int]:
    """The points that a polygon winds around, by the angles under which they see its corners."""
    low, high = xy.min(axis=0).astype(float), xy.max(axis=0).astype(float)
    plane = ((xy - (low + high) / 2) / ((high - low).max() / 2 * 1.05)).astype(np.float32).astype(float)
    seen = np.array(polygon)[None, :, :] - plane[:, None, :]
    angles = np.arctan2(seen[..., 1], seen[..., 0])
    turned = np.diff(np.concatenate([angles, angles[:, :1]], axis=1), axis=1)
    around = ((turned + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi)
    return np.flatnonzero(np.abs(around) > 0.5).tolist()


def kept_map(home: Path, points: int) -> tuple[list[str], np.ndarray]:
    """Keys and places of the kept map of so many points; other tests keep others beside it."""
    for path in (home / "maps").glob("*.npz"):
        with np.load(path) as arrays:
            if len(arrays["xy"]) == points:
                return unpacked("keys", arrays), arrays["xy"]
    raise AssertionError(f"no map of {points} points is kept")


@pytest.mark.timeout(300)
def test_draw_ask_lasso_and_tune(app_server: str, page: Page, home: Path) -> None:
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of [\d,]+, random, seed 0"))).to_be_visible(
        timeout=LONG_MS
    )
    ready(page)
    question = page.get_by_role("textbox", name="On the map")
    question.fill("restore a table")
    question.press("Enter")
    expect(page.get_by_text(re.compile(r"recall@10"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text(re.compile(r"\d+ found"), exact=False).first).to_be_visible()
    canvas = drawn(page)
    expect(canvas.locator("svg .mark.query")).to_have_count(1)
    assert canvas.locator("svg .mark.found, svg .mark.missed, svg .mark.wrong").count() >= 10
    lasso(page, canvas)
    expect(page.get_by_text(re.compile(r"[\d,]+ documents selected"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("What sets them apart")).to_be_visible()
    with page.expect_download() as started:
        page.locator(".st-key-map-selection-CSV").get_by_role("button").click()
    rows = list(csv.DictReader(started.value.path().read_text().splitlines()))
    # The corners as the browser tells them, and a test of the points in float64 of this test's own.
    polygon = json.loads(canvas.get_attribute("data-lasso") or "")
    keys, xy = kept_map(home, 800)
    assert {row["key"] for row in rows} == {keys[i] for i in within(polygon, xy)}
    assert str(len(rows)) == canvas.get_attribute("data-selected")
    # Another view and back: what was selected stays.
    page.get_by_role("radio", name="Files").click()
    expect(page.get_by_text("The same with Python")).to_be_visible()
    page.get_by_role("radio", name="Map", exact=True).click()
    expect(drawn(page)).to_have_attribute("data-selected", str(len(rows)))
    page.get_by_role("button", name="Recall of this region").click()
    link = page.get_by_role("link", name="Tune with these documents as queries")
    expect(link).to_be_visible(timeout=LONG_MS)
    link.click()
    expect(page).to_have_url(re.compile(r"/recall\?.*recall\.by=Selected"))
    expect(page.get_by_text(re.compile(r"Each is left out of its own results"))).to_be_visible(
        timeout=LONG_MS
    )


@pytest.mark.timeout(300)
def test_points_that_the_processor_draws_are_lassoed_and_tell_what_they_are(
    app_server: str, page: Page, home: Path
) -> None:
    """Where WebGL is computed by the processor, more than a thousand points are drawn without it."""
    page.goto(f"{app_server}/map?map.n=1600")
    ready(page)
    page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 1,600 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    canvas = drawn(page)
    if canvas.get_attribute("data-by") != "processor":
        pytest.skip("This browser has a graphics card.")
    expect(canvas).to_have_attribute("data-shown", "1600")
    stage = canvas.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    hover = canvas.locator(".tip")
    for step in range(120):
        page.mouse.move(
            box["x"] + box["width"] * (0.35 + 0.004 * step), box["y"] + box["height"] * (0.4 + 0.0025 * step)
        )
        if hover.is_visible():
            break
    expect(hover).to_have_text(re.compile(r"\w{3}"))
    lasso(page, canvas)
    expect(page.get_by_text(re.compile(r"[\d,]+ documents selected"))).to_be_visible(timeout=LONG_MS)
    with page.expect_download() as started:
        page.locator(".st-key-map-selection-CSV").get_by_role("button").click()
    rows = list(csv.DictReader(started.value.path().read_text().splitlines()))
    polygon = json.loads(canvas.get_attribute("data-lasso") or "")
    keys, xy = kept_map(home, 1_600)
    assert {row["key"] for row in rows} == {keys[i] for i in within(polygon, xy)}
    assert str(len(rows)) == canvas.get_attribute("data-selected")


@pytest.mark.timeout(300)
def test_a_browser_without_webgl_is_told(app_server: str, page: Page) -> None:
    page.add_init_script(
        """const before = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind.includes('webgl') ? null : before.call(this, kind, ...rest);
        };"""
    )
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text("This browser has no WebGL")).to_be_visible(timeout=LONG_MS)
    expect(page.locator(".st-key-map-chart .js-plotly-plot .point").first).to_be_visible()


@pytest.mark.timeout(300)
def test_a_point_tells_what_it_is(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    canvas = drawn(page)
    box = canvas.locator(".stage").bounding_box()
    assert box is not None
    hover = canvas.locator(".tip")
    for step in range(120):  # over the middle until some point is hit
        page.mouse.move(
            box["x"] + box["width"] * (0.35 + 0.004 * step), box["y"] + box["height"] * (0.4 + 0.0025 * step)
        )
        if hover.is_visible():
            break
    expect(hover).to_have_text(re.compile(r"\w{3}"))
