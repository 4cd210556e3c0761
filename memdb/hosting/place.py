"""Where the app would be served: the cluster, its network and its user, as AWS tells them. Only reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memdb.cluster import aws, discover, elasticache
from memdb.cluster.discover import TITLES, Cluster, Service
from memdb.errors import BadInput, NotFound
from memdb.operations.aws_session import Absent, ask, need, pages

Style = Literal["host", "team"]
STYLES: tuple[Style, ...] = ("host", "team")
# What a subnet without a way out needs as endpoints of its VPC.
NEEDS: dict[Style, tuple[str, ...]] = {
    "host": ("ssm", "ssmmessages", "s3", "logs"),
    "team": ("ecr.api", "ecr.dkr", "s3", "logs", "secretsmanager"),
}
_WHAT = {"host": "Session Manager and its installation need", "team": "its container needs"}
Client = Callable[[str, str], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """All that the templates want to know of AWS.

    Attributes:
        notes: what could not be told, in words.
    """

    cluster: Cluster
    cluster_arn: str
    security_group: str
    vpc: str
    subnets: tuple[str, ...]
    user: str
    user_arn: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Described:
    cluster: Cluster
    arn: str
    groups: tuple[str, ...]
    subnet_group: str
    logins: tuple[str, ...]  # the ACL, or the user groups, whose users the cluster lets in


def read(
    name: str,
    region: str,
    *,
    user: str = "",
    style: Style,
    service: Service = "memorydb",
    subnets: Sequence[str] = (),
    client: Client = aws.client,
) -> Place:
    """Ask AWS.

    Args:
        name: of the cluster; of ElastiCache that of the replication group.
        region: e.g. eu-west-1.
        user: of the cluster, with authentication mode IAM; empty takes the only such user.
        style: which templates; they need different things of the network.
        service: whose cluster.
        subnets: to take instead of the cluster's own; in the same VPC.
        client: makes boto3's client of a service in a Region.

    Raises:
        BadInput: there is no such Region; the cluster has no search, no TLS or no endpoint; a subnet lies in
            another VPC or lacks what the style needs; the user does not log in with IAM; none is given
            and there is not just one.
        NotFound: there is no such cluster, subnet or user.
        MemDBError: no credentials, a missing permission, or no answer.
    """
    _known_region(region, service)
    database = client(service, region)
    read_place = (
        _group(database, name, region) if service == "elasticache" else _memorydb(database, name, region)
    )
    cluster = read_place.cluster
    _fit(cluster)
    notes = [] if cluster.search else ["Whether the cluster has search is not known."]
    vpc, own = _subnet_group(database, read_place.subnet_group, service)
    if not read_place.groups:
        raise BadInput(
            f"AWS names no security group of the cluster '{name}'.",
            "Give it one: the explorer needs a rule in it.",
        )
    chosen = _subnets(client("ec2", region), tuple(subnets) or own, vpc, style, region, named=bool(subnets))
    user, more = _user(database, user, service, read_place.logins)
    notes += more
    separator = ":" if service == "elasticache" else "/"
    prefix = ":".join(read_place.arn.split(":")[:5])
    return Place(
        cluster,
        read_place.arn,
        read_place.groups[0],
        vpc,
        chosen,
        user,
        f"{prefix}:user{separator}{user}",
        tuple(notes),
    )


def _known_region(region: str, service: Service) -> None:
    opened = aws.session()
    regions = [r for p in opened.get_available_partitions() for r in opened.get_available_regions(service, p)]
    if region not in regions:
        near = difflib.get_close_matches(region, regions, 3)
        raise BadInput(
            f"There is no Region '{region}' with {TITLES[service]}, as far as this boto3 knows.",
            f"Did you mean {' or '.join(near)}?" if near else "Name one with --region, e.g. eu-west-1.",
        )


def _memorydb(memorydb: Any, name: str, region: str) -> _Described:
    entries = need(
        "memorydb:DescribeClusters",
        lambda: pages(memorydb, "describe_clusters", "Clusters", ShowShardDetails=True),
    )
    entry = _one(entries, "Name", name, "memorydb", region)
    search = discover.search_enabled(memorydb, entry.get("ParameterGroupName", ""))
    return _Described(
        discover.from_description(entry, region, search),
        str(entry.get("ARN", "")),
        tuple(str(group.get("SecurityGroupId")) for group in entry.get("SecurityGroups") or ()),
        str(entry.get("SubnetGroupName", "")),
        tuple(filter(None, [str(entry.get("ACLName") or "")])),
    )


def _group(client: Any, name: str, region: str) -> _Described:
    caches = ask(
        "elasticache:DescribeServerlessCaches",
        lambda: pages(client, "describe_serverless_caches", "ServerlessCaches"),
    )
    if not isinstance(caches, Absent) and any(c.get("ServerlessCacheName") == name for c in caches):
        raise BadInput(
            f"'{name}' is a serverless cache, which has no vector search.",
            "Name a node-based cluster of Valkey 8.2 or later.",
        )
    entries = need(
        "elasticache:DescribeReplicationGroups",
        lambda: pages(client, "describe_replication_groups", "ReplicationGroups"),
    )
    entry = _one(entries, "ReplicationGroupId", name, "elasticache", region)
    nodes = need(
        "elasticache:DescribeCacheClusters", lambda: pages(client, "describe_cache_clusters", "CacheClusters")
    )
    member = elasticache.members_of(nodes).get(name, {})
    return _Described(
        elasticache.from_group(entry, member, region),
        str(entry.get("ARN", "")),
        tuple(str(group.get("SecurityGroupId")) for group in member.get("SecurityGroups") or ()),
        str(member.get("CacheSubnetGroupName", "")),
        tuple(map(str, entry.get("UserGroupIds") or ())),
    )


def _one(entries: list[dict[str, Any]], key: str, name: str, service: Service, region: str) -> dict[str, Any]:
    for entry in entries:
        if entry.get(key) == name:
            return entry
    names = ", ".join(sorted(str(entry.get(key)) for entry in entries)) or "none"
    raise BadInput(
        f"There is no {TITLES[service]} cluster '{name}' in {region}.",
        f"There are: {names}. `memdb targets --discover {region}` lists those of both services.",
    )


def _fit(cluster: Cluster) -> None:
    cluster.target()  # it has an endpoint, and stays
    if not cluster.tls:
        raise BadInput(
            f"The cluster '{cluster.name}' speaks without TLS, and a login with IAM needs it.",
            "TLS is chosen when a cluster is created: restore a snapshot into a new one.",
        )
    if cluster.search is False:
        way = (
            "Valkey 8.2 or later, without data tiering"
            if cluster.service == "elasticache"
            else "a parameter group with search (default.memorydb-valkey7.search), chosen at its creation"
        )
        raise BadInput(
            f"The cluster '{cluster.name}' has no vector search.",
            f"It needs {way}: restore a snapshot into a new one.",
        )


def _subnet_group(client: Any, name: str, service: Service) -> tuple[str, tuple[str, ...]]:
    if service == "elasticache":
        action, operation = "elasticache:DescribeCacheSubnetGroups", "describe_cache_subnet_groups"
        key, which = "CacheSubnetGroups", {"CacheSubnetGroupName": name}
    else:
        action, operation, key = "memorydb:DescribeSubnetGroups", "describe_subnet_groups", "SubnetGroups"
        which = {"SubnetGroupName": name}
    groups = need(action, lambda: pages(client, operation, key, **which))
    if not groups:
        raise NotFound(name, "subnet group")
    subnets = groups[0].get("Subnets") or ()
    return str(groups[0].get("VpcId", "")), tuple(
        str(s.get("Identifier") or s.get("SubnetIdentifier")) for s in subnets
    )


def _subnets(
    ec2: Any, wanted: tuple[str, ...], vpc: str, style: Style, region: str, *, named: bool
) -> tuple[str, ...]:
    every = need(
        "ec2:DescribeSubnets",
        lambda: pages(
            ec2, "describe_subnets", "Subnets", Filters=[{"Name": "subnet-id", "Values": list(wanted)}]
        ),
    )
    subnet_of = {str(subnet["SubnetId"]): subnet for subnet in every}
    for name in wanted:
        if name not in subnet_of:
            raise BadInput(
                f"There is no subnet '{name}' in {region}.",
                "Name subnets of the cluster's VPC with --subnets.",
            )
        if subnet_of[name]["VpcId"] != vpc:
            raise BadInput(
                f"The subnet '{name}' is in {subnet_of[name]['VpcId']}, and the cluster in {vpc}.",
                f"A cluster is reached from its own VPC: name a subnet of {vpc} with --subnets.",
            )
    lacking = {name: _lacking(ec2, name, vpc, style, region) for name in wanted}
    fit = tuple(name for name in wanted if not lacking[name]) if not named else wanted
    worst = next((name for name in wanted if lacking[name]), "")
    if worst and (named or not fit):
        raise BadInput(
            f"The subnet '{worst}' has no way out by a NAT gateway, and its VPC lacks the endpoints that "
            f"{_WHAT[style]}: {', '.join(lacking[worst])}.",
            "Create them with private DNS, or name subnets that have a way out with --subnets.",
        )
    if style == "host":
        return fit[:1]
    if len({subnet_of[name]["AvailabilityZone"] for name in fit}) < 2:
        raise BadInput(
            f"A load balancer needs subnets in two zones; {', '.join(fit)} are in one.",
            "Name subnets of two zones with --subnets A,B.",
        )
    return fit


def _lacking(ec2: Any, subnet: str, vpc: str, style: Style, region: str) -> tuple[str, ...]:
    """The services that a subnet reaches neither by a way out nor by endpoints."""
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = need(
        "ec2:DescribeRouteTables", lambda: pages(ec2, "describe_route_tables", "RouteTables", Filters=in_vpc)
    )
    if _has_way_out(tables, subnet):
        return ()
    endpoints = need(
        "ec2:DescribeVpcEndpoints",
        lambda: pages(ec2, "describe_vpc_endpoints", "VpcEndpoints", Filters=in_vpc),
    )
    usable = {
        str(e.get("ServiceName", "")).partition(f".{region}.")[2]
        for e in endpoints
        if str(e.get("State", "available")).lower() == "available"
    }
    return tuple(service for service in NEEDS[style] if service not in usable)


def _has_way_out(tables: list[dict[str, Any]], subnet: str) -> bool:
    """Whether the subnet's route table leads out without a public address: not by an internet gateway."""
    own = [t for t in tables if any(a.get("SubnetId") == subnet for a in t.get("Associations", ()))]
    main = [t for t in tables if any(a.get("Main") for a in t.get("Associations", ()))]
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0"
        and route.get("State", "active") == "active"
        and not str(route.get("GatewayId", "")).startswith("igw-")
        for table in own or main
        for route in table.get("Routes", ())
    )


