"""Rates from the differences of two samples of one node. A restart gives a gap, never a negative rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memdb.operations.samples import COUNTERS, Sample

RESTARTED = "the node restarted between the samples"


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened between two samples. A figure is in `values`, or in `absent` with the reason."""

    seconds: float
    values: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def rates(before: Sample, after: Sample) -> Rates:
    """Rates a second; `cpu` and `hit_rate` as shares in [0, 1], `search_ms` the mean of FT.SEARCH.

    Args:
        before: an earlier sample of the same node.
        after: a later one.
    """
    seconds = after.at - before.at
    reason = _gap(before, after, seconds)
    if reason:
        return Rates(max(0.0, seconds), {}, {"all": reason})
    values: dict[str, float] = {}
    absent: dict[str, str] = {}
    grown: dict[str, float] = {}
    for name in (*COUNTERS, "searches", "search_us", "cpu_s"):
        if name not in after.figures or name not in before.figures:
            absent[name] = after.absent.get(name) or before.absent.get(name, "not told")
        elif after.figures[name] < before.figures[name]:
            absent[name] = "the counter went backwards: it was reset between the samples"
        else:
            grown[name] = after.figures[name] - before.figures[name]
    for name in (*COUNTERS, "searches"):
        if name in grown:
            values[name] = grown[name] / seconds
    if "cpu_s" in grown:
        values["cpu"] = grown["cpu_s"] / seconds
    if grown.get("searches") and "search_us" in grown:
        values["search_ms"] = grown["search_us"] / grown["searches"] / 1000
    looked = grown.get("hits", 0.0) + grown.get("misses", 0.0)
    if looked and {"hits", "misses"} <= grown.keys():
        values["hit_rate"] = grown["hits"] / looked
    return Rates(seconds, values, absent)


def _gap(before: Sample, after: Sample, seconds: float) -> str:
    if before.problem or after.problem:
        return after.problem or before.problem
    if before.address != after.address:
        return "the samples are of two nodes"
    if seconds <= 0:
        return "no time passed between the samples"
    if before.run_id != after.run_id:
        return RESTARTED
    if after.figures.get("uptime_s", 0.0) < before.figures.get("uptime_s", 0.0):
        return RESTARTED
    return ""
