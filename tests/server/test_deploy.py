"""`memdb deploy` on moto's AWS: what it fills in, what it costs, and every wrong input before a file is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import hcl2
import pytest
from botocore.stub import Stubber

from memdb.cli import main
from memdb.errors import BadInput, BadSettings
from memdb.hosting import cost, place, versions
from memdb.sizing import catalogue
from tests.aws_front import moto_server

REGION = "eu-south-1"  # moto keeps what it made for the whole run: no other test makes anything there
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Network:
    """Two VPCs: of one, two private subnets with a way out, one without; of the other, one."""

    vpc: str
    out: tuple[str, str]
    shut: str
    public: str
    other_vpc: str
    other: str


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with moto_server():
        yield _made()


def _made() -> Network:
    ec2 = boto3.client("ec2", region_name=REGION)

    def vpc(block: str) -> str:
        return str(ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"])

    def subnet(where: str, block: str, zone: str) -> str:
        made = ec2.create_subnet(VpcId=where, CidrBlock=block, AvailabilityZone=f"{REGION}{zone}")
        return str(made["Subnet"]["SubnetId"])

    def routed(where: str, names: tuple[str, ...], **by: str) -> None:
        table = ec2.create_route_table(VpcId=where)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **by)
        for name in names:
            ec2.associate_route_table(RouteTableId=table, SubnetId=name)

    mine, other = vpc("10.1.0.0/16"), vpc("10.2.0.0/16")
    out = (subnet(mine, "10.1.1.0/24", "a"), subnet(mine, "10.1.2.0/24", "b"))
    shut, public = subnet(mine, "10.1.3.0/24", "a"), subnet(mine, "10.1.4.0/24", "a")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=mine)
    routed(mine, (public,), GatewayId=gateway)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    routed(mine, out, NatGatewayId=nat)
    network = Network(mine, out, shut, public, other, subnet(other, "10.2.1.0/24", "a"))
    memorydb = boto3.client("memorydb", region_name=REGION)
    memorydb.create_subnet_group(SubnetGroupName="orders", SubnetIds=[shut, *out])
    for name, group, tls in (
        ("orders", "default.memorydb-redis7.search", True),
        ("plain", "default.memorydb-redis7", True),
        ("open", "default.memorydb-redis7.search", False),
    ):
        memorydb.create_cluster(
            ClusterName=name,
            NodeType="db.r7g.large",
            ACLName="open-access",
            ParameterGroupName=group,
            SubnetGroupName="orders",
            SecurityGroupIds=["sg-0123456789abcdef0"],
            TLSEnabled=tls,
        )
    memorydb.create_user(UserName="app", AuthenticationMode={"Type": "iam"}, AccessString="on ~* +@all")
    memorydb.create_user(
        UserName="old",
        AuthenticationMode={"Type": "password", "Passwords": ["geheim-geheim-geheim"]},
        AccessString="on ~* +@all",
    )
    return network


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    made = tmp_path / f"memdb_explorer-{versions.own() or '0.1.0'}-py3-none-any.whl"
    made.write_bytes(b"PK")
    return made


def words(out: Path, path: Path | None, **changed: str) -> list[str]:
    options = {"cluster": "orders", "region": REGION, "user": "app", "style": "host", "out": str(out)}
    if path is not None:
        options["wheel"] = str(path)
    options |= changed
    return ["deploy", *(part for name, value in options.items() for part in (f"--{name}", value))]


def test_a_host(network: Network, wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main([*words(out, wheel, bucket="mine"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    parameters = {
        p["ParameterKey"]: p["ParameterValue"] for p in json.loads((out / "parameters.json").read_text())
    }
    assert parameters["VpcId"] == network.vpc
    assert parameters["SubnetId"] == network.out[0]  # the first of the group has no way out
    assert parameters["ClusterSecurityGroupId"] == "sg-0123456789abcdef0"
    assert parameters["ClusterArn"].endswith(":cluster/orders")
    assert parameters["UserArn"] == parameters["ClusterArn"].replace(":cluster/orders", ":user/app")
    assert parameters["ClusterEndpoint"].startswith("clustercfg.orders.")
    assert told["still_open"] == {}
    declared = {name.strip('"') for b in hcl2.loads((out / "main.tf").read_text())["variable"] for name in b}
    assert set(json.loads((out / "terraform.tfvars.json").read_text())) <= declared
    assert {p.name for p in (out / "bundle").iterdir()} == {
        "install.sh",
        "memdb-explorer.service",
        "constraints.txt",
        wheel.name,
    }
    assert any(c.startswith("aws ssm start-session") and "portNumber=8501" in c for c in told["commands"])
    # 730 × 0.0416 + 20 × 0.08 + 0.50, by prices of us-east-1: none of this Region is known.
    assert told["month"]["usd"] == pytest.approx(32.468, abs=0.01)
    assert told["month"]["region"] == "us-east-1"


def test_a_team(network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    rules = {"who": "email=*@example.com", "write": "groups=platform"}
    assert main([*words(out, None, style="team", **rules), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(told["parameters"]["SubnetIds"]) == sorted(network.out)
    assert told["parameters"]["Access"] == "look = ['email=*@example.com']\nwrite = ['groups=platform']"
    assert "LoginSecretArn" in told["still_open"]
    # 730 × (0.04048 + 4 × 0.004445 + 0.0225 + 0.008) + 0.30 + 0.40 + 0.50
    assert told["month"]["usd"] == pytest.approx(65.995, abs=0.01)
    assert main(words(tmp_path / "again", None, style="team", **rules)) == 0
    said = capsys.readouterr().out
    assert "Nothing was created in AWS" in said
    assert "a month (estimate, oldest price of 2026" in said


@pytest.mark.parametrize(
    ("changed", "message", "hint"),
    [
        ({"cluster": "order"}, "no MemoryDB cluster 'order' in eu-south-1", "There are: open, orders, plain"),
        ({"cluster": "plain"}, "has no vector search", "default.memorydb-valkey7.search"),
        ({"cluster": "open"}, "speaks without TLS", "new one"),
        ({"region": "eu-sotuh-1"}, "no Region 'eu-sotuh-1'", "eu-south-1"),
        ({"subnets": "OTHER"}, "and the cluster in", "from its own VPC"),
        ({"subnets": "SHUT"}, "lacks the endpoints that Session Manager", "way out"),
        ({"subnets": "PUBLIC"}, "lacks the endpoints that Session Manager", "way out"),
        ({"subnets": "subnet-00000000000000000"}, "no subnet 'subnet-0", "--subnets"),
        ({"user": "nobody"}, "no user 'nobody'", "app"),
        ({"user": "old"}, "logs in by password", "--user"),
        ({"style": "team", "who": "email=*", "subnets": "ONE"}, "subnets in two zones", "--subnets A,B"),
        ({"style": "team", "write": "groups=platform"}, "Who may look is not given", "--who"),
        ({"style": "team", "who": "platform"}, "no rule", "groups=platform"),
        ({"who": "email=*"}, "are of a team", "Session Manager"),
        ({"wheel": "/nowhere/memdb_explorer-1-py3-none-any.whl"}, "is no wheel", "python -m build"),
    ],
)
def test_wrong_inputs_are_named_before_anything_is_written(
    network: Network,
    wheel: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    message: str,
    hint: str,
) -> None:
    known = {"OTHER": network.other, "SHUT": network.shut, "PUBLIC": network.public, "ONE": network.out[0]}
    changed = {name: known.get(value, value) for name, value in changed.items()}
    out = tmp_path / "out"
    assert main(words(out, wheel, **changed)) == 2
    told = capsys.readouterr().err
    assert message in told.replace("\n", " ")
    assert hint in told.replace("\n", " ")
    assert not out.exists()


def test_what_is_not_given_is_looked_up_or_named_as_missing(
    network: Network,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def deploy(style: str) -> tuple[dict[str, Any], dict[str, str]]:
        out = tmp_path / f"out {len(list(tmp_path.iterdir()))}"
        least = ["--cluster", "orders", "--region", REGION, "--style", style, "--out", str(out), "--json"]
        assert main(["deploy", *least]) == 0
        parameters = json.loads((out / "parameters.json").read_text())
        files = {path.name for path in (out / "bundle").iterdir()} if style == "host" else set()
        return json.loads(capsys.readouterr().out) | {"bundle": files}, {
            p["ParameterKey"]: p["ParameterValue"] for p in parameters
        }

    told, parameters = deploy("host")
    assert parameters["UserName"] == "app"  # the other one logs in by password
    assert any("as 'app', the one user that does so with IAM" in note for note in told["notes"])
    assert any("not in the cluster's ACL, 'open-access'" in note for note in told["notes"])
    assert set(told["still_open"]) == {"BundleBucket", "the wheel"}
    assert told["bundle"] == {"install.sh", "memdb-explorer.service", "constraints.txt"}
    assert told["commands"][0].startswith("python -m build --wheel --outdir '")
    (tmp_path / "dist").mkdir()
    wheel.rename(tmp_path / "dist" / wheel.name)
    told, _ = deploy("host")
    assert wheel.name in told["bundle"]
    assert set(told["still_open"]) == {"BundleBucket"}
    assert not any("python -m build" in command for command in told["commands"])
    told, parameters = deploy("team")
    assert "Access" in told["still_open"]  # CloudFormation and Terraform ask for it: it has no default
    assert "Access" not in parameters


USERS = {
    "in": {"Name": "in", "Authentication": {"Type": "iam"}, "ACLNames": ["shop", "other"]},
    "too": {"Name": "too", "Authentication": {"Type": "iam"}, "ACLNames": ["shop"]},
    "out": {"Name": "out", "Authentication": {"Type": "iam"}, "ACLNames": []},
    "password": {"Name": "password", "Authentication": {"Type": "password"}, "ACLNames": ["shop"]},
}


@pytest.mark.parametrize(
    ("users", "given", "chosen"),
    [
        (("in", "out", "password"), "", "in"),
        (("in", "out"), "out", "out"),
        (("in", "too", "password"), "", "2 users log in with IAM: in, too"),
        (("out", "password"), "", "out"),
        (("password",), "", "No user logs in with IAM"),
        ((), "", "No user logs in with IAM"),
        (None, "", "Which users there are is not known"),
        (None, "in", "in"),
    ],
)
def test_the_user_is_one_whom_the_cluster_lets_in(
    network: Network, users: tuple[str, ...] | None, given: str, chosen: str
) -> None:
    """Moto tells no ACLs of users; botocore's Stubber holds the shapes."""
    stubbed = boto3.client("memorydb", region_name=REGION)
    clusters = boto3.client("memorydb", region_name=REGION).describe_clusters(ShowShardDetails=True)[
        "Clusters"
    ]
    entry = {**next(c for c in clusters if c["Name"] == "orders"), "ACLName": "shop"}
    group = {"VpcId": network.vpc, "Subnets": [{"Identifier": name} for name in network.out]}
    clients: dict[str, Any] = {"memorydb": stubbed, "ec2": boto3.client("ec2", region_name=REGION)}
    with Stubber(stubbed) as stub:
        stub.add_response("describe_clusters", {"Clusters": [entry]})
        stub.add_response("describe_subnet_groups", {"SubnetGroups": [group]})
        if users is None:
            stub.add_client_error("describe_users", "AccessDenied", "not this role")
        else:
            stub.add_response("describe_users", {"Users": [USERS[name] for name in users]})

        def look() -> place.Place:
            return place.read(
                "orders", REGION, user=given, style="host", client=lambda name, _: clients[name]
            )

        if " " in chosen:
            with pytest.raises(BadInput, match=chosen):
                look()
            return
        told = look()
    assert told.user == chosen
    assert told.user_arn.endswith(f":user/{chosen}")
    outside = f"The user '{chosen}' is not in the cluster's ACL, 'shop'"
    assert any(outside in note for note in told.notes) == (chosen == "out")


