"""What happened between two looks at a target: restarts, failovers, builds that ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from memdb.operations.samples import Sample
from memdb.vectors.index import IndexInfo

Kind = Literal["build", "index", "node", "alert", "webhook"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a mark on a chart."""

    at: float  # the wall clock, Unix seconds
    node: str
    kind: Kind
    name: str  # of the index, or of the figure of an alert
    text: str


def happened(at: float, before: Mapping[str, Sample], after: Sequence[Sample]) -> tuple[Event, ...]:
    """Events between two rounds of samples.

    Args:
        at: the wall clock of the later round.
        before: address → sample; empty at first, when nothing can have happened. Of a node that was silent
            then, with the run id and indexes it had before (`carried`).
        after: the later round.
    """
    found: list[Event] = []
    if not before:
        return ()

    def add(node: str, text: str) -> None:
        found.append(Event(at, node, "node", "", text))

    for one in after:
        earlier = before.get(one.address)
        if earlier is None:
            add(one.address, f"joined as {one.role}")
            continue
        if one.problem and not earlier.problem:
            add(one.address, f"stopped answering: {one.problem}")
        elif earlier.problem and not one.problem:
            add(one.address, "answers again")
        if one.run_id and earlier.run_id and one.run_id != earlier.run_id:
            add(one.address, "restarted")
        if one.role != earlier.role:
            add(one.address, f"became {one.role}")
        if one.link and earlier.link and one.link != earlier.link:
            add(one.address, f"link to the primary is {one.link}")
        # A node that is silent, or whose indexes are hidden, tells nothing about them coming and going.
        if not one.problem and "indexes" not in {**one.absent, **earlier.absent}:
            found += _indexes(at, one.address, earlier.indexes, one.indexes)
    here = {one.address for one in after}
    for address in before:
        if address not in here:
            add(address, "left")
    return tuple(found)


def carried(before: Sample | None, after: Sample) -> Sample:
    """A sample to compare the next one with: a silent node keeps what it last told of itself."""
    if not after.problem or before is None:
        return after
    return replace(after, run_id=before.run_id, indexes=before.indexes, absent=before.absent)


def _indexes(
    at: float, node: str, before: Sequence[IndexInfo], after: Sequence[IndexInfo]
) -> tuple[Event, ...]:
    found: list[Event] = []
    known = {one.name: one for one in before}
    for one in after:
        earlier = known.pop(one.name, None)
        state, documents = one.build.state, f"{one.documents:,} documents"
        if earlier is None:
            found.append(Event(at, node, "index", one.name, f"created, {state}, {documents}"))
        elif earlier.build.state != state:
            kind: Kind = "build" if state in ("ready", "failed", "paused") else "index"
            words = {
                "ready": f"build finished, {documents}",
                "failed": "build failed",
                "paused": f"build paused for memory at {one.build.fraction:.0%}",
            }
            found.append(Event(at, node, kind, one.name, words.get(state, f"now {state}, {documents}")))
    found += [Event(at, node, "index", name, "dropped") for name in known]
    return tuple(found)
