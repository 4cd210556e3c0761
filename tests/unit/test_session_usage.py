"""Tools, tokens, personal data and meaning of conversations, held against counts made here."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.embedding import local
from memdb.errors import BadInput
from memdb.sessions.meaning import Memory, alike, near_turns
from memdb.sessions.redact import hidden, hidden_turn
from memdb.sessions.turns import Media, Other, Text, Thinking, ToolCall, ToolResult, Turn, said
from memdb.sessions.usage import ToolUse, together, token_use, tool_use


def test_tools_and_how_they_ended() -> None:
    turns = [
        said("user", "x"),
        Turn("assistant", (ToolCall("f", "{}", "1"), ToolCall("g", "{}", "2"), ToolCall("f", "{}", "3"))),
        Turn("tool", (ToolResult("ok", "1"),)),
        Turn("tool", (ToolResult("bad", "2", failed=True),)),
        Turn("assistant", (ToolCall("h", "{}"),)),
        Turn("tool", (ToolResult("late", name="h"),)),
        Turn("tool", (ToolResult("bad", name="h", failed=True),)),
    ]
    uses = tool_use(turns, 101)
    assert uses == (
        ToolUse("f", 2, 1, 0),
        ToolUse("g", 1, 0, 1, (104,)),
        ToolUse("h", 1, 1, 1, (107,)),
    )
    assert [use.open for use in uses] == [1, 0, 0]
    assert together([uses, uses])[0] == ToolUse("f", 4, 2, 0)
    assert tool_use([said("user", "x")]) == ()


def test_calls_without_ids_are_answered_in_their_order() -> None:
    draw = random.Random(7)
    turns, calls, answers = [], 0, 0
    for _ in range(50):
        turns.append(Turn("model", (ToolCall("look", "{}"),)))
        calls += 1
        if draw.random() < 0.6:
            turns.append(Turn("user", (ToolResult("4"),)))
            answers += 1
    assert tool_use(turns) == (ToolUse("look", calls, answers, 0),)


def test_ids_that_are_used_again_and_results_without_one() -> None:
    again = [
        Turn("assistant", (ToolCall("a", "{}", "call_0"),)),
        Turn("tool", (ToolResult("1", "call_0"),)),
        Turn("assistant", (ToolCall("b", "{}", "call_0"),)),
        Turn("tool", (ToolResult("2", "call_0", failed=True),)),
    ]
    assert tool_use(again) == (ToolUse("a", 1, 1, 0), ToolUse("b", 1, 0, 1, (4,)))
    twice = [
        Turn("assistant", (ToolCall("a", "{}", "c"), ToolCall("b", "{}", "c"))),
        Turn("tool", (ToolResult("1", "c"), ToolResult("2", "c", failed=True), ToolResult("3", "c"))),
    ]
    assert tool_use(twice) == (ToolUse("a", 1, 1, 0), ToolUse("b", 1, 1, 1, (2,)))
    early = [Turn("tool", (ToolResult("1", "c"),)), Turn("assistant", (ToolCall("a", "{}", "c"),))]
    assert tool_use(early) == (ToolUse("a", 1, 1, 0),)
    nameless = [
        Turn("assistant", (ToolCall("never", "{}"),)),
        Turn("assistant", (ToolCall("x", "{}"), ToolCall("y", "{}"))),
        Turn("tool", (ToolResult("of x"), ToolResult("of y", failed=True))),
        Turn("tool", (ToolResult("whose?", "trimmed"),)),
    ]
    assert {(u.name, u.answered, u.failed, u.open) for u in tool_use(nameless)} == {
        ("never", 1, 0, 0),
        ("x", 1, 0, 0),
        ("y", 0, 1, 0),
    }


def test_tokens_by_role_and_what_a_trimmed_history_leaves() -> None:
    turns = [said(("user", "assistant")[i % 2], f"Message {i} ü") for i in range(30)]
    use = token_use(turns, kept=10)
    each = local.tokens([turn.content for turn in turns])
    assert use.tokens == sum(each)
    assert use.kept_tokens == sum(each[20:])
    assert {role: (n, t) for role, n, t in use.by_role} == {
        "user": (15, sum(each[::2])),
        "assistant": (15, sum(each[1::2])),
    }
    assert use.dropped_bytes == sum(len(turn.content.encode()) for turn in turns[:20])
    assert local.tokens(["", "How many links has a node?"]) == [0, 7]
    long = "How many links has a node? " * 4_000
    assert local.tokens([long])[0] == pytest.approx(7 * 4_000, rel=0.01)
    assert token_use([said("user", "half \ud83d")]).tokens > 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to ann.b+c@example.co.uk.", "to [e-mail address]."),
        ('{"to": "ann\\u0040example.com"}', '{"to": "[e-mail address]"}'),
        ("4111 1111 1111 1111 and 4111-1111-1111-1112", "[card number] and 4111-1111-1111-1112"),
        ("DE89 3704 0044 0532 0130 00 PAID", "[IBAN] PAID"),
        ("call +44 20 7946 0958 now", "call [telephone number] now"),
        ("10.1.2.3, 2001:db8::1, 1.2.3.4.5, 999.1.1.1", "[IP address], [IP address], 1.2.3.4.5, 999.1.1.1"),
        ("536-90-4399", "[social security number]"),
        ("key AKIAABCDEFGHIJKLMNOP", "key [secret]"),
        ("order 1234567890123 of 2026-07-14T10:30:00", "order 1234567890123 of 2026-07-14T10:30:00"),
        ("Ann Lee, 5 Main St", "Ann Lee, 5 Main St"),
    ],
)
def test_personal_data_is_hidden(text: str, shown: str) -> None:
    assert hidden(text) == shown


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_surrounds_it_does_not_show_it(before: str, after: str) -> None:
    assert "ann@example.com" not in hidden(f"{before} ann@example.com {after}")


def test_every_part_of_a_turn_is_hidden() -> None:
    mail = "ann@example.com"
    parts = (
        Text(mail),
        Thinking(mail),
        ToolCall(f"f {mail}", mail, mail),
        ToolResult(mail, mail, mail),
        Media("file", name=mail, address=f"https://x.org/{mail}"),
        Other("x", mail),
    )
    turn = hidden_turn(Turn("user", parts, name=mail))
    assert mail not in repr(turn)
    assert repr(turn).count("[e-mail address]") == 12


def test_turns_by_meaning_are_ranked_as_their_cosines() -> None:
    texts = [
        "How do I restore a table?",
        "The weather in Oslo",
        "",
        "Backups of a database \ud83d",
        "Cats purr",
    ]
    sessions = [
        ("a", [said("user", t) for t in texts[:3]], 1),
        ("b", [said("user", t) for t in texts[3:]], 41),
    ]
    near = near_turns(sessions, "restore from a backup", k=3)
    kept = [texts[0], texts[1], "Backups of a database", texts[4]]
    vectors = local.embed([*kept, "restore from a backup"]).astype(np.float64)
    cosines = vectors[:-1] @ vectors[-1]
    places = [("a", 1), ("a", 2), ("b", 41), ("b", 42)]
    order = np.argsort(-cosines)[:3]
    assert [(n.session, n.number) for n in near] == [places[i] for i in order]
    assert [n.cosine for n in near] == pytest.approx(cosines[order], abs=1e-6)
    assert near_turns([], "x") == ()
    with pytest.raises(BadInput, match="too many"):
        near_turns([("a", [said("user", "x")] * 5_001, 1)], "x")


def test_memories_that_are_alike_stand_side_by_side() -> None:
    day = [datetime(2026, 7, n, tzinfo=UTC) for n in (1, 2, 3)]
    memories = [
        Memory("m3", "ann", "The user likes green tea.", day[2]),
        Memory("m1", "ann", "The user likes green tea", day[0]),
        Memory("m2", "ann", "Lives in Oslo", day[1]),
        Memory("m4", "bob", "The user likes green tea.", None),
        Memory("m5", "ann", " ", None),
    ]
    (pair,) = alike(memories)
    assert (pair.earlier.session, pair.later.session) == ("m1", "m3")
    vectors = local.embed([memories[0].text, memories[1].text]).astype(np.float64)
    assert pair.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)
    assert alike(memories[1:3], least=-1.0)[0].reading == "alike"
    assert alike(memories[1:3], least=1.01) == ()
