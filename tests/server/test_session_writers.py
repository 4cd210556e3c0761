"""Conversations as programs of many kinds write them: one text, Python's print, pieces, pairs, a key a message."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from memdb.cluster.client import Client
from memdb.sessions import listing
from memdb.sessions.detect import detect
from memdb.sessions.turns import part_line

T = 1_784_025_000  # 2026-07-14T10:30:00Z
Written = list[tuple[Any, ...]]


def m(role: object, content: object, **more: object) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


HI = [m("user", "hi"), m("assistant", "ho")]
SAID = ["user: hi", "assistant: ho"]
PRINTED = "[HumanMessage(content='hi', additional_kwargs={}), AIMessage(content='', tool_calls=[{'name': 'w', 'args': {'x': 1}, 'id': 'c1'}])]"
BAILEYS = [
    {"key": {"fromMe": False, "id": "1"}, "message": {"conversation": "hi"}, "messageTimestamp": T},
    {"key": {"fromMe": True, "id": "2"}, "message": {"extendedTextMessage": {"text": "ho"}}},
    {
        "key": {"fromMe": False, "id": "3"},
        "message": {"imageMessage": {"caption": "see", "mimetype": "image/png"}},
    },
]
LETTA = [
    {"message_type": "user_message", "content": "hi"},
    {"message_type": "reasoning_message", "reasoning": "hm"},
    {
        "message_type": "tool_call_message",
        "tool_call": {"name": "w", "arguments": "{}", "tool_call_id": "c1"},
    },
    {"message_type": "tool_return_message", "tool_return": "4", "status": "error", "tool_call_id": "c1"},
    {"message_type": "assistant_message", "content": "ho"},
]
AGENT_FRAMEWORK = [
    {
        "type": "chat_message",
        "role": {"type": "role", "value": "user"},
        "contents": [{"type": "text", "text": "hi"}],
    },
    {
        "type": "chat_message",
        "role": "assistant",
        "contents": [
            {"type": "text_reasoning", "text": "hm"},
            {"type": "function_call", "call_id": "c1", "name": "w", "arguments": "{}"},
            {"type": "data", "uri": "data:image/png;base64,AAAA", "media_type": "image/png"},
        ],
    },
]
LIBRECHAT = [
    {"sender": "User", "isCreatedByUser": True, "text": "hi"},
    {
        "sender": "GPT-5",
        "isCreatedByUser": False,
        "content": [
            {"type": "think", "think": "hm"},
            {"type": "tool_call", "tool_call": {"id": "c1", "name": "w", "args": "{}", "output": "4"}},
            {"type": "text", "text": {"value": "ho"}},
        ],
    },
]
OPEN_WEBUI = {
    "chat": {"history": {"currentId": "b", "messages": {"a": m("user", "hi"), "b": m("assistant", "ho")}}}
}
TRACKER = [
    {"event": "action", "name": "action_listen"},
    {"event": "user", "text": "hi", "timestamp": T},
    *({"event": "slot", "name": f"s{n}", "value": None} for n in range(4)),
    {"event": "bot", "text": "ho"},
]
CHAINLIT = [
    {"type": "user_message", "output": "hi", "name": "ann"},
    {"type": "tool", "name": "w", "input": "{}", "output": "4"},
    {"type": "assistant_message", "output": "ho", "name": "Bot"},
]
MASTRA = {
    "threadId": "t1",
    "role": "assistant",
    "createdAt": "2026-01-01T00:00:01.000Z",
    "content": {"format": 2, "parts": [{"type": "step-start"}, {"type": "text", "text": "ho"}]},
}
ARTIFACTS = {"runs": [{"type": "Run", "input": {"value": "hi"}, "output": {"value": "ho"}}]}
STORED: dict[str, tuple[Written, list[str]]] = {
    # One text.
    "lines": (
        [("SET", "c:1", "User: hi\nAssistant: ho\nand more\n")],
        ["User: hi", "Assistant: ho and more"],
    ),
    "lines with times, in bold": (
        [("SET", "c:1", "[2026-01-01 10:00] **Human:** hi\n[2026-01-01 10:01] **AI:** ho")],
        ["Human: hi", "AI: ho"],
    ),
    "lines in Chinese": ([("SET", "c:1", "用户：你好\n助手：好")], ["用户: 你好", "助手: 好"]),
    "lines in a field": (
        [("HSET", "c:1", "user_id", "ann", "log", "Customer: hi\nAgent: ho")],
        ["Customer: hi", "Agent: ho"],
    ),
    "ChatML": (
        [("SET", "c:1", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nho<|im_end|>\n")],
        SAID,
    ),
    "Llama 3": (
        [
            (
                "SET",
                "c:1",
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nho<|eot_id|>",
            )
        ],
        SAID,
    ),
    "Llama 2": (
        [("SET", "c:1", "<s>[INST] <<SYS>>be brief<</SYS>> hi [/INST] ho </s><s>[INST] x [/INST]")],
        ["system: be brief", *SAID, "user: x"],
    ),
    "Gemma": (
        [("SET", "c:1", "<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\nho<end_of_turn>\n")],
        ["user: hi", "model: ho"],
    ),
    "Harmony": (
        [
            (
                "SET",
                "c:1",
                "<|start|>user<|message|>hi<|end|><|start|>assistant<|channel|>analysis<|message|>hm<|end|>"
                "<|start|>assistant<|channel|>final<|message|>ho<|return|>",
            )
        ],
        ["user: hi", "assistant: [thinking: hm]", "assistant: ho"],
    ),
    # As Python prints it.
    "a printed list": (
        [("SET", "c:1", str([m("user", "it's"), m("assistant", None)]))],
        ["user: it's", "assistant: "],
    ),
    "printed entries": ([("RPUSH", "c:1", str(HI[0]), str(HI[1]))], SAID),
    "a printed history": ([("HSET", "session:1", "user_id", "ann", "history", str(HI))], SAID),
    "printed pairs": ([("SET", "c:1", str([("user", "hi"), ("assistant", "ho")]))], SAID),
    "printed messages": ([("SET", "c:1", PRINTED)], ["human: hi", 'ai: [calls w({"x": 1}) c1]']),
    # Damaged, or several documents.
    "cut off": ([("SET", "c:1", json.dumps([*HI, m("user", "lost")])[:-12])], SAID),
    "a comma too many": ([("SET", "c:1", json.dumps(HI)[:-1] + ",]")], SAID),
    "one behind the other": ([("SET", "c:1", "".join(map(json.dumps, HI)))], SAID),
    "lists as entries": ([("RPUSH", "c:1", json.dumps(HI), json.dumps(HI[:1]))], [*SAID, "user: hi"]),
    # Who speaks.
    "numbers": ([("SET", "c:1", [m(1, "hi"), m(2, "ho"), m(1, "x")])], ["1: hi", "2: ho", "1: x"]),
    "names": (
        [("SET", "c:1", [m("Ann", "hi"), m("Bo", "ho"), m("Ann", "x")])],
        ["Ann: hi", "Bo: ho", "Ann: x"],
    ),
    "German": (
        [("SET", "c:1", [m("Benutzer", "hi"), m("Assistent", "ho")])],
        ["Benutzer: hi", "Assistent: ho"],
    ),
    "WhatsApp": (
        [
            (
                "RPUSH",
                "c:1",
                {"fromMe": False, "from": "49170@c.us", "type": "chat", "body": "hi"},
                {"fromMe": True, "from": "me", "body": "ho"},
            )
        ],
        SAID,
    ),
    "Baileys": ([("SET", "c:1", BAILEYS)], [*SAID, "user: see [image, image/png]"]),
    "directions": (
        [("RPUSH", "c:1", {"direction": "inbound", "body": "hi"}, {"direction": "outbound", "body": "ho"})],
        SAID,
    ),
    "Discord": (
        [
            (
                "RPUSH",
                "c:1",
                {"author": {"username": "ann", "bot": False}, "content": "hi"},
                {"author": {"bot": True}, "content": "ho"},
            )
        ],
        ["user: hi", "bot: ho"],
    ),
    # Shapes of programs.
    "Letta": (
        [("SET", "c:1", LETTA)],
        [
            "user: hi",
            "assistant: [thinking: hm]",
            "assistant: [calls w({}) c1]",
            "tool: [error c1: 4]",
            "assistant: ho",
        ],
    ),
    "Microsoft's Agent Framework": (
        [("RPUSH", "chat_messages:t", *AGENT_FRAMEWORK)],
        ["user: hi", "assistant: [thinking: hm] [calls w({}) c1] [image, image/png, 3 B]"],
    ),
    "LibreChat": (
        [("SET", "c:1", LIBRECHAT)],
        ["User: hi", "assistant: [thinking: hm] [calls w({}) c1] [result of w c1: 4] ho"],
    ),
    "Open WebUI": ([("SET", "c:1", OPEN_WEBUI)], SAID),
    "a tracker": (
        [("SET", "c:1", {"events": TRACKER})],
        [
            'event: [action: {"event": "action", "name": "action_listen"}]',
            "user: hi",
            *(f'event: [slot: {{"event": "slot", "name": "s{n}", "value": null}}]' for n in range(4)),
            "bot: ho",
        ],
    ),
    "Chainlit": (
        [("SET", "c:1", {"steps": CHAINLIT})],
        ["user: hi", "tool: [calls w({})] [result of w: 4]", "assistant: ho"],
    ),
    "Mastra": ([("SET", "mastra_messages:threadId:t1:id:m1", MASTRA)], ["assistant: ho"]),
    "Griptape": ([("HSET", "griptape", "c1", ARTIFACTS)], SAID),
    "LangGraph's store": (
        [
            (
                "JSON.SET",
                "store:1",
                "$",
                {"key": "k", "prefix": "p", "value": {"content": {"content": "tea"}}, "created_at": T},
            )
        ],
        ['memory: tea [about this memory: {"prefix": "p", "key": "k"}]'],
    ),
    "an answer as it came": ([("RPUSH", "c:1", {"choices": [{"message": HI[1]}]})], ["assistant: ho"]),
    "chunks": (
        [
            (
                "RPUSH",
                "c:1",
                *(
                    {"choices": [{"delta": d}]}
                    for d in (m("assistant", ""), {"content": "h"}, {"content": "o"})
                ),
            )
        ],
        ["assistant: ho"],
    ),
    "pieces in a stream": (
        [
            ("XADD", "c:1", "*", "type", "text-delta", "delta", "h"),
            ("XADD", "c:1", "*", "type", "text-delta", "delta", "o"),
        ],
        ["assistant: ho"],
    ),
    "Microsoft's AI abstractions in .NET": (
        [
            (
                "RPUSH",
                "c:1",
                {"Role": "user", "Contents": [{"$type": "text", "Text": "hi"}]},
                {
                    "Role": "assistant",
                    "Contents": [
                        {"$type": "reasoning", "Text": "hm"},
                        {"$type": "functionCall", "CallId": "c1", "Name": "w", "Arguments": {}},
                        {"$type": "functionResult", "CallId": "c1", "Result": "4"},
                    ],
                },
            )
        ],
        ["user: hi", "assistant: [thinking: hm] [calls w({}) c1] [result c1: 4]"],
    ),
    "Genkit": (
        [
            (
                "SET",
                "c:1",
                [
                    m("model", [{"toolRequest": {"name": "w", "ref": "c1", "input": {"a": 1}}}]),
                    m("tool", [{"toolResponse": {"name": "w", "ref": "c1", "output": "4"}}]),
                    m("model", [{"media": {"url": "data:image/png;base64,AAAA"}}]),
                ],
            )
        ],
        ['model: [calls w({"a": 1}) c1]', "tool: [result of w c1: 4]", "model: [image, image/png, 3 B]"],
    ),
    "AutoGen's results": (
        [
            (
                "SET",
                "c:1",
                {
                    "llm_context": {
                        "messages": [
                            {"type": "UserMessage", "content": "hi", "source": "user"},
                            {
                                "type": "FunctionExecutionResultMessage",
                                "content": [
                                    {"content": "4", "call_id": "c1", "is_error": False, "name": "w"}
                                ],
                            },
                        ]
                    }
                },
            )
        ],
        ["user: hi", "tool: [result of w c1: 4]"],
    ),
    "Bedrock AgentCore": (
        [
            (
                "SET",
                "c:1",
                {
                    "events": [
                        {"payload": [{"conversational": m("USER", {"text": "hi"})}]},
                        {"payload": [{"conversational": m("ASSISTANT", {"text": "ho"})}]},
                    ]
                },
            )
        ],
        ["USER: hi", "ASSISTANT: ho"],
    ),
    "names beside roles": (
        [
            (
                "SET",
                "c:1",
                {"messages": [m("Ann", "hi", role_type="user"), m("Bo", "ho", role_type="assistant")]},
            )
        ],
        SAID,
    ),
    "CAMEL": (
        [("SET", "c:1", [{"message": {"role_name": "A", "content": "hi"}, "role_at_backend": "user"}])],
        ["user: hi"],
    ),
    "Slack": (
        [
            (
                "RPUSH",
                "c:1",
                {"type": "message", "user": "ann", "text": "hi", "ts": f"{T}.000100"},
                {"type": "message", "bot_id": "B1", "text": "ho", "ts": f"{T}.000200"},
            )
        ],
        ["user: hi", "bot: ho"],
    ),
    "Agno's failed tool": (
        [("SET", "c:1", [m("assistant", "x"), m("tool", "4", tool_call_id="c1", tool_call_error=True)])],
        ["assistant: x", "tool: [error c1: 4]"],
    ),
    "constants as objects and in lists": (
        [("SET", "c:1", [m({"name": "USER"}, "hi"), m(["assistant"], "ho")])],
        ["USER: hi", "assistant: ho"],
    ),
    "an answer of Gemini's": (
        [("SET", "c:1", {"candidates": [{"content": {"role": "model", "parts": [{"text": "ho"}]}}]})],
        ["model: ho"],
    ),
    "a spoken answer": (
        [
            (
                "SET",
                "c:1",
                [m("user", "hi"), m("assistant", None, audio={"data": "A" * 200, "transcript": "ho"})],
            )
        ],
        ["user: hi", "assistant: [audio, 150 B] ho"],
    ),
    "headings": ([("SET", "c:1", "## User\nhi\n\n## Assistant (gpt)\nho\n")], ["User: hi", "Assistant: ho"]),
    "the same twice, as text and as objects": (
        [("SET", "c:1", {"said": "User: hi\nAI: ho\nUser: bye", "log": HI})],
        ["User: hi", "AI: ho", "User: bye"],
    ),
    "templates as entries": (
        [("RPUSH", "c:1", "<|im_start|>user\nhi<|im_end|>", "<|im_start|>assistant\nho<|im_end|>")],
        SAID,
    ),
    "lines as entries": (
        [("RPUSH", "c:1", "User: hi\nAI: ho", "User: x\nAI: y")],
        ["User: hi", "AI: ho", "User: x", "AI: y"],
    ),
    "lines in a stream": (
        [("XADD", "c:1", "*", "line", "User: hi"), ("XADD", "c:1", "*", "line", "AI: ho")],
        ["User: hi", "AI: ho"],
    ),
    "three numbers": (
        [("SET", "c:1", [m(0, "s"), m(1.0, "hi"), m(2, "ho"), m(1, "x")])],
        ["0: s", "1: hi", "2: ho", "1: x"],
    ),
    "WhatsApp's ids": (
        [
            (
                "RPUSH",
                "c:1",
                {"id": {"fromMe": False}, "body": "hi", "author": "4917@c.us"},
                {"id": {"fromMe": True}, "body": "ho"},
            )
        ],
        SAID,
    ),
    "flags in a hash": (
        [
            ("HSET", f"c:{n}", "fromMe", flag, "body", text, "chatId", "x", "ts", str(T + n))
            for n, (flag, text) in enumerate((("false", "hi"), ("true", "ho")))
        ],
        SAID,
    ),
    "Letta's approval and summary": (
        [
            (
                "RPUSH",
                "c:1",
                LETTA[0],
                {"message_type": "approval_response_message", "approve": False},
                {"message_type": "summary_message", "summary": "short"},
            )
        ],
        ["user: hi", 'user: [approval: {"approve": false}]', "system: short"],
    ),
    "half a megabyte that Python printed": (
        [("SET", "c:1", str([m("user", "x" * 400_000), m("assistant", "ho")]))],
        ["user: " + "x" * 2_000 + "… (398,000 more characters)", "assistant: ho"],
    ),
    # Questions beside their answers.
    "prompts": ([("RPUSH", "c:1", {"prompt": "hi", "response": "ho"})], SAID),
    "questions with a time": ([("RPUSH", "c:1", {"question": "hi", "answer": "ho", "ts": T})], SAID),
    "inputs in a history": ([("SET", "c:1", {"history": [{"input": "hi", "output": "ho"}]})], SAID),
    "Gradio's pairs": ([("SET", "c:1", {"history": [["hi", "ho"], ["x", None]]})], [*SAID, "user: x"]),
    # Where they stand.
    "a text a message": ([("SET", "c:s:2", HI[1]), ("SET", "c:s:1", HI[0])], SAID),
    "a hash a message": (
        [("HSET", f"c:s:msg:{n}", "role", "user", "content", f"{n}") for n in (10, 9)],
        ["user: 9", "user: 10"],
    ),
    "by their times": (
        [("SET", "c:1", {"2026-01-01T00:00:00Z": HI[0], "2026-01-01T00:00:05Z": HI[1]})],
        SAID,
    ),
    "two lists in a hash": (
        [("HSET", "c:1", "chat2", json.dumps([m("user", "second")]), "chat1", json.dumps(HI))],
        [*SAID, "user: second"],
    ),
}


def stored(client: Client, commands: Written) -> None:
    with redis.Redis.from_url(client.target.url, protocol=2) as plain:
        for command in commands:
            plain.execute_command(*(json.dumps(a) if isinstance(a, list | dict) else a for a in command))


@pytest.mark.parametrize("name", STORED)
def test_a_conversation_is_recognised_and_shown(server: Client, name: str) -> None:
    commands, said = STORED[name]
    stored(server, commands)
    (recognised,) = detect(server).formats
    (row,) = listing.page(server, recognised.format).sessions
    session = listing.open_session(server, recognised.format, row.id).session
    shown = [f"{t.role}: {' '.join(part_line(part) for part in t.parts)}" for t in session.turns]
    assert shown == said
    assert row.turns == len(said)
    assert session.user_id in ("", "ann")
    values = {field.name: field.text for field in session.fields}
    assert values  # what is stored stands beside what was understood


OTHERS: dict[str, Written] = {
    "lines of a log": [("SET", "l:1", "user: root logged in\nsystem: started\nuser: logged out")],
    "a description": [("HSET", "p:1", "title", "Lamp", "text", "User: manual included\nColour: red")],
    "a template": [("SET", "p:1", "Be brief.\nUser: {input}\nAssistant:")],
    "questions and answers of a help page": [("SET", "f:1", [{"question": "How?", "answer": "So."}])],
    "a page of help as a document": [
        ("JSON.SET", "f:1", "$", {"question": "How?", "answer": "So.", "ts": T})
    ],
    "jobs with input and output": [("RPUSH", "j:1", {"input": "a.png", "output": "b.png", "created_at": T})],
    "a history of values": [("SET", "h:1", {"history": [["2026-01-01", "12"], ["2026-01-02", "13"]]})],
    "rights": [("SET", "r:1", [m("admin", "can write"), m("viewer", "can read")])],
    "users by their ids": [("SET", "u:1", {"u1": {"role": "user", "name": "a", "text": "bio"}})],
    "requests of browsers": [("RPUSH", "a:1", {"user": "ann", "agent": "curl/8"})],
    "orders": [("RPUSH", "o:1", {"user": "ann", "model": "T-shirt"})],
    "trades": [
        ("RPUSH", "t:1", {"direction": "inbound", "amount": 3}, {"direction": "outbound", "amount": 4})
    ],
    "settings that Python printed": [("SET", "s:1", str({"debug": True, "hosts": ["a"]}))],
    "a semantic cache": [("HSET", "llmcache:1", "prompt", "hi", "response", "ho", "inserted_at", str(T))],
    "settings cut off": [("SET", "x:1", '{"a":1,"b":[1,2,3],"c":"tru')],
    "one number for all": [("SET", "n:1", [m(1, "x"), m(1, "y")])],
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_conversation(server: Client, name: str) -> None:
    stored(server, OTHERS[name])
    detected = detect(server)
    assert detected.formats == ()
    assert detected.other == detected.sampled == len(OTHERS[name])


def test_what_is_unusual_is_said(server: Client) -> None:
    commands, _ = STORED["two lists in a hash"]
    stored(server, commands)
    stored(server, [("SET", "cut:1", json.dumps([*HI, m("user", "lost")])[:-12]), ("SET", "py:1", str(HI))])
    told = {}
    for recognised in detect(server).formats:
        (row,) = listing.page(server, recognised.format).sessions
        told[recognised.format.prefix] = listing.open_session(
            server, recognised.format, row.id
        ).session.problems
    assert told["c:"] == ("Messages stand in 2 lists (chat1, chat2): they are shown one behind the other.",)
    (cut,) = told["cut:"]
    assert cut.startswith("The value is not JSON: Unterminated string")
    assert cut.endswith(f"what stands before character {len(json.dumps(HI))} is read.")
    assert told["py:"] == ("The value is written as Python prints it, not as JSON.",)


def test_messages_whose_session_only_the_key_tells_are_listed_changed_and_exported(server: Client) -> None:
    for session in ("ann:a", "bob:b"):
        for number in range(1, 13):
            stored(server, [("SET", f"chat:{session}:{number}", m("user", f"{session} {number}"))])
    (recognised,) = detect(server).formats
    assert recognised.format.keys == "chat:…:*"
    rows = listing.page(server, recognised.format).sessions
    assert {row.id: row.turns for row in rows} == {"ann:a": 12, "bob:b": 12}
    opened = listing.open_session(server, recognised.format, "ann:a")
    assert [turn.content for turn in opened.session.turns] == [f"ann:a {n}" for n in range(1, 13)]
    assert len(opened.session.fields) == 12


def test_an_id_that_stands_in_a_key_by_chance_hides_no_message(server: Client) -> None:
    """The key of one message of session 1 has a 1 in it, those of the others have none."""
    for place, name in enumerate(("m1", "m2", "m3")):
        message = ("role", "user", "content", name, "session_id", "1", "timestamp", str(T + place))
        stored(server, [("HSET", f"msg:{name}", *message)])
    (recognised,) = detect(server).formats
    opened = listing.open_session(server, recognised.format, "1")
    assert [turn.content for turn in opened.session.turns] == ["m1", "m2", "m3"]


def test_what_is_kept_beside_messages_is_none_and_damage_is_named(server: Client) -> None:
    for number, role in enumerate(("user", "assistant"), 1):
        stored(server, [("SET", f"chat:s:{number}", m(role, f"turn {number}"))])
    stored(server, [("SET", "chat:s:count", "2"), ("SET", "chat:s:a1b2", '{"role": "user", "con')])
    layout = detect(server).formats[0].format
    (row,) = listing.page(server, layout).sessions
    session = listing.open_session(server, layout, row.id).session
    assert [turn.content for turn in session.turns] == ["turn 1", "turn 2"]
    (problem,) = session.problems
    assert problem.startswith("The value is not JSON")
