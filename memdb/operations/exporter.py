"""Samples as OpenMetrics, with the official client library: for people who have Prometheus and Grafana."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from memdb.cluster.client import Client
from memdb.errors import MemDBError
from memdb.operations.figures import FIGURES, Figure
from memdb.operations.samples import Sample, sample_all

_NODE = ("node", "role")
_INDEX = ("node", "role", "index")


class Exporter(Collector):
    """Asks the nodes with a scrape; scrapes within `least_s` share one look."""

    def __init__(
        self,
        client: Client,
        *,
        least_s: float = 1.0,
        more: Callable[[], Iterable[Metric]] = lambda: (),
    ) -> None:
        """Nothing is asked yet.

        Args:
            client: the target.
            least_s: scrapes within so many seconds share one look.
            more: further metrics, which ask no server.
        """
        self._client, self._least_s, self._more = client, least_s, more
        self._lock = threading.Lock()
        self._at = -least_s
        self._kept: tuple[Sample, ...] = ()

    def collect(self) -> Iterable[Metric]:
        """All metrics, one family after the other; a target that does not answer is `memdb_up 0`."""
        return [*families(self._samples(), self._client.target.address), *self._more()]

    def _samples(self) -> tuple[Sample, ...]:
        with self._lock:
            if time.monotonic() - self._at >= self._least_s:
                try:
                    self._kept = sample_all(self._client)
                except MemDBError as exc:  # nobody says who the nodes are: those that were known are silent
                    nodes = [(sample.address, sample.role) for sample in self._kept]
                    self._kept = tuple(Sample(a, role, 0.0, problem=str(exc)) for a, role in nodes)
                self._at = time.monotonic()
            return self._kept


def families(samples: Sequence[Sample], target: str) -> list[Metric]:
    """Samples as metric families.

    Args:
        samples: one a node; none where no node has ever answered.
        target: stands for the node then.
    """
    up = GaugeMetricFamily("memdb_up", "1 where the node answered", labels=_NODE)
    for sample in samples:
        up.add_metric((sample.address, sample.role), float(not sample.problem))
    if not samples:
        up.add_metric((target, "unknown"), 0.0)
    answering = [sample for sample in samples if not sample.problem]
    metrics: list[Metric] = [up]
    by_metric: dict[str, list[Figure]] = {}
    for figure in FIGURES.values():
        if figure.metric:
            by_metric.setdefault(figure.metric, []).append(figure)
    metrics += [_family(metric, figures, answering) for metric, figures in by_metric.items()]
    absent = GaugeMetricFamily(
        "memdb_absent", "figures that the node does not tell", labels=(*_NODE, "figure")
    )
    behind = GaugeMetricFamily(
        "memdb_replica_behind_bytes", "written by the primary, not acknowledged", labels=("node", "replica")
    )
    for sample in answering:
        for name in sample.absent:
            absent.add_metric((sample.address, sample.role, name), 1.0)
        for replica in sample.replicas:
            if replica.behind_bytes is not None:
                behind.add_metric((sample.address, replica.address), replica.behind_bytes)
    return [*(f for f in [*metrics, absent, behind] if f.samples), *_indexes(answering)]


def _family(metric: str, figures: Sequence[Figure], samples: Sequence[Sample]) -> Metric:
    """One metric of all nodes, of one figure or of several told apart by a label."""
    label = figures[0].label
    text = f"{figures[0].source} by {label[0]}" if label else f"{figures[0].text}: {figures[0].source}"
    kind = CounterMetricFamily if figures[0].kind == "counter" else GaugeMetricFamily
    family = kind(f"memdb_{metric}", text, labels=(*_NODE, label[0]) if label else _NODE)
    for sample in samples:
        for figure in figures:
            if figure.name in sample.figures:
                labels = (sample.address, sample.role, *([figure.label[1]] if figure.label else []))
                family.add_metric(labels, sample.figures[figure.name] * figure.factor)
    return family


def _indexes(samples: Sequence[Sample]) -> list[Metric]:
    gauges = {
        "built": GaugeMetricFamily("memdb_index_built_ratio", "share of the index built", labels=_INDEX),
        "ready": GaugeMetricFamily("memdb_index_ready", "1 where the index is built", labels=_INDEX),
        "documents": GaugeMetricFamily("memdb_index_documents", "documents in it", labels=_INDEX),
        "failures": GaugeMetricFamily("memdb_index_failures", "documents it could not take", labels=_INDEX),
        "bytes": GaugeMetricFamily("memdb_index_memory_bytes", "as FT.INFO tells", labels=_INDEX),
    }
    for sample in samples:
        for index in sample.indexes:
            values = {
                "built": index.build.fraction,
                "ready": float(index.build.ready),
                "documents": index.documents,
                "failures": index.failures,
                "bytes": index.total_bytes,
            }
            for name, value in values.items():
                if value is not None and name not in index.absent:
                    gauges[name].add_metric((sample.address, sample.role, index.name), value)
    return [family for family in gauges.values() if family.samples]
