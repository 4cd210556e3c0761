"""What a server says of itself: keys, memory, clients, how its writes are kept."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.server import raised, refused


@dataclass(frozen=True, slots=True)
class Overview:
    """One reading of INFO and DBSIZE on the node asked. Sizes in bytes; None where this user is not told."""

    keys: int | None
    used_bytes: int | None
    limit_bytes: int | None  # maxmemory, None where no limit is set
    clients: int | None
    uptime_s: int | None
    log: str  # how acknowledged writes are kept, in words
    loading: bool

    @property
    def used_share(self) -> float | None:
        """Share of the memory limit that is used, in [0, 1]."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes and self.used_bytes else None


def overview(client: Client) -> Overview:
    """Ask the server; what this user may not ask is None.

    Raises:
        MemDBError: the server does not answer.
    """
    info, keys = client.pipeline([("INFO",), ("DBSIZE",)], errors_as_values=True)
    sections = {} if refused(info) else replies.info(raised(info))
    facts = {key: value for section in sections.values() for key, value in section.items()}

    def number(name: str) -> int | None:
        return replies.integer(facts[name]) if name in facts else None

    return Overview(
        keys=None if refused(keys) else replies.integer(raised(keys)),
        used_bytes=number("used_memory"),
        limit_bytes=number("maxmemory") or None,
        clients=number("connected_clients"),
        uptime_s=number("uptime_in_seconds"),
        log="append-only file" if facts.get("aof_enabled") == "1" else "not told by INFO",
        loading=facts.get("loading") == "1",
    )
