"""The AWS page against moto's server: nothing asked, no credentials, card, metrics, alarms, snapshots, writes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from streamlit.testing.v1 import AppTest

from memdb.cluster.target import Target
from memdb.demo.app import app_folder, environment
from tests.aws_front import moto_server
from tests.waiting import PATIENCE_S

ENTRY = app_folder() / "memdb" / "ui" / "entry.py"
PAGE = app_folder() / "pages" / "operate" / "aws.py"
REGION = "ca-central-1"  # moto keeps what it made for the whole run: no other test makes anything there


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    with moto_server() as variables:
        boto3.client("memorydb", region_name=REGION).create_cluster(
            ClusterName="pages",
            NodeType="db.r7g.large",
            ACLName="mine",
            TLSEnabled=True,
            ParameterGroupName="default.memorydb-redis7.search",
            NumReplicasPerShard=1,
            MaintenanceWindow="wed:13:00-wed:14:00",
        )
        boto3.client("cloudwatch", region_name=REGION).put_metric_data(
            Namespace="AWS/MemoryDB",
            MetricData=[
                {
                    "MetricName": name,
                    "Value": value,
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=5),
                    "Dimensions": [
                        {"Name": "ClusterName", "Value": "pages"},
                        {"Name": "NodeName", "Value": node},
                    ],
                }
                for node in ("pages-0001-001", "pages-0001-002")
                for name, value in (("FreeableMemory", 4e9), ("SuccessfulReadRequestLatency", 300.0))
            ],
        )
        yield variables


@pytest.fixture
def open_app(
    server_target: Target, tmp_path: Path, moto: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment(server_target, tmp_path), **moto, "MEMDB_ALLOW_ADDRESSES": "1"}.items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.switch_page(str(PAGE)).run()
    assert not app.exception
    yield app
    assert not app.exception


def texts(app: AppTest) -> str:
    shown = [*app.markdown, *app.caption, *app.code]
    return "\n".join(str(one.value) for one in shown)


def titles(app: AppTest) -> str:
    return "\n".join(str(one.proto.title) for one in (*app.error, *app.warning))


def test_nothing_is_asked_until_it_is_wanted(open_app: AppTest) -> None:
    assert "AWS has not been asked" in texts(open_app)
    open_app.button("aws.ask").click().run()
    assert "No AWS Region is named" in titles(open_app)
    assert "production checklist" in texts(open_app)
    open_app.text_input("aws.region").input("not a region").run()
    assert open_app.error
    open_app.text_input("aws.region").input("eu-south-2").run()
    assert "No cluster to show" in texts(open_app)


def test_without_credentials(open_app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    open_app.text_input("aws.region").input(REGION).run()
    assert "no AWS credentials" in titles(open_app)
    assert "With credentials this page shows" in texts(open_app)


def test_card_metrics_alarms_and_snapshots(open_app: AppTest) -> None:
    open_app.text_input("aws.region").input(REGION).run()
    shown = texts(open_app)
    assert "Production checklist" in shown
    assert "ReplicaCount=2" in shown
    open_app.segmented_control("aws.view").set_value("Metrics").run()
    assert "FreeableMemory" in texts(open_app)
    assert len(open_app.dataframe[0].value) == 2
    open_app.segmented_control("aws.group").set_value("Search").run()
    assert "no values here of: SearchNumberOfIndexes" in texts(open_app)
    open_app.segmented_control("aws.view").set_value("Alarms").run()
    assert list(open_app.dataframe[0].value["in CloudWatch"]) == ["no"] * 7
    assert "put_metric_alarm" in texts(open_app)
    open_app.text_input("aws.topic").input("<b>x</b>").run()
    assert "no ARN" in titles(open_app)
    open_app.segmented_control("aws.view").set_value("Snapshots").run()
    assert "no finished snapshot" in titles(open_app)
    assert "not this cluster" in texts(open_app)
    assert "aws.new.do" not in [b.key for b in open_app.button]


def test_a_writable_target_that_is_the_cluster_makes_a_snapshot(
    open_app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdb.ui.aws.choice.is_target", lambda *_: True)  # moto's endpoint is no server
    open_app.text_input("aws.region").input(REGION).run()
    open_app.segmented_control("aws.view").set_value("Snapshots").run()
    open_app.text_input("aws.new_name").input("by-hand").run()
    open_app.text_input("aws.new.typed").input("other").run()
    open_app.button("aws.new.do").click().run()
    assert "not the cluster's name" in titles(open_app)
    open_app.text_input("aws.new.typed").input("pages").run()
    open_app.button("aws.new.do").click().run()
    assert list(open_app.dataframe[0].value["snapshot"]) == ["by-hand"]
    assert not open_app.error


def test_one_figure_that_fails_leaves_the_rest(open_app: AppTest) -> None:
    open_app.text_input("aws.region").input(REGION).run()
    open_app.segmented_control("aws.view").set_value("Metrics").run()
    open_app.segmented_control("aws.group").set_value("Latency").run()
    assert "AWS failed at GetMetricData" in titles(open_app)  # moto answers percentiles with status 500
    assert "GetMetricData" in str(open_app.warning[0].value)
    open_app.selectbox("aws.statistic").set_value("Maximum").run()
    assert not open_app.warning
    assert len(open_app.dataframe[0].value) == 2


def test_where_visitors_may_not_name_servers(open_app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memdb.ui.kit.access.may_enter_addresses", lambda _: False)
    open_app.button("aws.ask").click().run()
    assert "aws.region" not in [one.key for one in open_app.text_input]
    assert "visitors cannot ask for others" in texts(open_app)
    assert "pages" not in [option for box in open_app.selectbox for option in box.options]


@pytest.mark.parametrize("view", ["Card", "Metrics", "Alarms", "Snapshots"])
def test_the_sample_needs_no_credentials_and_says_what_it_is(
    view: str, demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # whoever asks there gets no answer
    for name, value in environment(demo_target, tmp_path).items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
    app.query_params["aws.sample"] = "true"
    app.query_params["aws.view"] = view
    app.switch_page(str(PAGE)).run()
    assert not app.exception
    assert not app.error
    assert app.info[0].proto.title == "A sample cluster, not yours"
    assert not any(button.label in ("Make it", "Copy it") for button in app.button)
    assert len(app.dataframe) > 0
