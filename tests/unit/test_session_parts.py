"""Messages of many makers as turns and parts; values that are packed, encrypted or damaged."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import pickle
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.display import plain
from memdb.json_text import json_text
from memdb.sessions.entries import conversation, turns_of_entry
from memdb.sessions.mapping import Format, read
from memdb.sessions.messages import are_messages, is_message
from memdb.sessions.packed import MOST_BYTES, unpacked, wide_text
from memdb.sessions.times import moment
from memdb.sessions.turns import ToolResult, part_line, said, turn_object, turn_rows

B64 = "QUFB" * 40  # 120 bytes


def told(*entries: Any) -> list[str]:
    """Turns as role and lines of their parts."""
    turns, problems = conversation(list(entries))
    assert problems == []
    return [f"{t.role}: {' '.join(part_line(p) for p in t.parts)}" for t in turns]


# Shapes as the makers' guides and sources give them.
SHAPES: dict[str, tuple[list[Any], list[str]]] = {
    "OpenAI chat": (
        [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/y.png"}}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
            {"role": "assistant", "content": None, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "assistant", "content": None, "refusal": "No."},
            {"role": "user"},
        ],
        [
            "user: [image, https://x.org/y.png]",
            'assistant: [calls f({"a":1}) c1]',
            "tool: [result c1: 4]",
            "assistant: [calls g({})]",
            "assistant: No.",
            "user: ",
        ],
    ),
    "Anthropic": (
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"x": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "gone"},
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": B64},
                            },
                        ],
                    },
                    {"type": "document", "title": "a.pdf", "source": {"type": "file", "file_id": "f1"}},
                ],
            },
        ],
        [
            'assistant: [thinking: hm] [thinking: not shown by the provider] [calls look({"x": 1}) t1]',
            "user: [error t1: gone] [image, image/png, 120 B] [file, a.pdf]",
        ],
    ),
    "Gemini": (
        [
            {
                "role": "user",
                "parts": [{"inlineData": {"mimeType": "audio/mp3", "data": B64}}, {"text": "Hear"}],
            },
            {
                "role": "model",
                "parts": [{"text": "hm", "thought": True}, {"functionCall": {"name": "f", "args": {}}}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"n": 4}}}]},
            {"role": "user", "parts": [{"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}}]},
        ],
        [
            "user: [audio, audio/mp3, 120 B] Hear",
            "model: [thinking: hm] [calls f({})]",
            'user: [result of f: {"n": 4}]',
            "user: [video, video/mp4, gs://b/v.mp4]",
        ],
    ),
    "Vercel AI SDK 5": (
        [
            {
                "id": "m2",
                "role": "assistant",
                "parts": [
                    {"type": "step-start"},
                    {"type": "reasoning", "text": "hm"},
                    {
                        "type": "tool-weather",
                        "toolCallId": "c1",
                        "state": "output-available",
                        "input": {"city": "Oslo"},
                        "output": {"t": 4},
                    },
                    {
                        "type": "tool-weather",
                        "toolCallId": "c2",
                        "state": "output-error",
                        "input": {},
                        "errorText": "no city",
                    },
                    {
                        "type": "dynamic-tool",
                        "toolName": "mcp",
                        "toolCallId": "c3",
                        "state": "input-available",
                    },
                    {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{B64}"},
                    {"type": "data-note", "data": {"x": 1}},
                    {"type": "text", "text": "Four.", "state": "done"},
                ],
            }
        ],
        [
            'assistant: [thinking: hm] [calls weather({"city": "Oslo"}) c1] [result of weather c1: {"t": 4}] '
            "[calls weather({}) c2] [error of weather c2: no city] [calls mcp() c3] [image, image/png, 120 B] "
            '[data_note: {"type": "data-note", "data": {"x": 1}}] Four.'
        ],
    ),
    "Vercel AI SDK 4": (
        [
            {
                "role": "assistant",
                "content": "Four.",
                "parts": [{"type": "text", "text": "Four."}],
                "createdAt": "2026-07-14T10:30:00.000Z",
            },
            {
                "role": "assistant",
                "content": "",
                "toolInvocations": [
                    {"state": "result", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}, "result": "4"}
                ],
            },
        ],
        ["assistant: Four.", 'assistant: [calls f({"a": 1}) c1] [result of f c1: 4]'],
    ),
    "LangChain": (
        [
            {
                "type": "ai",
                "data": {
                    "content": [
                        {"type": "text", "text": "I look."},
                        {"type": "tool_use", "id": "c1", "name": "f", "input": {}},
                    ],
                    "tool_calls": [{"name": "f", "args": {}, "id": "c1", "type": "tool_call"}],
                    "additional_kwargs": {
                        "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]
                    },
                },
            },
            {
                "type": "tool",
                "data": {"content": "bad", "tool_call_id": "c1", "name": "f", "status": "error"},
            },
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "HumanMessage"],
                "kwargs": {"content": "Hi"},
            },
        ],
        ["ai: I look. [calls f({}) c1]", "tool: [error of f c1: bad]", "human: Hi"],
    ),
    "Semantic Kernel in .NET": (
        [
            {"Role": {"Label": "user"}, "Items": [{"$type": "TextContent", "Text": "Hi"}]},
            {
                "Role": {"Label": "Assistant"},
                "Items": [
                    {
                        "$type": "FunctionCallContent",
                        "Id": "c1",
                        "PluginName": "Weather",
                        "FunctionName": "Get",
                        "Arguments": {"city": "Oslo"},
                    }
                ],
            },
            {
                "Role": {"Label": "Tool"},
                "Items": [{"$type": "FunctionResultContent", "CallId": "c1", "Result": "4"}],
            },
        ],
        ["user: Hi", 'Assistant: [calls Weather.Get({"city": "Oslo"}) c1]', "Tool: [result c1: 4]"],
    ),
    "Spring AI": (
        [
            {
                "type": "ASSISTANT",
                "content": "Hello",
                "conversation_id": "c",
                "timestamp": 1732571234000,
                "metadata": {},
            }
        ],
        ["ASSISTANT: Hello"],
    ),
    "AutoGen": (
        [
            {"source": "user", "content": "Weather?", "type": "TextMessage", "models_usage": None},
            {
                "source": "weather_agent",
                "content": [{"id": "c1", "name": "weather", "arguments": "{}"}],
                "type": "ToolCallRequestEvent",
            },
            {
                "source": "weather_agent",
                "content": [{"call_id": "c1", "name": "weather", "content": "4", "is_error": False}],
                "type": "ToolCallExecutionEvent",
            },
        ],
        [
            "user: Weather?",
            "weather_agent: [calls weather({}) c1]",
            "weather_agent: [result of weather c1: 4]",
        ],
    ),
    "Ollama": (
        [
            {"role": "user", "content": "What is it?", "images": [B64]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            },
        ],
        ["user: What is it? [image, 120 B]", 'assistant: [thinking: hm] [calls f({"a": 1})]'],
    ),
    "Agents SDK, hosted tools": (
        [
            {"id": "w", "type": "web_search_call", "status": "completed", "action": {"query": "cat"}},
            {
                "id": "k",
                "type": "mcp_call",
                "name": "f",
                "arguments": "{}",
                "output": None,
                "error": "refused",
            },
            {
                "type": "computer_call_output",
                "call_id": "c1",
                "output": {"type": "computer_screenshot", "image_url": "x"},
            },
        ],
        [
            'assistant: [calls web_search({"action": {"query": "cat"}}) w] [result of web_search w: empty]',
            "assistant: [calls f({}) k] [error of f k: refused]",
            'tool: [result c1: {"type": "computer_screenshot", "image_url": "x"}]',
        ],
    ),
    "LangChain's calls that are no JSON and other roles": (
        [
            {
                "type": "ai",
                "data": {
                    "content": "",
                    "type": "ai",
                    "invalid_tool_calls": [
                        {
                            "name": "w",
                            "args": "{oops",
                            "id": "c3",
                            "error": "no JSON",
                            "type": "invalid_tool_call",
                        }
                    ],
                },
            },
            {"type": "chat", "data": {"content": "x", "type": "chat", "role": "assistant"}},
        ],
        ["ai: [calls w({oops) c3] [error c3: no JSON]", "assistant: x"],
    ),
    "LlamaIndex's tool that failed": (
        [{"role": "tool", "content": "x", "additional_kwargs": {"tool_call_id": "c1", "is_error": True}}],
        ["tool: [error c1: x]"],
    ),
    "hosted tools of OpenAI": (
        [
            {"type": "web_search_call", "id": "w1", "status": "failed", "action": {"query": "x"}},
            {
                "type": "file_search_call",
                "id": "f1",
                "status": "completed",
                "queries": ["x"],
                "results": ["y"],
            },
            {
                "type": "code_interpreter_call",
                "id": "i1",
                "status": "completed",
                "code": "1+1",
                "outputs": ["2"],
            },
            {"type": "image_generation_call", "id": "g1", "status": "completed", "result": "A" * 400},
            {"type": "image_generation_call", "id": "g2", "status": "failed", "result": None},
            {
                "type": "function_call_output",
                "call_id": "c1",
                "output": "An error occurred while running the tool.",
            },
            {"type": "mcp_approval_request", "id": "m1", "name": "t", "arguments": "{}"},
            {"type": "item_reference", "id": "x"},
        ],
        [
            'assistant: [calls web_search({"action": {"query": "x"}}) w1] [error of web_search w1: empty]',
            'assistant: [calls file_search({"queries": ["x"], "results": ["y"]}) f1] '
            "[result of file_search f1: y]",
            "assistant: [calls code_interpreter(1+1) i1] [result of code_interpreter i1: 2]",
            "assistant: [calls image_generation() g1] [result of image_generation g1: empty] [image, 300 B]",
            "assistant: [calls image_generation() g2] [error of image_generation g2: empty]",
            "tool: [error c1: An error occurred while running the tool.]",
            'assistant: [mcp_approval_request: {"id": "m1", "name": "t", "arguments": "{}"}]',
            'assistant: [item_reference: {"id": "x"}]',
        ],
    ),
    "pydantic-ai's instructions and a retry of no tool": (
        [
            {
                "kind": "request",
                "instructions": "Be brief.",
                "parts": [
                    {
                        "part_kind": "retry-prompt",
                        "content": "Say it as JSON",
                        "tool_name": None,
                        "tool_call_id": "p1",
                    }
                ],
            }
        ],
        ["system: [instructions: Be brief.]", "user: Say it as JSON"],
    ),
    "Strands' result of text and JSON": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "toolResult": {
                            "toolUseId": "t1",
                            "status": "error",
                            "content": [{"text": "no"}, {"json": {"a": 1}}],
                        }
                    }
                ],
            }
        ],
        ['user: [error t1: no {"a": 1}]'],
    ),
    "AG2's tool responses beside their content": (
        [
            {
                "role": "tool",
                "content": "4",
                "tool_responses": [{"tool_call_id": "c1", "role": "tool", "content": "4"}],
            }
        ],
        ["tool: [result c1: 4]"],
    ),
    "Telegram's senders": (
        [
            {"from": {"id": 5, "is_bot": False}, "text": "hi"},
            {"from": {"id": 6, "is_bot": True}, "text": "ho"},
        ],
        ["user: hi", "assistant: ho"],
    ),
    "Dify's files": (
        [{"role": "user", "text": "hi", "files": [{"type": "image", "url": "https://example.com/a.png"}]}],
        ["user: hi [image, https://example.com/a.png]"],
    ),
    "Haystack's reasoning": (
        [
            {
                "role": "assistant",
                "content": [{"reasoning": {"reasoning_text": "hm", "extra": {}}}, {"text": "ok"}],
            }
        ],
        ["assistant: [thinking: hm] ok"],
    ),
}


@pytest.mark.parametrize("maker", list(SHAPES))
def test_each_makers_messages_are_turns_of_parts(maker: str) -> None:
    entries, turns = SHAPES[maker]
    assert told(*entries) == turns
    assert told(*map(json.dumps, entries)) == turns  # as texts within a list
    assert all(is_message(entry) for entry in entries if entry != {"role": "user"})


@pytest.mark.parametrize(
    "value",
    [
        {"type": "email", "message": "send", "id": 1},
        {"type": "job", "data": {"content": "x"}},
        {"from": "a@example.com", "to": "b@example.com", "body": "Hello"},
        {"author": "Melville", "text": "Call me Ishmael."},
        {"task": "resize", "args": [1], "id": "7"},
        {"event": "click", "type": "user", "count": 3},
        {"role": "admin", "permissions": ["x"]},
        {"messages": [{"role": "user", "content": "x"}], "role": "user"},
        {"body": "x", "headers": {}, "content-type": "application/json"},
        "a text",
        7,
        None,
        [],
    ],
)
def test_jobs_and_records_are_no_messages(value: object) -> None:
    assert not is_message(value)


def test_a_bad_line_is_named_at_its_place_and_hides_nothing() -> None:
    entries = [
        '{"role": "user", "content": "one"}',
        '{"role": "user", "content": "cut o',
        "plain words",
        "7",
        '{"note": "x"}',
        '{"__enc__": 1, "v": 1, "kid": "k", "payload": "gAAAAA"}',
        '{"role": "assistant", "content": "two"}',
    ]
    turns, problems = conversation(entries, 101)
    assert [turn.content for turn in turns] == ["one", entries[1], "plain words", "7", "", "", "two"]
    assert [problem.split(";")[0] for problem in problems] == [
        "Message 102 is no JSON (Unterminated string starting at character 29)",
        "Message 103 is a text, not a message with a role",
        "Message 104 is a text, not a message with a role",
        "Message 105 tells neither a role nor a text.",
        "Message 106 is encrypted",
    ]
    _, many = conversation(["x"] * 50)
    assert len(many) == 6
    assert many[-1] == "45 more messages are not as expected."


def test_half_an_emoji_a_nul_and_control_signs_are_made_visible() -> None:
    turns, _ = conversation(['{"role": "user", "content": "cut \\ud83d \\u0000 \\u001b[31m \\u202e"}'])
    shown = plain(turns[0].content)
    assert shown == "cut \\ud83d \\x00  \\u202e"
    assert turns[0].line.encode()
    assert str(turn_rows(turns)[0]["text"]).encode()
    assert json.loads(json_text(turn_object(turns[0])))["content"] == "cut \ud83d \x00 \x1b[31m \u202e"


def test_large_and_deep_messages_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = {"content": [deep]}
    (turn,), _ = conversation([{"role": "user", "content": [deep]}])
    assert part_line(turn.parts[0])
    (turn,), problems = conversation(['{"role": "user", "content": ' + "[" * 100_000])
    assert "Nested too deeply" in problems[0]
    nested = '{"role": "user", "content": ' + "[" * 5_000 + "]" * 5_000 + "}"
    turns, problems = conversation([nested, {"role": "assistant", "content": "ok"}])
    assert ([turn.role for turn in turns], problems) == (["user", "assistant"], [])
    assert "nested too deeply" in part_line(turns[0].parts[0])
    many = [{"type": "text", "text": str(i)} for i in range(10_005)]
    (turn,), _ = conversation([{"role": "user", "content": many}])
    assert (len(turn.parts), part_line(turn.parts[9_999])) == (10_001, "9999")
    assert "5 parts" in part_line(turn.parts[-1])
    (turn,), _ = conversation([{"role": "user", "content": "x" * 5_000_000}])
    assert len(turn.content) == 5_000_000
    assert len(turn.line) < 600


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    "role type content parts text toolUse tool_calls data image_url kwargs name id".split()
                ),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_any_entry_is_shown(entry: Any) -> None:
    turns, problems = conversation([entry])
    assert turns
    assert all(problem.endswith(".") for problem in problems)
    for turn in turns:
        json.loads(json_text(turn_object(turn)))
        assert not any(re.search("[\x00-\x1f\ud800-\udfff]", part_line(part)) for part in turn.parts)


MESSAGES = [{"role": "user", "content": "grün"}]
RAW = json.dumps(MESSAGES, ensure_ascii=False).encode()


def gzipped(raw: bytes) -> bytes:
    """The same bytes at any time: with the time in them their length, a part of the tests' names, differs between workers."""
    return gzip.compress(raw, mtime=0)


