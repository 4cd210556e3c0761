"""AWS through boto3: secrets and clusters from moto's server, refusals from botocore's Stubber."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoRegionError, ReadTimeoutError
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from memdb.cluster import aws
from memdb.cluster.targets import parse, resolve
from memdb.errors import BadSettings, LoginFailed, NotFound, Unreachable

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.usefixtures("moto")
def test_a_password_from_secrets_manager() -> None:
    stored = boto3.client("secretsmanager", region_name=REGION)
    arn = stored.create_secret(Name="c3a/plain", SecretString="geheim")["ARN"]
    stored.create_secret(Name="c3a/json", SecretString=json.dumps({"password": "p", "app": "q", "n": 1}))
    stored.create_secret(Name="c3a/binary", SecretBinary=b"x")
    assert aws.secret("c3a/plain", REGION) == "geheim"
    assert aws.secret(arn) == "geheim"  # the region is in it
    assert aws.secret("c3a/json", REGION) == "p"
    assert aws.secret("c3a/json#app", REGION) == "q"
    for name, error, part in (
        ("c3a/none", NotFound, "no secret in AWS Secrets Manager 'c3a/none'"),
        ("c3a/json#other", BadSettings, "no text under 'other'"),
        ("c3a/json#n", BadSettings, "no text under 'n'"),
        ("c3a/plain#x", BadSettings, "no JSON object"),
        ("c3a/binary", BadSettings, "holds no text"),
    ):
        with pytest.raises(error, match=part) as caught:
            aws.secret(name, REGION)
        assert "geheim" not in caught.value.full()
    (named,) = parse(
        f'[targets.a]\nurl = "rediss://app@h"\nsecret = "c3a/json#app"\nsecret_region = "{REGION}"'
    )
    assert resolve(named).password == "q"
    with pytest.raises(BadSettings, match="No AWS Region"):
        aws.secret("c3a/plain")


@pytest.mark.parametrize(
    ("code", "error", "part"),
    [
        ("AccessDeniedException", LoginFailed, "AWS refused GetSecretValue: not for you"),
        ("ExpiredTokenException", LoginFailed, "have expired"),
        ("UnrecognizedClientException", LoginFailed, "AWS refused"),
        ("InternalServiceError", Unreachable, "AWS failed at GetSecretValue"),
        ("ResourceNotFoundException", NotFound, "no secret"),
    ],
)
def test_what_aws_refuses(code: str, error: type[Exception], part: str) -> None:
    client = boto3.client(
        "secretsmanager", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y"
    )
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", code, "not for you")
        with pytest.raises(error, match=part):
            aws.secret("name", secrets=client)


@pytest.mark.parametrize(
    ("exc", "error"),
    [(NoRegionError(), BadSettings), (ReadTimeoutError(endpoint_url="https://x"), Unreachable)],
)
def test_other_failures(exc: Exception, error: type[Exception]) -> None:
    assert isinstance(aws.explain(exc), error)


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Any) -> None:
        return None

    monkeypatch.setattr("boto3.Session.get_credentials", none)
    with pytest.raises(LoginFailed, match="no AWS credentials"):
        aws.client("memorydb", REGION)
