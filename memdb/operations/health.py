"""How a target is, in one line: memory, CPU, index builds, alerts. Of the last sample of each node. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memdb.display import bytes_text, counted, duration, line
from memdb.operations.alerts import Alert
from memdb.operations.past import NodeNow

_STALE_S = 30.0
_NAMED = 2  # indexes or alerts that are named; of more, their number is told
_BUILT = {"ready", "unknown"}


@dataclass(frozen=True, slots=True)
class Health:
    """The line, part by part. Of several nodes the worst figure counts."""

    level: Literal["ok", "warning", "critical", "absent"]
    words: tuple[str, ...]


def health(
    nodes: Sequence[NodeNow], standing: Sequence[Alert], *, now: float, recalls: Sequence[str] = ()
) -> Health:
    """The line for the nodes as they were sampled last.

    Args:
        nodes: of the target; none before the first sample.
        standing: alerts that were raised and have not cleared.
        now: Unix seconds.
        recalls: of each watch, what its newest measurement says.
    """
    if not nodes:
        return Health("absent", ("no sample yet",))
    silent = [node for node in nodes if node.problem]
    telling = [node for node in nodes if not node.problem]
    building = {i.name: i for node in telling for i in node.indexes if i.state not in _BUILT}
    words = [*_memory(telling), *_cpu(telling), *_builds(telling, list(building))]
    if silent:
        words.append(f"{len(silent)} of {counted(len(nodes), 'node')} not answering")
    words += recalls if len(recalls) <= _NAMED else [f"recall watched {len(recalls)} times"]
    words.append(_alerts(standing))
    age = now - max(node.at for node in nodes)
    if age > _STALE_S:
        words.append(f"sampled {duration(age)} ago")
    if silent or any(alert.level == "critical" for alert in standing):
        return Health("critical", tuple(words))
    return Health("warning" if standing or building or age > _STALE_S else "ok", tuple(words))


def _memory(nodes: Sequence[NodeNow]) -> list[str]:
    shares = [
        node.figures["used_bytes"] / node.figures["limit_bytes"]
        for node in nodes
        if "used_bytes" in node.figures and node.figures.get("limit_bytes")
    ]
    if shares:
        return [f"memory {max(shares):.0%} used"]
    used = [node.figures["used_bytes"] for node in nodes if "used_bytes" in node.figures]
    return [f"memory {bytes_text(max(used))}, no limit"] if used else []


def _cpu(nodes: Sequence[NodeNow]) -> list[str]:
    shares = [node.figures["cpu"] for node in nodes if "cpu" in node.figures]
    return [f"CPU {max(shares):.0%}"] if shares else []


def _builds(nodes: Sequence[NodeNow], building: Sequence[str]) -> list[str]:
    if not any(node.indexes for node in nodes):
        return []
    if not building:
        return ["indexes built"]
    if len(building) > _NAMED:
        return [f"{len(building)} indexes not built"]
    states = []
    for name in building:
        least = [
            i.fraction
            for node in nodes
            for i in node.indexes
            if i.name == name and i.state not in _BUILT and i.fraction is not None
        ]
        state = next(
            i.state for node in nodes for i in node.indexes if i.name == name and i.state not in _BUILT
        )
        states.append(f"{line(name, 60)} {state}" + (f" ({min(least):.0%})" if least else ""))
    return states


def _alerts(standing: Sequence[Alert]) -> str:
    if not standing:
        return "no alerts"
    names = sorted({alert.name for alert in standing})
    listed = f": {', '.join(line(name, 40) for name in names)}" if len(names) <= _NAMED else ""
    return counted(len(standing), "alert") + listed
