"""What measurements of one watch say together: what changed, whether recall fell, why that may be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdb.display import line
from memdb.operations.alerts import Alert
from memdb.operations.thresholds import OURS
from memdb.tuning import decide
from memdb.watch.series import Measurement

_MANY = 0.05  # of the documents: a change that can be a cause


@dataclass(frozen=True, slots=True)
class Cause:
    """What may have made recall fall, and what to do about it."""

    what: str
    remedy: str


def changes(before: Measurement, latest: Measurement) -> tuple[str, ...]:
    """What changed between two measurements, a sentence each."""
    sentences = []
    if before.run_id and latest.run_id and before.run_id != latest.run_id:
        sentences.append("The server was restarted or replaced.")
    if before.definition and latest.definition and before.definition != latest.definition:
        sentences.append("The index has another definition.")
    more = latest.documents - before.documents
    if more:
        word = "more" if more > 0 else "fewer"
        share = f" ({abs(more) / before.documents:.1%})" if before.documents else ""
        sentences.append(f"It holds {abs(more):,} documents {word}{share}.")
    if replaced := _replaced(before, latest):
        sentences.append(f"{replaced:,} documents were replaced or deleted.")
    elif lost := _lost(before, latest):
        sentences.append(
            f"The server counts {lost:,} keys that expired or were evicted, and calls that delete."
        )
    if before.digest and latest.digest and before.digest != latest.digest and not latest.watch.tap:
        sentences.append("Its queries were made anew, since it grew or shrank.")
    if (before.build, round(before.built, 3)) != (latest.build, round(latest.built, 3)):
        sentences.append(
            f"Its build went from {before.build} ({before.built:.0%}) to {latest.build} ({latest.built:.0%})."
        )
    return tuple(sentences)


def fell(rows: Sequence[Measurement]) -> Measurement | None:
    """The measurement since which recall is below its target; None where it is not.

    It is below once a whole interval lies below, and until the mean is at the target again.

    Args:
        rows: of one watch, oldest first.
    """
    since: Measurement | None = None
    for row in rows:
        if row.recall is None or row.high is None:
            continue
        if since is None and row.high < row.watch.target:
            since = row
        elif since is not None and row.recall >= row.watch.target:
            since = None
    return since


def causes(rows: Sequence[Measurement]) -> tuple[Cause, ...]:
    """What changed since recall was last at its target, as candidates with remedies; at least one.

    Args:
        rows: of one watch, oldest first; the last one is below its target.
    """
    measured = [row for row in rows if row.recall is not None]
    latest = measured[-1]
    good = [row for row in measured if row.recall is not None and row.recall >= latest.watch.target]
    retune = (
        f"`memdb recall --index {latest.watch.index} --target {latest.watch.target:g}` names the EF_RUNTIME "
        "that meets it."
    )
    if not good:
        return (Cause("It was never seen at the target.", retune),)
    before, listed = good[-1], []
    if before.definition != latest.definition:
        listed.append(Cause("The index has another definition.", f"Compare M and EF_CONSTRUCTION. {retune}"))
    replaced = _replaced(before, latest) or _lost(before, latest) or 0
    if replaced > _MANY * max(before.documents, 1):
        listed.append(
            Cause(
                f"About {replaced:,} documents were replaced or deleted: they leave gaps in an HNSW graph.",
                f"Build the index anew beside the old one, or raise EF_RUNTIME. {retune}",
            )
        )
    grown = latest.documents - before.documents
    if grown > _MANY * max(before.documents, 1):
        listed.append(
            Cause(f"The index grew by {grown:,} documents: a larger graph needs a larger EF.", retune)
        )
    if latest.built < 1 or latest.build != "ready":
        listed.append(
            Cause(f"The index is {latest.build}, {latest.built:.0%} built.", "Wait until it is complete.")
        )
    if before.run_id != latest.run_id:
        listed.append(Cause("The server was restarted: its graph was built again, in another order.", retune))
    if latest.watch.tap:
        listed.append(Cause("The application asks other questions, perhaps by another model.", retune))
    return tuple(listed) or (
        Cause("Nothing that is counted changed; documents may have been overwritten in place.", retune),
    )


def brief(rows: Sequence[Measurement]) -> str:
    """The newest measurement in some words: which recall, its value, its target; else that there is none.

    Args:
        rows: of one watch, at least one, oldest first.
    """
    latest = rows[-1]
    what = f"recall@{latest.watch.k} of {line(latest.watch.index, 60)}"
    if latest.recall is None:
        return f"{what} not measured"
    return f"{what} {latest.recall:.3f} (target {latest.watch.target:g})"


def alert(rows: Sequence[Measurement], node: str) -> Alert | None:
    """The alert of one watch; None where recall is not below its target.

    Args:
        rows: oldest first.
        node: what the alert is of.
    """
    since = fell(rows)
    if since is None:
        return None
    latest = next(row for row in reversed(rows) if row.recall is not None)
    watch = latest.watch
    saw = f"{watch.words} of '{watch.index}' is {words(latest)}; the target is {watch.target:g}"
    first = causes(rows)[0]
    todo = f"{first.what} {first.remedy}"
    return Alert(node, f"recall {watch.index}", "warning", saw, todo, OURS, since.at, raised=since.at)


def note(row: Measurement) -> str:
    """That its queries are too few to show the target met with that confidence; empty where they are not."""
    return "" if row.recall is None else decide.too_few(row.watch.goal, row.watch.k, row.queries)


def words(row: Measurement) -> str:
    """The recall with its interval, or why there is none."""
    if row.recall is None:
        return row.problem
    return f"{row.recall:.3f} ({row.low:.3f} to {row.high:.3f})" + (
        f", {row.estimated}" if row.estimated else ""
    )


def _replaced(before: Measurement, latest: Measurement) -> int | None:
    """Documents overwritten or deleted; None where the engine does not tell."""
    if before.revision is None or latest.revision is None or before.definition != latest.definition:
        return None
    written, more = latest.revision - before.revision, latest.documents - before.documents
    return written - more if written >= 0 and written >= more else None


def _lost(before: Measurement, latest: Measurement) -> int | None:
    if before.removals is None or latest.removals is None or before.run_id != latest.run_id:
        return None
    return max(0, latest.removals - before.removals)
