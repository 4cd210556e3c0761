"""CloudWatch's figures of a cluster. What exists, and by which dimensions, is asked and not assumed.

The metrics are those that AWS documents (MemoryDB developer guide, metrics.memorydb and metrics.HostLevel;
ElastiCache user guide, metrics for Valkey and Redis OSS, and durability monitoring).
The documents disagree on the node's dimension (NodeId, NodeName), so that only `list_metrics` can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from memdb.cluster.aws import without_ids
from memdb.cluster.discover import SERVICES, Service
from memdb.operations.aws_session import need, pages

NAMESPACE = "AWS/MemoryDB"
CLUSTER = "ClusterName"
ELASTICACHE = "AWS/ElastiCache"
NODE = "CacheClusterId"  # ElastiCache's dimension of a node: orders-0001-001
_PER_CALL = 500  # queries that GetMetricData takes at once
_MOST_POINTS = 1_440  # a chart shows no more
Group = Literal[
    "Memory", "CPU", "Connections", "Search", "Latency", "Replication", "Durability", "Keys", "Other"
]
Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure that CloudWatch keeps."""

    name: str
    group: Group
    unit: str
    statistics: tuple[str, ...]  # the first is what a chart shows at first
    note: str = ""
    of: tuple[Service, ...] = SERVICES


