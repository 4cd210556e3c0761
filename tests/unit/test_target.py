"""Targets: what a URL says, and that a password never shows."""

from __future__ import annotations

import re
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdb.cluster import targets, tls, wire
from memdb.cluster.find import find_target, from_settings, known
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
        (
            "rediss://clustercfg.my.abc.memorydb.us-east-1.amazonaws.com:6379",
            "rediss://clustercfg.my.abc.memorydb.us-east-1.amazonaws.com:6379",
            "development",
        ),
        ("redis://[::1]:6380", "redis://[::1]:6380", "local"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock", "local"),
    ],
)
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


# Addresses that end up somewhere else, or nowhere: the password is HIDDEN, or a part of it.
LEAKY = [
    "redis://:ab/HIDDEN@h:1",
    "redis://:HIDDEN/ab@h:1",
    "redis://ada:12/HIDDEN@h:1",
    "redis://:6379/HIDDEN@h",
    "redis://ada:12?HIDDEN@h:1",
    "redis://ada:12?db=1HIDDEN@h",
    "redis://ada:12?HIDDEN=1&db=2@h",
    "redis://ada:12#HIDDEN@h:1",
    "redis://ada:12/3#HIDDEN@h",
    "redis://ada:12/3?db=3#HIDDEN",
    "redis://:[HIDDEN@h:1",
    "redis://:HIDDEN]@h:1",
    "redis://ada:HIDDEN@h:port",
    "redis://ada:HIDDEN@h:99999",
    "redis://ada:HIDDEN@",
    "redis://ada:HIDDEN",
    "redis://ada:HIDDEN@h:0",
    "redis://ada:HIDDEN@h/x",
    "redis://ada:HIDDEN@h/1/2",
    "redis://ada:HIDDEN@h/0?db=2",
    "redis://h?password=HIDDEN",
    "redis://h/HIDDEN",
    "redis://h?HIDDEN",
    "redis://h#HIDDEN",
    "redis://h?timeout=HIDDEN",
    "redis://HID\tDEN@h",
    "redis://:HID\nDEN@h",
    "redis://:HIDDEN\u2100@h:1",
    "redis://:HIDDEN@h h",
    "redis://:HIDDEN@a..b",
    "redis://:HIDDEN@h@h:1:2",
    "http://ada:HIDDEN@h:1",
    "valkey://ada:HIDDEN@h",
    "ada:HIDDEN@h:1",
    ":HIDDEN@h",
    "redis:/ada:HIDDEN@h",
    "redis:ada:HIDDEN@h",
    "//ada:HIDDEN@h",
    "rediss//:HIDDEN@h",
    "HIDDEN",
    " HIDDEN PART@h",
    "unix://ada:HIDDEN@",
    "unix://ada:HIDDEN@h/run/s",
    "unix://:12/HIDDEN@/run/s",
    "unix:///run/s?HIDDEN",
    "unix://:HID/DEN@/run/s",
    "redis://%FFHIDDEN@h",
    "redis://ada:HIDDEN@h?ssl_HIDDEN=1",
]


@pytest.mark.parametrize("url", LEAKY)
def test_nothing_of_an_address_that_does_not_parse_is_shown(url: str, tmp_path: Path) -> None:
    env = {"MEMDB_HOME": str(tmp_path), "MEMDB_URL": url}
    for work in (
        lambda: Target.parse(url),
        lambda: find_target(Settings.from_env({"MEMDB_HOME": str(tmp_path)}), url),
        lambda: find_target(Settings.from_env(env)),
        lambda: known(Settings.from_env(env)),
        lambda: find_target(Settings.from_env({"MEMDB_HOME": str(tmp_path), "MEMDB_TARGET": url})),
    ):
        with pytest.raises(BadSettings) as caught:
            work()
        assert caught.value.hint
        shown = caught.value.full() + "".join(traceback.format_exception(caught.value))
        assert not re.search("HID|DEN|PART", shown)


