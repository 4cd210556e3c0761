"""ElastiCache beside MemoryDB: found, checked, watched, failed over. Moto's server, botocore's Stubber and models."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import hcl2
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber

from memdb.cli import main
from memdb.cluster import aws, elasticache
from memdb.cluster.target import Iam, Target
from memdb.durability import failover
from memdb.errors import BadSettings, LoginFailed, MemDBError, NotFound, ReadOnlyTarget, Unreachable
from memdb.operations import aws_alarms, aws_card, aws_metrics, aws_snapshots, elasticache_card
from memdb.operations.aws_metrics import ELASTICACHE, METRICS, NODE, ListedSeries
from memdb.operations.aws_session import Absent, is_target, region_of
from tests.aws_front import moto_server
from tests.linted import lint

REGION = "eu-north-1"  # moto keeps what it made for the whole run: no other test makes anything there
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOST = "clustercfg.carts.abc123.eun1.cache.amazonaws.com"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as variables:
        boto3.client("elasticache", region_name=REGION).create_replication_group(
            ReplicationGroupId="carts",
            ReplicationGroupDescription="carts",
            Engine="valkey",
            CacheNodeType="cache.r7g.large",
            NumNodeGroups=2,
            ReplicasPerNodeGroup=1,
            AutomaticFailoverEnabled=True,
            MultiAZEnabled=True,
            TransitEncryptionEnabled=True,
            SnapshotRetentionLimit=7,
        )
        boto3.client("memorydb", region_name=REGION).create_cluster(
            ClusterName="carts", NodeType="db.r7g.large", ACLName="open-access", NumReplicasPerShard=1
        )
        yield variables["AWS_ENDPOINT_URL"]


def stubbed(service: str) -> tuple[Any, Stubber]:
    client = boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    return client, Stubber(client)


def group(name: str = "carts", **changes: object) -> dict[str, Any]:
    """A replication group as botocore's model has it: two shards of two nodes."""
    nodes = [f"{name}-000{shard}-00{i}" for shard in (1, 2) for i in (1, 2)]
    return {
        "ReplicationGroupId": name,
        "Status": "available",
        "Engine": "valkey",
        "ClusterEnabled": True,
        "ConfigurationEndpoint": {
            "Address": f"clustercfg.{name}.abc123.eun1.cache.amazonaws.com",
            "Port": 6379,
        },
        "NodeGroups": [
            {
                "NodeGroupId": f"000{shard}",
                "NodeGroupMembers": [
                    {
                        "CacheClusterId": f"{name}-000{shard}-00{i}",
                        "PreferredAvailabilityZone": f"{REGION}{zone}",
                    }
                    for i, zone in ((1, "a"), (2, "b"))
                ],
            }
            for shard in (1, 2)
        ],
        "MemberClusters": nodes,
        "MultiAZ": "enabled",
        "AutomaticFailover": "enabled",
        "CacheNodeType": "cache.r7g.large",
        "TransitEncryptionEnabled": True,
        "AtRestEncryptionEnabled": True,
        "KmsKeyId": "key",
        "SnapshotRetentionLimit": 7,
        "UserGroupIds": ["team"],
        "Durability": "sync",
        "EffectiveDurability": "sync",
        "DataTiering": "disabled",
        "LogDeliveryConfigurations": [{"LogType": "slow-log", "Status": "active"}],
    } | changes


def members(name: str = "carts", version: str = "9.0.1") -> list[dict[str, Any]]:
    return [
        {
            "CacheClusterId": node,
            "ReplicationGroupId": name,
            "EngineVersion": version,
            "Engine": "valkey",
            "CacheClusterStatus": "available",
            "PreferredMaintenanceWindow": "sun:03:00-sun:05:00",
            "CacheParameterGroup": {"CacheParameterGroupName": "mine"},
        }
        for node in group(name)["MemberClusters"]
    ]


def described(*groups: dict[str, Any], nodes: list[dict[str, Any]] | None = None) -> Any:
    client, stub = stubbed("elasticache")
    stub.add_response("describe_replication_groups", {"ReplicationGroups": list(groups)})
    stub.add_response("describe_cache_clusters", {"CacheClusters": members() if nodes is None else nodes})
    stub.activate()
    return client


