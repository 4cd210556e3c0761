"""Sessions of any shape: values read whole, messages and ids found in them by the format's paths.

A `Strategy` of `memdb.sessions.strategy`. Where a key holds one message or one state, keys are gathered by
the session's id in the values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import NotFound
from memdb.jobs import Report
from memdb.numerals import whole_number
from memdb.sessions import known
from memdb.sessions.cursor import LEFT_KEYS
from memdb.sessions.filters import SessionFilter
from memdb.sessions.formats import TURNS, Session
from memdb.sessions.hashes import VALUE_BYTES, seconds
from memdb.sessions.mapping import TYPES, Format, Reading, read
from memdb.sessions.messages import is_message
from memdb.sessions.strategy import (
    Budget,
    Opened,
    PassedSessions,
    Powers,
    Pulse,
    SessionPage,
    Sieved,
    SurveyedSession,
)
from memdb.sessions.summaries import HISTORY_BYTES, OPENING, SessionSummary, with_note
from memdb.sessions.turns import opening
from memdb.sessions.values import ENTRIES, LENGTHS, Value, values
from memdb.vectors.index import IndexInfo

STEP = 1_000
PAGE_BYTES, OPEN_BYTES = 32 * 2**20, 64 * 2**20
SUMMARY_BYTES = 2**20  # a value over this is listed and not read
SUMMARY_ENTRIES = 50  # of a list, the newest, and its first
VALUE_COST = 12 * 2**10  # bytes that a small value counts for: five commands and its parsing take time too
SEEN_BYTES = 64 * 2**10  # of a value that a survey reads for its user and time
KEYS = 500  # of one page, where several make a session
OPEN_KEYS = 2_000  # of one session
_LOOKED_AT = 16  # keys of a format, for whether they hold the ids of their sessions
LIVE_KEYS = 20  # of an open session that is looked at each second
_LENGTHS = {**LENGTHS, "string": "STRLEN"}  # what grows with a turn, told without reading


class Gathered:
    """The strategy. It keeps nothing."""

    def powers(self, format_: Format) -> Powers:
        """What its paths tell. Turns are not written: what stores them knows their shape."""
        return Powers(
            user=bool(format_.user),
            context=False,
            words=True,
            created=bool(format_.time),
            index=False,
            writes=format_.name != known.ADK_HASH.name,
        )

    def room(self, format_: Format, size: int) -> int:
        """Five keys a session, where several make one: of very many each is of another session."""
        return size if format_.holds == "session" else max(size, min(KEYS, size * 5))

    def step(self, format_: Format, wanted: SessionFilter) -> int:
        """Small where values are read to decide, and some may be left for the next page."""
        return LEFT_KEYS if format_.holds == "session" and _reads(format_, wanted) else STEP

    def indexed(
        self, client: Client, index: IndexInfo, format_: Format, wanted: SessionFilter, cursor: str, size: int
    ) -> SessionPage | None:
        """No index is over such values."""
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
        """Keys of sessions that pass. Where several make a session, what lies among `keys` decides."""
        undecided = [key for key in keys if format_.owns(key)]
        if wanted.by_ttl and format_.holds == "session":
            undecided = _by_ttl(client, wanted, undecided)
        if not _reads(format_, wanted):
            return Sieved(tuple((key, "") for key in undecided[:room]), tuple(undecided[room:]), 0)
        passed: list[tuple[str, str]] = []
        spent = at = 0
        # Keys of one session stay together: they are decided at once.
        step = LEFT_KEYS if format_.holds == "session" else max(1, len(undecided))
        while at < len(undecided) and len(passed) < room and (spent == 0 or spent < budget):
            parts = _parts(client, format_, undecided[at : at + step], each=HISTORY_BYTES, total=PAGE_BYTES)
            spent += sum(max(VALUE_COST, part.value.size_bytes or 0) for part in parts)
            for id_, group in _grouped(format_, parts).items():
                note = _verdict(format_, wanted, id_, group)
                if note is not None:
                    passed += [(part.value.key, note) for part in group]
            at += step
        if format_.holds == "session" and len(passed) > room:
            at = undecided.index(passed[room][0])
            passed = passed[:room]
        return Sieved(tuple(passed), tuple(undecided[at:]), spent)

    def summaries(self, client: Client, format_: Format, notes: Mapping[str, str]) -> list[SessionSummary]:
        """Sessions in the order of their first key."""
        parts = _parts(
            client, format_, list(notes), each=SUMMARY_BYTES, total=PAGE_BYTES, entries=SUMMARY_ENTRIES
        )
        if not format_.prefix:  # nothing in the key's name says that it is a session
            parts = [part for part in parts if _is_session(format_, part)]
        return [
            with_note(_summary(format_, id_, group), notes[group[0].value.key])
            for id_, group in _grouped(format_, parts).items()
        ]

    def open(self, client: Client, format_: Format, id_: str, budget: Budget, report: Report) -> Opened:
        """All keys of a session, read and put in order; of states the newest.

        Raises:
            NotFound: the session is gone.
        """
        keys, complete = _keys(client, format_, id_, budget, report)
        parts = [
            part
            for part in _parts(client, format_, keys, total=OPEN_BYTES, any_type=True, entries=budget.entries)
            if format_.holds == "session" or _id(format_, part) == id_
        ]
        bare = format_.id_of(format_.prefix + id_)
        if not parts and bare != id_:  # the rest of a key, with what the format puts behind the id
            return self.open(client, format_, bare, budget, report)
        if not parts:
            raise NotFound(format_.prefix + id_, "session")
        session, parts_shown = _whole(format_, id_, parts)
        if not complete:
            session = replace(
                session,
                problems=(
                    "Not all keys of the server were looked at: messages may be missing.",
                    *session.problems,
                ),
            )
        read_keys = tuple(part.value.key for part in parts_shown)
        pulse = self.pulse(client, format_, read_keys)
        size = pulse.size if pulse is not None else None
        return Opened(session, read_keys, complete, size, tuple(part.value.key for part in parts))

    def read(self, client: Client, format_: Format, keys: Sequence[str]) -> Session:
        """The values of these keys, in order; of states the newest.

        Raises:
            NotFound: they are gone.
        """
        parts = _parts(client, format_, keys, total=OPEN_BYTES, any_type=True, entries=TURNS)
        if not parts:
            raise NotFound(keys[0], "session")
        return _whole(format_, _id(format_, parts[0]), parts)[0]

    def pulse(self, client: Client, format_: Format, keys: Sequence[str]) -> Pulse | None:
        """The first of its keys to expire, and the entries or bytes of lists and texts.

        Raises:
            NotFound: the session is gone.
        """
        if len(keys) > LIVE_KEYS:
            return None
        length = _LENGTHS.get(format_.stored)
        lives = [replies.integer(n, -2) for n in client.pipeline([("PTTL", key) for key in keys])]
        there = [key for key, pttl in zip(keys, lives, strict=True) if pttl != -2]
        if not there:
            raise NotFound(keys[0], "session")
        sizes = client.pipeline([(length, key) for key in there], errors_as_values=True) if length else []
        lives_s = [seconds(n) for n in lives if n >= 0]
        return Pulse(
            min((n for n in lives_s if n is not None), default=None),
            sum(n for n in sizes if isinstance(n, int)) if length else None,
        )

    def sessions_of(
        self, client: Client, format_: Format, wanted: SessionFilter, keys: Sequence[str]
    ) -> PassedSessions:
        """Values are read and must be conversations: what only lies under the same prefix is left alone."""
        unread = [key for key in keys if format_.owns(key)]
        if wanted.by_ttl and not format_.several:
            unread = _by_ttl(client, wanted, unread)
        searched = bool(wanted.words or wanted.by_created or wanted.user)
        entries = ENTRIES if searched else SUMMARY_ENTRIES
        passed: list[tuple[str, ...]] = []
        undecided = 0
        while unread:
            # All keys of a session are decided at once.
            chunk = unread if format_.several else unread[:LEFT_KEYS]
            parts = _parts(client, format_, chunk, total=OPEN_BYTES, entries=entries)
            unread = unread[len(chunk) :]
            if not format_.several:  # what the others of its chunk left no room for is read in the next
                later = [p.value.key for p in parts if p.reading is None and _fits(p.value)]
                parts = [part for part in parts if part.value.key not in set(later)]
                unread = [*later, *unread]
            for id_, group in _grouped(format_, parts).items():
                note = _verdict(format_, wanted, id_, group)
                if note is None:
                    continue
                if note or not all(_is_conversation(format_, part) for part in group):
                    undecided += len(group)
                else:
                    passed.append(tuple(part.value.key for part in group))
        return PassedSessions(tuple(passed), undecided)

    def seen(self, client: Client, format_: Format, keys: Sequence[str]) -> list[SurveyedSession]:
        """Each key by itself, also where several make a session."""
        return [
            SurveyedSession(
                part.value.key,
                part.value.ttl_s,
                part.value.size_bytes or 0,
                part.reading.user if part.reading else "",
                part.reading.at if part.reading else None,
            )
            for part in _parts(
                client,
                format_,
                [key for key in keys if format_.owns(key)],
                each=SEEN_BYTES,
                total=PAGE_BYTES,
                any_type=True,
                entries=SUMMARY_ENTRIES,
            )
            if format_.prefix or _is_session(format_, part)
        ]


def session_ids(client: Client, format_: Format, keys: Sequence[str]) -> dict[str, str]:
    """The id of the session that each key belongs to; keys that went or could not be read are left out."""
    parts = _parts(
        client, format_, [key for key in keys if format_.owns(key)], each=VALUE_BYTES, total=OPEN_BYTES
    )
    return {part.value.key: _id(format_, part) for part in parts if part.reading is not None}


def merged(format_: Format, before: SessionSummary, more: SessionSummary) -> SessionSummary:
    """Two summaries of one session, each of some of its keys, as one."""
    if before == more or format_.holds == "session":
        return before
    early, late = sorted((before, more), key=lambda s: s.created or _NO_TIME)
    if format_.holds == "state":
        return late
    lives = [s.ttl_s for s in (before, more) if s.ttl_s is not None]
    sizes = [s.size_bytes for s in (before, more)]
    return replace(
        early,
        user_id=early.user_id or late.user_id,
        ttl_s=min(lives, default=None),
        history_bytes=early.history_bytes + late.history_bytes,
        size_bytes=None if None in sizes else sum(size or 0 for size in sizes),
        turns=(early.turns or 0) + (late.turns or 0)
        if early.turns is not None or late.turns is not None
        else None,
        problems=tuple(dict.fromkeys((*early.problems, *late.problems))),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One key of a session."""

    value: Value
    reading: Reading | None  # None: the value was not read, or is no JSON


