"""Targets: what a URL says, and that a password never shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdb.cluster import tls
from memdb.cluster.find import from_settings
from memdb.cluster.target import Budget, Iam, Target, Tls
from memdb.demo.app import environment
from memdb.errors import BadSettings
from memdb.settings import SETTINGS, Settings

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


@pytest.mark.parametrize(
    ("url", "changes", "part"),
    [
        ("redis://h", {"tls": Tls(verify=False)}, "plain address"),
        ("rediss://h", {"iam": Iam("c", "r")}, "needs user"),
        ("rediss://u:p@h", {"iam": Iam("c", "r")}, "password and IAM"),
        ("redis://u@h", {"iam": Iam("c", "r")}, "unencrypted"),
        ("redis://h", {"colour": "mauve"}, "not a colour"),
    ],
)
def test_settings_that_contradict_each_other(url: str, changes: dict[str, Any], part: str) -> None:
    with pytest.raises(BadSettings, match=part) as caught:
        replace(Target.parse(url), **changes).checked()
    assert caught.value.hint


def test_the_app_is_told_every_field_of_its_target(tmp_path: Path) -> None:
    target = replace(
        Target.parse("rediss://u@h:7000", label="L", kind="production"),
        colour="violet",
        timeout_s=3.0,
        tls=Tls(ca="a", cert="b", key="c", verify=False, hostname="d"),
        iam=Iam("cluster", "eu-west-1"),
        read_from_replicas=True,
        budget=Budget(50.0, 100_000, 2.5),
    )
    env = environment(target, tmp_path)
    assert from_settings(Settings.from_env(env)) == target
    assert set(env) <= {row.name for row in SETTINGS.values()}
    assert target.unverified
    assert not Target.parse("redis://h").unverified


def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    target = Target.parse("rediss://h")
    for settings, part in (
        (Tls(ca=str(tmp_path / "none")), "no CA file"),
        (Tls(ca=str(bad)), "cannot be used"),
        (Tls(key=str(bad)), "no client certificate"),
        (Tls(cert=str(bad), key=str(bad)), "cannot be used"),
    ):
        with pytest.raises(BadSettings, match=part) as caught:
            tls.context(replace(target, tls=settings))
        assert caught.value.hint


def test_timeout() -> None:
    assert Settings.from_env({"MEMDB_TIMEOUT": "2.5"}).timeout == 2.5
    for value in ("soon", "0", "-1", "1e9"):
        with pytest.raises(BadSettings, match="MEMDB_TIMEOUT"):
            Settings.from_env({"MEMDB_TIMEOUT": value})
    for value in ("some", "-1", "nan", "inf"):
        with pytest.raises(BadSettings, match="MEMDB_BUDGET_KEYS"):
            Settings.from_env({"MEMDB_BUDGET_KEYS": value})
