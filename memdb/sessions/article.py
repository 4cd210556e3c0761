"""The article's hash: what a sieve, a row and a survey need is asked field by field, and little is read.

A `Strategy` of `memdb.sessions.strategy`. The hash is `<prefix><id>` with user_id, history (a JSON list of
role/content turns), context and created_at, see `memdb.sessions.formats`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memdb.cluster import possible, replies
from memdb.cluster.client import Client, Command
from memdb.display import bytes_text
from memdb.errors import BadFilter, EngineError, MemDBError, WrongType
from memdb.jobs import Report
from memdb.sessions import formats, indexed, store, summaries
from memdb.sessions.cursor import LEFT_KEYS
from memdb.sessions.filters import SessionFilter
from memdb.sessions.formats import Session
from memdb.sessions.hashes import seconds
from memdb.sessions.mapping import Format
from memdb.sessions.size import memory_usage
from memdb.sessions.strategy import (
    LARGEST_STEP,
    Budget,
    Opened,
    PassedSessions,
    Powers,
    Pulse,
    SessionPage,
    Sieved,
    SurveyedSession,
)
from memdb.sessions.summaries import HISTORY_BYTES, VALUE_BYTES, SessionSummary
from memdb.sessions.times import moment
from memdb.vectors.index import IndexInfo

CHUNK_BYTES = 4 * 2**20  # of histories in one round trip
SEARCHED = 64 * 2**20  # bytes of histories in one step of a change to many
POWERS = Powers(user=True, context=True, words=True, created=True, index=True, writes=True)


class Article:
    """The strategy. It keeps nothing."""

    def powers(self, format_: Format) -> Powers:
        """Everything."""
        return POWERS

    def room(self, format_: Format, size: int) -> int:
        """A key is a session."""
        return size

    def step(self, format_: Format, wanted: SessionFilter) -> int:
        """Small where histories are read."""
        return LEFT_KEYS if wanted.words else LARGEST_STEP

    def indexed(
        self, client: Client, index: IndexInfo, format_: Format, wanted: SessionFilter, cursor: str, size: int
    ) -> SessionPage | None:
        """Whole users and contexts, where the index has them as tags."""
        if not indexed.serves(index, wanted, format_):
            return None
        try:
            return indexed.page(client, index, wanted, cursor, size=size, format_=format_)
        except BadFilter:  # a value that queries cannot say; scanning compares it as it is
            return None

    def sieve(
        self,
        client: Client,
        format_: Format,
        wanted: SessionFilter,
        keys: Sequence[str],
        *,
        room: int,
        budget: int,
    ) -> Sieved:
        """The first `room` keys that pass, cheapest test first; keys that vanished do not pass."""
        undecided = list(keys)
        if fields := _decisive(wanted):
            undecided = _by_fields(client, fields, undecided)
        if wanted.by_ttl:
            undecided = _by_ttl(client, wanted, undecided)
        if wanted.words:
            return _by_words(client, wanted, undecided, room, budget)
        return Sieved(tuple((key, "") for key in undecided[:room]), tuple(undecided[room:]), 0)

    def summaries(self, client: Client, format_: Format, notes: Mapping[str, str]) -> list[SessionSummary]:
        """A row a key."""
        rows = summaries.summaries(client, list(notes), format_.prefix)
        return [summaries.with_note(s, notes[s.key]) for s in rows]

    def open(self, client: Client, format_: Format, id_: str, budget: Budget, report: Report) -> Opened:
        """A hash with all its fields."""
        session = store.read(client, format_.key_of(id_), format_.prefix)
        size = next((f.size_bytes for f in session.fields if f.name == formats.HISTORY), 0)
        return Opened(session, (session.key,), complete=True, size=size)

    def read(self, client: Client, format_: Format, keys: Sequence[str]) -> Session:
        """A hash with all its fields."""
        return store.read(client, keys[0], format_.prefix)

    def pulse(self, client: Client, format_: Format, keys: Sequence[str]) -> Pulse:
        """Its time to live, and the bytes of its history."""
        return Pulse(store.time_left(client, keys[0]), store.history_bytes(client, keys[0]))

    def sessions_of(
        self, client: Client, format_: Format, wanted: SessionFilter, keys: Sequence[str]
    ) -> PassedSessions:
        """A hash is a session; one whose history is too large to be searched is not decided."""
        passed: list[tuple[str, ...]] = []
        undecided, unread = 0, list(keys)
        while unread:
            sieved = self.sieve(client, format_, wanted, unread, room=len(unread), budget=SEARCHED)
            passed += [(key,) for key, note in sieved.passed if not note]
            undecided += sum(bool(note) for _, note in sieved.passed)
            unread = list(sieved.rest)
        return PassedSessions(tuple(passed), undecided)

    def seen(self, client: Client, format_: Format, keys: Sequence[str]) -> list[SurveyedSession]:
        """User and time alone are read."""
        commands: list[Command] = []
        for key in keys:
            commands += [
                ("PTTL", key),
                memory_usage(key),
                ("HMGET", key, formats.USER_ID, formats.CREATED_AT),
            ]
        facts = client.pipeline(commands, errors_as_values=True)
        sample = []
        for key, pttl, size, fields in zip(keys, facts[::3], facts[1::3], facts[2::3], strict=True):
            if isinstance(pttl, MemDBError):
                raise pttl
            if isinstance(fields, EngineError) or replies.integer(pttl, -2) == -2:
                continue
            if isinstance(fields, MemDBError):
                raise fields
            user, created = (replies.key(v)[:200] if isinstance(v, bytes) else "" for v in fields)
            memory = possible.size(size) or 0
            sample.append(SurveyedSession(key, seconds(pttl), memory, user, moment(created)))
        return sample


_Fits = Callable[[int, bytes | None], bool]  # (length, value): by the length alone while the value is None


def _decisive(wanted: SessionFilter) -> dict[str, _Fits]:
    """Small fields that must be read to decide, and how."""

    def tag(given_tag: str, takes: Callable[[str], bool]) -> _Fits:
        whole = len(given_tag.encode("utf-8", "surrogateescape"))

        def fits(length: int, value: bytes | None) -> bool:
            if value is not None:
                return takes(replies.key(value))
            return 0 < length <= VALUE_BYTES if wanted.partial else length == whole

        return fits

    def created(length: int, value: bytes | None) -> bool:
        if value is not None:
            return wanted.takes_created(moment(replies.key(value)))
        return 0 < length <= VALUE_BYTES

    fields: dict[str, _Fits] = {}
    if wanted.user:
        fields[formats.USER_ID] = tag(wanted.user, wanted.takes_user)
    if wanted.context:
        fields[formats.CONTEXT] = tag(wanted.context, wanted.takes_context)
    if wanted.by_created:
        fields[formats.CREATED_AT] = created
    return fields


def _by_fields(client: Client, fields: dict[str, _Fits], keys: list[str]) -> list[str]:
    """Lengths first: most keys are out, and no large value is read."""
    lengths = _asked(client, [("HSTRLEN", key, name) for key in keys for name in fields])
    step, tests = len(fields), list(fields.values())
    fitting = [
        key
        for i, key in enumerate(keys)
        if all(
            fits(replies.integer(length), None)
            for fits, length in zip(tests, lengths[i * step : (i + 1) * step], strict=True)
        )
    ]
    rows = _asked(client, [("HMGET", key, *fields) for key in fitting])
    return [
        key
        for key, row in zip(fitting, rows, strict=True)
        if isinstance(row, list)
        and all(isinstance(v, bytes) and fits(len(v), v) for fits, v in zip(tests, row, strict=True))
    ]


def _by_ttl(client: Client, wanted: SessionFilter, keys: list[str]) -> list[str]:
    lives = _asked(client, [("PTTL", key) for key in keys])
    return [
        key
        for key, pttl in zip(keys, lives, strict=True)
        if replies.integer(pttl, -2) != -2 and wanted.takes_ttl(seconds(pttl))
    ]


def _by_words(client: Client, wanted: SessionFilter, keys: list[str], room: int, budget: int) -> Sieved:
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
            elif isinstance(value := values.get(i), bytes) and wanted.takes_words(formats.searchable(value)):
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
    if isinstance(reply, WrongType):
        return None
    if isinstance(reply, MemDBError):
        raise reply
    return reply
