"""The drill on somebody's own cluster: nothing is killed, the service is asked to fail a shard over.

The writes lie under `drill:`, their number is bounded, they have a time to live, and they are deleted
afterwards.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memdb.cluster.client import Client
from memdb.durability import writes
from memdb.durability.drill import OWN, DrillRequest, DrillResult, Under, end_writers, judged, so_far
from memdb.durability.writers import Writer
from memdb.errors import MemDBError, ReadOnlyTarget
from memdb.jobs import Report, silent
from memdb.operations.aws_session import need

MOST = 5_000  # writes of one drill
TTL_S = 3_600  # should the deleting not come to it
_BATCH = 200
_TICK_S = 0.1
_PULL = 0.3  # share of the run after which the failover is asked for


def shard_failover(memorydb: Any, cluster: str, shard: str, *, writable: bool) -> None:
    """Ask MemoryDB to make a replica of the shard its primary.

    Args:
        memorydb: boto3's client.
        cluster: its name.
        shard: its name, mostly "0001".
        writable: whether the target may be written to.

    Raises:
        ReadOnlyTarget: it may not.
        MemDBError: AWS refused, e.g. where the shard has no replica.
    """
    if not writable:
        raise ReadOnlyTarget(
            "FailoverShard",
            "FailoverShard was not sent: this target is read-only.",
            "Open the cluster itself as a writable target.",
        )
    need("memorydb:FailoverShard", lambda: memorydb.failover_shard(ClusterName=cluster, ShardName=shard))


def group_failover(elasticache: Any, group: str, shard: str, *, writable: bool) -> None:
    """Ask ElastiCache to make a replica of the shard its primary: its own test of a failover.

    Args:
        elasticache: boto3's client.
        group: id of the replication group.
        shard: id of the node group, mostly "0001".
        writable: whether the target may be written to.

    Raises:
        ReadOnlyTarget: it may not.
        MemDBError: AWS refused, e.g. where automatic failover is off.
    """
    if not writable:
        raise ReadOnlyTarget(
            "TestFailover",
            "TestFailover was not sent: this target is read-only.",
            "Open the cluster itself as a writable target.",
        )
    need(
        "elasticache:TestFailover",
        lambda: elasticache.test_failover(ReplicationGroupId=group, NodeGroupId=shard),
    )


def run(
    client: Client,
    request: DrillRequest,
    pull: Callable[[], None],
    home: Path,
    *,
    report: Report = silent,
    keep: Callable[[DrillResult], None] | None = None,
) -> DrillResult:
    """Write, have the cluster fail over, look for every acknowledged write, and clean up.

    Args:
        client: of the cluster, writable.
        request: seconds, writers, rate; MOST bounds the writes.
        pull: asks for the failover, see `shard_failover`.
        home: MEMDB_HOME, for the ledger.
        report: progress; may raise Cancelled: the keys are deleted then too.
        keep: given the figures as they are.

    Raises:
        ReadOnlyTarget: the target is read-only; nothing was written.
        MemDBError: the failover was refused, or the cluster is not there any more.
    """
    if not client.target.writable:
        raise ReadOnlyTarget("HSET", "Nothing was written: this target is read-only.", "Open it for writing.")
    name = uuid.uuid4().hex[:8]
    folder = home / "drill" / name
    began = time.monotonic()
    each = Under(OWN, client, folder)
    each.writers = [
        Writer(
            client,
            name,
            i,
            request.rate,
            folder / f"ledger-{i}.txt",
            began,
            most=MOST // request.writers,
            ttl_s=TTL_S,
        )
        for i in range(request.writers)
    ]
    try:
        for writer in each.writers:
            writer.start()
        while (now := time.monotonic() - began) < request.seconds:
            report("Seconds of writing", int(now), int(request.seconds))
            if each.killed_at_s is None and now >= _PULL * request.seconds:
                pull()
                each.killed_at_s = time.monotonic() - began
            if keep is not None:
                keep(DrillResult(request, {OWN: so_far(each)}, False, now))
            if broken := next((w.broken for w in each.writers if w.broken), None):
                raise broken
            time.sleep(_TICK_S)
        end_writers([each])
        report("Comparing with the ledger", 0, 1)
        answered = sum(len(w.noted) + len(w.unanswered) for w in each.writers)
        if answered >= MOST // request.writers * request.writers:
            each.notes.append(f"The writing ended before the time: {MOST:,} writes are the budget.")
        return DrillResult(request, {OWN: judged(each, name)}, True, time.monotonic() - began)
    finally:
        end_writers([each])
        _clean(each, name)
        shutil.rmtree(folder, ignore_errors=True)


def _clean(each: Under, name: str) -> None:
    """Delete what was written, acknowledged or not. What cannot be deleted now goes by its time to live."""
    places = [(e.writer, e.number) for w in each.writers for e in w.noted]
    places += [place for w in each.writers for place in w.unanswered]
    names = [key for writer, number in places for key in writes.keys(name, writer, number)]
    for start in range(0, len(names), _BATCH):
        try:
            each.client.pipeline([("DEL", key) for key in names[start : start + _BATCH]])
        except MemDBError:
            each.notes.append(f"Not all keys under {writes.PREFIX} were deleted; they end within the hour.")
            return
