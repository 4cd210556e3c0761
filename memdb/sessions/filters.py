"""Which sessions to list, and the sieve that finds them among many keys with little reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from memdb.cluster import replies
from memdb.cluster.client import Client, Command
from memdb.cluster.keys import beginning
from memdb.display import bytes_text
from memdb.errors import BadInput, EngineError, MemDBError
from memdb.sessions import formats
from memdb.sessions.hashes import seconds

VALUE_BYTES = 4 * 2**10  # user, context and time over this match no filter
HISTORY_BYTES = 256 * 2**10  # a history over this is not searched for words, and said so
CHUNK_BYTES = 4 * 2**20  # of histories in one round trip


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that all must hold; the default lets every session through. Hashable.

    `user` and `context` are compared whole, or with `partial` as a part of the value in any case.
    `words` are each looked for in the contents of the turns, anywhere and in any case.
    A session that never expires has, for `ttl_from_s` and `ttl_to_s`, a TTL beyond any number; `expires`
    chooses only those that do or do not.
    `id_part` must occur in the session's id as typed: no character is a wildcard.
    """

    user: str = ""
    context: str = ""
    partial: bool = False
    words: tuple[str, ...] = ()
    ttl_from_s: float = 0.0
    ttl_to_s: float = math.inf
    expires: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    id_part: str = ""
    prefix: str = formats.SESSION_PREFIX

    def __post_init__(self) -> None:
        if not 0 <= self.ttl_from_s <= self.ttl_to_s:
            raise BadInput(
                f"The TTL range {self.ttl_from_s:g} to {self.ttl_to_s:g} s is empty.",
                "Its end must not be before its start, and neither below 0.",
            )
        if self.created_from and self.created_to and _utc(self.created_to) < _utc(self.created_from):
            raise BadInput(
                f"The range of creation {self.created_from:%Y-%m-%d %H:%M} to "
                f"{self.created_to:%Y-%m-%d %H:%M} is empty.",
                "Its end must not be before its start.",
            )

    @property
    def pattern(self) -> str:
        """For SCAN's MATCH."""
        return beginning(self.prefix) + (beginning(self.id_part) if self.id_part else "")

    @property
    def selects(self) -> bool:
        """Whether anything but the key decides."""
        return bool(self.fields or self.words or self.by_ttl)

    @property
    def fields(self) -> tuple[str, ...]:
        """Small fields that must be read to decide."""
        asked = (
            (formats.USER_ID, bool(self.user)),
            (formats.CONTEXT, bool(self.context)),
            (formats.CREATED_AT, self.created_from is not None or self.created_to is not None),
        )
        return tuple(name for name, wanted in asked if wanted)

    @property
    def by_ttl(self) -> bool:
        """Whether the TTL decides."""
        return self.ttl_from_s > 0 or self.ttl_to_s < math.inf or self.expires is not None

    def takes(self, field: str, value: bytes) -> bool:
        """Whether a field's value fits."""
        text = replies.key(value)
        if field == formats.CREATED_AT:
            created = formats.time_of(text)
            return (
                created is not None
                and (self.created_from is None or created >= _utc(self.created_from))
                and (self.created_to is None or created <= _utc(self.created_to))
            )
        wanted = self.user if field == formats.USER_ID else self.context
        return wanted.casefold() in text.casefold() if self.partial else wanted == text

    def takes_ttl(self, ttl_s: float | None) -> bool:
        """Whether a TTL fits; None is a session that never expires."""
        if self.expires is not None and self.expires != (ttl_s is not None):
            return False
        return self.ttl_from_s <= (math.inf if ttl_s is None else ttl_s) <= self.ttl_to_s


