"""Where a session's messages, roles, texts, times and user are: formats as data, and documents read by them.

A format says which keys are sessions (what they begin and end with, and a type), whether a key holds a whole
session, some messages or one state of it, and by paths where things are. A path is `a.b[0].c`, with `[*]` for
every entry of a list or value of an object; a text on the way that is JSON is read as what it says. Without
paths for role and text a message is read by its shape, see `memdb.sessions.entries`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from memdb.cluster.keys import beginning, literal
from memdb.display import line
from memdb.errors import BadInput
from memdb.sessions.entries import conversation, problems_told
from memdb.sessions.exchanges import exchanges, is_exchange
from memdb.sessions.formats import TURNS
from memdb.sessions.messages import are_messages, is_entry
from memdb.sessions.parts import as_json, parts_of
from memdb.sessions.roles import ROLES
from memdb.sessions.times import moment
from memdb.sessions.transcripts import messages_in
from memdb.sessions.turns import Other, Part, Text, Turn
from memdb.sessions.wrapped import parsed, time_in

Stored = Literal["hash", "list", "json", "string", "stream", "zset"]
Holds = Literal["session", "message", "state"]
STORED: tuple[Stored, ...] = ("hash", "list", "json", "string", "stream", "zset")
SEQUENCES: tuple[Stored, ...] = ("list", "stream", "zset")  # entries in an order, of which some are read
HOLDS: tuple[Holds, ...] = ("session", "message", "state")
Strategies = Literal["values", "article"]
# TYPE of a key as each kind of value is told by the engine.
TYPES: dict[Stored, str] = {
    "hash": "hash",
    "list": "list",
    "json": "ReJSON-RL",
    "string": "string",
    "stream": "stream",
    "zset": "zset",
}
TIME_PATHS = ("timestamp", "created_at", "createdAt", "time", "ts", "checkpoint.ts", "last_update_time")
USER_PATHS = ("user_id", "userId", "user", "metadata.user_id", "owner_id")
SESSION_PATHS = (
    *("session_tag", "session_id", "sessionId", "thread_id", "threadId", "conversation_id", "conversationId"),
    *("chat_id", "chatId"),
)
MESSAGES_PATHS = (
    "messages",
    "Messages",
    "history",
    "turns",
    "events",
    "chat_history",
    "conversation",
    "runs[*].messages",
    "data.messages",
    "state.messages",
    "chat.messages",
    "checkpoint.channel_values.messages",
    "chatHistory",
    "message_history",
    "messageHistory",
    "conversation.messages",
    "thread.messages",
    "values.messages",
    "state.values.messages",
    "dialog",
    "dialogue",
    "mapping[*].message",  # the tree that ChatGPT exports
    "messages[*]",  # messages by their ids
    "events[*].payload",  # Bedrock AgentCore's
)
_NAMED = frozenset(path for path in MESSAGES_PATHS if path.isidentifier()) | {"runs"}
LOOKED_AT, DEEPEST = 2_000, 5  # objects and texts, and how far within one another, for messages anywhere
JOIN = " + "  # between paths whose texts belong together
_STEP = re.compile(r"([^.\[\]]+)|\[(-?\d{1,9}|\*)\]")
_PATH = re.compile(r"(?:[^.\[\]]+|\[(?:-?\d{1,9}|\*)\])(?:\.[^.\[\]]+|\[(?:-?\d{1,9}|\*)\])*")
_KNOWN = ROLES | {"memory", "event", "request", "response"}


@dataclass(frozen=True, slots=True)
class Format:
    """How sessions are stored. Paths are tried in order; none given means none is there."""

    name: str
    title: str
    prefix: str  # of its keys, as it is: no wildcard
    stored: Stored
    holds: Holds = "session"
    messages: tuple[str, ...] = ()  # to the list of messages; none: the value itself
    role: tuple[str, ...] = ()  # none: told by the message's shape
    text: tuple[str, ...] = ()  # likewise; `a + b` joins two
    time: tuple[str, ...] = TIME_PATHS
    user: tuple[str, ...] = USER_PATHS
    state: tuple[str, ...] = ()  # to an object of other things that are kept with the conversation
    session: tuple[str, ...] = ()  # its id in the value; none: the key without the prefix
    newest_first: bool = False
    own: bool = False  # written by the user in the settings
    strategy: Strategies = "values"  # how it is listed and read, see memdb.sessions.strategy
    tail: str = ""  # what follows the id in its keys; `*` stands for anything
    roles: tuple[tuple[str, str], ...] = ()  # what a stored role means: ("1", "user")

    @property
    def pattern(self) -> str:
        """For SCAN's MATCH."""
        return beginning(self.prefix) + self._ending

    @property
    def token(self) -> str:
        """For a link and a list to choose from: title and what the keys look like."""
        return f"{self.title} · {self.keys}"

    @property
    def keys(self) -> str:
        """What its keys look like, for people: the prefix, and behind an ellipsis what follows the id."""
        return f"{self.prefix}…{self.tail}" if self.tail or not self.prefix else self.prefix

    @property
    def several(self) -> bool:
        """Whether several keys make a session, so that they have to be looked for."""
        return self.holds != "session" and bool(self.session or "*" in self.tail)

    def within(self, part: str) -> str:
        """For SCAN's MATCH: keys whose id holds this."""
        return beginning(self.prefix) + (beginning(part) if part else "") + self._ending

    def owns(self, key: str) -> bool:
        """Whether a key can be of this format. Without a prefix no colon may stand before the tail."""
        if not self.prefix and ":" in self.id_of(key):
            return False
        return key.startswith(self.prefix) and (not self.tail or _tail(self.tail).search(key) is not None)

    def key_of(self, id_: str) -> str:
        """The key of a session's id, where a key holds a session.

        Raises:
            BadInput: the id is empty.
        """
        if not id_:
            raise BadInput("The session id is empty.", "Name the session.")
        return self.prefix + id_ + self.tail

    def id_of(self, key: str) -> str:
        """The id in a session's key; the whole key where it begins otherwise."""
        id_ = key.removeprefix(self.prefix)
        ending = _tail(self.tail).search(id_) if self.tail else None
        return id_[: ending.start()] if ending is not None else id_

    @property
    def _ending(self) -> str:
        return "*".join(literal(part) for part in self.tail.split("*")) if self.tail else ""

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
        if any(c in self.prefix for c in "*?"):
            raise BadInput(
                f"The prefix '{line(self.prefix, 60)}' has a wildcard.",
                "Give the start of the keys as it is.",
            )
        if self.holds == "state" and not self.session:
            raise BadInput(
                f"Each key holds one {self.holds}, and nothing says of which session.",
                "Give the path of the session's id in the value, e.g. session_id.",
            )
        for part in ("messages", "role", "text", "time", "user", "session"):
            for path in (p for several in getattr(self, part) for p in several.split(JOIN)):
                if not _PATH.fullmatch(path):
                    raise BadInput(
                        f"'{line(path, 60)}' ({part}) is no path.",
                        "Write names parted by dots: data.content.",
                    )
        return self


