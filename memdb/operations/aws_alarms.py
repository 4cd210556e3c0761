"""The article's four alarms for CloudWatch, and some of ours: as calls, as CloudFormation and as Terraform.

One of the four has no metric: `VectorIndexBuiltPercent` is in no list of AWS, and an alarm on it would never
have data. In its place stands the nearest metric that exists (docs/decisions/0043-alarms.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from memdb.cluster.discover import Service
from memdb.errors import BadInput, ReadOnlyTarget
from memdb.json_text import json_text
from memdb.operations.aws_card import Card
from memdb.operations.aws_metrics import (
    CLUSTER,
    ELASTICACHE,
    NAMESPACE,
    NODE,
    Dimensions,
    ListedSeries,
    chosen,
)
from memdb.operations.aws_session import need, pages
from memdb.sizing import catalogue, facts
from memdb.sizing.shape import number

FREE_SHARE = 0.25  # the article: "alert at under 25% free memory"
CPU_PERCENT = 70.0  # the article: "alert at > 70% sustained"
CONNECTIONS_SHARE = 0.8  # the article names no figure; ours
MAX_CLIENTS = int(facts.value("memorydb/connections"))  # ElastiCache's is the same
LAG_MS = 5_000.0  # half of the 10 s at which ElastiCache refuses writes; ours
KEYS_SHARE = 0.95  # of the keys that are indexed now; ours
Rule = tuple[str, str, str, float, int, str]  # metric, statistic, comparison, threshold, minutes, reason
_ARN = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm on one metric."""

    name: str
    metric: str
    dimensions: Dimensions
    statistic: str
    comparison: str
    threshold: float
    minutes: int  # it fires when every one of them is over
    reason: str
    namespace: str = NAMESPACE

    def arguments(self, topic: str = "") -> dict[str, Any]:
        """Arguments of boto3's `cloudwatch.put_metric_alarm`."""
        return {
            "AlarmName": self.name,
            "AlarmDescription": self.reason,
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": n, "Value": v} for n, v in self.dimensions],
            "Statistic": self.statistic,
            "Period": 60,
            "EvaluationPeriods": self.minutes,
            "DatapointsToAlarm": self.minutes,
            "Threshold": self.threshold,
            "ComparisonOperator": self.comparison,
            "TreatMissingData": "missing",
            **({"AlarmActions": [topic], "OKActions": [topic]} if topic else {}),
        }


@dataclass(frozen=True, slots=True)
class Existing:
    """An alarm that CloudWatch has already."""

    name: str
    metric: str
    state: str
    threshold: float | None


def alarms(
    cluster: str, node_type: str, series: Sequence[ListedSeries] = (), *, indexed_keys: int | None = None
) -> tuple[Alarm, ...]:
    """The four and two of ours, for each node or the cluster, by the dimensions that CloudWatch really has.

    Args:
        cluster: its name.
        node_type: e.g. db.r7g.large: a quarter of its memory is the threshold of FreeableMemory.
        series: what `aws_metrics.listed` found; without it, the one dimension that is certain.
        indexed_keys: how many keys are in indexes when nothing is being built; None: at least one.

    Raises:
        BadInput: the node type's memory is not known.
    """
    keys = 1.0 if indexed_keys is None else float(int(indexed_keys * KEYS_SHARE))
    rules: tuple[Rule, ...] = (
        _memory_rule("memorydb", node_type),
        (
            "CurrConnections",
            "Maximum",
            "GreaterThanThreshold",
            MAX_CLIENTS * CONNECTIONS_SHARE,
            5,
            f"More than 80 % of the {MAX_CLIENTS:,} connections of a node: pools leak, or are too large.",
        ),
        (
            "SearchNumberOfIndexedKeys",
            "Minimum",
            "LessThanThreshold",
            max(1.0, keys),
            5,
            "Fewer keys are indexed than were: an index is being rebuilt or is gone, and answers may lack "
            "documents. MemoryDB has no metric VectorIndexBuiltPercent.",
        ),
        (
            "CPUUtilization",
            "Maximum",
            "GreaterThanThreshold",
            CPU_PERCENT,
            15,
            "The host's CPU is over 70 % for 15 minutes: HNSW queries are CPU-intensive.",
        ),
        (
            "ReplicationDelayedWriteCommands",
            "Sum",
            "GreaterThanThreshold",
            0.0,
            5,
            "Writes were held back for five minutes: a primary takes about 100 MB/s.",
        ),
        (
            "KeyAuthorizationFailures",
            "Sum",
            "GreaterThanThreshold",
            0.0,
            5,
            "A user asks for keys that its ACL does not allow: a wrong ACL, or somebody who looks around.",
        ),
    )
    wanted: list[Alarm] = []
    for metric, statistic, comparison, threshold, minutes, reason in rules:
        for dimensions in _watched(cluster, metric, series):
            node_name = " ".join(value for name, value in dimensions if name != CLUSTER)
            name = f"{cluster}-{metric}" + (f"-{node_name.removeprefix(f'{cluster}-')}" if node_name else "")
            wanted.append(Alarm(name, metric, dimensions, statistic, comparison, threshold, minutes, reason))
    return tuple(wanted)


