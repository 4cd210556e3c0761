"""Which node fits: the cheapest, and the next two; where none does, what does instead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memdb.display import bytes_text
from memdb.errors import OutOfRange
from memdb.sizing.catalogue import HOURS, Catalogue, Flavour, NodeType, Price, Service
from memdb.sizing.constraints import MDB_REPLICAS, RESERVE

MOST_SHARDS = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """A node type, how many, and what the nodes alone cost a month."""

    node: NodeType
    shards: int
    replicas: int
    price: Price
    used_share: float  # of the memory beyond the reserve, in [0, 1]

    @property
    def nodes(self) -> int:
        """Primaries and replicas."""
        return self.shards * (1 + self.replicas)

    @property
    def monthly_usd(self) -> float:
        """Node hours of a month."""
        return self.nodes * HOURS * self.price.value


@dataclass(frozen=True, slots=True)
class Choices:
    """What fits, cheapest first; or, where nothing does, why and what would."""

    options: tuple[Choice, ...]
    why_none: str = ""
    instead: tuple[str, ...] = ()

    @property
    def first(self) -> Choice | None:
        """The cheapest."""
        return self.options[0] if self.options else None


def usable(node: NodeType, reserve: float = RESERVE) -> float:
    """Bytes for data and index beside the reserve for replication, snapshots and peaks."""
    return node.memory_bytes * (1 - checked_reserve(reserve))


def checked_reserve(reserve: float) -> float:
    """A share in [0, 0.9].

    Raises:
        OutOfRange: it is outside.
    """
    if not 0 <= reserve <= 0.9:
        raise OutOfRange("Reserve", reserve, 0.0, 0.9, "the calculator")
    return reserve


def choose(
    needed_bytes: float,
    catalogue: Catalogue,
    *,
    service: Service = "memorydb",
    flavour: Flavour = "valkey",
    region: str = "us-east-1",
    replicas: int = 2,
    reserve: float = RESERVE,
    count: int = 3,
    families: Sequence[str] = (),
    least_shards: int = 1,
) -> Choices:
    """The cheapest fitting choices of a service.

    MemoryDB with search has one shard, which must hold everything. ElastiCache may split over shards.

    Args:
        needed_bytes: of one copy: documents, index, sessions.
        catalogue: nodes and prices.
        service: whose nodes.
        flavour: Valkey or Redis OSS; they are priced apart.
        region: of the prices.
        replicas: of each shard.
        reserve: share of a node kept free.
        count: how many to return.
        families: of node types that may be taken, e.g. r7g; empty is all.
        least_shards: that something else than memory needs; one on MemoryDB.

    Raises:
        OutOfRange: replicas or reserve outside what there is.
    """
    if not 0 <= replicas <= MDB_REPLICAS:
        raise OutOfRange("Replicas", replicas, 0, MDB_REPLICAS, "a shard")
    nodes = [n for n in catalogue.of(service) if n.search and (not families or n.family in families)]
    priced = [(n, p) for n in nodes if (p := catalogue.find(f"{service}/{n.name}/{flavour}", region))]
    if not priced:
        regions = [r for r in catalogue.regions() if _has_nodes(catalogue, service, flavour, r)]
        return Choices(
            (),
            f"There are no prices of {_TITLES[service]} nodes for {flavour} in {region}.",
            (f"Regions with them: {', '.join(regions)}.", "Enter a price, or refresh from AWS."),
        )
    options = []
    for node, price in priced:
        room = usable(node, reserve)
        shards = 1 if service == "memorydb" else max(least_shards, math.ceil(needed_bytes / room))
        if needed_bytes <= room * shards and shards <= MOST_SHARDS:
            options.append(
                Choice(node, max(1, shards), replicas, price, needed_bytes / (room * max(1, shards)))
            )
    options.sort(key=lambda c: (c.monthly_usd, c.node.memory_bytes))
    if options:
        return Choices(tuple(options[:count]))
    largest = max((n for n, _ in priced), key=lambda n: n.memory_bytes)
    return _nothing(needed_bytes, largest, catalogue, flavour, region, replicas, reserve, service)


def split(
    needed_bytes: float,
    catalogue: Catalogue,
    *,
    flavour: Flavour = "valkey",
    region: str = "us-east-1",
    replicas: int = 2,
    reserve: float = RESERVE,
) -> Choice | None:
    """Several one-shard MemoryDB clusters that each hold a part; the application asks all and merges."""
    choices = []
    for node in catalogue.of("memorydb"):
        price = catalogue.find(f"memorydb/{node.name}/{flavour}", region)
        if node.search and price is not None:
            parts = max(1, math.ceil(needed_bytes / usable(node, reserve)))
            used = needed_bytes / (usable(node, reserve) * parts)
            choices.append(Choice(node, parts, replicas, price, used))
    # Few clusters are worth some money: each is one more to ask, to watch and to restore.
    return min(choices, key=lambda c: (c.shards, c.monthly_usd), default=None)


_TITLES: dict[str, str] = {"memorydb": "MemoryDB", "elasticache": "ElastiCache"}


def _has_nodes(catalogue: Catalogue, service: str, flavour: str, region: str) -> bool:
    start, end = f"{service}/", f"/{flavour}"
    return any(
        p.region == region and p.unit == "hour" and p.id.startswith(start) and p.id.endswith(end)
        for p in catalogue.prices
    )


def _nothing(
    needed: float,
    largest: NodeType,
    catalogue: Catalogue,
    flavour: Flavour,
    region: str,
    replicas: int,
    reserve: float,
    service: Service,
) -> Choices:
    room = usable(largest, reserve)
    why = (
        f"No {_TITLES[service]} node with a price in {region} fits: {bytes_text(needed)} are needed, and the "
        f"largest, {largest.name}, has {bytes_text(room)} beside the {reserve:.0%} reserve."
    )
    instead = []
    if service == "memorydb":
        why += " Search runs on one shard, so more shards do not help."
        parts = split(needed, catalogue, flavour=flavour, region=region, replicas=replicas, reserve=reserve)
        if parts is not None and parts.shards <= MOST_SHARDS:
            instead.append(
                f"{parts.shards} clusters of {parts.node.name}, each with a part of the vectors: the "
                f"application asks all of them and merges the answers (${parts.monthly_usd:,.0f} a month)."
            )
        other = choose(
            needed,
            catalogue,
            service="elasticache",
            flavour="valkey",
            region=region,
            replicas=replicas,
            reserve=reserve,
            count=1,
        ).first
        if other is not None:
            instead.append(
                f"ElastiCache for Valkey with {other.shards} shards of {other.node.name} "
                f"(${other.monthly_usd:,.0f} a month, nodes alone): search spans shards there. Without "
                "durability it is a cache; with Valkey 9.0 its writes can go to a log over several zones."
            )
        instead.append("Fewer bytes: cut the dimension (Matryoshka), a smaller M, metadata kept elsewhere.")
    return Choices((), why, tuple(instead))