@dataclass(frozen=True, slots=True)
class Reading:
    """What a format makes of one value."""

    turns: tuple[Turn, ...]
    session: str  # empty where the value tells none
    user: str
    at: datetime | None
    problems: tuple[str, ...]
    earlier: int = 0  # turns of the value before these
    state: tuple[Other, ...] = ()  # what is kept beside the conversation


def read(format_: Format, value: Any, earlier: int = 0) -> Reading:
    """A stored value, parsed where it is JSON, as turns. Never raises on what is stored.

    Args:
        format_: how it is stored.
        value: the value; of a list its newest entries, as they are stored.
        earlier: entries of a list before these, which were not read.
    """
    entries, problems = _entries(format_, value)
    if format_.holds == "state" and "+" in str(dig(value, "type") or ""):
        kind = line(str(dig(value, "type")), 40)
        problems = [f"The state is stored as {kind}, which is encrypted; it is not read."]
    if len(entries) > TURNS:
        problems.append(f"The session has {len(entries):,} messages; the last {TURNS:,} are read.")
        earlier += len(entries) - TURNS
        entries = entries[:TURNS] if format_.newest_first else entries[-TURNS:]
    if format_.newest_first:
        entries = entries[::-1]
    if format_.role or format_.text:
        turns, wrong = _mapped(format_, entries, earlier + 1)
    else:
        turns, wrong = conversation(entries, earlier + 1)
        if format_.own and format_.time and len(turns) == len(entries):
            turns = tuple(
                replace(turn, at=moment(first(entry, format_.time)) or turn.at)
                for turn, entry in zip(turns, entries, strict=True)
            )
    problems += wrong
    if format_.roles:
        table = dict(format_.roles)
        turns = tuple(replace(turn, role=table.get(turn.role, turn.role)) for turn in turns)
    strange = sorted({turn.role for turn in turns if turn.role and turn.role.lower() not in _KNOWN})
    if strange:
        named = ", ".join(f"'{line(role, 30)}'" for role in strange[:5])
        problems.append(f"Roles that are not known: {named}. They are shown as they are.")
    # Of a question beside its answer, {"user": "Hi", …}, that is no user.
    spoken = (entry for entry in map(parsed, entries[:50]) if not is_exchange(entry))
    users = (_short(first(entry, format_.user)) for entry in spoken)
    user = _short(None if is_exchange(value) else first(value, format_.user)) or next(
        (u for u in users if u), ""
    )
    at = moment(first(value, format_.time)) or next((turn.at for turn in turns if turn.at), None)
    session = _short(first(value, format_.session))
    return Reading(turns, session, user, at, tuple(problems), earlier, _state(format_, value))