def elasticache_alarms(card: Card, series: Sequence[ListedSeries] = ()) -> tuple[Alarm, ...]:
    """Those of each node of ElastiCache: memory, connections and CPU, and what its durability can break.

    ElastiCache documents no metric of indexed keys, so that one of the article's four has no like here.

    Args:
        card: the cluster.
        series: what `aws_metrics.listed_nodes` found; without it, the dimension of a node that is certain.

    Raises:
        BadInput: the node type's memory is not known.
    """
    about = card.cluster
    rules: list[Rule] = [
        _memory_rule("elasticache", about.node_type),
        (
            "CurrConnections",
            "Maximum",
            "GreaterThanThreshold",
            MAX_CLIENTS * CONNECTIONS_SHARE,
            5,
            f"More than 80 % of the {MAX_CLIENTS:,} connections of a node: pools leak, or are too large.",
        ),
        (
            "CPUUtilization",
            "Maximum",
            "GreaterThanThreshold",
            CPU_PERCENT,
            15,
            "The host's CPU is over 70 % for 15 minutes: HNSW queries are CPU-intensive.",
        ),
    ]
    if about.effective == "async":
        rules += [
            (
                "DurabilityLag",
                "Maximum",
                "GreaterThanThreshold",
                LAG_MS,
                5,
                "The log is 5 s behind: so much may be lost. At 10 s writes are refused.",
            ),
            (
                "DurabilityBufferExceededErrorCount",
                "Sum",
                "GreaterThanThreshold",
                0.0,
                1,
                "Writes were refused because the log was 10 s behind: clients must try again with pauses.",
            ),
        ]
    if about.effective in ("async", "sync"):
        rules.append(
            (
                "TrafficManagementActive",
                "Maximum",
                "GreaterThanThreshold",
                0.0,
                5,
                "Writes are throttled: a primary takes about 100 MiB/s, less on indexed keys.",
            ),
        )
    wanted = []
    for metric, statistic, comparison, threshold, minutes, reason in rules:
        there = {listed.node: listed.dimensions for listed in chosen(series, metric)}
        for node in card.node_names:
            dimensions = there.get(node, ((NODE, node),))
            name = f"{about.name}-{metric}-{node.removeprefix(f'{about.name}-')}"
            wanted.append(
                Alarm(
                    name, metric, dimensions, statistic, comparison, threshold, minutes, reason, ELASTICACHE
                )
            )
    return tuple(wanted)


def _memory_rule(service: Service, node_type: str) -> Rule:
    node = next((n for n in catalogue.load().of(service) if n.name == node_type), None)
    if node is None:
        raise BadInput(
            f"The memory of the node type '{node_type}' is not known, so that a quarter of it is not either.",
            "Choose a node type of the Sizing page.",
        )
    return (
        "FreeableMemory",
        "Minimum",
        "LessThanThreshold",
        float(int(node.memory_bytes * FREE_SHARE)),
        5,
        f"Less than 25 % of the {node.memory_bytes / 2**30:.1f} GiB of a {node_type} is free.",
    )


def existing(cloudwatch: Any, cluster: str, nodes: Sequence[str] | None = None) -> tuple[Existing, ...]:
    """Alarms on any metric of a MemoryDB cluster, or of ElastiCache's nodes where they are named.

    Raises:
        MemDBError: no permission for cloudwatch:DescribeAlarms, or no answer.
    """
    described = need(
        "cloudwatch:DescribeAlarms", lambda: pages(cloudwatch, "describe_alarms", "MetricAlarms")
    )
    return tuple(
        Existing(
            str(a["AlarmName"]),
            str(a.get("MetricName", "")),
            str(a.get("StateValue", "")),
            a.get("Threshold"),
        )
        for a in described
        if _is_about(a, cluster, nodes)
    )


def _is_about(alarm: dict[str, Any], cluster: str, nodes: Sequence[str] | None) -> bool:
    namespace, dimensions = alarm.get("Namespace"), alarm.get("Dimensions", ())
    if nodes is not None:
        return namespace == ELASTICACHE and any({"Name": NODE, "Value": node} in dimensions for node in nodes)
    return namespace == NAMESPACE and {"Name": CLUSTER, "Value": cluster} in dimensions


