"""The Sessions page as a person uses it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from tests.waiting import until

HEAD, ROW = 36, 33  # heights in pixels of the table's head and rows


@pytest.fixture
def demo(demo_target: Target) -> Iterator[Client]:
    with connect(demo_target) as client:
        yield client


@pytest.fixture
def session(demo: Client) -> Iterator[str]:
    """Id of a session of this test alone, with five minutes to live."""
    id_ = f"browser-{uuid.uuid4().hex[:8]}"
    history = (
        '[{"role": "user", "content": "A <b>bold</b> question"}, {"role": "assistant", "content": "**No**"}]'
    )
    demo.execute("HSET", f"session:{id_}", "user_id", "browser", "context", "test", "history", history)
    demo.execute("HSET", f"session:{id_}", "created_at", "2026-07-14T10:30:00Z")
    demo.execute("EXPIRE", f"session:{id_}", 300)
    yield id_
    demo.execute("DEL", f"session:{id_}")


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible()


def table(page: Page) -> Locator:
    return page.locator('[class*="st-key-sessions-table"]').get_by_test_id("stDataFrame")


def choose_row(page: Page, row: int) -> None:
    """Click a row's box: the table is a canvas, so by place. It may be drawn before it takes a click."""

    def chosen() -> bool:
        table(page).click(position={"x": 16, "y": HEAD + ROW * row + ROW // 2})
        with suppress(AssertionError):
            expect(opened(page)).not_to_have_value("", timeout=5_000)
        return opened(page).input_value() != ""

    until(chosen, f"row {row} is open")


def opened(page: Page) -> Locator:
    return page.get_by_label("Open a session")


def said(page: Page) -> Locator:
    """What the open conversation begins with."""
    return page.get_by_test_id("stChatMessage").first.get_by_test_id("stText")


def test_choose_a_row_and_share_the_link(app_server: str, context: BrowserContext, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{app_server}/sessions")
    ready(page)
    expect(said(page)).to_be_visible()
    choose_row(page, 2)
    expect(opened(page)).to_have_value(re.compile("^sess_"))
    expect(page).to_have_url(re.compile("sessions.open=sess_"))
    expect(said(page)).to_be_visible()

    other = context.new_page()
    other.goto(page.url)
    ready(other)
    expect(opened(other)).to_have_value(opened(page).input_value())
    expect(said(other)).to_have_text(said(page).inner_text())
    assert errors == []


def test_filter_and_page(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/sessions")
    ready(page)
    expect(page.get_by_text(re.compile("^Page 1 "))).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text(re.compile("^Page 2 "))).to_be_visible()
    page.get_by_label("User", exact=True).fill("nobody-has-this-name")
    page.get_by_label("User", exact=True).press("Enter")
    expect(page.get_by_text("No session passes this filter")).to_be_visible()
    expect(page).to_have_url(re.compile("sessions.user=nobody-has-this-name"))


def test_the_time_left_runs_down_and_writes_are_confirmed(
    app_server: str, page: Page, demo: Client, session: str
) -> None:
    page.goto(f"{app_server}/sessions?sessions.open={session}")
    ready(page)
    expect(page.get_by_text("A <b>bold</b> question")).to_be_visible()  # as it is stored
    expect(page.get_by_text("**No**")).to_be_visible()
    clock = page.get_by_text(re.compile(r"expires in \d+:\d\d"))
    first = clock.inner_text()
    expect(clock).not_to_have_text(first)

    page.get_by_role("button", name="Extend").click()
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    toast = page.get_by_test_id("stToastText")  # a document may say the same
    expect(toast.filter(has_text="Extended:")).to_be_visible()
    assert 3_600 < demo.execute("TTL", f"session:{session}") <= 3_900

    page.get_by_role("button", name="Persist").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert demo.execute("TTL", f"session:{session}") > 0
    page.get_by_role("button", name="Persist").click()
    page.get_by_role("dialog").get_by_role("button", name="Persist").click()
    expect(page.get_by_text("never expires").first).to_be_visible()
    assert demo.execute("TTL", f"session:{session}") == -1

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(toast.get_by_text("Deleted.", exact=True)).to_be_visible()
    expect(opened(page)).to_have_value("")
    assert demo.execute("EXISTS", f"session:{session}") == 0


def test_the_user_and_the_nearest_documents(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/sessions?sessions.view=User")
    ready(page)
    expect(page.get_by_text("company_size")).to_be_visible()
    expect(page.get_by_text("Nearest documents")).to_be_visible()
    page.get_by_role("button", name="All sessions of this user").click()
    expect(page).to_have_url(re.compile("sessions.user=user"))
    expect(page.get_by_text("the last page")).to_be_visible()


def test_a_session_is_exported(app_server: str, page: Page, session: str) -> None:
    page.goto(f"{app_server}/sessions?sessions.open={session}")
    ready(page)
    with page.expect_download() as waited:
        # By its key: the list above it has a JSON button of its own, which may be drawn first.
        page.locator(".st-key-sessions-json").get_by_role("button").click()
    assert waited.value.suggested_filename == f"session-{session}.json"
    assert '"content": "**No**"' in waited.value.path().read_text()


def test_many_are_deleted_after_a_dry_run_and_the_typed_words(
    app_server: str, page: Page, demo: Client, session: str
) -> None:
    page.goto(
        f"{app_server}/sessions?sessions.show=Change%20many&sessions.user=browser&sessions.bulk.action=Delete"
    )
    ready(page)
    page.get_by_role("button", name="Dry run").click()
    typed = page.get_by_placeholder("delete 1", exact=True)
    expect(typed).to_be_visible()
    assert demo.execute("EXISTS", f"session:{session}")
    typed.fill("delete 1")
    page.get_by_role("button", name="Delete 1 session").click()
    expect(page.get_by_text("1 of 1 session deleted")).to_be_visible()
    assert not demo.execute("EXISTS", f"session:{session}")


def test_a_link_opens_the_overview(app_server: str, page: Page) -> None:
    page.goto(f"{app_server}/sessions?sessions.show=Overview")
    ready(page)
    expect(page.get_by_text("Memory freed by expiry")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
