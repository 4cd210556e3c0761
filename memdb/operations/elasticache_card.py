"""An ElastiCache cluster as AWS describes it, against a checklist for production of its own. Only reads.

Source of the checks: the article's, where they hold for both services; ElastiCache User Guide, durability
limitations, for the mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from memdb.cluster import elasticache as known
from memdb.cluster.discover import OPEN_ACCESS
from memdb.errors import NotFound
from memdb.numerals import whole_number
from memdb.operations.aws_card import (
    REPLICAS,
    Card,
    ClusterCheck,
    ClusterNode,
    checked,
    daily_snapshots,
    enough_replicas,
    newest,
    quiet_window,
    several_zones,
)
from memdb.operations.aws_session import Absent, ask, need, pages
from memdb.operations.aws_snapshots import Snapshot
from memdb.sizing.constraints import DURABLE_FAMILIES, MODES, RESERVE, Durability

RESERVED = round(100 * RESERVE)  # percent; AWS's default
_BURSTABLE = ("t2", "t3", "t4g")


def cards(elasticache: Any) -> tuple[Card, ...]:
    """All replication groups of the client's Region, by name. Serverless caches have no card.

    Raises:
        MemDBError: no credentials, no permission for elasticache:DescribeReplicationGroups, or no answer.
    """
    entries = need(
        "elasticache:DescribeReplicationGroups",
        lambda: pages(elasticache, "describe_replication_groups", "ReplicationGroups"),
    )
    nodes = ask(
        "elasticache:DescribeCacheClusters",
        lambda: pages(elasticache, "describe_cache_clusters", "CacheClusters"),
    )
    absent = (nodes,) if isinstance(nodes, Absent) else ()
    node_of = {} if isinstance(nodes, Absent) else {str(node.get("CacheClusterId")): node for node in nodes}
    region = elasticache.meta.region_name
    every = (_card(entry, node_of, region, absent) for entry in entries)
    return tuple(sorted(every, key=lambda card: card.cluster.name))


def card(elasticache: Any, name: str) -> Card:
    """One of them, with the reserved memory of its parameter group.

    Raises:
        NotFound: there is none of that name in the Region.
        MemDBError: as `cards`.
    """
    for each in cards(elasticache):
        if each.cluster.name == name:
            return with_reserve(elasticache, each)
    raise NotFound(name, "replication group in this Region")


def with_reserve(elasticache: Any, card: Card) -> Card:
    """The same card with `reserved_percent`, or why it is not told."""
    group = card.cluster.parameter_group
    if not group:
        return card
    values = ask(
        "elasticache:DescribeCacheParameters",
        lambda: pages(elasticache, "describe_cache_parameters", "Parameters", CacheParameterGroupName=group),
    )
    if isinstance(values, Absent):
        return replace(card, absent=(*card.absent, values))
    parameters = {str(p.get("ParameterName")): str(p.get("ParameterValue", "")) for p in values}
    percent = whole_number(parameters.get("reserved-memory-percent", ""))
    return card if percent is None else replace(card, reserved_percent=percent)


def checklist(
    card: Card,
    snapshots: tuple[Snapshot, ...] | Absent,
    now: datetime,
    needs: Durability = "sync",
) -> tuple[ClusterCheck, ...]:
    """What a cluster in production should have, and what this one has instead.

    Args:
        card: the cluster.
        snapshots: its snapshots, or why they are not known.
        now: with a time zone.
        needs: what the workload needs: sync where no acknowledged write may be lost, async where the last
            10 s may, disabled for a cache.
    """
    about = card.cluster
    modify = (
        f"aws elasticache modify-replication-group --region {about.region} --replication-group-id "
        f"{about.name} --apply-immediately"
    )
    return (
        _durability(card, needs, modify),
        enough_replicas(
            card,
            f"aws elasticache increase-replica-count --region {about.region} --replication-group-id "
            f"{about.name} --new-replica-count {REPLICAS} --apply-immediately",
        ),
        several_zones(card, f"{modify} --multi-az-enabled"),
        checked(
            "Multi-AZ",
            card.multi_az,
            "on" if card.multi_az else "off",
            "on",
            "Turn it on: replicas are kept in other zones, and durability needs it.",
            f"{modify} --multi-az-enabled --automatic-failover-enabled",
        ),
        checked(
            "Automatic failover",
            card.failover,
            "on" if card.failover else "off",
            "on",
            "Turn it on: without it a shard whose primary dies waits for somebody.",
            f"{modify} --automatic-failover-enabled",
        ),
        checked(
            "TLS",
            about.tls,
            "on" if about.tls else "off",
            "on",
            "Allow TLS first, then require it once every client uses it.",
            f"{modify} --transit-encryption-enabled --transit-encryption-mode preferred",
        ),
        checked(
            "Encryption at rest",
            card.at_rest and card.own_key,
            "off" if not card.at_rest else "a KMS key of yours" if card.own_key else "AWS's own key",
            "a customer-managed KMS key",
            "The key is chosen when a cluster is created: restore a snapshot into a new one.",
            f"aws elasticache create-replication-group --replication-group-id {about.name}-kms "
            "--replication-group-description copy --snapshot-name SNAPSHOT --at-rest-encryption-enabled "
            f"--kms-key-id KEY --cache-node-type {about.node_type}",
        ),
        daily_snapshots(card, modify),
        newest(card, snapshots, now),
        quiet_window(card, f"{modify} --preferred-maintenance-window"),
        checked(
            "Log delivery",
            bool(card.logs),
            ", ".join(card.logs) or "none",
            "slow log or engine log",
            "Deliver the slow log: the one in the engine is short and is lost with the node.",
            f"{modify} --log-delivery-configurations LogType=slow-log,DestinationType=cloudwatch-logs,"
            "DestinationDetails={CloudWatchLogsDetails={LogGroup=GROUP}},LogFormat=json,Enabled=true",
        ),
        _family(card, needs, modify),
        checked(
            "Reserved memory",
            None if card.reserved_percent is None else card.reserved_percent >= RESERVED,
            "not available" if card.reserved_percent is None else f"{card.reserved_percent} %",
            f"at least {RESERVED} %",
            "Snapshots and failovers need memory beside the data.",
            "aws elasticache modify-cache-parameter-group --cache-parameter-group-name "
            f"{about.parameter_group} --parameter-name-values "
            f"ParameterName=reserved-memory-percent,ParameterValue={RESERVED}",
        ),
        checked(
            "Access",
            about.acl != OPEN_ACCESS,
            "no user group and no token" if about.acl == OPEN_ACCESS else about.acl,
            "a user group of your users",
            "Everybody gets in who reaches it.",
            f"{modify} --user-group-ids-to-add GROUP",
        ),
        checked(
            "Search",
            about.search,
            about.search_words,
            "on: Valkey 8.2 or later, without data tiering",
            "Search comes with an engine upgrade; there is nothing else to switch on.",
            f"{modify} --engine valkey --engine-version 9.0",
        ),
    )


def _durability(card: Card, needs: Durability, modify: str) -> ClusterCheck:
    about = card.cluster
    wanted = "any" if needs == "disabled" else needs if needs == "sync" else "async or sync"
    effective = about.effective
    passed = None if effective not in MODES else MODES.index(effective) >= MODES.index(needs)
    lacks = [
        what
        for what, there in (
            ("Valkey 9.0 or later", _from_nine(about.engine, about.version)),
            ("cluster mode", card.cluster_mode),
            ("Multi-AZ", card.multi_az),
            ("a replica a shard", bool(card.replicas)),
            ("TLS", about.tls),
            (f"a node family of {', '.join(DURABLE_FAMILIES)}", _family_of(card) in DURABLE_FAMILIES),
        )
        if not there
    ]
    before = f" It needs first: {', '.join(lacks)}." if lacks else ""
    loses = {
        "disabled": "A lost node can lose writes that no replica had.",
        "async": "Up to the last 10 s of acknowledged writes may be lost.",
    }.get(effective, "")
    return checked(
        "Durability",
        passed,
        about.durability_words,
        f"{wanted}, by what you say may be lost",
        f"{loses} Switch {needs} on; since 2026-10-27 a running cluster takes it.{before}".strip(),
        f"{modify} --durability {needs}",
    )


def _family(card: Card, needs: Durability, modify: str) -> ClusterCheck:
    family = _family_of(card)
    good = family in DURABLE_FAMILIES if needs != "disabled" else family not in _BURSTABLE
    wanted = ", ".join(DURABLE_FAMILIES) if needs != "disabled" else "not burstable"
    return checked(
        "Node family",
        None if not family else good,
        family or "not available",
        wanted,
        "Burstable nodes run out of CPU credits, and durability does not take every family.",
        f"{modify} --cache-node-type cache.r7g.large",
    )


def _family_of(card: Card) -> str:
    parts = card.cluster.node_type.split(".")
    return parts[1] if len(parts) == 3 else ""


def _from_nine(engine: str, version: str) -> bool:
    return engine.lower() == "valkey" and (whole_number(version.split(".")[0]) or 0) >= 9


def _card(
    entry: Mapping[str, Any],
    node_of: Mapping[str, Mapping[str, Any]],
    region: str,
    absent: tuple[Absent, ...],
) -> Card:
    members = [str(name) for name in entry.get("MemberClusters") or ()]
    first = next((node_of[name] for name in members if name in node_of), None)
    nodes = []
    for shard in entry.get("NodeGroups") or ():
        for member in shard.get("NodeGroupMembers") or ():
            name = str(member.get("CacheClusterId", ""))
            about = node_of.get(name, {})
            nodes.append(
                ClusterNode(
                    str(shard.get("NodeGroupId", "")),
                    name,
                    str(member.get("PreferredAvailabilityZone", "")),
                    str(about.get("CacheClusterStatus", "not available")),
                    about.get("CacheClusterCreateTime"),
                    str(member.get("CurrentRole", "")),
                )
            )
    logs = entry.get("LogDeliveryConfigurations") or ()
    return Card(
        cluster=known.from_group(entry, first, region),
        nodes=tuple(nodes),
        multi_az=str(entry.get("MultiAZ", "")).lower() == "enabled",
        own_key=bool(entry.get("KmsKeyId")),
        maintenance_window=str((first or {}).get("PreferredMaintenanceWindow", "")),
        snapshot_window=str(entry.get("SnapshotWindow", "")),
        snapshot_days=int(entry.get("SnapshotRetentionLimit") or 0),
        absent=absent,
        at_rest=bool(entry.get("AtRestEncryptionEnabled")),
        failover=str(entry.get("AutomaticFailover", "")).lower() == "enabled",
        cluster_mode=bool(entry.get("ClusterEnabled")),
        logs=tuple(
            sorted(
                str(log.get("LogType", "")) for log in logs if log.get("Status") in ("active", "modifying")
            )
        ),
    )
