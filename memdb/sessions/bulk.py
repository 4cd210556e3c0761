"""One change to many sessions: planned without writing, then done step by step, each session looked at again.

planned = plan(client, SessionFilter(user="ann"), Action("delete"))
print(planned.words)
done = apply(client, planned)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from memdb.cluster import possible, replies
from memdb.cluster.client import Client, Command
from memdb.display import bytes_text, counted, duration
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.sessions.listing import pattern_of, powers, strategy_of
from memdb.sessions.mapping import TYPES, Format
from memdb.sessions.store import LONGEST_TTL_S
from memdb.sessions.summaries import SessionSummary

MOST = 200_000  # sessions of one plan; run again for more
SHOWN = 10
STEP = 200  # sessions written in one go: a cancel waits for no more
_SEARCHED = 64 * 2**20  # bytes of histories in one step


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done with each session."""

    kind: Literal["delete", "expire", "persist"]
    ttl_s: float = 0.0  # of "expire": seconds from now

    def __post_init__(self) -> None:
        if self.kind == "expire" and not 1 <= self.ttl_s <= LONGEST_TTL_S:
            raise BadInput(
                f"A session cannot be let live {self.ttl_s:g} s.", "Give 1 s to ten years; or delete it."
            )

    @property
    def words(self) -> str:
        """For people, as an order."""
        return {
            "delete": "delete",
            "expire": f"expire in {duration(self.ttl_s)}",
            "persist": "keep for good",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be changed. Nothing is written yet."""

    action: Action
    format: Format
    wanted: SessionFilter
    keys: tuple[str, ...]
    bytes: int  # of their memory
    sample: tuple[SessionSummary, ...]
    undecided: int  # sessions whose history is too large to be searched for words: left alone
    scanned: int
    total: int
    complete: bool

    @property
    def phrase(self) -> str:
        """What a person must type before it is done."""
        return f"{self.action.kind} {len(self.keys)}"

    @property
    def words(self) -> str:
        """The plan in a sentence or two."""
        number = counted(len(self.keys), "session")
        text = f"{number}, {bytes_text(self.bytes)} in memory, to {self.action.words}."
        if not self.complete:
            text += f" About {self.scanned:,} of {self.total:,} keys were looked at: there may be more."
        if self.undecided:
            text += f" {self.undecided:,} could not be searched for the words and are left alone."
        return text


@dataclass(frozen=True, slots=True)
class Done:
    """What was changed so far."""

    action: Action
    changed: int
    skipped: int  # gone, or no longer passing the filter
    planned: int

    @property
    def words(self) -> str:
        """In a sentence."""
        verb = {"delete": "deleted", "expire": "given a new time to live", "persist": "kept for good"}
        text = f"{self.changed:,} of {counted(self.planned, 'session')} {verb[self.action.kind]}."
        if self.skipped:
            text += f" {self.skipped:,} had gone or changed since the plan and were left alone."
        return text


def plan(
    client: Client,
    wanted: SessionFilter,
    action: Action,
    format_: Format = ARTICLE,
    *,
    limit: int = MOST,
    budget_keys: int = 10_000_000,
    report: Report = silent,
    keep: Callable[[DryRun], None] | None = None,
) -> DryRun:
    """Find the sessions that pass a filter, without writing.

    Args:
        client: where to look.
        wanted: the filter.
        action: what is to be done.
        format_: of the sessions; one that is changed from here (`listing.powers`).
        limit: sessions at most.
        budget_keys: keys to walk over at most.
        report: told how far it is; may end it.
        keep: given what is found so far.

    Raises:
        BadInput: sessions of this format are only read.
    """
    powers(format_).check_writes(format_)
    powers(format_).check(wanted, format_)
    strategy, pattern = strategy_of(format_), pattern_of(format_, wanted)
    total = replies.integer(client.execute("DBSIZE"))
    step = strategy.step(format_, wanted)
    cursor, scanned, size, undecided = b"0", 0, 0, 0
    keys: dict[str, None] = {}
    sample: list[SessionSummary] = []
    while True:
        cursor, batch = client.execute(
            "SCAN", cursor, "MATCH", pattern, "TYPE", TYPES[format_.stored], "COUNT", step
        )
        scanned += step
        fresh = [key for key in dict.fromkeys(map(replies.key, batch)) if key not in keys]
        passed, unsure = _passing(client, format_, wanted, fresh)
        cut = len(passed) > limit - len(keys)
        passed = passed[: limit - len(keys)]
        undecided += unsure
        if passed and len(sample) < SHOWN:
            sample += strategy.summaries(client, format_, dict.fromkeys(passed[: SHOWN - len(sample)], ""))
        memory = client.pipeline([("MEMORY", "USAGE", key) for key in passed], errors_as_values=True)
        size += sum(possible.size(m) or 0 for m in memory)
        keys.update(dict.fromkeys(passed))
        ended = replies.integer(cursor) == 0
        complete = ended and not cut
        dry_run = DryRun(
            action,
            format_,
            wanted,
            tuple(keys),
            size,
            tuple(sample),
            undecided,
            min(scanned, total),
            total,
            complete,
        )
        if keep is not None:
            keep(dry_run)
        report("Finding sessions", min(scanned, total), total)
        if ended or len(keys) >= limit or scanned >= budget_keys:
            return dry_run


def apply(
    client: Client,
    planned: DryRun,
    *,
    report: Report = silent,
    keep: Callable[[Done], None] | None = None,
) -> Done:
    """Do what was planned. Each session is looked at again just before: one that changed is left alone.

    What is done stays done when this is ended early; `keep` has the count.

    Raises:
        ReadOnlyTarget: the target takes no writes.
        MemDBError: the server did not answer; what was done until then stays.
    """
    changed = skipped = 0
    done = Done(planned.action, 0, 0, len(planned.keys))
    for start in range(0, len(planned.keys), STEP):
        keys = list(planned.keys[start : start + STEP])
        report("Changing sessions", start, len(planned.keys))
        passed, _ = _passing(client, planned.format, planned.wanted, keys)
        written = client.pipeline([_command(planned.action, key) for key in passed])
        now = sum(replies.integer(reply) for reply in written)
        changed += now
        skipped += len(keys) - now
        done = Done(planned.action, changed, skipped, len(planned.keys))
        if keep is not None:
            keep(done)
    report("Changing sessions", len(planned.keys), len(planned.keys))
    return done


def _command(action: Action, key: str) -> Command:
    if action.kind == "delete":
        return ("UNLINK", key)
    return ("PEXPIRE", key, round(action.ttl_s * 1000)) if action.kind == "expire" else ("PERSIST", key)


def _passing(
    client: Client, format_: Format, wanted: SessionFilter, keys: list[str]
) -> tuple[list[str], int]:
    """Those that are of the format's type and pass, and how many could not be decided."""
    passed: list[str] = []
    undecided = 0
    kinds = client.pipeline([("TYPE", key) for key in keys])
    left = [key for key, kind in zip(keys, kinds, strict=True) if replies.text(kind) == TYPES[format_.stored]]
    while left:
        sieved = strategy_of(format_).sieve(client, format_, wanted, left, room=len(left), budget=_SEARCHED)
        passed += [key for key, note in sieved.passed if not note]
        undecided += sum(bool(note) for _, note in sieved.passed)
        left = list(sieved.rest)
    return passed, undecided
