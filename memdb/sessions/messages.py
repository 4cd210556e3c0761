"""Whether stored values are messages of a conversation, not jobs, records or a log: told by their shape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from memdb.sessions.contents import holds_content
from memdb.sessions.entries import LOOSE_NAMES, plain_turn, turns_of_entry
from memdb.sessions.exchanges import exchange_turns
from memdb.sessions.items import agent_item, parted_turns, piece_of
from memdb.sessions.memories import is_memory
from memdb.sessions.roles import (
    ANSWERS,
    ASKS,
    BESIDE,
    RECORDS,
    ROLE_NAMES,
    ROLES,
    SPEAKER_NAMES,
    UNMISTAKABLE,
    flagged,
    numbered,
    role_of,
    written_role,
)
from memdb.sessions.transcripts import messages_in
from memdb.sessions.wrapped import parsed, unwrapped

_TRACKED = 200  # of a tracker's events, looked at for what was said
_SESSION_KEYS = frozenset(("messages", "history", "turns", "events", "runs"))


def is_entry(value: Any) -> bool:
    """Whether a value looks like a message within a list of messages: also "User: Hi" and ["user", "Hi"]."""
    value = parsed(value)
    return (
        is_message(value)
        or plain_turn(value) is not None
        or (isinstance(value, str) and bool(messages_in(value)))
    )


def is_message(value: Any) -> bool:
    """Whether a value looks like a message of a conversation, and not like a job or a record.

    A role that is known, or any short role beside content; content may be null. A `type` or a sender's name
    must be one of the known roles: queues have both.
    """
    value = parsed(value)
    if not isinstance(value, dict) or _SESSION_KEYS & value.keys():
        return False
    if agent_item(value) or parted_turns(value) or exchange_turns(value) or piece_of(value):
        return True
    if value.get("__enc__") and "payload" in value:
        return True
    inner, type_name = unwrapped(value)
    if inner is not value and isinstance(inner, dict):
        if type_name.lower() in ROLES:
            return holds_content(inner)
        outer = value.get("type")
        if isinstance(outer, str) and outer.lower() in ROLES:
            return holds_content(inner)
        return (role_of(inner) != "" or role_of(value).lower() in ROLES) and holds_content(inner)
    role = next((v for n in ("role", "Role", "_role", *BESIDE) if (v := value.get(n)) is not None), None)
    role = written_role(role)
    if numbered(role):  # taken together with the others: `is_conversation`
        return any(isinstance(value.get(n), str | list) for n in ("content", "Content", "parts", "text"))
    if isinstance(role, str) and 0 < len(role) <= 40:
        if role.lower() in ROLES:
            return holds_content(value) or any(isinstance(value.get(n), str) for n in LOOSE_NAMES)
        return any(n in value for n in ("content", "Content", "parts", "text", "blocks"))
    if isinstance(value.get("source"), str) and str(value.get("type")).endswith(("Message", "Event")):
        return "content" in value  # AutoGen's
    speaker = next(
        (
            n
            for n in ROLE_NAMES[3:]
            if isinstance(v := written_role(value.get(n)), str) and v.lower() in ROLES
        ),
        "",
    )
    loose = LOOSE_NAMES[:2] if speaker in RECORDS else LOOSE_NAMES
    by_flag = not speaker and flagged(value) != ""
    loose = LOOSE_NAMES[:2] if by_flag else loose
    return bool(speaker or by_flag) and (
        holds_content(value) or any(isinstance(value.get(n), str) for n in loose)
    )


def are_messages(value: Any) -> bool:
    """Whether a value is a list of messages, or of lists of them, some of which may be damaged."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(entry, list) and not is_entry(entry) for entry in value):
        value = [entry for several in value for entry in several]
    looked = value[:20]
    proper = [entry for entry in looked if is_entry(entry)]
    if len(proper) * 2 < len(looked):  # a tracker's few messages stand among events of other kinds
        return _of_a_dialogue(list(map(parsed, value[:_TRACKED])))
    return is_conversation(proper, alone=len(looked) == 1)


def is_conversation(entries: Sequence[Any], *, alone: bool = True) -> bool:
    """Whether messages of a list, taken together, are one: somebody in them has a role that is known.

    Lines such as "user: logged in", and records whose `type` or `source` is a word that is a role too, are
    one only where both a question's side and an answer's speak, or a role is a word of conversations alone.

    Args:
        entries: messages, each by itself looking like one.
        alone: one message is all there is, not all that looks like one among others.
    """
    values = [parsed(entry) for entry in entries]
    roles = {turn.role.lower() for value in values for turn in turns_of_entry(value)[0]}
    if _of_a_dialogue(values):
        return True
    if all(isinstance(value, str) or _told_loosely(value) for value in values):
        if len(values) == 1 and alone:
            wrapped = isinstance(values[0], dict) and unwrapped(values[0])[0] is not values[0]
            return bool(roles & (UNMISTAKABLE if wrapped else ASKS | ANSWERS))
        if roles & ASKS and roles & ANSWERS:
            return True
        written = {
            role_of(value).lower() for value in values if isinstance(value, dict) and not flagged(value)
        }
        return bool(written & UNMISTAKABLE)
    return bool(roles & (ROLES | {"memory"})) or _speak_in_turn(values)


def _speak_in_turn(values: Sequence[Any]) -> bool:
    """Whether roles that nobody knows, names or numbers, are those of a conversation: somebody speaks again.

    Each must stand under `role` beside a text: rights have roles too, but each of them once.
    """
    spoken = [
        numbered(value["role"]) or str(value["role"]).lower()
        for value in values
        if isinstance(value, dict)
        and isinstance(value.get("content", value.get("text")), str)
        and "role" in value
    ]
    if len(spoken) != len(values) or not 2 <= len(set(spoken)) <= (4 if all(map(numbered, spoken)) else 2):
        return False
    changes = sum(a != b for a, b in pairwise(spoken))
    if all(map(numbered, spoken)):
        return changes * 2 >= len(spoken)
    return len(spoken) >= 3 and changes * 3 >= len(spoken) * 2


def _told_loosely(value: Any) -> bool:
    """Whether who speaks stands only under a name that records of any kind have, as `type` and `source`."""
    if not isinstance(value, dict):
        return False
    shaped = agent_item(value) or parted_turns(value) or exchange_turns(value) or piece_of(value)
    if shaped or is_memory(value) or value.get("__enc__"):
        return False
    inner, type_name = unwrapped(value)
    if any(written_role(place.get(name)) for place in (value, inner) for name in SPEAKER_NAMES):
        return False
    if any(isinstance(value.get(name), dict) for name in ROLE_NAMES):
        return False
    if inner is not value:  # LangChain's say more of the message within; so do ADK's
        return not (
            "additional_kwargs" in inner or inner.get("type") == type_name or "author" in value
        ) and bool(type_name)
    return not str(value.get("type")).endswith(("Message", "Event"))  # AutoGen's


def _of_a_dialogue(values: Sequence[Any]) -> bool:
    """Whether entries are what a bot's tracker keeps: what both sides said, among events of other kinds."""
    speakers = {
        str(v.get(n)).lower() for v in values if isinstance(v, dict) and "text" in v for n in ("event",)
    }
    return bool(speakers & ASKS and speakers & ANSWERS)
