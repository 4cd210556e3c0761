"""Sessions of any format: list them page by page, open one.

A format whose keys hold one message or one state each is gathered by the session's id in the values: what a
page shows of such a session is what lay on its part of the key space, and it says so; opening one looks up
all of its keys.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.keys import beginning
from memdb.display import line
from memdb.errors import BadInput, NotFound
from memdb.jobs import Report, silent
from memdb.sessions.formats import Session
from memdb.sessions.mapping import TYPES, Format, Reading, read
from memdb.sessions.store import PAGE, Budget, SessionPage
from memdb.sessions.summaries import OPENING, SessionSummary
from memdb.sessions.values import Value, values

STEP = 1_000
PAGE_BYTES, OPEN_BYTES = 32 * 2**20, 64 * 2**20
SUMMARY_BYTES = 2**20  # a value over this is listed and not read
KEYS = 500  # of one page, where several make a session
OPEN_KEYS = 2_000  # of one session


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened, and how much of the server was looked through for its keys."""

    session: Session
    keys: tuple[str, ...]
    complete: bool


def page(
    client: Client, format_: Format, cursor: str = "", *, size: int = PAGE, budget: Budget | None = None
) -> SessionPage:
    """The next sessions of a format.

    Args:
        client: where to list.
        format_: of the sessions.
        cursor: `next_cursor` of the page before, empty for the first.
        size: sessions on the page, about: a step of SCAN is not divided.
        budget: keys that this call may walk over.

    Raises:
        BadInput: the cursor is none.
    """
    began = time.perf_counter()
    if cursor and not (cursor.isascii() and cursor.isdigit() and int(cursor) < 2**64):
        raise BadInput(f"'{cursor[:40]}' is no cursor of this listing.", "Begin again without a cursor.")
    budget = budget or Budget()
    total = replies.integer(client.execute("DBSIZE"))
    at, keys, scanned = int(cursor or 0), dict[str, None](), 0
    room = size if format_.holds == "session" else max(size, min(KEYS, size * 10))
    while True:
        count = max(10, min(STEP, room - len(keys), budget.keys - scanned))
        if scanned and not keys:
            count = STEP  # nothing of this kind here: walk faster
        reply, batch = client.execute(
            "SCAN", at, "MATCH", format_.pattern, "TYPE", TYPES[format_.stored], "COUNT", count
        )
        at, scanned = replies.integer(reply), scanned + count
        keys.update(dict.fromkeys(map(replies.key, batch)))
        if at == 0 or len(keys) >= room or scanned >= budget.keys:
            break
    found = summaries(client, format_, list(keys))
    took = (time.perf_counter() - began) * 1000
    return SessionPage(tuple(found), str(at) if at else "", at == 0, min(scanned, total), total, took)


def summaries(client: Client, format_: Format, keys: Sequence[str]) -> list[SessionSummary]:
    """Sessions that these keys are or belong to, by their first key; keys that went are left out."""
    read_ = values(client, keys, format_, each=SUMMARY_BYTES, total=PAGE_BYTES)
    grouped: dict[str, list[tuple[Value, Reading | None]]] = {}
    for value in read_:
        if value.kind == "none" or value.stored != format_.stored:
            continue
        reading = read(format_, value.document) if value.document is not None else None
        grouped.setdefault(_session_of(format_, value, reading), []).append((value, reading))
    return [_summary(format_, name, parts) for name, parts in grouped.items()]


def open_session(
    client: Client,
    format_: Format,
    id_: str,
    *,
    budget: Budget | None = None,
    report: Report = silent,
) -> Opened:
    """A session with its messages, in order of time where they carry one.

    Args:
        client: where to read.
        format_: of the session.
        id_: of the session: its key without the prefix, or what the values call it.
        budget: keys that may be walked over where several make a session.
        report: told how far it is.

    Raises:
        NotFound: it is gone.
    """
    keys, complete = _keys(client, format_, id_, budget or Budget(keys=2_000_000), report)
    parts = []
    for value in values(client, keys, format_, total=OPEN_BYTES):
        if value.kind == "none":
            continue
        reading = read(format_, value.document) if value.document is not None else None
        if format_.holds == "session" or (reading is not None and reading.session == id_):
            parts.append((value, reading))
    if not parts:
        raise NotFound(format_.prefix + id_, "session")
    if format_.holds == "state":
        parts = [max(parts, key=lambda part: _when(part[1], part[0].key))]
    else:
        parts.sort(key=lambda part: _when(part[1], part[0].key))
    session = _session(format_, id_, parts)
    if not complete:
        session = replace(
            session,
            problems=(
                "Not all keys of the server were looked at: messages may be missing.",
                *session.problems,
            ),
        )
    return Opened(session, tuple(value.key for value, _ in parts), complete)


