"""What the app's web server refuses, answers and logs, in this process: the parts that need no browser."""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import logger as of_streamlit

from memdb import jobs
from memdb.errors import BadSettings
from memdb.jobs import Job
from memdb.ui import logs, served
from memdb.ui.kit.access import is_loopback
from tests.asynchronous import result_of
from tests.waiting import PATIENCE_S

LOGIN = {
    "redirect_uri": "https://h/oauth2callback",
    "cookie_secret": "c" * 40,
    "client_id": "i",
    "client_secret": "geheim",
    "server_metadata_url": "https://idp/.well-known/openid-configuration",
}


@pytest.fixture
def logging_as_before() -> Any:
    """The loggers' handlers are the process's own."""
    known = [
        logging.root,
        *(x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)),
    ]
    before = [(x, x.handlers, x.propagate, x.level) for x in known]
    setup = of_streamlit.setup_formatter
    yield
    of_streamlit.setup_formatter = setup
    logging.captureWarnings(False)
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture
def listens_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logging_as_before: None) -> Any:
    """Sets the address that the server would listen on."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(st.secrets, "_secrets", None)
    options = {"server.address": "", "server.port": 8501, "server.baseUrlPath": "", "secrets.files": []}
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    monkeypatch.setattr(st.secrets, "load_if_toml_exists", lambda: False)

    def listen(address: str) -> None:
        options["server.address"] = address

    return listen


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("[::1]", True),
        ("/run/app.sock", True),
        ("", False),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.4", False),
        ("::ffff:10.0.0.4", False),
        ("explorer.internal", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_is_reached_from_this_machine_alone(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "", "10.0.0.4", "explorer.internal"])  # noqa: S104
def test_no_start_beyond_this_machine_without_a_login(
    listens_on: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    listens_on(address)
    with pytest.raises(SystemExit) as caught:
        served.starting()
    said = str(caught.value.code)
    for way in ("localhost", "[auth]", "MEMDB_LOGIN", "MEMDB_SERVE_WITHOUT_LOGIN=1"):
        assert way in said
    assert (address or "every address") in said
    monkeypatch.setenv("MEMDB_SERVE_WITHOUT_LOGIN", "0")
    with pytest.raises(SystemExit):
        served.starting()
    monkeypatch.setenv("MEMDB_SERVE_WITHOUT_LOGIN", "1")
    served.starting()
    monkeypatch.delenv("MEMDB_SERVE_WITHOUT_LOGIN")
    monkeypatch.setenv("MEMDB_LOGIN", json.dumps(LOGIN))
    served.starting()
    assert served.login_secrets() == {"auth": LOGIN}


def test_a_start_on_this_machine_needs_none(listens_on: Any) -> None:
    listens_on("localhost")
    served.starting()
    assert served.login_secrets() == {}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MEMDB_LOGIN", "{geheim", "MEMDB_LOGIN is no JSON object"),
        ("MEMDB_LOGIN", '["geheim"]', "MEMDB_LOGIN is no JSON object"),
        ("MEMDB_LOGIN", json.dumps({**LOGIN, "client_id": ""}), "MEMDB_LOGIN lacks client_id."),
        ("MEMDB_LOG", "xml", "MEMDB_LOG is 'xml'"),
        ("MEMDB_SERVE_WITHOUT_LOGIN", "maybe", "neither on nor off"),
    ],
)
def test_a_setting_that_is_none_ends_the_start(
    listens_on: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    listens_on("localhost")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as caught:
        served.starting()
    assert message in str(caught.value.code)
    assert "geheim" not in str(caught.value.code)


def test_a_secrets_file_that_cannot_be_read_ends_the_start(
    listens_on: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A login may stand in it: without this the app would be open."""
    listens_on("localhost")
    (tmp_path / "secrets.toml").write_text("[auth")
    options = {"server.address": "localhost", "secrets.files": [str(tmp_path / "secrets.toml")]}
    monkeypatch.setattr(st, "get_option", options.__getitem__)
    with pytest.raises(SystemExit, match="secrets file"):
        served.starting()


