"""The seam between one listing of sessions and the formats: what a way of reading a format must bring.

`memdb.sessions.listing` pages, searches and opens sessions of any format; what differs between formats is a
`Strategy`. There are two: `memdb.sessions.article` for the article's hash, whose fields the server can tell
one by one, and `memdb.sessions.gathered`, which reads values whole and finds things in them by the format's
paths. `Format.strategy` names one (docs/decisions/0080-one-session-stack.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.jobs import Report
from memdb.sessions.filters import SessionFilter
from memdb.sessions.formats import Session
from memdb.sessions.mapping import Format
from memdb.sessions.summaries import SessionSummary
from memdb.vectors.index import IndexInfo

PAGE = 50  # sessions
LARGEST_STEP = 2_000  # COUNT of SCAN: about 1 ms of server time at most
# Which format is not changed from here, for people.
SHARED = "Each key of it holds all sessions of a user: a time to live or a deletion would be of all of them."


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one call may look at before it stops and says where to go on."""

    keys: int = 50_000
    history_bytes: int = 64 * 2**20  # read to search for words
    entries: int = 500  # of an opened list, the newest


@dataclass(frozen=True, slots=True)
class Powers:
    """What a format's sessions can be filtered by, and what can be done with them."""

    user: bool
    context: bool
    words: bool
    created: bool
    index: bool  # a search index can bring a user's sessions
    writes: bool  # extend, persist, delete, alone or many at once

    def check(self, wanted: SessionFilter, format_: Format) -> None:
        """Nothing, where a filter can be answered.

        Raises:
            BadInput: the format keeps nothing that it could be compared with.
        """
        conditions = {
            "user": bool(wanted.user),
            "context": bool(wanted.context),
            "words": bool(wanted.words),
            "created": wanted.created_from is not None or wanted.created_to is not None,
        }
        for name, is_asked in conditions.items():
            if is_asked and not getattr(self, name):
                raise BadInput(
                    f"Sessions stored as '{format_.title}' cannot be filtered by {name}: they keep none.",
                    "Leave this filter empty.",
                )

    def check_writes(self, format_: Format) -> None:
        """Nothing, where sessions of the format are changed from here.

        Raises:
            BadInput: they are only read.
        """
        if not self.writes:
            raise BadInput(
                f"Sessions stored as '{format_.title}' are read here, not changed.",
                f"Change them with what writes them. {SHARED}",
            )


@dataclass(frozen=True, slots=True)
class Sieved:
    """What a sieve made of some keys, in their order."""

    passed: tuple[tuple[str, str], ...]  # key, and a note where it passed unsearched
    rest: tuple[str, ...]  # not decided: no room on the page or no bytes left to read
    read_bytes: int


@dataclass(frozen=True, slots=True)
class PassedSessions:
    """Sessions among some keys that pass a filter, each by its keys."""

    sessions: tuple[tuple[str, ...], ...]
    undecided: int  # keys too large to be looked into, or that are no conversation after all


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions, in the order in which SCAN or the index brought them."""

    sessions: tuple[SessionSummary, ...]
    next_cursor: str  # empty where complete
    complete: bool  # every key of the server was looked at, from this page's cursor on
    scanned: int  # keys that SCAN walked over for this page, about; through an index, the keys it brought
    keys: int  # on the server, sessions and others; through an index, those that match
    took_ms: float
    index: str = ""  # that brought the page; empty where it was scanned


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened, and how much of the server was looked through for its keys."""

    session: Session
    keys: tuple[str, ...]
    complete: bool
    size: int | None  # as `Pulse.size` when it was read
    all_keys: tuple[str, ...] = ()  # that are the session, where more than those that were read: its states

    @property
    def written(self) -> tuple[str, ...]:
        """The keys that a change of this session changes."""
        return self.all_keys or self.keys


@dataclass(frozen=True, slots=True)
class Pulse:
    """An open session as the server tells it now, without reading it."""

    ttl_s: float | None  # None: it never expires
    size: int | None  # changes when somebody adds a turn: bytes or entries; None where no number tells


@dataclass(frozen=True, slots=True)
class SurveyedSession:
    """One session of a survey's sample."""

    key: str
    ttl_s: float | None
    size_bytes: int
    user: str
    created: datetime | None


class Strategy(Protocol):
    """How sessions of a format are found and read. Each call is bounded and writes nothing."""

    def powers(self, format_: Format) -> Powers:
        """What the format can."""

    def room(self, format_: Format, size: int) -> int:
        """Keys that fill a page of `size` sessions."""

    def step(self, format_: Format, wanted: SessionFilter) -> int:
        """Largest COUNT of SCAN: what a page leaves undecided has to fit its cursor."""

    def indexed(
        self, client: Client, index: IndexInfo, format_: Format, wanted: SessionFilter, cursor: str, size: int
    ) -> SessionPage | None:
        """A page through the index; None where it does not answer this filter."""

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
        """The first `room` keys that pass a filter; at most about `budget` bytes of histories are read."""

    def summaries(self, client: Client, format_: Format, notes: Mapping[str, str]) -> list[SessionSummary]:
        """Sessions that some keys are or belong to, each key with a note for its row, empty where there is
        none; keys that went are left out."""

    def open(self, client: Client, format_: Format, id_: str, budget: Budget, report: Report) -> Opened:
        """A whole session.

        Raises:
            NotFound: it is gone.
        """

    def read(self, client: Client, format_: Format, keys: Sequence[str]) -> Session:
        """The session that these keys are, without looking for others.

        Raises:
            NotFound: it is gone.
        """

    def pulse(self, client: Client, format_: Format, keys: Sequence[str]) -> Pulse | None:
        """Of an open session; None where it has too many keys to ask each second.

        Raises:
            NotFound: it is gone.
        """

    def sessions_of(
        self, client: Client, format_: Format, wanted: SessionFilter, keys: Sequence[str]
    ) -> PassedSessions:
        """The sessions that some keys are, and that pass a filter; each key is looked into.

        Where several keys make a session, `keys` has all of them.
        """

    def seen(self, client: Client, format_: Format, keys: Sequence[str]) -> list[SurveyedSession]:
        """What a survey counts of these keys; those that went are left out."""
