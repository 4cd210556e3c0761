"""What the app's web server adds to Streamlit: no start without a login beyond this machine, headers by which
a browser calls nobody else, the login before files, readiness, and an end that jobs have time for.
Decisions: docs/decisions/0097-foreign-text.md, 0125-served-safely.md.

Both entry scripts make an `App` of Streamlit with this; `streamlit run` finds it in their source.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

import streamlit as st
from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.file_util import get_static_dir
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from memdb import jobs
from memdb.cluster.client import connect
from memdb.cluster.find import app_target, offered
from memdb.cluster.reader import Within
from memdb.cluster.targets import resolve
from memdb.errors import BadSettings, MemDBError
from memdb.settings import Settings
from memdb.ui import logs, warming
from memdb.ui.kit import access

# Unless it is told, Streamlit's page looks for its server below its own address, `/search/_stcore/health`,
# and the browser's console shows an error for each such answer. The server is where the page's files are.
_WHERE = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL(".", location.href).href}</script>'


def _page() -> str:
    """Streamlit's page, which every address of one part answers with, told where its server is."""
    text = Path(get_static_dir(), "index.html").read_text("utf-8")
    return text.replace("<script", f"{_WHERE}\n    <script", 1)


def _policy(page: str) -> str:
    """The content-security policy: nothing is fetched from, sent to or framed by another host.

    Scripts are Streamlit's files, and those that its page holds, by their digest: no text that became a
    script would run. Its elements come with styles of their own; charts and tables draw pictures and
    run workers, and regl, under the map, compiles code of its own.
    """
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