def _keys(
    client: Client, format_: Format, id_: str, budget: Budget, report: Report
) -> tuple[list[str], bool]:
    if format_.holds == "session":
        return [format_.prefix + id_], True
    # Where the id stands in the key (as redisvl's and LangGraph's does) SCAN's MATCH leaves few to be read.
    found, complete = _matching(client, format_, format_.pattern + beginning(id_), budget, report)
    return (found, complete) if found else _matching(client, format_, format_.pattern, budget, report)


def _matching(
    client: Client, format_: Format, pattern: str, budget: Budget, report: Report
) -> tuple[list[str], bool]:
    at, seen, found = 0, 0, dict[str, None]()
    total = replies.integer(client.execute("DBSIZE"))
    while True:
        reply, batch = client.execute(
            "SCAN", at, "MATCH", pattern, "TYPE", TYPES[format_.stored], "COUNT", STEP
        )
        at, seen = replies.integer(reply), seen + STEP
        found.update(dict.fromkeys(map(replies.key, batch)))
        report("Looking for the session's keys", min(seen, total), total)
        if at == 0:
            return list(found)[:OPEN_KEYS], len(found) <= OPEN_KEYS
        if seen >= budget.keys or len(found) > OPEN_KEYS:
            return list(found)[:OPEN_KEYS], False


def _session_of(format_: Format, value: Value, reading: Reading | None) -> str:
    if format_.holds != "session" and reading is not None and reading.session:
        return reading.session
    return value.key.removeprefix(format_.prefix)


def _when(reading: Reading | None, key: str) -> tuple[datetime, str]:
    at = reading.at if reading is not None else None
    return at or datetime(1970, 1, 1, tzinfo=UTC), key  # what tells no time comes first, by its key


def _session(format_: Format, id_: str, parts: Sequence[tuple[Value, Reading | None]]) -> Session:
    readings = [reading for _, reading in parts if reading is not None]
    problems = dict.fromkeys(p for value, _ in parts for p in value.problems)
    problems |= dict.fromkeys(p for reading in readings for p in reading.problems)
    messages = [message for reading in readings for message in reading.messages]
    ttls = [value.ttl_s for value, _ in parts if value.ttl_s is not None]
    sizes = [value.size_bytes for value, _ in parts]
    created = min((r.at for r in readings if r.at), default=None)
    return Session(
        format_.prefix + id_,
        next((r.user for r in readings if r.user), ""),
        "",
        created.isoformat(timespec="seconds") if created else "",
        created,
        tuple(message.turn for message in messages),
        min(ttls) if ttls else None,
        None if None in sizes else sum(size or 0 for size in sizes),
        "",
        tuple(problems),
        tuple(field for value, _ in parts[-50:] for field in value.fields),
    )


def _summary(format_: Format, id_: str, parts: Sequence[tuple[Value, Reading | None]]) -> SessionSummary:
    chosen = sorted(parts, key=lambda part: _when(part[1], part[0].key))
    if format_.holds == "state":
        chosen = chosen[-1:]
    session = _session(format_, id_, chosen)
    opening = next(
        (turn for turn in session.turns if turn.role.lower() in ("user", "human")),
        session.turns[0] if session.turns else None,
    )
    return SessionSummary(
        session.key, session.user_id, "", session.created_at, session.created, session.ttl_s,
        sum(len(turn.content.encode("utf-8", "surrogateescape")) for turn in session.turns),
        session.size_bytes, len(session.turns) if session.turns else None,
        line(opening.content, OPENING) if opening else "", session.problems,
    )  # fmt: skip
