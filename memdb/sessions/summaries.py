"""What a list shows of each session: read for a whole page in two round trips, bounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import MemDBError, WrongType
from memdb.sessions import formats
from memdb.sessions.hashes import StoredField, StoredHash, readable, seconds
from memdb.sessions.size import memory_usage
from memdb.sessions.turns import opening

VALUE_BYTES = 4 * 2**10  # user, context and time over this are not read, and match no filter
HISTORY_BYTES = 256 * 2**10  # a history over this is not read, nor searched for words, and said so
PAGE_BYTES = 16 * 2**20  # of histories on one page; later ones are not read
OPENING = 160  # characters of the first question

# Per key, in this order: PTTL, HSTRLEN of formats.FIELDS, MEMORY USAGE.
_ASKED = 2 + len(formats.FIELDS)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One line of a list. Texts are as stored, but `opening`, which is safe to show."""

    key: str
    user_id: str
    context: str
    created_at: str
    created: datetime | None
    ttl_s: float | None  # None: it never expires
    history_bytes: int
    size_bytes: int | None  # in the server's memory; None where it does not tell
    turns: int | None  # None: the history was not read or is none
    opening: str  # what the user said first, cut
    problems: tuple[str, ...]
    id: str  # the key without what the format puts around it


def summaries(
    client: Client, keys: Sequence[str], prefix: str = formats.SESSION_PREFIX
) -> list[SessionSummary]:
    """Summaries of those keys that still exist and are the article's hashes, in order.

    A field over VALUE_BYTES and a history over HISTORY_BYTES is not read; `problems` says so.
    """
    commands: list[tuple[str | int, ...]] = []
    for key in keys:
        commands += [("PTTL", key), *(("HSTRLEN", key, name) for name in formats.FIELDS)]
        commands.append(memory_usage(key))
    facts = client.pipeline(commands, errors_as_values=True)
    rows = [facts[i : i + _ASKED] for i in range(0, len(facts), _ASKED)]
    there = [(key, row) for key, row in zip(keys, rows, strict=True) if _exists(row)]
    bytes_left = PAGE_BYTES
    chosen: list[list[str]] = []
    for _, row in there:
        sizes = dict(zip(formats.FIELDS, map(replies.integer, row[1:-1]), strict=True))
        fits = readable([sizes[formats.HISTORY]], each=HISTORY_BYTES, total=bytes_left)[0]
        bytes_left -= sizes[formats.HISTORY] if fits else 0
        chosen.append(
            [n for n in formats.FIELDS if (fits if n == formats.HISTORY else sizes[n] <= VALUE_BYTES)]
        )
    reading = [("HMGET", key, *names) for (key, _), names in zip(there, chosen, strict=True) if names]
    values = iter(client.pipeline(reading, errors_as_values=True))
    listed = []
    for (key, row), names in zip(there, chosen, strict=True):
        got = next(values) if names else []
        if not isinstance(got, MemDBError):  # else it changed its type between the two calls
            listed.append(_summary(key, row, dict(zip(names, got, strict=True)), prefix))
    return listed


def with_note(summary: SessionSummary, note: str) -> SessionSummary:
    """The summary with one more problem in front."""
    return replace(summary, problems=(note, *summary.problems)) if note else summary


Order = Literal["as stored", "expires first", "newest", "oldest", "most turns", "largest"]
ORDERS: tuple[Order, ...] = get_args(Order)


def ordered(listed: Sequence[SessionSummary], order: Order) -> list[SessionSummary]:
    """Summaries of one page in another order; what is not known comes last."""

    def rank(summary: SessionSummary) -> float:
        created = None if summary.created is None else summary.created.timestamp()
        value = {
            "expires first": summary.ttl_s,
            "newest": None if created is None else -created,
            "oldest": created,
            "most turns": None if summary.turns is None else -summary.turns,
            "largest": None if summary.size_bytes is None else -summary.size_bytes,
        }[order]
        return math.inf if value is None else value

    return list(listed) if order == "as stored" else sorted(listed, key=rank)


def _exists(row: list[object]) -> bool:
    """Whether the key is there and a hash; a login that may not read is told."""
    for reply in row[:-1]:
        if isinstance(reply, WrongType):
            return False
        if isinstance(reply, MemDBError):
            raise reply
    return replies.integer(row[0], -2) != -2


def _summary(key: str, row: list[object], values: dict[str, object], prefix: str) -> SessionSummary:
    fields = []
    for name, length in zip(formats.FIELDS, row[1:-1], strict=True):
        value = values.get(name)
        if isinstance(value, bytes):
            fields.append(StoredField(name, len(value), value))
        elif name not in values:
            fields.append(StoredField(name, replies.integer(length)))
    size = possible.size(row[-1])
    session = formats.session_of(StoredHash(key, tuple(fields), seconds(row[0]), size, "", 0), prefix)
    began = opening(session.turns)
    return SessionSummary(
        key,
        session.user_id,
        session.context,
        session.created_at,
        session.created,
        session.ttl_s,
        replies.integer(row[1 + formats.FIELDS.index(formats.HISTORY)]),
        size,
        session.total if isinstance(values.get(formats.HISTORY), bytes) and _proper(session) else None,
        line(began.line, OPENING) if began else "",
        session.problems,
        session.id,
    )


def _proper(session: formats.Session) -> bool:
    return bool(session.turns) or not any("history" in problem for problem in session.problems)