def dig(value: Any, path: str) -> Any:
    """What stands at a path; None where nothing does. JSON in a text on the way is read.

    A path with `[*]` gives a list of what stands at each of the entries, without those where nothing does.
    """
    places, many = [value], False
    for name, index in _steps(path):
        inner: list[Any] = []
        for place in map(parsed, places):
            if name:
                inner.append(place.get(name) if isinstance(place, dict) else None)
            elif index == "*" and isinstance(place, dict):
                inner += (place[field] for field in _in_order(place))
            elif not isinstance(place, list):
                continue
            elif index == "*":
                inner += place
            elif -len(place) <= int(index) < len(place):
                inner.append(place[int(index)])
        many = many or index == "*"
        places = [place for place in inner if place is not None]
        if not places:
            return None
    return places if many else places[0]


def messages_at(value: Any, path: str) -> Any:
    """The list at a path, also of a text that is a conversation; what is no list stands as it is.

    Pairs of a question and its answer are one too where the path is that of a conversation.
    """
    content = parsed(dig(value, path))
    if isinstance(content, str):
        return messages_in(content) or content
    if path in MESSAGES_PATHS and isinstance(content, list) and not are_messages(content):
        return exchanges(content) or content
    return content


def anywhere(value: Any) -> dict[str, list[Any]]:
    """Lists of messages that lie the least deep in an object, by the names where they stand; else none.

    An object with a message under each of its names is such a list too. What begins another list of them is
    left out: a history beside its newest part.
    """
    level, looked = {"": parsed(value)}, 0
    if isinstance(level[""], dict) and (messages := _by_names(level[""])):
        return {"": messages}
    for _ in range(DEEPEST):
        below: dict[str, Any] = {}
        lists: dict[str, list[Any]] = {}
        for where, place in level.items():
            for name in _in_order(place) if isinstance(place, dict) else ():
                looked += 1
                if looked > LOOKED_AT:
                    return {}
                inner, path = parsed(place[name]), f"{where}.{name}" if where else str(name)
                if isinstance(inner, str):
                    inner = messages_in(inner)
                if isinstance(inner, dict):
                    if messages := _by_names(inner):
                        lists[path] = messages
                    below[path] = inner
                elif _of_objects(inner) and are_messages(inner):
                    lists[path] = inner
                elif name in _NAMED and (pairs := exchanges(inner)):
                    lists[path] = pairs
        if lists:
            return {
                path: items
                for path, items in lists.items()
                if not any(items is not other and _part_of(items, other) for other in lists.values())
            }
        level = below
    return {}


def _part_of(items: list[Any], other: list[Any]) -> bool:
    """Whether a list is the beginning or the end of a longer one, by what is said in it."""
    shorter = len(items)
    if shorter >= len(other):
        return False
    if items in (other[:shorter], other[-shorter:]):
        return True
    contents, whole = _contents(items), _contents(other)
    return all(contents) and contents in (whole[:shorter], whole[-shorter:])


def _contents(entries: list[Any]) -> list[str]:
    messages = (entry if isinstance(entry, dict) else {} for entry in map(parsed, entries))
    return [str(message.get("content") or message.get("text") or "").strip() for message in messages]


def _by_names(place: dict[str, Any]) -> list[Any]:
    """The messages of an object that holds nothing else, each under a name of its own; else none."""
    if not place or len(place) > LOOKED_AT or not all(isinstance(item, dict) for item in place.values()):
        return []
    messages = [place[name] for name in _in_order(place)]
    by_name = all(
        message.keys() & {"role", "author", "sender"}
        and message.keys() & {"content", "contents", "parts", "message"}
        for message in messages
    )
    return messages if by_name and are_messages(messages) else []


def _of_objects(value: Any) -> bool:
    """Whether a value is a list that begins with an object: texts alone are told by their names only."""
    return isinstance(value, list) and bool(value) and isinstance(parsed(value[0]), dict)


def _in_order(fields: dict[str, Any]) -> list[str]:
    """Names by the number they end with: a server tells the fields of a hash in any order.

    Where some end with none, as what stands beside numbered messages, those come last; unless the numbered
    ones begin otherwise each, as ids do that end with a digit by chance.
    """
    numbers = {name: number for name in fields if (number := re.search(r"(\d{1,15})$", name))}
    heads = {name[: number.start()] for name, number in numbers.items()}
    if len(numbers) < len(fields) and len(heads) != 1:
        return list(fields)
    numbered = sorted(numbers, key=lambda name: (int(numbers[name][1]), name))
    return [*numbered, *(name for name in fields if name not in numbers)]


