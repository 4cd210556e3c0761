"""Connect and the sidebar's choice in AppTest: list, test, switch, form, AWS, login, wrong inputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from memdb.cluster import engine as local_engine
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.errors import LoginFailed
from memdb.settings import Settings
from memdb.ui import frame
from memdb.ui.kit import access
from memdb.ui.kit.access import is_local
from memdb.ui.present.steps import STEPS
from tests.aws_front import moto_server
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
CONNECT = app_folder() / "pages" / "operate" / "connect.py"
HOSTILE = "<script>alert(1)</script> **b** ![x](http://evil.example/x.png)"


@pytest.fixture
def folder(tmp_path: Path, server_target: Target, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a settings file: the real engine under another name, one that is down, one that is wrong."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("C3A_PASSWORD", server_target.password)
    (home / "targets.toml").write_text(
        f"""
        [targets.second]
        url = "{server_target.address}"
        label = "{HOSTILE}"
        kind = "production"
        colour = "violet"
        password_env = "C3A_PASSWORD"
        [targets.down]
        url = "redis://127.0.0.1:1"
        [targets.wrong]
        url = "redis://h"
        password = "geheim"
        """
    )
    return home


@pytest.fixture
def open_app(server_target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    for variable, value in environment(server_target, folder).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("MEMDB_ALLOW_ADDRESSES", "1")
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.switch_page(str(CONNECT)).run()
    assert not app.exception
    yield app
    assert not app.exception


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.error, app.warning, app.success, app.info, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def sidebar(app: AppTest) -> str:
    return "\n".join(str(e.value) for e in (*app.sidebar.markdown, *app.sidebar.caption))


def test_the_list_and_what_is_wrong_in_it(open_app: AppTest) -> None:
    shown = texts(open_app)
    assert "Target 'wrong': a password stands in the file" in shown.replace("\\", "")
    assert "geheim" not in shown
    assert "![x]" not in shown
    assert open_app.selectbox("target").options == [
        open_app.selectbox("target").value,
        "second",
        "down",
        "wrong",
    ]
    assert open_app.button("connect.open.wrong").disabled
    (frame,) = (f.value for f in open_app.dataframe)
    assert list(frame["name"])[1:] == ["second", "down", "wrong"]


def test_test_says_what_each_step_saw(open_app: AppTest, server_target: Target) -> None:
    open_app.button("connect.test.second").click().run()
    assert "Everything answers" in open_app.success[0].value
    shown = texts(open_app)
    assert "password_env" in shown  # the settings file's text
    assert f"memdb doctor --url {server_target.address}" in shown
    assert server_target.password not in shown
    open_app.button("connect.test.down").click().run()
    assert "Nothing listens on" in open_app.error[0].value.replace("\\", "")
    assert not open_app.success
    open_app.button("connect.close").click().run()
    assert not open_app.error


def test_switching_in_the_sidebar_and_by_link(open_app: AppTest, server_target: Target) -> None:
    assert "Local engine" in sidebar(open_app)
    open_app.selectbox("target").select("second").run()
    assert "alert" in sidebar(open_app)
    assert ":violet[" in sidebar(open_app)
    open_app.button("connect.open.down").click().run()
    assert open_app.selectbox("target").value == "down"
    assert "not answering" in sidebar(open_app)
    open_app.selectbox("target").select("wrong").run()
    assert not open_app.exception
    assert "cannot be opened" in sidebar(open_app)
    open_app.switch_page(str(app_folder() / "pages" / "explore" / "home.py")).run()
    assert "a password stands in the file" in open_app.error[0].proto.title.replace("\\", "")


def test_a_job_of_one_target_is_not_shown_of_another(open_app: AppTest) -> None:
    from memdb.ui.kit import cached
    from memdb.ui.kit.job import Started

    job = cached.jobs().start("work", lambda _: 1)
    job.wait(PATIENCE_S)
    started = Started(job.id, None)
    open_app.session_state["search.exact_job"] = started
    first = open_app.selectbox("target").value
    open_app.selectbox("target").select("second").run()
    assert "search.exact_job" not in open_app.session_state
    open_app.selectbox("target").select(first).run()
    assert open_app.session_state["search.exact_job"] == started


def test_a_server_by_its_address(open_app: AppTest, server_target: Target) -> None:
    open_app.button("connect.form_test").click().run()
    assert "No address is given" in open_app.error[0].proto.title
    open_app.text_input("connect.url").input("http://nowhere")
    open_app.button("connect.form_open").click().run()
    assert "does not start with redis" in open_app.error[0].proto.title.replace("\\", "")
    open_app.text_input("connect.url").input(f"redis://127.0.0.1:{server_target.port}")
    open_app.text_input("connect.password").input("falsch")
    open_app.button("connect.form_test").click().run()
    assert "refused the login" in open_app.error[0].value
    assert "falsch" not in texts(open_app)
    open_app.text_input("connect.password").input(server_target.password)
    open_app.text_input("connect.label").input(HOSTILE)
    open_app.checkbox("connect.replicas").check()
    open_app.button("connect.form_open").click().run()
    assert open_app.selectbox("target").value == HOSTILE
    assert "read-only" in sidebar(open_app)
    assert "not answering" not in sidebar(open_app)
    shown = texts(open_app)
    assert server_target.password not in shown
    assert "until the tab closes" in shown
    for table in open_app.dataframe:
        assert server_target.password not in table.value.to_csv()
    assert server_target.password not in str(dict(open_app.query_params))
    open_app.button(f"connect.drop.{HOSTILE}").click().run()
    assert HOSTILE not in open_app.selectbox("target").options


def test_a_server_that_was_entered_is_saved_for_the_next_start(
    open_app: AppTest, server_target: Target, folder: Path
) -> None:
    open_app.text_input("connect.url").input(f"redis://127.0.0.1:{server_target.port}")
    open_app.text_input("connect.password").input(server_target.password)
    open_app.text_input("connect.label").input("kept")
    open_app.button("connect.form_open").click().run()
    open_app.button("connect.save.kept").click().run()
    text = (folder / "targets.toml").read_text()
    assert "[targets.second]" in text
    assert "[targets.kept]" in text
    assert server_target.password not in text
    assert not [b for b in open_app.button if b.key in ("connect.save.kept", "connect.drop.kept")]
    assert open_app.selectbox("target").value == "kept"


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("connect.ca", "/nowhere.pem", "plain address"),
        ("connect.iam_cluster", "c", "needs user"),
        ("connect.url", "redis://h:port", "no readable host and port"),
    ],
)
def test_wrong_inputs(open_app: AppTest, field: str, value: str, part: str) -> None:
    open_app.text_input("connect.url").input("redis://127.0.0.1:1")
    open_app.text_input(field).input(value)
    open_app.button("connect.form_open").click().run()
    assert part in open_app.error[0].proto.title.replace("\\", "")


def test_no_address_that_is_entered_shows_its_password(open_app: AppTest) -> None:
    """As people paste them: with signs that end a password, options of other clients, other commands' lines."""
    for url in (
        "redis://ada:ab/HIDDEN=@h:1",
        "redis://ada:a?HIDDEN@h:1",
        "redis://ada:a#HIDDEN@h:1",
        "redis://ada:[HIDDEN]@h:1",
        "redis://ada:HIDDEN@h:0",
        "redis://ada:HIDDEN@127.0.0.1:1?ssl_cert_reqs=none",
        "redis://ada:HIDDEN@127.0.0.1:1/0?db=2",
        "redis://h?password=HIDDEN",
        "redis-cli -h 127.0.0.1 -p 1 -a HIDDEN",
        "ada:HIDDEN@127.0.0.1:1",
        "unix://ada:HID/DEN@/run/s",
        # Well-formed: no server listens there.
        "redis://ada:a b@é%HIDDEN@127.0.0.1:1/3",
        "redis://ada:\"'HIDDEN\\@127.0.0.1:1?db=2",
        "rediss://%2F:%FFHIDDEN@127.0.0.1:1",
    ):
        open_app.text_input("connect.url").input(url)
        for button in ("connect.form_test", "connect.form_open"):
            open_app.button(button).click().run()
            tables = "".join(table.value.to_csv() for table in open_app.dataframe)
            titles = "".join(error.proto.title for error in open_app.error)
            options = str(open_app.selectbox("target").options)
            shown = "".join((texts(open_app), tables, titles, options, str(dict(open_app.query_params))))
            assert not re.search("HID|DEN", shown), url
            assert not open_app.exception, url
    # Of the last.
    assert any("not UTF-8, which no page can open" in e.proto.title.replace("\\", "") for e in open_app.error)


