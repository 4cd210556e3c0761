"""What each framework stores, frozen in tests/fixtures/sessions: recognised, listed, and shown turn by turn.

The files say which library and version wrote them, or from which source they were rebuilt.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.sessions import listing
from memdb.sessions.detect import detect
from memdb.sessions.turns import part_line
from tests.standins import memorydb, valkey_search

FROZEN = Path(__file__).parent.parent / "fixtures" / "sessions"
LOOK = "[image, image/png, 90 B]"
ADK = [
    "user: Weather?",
    'model: [thinking: I think] [calls weather({"city": "Oslo"}) c1]',
    'user: [result of weather c1: {"result": "4 degrees"}]',
    f"user: {LOOK} And this?",
    "model: Four degrees.",
]
AGNO = [
    "system: Be brief.",
    "user: Weather?",
    'assistant: [calls weather({"city": "Oslo"}) c1]',
    "tool: [result of weather c1: 4 degrees]",
    "assistant: Four degrees.",
    "user: And tomorrow?",
    "assistant: Five.",
]
HAYSTACK = [
    "system: Be brief.",
    "user: Weather?",
    'assistant: I look. [calls weather({"city": "Oslo"}) c1]',
    "tool: [result of weather c1: 4 degrees]",
    "assistant: Four degrees.",
]
# File → for each format that is recognised: its name, its keys, the sessions, and the turns of the first.
AGENT_FRAMEWORK = [
    "system: Be brief.",
    "user: Weather? [image, image/png, 70 B]",
    'assistant: [thinking: hm] [calls weather({"city": "Oslo"}) c1] [calls wipe({"disk":1}) c2]',
    "tool: [result c1: 4 degrees] [error c2: FunctionInvocationError]",
    "assistant: Four degrees. [file, application/pdf, https://example.com/plan.pdf]",
]
EXPECTED: dict[str, list[tuple[str, str, list[str], list[str]]]] = {
    "agent-memory-server": [
        (
            "memory",
            "memory_idx:",
            ["01A"],
            [
                'memory: Likes tea [about this memory: {"session_id": "s1", "user_id": "ann", "namespace": "shop", '
                '"created_at": "1784025000.5", "last_accessed": "1784111400", "updated_at": "1784025000.5", '
                '"pinned": "0", "access_count": "3", "topics": "taste,drinks", "entities": "tea", '
                '"memory_type": "semantic"}]'
            ],
        ),
        ("json", "working_memory:", ["shop:ann:s1"], ["user: I like tea"]),
    ],
    "langchain4j": [
        (
            "text-list",
            "memory:",
            ["7"],
            [
                "SYSTEM: Be brief.",
                "USER: Weather? [image, https://example.com/a.png] [file, application/pdf, 90 B]",
                'AI: [calls weather({"city":"Oslo"}) c1]',
                "TOOL_EXECUTION_RESULT: [result of weather c1: 4 degrees]",
                "AI: Four degrees.",
            ],
        )
    ],
    "n8n-flowise": [
        (
            "langchain",
            "…",
            ["4f9d01aa-1111-4222-8333-abcdefabcde1", "8a1c02bb-1111-4222-8333-abcdefabcde2"],
            ["human: Hi", "ai: Hello"],
        )
    ],
    "spring-ai": [
        (
            "message-json",
            "chat-memory:",
            ["conv-1"],
            [
                "USER: Weather? [image, image/png, look, 90 B] [image, image/jpeg, https://example.com/a.jpg]",
                'ASSISTANT: [calls weather({"city":"Oslo"}) c1]',
                "TOOL: [result of weather c1: 4 degrees]",
            ],
        )
    ],
    "vercel-ai": [
        (
            "text-list",
            "chat:",
            ["abc"],
            [
                "user: Weather?",
                'assistant: [calls weather({"city": "Oslo"}) c1] [result of weather c1: 4 degrees] Four degrees.',
                'assistant: [calls wipe({"disk": 1}) c9] [error of wipe c9: not today] '
                "[file, application/pdf, plan.pdf, https://example.com/plan.pdf] "
                '[source_document: {"type": "source-document", "sourceId": "s1", "mediaType": '
                '"application/pdf", "title": "Plan"}]',
            ],
        ),
        ("hash", "chat:", ["def"], ["user: Hi"]),
    ],
    "agent-framework": [
        (
            "list",
            "…",
            [
                "app_messages|v2|acme|app|desk|redis_memory|t3",
                "chat_messages|v2|acme|app|desk|redis_memory|t1",
            ],
            AGENT_FRAMEWORK,
        ),
    ],
    "agno": [
        ("agno-runs", "agno:runs:", ["s1"], AGNO),
        ("agno", "old:", ["sessions:s1"], AGNO),
    ],
    "google-adk": [("adk", "adk:session:", ["app:ann:s1"], ADK)],
    "google-adk-community": [("adk", "session:", ["s1"], ADK)],
    "google-adk-redis": [("adk", "session:", ["app:ann:s1"], ADK)],
    "haystack": [("list", "hay:", ["1"], HAYSTACK), ("text", "haydoc:", ["1"], HAYSTACK)],
    "autogen": [
        ("redisvl", "memory:", ["01M8CG3Q4AR6QYJRF536VJR935"], ["user: likes tea", "user: lives in Oslo"])
    ],
    "langgraph-store": [
        (
            "memory-json",
            "store:",
            ["01M8CG3PXNM1ZS5YF93MDH8A4V", "01M8CG3PXTG49HTV17YYWZG2YK", "01M8CG3PXTG49HTV17YYWZG2YM"],
            [
                'memory: likes tea [about this memory: {"prefix": "memories\\\\.ann", "key": "m1", '
                '"updated_at": 1795715881909134}]'
            ],
        )
    ],
    "langchain-redis": [
        (
            "message-json",
            "chat:",
            ["s1", "s2"],
            [f"human: What is it? {LOOK}", "ai: ", "tool: [result c1: a cat]", "ai: [thinking: hm] A cat."],
        )
    ],
    "llama-index": [
        (
            "llamaindex",
            "…",
            ["user1", "user2"],
            [
                "user: What is on it?",
                "user: Look: [image, image/png, 98 B]",
                'assistant: [calls look({"x": 1}) c1]',
                "tool: [result of look c1: a cat]",
                'assistant: [thinking: hm] [calls zoom({"by": 2}) c2] A cat.',
            ],
        )
    ],
    "mem0": [
        (
            "memory",
            "mem0:",
            ["mem0:m1", "mem0:m2"],
            [
                'memory: Likes tea [about this memory: {"created_at": "1784025000", "run_id": "s1", '
                '"user_id": "ann", "metadata": {"category": "taste"}}]'
            ],
        )
    ],
    "openai-agents": [
        (
            "openai-agents",
            "agents:session:…:messages",
            ["user-1", "user-2"],
            [
                "user: Weather in Oslo?",
                "assistant: [thinking: I need the weather tool.]",
                'assistant: [calls weather({"city":"Oslo"}) c1]',
                "tool: [result c1: 4 degrees, rain]",
                "assistant: Four degrees and rain.",
            ],
        )
    ],
    "pydantic-ai": [
        (
            "text-list",
            "hist:",
            ["1", "2"],
            [
                "system: Be nice",
                f"user: What is it? [image, image/png, https://example.com/a.png] {LOOK}",
                'assistant: [thinking: hm] I look. [calls look({"x": 1}) c1]',
                'tool: [result of look c1: {"is": "a cat"}] [error of weather c2: wrong city]',
                "assistant: A cat.",
            ],
        )
    ],
    "semantic-kernel": [
        (
            "text",
            "skpy:",
            ["1"],
            [
                "system: Be brief.",
                "user: Weather?",
                'assistant: [calls weather-get({"city":"Oslo"}) c1]',
                "tool: [result of weather-get c1: 4 degrees]",
                f"user: And this? {LOOK}",
                "assistant: Four degrees.",
            ],
        )
    ],
    "strands-valkey": [
        (
            "strands",
            "session:…:agent:*:message:*",
            ["s1", "s2"],
            [
                "user: Hi s1",
                'assistant: Let me look. [calls look({"x": 1}) t1]',
                "user: [error t1: no such place]",
                "assistant: [thinking: hm] It is gone.",
                "user: [image, png, 90 B] And this?",
            ],
        )
    ],
}


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("frameworks"), log=False, json=True) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module", params=["local", "valkey-search", "MemoryDB"])
def target(own_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The local engine, by itself and as the others speak."""
    if request.param == "local":
        yield own_engine.target
        return
    with (memorydb if request.param == "MemoryDB" else valkey_search)(own_engine.target) as front:
        yield replace(front.target, writable=True)


