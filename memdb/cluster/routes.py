"""Connections to the nodes of one target, and which of them a command goes to.

Nothing is asked until it must be: a server that answers every command itself never sees CLUSTER NODES. The
first MOVED, READONLY or lost connection, or a question about nodes, makes the map.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import redis
from redis.exceptions import MovedError, NoPermissionError, RedisError, ResponseError

from memdb.cluster import replies, wire
from memdb.cluster.target import LOOPBACK, Target
from memdb.cluster.topology import (
    Node,
    Topology,
    cluster_nodes,
    keys,
    replication_nodes,
    slot,
    slots_nodes,
    word,
)

_NAMES = 256  # a node that owns 95 % of the slots sends one of them elsewhere but for 2 in a million
_AGAIN_S = 0.2  # how young a map may be that a second failure does not ask for a new one
# Reads with a state on the node: a cursor lives where it was opened.
_AWAY_S = 5.0  # how long a node that did not answer is passed over by what any node can answer
_ANYWHERE = frozenset(("FT.SEARCH", "FT.AGGREGATE", "FT._LIST", "PING"))
_STICKY = frozenset(("SCAN", "FT.CURSOR", "FT.AGGREGATE", "FT.INFO", "FT._LIST", "FT.PROFILE"))


class Routes:
    """The connections of one target."""

    def __init__(self, target: Target, *, pinned: bool = False, readonly: bool = False) -> None:
        self.target = target
        self.seed = opened(target, readonly=readonly)
        self.pinned = pinned  # one node and no other, whatever it says
        self.map: Topology | None = None
        self.direct = pinned or not target.read_from_replicas  # every command goes to the seed
        self.several = False  # keys lie on several shards, as far as is known
        self._nodes: dict[tuple[str, int, bool], redis.Redis] = {}
        self._away: dict[str, float] = {}  # id of a node → until when it is passed over
        self._asked = 0.0
        self._lock = threading.RLock()
        self._turn = itertools.count()

    def topology(self, *, fresh: bool = False) -> Topology:
        """The map, asked for where it is not there.

        Raises:
            RedisError: no node answered.
        """
        with self._lock:
            if self.map is None or fresh:
                self.refresh()
            assert self.map is not None  # noqa: S101  # refresh sets it or raises
            return self.map

    def refresh(self, *, patient: bool = False) -> None:
        """Ask the nodes, the seed first, until one tells the map.

        Args:
            patient: keep a map that is very young.

        Raises:
            RedisError: no node answered.
        """
        with self._lock:
            if patient and self.map is not None and time.monotonic() - self._asked < _AGAIN_S:
                return
            sources = [(self.seed, self.target.host, self.target.port)]
            nodes = self.map.nodes if self.map else ()
            sources += [(self.of(n), n.host, n.port) for n in nodes if self.of(n) is not self.seed]
            failed: RedisError | None = None
            for client, host, port in sources:
                try:
                    alone = self.map is not None and not self.map.cluster
                    self._take(_map(client, self.target, host, port, alone=alone))
                    return
                except RedisError as exc:
                    failed = failed or exc
            assert failed is not None  # noqa: S101  # the seed at least was asked
            raise failed

    def of(self, node: Node, *, readonly: bool = False) -> redis.Redis:
        """The connections to a node."""
        if self._is_seed(node):
            return self.seed
        with self._lock:
            place = (node.host, node.port, readonly)
            if place not in self._nodes:
                self._nodes[place] = opened(at(self.target, node), readonly=readonly)
            return self._nodes[place]

    def address(self, host: str, port: int) -> redis.Redis:
        """The connections to an address that a MOVED or ASK names."""
        return self.of(Node(f"{host}:{port}", host or self.target.host, port, "primary", ""))

    def pick(self, command: Sequence[object], *, read: bool) -> redis.Redis:
        """Whom to send a command to."""
        if self.direct:
            return self.seed
        topology = self.topology()
        named = keys(command)
        primary = topology.owner(slot(named[0])) if named and topology.cluster else None
        if primary is None:
            if not topology.primaries:
                return self.seed
            primary = self._anyone(topology) if anywhere(command) else topology.primaries[0]
        spread = read and self.target.read_from_replicas and word(command[0]) not in _STICKY
        if spread and (replicas := topology.replicas(primary)):
            return self.of(replicas[next(self._turn) % len(replicas)], readonly=topology.cluster)
        return self.of(primary)

    def lose(self, client: redis.Redis) -> bool:
        """A node did not answer: what any node can answer goes to another one for a while; whether one is."""
        topology = self.map
        if self.pinned or topology is None or not topology.cluster:
            return False
        lost = [node for node in topology.primaries if self.of(node) is client]
        self._away |= {node.id: time.monotonic() + _AWAY_S for node in lost}
        return any(self._there(node) for node in topology.primaries)

    def _there(self, node: Node) -> bool:
        return node.healthy and self._away.get(node.id, 0.0) < time.monotonic()

    def _anyone(self, topology: Topology) -> Node:
        """The first primary that is believed to answer."""
        return next((node for node in topology.primaries if self._there(node)), topology.primaries[0])

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        with self._lock:
            self.seed.close()
            for client in self._nodes.values():
                client.close()

    def _take(self, topology: Topology) -> None:
        self.map, self._asked = topology, time.monotonic()
        if self.pinned:
            return
        self.several = len(topology.primaries) > 1
        at_only_primary = len(topology.primaries) == 1 and self._is_seed(topology.primaries[0])
        # Outside a cluster the user's address is obeyed: it may well be a replica on purpose.
        self.direct = not self.target.read_from_replicas and (at_only_primary or not topology.cluster)

    def _is_seed(self, node: Node) -> bool:
        """Whether the target's own address leads to this node, and to no other.

        A name may lead to another node with every connection (MemoryDB's cluster endpoint does). An
        address of this machine does not, and may be a tunnel's end, the only way to that node.
        """
        if (node.host, node.port) == (self.target.host, self.target.port):
            return True
        fixed = self.target.scheme == "unix" or self.target.host in LOOPBACK or _is_ip(self.target.host)
        return node.here and fixed


def anywhere(command: Sequence[object]) -> bool:
    """Whether any node of a cluster answers a command, and answers the same."""
    return word(command[0]) in _ANYWHERE


def opened(target: Target, *, readonly: bool = False) -> redis.Redis:
    """redis-py's client for one address.

    Args:
        target: where.
        readonly: ask a replica of a cluster to answer reads.
    """
    pool = wire.pool(target)
    if readonly:
        pool.connection_kwargs["redis_connect_func"] = _reads_allowed
    client = redis.Redis.from_pool(pool)
    # redis-py reshapes some replies (INFO, SCAN, HGETALL, FT.*); ours arrive as the wire brought them.
    client.response_callbacks.clear()
    return client


def at(target: Target, node: Node) -> Target:
    """The target, at one of its nodes: same login, same TLS."""
    if node.here and not node.port:
        return target
    return replace(
        target, scheme="rediss" if target.scheme == "rediss" else "redis", host=node.host, port=node.port
    )


def _reads_allowed(connection: redis.Connection) -> None:
    connection.on_connect()  # type: ignore[no-untyped-call]
    connection.send_command("READONLY")  # type: ignore[no-untyped-call]
    connection.read_response()


def _map(client: redis.Redis, target: Target, host: str, port: int, *, alone: bool) -> Topology:
    host, port = (target.path, 0) if target.scheme == "unix" else (host, port)
    if alone:
        # Known to be no cluster: CLUSTER NODES would be one more error in its statistics each time. Its
        # INFO says so again, and would tell of a server that took its place.
        facts = _facts(client)
        if facts.get("cluster_enabled") == "0":
            return Topology.of(replication_nodes(facts, host=host, port=port), cluster=False)
    ask = client.execute_command
    mine = host == target.host and port == target.port
    nodes: tuple[Node, ...] = ()
    refused: ResponseError | None = None
    try:
        nodes = cluster_nodes(replies.text(ask("CLUSTER", "NODES")), host=host, port=port)  # type: ignore[no-untyped-call]
    except NoPermissionError as exc:
        refused = exc
        with contextlib.suppress(ResponseError):
            nodes = slots_nodes(ask("CLUSTER", "SLOTS"), host=host, port=port)  # type: ignore[no-untyped-call]
    except ResponseError:  # not a cluster
        pass
    if nodes:
        return Topology.of((n if mine else replace(n, here=False) for n in nodes), cluster=True)
    facts = _facts(client)
    clustered = refused is not None and facts.get("cluster_enabled") == "1"
    if clustered and _elsewhere(client):
        # The keys of this node alone would be counted and listed as if they were all.
        raise refused or ResponseError("CLUSTER NODES")
    return Topology.of(replication_nodes(facts, host=host, port=port), cluster=False, told=not clustered)


def _facts(client: redis.Redis) -> dict[str, str]:
    ask = client.execute_command
    try:
        info = replies.info(ask("INFO"))  # type: ignore[no-untyped-call]
    except ResponseError:
        try:  # nobody can be denied HELLO
            mode = replies.pairs(ask("HELLO")).get("mode")  # type: ignore[no-untyped-call]
        except ResponseError:
            return {}
        return {"cluster_enabled": "1" if replies.text(mode) == "cluster" else "0"}
    return {
        name: value for section in ("replication", "cluster") for name, value in info.get(section, {}).items()
    }


def _elsewhere(client: redis.Redis) -> bool:
    """Whether other nodes own slots too: of many names, spread over the slots, one is sent elsewhere."""
    with client.pipeline(transaction=False) as pipe:
        for number in range(_NAMES):
            pipe.execute_command("EXISTS", f"memdb:{number}")  # type: ignore[no-untyped-call]
        return any(isinstance(reply, MovedError) for reply in pipe.execute(raise_on_error=False))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
