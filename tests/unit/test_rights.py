"""`[access]`: who may look, write and open what, by the claims of a login."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from memdb.cluster.rights import Rights, Rule, parse, server_of
from memdb.cluster.target import Target
from memdb.cluster.targets import Named, access_table, read
from memdb.errors import BadSettings
from memdb.settings import Settings

TEXT = """
look = ["email=*@example.com", "groups=guests"]
write = ["groups=platform"]
[targets]
orders = ["groups=payments", "groups=platform"]
"""
NAMES = ("orders", "carts")


def rights(text: str = TEXT) -> Rights:
    return parse(tomllib.loads(text), NAMES)


def named(name: str, url: str, *, writable: bool = True) -> Named:
    return Named(name, Target.parse(url, writable=writable))


ORDERS, CARTS = named("orders", "rediss://app@orders:6379"), named("carts", "rediss://app@carts:6379")
ADA = {"email": "Ada@Example.com", "email_verified": True}


@pytest.mark.parametrize(
    ("claims", "holds"),
    [
        ({"groups": "platform"}, True),
        ({"groups": ["x", "platform"]}, True),
        ({"groups": ["platform-guests", "Platform", "xplatform"]}, False),
        ({"groups": []}, False),
        ({"groups": None}, False),
        ({"groups": {"platform": True}}, False),
        ({"roles": ["platform"]}, False),
        ({}, False),
    ],
)
def test_a_rule_holds_where_the_claim_has_the_value(claims: dict[str, Any], holds: bool) -> None:
    assert Rule("groups", "platform").holds(claims) is holds


@pytest.mark.parametrize(
    ("rule", "claims", "holds"),
    [
        (Rule("email", "*@example.com"), ADA, True),
        (Rule("email", "*@example.com"), {"email": "ada@example.com.evil.org"}, False),
        (Rule("email", "*@example.com"), {"email": "ada@exampleXcom"}, False),
        (Rule("email", "*@example.com"), {"email": "ada@example.com", "email_verified": False}, False),
        (Rule("email", "*@example.com"), {"email": "ada@example.com", "email_verified": "false"}, False),
        (Rule("email", "*@example.com"), {"email": "eve@evil.org\n@example.com"}, False),
        (Rule("cognito:groups", "a=b"), {"cognito:groups": ["a=b"]}, True),
        (Rule("realm_access.roles", "dba"), {"realm_access": {"roles": ["dba"]}}, True),
        (Rule("https://x.org/roles", "dba"), {"https://x.org/roles": "dba"}, True),
        (Rule("admin", "true"), {"admin": True}, True),
        (Rule("admin", "true"), {"admin": 1}, False),
        (Rule("level", "3"), {"level": 3}, True),
        (Rule("sub", "*"), {"sub": "x"}, True),
        (Rule("sub", "*"), {"sub": None}, False),
    ],
)
def test_values_of_other_kinds(rule: Rule, claims: dict[str, Any], holds: bool) -> None:
    assert rule.holds(claims) is holds


def test_who_sees_what() -> None:
    every = (ORDERS, CARTS)

    def allowed(claims: dict[str, Any]) -> list[tuple[str, bool]]:
        return [(n.name, n.target.writable) for n in rights().allowed(every, every, claims)]

    assert allowed({}) == []
    assert allowed({"email": "eve@evil.org", "groups": ["platform"]}) == []  # may write, but is not let in
    assert allowed(ADA) == [("carts", False)]
    assert allowed(ADA | {"groups": ["payments"]}) == [("orders", False), ("carts", False)]
    assert allowed(ADA | {"groups": "platform"}) == [("orders", True), ("carts", True)]
    assert allowed({"groups": "guests"}) == [("carts", False)]


def test_what_is_left_out() -> None:
    bare = parse({}, NAMES)
    assert bare.lets_in({})
    assert not bare.may_write(ADA | {"groups": "platform"})
    assert not parse({"look": []}, NAMES).lets_in(ADA)


def test_another_name_of_a_server_opens_no_door() -> None:
    """MEMDB_URL, a second table of the file, an address that was entered."""
    local = named("local", "redis://127.0.0.1:7000")
    closed = parse({"targets": {"local": ["groups=x"], "orders": ["groups=x"]}}, ("local", "orders"))
    others = (
        named("Orders", "rediss://app@ORDERS:6379"),
        named("mine", "rediss://eve:pw@orders:6379"),
        named("here", "redis://localhost:7000"),
    )
    assert closed.allowed((ORDERS, local, *others), others, ADA) == ()
    assert len(closed.allowed((ORDERS, local, *others), others, {"groups": "x"})) == 3
    assert closed.closed((ORDERS, local), ADA) == {"rediss://orders:6379", "redis://127.0.0.1:7000"}
    assert server_of("redis://LOCALHOST:7000") == "redis://127.0.0.1:7000"
    assert closed.closed((ORDERS, local), {"groups": "x"}) == frozenset()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("writes = []", "'access.writes' means nothing", "Did you mean write?"),
        ('look = "email=x"', "'access.look' is no list", "groups=platform"),
        ('look = ["platform"]', "which is no rule", "groups=platform"),
        ('look = ["=platform"]', "which is no rule", ""),
        ('write = ["groups="]', "which is no rule", ""),
        ("write = [1]", "is no list of rules", ""),
        ("targets = 1", "access.targets is no table", "[access.targets]"),
        ('[targets]\norder = ["groups=x"]', "names 'order', and there is no target of that name", "orders"),
        ('[targets]\norders = "groups=x"', "'access.targets.orders' is no list", ""),
    ],
)
def test_what_is_no_table_of_rights(text: str, message: str, hint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        rights(text)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_no_table_at_all() -> None:
    with pytest.raises(BadSettings, match="no table"):
        parse(["look"], NAMES)


def test_the_settings_file_holds_it(tmp_path: Path) -> None:
    settings = Settings.from_env({"MEMDB_HOME": str(tmp_path)})
    assert access_table(settings) is None
    (tmp_path / "targets.toml").write_text(
        '[access]\nwrite = ["groups=x"]\n[targets.orders]\nurl = "redis://h"'
    )
    assert access_table(settings) == {"write": ["groups=x"]}
    assert [n.name for n in read(settings)] == ["orders"]


def test_a_variable_holds_it_where_the_file_does_not(tmp_path: Path) -> None:
    def table(text: str) -> object:
        return access_table(Settings.from_env({"MEMDB_HOME": str(tmp_path), "MEMDB_ACCESS": text}))

    assert table('look = ["email=*@example.com"]') == {"look": ["email=*@example.com"]}
    with pytest.raises(BadSettings, match="MEMDB_ACCESS is no TOML"):
        table("look = [")
    (tmp_path / "targets.toml").write_text("[access]")
    with pytest.raises(BadSettings, match="MEMDB_ACCESS is set"):
        table("look = []")
    assert access_table(Settings.from_env({"MEMDB_HOME": str(tmp_path)})) == {}
