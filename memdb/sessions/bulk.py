"""One change to many sessions: planned without writing, then done step by step, each session looked at again.

planned = plan(client, SessionFilter(user="ann"), Action("delete"))
print(planned.words)
done = apply(client, planned)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from memdb.cluster import possible, replies
from memdb.cluster.client import Client, Command
from memdb.display import bytes_text, counted, duration
from memdb.errors import BadInput, EngineError, NotFound
from memdb.jobs import Report, silent
from memdb.json_text import json_text
from memdb.sessions.filters import SessionFilter
from memdb.sessions.formats import to_object
from memdb.sessions.gathered import session_ids
from memdb.sessions.known import ARTICLE
from memdb.sessions.listing import pattern_of, powers, strategy_of
from memdb.sessions.mapping import TYPES, Format
from memdb.sessions.redact import hidden_session
from memdb.sessions.size import memory_usage
from memdb.sessions.store import LONGEST_TTL_S
from memdb.sessions.strategy import PassedSessions
from memdb.sessions.summaries import SessionSummary

MOST = 200_000  # sessions of one plan; run again for more
SHOWN = 10
STEP = 200  # sessions written in one go: a cancel waits for no more
MOST_KEYS = 1_000_000  # of sessions that have several keys each: where each belongs is kept
_AT_ONCE = 500  # keys that are looked into at once


@dataclass(frozen=True, slots=True)
class Action:
    """What is to be done with each session."""

    kind: Literal["delete", "expire", "persist", "export"]
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
            "export": "export",
        }[self.kind]

    @property
    def writes(self) -> bool:
        """Whether it changes what is stored."""
        return self.kind != "export"


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be changed. Nothing is written yet."""

    action: Action
    format: Format
    wanted: SessionFilter
    sessions: tuple[tuple[str, ...], ...]  # the keys of each
    bytes: int  # of their memory
    sample: tuple[SessionSummary, ...]
    undecided: int  # keys too large to be looked into, or no conversation after all: left alone
    scanned: int
    total: int
    complete: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all of them."""
        return tuple(key for session in self.sessions for key in session)

    @property
    def phrase(self) -> str:
        """What a person must type before it is done."""
        return f"{self.action.kind} {len(self.sessions)}"

    @property
    def words(self) -> str:
        """The plan in a sentence or two."""
        number = counted(len(self.sessions), "session")
        if len(self.keys) > len(self.sessions):
            number += f" of {counted(len(self.keys), 'key')}"
        text = f"{number}, {bytes_text(self.bytes)} in memory, to {self.action.words}."
        if not self.complete:
            text += f" About {self.scanned:,} of {self.total:,} keys were looked at: there may be more."
        if self.undecided:
            text += (
                f" {counted(self.undecided, 'key')} could not be searched or recognised as a conversation: "
                "left alone."
            )
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


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An export, as far as it goes."""

    lines: bytes  # JSON, a session a line
    sessions: int  # in it
    whole: bool  # False: the next session would have made it too large


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
        BadInput: sessions of this format are only read, or consist of several keys each of which not all
            could be looked at.
    """
    if action.writes:
        powers(format_).check_writes(format_)
    powers(format_).check(wanted, format_)
    total = replies.integer(client.execute("DBSIZE"))
    sessions: list[tuple[str, ...]] = []
    passed_keys: set[str] = set()
    sample: list[SessionSummary] = []
    size = undecided = 0
    for keys, scanned, ended in _batches(client, format_, wanted, budget_keys, report):
        chosen = _passing(client, format_, wanted, [key for key in keys if key not in passed_keys])
        room = limit - len(sessions)
        passed, cut = chosen.sessions[:room], len(chosen.sessions) > room
        undecided += chosen.undecided
        changed = [key for session in passed for key in session]
        if passed and len(sample) < SHOWN:
            sampled = [key for session in passed[: SHOWN - len(sample)] for key in session]
            sample += strategy_of(format_).summaries(client, format_, dict.fromkeys(sampled, ""))
        memory = client.pipeline([memory_usage(key) for key in changed], errors_as_values=True)
        size += sum(possible.size(m) or 0 for m in memory)
        sessions += passed
        passed_keys.update(changed)
        dry_run = DryRun(
            action,
            format_,
            wanted,
            tuple(sessions),
            size,
            tuple(sample),
            undecided,
            min(scanned, total),
            total,
            ended and not cut,
        )
        if keep is not None:
            keep(dry_run)
        report("Finding sessions", min(scanned, total), total)
        if len(sessions) >= limit:
            break
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
        BadInput: the plan is one of an export, which `exported` makes.
        ReadOnlyTarget: the target takes no writes.
        MemDBError: the server did not answer; what was done until then stays.
    """
    if not planned.action.writes:
        raise BadInput("An export changes nothing.", "Read its lines from `exported`.")
    changed = skipped = 0
    progress = Done(planned.action, 0, 0, len(planned.sessions))
    for sessions in _steps(planned.sessions):
        report("Changing sessions", changed + skipped, len(planned.sessions))
        keys = [key for session in sessions for key in session]
        chosen = _passing(client, planned.format, planned.wanted, keys).sessions
        commands = [_command(planned.action, key) for session in chosen for key in session]
        answers = iter(client.pipeline(commands))
        changed_now = sum(max(replies.integer(next(answers)) for _ in session) > 0 for session in chosen)
        changed += changed_now
        skipped += len(sessions) - changed_now
        progress = Done(planned.action, changed, skipped, len(planned.sessions))
        if keep is not None:
            keep(progress)
    report("Changing sessions", len(planned.sessions), len(planned.sessions))
    return progress


