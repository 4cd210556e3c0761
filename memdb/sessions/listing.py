"""Sessions of any format: list them page by page, search on, open one. One entry for page, command, library.

    found = page(client, ARTICLE, SessionFilter(user="user123", words=("lambda",)))
    while not found.complete:
        found = page(client, ARTICLE, SessionFilter(user="user123", words=("lambda",)), found.next_cursor)

Everything here is bounded: SCAN in small steps, a budget of keys and bytes for each call, no KEYS. How a
format is read is its strategy's, see `memdb.sessions.strategy`.

A format whose keys hold one message or one state each is gathered by the session's id in the values: what a
page shows of such a session is what lay on its part of the key space; opening one looks up all of its keys.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.sessions import indexed
from memdb.sessions.article import Article
from memdb.sessions.cursor import Cursor, too_many
from memdb.sessions.filters import SessionFilter
from memdb.sessions.gathered import Gathered, merged
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import TYPES, Format, Strategies
from memdb.sessions.strategy import PAGE, Budget, Opened, Powers, Pulse, SessionPage, Strategy
from memdb.sessions.summaries import SessionSummary
from memdb.vectors.index import IndexInfo

SMALLEST_STEP = 10
OPEN_BUDGET = Budget(keys=2_000_000)  # where several keys make a session and have to be looked for
_STRATEGIES: dict[Strategies, Strategy] = {"article": Article(), "values": Gathered()}


def strategy_of(format_: Format) -> Strategy:
    """How sessions of a format are found and read."""
    return _STRATEGIES[format_.strategy]


def powers(format_: Format) -> Powers:
    """What a format's sessions can be filtered by, and what can be done with them."""
    return strategy_of(format_).powers(format_)


@dataclass(slots=True)
class _Filled:
    """A page being filled."""

    notes: dict[str, str] = field(default_factory=dict)  # key → note
    scanned: int = 0
    read_bytes: int = 0


def page(
    client: Client,
    format_: Format = ARTICLE,
    wanted: SessionFilter | None = None,
    cursor: str = "",
    *,
    size: int = PAGE,
    budget: Budget | None = None,
    index: IndexInfo | None = None,
) -> SessionPage:
    """The next sessions of a format that pass a filter.

    Every session that is there from the first page to the last comes once; where several keys make a
    session, every key. (Only while the server shrinks or grows its table between two pages may SCAN bring a
    key twice.) A page may be short, even empty, although more may follow: `complete` tells.

    Args:
        client: where to list.
        format_: of the sessions.
        wanted: the filter; every session without one.
        cursor: `next_cursor` of the page before, empty for the first.
        size: sessions on the page at most; about so many where several keys make a session.
        budget: what this call may look at.
        index: one over these sessions, as `indexed.find` gives it: where it answers the filter alone, a
            listing that begins goes through it, and a listing that began with it goes on with it.

    Raises:
        BadInput: the cursor or the size is none, or the format keeps nothing that a filter asks for.
    """
    began = time.perf_counter()
    wanted, budget, strategy = wanted or SessionFilter(), budget or Budget(), strategy_of(format_)
    if size < 1:
        raise BadInput(f"A page of {size} sessions cannot be shown.", "Ask for at least 1.")
    strategy.powers(format_).check(wanted, format_)
    if index is not None and (not cursor or indexed.is_cursor(cursor)):
        found_there = strategy.indexed(client, index, format_, wanted, cursor, size)
        if found_there is not None:
            return found_there
    filled = _Filled()
    total = replies.integer(client.execute("DBSIZE"))
    after = _fill(client, format_, wanted, Cursor.parse(cursor), filled, size, budget)
    rows = strategy.summaries(client, format_, filled.notes)
    complete = after.ended and not after.left
    return SessionPage(
        tuple(rows),
        "" if complete else after.token,
        complete,
        min(filled.scanned, total),
        total,
        (time.perf_counter() - began) * 1000,
    )


