"""The settings file: what it may hold, where passwords come from, and that one bad target spoils no other."""

from __future__ import annotations

import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.cluster.engine.runtime import take_lock, write_runtime
from memdb.cluster.find import app_target, find_target, known, offered
from memdb.cluster.target import Budget, Iam, Target, Tls
from memdb.cluster.targets import Named, as_toml, parse, read, resolve, save
from memdb.demo.app import environment
from memdb.errors import BadInput, BadSettings
from memdb.settings import Settings

GOOD = """
[targets.orders]
url = "rediss://app@clustercfg.orders.abc.memorydb.eu-west-1.amazonaws.com:6379"
label = "Orders"
colour = "violet"
kind = "production"
timeout = 5
read_from_replicas = true
secret = "prod/orders#app"
tls = { ca = "/etc/ca.pem", verify = true }
budget = { queries_per_s = 50, keys_scanned = 100_000, slow_factor = 2.5 }

[targets.iam]
url = "rediss://ada@clustercfg.x.abc.memorydb.eu-west-1.amazonaws.com:6379"
iam = { cluster = "x", region = "eu-west-1" }

[targets.local]
url = "redis://127.0.0.1:7000"
writable = true
password_env = "C3A_TEST_PASSWORD"
"""


def test_what_a_file_says() -> None:
    orders, iam, local = parse(GOOD)
    assert (orders.name, orders.target.label, orders.target.colour) == ("orders", "Orders", "violet")
    assert (orders.target.kind, orders.target.timeout_s, orders.target.writable) == ("production", 5.0, False)
    assert orders.target.read_from_replicas
    assert orders.target.tls == Tls(ca="/etc/ca.pem")
    assert orders.target.budget == Budget(50.0, 100_000, 2.5)
    assert orders.login == "app, password: AWS Secrets Manager, prod/orders#app"
    assert (iam.target.iam, iam.login) == (Iam("x", "eu-west-1"), "IAM as ada")
    assert (local.target.kind, local.target.writable, local.target.label) == ("local", True, "local")
    assert [named.problem for named in (orders, iam, local)] == [None] * 3


@pytest.mark.parametrize(
    ("lines", "message", "hint"),
    [
        ('url = "redis://h"\npassword = "geheim"', "password stands in the file", "password_env"),
        ('url = "redis://u:geheim@h"', "password stands in its url", "Keep the user"),
        ("", "no url", "url ="),
        ('url = "http://h"', "does not start with redis", "Write it like"),
        ('url = "redis://h"\nwriteable = true', "'writeable' means nothing", "writable"),
        ('url = "rediss://h"\ntls = { verfy = false }', "'tls.verfy' means nothing", "tls.verify"),
        ('url = "redis://h"\nwritable = "yes"', "writable is 'yes'", "true or false"),
        ('url = "redis://h"\ntimeout = -1', "timeout is -1", ""),
        ('url = "redis://h"\ntimeout = 0', "timeout is 0", "seconds"),
        ('url = "redis://h"\ncolour = "mauve"', "not a colour", "violet"),
        ('url = "redis://h"\nkind = "prod"', "not a kind", "production"),
        ('url = "redis://h"\npassword_env = "A"\nsecret = "b"', "password_env and secret", "Keep one"),
        ('url = "redis://h"\ntls = "on"', "tls is no table", "tls = {"),
        ('url = "redis://h"\nbudget = { queries_per_s = -5 }', "budget.queries_per_s is -5", ""),
        ('url = "rediss://u@h"\niam = { cluster = "c" }', "needs user, cluster name and region", ""),
    ],
)
def test_one_bad_target_says_what_is_wrong_and_spoils_no_other(lines: str, message: str, hint: str) -> None:
    bad, good = parse(f'[targets.bad]\n{lines}\n[targets.good]\nurl = "redis://h"\n')
    assert good.problem is None
    assert bad.problem is not None
    assert message in str(bad.problem)
    assert hint in bad.problem.hint
    assert "geheim" not in bad.problem.full() + repr(bad)
    with pytest.raises(BadSettings, match="Target 'bad'"):
        resolve(bad)


@pytest.mark.parametrize("text", ["[targets.a", "x = 1", "targets = 1"])
def test_a_file_that_is_none(text: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse(text)
    assert caught.value.hint


def settings(home: Path, **values: str) -> Settings:
    return Settings.from_env({"MEMDB_HOME": str(home)} | {f"MEMDB_{k.upper()}": v for k, v in values.items()})


def test_where_the_file_is(tmp_path: Path) -> None:
    assert read(settings(tmp_path)) == ()
    with pytest.raises(BadSettings, match="no settings file"):
        read(settings(tmp_path, settings=str(tmp_path / "no.toml")))
    (tmp_path / "targets.toml").write_text(GOOD)
    assert [named.name for named in read(settings(tmp_path))] == ["orders", "iam", "local"]
    (tmp_path / "targets.toml").chmod(0o666)
    with pytest.raises(BadSettings, match="every user of this machine") as caught:
        read(settings(tmp_path))
    assert "chmod o-w" in caught.value.hint


def test_passwords_from_variable_and_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = parse(GOOD)[2]
    with pytest.raises(BadSettings, match="C3A_TEST_PASSWORD, which is not set"):
        resolve(local)
    monkeypatch.setenv("C3A_TEST_PASSWORD", "geheim")
    assert resolve(local).password == "geheim"

    file = tmp_path / "password"
    (named,) = parse(f'[targets.a]\nurl = "redis://h"\npassword_file = "{file}"')
    with pytest.raises(BadSettings, match="cannot be read"):
        resolve(named)
    file.write_text("")
    with pytest.raises(BadSettings, match="is empty"):
        resolve(named)
    file.write_text("geheim wort\n")
    assert resolve(named).password == "geheim wort"
    file.chmod(0o602)
    with pytest.raises(BadSettings, match="every user"):
        resolve(named)


def test_a_target_is_opened_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "targets.toml").write_text(GOOD)
    monkeypatch.setenv("C3A_TEST_PASSWORD", "geheim")
    found = find_target(settings(tmp_path), "local")
    assert (found.address, found.password, found.writable) == ("redis://127.0.0.1:7000", "geheim", True)
    assert find_target(settings(tmp_path, target="local")) == found
    assert app_target(settings(tmp_path, target="local", url="redis://other")) == found
    with pytest.raises(BadSettings, match="no target of that name") as caught:
        find_target(settings(tmp_path, target="loca"))
    assert "orders, iam, local" in caught.value.hint
    assert "loca'" not in caught.value.full()
    with pytest.raises(BadSettings, match="no target of that name"):
        find_target(settings(tmp_path), "loca")


