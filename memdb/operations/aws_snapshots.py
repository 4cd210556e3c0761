"""Snapshots of a cluster of MemoryDB or ElastiCache: list, age, size, cost; create one, copy one to S3.

The boto3 client that is given says of which service.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from memdb.cluster.discover import Service
from memdb.display import duration, line
from memdb.errors import BadInput, ReadOnlyTarget
from memdb.operations.aws_session import need, pages
from memdb.sizing import catalogue

GB = 2**30
# A snapshot starts somewhere in its window of at least an hour, and 10M+ vectors take 15 to 30 minutes.
LATEST = timedelta(hours=27)
_UNITS = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": GB, "tb": 2**40}
_SIZE = re.compile(r"\s*([\d.,]+)\s*([kmgt]?b)\s*", re.IGNORECASE)
_NAME = re.compile(r"[a-z](?:-?[a-z0-9]){0,254}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot."""

    name: str
    source: str  # "automated" or "manual"
    status: str
    made: datetime | None  # of its last shard; None while it is being made
    size_bytes: int | None  # None where AWS does not tell
    engine: str

    def age_s(self, now: datetime) -> float | None:
        """Seconds since it was made."""
        return None if self.made is None else max(0.0, (now - self.made).total_seconds())


@dataclass(frozen=True, slots=True)
class SnapshotCost:
    """What snapshots are billed a month."""

    stored_bytes: int
    free_bytes: int  # AWS bills nothing up to the cluster's own storage
    dollars: float | None  # None where no price is known
    price: float | None  # $ a GB and month
    source: str


def snapshots(client: Any, cluster: str) -> tuple[Snapshot, ...]:
    """Snapshots of a cluster, newest first.

    Raises:
        MemDBError: no permission for DescribeSnapshots, or no answer.
    """
    which = (
        {"ReplicationGroupId": cluster}
        if _is_elasticache(client)
        else {"ClusterName": cluster, "ShowDetail": True}
    )
    entries = need(
        f"{_service(client)}:DescribeSnapshots",
        lambda: pages(client, "describe_snapshots", "Snapshots", **which),
    )
    listed = [_snapshot(entry) for entry in entries]
    return tuple(
        sorted(listed, key=lambda s: (s.made is None, s.made.timestamp() if s.made else 0.0), reverse=True)
    )


def late(listed: tuple[Snapshot, ...], kept_days: int, now: datetime) -> str:
    """Why the newest snapshot is too old for a daily schedule; empty where it is not."""
    ages = [age for s in listed if (age := s.age_s(now)) is not None and s.status in ("", "available")]
    if not ages:
        return "There is no finished snapshot: nothing could be restored after a mistake."
    if min(ages) > LATEST.total_seconds():
        schedule = "a daily schedule" if kept_days else "a day, and no schedule makes new ones"
        return f"The newest snapshot is {duration(min(ages))} old, older than {schedule}."
    return ""


def cost(
    listed: tuple[Snapshot, ...],
    region: str,
    cluster_bytes: int | None = None,
    service: Service = "memorydb",
) -> SnapshotCost:
    """What the snapshots cost a month beyond what is free.

    Args:
        listed: snapshots; those of unknown size count nothing.
        region: for the price.
        cluster_bytes: what the cluster stores; without it, the newest snapshot's size stands for it.
        service: whose snapshots; of ElastiCache's no price is known.
    """
    sizes = [s.size_bytes for s in listed if s.size_bytes]
    stored = sum(sizes)
    newest = next((s.size_bytes for s in listed if s.size_bytes), 0) or 0
    free = newest if cluster_bytes is None else cluster_bytes
    price_list, where = catalogue.load(), region
    if service == "elasticache":
        return SnapshotCost(stored, free, None, None, "no price known")
    price = price_list.find("memorydb/snapshot", region)
    if price is None:
        where = "us-east-1"
        price = price_list.price("memorydb/snapshot", where)
    return SnapshotCost(
        stored, free, max(0, stored - free) / GB * price.value, price.value, f"{price.grade}, {where}"
    )


