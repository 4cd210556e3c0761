"""Sessions on a server: list them page by page, find, count, read, and change their time to live.

    found = page(client, SessionFilter(user="user123", words=("lambda",)))
    while not found.complete:
        found = page(client, SessionFilter(user="user123", words=("lambda",)), found.next_cursor)

Everything here is bounded: SCAN in small steps, a budget of keys and bytes for each call, no KEYS.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from memdb import intervals
from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.keys import beginning
from memdb.errors import BadInput, NotFound
from memdb.jobs import Report, silent
from memdb.sessions import formats
from memdb.sessions.cursor import LEFT_KEYS, Cursor, too_many
from memdb.sessions.filters import SessionFilter, sieve
from memdb.sessions.formats import Session
from memdb.sessions.hashes import read_hash, seconds
from memdb.sessions.summaries import SessionSummary, summaries, with_note
from memdb.vectors.query import Command

PAGE = 50
SMALLEST_STEP, LARGEST_STEP = 10, 2_000  # COUNT of SCAN: about 1 ms of server time at most
WORDS_STEP = LEFT_KEYS  # so that what a byte budget leaves undecided always fits the cursor
LONGEST_TTL_S = 10 * 366 * 86_400  # against a slip of the finger


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one call may look at before it stops and says where to go on."""

    keys: int = 50_000
    history_bytes: int = 64 * 2**20  # read to search for words


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions, in the order in which SCAN brought them."""

    sessions: tuple[SessionSummary, ...]
    next_cursor: str  # empty where complete
    complete: bool  # every key of the server was looked at, from this page's cursor on
    scanned: int  # keys that SCAN walked over for this page, about
    keys: int  # on the server, sessions and others
    took_ms: float


@dataclass(frozen=True, slots=True)
class SessionCount:
    """How many sessions there are."""

    value: int
    exact: bool
    how: str  # a sentence
    low: int = 0  # of the 95 % interval; both are `value` where exact
    high: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """What a write did to a session."""

    key: str
    ttl_before_s: float | None  # None: it never expired
    ttl_after_s: float | None
    deleted: bool = False


@dataclass(slots=True)
class _Found:
    """A page being filled."""

    notes: dict[str, str] = field(default_factory=dict)  # key → note
    scanned: int = 0
    read_bytes: int = 0


def page(
    client: Client,
    wanted: SessionFilter | None = None,
    cursor: str = "",
    *,
    size: int = PAGE,
    budget: Budget | None = None,
) -> SessionPage:
    """The next sessions that pass a filter.

    Every session that is there from the first page to the last comes once. (Only while the server shrinks
    or grows its table between two pages may SCAN bring a key twice.) A page may be short, even empty,
    although more may follow: `complete` tells.

    Args:
        client: where to list.
        wanted: the filter; every session without one.
        cursor: `next_cursor` of the page before, empty for the first.
        size: sessions on the page at most.
        budget: what this call may look at.

    Raises:
        BadInput: the cursor or the size is none.
    """
    began = time.perf_counter()
    wanted, budget = wanted or SessionFilter(), budget or Budget()
    if size < 1:
        raise BadInput(f"A page of {size} sessions cannot be shown.", "Ask for at least 1.")
    found = _Found()
    total = replies.integer(client.execute("DBSIZE"))
    after = _fill(client, wanted, Cursor.parse(cursor), found, size, budget)
    read = [with_note(s, found.notes[s.key]) for s in summaries(client, list(found.notes))]
    complete = after.ended and not after.left
    return SessionPage(
        tuple(read),
        "" if complete else after.token,
        complete,
        min(found.scanned, total),
        total,
        (time.perf_counter() - began) * 1000,
    )


def search(
    client: Client,
    wanted: SessionFilter,
    *,
    limit: int = 100,
    cursor: str = "",
    budget: Budget | None = None,
    report: Report = silent,
    keep: Callable[[SessionPage], None] | None = None,
) -> SessionPage:
    """The first `limit` sessions that pass a filter, page after page, as one page.

    Args:
        client: where to search.
        wanted: the filter.
        limit: sessions at most.
        cursor: where to go on.
        budget: of the whole search; without one it ends only with the key space or the limit.
        report: told after each page; may end the search.
        keep: given what is found so far, before each report.
    """
    began = time.perf_counter()
    sessions: list[SessionSummary] = []
    scanned = 0
    while True:
        step = Budget() if budget is None else Budget(min(Budget().keys, budget.keys - scanned))
        found = page(client, wanted, cursor, size=min(PAGE * 4, limit - len(sessions)), budget=step)
        sessions += found.sessions
        scanned, cursor = scanned + found.scanned, found.next_cursor
        so_far = SessionPage(
            tuple(sessions),
            cursor,
            found.complete,
            min(scanned, found.keys),
            found.keys,
            (time.perf_counter() - began) * 1000,
        )
        if keep is not None:
            keep(so_far)
        report("Searching sessions", so_far.scanned, found.keys)
        if found.complete or len(sessions) >= limit or (budget is not None and scanned >= budget.keys):
            return so_far


def count(client: Client, *, prefix: str = formats.SESSION_PREFIX, budget_keys: int = 50_000) -> SessionCount:
    """How many sessions there are: counted where the server has few keys, else estimated from a sample.

    The sample is where SCAN begins. Redis orders keys by a hash, so that this is as good as drawn by lot;
    keys with the same {tag} are an exception on a cluster node.
    """
    total = replies.integer(client.execute("DBSIZE"))
    pattern = beginning(prefix)
    start = prefix.encode("utf-8", "surrogateescape")
    exact = total <= budget_keys
    only = ("MATCH", pattern, "TYPE", "hash") if exact else ()
    cursor, seen, hits = b"0", 0, 0
    unique: set[bytes] = set()
    while True:
        cursor, keys = client.execute("SCAN", cursor, *only, "COUNT", LARGEST_STEP)
        seen += len(keys)
        if exact:
            unique.update(keys)
        else:
            hits += sum(key.startswith(start) for key in keys)
        if replies.integer(cursor) == 0 or (not exact and seen >= budget_keys):
            break
    if exact:
        value = len(unique)
        return SessionCount(value, True, f"Counted: {total:,} keys were walked over.", value, value)
    share = hits / seen if seen else 0.0
    likely = intervals.share(hits, seen, population=total)
    low, high = likely.low * total, likely.high * total
    value = round(share * total)
    return SessionCount(
        value,
        False,
        f"Estimated from {seen:,} of {total:,} keys: {low:,.0f} to {high:,.0f} at 95 %.",
        round(low),
        round(high),
    )


def read(client: Client, key: str) -> Session:
    """A session with its conversation, raw fields and size.

    Raises:
        NotFound: it is gone.
        EngineError: the key holds no hash.
    """
    return formats.session_of(read_hash(client, key, formats.FIELDS, "session"))


def read_command(key: str) -> Command:
    """What reads a session with redis-cli."""
    return Command(("HGETALL", key))


def time_left(client: Client, key: str) -> float | None:
    """Seconds until a session expires; None if it never does.

    Raises:
        NotFound: it is gone.
        BadInput: the key holds no hash.
    """
    kind, left = client.pipeline([("TYPE", key), ("PTTL", key)])
    if replies.text(kind) == "none" or replies.integer(left) == -2:
        raise NotFound(key, "session")
    if replies.text(kind) != "hash":
        raise BadInput(f"The key holds a {replies.text(kind)}, not a session.", "Choose a session.")
    return seconds(left)


def history_bytes(client: Client, key: str) -> int:
    """Bytes of a session's history now: whether it grew since it was read. 0 where there is none."""
    return replies.integer(client.execute("HSTRLEN", key, formats.HISTORY))


