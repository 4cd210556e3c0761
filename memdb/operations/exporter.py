"""Samples as OpenMetrics, with the official client library: for people who have Prometheus and Grafana."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from memdb.cluster.client import Client
from memdb.errors import MemDBError
from memdb.operations.readings import KINDS
from memdb.operations.samples import Sample, sample_all

# Ours → (name without prefix, help, factor to the base unit).
GAUGE_NAMES = {
    "used_bytes": ("memory_used_bytes", "used_memory", 1.0),
    "limit_bytes": ("memory_limit_bytes", "maxmemory", 1.0),
    "rss_bytes": ("memory_resident_bytes", "used_memory_rss", 1.0),
    "startup_bytes": ("memory_startup_bytes", "used_memory_startup", 1.0),
    "overhead_bytes": ("memory_overhead_bytes", "used_memory_overhead", 1.0),
    "client_buffer_bytes": ("memory_client_buffers_bytes", "mem_clients_normal", 1.0),
    "replication_buffer_bytes": ("memory_replication_buffers_bytes", "backlog and replicas' buffers", 1.0),
    "aof_buffer_bytes": ("memory_aof_buffer_bytes", "mem_aof_buffer", 1.0),
    "search_bytes": ("memory_indexes_bytes", "what all indexes hold, as the module tells", 1.0),
    "fragmentation": ("memory_fragmentation_ratio", "mem_fragmentation_ratio", 1.0),
    "keys": ("keys", "keys of all databases", 1.0),
    "keys_with_ttl": ("keys_with_ttl", "those with a time to live", 1.0),
    "clients": ("clients", "connected_clients", 1.0),
    "client_limit": ("clients_limit", "maxclients", 1.0),
    "blocked_clients": ("clients_blocked", "blocked_clients", 1.0),
    "uptime_s": ("uptime_seconds", "uptime_in_seconds", 1.0),
    "knn_p50_us": ("knn_p50_seconds", "valkey-search, since it started", 1e-6),
    "knn_p99_us": ("knn_p99_seconds", "valkey-search, since it started", 1e-6),
}
COUNTER_NAMES = {
    "commands": ("commands", "total_commands_processed", 1.0),
    "evicted": ("keys_evicted", "evicted_keys", 1.0),
    "expired": ("keys_expired", "expired_keys", 1.0),
    "hits": ("keyspace_hits", "keyspace_hits", 1.0),
    "misses": ("keyspace_misses", "keyspace_misses", 1.0),
    "rejected": ("connections_rejected", "rejected_connections", 1.0),
    "errors": ("errors", "total_error_replies", 1.0),
    "net_in_bytes": ("network_in_bytes", "total_net_input_bytes", 1.0),
    "net_out_bytes": ("network_out_bytes", "total_net_output_bytes", 1.0),
    "searches": ("searches", "calls of FT.SEARCH", 1.0),
    "search_us": ("searches_seconds", "time spent in FT.SEARCH", 1e-6),
    "cpu_s": ("cpu_main_thread_seconds", "CPU time of the main thread", 1.0),
    "slow": ("slow_log_entries", "commands the slow log has taken", 1.0),
}
_NODE = ("node", "role")
_INDEX = ("node", "role", "index")


class Exporter(Collector):
    """Asks the nodes with a scrape; scrapes within `least_s` share one look."""

    def __init__(self, client: Client, *, least_s: float = 1.0) -> None:
        self._client, self._least_s = client, least_s
        self._lock = threading.Lock()
        self._at = -least_s
        self._kept: tuple[Sample, ...] = ()

    def collect(self) -> Iterable[Metric]:
        """All metrics, one family after the other; a target that does not answer is `memdb_up 0`."""
        return families(self._samples(), self._client.target.address)

    def _samples(self) -> tuple[Sample, ...]:
        with self._lock:
            if time.monotonic() - self._at >= self._least_s:
                try:
                    self._kept = sample_all(self._client)
                except MemDBError as exc:  # nobody says who the nodes are: those that were known are silent
                    known = [(one.address, one.role) for one in self._kept]
                    self._kept = tuple(Sample(a, role, 0.0, problem=str(exc)) for a, role in known)
                self._at = time.monotonic()
            return self._kept


def families(samples: Sequence[Sample], target: str) -> list[Metric]:
    """Samples as metric families.

    Args:
        samples: one a node; none where no node has ever answered.
        target: stands for the node then.
    """
    up = GaugeMetricFamily("memdb_up", "1 where the node answered", labels=_NODE)
    for one in samples:
        up.add_metric((one.address, one.role), float(not one.problem))
    if not samples:
        up.add_metric((target, "unknown"), 0.0)
    told = [one for one in samples if not one.problem]
    found: list[Metric] = [up]
    for ours, (name, text, factor) in GAUGE_NAMES.items():
        found.append(_plain(GaugeMetricFamily(f"memdb_{name}", text, labels=_NODE), told, ours, factor))
    for ours, (name, text, factor) in COUNTER_NAMES.items():
        found.append(_plain(CounterMetricFamily(f"memdb_{name}", text, labels=_NODE), told, ours, factor))
    kinds = CounterMetricFamily("memdb_commands_by_kind", "commandstats by kind", labels=(*_NODE, "kind"))
    for one in told:
        for kind in KINDS:
            if f"calls_{kind}" in one.figures:
                kinds.add_metric((one.address, one.role, kind), one.figures[f"calls_{kind}"])
    absent = GaugeMetricFamily(
        "memdb_absent", "figures that the node does not tell", labels=(*_NODE, "figure")
    )
    behind = GaugeMetricFamily(
        "memdb_replica_behind_bytes", "written by the primary, not acknowledged", labels=("node", "replica")
    )
    for one in told:
        for figure in one.absent:
            absent.add_metric((one.address, one.role, figure), 1.0)
        for replica in one.replicas:
            behind.add_metric((one.address, replica.address), replica.behind_bytes)
    return [*(f for f in [*found, kinds, absent, behind] if f.samples), *_indexes(told)]


def _plain(
    family: GaugeMetricFamily | CounterMetricFamily, samples: Sequence[Sample], figure: str, factor: float
) -> Metric:
    for one in samples:
        if figure in one.figures:
            family.add_metric((one.address, one.role), one.figures[figure] * factor)
    return family


def _indexes(samples: Sequence[Sample]) -> list[Metric]:
    gauges = {
        "built": GaugeMetricFamily("memdb_index_built_ratio", "share of the index built", labels=_INDEX),
        "ready": GaugeMetricFamily("memdb_index_ready", "1 where the index is built", labels=_INDEX),
        "documents": GaugeMetricFamily("memdb_index_documents", "documents in it", labels=_INDEX),
        "failures": GaugeMetricFamily("memdb_index_failures", "documents it could not take", labels=_INDEX),
        "bytes": GaugeMetricFamily("memdb_index_memory_bytes", "as FT.INFO tells", labels=_INDEX),
    }
    for one in samples:
        for index in one.indexes:
            values = {
                "built": index.build.fraction,
                "ready": float(index.build.ready),
                "documents": index.documents,
                "failures": index.failures,
                "bytes": index.total_bytes,
            }
            for name, value in values.items():
                if value is not None:
                    gauges[name].add_metric((one.address, one.role, index.name), value)
    return [family for family in gauges.values() if family.samples]


# What a sample may hold; a server test says where it holds more.
KNOWN = {*GAUGE_NAMES, *COUNTER_NAMES, *(f"calls_{kind}" for kind in KINDS)}
