"""The newest measurement of each watched index as OpenMetrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from memdb.errors import MemDBError
from memdb.watch import judge, runner
from memdb.watch.series import Measurement

_LABELS = ("index", "k", "ef")


def metrics(path: Path) -> list[Metric]:
    """Of a history; none where nothing is watched, or it cannot be read."""
    try:
        return families(runner.all_rows(path))
    except MemDBError:
        return []


def families(rows: Mapping[str, Sequence[Measurement]]) -> list[Metric]:
    """Of the measurements of each watch, oldest first. `ef` is "own" where it is the index's or each
    search's.

    Where several watches have the same labels, the newest measurement counts.
    """
    gauges = {
        "recall": GaugeMetricFamily("memdb_recall_ratio", "recall of a watched index", labels=_LABELS),
        "low": GaugeMetricFamily("memdb_recall_low_ratio", "lower bound of its interval", labels=_LABELS),
        "high": GaugeMetricFamily("memdb_recall_high_ratio", "upper bound of its interval", labels=_LABELS),
        "target": GaugeMetricFamily("memdb_recall_target_ratio", "the target", labels=_LABELS),
        "below": GaugeMetricFamily(
            "memdb_recall_below_target",
            "1 from when the whole interval lies below until the mean is back",
            labels=_LABELS,
        ),
        "at": GaugeMetricFamily(
            "memdb_recall_measured_timestamp_seconds", "when it was measured", labels=_LABELS
        ),
    }
    newest: dict[tuple[str, str, str], tuple[Measurement, bool]] = {}
    for measured in rows.values():
        with_recall = [row for row in measured if row.recall is not None]
        if not with_recall:
            continue
        row = with_recall[-1]
        ef = "own" if row.watch.ef_runtime is None else str(row.watch.ef_runtime)
        labels = (row.watch.index, str(row.watch.k), ef)
        if labels not in newest or newest[labels][0].at < row.at:
            newest[labels] = (row, judge.fell(measured) is not None)
    for labels, (row, below) in newest.items():
        values = (row.recall, row.low, row.high, row.watch.target, float(below), row.at)
        for gauge, value in zip(gauges.values(), values, strict=True):
            gauge.add_metric(labels, value or 0.0)
    return [gauge for gauge in gauges.values() if gauge.samples]