@pytest.fixture
def server(target: Target) -> Iterator[Client]:
    with connect(target) as opened:
        yield opened
        cursor = b"0"
        while True:
            cursor, keys = opened.execute("SCAN", cursor, "COUNT", 10_000)
            if keys:
                opened.execute("DEL", *keys)
            if cursor == b"0":
                break


def stored(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def put(client: Client, name: str) -> dict[str, Any]:
    """The keys of a frozen file, written as they were."""
    keys: dict[str, Any] = json.loads((FROZEN / f"{name}.json").read_text())["keys"]
    for key, entry in keys.items():
        value = entry["value"]
        match entry["type"]:
            case "list":
                client.execute("RPUSH", key, *map(stored, value))
            case "hash":
                client.execute(
                    "HSET", key, *(p for pair in value.items() for p in (pair[0], stored(pair[1])))
                )
            case "string":
                client.execute("SET", key, stored(value))
            case "ReJSON-RL":
                client.execute("JSON.SET", key, "$", value)
            case _:  # sets, which are no sessions
                client.execute("HSET", key, "of", "an index")
    return keys


def test_every_frozen_file_says_who_wrote_it_and_is_expected_here() -> None:
    files = {path.stem: json.loads(path.read_text()) for path in FROZEN.glob("*.json")}
    assert files.keys() == EXPECTED.keys()
    for name, file in files.items():  # a library's release, or that no library wrote it
        told = file["written_by"]
        assert told.startswith("nothing: rebuilt by hand") or any(c.isdigit() for c in told), name


@pytest.mark.parametrize("name", list(EXPECTED))
def test_what_frameworks_store_is_recognised_and_shown(server: Client, name: str) -> None:
    keys = put(server, name)
    detected = detect(server)
    assert {(s.format.name, s.format.keys) for s in detected.formats} == {
        (format_, named) for format_, named, _, _ in EXPECTED[name]
    }
    assert detected.other + sum(s.keys for s in detected.formats) == len(keys)
    for seen in detected.formats:
        ids, turns = next((i, t) for n, _, i, t in EXPECTED[name] if n == seen.format.name)
        page = listing.page(server, seen.format)
        assert page.complete
        assert sorted(s.id for s in page.sessions) == ids
        row = next(s for s in page.sessions if s.id == ids[0])
        opened = listing.open_session(server, seen.format, ids[0]).session
        shown = [f"{t.role}: {' '.join(part_line(p) for p in t.parts)}" for t in opened.turns]
        assert shown == turns
        assert (row.turns, opened.total, opened.problems) == (len(turns), len(turns), ())
        first = next((t for t in turns if t.split(":")[0].lower() in ("user", "human")), turns[0])
        assert row.opening
        assert row.opening in first
