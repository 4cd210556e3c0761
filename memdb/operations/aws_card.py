"""A MemoryDB cluster as AWS describes it, held against the article's checklist for production. Only reads.

ElastiCache's are in `elasticache_card`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from memdb.cluster import discover
from memdb.cluster.discover import OPEN_ACCESS, Cluster
from memdb.errors import NotFound
from memdb.operations.aws_session import Absent, ask, need, pages
from memdb.operations.aws_snapshots import Snapshot, create_command, late

Outcome = Literal["pass", "fail", "unknown"]
REPLICAS, DAYS = 2, 7  # the article's "Multi-AZ deployment configuration"
WINDOW = "sun:03:00-sun:05:00"
_NIGHT = range(6)  # hours, UTC, that count as low traffic unless the user's own traffic says otherwise


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One node. MemoryDB's API does not say which is the primary; ElastiCache's does without cluster mode."""

    shard: str
    name: str
    zone: str
    status: str
    made: datetime | None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What AWS says of one cluster."""

    cluster: Cluster
    nodes: tuple[ClusterNode, ...]
    multi_az: bool
    own_key: bool  # data at rest is always encrypted; with a KMS key of the account, or with AWS's
    maintenance_window: str
    snapshot_window: str
    snapshot_days: int
    absent: tuple[Absent, ...] = ()
    # Of ElastiCache; MemoryDB is encrypted at rest, fails over and runs in cluster mode always.
    at_rest: bool = True
    failover: bool = True
    cluster_mode: bool = True
    logs: tuple[str, ...] = ()  # kinds that are delivered
    reserved_percent: int | None = None  # of a node's memory, for what is no data

    @property
    def node_names(self) -> tuple[str, ...]:
        """All nodes, as CloudWatch and the API name them."""
        return tuple(node.name for node in self.nodes)

    @property
    def zones(self) -> tuple[str, ...]:
        """All zones with a node."""
        return tuple(sorted({node.zone for node in self.nodes if node.zone}))

    @property
    def replicas(self) -> int | None:
        """Replicas of the shard that has fewest; None where shards are not told."""
        nodes_of = Counter(node.shard for node in self.nodes)
        return min(nodes_of.values()) - 1 if nodes_of else None


@dataclass(frozen=True, slots=True)
class ClusterCheck:
    """One line of the checklist."""

    name: str
    outcome: Outcome
    saw: str
    wanted: str
    fix: str  # in words; empty where it passed
    command: str = ""  # of the AWS CLI


def cards(memorydb: Any) -> tuple[Card, ...]:
    """All clusters of the client's Region, by name.

    Raises:
        MemDBError: no credentials, no permission for memorydb:DescribeClusters, or no answer.
    """
    entries = need(
        "memorydb:DescribeClusters",
        lambda: pages(memorydb, "describe_clusters", "Clusters", ShowShardDetails=True),
    )
    return tuple(sorted((_card(memorydb, entry) for entry in entries), key=lambda card: card.cluster.name))


def card(memorydb: Any, name: str) -> Card:
    """One cluster.

    Raises:
        NotFound: there is none of that name in the Region.
        MemDBError: as `cards`.
    """
    for each in cards(memorydb):
        if each.cluster.name == name:
            return each
    raise NotFound(name, "cluster in this Region")


def checklist(
    card: Card, snapshots: tuple[Snapshot, ...] | Absent, now: datetime
) -> tuple[ClusterCheck, ...]:
    """The article's production settings, and what this cluster has instead.

    Args:
        card: the cluster.
        snapshots: its snapshots, or why they are not known.
        now: with a time zone.
    """
    name = card.cluster.name
    update = f"aws memorydb update-cluster --region {card.cluster.region} --cluster-name {name}"
    add_replicas = f"{update} --replica-configuration ReplicaCount={REPLICAS}"
    return (
        enough_replicas(card, add_replicas),
        several_zones(card, add_replicas),
        checked(
            "TLS",
            card.cluster.tls,
            "on" if card.cluster.tls else "off",
            "on",
            "It is chosen when a cluster is created: restore a snapshot into a new one with TLS.",
            f"aws memorydb create-cluster --cluster-name {name}-tls --snapshot-name SNAPSHOT --tls-enabled "
            f"--node-type {card.cluster.node_type} --acl-name ACL",
        ),
        checked(
            "Encryption at rest",
            card.own_key,
            "a KMS key of yours" if card.own_key else "AWS's own key",
            "a customer-managed KMS key",
            "Data is encrypted, but with a key you can neither rotate nor revoke. The key is chosen when a "
            "cluster is created: restore a snapshot into a new one.",
            f"aws memorydb create-cluster --cluster-name {name}-kms --snapshot-name SNAPSHOT "
            f"--kms-key-id KEY --node-type {card.cluster.node_type} --acl-name ACL",
        ),
        daily_snapshots(card, update),
        newest(card, snapshots, now),
        quiet_window(card, f"{update} --maintenance-window"),
        checked(
            "Access",
            card.cluster.acl != OPEN_ACCESS,
            card.cluster.acl or "not available",
            "an ACL of your users",
            "open-access lets everybody in who reaches it.",
            f"{update} --acl-name ACL",
        ),
        checked(
            "Search",
            card.cluster.search,
            card.cluster.search_words,
            "on",
            "It is chosen when a cluster is created, by a parameter group with search.",
            f"aws memorydb describe-parameters --parameter-group-name {card.cluster.parameter_group}",
        ),
    )


def _fewest_zones(card: Card) -> int | None:
    """Zones of the shard that lies in fewest; None where nodes are not told."""
    per_shard: dict[str, set[str]] = {}
    for node in card.nodes:
        per_shard.setdefault(node.shard, set()).add(node.zone)
    return min((len(zones) for zones in per_shard.values()), default=None)


def newest(card: Card, snapshots: tuple[Snapshot, ...] | Absent, now: datetime) -> ClusterCheck:
    """Whether the newest snapshot is young enough."""
    wanted = "one in the last day"
    if isinstance(snapshots, Absent):
        return ClusterCheck("Newest snapshot", "unknown", snapshots.words, wanted, "")
    warning = late(snapshots, card.snapshot_days, now)
    times = [s.made for s in snapshots if s.made is not None]
    saw = f"{max(times):%Y-%m-%d %H:%M} UTC" if times else "there is none"
    about = card.cluster
    name = f"{about.name}-{now:%Y%m%d-%H%M}"
    command = create_command(about.region, about.name, name, about.service)
    return checked("Newest snapshot", not warning, saw, wanted, warning, command)


def enough_replicas(card: Card, fix: str) -> ClusterCheck:
    """Whether each shard has as many as the article wants.

    Args:
        card: the cluster.
        fix: the command that adds them.
    """
    return checked(
        "Replicas",
        None if card.replicas is None else card.replicas >= REPLICAS,
        "not available" if card.replicas is None else f"{card.replicas} a shard",
        f"at least {REPLICAS} a shard",
        "Add replicas: one can be promoted at once while another is replaced.",
        fix,
    )


def several_zones(card: Card, fix: str) -> ClusterCheck:
    """Whether the nodes of each shard lie in different zones.

    Args:
        card: the cluster.
        fix: the command that spreads them, once its subnet group has other zones.
    """
    fewest = _fewest_zones(card)
    return checked(
        "Zones",
        None if fewest is None else fewest >= 2,
        ", ".join(card.zones) or "not available",
        "nodes of each shard in different zones",
        "Add subnets of other zones to its subnet group, then replicas.",
        fix,
    )


def daily_snapshots(card: Card, modify: str) -> ClusterCheck:
    """Whether they are made and kept long enough.

    Args:
        card: the cluster.
        modify: the command that changes it, without options.
    """
    return checked(
        "Daily snapshots",
        card.snapshot_days >= DAYS,
        f"kept {card.snapshot_days} days" if card.snapshot_days else "none are made",
        f"kept {DAYS} days",
        "Turn them on, or keep them longer.",
        f"{modify} --snapshot-retention-limit {DAYS} --snapshot-window 01:00-02:00",
    )


def quiet_window(card: Card, move: str) -> ClusterCheck:
    """Whether AWS works on the cluster when few use it.

    Args:
        card: the cluster.
        move: the command that moves its window, but for the window.
    """
    return checked(
        "Maintenance window",
        at_night(card.maintenance_window),
        f"{card.maintenance_window} UTC" if card.maintenance_window else "not available",
        f"in low traffic, e.g. {WINDOW} UTC",
        "Move it into your quiet hours: without figures of your traffic, 00:00 to 06:00 UTC counts.",
        f"{move} {WINDOW}",
    )


def checked(name: str, passed: bool | None, saw: str, wanted: str, fix: str, command: str) -> ClusterCheck:
    """A line of the checklist; `passed` None is not told."""
    if passed is None:
        return ClusterCheck(name, "unknown", saw, wanted, "")
    return (
        ClusterCheck(name, "pass", saw, wanted, "")
        if passed
        else ClusterCheck(name, "fail", saw, wanted, fix, command)
    )


def at_night(window: str) -> bool | None:
    """Whether a window like sun:03:00-sun:05:00 begins and ends in the quiet hours; None where it is none."""
    parts = window.split("-")
    try:
        began, ended = (tuple(int(n) for n in part.split(":")[1:]) for part in parts)
        return began[0] in _NIGHT and (ended[0] in _NIGHT or ended == (6, 0))
    except (ValueError, IndexError):
        return None


def _card(memorydb: Any, entry: dict[str, Any]) -> Card:
    group = str(entry.get("ParameterGroupName", ""))
    absent: tuple[Absent, ...] = ()
    search: bool | None = group.endswith(".search")
    if group and not search and not group.startswith("default."):
        values = ask(
            "memorydb:DescribeParameters",
            lambda: pages(memorydb, "describe_parameters", "Parameters", ParameterGroupName=group),
        )
        if isinstance(values, Absent):
            search, absent = None, (values,)
        else:
            enabled = {str(p.get("Name")): p.get("Value") for p in values}.get("search-enabled")
            search = None if enabled is None else enabled == "yes"
    return Card(
        cluster=discover.from_description(entry, memorydb.meta.region_name, search),
        nodes=tuple(
            ClusterNode(
                str(shard.get("Name", "")),
                str(node.get("Name", "")),
                str(node.get("AvailabilityZone", "")),
                str(node.get("Status", "")),
                node.get("CreateTime"),
            )
            for shard in entry.get("Shards") or ()
            for node in shard.get("Nodes") or ()
        ),
        multi_az=str(entry.get("AvailabilityMode", "")).lower() == "multiaz",
        own_key=bool(entry.get("KmsKeyId")),
        maintenance_window=str(entry.get("MaintenanceWindow", "")),
        snapshot_window=str(entry.get("SnapshotWindow", "")),
        snapshot_days=int(entry.get("SnapshotRetentionLimit") or 0),
        absent=absent,
    )
