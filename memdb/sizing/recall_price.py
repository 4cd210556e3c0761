"""The price of recall: each measured setting of a tuning run as nodes and dollars. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memdb.sizing.choose import Choice
from memdb.sizing.constraints import MDB_REPLICAS


@dataclass(frozen=True, slots=True)
class MeasuredSetting:
    """One setting as a sweep measured it. NaN where something was not measured."""

    ef_runtime: int
    recall: float
    low: float
    high: float
    qps: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Priced:
    """The same with what it takes to serve the wanted rate at it."""

    point: MeasuredSetting
    nodes: int | None  # of one cluster; None where throughput was not measured
    clusters: int
    monthly_usd: float | None
    dearer: float | None  # dollars more a month than the cheapest setting


def price(points: Sequence[MeasuredSetting], wanted_qps: float, choice: Choice) -> tuple[Priced, ...]:
    """Nodes for a rate of queries at each setting.

    Each node is taken to answer as many a second as the target that was measured; every replica holds all of
    the index and answers too. At most five replicas stand behind one primary, then another cluster is needed.
    """
    priced = []
    for point in sorted(points, key=lambda p: p.ef_runtime):
        if not (math.isfinite(point.qps) and point.qps > 0):
            priced.append(Priced(point, None, 1, None, None))
            continue
        for_rate = max(1, math.ceil(wanted_qps / point.qps))
        clusters = math.ceil(for_rate / (1 + MDB_REPLICAS))
        nodes = max(choice.nodes, math.ceil(for_rate / clusters)) * clusters
        priced.append(Priced(point, nodes, clusters, nodes / choice.nodes * choice.monthly_usd, None))
    least = min((p.monthly_usd for p in priced if p.monthly_usd is not None), default=None)
    if least is None:
        return tuple(priced)
    return tuple(
        Priced(
            p.point,
            p.nodes,
            p.clusters,
            p.monthly_usd,
            None if p.monthly_usd is None else p.monthly_usd - least,
        )
        for p in priced
    )