def extend_ttl(client: Client, key: str, by_s: float) -> Change:
    """Let a session live `by_s` seconds longer than it would.

    Raises:
        BadInput: it never expires, or the time is no time.
        NotFound: it is gone.
        ReadOnlyTarget: the target takes no writes.
    """
    if not 0 < by_s <= LONGEST_TTL_S:
        raise BadInput(f"A TTL cannot grow by {by_s:g} s.", "Give more than 0 s and at most ten years.")
    before = time_left(client, key)
    if before is None:
        raise BadInput(
            "This session never expires: there is no TTL to extend.", "It stays until it is deleted."
        )
    after_ms = round((before + by_s) * 1000)
    if not replies.integer(client.execute("PEXPIRE", key, after_ms)):
        raise NotFound(key, "session")
    return Change(key, before, after_ms / 1000)


def persist(client: Client, key: str) -> Change:
    """Take a session's TTL away: it stays until it is deleted.

    Raises:
        NotFound: it is gone.
        ReadOnlyTarget: the target takes no writes.
    """
    before = time_left(client, key)
    if not replies.integer(client.execute("PERSIST", key)) and before is not None:
        raise NotFound(key, "session")
    return Change(key, before, None)


def delete(client: Client, key: str) -> Change:
    """Delete a session.

    Raises:
        NotFound: it is gone already.
        ReadOnlyTarget: the target takes no writes.
    """
    before = time_left(client, key)
    if not replies.integer(client.execute("UNLINK", key)):
        raise NotFound(key, "session")
    return Change(key, before, None, deleted=True)


