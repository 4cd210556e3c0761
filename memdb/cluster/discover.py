"""Clusters of an AWS account, as targets: MemoryDB's here, ElastiCache's in `elasticache`. Only reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from memdb.cluster import aws
from memdb.cluster.target import Iam, Target
from memdb.errors import BadSettings, MemDBError

OPEN_ACCESS = "open-access"
Service = Literal["memorydb", "elasticache"]
SERVICES: tuple[Service, ...] = get_args(Service)
TITLES: dict[Service, str] = {"memorydb": "MemoryDB", "elasticache": "ElastiCache"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster."""

    name: str
    region: str
    status: str
    host: str  # of the cluster endpoint; empty while it is being made
    port: int
    tls: bool
    engine: str
    version: str
    node_type: str
    shards: int
    nodes: int
    acl: str
    parameter_group: str
    search: bool | None  # None: not told, for want of a permission
    service: Service = "memorydb"
    serverless: bool = False  # of ElastiCache; without vector search
    durability: str = ""  # of ElastiCache, as configured: default, disabled, async, sync
    effective: str = ""  # what is in force of it

    @property
    def title(self) -> str:
        """Its name, told apart from a cluster of the other service."""
        return self.name if self.service != "elasticache" else f"{self.name} ({TITLES[self.service]})"

    @property
    def durability_words(self) -> str:
        """For a table."""
        if self.service != "elasticache":
            return "always"
        if self.serverless:
            return "none"
        effective = self.effective or "not available"
        return effective if self.durability in ("", effective) else f"{effective} ({self.durability})"

    @property
    def search_words(self) -> str:
        """For a table."""
        if self.serverless:
            return "none: serverless"
        return {True: "on", False: "off", None: "not available"}[self.search]

    def target(self, user: str = "", *, iam: bool = False) -> Target:
        """How to open it, without a password.

        Args:
            user: of its ACL; empty is the default user, which only `open-access` lets in.
            iam: log in with a token of this machine's AWS credentials.

        Raises:
            BadSettings: it has no endpoint yet or is being deleted, or IAM is wanted without a user or
                without TLS.
        """
        if self.status.startswith("delet"):
            raise BadSettings(f"The cluster '{self.name}' is being deleted.", "Choose another.")
        if not self.host:
            raise BadSettings(
                f"The cluster '{self.name}' has no endpoint yet: it is {self.status}.", "Wait for it."
            )
        return replace(
            Target(
                scheme="rediss" if self.tls else "redis",
                host=self.host,
                port=self.port,
                username=user,
                label=self.name,
                # The safe reading of what is not told: an AWS cluster may well be production.
                kind="production",
            ),
            iam=Iam(self.name, self.region, self.service, self.serverless) if iam else None,
        ).checked()


def clusters(
    region: str = "", *, memorydb: Any = None, problems: list[MemDBError] | None = None
) -> tuple[Cluster, ...]:
    """All clusters of a Region, by name.

    Args:
        region: empty takes that of the environment or the AWS profile.
        memorydb: a boto3 client of MemoryDB.
        problems: gets why it is not told of a cluster whether search is on, once a parameter group.

    Raises:
        BadSettings: no Region is named anywhere.
        LoginFailed: no AWS credentials, or they may not memorydb:DescribeClusters.
        Unreachable: AWS does not answer.
    """
    memorydb = memorydb or aws.client("memorydb", region)
    try:
        pages = memorydb.get_paginator("describe_clusters").paginate(ShowShardDetails=True)
        entries = [entry for page in pages for entry in page.get("Clusters", ())]
    except aws.failures() as exc:
        raise aws.explain(exc) from exc
    groups: dict[str, bool | None] = {}
    for entry in entries:
        group = entry.get("ParameterGroupName", "")
        if group not in groups:
            groups[group] = search_enabled(memorydb, group, problems)
    where = region or memorydb.meta.region_name
    return tuple(
        sorted(
            (
                from_description(entry, where, groups[entry.get("ParameterGroupName", "")])
                for entry in entries
            ),
            key=lambda cluster: cluster.name,
        )
    )


def as_json(cluster: Cluster) -> dict[str, object]:
    """The shape that `memdb targets --discover --json` prints."""
    return {
        "name": cluster.name,
        "region": cluster.region,
        "status": cluster.status,
        "service": cluster.service,
        "address": address(cluster) or None,
        "engine": cluster.engine,
        "version": cluster.version,
        "node_type": cluster.node_type,
        "shards": cluster.shards,
        "nodes": cluster.nodes,
        "acl": cluster.acl,
        "tls": cluster.tls,
        "search": cluster.search,
        "serverless": cluster.serverless,
        "durability": cluster.durability or None,
        "effective_durability": cluster.effective or None,
        "parameter_group": cluster.parameter_group,
    }


def address(cluster: Cluster) -> str:
    """Where it is opened; empty while it is made or deleted."""
    return "" if not cluster.host or cluster.status.startswith("delet") else cluster.target().address


def from_description(entry: dict[str, Any], region: str, search: bool | None) -> Cluster:
    """A cluster as boto3's `describe_clusters` tells it, with shards."""
    endpoint = entry.get("ClusterEndpoint") or {}
    shards = entry.get("Shards") or ()
    return Cluster(
        name=str(entry.get("Name", "")),
        region=region,
        status=str(entry.get("Status", "")),
        host=str(endpoint.get("Address", "")),
        port=int(endpoint.get("Port", 6379)),
        tls=bool(entry.get("TLSEnabled", True)),
        engine=str(entry.get("Engine", "redis")).capitalize(),
        version=str(entry.get("EnginePatchVersion") or entry.get("EngineVersion", "")),
        node_type=str(entry.get("NodeType", "")),
        shards=int(entry.get("NumberOfShards") or len(shards)),
        nodes=sum(int(shard.get("NumberOfNodes") or len(shard.get("Nodes", ()))) for shard in shards),
        acl=str(entry.get("ACLName", "")),
        parameter_group=str(entry.get("ParameterGroupName", "")),
        search=search,
    )


def search_enabled(memorydb: Any, group: str, problems: list[MemDBError] | None = None) -> bool | None:
    """Whether a parameter group turns search on; None where its parameters may not be asked for.

    AWS's own groups tell by their names. `problems` gets why it is not told.
    """
    if group.endswith(".search"):
        return True
    if group.startswith("default.") or not group:
        return False
    try:
        pages = memorydb.get_paginator("describe_parameters").paginate(ParameterGroupName=group)
        values = {p.get("Name"): p.get("Value") for page in pages for p in page.get("Parameters", ())}
    except aws.failures() as exc:  # the list of clusters is worth showing without it
        if problems is not None:
            problems.append(aws.explain(exc))
        return None
    value = values.get("search-enabled")
    return None if value is None else value == "yes"
