"""A message's content as parts, whatever library wrote it: told by shape, not by the library's name.

Content is a text, a list of blocks, or an object with such a list. A block says what it is by a field
(`type`, `block_type`, `part_kind`, `content_type`, `$type`, `kind`, `_type`) or by the name of the only field
that it has (`toolUse`, `functionCall`, `inline_data`). What is none of these is kept as the JSON it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from memdb.sessions import stored_json
from memdb.sessions.packed import sealed
from memdb.sessions.turns import Media, Other, Part, Text, Thinking, ToolCall, ToolResult

DEEPEST = 6  # objects within objects that are looked into
MOST = 10_000  # parts of one message; more are told as one
_FEW = 16  # numbers in a list: more are bytes
_FAILED = "An error occurred while running the tool"  # what OpenAI's Agents SDK says to the model
_LOOKED_INTO = 2**16  # characters of a tool's result, for an error in it
_LONGEST = 2**20  # characters of JSON kept of one part that is no text

_KINDS = ("type", "block_type", "part_kind", "content_type", "$type", "kind", "_type")
_TEXTS = frozenset(
    "text input_text output_text plain_text textcontent textblock user_prompt system_prompt refusal "
    "retry_prompt text_delta".split()
)
_THINKING = frozenset(
    "thinking reasoning redacted_thinking thought think reasoning_text summary_text thinkingblock "
    "reasoningcontent textreasoningcontent text_reasoning".split()
)
_CALLS = frozenset(
    "tool_use tool_call function_call functioncallcontent functioncall tool_invocation server_tool_use "
    "mcp_tool_use toolcallblock dynamic_tool builtin_tool_call call".split()
)
_RESULTS = frozenset(
    "tool_result tool_return function_call_output functionresultcontent functionresult function_result "
    "function_response "
    "tool_call_output tool_output web_search_tool_result mcp_tool_result builtin_tool_return "
    "custom_tool_call_output tool_response code_execution_tool_result".split()
)
_MEDIA = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "imagecontent": "image",
    "imageblock": "image",
    "image_file": "image",
    "pdf": "file",
    "pdffile": "file",
    "audio": "audio",
    "input_audio": "audio",
    "audio_url": "audio",
    "audiocontent": "audio",
    "video": "video",
    "video_url": "video",
    "input_video": "video",
    "file": "file",
    "input_file": "file",
    "document": "file",
    "document_url": "file",
    "media": "file",
    "binary": "file",
    "binarycontent": "file",
    "inline_data": "file",
    "inlinedata": "file",
    "file_data": "file",
    "hosted_file": "file",
    "filedata": "file",
}
_MARKS = frozenset(("step_start", "step_finish"))  # where a step of the AI SDK begins: nothing to show
# Blocks that are told by the one field that is not null.
_KEYED_CALLS = (
    "toolUse",
    "toolRequest",
    "functionCall",
    "function_call",
    "tool_call",
    "toolCall",
    "executable_code",
)
_KEYED_RESULTS = (
    "toolResult",
    "toolResponse",
    "functionResponse",
    "function_response",
    "tool_call_result",
    "code_execution_result",
)
_KEYED_THINKING = ("reasoningContent", "reasoning_content", "reasoning")
_KEYED_MEDIA = (
    "image",
    "audio",
    "video",
    "document",
    "file",
    "inlineData",
    "inline_data",
    "fileData",
    "file_data",
    "media",
)
_KEYED_NOTES = ("cachePoint", "guardContent", "citationsContent")  # Bedrock's
_NAMES = ("name", "tool_name", "toolName", "function_name", "functionName", "FunctionName", "Name")
_PLUGINS = ("PluginName", "plugin_name")
_ARGUMENTS = ("arguments", "args", "input", "Arguments", "parameters", "tool_kwargs", "code")
_CALL_IDS = (
    "tool_call_id",
    "toolCallId",
    "tool_use_id",
    "toolUseId",
    "call_id",
    "callId",
    "CallId",
    "tool_id",
    "id",
    "Id",
    "ref",
)
_OUTPUTS = (
    *("output", "content", "result", "response", "responseData", "Result"),
    *("errorText", "error", "text", "outcome"),
)
_MEDIA_TYPES = (
    "media_type",
    "mime_type",
    "mimeType",
    "mediaType",
    "image_mimetype",
    "format",
    "MimeType",
    "mimetype",
    "document_mimetype",
)
_MEDIA_NAMES = ("filename", "file_name", "display_name", "displayName", "title", "name", "file_id", "fileId")


def parts_of(content: Any, depth: int = 0) -> list[Part]:
    """The parts of a message's content, in order. Never raises."""
    if content is None or content in ("", {}):
        return []
    if isinstance(content, str):
        kind = sealed(content)
        return [Other(kind, content) if kind else Text(content)]
    if isinstance(content, list):
        parts = [part for block in content[:MOST] for part in _block(block, depth + 1)]
        if len(content) > MOST:
            parts.append(Other("more parts", f"{len(content) - MOST:,} parts are not shown"))
        return parts
    if isinstance(content, dict):
        inner = content.get("parts")
        if isinstance(inner, list):
            return parts_of(inner, depth + 1)
        return _block(content, depth + 1)
    return [Text(as_json(content))]