def test_served_beyond_this_machine_nobody_enters_addresses(
    open_app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_ALLOW_ADDRESSES", "0")
    st.cache_resource.clear()
    open_app.run()
    assert "Visitors cannot enter addresses" in open_app.info[0].value
    assert not [t for t in open_app.text_input if str(t.key).startswith("connect.")]


@pytest.mark.parametrize(
    ("listens_on", "headers", "local"),
    [
        ("localhost", {"Host": "localhost:8501"}, True),
        ("127.0.0.1", {"Host": "127.0.0.1:8501"}, True),
        ("::1", {"host": "[::1]:8501"}, True),
        ("", {"Host": "localhost:8501"}, False),
        ("0.0.0.0", {"Host": "localhost:8501"}, False),  # noqa: S104
        ("localhost", {"Host": "explorer.example"}, False),
        ("localhost", {"Host": "localhost:8501", "X-Forwarded-For": "10.0.0.9"}, False),
        ("localhost", {}, False),
        ("localhost", {"Host": "localhost:8501", "Origin": "http://localhost:8501"}, True),
        ("localhost", {"Host": "127.0.0.1:8501", "Origin": "https://explorer.example"}, False),
        ("localhost", {"Host": "127.0.0.1:8501", "Origin": "null"}, False),
        ("localhost", {"Host": "[::1"}, False),
    ],
)
def test_who_is_local(listens_on: str, headers: dict[str, str], local: bool) -> None:
    assert is_local(listens_on, headers) is local


def test_visitors_from_elsewhere_get_no_local_engine(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_engine.start(Settings.from_env({"MEMDB_HOME": str(tmp_path / "own")}), log=False) as running:
        monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "own"))
        monkeypatch.delenv("MEMDB_URL", raising=False)
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
        assert running.target.name in texts(app)
        monkeypatch.setattr(access, "on_this_machine", lambda: False)
        st.cache_resource.clear()
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
        assert not app.exception
        assert running.target.name not in texts(app)
        assert app.error[0].proto.title == "No server is offered to visitors of this app."
        (tmp_path / "own" / "targets.toml").write_text((folder / "targets.toml").read_text())
        app.run()
        assert not app.exception
        assert running.target.name not in texts(app)
        assert app.sidebar.selectbox("target").options == ["second", "down", "wrong"]


