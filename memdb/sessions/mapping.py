"""Where a session's messages, roles, texts, times and user are: formats as data, and documents read by them.

A format says which keys are sessions (a prefix and a type), whether a key holds a whole session, one message
or one state of it, and by paths where things are. A path is `a.b[0].c`; a text on the way that is JSON is
read as what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from memdb.cluster.keys import beginning
from memdb.display import line
from memdb.errors import BadInput
from memdb.sessions.formats import TURNS, Turn, time_of

Stored = Literal["hash", "list", "json", "string"]
Holds = Literal["session", "message", "state"]
STORED: tuple[Stored, ...] = ("hash", "list", "json", "string")
HOLDS: tuple[Holds, ...] = ("session", "message", "state")
Strategies = Literal["values", "article"]
# TYPE of a key as each kind of value is told by the engine.
TYPES: dict[Stored, str] = {"hash": "hash", "list": "list", "json": "ReJSON-RL", "string": "string"}
ROLES = frozenset(
    "user human assistant ai bot model llm system developer tool function customer agent "
    "AIMessageChunk HumanMessageChunk".split()
)
ROLE_PATHS = ("kwargs.type", "role", "type", "sender", "author", "from")
TEXT_PATHS = ("content", "kwargs.content", "data.content", "text", "message", "body")
TIME_PATHS = ("timestamp", "created_at", "time", "ts", "checkpoint.ts")
USER_PATHS = ("user_id", "user", "userId", "metadata.user_id")
SESSION_PATHS = ("session_tag", "session_id", "thread_id", "conversation_id")
MESSAGES_PATHS = (
    "messages",
    "history",
    "turns",
    "chat_history",
    "conversation",
    "data.messages",
    "checkpoint.channel_values.messages",
)
_STEP = re.compile(r"([^.\[\]]+)|\[(-?\d{1,9})\]")
_PATH = re.compile(r"(?:[^.\[\]]+|\[-?\d{1,9}\])(?:\.[^.\[\]]+|\[-?\d{1,9}\])*")


@dataclass(frozen=True, slots=True)
class Format:
    """How sessions are stored. Paths are tried in order; none given means none is there."""

    name: str
    title: str
    prefix: str  # of its keys, as it is: no wildcard
    stored: Stored
    holds: Holds = "session"
    messages: tuple[str, ...] = ()  # to the list of messages; none: the value itself
    role: tuple[str, ...] = ROLE_PATHS
    text: tuple[str, ...] = TEXT_PATHS
    time: tuple[str, ...] = TIME_PATHS
    user: tuple[str, ...] = USER_PATHS
    session: tuple[str, ...] = ()  # its id in the value; none: the key without the prefix
    newest_first: bool = False
    own: bool = False  # written by the user in the settings
    strategy: Strategies = "values"  # how it is listed and read, see memdb.sessions.strategy

    @property
    def pattern(self) -> str:
        """For SCAN's MATCH."""
        return beginning(self.prefix)

    @property
    def token(self) -> str:
        """For a link and a list to choose from: title and prefix."""
        return f"{self.title} · {self.prefix}"

    def key_of(self, id_: str) -> str:
        """The key of a session's id, where a key holds a session.

        Raises:
            BadInput: the id is empty.
        """
        if not id_:
            raise BadInput("The session id is empty.", "Name the session.")
        return self.prefix + id_

    def id_of(self, key: str) -> str:
        """The id in a session's key; the whole key where it begins otherwise."""
        return key.removeprefix(self.prefix)

    def checked(self) -> Format:
        """This format.

        Raises:
            BadInput: something in it cannot be; the message says what.
        """
        if not self.name.strip() or not self.name.isprintable():
            raise BadInput(f"'{line(self.name, 60)}' is no name of a format.", "Give it a name of letters.")
        if self.stored not in STORED:
            raise BadInput(f"'{self.stored}' is no kind of value.", f"Choose {', '.join(STORED)}.")
        if self.holds not in HOLDS:
            raise BadInput(f"A key cannot hold a '{self.holds}'.", f"Choose {', '.join(HOLDS)}.")
        if not self.prefix:
            raise BadInput("The format names no start of its keys.", "Give their prefix, e.g. chat:.")
        if any(c in self.prefix for c in "*?"):
            raise BadInput(
                f"The prefix '{line(self.prefix, 60)}' has a wildcard.",
                "Give the start of the keys as it is.",
            )
        if self.holds != "session" and not self.session:
            raise BadInput(
                f"Each key holds one {self.holds}, and nothing says of which session.",
                "Give the path of the session's id in the value, e.g. session_id.",
            )
        for part in ("messages", "role", "text", "time", "user", "session"):
            for path in getattr(self, part):
                if not _PATH.fullmatch(path):
                    raise BadInput(
                        f"'{line(path, 60)}' ({part}) is no path.",
                        "Write names parted by dots: data.content.",
                    )
        return self