def exported(
    client: Client, planned: DryRun, *, hide: bool = False, report: Report = silent
) -> Iterator[str]:
    """The sessions of a plan as JSON, one a line: turns with all their parts, and every field as stored.

    A session that is gone by now is left out. Of a list at most the newest 10,000 entries are read; what was
    not read is counted in `turns_not_read`.

    Args:
        client: where to read.
        planned: which sessions.
        hide: replace personal data by its kind, and leave out the fields as stored.
        report: told how far it is; may end it.
    """
    strategy = strategy_of(planned.format)
    for number, keys in enumerate(planned.sessions):
        report("Reading sessions", number, len(planned.sessions))
        try:
            session = strategy.read(client, planned.format, keys)
        except (NotFound, EngineError):  # it expired, or is of another type by now
            continue
        yield json_text(to_object(hidden_session(session) if hide else session))
    report("Reading sessions", len(planned.sessions), len(planned.sessions))


def export_file(
    client: Client, planned: DryRun, most_bytes: int, *, hide: bool = False, report: Report = silent
) -> ExportFile:
    """The lines of `exported` as one file of at most so many bytes."""
    lines: list[bytes] = []
    size = 0
    for text in exported(client, planned, hide=hide, report=report):
        size += len(text) + 1  # in ASCII
        if size > most_bytes:
            return ExportFile(b"".join(lines), len(lines), whole=False)
        lines.append(text.encode() + b"\n")
    return ExportFile(b"".join(lines), len(lines), whole=True)


def _batches(
    client: Client, format_: Format, wanted: SessionFilter, budget_keys: int, report: Report
) -> Iterator[tuple[list[str], int, bool]]:
    """Keys to be looked into, how many the server walked over, and whether these are the last.

    Where several keys make a session all of them come in one batch.
    """
    scans = _scanned(client, format_, wanted, budget_keys)
    if not format_.several:
        yield from scans
        return
    owners: dict[str, list[str]] = defaultdict(list)
    yielded: set[str] = set()
    scanned, ended = 0, False
    total = replies.integer(client.execute("DBSIZE"))
    for keys, scanned, ended in scans:  # noqa: B007  # the last ones are told on
        fresh = [key for key in keys if key not in yielded]
        for start in range(0, len(fresh), _AT_ONCE):
            for key, id_ in session_ids(client, format_, fresh[start : start + _AT_ONCE]).items():
                owners[id_].append(key)
                yielded.add(key)
        report("Finding the sessions' keys", min(scanned, total), total)
        if len(yielded) > MOST_KEYS:
            break
    if not ended:
        raise BadInput(
            f"Several keys make a session of this format, and not all of {total:,} keys could be looked at.",
            "Raise the budget, or change such sessions one by one.",
        )
    batches = list(_steps(tuple(map(tuple, owners.values())))) or [[]]
    for number, sessions in enumerate(batches, 1):
        yield [key for session in sessions for key in session], scanned, number == len(batches)


def _scanned(
    client: Client, format_: Format, wanted: SessionFilter, budget_keys: int
) -> Iterator[tuple[list[str], int, bool]]:
    """Keys as SCAN brings them, how many it walked over, and whether it has gone round."""
    step = strategy_of(format_).step(format_, wanted)
    cursor, scanned = b"0", 0
    while True:
        cursor, batch = client.execute(
            "SCAN", cursor, "MATCH", pattern_of(format_, wanted), "TYPE", TYPES[format_.stored], "COUNT", step
        )
        scanned += step
        ended = replies.integer(cursor) == 0
        yield list(dict.fromkeys(map(replies.key, batch))), scanned, ended
        if ended or scanned >= budget_keys:
            return


def _steps(sessions: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """Sessions in portions of at most STEP, and of about _AT_ONCE keys."""
    portion: list[tuple[str, ...]] = []
    for session in sessions:
        if portion and (len(portion) >= STEP or sum(map(len, portion)) + len(session) > _AT_ONCE):
            yield portion
            portion = []
        portion.append(session)
    if portion:
        yield portion


def _command(action: Action, key: str) -> Command:
    if action.kind == "delete":
        return ("UNLINK", key)
    return ("PEXPIRE", key, round(action.ttl_s * 1000)) if action.kind == "expire" else ("PERSIST", key)


def _passing(client: Client, format_: Format, wanted: SessionFilter, keys: list[str]) -> PassedSessions:
    """The sessions among some keys that are of the format's type and pass."""
    kinds = client.pipeline([("TYPE", key) for key in keys])
    of_type = [
        key for key, kind in zip(keys, kinds, strict=True) if replies.text(kind) == TYPES[format_.stored]
    ]
    return strategy_of(format_).sessions_of(client, format_, wanted, of_type)