def test_clusters_from_aws(open_app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_server():
        boto3.client("memorydb", region_name="us-west-2").create_cluster(
            ClusterName="orders",
            NodeType="db.r7g.large",
            ACLName="mine",
            TLSEnabled=True,
            ParameterGroupName="default.memorydb-redis7.search",
        )
        open_app.button("connect.aws").click().run()
        assert "No AWS Region is named" in open_app.error[0].proto.title
        open_app.text_input("connect.aws_region").input("us-west-2")
        open_app.button("connect.aws").click().run()
        # The server of this test knows no serverless caches: that part is missing, and said to be.
        assert ["cannot be read" in error.proto.title for error in open_app.error] == [True]
        frame = open_app.dataframe[-1].value
        assert list(frame["cluster"]) == ["orders"]
        assert list(frame["search"]) == ["on"]
        open_app.text_input("connect.aws_user").input("ada")
        open_app.button("connect.aws_open").click().run()
        assert open_app.selectbox("target").value == "orders"
        shown = texts(open_app)
        assert "ada, password: none" in shown.replace("\\", "")


def test_another_password_is_another_client(server_target: Target) -> None:
    from memdb.ui.kit import cached

    assert cached.index_names(server_target) is not None
    wrong = replace(server_target, password="falsch")
    assert cached.client(wrong) is not cached.client(server_target)
    for read in (cached.index_names, cached.server):
        with pytest.raises(LoginFailed):
            read(wrong)


def test_login_where_it_is_configured(
    server_target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment(server_target, folder).items():
        monkeypatch.setenv(variable, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": "x"}
    app.run()
    assert not app.exception
    assert [b.label for b in app.button] == ["Log in"]
    assert server_target.address not in texts(app)
    assert not app.sidebar.selectbox


@pytest.mark.parametrize("script", ["streamlit_app.py", "memdb/ui/entry.py"])
@pytest.mark.parametrize("logged_in", [False, True])
@pytest.mark.parametrize("address", [page[3] for pages in frame.PAGES.values() for page in pages])
def test_every_page_as_the_first_request(
    script: str,
    logged_in: bool,
    address: str,
    server_target: Target,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new AppTest is a new process to Streamlit: it finds pages in its old way, beside streamlit_app.py."""
    for variable, value in environment(server_target, folder).items():
        monkeypatch.setenv(variable, value)
    drawn: list[str] = []
    monkeypatch.setattr(frame, "target", lambda real=frame.target: drawn.append(address) or real())
    app = AppTest.from_file(str(app_folder() / script), default_timeout=PATIENCE_S)
    app.secrets["auth"] = {"redirect_uri": "http://localhost:8501/oauth2callback", "cookie_secret": "x"}
    if logged_in:
        app.user = {"is_logged_in": True, "email": "ada@example.com"}
    app._page_hash = calc_hash("" if address == "home" else address)
    app.run()
    assert not app.exception
    if logged_in:
        assert "ada@example.com" in texts(app)
        assert drawn
        # Present fills the screen with a step, whose title is a heading.
        shown = STEPS[0].title if address == "present" else app.title[0].value
        assert shown in {heading.value for heading in (*app.title, *app.header)}
        assert address == "present" or shown == next(
            page[1] for pages in frame.PAGES.values() for page in pages if page[3] == address
        )
    else:
        assert [b.label for b in app.button] == ["Log in"]
        assert not drawn
        assert not app.sidebar.selectbox
        assert [t.value for t in app.title] == [frame.TITLE]


@pytest.mark.parametrize("file", sorted((app_folder() / "pages").rglob("*.py"), key=str))
def test_a_page_alone_does_nothing(
    file: Path, server_target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment(server_target, folder).items():
        monkeypatch.setenv(variable, value)
    app = AppTest.from_file(str(file), default_timeout=PATIENCE_S).run()
    assert not app.exception
    assert [e.proto.title for e in app.error] == ["A page opens in the app only."]
    assert not app.title
    assert not app.button


def test_nothing_to_open_shows_the_way_to_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("MEMDB_URL", raising=False)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.run()
    assert "no server to open" in app.error[0].proto.title
    app.switch_page(str(CONNECT)).run()
    assert not app.exception
    assert "No server to open yet" in texts(app)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "targets.toml").write_text("[targets.a")
    app.run()
    assert not app.exception
    assert "is no TOML" in app.error[0].proto.title
