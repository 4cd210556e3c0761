"""A stored entry of a conversation as turns, whatever library wrote it: told by shape.

Most messages are one turn. One of pydantic-ai's requests can hold a system prompt, a question and the results
of tools: that is a turn each. See `memdb.sessions.parts` for what stands within.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from memdb.display import line
from memdb.sessions import stored_json
from memdb.sessions.contents import CALL_NAMES, CONTENT_NAMES, as_result, parts_in
from memdb.sessions.exchanges import exchange_turns
from memdb.sessions.items import agent_item, is_event, parted_turns, piece_of, with_piece
from memdb.sessions.memories import is_memory, memory_turn
from memdb.sessions.packed import sealed
from memdb.sessions.parts import as_json
from memdb.sessions.roles import CLASSES, ROLES, name_for_role, role_of
from memdb.sessions.times import moment
from memdb.sessions.transcripts import messages_in
from memdb.sessions.turns import Other, Text, ToolResult, Turn, said
from memdb.sessions.wrapped import PLAIN, parsed, time_in, unwrapped

_NAMES = ("author", "name", "author_name", "authorName", "AuthorName")  # of who speaks
# A text under these is a message where a role stands beside it; under the last two only if it is no `type`.
LOOSE_NAMES = ("message", "body", "value", "utterance")
_SIMPLEST, _SPEAKERS = (
    frozenset(("role", "content", "timestamp")),
    ROLES - {"tool", "function", "tool_execution_result"} - CLASSES.keys(),
)
_SPOKEN = re.compile(r"\s*(\w{2,20}):\s+(.*)", re.DOTALL)  # "User: How are you?"
_KINDS: dict[type, str] = {
    list: "a list",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def turns_of_entry(entry: Any, place: str = "A message") -> tuple[list[Turn], str]:
    """An entry of a conversation as turns, and what is wrong with it, a sentence; empty where nothing is.

    Args:
        entry: as stored; a text that is JSON is read as what it says.
        place: which it is, the beginning of that sentence: "Message 3".
    """
    value = parsed(entry)
    if isinstance(value, dict) and value.keys() <= _SIMPLEST:  # most messages: told without looking further
        role, content = value.get("role"), value.get("content")
        if (
            isinstance(role, str)
            and isinstance(content, str)
            and content
            and role.lower() in _SPEAKERS
            and not sealed(content)
        ):
            return [said(role, content, moment(value.get("timestamp")))], ""
    if isinstance(value, str) and (several := messages_in(value)):
        return [turn for message in several for turn in turns_of_entry(message)[0]], ""
    if (turn := plain_turn(value)) is not None:
        return [turn], ""
    if isinstance(value, str):
        broken = value.lstrip()[:1] in ("{", "[")
        why = f"is no JSON ({_fault(value)})" if broken else "is a text, not a message with a role"
        return [Turn("", (Text(value),))], f"{place} {why}; it is shown as it is."
    if not isinstance(value, dict):
        return [
            Turn("", (Other("entry", as_json(value)),))
        ], f"{place} is {_KINDS.get(type(value), 'a value')}, not a message."
    if value.get("__enc__") or ("payload" in value and "kid" in value and len(value) <= 6):
        return [Turn("", (Other("encrypted", as_json(value)),))], f"{place} is encrypted; it is not read."
    if is_memory(value):
        return [memory_turn(value)], ""
    if (piece := piece_of(value)) is not None:
        return [piece], ""
    if is_event(value):
        return [Turn("event", (Other(value["event"], as_json(value)),), time_in(value))], ""
    turns = parted_turns(value) or exchange_turns(value) or [_turn(value)]
    if not any(turn.role or turn.parts for turn in turns) or (
        not turns[0].role and all(isinstance(part, Other) for part in turns[0].parts)
    ):
        return [Turn("", (Other("entry", as_json(value)),))], f"{place} tells neither a role nor a text."
    if not turns[0].role:
        return turns, f"{place} tells no role."
    return turns, ""


def conversation(entries: Iterable[Any], first: int = 1) -> tuple[tuple[Turn, ...], list[str]]:
    """Entries as turns in their order, and what is wrong with some of them, each named by its place.

    Args:
        entries: as stored, the oldest first.
        first: place of the first of them in the whole conversation.
    """
    turns: list[Turn] = []
    problems: list[str] = []
    streamed = False  # whether the last turn is of pieces, as a model writes them
    for place, entry in enumerate(entries, first):
        value = parsed(entry)
        piece = piece_of(value)
        if piece is not None and streamed:
            turns[-1] = with_piece(turns[-1], piece)
            continue
        streamed = piece is not None
        read, problem = ([piece], "") if piece is not None else turns_of_entry(value, f"Message {place:,}")
        turns += read
        if problem:
            problems.append(problem)
    return tuple(turns), problems_told(problems)


def _turn(entry: Mapping[str, Any]) -> Turn:
    if (item := agent_item(entry)) is not None:
        return replace(item, at=time_in(entry))
    inner, told_role = unwrapped(entry)
    role = told_role or role_of(inner) or (role_of(entry) if inner is not entry else "")
    role = CLASSES.get(role.lower(), role)
    parts = parts_in(inner)
    if not parts and inner is entry:
        text = next((v for n in LOOSE_NAMES if isinstance(v := entry.get(n), str)), None)
        parts = [Text(text)] if text is not None else []
    beside = inner.get("additional_kwargs")
    told_by = [inner, beside] if isinstance(beside, dict) else [inner]
    marks = (place.get(n) for place in told_by for n in ("tool_call_id", "toolCallId"))
    result_for = next((mark for mark in marks if isinstance(mark, str)), "")
    if role.lower() in ("tool", "function", "tool_execution_result") or result_for:
        parts = as_result(inner, parts, result_for)
    extra = entry.keys() - PLAIN - {"content"} if not parts and inner is entry else frozenset()
    if extra and not any(n in entry for n in (*CONTENT_NAMES, *CALL_NAMES)):
        parts = [Other("message", as_json(entry))]
    name = next(
        (v for place in (entry, inner) for n in _NAMES if isinstance(v := place.get(n), str)),
        name_for_role(inner),
    )
    # A tool's name stands in its result already.
    is_result = any(isinstance(part, ToolResult) for part in parts) and role.lower() != "user"
    speaker = "" if is_result or name.lower() == role.lower() else name
    return Turn(role, tuple(parts), time_in(entry), speaker)


def plain_turn(value: Any) -> Turn | None:
    """A text that begins with a role, or a pair of role and text, as a turn; None where it is neither."""
    if isinstance(value, str):
        speech = _SPOKEN.match(value)
        return Turn(speech[1], (Text(speech[2]),)) if speech and speech[1].lower() in ROLES else None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Turn(value[0], (Text(value[1]),)) if value[0].lower() in ROLES else None
    return None


def _fault(text: str) -> str:
    try:
        stored_json.loads(text)
    except json.JSONDecodeError as exc:
        return f"{line(exc.msg.removesuffix(' at'), 60)} at character {exc.pos + 1:,}"
    return ""


def problems_told(problems: Iterable[str], most: int = 5) -> list[str]:
    """The first few problems of messages, and how many more there are."""
    every = list(problems)
    if len(every) <= most:
        return every
    return [*every[:most], f"{len(every) - most:,} more messages are not as expected."]