def calls_of(value: Any) -> list[Part]:
    """Tool calls that stand beside a message's content, in a list or alone."""
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return []
    parts: list[Part] = []
    for call in value[:MOST]:
        if not isinstance(call, dict):
            parts.append(Other("tool call", as_json(call)))
            continue
        parts.append(call_of(call))
        if call.get("type") == "invalid_tool_call" and isinstance(call.get("error"), str):
            parts.append(
                replace(result_of({"error": call["error"]}), call=_text(call, _CALL_IDS), failed=True)
            )
        if "result" in call and call.get("state") == "result":  # a call that was answered in its place
            parts.append(result_of(call))
    return parts


def call_of(call: Mapping[str, Any]) -> ToolCall:
    """A tool call, whichever words it uses."""
    function = call.get("function")
    inner = function if isinstance(function, dict) else {}
    name = _text(inner, _NAMES) or _text(call, _NAMES) or (function if isinstance(function, str) else "")
    plugin = _text(call, _PLUGINS)
    arguments = _first(inner, _ARGUMENTS)
    if arguments is None:
        arguments = _first(call, _ARGUMENTS)
    return ToolCall(
        f"{plugin}.{name}" if plugin and not name.startswith(plugin) else name,
        arguments if isinstance(arguments, str) else "" if arguments is None else as_json(arguments),
        _text(call, _CALL_IDS),
    )


def result_of(result: Mapping[str, Any], depth: int = 0) -> ToolResult:
    """A tool's result, whichever words it uses."""
    origin = result.get("origin")
    inner = origin if isinstance(origin, dict) else {}
    error = _first(result, ("error", "exception", "Exception"))  # the latter Microsoft's
    failed = (
        result.get("is_error") is True
        or result.get("isError") is True
        or (error not in (None, False, "", {}))
        or str(result.get("status", "")).lower() in ("error", "failed", "failure", "incomplete")
        or str(result.get("state", "")) in ("output-error", "output-denied", "error")
    )
    output = _first(result, _OUTPUTS)
    if output == "" and failed and isinstance(error, str):
        output = error
    return ToolResult(
        _said(output, depth + 1),
        _text(result, _CALL_IDS) or _text(inner, _CALL_IDS),
        _text(result, _NAMES) or _text(inner, _NAMES),
        bool(failed) or failed_in(output),
    )


def failed_in(output: Any) -> bool:
    """Whether what a tool gave back says that it failed: an object, or JSON of one, with an error in it."""
    if isinstance(output, str) and output.startswith(_FAILED):
        return True
    if isinstance(output, str) and output[:1] == "{" and len(output) <= _LOOKED_INTO:
        try:
            output = stored_json.loads(output).value
        except json.JSONDecodeError:
            return False
    if not isinstance(output, dict):
        return False
    error = output.get("error") not in (None, False, "", {}, []) and not any(
        output.get(name) not in (None, "", {}, []) for name in ("result", "output", "data", "content")
    )
    return (
        error
        or any(output.get(name) is True for name in ("isError", "is_error"))
        or output.get("success") is False
        or str(output.get("type", "")).endswith("_error")
        or str(output.get("status", "")).lower() == "error"
    )


