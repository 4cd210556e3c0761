"""Escaping on the real engine: values and texts that people could have stored must be found again."""

from __future__ import annotations

import random
import string

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.errors import BadFilter
from memdb.vectors import search
from memdb.vectors.filters import STOP_WORDS, And, Condition, Not, Or, Range, Tag, Text, indexed_words, render
from memdb.vectors.index import (
    HnswField,
    IndexInfo,
    IndexSpec,
    NumericField,
    TagField,
    TextField,
    create,
    index_info,
)

COUNT = 1_500
# Everything but NUL, lone surrogates and the separator; heavy on what query languages mean something by.
LETTERS = (
    string.printable.replace("|", "")
    + "äöüßÄÖÜéñçİıŁﬁ漢字かな한국어😀🏳️‍🌈مرحباעברית\u00a0\u2003\u200b\x01\x02\x07\x1b\x7f"
    + '@{}[]()*-~"\\%$:' * 3
)


def _value(rng: random.Random) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 14)))


def _found(client: Client, info: IndexInfo, condition: Condition) -> set[str]:
    rendered = render(condition, client.server.dialect, info)
    bound = [part for pair in rendered.params for part in pair]
    params = ("PARAMS", len(bound), *bound) if bound else ()
    reply = client.execute(
        "FT.SEARCH", info.name, rendered.query, *params, "NOCONTENT", "LIMIT", 0, 5_000, "DIALECT", 2
    )
    return {key.decode() for key in reply[1:]}


@pytest.fixture
def info(client: Client, prefix: str) -> IndexInfo:
    fields = (
        TagField("tag", separator="|", case_sensitive=True), TextField("txt"), NumericField("n"),
        HnswField("v", 4),
    )  # fmt: skip
    create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    return index_info(client, prefix + "idx")


def test_generated_tag_values_round_trip(client: Client, info: IndexInfo, prefix: str) -> None:
    rng = random.Random(11)
    values = sorted({v for _ in range(COUNT) if (v := _value(rng)).strip(" \t\n\r\v\f")})
    assert len(values) >= 1_000
    client.pipeline([("HSET", f"{prefix}d:{i}", "tag", value) for i, value in enumerate(values)])
    missed = [
        value
        for i, value in enumerate(values)
        if f"{prefix}d:{i}" not in _found(client, info, Tag("tag", (value,)))
    ]
    assert missed == []


def test_a_tag_value_finds_nothing_else(client: Client, info: IndexInfo, prefix: str) -> None:
    values = ["a b", "a", "b", "a-b", "a*", "*", "a|", "A", "{a}", "a\\", "a\\b", '"a"', "$a", "a b c"]
    for i, value in enumerate(values):
        client.execute("HSET", f"{prefix}d:{i}", "tag", value)
    for i, value in enumerate(values):
        if "|" not in value:
            same = {f"{prefix}d:{j}" for j, other in enumerate(values) if value in other.split("|")}
            assert _found(client, info, Tag("tag", (value,))) == same, value
            assert f"{prefix}d:{i}" in same


def test_generated_texts_round_trip(client: Client, info: IndexInfo, prefix: str) -> None:
    rng = random.Random(12)
    letters = "".join(c for c in LETTERS if c.isprintable() or c in " \t") + "abcdefgh " * 12
    # A tab behind a backslash becomes part of a word that no query can say.
    texts = ["".join(rng.choices(letters, k=rng.randint(3, 60))).replace("\\\t", "\t") for _ in range(COUNT)]
    client.pipeline([("HSET", f"{prefix}d:{i}", "txt", text) for i, text in enumerate(texts)])
    asked, missed = 0, []
    for i, text in enumerate(texts):
        for mode in ("all", "phrase"):
            try:
                found = _found(client, info, Text("txt", text, mode))  # type: ignore[arg-type]
            except BadFilter:
                stopped = all(word.lower() in STOP_WORDS for word in indexed_words(text))
                assert stopped or (mode == "phrase" and "\\" in text), text
                continue
            asked += 1
            if f"{prefix}d:{i}" not in found:
                missed.append((mode, text))
    assert asked >= 2_000
    assert missed == []


def test_the_engine_glues_words_around_a_line_break(client: Client, info: IndexInfo, prefix: str) -> None:
    """Why the demo's texts hold blanks: if a later engine splits there, this test says so."""
    client.execute("HSET", f"{prefix}d:1", "txt", "first\nsecond third")
    assert _found(client, info, Text("txt", "first")) == set()
    assert _found(client, info, Text("txt", "third")) == {f"{prefix}d:1"}


def test_conditions_mean_what_they_say(client: Client, info: IndexInfo, prefix: str) -> None:
    rng = np.random.default_rng(3)
    rows = [
        (f"t{rng.integers(4)}", int(rng.integers(10)), ["red", "green", "blue"][rng.integers(3)])
        for _ in range(200)
    ]
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "tag", t, "n", n, "txt", f"a {w} thing")
            for i, (t, n, w) in enumerate(rows)
        ]
    )
    checks: list[tuple[Condition, object]] = [
        (Tag("tag", ("t0", "t1")), lambda t, n, w: t in {"t0", "t1"}),
        (Range("n", 3, 5), lambda t, n, w: 3 <= n <= 5),
        (Range("n", 3, 5, include_low=False, include_high=False), lambda t, n, w: n == 4),
        (Range("n", low=8), lambda t, n, w: n >= 8),
        (Text("txt", "red"), lambda t, n, w: w == "red"),
        (Text("txt", "red blue", "any"), lambda t, n, w: w in {"red", "blue"}),
        (Text("txt", "gre", "prefix"), lambda t, n, w: w == "green"),
        (Not(Tag("tag", ("t0",))), lambda t, n, w: t != "t0"),
        (Not(Or((Tag("tag", ("t0",)), Range("n", 0, 4)))), lambda t, n, w: t != "t0" and n > 4),
        (And((Tag("tag", ("t1",)), Not(Range("n", 5, 9)), Text("txt", "blue"))), lambda t, n, w: (t, w) == ("t1", "blue") and n < 5),
        (Or((And((Tag("tag", ("t2",)), Range("n", 0, 2))), Text("txt", "red"))), lambda t, n, w: (t == "t2" and n <= 2) or w == "red"),
    ]  # fmt: skip
    for condition, holds in checks:
        expected = {f"{prefix}d:{i}" for i, row in enumerate(rows) if holds(*row)}  # type: ignore[operator]
        assert expected, condition
        assert _found(client, info, condition) == expected, condition
        assert search.count(client, index_info(client, info.name), condition) == len(expected)
