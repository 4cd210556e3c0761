"""What INFO, commandstats and LATENCY HISTOGRAM tell, as figures with our names. Pure.

A figure is told, or it is absent with the reason: zero means that the server said zero. What cannot be
true is absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from memdb.cluster import possible, replies
from memdb.cluster.possible import COUNTER, MICROSECONDS, SECONDS, SIZE
from memdb.cluster.replies import Reply
from memdb.display import line
from memdb.errors import MemDBError
from memdb.numerals import whole_number
from memdb.operations.figures import FIGURES, KINDS

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
    # Not known where what the primary tells cannot be.
    behind_bytes: float | None  # written by the primary and not yet acknowledged by the replica
    lag_s: float | None  # since its last acknowledgement; replicas acknowledge once a second


@dataclass(slots=True)
class Reading:
    """Being filled: what was told, and why the rest was not."""

    told: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    impossible: set[str] = field(default_factory=set)  # of the absent: those that were told and cannot be

    def put(self, name: str, value: Reply, why_not: str, *, source: str = "") -> None:
        """Take a figure of FIGURES, or the reason where it is no number or cannot be true.

        Args:
            name: of the figure.
            value: as it came.
            why_not: the reason where nothing was told.
            source: who told it, where the figure has several sources.
        """
        figure = FIGURES[name]
        number = possible.number(value, figure.within)
        if number is not None:
            self.told[name] = number
        elif why := possible.refusal(value, figure.within, source or figure.source):
            self.refuse(name, why)
        else:
            self.absent[name] = why_not

    def refuse(self, name: str, why: str) -> None:
        """Leave out a figure that was told and cannot be."""
        self.told.pop(name, None)
        self.absent[name] = why
        self.impossible.add(name)


def facts(info: Reply) -> dict[str, str]:
    """INFO's text as name → value, whatever section it stood in; empty for an error."""
    if isinstance(info, MemDBError):
        return {}
    return {key: value for section in replies.info(info).values() for key, value in section.items()}


def memory_and_load(reading: Reading, info: Mapping[str, str]) -> None:
    """Figures of a plain INFO."""
    for name, figure in FIGURES.items():
        if figure.info:
            reading.put(name, info.get(figure.info), f"INFO does not tell {figure.info}")
    if reading.told.get("limit_bytes") == 0:
        del reading.told["limit_bytes"]
        reading.absent["limit_bytes"] = "no memory limit is set (maxmemory 0)"
    buffers = [info[name] for name in ("mem_clients_slaves", "mem_replication_backlog") if name in info]
    together = sum(map(replies.number, buffers)) if buffers else None
    reading.put("replication_buffer_bytes", together, "INFO tells neither of them")
    # The thread that runs commands, where it is told apart: the rest of the process saves and loads.
    names = ("used_cpu_user_main_thread", "used_cpu_sys_main_thread")
    seconds = sum(replies.number(info[name]) for name in names) if info.keys() >= set(names) else None
    reading.put("cpu_s", seconds, "INFO does not tell the CPU time of the main thread")
    # All threads: searches of valkey-search and MemoryDB run on others, and leave the main thread idle.
    both = ("used_cpu_user", "used_cpu_sys")
    process = sum(replies.number(info[name]) for name in both) if info.keys() >= set(both) else None
    reading.put("cpu_process_s", process, "INFO does not tell the CPU time of the process")
    _keys(reading, info)


def _keys(reading: Reading, info: Mapping[str, str]) -> None:
    spaces = [
        _parts(value)
        for name, value in info.items()
        if name.startswith("db") and whole_number(name[2:]) is not None
    ]
    if spaces or "keyspace_hits" in info:  # a server without keys has no line of them
        keys, with_ttl = (
            sum(replies.number(space.get(name), 0.0) for space in spaces) for name in ("keys", "expires")
        )
        reading.put("keys", keys, "INFO keyspace tells no number")
        reading.put("keys_with_ttl", with_ttl, "INFO keyspace tells no number")
        if reading.told.get("keys_with_ttl", 0.0) > reading.told.get("keys", math.inf):
            sentence = f"INFO keyspace tells {with_ttl:,.0f} keys with a time to live of {keys:,.0f}"
            reading.refuse("keys_with_ttl", f"{sentence}, which is impossible")
    else:
        reading.absent["keys"] = reading.absent["keys_with_ttl"] = "INFO does not tell the keyspace"


