"""Samples as OpenMetrics, read back by the official parser."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from memdb.operations.exporter import families
from memdb.operations.samples import Sample
from memdb.vectors.index import BuildState, IndexInfo

ORDER = ("node", "role", "index", "kind", "figure", "replica")
AWKWARD = 'i"\\\n'


class Fixed(Collector):
    def __init__(self, *samples: Sample) -> None:
        self.samples = samples

    def collect(self) -> list[object]:  # type: ignore[override]
        return list(families(self.samples, "redis://h:1"))


def values(*samples: Sample) -> dict[tuple[str, tuple[str, ...]], float]:
    registry = CollectorRegistry()
    registry.register(Fixed(*samples))
    text = generate_latest(registry).decode()
    return {
        (s.name, tuple(s.labels[k] for k in sorted(s.labels, key=ORDER.index))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_figures_in_base_units_with_labels_that_hold_anything() -> None:
    build = BuildState("building", 0.25, "told")
    index = IndexInfo(AWKWARD, "HASH", (), (), 7, None, build, None, None, 2)
    figures = {"used_bytes": 5.0, "search_us": 2e6, "calls_hash": 3.0}
    found = values(
        Sample("a:1", "primary", 0.0, "r", figures, {"client_limit": "refused"}, (index,)),
        Sample("b:1", "replica", 0.0, problem="no answer"),
    )
    assert found["memdb_up", ("a:1", "primary")] == 1
    assert found["memdb_up", ("b:1", "replica")] == 0
    assert found["memdb_memory_used_bytes", ("a:1", "primary")] == 5
    assert found["memdb_searches_seconds_total", ("a:1", "primary")] == 2
    assert found["memdb_commands_by_kind_total", ("a:1", "primary", "hash")] == 3
    assert found["memdb_absent", ("a:1", "primary", "client_limit")] == 1
    assert found["memdb_index_built_ratio", ("a:1", "primary", AWKWARD)] == 0.25
    assert found["memdb_index_failures", ("a:1", "primary", AWKWARD)] == 2
    assert ("memdb_index_memory_bytes", ("a:1", "primary", AWKWARD)) not in found


def test_a_target_that_never_answered_is_down() -> None:
    assert values() == {("memdb_up", ("redis://h:1", "unknown")): 0.0}