def a_card(*, nodes: list[dict[str, Any]] | None = None, **changes: object) -> elasticache_card.Card:
    (card,) = elasticache_card.cards(described(group(**changes), nodes=nodes))
    return card


# ---- found ---------------------------------------------------------------------------------------------


def test_a_group_as_aws_tells_it() -> None:
    (found,) = elasticache.groups(REGION, elasticache=described(group()))
    assert (found.name, found.engine, found.version, found.service) == (
        "carts",
        "Valkey",
        "9.0.1",
        "elasticache",
    )
    assert (found.shards, found.nodes, found.tls, found.search) == (2, 4, True, True)
    assert (found.durability, found.effective, found.acl) == ("sync", "sync", "team")
    target = found.target("ada", iam=True)
    assert target.address == f"rediss://{HOST}:6379"
    assert target.iam == Iam("carts", REGION, "elasticache")
    assert target.kind == "production"


@pytest.mark.parametrize(
    ("changes", "version", "search", "words"),
    [
        ({}, "8.1.4", False, "sync"),
        ({}, "8.2.0", True, "sync"),
        ({}, "10.0", True, "sync"),
        ({"DataTiering": "enabled"}, "9.0", False, "sync"),
        ({"Engine": "redis"}, "7.1", False, "sync"),
        ({"Durability": "default", "EffectiveDurability": "disabled"}, "9.0", True, "disabled (default)"),
        ({"Durability": "async", "EffectiveDurability": "async"}, "9.0", True, "async"),
    ],
)
def test_what_has_search_and_which_durability(
    changes: dict[str, object], version: str, search: bool, words: str
) -> None:
    (found,) = elasticache.groups(
        REGION, elasticache=described(group(**changes), nodes=members(version=version))
    )
    assert (found.search, found.durability_words) == (search, words)


def test_serverless_caches_are_named_as_without_vector_search() -> None:
    client, stub = stubbed("elasticache")
    entry = {
        "ServerlessCacheName": "quick",
        "Status": "available",
        "Engine": "valkey",
        "MajorEngineVersion": "8",
        "Endpoint": {"Address": "quick-abc.serverless.eun1.cache.amazonaws.com", "Port": 6379},
        "UserGroupId": "team",
    }
    stub.add_response("describe_serverless_caches", {"ServerlessCaches": [entry]})
    with stub:
        (found,) = elasticache.serverless(REGION, elasticache=client)
    assert (found.search, found.search_words, found.durability_words) == (False, "none: serverless", "none")
    assert found.target("ada", iam=True).iam == Iam("quick", REGION, "elasticache", serverless=True)


def test_clusters_being_made_or_deleted_and_groups_without_versions() -> None:
    made = group("new", Status="creating", ConfigurationEndpoint={}, NodeGroups=[], MemberClusters=[])
    gone = group("old", Status="deleting")
    client, stub = stubbed("elasticache")
    stub.add_response("describe_replication_groups", {"ReplicationGroups": [made, gone]})
    stub.add_client_error("describe_cache_clusters", "AccessDenied", "no")
    with stub:
        new, old = elasticache.groups(REGION, elasticache=client)
    assert (new.host, new.search, old.search) == ("", None, None)
    with pytest.raises(BadSettings, match="no endpoint yet: it is creating"):
        new.target()
    with pytest.raises(BadSettings, match="being deleted"):
        old.target()


def test_hundreds_of_clusters_come_in_pages() -> None:
    client, stub = stubbed("elasticache")
    for page in range(4):
        reply = {"ReplicationGroups": [group(f"g{page}x{i}") for i in range(100)]}
        more = {"Marker": f"m{page}"} if page < 3 else {}
        stub.add_response("describe_replication_groups", reply | more)
    stub.add_response("describe_cache_clusters", {"CacheClusters": []})
    with stub:
        assert len(elasticache.groups(REGION, elasticache=client)) == 400


