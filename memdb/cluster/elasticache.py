"""ElastiCache for Valkey: replication groups and serverless caches of an account, as clusters. Only reads.

Source: botocore's model of elasticache (`ReplicationGroup`, `CacheCluster`, `ServerlessCache`); which
versions have search: ElastiCache User Guide, search features and limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from memdb.cluster import aws, discover
from memdb.cluster.discover import OPEN_ACCESS, Cluster, Service
from memdb.errors import MemDBError

SEARCH_FROM = (8, 2)  # of Valkey
_NUMBERS = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Found:
    """Clusters of a Region, and what could not be asked."""

    clusters: tuple[Cluster, ...]
    problems: tuple[MemDBError, ...]


def everything(region: str = "", *, client: Callable[[str, str], Any] = aws.client) -> Found:
    """MemoryDB's and ElastiCache's clusters of a Region; one service that cannot be asked leaves the other.

    Args:
        region: empty takes that of the environment or the AWS profile.
        client: makes boto3's client of a service in a Region.

    Raises:
        MemDBError: neither could be asked.
    """
    partial: list[MemDBError] = []  # clusters are told, a part of them is not
    kinds: tuple[tuple[Service, Callable[[str, Any], tuple[Cluster, ...]]], ...] = (
        ("memorydb", lambda where, service: discover.clusters(where, memorydb=service, problems=partial)),
        ("elasticache", lambda where, service: groups(where, elasticache=service, problems=partial)),
        ("elasticache", lambda where, service: serverless(where, elasticache=service)),
    )
    clusters: list[Cluster] = []
    problems: list[MemDBError] = []
    for service, read in kinds:
        try:
            clusters += read(region, client(service, region))
        except MemDBError as exc:
            problems.append(exc)
    if len(problems) == len(kinds):
        raise problems[0]
    return Found(tuple(sorted(clusters, key=lambda c: (c.name, c.service))), (*problems, *partial))


def groups(
    region: str = "", *, elasticache: Any = None, problems: list[MemDBError] | None = None
) -> tuple[Cluster, ...]:
    """All replication groups of a Region, by name; without versions where their nodes may not be asked for.

    Args:
        region: empty takes that of the environment or the AWS profile.
        elasticache: a boto3 client of ElastiCache.
        problems: gets why the versions are not told.

    Raises:
        MemDBError: no AWS credentials, no permission for elasticache:DescribeReplicationGroups, or no answer.
    """
    elasticache = elasticache or aws.client("elasticache", region)
    entries = _all(elasticache, "describe_replication_groups", "ReplicationGroups")
    try:
        members = members_of(_all(elasticache, "describe_cache_clusters", "CacheClusters"))
    except MemDBError as exc:
        members = {}
        if problems is not None:
            problems.append(exc)
    where = region or elasticache.meta.region_name
    return tuple(
        sorted(
            (
                from_group(entry, members.get(str(entry.get("ReplicationGroupId"))), where)
                for entry in entries
            ),
            key=lambda cluster: cluster.name,
        )
    )


def serverless(region: str = "", *, elasticache: Any = None) -> tuple[Cluster, ...]:
    """All serverless caches of a Region, by name: they have no vector search and no durability.

    Raises:
        MemDBError: no AWS credentials, no permission for elasticache:DescribeServerlessCaches, or no answer.
    """
    elasticache = elasticache or aws.client("elasticache", region)
    entries = _all(elasticache, "describe_serverless_caches", "ServerlessCaches")
    where = region or elasticache.meta.region_name
    return tuple(sorted((_from_cache(entry, where) for entry in entries), key=lambda cluster: cluster.name))


def members_of(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One node of each replication group, which tells version, parameter group and maintenance window."""
    return {str(e["ReplicationGroupId"]): e for e in reversed(entries) if e.get("ReplicationGroupId")}


def from_group(entry: Mapping[str, Any], member: Mapping[str, Any] | None, region: str) -> Cluster:
    """A replication group as boto3 tells it, with one of its nodes."""
    shards = entry.get("NodeGroups") or ()
    first = shards[0] if shards else {}
    endpoint = entry.get("ConfigurationEndpoint") or first.get("PrimaryEndpoint") or {}
    described = member or {}
    engine = str(entry.get("Engine") or described.get("Engine") or "redis")
    version = str(described.get("EngineVersion", ""))
    tiered = str(entry.get("DataTiering", "")).lower() == "enabled"
    users = ", ".join(map(str, entry.get("UserGroupIds") or ()))
    return Cluster(
        name=str(entry.get("ReplicationGroupId", "")),
        region=region,
        status=str(entry.get("Status", "")),
        host=str(endpoint.get("Address") or ""),
        port=int(endpoint.get("Port") or 6379),
        tls=bool(entry.get("TransitEncryptionEnabled")),
        engine=engine.capitalize(),
        version=version,
        node_type=str(entry.get("CacheNodeType") or described.get("CacheNodeType") or ""),
        shards=len(shards),
        nodes=sum(len(shard.get("NodeGroupMembers") or ()) for shard in shards)
        or len(entry.get("MemberClusters") or ()),
        acl=users or ("AUTH token" if entry.get("AuthTokenEnabled") else OPEN_ACCESS),
        parameter_group=str((described.get("CacheParameterGroup") or {}).get("CacheParameterGroupName", "")),
        search=has_search(engine, version, tiered=tiered),
        service="elasticache",
        durability=str(entry.get("Durability", "")),
        effective=str(entry.get("EffectiveDurability", "")),
    )


def has_search(engine: str, version: str, *, tiered: bool = False) -> bool | None:
    """Whether a node-based cluster has vector search: Valkey from 8.2 on, without data tiering.

    None where the version is not told.
    """
    if engine.lower() != "valkey" or tiered:
        return False
    numbers = _NUMBERS.match(version)
    return None if numbers is None else (int(numbers[1]), int(numbers[2])) >= SEARCH_FROM


def _from_cache(entry: Mapping[str, Any], region: str) -> Cluster:
    endpoint = entry.get("Endpoint") or {}
    return Cluster(
        name=str(entry.get("ServerlessCacheName", "")),
        region=region,
        status=str(entry.get("Status", "")),
        host=str(endpoint.get("Address") or ""),
        port=int(endpoint.get("Port") or 6379),
        tls=True,  # serverless caches take nothing else
        engine=str(entry.get("Engine", "")).capitalize(),
        version=str(entry.get("FullEngineVersion") or entry.get("MajorEngineVersion") or ""),
        node_type="serverless",
        shards=0,
        nodes=0,
        acl=str(entry.get("UserGroupId") or OPEN_ACCESS),
        parameter_group="",
        search=False,
        service="elasticache",
        serverless=True,
    )


def _all(client: Any, operation: str, key: str) -> list[dict[str, Any]]:
    try:
        return [entry for page in client.get_paginator(operation).paginate() for entry in page.get(key, ())]
    except aws.failures() as exc:
        raise aws.explain(exc) from exc