def media_of(block: Mapping[str, Any], kind: str, depth: int = 0) -> Media:
    """An image or file: what is known of it without opening it."""
    media = Media(kind, _text(block, _MEDIA_TYPES), None, _text(block, _MEDIA_NAMES))
    for value in block.values():
        if isinstance(value, list) and len(value) > _FEW and all(type(n) is int for n in value[:_FEW]):
            inner = Media("", size_bytes=len(value))  # bytes as numbers
        elif isinstance(value, str):
            inner = _stored(value)
        elif isinstance(value, dict) and depth < DEEPEST:
            inner = media_of(value, kind, depth + 1)
        else:
            continue
        size = media.size_bytes if media.size_bytes is not None else inner.size_bytes
        media = Media(
            _narrower(kind, media.media_type or inner.media_type),
            media.media_type or inner.media_type,
            size,
            media.name or inner.name,
            media.address or inner.address,
        )
    size_named = block.get("size") or block.get("size_bytes")
    if media.size_bytes is None and isinstance(size_named, int) and not isinstance(size_named, bool):
        media = Media(media.kind, media.media_type, size_named, media.name, media.address)
    return media


def kind_of(block: Mapping[str, Any]) -> str:
    """What a block says it is, in small letters with `_`; empty where it says nothing."""
    type_name = next((v for name in _KINDS if isinstance(v := block.get(name), str)), "")
    return type_name.rpartition(".")[2].replace("-", "_").lower()


