"""Rates from the differences of two samples of one node. A restart gives a gap, never a negative rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from memdb.operations.figures import COUNTED, RATED
from memdb.operations.readings import Histogram
from memdb.operations.samples import Sample

RESTARTED = "the node restarted between the samples"


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened between two samples. A figure is in `values`, or in `absent` with the reason."""

    seconds: float
    values: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def rates(before: Sample, after: Sample) -> Rates:
    """Rates a second; `cpu` and `hit_rate` as shares in [0, 1], `search_ms` the mean of FT.SEARCH.

    `cpu_process` are the cores that all threads together keep busy: more than 1 where searches run beside the
    main thread.

    `p50_ms`, `p99_ms` are of all commands, `search_p50_ms`, `search_p99_ms` of FT.SEARCH: upper edges of the
    server's buckets, which double from one to the next.

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
    for name in COUNTED:
        if name not in after.figures or name not in before.figures:
            absent[name] = after.absent.get(name) or before.absent.get(name, "not told")
        elif after.figures[name] < before.figures[name]:
            absent[name] = "the counter went backwards: it was reset between the samples"
        else:
            grown[name] = after.figures[name] - before.figures[name]
    for name in RATED:
        if name in grown:
            values[name] = grown[name] / seconds
    if "cpu_s" in grown:
        values["cpu"] = grown["cpu_s"] / seconds
    if "cpu_process_s" in grown:
        values["cpu_process"] = grown["cpu_process_s"] / seconds
    if grown.get("searches") and "search_us" in grown:
        values["search_ms"] = grown["search_us"] / grown["searches"] / 1000
    looked = grown.get("hits", 0.0) + grown.get("misses", 0.0)
    if looked and {"hits", "misses"} <= grown.keys():
        values["hit_rate"] = grown["hits"] / looked
    for kind, prefix in (("all", ""), ("search", "search_")):
        between = difference(before.histograms.get(kind, ()), after.histograms.get(kind, ()))
        for share in (50, 99):
            edge = quantile(between, share / 100)
            if edge is not None:
                values[f"{prefix}p{share}_ms"] = edge / 1000
    return Rates(seconds, values, absent)


def difference(before: Histogram, after: Histogram) -> Histogram:
    """What came between two cumulative histograms; empty where nothing did, or one was reset."""
    earlier = dict(before)
    edges = sorted({edge for edge, _ in (*before, *after)})
    later = dict(after)
    last_before = last_after = 0
    buckets = []
    for edge in edges:  # a bucket that took nothing is left out: it stands at the count below it
        last_before = max(last_before, earlier.get(edge, 0))
        last_after = max(last_after, later.get(edge, 0))
        buckets.append((edge, last_after - last_before))
    counts = [count for _, count in buckets]
    if not counts or counts[-1] <= 0 or counts[0] < 0 or counts != sorted(counts):
        return ()
    return tuple(buckets)


def quantile(cumulative: Histogram, share: float) -> float | None:
    """The upper edge of the bucket in which a share of all lies, µs; None of an empty one."""
    if not cumulative:
        return None
    wanted = share * cumulative[-1][1]
    return next(edge for edge, count in cumulative if count >= wanted)


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
