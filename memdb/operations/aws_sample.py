"""A sample cluster, so that the AWS page can be shown without credentials: answers in AWS's own shapes.

Nothing in it was measured: names and figures are made. The clients answer reads only.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

REGION = "us-east-1"
NAME = "sample-assistant"
_CLUSTER = {"Name": "ClusterName", "Value": NAME}
_NODES = (f"{NAME}-0001-001", f"{NAME}-0001-002")
# Metric → its usual value and how far the day moves it; of each node.
_SERIES: dict[str, tuple[float, float]] = {
    "FreeableMemory": (9.4e9, 0.02),
    "DatabaseMemoryUsagePercentage": (61.0, 0.04),
    "BytesUsedForMemoryDB": (12.9e9, 0.04),
    "MemoryFragmentationRatio": (1.04, 0.01),
    "SwapUsage": (0.0, 0.0),
    "Evictions": (0.0, 0.0),
    "CPUUtilization": (21.0, 0.6),
    "EngineCPUUtilization": (34.0, 0.6),
    "CurrConnections": (182.0, 0.3),
    "NewConnections": (24.0, 0.5),
    "SearchNumberOfIndexes": (2.0, 0.0),
    "SearchNumberOfIndexedKeys": (1_204_331.0, 0.002),
    "SearchTotalIndexSize": (7.6e9, 0.002),
    "SuccessfulReadRequestLatency": (410.0, 0.4),
    "SuccessfulWriteRequestLatency": (3_900.0, 0.3),
}


@dataclass(frozen=True, slots=True)
class _Client:
    """As much of a boto3 client as reads need: paginators and the meta data."""

    meta: Any
    answers: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(self.answers[operation])


@dataclass(frozen=True, slots=True)
class _Pages:
    answer: Callable[[dict[str, Any]], dict[str, Any]]

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        yield self.answer(arguments)


def client(service: str, now: datetime | None = None) -> Any:
    """A client of MemoryDB, ElastiCache or CloudWatch that knows the sample alone.

    Args:
        service: boto3's name of it.
        now: with a time zone; snapshots are as old, and series end, as seen from then.
    """
    at = now or datetime.now(UTC)
    meta = SimpleNamespace(region_name=REGION, service_model=SimpleNamespace(service_name=service))
    if service == "cloudwatch":
        return _Client(
            meta,
            {
                "list_metrics": lambda _: {"Metrics": _listed()},
                "get_metric_data": _data,
                "describe_alarms": lambda _: {"MetricAlarms": _alarms()},
            },
        )
    if service == "elasticache":
        return _Client(meta, defaultdict(lambda: _none))  # the sample has none of its clusters
    return _Client(
        meta,
        {
            "describe_clusters": lambda _: {"Clusters": [_cluster(at)]},
            "describe_snapshots": lambda _: {"Snapshots": _snapshots(at)},
        },
    )


def _none(_: dict[str, Any]) -> dict[str, Any]:
    return {}


def _cluster(at: datetime) -> dict[str, Any]:
    created = at - timedelta(days=41)
    return {
        "Name": NAME,
        "Status": "available",
        "NumberOfShards": 1,
        "Shards": [
            {
                "Name": "0001",
                "Status": "available",
                "NumberOfNodes": len(_NODES),
                "Nodes": [
                    {
                        "Name": node,
                        "Status": "available",
                        "AvailabilityZone": f"{REGION}{zone}",
                        "CreateTime": created,
                    }
                    for node, zone in zip(_NODES, "ab", strict=True)
                ],
            }
        ],
        "AvailabilityMode": "MultiAZ",
        "ClusterEndpoint": {"Address": f"clustercfg.{NAME}.example.invalid", "Port": 6379},
        "NodeType": "db.r7g.xlarge",
        "Engine": "valkey",
        "EngineVersion": "7.3",
        "EnginePatchVersion": "7.3.0",
        "ParameterGroupName": "default.memorydb-valkey7.search",
        "TLSEnabled": True,
        "ACLName": "open-access",  # something to fix: the checklist shows how
        "SnapshotRetentionLimit": 2,
        "SnapshotWindow": "01:00-02:00",
        "MaintenanceWindow": "sun:03:00-sun:04:00",
    }


def _snapshots(at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "Name": f"automatic.{NAME}-{(created := at - timedelta(hours=7, days=days)):%Y-%m-%d-%H-%M}",
            "Status": "available",
            "Source": "automated",
            "ClusterConfiguration": {
                "Name": NAME,
                "Engine": "valkey",
                "EngineVersion": "7.3",
                "Shards": [
                    {"Name": "0001", "Size": f"{12.1 - 0.1 * days:.1f} GB", "SnapshotCreationTime": created}
                ],
            },
        }
        for days in range(2)
    ]


def _listed() -> list[dict[str, Any]]:
    return [
        {
            "Namespace": "AWS/MemoryDB",
            "MetricName": name,
            "Dimensions": [_CLUSTER, {"Name": "NodeName", "Value": node}],
        }
        for name in _SERIES
        for node in _NODES
    ]


def _alarms() -> list[dict[str, Any]]:
    return [
        {
            "AlarmName": f"{NAME} {metric}",
            "MetricName": metric,
            "Namespace": "AWS/MemoryDB",
            "Dimensions": [_CLUSTER],
            "StateValue": "OK",
            "Threshold": threshold,
        }
        for metric, threshold in (("EngineCPUUtilization", 70.0), ("FreeableMemory", 6.5e9))
    ]


def _data(request: dict[str, Any]) -> dict[str, Any]:
    results = []
    for query in request["MetricDataQueries"]:
        stat = query["MetricStat"]
        step = timedelta(seconds=stat["Period"])
        times = []
        at = request["StartTime"].replace(second=0, microsecond=0) + step
        while at <= request["EndTime"]:
            times.append(at)
            at += step
        node = next((d["Value"] for d in stat["Metric"]["Dimensions"] if d["Name"] == "NodeName"), "")
        results.append(
            {
                "Id": query["Id"],
                "Label": node,
                "StatusCode": "Complete",
                "Timestamps": times,
                "Values": [_value(stat["Metric"]["MetricName"], node, at) for at in times],
            }
        )
    return {"MetricDataResults": results}


def _value(metric: str, node: str, at: datetime) -> float:
    """A day's wave with some unrest, the same whenever it is asked for."""
    usual, moved = _SERIES[metric]
    day = math.sin(2 * math.pi * (at.timestamp() / 86_400 - 0.3))
    digest = hashlib.sha256(f"{metric} {node} {int(at.timestamp())}".encode()).digest()
    return usual * (1 + moved * (0.8 * day + 0.4 * (digest[0] / 255 - 0.5)))