@pytest.mark.parametrize(
    ("url", "user", "password", "db"),
    [
        ("redis://:a@b@h", "", "a@b", 0),
        ("redis://:a b c@h/3", "", "a b c", 3),
        ("redis://ada:a:b:c@h", "ada", "a:b:c", 0),
        ("redis://ada:100%@h?db=4", "ada", "100%", 4),
        ("redis://ada:%25%zz%2f%3F%23@h/", "ada", "%%zz/?#", 0),
        ("redis://ad%40a:%C3%BC+@h/2?db=2", "ad@a", "ü+", 2),
        ("redis://:%FF@h", "", "\udcff", 0),
        ("unix://ada:p%2Fw@/run/a%20b.sock?db=5", "ada", "p/w", 5),
        ("unix:///run/a@b.sock", "", "", 0),
    ],
)
def test_every_part_of_an_address_is_honoured(url: str, user: str, password: str, db: int) -> None:
    target = Target.parse(url)
    assert (target.username, target.password, target.db) == (user, password, db)
    assert Target.parse(target.url) == target
    assert Target.parse(target.address) == replace(target, username="", password="")
    assert wire.pool(target).connection_kwargs["db"] == db


@pytest.mark.parametrize(
    ("url", "what", "todo"),
    [
        ("redis://h?ssl_ca_certs=/x.pem", "ssl_ca_certs", "MEMDB_TLS_CA"),
        ("rediss://h/0?ssl_cert_reqs=none", "ssl_cert_reqs", "MEMDB_TLS_VERIFY"),
        ("rediss://h?db=1&ssl_keyfile=k", "ssl_keyfile", "tls.key"),
        ("rediss://h?ssl_min_version=x", "option of TLS", "MEMDB_TLS_CA"),
        ("redis://h?username=ada", "username", "redis://user@host"),
        ("redis://h?password=x", "password", "MEMDB_PASSWORD"),
        ("redis://h?socket_timeout=3", "socket_timeout", "MEMDB_TIMEOUT"),
        ("redis://h?protocol=3", "not known", ""),
        ("redis://h?db=", "no one number", "/2"),
        ("redis://h?db=1&db=2", "no one number", "/2"),
        ("redis://h?db=x", "no one number", "/2"),
        ("redis://h?db=-1", "no one number", "/2"),
        ("redis://h/²", "no database number", ""),
        ("redis://h/0?db=2", "two databases", "Keep one"),
        ("redis://h:0", "port 0", "65535"),
        ("redis://", "names no host", "Write it like"),
        ("unix://", "names no socket", "unix:///"),
        ("", "does not start with redis://", "Write it like"),
        ("localhost:6379", "does not start with redis://", "Write it like"),
    ],
)
def test_what_an_address_cannot_say_is_refused(url: str, what: str, todo: str) -> None:
    with pytest.raises(BadSettings) as caught:
        Target.parse(url)
    assert what in str(caught.value)
    assert todo in caught.value.hint


def test_an_address_in_the_place_of_a_name_is_not_shown() -> None:
    secret = "redis://ada:HIDDEN@h"
    with pytest.raises(BadSettings) as caught:
        replace(Target.parse("redis://h"), label=secret).checked()
    said = [caught.value.full()]
    for kind in ("kind", "colour"):
        with pytest.raises(BadSettings) as caught:
            replace(Target.parse("redis://h"), **{kind: secret}).checked()  # type: ignore[arg-type]
        said.append(caught.value.full())
    for text in (
        f'[targets."{secret}"]\nurl = "redis://h"',
        f'[targets.a]\nurl = ["{secret}"]',
        f'[targets.a]\nurl = "redis://h"\n"{secret}" = 1',
        f'[targets.a]\nurl = "redis://h"\ntimeout = "{secret}"',
        '[targets.a]\nurl = "redis://h"\npassword_env = "HIDDEN+"',
        '[targets.a]\nurl = "redis://h"\npassword_file = "HIDDEN"',
        '[targets.a]\nurl = "redis://h"\npassword_env = ["HIDDEN"]',
    ):
        (named,) = targets.parse(text)
        said += [repr(replace(named, password=targets.Password())), named.login, named.name]
        with pytest.raises(BadSettings) as caught:
            targets.resolve(named)
        said.append(caught.value.full())
    for text in (f'"{secret}" = 1', f'[targets."{secret}"]\n[targets."{secret}"]'):
        with pytest.raises(BadSettings) as caught:
            targets.parse(text)
        said.append(caught.value.full())
    assert "HIDDEN" not in "\n".join(said)


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