_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # but those that stand for bytes that are no UTF-8
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # what tells no time comes first


def _parts(
    client: Client,
    format_: Format,
    keys: Sequence[str],
    *,
    each: int = VALUE_BYTES,
    total: int,
    any_type: bool = False,
    entries: int = ENTRIES,
) -> list[_Part]:
    """Values of keys that are there, and of the format's type unless any will do, with what they say."""
    return [
        _Part(value, read(format_, value.document, value.earlier) if value.document is not None else None)
        for value in values(client, keys, format_, each=each, total=total, entries=entries)
        if value.kind != "none"
        and (any_type or value.stored == format_.stored)
        and not _beside(format_, value)
    ]


def _beside(format_: Format, value: Value) -> bool:
    """Whether a value is something else that is kept with a session's messages, under keys like theirs."""
    if format_.name not in known.KEYED or value.document is None:
        return False
    return not is_message(value.document)


def _grouped(format_: Format, parts: Sequence[_Part]) -> dict[str, list[_Part]]:
    """Parts by the id of the session that they belong to."""
    grouped: dict[str, list[_Part]] = {}
    for part in parts:
        grouped.setdefault(_id(format_, part), []).append(part)
    return grouped


def _id(format_: Format, part: _Part) -> str:
    """Of the session that a key belongs to: what its value tells, else what its name does."""
    session_id = part.reading.session if format_.holds != "session" and part.reading is not None else ""
    return session_id or format_.id_of(part.value.key)


