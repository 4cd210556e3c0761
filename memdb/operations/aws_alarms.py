"""The article's four alarms for CloudWatch: as calls, as CloudFormation and as Terraform.

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

from memdb.errors import BadInput, ReadOnlyTarget
from memdb.json_text import json_text
from memdb.operations.aws_metrics import CLUSTER, NAMESPACE, Dimensions, Listed
from memdb.operations.aws_session import need, pages
from memdb.sizing import catalogue
from memdb.sizing.shape import number

FREE_SHARE = 0.25  # the article: "alert at under 25% free memory"
CPU_PERCENT = 70.0  # the article: "alert at > 70% sustained"
CONNECTIONS_SHARE = 0.8  # the article names no figure; ours
MAX_CLIENTS = 65_000  # MemoryDB's maxclients of a node
KEYS_SHARE = 0.95  # of the keys that are indexed now; ours
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

    def arguments(self, topic: str = "") -> dict[str, Any]:
        """Arguments of boto3's `cloudwatch.put_metric_alarm`."""
        return {
            "AlarmName": self.name,
            "AlarmDescription": self.reason,
            "Namespace": NAMESPACE,
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
    cluster: str, node_type: str, series: Sequence[Listed] = (), *, indexed_keys: int | None = None
) -> tuple[Alarm, ...]:
    """The four, for each node or for the cluster, by the dimensions that CloudWatch really has.

    Args:
        cluster: its name.
        node_type: e.g. db.r7g.large: a quarter of its memory is the threshold of FreeableMemory.
        series: what `aws_metrics.listed` found; without it, the one dimension that is certain.
        indexed_keys: how many keys are in indexes when nothing is being built; None: at least one.

    Raises:
        BadInput: the node type's memory is not known.
    """
    node = next((n for n in catalogue.load().of("memorydb") if n.name == node_type), None)
    if node is None:
        raise BadInput(
            f"The memory of the node type '{node_type}' is not known, so that a quarter of it is not either.",
            "Choose a node type of the Sizing page.",
        )
    keys = 1.0 if indexed_keys is None else float(int(indexed_keys * KEYS_SHARE))
    rules: tuple[tuple[str, str, str, float, int, str], ...] = (
        (
            "FreeableMemory",
            "Minimum",
            "LessThanThreshold",
            float(int(node.memory_bytes * FREE_SHARE)),
            5,
            f"Less than 25 % of the {node.memory_bytes / 2**30:.1f} GiB of a {node_type} is free.",
        ),
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
    )
    made: list[Alarm] = []
    for metric, statistic, comparison, threshold, minutes, reason in rules:
        for dimensions in _watched(cluster, metric, series):
            node_name = " ".join(value for name, value in dimensions if name != CLUSTER)
            name = f"{cluster}-{metric}" + (f"-{node_name.removeprefix(f'{cluster}-')}" if node_name else "")
            made.append(Alarm(name, metric, dimensions, statistic, comparison, threshold, minutes, reason))
    return tuple(made)


def existing(cloudwatch: Any, cluster: str) -> tuple[Existing, ...]:
    """Alarms on any metric of the cluster.

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
        if a.get("Namespace") == NAMESPACE and {"Name": CLUSTER, "Value": cluster} in a.get("Dimensions", ())
    )


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
        "Description": "Alarms of a MemoryDB cluster",
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
  namespace           = "{NAMESPACE}"
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


def _watched(cluster: str, metric: str, series: Sequence[Listed]) -> tuple[Dimensions, ...]:
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