def test_what_can_be_chosen(tmp_path: Path) -> None:
    def names(found: tuple[Named, ...]) -> list[str]:
        return [named.name for named in found]

    assert known(settings(tmp_path)) == ()
    (tmp_path / "targets.toml").write_text(GOOD)
    own = settings(tmp_path, url="redis://h:1", password="geheim", label="orders")
    assert names(known(own)) == ["orders", "orders (2)", "iam", "local"]
    assert known(own)[0].login == "default user, password: environment variable MEMDB_PASSWORD"
    assert names(known(settings(tmp_path, target="iam"))) == ["iam", "orders", "local"]
    assert "geheim" not in repr(known(own))


def test_a_target_of_the_file_opened_by_its_name_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "targets.toml").write_text(GOOD)
    monkeypatch.setenv("C3A_TEST_PASSWORD", "geheim")
    target = find_target(settings(tmp_path), "local")
    own = Settings.from_env(environment(target, tmp_path))
    assert [named.name for named in known(own)] == ["local", "orders", "iam"]


def test_visitors_from_elsewhere_are_offered_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "targets.toml").write_text(GOOD)
    lock = take_lock(tmp_path / "engine")  # as a running engine holds it
    try:
        write_runtime(
            tmp_path / "run" / "engine.json",
            pid=os.getpid(),
            port=7777,
            password="geheim",
            directory=tmp_path / "engine",
            cluster=False,
        )
        here = settings(tmp_path)
        assert [n.name for n in known(here)] == ["Local engine", "orders", "iam", "local"]
        assert known(here)[0].target.writable
        assert [n.name for n in offered(here)] == ["orders", "iam", "local"]
        assert [n.target.writable for n in offered(here)] == [n.target.writable for n in parse(GOOD)]
        # A production server is served, read-only; the engine of the same home is no part of it.
        served = settings(tmp_path, url="rediss://prod.example:6379", label="prod")
        assert [n.name for n in offered(served)] == ["prod", "orders", "iam", "local"]
        assert not offered(served)[0].target.writable
        assert offered(replace(served, writable=True))[0].target.writable  # said
        # The app was started for the engine, as by `memdb app`: it may be looked at.
        own = Settings.from_env(environment(known(here)[0].target, tmp_path))
        assert known(own)[0].target.writable
        assert [n.name for n in offered(own)] == ["Local engine", "orders", "iam", "local"]
        assert not offered(own)[0].target.writable
    finally:
        os.close(lock)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_lines_for_the_settings_file_survive_any_name_and_label(name: str, label: str) -> None:
    target = Target.parse("rediss://a%40b:geheim@h:7000", label=label or name)
    text = as_toml(name, replace(target, tls=Tls(ca=label, verify=False)))
    assert "geheim" not in text
    (table,) = tomllib.loads(text)["targets"].items()
    assert table[0] == name
    assert table[1].get("label", name) == target.label
    assert table[1]["url"] == "rediss://a%40b@h:7000"
    assert table[1]["tls"] == ({"ca": label} if label else {}) | {"verify": False}


def test_lines_for_the_settings_file_lead_back_to_the_target() -> None:
    for named in parse(GOOD):
        (again,) = parse(as_toml("new name", named.target))
        assert (again.name, again.target) == ("new name", named.target)
        assert "geheim" not in as_toml("x", replace(named.target, password="geheim"))


def test_a_target_is_saved_beside_the_others_and_without_its_password(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    target = Target.parse("rediss://app:geheim@cache.example:6380", label="mine")
    path = save(own, "mine", target)
    assert path == tmp_path / "targets.toml"
    assert [(n.name, n.target) for n in read(own)] == [("mine", replace(target, password=""))]
    assert "geheim" not in path.read_text()
    assert "# The password is kept elsewhere" in path.read_text()
    path.write_text(f"# mine, and a note\n{GOOD}")
    before = read(own)
    save(own, "another", replace(target, label="another", password=""))
    assert path.read_text().startswith("# mine, and a note\n")
    after = read(own)
    assert after[:-1] == before
    assert after[-1].target == replace(target, label="another", password="")
    assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_saved_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    target = Target.parse("redis://cache.example:6380")
    (tmp_path / "targets.toml").write_text(GOOD)
    with pytest.raises(BadInput, match=r"'orders' stands in .* already"):
        save(own, "orders", target)
    with pytest.raises(BadInput, match="without a name"):
        save(own, "redis://cache.example:6380", target)
    assert (tmp_path / "targets.toml").read_text() == GOOD
    (tmp_path / "targets.toml").write_text("[targets")
    with pytest.raises(BadSettings, match="is no TOML"):
        save(own, "new", target)
    assert (tmp_path / "targets.toml").read_text() == "[targets"
