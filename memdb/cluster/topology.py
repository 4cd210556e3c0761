"""Which nodes a target has, which slots they own, and which of a command's words are keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from redis.crc import key_slot

from memdb.cluster import replies
from memdb.numerals import whole_number

SLOTS = 16_384
# Keyless commands of the allow-list; FT.* too: an index name is no key.
_KEYLESS = frozenset(
    (
        "AUTH PING ECHO TIME INFO DBSIZE LASTSAVE ROLE READONLY READWRITE SELECT HELLO SCAN RANDOMKEY "
        "COMMAND CONFIG CLIENT CLUSTER MODULE LATENCY SLOWLOG ACL MULTI EXEC DISCARD UNWATCH WAIT WAITAOF"
    ).split(" ")
)
_MANY = frozenset(("DEL", "UNLINK", "EXISTS", "MGET", "WATCH"))
_SECOND = frozenset(("MEMORY", "OBJECT"))  # MEMORY USAGE key, OBJECT ENCODING key


@dataclass(frozen=True, slots=True)
class Node:
    """One server of a target, as the cluster announces it."""

    id: str  # of the cluster; the address where there is no cluster
    host: str
    port: int
    role: Literal["primary", "replica"]
    shard: str  # id of the shard's primary
    slots: tuple[tuple[int, int], ...] = ()  # first and last of each range
    here: bool = False  # the one that the target's own address led to
    healthy: bool = True  # as the node that was asked sees it

    @property
    def address(self) -> str:
        """Host and port, or what stands for them."""
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """All nodes; primaries in the order of their slots, which a failover does not change."""

    nodes: tuple[Node, ...]
    cluster: bool
    told: bool = True  # False where this user may not ask a cluster for its nodes: `nodes` is the one asked
    primaries: tuple[Node, ...] = ()
    owners: tuple[int, ...] = field(default=(), repr=False)  # slot → index in `primaries`, or -1

    @classmethod
    def of(cls, nodes: Iterable[Node], *, cluster: bool, told: bool = True) -> Topology:
        """From nodes in any order."""
        listed = tuple(nodes)
        primaries = [n for n in listed if n.role == "primary" and (n.slots or not cluster)]
        primaries.sort(key=lambda n: (n.slots, n.id))
        owners = [-1] * SLOTS
        for i, node in enumerate(primaries):
            for first, last in node.slots:
                if 0 <= first <= last < SLOTS:  # nothing else can be
                    owners[first : last + 1] = [i] * (last + 1 - first)
        order = {node.id: i for i, node in enumerate(primaries)}
        ranked = sorted(
            listed, key=lambda n: (order.get(n.shard, len(order)), n.role != "primary", n.host, n.port)
        )
        return cls(tuple(ranked), cluster, told, tuple(primaries), tuple(owners))

    def owner(self, slot: int) -> Node | None:
        """The primary of a slot; None while nobody serves it."""
        i = self.owners[slot]
        return self.primaries[i] if i >= 0 else None

    def replicas(self, primary: Node) -> tuple[Node, ...]:
        """The replicas of a shard that are believed to answer."""
        return tuple(n for n in self.nodes if n.role == "replica" and n.shard == primary.id and n.healthy)


def cluster_nodes(text: str, *, host: str, port: int) -> tuple[Node, ...]:
    """CLUSTER NODES as nodes; a node that does not know its own address has the one it was asked at.

    Args:
        text: lines of `id ip:port@bus[,hostname] flags primary ping pong epoch link slots…`.
        host: where the question was sent.
        port: same.
    """
    nodes = []
    for row in text.splitlines():
        words = row.split()
        if len(words) < 8:
            continue
        flags = set(words[2].split(","))
        if flags & {"handshake", "noaddr"}:
            continue
        place, _, more = words[1].partition(",")
        ip, _, number = place.rpartition("@")[0].rpartition(":")
        name = more.split(",")[0]
        here = "myself" in flags
        nodes.append(
            Node(
                id=words[0],
                # A certificate carries the name, not the address.
                host=name if name and "=" not in name else ip or host,
                port=whole_number(number) or port,
                role="primary" if "master" in flags else "replica",
                shard=words[0] if "master" in flags else words[3],
                slots=tuple(_ranges(words[8:])),
                here=here,
                healthy=here or not flags & {"fail", "fail?"},
            )
        )
    return tuple(nodes)


def slots_nodes(reply: object, *, host: str, port: int) -> tuple[Node, ...]:
    """CLUSTER SLOTS as nodes, for users who may not ask for CLUSTER NODES.

    Args:
        reply: rows of [first slot, last slot, primary, replica, …], a node as [host, port, id, …].
        host: where the question was sent; what a node has that does not know its own name.
        port: same.
    """
    slots: dict[tuple[str, int], list[tuple[int, int]]] = {}
    shards: dict[tuple[str, int], tuple[str, int]] = {}
    for row in replies.items(reply):
        first, last, *nodes = replies.items(row)
        places = []
        for node in map(replies.items, nodes):
            name = replies.text(node[0])
            places.append((name if name not in ("", "?") else host, replies.integer(node[1])))
        for place in places:
            shards.setdefault(place, places[0])
            slots.setdefault(place, [])
        if places:
            slots[places[0]].append((replies.integer(first), replies.integer(last)))
    return tuple(
        Node(
            id=f"{place[0]}:{place[1]}",
            host=place[0],
            port=place[1],
            role="primary" if shards[place] == place else "replica",
            shard=f"{shards[place][0]}:{shards[place][1]}",
            slots=tuple(ranges),
            here=place == (host, port),
        )
        for place, ranges in slots.items()
    )


def replication_nodes(facts: Mapping[str, str], *, host: str, port: int) -> tuple[Node, ...]:
    """INFO replication of a server outside a cluster as nodes.

    Args:
        facts: the section, key → value.
        host: where the question was sent; a path of a socket has port 0.
        port: same.
    """
    own = f"{host}:{port}"
    if facts.get("role") == "slave":
        above, number = facts.get("master_host", "?"), whole_number(facts.get("master_port", "")) or 0
        linked = facts.get("master_link_status") == "up"
        primary = Node(f"{above}:{number}", above, number, "primary", f"{above}:{number}", healthy=linked)
        return (primary, Node(own, host, port, "replica", primary.id, here=True))
    nodes = [Node(own, host, port, "primary", own, here=True)]
    for key, value in facts.items():
        if key.startswith("slave") and whole_number(key[5:]) is not None:
            about = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
            place, number = about.get("ip", "?"), whole_number(about.get("port", "")) or 0
            online = about.get("state") == "online"
            nodes.append(Node(f"{place}:{number}", place, number, "replica", own, healthy=online))
    return tuple(nodes)


def keys(command: Sequence[object]) -> Sequence[object]:
    """The keys of a command on the allow-list."""
    name = word(command[0])
    if name in _KEYLESS or name.startswith("FT."):
        return ()
    if name in _MANY:
        return command[1:]
    return command[2:3] if name in _SECOND else command[1:2]


def slot(key: object) -> int:
    """The slot that a key hashes to, with the rule of {hash tags}."""
    raw = key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogateescape")
    return key_slot(raw)


def hash_tag(name: str) -> str:
    """The part of a name between braces that alone decides about its slot; "" where there is none."""
    _, opened, rest = name.partition("{")
    tag, closed, _ = rest.partition("}")
    return tag if opened and closed else ""


def word(value: object) -> str:
    """A command's name or subcommand in upper case."""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)).upper()


def _ranges(words: Iterable[str]) -> Iterable[tuple[int, int]]:
    for text in words:
        if not text.startswith("["):  # a slot that moves
            first, _, last = text.partition("-")
            yield int(first), int(last or first)
