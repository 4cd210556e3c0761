"""The article's session and user keys, and a stored session as a `Session`.

Its hash: `session:<id>` with user_id, history (a JSON list of role/content turns), context and
created_at. What is stored may be anything else: nothing here raises on it. Each thing that is wrong becomes
a sentence in `Session.problems`, and the raw value stays in `Session.fields`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from memdb.display import bytes_text, line
from memdb.errors import BadInput
from memdb.json_text import json_text
from memdb.sessions.entries import conversation
from memdb.sessions.hashes import VALUE_BYTES, StoredField, StoredHash
from memdb.sessions.packed import unpacked
from memdb.sessions.times import moment
from memdb.sessions.turns import Other, Turn, turn_object
from memdb.sessions.wrapped import parsed

SESSION_PREFIX = "session:"
USER_PREFIX = "user:"
USER_ID, HISTORY, CONTEXT, CREATED_AT = "user_id", "history", "context", "created_at"
FIELDS = (USER_ID, HISTORY, CONTEXT, CREATED_AT)
EMBEDDING = "embedding"  # of a user: the preference vector
TURNS = 10_000  # a history of more entries keeps its last ones
_LISTS = ("messages", "turns", "history")  # where an object is stored, its list of turns


@dataclass(frozen=True, slots=True)
class Session:
    """A session as read. Texts are as stored: show them through `memdb.display`."""

    key: str
    user_id: str
    context: str
    created_at: str
    created: datetime | None  # created_at, where it is a time; with a zone
    turns: tuple[Turn, ...]
    ttl_s: float | None  # None: it never expires
    size_bytes: int | None  # in the server's memory
    size_note: str  # why the size is not known
    problems: tuple[str, ...]
    fields: tuple[StoredField, ...]
    id: str  # the key without what the format puts around it
    earlier: int = 0  # turns before those in `turns`, which were not read
    state: tuple[Other, ...] = ()  # what is kept beside the conversation

    @property
    def total(self) -> int:
        """Turns of the whole session, read or not."""
        return self.earlier + len(self.turns)


@dataclass(frozen=True, slots=True)
class History:
    """A stored history as read."""

    turns: tuple[Turn, ...]
    problems: tuple[str, ...]
    earlier: int = 0  # turns before these, which were not read


def session_key(session: str) -> str:
    """The key of a session's id.

    Raises:
        BadInput: the id is empty.
    """
    return SESSION_PREFIX + _id(session, "session")


def printable_id(session: str) -> str:
    """A session's id for a text field or a link: what cannot be typed, spaces and %, as %XX of its bytes.

    Half of a surrogate pair, which an id out of JSON can hold, has none: it stands as %uXXXX.
    """
    return "".join(map(_printable, session))


def typed_id(text: str) -> str:
    """The id that `printable_id` made `text` of; a % that no two hex digits follow is itself."""
    return re.sub(
        "%u([dD][89a-fA-F][0-9a-fA-F]{2})|(?:%[0-9A-Fa-f]{2})+",
        lambda escaped: (
            chr(int(escaped[1], 16))
            if escaped[1]
            else bytes.fromhex(escaped.group().replace("%", "")).decode("utf-8", "surrogateescape")
        ),
        text.strip(),
    )


def _printable(sign: str) -> str:
    if sign.isprintable() and sign not in " %":
        return sign
    try:
        return "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return f"%u{ord(sign):04X}"


def user_key(user: str) -> str:
    """The key of a user's record.

    Raises:
        BadInput: the id is empty.
    """
    return USER_PREFIX + _id(user, "user")


def user_id(key: str) -> str:
    """The id in the key of a user's record."""
    return key.removeprefix(USER_PREFIX)


