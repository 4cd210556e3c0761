"""What a server says of itself: keys, memory, clients, how its writes are kept."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Client


@dataclass(frozen=True, slots=True)
class Overview:
    """One reading of INFO and DBSIZE on the node asked. Sizes in bytes, None where it is not told."""

    keys: int
    used_bytes: int
    limit_bytes: int | None  # maxmemory, None where no limit is set
    clients: int
    uptime_s: int
    log: str  # how acknowledged writes are kept, in words
    loading: bool

    @property
    def used_share(self) -> float | None:
        """Share of the memory limit that is used, in [0, 1]."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else None


def overview(client: Client) -> Overview:
    """Ask the server; two round trips."""
    info, keys = client.pipeline([("INFO",), ("DBSIZE",)])
    facts = {key: value for section in replies.info(info).values() for key, value in section.items()}
    limit = replies.integer(facts.get("maxmemory"))
    return Overview(
        keys=replies.integer(keys),
        used_bytes=replies.integer(facts.get("used_memory")),
        limit_bytes=limit or None,
        clients=replies.integer(facts.get("connected_clients")),
        uptime_s=replies.integer(facts.get("uptime_in_seconds")),
        log="append-only file" if facts.get("aof_enabled") == "1" else "not told by INFO",
        loading=facts.get("loading") == "1",
    )
