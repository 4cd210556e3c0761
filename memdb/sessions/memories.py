"""Things remembered of a user, as memories are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memdb.sessions.parts import as_json, parts_of
from memdb.sessions.turns import Other, Part, Text, Turn
from memdb.sessions.wrapped import parsed, time_in

_MEMORY_DETAILS = frozenset(
    "topics entities memory_type user_id session_id run_id agent_id namespace created_at updated_at "
    "last_accessed event_date access_count pinned extracted_from metadata "
    "categories".split()
)


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


def memory_turn(entry: Mapping[str, Any]) -> Turn:
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


def _stored_memory(value: Mapping[str, Any]) -> Any:
    """What LangGraph's store remembers, of which LangMem's memories are; None for anything else."""
    if isinstance(value.get("key"), str) and {"prefix", "value", "created_at"} <= value.keys():
        stored = value["value"]
        return stored if isinstance(stored, dict) and stored else None
    return None
