"""The AWS and Durability pages on ElastiCache: moto's server, with what it lacks answered before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from memdb.operations.aws_metrics import ELASTICACHE, NODE
from memdb.ui.kit import cached
from tests.aws_front import moto_server, ok, put_before, refused
from tests.waiting import PATIENCE_S, until

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
PAGE = app_folder() / "pages" / "operate" / "aws.py"
DURABILITY = app_folder() / "pages" / "operate" / "durability.py"
REGION = "eu-west-3"  # moto keeps what it made for the whole run: no other test makes anything there
CARTS = "carts (ElastiCache)"
CACHE = (
    "<ServerlessCaches><member><ServerlessCacheName>quick</ServerlessCacheName><Status>available</Status>"
    "<Engine>valkey</Engine><MajorEngineVersion>8</MajorEngineVersion></member></ServerlessCaches>"
)
RESERVE = (
    "<Parameters><Parameter><ParameterName>reserved-memory-percent</ParameterName>"
    "<ParameterValue>25</ParameterValue></Parameter></Parameters>"
)


def group(client: Any, name: str, **changes: object) -> None:
    client.create_replication_group(
        **{
            "ReplicationGroupId": name,
            "ReplicationGroupDescription": name,
            "Engine": "valkey",
            "EngineVersion": "9.0",
            "CacheNodeType": "cache.r7g.large",
            "NumNodeGroups": 1,
            "ReplicasPerNodeGroup": 1,
            "AutomaticFailoverEnabled": True,
            "MultiAZEnabled": True,
            "TransitEncryptionEnabled": True,
            "SnapshotRetentionLimit": 7,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    with moto_server() as variables:
        client = boto3.client("elasticache", region_name=REGION)
        group(client, "carts")
        for i in range(150):
            group(client, f"many-{i:03}", ReplicasPerNodeGroup=0, AutomaticFailoverEnabled=False)
        boto3.client("cloudwatch", region_name=REGION).put_metric_data(
            Namespace=ELASTICACHE,
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=5),
                    "Dimensions": [{"Name": NODE, "Value": node}, {"Name": "CacheNodeId", "Value": "0001"}],
                }
                for node in ("carts-001", "carts-002")
                for name, value in (("FreeableMemory", 4e9), ("EngineCPUUtilization", 7.5))
            ],
        )
        yield variables


@pytest.fixture
def answers() -> dict[str, Any]:
    """What stands before moto; a test may change it before it opens the page."""
    return {
        "DescribeServerlessCaches": lambda: ok("DescribeServerlessCaches", CACHE),
        "DescribeCacheParameters": lambda: ok("DescribeCacheParameters", RESERVE),
    }


@pytest.fixture
def app(
    server_target: Target,
    tmp_path: Path,
    moto: dict[str, str],
    answers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[AppTest]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment(server_target, tmp_path), **moto, "MEMDB_ALLOW_ADDRESSES": "1"}.items():
        monkeypatch.setenv(name, value)
    put_before(monkeypatch, answers)
    opened = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    yield opened
    assert not opened.exception


def opened(app: AppTest, view: str = "Card", cluster: str = CARTS) -> AppTest:
    """The AWS page at a cluster and a view, as a link opens it."""
    app.query_params["aws.region"] = REGION
    app.query_params["aws.view"] = view
    app.query_params["aws.cluster"] = cluster
    app.switch_page(str(PAGE)).run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.code]
    return "\n".join(plain(element.value) for element in shown)


def plain(value: object) -> str:
    """A text as it is read: without the escapes of foreign parts."""
    return str(value).replace("\\", "")


def warned(app: AppTest) -> str:
    shown = [*app.error, *app.warning]
    return "\n".join(plain(f"{element.proto.title} {element.value}") for element in shown)


def checks(app: AppTest) -> dict[str, str]:
    """Each check of the checklist with its outcome, as drawn."""
    lines = [plain(element.value) for element in app.markdown]
    words = {"passes": "pass", "**fails**": "fail", "not available": "unknown"}
    return {
        lines[i + 1].strip("*"): outcome
        for i, text in enumerate(lines)
        for word, outcome in words.items()
        if text.endswith(f" {word}") and text.startswith(":")
    }


def test_hundreds_of_clusters_the_card_and_the_checklist_of_the_chosen(app: AppTest) -> None:
    opened(app)
    options = app.selectbox("aws.cluster").options
    assert len(options) == 151
    assert app.selectbox("aws.cluster").value == CARTS
    shown = texts(app)
    assert "MemoryDB or ElastiCache" in shown
    assert (
        "Serverless caches here have no vector search and no durability, and no card: quick (available)."
        in shown
    )
    assert "2 × cache.r7g.large" in shown
    judged = checks(app)
    assert judged["Multi-AZ"] == judged["Automatic failover"] == judged["TLS"] == "pass"
    assert judged["Daily snapshots"] == "pass"
    assert judged["Log delivery"] == judged["Encryption at rest"] == judged["Access"] == "fail"
    assert judged["Durability"] == judged["Search"] == "unknown"  # moto tells neither mode nor version
    assert f"memdb aws card --service elasticache --region {REGION} --cluster carts --json" in shown
    app.selectbox("aws.cluster").set_value("many-042 (ElastiCache)").run()
    assert checks(app)["Replicas"] == checks(app)["Automatic failover"] == "fail"
    assert not app.error
    assert not app.warning


def test_metrics_of_its_nodes_in_its_own_namespace(app: AppTest) -> None:
    opened(app, "Metrics")
    assert "FreeableMemory" in texts(app)
    assert sorted(app.dataframe[0].value["node"]) == ["carts-001", "carts-002"]
    assert list(app.dataframe[0].value["bytes"]) == [4e9, 4e9]
    assert "BytesUsedForMemoryDB" not in texts(app)


def test_alarms_as_code_and_in_cloudwatch_once_they_are_made(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdb.ui.aws.choice.is_target", lambda *_: True)  # moto's endpoint is no server
    opened(app, "Alarms")
    frame = app.dataframe[0].value
    assert set(frame["in CloudWatch"]) == {"no"}
    assert {name.split("-")[1] for name in frame["alarm"]} == {
        "FreeableMemory",
        "CurrConnections",
        "CPUUtilization",
    }
    assert len(frame) == 6
    assert "put_metric_alarm" in texts(app)
    for kind, word in (
        ("CloudFormation", "AWS::CloudWatch::Alarm"),
        ("Terraform", "aws_cloudwatch_metric_alarm"),
    ):
        app.segmented_control("aws.as").set_value(kind).run()
        assert word in texts(app)
        assert "AWS/ElastiCache" in texts(app)
        assert "AWS/MemoryDB" not in texts(app)
    app.text_input("aws.put.typed").input("carts").run()
    app.button("aws.put.do").click().run()
    made = boto3.client("cloudwatch", region_name=REGION).describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in made} == set(frame["alarm"])
    assert {alarm["Namespace"] for alarm in made} == {ELASTICACHE}
    assert "no" not in set(app.dataframe[0].value["in CloudWatch"])


def test_a_snapshot_is_made_and_copied_after_the_name_was_typed(
    app: AppTest, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[int] = []

    def copy() -> tuple[int, str]:
        copied.append(1)
        snapshot = (
            "<Snapshot><SnapshotName>out</SnapshotName><SnapshotStatus>copying</SnapshotStatus></Snapshot>"
        )
        return ok("CopySnapshot", snapshot)

    answers["CopySnapshot"] = copy
    monkeypatch.setattr("memdb.ui.aws.choice.is_target", lambda *_: True)
    opened(app, "Snapshots")
    app.text_input("aws.new_name").input("by-hand").run()
    assert "aws elasticache create-snapshot" in texts(app)
    app.text_input("aws.new.typed").input("carts").run()
    app.button("aws.new.do").click().run()
    assert list(app.dataframe[0].value["snapshot"]) == ["by-hand"]
    app.text_input("aws.bucket").input("bucket-1").run()
    app.text_input("aws.copy.typed").input("cart").run()
    app.button("aws.copy.do").click().run()
    assert "not the cluster's name" in warned(app)
    assert not copied
    app.text_input("aws.copy.typed").input("carts").run()
    app.button("aws.copy.do").click().run()
    assert copied == [1]
    assert not app.error


def test_each_missing_permission_is_named_and_the_rest_is_shown(
    app: AppTest, answers: dict[str, Any]
) -> None:
    def denied() -> tuple[int, str]:
        return refused("AccessDenied", "User: arn:aws:iam::123456789012:user/x is not authorized", 403)

    for operation in (
        "DescribeServerlessCaches",
        "DescribeCacheClusters",
        "DescribeSnapshots",
        "DescribeCacheParameters",
    ):
        answers[operation] = denied
    opened(app)
    told = warned(app) + texts(app)
    assert "elasticache:DescribeServerlessCaches" in told
    assert "elasticache:DescribeCacheClusters" in told
    assert "123456789012" not in told
    judged = checks(app)
    assert judged["Multi-AZ"] == "pass"
    assert judged["Maintenance window"] == judged["Newest snapshot"] == "unknown"
    app.segmented_control("aws.view").set_value("Snapshots").run()
    assert "Needed: elasticache:DescribeSnapshots." in warned(app)


def test_the_service_that_refuses_leaves_the_other(app: AppTest, answers: dict[str, Any]) -> None:
    answers["DescribeReplicationGroups"] = lambda: refused("AccessDenied", "no", 403)
    boto3.client("memorydb", region_name=REGION).create_cluster(
        ClusterName="other", NodeType="db.r7g.large", ACLName="open-access"
    )
    opened(app, cluster="other")
    assert "may not do elasticache:DescribeReplicationGroups" in warned(app)
    assert app.selectbox("aws.cluster").options == ["other"]
    assert "Production checklist" in texts(app)


def test_throttled_calls_are_tried_again_and_told_when_it_goes_on(
    app: AppTest, answers: dict[str, Any]
) -> None:
    calls: list[int] = []

    def busy_once() -> tuple[int, str]:
        calls.append(1)
        return (
            refused("Throttling", "Rate exceeded")
            if len(calls) == 1
            else ok("DescribeServerlessCaches", CACHE)
        )

    answers["DescribeServerlessCaches"] = busy_once
    answers["DescribeSnapshots"] = lambda: refused("Throttling", "Rate exceeded")
    opened(app, "Snapshots")
    assert len(calls) == 2
    assert "quick (available)" in texts(app)
    assert "AWS throttled DescribeSnapshots. Ask again in a minute." in warned(app)


def test_clusters_that_are_made_or_deleted(app: AppTest, answers: dict[str, Any]) -> None:
    def entry(name: str, status: str, more: str = "") -> str:
        return (
            f"<ReplicationGroup><ReplicationGroupId>{name}</ReplicationGroupId><Status>{status}</Status>{more}"
            "</ReplicationGroup>"
        )

    both = entry("made", "creating") + entry("gone", "deleting")
    answers["DescribeReplicationGroups"] = lambda: ok(
        "DescribeReplicationGroups", f"<ReplicationGroups>{both}</ReplicationGroups>"
    )
    for view in ("Card", "Metrics", "Alarms", "Snapshots"):
        opened(app, view, "made (ElastiCache)")
        assert not app.error
        if view == "Card":
            assert "creating" in texts(app)
            assert "AWS lists no nodes yet." in texts(app)
    app.selectbox("aws.cluster").set_value("gone (ElastiCache)").run()
    app.segmented_control("aws.view").set_value("Card").run()
    assert "deleting" in texts(app)


def at_durability(app: AppTest, cluster: str = CARTS) -> AppTest:
    app.query_params["aws.region"] = REGION
    app.query_params["aws.cluster"] = cluster
    app.switch_page(str(DURABILITY)).run()
    app.segmented_control("drill.where").set_value("On your cluster").run()
    assert not app.exception
    return app


def test_a_failover_needs_a_replica_and_the_target_itself(app: AppTest) -> None:
    at_durability(app, "many-007 (ElastiCache)")
    assert "no replica" in warned(app)
    app.selectbox("aws.cluster").set_value(CARTS).run()
    assert (
        f"aws elasticache test-failover --replication-group-id carts --node-group-id 0001 --region {REGION}"
        in texts(app)
    )
    assert "The open target is not this cluster." in texts(app)
    assert "drill.failover.do" not in [button.key for button in app.button]


def test_test_failover_after_the_name_was_typed_loses_nothing_here(
    app: AppTest, answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fail_over() -> tuple[int, str]:
        asked.append(1)
        return ok("TestFailover", "<ReplicationGroup></ReplicationGroup>")

    answers["TestFailover"] = fail_over
    monkeypatch.setattr("memdb.ui.aws.choice.is_target", lambda *_: True)
    monkeypatch.setattr("memdb.durability.failover._PULL", 0.0)
    at_durability(app)
    app.number_input("drill.cluster_seconds").set_value(20).run()
    app.text_input("drill.failover.typed").input("cart").run()
    app.button("drill.failover.do").click().run()
    assert "not the cluster's name" in warned(app)
    assert not asked
    app.text_input("drill.failover.typed").input("carts").run()
    app.button("drill.failover.do").click().run()
    job = cached.jobs().get(app.session_state["drill.cluster_job"].id)
    assert job is not None
    until(lambda: bool(asked) or job.state.status != "running", "AWS is asked to fail over")
    assert asked == [1]
    job.cancel()
    until(lambda: job.state.status != "running", "the drill ends")
