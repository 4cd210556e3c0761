"""What INFO, commandstats and LATENCY HISTOGRAM tell, as figures with our names. Pure.

A figure is told, or it is absent with the reason: zero means that the server said zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from memdb.cluster import replies
from memdb.cluster.replies import Reply
from memdb.errors import MemDBError

GAUGES = {
    "used_bytes": "used_memory",
    "rss_bytes": "used_memory_rss",
    "startup_bytes": "used_memory_startup",
    "overhead_bytes": "used_memory_overhead",
    "client_buffer_bytes": "mem_clients_normal",
    "aof_buffer_bytes": "mem_aof_buffer",
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
    "errors": "total_error_replies",
    "net_in_bytes": "total_net_input_bytes",
    "net_out_bytes": "total_net_output_bytes",
}
# Kinds of commands, as CloudWatch groups them (SearchBasedCmds, HashBasedCmds, …); the rest is "server".
KINDS = ("search", "hash", "json", "string", "key", "collection", "server")
_STRING = (
    "get set mget mset setex psetex setnx getset getdel getex strlen append incr decr incrby decrby "
    "getrange "
    "bitcount bitop bitpos bitfield setbit getbit setrange"
)
_KEY = "del unlink expire pexpire expireat pexpireat persist ttl pttl type exists scan rename randomkey dump"
_HASH = "hset hget hmget hmset hgetall hdel hlen hexists hkeys hvals hincrby hscan hsetnx hexpire hstrlen"
_COLLECTION = ("l", "r", "s", "z", "x", "b")  # of lists, sets, sorted sets, streams, blocking reads
_SERVER = (
    "latency lastsave readonly readwrite replconf role slowlog subscribe ssubscribe select script slaveof "
    "replicaof restore-asking spublish shutdown save bgsave bgrewriteaof sync xsetid reset lolwut swapdb"
)
_KIND_OF = (
    dict.fromkeys(_STRING.split(), "string")
    | dict.fromkeys(_KEY.split(), "key")
    | dict.fromkeys(_HASH.split(), "hash")
    | dict.fromkeys(_SERVER.split(), "server")
)
# Upper edge of a bucket in µs → commands that took at most so long, since the server started.
Histogram = tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Following:
    """A replica as its primary sees it."""

    address: str
    state: str  # "online", "wait_bgsave", …
    behind_bytes: float  # written by the primary and not yet acknowledged by the replica
    lag_s: float  # since its last acknowledgement; replicas acknowledge once a second


@dataclass(slots=True)
class Figures:
    """Being filled: what was told, and why the rest was not."""

    told: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Reply, why_not: str) -> None:
        """Take a figure, or the reason where it is no number."""
        number = replies.number(value)
        if number == number:  # not NaN
            self.told[name] = number
        else:
            self.absent[name] = why_not


def facts(info: Reply) -> dict[str, str]:
    """INFO's text as name → value, whatever section it stood in; empty for an error."""
    if isinstance(info, MemDBError):
        return {}
    return {key: value for section in replies.info(info).values() for key, value in section.items()}


def memory_and_load(found: Figures, told: Mapping[str, str]) -> None:
    """Figures of a plain INFO."""
    for name, theirs in {**GAUGES, **COUNTERS}.items():
        found.put(name, told.get(theirs), f"INFO does not tell {theirs}")
    found.put("limit_bytes", told.get("maxmemory"), "INFO does not tell maxmemory")
    if found.told.get("limit_bytes") == 0:
        del found.told["limit_bytes"]
        found.absent["limit_bytes"] = "no memory limit is set (maxmemory 0)"
    found.told["replication_buffer_bytes"] = sum(
        replies.number(told.get(name), 0.0) for name in ("mem_clients_slaves", "mem_replication_backlog")
    )
    # The thread that runs commands, where it is told apart: the rest of the process saves and loads.
    seconds = [
        replies.number(told.get(name)) for name in ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
    ]
    found.put("cpu_s", sum(seconds), "INFO does not tell the CPU time of the main thread")
    _keys(found, told)


