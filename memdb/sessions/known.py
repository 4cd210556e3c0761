"""The formats that are recognised by what a value looks like, whatever its key begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memdb.display import line
from memdb.errors import BadInput
from memdb.sessions.formats import SESSION_PREFIX
from memdb.sessions.mapping import MESSAGES_PATHS, SESSION_PATHS, Format, Stored, dig, first, parsed

ARTICLE = Format(
    "article",
    "Hash with a JSON history",
    SESSION_PREFIX,
    "hash",
    messages=("history",),
    time=("timestamp", "created_at"),
    user=("user_id",),
    strategy="article",
)
LANGCHAIN = Format(
    "langchain",
    "LangChain: list of messages",
    "message_store:",
    "list",
    newest_first=True,
    role=("type", "role"),
    text=("data.content", "content"),
)
MESSAGE_LIST = Format("list", "List of JSON messages", "chat:", "list")
REDISVL = Format(
    "redisvl",
    "redisvl: a hash per message",
    "chat:",
    "hash",
    "message",
    role=("role",),
    text=("content",),
    time=("timestamp",),
    session=SESSION_PATHS,
    user=("user_id", "metadata.user_id"),
)
MESSAGE_JSON = Format(
    "message-json",
    "A JSON document per message",
    "chat:",
    "json",
    "message",
    session=SESSION_PATHS,
    text=("data.content", "content", "kwargs.content", "text"),
)
LANGGRAPH = Format(
    "langgraph",
    "LangGraph checkpoints (Redis)",
    "checkpoint:",
    "json",
    "state",
    messages=("checkpoint.channel_values.messages",),
    session=("thread_id",),
    time=("checkpoint.ts", "kwargs.timestamp"),
    user=("metadata.user_id",),
)
LANGGRAPH_TEXT = replace(
    LANGGRAPH, name="langgraph-valkey", title="LangGraph checkpoints (Valkey)", stored="string"
)
DOCUMENT = Format("json", "JSON document with messages", "chat:", "json", messages=MESSAGES_PATHS)
TEXT = Format("text", "Text that is JSON with messages", "chat:", "string", messages=MESSAGES_PATHS)
BARE_DOCUMENT = Format("json-list", "JSON document that is a list of messages", "chat:", "json")
BARE_TEXT = Format("text-list", "Text that is a JSON list of messages", "chat:", "string")
HASH = Format("hash", "Hash with a list of messages in JSON", "chat:", "hash", messages=MESSAGES_PATHS)

KNOWN = (
    ARTICLE,
    LANGCHAIN,
    MESSAGE_LIST,
    REDISVL,
    MESSAGE_JSON,
    LANGGRAPH,
    LANGGRAPH_TEXT,
    DOCUMENT,
    TEXT,
    BARE_DOCUMENT,
    BARE_TEXT,
    HASH,
)


def of_token(token: str, own: tuple[Format, ...] = ()) -> Format | None:
    """The format that a link names; None where there is none of that name."""
    format_ = next((f for f in own if f.token == token), None)
    if format_ is not None:
        return format_
    title, _, prefix = token.partition(" · ")
    named = next((f for f in KNOWN if f.title == title), None)
    return replace(named, prefix=prefix) if named is not None and prefix else None


def named(name: str, own: tuple[Format, ...] = (), prefix: str = "") -> Format:
    """The format of a name, with its usual prefix or another.

    Raises:
        BadInput: there is none of that name.
    """
    format_ = next((f for f in (*own, *KNOWN) if f.name == name), None)
    if format_ is None:
        names = ", ".join(dict.fromkeys(f.name for f in (*own, *KNOWN)))
        raise BadInput(f"There is no session format '{line(name, 60)}'.", f"Choose one of: {names}.")
    return replace(format_, prefix=prefix) if prefix else format_


def recognised(prefix: str, stored: Stored, value: Any) -> Format | None:
    """The format of a value, with this prefix; None where it looks like no session.

    Args:
        prefix: of its key.
        stored: what the engine calls it.
        value: parsed; of a list some of its entries.
    """
    format_ = _TESTS[stored](value)
    return replace(format_, prefix=prefix) if format_ is not None else None


def _hash(value: Any) -> Format | None:
    if dig(value, "history") is not None and dig(value, "user_id") is not None:
        return ARTICLE
    if _message(value) and first(value, SESSION_PATHS) is not None:
        return REDISVL
    return HASH if _list_in(value) else None


def _list(value: Any) -> Format | None:
    entries = [parsed(entry) for entry in value] if isinstance(value, list) else []
    if not entries or not all(isinstance(entry, dict) for entry in entries):
        return None
    if all(dig(entry, "data.content") is not None and "type" in entry for entry in entries):
        return LANGCHAIN
    return MESSAGE_LIST if all(_message(entry) for entry in entries) else None


def _json(value: Any) -> Format | None:
    if _checkpoint(value):
        return LANGGRAPH
    if isinstance(value, dict) and _message(value) and first(value, SESSION_PATHS) is not None:
        return MESSAGE_JSON
    return DOCUMENT if _list_in(value) else BARE_DOCUMENT if _messages(value) else None


def _string(value: Any) -> Format | None:
    value = parsed(value)
    if _checkpoint(value):
        return LANGGRAPH_TEXT
    return TEXT if _list_in(value) else BARE_TEXT if _messages(value) else None


def _checkpoint(value: Any) -> bool:
    return isinstance(value, dict) and {"thread_id", "checkpoint_id", "checkpoint"} <= value.keys()


def _message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and first(value, ("role", "type", "kwargs.type", "sender", "author")) is not None
        and first(value, ("content", "data.content", "kwargs.content", "text", "message")) is not None
    )


def _messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_message(parsed(entry)) for entry in value[:5])


def _list_in(value: Any) -> bool:
    return isinstance(value, dict) and _messages(parsed(first(value, MESSAGES_PATHS)))


_TESTS: dict[Stored, Callable[[Any], Format | None]] = {
    "hash": _hash,
    "list": _list,
    "json": _json,
    "string": _string,
}
