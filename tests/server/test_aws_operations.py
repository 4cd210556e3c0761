"""Card, metrics, alarms, snapshots: from moto's server, refusals from botocore's Stubber, one code path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import hcl2
import pytest
from botocore.stub import Stubber

from memdb.cli import main
from memdb.cluster import aws
from memdb.cluster.target import Iam, Target
from memdb.errors import BadInput, LoginFailed, MemDBError, NotFound, ReadOnlyTarget
from memdb.operations import aws_alarms, aws_card, aws_metrics, aws_snapshots
from memdb.operations.aws_metrics import ListedSeries
from memdb.operations.aws_session import Absent, ask, is_target, region_of
from memdb.operations.aws_snapshots import Snapshot
from tests.aws_front import moto_server
from tests.linted import lint

REGION = "ap-southeast-2"  # moto keeps what it made for the whole run: no other test makes anything there
NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as variables:
        made = boto3.client("memorydb", region_name=REGION)
        made.create_cluster(
            ClusterName="ops",
            NodeType="db.r7g.large",
            ACLName="open-access",
            TLSEnabled=True,
            ParameterGroupName="default.memorydb-redis7.search",
            NumReplicasPerShard=1,
            MaintenanceWindow="wed:13:00-wed:14:00",
            SnapshotRetentionLimit=1,
        )
        made.create_snapshot(ClusterName="ops", SnapshotName="first")
        boto3.client("cloudwatch", region_name=REGION).put_metric_data(
            Namespace="AWS/MemoryDB",
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=ago),
                    "Dimensions": [
                        {"Name": "ClusterName", "Value": "ops"},
                        {"Name": "NodeName", "Value": node},
                    ],
                }
                for name, start in (("FreeableMemory", 4e9), ("SuccessfulReadRequestLatency", 300.0))
                for node in ("ops-0001-001", "ops-0001-002")
                for ago, value in ((5, start), (10, start * 2))
            ],
        )
        yield variables["AWS_ENDPOINT_URL"]


def refused(service: str, operation: str, code: str) -> tuple[Any, Stubber]:
    client = boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    stub = Stubber(client)
    stub.add_client_error(
        operation, code, "User: arn:aws:iam::123456789012:user/ada is not authorized to do that"
    )
    stub.activate()
    return client, stub


@pytest.mark.usefixtures("moto")
def test_the_card_against_the_checklist() -> None:
    memorydb = aws.client("memorydb", REGION)
    card = aws_card.card(memorydb, "ops")
    assert card.replicas == 1
    assert len(card.nodes) == 2
    found = aws_snapshots.snapshots(memorydb, "ops")
    checks = {c.name: c for c in aws_card.checklist(card, found, datetime.now(UTC))}
    assert {name: c.outcome for name, c in checks.items()} | {"Zones": "", "Encryption at rest": ""} == {
        "Replicas": "fail",
        "Zones": "",
        "TLS": "pass",
        "Encryption at rest": "",
        "Daily snapshots": "fail",
        "Newest snapshot": "pass",
        "Maintenance window": "fail",
        "Access": "fail",
        "Search": "pass",
    }
    assert "ReplicaCount=2" in checks["Replicas"].command
    assert all(c.fix for c in checks.values() if c.outcome == "fail")
    with pytest.raises(NotFound):
        aws_card.card(memorydb, "nobody")


@pytest.mark.parametrize(
    ("window", "outcome"),
    [
        ("sun:03:00-sun:05:00", "pass"),
        ("wed:13:00-wed:14:00", "fail"),
        ("", "unknown"),
        ("x", "unknown"),
        ("sun:05:00-sun:06:00", "pass"),
        ("sun:23:00-mon:01:00", "fail"),
    ],
)
@pytest.mark.usefixtures("moto")
def test_maintenance_windows(window: str, outcome: str) -> None:
    card = replace(aws_card.card(aws.client("memorydb", REGION), "ops"), maintenance_window=window)
    absent = Absent("These credentials may not do it.", "Add it.", "memorydb:DescribeSnapshots")
    checks = {c.name: c for c in aws_card.checklist(card, absent, NOW)}
    assert checks["Maintenance window"].outcome == outcome
    assert checks["Newest snapshot"].outcome == "unknown"
    assert "may not do it" in checks["Newest snapshot"].saw


@pytest.mark.usefixtures("moto")
def test_metrics_by_the_dimensions_that_exist() -> None:
    cloudwatch = aws.client("cloudwatch", REGION)
    series = aws_metrics.listed(cloudwatch, "ops")
    chosen = aws_metrics.chosen(series, "FreeableMemory")
    assert [one.node for one in chosen] == ["ops-0001-001", "ops-0001-002"]
    assert aws_metrics.listed(cloudwatch, "nobody") == ()
    read = aws_metrics.read(cloudwatch, chosen, "Minimum", 1, datetime.now(UTC))
    assert [one.values for one in read] == [(8e9, 4e9)] * 2
    latency = aws_metrics.chosen(series, "SuccessfulReadRequestLatency")
    (first, _) = aws_metrics.read(cloudwatch, latency, "Maximum", 1, datetime.now(UTC))
    assert len(first.values) == 2
    assert aws_metrics.read(cloudwatch, (), "Average", 1, datetime.now(UTC)) == ()


def test_partial_data_and_many_pages_from_cloudwatch() -> None:
    client = boto3.client("cloudwatch", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    one = ListedSeries("CurrItems", (("ClusterName", "ops"),))
    with Stubber(client) as stub:
        for token, state, at in (("next", "PartialData", NOW), ("", "Forbidden", NOW - timedelta(hours=1))):
            reply = {
                "MetricDataResults": [{"Id": "q0", "Timestamps": [at], "Values": [1.0], "StatusCode": state}]
            }
            stub.add_response("get_metric_data", {**reply, **({"NextToken": token} if token else {})}, None)
        (found,) = aws_metrics.read(client, [one], "p99", 24, NOW)
    assert found.times == (NOW - timedelta(hours=1), NOW)
    assert "Forbidden" in found.problem


@pytest.mark.parametrize(
    ("hours", "period"), [(1, 60), (24, 60), (24 * 7, 900), (24 * 30, 3600), (24 * 400, 21_600)]
)
def test_periods(hours: float, period: int) -> None:
    assert aws_metrics.period_s(hours) == period


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("AccessDenied", "may not do cloudwatch:ListMetrics"),
        ("Throttling", "throttled"),
        ("ExpiredToken", "expired"),
        ("InternalFailure", "failed at ListMetrics"),
    ],
)
def test_one_refused_call_is_one_absent_figure(code: str, part: str) -> None:
    client, _ = refused("cloudwatch", "list_metrics", code)
    found = ask("cloudwatch:ListMetrics", lambda: aws_metrics.listed(client, "ops"))
    assert isinstance(found, Absent)
    assert part in found.words
    assert "123456789012" not in found.words
    assert found.action == "cloudwatch:ListMetrics"


def test_a_card_without_the_permission_for_its_parameters() -> None:
    client = boto3.client("memorydb", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        stub.add_response(
            "describe_clusters",
            {"Clusters": [{"Name": "own", "ParameterGroupName": "mine", "NodeType": "db.r7g.large"}]},
            {"ShowShardDetails": True},
        )
        stub.add_client_error("describe_parameters", "AccessDeniedException", "no")
        (card,) = aws_card.cards(client)
    assert card.cluster.search is None
    assert card.absent[0].action == "memorydb:DescribeParameters"
    outcomes = {c.name: c.outcome for c in aws_card.checklist(card, (), NOW)}
    assert outcomes["Search"] == outcomes["Replicas"] == outcomes["Zones"] == "unknown"


NODES = tuple(ListedSeries("FreeableMemory", (("ClusterName", "ops"), ("NodeName", f"n{i}"))) for i in (1, 2))
WHOLE = (*NODES, ListedSeries("FreeableMemory", (("ClusterName", "ops"),)))


@pytest.mark.parametrize(
    ("series", "count"), [((), 6), (NODES, 7), (WHOLE, 6)], ids=["none", "nodes", "whole"]
)
def test_alarms_watch_what_exists(series: tuple[ListedSeries, ...], count: int) -> None:
    wanted = aws_alarms.alarms("ops", "db.r7g.large", series, indexed_keys=1000)
    assert len(wanted) == len({a.name for a in wanted}) == count
    memory = next(a for a in wanted if a.metric == "FreeableMemory")
    assert memory.threshold == 14_037_181_030 // 4
    assert next(a for a in wanted if a.metric == "SearchNumberOfIndexedKeys").threshold == 950
    with pytest.raises(BadInput):
        aws_alarms.alarms("ops", "db.none.large")


@pytest.mark.usefixtures("moto")
def test_alarms_are_taken_by_cloudwatch() -> None:
    cloudwatch = aws.client("cloudwatch", REGION)
    wanted = aws_alarms.alarms("ops", "db.r7g.large", NODES)
    with pytest.raises(ReadOnlyTarget):
        aws_alarms.put(cloudwatch, wanted, writable=False)
    with pytest.raises(BadInput):
        aws_alarms.put(cloudwatch, wanted, "nonsense", writable=True)
    assert aws_alarms.existing(cloudwatch, "ops") == ()
    topic = "arn:aws:sns:ap-southeast-2:123456789012:on-call"
    assert aws_alarms.put(cloudwatch, wanted, topic, writable=True) == 7
    found = {a.name: a.threshold for a in aws_alarms.existing(cloudwatch, "ops")}
    assert found == {a.name: a.threshold for a in wanted}
    exec(aws_alarms.boto3_code(wanted, REGION, topic), {})  # noqa: S102  # our own text, against moto
    assert len(aws_alarms.existing(cloudwatch, "ops")) == 7


@pytest.mark.filterwarnings("ignore")  # cfn-lint's own
def test_alarm_texts_are_valid_and_say_the_same() -> None:
    wanted = aws_alarms.alarms("ops-1", "db.r7g.large", NODES)
    template = aws_alarms.cloudformation(wanted)
    assert lint(template, regions=["us-east-1", "eu-central-1"]) == []
    made = [r["Properties"] for r in json.loads(template)["Resources"].values()]
    blocks = hcl2.loads(aws_alarms.terraform(wanted))["resource"]
    terraform = [next(iter(next(iter(b.values())).values())) for b in blocks]
    for alarm, cloud, terra in zip(wanted, made, terraform, strict=True):
        call = alarm.arguments()
        assert {k: cloud[k] for k in call} == call
        assert str(terra["metric_name"]).strip('"') == alarm.metric
        assert float(terra["threshold"]) == alarm.threshold
        assert len(terra["dimensions"]) >= len(alarm.dimensions)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("11 MB", 11 * 2**20),
        ("1.5GB", int(1.5 * 2**30)),
        ("1,024 KB", 2**20),
        ("", None),
        ("x", None),
        ("...MB", None),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    assert aws_snapshots.size_bytes(text) == size


def snapshot(hours: float | None, status: str = "available") -> Snapshot:
    made = None if hours is None else NOW - timedelta(hours=hours)
    return Snapshot("s", "automated", status, made, 2**30, "redis 7.1")


@pytest.mark.parametrize(
    ("found", "part"),
    [
        ((), "no finished snapshot"),
        ((snapshot(None, "creating"),), "no finished"),
        ((snapshot(26),), ""),
        ((snapshot(28), snapshot(50)), "older than a daily schedule"),
        ((snapshot(1, "creating"),), "no finished"),
    ],
)
def test_late_snapshots(found: tuple[Snapshot, ...], part: str) -> None:
    warning = aws_snapshots.late(found, 7, NOW)
    assert part in warning
    assert bool(warning) is bool(part)


def test_what_snapshots_cost() -> None:
    cost = aws_snapshots.cost((snapshot(1), snapshot(25), snapshot(49)), "us-east-1")
    assert cost.dollars == pytest.approx(2 * 0.021)
    assert aws_snapshots.cost((snapshot(1),), "mars-1").dollars == 0
    assert "us-east-1" in aws_snapshots.cost((), "mars-1").source


@pytest.mark.usefixtures("moto")
def test_snapshots_are_made_only_on_writable_targets() -> None:
    memorydb = aws.client("memorydb", REGION)
    with pytest.raises(ReadOnlyTarget):
        aws_snapshots.create(memorydb, "ops", "second", writable=False)
    with pytest.raises(BadInput):
        aws_snapshots.create(memorydb, "ops", "Bad--name", writable=True)
    assert aws_snapshots.create(memorydb, "ops", "second", writable=True).name == "second"
    with pytest.raises(MemDBError):
        aws_snapshots.create(memorydb, "ops", "second", writable=True)
    assert {s.name for s in aws_snapshots.snapshots(memorydb, "ops")} == {"first", "second"}


def test_a_copy_to_s3() -> None:
    client = boto3.client("memorydb", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        stub.add_response(
            "copy_snapshot",
            {"Snapshot": {"Name": "copy", "Status": "creating"}},
            {"SourceSnapshotName": "first", "TargetSnapshotName": "copy", "TargetBucket": "bucket"},
        )
        stub.add_client_error("copy_snapshot", "AccessDeniedException", "no")
        with pytest.raises(ReadOnlyTarget):
            aws_snapshots.copy_to_s3(client, "first", "copy", "bucket", writable=False)
        with pytest.raises(BadInput, match="bucket"):
            aws_snapshots.copy_to_s3(client, "first", "copy", "Bad_Bucket", writable=True)
        assert aws_snapshots.copy_to_s3(client, "first", "copy", "bucket", writable=True).status == "creating"
        with pytest.raises(LoginFailed, match="memorydb:CopySnapshot"):
            aws_snapshots.copy_to_s3(client, "first", "copy", "bucket", writable=True)


HOST = "clustercfg.ops.abc123.memorydb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("target", "same"),
    [
        (Target(host=HOST), True),
        (Target(host="ops-0001-001.ops.abc123.memorydb.eu-west-1.amazonaws.com"), True),
        (Target(host="h", iam=Iam("ops", "eu-west-1")), True),
        (Target(label="ops"), False),
        (Target(host="clustercfg.other.abc123.memorydb.eu-west-1.amazonaws.com"), False),
        (Target(host="evilops.abc123.memorydb.eu-west-1.amazonaws.com"), False),
    ],
)
def test_which_target_a_cluster_is(target: Target, same: bool) -> None:
    assert is_target(target, "ops", HOST) is same
    assert region_of(target) == ("eu-west-1" if target.host.endswith("com") or target.iam else "")


@pytest.mark.usefixtures("moto")
def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["aws", "card", "--region", REGION, "--json"]) == 1
    card = json.loads(capsys.readouterr().out)
    assert card["name"] == "ops"
    assert {c["outcome"] for c in card["checks"]} <= {"pass", "fail", "unknown"}
    assert main(["aws", "card", "--region", REGION]) == 1
    assert "Replicas" in capsys.readouterr().out
    assert main(["aws", "alarms", "--region", REGION, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["put_metric_alarm"]) == 7
    assert main(["aws", "alarms", "--region", REGION]) == 0
    assert main(["aws", "alarms", "--region", REGION, "--as", "terraform"]) == 0
    assert "aws_cloudwatch_metric_alarm" in capsys.readouterr().out
    assert main(["aws", "snapshots", "--region", REGION, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["snapshots"][0]["size_bytes"] == 11 * 2**20
    assert main(["aws", "snapshots", "--region", REGION]) == 0
    assert main(["aws", "card"]) == 2
    assert "No AWS Region" in capsys.readouterr().err
    assert main(["aws", "card", "--region", REGION, "--cluster", "nobody"]) == 2
    assert main(["aws", "card", "--region", "eu-south-1"]) == 2
    assert main(["aws", "alarms", "--region", REGION, "--topic", "x"]) == 2


def test_no_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["aws", "card", "--region", REGION]) == 2
    assert "no AWS credentials" in capsys.readouterr().err