def search(
    client: Client,
    format_: Format = ARTICLE,
    wanted: SessionFilter | None = None,
    *,
    limit: int = 100,
    cursor: str = "",
    budget: Budget | None = None,
    index: IndexInfo | None = None,
    report: Report = silent,
    keep: Callable[[SessionPage], None] | None = None,
) -> SessionPage:
    """The first `limit` sessions that pass a filter, page after page, as one page.

    Args:
        client: where to search.
        format_: of the sessions.
        wanted: the filter.
        limit: sessions at most; about so many where several keys make a session.
        cursor: where to go on.
        budget: of the whole search; without one it ends only with the key space or the limit.
        index: as of `page`.
        report: told after each page; may end the search.
        keep: given what is found so far, before each report.
    """
    began = time.perf_counter()
    sessions: dict[str, SessionSummary] = {}
    scanned = 0
    while True:
        step = Budget() if budget is None else Budget(min(Budget().keys, budget.keys - scanned))
        size = min(PAGE * 4, limit - len(sessions))
        part = page(client, format_, wanted, cursor, size=size, budget=step, index=index)
        for session in part.sessions:
            sessions[session.key] = (
                merged(format_, sessions[session.key], session) if session.key in sessions else session
            )
        scanned, cursor = scanned + part.scanned, part.next_cursor
        so_far = replace(
            part,
            sessions=tuple(sessions.values()),
            scanned=min(scanned, part.keys),
            took_ms=(time.perf_counter() - began) * 1000,
        )
        if keep is not None:
            keep(so_far)
        report("Searching sessions", so_far.scanned, part.keys)
        if part.complete or len(sessions) >= limit or (budget is not None and scanned >= budget.keys):
            return so_far


def open_session(
    client: Client, format_: Format, id_: str, *, budget: Budget = OPEN_BUDGET, report: Report = silent
) -> Opened:
    """A session with its messages, in order of time where they carry one.

    Args:
        client: where to read.
        format_: of the session.
        id_: of the session: its key without the prefix, or what the values call it.
        budget: keys that may be walked over where several make a session, and entries of a list to read.
        report: told how far it is.

    Raises:
        NotFound: it is gone.
        BadInput: the id is empty.
        EngineError: the key holds another type.
    """
    return strategy_of(format_).open(client, format_, id_, budget, report)


def pulse(client: Client, format_: Format, opened: Opened) -> Pulse | None:
    """The life left of an open session and whether it changed; None where it has too many keys to ask.

    Raises:
        NotFound: it is gone.
    """
    return strategy_of(format_).pulse(client, format_, opened.keys)


def pattern_of(format_: Format, wanted: SessionFilter) -> str:
    """For SCAN's MATCH. Where several keys make a session its id need not stand in them."""
    return format_.within(wanted.id_part) if format_.holds == "session" else format_.pattern


def _fill(
    client: Client,
    format_: Format,
    wanted: SessionFilter,
    at: Cursor,
    filled: _Filled,
    size: int,
    budget: Budget,
) -> Cursor:
    """Fill a page from `at`; returns where the next one begins."""
    strategy = strategy_of(format_)
    largest, size = strategy.step(format_, wanted), strategy.room(format_, size)
    pattern, kind = pattern_of(format_, wanted), TYPES[format_.stored]
    step = min(largest, max(size, SMALLEST_STEP))
    pending = list(at.left)
    scan, started = at.scan, at.started
    if pending:
        pending = _take(client, format_, wanted, pending, filled, size, budget)
    while not pending and len(filled.notes) < size and not (started and scan == 0):
        if filled.scanned >= budget.keys or filled.read_bytes >= budget.history_bytes:
            break
        step = max(1, min(step, budget.keys - filled.scanned))
        cursor, batch = client.execute("SCAN", scan, "MATCH", pattern, "TYPE", kind, "COUNT", step)
        keys = [key for key in dict.fromkeys(map(replies.key, batch)) if key not in filled.notes]
        before, read_before = dict(filled.notes), filled.read_bytes
        rest = _take(client, format_, wanted, keys, filled, size, budget)
        if too_many(rest) and step > 1:
            # SCAN keeps no state but its cursor: the same cursor with a smaller step brings a smaller part
            # of the same, so this batch can be put back as a whole.
            filled.notes, filled.read_bytes = before, read_before
            step = max(1, step // 4)
            continue
        filled.scanned += step
        scan, started, pending = replies.whole(cursor), True, rest
        missing = size - len(filled.notes)
        share = len(filled.notes) / filled.scanned
        step = min(largest, step * 4, math.ceil(missing / share * 1.1) if share else largest)
        step = max(step, SMALLEST_STEP)
    return Cursor(scan, tuple(pending), started)


def _take(
    client: Client,
    format_: Format,
    wanted: SessionFilter,
    keys: list[str],
    filled: _Filled,
    size: int,
    budget: Budget,
) -> list[str]:
    """Put what passes on the page; returns the keys that were not decided."""
    sieved = strategy_of(format_).sieve(
        client,
        format_,
        wanted,
        keys,
        room=size - len(filled.notes),
        budget=budget.history_bytes - filled.read_bytes,
    )
    filled.notes.update(sieved.passed)
    filled.read_bytes += sieved.read_bytes
    return list(sieved.rest)