def scan_command(wanted: SessionFilter, cursor: str = "", size: int = PAGE) -> tuple[Arg, ...]:
    """The SCAN a page begins with, to show or repeat."""
    at = Cursor.parse(cursor).scan
    return ("SCAN", at, "MATCH", wanted.pattern, "TYPE", "hash", "COUNT", max(size, SMALLEST_STEP))


def _fill(
    client: Client, wanted: SessionFilter, at: Cursor, found: _Found, size: int, budget: Budget
) -> Cursor:
    """Fill a page from `at`; returns where the next one begins."""
    largest = WORDS_STEP if wanted.words else LARGEST_STEP
    step = min(largest, max(size, SMALLEST_STEP))
    pending = list(at.left)
    scan, started = at.scan, at.started
    if pending:
        pending = _take(client, wanted, pending, found, size, budget)
    while not pending and len(found.notes) < size and not (started and scan == 0):
        if found.scanned >= budget.keys or found.read_bytes >= budget.history_bytes:
            break
        step = max(1, min(step, budget.keys - found.scanned))
        cursor, batch = client.execute(
            "SCAN", scan, "MATCH", wanted.pattern, "TYPE", "hash", "COUNT", step
        )  # fmt: skip
        keys = [key for key in dict.fromkeys(map(replies.key, batch)) if key not in found.notes]
        before, read_before = dict(found.notes), found.read_bytes
        rest = _take(client, wanted, keys, found, size, budget)
        if too_many(rest) and step > 1:
            # SCAN keeps no state but its cursor: the same cursor with a smaller step brings a smaller part
            # of the same, so this batch can be put back as a whole.
            found.notes, found.read_bytes = before, read_before
            step = max(1, step // 4)
            continue
        found.scanned += step
        scan, started, pending = replies.whole(cursor), True, rest
        missing = size - len(found.notes)
        share = len(found.notes) / found.scanned
        step = min(largest, step * 4, math.ceil(missing / share * 1.1) if share else largest)
        step = max(step, SMALLEST_STEP)
    return Cursor(scan, tuple(pending), started)


def _take(
    client: Client, wanted: SessionFilter, keys: list[str], found: _Found, size: int, budget: Budget
) -> list[str]:
    """Put what passes on the page; returns the keys that were not decided."""
    sieved = sieve(
        client,
        wanted,
        keys,
        room=size - len(found.notes),
        budget=budget.history_bytes - found.read_bytes,
    )
    found.notes.update(sieved.passed)
    found.read_bytes += sieved.read_bytes
    return list(sieved.rest)
