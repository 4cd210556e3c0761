"""Roles by the login's claims, as pages show and the client enforces them; and an app that is open to all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster import rights
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.errors import NotFound, ReadOnlyTarget
from memdb.relevance import store as evaluations
from memdb.tap.record import Recorder
from memdb.tuning import store
from memdb.ui import frame
from memdb.ui.kit import access, cached, safety, taps, targets
from memdb.ui.relevance import cached as relevance_cached
from memdb.ui.tune import cached as tune_cached
from tests.unit.test_relevance import at_rank, evaluation
from tests.unit.tune_run import run
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
CONNECT = app_folder() / "pages" / "operate" / "connect.py"
ACCESS = """
[access]
look = ["email=*@example.com"]
write = ["groups=platform"]
[access.targets]
second = ["groups=payments"]
"""
ADA = {"is_logged_in": True, "email": "ada@example.com"}

Open = Callable[..., AppTest]


@pytest.fixture
def open_app(server_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("SECOND_PASSWORD", server_target.password)

    def opened(user: dict[str, object] | None, table: str = ACCESS, *, login: bool = True) -> AppTest:
        (tmp_path / "targets.toml").write_text(
            f'[targets.first]\nurl = "{server_target.address}"\nlabel = "First"\n'
            'password_env = "SECOND_PASSWORD"\nwritable = true\n'
            '[targets.second]\nurl = "redis://127.0.0.1:1"\n' + table
        )
        st.cache_resource.clear()  # settings of the environment are read once in a process
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
        if login:
            app.secrets["auth"] = {"redirect_uri": "http://h/oauth2callback", "cookie_secret": "x"}
        if user is not None:
            app.user = user
        app.run()
        assert not app.exception
        return app

    return opened


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.caption, app.error, app.warning, app.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def targets_of(app: AppTest) -> list[str]:
    app.switch_page(str(CONNECT)).run()
    assert not app.exception
    (table,) = (f.value for f in app.dataframe)
    return [f"{name} {access}" for name, access in zip(table["name"], table["access"], strict=True)]


def test_who_may_look_only(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Target] = []
    monkeypatch.setattr(frame, "target", lambda real=frame.target: used.append(real()) or used[-1])
    app = open_app(ADA)
    assert "may look only" in texts(app)
    assert used
    for target in used:  # what every page is handed: its client refuses, whatever a page offers
        assert not target.writable
        with pytest.raises(ReadOnlyTarget):
            cached.client(target).execute("SET", "access:x", "1")
    assert targets_of(app) == ["first read-only"]
    app.query_params["target"] = "second"
    app.run()
    assert "which is not among the targets here" in texts(app)
    assert [button.key for button in app.button if "second" in str(button.key)] == []


def test_what_was_kept_of_a_closed_target_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    (tmp_path / "targets.toml").write_text('[targets.second]\nurl = "redis://localhost:1"')
    for name, address in (("a", "redis://127.0.0.1:1"), ("b", "redis://elsewhere:1")):
        store.save(replace(run(), id=name * 12, target=address), tmp_path)
        evaluations.save(evaluation(at_rank([1, 2]), id=name * 12, target=address), tmp_path)
        for servers in ([address], [address, "redis://elsewhere:1"]):  # the second is of both servers
            for server in servers:
                with Recorder(tmp_path / "taps" / f"{name}{len(servers)}.parquet", server=server):
                    pass
    with Recorder(tmp_path / "taps" / "c.parquet"):  # of a server that is not known
        pass
    closed = rights.parse({"targets": {"second": ["groups=payments"]}}, ["second"])
    monkeypatch.setattr(targets, "rights", lambda: closed)
    for claims, kept in (
        (ADA, {"redis://elsewhere:1"}),
        (ADA | {"groups": "payments"}, {"redis://elsewhere:1", "redis://127.0.0.1:1"}),
    ):
        monkeypatch.setattr(access, "claims", lambda said=claims: said)
        assert {entry.target for entry in tune_cached.listed(tmp_path)} == kept
        assert {entry.target for entry in relevance_cached.listed(tmp_path)} == kept
        records = {"b1.parquet", "b2.parquet"}
        every = records | {"a1.parquet", "a2.parquet", "c.parquet"}
        assert set(taps.visible(tmp_path)) == (every if "redis://127.0.0.1:1" in kept else records)
        for saved in (
            lambda: tune_cached.saved("a" * 12),
            lambda: relevance_cached.saved(tmp_path, "a" * 12),
        ):
            if "redis://127.0.0.1:1" in kept:
                assert saved().target == "redis://127.0.0.1:1"
            else:  # nor is it opened by a link to it
                with pytest.raises(NotFound):
                    saved()


def test_who_may_write(open_app: Open) -> None:
    app = open_app(ADA | {"groups": ["platform", "payments"]})
    assert "may write where the target is writable" in texts(app)
    assert targets_of(app) == ["first writable", "second read-only"]  # the second one is not writable


@pytest.mark.parametrize("email", ["eve@evil.example", "ada@example.com.evil.example", ""])
def test_who_is_not_let_in(open_app: Open, email: str, server_target: Target) -> None:
    app = open_app({"is_logged_in": True, "email": email, "groups": ["platform"]})
    assert [e.proto.title for e in app.error] == ["This login is not let in."]
    assert [b.label for b in app.button] == ["Log out"]
    assert server_target.address not in texts(app)
    assert not app.sidebar.selectbox


def test_nothing_is_open_where_the_rights_cannot_be_read(
    open_app: Open, server_target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MEMDB_URL is there, and would be opened writable."""
    for variable, value in environment(server_target, tmp_path).items():
        monkeypatch.setenv(variable, value)
    for wrong in ("[access]\nwriters = []", '[access.targets]\nsecnd = ["groups=x"]', "[access"):
        app = open_app(ADA, wrong)
        assert len(app.error) == 1
        assert [b.label for b in app.button] == ["Log out"]
        assert server_target.address not in texts(app)


def test_a_rule_about_the_file_s_name_holds_for_the_app_s_own_target(
    open_app: Open, server_target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`memdb app --url first` hands the app the target by its address, and the file's table is not listed."""
    for variable, value in (environment(server_target, tmp_path) | {"MEMDB_LABEL": "First"}).items():
        monkeypatch.setenv(variable, value)
    rule = '[access.targets]\nfirst = ["groups=dba"]\nsecond = ["groups=dba"]'
    app = open_app(ADA, rule)
    assert "No server is offered to you here" in app.error[0].proto.title
    assert server_target.address not in texts(app)
    assert "First writable" not in targets_of(open_app(ADA | {"groups": "dba"}, rule))


def test_rights_need_a_login(open_app: Open) -> None:
    """Who sits at this machine, where no login is configured, could change the file."""
    app = open_app(None, login=False)
    assert targets_of(app) == ["first writable", "second read-only"]
    assert "may look only" not in texts(app)


def test_every_page_says_that_it_is_open_to_all(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    title = "This app is served without a login."
    assert title not in [w.proto.title for w in open_app(None, login=False).warning]
    monkeypatch.setenv("MEMDB_SERVE_WITHOUT_LOGIN", "1")
    app = open_app(None, login=False)
    assert title not in [w.proto.title for w in open_app(ADA).warning]
    for pages in frame.PAGES.values():
        for page in pages:
            app.switch_page(str(frame.link(page[3]))).run()
            assert not app.exception
            assert [w.proto.title for w in app.warning].count(title) == 1, page[0]


def test_production_is_still_unlocked_by_its_name(server_target: Target) -> None:
    assert not safety.guarded(Target(kind="production", writable=True)).writable
