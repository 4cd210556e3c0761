"""Formats as data: paths, roles and times, and the file that keeps one's own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdb.errors import BadInput, BadSettings
from memdb.sessions import format_file, known
from memdb.sessions.checkpoint import plain_state
from memdb.sessions.mapping import Format, dig, read
from memdb.sessions.times import moment
from memdb.settings import Settings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "messages", "x"]), inner)
    ),
)
MINE = Format(
    "mine",
    'A "title" \\ ü',
    "m:\x7f",
    "list",
    messages=("a.b[0]", "c"),
    role=("who",),
    newest_first=True,
    own=True,
    tail=":m:*",
    roles=(("1", "user"), ("kunde", "user")),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b[1].c", 7),
        ("a.b[-1].c", 7),
        ("a.b[2]", None),
        ("a.x", None),
        ("a.b.c", None),
        ("[0]", None),
        ("text.inner", 5),
        ("text.inner.deeper", None),
    ],
)
def test_paths(path: str, expected: object) -> None:
    assert dig({"a": {"b": [{}, {"c": 7}]}, "text": '{"inner": 5}'}, path) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_795_455_646, 1_795_455_646),
        (1_795_455_646_000, 1_795_455_646),
        ("1795455646.5", 1_795_455_646.5),
        ("2026-11-23T17:40:46Z", 1_795_455_646),
        (True, None),
        (-1, None),
        (1e300, None),
        (float("nan"), None),
        ([], None),
        ("soon", None),
    ],
)
def test_times(value: object, expected: float | None) -> None:
    assert moment(value) == (None if expected is None else datetime.fromtimestamp(expected, UTC))


@pytest.mark.long
@given(JSON)
def test_whatever_is_stored_is_read_or_told_as_a_problem(value: Any) -> None:
    for format_ in known.KNOWN:
        reading = read(format_, value)
        assert all(isinstance(t.role, str) and isinstance(t.words, str) for t in reading.turns)
        assert all(problem.strip() for problem in reading.problems)
        guessed = known.recognised("x:", format_.stored, value)
        assert guessed is None or (guessed.prefix, guessed.stored) == ("x:", format_.stored)
    assert plain_state(value) is value  # no dictionary drawn here holds a checkpoint
    packed = {"type": "msgpack", "checkpoint": value, "metadata": value}
    assert set(plain_state(packed)) == set(packed)


def test_content_blocks_and_newest_first() -> None:
    entries = [
        '{"type": "ai", "data": {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}}',
        '{"type": "human", "data": {"content": "Hi"}}',
    ]
    reading = read(known.LANGCHAIN, entries)
    assert [(turn.role, turn.content) for turn in reading.turns] == [("human", "Hi"), ("ai", "a\nb")]
    assert reading.problems == ()


@pytest.mark.parametrize("packed", ["", "!", "gA==", "xwUFkw==", "3f////8=", "ggAAkAA="])
def test_a_damaged_checkpoint_is_left_as_it_is(packed: str) -> None:
    value = {"type": "msgpack", "checkpoint": packed, "thread_id": "t", "checkpoint_id": "c"}
    assert plain_state(value)["thread_id"] == "t"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "no name"),
        ({"name": "a\x07b"}, "no name"),
        ({"prefix": "a*"}, "wildcard"),
        ({"stored": "set"}, "no kind"),
        ({"holds": "half"}, "half"),
        ({"holds": "state"}, "of which session"),
        ({"role": "a..b"}, "no path"),
        ({"role": 7}, "role is 7"),
        ({"colour": "red"}, "means nothing"),
        ({"newest_first": "yes"}, "newest_first"),
        ({"title": 3}, "title"),
        ({"roles": {"1": 2}}, "roles is"),
    ],
)
def test_formats_that_cannot_be(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        format_file.of_table({"name": "n", "prefix": "p:", "stored": "json", **change})


def test_a_prefix_of_any_characters_is_kept_and_one_of_odd_bytes_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    odd = replace(MINE, prefix='a\x7f\x00\n"]\\ü🙂:')
    path = format_file.save(settings, odd)
    assert format_file.own_formats(settings) == (odd,)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="no UTF-8"):
        format_file.save(settings, replace(MINE, prefix="\udcff:"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new")
    assert format_file.own_formats(settings) == ()
    path = format_file.save(settings, MINE)
    other = Format("other", "Other", "o:", "json")
    format_file.save(settings, other)
    format_file.save(settings, other)
    assert [f.name for f in format_file.own_formats(settings)] == ["mine", "other"]
    assert format_file.own_formats(settings)[0] == MINE
    assert known.of_token(MINE.token, (MINE,)) == MINE
    assert known.of_token("LangChain: list of messages · x: · y").prefix == "x: · y"
    assert known.of_token("nothing · x:") is None
    assert all(known.of_token(f.token) == f for f in known.KNOWN)
    for text in ("[[", "session_formats = 3", '[[session_formats]]\nname = "x"', path.read_text() * 2):
        path.write_text(text)
        with pytest.raises(BadSettings, match=r"session_formats\.toml"):
            format_file.own_formats(settings)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["m10", "m2", "title", "m1"], ["m1", "m2", "m10", "title"]),
        (["10", "owner", "9"], ["9", "10", "owner"]),
        (["user_2", "assistant_3", "user_1"], ["user_1", "user_2", "assistant_3"]),
        (["c0ffee9", "beef", "add1"], ["c0ffee9", "beef", "add1"]),
        (["b", "a"], ["b", "a"]),
    ],
)
def test_fields_come_by_their_numbers_and_ids_as_they_are(names: list[str], expected: list[str]) -> None:
    assert dig({name: name for name in names}, "[*]") == expected