@dataclass(frozen=True, slots=True)
class Message:
    """A turn with what else its entry tells."""

    turn: Turn
    at: datetime | None
    user: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format makes of one value."""

    messages: tuple[Message, ...]
    session: str  # empty where the value tells none
    user: str
    at: datetime | None
    problems: tuple[str, ...]


def read(format_: Format, value: Any) -> Reading:
    """A stored value, parsed where it is JSON, as messages. Never raises on what is stored."""
    problems: list[str] = []
    if format_.holds == "message":
        entries: list[Any] = [value]
    else:
        entries, problems = _entries(format_, value)
    whole = len(entries)
    if whole > TURNS:
        problems.append(f"The session has {whole:,} messages; the last {TURNS:,} are read.")
        entries = entries[:TURNS] if format_.newest_first else entries[-TURNS:]
    if format_.newest_first:
        entries = entries[::-1]
    read_, odd = [], 0
    for entry in map(parsed, entries):
        text = first(entry, format_.text)
        role = first(entry, format_.role)
        if text is None:
            odd += 1
        read_.append(
            Message(
                Turn(
                    role if isinstance(role, str) else "",
                    _text(entry) if text is None else _text(text),
                ),
                moment(first(entry, format_.time)),
                _short(first(entry, format_.user)),
            )
        )
    if odd:
        problems.append(f"{odd:,} of {len(entries):,} messages have no text at {' or '.join(format_.text)}.")
    strange = sorted({m.turn.role for m in read_ if m.turn.role.lower() not in _KNOWN and m.turn.role})
    if strange:
        named = ", ".join(f"'{line(role, 30)}'" for role in strange[:5])
        problems.append(f"Roles that are not known: {named}. They are shown as they are.")
    whole_user = _short(first(value, format_.user)) or next((m.user for m in read_ if m.user), "")
    at = moment(first(value, format_.time)) or next((m.at for m in read_ if m.at), None)
    return Reading(tuple(read_), _short(first(value, format_.session)), whole_user, at, tuple(problems))


def dig(value: Any, path: str) -> Any:
    """What stands at a path; None where nothing does. JSON in a text on the way is read."""
    for name, index in _steps(path):
        value = parsed(value)
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        elif isinstance(value, list) and -len(value) <= int(index) < len(value):
            value = value[int(index)]
        else:
            value = None
        if value is None:
            return None
    return value


@lru_cache(maxsize=1_000)
def _steps(path: str) -> tuple[tuple[str, str], ...]:
    return tuple(_STEP.findall(path))


def first(value: Any, paths: Sequence[str]) -> Any:
    """What stands at the first path where something does."""
    return next((value_at for path in paths if (value_at := dig(value, path)) is not None), None)


def parsed(value: Any) -> Any:
    """A text that is a JSON object or list as what it says; anything else as it is."""
    if isinstance(value, str) and value[:1].strip() in ("{", "[", "") and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def moment(value: Any) -> datetime | None:
    """A time as people store it: ISO 8601, or seconds or milliseconds since 1970."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        seconds = value / 1000 if abs(value) > 1e11 else value
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2e11 else None
    if not isinstance(value, str):
        return None
    time = time_of(value)
    if time is None and re.fullmatch(r"\d{10,13}\.\d{1,9}", value):
        return moment(float(value))
    return time


_KNOWN = frozenset(role.lower() for role in ROLES)


def _entries(format_: Format, value: Any) -> tuple[list[Any], list[str]]:
    entries = parsed(first(value, format_.messages) if format_.messages else value)
    if isinstance(entries, list):
        return entries, []
    where = f"at {' or '.join(format_.messages)}" if format_.messages else "in the value"
    if entries is None:
        return [], [f"There are no messages {where}."]
    kind = "an object" if isinstance(entries, dict) else "a text" if isinstance(entries, str) else "a number"
    return [], [f"What stands {where} is {kind}, not a list of messages."]


def _text(value: Any) -> str:
    """A message's text: as it is, the texts of content blocks, or the JSON that it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(b, dict) and "text" in b for b in value):
        return "\n".join(str(block["text"]) for block in value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return "(cannot be shown)"


def _short(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
