"""Texts that are conversations: as Python prints them, never run, and cut-off JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.sessions import python_text, stored_json
from memdb.sessions.packed import unpacked
from memdb.sessions.transcripts import messages_in

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Role(Enum):
    USER = "user"


@given(st.lists(st.dictionaries(st.text(max_size=8), PLAIN, min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_python_prints_comes_back(value: list[dict[str, Any]]) -> None:
    assert python_text.loads(str(value)) == value


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        (str([("user", "hi")]), [["user", "hi"]]),
        (str({"at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC)}), {"at": "2026-01-02T03:04:00+00:00"}),
        (str({"id": UUID(int=1)}), {"id": str(UUID(int=1))}),
        (str({"role": Role.USER}), {"role": "user"}),
        ("{'role': Role.USER, 'n': -1.5, 'b': b'x'}", {"role": "Role.USER", "n": -1.5, "b": "x"}),
        ("AIMessage(content='a', n=None)", {"type": "AIMessage", "content": "a", "n": None}),
        ("[a.b.Message(role='user')]", [{"type": "Message", "role": "user"}]),
        ("{'t': OrderedDict([('a', 1)])}", {"t": {"a": 1}}),
    ],
)
def test_objects_are_what_they_are_printed_as(printed: str, value: object) -> None:
    assert python_text.loads(printed) == value


@pytest.mark.parametrize(
    "text",
    [
        "['a', open('x').read()]",
        "['a' + 'b']",
        "['a', not 1]",
        "['a', x if y else z]",
        "['a', lambda: 1]",
        "['a' for a in b]",
        "['a', *b]",
        "{'a': 1, **b}",
        "['a', f'{x}']",
        "['a', x]",
        "['a', f()()]",
        "['a', datetime(2026, 1, 1, 1, 1, 1, 1, 1, 1, 1)]",
        "['a', datetime(99999, 1, 1)]",
        "['a', " + "(" * 100_000 + "]",
        "['a', x" + ".a" * 100_000 + "]",
        "['a', x" + "()" * 100_000 + "]",
        "['a', " + "-" * 200_000 + "1]",
        "['a'" + "," * 300_000 + "]",
        "['a'",
        "'a'",
        "",
    ],
)
def test_programs_and_what_is_too_long_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Python prints|nested too deeply"):
        python_text.loads(text)


@given(st.lists(st.fixed_dictionaries({"role": st.text(max_size=6), "n": PLAIN}), min_size=1), st.data())
def test_of_json_that_is_cut_off_whole_entries_are_read(entries: list[Any], data: st.DataObject) -> None:
    text = json.dumps({"messages": entries})
    cut = data.draw(st.integers(0, len(text) - 2))
    value, read = stored_json.salvaged(text[:cut])
    assert read <= cut
    kept = value["messages"] if value is not None else []
    assert kept == entries[: len(kept)]
    whole = sum(len(json.dumps({"messages": entries[:n]})) - 1 <= cut for n in range(1, len(entries)))
    assert len(kept) in (
        whole,
        whole + 1,
    )  # the last one read up to the comma behind it, or to the list's end


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user" * 50_000,
        "<|im_start|>user\nx" * 50_000,
        "[INST] a " * 50_000,
        "[/INST]" + "[INST]<<SYS>>" * 50_000,
        "<|start|>user<|channel|>a" * 50_000,
        "User: a\n" * 50_000,
        "User:" + " \t" * 200_000,
        "[" * 200_000,
        "[1," * 50_000,
        '{"a":1}' * 50_000,
        '"' + '\\"' * 200_000,
    ],
    ids=lambda text: text[:12],
)
def test_long_hostile_texts_are_read_or_named_and_take_no_square_of_their_length(text: str) -> None:
    value = unpacked(text.encode())
    assert value.readable or value.problems


def test_a_line_that_begins_with_a_role_may_have_more_lines_and_colons() -> None:
    text = "Human: see:\n  note: x\nAI (bot): ok\nUser is a word\nHuman: bye"
    assert messages_in(text) == [
        {"role": "Human", "content": "see:\n  note: x"},
        {"role": "AI", "content": "ok\nUser is a word"},
        {"role": "Human", "content": "bye"},
    ]
