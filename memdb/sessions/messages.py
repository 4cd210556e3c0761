"""A stored message as turns, whatever library wrote it: told by shape.

Most messages are one turn. One of pydantic-ai's requests can hold a system prompt, a question and the results
of tools: that is a turn each. See `memdb.sessions.parts` for what stands within.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import groupby, pairwise
from typing import Any

from memdb.display import line
from memdb.sessions import python_text, stored_json
from memdb.sessions.packed import sealed
from memdb.sessions.parts import (
    as_json,
    call_of,
    calls_of,
    failed_in,
    kind_of,
    media_of,
    parts_of,
    result_of,
)
from memdb.sessions.roles import ANSWERS, ASKS, BESIDE, CLASSES, ROLES, UNMISTAKABLE, bare, flagged, numbered
from memdb.sessions.transcripts import messages_in
from memdb.sessions.turns import Other, Part, Text, Thinking, ToolCall, ToolResult, Turn, said

_ROLE_NAMES = (
    *("role", "Role", "_role", *BESIDE, "author", "sender", "from", "speaker", "sender_type", "senderType"),
    *("source", "event", "message_type", "messageType", "type"),
)
_RECORDS = ("type", "event", "message_type", "messageType")  # any record has them
# Names under which only people and models are told who speak; the others stand in records of any kind.
_SPEAKER_NAMES = ("role", "Role", "_role", "speaker", "sender", "sender_type", "senderType")
_WRITERS = ("Label", "label", "value", "role", "type")  # of an object that says who speaks
# A question and its answer in one entry, by their names; the latter pairs are those of other records too.
_SIDES = (
    frozenset(("user", "human", "customer")),
    frozenset("assistant ai bot model llm gpt agent chatbot".split()),
)
_SAID = ("message", "response", "output", "reply", "text", "content")
_ANSWERED = tuple(
    f"{by}_{what}" for by in ("assistant", "ai", "bot", "llm", "model", "agent") for what in _SAID
)
_PAIRS = (
    *(
        ("user_" + question, answer)
        for question in (*_SAID, "input")
        for answer in (*_ANSWERED, "response", "answer")
    ),
    *(("human_" + question, answer) for question in (*_SAID, "input") for answer in _ANSWERED),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("queryText", "fulfillmentText"),
)
_TIMED_PAIRS = (("question", "answer"), ("query", "response"), ("query", "answer"), ("question", "response"))
_LOOSE_PAIRS = (
    *_TIMED_PAIRS,
    *(("input", "output"), ("inputs", "outputs"), ("request", "response"), ("instruction", "response")),
)
_ASKED = frozenset(question for question, _ in (*_PAIRS, *_LOOSE_PAIRS))
_CONTENT_NAMES = (
    *("content", "contents", "parts", "blocks", "items"),
    *("Items", "Content", "Contents", "_content", "text", "Text"),
)
# A text under these is a message where a role stands beside it; under the last two only if it is no `type`.
_NAMES = ("author", "name", "author_name", "authorName", "AuthorName")  # of who speaks
_LOOSE_NAMES = ("message", "body", "value", "utterance")
_CALL_NAMES = (
    *("tool_calls", "toolCalls", "toolInvocations", "function_call", "_tool_calls"),
    "toolExecutionRequests",  # LangChain4j's
    "invalid_tool_calls",  # LangChain's, whose arguments are no JSON
)
# Items of OpenAI's Responses API: tools that the provider runs, and what is neither said nor called.
_HOSTED = frozenset(
    "web_search_call file_search_call code_interpreter_call image_generation_call mcp_call".split()
)
_NOTES = frozenset(
    "mcp_list_tools mcp_approval_request mcp_approval_response compaction item_reference".split()
)
_RESULT_NAMES = (
    "toolResponses",
    "tool_responses",
    "tool_results",
    "toolResults",
)  # beside the content, as Spring AI's
_THOUGHT_NAMES = ("reasoning_content", "reasoning", "thinking", "thoughts")
_TIME_NAMES = (
    "timestamp",
    "created_at",
    "createdAt",
    "CreatedAt",
    "created",
    "create_time",
    "created_time",
    "createdTime",
    *("createTime", "CreateTime", "create_at", "inserted_at", "timeStamp", "time_stamp"),
    "time",
    "Timestamp",
    "datetime",
    "ts",
    "at",
    "date",
    "sent_at",
    "sentAt",
    *("date_sent", "dateSent", "send_time", "sendTime", "date_created", "dateCreated", "messageTimestamp"),
    "last_update_time",
    "updated_at",
    "updatedAt",
    "_ts",
)
_ATTACHED_KINDS = ("image", "audio", "video", "document")
_ATTACHED = ("attachments", "experimental_attachments", "images", "audio", "media", "files")
# What stands in an entry besides what is said, and is no part of it.
_PLAIN = frozenset(
    (*_ROLE_NAMES, *_TIME_NAMES, "id", "name", "metadata", "meta", "additional_kwargs", "kind", "status")
)
_PARTED = {"system_prompt": "system", "user_prompt": "user", "tool_return": "tool", "retry_prompt": "tool"}
_MEMORY_DETAILS = frozenset(
    "topics entities memory_type user_id session_id run_id agent_id namespace created_at updated_at "
    "last_accessed event_date access_count pinned extracted_from metadata "
    "categories".split()
)
_SIMPLEST, _SPEAKERS = (
    frozenset(("role", "content", "timestamp")),
    ROLES - {"tool", "function", "tool_execution_result"} - CLASSES.keys(),
)
_WITHIN = ('"{', '"[', '"\\')  # how a text of JSON begins that holds JSON
_SPOKEN = re.compile(r"\s*(\w{2,20}):\s+(.*)", re.DOTALL)  # "User: How are you?"
_TRACKED = 200  # of a tracker's events, looked at for what was said
_DELTA = re.compile(r"(text|reasoning|thinking|output_text|content_block|message|response)[\w.-]*delta", re.I)
_STEPS = ("user_message", "assistant_message", "system_message")  # Chainlit's, whose text is their output
_SESSIONS = frozenset(
    "session_id sessionId session conversation_id conversationId thread_id threadId chat_id chatId".split()
)
_SESSION_KEYS = frozenset(("messages", "history", "turns", "events", "runs"))


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
    if (turn := _plain(value)) is not None:
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
        return [_memory(value)], ""
    if (piece := _delta(value)) is not None:
        return [piece], ""
    if _is_event(value):
        return [Turn("event", (Other(value["event"], as_json(value)),), time_in(value))], ""
    turns = _parted(value) or _exchange(value) or [_turn(value)]
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
        piece = _delta(value)
        if piece is not None and streamed:
            turns[-1] = _joined(turns[-1], piece)
            continue
        streamed = piece is not None
        read, problem = ([piece], "") if piece is not None else turns_of_entry(value, f"Message {place:,}")
        turns += read
        if problem:
            problems.append(problem)
    return tuple(turns), problems_told(problems)


def is_entry(value: Any) -> bool:
    """Whether a value looks like a message within a list of messages: also "User: Hi" and ["user", "Hi"]."""
    value = parsed(value)
    return (
        is_message(value)
        or _plain(value) is not None
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
    if _agent_item(value) or _parted(value) or _exchange(value) or _delta(value):
        return True
    if value.get("__enc__") and "payload" in value:
        return True
    inner, type_name = unwrapped(value)
    if inner is not value and isinstance(inner, dict):
        if type_name.lower() in ROLES:
            return _holds_content(inner)
        outer = value.get("type")
        if isinstance(outer, str) and outer.lower() in ROLES:
            return _holds_content(inner)
        return (_role(inner) != "" or _role(value).lower() in ROLES) and _holds_content(inner)
    role = next((v for n in ("role", "Role", "_role", *BESIDE) if (v := value.get(n)) is not None), None)
    role = _written(role)
    if numbered(role):  # taken together with the others: `is_conversation`
        return any(isinstance(value.get(n), str | list) for n in ("content", "Content", "parts", "text"))
    if isinstance(role, str) and 0 < len(role) <= 40:
        if role.lower() in ROLES:
            return _holds_content(value) or any(isinstance(value.get(n), str) for n in _LOOSE_NAMES)
        return any(n in value for n in ("content", "Content", "parts", "text", "blocks"))
    if isinstance(value.get("source"), str) and str(value.get("type")).endswith(("Message", "Event")):
        return "content" in value  # AutoGen's
    by = next(
        (n for n in _ROLE_NAMES[3:] if isinstance(v := _written(value.get(n)), str) and v.lower() in ROLES),
        "",
    )
    loose = _LOOSE_NAMES[:2] if by in _RECORDS else _LOOSE_NAMES
    by_flag = not by and flagged(value) != ""
    loose = _LOOSE_NAMES[:2] if by_flag else loose
    return bool(by or by_flag) and (
        _holds_content(value) or any(isinstance(value.get(n), str) for n in loose)
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
        written = {_role(value).lower() for value in values if isinstance(value, dict) and not flagged(value)}
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
    shaped = _agent_item(value) or _parted(value) or _exchange(value) or _delta(value)
    if shaped or is_memory(value) or value.get("__enc__"):
        return False
    inner, type_name = unwrapped(value)
    if any(_written(place.get(name)) for place in (value, inner) for name in _SPEAKER_NAMES):
        return False
    if any(isinstance(value.get(name), dict) for name in _ROLE_NAMES):
        return False
    if inner is not value:  # LangChain's say more of the message within; so do ADK's
        return not (
            "additional_kwargs" in inner or inner.get("type") == type_name or "author" in value
        ) and bool(type_name)
    return not str(value.get("type")).endswith(("Message", "Event"))  # AutoGen's


def is_memory(value: Any) -> bool:
    """Whether a value looks like one thing that was remembered of a user: mem0's, agent-memory-server's."""
    value = parsed(value)
    if not isinstance(value, dict):
        return False
    if _stored_memory(value) is not None:
        return True
    if isinstance(value.get("memory"), str):
        return any(name in value for name in ("memory_id", "hash", "user_id", "memory_type"))
    return isinstance(value.get("text"), str) and "memory_type" in value


def _stored_memory(value: Mapping[str, Any]) -> Any:
    """What LangGraph's store remembers, of which LangMem's memories are; None for anything else."""
    if isinstance(value.get("key"), str) and {"prefix", "value", "created_at"} <= value.keys():
        stored = value["value"]
        return stored if isinstance(stored, dict) and stored else None
    return None


def unwrapped(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The message within an entry that wraps it, and the role that the wrapper tells."""
    data = entry.get("data")
    if isinstance(data, dict) and isinstance(entry.get("type"), str) and "content" in data:  # LangChain
        if entry["type"] == "chat" and isinstance(data.get("role"), str):  # of any other role
            return data, data["role"]
        return data, entry["type"]
    kwargs = entry.get("kwargs")
    if isinstance(kwargs, dict) and ("lc" in entry or "content" in kwargs):  # LangChain, serialised
        name = entry.get("id")
        last = name[-1] if isinstance(name, list) and name and isinstance(name[-1], str) else ""
        return kwargs, CLASSES.get(last.lower(), last)
    # Strands and others
    message = parsed(entry.get("message"))
    if isinstance(message, dict) and ("role" in message or "content" in message):
        return message, ""
    if isinstance(message, dict) and isinstance(entry.get("key"), dict) and flagged(entry):
        return _of_baileys(message), flagged(entry)
    if isinstance(spoken := entry.get("conversational"), dict) and "content" in spoken:  # AgentCore's
        return spoken, ""
    chosen = entry.get("choices")  # an answer of OpenAI's, as it came
    if isinstance(chosen, list) and chosen and isinstance(chosen[0], dict):
        message = chosen[0].get("message")
        if isinstance(message, dict) and "role" in message:
            return message, ""
    content = entry.get("content")
    if (
        isinstance(content, dict)
        and isinstance(content.get("parts"), list)
        and ("author" in entry or ("role" in content and "role" not in entry))
    ):  # ADK; an answer of Gemini's
        return content, ""
    return entry, ""