def search_memory(reading: Reading, info: Mapping[str, str]) -> None:
    """What all indexes of the node hold together: MemoryDB and valkey-search, or RediSearch."""
    names = ("search_used_memory_bytes", "search_used_memory_indexes")
    field_ = next((name for name in names if info.get(name)), "")
    why = "INFO has no figure of the indexes' memory"
    reading.put("search_bytes", info.get(field_), why, source=f"INFO {field_}")
    for name, told_as in (("cpu_readers", "search_used_read_cpu"), ("cpu_writers", "search_used_write_cpu")):
        if told_as in info:  # valkey-search alone tells its threads
            reading.put(name, info[told_as], "INFO tells no number")
    latency = _parts(info.get("search_hnsw_vector_index_search_latency_usec", ""))
    for name in ("p50", "p99"):
        if name in latency:  # valkey-search, of all searches since it started
            reading.put(f"knn_{name}_us", latency[name], "INFO tells no number")


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


def commands(reading: Reading, reply: Reply) -> None:
    """Commandstats: calls by kind, and calls and µs of FT.SEARCH."""
    wanted = ("searches", "search_us", *(f"calls_{kind}" for kind in KINDS))
    stats = facts(reply)
    if not stats:
        why = str(reply) if isinstance(reply, MemDBError) else "INFO has no section commandstats"
        reading.absent.update(dict.fromkeys(wanted, why))
        return
    # A command that nobody has sent yet has no line: that is zero, not absent.
    counted = dict.fromkeys(wanted, 0.0)
    for name, value in stats.items():
        if name.startswith("cmdstat_"):
            command, parts = name.removeprefix("cmdstat_"), _parts(value)
            calls = replies.number(parts.get("calls"), 0.0)
            counted[f"calls_{kind_of(command)}"] += calls
            if command.lower() == "ft.search":
                counted["searches"] = calls
                counted["search_us"] = replies.number(parts.get("usec"), 0.0)
    for name, count in counted.items():
        reading.put(name, count, "INFO commandstats tells no number")


def histograms(reading: Reading, reply: Reply) -> dict[str, Histogram]:
    """LATENCY HISTOGRAM as cumulative counts: of "all" commands, and of "search" (FT.SEARCH)."""
    if isinstance(reply, MemDBError):
        reading.absent["latency"] = str(reply)
        return {}
    every: dict[float, int] = {}
    result: dict[str, Histogram] = {}
    for name, histogram in replies.pairs(reply).items():
        edges = replies.pairs(replies.pairs(histogram).get("histogram_usec"))
        cumulative = tuple(
            sorted((replies.number(edge, 0.0), replies.integer(n)) for edge, n in edges.items())
        )
        if not _cumulative(cumulative):
            why = f"LATENCY HISTOGRAM of {line(name)} tells counts that fall, which is impossible"
            reading.refuse("latency", why)
            return {}
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


def _cumulative(counts: Histogram) -> bool:
    """Whether edges are times, and counts never fall from one to the next."""
    numbers = [count for _, count in counts]
    return (
        numbers == sorted(numbers)
        and all(COUNTER.holds(count) for count in numbers)
        and all(MICROSECONDS.holds(edge) for edge, _ in counts)
    )


def following(info: Mapping[str, str]) -> tuple[Following, ...]:
    """The replicas that INFO of a primary lists, with how far they are behind."""
    written = replies.number(info.get("master_repl_offset"), 0.0)
    replicas = []
    for name, value in info.items():
        if re.fullmatch(r"(slave|replica)\d+", name):
            replica = _parts(value)
            behind = max(0.0, written - replies.number(replica.get("offset"), written))
            address = f"{replica.get('ip', '?')}:{replica.get('port', '?')}"
            lag = possible.number(replica.get("lag"), SECONDS)
            replicas.append(
                Following(address, replica.get("state", "?"), behind if SIZE.holds(behind) else None, lag)
            )
    return tuple(replicas)


def _parts(value: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in value.split(","))