def test_a_folder_that_holds_something(network: Network, wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "main.tf").write_text("mine")
    assert main(words(tmp_path / "out", wheel)) == 2
    assert (tmp_path / "out" / "main.tf").read_text() == "mine"


def test_no_credentials(
    network: Network,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("boto3.Session.get_credentials", lambda _: None)
    assert main(words(tmp_path / "out", wheel)) == 2
    assert "no AWS credentials" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_endpoints_stand_for_a_way_out(network: Network) -> None:
    ec2 = boto3.client("ec2", region_name=REGION)
    made = []
    try:
        for number, service in enumerate(place.NEEDS["host"]):
            with pytest.raises(BadInput, match=", ".join(place.NEEDS["host"][number:])):
                read(network.shut)
            made.append(
                ec2.create_vpc_endpoint(
                    VpcId=network.vpc,
                    ServiceName=f"com.amazonaws.{REGION}.{service}",
                    VpcEndpointType="Interface",
                    SubnetIds=[network.shut],
                )["VpcEndpoint"]["VpcEndpointId"]
            )
        assert read(network.shut).subnets == (network.shut,)
    finally:
        ec2.delete_vpc_endpoints(VpcEndpointIds=made)


def read(*subnets: str) -> place.Place:
    return place.read("orders", REGION, user="app", style="host", subnets=subnets)


def test_a_cluster_of_elasticache(network: Network) -> None:
    """Moto tells no security groups and versions of its nodes; botocore's Stubber holds the shapes."""
    answers: list[tuple[str, dict[str, Any]]] = [
        ("describe_serverless_caches", {"ServerlessCaches": []}),
        (
            "describe_replication_groups",
            {
                "ReplicationGroups": [
                    {
                        "ReplicationGroupId": "carts",
                        "Status": "available",
                        "Engine": "valkey",
                        "TransitEncryptionEnabled": True,
                        "ConfigurationEndpoint": {"Address": "clustercfg.carts", "Port": 6380},
                        "ARN": f"arn:aws:elasticache:{REGION}:123456789012:replicationgroup:carts",
                    }
                ]
            },
        ),
        (
            "describe_cache_clusters",
            {
                "CacheClusters": [
                    {
                        "CacheClusterId": "carts-001",
                        "ReplicationGroupId": "carts",
                        "EngineVersion": "8.2.0",
                        "CacheSubnetGroupName": "carts",
                        "SecurityGroups": [{"SecurityGroupId": "sg-carts", "Status": "active"}],
                    }
                ]
            },
        ),
        (
            "describe_cache_subnet_groups",
            {
                "CacheSubnetGroups": [
                    {"VpcId": network.vpc, "Subnets": [{"SubnetIdentifier": name} for name in network.out]}
                ]
            },
        ),
        ("describe_users", {"Users": [{"UserId": "app", "Authentication": {"Type": "iam"}}]}),
    ]
    stubbed = boto3.client("elasticache", region_name=REGION)
    clients: dict[str, Any] = {"elasticache": stubbed, "ec2": boto3.client("ec2", region_name=REGION)}
    with Stubber(stubbed) as stub:
        for operation, answer in answers:
            stub.add_response(operation, answer)
        told = place.read(
            "carts",
            REGION,
            user="app",
            style="team",
            service="elasticache",
            client=lambda name, _: clients[name],
        )
    assert (told.security_group, told.vpc, told.subnets) == ("sg-carts", network.vpc, network.out)
    assert told.user_arn == f"arn:aws:elasticache:{REGION}:123456789012:user:app"
    assert (told.cluster.host, told.cluster.port) == ("clustercfg.carts", 6380)
    with Stubber(stubbed) as stub:
        stub.add_response(
            "describe_serverless_caches", {"ServerlessCaches": [{"ServerlessCacheName": "carts"}]}
        )
        with pytest.raises(BadInput, match="serverless cache, which has no vector search"):
            place.read(
                "carts",
                REGION,
                user="app",
                style="host",
                service="elasticache",
                client=lambda name, _: clients[name],
            )


def test_a_region_whose_prices_are_known() -> None:
    book = catalogue.load()
    assert cost.month("host", "us-east-1", book).region == "us-east-1"
    assert "none of" not in cost.month("host", "us-east-1", book).words("us-east-1")


def test_a_home_of_a_newer_version(
    network: Network,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    (tmp_path / versions.FILE).write_text("99.10.0\n")
    assert main(words(tmp_path / "out", wheel)) == 2
    assert "is of version 99.10.0" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
    versions.check(tmp_path, "99.10.0")
    versions.check(tmp_path, "99.11")
    with pytest.raises(BadSettings):
        versions.check(tmp_path, "99.9.0")
    other = wheel.with_name("memdb_explorer-100.0-py3-none-any.whl")
    other.write_bytes(b"PK")
    (tmp_path / versions.FILE).unlink()
    monkeypatch.setattr(versions, "own", lambda: "0.1.0")
    assert main(words(tmp_path / "out", other)) == 2
    assert "and the templates are of 0.1.0" in capsys.readouterr().err.replace("\n", " ")
