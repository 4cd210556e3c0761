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
from memdb.display import line
from memdb.errors import MemDBError, NotAllowed
from memdb.operations import readings
from memdb.operations.build import reading
from memdb.operations.readings import Following, Histogram, Reading
from memdb.vectors.index import IndexInfo

# INFO alone leaves out command statistics; MemoryDB and valkey-search have "search", RediSearch "modules".
_ASKED = (
    ("INFO",),
    ("INFO", "commandstats"),
    ("INFO", "search"),
    ("INFO", "modules"),
    ("CONFIG", "GET", "maxclients"),
    ("SLOWLOG", "GET", "1"),
    ("LATENCY", "HISTOGRAM"),
    ("FT._LIST",),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One node at one moment. A figure is in `figures`, or in `absent` with the reason."""

    address: str
    role: Literal["primary", "replica"]
    at: float  # this machine's monotonic clock, s: servers' clocks disagree, ours does not with itself
    run_id: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[IndexInfo, ...] = ()
    link: str = ""  # of a replica to its primary: "up", "down"
    problem: str = ""  # why the node told nothing at all
    replicas: tuple[Following, ...] = ()  # as this primary sees them
    histograms: Mapping[str, Histogram] = field(default_factory=dict)  # "all", "search"
    took_ms: float = 0.0  # of asking, as this machine saw it
    impossible: frozenset[str] = frozenset()  # of the absent: what was told and cannot be true
    allocator: str = ""  # INFO mem_allocator, e.g. jemalloc-5.3.0


def sample_all(client: Client) -> tuple[Sample, ...]:
    """One sample of every node, also of those that do not answer.

    Raises:
        MemDBError: no node answered who the nodes are.
    """
    return tuple(sample(client, node) for node in client.nodes())


def sample(client: Client, node: Node) -> Sample:
    """Ask one node."""
    there = client.on(node)
    began = time.perf_counter()
    try:
        info, commands, search, modules, config, slow, latency, listed = there.pipeline(
            _ASKED, errors_as_values=True
        )
        at = time.monotonic()
        # A user who may not ask for INFO still sees indexes; a server that loads sees nothing yet.
        if isinstance(info, MemDBError) and not isinstance(info, NotAllowed):
            raise info
    except MemDBError as exc:
        return Sample(node.address, node.role, time.monotonic(), problem=str(exc))
    node_reading = Reading()
    info_facts = readings.facts(info)
    if isinstance(info, NotAllowed):
        node_reading.absent["INFO"] = str(info)
    else:
        readings.memory_and_load(node_reading, info_facts)
    _client_limit(node_reading, info_facts, config)
    readings.commands(node_reading, commands)
    searching = {**readings.facts(search), **readings.facts(modules)}
    readings.search_memory(node_reading, searching)
    _slow_log(node_reading, slow)
    histograms = readings.histograms(node_reading, latency)
    indexes: tuple[IndexInfo, ...] = ()
    if isinstance(listed, MemDBError):
        node_reading.absent["indexes"] = str(listed)
    else:
        indexes = _indexes(there, replies.items(listed), searching, node_reading)
        _whole_indexes(node_reading, indexes)
    return Sample(
        node.address,
        node.role,
        at,
        info_facts.get("run_id", ""),
        node_reading.told,
        node_reading.absent,
        indexes,
        info_facts.get("master_link_status", "") if info_facts.get("role") == "slave" else "",
        "",
        readings.following(info_facts),
        histograms,
        (time.perf_counter() - began) * 1000,
        frozenset(node_reading.impossible),
        info_facts.get("mem_allocator", ""),
    )


def _client_limit(node_reading: Reading, info: Mapping[str, str], config: Reply) -> None:
    if isinstance(config, MemDBError):
        node_reading.absent["client_limit"] = str(config)
    else:
        value = replies.pairs(config).get("maxclients")
        node_reading.put("client_limit", value, "CONFIG GET maxclients is empty")
    if "maxclients" in info:  # told by INFO too, also where CONFIG is refused
        node_reading.absent.pop("client_limit", None)
        node_reading.put("client_limit", info["maxclients"], "INFO does not tell maxclients")


def _whole_indexes(node_reading: Reading, indexes: tuple[IndexInfo, ...]) -> None:
    """RediSearch's INFO leaves the vectors out of its sum; FT.INFO of each index has them."""
    if not any(index.by_redisearch for index in indexes):
        return
    silent = [f"FT.INFO of {line(index.name)}" for index in indexes if index.total_bytes is None]
    silent += [line(name) for name in node_reading.absent if name.startswith("index ")]
    if silent:
        node_reading.told.pop("search_bytes", None)
        node_reading.absent["search_bytes"] = f"no size of {', '.join(silent)}"
    else:
        node_reading.put("search_bytes", sum(index.total_bytes or 0.0 for index in indexes), "")


def _slow_log(node_reading: Reading, reply: Reply) -> None:
    """How many commands the slow log has ever taken: ids count up, also when old entries leave."""
    if isinstance(reply, MemDBError):
        node_reading.absent["slow"] = str(reply)
        return
    entries = replies.items(reply)
    newest = replies.items(entries[0])[:1] if entries else []
    node_reading.put(
        "slow", replies.number(newest[0]) + 1.0 if newest else 0.0, "SLOWLOG GET tells no number"
    )


def _indexes(
    there: Client, listed: list[Reply], info: Mapping[str, str], node_reading: Reading
) -> tuple[IndexInfo, ...]:
    names = [replies.text(name) for name in listed]
    try:
        # Names as they came: one that is not UTF-8 is no index under its printable form.
        answers = there.pipeline([("FT.INFO", name) for name in listed], errors_as_values=True)
    except MemDBError as exc:
        node_reading.absent["indexes"] = str(exc)
        return ()
    infos = []
    for name, reply in zip(names, answers, strict=True):
        if isinstance(reply, MemDBError):  # dropped since it was listed, or refused
            node_reading.absent[f"index {name}"] = str(reply)
            continue
        infos.append(reading(name, reply, info))
        for figure, why in infos[-1].absent.items():
            node_reading.refuse(f"{figure} of index {name}", why)
    return tuple(infos)
