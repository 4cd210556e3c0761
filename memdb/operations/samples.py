"""One look at one node: memory, load and indexes, in two round trips.

What a node does not tell is absent with the reason, and everything else goes on: a section that is missing,
a command that the ACL or the service refuses, a node that dies on the way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.cluster.topology import Node
from memdb.errors import MemDBError
from memdb.operations.build import IndexReading, reading

# INFO alone leaves out command statistics; MemoryDB and valkey-search have "search", RediSearch "modules".
_ASKED = (
    ("INFO",),
    ("INFO", "commandstats"),
    ("INFO", "search"),
    ("INFO", "modules"),
    ("CONFIG", "GET", "maxclients"),
    ("FT._LIST",),
)
GAUGES = {
    "used_bytes": "used_memory",
    "fragmentation": "mem_fragmentation_ratio",
    "clients": "connected_clients",
    "blocked_clients": "blocked_clients",
    "uptime_s": "uptime_in_seconds",
}
COUNTERS = {
    "commands": "total_commands_processed",
    "evicted": "evicted_keys",
    "expired": "expired_keys",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "rejected": "rejected_connections",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One node at one moment. A figure is in `figures`, or in `absent` with the reason."""

    address: str
    role: Literal["primary", "replica"]
    at: float  # this machine's monotonic clock, s: servers' clocks disagree, ours does not with itself
    run_id: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[IndexReading, ...] = ()
    link: str = ""  # of a replica to its primary: "up", "down"
    problem: str = ""  # why the node told nothing at all


def sample_all(client: Client) -> tuple[Sample, ...]:
    """One sample of every node, also of those that do not answer.

    Raises:
        MemDBError: no node answered who the nodes are.
    """
    return tuple(sample(client, node) for node in client.nodes())


def sample(client: Client, node: Node) -> Sample:
    """Ask one node."""
    there = client.on(node)
    try:
        info, commands, search, modules, config, listed = there.pipeline(_ASKED, errors_as_values=True)
        at = time.monotonic()
        if isinstance(info, MemDBError):
            raise info
    except MemDBError as exc:
        return Sample(node.address, node.role, time.monotonic(), problem=str(exc))
    figures, absent, facts = _plain(info)
    if isinstance(config, MemDBError):
        absent["client_limit"] = str(config)
    else:
        _put(figures, absent, "client_limit", replies.pairs(config), "maxclients", "CONFIG GET maxclients")
    if "maxclients" in facts:  # told by INFO too, also where CONFIG is refused
        _put(figures, absent, "client_limit", facts, "maxclients", "INFO")
        absent.pop("client_limit", None)
    _search_counters(figures, absent, commands)
    told = {**_facts(search), **_facts(modules)}
    indexes: tuple[IndexReading, ...] = ()
    if isinstance(listed, MemDBError):
        absent["indexes"] = str(listed)
    else:
        indexes = _indexes(there, [replies.text(n) for n in replies.items(listed)], told, absent)
    return Sample(
        node.address,
        node.role,
        at,
        facts.get("run_id", ""),
        figures,
        absent,
        indexes,
        facts.get("master_link_status", "") if facts.get("role") == "slave" else "",
    )


def _facts(info: Reply) -> dict[str, str]:
    if isinstance(info, MemDBError):
        return {}
    return {key: value for section in replies.info(info).values() for key, value in section.items()}


def _plain(info: Reply) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    figures: dict[str, float] = {}
    absent: dict[str, str] = {}
    facts = _facts(info)
    for name, told in {**GAUGES, **COUNTERS}.items():
        _put(figures, absent, name, facts, told, "INFO")
    _put(figures, absent, "limit_bytes", facts, "maxmemory", "INFO")
    if figures.get("limit_bytes") == 0:
        del figures["limit_bytes"]
        absent["limit_bytes"] = "no memory limit is set (maxmemory 0)"
    # The thread that runs commands, where it is told apart: the rest of the process saves and loads.
    names = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
    seconds = [replies.number(facts.get(name)) for name in names if name in facts]
    if len(seconds) == len(names):
        figures["cpu_s"] = sum(seconds)
    else:
        absent["cpu_s"] = "INFO does not tell the CPU time of the main thread"
    return figures, absent, facts


def _put(
    figures: dict[str, float],
    absent: dict[str, str],
    name: str,
    facts: Mapping[str, Reply],
    told: str,
    where: str,
) -> None:
    value = replies.number(facts.get(told))
    if value == value:  # not NaN
        figures[name] = value
    else:
        absent[name] = f"{where} does not tell {told}"


def _search_counters(figures: dict[str, float], absent: dict[str, str], commands: Reply) -> None:
    if isinstance(commands, MemDBError):
        absent["searches"] = absent["search_us"] = str(commands)
        return
    found = {key.lower(): value for key, value in _facts(commands).items()}
    if not found:
        absent["searches"] = absent["search_us"] = "INFO has no section commandstats"
        return
    line = found.get("cmdstat_ft.search", "")
    parts = dict(part.partition("=")[::2] for part in line.split(","))
    # A command that nobody has sent yet has no line: that is zero, not absent.
    figures["searches"] = replies.number(parts.get("calls"), 0.0)
    figures["search_us"] = replies.number(parts.get("usec"), 0.0)


def _indexes(
    there: Client, names: list[str], told: Mapping[str, str], absent: dict[str, str]
) -> tuple[IndexReading, ...]:
    try:
        found = there.pipeline([("FT.INFO", name) for name in names], errors_as_values=True)
    except MemDBError as exc:
        absent["indexes"] = str(exc)
        return ()
    for name, reply in zip(names, found, strict=True):
        if isinstance(reply, MemDBError):  # dropped since it was listed, or refused
            absent[f"index {name}"] = str(reply)
    return tuple(
        reading(name, reply, told)
        for name, reply in zip(names, found, strict=True)
        if not isinstance(reply, MemDBError)
    )
