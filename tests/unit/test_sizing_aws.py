"""Deployment texts held against AWS's own schemas, and prices read from AWS's list. Nothing leaves this machine."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
from botocore.exceptions import ParamValidationError
from botocore.stub import Stubber
from botocore.validate import validate_parameters
from moto import mock_aws

from memdb.errors import BadInput, LoginFailed
from memdb.sizing import catalogue, deploy, prices
from memdb.sizing.deploy import Cluster
from tests.linted import lint

CLUSTERS = (
    Cluster("sessions-and-vectors", "db.r7g.xlarge"),
    Cluster("small", "db.t4g.small", replicas=0, flavour="redis", snapshot_days=0),
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def pricing() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("pricing", region_name="us-east-1")
    with Stubber(client) as stub:
        yield client, stub


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: c.name)
def test_botocore_accepts_the_call(cluster: Cluster) -> None:
    model = boto3.client("memorydb").meta.service_model
    for call, arguments in (
        ("CreateCluster", deploy.cluster_arguments(cluster)),
        ("CreateSubnetGroup", deploy.subnet_group_arguments(cluster)),
    ):
        shape = model.operation_model(call).input_shape
        assert shape is not None
        validate_parameters(arguments, shape)
        with pytest.raises(ParamValidationError, match="Colour"):
            validate_parameters(arguments | {"Colour": "red"}, shape)


@pytest.mark.long
@mock_aws
def test_the_script_makes_the_cluster_as_it_says() -> None:
    ec2 = boto3.client("ec2", region_name="us-east-1")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")[
            "Subnet"
        ]["SubnetId"]
        for i, zone in enumerate("abc")
    ]
    code = deploy.boto3_code(CLUSTERS[0])
    for placeholder, real in zip(deploy.SUBNETS, subnets, strict=True):
        code = code.replace(placeholder, real)
    ast.parse(code)
    exec(code, {})  # noqa: S102  # our own text, against moto
    memorydb = boto3.client("memorydb")
    found = memorydb.describe_clusters(ClusterName="sessions-and-vectors", ShowShardDetails=True)["Clusters"][
        0
    ]
    assert found["NodeType"] == "db.r7g.xlarge"
    assert found["NumberOfShards"] == 1
    assert found["Shards"][0]["NumberOfNodes"] == 3
    assert found["TLSEnabled"] is True
    assert found["SnapshotRetentionLimit"] == 7
    assert found["ParameterGroupName"] == "default.memorydb-valkey7.search"
    assert found["MaintenanceWindow"] == "sun:03:00-sun:05:00"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # cfn-lint's own
@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: c.name)
def test_cfn_lint_finds_nothing(cluster: Cluster) -> None:
    assert lint(deploy.cloudformation(cluster), regions=["us-east-1", "eu-central-1"]) == []


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_cfn_lint_would_find_something() -> None:
    broken = deploy.cloudformation(CLUSTERS[0]).replace('"NumShards": 1', '"NumShards": "one"')
    assert lint(broken, regions=["us-east-1"])


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: c.name)
def test_terraform_parses_and_says_the_same(cluster: Cluster) -> None:
    found = hcl2.loads(deploy.terraform(cluster))
    text = json.dumps(found)
    assert "aws_memorydb_cluster" in text
    resources = {k.strip('"'): v for block in found["resource"] for k, v in block.items()}
    made = next(iter(resources["aws_memorydb_cluster"].values()))
    call = deploy.cluster_arguments(cluster)
    same = {
        "node_type": "NodeType",
        "engine": "Engine",
        "engine_version": "EngineVersion",
        "num_shards": "NumShards",
        "num_replicas_per_shard": "NumReplicasPerShard",
        "parameter_group_name": "ParameterGroupName",
        "snapshot_retention_limit": "SnapshotRetentionLimit",
        "snapshot_window": "SnapshotWindow",
        "maintenance_window": "MaintenanceWindow",
        "tls_enabled": "TLSEnabled",
    }
    for ours, theirs in same.items():
        assert str(made[ours]).strip('"') == str(call[theirs]), ours


@pytest.mark.parametrize("cluster", CLUSTERS, ids=lambda c: c.name)
def test_cloudformation_says_the_same(cluster: Cluster) -> None:
    """With the call's own names put in for what the template refers to, both ways round."""
    template = json.loads(deploy.cloudformation(cluster))
    call, subnets = deploy.cluster_arguments(cluster), deploy.subnet_group_arguments(cluster)
    given = {
        "SubnetIds": subnets["SubnetIds"],
        "SecurityGroupId": call["SecurityGroupIds"][0],
        "KmsKeyArn": call["KmsKeyId"],
        "AclName": call["ACLName"],
    }
    assert set(template["Parameters"]) == set(given)
    made = _referred(template["Resources"], given | {"Subnets": call["SubnetGroupName"]})
    # An engine without data tiering is what CloudFormation makes where the property is absent.
    assert made["Cluster"]["Properties"] == {
        n: v for n, v in call.items() if (n, v) != ("DataTiering", False)
    }
    group = made["Subnets"]["Properties"]
    assert group == {name: value for name, value in subnets.items() if name in group}
    assert set(subnets) - set(group) <= {"Description"}


