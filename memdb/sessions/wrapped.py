"""What stands around a message: texts of JSON, a library's wrapper, the time beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from memdb.sessions import python_text, stored_json
from memdb.sessions.roles import CLASSES, ROLE_NAMES, flagged
from memdb.sessions.times import moment

_WITHIN = ('"{', '"[', '"\\')  # how a text of JSON begins that holds JSON
_ATTACHED_KINDS = ("image", "audio", "video", "document")
TIME_NAMES = (
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
# What stands in an entry besides what is said, and is no part of it.
PLAIN = frozenset(
    (*ROLE_NAMES, *TIME_NAMES, "id", "name", "metadata", "meta", "additional_kwargs", "kind", "status")
)


def parsed(value: Any) -> Any:
    """A text that is a JSON object or list, perhaps within a text of JSON, as what it says; else as it is.

    One that Python printed is read too.
    """
    read = from_json(value)
    if read is not value or not isinstance(value, str):
        return read
    try:
        return python_text.loads(value)
    except ValueError:
        return value


def from_json(value: Any) -> Any:
    """A text that is a JSON object or list as what it says; anything else as it is."""
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


def time_in(entry: Any) -> datetime | None:
    """The time that an entry, or the message in it, tells."""
    entry = parsed(entry)
    if not isinstance(entry, dict):
        return None
    places = [entry, unwrapped(entry)[0]]
    for name in ("metadata", "meta", "additional_kwargs", "response_metadata"):
        places += [inner for place in places[:2] if isinstance(inner := place.get(name), dict)]
    texts = (place[n] for place in places for n in TIME_NAMES if n in place)
    return next((at for value in texts if (at := moment(value))), None)