def _of_baileys(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of WhatsApp as Baileys keeps it, by its content: a text, or what is attached."""
    parts: list[Any] = []
    for name, content in message.items():
        if name == "conversation" and isinstance(content, str):
            parts.append({"type": "text", "text": content})
        elif isinstance(content, dict) and isinstance(
            text := content.get("text", content.get("caption")), str
        ):
            parts.append({"type": "text", "text": text})
        if isinstance(content, dict) and (kind := name.removesuffix("Message")) in _ATTACHED_KINDS:
            parts.append({**content, "type": kind})
    return {"content": parts}


def parsed(value: Any) -> Any:
    """A text that is a JSON object or list, perhaps within a text of JSON, as what it says; else as it is.

    One that Python printed is read too.
    """
    read = _from_json(value)
    if read is not value or not isinstance(value, str):
        return read
    try:
        return python_text.loads(value)
    except ValueError:
        return value


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    start = value.lstrip("\ufeff \t\r\n")[:2]
    if start[:1] not in ("{", "[") and start not in _WITHIN:
        return value
    try:
        inner = stored_json.loads(value).value
    except json.JSONDecodeError:
        return value
    if isinstance(inner, str):  # JSON within a text of JSON
        return document if isinstance(document := parsed(inner), dict | list) else value
    return inner


def moment(value: Any) -> datetime | None:
    """A time as people store it: ISO 8601 with any precision, an e-mail's or JavaScript's date, or seconds,
    milliseconds, microseconds or nanoseconds since 1970; without a zone it is UTC. MongoDB's, Firestore's and
    .NET's ways to write one in JSON are read too. None where it is none."""
    if isinstance(value, dict):
        return _in_object(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _since_1970(value)
    if not isinstance(value, str) or len(value) > 80:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{9,19}(\.\d{1,12})?", text, re.ASCII):
        return _since_1970(float(text))
    try:
        read_time = datetime.fromisoformat(text)
    except ValueError:
        return _worded(text)
    return _on_the_calendar(read_time if read_time.tzinfo else read_time.replace(tzinfo=UTC))


def time_in(entry: Any) -> datetime | None:
    """The time that an entry, or the message in it, tells."""
    entry = parsed(entry)
    if not isinstance(entry, dict):
        return None
    places = [entry, unwrapped(entry)[0]]
    for name in ("metadata", "meta", "additional_kwargs", "response_metadata"):
        places += [inner for place in places[:2] if isinstance(inner := place.get(name), dict)]
    texts = (place[n] for place in places for n in _TIME_NAMES if n in place)
    return next((at for value in texts if (at := moment(value))), None)


def _turn(entry: Mapping[str, Any]) -> Turn:
    if (item := _agent_item(entry)) is not None:
        return replace(item, at=time_in(entry))
    inner, told_role = unwrapped(entry)
    role = told_role or _role(inner) or (_role(entry) if inner is not entry else "")
    role = CLASSES.get(role.lower(), role)
    parts = _parts(inner)
    if not parts and inner is entry:
        text = next((v for n in _LOOSE_NAMES if isinstance(v := entry.get(n), str)), None)
        parts = [Text(text)] if text is not None else []
    beside = inner.get("additional_kwargs")
    told_by = [inner, beside] if isinstance(beside, dict) else [inner]
    marks = (place.get(n) for place in told_by for n in ("tool_call_id", "toolCallId"))
    result_for = next((mark for mark in marks if isinstance(mark, str)), "")
    if role.lower() in ("tool", "function", "tool_execution_result") or result_for:
        parts = _as_result(inner, parts, result_for)
    extra = entry.keys() - _PLAIN - {"content"} if not parts and inner is entry else frozenset()
    if extra and not any(n in entry for n in (*_CONTENT_NAMES, *_CALL_NAMES)):
        parts = [Other("message", as_json(entry))]
    name = next(
        (v for place in (entry, inner) for n in _NAMES if isinstance(v := place.get(n), str)),
        _name_for_role(inner),
    )
    # A tool's name stands in its result already.
    is_result = any(isinstance(part, ToolResult) for part in parts) and role.lower() != "user"
    speaker = "" if is_result or name.lower() == role.lower() else name
    return Turn(role, tuple(parts), time_in(entry), speaker)


def _name_for_role(message: Mapping[str, Any]) -> str:
    """A name that stands under `role`, where a field beside it tells the role: Zep's; else empty."""
    named = message.get("role")
    beside = any(isinstance(message.get(name), str) for name in BESIDE)
    return named if isinstance(named, str) and beside and named.lower() not in ROLES else ""


def _memory(entry: Mapping[str, Any]) -> Turn:
    """Something remembered, with what else is known of it."""
    if (stored := _stored_memory(entry)) is not None:
        inner = next((v for n in ("content", "text", "memory", "data") if (v := stored.get(n))), stored)
        inner = inner.get("content", inner) if isinstance(inner, dict) else inner
        beside = {name: entry[name] for name in ("prefix", "key", "updated_at") if entry.get(name)}
        about = Other("about this memory", as_json(beside))
        return Turn(
            "memory", (*parts_of(inner if isinstance(inner, str) else as_json(inner)), about), time_in(entry)
        )
    text = entry.get("memory") if isinstance(entry.get("memory"), str) else entry.get("text")
    details = {
        name: parsed(value)
        for name, value in entry.items()
        if name in _MEMORY_DETAILS and value not in (None, "", [], {}, "{}", "[]")
    }
    parts: list[Part] = [Text(str(text))]
    if details:
        parts.append(Other("about this memory", as_json(details)))
    return Turn("memory", tuple(parts), time_in(entry))


def _parts(message: Mapping[str, Any]) -> list[Part]:
    """Everything in a message: its content, what it thought, tools it calls, what is attached."""
    thoughts: list[Part] = [
        Thinking(text)
        for place in (message, message.get("additional_kwargs"))
        if isinstance(place, dict)
        for name in _THOUGHT_NAMES
        if isinstance(text := place.get(name), str) and text
    ]
    parts: list[Part] = []
    for name in [name for name in _CONTENT_NAMES if name in message]:
        value = _from_json(message.get(name)) if name != "content" else message.get(name)
        if value is None or value in ("", []):
            continue
        if isinstance(value, str) and value.strip() in {p.text.strip() for p in parts if isinstance(p, Text)}:
            continue
        if name != "content" and isinstance(value, str) and parts:
            continue
        inner = parts_of(value)
        if parts and all(isinstance(part, Text) for part in parts) and not isinstance(value, str):
            joined = "".join(p.text for p in inner if isinstance(p, Text)).strip()
            if joined and joined == "".join(p.text for p in parts if isinstance(p, Text)).strip():
                parts = inner  # the same text twice: the richer form is kept
                continue
        parts += inner
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        parts.append(Text(refusal))
    for attached in _ATTACHED:
        for each in message[attached] if isinstance(message.get(attached), list) else ():
            block = each if isinstance(each, dict) else {"data": each}  # Ollama's images are bytes alone
            drawn = attached == "images" or kind_of(block) == "image"
            parts.append(media_of(block, "image" if drawn else "file"))
    if isinstance(spoken := message.get("audio"), dict):  # OpenAI's, with its words
        words = spoken.get("transcript")
        parts += [media_of(spoken, "audio"), *([Text(words)] if isinstance(words, str) and words else [])]
    marks = {_mark(part) for part in parts if isinstance(part, ToolCall)}
    for place in (message, message.get("additional_kwargs")):
        if isinstance(place, dict):
            for name in [name for name in _CALL_NAMES if name in place]:
                # The same calls in two places are told once; two alike in one place are two.
                fresh = [
                    part
                    for part in calls_of(place.get(name))
                    if not isinstance(part, ToolCall) or _mark(part) not in marks
                ]
                parts += fresh
                marks |= {_mark(part) for part in fresh if isinstance(part, ToolCall)}
    for name in _RESULT_NAMES:
        for each in message[name] if isinstance(message.get(name), list) else ():
            parts.append(result_of(each) if isinstance(each, dict) else Other("tool result", as_json(each)))
    return [*(t for t in thoughts if t not in parts), *parts]


def _mark(call: ToolCall) -> tuple[str, ...]:
    """What tells a call from others: its id, or what it calls with what."""
    if call.id:
        return (call.id,)
    arguments = parsed(call.arguments)
    return call.name, call.arguments if isinstance(arguments, str) else json.dumps(arguments, sort_keys=True)


def _as_result(message: Mapping[str, Any], parts: list[Part], call: str) -> list[Part]:
    """A tool's message: what it says is a result, unless its parts say so themselves."""
    if results := {part.text for part in parts if isinstance(part, ToolResult)}:
        # AG2's stand beside a content that says the same.
        return [part for part in parts if not (isinstance(part, Text) and part.text in results)]
    # What is an object and no block is what the tool gave back, as JSON.
    texts, others = [], list[Part]()
    for part in parts:
        if isinstance(part, Text):
            texts.append(part.text)
        elif isinstance(part, Other) and part.kind == "part":
            texts.append(part.json)
        else:
            others.append(part)
    beside = message.get("additional_kwargs")
    told_by = (message, beside) if isinstance(beside, dict) else (message,)
    failed = (
        failed_in(message.get("content"))
        or str(message.get("status", "")).lower() == "error"
        or any(
            place.get(name) is True
            for place in told_by
            for name in ("is_error", "isError", "tool_call_error")
        )
    )
    name = message.get("name") or message.get("tool_name") or message.get("toolName")
    if not call and isinstance(message.get("toolName"), str) and isinstance(message.get("id"), str):
        call = message["id"]
    name = name or (beside.get("name") if isinstance(beside, dict) else None)
    result = ToolResult(
        "\n".join(texts),
        call,
        name if isinstance(name, str) else "",
        failed,
    )
    return [result, *others]


def _plain(value: Any) -> Turn | None:
    """A text that begins with a role, or a pair of role and text, as a turn; None where it is neither."""
    if isinstance(value, str):
        speech = _SPOKEN.match(value)
        return Turn(speech[1], (Text(speech[2]),)) if speech and speech[1].lower() in ROLES else None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Turn(value[0], (Text(value[1]),)) if value[0].lower() in ROLES else None
    return None


def _parted(entry: Mapping[str, Any]) -> list[Turn]:
    """pydantic-ai's request or response, whose parts have roles of their own; nothing where it is none."""
    parts = entry.get("parts")
    if not isinstance(parts, list) or not all(isinstance(p, dict) and "part_kind" in p for p in parts):
        return []
    if not parts and entry.get("kind") not in ("request", "response"):
        return []
    usual = "assistant" if entry.get("kind") == "response" else "user"
    at = time_in(entry)
    turns = []
    for role, group in groupby(parts, lambda part: _parted_role(part, usual)):
        members = list(group)
        content: list[Part] = []
        for part in members:
            if kind_of(part) == "user_prompt":
                content += parts_of(part.get("content"))
            elif kind_of(part) == "retry_prompt" and part.get("tool_name"):
                content.append(replace(result_of(part), failed=True))
            else:
                content += parts_of([part])
        turns.append(Turn(role, tuple(content), next((t for p in members if (t := time_in(p))), None) or at))
    if isinstance(instructions := entry.get("instructions"), str) and instructions:
        turns.insert(0, Turn("system", (Other("instructions", instructions),), at))
    return turns or [Turn(usual, (), at)]


def _parted_role(part: Mapping[str, Any], usual: str) -> str:
    """Of one of pydantic-ai's parts; a retry that is of no tool is asked of the model."""
    kind = kind_of(part)
    return "user" if kind == "retry_prompt" and not part.get("tool_name") else _PARTED.get(kind, usual)


def _agent_item(entry: Mapping[str, Any]) -> Turn | None:
    """An item of OpenAI's Responses API that is no message: a call, its output, what was thought."""
    if "role" in entry or "data" in entry:
        return None
    if (step := _step(entry)) is not None:
        return step
    if not isinstance(kind := entry.get("type"), str):
        return None
    if kind == "reasoning" and ("summary" in entry or "content" in entry):
        blocks = [*(entry.get("summary") or []), *(entry.get("content") or [])]
        texts = [str(b.get("text", "")) for b in blocks if isinstance(b, dict)]
        return Turn("assistant", (Thinking("\n".join(texts)),))
    if kind.endswith("_call_output") or (kind.endswith("_output") and "call_id" in entry):
        return Turn("tool", (result_of(entry),))
    if kind.endswith("_call") and ("call_id" in entry or "id" in entry):
        call = call_of(entry)
        if not call.name:
            rest = {n: v for n, v in entry.items() if n not in ("type", "id", "call_id", "status")}
            call = ToolCall(kind.removesuffix("_call"), call.arguments or as_json(rest), call.id)
        if kind == "image_generation_call":
            drawn = media_of({"result": entry.get("result")}, "image") if entry.get("result") else None
            call = replace(call, arguments=str(entry.get("revised_prompt") or ""))
            ended = (ToolResult("", call.id, call.name, entry.get("status") == "failed"),)
            return Turn("assistant", (call, *ended, *((drawn,) if drawn else ())))
        # A hosted tool's call carries what came of it, or only that it ended.
        output = next((v for n in ("output", "outputs", "results") if (v := entry.get(n)) is not None), None)
        if output is not None or entry.get("error") is not None:
            return Turn("assistant", (call, replace(result_of({**entry, "output": output}), name=call.name)))
        if kind in _HOSTED and entry.get("status") in ("completed", "failed", "incomplete"):
            ended = (ToolResult("", call.id, call.name, entry["status"] != "completed"),)
            return Turn("assistant", (call, *ended))
        return Turn("assistant", (call,))
    if kind in _NOTES:
        role = "user" if kind == "mcp_approval_response" else "assistant"
        return Turn(role, (Other(kind, as_json({n: v for n, v in entry.items() if n != "type"})),))
    return None


def _step(entry: Mapping[str, Any]) -> Turn | None:
    """What Letta and Chainlit keep of a step: thoughts, a tool's call, what it gave back; None for others."""
    kind = entry.get("message_type")
    if kind in ("reasoning_message", "hidden_reasoning_message"):
        return Turn("assistant", (Thinking(str(entry.get("reasoning") or "")),))
    if kind in ("tool_call_message", "approval_request_message"):
        called = calls_of(entry.get("tool_calls") or entry.get("tool_call"))
        return Turn("assistant", tuple(called))
    if kind == "tool_return_message":
        result = result_of({**entry, "output": entry.get("tool_return"), "id": None})
        return Turn("tool", (result,))
    if kind == "approval_response_message":
        return Turn(
            "user", (Other("approval", as_json({n: v for n, v in entry.items() if n != "message_type"})),)
        )
    if kind == "summary_message":
        return Turn("system", tuple(parts_of(entry.get("summary"))))
    if (
        entry.get("type") == "tool"
        and isinstance(entry.get("name"), str)
        and {"input", "output"} <= entry.keys()
    ):
        call = call_of(entry)
        return Turn("tool", (call, replace(result_of(entry), call=call.id, name=call.name)))
    if entry.get("type") in _STEPS and isinstance(entry.get("output"), str) and "content" not in entry:
        return Turn(bare(str(entry["type"])), tuple(parts_of(entry["output"])))
    return None


def _is_event(entry: Mapping[str, Any]) -> bool:
    """Whether an entry tells an event by its name and nothing that was said, as most of a tracker's do."""
    event = entry.get("event")
    if not isinstance(event, str) or not event or bare(event).lower() in ROLES:
        return False
    return not any(n in entry for n in (*_SPEAKER_NAMES, *_CONTENT_NAMES, "author", "data"))


def _delta(entry: Any) -> Turn | None:
    """A piece of an answer as a model writes it: OpenAI's chunk, or an event of a stream; else None."""
    if not isinstance(entry, dict) or "role" in entry:
        return None
    chosen = entry.get("choices")
    if isinstance(chosen, list) and chosen and isinstance(chosen[0], dict):
        delta = chosen[0].get("delta")
        if not isinstance(delta, dict):
            return None
        return Turn(str(delta.get("role") or "assistant"), tuple(_parts(delta)), time_in(entry))
    if not isinstance(kind := entry.get("type"), str) or not _DELTA.fullmatch(kind):
        return None
    content = next((v for n in ("delta", "textDelta", "text") if (v := entry.get(n)) is not None), None)
    content = content if not isinstance(content, dict) else content.get("text") or content.get("thinking")
    if not isinstance(content, str):
        return None
    thought = "reasoning" in kind or "thinking" in kind
    return Turn("assistant", (Thinking(content) if thought else Text(content),), time_in(entry))


def _joined(turn: Turn, piece: Turn) -> Turn:
    """A turn with another piece of it: texts that follow one another are one."""
    parts = list(turn.parts)
    for part in piece.parts:
        last = parts[-1] if parts else None
        if isinstance(part, Text) and isinstance(last, Text):
            parts[-1] = Text(last.text + part.text)
        elif isinstance(part, Thinking) and isinstance(last, Thinking):
            parts[-1] = Thinking(last.text + part.text)
        elif isinstance(part, ToolCall) and isinstance(last, ToolCall) and not part.name:
            parts[-1] = replace(last, arguments=last.arguments + part.arguments)
        else:
            parts.append(part)
    return replace(turn, parts=tuple(parts))


def _role(message: Mapping[str, Any]) -> str:
    for name in _ROLE_NAMES:
        value = _written(message.get(name))
        if name in ("role", "Role") and numbered(value):
            return numbered(value)
        if not isinstance(value, str) or not value:
            continue
        if name in _RECORDS and value.lower() not in ROLES:
            continue
        if value.lower() not in ROLES:  # a name or an address stands where others tell a role
            beside = (v for n in BESIDE if isinstance(v := _written(message.get(n)), str))
            role_name = next((v for v in beside if v.lower() in ROLES), "") or flagged(message)
            value = role_name or value
        return value[:200]
    return flagged(message)


def _written(value: Any) -> Any:
    """A role as it stands, or out of the object that tells who speaks."""
    if isinstance(value, dict):
        writers = [bare(v) for n in _WRITERS if isinstance(v := value.get(n), str)]
        by_flag = flagged(value)  # Telegram's
        if isinstance(bot := value.get("bot"), bool):  # Discord's
            by_flag = by_flag or ("bot" if bot else "user")
        named = value.get("name")  # of a constant; people have names too
        names = (*writers, by_flag, bare(named) if isinstance(named, str) else "")
        return next((v for v in names if v.lower() in ROLES), writers[0] if writers else None)
    if isinstance(value, list) and len(value) == 1:
        return _written(value[0])
    return bare(value) if isinstance(value, str) else value


def _exchange(entry: Mapping[str, Any]) -> list[Turn]:
    """A question and its answer in one entry, {"user": "Hi", "assistant": "Hello"}, as two turns."""
    question, answered = _sides(entry)
    if not question:
        return []
    at = time_in(entry)
    turns = []
    for name, usual in ((question, "user"), (answered, "assistant")):
        text, role = entry[name], name if name.lower() in _SIDES[0] | _SIDES[1] else usual
        turns.append(Turn(role, (Text(text),) if isinstance(text, str) else tuple(parts_of(text)), at))
    return turns


def _sides(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The names of a question and its answer in one entry; empty where it is no such pair."""
    by_role = [name for name in entry if name.lower() in _SIDES[0] | _SIDES[1]]
    asks = [name for name in by_role if name.lower() in _SIDES[0]]
    answers = [name for name in by_role if name.lower() not in _SIDES[0]]
    if asks and answers:
        others = entry.keys() - _PLAIN - set(by_role) - _SESSIONS
        # A line of a log has a user and an agent too, and mostly more.
        record = (asks[0].lower(), answers[0].lower()) in (("user", "agent"), ("user", "model")) or (
            others and answers[0].lower() in ("agent", "model", "bot")
        )
        texts = all(isinstance(entry[name], str) for name in by_role)
        return (asks[0], answers[0]) if texts and not record else ("", "")
    if "role" in entry or entry.keys().isdisjoint(_ASKED):
        return "", ""
    beside = _LOOSE_PAIRS if _SESSIONS & entry.keys() else _TIMED_PAIRS if time_in(entry) else ()
    pairs = (*_PAIRS, *beside)
    return next((p for p in pairs if all(_utterance(entry.get(name)) for name in p)), ("", ""))


def is_exchange(value: Any) -> bool:
    """Whether an entry holds a question and its answer under the names of who said them."""
    return isinstance(value, dict) and _sides(value) != ("", "")


def _utterance(value: Any) -> bool:
    """Whether a value can be what was said: a text, or an object with one, as Griptape's artifacts."""
    return isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("value"), str))


def _of_a_dialogue(values: Sequence[Any]) -> bool:
    """Whether entries are what a bot's tracker keeps: what both sides said, among events of other kinds."""
    by = {str(v.get(n)).lower() for v in values if isinstance(v, dict) and "text" in v for n in ("event",)}
    return bool(by & ASKS and by & ANSWERS)


def exchanges(value: Any) -> list[dict[str, Any]]:
    """Pairs of a question and its answer, in a list that is named as a conversation, as entries; else none.

    `[["Hi", "Hello"], …]`, as Gradio's, and {"input": …, "output": …} are some where their place says so.
    """
    if not isinstance(value, list) or not value:
        return []
    entries: list[dict[str, Any]] = []
    for pair in value:
        if isinstance(pair, list) and len(pair) == 2 and all(map(_said_by_one, pair)):
            said_by = zip(("user", "assistant"), pair, strict=True)
            entries += ({"role": role, "content": text} for role, text in said_by if text is not None)
            continue
        names = next(
            (
                p
                for p in _LOOSE_PAIRS
                if isinstance(pair, dict) and all(_utterance(pair.get(name)) for name in p)
            ),
            None,
        )
        if names is None:
            return []
        beside = {name: content for name, content in pair.items() if name in _PLAIN}
        entries.append({**beside, "user": _uttered(pair[names[0]]), "assistant": _uttered(pair[names[1]])})
    return entries


def _said_by_one(value: Any) -> bool:
    """Whether one side of a pair can be what was said, or nothing: no number and no time."""
    if not isinstance(value, str):
        return value is None
    return not re.fullmatch(r"\s*[-+]?[\d.,]+%?\s*", value) and moment(value) is None


def _uttered(value: Any) -> Any:
    return value if isinstance(value, str) else value["value"]


def _holds_content(message: Mapping[str, Any]) -> bool:
    return any(name in message for name in (*_CONTENT_NAMES, *_CALL_NAMES))


def _fault(text: str) -> str:
    try:
        stored_json.loads(text)
    except json.JSONDecodeError as exc:
        return f"{line(exc.msg.removesuffix(' at'), 60)} at character {exc.pos + 1:,}"
    return ""


def _since_1970(value: float) -> datetime | None:
    if not 0 < value < 1e20:  # the year 5138 in nanoseconds; no NaN, and no number of hundreds of digits
        return None
    for unit in (1.0, 1e3, 1e6, 1e9):  # seconds up to the year 5138, then the next unit
        if value / unit < 1e11:
            try:
                return datetime.fromtimestamp(value / unit, UTC)
            except (OverflowError, OSError, ValueError):
                return None
    return None


def _in_object(value: dict[str, Any]) -> datetime | None:
    """A time that is an object: {"$date": …}, {"$numberLong": …}, {"_seconds": …, "_nanoseconds": …}."""
    if len(value) > 2:
        return None
    for name in ("$date", "$numberLong"):
        if name in value:
            return moment(value[name]) if not isinstance(value[name], dict) else _in_object(value[name])
    seconds = next((v for n in ("_seconds", "seconds") if type(v := value.get(n)) is int), None)
    parts = next((v for n in ("_nanoseconds", "nanoseconds", "nanos") if type(v := value.get(n)) is int), 0)
    return _since_1970(seconds + parts / 1e9) if seconds is not None else None


def _on_the_calendar(time_read: datetime) -> datetime | None:
    """The time, unless UTC has no such year: .NET's "no time", the year 1, lies before it in the east."""
    try:
        time_read.astimezone(UTC)
    except OverflowError:
        return None
    return time_read


def _worded(text: str) -> datetime | None:
    """An e-mail's, JavaScript's or .NET's date, or one with slashes that begins with the year."""
    if (dotnet := re.fullmatch(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/", text, re.ASCII)) is not None:
        return _since_1970(int(dotnet[1]) / 1_000)
    if re.match(r"\d{4}/\d\d/\d\d", text, re.ASCII):
        return moment(text.replace("/", "-"))
    script = re.fullmatch(r"\w{3} (\w{3}) (\d{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT([+-]\d{4}).*", text, re.ASCII)
    if script is not None:
        month, day, year, clock, zone = script.groups()
        text = f"{day} {month} {year} {clock} {zone}"
    if not re.match(r"(\w{3}, )?\d{1,2} \w{3} \d{4} ", text, re.ASCII):
        return None
    try:
        parsed_time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return parsed_time if parsed_time.tzinfo else parsed_time.replace(tzinfo=UTC)


def problems_told(problems: Iterable[str], most: int = 5) -> list[str]:
    """The first few problems of messages, and how many more there are."""
    every = list(problems)
    if len(every) <= most:
        return every
    return [*every[:most], f"{len(every) - most:,} more messages are not as expected."]


_KINDS: dict[type, str] = {
    list: "a list",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