def _is_session(format_: Format, part: _Part) -> bool:
    """Whether a value looks like the format's, where its key's name does not tell."""
    if part.value.document is None:
        return False
    return known.recognised(format_.prefix, format_.stored, part.value.document, part.value.key) is not None


def _fits(value: Value) -> bool:
    """Whether a value that was not read is small enough to be read alone."""
    return not value.whole and value.stored is not None and (value.size_bytes or 0) <= VALUE_BYTES


def _is_conversation(format_: Format, part: _Part) -> bool:
    """Whether a value is one without a doubt: it has turns, and looks like one of the known formats."""
    if part.reading is None or not part.reading.turns:
        return False
    return format_.own or _is_session(format_, part)


def _reads(format_: Format, wanted: SessionFilter) -> bool:
    """Whether values must be read to decide."""
    by_content = bool(wanted.user or wanted.words or wanted.by_created)
    return by_content or (format_.holds != "session" and bool(wanted.by_ttl or wanted.id_part))


def _by_ttl(client: Client, wanted: SessionFilter, keys: list[str]) -> list[str]:
    lives = [replies.integer(n, -2) for n in client.pipeline([("PTTL", key) for key in keys])]
    return [
        key for key, pttl in zip(keys, lives, strict=True) if pttl != -2 and wanted.takes_ttl(seconds(pttl))
    ]


