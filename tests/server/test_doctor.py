"""The doctor's walk and the client's words on a real engine: logins, TLS, clusters, hostile servers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdb.cli import main
from memdb.cluster import dialects, doctor, wire
from memdb.cluster import engine as local_engine
from memdb.cluster.client import connect
from memdb.cluster.doctor import Diagnosis, DoctorStep, diagnose
from memdb.cluster.target import Target, Tls
from memdb.errors import EngineError, LoginFailed, Unreachable
from tests import fronts
from tests.fronts import Authority, tls_front
from tests.waiting import PATIENCE_S, until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def front(server_target: Target, authority: Authority) -> Iterator[Target]:
    """The engine behind TLS, with a certificate for this address."""
    with tls_front(server_target.port, authority.issue("here", "127.0.0.1", "localhost")) as port:
        yield replace(server_target, scheme="rediss", port=port, tls=Tls(ca=authority.file)).checked()


def step(found: Diagnosis, name: str) -> DoctorStep:
    (one,) = (s for s in found.steps if s.name == name)
    return one


def failed(found: Diagnosis) -> DoctorStep:
    """The step that failed; all before it are done, all after it skipped, each in its place."""
    assert [s.name for s in found.steps] == list(doctor.NAMES)
    (one,) = (s for s in found.steps if s.outcome == "failed")
    later = found.steps[found.steps.index(one) + 1 :]
    assert {s.outcome for s in later} <= {"skipped"}
    assert one.todo
    assert not found.ok
    return one


def test_a_plain_local_server(server_target: Target) -> None:
    found = diagnose(server_target)
    assert [s.name for s in found.steps] == list(doctor.NAMES)
    assert found.ok
    assert {s.outcome for s in found.steps} == {"ok"}
    assert found.sentence == "Everything answers."
    assert "a single server" in step(found, "Cluster mode").saw
    assert "RediSearch" in step(found, "Search").saw
    assert server_target.password not in repr(doctor.as_json(found))


def test_a_unix_socket(server_target: Target, tmp_path: Path) -> None:
    with fronts.socket_front(server_target, tmp_path / "a b#%3f.sock") as target, connect(target) as client:
        assert client.execute("ECHO", "there") == b"there"
        again = Target.parse(target.address)
        assert (again.scheme, again.path) == ("unix", target.path)
        report = diagnose(target)
        assert report.ok, report
        with connect(replace(target, path=f"{target.path}x")) as nowhere, pytest.raises(Unreachable):
            nowhere.execute("PING")


def test_tls_with_the_authority(front: Target) -> None:
    found = diagnose(front)
    assert found.ok, found
    assert step(found, "TLS").saw.startswith("TLSv1.3, certificate for 127.0.0.1, valid for 29 more days")
    with connect(front) as client:
        assert client.execute("PING") == b"PONG"


def test_tls_without_verification_says_so(front: Target) -> None:
    found = diagnose(replace(front, tls=Tls(verify=False)))
    assert found.ok
    assert (step(found, "TLS").outcome, "not checked" in step(found, "TLS").saw) == ("note", True)
    assert found.sentence == "Everything answers, with a note."


def test_wrong_authority(front: Target, tmp_path: Path) -> None:
    for tls, word in (
        (Tls(), "this system's authorities"),
        (Tls(ca=Authority(tmp_path).file), "the CA file"),
    ):
        target = replace(front, tls=tls)
        found = failed(diagnose(target))
        assert found.name == "TLS"
        assert f"is not signed by {word}" in found.saw
        with connect(target) as client, pytest.raises(Unreachable, match="is not signed by"):
            client.execute("PING")


@pytest.mark.parametrize(
    ("names", "days", "part"),
    [
        (("db.example",), 30, "is for another name than '127.0.0.1'"),
        (("127.0.0.1",), -1, "is out of date"),
    ],
)
def test_certificates_that_do_not_fit(
    server_target: Target, authority: Authority, names: tuple[str, ...], days: int, part: str
) -> None:
    with tls_front(server_target.port, authority.issue("other", *names, days=days)) as port:
        target = replace(server_target, scheme="rediss", port=port, tls=Tls(ca=authority.file))
        assert part in failed(diagnose(target)).saw
        with connect(target) as client, pytest.raises(Unreachable) as caught:
            client.execute("PING")
        assert part in str(caught.value)
        if "name" in part:  # as through a tunnel
            named = replace(target, tls=Tls(ca=authority.file, hostname="db.example"))
            assert diagnose(named).ok
            with connect(named) as client:
                assert client.execute("PING") == b"PONG"


def test_a_certificate_that_ends_soon(server_target: Target, authority: Authority) -> None:
    with tls_front(server_target.port, authority.issue("soon", "127.0.0.1", days=5)) as port:
        target = replace(server_target, scheme="rediss", port=port, tls=Tls(ca=authority.file))
        assert (step(diagnose(target), "TLS").outcome, diagnose(target).ok) == ("note", True)


def test_client_certificates(server_target: Target, authority: Authority) -> None:
    server, mine = authority.issue("mutual", "127.0.0.1"), authority.issue("me")
    with tls_front(server_target.port, server, client_ca=authority.file) as port:
        target = replace(server_target, scheme="rediss", port=port, tls=Tls(ca=authority.file))
        refused = failed(diagnose(target))
        # Whether the server's own words arrive before its reset is up to the network.
        assert "client certificate" in refused.saw + refused.todo
        mutual = replace(target, tls=Tls(ca=authority.file, cert=mine.cert, key=mine.key))
        assert diagnose(mutual).ok
        with connect(mutual) as client:
            assert client.execute("PING") == b"PONG"
        wrong = replace(target, tls=Tls(ca=authority.file, cert=mine.cert, key=server.key))
        assert "cannot be used" in failed(diagnose(wrong)).saw


def test_tls_spoken_to_a_plain_port_and_the_reverse(server_target: Target, front: Target) -> None:
    plain = failed(diagnose(replace(server_target, scheme="rediss")))
    assert (plain.name, "speaks without TLS" in plain.saw, "redis://" in plain.todo) == ("TLS", True, True)
    reverse = failed(diagnose(replace(front, scheme="redis", tls=Tls())))
    assert (reverse.name, "speaks TLS" in reverse.saw, "rediss://" in reverse.todo) == ("Login", True, True)


def test_logins(server_target: Target) -> None:
    assert "wants a password" in failed(diagnose(replace(server_target, password=""))).saw
    wrong = failed(diagnose(replace(server_target, password="falsch", username="nobody")))
    assert (wrong.name, "refused the login" in wrong.saw, "falsch" in repr(wrong)) == ("Login", True, False)


@pytest.fixture
def user(server_target: Target) -> Iterator[Callable[..., Target]]:
    """Make an ACL user with these rules."""
    import redis

    with redis.Redis.from_pool(wire.pool(server_target)) as server:

        def make(*rules: str) -> Target:
            server.execute_command("ACL", "SETUSER", "c3a-user", "reset", "on", ">p", *rules)
            return replace(server_target, username="c3a-user", password="p", writable=False)

        yield make
        server.execute_command("ACL", "DELUSER", "c3a-user")


def test_a_user_without_search(user: Callable[..., Target]) -> None:
    target = user("~*", "+@all", "-ft._list", "-ft.search", "-ft.info")
    found = failed(diagnose(target))
    assert (found.name, "'c3a-user' may not use it" in found.saw, "+@search" in found.todo) == (
        "Search",
        True,
        True,
    )
    with connect(target) as client, pytest.raises(LoginFailed, match=r"may not run FT\.SEARCH"):
        client.execute("FT.SEARCH", "idx", "*")


def test_a_user_who_sees_little(user: Callable[..., Target], prefix: str) -> None:
    target = user(f"~{prefix}*", "+ping", "+get")
    found = diagnose(target)
    assert {s.name: s.outcome for s in found.steps if s.outcome == "note"} == dict.fromkeys(
        ("Cluster mode", "Replicas"), "note"
    )
    assert "may not use it" in failed(found).saw  # found out without COMMAND: the server has it
    with connect(target) as client:
        assert client.execute("GET", prefix + "x") is None
        with pytest.raises(LoginFailed, match="No permissions to access a key"):
            client.execute("GET", "hidden")


def test_names_and_ports() -> None:
    assert "no host 'nowhere.invalid'" in failed(diagnose(Target(host="nowhere.invalid"))).saw
    assert "Nothing listens on 127.0.0.1:1" in failed(diagnose(Target(port=1))).saw
    assert "cannot be opened" in failed(diagnose(Target(scheme="unix", path="/nowhere.sock"))).saw
    assert "no host" in failed(diagnose(Target(host="a" * 300))).saw


@pytest.mark.parametrize(
    ("serve", "part"),
    [
        (fronts.silent, "did not answer within 1 s"),
        (fronts.garbage, "answered, but not as Redis does"),
        (fronts.endless, "did not answer within 1 s"),
        (fronts.closing, "No answer from"),
    ],
)
def test_hostile_servers(serve: Any, part: str) -> None:
    with fronts.listening(serve) as port:
        began = time.monotonic()
        found = failed(diagnose(Target(port=port, timeout_s=1)))
        assert time.monotonic() - began < PATIENCE_S
        assert found.name == "Login"
        assert part in found.saw
        with connect(Target(port=port, timeout_s=1)) as client, pytest.raises(Unreachable) as caught:
            client.execute("PING")
        assert part in str(caught.value)
        assert "\x00" not in str(caught.value)


def test_a_hostile_server_in_tls() -> None:
    with fronts.listening(fronts.silent) as port:
        began = time.monotonic()
        found = failed(diagnose(Target(scheme="rediss", port=port, timeout_s=1)))
        assert "did not answer the TLS handshake within 1 s" in found.saw
        assert time.monotonic() - began < PATIENCE_S
    with fronts.listening(fronts.garbage) as port:
        assert "not in TLS" in failed(diagnose(Target(scheme="rediss", port=port, timeout_s=1))).saw


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One shard in cluster mode, with a replica."""
    with local_engine.start(tmp_path_factory.mktemp("cluster"), log=False, cluster=True, replicas=1) as made:
        made.wait_ready()
        yield made.target


