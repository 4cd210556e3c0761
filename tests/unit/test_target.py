"""Targets: what a URL says, and that a password never shows."""

from __future__ import annotations

import pytest

from memdb.cluster.target import Target
from memdb.errors import BadSettings
from memdb.settings import VARIABLES, Settings

SECRET = "p@ss/w:rd"


@pytest.mark.parametrize(
    ("url", "address", "kind"),
    [
        ("redis://localhost", "redis://localhost:6379", "local"),
        ("redis://127.0.0.1:7000/2", "redis://127.0.0.1:7000/2", "local"),
        ("rediss://clustercfg.my.abc.memorydb.us-east-1.amazonaws.com:6379",
         "rediss://clustercfg.my.abc.memorydb.us-east-1.amazonaws.com:6379", "development"),
        ("redis://[::1]:6380", "redis://[::1]:6380", "local"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock", "local"),
    ],
)  # fmt: skip
def test_address(url: str, address: str, kind: str) -> None:
    target = Target.parse(url)
    assert (target.address, target.kind, target.writable) == (address, kind, False)
    assert Target.parse(target.url) == target


def test_the_password_is_in_nothing_that_is_shown() -> None:
    target = Target.parse("redis://ada:p%40ss%2Fw%3Ard@db:6379")
    assert (target.username, target.password) == ("ada", SECRET)
    for shown in (repr(target), str(target), target.address, target.name):
        assert SECRET not in shown
        assert "p%40" not in shown
    assert Target.parse(target.url) == target
    settings = Settings.from_env({"MEMDB_URL": target.url, "MEMDB_PASSWORD": SECRET})
    assert "p%40" not in repr(settings)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://x",
        "redis://",
        "redis://h:port",
        "redis://h:99999",
        "redis://h/x",
        "unix://",
    ],
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(BadSettings) as caught:
        Target.parse(url)
    assert caught.value.hint


def test_a_bad_url_is_quoted_without_its_password() -> None:
    with pytest.raises(BadSettings) as caught:
        Target.parse("http://ada:geheim@db:6379")
    assert "geheim" not in caught.value.full()
    with pytest.raises(BadSettings) as caught:
        Target.parse("redis://ada:geheim@db:port")
    assert "geheim" not in caught.value.full()
    assert "geheim" not in str(caught.value.__cause__)


def test_settings_switches() -> None:
    assert Settings.from_env({"MEMDB_WRITABLE": "1"}).writable
    assert not Settings.from_env({}).writable
    with pytest.raises(BadSettings, match="MEMDB_WRITABLE is 'perhaps'"):
        Settings.from_env({"MEMDB_WRITABLE": "perhaps"})
    with pytest.raises(BadSettings, match="kind"):
        Target.parse("redis://h", kind="staging")


def test_every_variable_has_a_field() -> None:
    names = {name.removeprefix("MEMDB_").lower() for name in VARIABLES}
    assert names == set(Settings.__slots__)