def _referred(value: Any, names: dict[str, Any]) -> Any:
    """A template's part with every {"Ref": name} replaced."""
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            return names[value["Ref"]]
        return {key: _referred(inner, names) for key, inner in value.items()}
    return [_referred(inner, names) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("", "db.r7g.large"),
        ("Big", "db.r7g.large"),
        ("a--b", "db.r7g.large"),
        ("a" * 41, "db.r7g.large"),
        ("1a", "db.r7g.large"),
        ('x"\n}', "db.r7g.large"),
        ("ok", 'db.x"}'),
        ("ok", "r7g.large"),
    ],
)
def test_names_that_cannot_be(name: str, node: str) -> None:
    with pytest.raises(BadInput):
        Cluster(name, node)


def item(
    node: str, engine: str, per_unit: dict[str, str], unit: str = "Hrs", field: str = "cacheEngine"
) -> str:
    """One item of the price list: AWS sends each as a JSON text."""
    return json.dumps(
        {
            "product": {"attributes": {"instanceType": node, field: engine, "regionCode": "eu-central-1"}},
            "terms": {
                "OnDemand": {"a": {"priceDimensions": {"b": {"unit": unit, "pricePerUnit": per_unit}}}}
            },
        }
    )


def wanted(**more: object) -> dict[str, object]:
    return {
        "ServiceCode": "AmazonMemoryDB",
        "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": "eu-central-1"}],
        "FormatVersion": "aws_v1",
        "MaxResults": 100,
        **more,
    }


def test_prices_are_read_page_by_page_from_json_texts(pricing: tuple[Any, Stubber], tmp_path: Path) -> None:
    client, stub = pricing
    stub.add_response(
        "get_products",
        {
            "FormatVersion": "aws_v1",
            "NextToken": "more",
            "PriceList": [
                item("db.r7g.large", "Valkey", {"USD": "0.2610000000"}),
                item("db.r7g.large", "Redis", {"USD": "0.3730000000"}),
                item("db.r7g.large", "Valkey", {"USD": "0.04"}, unit="GB"),
                json.dumps({"product": {"attributes": {"group": "Data"}}, "terms": {}}),
            ],
        },
        wanted(),
    )
    stub.add_response(
        "get_products",
        {
            "FormatVersion": "aws_v1",
            "PriceList": [item("db.r7g.xlarge", "Redis OSS", {"USD": "0.7"}, field="engine")],
        },
        wanted(NextToken="more"),
    )
    found = prices.refresh(client, "memorydb", "eu-central-1")
    stub.assert_no_pending_responses()
    assert {p.id: p.value for p in found} == {
        "memorydb/db.r7g.large/redis": 0.373,
        "memorydb/db.r7g.large/valkey": 0.261,
        "memorydb/db.r7g.xlarge/redis": 0.7,
    }
    assert {p.grade for p in found} == {"price list"}
    prices.save(found, tmp_path)
    prices.save(found, tmp_path)
    book = catalogue.load().with_prices(prices.load(tmp_path))
    assert "eu-central-1" in book.regions()
    assert book.price("memorydb/db.r7g.large/valkey", "eu-central-1").value == 0.261


def test_another_currency_is_told_and_nothing_is_taken(pricing: tuple[Any, Stubber]) -> None:
    client, stub = pricing
    stub.add_response(
        "get_products", {"PriceList": [item("db.r7g.large", "Valkey", {"CNY": "1.9"})]}, wanted()
    )
    with pytest.raises(BadInput, match="in CNY") as caught:
        prices.refresh(client, "memorydb", "eu-central-1")
    assert "nothing was changed" in caught.value.hint


def test_a_region_aws_does_not_know(pricing: tuple[Any, Stubber]) -> None:
    client, stub = pricing
    stub.add_response("get_products", {"PriceList": []}, wanted())
    with pytest.raises(BadInput, match="no node prices of AmazonMemoryDB for the region 'eu-central-1'"):
        prices.refresh(client, "memorydb", "eu-central-1")


def test_refused_and_missing_credentials(
    pricing: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, stub = pricing
    stub.add_client_error("get_products", "AccessDeniedException")
    with pytest.raises(LoginFailed, match="AccessDeniedException"):
        prices.refresh(client, "memorydb", "eu-central-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(LoginFailed, match="no AWS credentials"):
        prices.client()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '[{"id": "x"}]',
        "[1]",
        '[{"id":"a","value":-1,"unit":"h","region":"r","currency":"USD","grade":"quoted","source":"","date":""}]',
        '[{"id":"a","value":1,"unit":"h","region":"r","currency":"EUR","grade":"quoted","source":"","date":""}]',
    ],
)
def test_a_damaged_file_of_prices_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.json").write_text(text)
    with pytest.raises(BadInput, match="cannot be read"):
        prices.load(tmp_path)
