"""What the app's web server adds to Streamlit: headers by which a browser calls nobody else, and the login
before files. Decision: docs/decisions/0097-foreign-text.md.

Both entry scripts make an `App` of Streamlit with this; `streamlit run` finds it in their source.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from memdb.ui.kit import access


def _policy() -> str:
    """The content-security policy: nothing is fetched from, sent to or framed by another host.

    Scripts are Streamlit's files, and those that its page holds, by their digest: no text that became a
    script would run. Its elements come with styles of their own; charts and tables draw pictures and
    run workers, and WebGL charts (the map, plotly) compile code of their own.
    """
    page = Path(get_static_dir(), "index.html").read_text("utf-8")
    inline = [
        sha256(text.encode()).digest() for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    digests = [f"'sha256-{b64encode(digest).decode()}'" for digest in inline]
    return "; ".join(
        (
            "default-src 'self'",
            " ".join(("script-src 'self' 'unsafe-eval'", *digests)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            "connect-src 'self' data: blob:",
            "frame-src 'self'",
            "frame-ancestors 'self'",
            "form-action 'self'",
            "base-uri 'self'",
            "object-src 'none'",
        )
    )


HEADERS = {
    "Content-Security-Policy": _policy(),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_FILES = ("/media/", "/_stcore/upload_file/")  # what sessions offer for download, and take


class _Guard:
    """Headers on every answer; files only for who is logged in, where a login is configured."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if _is_file(scope["path"]) and access.login_configured() and not _logged_in(Request(scope)):
            refusal = PlainTextResponse("Log in first.", HTTPStatus.FORBIDDEN)
            await refusal(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)


MIDDLEWARE = (Middleware(_Guard),)


def crashed(_: Exception) -> bool:
    """Say on the page that it broke, and nothing of the error: Streamlit writes it into the log."""
    st.error(
        "The app's log holds the error. Reload the page to go on.",
        title="This page has a fault.",
        icon=":material/bug_report:",
    )
    return True


def _is_file(path: str) -> bool:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return path.removeprefix(f"/{base}" if base else "").startswith(_FILES)


def _logged_in(request: Request) -> bool:
    """Whether a request carries the signed cookie that Streamlit sets after a login at this app."""
    signed = starlette_websocket._get_signed_cookie_with_chunks(dict(request.cookies), USER_COOKIE_NAME)
    return signed is not None and json.loads(signed).get("is_logged_in") is True
