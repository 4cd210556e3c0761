"""Session formats: whatever is stored, reading it never raises and says what is wrong."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memdb.display import plain
from memdb.errors import BadInput
from memdb.sessions import formats
from memdb.sessions.cursor import Cursor
from memdb.sessions.filters import SessionFilter, words_of
from memdb.sessions.formats import session_of
from memdb.sessions.hashes import VALUE_BYTES, StoredField, StoredHash, readable
from memdb.sessions.known import ARTICLE
from memdb.sessions.summaries import ORDERS, SessionSummary, ordered
from memdb.sessions.times import moment
from memdb.sessions.turns import Other, Turn, said
from memdb.sessions.users import user_of

GOOD = {
    "user_id": b"user123",
    "history": json.dumps(
        [
            {"role": "user", "content": "What EC2 instance type should I use?"},
            {"role": "assistant", "content": "For web APIs, start with t4g.medium..."},
        ]
    ).encode(),
    "context": b"aws_infrastructure",
    "created_at": b"2026-07-14T10:30:00Z",
}


def stored(**fields: bytes | None) -> StoredHash:
    """A hash as the article stores it, with some fields changed, or left out (None)."""
    values = {name: value for name, value in {**GOOD, **fields}.items() if value is not None}
    return StoredHash(
        "session:a", tuple(StoredField(n, len(v), v) for n, v in values.items()), 1800.0, 512, "", 0
    )


def test_the_articles_session_has_no_problems() -> None:
    session = session_of(stored())
    assert session.problems == ()
    assert session.id == "a"
    assert session.user_id == "user123"
    assert session.context == "aws_infrastructure"
    assert session.created == datetime(2026, 7, 14, 10, 30, tzinfo=UTC)
    assert session.turns[0] == said("user", "What EC2 instance type should I use?")
    assert [turn.role for turn in session.turns] == ["user", "assistant"]


def test_an_empty_history_is_no_problem() -> None:
    assert session_of(stored(history=b"[]")).problems == ()


@pytest.mark.parametrize(
    ("fields", "turns", "sentences"),
    [
        ({"history": b"not JSON"}, (), ["The history is not JSON: Expecting value at character 1 of 8."]),
        ({"history": b""}, (), ["The history is empty"]),
        ({"history": b'[{"role": "user", "content": "cut o'}, (), ["not JSON: Unterminated string"]),
        ({"history": b"42"}, (), ["The history is JSON but a number, not a list"]),
        ({"history": b'"hello"'}, (), ["JSON but a text"]),
        ({"history": b"null"}, (), ["JSON but null"]),
        ({"history": b"true"}, (), ["JSON but true or false"]),
        ({"history": b'{"a": 1}'}, (), ["JSON but an object"]),
        (
            {"history": b'{"messages": [{"role": "user", "content": "hi"}]}'},
            (said("user", "hi"),),
            ["its list 'messages' is read as the turns"],
        ),
        (
            {"history": b'["hi", 3]'},
            (said("", "hi"), Turn("", (Other("entry", "3"),))),
            ["Message 1 is a text, not a message", "Message 2 is a number"],
        ),
        ({"history": b'[{"role": "user"}]'}, (Turn("user", ()),), []),
        ({"history": b'[{"content": "x"}]'}, (said("", "x"),), ["Message 1 tells no role."]),
        (
            {"history": b'[{"role": "user", "content": [{"type": "text"}]}]'},
            (said("user", ""),),
            [],
        ),
        ({"history": b"[" * 200_000}, (), ["Nested too deeply"]),
        (
            {"history": b"[" + b"9" * 5_000 + b"]"},
            (said("", "9" * 5_000),),
            ["Message 1 is a text, not a message"],
        ),
        ({"history": None}, (), ["The field 'history' is missing."]),
        ({"user_id": None, "history": b"[]"}, (), ["The field 'user_id' is missing."]),
        ({"user_id": b"", "history": b"[]"}, (), ["The field 'user_id' is empty."]),
        ({"context": b"\xff\xfe", "history": b"[]"}, (), ["The field 'context' is not UTF-8"]),
        ({"created_at": b"yesterday", "history": b"[]"}, (), ["created_at is 'yesterday', which is no time"]),
        (
            {"history": b'[{"role": "user", "content": "caf\xe9"}]'},
            (said("user", "caf\udce9"),),
            ["The history is not all UTF-8"],
        ),
    ],
)
def test_what_is_wrong_becomes_a_sentence(
    fields: dict[str, bytes | None], turns: tuple[Turn, ...], sentences: list[str]
) -> None:
    session = session_of(stored(**fields))
    assert session.turns == turns
    assert len(session.problems) == len(sentences)
    for problem, sentence in zip(session.problems, sentences, strict=True):
        assert sentence in problem
        assert problem.endswith(".")
    json.loads(formats.to_json(session))


def test_a_value_too_large_is_named_and_exported_as_not_read() -> None:
    fields = (StoredField("history", 50 * 2**20), *stored(history=None).fields)
    session = session_of(StoredHash("session:a", fields, None, None, "not allowed", 3))
    assert "The field 'history' has 50.0 MiB and was not read (at most 8.0 MiB)." in session.problems
    assert "3 more fields of this hash were not read." in session.problems
    exported = json.loads(formats.to_json(session))
    assert exported["fields"]["history"] == {"bytes": 50 * 2**20, "read": False}
    assert session.fields[0].preview() == "(50.0 MiB, not read)"


def test_a_very_long_history_keeps_its_last_turns() -> None:
    history = json.dumps([{"role": "user", "content": str(i)} for i in range(formats.TURNS + 5)]).encode()
    session = session_of(stored(history=history))
    assert len(session.turns) == formats.TURNS
    assert session.turns[-1].content == str(formats.TURNS + 4)
    assert session.problems == ("The history has 10,005 entries; the last 10,000 are read.",)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*formats.FIELDS, "more", "\udcff"]), st.binary(max_size=200)))
def test_any_bytes_are_read_and_exported(fields: dict[str, bytes]) -> None:
    hash_ = StoredHash(
        "session:\udcff", tuple(StoredField(n, len(v), v) for n, v in fields.items()), 1.0, 1, "", 0
    )
    session = session_of(hash_)
    exported = json.loads(formats.to_json(session))
    assert len(exported["fields"]) == len(fields)
    for field in session.fields:
        plain(field.text).encode()  # what is shown can be sent to a browser
        field.preview(20).encode()


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["role", "content", "messages"]), inner)
        ),
    )
)
def test_any_json_is_read(value: object) -> None:
    session = session_of(stored(history=json.dumps(value).encode()))
    json.loads(formats.to_json(session))
    entries = value if isinstance(value, list) else []
    objects = isinstance(value, list) and all(isinstance(entry, dict) for entry in entries)
    said_all = objects and all(
        isinstance(e.get("role"), str) and e["role"] and isinstance(e.get("content"), str) for e in entries
    )
    assert objects or session.problems
    assert not said_all or session.problems == ()
    assert not said_all or [turn.content for turn in session.turns] == [e["content"] for e in entries]


def test_exported_values_lead_back_to_their_bytes() -> None:
    exported = json.loads(formats.to_json(session_of(stored(context=b"\xff\x00", user_id="né".encode()))))
    assert exported["fields"]["context"] == {"base64": "/wA="}
    assert exported["fields"]["user_id"] == "né"
    assert exported["context"].isprintable() is False or "udcff" in exported["context"]
    assert "\udcff" not in exported["context"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-14T10:30:00Z", datetime(2026, 7, 14, 10, 30, tzinfo=UTC)),
        ("2026-07-14T12:30:00+02:00", datetime(2026, 7, 14, 10, 30, tzinfo=UTC)),
        ("2026-07-14 10:30", datetime(2026, 7, 14, 10, 30, tzinfo=UTC)),
        ("1784025000", datetime(2026, 7, 14, 10, 30, tzinfo=UTC)),
        ("1784025000000", datetime(2026, 7, 14, 10, 30, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        ("2026-13-14", None),
        ("9" * 500, None),
        ("\udcff", None),
        ("²" * 10, None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert moment(text) == expected


def test_keys_are_built_and_parsed_in_one_place() -> None:
    assert formats.session_key("sess_user123_abc") == "session:sess_user123_abc"
    assert formats.user_id(formats.user_key("user123")) == "user123"
    with pytest.raises(BadInput):
        formats.session_key("")


@given(st.binary())
def test_an_id_can_be_typed_and_comes_back(raw: bytes) -> None:
    id_ = raw.decode("utf-8", "surrogateescape")
    assert formats.printable_id(id_).isprintable()
    assert formats.typed_id(formats.printable_id(id_)) == id_


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        ("sess_user123_abc", "sess_user123_abc"),
        ("100%", "100%25"),
        ("né", "né"),
        (" a ", "%20a%20"),
        ("\udcff\n", "%FF%0A"),
    ],
)
def test_ids_are_shown_as_they_are_where_they_can_be(id_: str, shown: str) -> None:
    assert formats.printable_id(id_) == shown
    assert formats.typed_id(shown) == id_
    assert formats.typed_id("100%") == "100%"


def summary(**changes: object) -> SessionSummary:
    whole: dict[str, object] = {
        "key": "session:a",
        "user_id": "u",
        "context": "c",
        "created_at": "",
        "created": None,
        "ttl_s": None,
        "history_bytes": 1,
        "size_bytes": None,
        "turns": None,
        "opening": "",
        "problems": (),
        "id": "a",
    }
    return SessionSummary(**{**whole, **changes})  # type: ignore[arg-type]


def test_a_page_can_be_ordered() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    a = summary(key="a", ttl_s=50.0, created=early, turns=2, size_bytes=10)
    b = summary(key="b", ttl_s=5.0, created=late, turns=9, size_bytes=900)
    c = summary(key="c")
    expected = {
        "as stored": "abc",
        "expires first": "bac",
        "newest": "bac",
        "oldest": "abc",
        "most turns": "bac",
        "largest": "bac",
    }
    assert set(ORDERS) == set(expected)
    for order in ORDERS:
        assert "".join(s.key for s in ordered([a, b, c], order)) == expected[order]


def test_a_pattern_takes_what_was_typed_literally() -> None:
    assert ARTICLE.within("a*[b]?\\") == "session:*a\\*\\[b\\]\\?\\\\*"
    assert replace(ARTICLE, prefix="s*:").within("") == "s\\*:*"
    assert replace(ARTICLE, prefix="s:", tail=":m?:*").within("7") == "s:*7*:m\\?:*"


def test_previews_are_bounded_and_say_how_much_there_is() -> None:
    field = StoredField("context", 5 * 2**20, b"x" * (5 * 2**20))
    assert field.preview(100) == "x" * 100 + "… (5.0 MiB in all)"
    assert StoredField("context", 3, b"\x1b[31mred\x07").preview() == "red\\x07"


def test_which_values_are_read() -> None:
    assert readable([5, 20, 5, 1], each=10, total=11) == [True, False, True, True]
    assert readable([5, 10, 6], each=10, total=11) == [True, False, True]
    assert VALUE_BYTES > 5 * 2**20  # a 5 MB value is read and shown


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor(),
        Cursor(17, (), True),
        Cursor(2**64 - 1, ("session:a", "session:\udcff\n\0"), True),
        Cursor(0, ("session:a",), True),
    ],
)
def test_a_cursor_survives_being_text(cursor: Cursor) -> None:
    assert Cursor.parse(cursor.token) == cursor
    assert cursor.token.isascii()  # whatever the keys are


FORGED = "5." + base64.urlsafe_b64encode(b'["\\ud800"]').decode()


@pytest.mark.parametrize(
    "token", ["x", "-1", "1.!!", "1.e30", "²", str(2**64), "1." + "A" * 5, ".W10", FORGED, "9" * 5_000]
)
def test_what_is_no_cursor_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="no cursor of a session listing"):
        Cursor.parse(token)


@pytest.mark.parametrize(
    ("wanted", "ttl_s", "passes"),
    [
        (SessionFilter(), None, True),
        (SessionFilter(ttl_from_s=60), None, True),
        (SessionFilter(ttl_to_s=60), None, False),
        (SessionFilter(ttl_from_s=60, ttl_to_s=120), 60.0, True),
        (SessionFilter(ttl_from_s=60, ttl_to_s=120), 59.9, False),
        (SessionFilter(ttl_from_s=60, ttl_to_s=120), 120.1, False),
        (SessionFilter(expires=False), None, True),
        (SessionFilter(expires=False), 5.0, False),
        (SessionFilter(expires=True), None, False),
        (SessionFilter(expires=True, ttl_to_s=60), 5.0, True),
    ],
)
def test_ttl_ranges(wanted: SessionFilter, ttl_s: float | None, passes: bool) -> None:
    assert wanted.takes_ttl(ttl_s) is passes


@pytest.mark.parametrize(("low", "high"), [(10, 5), (-1, 5), (math.nan, 5)])
def test_an_empty_ttl_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(BadInput, match="TTL range"):
        SessionFilter(ttl_from_s=low, ttl_to_s=high)


def test_words_are_found_in_contents_not_in_the_json_around_them() -> None:
    history = json.dumps([{"role": "user", "content": "Größe of an S3 BUCKET"}]).encode()
    text = formats.searchable(history)
    assert all(word.casefold() in text for word in words_of("grösse Bucket"))
    assert "role" not in text
    assert "role" in formats.searchable(b"role without JSON")


def user(value: bytes | None) -> StoredHash:
    fields = [StoredField("company_size", 7, b"startup")]
    if value is not None:
        fields.append(StoredField("embedding", len(value), value))
    return StoredHash("user:u1", tuple(fields), None, 100, "", 0)


def test_a_users_preference_vector_is_decoded() -> None:
    record = user_of(user(np.array([1.5, -2.0], dtype="<f4").tobytes()))
    assert record.user_id == "u1"
    assert record.vector is not None
    assert record.vector.tolist() == [1.5, -2.0]
    assert record.problems == ()
    assert [f.name for f in record.fields] == ["company_size"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "no preference vector"),
        (b"", "is empty"),
        (b"12345", "5 bytes, which is no multiple of 4"),
        (np.array([1.0, np.nan], dtype="<f4").tobytes(), "not finite"),
        (np.array([np.inf], dtype="<f4").tobytes(), "not finite"),
    ],
)
def test_a_bad_preference_vector_is_told(value: bytes | None, sentence: str) -> None:
    record = user_of(user(value))
    assert record.vector is None
    assert len(record.problems) == 1
    assert sentence in record.problems[0]
