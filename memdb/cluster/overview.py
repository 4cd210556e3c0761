"""What a server says of itself: keys, memory, clients, how its writes are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.possible import SECONDS, SIZE, THINGS, Range
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
    absent: Mapping[str, str] = field(default_factory=dict)  # what was told and cannot be true, with why


def overview(client: Client) -> Overview:
    """Ask the server; what this user may not ask is None.

    Raises:
        MemDBError: the server does not answer.
    """
    info, keys = client.pipeline([("INFO",), ("DBSIZE",)], errors_as_values=True)
    sections = {} if refused(info) else replies.info(raised(info))
    facts = {key: value for section in sections.values() for key, value in section.items()}
    absent: dict[str, str] = {}

    def figure(name: str, within: Range) -> int | None:
        if why := possible.refusal(facts.get(name), within, f"INFO {name}"):
            absent[name] = why
        value = possible.number(facts.get(name), within)
        return None if value is None else int(value)

    return Overview(
        keys=None if refused(keys) else possible.count(raised(keys)),
        used_bytes=figure("used_memory", SIZE),
        limit_bytes=figure("maxmemory", SIZE) or None,
        clients=figure("connected_clients", THINGS),
        uptime_s=figure("uptime_in_seconds", SECONDS),
        log="append-only file" if facts.get("aof_enabled") == "1" else "not reported by INFO",
        loading=facts.get("loading") == "1",
        absent=absent,
    )
