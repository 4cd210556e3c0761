"""What counts as wrong on a node, why, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memdb.errors import OutOfRange
from memdb.operations.rates import Rates
from memdb.operations.samples import Sample

Level = Literal["ok", "warning", "critical", "absent"]
ARTICLE, OURS = "the article", "ours"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits as shares in [0, 1]."""

    free_memory: float = 0.25  # the article: "alert at under 25% free memory"
    cpu: float = 0.70  # the article: "alert at > 70% sustained"
    connections: float = 0.80  # ours; the article says only to watch for exhaustion

    def __post_init__(self) -> None:
        for name in ("free_memory", "cpu", "connections"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise OutOfRange(name, value, 0, 1, "a threshold")


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure of one node against its threshold."""

    node: str
    name: str
    level: Level
    saw: str
    todo: str = ""
    source: str = OURS


def judge(after: Sample, changed: Rates, limits: Thresholds) -> tuple[Finding, ...]:
    """All findings of one node, in the order they are shown."""
    if after.problem:
        hint = "See `memdb doctor`: it walks from the name to the search and says what fails."
        return (Finding(after.address, "answers", "critical", after.problem, hint),)
    if "INFO" in after.absent:
        todo = "Allow the user INFO: `+info` in its access string."
        return (Finding(after.address, "INFO", "absent", after.absent["INFO"], todo), *_indexes(after))
    return (
        _memory(after, limits),
        _connections(after, limits),
        _cpu(after, changed, limits),
        _grows(
            after,
            changed,
            "evicted",
            "evictions",
            "Keys are thrown away. MemoryDB with search: a larger node (UpdateCluster), for it has one shard "
            "and the node's maxmemory. ElastiCache: a larger node or more shards. Else: raise maxmemory.",
        ),
        _grows(
            after,
            changed,
            "rejected",
            "rejected connections",
            "Clients are turned away: share one connection pool in each process.",
        ),
        *_link(after),
        *_impossible(after),
        *_indexes(after),
    )


def worst(findings: tuple[Finding, ...]) -> Level:
    """The gravest level; a figure that is absent is no alarm."""
    levels = {f.level for f in findings}
    return "critical" if "critical" in levels else "warning" if "warning" in levels else "ok"


def _memory(after: Sample, limits: Thresholds) -> Finding:
    used, limit = after.figures.get("used_bytes"), after.figures.get("limit_bytes")
    if used is None or limit is None:
        why = after.absent.get("used_bytes") or after.absent.get("limit_bytes", "not told")
        return Finding(after.address, "free memory", "absent", why, source=ARTICLE)
    free = 1 - used / limit
    bad = free < limits.free_memory
    saw = f"{free:.0%} of maxmemory is free; the alarm is under {limits.free_memory:.0%}"
    todo = (
        "Choose a larger node (`memdb size`), or let old keys expire. ElastiCache takes more shards as well; "
        "MemoryDB with search has one."
        if bad
        else ""
    )
    return Finding(after.address, "free memory", "warning" if bad else "ok", saw, todo, ARTICLE)


def _connections(after: Sample, limits: Thresholds) -> Finding:
    clients, limit = after.figures.get("clients"), after.figures.get("client_limit")
    if clients is None or not limit:
        why = after.absent.get("clients") or after.absent.get("client_limit", "not told")
        return Finding(after.address, "connections", "absent", why)
    bad = clients / limit > limits.connections
    saw = f"{clients:,.0f} of {limit:,.0f}; the alarm is over {limits.connections:.0%}"
    todo = "Look for pools that leak: `redis-cli CLIENT LIST`." if bad else ""
    return Finding(after.address, "connections", "warning" if bad else "ok", saw, todo)


def _cpu(after: Sample, changed: Rates, limits: Thresholds) -> Finding:
    share = changed.values.get("cpu")
    if share is None:
        return Finding(after.address, "CPU", "absent", _why(changed, "cpu_s"), source=ARTICLE)
    bad = share > limits.cpu
    saw = f"{share:.0%} of the main thread during {changed.seconds:.1f} s; the alarm is over {limits.cpu:.0%}"
    if (cores := changed.values.get("cpu_process")) is not None:
        saw += f"; all threads together keep {cores:.2f} cores busy"
    todo = (
        "Lower EF_RUNTIME or read from replicas; `redis-cli SLOWLOG GET 10` tells what is slow."
        if bad
        else ""
    )
    return Finding(after.address, "CPU", "warning" if bad else "ok", saw, todo, ARTICLE)


def _grows(after: Sample, changed: Rates, name: str, title: str, todo: str) -> Finding:
    rate = changed.values.get(name)
    if rate is None:
        return Finding(after.address, title, "absent", _why(changed, name))
    return Finding(
        after.address, title, "warning" if rate > 0 else "ok", f"{rate:,.1f}/s", todo if rate > 0 else ""
    )


def _why(changed: Rates, name: str) -> str:
    return changed.absent.get(name) or changed.absent.get("all", "not told")


def _link(after: Sample) -> tuple[Finding, ...]:
    if not after.link:
        return ()
    bad = after.link != "up"
    todo = "The replica serves old data: look at its network and its primary's log." if bad else ""
    saw = f"the link to the primary is {after.link}"
    return (Finding(after.address, "replication", "critical" if bad else "ok", saw, todo),)


def _impossible(after: Sample) -> tuple[Finding, ...]:
    """Figures that were told and cannot be true: nothing is judged by them, and they are named."""
    todo = "It is left out everywhere; report it to the maker of the engine."
    return tuple(
        Finding(after.address, name, "absent", after.absent[name], todo) for name in sorted(after.impossible)
    )


def _indexes(after: Sample) -> tuple[Finding, ...]:
    findings = [
        Finding(after.address, name, "absent", why)
        for name, why in after.absent.items()
        if name == "indexes" or name.startswith("index ")
    ]
    for index in after.indexes:
        build, level, todo = index.build, "ok", ""
        documents = "no number of" if "documents" in index.absent else f"{index.documents:,}"
        saw = f"{build.state}, {build.fraction:.0%} ({build.source}), {documents} documents"
        if build.state == "failed":
            level, todo = "critical", "Drop the index and create it again; its keys stay."
        elif not build.ready:
            level = "warning"
            todo = "Wait: searches lack documents, or are refused on MemoryDB, until each node is done."
            if build.state == "paused":
                todo = "The build waits for memory: free some, or choose a larger node."
        elif index.failures:
            level = "warning"
            todo = f"Correct the fields' types or lengths; see `redis-cli FT.INFO {index.name}`."
        if index.failures:
            last = f"; the last: {index.last_error} ({index.last_error_key})" if index.last_error else ""
            saw += f", {index.failures:,} failures{last}"
        findings.append(Finding(after.address, f"index {index.name}", _level(level), saw, todo))
    return tuple(findings)


def _level(word: str) -> Level:
    return "critical" if word == "critical" else "warning" if word == "warning" else "ok"
