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
    events: list[Event] = []
    if not before:
        return ()

    def add(node: str, text: str) -> None:
        events.append(Event(at, node, "node", "", text))

    for sample in after:
        earlier = before.get(sample.address)
        if earlier is None:
            add(sample.address, f"joined as {sample.role}")
            continue
        if sample.problem and not earlier.problem:
            add(sample.address, f"stopped answering: {sample.problem}")
        elif earlier.problem and not sample.problem:
            add(sample.address, "answers again")
        if sample.run_id and earlier.run_id and sample.run_id != earlier.run_id:
            add(sample.address, "restarted")
        if sample.role != earlier.role:
            add(sample.address, f"became {sample.role}")
        if sample.link and earlier.link and sample.link != earlier.link:
            add(sample.address, f"link to the primary is {sample.link}")
        # A node that is silent, or whose indexes are hidden, tells nothing about them coming and going.
        if not sample.problem and "indexes" not in {**sample.absent, **earlier.absent}:
            events += _indexes(at, sample.address, earlier.indexes, sample.indexes)
    here = {sample.address for sample in after}
    for address in before:
        if address not in here:
            add(address, "left")
    return tuple(events)


def carried(before: Sample | None, after: Sample) -> Sample:
    """A sample to compare the next one with: a silent node keeps what it last told of itself."""
    if not after.problem or before is None:
        return after
    return replace(after, run_id=before.run_id, indexes=before.indexes, absent=before.absent)


def _indexes(
    at: float, node: str, before: Sequence[IndexInfo], after: Sequence[IndexInfo]
) -> tuple[Event, ...]:
    events: list[Event] = []
    before_of = {index.name: index for index in before}
    for index in after:
        earlier = before_of.pop(index.name, None)
        state, number = index.build.state, index.told_documents
        documents = "number of documents not available" if number is None else f"{number:,} documents"
        if earlier is None:
            events.append(Event(at, node, "index", index.name, f"created, {state}, {documents}"))
        elif earlier.build.state != state:
            kind: Kind = "build" if state in ("ready", "failed", "paused") else "index"
            words = {
                "ready": f"build finished, {documents}",
                "failed": "build failed",
                "paused": f"build paused for memory at {index.build.fraction:.0%}",
            }
            events.append(Event(at, node, kind, index.name, words.get(state, f"now {state}, {documents}")))
    events += [Event(at, node, "index", name, "dropped") for name in before_of]
    return tuple(events)