def _keys(found: Figures, told: Mapping[str, str]) -> None:
    spaces = [_parts(value) for name, value in told.items() if name.startswith("db") and name[2:].isdigit()]
    if spaces or "keyspace_hits" in told:  # a server without keys has no line of them
        found.told["keys"] = sum(replies.number(one.get("keys"), 0.0) for one in spaces)
        found.told["keys_with_ttl"] = sum(replies.number(one.get("expires"), 0.0) for one in spaces)
    else:
        found.absent["keys"] = found.absent["keys_with_ttl"] = "INFO does not tell the keyspace"


def search_memory(found: Figures, told: Mapping[str, str]) -> None:
    """What all indexes of the node hold together: MemoryDB and valkey-search, or RediSearch."""
    value = told.get("search_used_memory_bytes") or told.get("search_used_memory_indexes")
    found.put("search_bytes", value, "INFO has no figure of the indexes' memory")
    latency = _parts(told.get("search_hnsw_vector_index_search_latency_usec", ""))
    for name in ("p50", "p99"):
        if name in latency:  # valkey-search, of all searches since it started
            found.put(f"knn_{name}_us", latency[name], "")


def kind_of(command: str) -> str:
    """Which of KINDS a command counts as; a subcommand stands behind a bar."""
    name = command.lower().partition("|")[0]
    if name.startswith(("ft.", "_ft.")):
        return "search"
    if name.startswith("json."):
        return "json"
    if name in _KIND_OF:
        return _KIND_OF[name]
    return "collection" if name.startswith(_COLLECTION) else "server"


def commands(found: Figures, reply: Reply) -> None:
    """Commandstats: calls by kind, and calls and µs of FT.SEARCH."""
    wanted = ("searches", "search_us", *(f"calls_{kind}" for kind in KINDS))
    told = facts(reply)
    if not told:
        why = str(reply) if isinstance(reply, MemDBError) else "INFO has no section commandstats"
        found.absent.update(dict.fromkeys(wanted, why))
        return
    # A command that nobody has sent yet has no line: that is zero, not absent.
    found.told.update(dict.fromkeys(wanted, 0.0))
    for name, value in told.items():
        if name.startswith("cmdstat_"):
            command, parts = name.removeprefix("cmdstat_"), _parts(value)
            calls = replies.number(parts.get("calls"), 0.0)
            found.told[f"calls_{kind_of(command)}"] += calls
            if command.lower() == "ft.search":
                found.told["searches"] = calls
                found.told["search_us"] = replies.number(parts.get("usec"), 0.0)


def histograms(found: Figures, reply: Reply) -> dict[str, Histogram]:
    """LATENCY HISTOGRAM as cumulative counts: of "all" commands, and of "search" (FT.SEARCH)."""
    if isinstance(reply, MemDBError):
        found.absent["latency"] = str(reply)
        return {}
    every: dict[float, int] = {}
    result: dict[str, Histogram] = {}
    for name, one in replies.pairs(reply).items():
        edges = replies.pairs(replies.pairs(one).get("histogram_usec"))
        cumulative = tuple(
            sorted((replies.number(edge, 0.0), replies.integer(n)) for edge, n in edges.items())
        )
        before = 0
        for edge, count in cumulative:
            every[edge] = every.get(edge, 0) + count - before
            before = count
        if name.lower() == "ft.search":
            result["search"] = cumulative
    running = 0
    together = []
    for edge in sorted(every):
        running += every[edge]
        together.append((edge, running))
    return result | {"all": tuple(together)}


def following(told: Mapping[str, str]) -> tuple[Following, ...]:
    """The replicas that INFO of a primary lists, with how far they are behind."""
    written = replies.number(told.get("master_repl_offset"), 0.0)
    found = []
    for name, value in told.items():
        if re.fullmatch(r"(slave|replica)\d+", name):
            one = _parts(value)
            behind = max(0.0, written - replies.number(one.get("offset"), written))
            address = f"{one.get('ip', '?')}:{one.get('port', '?')}"
            lag = replies.number(one.get("lag"), 0.0)
            found.append(Following(address, one.get("state", "?"), behind, lag))
    return tuple(found)


def _parts(value: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in value.split(","))
