"""Search as a person uses it: ask, filter, move EF, look at a document, share the link."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.waiting import until

QUESTION = "copy an object to another bucket"


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


def table(page: Page) -> Locator:
    return page.locator('[class*="st-key-search-table"]').get_by_test_id("stDataFrame")


def told(page: Page, text: str | re.Pattern[str]) -> Locator:
    return page.locator("p").filter(has_text=text).first


def asked(page: Page, address: str, question: str = QUESTION) -> None:
    page.goto(f"{address}/search")
    ready(page)
    box = page.get_by_role("textbox", name="Question")
    box.fill(question)
    box.press("Enter")
    expect(told(page, re.compile(r"10 of K 10 · EF 64 · [\d.]+ ms"))).to_be_visible()


def view(page: Page, name: str) -> None:
    chosen = page.get_by_test_id("stButtonGroup").get_by_role("radio", name=name, exact=True)

    def is_chosen() -> bool:
        """A click on what is just being drawn anew is lost."""
        chosen.click()
        ready(page)
        return chosen.get_attribute("aria-checked") == "true"

    until(is_chosen, f"{name} is chosen")


def test_ask_filter_move_ef_and_open_the_link_in_a_new_tab(
    app_server: str, context: BrowserContext, page: Page
) -> None:
    errors: list[str] = []
    page.on(
        "console",
        lambda m: errors.append(m.text) if m.type == "error" else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    asked(page, app_server)
    expect(table(page)).to_be_visible()
    # Filter by service, by typing into the list of its values: Enter takes the one typed, no other.
    services = page.locator('[class*="st-key-search-f-service"]').get_by_role("combobox")
    services.fill("s3")
    services.press("Enter")
    page.keyboard.press("Escape")
    expect(told(page, re.compile(r"of 2,000 documents match \("))).to_be_visible()
    # Any EF_RUNTIME can be typed.
    ef = page.locator('[class*="st-key-search-ef"]').get_by_role("spinbutton")
    ef.fill("23")
    ef.press("Enter")
    expect(told(page, re.compile(r"of K 10 · EF 23 ·"))).to_be_visible()
    # Everything is in the address, as values; a new tab shows the same.
    expect(page).to_have_url(re.compile(r"search\.ef=23"))
    held = parse_qs(urlsplit(page.url).query)
    assert held["search.f.service"] == ["s3"]
    assert "127.0.0.1" not in page.url.partition("?")[2]
    other = context.new_page()
    other.goto(page.url)
    expect(other.get_by_role("textbox", name="Question")).to_have_value(QUESTION)
    expect(told(other, re.compile(r"of K 10 · EF 23 ·"))).to_be_visible()
    expect(told(other, re.compile(r"of 2,000 documents match \("))).to_be_visible()
    assert errors == []


def test_the_first_visitor_who_follows_a_link_meets_no_dialog(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/search?search.q=restore+a+table")
    expect(told(page, re.compile(r"10 of K 10"))).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_a_row_opens_the_document_and_more_like_it(app_server: str, page: Page) -> None:
    asked(page, app_server)
    table(page).click(position={"x": 16, "y": 36 + 16})
    more = page.get_by_role("button", name="More like this")
    expect(more).to_be_visible()
    expect(page.get_by_text("256 × FLOAT32, length 1.000")).to_be_visible()
    more.click()
    expect(page.get_by_role("textbox", name="Key of a document")).to_have_value(re.compile(r"^doc:"))
    expect(told(page, re.compile(r"10 of K 10"))).to_be_visible()


def test_exact_neighbours_with_recall(app_server: str, page: Page) -> None:
    asked(page, app_server)
    view(page, "Against exact")
    compute = page.get_by_role("button", name="Compute exact neighbours")
    recall = page.get_by_test_id("stMetric").filter(has_text="recall@10")
    expect(compute.or_(recall)).to_be_visible()
    if (
        compute.is_visible()
    ):  # else the vectors were read before, by another test of this app: the answer is at hand
        compute.click()
    expect(recall).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="documents compared")).to_contain_text("2,000")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"found by the index \(\d+\)"))).to_be_visible()


def test_two_settings_draw_the_rank_moves(app_server: str, page: Page) -> None:
    asked(page, app_server)
    view(page, "Two EF settings")
    expect(page.get_by_test_id("stMetric").filter(has_text="in both")).to_be_visible()
    expect(page.locator(".js-plotly-plot").get_by_text("EF 10", exact=True)).to_be_visible()


def test_code_export_and_history(app_server: str, page: Page) -> None:
    asked(page, app_server)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    text = download.value.path().read_text()
    assert f'"query": "{QUESTION}"' in text
    assert '"ef_runtime": 64' in text
    view(page, "Code and link")
    expect(page.get_by_test_id("stCode").first).to_contain_text("KNN 10 @embedding $vec EF_RUNTIME 64")
    page.get_by_role("button", name="History").click()
    expect(page.get_by_text("The last 50 of this browser tab")).to_be_visible()


def test_a_wrong_filter_is_told_and_the_page_goes_on(app_server: str, page: Page) -> None:
    asked(page, app_server)
    expression = page.get_by_role("textbox", name="Expression")
    expression.fill("@service:{s3")
    expression.press("Enter")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("opens '{' at position 10 and never closes it")
    expect(page.get_by_text("Traceback")).to_have_count(0)
    expect(page.get_by_role("textbox", name="Question")).to_have_value(QUESTION)
    expression.fill("")
    expression.press("Enter")
    expect(told(page, re.compile(r"10 of K 10"))).to_be_visible()


def test_the_index_survives_a_page_switch(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/search?index=idx%3Ausers")
    ready(page)
    chosen = page.get_by_test_id("stSidebar").get_by_test_id("stSelectbox")
    expect(chosen.get_by_role("combobox")).to_have_value("idx:users")
    page.locator(".st-key-menu").get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="Sessions", exact=True)).to_be_visible()
    page.locator(".st-key-menu").get_by_role("link", name="Search").click()
    expect(page.get_by_role("heading", name="Search", exact=True)).to_be_visible()
    expect(chosen.get_by_role("combobox")).to_have_value("idx:users")
    expect(page).to_have_url(re.compile("index=idx%3Ausers"))
