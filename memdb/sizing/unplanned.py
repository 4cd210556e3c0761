"""What a node holds beside the index and the sessions that were read into a plan. Only reads."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.topology import Node
from memdb.display import bytes_text, counted, line
from memdb.sizing.calibrate import Read
from memdb.sizing.model import predict
from memdb.sizing.shape import Sessions
from memdb.vectors import index

_USED = ("used_memory", "used_memory_startup", "mem_clients_normal")
_NAMED = 4  # other indexes whose names are told


@dataclass(frozen=True, slots=True)
class Unplanned:
    """Of one node, when a plan was read from it."""

    node: str  # address
    read: str  # name of the index the plan is of
    bytes: float  # estimated: used memory less the server's own and what was read; at least 0
    indexes: tuple[tuple[str, int], ...]  # name and documents of each other index
    keys: int  # that are neither documents of the index nor sessions; at least 0

    @property
    def words(self) -> str:
        """What it is, by indexes and keys; "" for nothing."""
        named = [f"{counted(size, 'document')} in {line(name, 60)}" for name, size in self.indexes[:_NAMED]]
        if more := len(self.indexes) - _NAMED:
            named += [f"{more:,} more"] if more > 0 else []
        of_indexes = f"{counted(len(self.indexes), 'other index', 'other indexes')} with {', '.join(named)}"
        which = "is neither a document" if self.keys == 1 else "are neither documents"
        of_keys = f"{counted(self.keys, 'key')} that {which} of {line(self.read, 60)} nor sessions"
        return ", and ".join(([of_indexes] if self.indexes else []) + ([of_keys] if self.keys else []))

    @property
    def counts(self) -> str:
        """The same in a few words."""
        of_indexes = counted(len(self.indexes), "other index", "other indexes")
        return " and ".join(
            ([of_indexes] if self.indexes else []) + ([counted(self.keys, "key")] if self.keys else [])
        )

    @property
    def sentence(self) -> str:
        """How much there is that the plan leaves out; "" where there is nothing."""
        if not self.words:
            return ""
        return f"Not in the plan: {self.words}, about {bytes_text(self.bytes)} when it was read."


def node_read(client: Client) -> Client:
    """The one node a plan is read from: of several shards the first, as `calibrate.from_index` does."""
    return client.on(_first(client))


def _first(client: Client) -> Node:
    return next(node for node in client.nodes() if node.role == "primary")


def beside(client: Client, name: str, reading: Read, sessions: Sessions) -> Unplanned:
    """What the node that was read holds besides.

    Args:
        client: of the server; `node_read` is looked at.
        name: of the index that was read.
        reading: of the index.
        sessions: of the same node.

    Raises:
        MemDBError: the server does not answer, or this user may not look.
    """
    address = _first(client).address
    client = node_read(client)
    memory = client.info("memory").get("memory", {})
    keys = replies.integer(client.execute("DBSIZE"))
    others = tuple(
        (each, index.index_info(client, each).documents) for each in index.index_names(client) if each != name
    )
    used_of = {name: possible.size(memory.get(name, "").encode()) or 0 for name in _USED}
    used = used_of["used_memory"] - used_of["used_memory_startup"] - used_of["mem_clients_normal"]
    sessions_bytes = predict(None, reading.profile, sessions).total_bytes if sessions.live else 0.0
    return Unplanned(
        address,
        name,
        max(0.0, used - reading.keyspace_bytes - reading.index_bytes - sessions_bytes),
        others,
        max(0, keys - reading.shape.vectors - round(sessions.live)),
    )
