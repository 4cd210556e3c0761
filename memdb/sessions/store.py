"""One session of the article's: read it, and change its time to live. And how many there are.

Listing and searching are `memdb.sessions.listing`'s, for every format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdb import intervals
from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.keys import beginning
from memdb.errors import BadInput, NotFound
from memdb.sessions import formats
from memdb.sessions.formats import Session
from memdb.sessions.hashes import read_hash, seconds
from memdb.sessions.strategy import LARGEST_STEP

LONGEST_TTL_S = 10 * 366 * 86_400  # against a slip of the finger


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
    cursor, scanned, hits = b"0", 0, 0
    unique: set[bytes] = set()
    while True:
        cursor, keys = client.execute("SCAN", cursor, *only, "COUNT", LARGEST_STEP)
        scanned += len(keys)
        if exact:
            unique.update(keys)
        else:
            hits += sum(key.startswith(start) for key in keys)
        if replies.integer(cursor) == 0 or (not exact and scanned >= budget_keys):
            break
    if exact:
        value = len(unique)
        return SessionCount(value, True, f"Counted: {total:,} keys were walked over.", value, value)
    share = hits / scanned if scanned else 0.0
    likely = intervals.share(hits, scanned, population=total)
    low, high = likely.low * total, likely.high * total
    value = round(share * total)
    return SessionCount(
        value,
        False,
        f"Estimated from {scanned:,} of {total:,} keys: {low:,.0f} to {high:,.0f} at 95 %.",
        round(low),
        round(high),
    )


def read(client: Client, key: str, prefix: str = formats.SESSION_PREFIX) -> Session:
    """A session with its conversation, raw fields and size.

    Raises:
        NotFound: it is gone.
        EngineError: the key holds no hash.
    """
    return formats.session_of(read_hash(client, key, formats.FIELDS, "session"), prefix)


def time_left(client: Client, key: str) -> float | None:
    """Seconds until a session expires; None if it never does.

    Raises:
        NotFound: it is gone.
        BadInput: the key holds no hash.
    """
    kind, pttl = client.pipeline([("TYPE", key), ("PTTL", key)])
    if replies.text(kind) == "none" or replies.integer(pttl) == -2:
        raise NotFound(key, "session")
    if replies.text(kind) != "hash":
        raise BadInput(f"The key holds a {replies.text(kind)}, not a session.", "Choose a session.")
    return seconds(pttl)


def history_bytes(client: Client, key: str) -> int:
    """Bytes of a session's history now: whether it grew since it was read. 0 where there is none."""
    return replies.integer(client.execute("HSTRLEN", key, formats.HISTORY))


def extend_ttl(client: Client, keys: str | Sequence[str], by_s: float, kind: str = "hash") -> Change:
    """Let a session live `by_s` seconds longer than it would.

    Args:
        client: of a target that may be written.
        keys: of the session; each that expires gets as much more.
        by_s: seconds, at most ten years.
        kind: TYPE that its keys have.

    Raises:
        BadInput: it never expires, or the time is no time.
        NotFound: it is gone.
        ReadOnlyTarget: the target takes no writes.
    """
    if not 0 < by_s <= LONGEST_TTL_S:
        raise BadInput(f"A TTL cannot grow by {by_s:g} s.", "Give more than 0 s and at most ten years.")
    lives = _lives(client, keys, kind)
    ends = {key: pttl_ms for key, pttl_ms in lives.items() if pttl_ms is not None}
    if not ends:
        raise BadInput(
            "This session never expires: there is no TTL to extend.", "It stays until it is deleted."
        )
    replies_of = client.pipeline(
        [("PEXPIRE", key, round((pttl_ms + by_s) * 1000)) for key, pttl_ms in ends.items()]
    )
    if not any(map(replies.integer, replies_of)):
        raise NotFound(next(iter(ends)), "session")
    before = min(ends.values())
    return Change(next(iter(ends)), before, round((before + by_s) * 1000) / 1000)


def persist(client: Client, keys: str | Sequence[str], kind: str = "hash") -> Change:
    """Take a session's TTL away, of all its keys: it stays until it is deleted.

    Raises:
        NotFound: it is gone.
        ReadOnlyTarget: the target takes no writes.
    """
    lives = _lives(client, keys, kind)
    before = min((pttl_ms for pttl_ms in lives.values() if pttl_ms is not None), default=None)
    replies_of = client.pipeline([("PERSIST", key) for key in lives])
    if not any(map(replies.integer, replies_of)) and before is not None:
        raise NotFound(next(iter(lives)), "session")
    return Change(next(iter(lives)), before, None)


def delete(client: Client, keys: str | Sequence[str], kind: str = "hash") -> Change:
    """Delete a session, all its keys.

    Raises:
        NotFound: it is gone already.
        ReadOnlyTarget: the target takes no writes.
    """
    lives = _lives(client, keys, kind)
    before = min((pttl_ms for pttl_ms in lives.values() if pttl_ms is not None), default=None)
    if not any(map(replies.integer, client.pipeline([("UNLINK", key) for key in lives]))):
        raise NotFound(next(iter(lives)), "session")
    return Change(next(iter(lives)), before, None, deleted=True)


def _lives(client: Client, keys: str | Sequence[str], kind: str) -> dict[str, float | None]:
    """Seconds left of the keys that are there; None: it never expires."""
    several = (keys,) if isinstance(keys, str) else tuple(keys)
    facts = client.pipeline([part for key in several for part in (("TYPE", key), ("PTTL", key))])
    lives: dict[str, float | None] = {}
    for key, type_name, pttl in zip(several, map(replies.text, facts[::2]), facts[1::2], strict=True):
        if type_name == "none" or replies.integer(pttl) == -2:
            continue
        if type_name != kind:
            raise BadInput(f"The key holds a {type_name}, not a session.", "Choose a session.")
        lives[key] = seconds(pttl)
    if not lives:
        raise NotFound(several[0], "session")
    return lives
