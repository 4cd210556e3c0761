"""AWS through boto3: secrets and clusters from moto's server, refusals from botocore's Stubber."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoRegionError, ReadTimeoutError
from botocore.stub import Stubber

from memdb.assistant import bedrock_client
from memdb.cli import main
from memdb.cluster import aws, discover
from memdb.cluster.target import Iam
from memdb.cluster.targets import parse, resolve
from memdb.errors import BadSettings, LoginFailed, Unreachable
from tests.aws_front import moto_server

REGION = "eu-west-1"  # moto keeps what it made for the whole run: no other test makes anything there


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as variables:
        yield variables["AWS_ENDPOINT_URL"]


@pytest.mark.usefixtures("moto")
def test_the_region_is_that_of_the_aws_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSettings, match="No AWS Region is named"):
        aws.client("memorydb")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert aws.client("memorydb").meta.region_name == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert aws.client("memorydb").meta.region_name == "eu-north-1"
    assert aws.client("memorydb", "us-east-2").meta.region_name == "us-east-2"
    assert bedrock_client.has_credentials()
    assert bedrock_client.client().meta.region_name == "eu-north-1"


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
        ("c3a/none", BadSettings, "no secret 'c3a/none' in this AWS account"),
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
        ("ResourceNotFoundException", BadSettings, "no secret"),
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


@pytest.mark.usefixtures("moto")
def test_clusters_from_moto(capsys: pytest.CaptureFixture[str]) -> None:
    made = boto3.client("memorydb", region_name=REGION)
    for name, group, tls in (
        ("orders", "default.memorydb-redis7.search", True),
        ("carts", "default.memorydb-redis7", False),
    ):
        made.create_cluster(
            ClusterName=name,
            NodeType="db.r7g.large",
            ACLName="open-access",
            ParameterGroupName=group,
            TLSEnabled=tls,
            NumShards=1,
            NumReplicasPerShard=1,
            SecurityGroupIds=["sg-1"],
        )
    carts, orders = discover.clusters(REGION)
    assert (orders.name, orders.region, orders.tls, orders.search) == ("orders", REGION, True, True)
    assert (orders.shards, orders.nodes, orders.acl) == (1, 2, "open-access")
    assert orders.version.startswith("7.")
    assert (carts.search, carts.target().scheme) == (False, "redis")
    target = orders.target("ada", iam=True)
    assert target.address == f"rediss://{orders.host}:{orders.port}"
    assert (target.iam, target.kind, target.writable) == (Iam("orders", REGION), "production", False)
    with pytest.raises(BadSettings, match="unencrypted"):
        carts.target("ada", iam=True)
    with pytest.raises(BadSettings, match="needs user"):
        orders.target("", iam=True)
    assert main(["targets", "--discover", REGION, "--json"]) == 0
    assert [c["name"] for c in json.loads(capsys.readouterr().out)] == ["carts", "orders"]
    assert main(["targets", "--discover", REGION]) == 0
    assert "orders" in capsys.readouterr().out
    assert discover.clusters("eu-central-1") == ()


def test_clusters_as_aws_tells_them() -> None:
    """An own parameter group, Valkey, a cluster that is being made; and a group that may not be read."""
    client = boto3.client("memorydb", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    entry = {
        "Name": "v",
        "Status": "available",
        "NumberOfShards": 2,
        "Engine": "valkey",
        "EnginePatchVersion": "7.2.6",
        "ClusterEndpoint": {"Address": "clustercfg.v.abc.memorydb.eu-west-1.amazonaws.com", "Port": 6380},
        "NodeType": "db.r7g.large",
        "ParameterGroupName": "mine",
        "TLSEnabled": True,
        "ACLName": "acl",
        "Shards": [{"Name": "0001", "NumberOfNodes": 2}, {"Name": "0002", "NumberOfNodes": 2}],
    }
    young = {"Name": "young", "Status": "creating", "ParameterGroupName": "other", "TLSEnabled": True}
    with Stubber(client) as stub:
        stub.add_response("describe_clusters", {"Clusters": [entry, young]}, {"ShowShardDetails": True})
        stub.add_response(
            "describe_parameters",
            {"Parameters": [{"Name": "search-enabled", "Value": "yes"}]},
            {"ParameterGroupName": "mine"},
        )
        stub.add_client_error("describe_parameters", "AccessDeniedException", "no")
        v, young_one = discover.clusters(memorydb=client)
    assert (v.engine, v.version, v.shards, v.nodes, v.port, v.search) == ("Valkey", "7.2.6", 2, 4, 6380, True)
    assert (young_one.search, young_one.search_words) == (None, "not available")
    with pytest.raises(BadSettings, match="no endpoint yet: it is creating"):
        young_one.target()
    with Stubber(client) as stub:
        stub.add_client_error("describe_clusters", "AccessDeniedException", "not authorized")
        with pytest.raises(LoginFailed, match="AWS refused DescribeClusters: not authorized"):
            discover.clusters(memorydb=client)