def named_by_length(part: object) -> str:
    return f"{len(part)} bytes" if isinstance(part, bytes) else str(part)


@pytest.mark.parametrize(
    ("raw", "said_of_it"),
    [
        (RAW, ""),
        (b"\xef\xbb\xbf" + RAW, ""),
        (gzipped(RAW), "compressed (gzip, "),
        (zlib.compress(RAW), "compressed (zlib, "),
        (bz2.compress(RAW), "compressed (bzip2, "),
        (lzma.compress(RAW), "compressed (xz, "),
        (pa.compress(RAW, codec="zstd", asbytes=True), "compressed (zstd, "),
        (pa.compress(RAW, codec="lz4", asbytes=True), "compressed (lz4, "),
        (msgpack.packb(MESSAGES), ""),
        (msgpack.packb([{"role": "user", "content": "grün", "raw": b"\xff"}]), "is MessagePack"),
        (gzipped(gzipped(RAW)), "compressed (gzip, "),
    ],
    ids=named_by_length,
)
def test_what_is_packed_is_unpacked(raw: bytes, said_of_it: str) -> None:
    value = unpacked(raw)
    assert value.readable
    assert value.document[0]["content"] == "grün"
    assert said_of_it in " ".join(value.problems)


FERNET = b"gAAAAABm" + b"Zm9v" * 30


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        *((pickle.dumps(MESSAGES, protocol=n), "a pickle of Python") for n in range(6)),
        (gzipped(pickle.dumps(MESSAGES)), "a pickle of Python"),
        (FERNET, "encrypted (Fernet)"),
        (b'"' + FERNET + b'"', "encrypted (Fernet)"),
        (b"eyJhbGciOiJkaXIifQ..abc.def.ghi", "encrypted (JWE)"),
        (b"Salted__" + bytes(range(40)), "encrypted (OpenSSL)"),
        (b"\xac\xed\x00\x05sr\x00", "Java"),
        (b'a:1:{s:4:"role";s:4:"user";}', "PHP"),
        (bytes((i * 197 + 31) % 256 for i in range(300)), "may be encrypted"),
        (gzipped(b"\0" * (MOST_BYTES + 1)), "unpacks to more than 32.0 MiB"),
        (gzipped(RAW)[:-9], "damaged"),
        (b"\x28\xb5\x2f\xfdxyz", "compressed (zstd) and damaged"),
        (gzipped(gzipped(gzipped(RAW))), "packed again"),
        (b"[" * 100_000, "Nested too deeply"),
        (b"x", "not JSON: Expecting value at character 1 of 1"),
        (b" ", "is empty"),
    ],
    ids=named_by_length,
)
def test_what_is_not_opened_is_named(raw: bytes, kind: str) -> None:
    value = unpacked(raw)
    assert (value.readable, value.document) == (False, None)
    assert kind in " ".join(value.problems)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_named(raw: bytes) -> None:
    value = unpacked(raw)
    assert value.readable or value.problems
    assert unpacked(gzipped(raw)).problems


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_784_025_000, 1_784_025_000),
        (1_784_025_000_123, 1_784_025_000.123),
        (1_784_025_000_123_456, 1_784_025_000.123456),
        ("1784025000123456789", 1_784_025_000.123457),
        ("1784025000.25", 1_784_025_000.25),
        ("2026-07-14T10:30:00.1234567Z", 1_784_025_000.123456),
        ("2026-07-14T10:30:00.5Z", 1_784_025_000.5),
        ("2026-07-14 12:30:00+02", 1_784_025_000),
        ("Tue, 14 Jul 2026 10:30:00 GMT", 1_784_025_000),
        ("Tue Jul 14 2026 12:30:00 GMT+0200 (CEST)", 1_784_025_000),
        ({"$date": "2026-07-14T10:30:00Z"}, 1_784_025_000),
        ({"$date": {"$numberLong": "1784025000500"}}, 1_784_025_000.5),
        ({"_seconds": 1_784_025_000, "_nanoseconds": 500_000_000}, 1_784_025_000.5),
        ("/Date(1784025000500+0200)/", 1_784_025_000.5),
        ("2026/07/14 10:30:00", 1_784_025_000),
        ({"$date": {"$date": {}}}, None),
        ({"seconds": "7"}, None),
        ("/Date(99999999999999999999)/", None),
        ("9" * 20, None),
        (10**30, None),
        ("12", None),
    ],
)
def test_times_of_any_unit(value: object, expected: float | None) -> None:
    at = moment(value)
    if expected is None:
        assert at is None
    else:
        assert at == datetime.fromtimestamp(expected, UTC)