def _verdict(format_: Format, wanted: SessionFilter, id_: str, group: Sequence[_Part]) -> str | None:
    """None: it does not pass. A text: it does, and what could not be looked into."""
    if format_.holds != "session" and wanted.id_part not in id_:
        return None
    session = _session(format_, id_, group)
    if not wanted.takes_ttl(session.ttl_s):
        return None
    unread = next((part.value.note for part in group if not part.value.whole), "")
    text = "\n".join(turn.words for turn in session.turns) or "\n".join(
        replies.key(part.value.raw) for part in group
    )
    tests = (
        (wanted.takes_words(text.casefold()), not unread),
        (wanted.takes_created(session.created), not unread),
        (not wanted.user or wanted.takes_user(session.user_id), bool(session.user_id) or not unread),
    )
    if any(not fits and certain for fits, certain in tests):
        return None
    return "" if all(fits for fits, _ in tests) else f"Not searched as a whole: {unread}"


def _keys(
    client: Client, format_: Format, id_: str, budget: Budget, report: Report
) -> tuple[list[str], bool]:
    if not format_.several:
        return [format_.key_of(id_)], True
    # Where the id stands in the key (as redisvl's and LangGraph's does) SCAN's MATCH leaves few to be read.
    # Half of a pair, from JSON, stands in no key.
    if _SURROGATE.search(id_) is None and _ids_in_keys(client, format_):
        keys, complete = _matching(client, format_, format_.within(id_), budget, report)
        if keys:
            return keys, complete
    return _matching(client, format_, format_.pattern, budget, report)


def _ids_in_keys(client: Client, format_: Format) -> bool:
    """Whether the id of a session stands in its keys, by some of the format's keys; True where none is near.

    An id like 1 stands in keys of other sessions by chance, and not in all of its own: msg:a1, msg:b7.
    """
    if not format_.session:
        return True  # only the keys tell it
    _, batch = client.execute(
        "SCAN", 0, "MATCH", format_.pattern, "TYPE", TYPES[format_.stored], "COUNT", STEP
    )
    near = [key for key in map(replies.key, batch) if format_.owns(key)][:_LOOKED_AT]
    for part in _parts(client, format_, near, each=HISTORY_BYTES, total=PAGE_BYTES):
        session_id = part.reading.session if part.reading is not None else ""
        if session_id and re.search(rf"(?<!\w){re.escape(session_id)}(?!\w)", part.value.key) is None:
            return False
    return True


