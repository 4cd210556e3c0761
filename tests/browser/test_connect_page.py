"""The Connect page as a person uses it: test, enter a server, carry it through the pages."""

from __future__ import annotations

from pathlib import Path

import pytest
import urllib3
from playwright.sync_api import Page, expect

from memdb.cluster.target import Target
from memdb.demo.app import App, app_folder, environment
from memdb.ports import free_port
from tests import oidc
from tests.browser.conftest import streamlit_run
from tests.waiting import PATIENCE_S, until


def ready(page: Page) -> None:
    expect(page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]')).to_be_visible(
        timeout=PATIENCE_S * 1_000
    )


def test_a_server_that_is_entered_stays_open_on_every_page(
    page: Page, app_server: str, demo_target: Target
) -> None:
    page.goto(f"{app_server}/connect")
    ready(page)
    main, sidebar = page.get_by_test_id("stMain"), page.get_by_test_id("stSidebar")
    page.locator(".st-key-connect-card-0").get_by_role("button", name="Test", exact=True).click()
    expect(main.get_by_text("Everything answers.")).to_be_visible()

    form = main.get_by_test_id("stForm").first
    form.get_by_label("Address", exact=True).fill(f"redis://127.0.0.1:{demo_target.port}")
    form.get_by_label("Password", exact=True).fill("falsch")
    form.get_by_role("button", name="Test", exact=True).click()
    expect(main.get_by_text("refused the login").first).to_be_visible()
    expect(main.get_by_text("Everything answers.")).to_be_hidden()

    form.get_by_label("Password", exact=True).fill(demo_target.password)
    form.get_by_label("Name", exact=True).fill("Mine")
    form.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Open").click()
    expect(sidebar.get_by_text("⬤ Mine")).to_be_visible()
    expect(sidebar.get_by_text("read-only")).to_be_visible()

    sidebar.get_by_role("link", name="Home").click()
    expect(main.get_by_role("heading", name="Home", exact=True)).to_be_visible()
    ready(page)
    expect(sidebar.get_by_text("⬤ Mine")).to_be_visible()
    expect(main.get_by_text("idx:embeddings").first).to_be_attached()
    assert demo_target.password not in page.url + page.content()


def test_login_before_anything_is_shown(
    page: Page, chromium: str, demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with oidc.provider() as issuer:
        file = tmp_path / "secrets.toml"
        file.write_text(oidc.secrets(issuer, f"http://localhost:{port}"))
        monkeypatch.setenv("STREAMLIT_SECRETS_FILES", str(file))
        app = App(demo_target, port=port, home=tmp_path)
        try:
            until(app.answers, "the app answers")
            page.goto(f"{app.url}/sessions")
            log_in = page.get_by_role("button", name="Log in")
            expect(log_in).to_be_visible()
            assert demo_target.address not in page.content()
            expect(page.get_by_test_id("stDataFrame")).to_have_count(0)
            log_in.click()
            sidebar = page.get_by_test_id("stSidebar")
            expect(sidebar.get_by_text("ada@example.com")).to_be_visible()
            expect(page.get_by_role("heading", name="Home", exact=True)).to_be_visible()
            # A file that the session offers: for who is logged in, and for nobody else.
            page.goto(f"{app.url}/sizing?plan.view=Code")
            with page.expect_request(lambda request: "/media/" in request.url) as asked:
                page.get_by_role("button", name="plan.json").click()
            file_url = asked.value.url
            ready(page)
            assert page.request.get(file_url).status == 200
            with urllib3.PoolManager(retries=False) as stranger:
                assert stranger.request("GET", file_url).status == 403
                forged = {"Cookie": "_streamlit_user=eyJpc19sb2dnZWRfaW4iOnRydWV9"}
                assert stranger.request("GET", file_url, headers=forged).status == 403
                assert stranger.request("PUT", f"{app.url}/_stcore/upload_file/a/b").status == 403
            sidebar.get_by_role("button", name="Log out").click()
            expect(log_in).to_be_visible()
            # It may be drawn before the browser has lost its cookie; the file is gone by then.
            until(lambda: page.request.get(file_url).status == 403, "the browser is logged out")
        finally:
            app.stop()


@pytest.mark.parametrize("first", ["present", "connect", "sessions", ""])
def test_the_first_request_after_a_start_needs_a_login_too(
    page: Page,
    demo_target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    """`streamlit run` finds `pages` beside its script, and would run a page's file alone."""
    with oidc.provider() as issuer:
        file = tmp_path / "secrets.toml"
        file.write_text(oidc.secrets(issuer, "http://localhost:1"))
        variables = {**environment(demo_target, tmp_path), "STREAMLIT_SECRETS_FILES": str(file)}
        with streamlit_run(app_folder() / "streamlit_app.py", variables) as url:
            page.goto(f"{url}/{first}")
            expect(page.get_by_role("button", name="Log in")).to_be_visible()
            ready(page)
            expect(page.get_by_role("button", name="Pull the plug")).to_have_count(0)
            expect(page.get_by_test_id("stMain").get_by_role("button")).to_have_count(1)
            assert demo_target.address not in page.content()