def _user(client: Any, name: str, service: Service, logins: tuple[str, ...]) -> tuple[str, list[str]]:
    """The user that the app logs in as, and what is to be said of it."""
    answer = ask(f"{service}:DescribeUsers", lambda: pages(client, "describe_users", "Users"))
    if isinstance(answer, Absent):
        if not name:
            raise BadInput(f"Which users there are is not known. {answer.words}", "Name one with --user.")
        return name, [f"Whether the user '{name}' logs in with IAM is not known. {answer.words}"]
    key = "UserId" if service == "elasticache" else "Name"
    users = {str(user.get(key)): user for user in answer}
    if not name:
        return _only_user(users, service, logins)
    if name not in users:
        raise BadInput(
            f"There is no user '{name}'.",
            f"There are: {', '.join(sorted(users)) or 'none'}. Create one with "
            "authentication mode IAM, in the cluster's ACL.",
        )
    if (mode := _mode(users[name])) != "iam":
        raise BadInput(
            f"The user '{name}' logs in by {mode}, not with IAM.",
            "Name another with --user, or create one with authentication mode IAM.",
        )
    return name, _outside(users[name], name, service, logins)


def _only_user(
    users: dict[str, dict[str, Any]], service: Service, logins: tuple[str, ...]
) -> tuple[str, list[str]]:
    by_iam = sorted(name for name, user in users.items() if _mode(user) == "iam")
    fit = [name for name in by_iam if not _outside(users[name], name, service, logins)] or by_iam
    if not fit:
        raise BadInput(
            "No user logs in with IAM.", "Create one with authentication mode IAM, in the cluster's ACL."
        )
    if len(fit) > 1:
        raise BadInput(
            f"{len(fit)} users log in with IAM: {', '.join(fit)}.", "Name one of them with --user."
        )
    taken = f"The app logs in as '{fit[0]}', the one user that does so with IAM."
    return fit[0], [taken, *_outside(users[fit[0]], fit[0], service, logins)]


def _outside(user: dict[str, Any], name: str, service: Service, logins: tuple[str, ...]) -> list[str]:
    """A sentence where the cluster does not let the user in; none where AWS tells no groups of it."""
    inside = user.get("UserGroupIds" if service == "elasticache" else "ACLNames")
    if inside is None or set(map(str, inside)) & set(logins):
        return []
    kind = "user groups" if service == "elasticache" else "ACL"
    lets = f"'{', '.join(logins)}'" if logins else "of which it has none"
    return [f"The user '{name}' is not in the cluster's {kind}, {lets}: it cannot log in before it is."]


def _mode(user: dict[str, Any]) -> str:
    return str((user.get("Authentication") or {}).get("Type", "not told"))