def as_json(value: Any) -> str:
    """As JSON, cut where it is very long."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, TypeError, ValueError):
        return "(nested too deeply to show)"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST:,} more characters)"


def _block(block: Any, depth: int) -> list[Part]:
    if isinstance(block, str):
        return [Text(block)]
    if isinstance(block, list) and depth <= DEEPEST:  # lists of blocks within a list of them
        return parts_of(block, depth)
    if not isinstance(block, dict) or depth > DEEPEST:
        return [Other("part", as_json(block))]
    kind = kind_of(block)
    values = {name: value for name, value in block.items() if value is not None}
    if kind in _MARKS and len(values) == 1:
        return []
    if kind in _TEXTS:
        text = _first(values, ("text", "content", "Text", "refusal", "value"))
        return parts_of(text, depth) if isinstance(text, list) else [Text(_said(text, depth))]
    if kind in _THINKING:
        return [
            Thinking(
                _said(
                    _first(values, ("thinking", "text", "Text", "content", "summary", "reasoning", "think")),
                    depth,
                )
            )
        ]
    if kind in _RESULTS:
        return [result_of(values, depth), *_media_in(values, depth)]
    if kind in _CALLS or kind.startswith("tool_"):
        return _called(values, kind)
    if kind in _MEDIA:
        return [media_of(values, _MEDIA[kind])]
    if kind in ("data", "uri") and isinstance(values.get("uri"), str):  # Microsoft's Agent Framework
        return [media_of(values, "file")]
    if kind.endswith("_url") and "url" in values:
        return [media_of(values, "file")] if kind != "source_url" else [Other(kind, as_json(values))]
    return _keyed(values, kind, depth)


def _keyed(block: Mapping[str, Any], kind: str, depth: int) -> list[Part]:
    for name in _KEYED_CALLS:
        if isinstance(block.get(name), dict):
            call = call_of(block[name])
            return [call if call.name else ToolCall(name, call.arguments, call.id)]
    for name in _KEYED_RESULTS:
        if isinstance(block.get(name), dict):
            return [result_of(block[name], depth), *_media_in(block[name], depth)]
    for name in _KEYED_THINKING:
        if name in block:
            return [Thinking(_said(block[name], depth))]
    for name in _KEYED_MEDIA:
        if isinstance(block.get(name), dict):
            return [media_of(block[name], _MEDIA[name.lower()])]
    text = next((block[n] for n in ("text", "Text") if isinstance(block.get(n), str)), None)
    if text is not None and (not kind or len(block) <= 3 or block.get("thought")):
        return [Thinking(text) if block.get("thought") is True else Text(text)]
    if not kind and block.keys() == {"json"}:  # of a tool of Bedrock's
        return [Text(as_json(block["json"]))]
    if not kind and "name" in block and "arguments" in block:
        return [call_of(block)]
    if not kind and "call_id" in block and "content" in block:
        return [result_of(block, depth)]
    kind = kind or next((name for name in _KEYED_NOTES if name in block), "part")
    return [Other(kind, as_json(block))]


def _called(block: Mapping[str, Any], kind: str) -> list[Part]:
    inner = block.get("toolInvocation")
    if isinstance(inner, dict):
        return calls_of(inner)
    inner = block.get("tool_call")  # LibreChat's, with what came of it
    if isinstance(inner, dict):
        block = {**inner, **{n: v for n, v in block.items() if n in ("state", "id") and n not in inner}}
    call = call_of(block)
    if not call.name and kind not in _CALLS:  # the AI SDK's `tool-weather`
        call = ToolCall(str(block.get("type", kind))[5:] or kind, call.arguments, call.id)
    answered = any(block.get(name) is not None for name in ("output", "errorText"))
    if block.get("state") == "output-denied":  # the user did not let it run
        approval = block.get("approval")
        reason = approval.get("reason") if isinstance(approval, dict) else None
        block, answered = {**block, "output": reason or "denied"}, True
    return [call, result_of({**block, "name": call.name})] if answered else [call]


def _media_in(result: Mapping[str, Any], depth: int) -> list[Part]:
    """Images and files among what a tool gave back."""
    content = result.get("content")
    if not isinstance(content, list):
        return []
    return [part for part in parts_of(content, depth + 1) if isinstance(part, Media)]


def _said(value: Any, depth: int) -> str:
    """A value as text: as it is, the texts of its blocks, or its JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if depth <= DEEPEST and isinstance(value, list | dict):
        if isinstance(value, dict):
            inner = value.get("reasoningText", value)  # Bedrock's
            text = next(
                (
                    v
                    for n in ("text", "value", "reasoning_text")
                    if isinstance(inner, dict) and isinstance(v := inner.get(n), str)
                ),
                None,
            )
            return text if text is not None else as_json(value)
        parts = [part for block in value[:MOST] for part in _block(block, depth + 1)]
        if all(isinstance(part, Text | Thinking | Media) for part in parts):
            return "\n".join(part.text for part in parts if isinstance(part, Text | Thinking))
    return as_json(value)


def _stored(value: str) -> Media:
    """What a text within an image or file tells: an address, or bytes in base64."""
    if value.startswith("data:"):
        head, _, _ = value[:200].partition(",")
        return Media("", head[5:].split(";")[0], _decoded(len(value) - len(head) - 1, value[-2:]))
    if "://" in value[:12]:
        return Media("", address=value[:300])
    # Short texts are names and types; bytes of an image are longer than any of those.
    if (
        len(value) >= 64
        and value[:64].replace("+", "a").replace("/", "a").replace("-", "a").replace("_", "a").isalnum()
    ):
        return Media("", size_bytes=_decoded(len(value), value[-2:]))
    return Media("")


def _decoded(characters: int, end: str) -> int:
    """Bytes that so many characters of base64 stand for."""
    return max(0, characters * 3 // 4 - end.count("="))


def _narrower(kind: str, media_type: str) -> str:
    head = media_type.partition("/")[0].lower()
    return head if kind == "file" and head in ("image", "audio", "video") else kind


def _first(block: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((value for name in names if (value := block.get(name)) is not None), None)


def _text(block: Mapping[str, Any], names: Iterable[str]) -> str:
    value = next(
        (v for name in names if isinstance(v := block.get(name), str | int) and not isinstance(v, bool)), ""
    )
    return str(value)[:300]