def words_of(text: str) -> tuple[str, ...]:
    """Words as a person types them: parted by white space."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Sieved:
    """What a sieve made of some keys, in their order."""

    passed: tuple[tuple[str, str], ...]  # key, and a note where it passed unsearched
    rest: tuple[str, ...]  # not decided: no room on the page or no bytes left to read
    read_bytes: int


def sieve(client: Client, wanted: SessionFilter, keys: Sequence[str], *, room: int, budget: int) -> Sieved:
    """Find the first `room` keys that pass, cheapest test first.

    Keys that vanished or hold another type do not pass.

    Args:
        client: where to read.
        wanted: the filter.
        keys: some thousand at most.
        room: how many may pass.
        budget: bytes of histories that may be read.
    """
    left = list(keys)
    if wanted.fields:
        left = _by_fields(client, wanted, left)
    if wanted.by_ttl:
        left = _by_ttl(client, wanted, left)
    if wanted.words:
        return _by_words(client, wanted, left, room, budget)
    return Sieved(tuple((key, "") for key in left[:room]), tuple(left[room:]), 0)


def _by_fields(client: Client, wanted: SessionFilter, keys: list[str]) -> list[str]:
    """Lengths first: most keys are out, and no large value is read."""
    fields = wanted.fields
    lengths = _asked(client, [("HSTRLEN", key, name) for key in keys for name in fields])
    exact = {formats.USER_ID: wanted.user, formats.CONTEXT: wanted.context}

    def possible(name: str, length: object) -> bool:
        size = replies.integer(length)
        if name in exact and not wanted.partial:
            return size == len(exact[name].encode("utf-8", "surrogateescape"))
        return 0 < size <= VALUE_BYTES

    step = len(fields)
    fitting = [
        key
        for i, key in enumerate(keys)
        if all(possible(n, s) for n, s in zip(fields, lengths[i * step : (i + 1) * step], strict=True))
    ]
    rows = _asked(client, [("HMGET", key, *fields) for key in fitting])
    return [
        key
        for key, row in zip(fitting, rows, strict=True)
        if isinstance(row, list)
        and all(isinstance(v, bytes) and wanted.takes(n, v) for n, v in zip(fields, row, strict=True))
    ]


def _by_ttl(client: Client, wanted: SessionFilter, keys: list[str]) -> list[str]:
    found = _asked(client, [("PTTL", key) for key in keys])
    return [
        key
        for key, left in zip(keys, found, strict=True)
        if replies.integer(left, -2) != -2 and wanted.takes_ttl(seconds(left))
    ]


def _by_words(client: Client, wanted: SessionFilter, keys: list[str], room: int, budget: int) -> Sieved:
    words = [word.casefold() for word in wanted.words]
    sizes = [replies.integer(n) for n in _asked(client, [("HSTRLEN", key, formats.HISTORY) for key in keys])]
    passed: list[tuple[str, str]] = []
    spent = at = 0
    while at < len(keys) and len(passed) < room and (spent == 0 or spent < budget):
        end = _chunk(sizes, at, budget - spent)
        small = [i for i in range(at, end) if 0 < sizes[i] <= HISTORY_BYTES]
        values = dict(
            zip(small, _asked(client, [("HGET", keys[i], formats.HISTORY) for i in small]), strict=True)
        )
        spent += sum(sizes[i] for i in small)
        for i in range(at, end):
            if len(passed) == room:
                end = i
                break
            if sizes[i] > HISTORY_BYTES:
                passed.append((keys[i], f"The history was not searched: {bytes_text(sizes[i])}."))
            elif isinstance(value := values.get(i), bytes):
                text = formats.searchable(value)
                if all(word in text for word in words):
                    passed.append((keys[i], ""))
        at = end
    return Sieved(tuple(passed), tuple(keys[at:]), spent)


def _chunk(sizes: list[int], start: int, budget: int) -> int:
    """The end of the next chunk: at least one key, then as many as fit CHUNK_BYTES and the budget."""
    total = 0
    for end in range(start, len(sizes)):
        total += sizes[end] if sizes[end] <= HISTORY_BYTES else 0
        if end > start and total > min(CHUNK_BYTES, budget):
            return end
    return len(sizes)


def _asked(client: Client, commands: list[Command]) -> list[object]:
    """Replies; None where the key holds another type by now."""
    return [_or_none(reply) for reply in client.pipeline(commands, errors_as_values=True)]


def _or_none(reply: object) -> object:
    if type(reply) is EngineError:
        return None
    if isinstance(reply, MemDBError):
        raise reply
    return reply


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