_MEMORYDB: tuple[Service, ...] = ("memorydb",)
_ELASTICACHE: tuple[Service, ...] = ("elasticache",)
_MEAN = ("Average", "Maximum", "Minimum")
_LATENCY = ("p99", "p90", "p50", "Average", "Maximum")
METRICS: tuple[Metric, ...] = (
    Metric("FreeableMemory", "Memory", "bytes", ("Minimum", "Average"), "of the host"),
    Metric("DatabaseMemoryUsagePercentage", "Memory", "%", ("Maximum", "Average"), "used of maxmemory"),
    Metric("BytesUsedForMemoryDB", "Memory", "bytes", ("Maximum", "Average"), "", _MEMORYDB),
    Metric("BytesUsedForCache", "Memory", "bytes", ("Maximum", "Average"), "", _ELASTICACHE),
    Metric("MemoryFragmentationRatio", "Memory", "", _MEAN),
    Metric("SwapUsage", "Memory", "bytes", ("Maximum", "Average"), "of the host"),
    Metric("Evictions", "Memory", "keys", ("Sum",)),
    Metric("CPUUtilization", "CPU", "%", ("Maximum", "Average"), "of the host"),
    Metric("EngineCPUUtilization", "CPU", "%", ("Maximum", "Average"), "the engine's thread; from 4 vCPU on"),
    Metric("CurrConnections", "Connections", "connections", ("Maximum", "Average")),
    Metric("NewConnections", "Connections", "connections", ("Sum",)),
    Metric("AuthenticationFailures", "Connections", "attempts", ("Sum",), "logins that were refused"),
    Metric(
        "CommandAuthorizationFailures",
        "Connections",
        "calls",
        ("Sum",),
        "commands that a user's ACL does not allow",
    ),
    Metric(
        "KeyAuthorizationFailures",
        "Connections",
        "calls",
        ("Sum",),
        "keys that a user's ACL does not allow",
    ),
    Metric("ErrorCount", "Connections", "calls", ("Sum",), "commands that failed", _MEMORYDB),
    Metric("SearchNumberOfIndexes", "Search", "indexes", ("Maximum",)),
    Metric("SearchNumberOfIndexedKeys", "Search", "keys", ("Maximum", "Minimum")),
    Metric("SearchTotalIndexSize", "Search", "bytes", ("Maximum",)),
    Metric("SearchBasedCmds", "Search", "commands", ("Sum",)),
    Metric("SearchBasedGetCmds", "Search", "commands", ("Sum",)),
    Metric("SearchBasedSetCmds", "Search", "commands", ("Sum",)),
    Metric("SuccessfulReadRequestLatency", "Latency", "µs", _LATENCY, "Valkey from 7.2 on"),
    Metric("SuccessfulWriteRequestLatency", "Latency", "µs", _LATENCY, "Valkey from 7.2 on"),
    Metric("ReplicationLag", "Replication", "s", ("Maximum", "Average"), "of replicas"),
    Metric("ReplicationBytes", "Replication", "bytes", ("Sum", "Average")),
    Metric(
        "PrimaryLinkHealthStatus",
        "Replication",
        "",
        ("Minimum",),
        "1: the link to the primary is up",
        _MEMORYDB,
    ),
    Metric(
        "MasterLinkHealthStatus",
        "Replication",
        "",
        ("Minimum",),
        "1: the link to the primary is up",
        _ELASTICACHE,
    ),
    Metric("IsPrimary", "Replication", "", ("Minimum", "Maximum"), "1: this node is the primary", _MEMORYDB),
    Metric("IsMaster", "Replication", "", ("Minimum", "Maximum"), "1: this node is a primary", _ELASTICACHE),
    Metric(
        "MaxReplicationThroughput",
        "Replication",
        "bytes/s",
        ("Maximum",),
        "highest in a minute; the primary is throttled at about 100 MB/s",
        _MEMORYDB,
    ),
    Metric(
        "ReplicationDelayedWriteCommands",
        "Replication",
        "commands",
        ("Sum",),
        "writes that the limit of about 100 MB/s held back",
        _MEMORYDB,
    ),
    Metric(
        "DurabilityLag",
        "Durability",
        "ms",
        ("Maximum", "Average"),
        "age of the oldest write that is not in the log; at 10,000 writes are refused; 0 with sync",
        _ELASTICACHE,
    ),
    Metric(
        "DurabilityBufferExceededErrorCount",
        "Durability",
        "commands",
        ("Sum",),
        "writes refused because the log was 10 s behind; 0 with sync",
        _ELASTICACHE,
    ),
    Metric(
        "TrafficManagementActive",
        "Durability",
        "",
        ("Maximum",),
        "1: writes are throttled to what the log or the node takes",
        _ELASTICACHE,
    ),
    Metric("CurrItems", "Keys", "keys", ("Maximum", "Average")),
    Metric("KeyspaceHits", "Keys", "reads", ("Sum",), "", _MEMORYDB),
    Metric("KeyspaceMisses", "Keys", "reads", ("Sum",), "", _MEMORYDB),
    Metric("CacheHits", "Keys", "reads", ("Sum",), "", _ELASTICACHE),
    Metric("CacheMisses", "Keys", "reads", ("Sum",), "", _ELASTICACHE),
)
GROUPS = ("Memory", "CPU", "Connections", "Search", "Latency", "Replication", "Durability", "Keys")


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """One series that CloudWatch has: a metric and its dimensions."""

    metric: str
    dimensions: Dimensions
    namespace: str = NAMESPACE

    @property
    def node(self) -> str:
        """Which node it is of; empty for a series of the whole cluster."""
        if self.namespace == ELASTICACHE:
            return dict(self.dimensions).get(NODE, "")
        return " ".join(value for name, value in self.dimensions if name != CLUSTER)


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one series over time."""

    metric: str
    node: str
    statistic: str
    times: tuple[datetime, ...]
    values: tuple[float, ...]
    problem: str = ""  # what CloudWatch said of it, where it is not whole


def metric(name: str) -> Metric:
    """What is known of a metric; one that is not listed here has no unit."""
    return next(
        (m for m in METRICS if m.name == name), Metric(name, "Other", "", ("Average", "Maximum", "Sum"))
    )


def listed(cloudwatch: Any, cluster: str) -> tuple[ListedSeries, ...]:
    """All series of a cluster that had a value in the last two weeks.

    Raises:
        MemDBError: no permission for cloudwatch:ListMetrics, or no answer.
    """
    entries = need(
        "cloudwatch:ListMetrics",
        lambda: pages(
            cloudwatch,
            "list_metrics",
            "Metrics",
            Namespace=NAMESPACE,
            Dimensions=[{"Name": CLUSTER, "Value": cluster}],
        ),
    )
    return tuple(
        sorted(
            {ListedSeries(str(entry.get("MetricName", "")), _dimensions(entry)) for entry in entries},
            key=lambda series: (series.metric, series.dimensions),
        )
    )


def listed_nodes(cloudwatch: Any, nodes: Sequence[str]) -> tuple[ListedSeries, ...]:
    """The same of ElastiCache, which has no dimension for a whole cluster: of each node by its name.

    Raises:
        MemDBError: no permission for cloudwatch:ListMetrics, or no answer.
    """
    series: set[ListedSeries] = set()
    for node in nodes:
        wanted = [{"Name": NODE, "Value": node}]
        entries = need(
            "cloudwatch:ListMetrics",
            partial(pages, cloudwatch, "list_metrics", "Metrics", Namespace=ELASTICACHE, Dimensions=wanted),
        )
        series |= {
            ListedSeries(str(entry.get("MetricName", "")), _dimensions(entry), ELASTICACHE)
            for entry in entries
        }
    return tuple(sorted(series, key=lambda each: (each.metric, each.dimensions)))


def chosen(every: Sequence[ListedSeries], name: str) -> tuple[ListedSeries, ...]:
    """The series of one metric to draw: one a node; that of the whole cluster only where there is no other.

    An average over the cluster mixes its primaries and replicas.
    """
    mine = tuple(series for series in every if series.metric == name)
    if any(series.namespace == ELASTICACHE for series in mine):
        # The same node stands there with and without CacheNodeId: once is enough.
        once = {series.node: series for series in sorted(mine, key=lambda s: len(s.dimensions))}
        return tuple(once[node] for node in sorted(once))
    return tuple(series for series in mine if series.node) or mine


def read(
    cloudwatch: Any, wanted: Iterable[ListedSeries], statistic: str, hours: float, now: datetime
) -> tuple[Series, ...]:
    """Values of series.

    Args:
        cloudwatch: a boto3 client.
        wanted: of which series.
        statistic: Average, Minimum, Maximum, Sum, or a percentile such as p99.
        hours: how far back.
        now: with a time zone.

    Raises:
        MemDBError: no permission for cloudwatch:GetMetricData, throttled, or no answer.
    """
    series = tuple(wanted)
    answered: list[Series] = []
    for start in range(0, len(series), _PER_CALL):
        answered += _read(cloudwatch, series[start : start + _PER_CALL], statistic, hours, now)
    return tuple(answered)


def period_s(hours: float) -> int:
    """Seconds of a point: CloudWatch keeps minutes for 15 days, five for 63 days, then hours."""
    if hours <= 12:
        return 60
    wanted = hours * 3600 / _MOST_POINTS
    return next((p for p in (60, 300, 900, 3600) if p >= wanted), 21_600)


def _read(
    cloudwatch: Any, series: tuple[ListedSeries, ...], statistic: str, hours: float, now: datetime
) -> list[Series]:
    queries = [
        {
            "Id": f"q{i}",
            "MetricStat": {
                "Metric": {
                    "Namespace": entry.namespace,
                    "MetricName": entry.metric,
                    "Dimensions": [{"Name": n, "Value": v} for n, v in entry.dimensions],
                },
                "Period": period_s(hours),
                "Stat": statistic,
            },
        }
        for i, entry in enumerate(series)
    ]
    answers = need(
        "cloudwatch:GetMetricData",
        lambda: pages(
            cloudwatch,
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=queries,
            StartTime=now - timedelta(hours=hours),
            EndTime=now,
            ScanBy="TimestampAscending",
        ),
    )
    points: dict[str, dict[datetime, float]] = {}
    problems: dict[str, str] = {}
    for answer in answers:
        series_points = points.setdefault(answer["Id"], {})
        series_points.update(zip(answer.get("Timestamps", ()), answer.get("Values", ()), strict=False))
        state = answer.get("StatusCode", "Complete")
        messages = " ".join(str(m.get("Value", "")) for m in answer.get("Messages", ()))
        # "PartialData" of a page that another page follows is no problem.
        problems[answer["Id"]] = (
            "" if state == "Complete" else without_ids(messages or f"CloudWatch says {state}.")
        )
    return [
        Series(
            entry.metric,
            entry.node,
            statistic,
            tuple(sorted(points.get(f"q{i}", {}))),
            tuple(value for _, value in sorted(points.get(f"q{i}", {}).items())),
            problems.get(f"q{i}", ""),
        )
        for i, entry in enumerate(series)
    ]


def _dimensions(entry: dict[str, Any]) -> Dimensions:
    return tuple(
        sorted((str(d.get("Name", "")), str(d.get("Value", ""))) for d in entry.get("Dimensions", ()))
    )
