"""The sample cluster answers as AWS does: each answer is held against botocore's model of the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ParamValidationError
from botocore.stub import Stubber

from memdb.operations import aws_alarms, aws_card, aws_metrics, aws_sample, aws_snapshots, elasticache_card

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("memorydb", "describe_clusters"),
        ("memorydb", "describe_snapshots"),
        ("cloudwatch", "list_metrics"),
        ("cloudwatch", "describe_alarms"),
        ("cloudwatch", "get_metric_data"),
    ],
)
def test_every_answer_has_the_shape_of_the_service(service: str, operation: str) -> None:
    asked = {"MetricDataQueries": _queries(), "StartTime": NOW - timedelta(hours=1), "EndTime": NOW}
    (answer,) = aws_sample.client(service, NOW).get_paginator(operation).paginate(**asked)
    real = boto3.client(service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    assert all(answer.values()), "something is told"
    Stubber(real).add_response(operation, answer)  # raises where a name or a type is not the service's
    with pytest.raises(ParamValidationError):
        Stubber(real).add_response(operation, {**answer, "Unheard": 1})


def _queries() -> list[dict[str, object]]:
    series = aws_metrics.listed(aws_sample.client("cloudwatch", NOW), aws_sample.NAME)
    return [
        {
            "Id": f"q{i}",
            "MetricStat": {
                "Metric": {
                    "MetricName": each.metric,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in each.dimensions],
                },
                "Period": 60,
                "Stat": "Average",
            },
        }
        for i, each in enumerate(series)
    ]


def test_the_page_s_own_reads_understand_it() -> None:
    memorydb, cloudwatch = (aws_sample.client(name, NOW) for name in ("memorydb", "cloudwatch"))
    (card,) = aws_card.cards(memorydb)
    snapshots = aws_snapshots.snapshots(memorydb, card.cluster.name)
    outcomes = {check.name: check.outcome for check in aws_card.checklist(card, snapshots, NOW)}
    assert outcomes["Newest snapshot"] == "pass"
    assert outcomes["Access"] == "fail"
    assert {node.zone for node in card.nodes} == {"us-east-1a", "us-east-1b"}
    listed = aws_metrics.listed(cloudwatch, card.cluster.name)
    wanted = aws_metrics.chosen(listed, "CPUUtilization")
    lines = aws_metrics.read(cloudwatch, wanted, "Average", 1, NOW)
    assert [len(line.times) for line in lines] == [60, 60]
    assert all(0 < value < 100 for line in lines for value in line.values)
    assert aws_metrics.read(cloudwatch, wanted, "Average", 1, NOW) == lines
    assert {alarm.state for alarm in aws_alarms.existing(cloudwatch, card.cluster.name)} == {"OK"}
    assert elasticache_card.cards(aws_sample.client("elasticache", NOW)) == ()


def test_it_names_metrics_that_the_page_knows() -> None:
    assert set(aws_sample._SERIES) <= {metric.name for metric in aws_metrics.METRICS}