def test_one_service_that_cannot_be_asked_leaves_the_other() -> None:
    memorydb, first = stubbed("memorydb")
    first.add_client_error("describe_clusters", "AccessDeniedException", "no")
    cached = described(group())
    nothing, third = stubbed("elasticache")
    third.add_client_error("describe_serverless_caches", "ThrottlingException", "slow down")
    clients = iter((memorydb, cached, nothing))
    with first, third:
        told = elasticache.everything(REGION, client=lambda *_: next(clients))
    assert [c.name for c in told.clusters] == ["carts"]
    assert "AWS refused DescribeClusters" in str(told.problems[0])
    assert "AWS throttled DescribeServerlessCaches" in str(told.problems[1])

    def none(service: str, _: str) -> Any:
        raise LoginFailed(f"No {service}.", "")

    with pytest.raises(LoginFailed, match="No memorydb"):
        elasticache.everything(REGION, client=none)


def test_what_may_not_be_asked_for_is_named_beside_the_clusters() -> None:
    """A group without its nodes' versions, a cluster without its parameters: shown, and the right named."""
    memorydb, first = stubbed("memorydb")
    described_cluster = {"Name": "orders", "Status": "available", "ParameterGroupName": "own"}
    first.add_response("describe_clusters", {"Clusters": [described_cluster]})
    first.add_client_error("describe_parameters", "AccessDeniedException", "no")
    cached, second = stubbed("elasticache")
    second.add_response("describe_replication_groups", {"ReplicationGroups": [group()]})
    second.add_client_error("describe_cache_clusters", "AccessDenied", "no")
    nothing, third = stubbed("elasticache")
    third.add_response("describe_serverless_caches", {"ServerlessCaches": []})
    clients = iter((memorydb, cached, nothing))
    with first, second, third:
        told = elasticache.everything(REGION, client=lambda *_: next(clients))
    assert [(c.name, c.search, c.version) for c in told.clusters] == [
        ("carts", None, ""),
        ("orders", None, ""),
    ]
    assert [words for p in told.problems for words in re.findall(r"Describe\w+", f"{p} {p.hint}")[:1]] == [
        "DescribeParameters",
        "DescribeCacheClusters",
    ]


def made_up(shape: Any, draw: random.Random, name: str = "") -> Any:
    """Something of a shape of botocore's model, each part of it there or not."""
    match shape.type_name:
        case "structure":
            return {k: made_up(v, draw, k) for k, v in shape.members.items() if draw.random() > 0.25}
        case "list":
            return [made_up(shape.member, draw, name) for _ in range(draw.choice((0, 0, 1, 2, 3)))]
        case "map":
            return {}
        case "boolean":
            return draw.random() < 0.5
        case "timestamp":
            return NOW - timedelta(days=draw.randint(0, 400))
        case "string":
            words = getattr(shape, "enum", None) or next(
                (words for part, words in ODD.items() if part in name.lower()),
                ("", "a", "carts", "0001", "<b>"),
            )
            return draw.choice(list(words))
    return draw.choice((0, 1, 2, 7, 35, -1))


ODD = {
    "status": ("available", "creating", "deleting", "create-failed", "modifying"),
    "engineversion": ("", "7.2", "8.0", "9.0", "9.0.1", "latest", "10"),
    "engine": ("valkey", "VALKEY", "redis", "memcached", ""),
    "nodetype": ("db.r7g.large", "cache.t4g.micro", "cache.r6gd.xlarge", "cache.r7g", "odd", ""),
    "window": ("sun:23:00-mon:01:30", "03:00-04:00", "sun:25:00-", "x", ""),
    "size": ("10 MB", "1.5 GB", "n/a", "12", "-1 MB", ""),
}