def sent_to(scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What the guard sends; behind it answers a server that says 200 to everything."""
    sent: list[dict[str, Any]] = []

    async def behind(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    result_of(served._Guard(behind)({"method": "GET", "headers": [], "path": "/", **scope}, receive, send))
    return sent


@pytest.mark.parametrize(
    ("server", "status"), [(("10.1.2.3", 80), 403), (("127.0.0.1", 80), 200), (None, 403)]
)
def test_another_web_server_that_listens_beyond(
    listens_on: Any, monkeypatch: pytest.MonkeyPatch, server: Any, status: int
) -> None:
    listens_on("localhost")  # as it says; it is not asked
    assert sent_to({"type": "http", "server": server})[0]["status"] == status
    closed = sent_to({"type": "websocket", "server": server})[0]["type"] == "websocket.close"
    assert closed is (status == 403)
    monkeypatch.setenv("MEMDB_SERVE_WITHOUT_LOGIN", "1")
    assert sent_to({"type": "http", "server": server})[0]["status"] == 200


def test_not_ready_tells_the_kind_of_the_failure_alone(
    listens_on: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    listens_on("localhost")
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("MEMDB_URL", "redis://ada:geheim@127.0.0.1:1")
    monkeypatch.setattr(served, "_READINESS", served._Readiness())
    start, body = sent_to({"type": "http", "path": served.READY, "server": ("127.0.0.1", 1)})
    assert start["status"] == 503
    assert body["body"] == b"The target cannot be opened: Unreachable."


def record(message: str, *words: object, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("memdb.x", logging.ERROR, "f.py", 1, message, words, None)
    if facts:
        made.facts = facts
    return made


def test_a_line_of_the_log_holds_no_text_of_an_error() -> None:
    def inner(key: str) -> None:
        raise KeyError(key)

    try:
        inner("session:geheim")
    except KeyError:
        told = record("Uncaught app execution")
        told.exc_info = sys.exc_info()
    parts = logs.entry(told)
    assert parts["error"] == "KeyError"
    assert str(parts["places"]).endswith("inner']")
    for form in ("text", "json"):
        assert "geheim" not in logs._Formatter(form).format(told)  # type: ignore[arg-type]
    assert json.loads(logs._Formatter("json").format(told))["message"] == "Uncaught app execution"


def test_a_line_of_the_log_holds_no_address_and_is_one_line() -> None:
    assert "geheim" not in str(logs.entry(record("opened %s", "rediss://ada:geheim@h")))
    assert logs.entry(record("a\nb\u202e"))["message"] != "a\nb\u202e"
    line = logs._Formatter("text").format(record("A job ended.", status="done"))
    assert line.endswith("memdb.x: A job ended. status=done")
    assert (
        json.loads(logs._Formatter("json").format(record("A job ended.", status="done")))["status"] == "done"
    )


def test_every_logger_writes_that_way(logging_as_before: None, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    of_streamlit.get_logger("streamlit.later").error("one")
    logging.getLogger("uvicorn.error").error("two")
    logging.getLogger("uvicorn.access").info("GET /?q=geheim")
    told = capfd.readouterr().err
    assert [json.loads(line)["message"] for line in told.splitlines()] == ["one", "two"]
    with pytest.raises(BadSettings):
        logs.configure("xml")


def test_jobs_have_time_to_keep_what_they_have() -> None:
    begun, kept = threading.Event(), []

    def work(job: Job[int]) -> int:
        job.keep(1)
        begun.set()
        try:
            while True:
                job.report("work", 0, 0)
        finally:
            kept.append(job.result)

    job = Job("work", work)
    assert begun.wait(PATIENCE_S)
    ended = jobs.end_all(PATIENCE_S)
    assert ended.asked >= 1
    assert kept == [1]
    assert (job.result, job.state.status) == (1, "cancelled")


def test_a_job_that_does_not_end_is_not_waited_for_longer() -> None:
    go_on = threading.Event()
    job = Job("stubborn", lambda _: go_on.wait(PATIENCE_S))
    try:
        assert jobs.end_all(0.05).left >= 1
    finally:
        go_on.set()
        job.wait(PATIENCE_S)
    assert job.state.status == "done"
