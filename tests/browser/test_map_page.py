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
    seen = np.array(polygon)[None, :, :] - plane_of(xy)[:, None, :]
    angles = np.arctan2(seen[..., 1], seen[..., 0])
    turned = np.diff(np.concatenate([angles, angles[:, :1]], axis=1), axis=1)
    around = ((turned + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi)
    return np.flatnonzero(np.abs(around) > 0.5).tolist()


def plane_of(xy: np.ndarray) -> np.ndarray:
    """Places (n, 2) as the map draws them: within [-1, 1], one scale for both axes."""
    low, high = xy.min(axis=0).astype(float), xy.max(axis=0).astype(float)
    return ((xy - (low + high) / 2) / ((high - low).max() / 2 * 1.05)).astype(np.float32).astype(float)


def pixels(plane: np.ndarray, wide: float, high: float, nearer: float = 1.0) -> np.ndarray:
    """Where a map in whole, or so many times nearer, draws places (n, 2): pixels from the upper left."""
    across, up = np.abs(plane).max(axis=0)
    far = 1.08 * max(up, across * high / wide) / nearer
    return np.column_stack([wide / 2 + plane[:, 0] / far * high / 2, high / 2 - plane[:, 1] / far * high / 2])


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


def box_taken(page: Page, canvas: Locator, part: tuple[float, float, float, float]) -> tuple[np.ndarray, int]:
    """The corners in pixels (2, 2) of a box over a part of the stage, and how many points it took."""
    canvas.locator("[data-action=clear]").click()
    expect(canvas).not_to_have_attribute("data-selected", re.compile(r"\d"))
    canvas.locator("[data-action=box]").click()
    stage = canvas.locator(".stage canvas.points")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    across = np.round(box["x"] + box["width"] * np.array([part[0], part[2]]))
    down = np.round(box["y"] + box["height"] * np.array([part[1], part[3]]))
    page.mouse.move(across[0], down[0])
    page.mouse.down()
    page.mouse.move(across[0] + 1, down[0] + 1)  # where it moves first is the corner
    page.mouse.move(across[1], down[1], steps=12)
    page.mouse.up()
    expect(canvas).to_have_attribute("data-selected", re.compile(r"\d"))
    corners = np.column_stack([across - box["x"], down - box["y"]])
    return corners, int(canvas.get_attribute("data-selected") or "")


def within_box(places: np.ndarray, corners: np.ndarray, reach: float) -> int:
    """How many places (n, 2) lie in a box that is larger by so much on each side."""
    low, high = corners[0] - reach, corners[1] + reach
    return int(((places > low) & (places < high)).all(axis=1).sum())


@pytest.mark.timeout(300)
def test_a_box_takes_what_is_drawn_in_it_whatever_the_size(app_server: str, page: Page, home: Path) -> None:
    """In a narrow window, a wide one, nearer: the whole map is seen, and a pixel means the same to all."""
    page.set_viewport_size({"width": 1_000, "height": 900})
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    canvas = drawn(page)
    plane = plane_of(kept_map(home, 800)[1])
    for width, nearer in ((1_000, 1), (1_700, 1), (700, 1), (1_280, 1), (1_280, 1.96)):
        page.set_viewport_size({"width": width, "height": 900})
        stage = canvas.locator(".stage canvas.points")
        expect(canvas.locator(".name").first).to_be_visible()
        for _ in range(round(np.log(nearer) / np.log(1.4))):
            canvas.locator("[data-action=nearer]").click()
        corners, taken = box_taken(page, canvas, (0.2, 0.25, 0.7, 0.6))
        box = stage.bounding_box()
        assert box is not None
        places = pixels(plane, box["width"], box["height"], nearer)
        if nearer == 1:
            assert (places > 0).all()
            assert (places < [box["width"], box["height"]]).all()
        assert within_box(places, corners, -2) <= taken <= within_box(places, corners, 2)
        assert within_box(places, corners, 0) > 5


@pytest.mark.timeout(300)
def test_a_bar_filters_the_map_and_a_lasso_changes_the_bars(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    canvas = drawn(page)
    before = page.locator(".bars .field").first.locator(".value")
    first = before.first
    told = first.get_attribute("title") or ""
    count = int(re.search(r": ([\d,]+) of 800 here", told)[1].replace(",", ""))  # type: ignore[index]
    assert 0 < count < 800
    first.click()
    expect(first).to_have_attribute("aria-pressed", "true")
    expect(first).to_have_attribute("title", re.compile(rf": {count:,} of {count:,} here \(100.0%\)"))
    ready(page)
    canvas = drawn(page)
    canvas.locator("[data-action=inView]").click()
    expect(canvas).to_have_attribute("data-selected", str(count))
    expect(page.get_by_text(f"{count:,} documents selected")).to_be_visible(timeout=LONG_MS)
    page.locator(".bars .every").first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    # The selection stays, and now takes all that is in view.
    expect(page.get_by_text("800 documents selected")).to_be_visible(timeout=LONG_MS)
    lasso(page, drawn(page))
    some = int(canvas.get_attribute("data-selected") or "")
    expect(first).to_have_attribute("title", re.compile(rf" of {some:,} here"))


@pytest.mark.timeout(300)
def test_two_moments_on_one_map(app_server: str, page: Page) -> None:
    """A kept map held against the same documents now: nothing differs, and each is one point."""
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    page.get_by_role("radio", name="Compare", exact=True).click()
    page.get_by_text("Two on one map", exact=True).click()
    page.get_by_text("This index, earlier", exact=True).click()
    expect(page.get_by_text("Kept map", exact=True)).to_be_visible()
    ready(page)  # a button pressed before would compare what was chosen before
    page.get_by_role("button", name="Compare", exact=True).click()
    words = page.get_by_text(re.compile(r"No difference beyond chance was measured: energy distance"))
    expect(words).to_be_visible(timeout=LONG_MS)
    told = words.inner_text()
    assert "800 are the same, 0 have another vector" in told
    figures = re.search(r"AUC of ([\d.]+) \(by chance ([\d.]+) to ([\d.]+);", told)
    assert figures is not None
    auc, low, high = map(float, figures.groups())
    assert low < 0.5 < high
    assert 0 < auc < 1
    canvas = drawn(page)
    expect(canvas).to_have_attribute("data-points", "800")
    expect(canvas.locator(".legend .entry", has_text="the same in both (800)")).to_be_visible()
    expect(canvas.locator(".name").first).to_be_visible()
    canvas.locator("[data-action=inView]").click()
    expect(
        page.get_by_text("Selected: 800 before (100.0% of that side), 800 after (100.0%).")
    ).to_be_visible()


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
