"""What a message holds: its content, thoughts, calls of tools, their results, what is attached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memdb.sessions.parts import as_json, calls_of, failed_in, kind_of, media_of, parts_of, result_of
from memdb.sessions.turns import Other, Part, Text, Thinking, ToolCall, ToolResult
from memdb.sessions.wrapped import from_json, parsed

CONTENT_NAMES = (
    *("content", "contents", "parts", "blocks", "items"),
    *("Items", "Content", "Contents", "_content", "text", "Text"),
)
CALL_NAMES = (
    *("tool_calls", "toolCalls", "toolInvocations", "function_call", "_tool_calls"),
    "toolExecutionRequests",  # LangChain4j's
    "invalid_tool_calls",  # LangChain's, whose arguments are no JSON
)
_RESULT_NAMES = (
    "toolResponses",
    "tool_responses",
    "tool_results",
    "toolResults",
)  # beside the content, as Spring AI's
_THOUGHT_NAMES = ("reasoning_content", "reasoning", "thinking", "thoughts")
_ATTACHED = ("attachments", "experimental_attachments", "images", "audio", "media", "files")


def holds_content(message: Mapping[str, Any]) -> bool:
    """Whether a message has a field for what is said, or for calls of tools."""
    return any(name in message for name in (*CONTENT_NAMES, *CALL_NAMES))


def parts_in(message: Mapping[str, Any]) -> list[Part]:
    """Everything in a message: its content, what it thought, tools it calls, what is attached."""
    thoughts: list[Part] = [
        Thinking(text)
        for place in (message, message.get("additional_kwargs"))
        if isinstance(place, dict)
        for name in _THOUGHT_NAMES
        if isinstance(text := place.get(name), str) and text
    ]
    parts: list[Part] = []
    for name in [name for name in CONTENT_NAMES if name in message]:
        value = from_json(message.get(name)) if name != "content" else message.get(name)
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
            for name in [name for name in CALL_NAMES if name in place]:
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


def as_result(message: Mapping[str, Any], parts: list[Part], call: str) -> list[Part]:
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
