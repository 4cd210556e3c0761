"""The formats that are recognised by what a value looks like, whatever its key begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memdb.display import line
from memdb.errors import BadInput
from memdb.sessions.formats import SESSION_PREFIX
from memdb.sessions.mapping import (
    MESSAGES_PATHS,
    SESSION_PATHS,
    Format,
    Stored,
    anywhere,
    dig,
    first,
    messages_at,
)
from memdb.sessions.memories import is_memory
from memdb.sessions.messages import are_messages, is_conversation, is_entry, is_message
from memdb.sessions.wrapped import parsed

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
LANGCHAIN = Format("langchain", "LangChain: list of messages", "message_store:", "list", newest_first=True)
LLAMAINDEX = Format("llamaindex", "LlamaIndex: list of messages", "", "list")
AGENTS = Format(
    "openai-agents", "OpenAI Agents SDK: list of items", "agents:session:", "list", tail=":messages"
)
MESSAGE_LIST = Format("list", "List of JSON messages", "chat:", "list")
STREAM = Format("stream", "Stream of messages", "chat:", "stream")
SORTED_SET = Format("sorted-set", "Sorted set of messages", "chat:", "zset")
REDISVL = Format(
    "redisvl",
    "redisvl: a hash per message",
    "chat:",
    "hash",
    "message",
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
)
MESSAGE_TEXT = replace(
    MESSAGE_JSON, name="message-text", title="A text that is JSON per message", stored="string"
)
STRANDS = Format(
    "strands",
    "Strands: a JSON document per message",
    "session:",
    "json",
    "message",
    tail=":agent:*:message:*",
)
STRANDS_TEXT = replace(STRANDS, name="strands-text", title="Strands: a text per message", stored="string")
MEMORY = Format("memory", "Memories: a hash each", "mem0:", "hash", "message")
MEMORY_JSON = replace(MEMORY, name="memory-json", title="Memories: a JSON document each", stored="json")
LANGGRAPH = Format(
    "langgraph",
    "LangGraph checkpoints (Redis)",
    "checkpoint:",
    "json",
    "state",
    messages=("checkpoint.channel_values.messages",),
    state=("checkpoint.channel_values",),
    session=("thread_id",),
    time=("checkpoint.ts", "kwargs.timestamp"),
    user=("metadata.user_id",),
)
LANGGRAPH_TEXT = replace(
    LANGGRAPH, name="langgraph-valkey", title="LangGraph checkpoints (Valkey)", stored="string"
)
MEMORIES = frozenset((MEMORY.name, MEMORY_JSON.name))
AGNO = Format(
    "agno",
    "Agno: a text per session with runs",
    "agno:sessions:",
    "string",
    messages=("runs[*].messages",),
)
AGNO_RUNS = Format(
    "agno-runs",
    "Agno: a text per run",
    "agno:runs:",
    "string",
    "message",
    messages=("run_data.messages", "messages"),
    session=("session_id",),
)
ADK = Format(
    "adk",
    "Google ADK: a text per session with events",
    "adk:session:",
    "string",
    messages=("events",),
    state=("state",),
    time=("timestamp", "lastUpdateTime"),
    user=("user_id", "userId"),
)
ADK_HASH = replace(
    ADK,
    name="adk-hash",
    title="Google ADK: a hash with the sessions of a user",
    prefix="session:",
    stored="hash",
    messages=("[*].events",),
    user=("[*].user_id",),
)
DOCUMENT = Format("json", "JSON document with messages", "chat:", "json", messages=MESSAGES_PATHS)
TEXT = Format("text", "Text that is JSON with messages", "chat:", "string", messages=MESSAGES_PATHS)
BARE_DOCUMENT = Format("json-list", "JSON document that is a list of messages", "chat:", "json")
BARE_TEXT = Format("text-list", "Text that is a JSON list of messages", "chat:", "string")
HASH_FIELDS = Format("hash-fields", "Hash with a message in each field", "chat:", "hash", messages=("[*]",))
# A key a message whose session only the key tells: chat:SESSION:1, chat:SESSION:msg:1.
KEYED_HASH = Format(
    "keyed-hash", "A hash per message, the session in its key", "chat:", "hash", "message", tail=":*"
)
KEYED_JSON = replace(
    KEYED_HASH, name="keyed-json", title="A JSON document per message, the session in its key", stored="json"
)
KEYED_TEXT = replace(
    KEYED_HASH, name="keyed-text", title="A text per message, the session in its key", stored="string"
)
HASH = Format("hash", "Hash with a list of messages in JSON", "chat:", "hash", messages=MESSAGES_PATHS)

KNOWN = (
    ARTICLE,
    LANGCHAIN,
    LLAMAINDEX,
    AGENTS,
    MESSAGE_LIST,
    STREAM,
    SORTED_SET,
    REDISVL,
    MESSAGE_JSON,
    MESSAGE_TEXT,
    STRANDS,
    STRANDS_TEXT,
    AGNO,
    AGNO_RUNS,
    ADK,
    ADK_HASH,
    MEMORY,
    MEMORY_JSON,
    LANGGRAPH,
    LANGGRAPH_TEXT,
    DOCUMENT,
    TEXT,
    BARE_DOCUMENT,
    BARE_TEXT,
    HASH_FIELDS,
    HASH,
    KEYED_HASH,
    KEYED_JSON,
    KEYED_TEXT,
)


_MESSAGE_WORDS = frozenset(
    "msg msgs message messages m turn turns item items entry entries event events".split()
)


def of_token(token: str, own: tuple[Format, ...] = ()) -> Format | None:
    """The format that a link names; None where there is none of that name."""
    format_ = next((f for f in own if f.token == token), None)
    if format_ is not None:
        return format_
    title, _, keys = token.partition(" · ")
    named = next((f for f in KNOWN if f.title == title), None)
    if named is None or not keys:
        return None
    prefix, ellipsis_, tail = keys.partition("…")
    return replace(named, prefix=prefix, tail=tail) if ellipsis_ else replace(named, prefix=keys, tail="")


def named(
    name: str, own: tuple[Format, ...] = (), prefix: str | None = None, tail: str | None = None
) -> Format:
    """The format of a name, with its usual prefix and tail or others; "" is none.

    Raises:
        BadInput: there is none of that name.
    """
    format_ = next((f for f in (*own, *KNOWN) if f.name == name), None)
    if format_ is None:
        names = ", ".join(dict.fromkeys(f.name for f in (*own, *KNOWN)))
        raise BadInput(f"There is no session format '{line(name, 60)}'.", f"Choose one of: {names}.")
    return replace(
        format_,
        prefix=format_.prefix if prefix is None else prefix,
        tail=format_.tail if tail is None else tail,
    )


def recognised(prefix: str, stored: Stored, value: Any, key: str = "") -> Format | None:
    """The format of a value, with this prefix; None where it looks like no session.

    Args:
        prefix: of its key.
        stored: what the engine calls it.
        value: parsed; of a list some of its entries.
        key: whole; its end tells some formats.
    """
    format_ = _TESTS[stored](value, key)
    if format_ is None:
        return None
    if format_.tail and format_.name in KEYED:
        return format_
    if format_.tail:
        # Of a prefix with a tail the id is what stands between: the usual prefix where the key has it.
        usual = key.startswith(format_.prefix)
        return format_ if usual else replace(format_, prefix=_before_id(key, format_))
    return replace(format_, prefix=prefix)


def _before_id(key: str, format_: Format) -> str:
    """The start of a key with a tail, up to the id: all but the last of its parts."""
    id_ = replace(format_, prefix="").id_of(key)
    head, colon, _ = id_.rpartition(":")
    return head + colon


def _hash(value: Any, key: str) -> Format | None:
    if not isinstance(value, dict):
        return None
    if value.get("history") is not None and value.get("user_id") is not None:
        return ARTICLE
    if is_memory(value):
        return MEMORY
    if is_message(value) and is_conversation([value]):
        if first(value, SESSION_PATHS) is not None:
            return REDISVL
        if (keyed := _keyed(KEYED_HASH, key)) is not None:
            return keyed
    if _list_in(value):
        return HASH
    if are_messages(dig(value, "[*].events[*]")):
        return ADK_HASH
    fields = [parsed(field) for field in value.values()]
    messages = sum(isinstance(field, dict) and is_message(field) for field in fields)
    if messages * 2 >= len(fields) and is_conversation([f for f in fields if is_message(f)]):
        return HASH_FIELDS
    return HASH if anywhere(value) else None


def _list(value: Any, key: str) -> Format | None:
    entries = [parsed(entry) for entry in value] if isinstance(value, list) else []
    if entries and all(isinstance(entry, list) and are_messages(entry) for entry in entries):
        return MESSAGE_LIST  # several messages an entry
    proper = [entry for entry in entries if is_entry(entry)]
    # Some entries may be damaged; a list of which most are something else is no conversation.
    if (
        not proper
        or len(proper) * 2 < len(entries)
        or not is_conversation(proper[:20], alone=len(entries) == 1)
    ):
        return None
    if not all(isinstance(entry, dict) for entry in proper):
        return MESSAGE_LIST
    if all(isinstance(entry.get("data"), dict) and "type" in entry for entry in proper):
        return LANGCHAIN
    if key.endswith(AGENTS.tail):
        return AGENTS
    return LLAMAINDEX if all("additional_kwargs" in entry for entry in proper) else MESSAGE_LIST


def _stream(value: Any, key: str) -> Format | None:
    return STREAM if _list(value, "") is not None else None


def _sorted_set(value: Any, key: str) -> Format | None:
    return SORTED_SET if _list(value, "") is not None else None


def _json(value: Any, key: str) -> Format | None:
    if _checkpoint(value):
        return LANGGRAPH
    if is_memory(value):
        return MEMORY_JSON
    if is_message(value):
        if _of_strands(value, key):
            return STRANDS
        if not is_conversation([value]):
            return None
        return MESSAGE_JSON if first(value, SESSION_PATHS) is not None else _keyed(KEYED_JSON, key)
    if are_messages(value):
        return BARE_DOCUMENT
    return DOCUMENT if _list_in(value) or anywhere(value) else None


def _string(value: Any, key: str) -> Format | None:
    value = parsed(value)
    if _checkpoint(value):
        return LANGGRAPH_TEXT
    if is_message(value):
        if _of_strands(value, key):
            return STRANDS_TEXT
        if not is_conversation([value]):
            return None
        return MESSAGE_TEXT if first(value, SESSION_PATHS) is not None else _keyed(KEYED_TEXT, key)
    if isinstance(value, dict):
        if are_messages(dig(value, "run_data.messages")) and "session_id" in value:
            return AGNO_RUNS
        if are_messages(dig(value, "runs[*].messages[*]")):
            return AGNO
        if are_messages(value.get("events")) and any(map(_of_adk, value["events"])):
            return ADK
    if are_messages(value):
        return BARE_TEXT
    return TEXT if _list_in(value) or anywhere(value) else None


def _keyed(format_: Format, key: str) -> Format | None:
    """The format of messages whose key ends with their number or id behind the session's id; else None."""
    prefix, _, rest = key.partition(":")
    id_, _, last = rest.rpartition(":")
    if not (id_ and last):
        return None
    session, _, word = id_.rpartition(":")
    tail = f":{word}:*" if session and word.lower() in _MESSAGE_WORDS else format_.tail
    return replace(format_, prefix=f"{prefix}:", tail=tail)


def _of_strands(value: Any, key: str) -> bool:
    return STRANDS.owns(STRANDS.prefix + key) and isinstance(value.get("message"), dict)


def _of_adk(event: Any) -> bool:
    """Whether an event has what Google ADK's have beside their content."""
    return isinstance(event, dict) and bool(event.keys() & {"invocation_id", "invocationId", "author"})


def _checkpoint(value: Any) -> bool:
    return isinstance(value, dict) and {"thread_id", "checkpoint_id", "checkpoint"} <= value.keys()


def _list_in(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for path in MESSAGES_PATHS:
        messages = messages_at(value, path)
        if not are_messages(messages):
            continue
        # Texts of a program may stand by their names too: of an object each message must tell who speaks.
        if path != "messages[*]" or all(isinstance(m, dict) and "role" in m for m in map(parsed, messages)):
            return True
    return False


KEYED = frozenset(format_.name for format_ in (KEYED_HASH, KEYED_JSON, KEYED_TEXT))
_TESTS: dict[Stored, Callable[[Any, str], Format | None]] = {
    "hash": _hash,
    "list": _list,
    "json": _json,
    "string": _string,
    "stream": _stream,
    "zset": _sorted_set,
}