def _matching(
    client: Client, format_: Format, pattern: str, budget: Budget, report: Report
) -> tuple[list[str], bool]:
    at, scanned, matching = 0, 0, dict[str, None]()
    total = replies.integer(client.execute("DBSIZE"))
    while True:
        reply, batch = client.execute(
            "SCAN", at, "MATCH", pattern, "TYPE", TYPES[format_.stored], "COUNT", STEP
        )
        at, scanned = replies.integer(reply), scanned + STEP
        matching.update(dict.fromkeys(key for key in map(replies.key, batch) if format_.owns(key)))
        report("Looking for the session's keys", min(scanned, total), total)
        if at == 0:
            return list(matching)[:OPEN_KEYS], len(matching) <= OPEN_KEYS
        if scanned >= budget.keys or len(matching) > OPEN_KEYS:
            return list(matching)[:OPEN_KEYS], False


def _whole(format_: Format, id_: str, parts: Sequence[_Part]) -> tuple[Session, list[_Part]]:
    """A session of all its keys, and the keys that are shown, in their order."""
    parts_shown = [max(parts, key=_when)] if format_.holds == "state" else sorted(parts, key=_when)
    return _session(format_, id_, parts_shown), parts_shown


def _when(part: _Part) -> tuple[datetime, tuple[int, ...], str]:
    at = part.reading.at if part.reading is not None else None
    # Of keys that differ in a number the smaller one comes first: message:9 before message:10.
    name = tuple(whole_number(p) or 0 for p in re.split(r"(\d+)", part.value.key))
    return at or _NO_TIME, name, part.value.key


def _session(format_: Format, id_: str, parts: Sequence[_Part]) -> Session:
    readings = [part.reading for part in parts if part.reading is not None]
    problems = dict.fromkeys(p for part in parts for p in part.value.problems)
    problems |= dict.fromkeys(p for reading in readings for p in reading.problems)
    turns = tuple(turn for reading in readings for turn in reading.turns)
    ttls = [part.value.ttl_s for part in parts if part.value.ttl_s is not None]
    sizes = [part.value.size_bytes for part in parts]
    begun = [_first_time(format_, part) or part.reading.at for part in parts if part.reading is not None]
    created = min((at for at in begun if at), default=None)
    key = parts[0].value.key if len(parts) == 1 else format_.prefix + id_
    return Session(
        key,
        next((r.user for r in readings if r.user), ""),
        "",
        created.isoformat(timespec="seconds") if created else "",
        created,
        turns,
        min(ttls) if ttls else None,
        None if None in sizes else sum(size or 0 for size in sizes),
        "",
        tuple(problems),
        tuple(field for part in parts for field in part.value.fields),
        id_,
        sum(part.reading.earlier if part.reading is not None else part.value.earlier for part in parts),
        tuple(entry for reading in readings for entry in reading.state),
    )


def _first(format_: Format, part: _Part) -> Reading | None:
    """The oldest entries of a list whose newest ones were read."""
    return read(format_, list(part.value.first)) if part.value.first else None


def _first_time(format_: Format, part: _Part) -> datetime | None:
    oldest = _first(format_, part)
    return oldest.at if oldest is not None else None


def _summary(format_: Format, id_: str, parts: Sequence[_Part]) -> SessionSummary:
    chosen = sorted(parts, key=_when)
    if format_.holds == "state":
        chosen = chosen[-1:]
    session = _session(format_, id_, chosen)
    oldest = [turn for part in chosen if (r := _first(format_, part)) is not None for turn in r.turns]
    began = opening(oldest) or opening(session.turns)
    return SessionSummary(
        session.key,
        session.user_id,
        "",
        session.created_at,
        session.created,
        session.ttl_s,
        sum(len(turn.words.encode("utf-8", "surrogatepass")) for turn in session.turns),
        session.size_bytes,
        session.total or None,
        line(began.line, OPENING) if began else "",
        session.problems,
        id_,
    )