_PAGE = _page()
HEADERS = {
    "Content-Security-Policy": _policy(_PAGE),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
READY = "/_stcore/ready"  # beside Streamlit's own /_stcore/health, which tells that the process answers
ENDING_S = 20.0  # what jobs have to keep their partial results once the app is told to end
_FILES = ("/media/", "/_stcore/upload_file/")  # what sessions offer for download, and take
_LOGIN_KEYS = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
_LOOKED_S, _WAIT_S = 5.0, 1.5  # how long a look at the target counts, and how long it waits
_LOG = logging.getLogger("memdb.app")
OPEN_TO_ALL = (
    "The app was about to listen beyond this machine, on {where}, without a login: whoever reaches that "
    "address would see what the server holds. There are three ways on: listen on localhost "
    "(--server.address localhost) and come through a tunnel, or through a proxy that lets nobody past "
    "without a login; configure a login, the table [auth] of secrets.toml or MEMDB_LOGIN "
    "(docs/connect.md); or set MEMDB_SERVE_WITHOUT_LOGIN=1, and every page says so."
)


def starting() -> None:
    """Called by the entry scripts before the server takes a visitor: what must hold, and the log.

    Raises:
        SystemExit: the app would be open to all, its login cannot be read, or a setting is no value.
    """
    try:
        settings = Settings.from_env()
        logs.configure(settings.log)
        login = bool(login_secrets()) or access.login_configured()
        if access.login_unreadable():
            raise BadSettings(
                "There is a secrets file of Streamlit's that cannot be read, and a login may stand in it.",
                "Correct or remove it: ~/.streamlit/secrets.toml, or what STREAMLIT_SECRETS_FILES names.",
            )
    except MemDBError as exc:
        raise SystemExit(f"memdb: {exc.full()}") from None
    address = str(st.get_option("server.address") or "")
    if not (access.is_loopback(address) or login or settings.serve_without_login):
        raise SystemExit(f"memdb: {OPEN_TO_ALL.format(where=address or 'every address')}")
    facts = {"login": login, "address": address or "all", "port": st.get_option("server.port")}
    _LOG.info("The app starts.", extra={"facts": facts})


def login_secrets() -> dict[str, Any]:
    """Streamlit's table [auth], where MEMDB_LOGIN holds it; for its `App`.

    Raises:
        BadSettings: it is no JSON object, or lacks a key.
    """
    text = Settings.from_env().login
    if not text:
        return {}
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    missing = [key for key in _LOGIN_KEYS if not isinstance(table, dict) or not table.get(key)]
    if missing:
        what = f"lacks {', '.join(missing)}" if isinstance(table, dict) else "is no JSON object"
        raise BadSettings(
            f"MEMDB_LOGIN {what}.", f"It is an object with {', '.join(_LOGIN_KEYS)} (docs/connect.md)."
        )
    return {"auth": table}


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """While the server runs. At its end jobs are asked to end, and have time to keep what they have."""
    warming.modules()  # a cache wants a server that runs
    yield
    ended = await to_thread.run_sync(jobs.end_all, ENDING_S)
    _LOG.info("The app ends.", extra={"facts": {"jobs": ended.asked, "jobs_that_did_not_end": ended.left}})


class _Readiness:
    """Whether the target can be opened, looked at for all who ask at most once in some seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = 0.0
        self._why: str | None = None  # before the first look

    def why_not(self) -> str:
        """Empty where it can be opened, else the kind of the failure: no address, no user, no text."""
        with self._lock:
            if self._why is None or time.monotonic() - self._at > _LOOKED_S:
                before, self._why = self._why, _look()
                self._at = time.monotonic()
                if self._why != before:
                    _LOG.log(logging.INFO, self._why or "The target can be opened.")
            return self._why


def _look() -> str:
    try:
        settings = Settings.from_env()
        named = () if settings.target or settings.url else offered(settings)
        target = resolve(named[0]) if named else app_target(settings)
        with connect(target) as client, Within(_WAIT_S):
            client.ping()
    except MemDBError as exc:
        return f"The target cannot be opened: {type(exc).__name__}."
    return ""


_READINESS = _Readiness()


class _Guard:
    """Headers on every answer; nothing beyond this machine without a login; files for who is logged in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        # By the fact, not by a setting: another web server than Streamlit's has an address of its own.
        open_to_all = _beyond(scope) and not _may_be_served_beyond()
        if scope["type"] == "websocket":
            if open_to_all:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return

        path = _path(scope)
        page = b""  # what is sent instead, where Streamlit sends its page

        async def with_headers(message: Message) -> None:
            nonlocal page
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if message["status"] == HTTPStatus.OK and _is_page(path, headers):
                    page = _PAGE.encode()
                    for name in ("content-encoding", "etag", "last-modified", "accept-ranges"):
                        del headers[name]
                    headers["content-length"] = str(len(page))
            elif page and message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": page if scope["method"] != "HEAD" else b""}
            await send(message)

        answer: ASGIApp = self._app
        if open_to_all:
            answer = PlainTextResponse(OPEN_TO_ALL.format(where="this address"), HTTPStatus.FORBIDDEN)
        elif path == READY:
            why = await to_thread.run_sync(_READINESS.why_not)
            status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
            answer = PlainTextResponse(why or "ready", status, {"Cache-Control": "no-store"})
        elif path.startswith(_FILES) and access.login_configured() and not _let_in(Request(scope)):
            answer = PlainTextResponse("Log in first.", HTTPStatus.FORBIDDEN)
        await answer(scope, receive, with_headers)


MIDDLEWARE = (Middleware(_Guard),)


def crashed(_: Exception) -> bool:
    """Say on the page that it broke, and nothing of the error: Streamlit writes it into the log."""
    st.error(
        "The app's log holds the error. Reload the page to go on.",
        title="This page has a fault.",
        icon=":material/bug_report:",
    )
    return True


def _is_page(path: str, headers: MutableHeaders) -> bool:
    return "/" not in path.strip("/") and headers.get("content-type", "").startswith("text/html")


def _beyond(scope: Scope) -> bool:
    server = scope.get("server") or ("",)
    return not access.is_loopback(str(server[0]))


def _may_be_served_beyond() -> bool:
    return access.login_configured() or Settings.from_env().serve_without_login


def _path(scope: Scope) -> str:
    """Without the prefix that the app is served under."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return str(scope["path"]).removeprefix(f"/{base}" if base else "")


def _let_in(request: Request) -> bool:
    """Whether a request carries the signed cookie of a login at this app, of somebody who may look."""
    signed = starlette_websocket._get_signed_cookie_with_chunks(dict(request.cookies), USER_COOKIE_NAME)
    claims: Mapping[str, Any] = json.loads(signed) if signed is not None else {}
    if claims.get("is_logged_in") is not True:
        return False
    from memdb.ui.kit import targets  # it makes caches, which are made once the server runs

    try:
        rights = targets.rights()
    except MemDBError:
        return False
    return rights is None or rights.lets_in(claims)
