"""Sizing and Compare as a person uses them: a wrong number, a link, own prices, the texts, the advisor."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def ready(page: Page) -> None:
    """Wait until the script has ended; a cold app on a busy machine takes long."""
    done = page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(done).to_be_visible()


def test_a_plan_from_numbers_to_templates(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/sizing")
    ready(page)
    vectors = page.get_by_role("textbox", name="Vectors")
    vectors.fill("10M")
    vectors.press("Enter")
    expect(page.get_by_text(re.compile(r"^3 × r[67]g\.\d+xlarge$"))).to_be_visible()
    expect(page.locator(".st-key-plan-memory .main-svg").first).to_be_visible()
    vectors.fill("ten million")
    vectors.press("Enter")
    expect(page.get_by_text("'ten million', which is not a number")).to_be_visible()
    expect(vectors).to_have_value("ten million")  # what was typed is still there
    vectors.fill("50,000,000")
    vectors.press("Enter")
    expect(page.get_by_text(re.compile("more shards do not help")).first).to_be_visible()
    vectors.fill("1,000,000")
    vectors.press("Enter")
    expect(page.get_by_text("3 × r6g.xlarge", exact=True)).to_be_visible()
    page.locator(".st-key-plan-view").get_by_text("Deploy", exact=True).click()
    ready(page)
    page.get_by_text("Terraform", exact=True).click()
    expect(page.get_by_text("aws_memorydb_cluster").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"plan\.view=Deploy"))


def test_the_cluster_is_read_and_compared(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/compare")
    ready(page)
    page.get_by_role("button", name="Read from this cluster").click()
    ready(page)
    expect(page.get_by_role("spinbutton", name="Dimension")).to_have_value("256")
    expect(page.get_by_text(re.compile("For these inputs .* costs least"))).to_be_visible()
    page.get_by_text("Break-even", exact=True).click()
    ready(page)
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    page.get_by_text("Advisor", exact=True).click()
    ready(page)
    page.get_by_text("Must a query answer in less than 10 ms?").click()
    expect(page.get_by_text("Choose MemoryDB.").first).to_be_visible()