def create(client: Any, cluster: str, name: str, *, writable: bool) -> Snapshot:
    """Begin a snapshot of the whole cluster.

    Raises:
        ReadOnlyTarget: the target is read-only.
        BadInput: the name is no name for a snapshot.
        MemDBError: AWS refused; at most 20 manual ones a cluster in 24 hours.
    """
    _writes("CreateSnapshot", writable)
    _named(name)
    which = {"ReplicationGroupId" if _is_elasticache(client) else "ClusterName": cluster}
    answer = need(
        f"{_service(client)}:CreateSnapshot", lambda: client.create_snapshot(SnapshotName=name, **which)
    )
    return _snapshot(answer["Snapshot"])


def copy_to_s3(client: Any, source: str, name: str, bucket: str, *, writable: bool) -> Snapshot:
    """Export a snapshot as .rdb files into a bucket of the same Region.

    Raises:
        ReadOnlyTarget: the target is read-only.
        BadInput: a name that S3 or the service would not take.
        MemDBError: AWS refused, mostly because the bucket does not let the service write.
    """
    _writes("CopySnapshot", writable)
    _named(name)
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise BadInput(
            f"'{line(bucket, 80)}' is no bucket's name.", "3 to 63 small letters, digits, dots and dashes."
        )
    answer = need(
        f"{_service(client)}:CopySnapshot",
        lambda: client.copy_snapshot(SourceSnapshotName=source, TargetSnapshotName=name, TargetBucket=bucket),
    )
    return _snapshot(answer["Snapshot"])


def create_command(region: str, cluster: str, name: str, service: Service = "memorydb") -> str:
    """`create` with the AWS CLI."""
    which = "--cluster-name" if service != "elasticache" else "--replication-group-id"
    return shlex.join(
        ("aws", service, "create-snapshot", "--region", region, which, cluster,
         "--snapshot-name", name)
    )  # fmt: skip  # an option and its value side by side


def copy_command(region: str, source: str, name: str, bucket: str, service: Service = "memorydb") -> str:
    """`copy_to_s3` with the AWS CLI."""
    return shlex.join(
        ("aws", service, "copy-snapshot", "--region", region, "--source-snapshot-name", source,
         "--target-snapshot-name", name, "--target-bucket", bucket or "your-bucket")
    )  # fmt: skip  # an option and its value side by side


def size_bytes(text: str) -> int | None:
    """Bytes of AWS's display text, like "11 MB"; None for what is none."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    try:
        return int(float(match[1].replace(",", "")) * _UNITS[match[2].lower()])
    except (ValueError, OverflowError):
        return None


def _service(client: Any) -> str:
    return str(client.meta.service_model.service_name)


def _is_elasticache(client: Any) -> bool:
    return _service(client) == "elasticache"


def _writes(operation: str, writable: bool) -> None:
    if not writable:
        raise ReadOnlyTarget(
            operation,
            f"{operation} was not sent: this target is read-only.",
            "Open the cluster itself as a writable target.",
        )


def _named(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"'{line(name, 80)}' cannot name a snapshot.",
            "Small letters, digits and single dashes, beginning with a letter.",
        )


def _snapshot(entry: dict[str, Any]) -> Snapshot:
    if "SnapshotName" in entry:
        return _of_elasticache(entry)
    settings = entry.get("ClusterConfiguration") or {}
    shards = settings.get("Shards") or ()
    sizes = [size_bytes(str(shard.get("Size", ""))) for shard in shards]
    times = [shard["SnapshotCreationTime"] for shard in shards if shard.get("SnapshotCreationTime")]
    return Snapshot(
        name=str(entry.get("Name", "")),
        source=str(entry.get("Source", "")),
        status=str(entry.get("Status", "")),
        made=max(times) if times else None,
        size_bytes=sum(s for s in sizes if s is not None) if any(s is not None for s in sizes) else None,
        engine=f"{settings.get('Engine', '')} {settings.get('EngineVersion', '')}".strip(),
    )


def _of_elasticache(entry: dict[str, Any]) -> Snapshot:
    nodes = entry.get("NodeSnapshots") or ()
    sizes = [size_bytes(str(node.get("CacheSize", ""))) for node in nodes]
    times = [node["SnapshotCreateTime"] for node in nodes if node.get("SnapshotCreateTime")]
    return Snapshot(
        name=str(entry["SnapshotName"]),
        source=str(entry.get("SnapshotSource", "")),
        status=str(entry.get("SnapshotStatus", "")),
        made=max(times) if times else None,
        size_bytes=sum(s for s in sizes if s is not None) if any(s is not None for s in sizes) else None,
        engine=f"{entry.get('Engine', '')} {entry.get('EngineVersion', '')}".strip(),
    )