def test_a_mapping_with_wildcards_joined_texts_and_a_table_of_roles() -> None:
    mine = Format(
        "mine",
        "Mine",
        "m:",
        "json",
        messages=("runs[*].log[*]",),
        role=("who",),
        text=("title + body[*].t", "note"),
        time=("at",),
        roles=(("1", "user"), ("2", "assistant")),
    ).checked()
    value = {
        "runs": [
            {"log": [{"who": 1, "title": "A", "body": [{"t": "b"}, {"t": "c"}], "at": 1_784_025_000_000}]},
            {"log": [{"who": "2", "note": "d"}, {"who": 3}]},
        ]
    }
    reading = read(mine, value)
    assert reading.turns[0].at == datetime(2026, 7, 14, 10, 30, tzinfo=UTC)
    assert [(turn.role, turn.content) for turn in reading.turns] == [
        ("user", "A\nb\nc"),
        ("assistant", "d"),
        ("3", ""),
    ]
    assert "Message 3 has no text at title + body[*].t or note." in reading.problems
    assert "'3'" in reading.problems[-1]
    assert said("user", "x").content == "x"


STORED = [{"role": "user", "content": "häl]lo {"}, {"role": "assistant", "content": "ho"}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
def test_json_of_any_unicode_encoding_is_read(encoding: str) -> None:
    value = unpacked(json.dumps(STORED, ensure_ascii=False).encode(encoding))
    assert (value.readable, value.document) == (True, STORED)
    assert [("UTF-16" in problem) for problem in value.problems] == [True] * (encoding != "utf-8-sig")


def test_vectors_are_no_text_in_utf_16() -> None:
    draw = np.random.default_rng(3)
    for dtype in ("<f4", "<f8", "<f2"):
        for _ in range(300):
            raw = bytearray(draw.normal(size=64).astype(dtype).tobytes())
            raw[:2] = (b"a\0", b"\0a")[int(draw.integers(2))]
            assert wide_text(bytes(raw)) is None
    assert wide_text(np.array([0.5] * 15 + [1.5], "<f4").tobytes()) is None


@pytest.mark.parametrize("packed", [bytes, gzipped])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_base64_of_json_and_of_what_is_packed_is_read(
    packed: Callable[[bytes], bytes], encode: Callable[[bytes], bytes]
) -> None:
    value = unpacked(encode(packed(json.dumps(STORED).encode())))
    assert (value.readable, value.document) == (True, STORED)
    assert "base64" in value.problems[0]


def test_words_that_begin_as_base64_does_are_texts() -> None:
    assert unpacked(b'"eyJust a text of words that is no base64"').document.startswith("eyJust")
    assert "not JSON" in unpacked(b"W3silverWordsThatAreNoJson").problems[0]


def test_what_lies_too_deep_hides_nothing_beside_it() -> None:
    deep = "[" * 30_000 + '"]["' + "]" * 30_000
    text = (
        '[{"role": "user", "content": "a]"}, {"role": "tool", "content": %s}, {"role": "ai", "content": "b"}]'
    )
    value = unpacked((text % deep).encode())
    assert [turn.role for turn in conversation(value.document)[0]] == ["user", "tool", "ai"]
    assert "nested too deeply" in value.problems[0]
    long_number = unpacked(b'[{"role": "user", "content": %s}]' % (b"9" * 5_000))
    assert long_number.document == [{"role": "user", "content": "9" * 5_000}]


@pytest.mark.parametrize(
    ("stored", "role"),
    [
        ("MessageRole.USER", "USER"),
        ("ROLE_ASSISTANT", "ASSISTANT"),
        ("human_message", "human"),
        (" Assistant ", "Assistant"),
        ("Professor.Plum", "Professor.Plum"),
        ("role_play", "role_play"),
    ],
)
def test_constants_of_languages_are_roles(stored: str, role: str) -> None:
    (turn,), problem = turns_of_entry({"role": stored, "content": "hi"})
    assert (turn.role, problem) == (role, "")


def test_who_speaks_may_be_a_flag() -> None:
    assert told({"isUser": True, "text": "hi"}, {"isUser": False, "text": "ho"}) == [
        "user: hi",
        "assistant: ho",
    ]
    assert told({"is_bot": False, "message": "hi"}, {"is_bot": True, "message": "ho"}) == [
        "user: hi",
        "assistant: ho",
    ]


@pytest.mark.parametrize(
    "records",
    [
        [{"type": "user", "content": "Bob followed you", "id": 4}, {"type": "system", "content": "Soon"}],
        [{"level": "info", "source": "system", "message": "up"}, {"source": "agent", "message": "down"}],
        [{"from": "support", "to": "x@example.com", "body": "hi"}],
        [{"author": "system", "content": "x", "title": "t"}, {"author": "agent", "content": "y"}],
        [{"type": "user", "data": {"id": 1, "content": "x"}}],
        [{"is_bot": True, "text": "a"}, {"is_bot": True, "text": "b"}],
    ],
)
def test_records_whose_type_is_a_word_for_a_role_are_no_conversation(records: list[object]) -> None:
    assert not are_messages(records)


@pytest.mark.parametrize(
    "entries",
    [
        [{"type": "human", "content": "hi"}],
        [{"type": "system", "data": {"content": "Be brief.", "type": "system", "additional_kwargs": {}}}],
        [{"from": "user", "text": "hi"}, {"from": "bot", "text": "ho"}],
        [{"sender": "user", "text": "hi"}, {"sender": "user", "text": "still there?"}],
        [{"event": "user", "text": "hi"}, {"event": "bot", "text": "ho"}],
        [{"source": "user", "type": "TextMessage", "content": "hi"}],
    ],
)
def test_conversations_whose_roles_are_told_loosely(entries: list[object]) -> None:
    assert are_messages(entries)


@pytest.mark.parametrize(
    ("content", "text", "failed"),
    [
        ({"a": 1}, '{"a": 1}', False),
        ({"error": "boom"}, '{"error": "boom"}', True),
        ('{"error": {"code": 5}}', '{"error": {"code": 5}}', True),
        ('{"success": false}', '{"success": false}', True),
        ({"error": None, "result": 4}, '{"result": 4}', False),
        ('{"result": "found", "error": "2 skipped"}', '{"result": "found", "error": "2 skipped"}', False),
        ("{no JSON", "{no JSON", False),
        ("error handling is fine", "error handling is fine", False),
    ],
)
def test_what_a_tool_gave_back_says_whether_it_failed(content: object, text: str, failed: bool) -> None:
    (turn,), _ = turns_of_entry({"role": "tool", "tool_call_id": "c", "content": content})
    assert turn.parts == (ToolResult(text, "c", "", failed),)


def test_a_message_that_is_encrypted_is_named() -> None:
    token = "gAAAAA" + "B" * 94
    assert told({"role": "user", "content": token}) == [f"user: [encrypted (Fernet): {token}]"]
    assert told({"role": "user", "content": "gAAAAA is how they begin"}) == ["user: gAAAAA is how they begin"]
