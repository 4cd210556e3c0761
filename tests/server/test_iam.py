"""IAM login against a real engine: its ACL user takes the token of the moment as its password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from botocore.credentials import Credentials

from memdb.cluster import wire
from memdb.cluster.client import connect
from memdb.cluster.iam import LOGIN_AGAIN_S, Pool
from memdb.cluster.target import Iam, Target
from memdb.errors import LoginFailed

KEYS = Credentials("AKIDEXAMPLE", "secret", "session")


class Tokens:
    """Stands where AWS signs: numbered tokens, and the engine is told which one is valid now."""

    def __init__(self, server: redis.Redis) -> None:
        self.server, self.made = server, 0

    def __call__(self, *_: object) -> str:
        self.made += 1
        self.server.execute_command("ACL", "SETUSER", "iam-user", "resetpass", f">token {self.made}")
        return f"token {self.made}"


@pytest.fixture
def server(server_target: Target) -> Iterator[redis.Redis]:
    with redis.Redis.from_pool(wire.pool(server_target)) as opened:
        opened.execute_command("ACL", "SETUSER", "iam-user", "on", "~*", "+@all")
        yield opened
        opened.execute_command("ACL", "DELUSER", "iam-user")


@pytest.fixture
def target(server_target: Target) -> Target:
    return replace(
        server_target, username="iam-user", password="", iam=Iam("c", "eu-west-1"), timeout_s=5
    ).checked()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(Pool, "clock", lambda: now[0])
    return now


@pytest.fixture
def tokens(server: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Tokens:
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: KEYS)
    made = Tokens(server)
    monkeypatch.setattr("memdb.cluster.iam.sign", made)
    return made


def test_a_connection_logs_in_again_before_the_cut(
    target: Target, tokens: Tokens, clock: list[float], server: redis.Redis
) -> None:
    with connect(target) as client:
        assert client.execute("ACL", "WHOAMI") == b"iam-user"
        number = client.execute("CLIENT", "ID")
        provider = client.connection.routes.seed.connection_pool.connection_kwargs["credential_provider"]
        provider.forget()  # its 10 minutes are over
        clock[0] += LOGIN_AGAIN_S - 1
        client.execute("PING")
        assert tokens.made == 1
        clock[0] += 1
        calls = _auths(server)
        client.pipeline([("PING",), ("PING",)])
        assert tokens.made == 2
        assert _auths(server) == calls + 1
        assert client.execute("CLIENT", "ID") == number  # the very same connection
        clock[0] += LOGIN_AGAIN_S - 1
        client.execute("PING")
        assert _auths(server) == calls + 1


def test_a_cut_connection_opens_anew_with_a_fresh_token(
    target: Target, tokens: Tokens, clock: list[float], server: redis.Redis
) -> None:
    with connect(target) as client:
        number = client.execute("CLIENT", "ID")
        server.execute_command("CLIENT", "KILL", "ID", number)
        clock[0] += 2 * LOGIN_AGAIN_S
        assert client.execute("PING") == b"PONG"
        assert client.execute("CLIENT", "ID") != number


def test_a_refused_token_is_explained_and_not_used_again(
    target: Target, tokens: Tokens, server: redis.Redis
) -> None:
    with connect(target) as client:
        client.execute("PING")
        server.execute_command("ACL", "SETUSER", "iam-user", "resetpass", ">another")
        server.execute_command("CLIENT", "KILL", "USER", "iam-user")
        with pytest.raises(LoginFailed) as caught:
            client.execute("PING")
        assert "memorydb:Connect" in caught.value.hint
        assert "token" not in str(caught.value)
        assert client.execute("PING") == b"PONG"  # with another token
    assert tokens.made == 2


def test_without_aws_credentials(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: None)
    with connect(target) as client, pytest.raises(LoginFailed, match="no AWS credentials"):
        client.execute("PING")


def _auths(server: redis.Redis) -> int:
    return int(server.info("commandstats")["cmdstat_auth"]["calls"])