def session_of(stored: StoredHash, prefix: str = SESSION_PREFIX) -> Session:
    """A stored hash as a session. Never raises; `problems` tells what is wrong with it."""
    problems: list[str] = []
    texts: dict[str, str] = {}
    history = History((), ())
    for name in FIELDS:
        field = stored.field(name)
        if field is None:
            problems.append(f"The field '{name}' is missing.")
        elif field.value is None:
            problems.append(
                f"The field '{name}' has {bytes_text(field.size_bytes)} and was not read "
                f"(at most {bytes_text(VALUE_BYTES)})."
            )
        else:
            texts[name] = field.text
            if not field.utf8 and name != HISTORY:
                problems.append(f"The field '{name}' is not UTF-8; such bytes are shown as \\xNN.")
    raw = stored.field(HISTORY)
    if raw is not None and raw.value is not None:
        history = history_of(raw.value)
        problems += history.problems
    created = None
    if CREATED_AT in texts:
        created = moment(texts[CREATED_AT])
        if created is None:
            time_words = line(texts[CREATED_AT], 60)
            problems.append(f"created_at is '{time_words}', which is no time.")
    if texts.get(USER_ID) == "":
        problems.append("The field 'user_id' is empty.")
    if stored.left_out:
        problems.append(f"{stored.left_out:,} more fields of this hash were not read.")
    return Session(
        stored.key,
        texts.get(USER_ID, ""),
        texts.get(CONTEXT, ""),
        texts.get(CREATED_AT, ""),
        created,
        history.turns,
        stored.ttl_s,
        stored.size_bytes,
        stored.size_note,
        tuple(problems),
        stored.fields,
        stored.key.removeprefix(prefix),
        history.earlier,
    )


def history_of(raw: bytes) -> History:
    """A history's bytes as turns, and what is wrong with it, in sentences. Never raises.

    An entry that is no message is kept as the JSON it is and named by its place, so that nothing is hidden.
    """
    value = unpacked(raw, "The history")
    problems, stored = list(value.problems), value.document
    if not value.readable:
        return History((), tuple(problems))
    if isinstance(stored, str):
        inner = parsed(stored)
        if inner is not stored:
            problems.append("The history is JSON within a text of JSON; what is within is read.")
            stored = inner
    if isinstance(stored, dict):
        name = next((name for name in _LISTS if isinstance(stored.get(name), list)), None)
        if name is not None:
            problems.append(f"The history is a JSON object; its list '{name}' is read as the turns.")
            stored = stored[name]
    if not isinstance(stored, list):
        kind = _KINDS.get(type(stored), "a value")
        problems.append(f"The history is JSON but {kind}, not a list of turns with role and content.")
        return History((), tuple(problems))
    earlier = max(0, len(stored) - TURNS)
    if earlier:
        problems.append(f"The history has {len(stored):,} entries; the last {TURNS:,} are read.")
    turns, wrong = conversation(stored[-TURNS:], earlier + 1)
    return History(turns, (*problems, *wrong), earlier)


def searchable(history: bytes) -> str:
    """What words are looked for in: all parts of the turns, or the text as it is, in folded case."""
    turns = history_of(history).turns
    text = (
        "\n".join(turn.words for turn in turns) if turns else StoredField(HISTORY, len(history), history).text
    )
    return text.casefold()


def to_json(session: Session) -> str:
    """A session as JSON in ASCII, for people to read: `to_object`."""
    return json_text(to_object(session), indent=1)


def to_object(session: Session) -> dict[str, object]:
    """A session as JSON has it: what was understood, the problems, and every field as stored.

    A value that is not UTF-8 stands as {"base64": …}, one that was not read as {"bytes": n, "read": false}.
    """
    return {
        "key": _unicode(session.key),
        "user_id": _unicode(session.user_id),
        "context": _unicode(session.context),
        "created_at": _unicode(session.created_at),
        "ttl_s": session.ttl_s,
        "size_bytes": session.size_bytes,
        "turns": session.total,
        "turns_not_read": session.earlier,
        "history": [turn_object(turn) for turn in session.turns],
        "state": {part.kind: part.json for part in session.state},
        "problems": list(session.problems),
        "fields": {_unicode(f.name): _stored(f) for f in session.fields},
    }


_KINDS: dict[type, str] = {
    dict: "an object",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _unicode(text: str) -> str:
    """Without lone surrogates, which strict JSON readers refuse."""
    return text.encode("utf-8", "backslashreplace").decode()


def _stored(field: StoredField) -> object:
    if field.value is None:
        return {"bytes": field.size_bytes, "read": False}
    if field.utf8:
        return field.text
    return {"base64": base64.b64encode(field.value).decode()}


def _id(text: str, what: str) -> str:
    if not text:
        raise BadInput(f"The {what} id is empty.", f"Name the {what}.")
    return text