def test_a_cluster_and_its_replica(cluster: Target) -> None:
    until(lambda: "2 nodes" in step(diagnose(cluster), "Cluster mode").saw, "the nodes know each other")
    until(lambda: "1 connected" in step(diagnose(cluster), "Replicas").saw, "the replica is there")
    found = diagnose(cluster)
    assert found.ok
    assert "cluster of 1 shard and 2 nodes, all within reach" in step(found, "Cluster mode").saw
    assert "not read from" in step(found, "Replicas").saw
    with connect(cluster) as client:
        ((_, _, port),) = [
            node for node in doctor.nodes_named(client.execute("CLUSTER", "SLOTS")) if node[2] != cluster.port
        ]
    replica = replace(cluster, port=port)
    until(lambda: "may lag behind" in step(diagnose(replica), "Replicas").saw, "the replica follows")
    assert step(diagnose(replica), "Replicas").outcome == "note"


def test_a_cluster_behind_a_tunnel(cluster: Target) -> None:
    """The one port that the tunnel leads to answers; the addresses that the nodes name do not."""
    with connect(cluster) as client:
        info, slots = client.pipeline([("INFO",), ("CLUSTER", "SLOTS")])
    for part in slots:
        for node in part[2:]:
            node[1] = 1  # nothing listens there
    found = doctor.cluster_step(info, slots, cluster, 1.0, 0.0)
    assert (found.outcome, " of the addresses it names cannot be reached" in found.saw) == ("note", True)
    assert "/etc/hosts" in found.todo


