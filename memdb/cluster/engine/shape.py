"""Making shards of several server processes: slots, cluster, replicas.

These are administration commands, which the guarded client never sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import redis
from redis.exceptions import RedisError

from memdb.cluster import replies
from memdb.cluster.engine.node import ServerProcess
from memdb.cluster.refusals import explain
from memdb.cluster.replies import Reply
from memdb.errors import EngineUnavailable, MemDBError

_SLOTS = 16_384
_POLL_S = 0.05
_SETTLE_S = 60.0  # forming the cluster takes about 2 s; the first synchronisation copies all data


def form_shard(
    primary: ServerProcess,
    replicas: Sequence[ServerProcess],
    *,
    cluster: bool,
    others: Sequence[ServerProcess] = (),
) -> None:
    """Join the servers to one shard, or find that they are. Returns when replicas are in step.

    Args:
        primary: of the first shard.
        replicas: of the first shard.
        cluster: with slots.
        others: primaries of further shards; the slots are shared evenly.

    Raises:
        EngineUnavailable: it did not happen in time.
    """
    if not cluster and not replicas:
        return
    for node in (primary, *others, *replicas):
        node.wait_ready(_SETTLE_S)
    if cluster:
        if not replies.items(_ask(primary, "CLUSTER", "SLOTS")):
            for i, node in enumerate((primary, *others)):
                first, last = (_SLOTS * n // (len(others) + 1) for n in (i, i + 1))
                _ask(node, "CLUSTER", "ADDSLOTSRANGE", first, last - 1)
                if others:
                    _ask(node, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)  # two alike would fight over slots
        for node in others:
            _meet(primary, node)
        name = replies.text(_ask(primary, "CLUSTER", "MYID"))
        for node in replicas:
            _meet(primary, node)
            _until(lambda node=node: _knows(node, name), _SETTLE_S, "A replica did not meet the primary")  # type: ignore[misc]
            if "myself,master" in replies.text(_ask(node, "CLUSTER", "NODES")):
                _ask(node, "CLUSTER", "REPLICATE", name)
        for node in (primary, *others, *replicas):  # each learns of the others' slots by gossip
            wait_cluster(node, _SETTLE_S)
    for node in replicas:
        _until(lambda node=node: _linked(node), _SETTLE_S, "A replica did not get the data")  # type: ignore[misc]


def wait_cluster(node: ServerProcess, timeout_s: float) -> None:
    """Wait until this node says that the cluster is ok.

    Raises:
        EngineUnavailable: the time passed.
    """
    _until(lambda: _cluster_ok(node), timeout_s, "The cluster did not become ready")


def _meet(primary: ServerProcess, other: ServerProcess) -> None:
    # After a restart both have new bus ports, and their old addresses in nodes.conf: meeting again tells.
    config = other.plan.config
    _ask(primary, "CLUSTER", "MEET", "127.0.0.1", config.port, config.cluster_port)


def _knows(node: ServerProcess, other: str) -> bool:
    """Whether the node has a live link to the other one."""
    for line in replies.text(_ask(node, "CLUSTER", "NODES")).splitlines():
        words = line.split()
        if words and words[0] == other:
            return "handshake" not in words[2] and "fail" not in words[2] and words[7] == "connected"
    return False


def _cluster_ok(node: ServerProcess) -> bool:
    return "cluster_state:ok" in replies.text(_ask(node, "CLUSTER", "INFO"))


def _linked(node: ServerProcess) -> bool:
    facts = replies.info(_ask(node, "INFO", "replication")).get("replication", {})
    return facts.get("role") == "slave" and facts.get("master_link_status") == "up"


def _ask(node: ServerProcess, *command: str | int) -> Reply:
    with redis.Redis(port=node.target.port, password=node.target.password, protocol=2) as client:
        client.response_callbacks.clear()
        try:
            return client.execute_command(*command)
        except RedisError as exc:
            raise explain(exc, node.target, command) from exc


def _until(is_so: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
    end = time.monotonic() + timeout_s
    reason = ""
    while True:
        try:
            if is_so():
                return
        except MemDBError as exc:  # loading, or starting again
            reason = f": {exc}"
        if time.monotonic() > end:
            raise EngineUnavailable(
                f"{otherwise} within {timeout_s:g} s{reason}", "Stop the engine and start it again."
            )
        time.sleep(_POLL_S)
