"""Entries that are no message with a role, as turns.

An agent's items and steps, parts with roles of their own, events, and pieces of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from memdb.sessions.contents import CONTENT_NAMES, parts_in
from memdb.sessions.parts import as_json, call_of, calls_of, kind_of, media_of, parts_of, result_of
from memdb.sessions.roles import ROLES, SPEAKER_NAMES, bare
from memdb.sessions.turns import Other, Part, Text, Thinking, ToolCall, ToolResult, Turn
from memdb.sessions.wrapped import time_in

# Items of OpenAI's Responses API: tools that the provider runs, and what is neither said nor called.
_HOSTED = frozenset(
    "web_search_call file_search_call code_interpreter_call image_generation_call mcp_call".split()
)
_NOTES = frozenset(
    "mcp_list_tools mcp_approval_request mcp_approval_response compaction item_reference".split()
)
_PARTED = {"system_prompt": "system", "user_prompt": "user", "tool_return": "tool", "retry_prompt": "tool"}
_STEPS = ("user_message", "assistant_message", "system_message")  # Chainlit's, whose text is their output
_DELTA = re.compile(r"(text|reasoning|thinking|output_text|content_block|message|response)[\w.-]*delta", re.I)


def parted_turns(entry: Mapping[str, Any]) -> list[Turn]:
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


def agent_item(entry: Mapping[str, Any]) -> Turn | None:
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


def is_event(entry: Mapping[str, Any]) -> bool:
    """Whether an entry tells an event by its name and nothing that was said, as most of a tracker's do."""
    event = entry.get("event")
    if not isinstance(event, str) or not event or bare(event).lower() in ROLES:
        return False
    return not any(n in entry for n in (*SPEAKER_NAMES, *CONTENT_NAMES, "author", "data"))


def piece_of(entry: Any) -> Turn | None:
    """A piece of an answer as a model writes it: OpenAI's chunk, or an event of a stream; else None."""
    if not isinstance(entry, dict) or "role" in entry:
        return None
    chosen = entry.get("choices")
    if isinstance(chosen, list) and chosen and isinstance(chosen[0], dict):
        delta = chosen[0].get("delta")
        if not isinstance(delta, dict):
            return None
        return Turn(str(delta.get("role") or "assistant"), tuple(parts_in(delta)), time_in(entry))
    if not isinstance(kind := entry.get("type"), str) or not _DELTA.fullmatch(kind):
        return None
    content = next((v for n in ("delta", "textDelta", "text") if (v := entry.get(n)) is not None), None)
    content = content if not isinstance(content, dict) else content.get("text") or content.get("thinking")
    if not isinstance(content, str):
        return None
    thought = "reasoning" in kind or "thinking" in kind
    return Turn("assistant", (Thinking(content) if thought else Text(content),), time_in(entry))


def with_piece(turn: Turn, piece: Turn) -> Turn:
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
