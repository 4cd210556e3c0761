"""Pages on several shards, and for a user who may not search: reasons, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from streamlit.testing.v1 import AppTest

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.sessions import formats
from memdb.ui.frame import PAGES
from tests.app.test_search_page import ENTRY, started, texts
from tests.waiting import PATIENCE_S

FILES = sorted(page[0] for pages in PAGES.values() for page in pages)


def opened(app: AppTest, file: str) -> AppTest:
    return app.switch_page(str(app_folder() / "pages" / file)).run()


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with local_engine.start(tmp_path_factory.mktemp("shards"), cluster=True, shards=3, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            for i in range(30):
                client.execute("HSET", formats.session_key(f"s{i}"), "user_id", "u", "history", "[]")
        yield running.target


def test_every_page_on_several_shards(shards: Target, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = started(shards, home, monkeypatch)
    for file in FILES:
        opened(app, file)
        assert not app.exception, file
        assert not app.error, (file, texts(app))
    opened(app, "explore/search.py")
    assert "within one shard, and this cluster has 3" in texts(app).replace("\\", "")
    opened(app, "explore/home.py")
    assert {m.label: m.value for m in app.metric}["Sessions"] == "30"


def test_every_page_for_a_user_who_may_not_search(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.Redis(port=demo_target.port, password=demo_target.password, protocol=2) as admin:
        rules = ("on", ">of-the-user", "~*", "+@all", "-ft.search", "-ft.aggregate", "-ft.info", "-ft._list")
        admin.execute_command("ACL", "SETUSER", "reader", *rules)
        try:
            target = replace(demo_target, username="reader", password="of-the-user", writable=False)
            for name, value in environment(target, home).items():
                monkeypatch.setenv(name, value)
            app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
            for file in FILES:
                opened(app, file)
                assert not app.exception, file
            opened(app, "explore/search.py")
            assert "+@search" in texts(app).replace("\\", "")
            assert "login refused" not in texts(app)
            opened(app, "explore/sessions.py")
            assert not app.error, texts(app)
        finally:
            admin.execute_command("ACL", "DELUSER", "reader")


@pytest.mark.parametrize(
    "rights",
    [
        ("+@all", "-info", "-command", "-ping", "-module"),
        ("-@all", "+@read", "+ft.search", "+ft.info", "+ft._list", "+ft.aggregate", "+ft.cursor"),
        ("+@all", "-@dangerous", "-ft._list", "-scan"),
    ],
)
def test_pages_tell_less_to_a_user_of_few_rights(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, rights: tuple[str, ...], tmp_path: Path
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    words = ["--index", "idx:embeddings", "--sample", "200", "--layout", "pca"]
    assert main(["map", *words, "--out", str(tmp_path / "map.csv")]) == 0  # kept: this user may not check it
    with redis.Redis(port=demo_target.port, password=demo_target.password, protocol=2) as admin:
        admin.execute_command("ACL", "SETUSER", "few", "reset", "on", ">of-the-user", "~*", *rights)
        try:
            target = replace(demo_target, username="few", password="of-the-user", writable=False)
            for name, value in environment(target, home).items():
                monkeypatch.setenv(name, value)
            app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S).run()
            listed = "-ft._list" not in rights
            for file in FILES:
                opened(app, file)
                assert not app.exception, file
            opened(app, "explore/home.py")
            shown = {m.label: m.value for m in app.metric}
            sessions = len(
                list(admin.scan_iter("session:*", count=10_000))
            )  # other tests may have begun some
            assert shown["Server"].startswith("Redis 8.2")
            assert shown["Memory"] == shown["Clients"] == shown["Up for"] == "–"
            assert shown["Sessions"] == ("–" if "-scan" in rights else str(sessions))
            assert "may not run INFO" in texts(app)
            if not listed:
                assert "may not list indexes" in texts(app)
                app.text_input("index").set_value("idx:embeddings").run()
            for file in ("explore/search.py", "explore/map.py", "tune/recall.py"):
                opened(app, file)
                assert not app.exception, file
                assert not app.error, (file, [(error.proto.title, error.value) for error in app.error])
        finally:
            admin.execute_command("ACL", "DELUSER", "few")