def put(cloudwatch: Any, wanted: Sequence[Alarm], topic: str = "", *, writable: bool) -> int:
    """Create or replace alarms; how many.

    Raises:
        ReadOnlyTarget: the target is read-only.
        BadInput: the topic is no ARN of SNS.
        MemDBError: no permission for cloudwatch:PutMetricAlarm, or no answer.
    """
    if not writable:
        raise ReadOnlyTarget(
            "PutMetricAlarm",
            "No alarm was made: this target is read-only.",
            "Open the cluster itself as a writable target, or deploy the template.",
        )
    checked_topic(topic)
    for alarm in wanted:
        need("cloudwatch:PutMetricAlarm", partial(cloudwatch.put_metric_alarm, **alarm.arguments(topic)))
    return len(wanted)


def checked_topic(topic: str) -> str:
    """The ARN of an SNS topic, or empty.

    Raises:
        BadInput: neither.
    """
    if topic and not _ARN.fullmatch(topic):
        raise BadInput(
            "That is no ARN of an SNS topic.", "One looks like arn:aws:sns:eu-west-1:123456789012:on-call."
        )
    return topic


def boto3_code(wanted: Sequence[Alarm], region: str, topic: str = "") -> str:
    """A Python script that makes them."""
    calls = "\n".join(
        "cloudwatch.put_metric_alarm(\n"
        + "".join(f"    {key}={_python(value)},\n" for key, value in alarm.arguments(topic).items())
        + ")"
        for alarm in wanted
    )
    return (
        f'import boto3\n\ncloudwatch = boto3.client("cloudwatch", region_name={_python(region)})\n\n{calls}\n'
    )


def cloudformation(wanted: Sequence[Alarm]) -> str:
    """A template in JSON; the topic is a parameter and may stay empty."""
    actions = {"Fn::If": ["HasTopic", [{"Ref": "TopicArn"}], {"Ref": "AWS::NoValue"}]}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Alarms of a cluster",
        "Parameters": {
            "TopicArn": {"Type": "String", "Default": "", "Description": "SNS topic, may be empty"}
        },
        "Conditions": {"HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "TopicArn"}, ""]}]}},
        "Resources": {
            _logical(alarm.name, i): {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {**alarm.arguments(), "AlarmActions": actions, "OKActions": actions},
            }
            for i, alarm in enumerate(wanted, 1)
        },
    }
    return json_text(template, indent=2) + "\n"


def terraform(wanted: Sequence[Alarm]) -> str:
    """HCL for the AWS provider; the topic is a variable and may stay empty."""
    head = (
        'variable "topic_arn" {\n  type        = string\n  default     = ""\n  description = "SNS topic"\n}\n'
    )
    return head + "".join(_hcl(alarm, i) for i, alarm in enumerate(wanted, 1))


def _hcl(alarm: Alarm, i: int) -> str:
    dimensions = "".join(f"    {name} = {_quoted(value)}\n" for name, value in alarm.dimensions)
    return f"""
resource "aws_cloudwatch_metric_alarm" "alarm_{i}" {{
  alarm_name          = {_quoted(alarm.name)}
  alarm_description   = {_quoted(alarm.reason)}
  namespace           = "{alarm.namespace}"
  metric_name         = "{alarm.metric}"
  statistic           = "{alarm.statistic}"
  period              = 60
  evaluation_periods  = {alarm.minutes}
  datapoints_to_alarm = {alarm.minutes}
  threshold           = {number("Threshold", alarm.threshold, 0, 1e15):.0f}
  comparison_operator = "{alarm.comparison}"
  treat_missing_data  = "missing"
  alarm_actions       = compact([var.topic_arn])
  ok_actions          = compact([var.topic_arn])

  dimensions = {{
{dimensions}  }}
}}
"""


def _watched(cluster: str, metric: str, series: Sequence[ListedSeries]) -> tuple[Dimensions, ...]:
    """The series of the whole cluster where there is one (its extreme is the worst node's), else all."""
    mine = tuple(listed for listed in series if listed.metric == metric)
    whole = tuple(listed.dimensions for listed in mine if not listed.node)
    return whole[:1] or tuple(listed.dimensions for listed in mine) or (((CLUSTER, cluster),),)


def _quoted(text: str) -> str:
    """A string of HCL: as in JSON, and without its templates."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def _logical(name: str, i: int) -> str:
    """A name that CloudFormation takes, and that is unique."""
    return "".join(part[:1].upper() + part[1:] for part in re.findall(r"[A-Za-z0-9]+", name)) + f"N{i}"


def _python(value: object) -> str:
    return repr(value)
