"""The map with a real lasso and hover: drawn, asked, selected, and the region taken to the Recall page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.waiting import PATIENCE_S

LONG_MS = 2_000 * PATIENCE_S  # a sweep, a map or a build, on a cold app beside other tests


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible(
        timeout=LONG_MS
    )


@pytest.mark.timeout(300)
def test_draw_ask_lasso_and_tune(app_server: str, page: Page) -> None:
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
    chart = page.locator(".st-key-map-chart .js-plotly-plot").first
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    chart.hover()
    page.locator('.st-key-map-chart [data-title="Lasso Select"]').first.click()
    corners = ((-160, -160), (160, -160), (160, 160), (-160, 160), (-160, -160))
    page.mouse.move(x + corners[0][0], y + corners[0][1])
    page.mouse.down()
    for dx, dy in corners[1:]:
        page.mouse.move(x + dx, y + dy, steps=8)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"[\d,]+ documents selected"))).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("What sets them apart")).to_be_visible()
    page.get_by_role("button", name="Recall of this region").click()
    link = page.get_by_role("link", name="Tune with these documents as queries")
    expect(link).to_be_visible(timeout=LONG_MS)
    link.click()
    expect(page).to_have_url(re.compile(r"/recall\?.*recall\.by=Selected"))
    expect(page.get_by_text(re.compile(r"Each is left out of its own results"))).to_be_visible(
        timeout=LONG_MS
    )


@pytest.mark.timeout(300)
def test_a_point_tells_what_it_is(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/map?map.n=800")
    ready(page)
    if page.get_by_text("No map of this yet").is_visible():
        page.get_by_role("button", name="Draw the map").click()
    expect(page.get_by_text(re.compile(r"Showing 800 of"))).to_be_visible(timeout=LONG_MS)
    ready(page)
    chart = page.locator(".st-key-map-chart .js-plotly-plot").first
    box = chart.bounding_box()
    assert box is not None
    hover = page.locator(".st-key-map-chart .hoverlayer text").first
    for step in range(80):  # over the middle until some point is hit
        page.mouse.move(
            box["x"] + box["width"] * (0.35 + 0.004 * step), box["y"] + box["height"] * (0.4 + 0.0025 * step)
        )
        if hover.count():
            break
    expect(hover).to_be_visible()
