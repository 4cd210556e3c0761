"""Every figure of a node, once: samples, rates, the history, the exporter, the Metrics page and `memdb check`
take names, units, sources and texts from here. To add one that INFO tells, add an entry. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memdb.cluster.possible import (
    COUNTER,
    MICROSECONDS,
    RATIO,
    SECONDS,
    SHARE,
    SIZE,
    THINGS,
    Range,
)

# "gauge": as the node tells it. "counter": the node counts up, people see the rate. "derived": ours.
Kind = Literal["gauge", "counter", "derived"]
Direction = Literal["lower is better", "higher is better", ""]

# Kinds of commands, as CloudWatch groups them (SearchBasedCmds, HashBasedCmds, …); the rest is "server".
KINDS = ("search", "hash", "json", "string", "key", "collection", "server")
# Unit told → (unit of OpenMetrics, factor to it).
BASE_UNITS = {"µs": 1e-6, "ms": 1e-3}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a node.

    A name with `info` is read from INFO without any code. Of a counter the history keeps the rate a second,
    under the same name.
    """

    name: str
    kind: Kind
    unit: str  # as told: "bytes", "keys", "µs", … ; a counter's rate is this a second
    text: str  # what it is, in one line
    source: str  # who tells it, or what it is made of
    within: Range
    info: str = ""  # the field of INFO
    direction: Direction = ""
    kept: bool = True  # in the history
    metric: str = ""  # of OpenMetrics, after "memdb_"; "" where it is not exported
    label: tuple[str, str] | None = None  # one of several figures of that metric, by this label
    charts: tuple[str, ...] = ()  # of the Metrics page, by title (CHARTS)
    legend: str = ""  # its name there

    @property
    def factor(self) -> float:
        """From the unit told to that of OpenMetrics."""
        return BASE_UNITS.get(self.unit, 1.0)


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of the Metrics page; the figures name it."""

    view: str
    title: str
    unit: str
    stacked: bool = False


CHARTS = (
    Chart("Overview", "Memory", "bytes"),
    Chart("Overview", "Commands and searches", "1/s"),
    Chart("Overview", "CPU", "cores"),
    Chart("Overview", "Searches", "ms"),
    Chart("Memory", "Over time", "bytes"),
    Chart("Load", "Commands by kind", "1/s", stacked=True),
    Chart("Load", "All commands", "ms"),
    Chart("Load", "Connections", "clients"),
    Chart("Load", "Hit rate", "share"),
    Chart("Load", "Keys that left", "1/s"),
    Chart("Load", "Refused and slow", "1/s"),
    Chart("Load", "Network", "bytes/s"),
    Chart("Load", "Replication behind the primary", "bytes"),
)


def _told(name: str, kind: Kind, unit: str, text: str, within: Range, info: str, **more: object) -> Figure:
    """A figure that is one field of INFO."""
    return Figure(name, kind, unit, text, f"INFO {info}", within, info, **more)  # type: ignore[arg-type]


_MEMORY, _OVER_TIME = ("Memory", "Over time"), ("Over time",)
_TABLE = (
    _told(
        "used_bytes",
        "gauge",
        "bytes",
        "memory the engine has allocated",
        SIZE,
        "used_memory",
        direction="lower is better",
        metric="memory_used_bytes",
        charts=_MEMORY,
        legend="used",
    ),
    _told(
        "limit_bytes",
        "gauge",
        "bytes",
        "memory it may allocate",
        SIZE,
        "maxmemory",
        metric="memory_limit_bytes",
        charts=_MEMORY,
        legend="maxmemory",
    ),
    _told(
        "rss_bytes",
        "gauge",
        "bytes",
        "memory of the process that is resident",
        SIZE,
        "used_memory_rss",
        metric="memory_resident_bytes",
        charts=_OVER_TIME,
        legend="resident",
    ),
    _told(
        "fragmentation",
        "gauge",
        "ratio",
        "resident memory over used memory",
        RATIO,
        "mem_fragmentation_ratio",
        direction="lower is better",
        metric="memory_fragmentation_ratio",
    ),
    Figure(
        "search_bytes",
        "gauge",
        "bytes",
        "what all indexes hold, as the module reports",
        "INFO search_used_memory_bytes or search_used_memory_indexes; RediSearch: FT.INFO of every index",
        SIZE,
        metric="memory_indexes_bytes",
        charts=_OVER_TIME,
        legend="indexes",
    ),
    _told(
        "client_buffer_bytes",
        "gauge",
        "bytes",
        "buffers of clients",
        SIZE,
        "mem_clients_normal",
        metric="memory_client_buffers_bytes",
    ),
    Figure(
        "replication_buffer_bytes",
        "gauge",
        "bytes",
        "backlog and replicas' buffers",
        "INFO mem_clients_slaves and mem_replication_backlog",
        SIZE,
        metric="memory_replication_buffers_bytes",
    ),
    _told(
        "startup_bytes",
        "gauge",
        "bytes",
        "memory of an empty server",
        SIZE,
        "used_memory_startup",
        kept=False,
        metric="memory_startup_bytes",
    ),
    _told(
        "overhead_bytes",
        "gauge",
        "bytes",
        "memory that is no data",
        SIZE,
        "used_memory_overhead",
        kept=False,
        metric="memory_overhead_bytes",
    ),
    _told(
        "aof_buffer_bytes",
        "gauge",
        "bytes",
        "buffer of the append-only file",
        SIZE,
        "mem_aof_buffer",
        kept=False,
        metric="memory_aof_buffer_bytes",
    ),
    Figure("keys", "gauge", "keys", "keys of all databases", "INFO keyspace", THINGS, metric="keys"),
    Figure(
        "keys_with_ttl",
        "gauge",
        "keys",
        "keys that have a time to live",
        "INFO keyspace",
        THINGS,
        metric="keys_with_ttl",
    ),
    _told(
        "clients",
        "gauge",
        "clients",
        "connections",
        THINGS,
        "connected_clients",
        metric="clients",
        charts=("Connections",),
        legend="connected",
    ),
    Figure(
        "client_limit",
        "gauge",
        "clients",
        "connections allowed",
        "CONFIG GET maxclients or INFO maxclients",
        THINGS,
        metric="clients_limit",
    ),
    _told(
        "blocked_clients",
        "gauge",
        "clients",
        "connections that wait in a blocking command",
        THINGS,
        "blocked_clients",
        metric="clients_blocked",
        charts=("Connections",),
        legend="blocked",
    ),
    _told(
        "uptime_s",
        "gauge",
        "seconds",
        "since the server started",
        SECONDS,
        "uptime_in_seconds",
        kept=False,
        metric="uptime_seconds",
    ),
    *(
        Figure(
            f"knn_{p}_us",
            "gauge",
            "µs",
            f"{p} of all HNSW searches since the server started",
            "INFO search_hnsw_vector_index_search_latency_usec (valkey-search)",
            MICROSECONDS,
            direction="lower is better",
            kept=False,
            metric=f"knn_{p}_seconds",
        )
        for p in ("p50", "p99")
    ),
    _told(
        "commands",
        "counter",
        "commands",
        "commands run",
        COUNTER,
        "total_commands_processed",
        metric="commands",
        charts=("Commands and searches",),
        legend="commands",
    ),
    _told(
        "evicted",
        "counter",
        "keys",
        "keys thrown away for memory",
        COUNTER,
        "evicted_keys",
        direction="lower is better",
        metric="keys_evicted",
        charts=("Keys that left",),
        legend="evicted",
    ),
    _told(
        "expired",
        "counter",
        "keys",
        "keys whose time to live ended",
        COUNTER,
        "expired_keys",
        metric="keys_expired",
        charts=("Keys that left",),
        legend="expired",
    ),
    _told(
        "hits",
        "counter",
        "keys",
        "keys looked up and there",
        COUNTER,
        "keyspace_hits",
        direction="higher is better",
        metric="keyspace_hits",
    ),
    _told(
        "misses",
        "counter",
        "keys",
        "keys looked up and not there",
        COUNTER,
        "keyspace_misses",
        direction="lower is better",
        metric="keyspace_misses",
    ),
    _told(
        "rejected",
        "counter",
        "connections",
        "connections turned away",
        COUNTER,
        "rejected_connections",
        direction="lower is better",
        metric="connections_rejected",
        charts=("Refused and slow",),
        legend="rejected",
    ),
    _told(
        "errors",
        "counter",
        "replies",
        "replies that were errors",
        COUNTER,
        "total_error_replies",
        direction="lower is better",
        metric="errors",
        charts=("Refused and slow",),
        legend="errors",
    ),
    _told(
        "net_in_bytes",
        "counter",
        "bytes",
        "bytes received",
        COUNTER,
        "total_net_input_bytes",
        metric="network_in_bytes",
        charts=("Network",),
        legend="in",
    ),
    _told(
        "net_out_bytes",
        "counter",
        "bytes",
        "bytes sent",
        COUNTER,
        "total_net_output_bytes",
        metric="network_out_bytes",
        charts=("Network",),
        legend="out",
    ),
    Figure(
        "searches",
        "counter",
        "searches",
        "calls of FT.SEARCH",
        "INFO commandstats",
        COUNTER,
        metric="searches",
        charts=("Commands and searches",),
        legend="searches",
    ),
    Figure(
        "search_us",
        "counter",
        "µs",
        "time spent in FT.SEARCH",
        "INFO commandstats",
        COUNTER,
        kept=False,
        metric="searches_seconds",
    ),
    Figure(
        "cpu_s",
        "counter",
        "seconds",
        "CPU time of the main thread",
        "INFO used_cpu_user_main_thread and used_cpu_sys_main_thread",
        SECONDS,
        kept=False,
        metric="cpu_main_thread_seconds",
    ),
    Figure(
        "cpu_process_s",
        "counter",
        "seconds",
        "CPU time of all threads: searches run beside the main thread on valkey-search and MemoryDB",
        "INFO used_cpu_user and used_cpu_sys",
        SECONDS,
        kept=False,
        metric="cpu_process_seconds",
    ),
    Figure(
        "slow",
        "counter",
        "commands",
        "commands the slow log has taken",
        "SLOWLOG GET",
        COUNTER,
        direction="lower is better",
        metric="slow_log_entries",
        charts=("Refused and slow",),
        legend="slow log",
    ),
    *(
        Figure(
            f"calls_{kind}",
            "counter",
            "commands",
            f"commands of kind {kind}",
            "INFO commandstats",
            COUNTER,
            metric="commands_by_kind",
            label=("kind", kind),
            charts=("Commands by kind",),
            legend=kind,
        )
        for kind in KINDS
    ),
    Figure(
        "search_ms",
        "derived",
        "ms",
        "mean time of FT.SEARCH on the server",
        "search_us over searches",
        MICROSECONDS,
        direction="lower is better",
        charts=("Searches",),
        legend="mean",
    ),
    Figure(
        "cpu",
        "derived",
        "share",
        "share of the main thread that is busy",
        "cpu_s over time",
        RATIO,
        direction="lower is better",
        charts=("CPU",),
        legend="main thread",
    ),
    Figure(
        "cpu_process",
        "derived",
        "cores",
        "cores that all threads together keep busy",
        "cpu_process_s over time",
        RATIO,
        direction="lower is better",
        charts=("CPU",),
        legend="whole process",
    ),
    Figure(
        "cpu_readers",
        "gauge",
        "%",
        "CPU of the threads that search, as valkey-search reports it",
        "INFO search_used_read_cpu",
        RATIO,
        direction="lower is better",
        metric="search_reader_cpu_percent",
    ),
    Figure(
        "cpu_writers",
        "gauge",
        "%",
        "CPU of the threads that index, as valkey-search reports it",
        "INFO search_used_write_cpu",
        RATIO,
        direction="lower is better",
        metric="search_writer_cpu_percent",
    ),
    Figure(
        "hit_rate",
        "derived",
        "share",
        "keys looked up that were there",
        "hits over hits and misses",
        SHARE,
        direction="higher is better",
        charts=("Hit rate",),
        legend="hits",
    ),
    *(
        Figure(
            f"{prefix}{p}_ms",
            "derived",
            "ms",
            f"{p} of {what}: upper edge of the server's bucket",
            "LATENCY HISTOGRAM",
            MICROSECONDS,
            direction="lower is better",
            charts=charts,
            legend=f"{p}, at most",
        )
        for prefix, what, charts_of in (
            ("", "all commands", {"p50": ("All commands",), "p99": ("All commands",)}),
            ("search_", "FT.SEARCH", {"p99": ("Searches",)}),
        )
        for p in ("p50", "p99")
        for charts in [charts_of.get(p, ())]
    ),
    Figure(
        "behind_bytes",
        "derived",
        "bytes",
        "written by the primary, not acknowledged by this replica",
        "INFO replication of the primary",
        SIZE,
        direction="lower is better",
        charts=("Replication behind the primary",),
        legend="not acknowledged",
    ),
    Figure(
        "lag_s",
        "derived",
        "seconds",
        "since this replica's last acknowledgement",
        "INFO replication of the primary",
        SECONDS,
        direction="lower is better",
    ),
    Figure(
        "took_ms",
        "derived",
        "ms",
        "a sample, as this machine saw it",
        "this machine's clock",
        MICROSECONDS,
        direction="lower is better",
    ),
)

FIGURES = {figure.name: figure for figure in _TABLE}
KEPT = tuple(name for name, figure in FIGURES.items() if figure.kept)  # columns of the history
COUNTED = tuple(name for name, figure in FIGURES.items() if figure.kind == "counter")
RATED = tuple(name for name in KEPT if FIGURES[name].kind == "counter")  # kept as a rate of that name


def on_chart(chart: Chart) -> dict[str, str]:
    """The figures of a chart with their names in its legend."""
    return {name: figure.legend for name, figure in FIGURES.items() if chart.title in figure.charts}
