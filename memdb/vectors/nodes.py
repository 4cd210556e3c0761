"""Every node asked for itself: keys, memory, replication, and how far it has built an index.

On MemoryDB the end of an index build is told by each node alone: the primary may be done and a replica not.
"""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.overview import Overview, overview
from memdb.cluster.topology import Node
from memdb.errors import MemDBError, NotAllowed
from memdb.vectors.index import IndexInfo, index_info


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node's own account. What it did not tell is None, and `problem` says why."""

    node: Node
    facts: Overview | None
    index: IndexInfo | None
    behind_bytes: int | None  # of a replica: what it has not applied of its primary's stream, as it knows
    link: str  # of a replica to its primary: "up", "down"; empty for a primary
    problem: str = ""


def node_views(client: Client, index: str = "") -> tuple[NodeView, ...]:
    """Ask every node; one that does not answer is told as such, the others go on.

    Args:
        client: of any node.
        index: whose build state is asked for; empty for none.

    Raises:
        MemDBError: no node answered who the nodes are.
    """
    return tuple(_view(client, node, index) for node in client.nodes())


def _view(client: Client, node: Node, index: str) -> NodeView:
    there = client.on(node)
    try:
        facts = overview(there)
        try:
            replication = there.info("replication").get("replication", {})
        except NotAllowed:
            replication = {}
        info = index_info(there, index) if index else None
    except MemDBError as exc:
        return NodeView(node, None, None, None, "", str(exc))
    if node.role != "replica":
        return NodeView(node, facts, info, None, "")
    received = replies.integer(replication.get("slave_read_repl_offset"), -1)
    applied = replies.integer(replication.get("slave_repl_offset"), -1)
    behind = max(0, received - applied) if received >= 0 and applied >= 0 else None
    return NodeView(node, facts, info, behind, replication.get("master_link_status", ""))
