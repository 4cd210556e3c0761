"""Which server a command opens. Engines that run are in tests/server/test_engine.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdb.cluster.find import find_target
from memdb.cluster.target import Iam
from memdb.errors import BadSettings
from memdb.settings import Settings


def settings(home: Path, **values: str) -> Settings:
    return Settings.from_env({"MEMDB_HOME": str(home)} | {f"MEMDB_{k.upper()}": v for k, v in values.items()})


def test_nothing_to_open_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="no local engine runs") as caught:
        find_target(settings(tmp_path))
    assert "memdb demo" in caught.value.hint
    assert "--url" in caught.value.hint


def test_memdb_url_with_its_companions(tmp_path: Path) -> None:
    found = find_target(
        settings(tmp_path, url="rediss://me@h:7000", password="p", writable="1", label="L", kind="production")
    )
    assert (found.address, found.username, found.password) == ("rediss://h:7000", "me", "p")
    assert (found.writable, found.label, found.kind) == (True, "L", "production")


def test_url_beats_memdb_url_and_is_read_only(tmp_path: Path) -> None:
    found = find_target(settings(tmp_path, url="redis://a", writable="1"), "redis://b:1")
    assert found.address == "redis://b:1"
    assert not found.writable
    assert find_target(settings(tmp_path), "redis://b:1", writable=True).writable


def test_password_of_memdb_url_is_not_sent_elsewhere(tmp_path: Path) -> None:
    env = settings(tmp_path, url="redis://a:1", password="p")
    assert find_target(env, "redis://b:1").password == ""
    assert find_target(env, "redis://a:1").password == "p"


def test_password_from_the_environment_goes_with_url_where_memdb_url_is_not_set(tmp_path: Path) -> None:
    assert find_target(settings(tmp_path, password="p"), "redis://b:1").password == "p"
    assert find_target(settings(tmp_path, password="p"), "redis://:q@b:1").password == "q"


def test_the_other_settings_go_with_url_where_memdb_url_is_not_set(tmp_path: Path) -> None:
    found = find_target(settings(tmp_path, tls_ca="/ca.pem", timeout="3"), "rediss://b:1")
    assert (found.tls.ca, found.timeout_s) == ("/ca.pem", 3.0)
    with_iam = settings(tmp_path, iam_cluster="c", iam_region="eu-west-1")
    assert find_target(with_iam, "rediss://ada@b:1").iam == Iam("c", "eu-west-1")
    elsewhere = settings(tmp_path, url="rediss://a:1", tls_ca="/ca.pem")
    assert find_target(elsewhere, "rediss://b:1").tls.ca == ""
    assert find_target(elsewhere, "rediss://a:1").tls.ca == "/ca.pem"
    with pytest.raises(BadSettings, match="plain address"):
        find_target(settings(tmp_path, tls_ca="/ca.pem"), "redis://b:1")