@pytest.mark.parametrize("refused", [None, "some", "all"])
def test_whatever_aws_leaves_out_or_refuses_is_told_in_words(refused: str | None) -> None:
    """Answers by botocore's models with any part absent: clusters being made, accounts of few rights."""

    session = botocore.session.get_session()

    class Answering:
        def __init__(self, service: str, draw: random.Random) -> None:
            self._model = session.get_service_model(service)
            self._names = {xform_name(name): name for name in self._model.operation_names}
            self._draw = draw
            self.meta = SimpleNamespace(region_name=REGION, service_model=self._model)

        def _answers(self, name: str) -> Any:
            if refused == "all" or (refused and self._draw.random() < 0.3):
                code = self._draw.choice(
                    ("AccessDenied", "ThrottlingException", "InternalFailure", "OptInRequired")
                )
                raise ClientError(
                    {"Error": {"Code": code, "Message": "arn:aws:iam::123456789012:user/x"}}, name
                )
            return made_up(self._model.operation_model(self._names[name]).output_shape, self._draw)

        def __getattr__(self, name: str) -> Any:
            return partial(self._asked, name)

        def _asked(self, name: str, **_: object) -> Any:
            return self._answers(name)

        def get_paginator(self, name: str) -> Any:
            return SimpleNamespace(paginate=lambda **_: (self._answers(name) for _ in range(2)))

    def told(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except MemDBError as exc:
            refusals.append(f"{exc} {exc.hint}")
            return ()

    refusals: list[str] = []
    cards_seen = 0
    for seed in range(25):
        draw = random.Random(seed)
        asked = {name: Answering(name, draw) for name in ("memorydb", "elasticache", "cloudwatch")}
        told(partial(elasticache.everything, REGION, client=lambda name, _, asked=asked: asked[name]))
        watch = asked["cloudwatch"]
        for cards, service in ((aws_card, asked["memorydb"]), (elasticache_card, asked["elasticache"])):
            for card in told(partial(cards.cards, service)):
                cards_seen += 1
                snapshots = told(partial(aws_snapshots.snapshots, service, card.cluster.name))
                assert all(check.name for check in cards.checklist(card, snapshots, NOW))
                series = told(partial(aws_metrics.listed, watch, card.cluster.name))
                name, node_type = card.cluster.name, card.cluster.node_type
                alarms = told(partial(aws_alarms.alarms, name, node_type, series))
                if cards is elasticache_card:
                    told(partial(elasticache_card.with_reserve, service, card))
                    told(partial(aws_metrics.listed_nodes, watch, [node.name for node in card.nodes]))
                    alarms = told(partial(aws_alarms.elasticache_alarms, card))
                json.loads(aws_alarms.cloudformation(alarms))
                terraform = aws_alarms.terraform(alarms)
                if cards_seen < 3:  # its parser is slow
                    hcl2.loads(terraform)
                compile(aws_alarms.boto3_code(alarms, REGION), "alarms", "exec")
                told(partial(aws_alarms.existing, watch, card.cluster.name))
    assert not any("123456789012" in words for words in refusals)
    assert any("AWS" in words or "may not do" in words for words in refusals) is bool(refused)
    assert (cards_seen > 20) is (refused != "all")


def test_a_region_without_the_service() -> None:
    told = aws.explain(EndpointConnectionError(endpoint_url="https://memory-db.eu-nowhere-1.amazonaws.com"))
    assert isinstance(told, Unreachable)
    assert "Not every Region has every service" in told.hint


def test_from_moto_and_by_the_command(moto: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert moto
    (found,) = elasticache.groups(REGION)
    assert (found.name, found.engine, found.shards, found.nodes) == ("carts", "Valkey", 2, 4)
    assert main(["targets", "--discover", REGION, "--json"]) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)
    assert [(row["name"], row["service"]) for row in rows] == [
        ("carts", "elasticache"),
        ("carts", "memorydb"),
    ]
    assert "Traceback" not in told.err
    assert main(["aws", "card", "--service", "elasticache", "--region", REGION, "--json"]) in (0, 1)
    checks = {c["name"]: c["outcome"] for c in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["Multi-AZ"] == checks["Automatic failover"] == "pass"
    with pytest.raises(NotFound):
        elasticache_card.card(aws.client("elasticache", REGION), "none")


def test_which_target_a_cluster_is() -> None:
    node = Target.parse("rediss://carts-0001-001.carts.abc123.eun1.cache.amazonaws.com:6379")
    assert is_target(node, "carts", HOST, "elasticache")
    assert region_of(node) == REGION
    assert region_of(Target.parse("rediss://x.y.apne1.cache.amazonaws.com:6379")) == "ap-northeast-1"
    assert region_of(Target.parse("rediss://x.y.zz9.cache.amazonaws.com:6379")) == ""
    iam = replace(node, host="127.0.0.1", username="ada", iam=Iam("carts", REGION, "elasticache"))
    assert is_target(iam, "carts", "", "elasticache")
    assert not is_target(iam, "carts", "", "memorydb")  # a cluster of the same name in the other service
    with pytest.raises(BadSettings, match="not for 's3'"):
        replace(node, username="ada", iam=Iam("carts", REGION, "s3")).checked()


# ---- the checklist -------------------------------------------------------------------------------------


def outcomes(card: elasticache_card.Card, needs: str = "sync") -> dict[str, str]:
    return {c.name: c.outcome for c in elasticache_card.checklist(card, (), NOW, needs)}  # type: ignore[arg-type]


def test_a_cluster_as_it_should_be() -> None:
    card = replace(a_card(), reserved_percent=25)
    failed = {name for name, outcome in outcomes(card).items() if outcome != "pass"}
    assert failed == {"Replicas", "Newest snapshot"}  # one replica a shard, and no snapshot was given


@pytest.mark.parametrize(
    ("changes", "version", "check"),
    [
        ({"MultiAZ": "disabled"}, "9.0", "Multi-AZ"),
        ({"AutomaticFailover": "disabled"}, "9.0", "Automatic failover"),
        ({"TransitEncryptionEnabled": False}, "9.0", "TLS"),
        ({"AtRestEncryptionEnabled": False}, "9.0", "Encryption at rest"),
        ({"KmsKeyId": ""}, "9.0", "Encryption at rest"),
        ({"SnapshotRetentionLimit": 1}, "9.0", "Daily snapshots"),
        ({"LogDeliveryConfigurations": [{"LogType": "slow-log", "Status": "error"}]}, "9.0", "Log delivery"),
        ({"CacheNodeType": "cache.t4g.medium"}, "9.0", "Node family"),
        ({"UserGroupIds": []}, "9.0", "Access"),
        ({}, "8.0", "Search"),
    ],
)
def test_each_check_can_fail(changes: dict[str, object], version: str, check: str) -> None:
    card = a_card(nodes=members(version=version), **changes)
    assert outcomes(card)[check] == "fail"
    told = next(c for c in elasticache_card.checklist(card, (), NOW) if c.name == check)
    assert told.fix
    assert told.command.startswith("aws elasticache ")


@pytest.mark.parametrize(
    ("effective", "needs", "outcome"),
    [
        ("sync", "sync", "pass"),
        ("async", "sync", "fail"),
        ("async", "async", "pass"),
        ("disabled", "async", "fail"),
        ("disabled", "disabled", "pass"),
        ("", "sync", "unknown"),
    ],
)
def test_durability_is_judged_by_what_may_be_lost(effective: str, needs: str, outcome: str) -> None:
    assert outcomes(a_card(EffectiveDurability=effective), needs)["Durability"] == outcome


def test_what_durability_needs_first_is_named() -> None:
    old = a_card(
        nodes=members(version="8.2"), EffectiveDurability="disabled", ClusterEnabled=False, MultiAZ="disabled"
    )
    check = next(c for c in elasticache_card.checklist(old, (), NOW) if c.name == "Durability")
    assert "Valkey 9.0 or later, cluster mode, Multi-AZ" in check.fix
    assert check.command.endswith("--durability sync")


def test_reserved_memory_and_the_permission_for_it() -> None:
    client, stub = stubbed("elasticache")
    parameters = [{"ParameterName": "reserved-memory-percent", "ParameterValue": "10"}]
    stub.add_response("describe_cache_parameters", {"Parameters": parameters})
    stub.add_client_error("describe_cache_parameters", "AccessDenied", "no")
    with stub:
        low = elasticache_card.with_reserve(client, a_card())
        unknown = elasticache_card.with_reserve(client, a_card())
    assert outcomes(low)["Reserved memory"] == "fail"
    assert outcomes(unknown)["Reserved memory"] == "unknown"
    assert unknown.absent[0].action == "elasticache:DescribeCacheParameters"


# ---- metrics, alarms, snapshots, failover ---------------------------------------------------------------


def test_metrics_by_node_in_elasticache_s_namespace(moto: str) -> None:
    assert moto
    cloudwatch = boto3.client("cloudwatch", region_name=REGION)
    node = "carts-0001-001"
    for extra in ([], [{"Name": "CacheNodeId", "Value": "0001"}]):
        cloudwatch.put_metric_data(
            Namespace=ELASTICACHE,
            MetricData=[
                {
                    "MetricName": "DurabilityLag",
                    "Value": 1_200.0,
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=5),
                    "Dimensions": [{"Name": NODE, "Value": node}, *extra],
                }
            ],
        )
    listed = aws_metrics.listed_nodes(cloudwatch, (node, "carts-0001-002"))
    assert len(listed) == 2
    (once,) = aws_metrics.chosen(listed, "DurabilityLag")
    assert (once.node, len(once.dimensions)) == (node, 2)
    (series,) = aws_metrics.read(cloudwatch, (once,), "Maximum", 1, datetime.now(UTC))
    assert (series.node, series.values) == (node, (1_200.0,))


def test_metrics_of_a_service_are_of_that_service() -> None:
    both = {m.name: m.of for m in METRICS}
    for name in (
        "DurabilityLag",
        "DurabilityBufferExceededErrorCount",
        "TrafficManagementActive",
        "CacheHits",
    ):
        assert both[name] == ("elasticache",)
    for name in ("MaxReplicationThroughput", "ReplicationDelayedWriteCommands", "IsPrimary", "ErrorCount"):
        assert both[name] == ("memorydb",)
    for name in ("CommandAuthorizationFailures", "KeyAuthorizationFailures", "FreeableMemory"):
        assert set(both[name]) == {"memorydb", "elasticache"}
    assert len(both) == len(METRICS)


@pytest.mark.parametrize(
    ("effective", "more"),
    [
        ("disabled", set()),
        ("async", {"DurabilityLag", "DurabilityBufferExceededErrorCount", "TrafficManagementActive"}),
        ("sync", {"TrafficManagementActive"}),
    ],
)
def test_alarms_of_each_node_by_its_durability(effective: str, more: set[str]) -> None:
    made = aws_alarms.elasticache_alarms(a_card(EffectiveDurability=effective))
    assert {a.metric for a in made} == {"FreeableMemory", "CurrConnections", "CPUUtilization", *more}
    assert len(made) == 4 * (3 + len(more)) == len({a.name for a in made})
    assert all(a.namespace == ELASTICACHE for a in made)
    assert {dict(a.dimensions)[NODE] for a in made} == set(a_card().node_names)
    memory = next(a for a in made if a.metric == "FreeableMemory")
    assert memory.threshold == 14_037_181_030 // 4


@pytest.mark.filterwarnings("ignore")  # cfn-lint's own
def test_alarms_as_boto3_cloudformation_and_terraform(moto: str) -> None:
    assert moto
    series = (
        ListedSeries("CPUUtilization", ((NODE, "carts-0001-001"), ("CacheNodeId", "0001")), ELASTICACHE),
    )
    made = aws_alarms.elasticache_alarms(a_card(EffectiveDurability="async"), series)
    template = aws_alarms.cloudformation(made)
    assert lint(template, regions=["us-east-1"]) == []
    assert all(
        r["Properties"]["Namespace"] == ELASTICACHE for r in json.loads(template)["Resources"].values()
    )
    blocks = hcl2.loads(aws_alarms.terraform(made))["resource"]
    assert len(blocks) == len(made)
    assert all('"AWS/ElastiCache"' in str(block) or "AWS/ElastiCache" in str(block) for block in blocks)
    exec(aws_alarms.boto3_code(made, REGION), {})  # noqa: S102  # our own text, against moto
    cloudwatch = aws.client("cloudwatch", REGION)
    there = aws_alarms.existing(cloudwatch, "carts", a_card().node_names)
    assert {a.name for a in there} == {a.name for a in made}
    assert aws_alarms.existing(cloudwatch, "carts") == ()  # MemoryDB's cluster of the same name has none
    cpu = next(a for a in made if a.name == "carts-CPUUtilization-0001-001")
    assert dict(cpu.dimensions)["CacheNodeId"] == "0001"


def test_snapshots_of_elasticache() -> None:
    client, stub = stubbed("elasticache")
    made = NOW - timedelta(hours=2)
    entry = {
        "SnapshotName": "daily",
        "SnapshotStatus": "available",
        "SnapshotSource": "automated",
        "Engine": "valkey",
        "EngineVersion": "9.0.1",
        "NodeSnapshots": [
            {"CacheSize": "12 MB", "SnapshotCreateTime": made},
            {"CacheSize": "8 MB", "SnapshotCreateTime": made - timedelta(minutes=3)},
        ],
    }
    stub.add_response("describe_snapshots", {"Snapshots": [entry]}, {"ReplicationGroupId": "carts"})
    stub.add_response(
        "create_snapshot", {"Snapshot": entry}, {"ReplicationGroupId": "carts", "SnapshotName": "daily"}
    )
    copy = {"SourceSnapshotName": "daily", "TargetSnapshotName": "export", "TargetBucket": "bucket-1"}
    stub.add_response("copy_snapshot", {"Snapshot": entry}, copy)
    with stub:
        (told,) = aws_snapshots.snapshots(client, "carts")
        assert aws_snapshots.create(client, "carts", "daily", writable=True).name == "daily"
        assert aws_snapshots.copy_to_s3(client, "daily", "export", "bucket-1", writable=True).name == "daily"
        with pytest.raises(ReadOnlyTarget):
            aws_snapshots.create(client, "carts", "daily", writable=False)
    assert (told.size_bytes, told.made, told.engine) == (20 * 2**20, made, "valkey 9.0.1")
    assert aws_snapshots.late((told,), 7, NOW) == ""
    cost = aws_snapshots.cost((told,), REGION, service="elasticache")
    assert (cost.dollars, cost.price) == (None, None)
    assert "--replication-group-id carts" in aws_snapshots.create_command(REGION, "carts", "x", "elasticache")


def test_a_failover_is_asked_for_on_a_writable_target_alone() -> None:
    client, stub = stubbed("elasticache")
    stub.add_response(
        "test_failover", {"ReplicationGroup": {}}, {"ReplicationGroupId": "carts", "NodeGroupId": "0002"}
    )
    stub.add_client_error("test_failover", "TestFailoverNotAvailableFault", "not now")
    with stub:
        with pytest.raises(ReadOnlyTarget):
            failover.group_failover(client, "carts", "0002", writable=False)
        failover.group_failover(client, "carts", "0002", writable=True)
        with pytest.raises(MemDBError, match="TestFailover"):
            failover.group_failover(client, "carts", "0002", writable=True)


def test_a_card_without_the_permission_for_its_nodes() -> None:
    client, stub = stubbed("elasticache")
    stub.add_response("describe_replication_groups", {"ReplicationGroups": [group()]})
    stub.add_client_error("describe_cache_clusters", "AccessDenied", "no")
    with stub:
        (card,) = elasticache_card.cards(client)
    assert isinstance(card.absent[0], Absent)
    assert card.absent[0].action == "elasticache:DescribeCacheClusters"
    assert outcomes(card)["Search"] == outcomes(card)["Maintenance window"] == "unknown"


def test_the_fields_that_are_read_are_in_botocore_s_model() -> None:
    model = botocore.session.get_session().get_service_model("elasticache")
    known = set(model.shape_for("ReplicationGroup").members)
    assert set(group()) <= known
    assert {"Durability", "EffectiveDurability", "KmsKeyId", "AuthTokenEnabled"} <= known
    assert set(members()[0]) <= set(model.shape_for("CacheCluster").members)
    assert "Durability" in model.shape_for("ModifyReplicationGroupMessage").members