@lru_cache(maxsize=1_000)
def _steps(path: str) -> tuple[tuple[str, str], ...]:
    return tuple(_STEP.findall(path))


@lru_cache(maxsize=100)
def _tail(tail: str) -> re.Pattern[str]:
    if tail == ":*":  # one part alone: what stands before it is an id that may have colons
        return re.compile(r":[^:]*$")
    return re.compile(".*?".join(re.escape(part) for part in tail.split("*")) + "$", re.DOTALL)


def first(value: Any, paths: Sequence[str]) -> Any:
    """What stands at the first path where something does."""
    return next((value_at for path in paths if (value_at := dig(value, path)) is not None), None)


def _state(format_: Format, value: Any) -> tuple[Other, ...]:
    """What is kept beside the conversation, each thing by its name."""
    values = first(value, format_.state)
    if not isinstance(values, dict):
        return ()
    messages = {path.rpartition(".")[2] for path in format_.messages}
    return tuple(
        Other(str(name), as_json(thing))
        for name, thing in values.items()
        if name not in messages and thing not in (None, "", [], {})
    )


def _entries(format_: Format, value: Any) -> tuple[list[Any], list[str]]:
    if format_.holds == "message" and not format_.messages:
        return [value], []
    entries, wrong = _list_at(format_, value)
    several = anywhere(value) if format_.messages == MESSAGES_PATHS and not are_messages(entries) else {}
    if several:
        names = ", ".join(line(name, 60) for name in list(several)[:5])
        problem = f"Messages stand in {len(several):,} lists ({names}): they are shown one behind the other."
        every = [entry for items in several.values() for entry in items]
        return every, [problem] if len(several) > 1 else []
    if entries is not None:
        # `runs[*].messages` is a list of lists, a pair of role and text is not.
        nested = [parsed(e) if isinstance(e, str) and e[:1] == "[" else e for e in entries]
        inside = bool(entries) and all(isinstance(e, list) and not is_entry(e) for e in nested)
        flat = [entry for each in nested for entry in each] if inside else entries
        # Agno repeats in a run what was said in those before.
        return [e for e in flat if not (isinstance(e, dict) and e.get("from_history") is True)], []
    where = f"at {' or '.join(format_.messages)}" if format_.messages else "in the value"
    if wrong is None:
        return [], [f"There are no messages {where}."]
    kind = "an object" if isinstance(wrong, dict) else "a text" if isinstance(wrong, str) else "a number"
    return [], [f"What stands {where} is {kind}, not a list of messages."]


def _list_at(format_: Format, value: Any) -> tuple[list[Any] | None, Any]:
    """The list at the first of a format's paths where one of messages is, and else what stands there.

    An empty list, or one of something else, may stand before; what is mapped by hand need not look like one.
    """
    wrong: Any = None
    lists: list[list[Any]] = []
    stands = (messages_at(value, path) for path in format_.messages) if format_.messages else (parsed(value),)
    for items in stands:
        if isinstance(items, list):
            if (format_.own and items) or len(format_.messages) < 2 or are_messages(items):
                return items, None
            lists.append(items)
        elif wrong is None:
            wrong = items
    return (max(lists, key=len) if lists else None), wrong


def _mapped(format_: Format, entries: Sequence[Any], place: int) -> tuple[tuple[Turn, ...], list[str]]:
    """Turns by the format's own paths; what they do not say is told by the message's shape."""
    turns: list[Turn] = []
    problems: list[str] = []
    for number, entry in enumerate(map(parsed, entries), place):
        (shaped, *_), _ = conversation([entry], number)
        role = _short(first(entry, format_.role)) if format_.role else shaped.role
        at = moment(first(entry, format_.time)) if format_.time else None
        turn = Turn(role, shaped.parts, at or time_in(entry), shaped.name)
        if format_.text:
            parts = next((p for path in format_.text if (p := _parts_at(entry, path))), ())
            if parts:
                turn = replace(turn, parts=parts)
            elif not any(not isinstance(part, Text | Other) for part in shaped.parts):
                problems.append(f"Message {number:,} has no text at {' or '.join(format_.text)}.")
                turn = replace(turn, parts=shaped.parts or (Other("message", as_json(entry)),))
        turns.append(turn)
    return tuple(turns), problems_told(problems)


def _parts_at(entry: Any, path: str) -> tuple[Part, ...]:
    parts = [part for each in path.split(JOIN) for part in parts_of(dig(entry, each))]
    return tuple(parts)


def _short(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    return str(value)[:1_000] if isinstance(value, str | int) and not isinstance(value, bool) else ""
