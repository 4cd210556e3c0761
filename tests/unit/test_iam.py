"""IAM tokens: what is signed, how long one is kept, what happens without credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import botocore.auth
import pytest
from botocore.credentials import Credentials
from redis.exceptions import AuthenticationError

from memdb.cluster.iam import RENEW_S, TOKEN_S, IamLogin, sign
from memdb.cluster.target import Iam

IAM = Iam("My-Cluster", "eu-west-1")
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)


@pytest.mark.usefixtures("fixed_day")
def test_what_a_token_says() -> None:
    token = sign(KEYS, IAM, "ada@example")
    parts = urlsplit("http://" + token)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.netloc, parts.path) == ("my-cluster", "/")
    assert query["Action"] == "connect"
    assert query["User"] == "ada@example"
    assert query["X-Amz-Expires"] == str(TOKEN_S)
    assert query["X-Amz-Credential"] == "AKIDEXAMPLE/20260301/eu-west-1/memorydb/aws4_request"
    assert query["X-Amz-Date"] == "20260301T120000Z"
    assert query["X-Amz-Security-Token"] == "session"
    assert len(query["X-Amz-Signature"]) == 64
    assert token == sign(KEYS, IAM, "ada@example")
    assert token != sign(KEYS, IAM, "bob")
    assert KEYS.secret_key not in token


def test_a_token_is_renewed_before_it_ends_and_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    made: list[str] = []
    monkeypatch.setattr("memdb.cluster.iam.sign", lambda *_: made.append("x") or f"token {len(made)}")
    login = IamLogin(IAM, "ada", credentials=KEYS, clock=lambda: clock[0])
    assert login.get_credentials() == ("ada", "token 1")
    clock[0] += RENEW_S - 1
    assert login.get_credentials() == ("ada", "token 1")
    clock[0] += 1
    assert login.get_credentials() == ("ada", "token 2")
    assert RENEW_S < TOKEN_S
    login.forget()
    assert login.get_credentials() == ("ada", "token 3")


def test_a_machine_without_credentials_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.session.Session.get_credentials", lambda _: None)
    with pytest.raises(AuthenticationError, match="no AWS credentials"):
        IamLogin(IAM, "ada").get_credentials()


@pytest.mark.usefixtures("fixed_day")
@pytest.mark.parametrize("serverless", [False, True])
def test_a_token_for_elasticache(serverless: bool) -> None:
    iam = Iam("My-Carts", "eu-west-1", "elasticache", serverless)
    token = sign(KEYS, iam, "ada")
    query = {name: values[0] for name, values in parse_qs(urlsplit("http://" + token).query).items()}
    assert token.startswith("my-carts/?")
    assert query["User"] == "ada"
    assert query["X-Amz-Credential"] == "AKIDEXAMPLE/20260301/eu-west-1/elasticache/aws4_request"
    assert query.get("ResourceType") == ("ServerlessCache" if serverless else None)