@pytest.mark.parametrize(
    ("info", "outcome", "part"),
    [
        (b"# Server\r\nredis_version:5.0.7\r\nredis_mode:standalone\r\n", "failed", "Redis 5.0.7 is too old"),
        (b"# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n", "ok", "Redis 6.2.14"),
        (b"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\n", "ok", "Valkey 9.1.2"),
        (b"# Server\r\ndragon:1\r\n", "failed", "no version"),
    ],
)
def test_versions(info: bytes, outcome: str, part: str) -> None:
    found = doctor.cluster_step(info, [], Target(), 1.0, 0.0)
    assert (found.outcome, part in found.saw) == (outcome, True)


def test_a_server_without_search() -> None:
    info = b"# Server\r\nredis_version:7.1.0\r\n"
    nothing = [None] * len(dialects.PROBED)
    found = doctor.search_step(info, nothing, EngineError("unknown command"), b"ada")
    assert (found.outcome, "Redis 7.1.0 has no vector search" in found.saw) == ("note", True)
    assert "parameter group" in found.todo


def test_the_command(server_target: Target, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--url", server_target.url, "--json"]) == 0
    shown = capsys.readouterr()
    assert server_target.password not in shown.out + shown.err
    found = json.loads(shown.out)
    assert (found["ok"], found["address"]) == (True, server_target.address)
    assert [s["step"] for s in found["steps"]] == list(doctor.NAMES)
    assert main(["doctor", "--url", "redis://127.0.0.1:1"]) == 1
    assert "Nothing listens" in capsys.readouterr().out
    assert main(["targets"]) == 0
    assert "docs/connect.md" in capsys.readouterr().out
