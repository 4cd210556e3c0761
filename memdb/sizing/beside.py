"""A plan beside the cluster as it is now: memory part by part, room on the planned node, the day it is full.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from memdb.operations.growth import Growth
from memdb.operations.memory import MemorySplit
from memdb.sizing.model import Estimate

# What the calculator foretells and what a node tells are cut differently: here both by what they share.
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Vectors in the index": (("vectors_indexed",), ("vectors",)),
    "Index structures": (("graph", "bookkeeping", "fields"), ("structures", "other_indexes", "untold")),
    "Keys, documents, sessions": (("keys", "vectors_stored", "sessions"), ("keys", "tables")),
    "Server and buffers": ((), ("clients", "replication", "aof", "start")),
}

UNPLANNED = "Not in the plan"


@dataclass(frozen=True, slots=True)
class Beside:
    """One part in both, bytes. None: the node does not tell it."""

    name: str
    planned: float
    now: float | None


def parts(estimate: Estimate, split: MemorySplit | None, unplanned: float = 0.0) -> tuple[Beside, ...]:
    """Each group in the plan and on the node; what the node uses beyond them as "Rest".

    Args:
        estimate: of the plan.
        split: of the node; None where it is not known yet.
        unplanned: bytes on the node that the plan leaves out. They stand beside the plan, so that both are as
            long; on the node they are in the groups.
    """
    bytes_of = {part.name: part.bytes for part in split.parts} if split is not None else {}
    rows = []
    for name, (planned, measured) in GROUPS.items():
        sizes = [size for part in measured if (size := bytes_of.get(part)) is not None]
        rows.append(
            Beside(name, sum(estimate.components[part] for part in planned), sum(sizes) if sizes else None)
        )
    if split is not None and split.rest is not None and split.rest > 0:
        rows.append(Beside("Rest", 0.0, split.rest))
    if unplanned > 0:
        rows.append(Beside(UNPLANNED, unplanned, None))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Room:
    """What the planned node has left for data, with the present use; bytes and seconds."""

    free: float  # negative: it would not hold what is there
    full_s: float | None  # at the present growth; None where it does not certainly grow
    soonest_s: float | None
    latest_s: float | None  # None as well where it may never be


def room(used: float, usable: float, trend: Growth | None) -> Room:
    """Room on a node with `usable` bytes for data where `used` are taken, growing as `trend` says."""
    free = usable - used
    if trend is None or trend.low <= 0 or free <= 0:
        return Room(free, None, None, None)
    return Room(free, free / trend.per_s, free / trend.high, free / trend.low)
