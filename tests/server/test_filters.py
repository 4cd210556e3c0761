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
from memdb.vectors.query import KnnRequest

pytestmark = [pytest.mark.any_engine, pytest.mark.needs("nocontent")]  # the tests ask for keys alone

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
        TagField("tag", separator="|", case_sensitive=True),
        TextField("txt"),
        NumericField("n"),
        HnswField("v", 4),
    )
    create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    return index_info(client, prefix + "idx")


@pytest.mark.needs("escaped_stars")
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


@pytest.mark.needs("escaped_stars")
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


@pytest.mark.needs("glued_lines")
def test_the_engine_glues_words_around_a_line_break(client: Client, info: IndexInfo, prefix: str) -> None:
    """Why the demo's texts hold blanks: if a later engine splits there, this test says so."""
    client.execute("HSET", f"{prefix}d:1", "txt", "first\nsecond third")
    assert _found(client, info, Text("txt", "first")) == set()
    assert _found(client, info, Text("txt", "third")) == {f"{prefix}d:1"}


@pytest.mark.parametrize("blank", ["\xa0", "\u3000", "\u2028", "\x85"])
def test_a_blank_that_is_none_of_ascii_is_part_of_a_word(
    client: Client, info: IndexInfo, prefix: str, blank: str
) -> None:
    """A no-break space of a web page, the blank of a Japanese text: no engine parts words there."""
    key = f"{prefix}d:1"
    client.execute("HSET", key, "txt", f"first{blank}second third")
    assert _found(client, info, Text("txt", f"first{blank}second")) == {key}
    assert _found(client, info, Text("txt", f"third first{blank}second")) == {key}
    assert _found(client, info, Text("txt", "first")) == set()


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
        (
            And((Tag("tag", ("t1",)), Not(Range("n", 5, 9)), Text("txt", "blue"))),
            lambda t, n, w: (t, w) == ("t1", "blue") and n < 5,
        ),
        (
            Or((And((Tag("tag", ("t2",)), Range("n", 0, 2))), Text("txt", "red"))),
            lambda t, n, w: (t == "t2" and n <= 2) or w == "red",
        ),
    ]
    for condition, holds in checks:
        expected = {f"{prefix}d:{i}" for i, row in enumerate(rows) if holds(*row)}  # type: ignore[operator]
        assert expected, condition
        assert _found(client, info, condition) == expected, condition
        assert search.count(client, index_info(client, info.name), condition) == len(expected)


TEXTS = ("to be or not to be", "vitamin a", "vitamin b", "will is not at home hamlet", "Häuser stehen")
STOPPED: dict[str, tuple[tuple[str | int, ...], frozenset[str]]] = {
    "its default": ((), STOP_WORDS),
    "none": (("STOPWORDS", 0), frozenset()),
    "its own": (("STOPWORDS", 2, "hamlet", "vitamin"), frozenset({"hamlet", "vitamin"})),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param("its default", marks=pytest.mark.needs("untold_stop_words")), "none", "its own"],
)
def test_stop_words_are_those_of_the_index(client: Client, prefix: str, kind: str) -> None:
    options, stopped = STOPPED[kind]
    client.execute(
        "FT.CREATE", prefix + "stop", "PREFIX", 1, prefix + "s:", *options, "SCHEMA", "t", "TEXT", "NOSTEM"
    )
    client.pipeline([("HSET", f"{prefix}s:{i}", "t", text) for i, text in enumerate(TEXTS)])
    info = index_info(client, prefix + "stop")
    assert info.rules.stop_words == (None if kind == "its default" else tuple(sorted(stopped)))
    for words in ("vitamin a", "to be", "will", "not at", "hamlet", "HOME", "the", "vitamin"):
        kept = [word for word in words.lower().split() if word not in stopped]
        for mode in ("all", "any", "phrase"):
            if not kept:
                with pytest.raises(BadFilter, match="no word that is indexed"):
                    render(Text("t", words, mode), client.server.dialect, info)  # type: ignore[arg-type]
                continue
            right = set()
            for i, text in enumerate(TEXTS):
                # A stop word leaves no place behind: the words around it are neighbours.
                held = [word for word in text.lower().split() if word not in stopped]
                runs = [held[at : at + len(kept)] for at in range(len(held))]
                good = {
                    "all": set(kept) <= set(held),
                    "any": bool(set(kept) & set(held)),
                    "phrase": kept in runs,
                }
                if good[mode]:
                    right.add(f"{prefix}s:{i}")
            assert _found(client, info, Text("t", words, mode)) == right, (words, mode)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "filter_", ["the", "@t:the", "@t:(the)", "-@t:the", "@t:(the be)", "@t:(the hamlet)"]
)
def test_hits_under_a_filter_of_nothing_but_stop_words_are_named(
    server: Client, prefix: str, filter_: str
) -> None:
    """RediSearch drops such a filter beside KNN and returns all documents; alone it finds none."""
    vector = ("v", "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2")
    server.execute("FT.CREATE", prefix + "stop", "PREFIX", 1, prefix + "s:", "SCHEMA", "t", "TEXT", *vector)
    for i, text in enumerate(TEXTS):
        packed = np.array([1, i], "<f4").tobytes()
        server.execute("HSET", f"{prefix}s:{i}", "t", text, "v", packed)
    info = index_info(server, prefix + "stop")
    alone = {hit.decode() for hit in server.execute("FT.SEARCH", info.name, filter_, "NOCONTENT")[1:]}
    result = search.knn(server, KnnRequest(info.name, (1.0, 0.0), k=9, filter=filter_), info)
    assert set(result.under_filter().keys) == alone
    assert bool(result.outside) == (filter_ != "@t:(the hamlet)")
    assert all("break the filter" in note for note in result.notes)


@pytest.mark.needs("ascii_stop_words")
def test_stop_words_are_lowered_as_the_index_lowers_them(client: Client, prefix: str) -> None:
    texts = ("über alles", "ÜBER alles", "café noir", "CAFÉ noir")
    client.execute(
        "FT.CREATE",
        prefix + "stop",
        "PREFIX",
        1,
        prefix + "s:",
        "STOPWORDS",
        2,
        "über",
        "CAFÉ",
        "SCHEMA",
        "t",
        "TEXT",
        "NOSTEM",
    )
    client.pipeline([("HSET", f"{prefix}s:{i}", "t", text) for i, text in enumerate(texts)])
    info = index_info(client, prefix + "stop")
    right: dict[tuple[str, str], set[int]] = {
        ("ÜBER", "all"): {1},
        ("ÜBER alles", "phrase"): {1},
        ("über alles", "all"): {0, 1},
        ("café", "all"): {2},
        ("café noir", "all"): {2},
        ("CAFÉ noir", "phrase"): {2, 3},
    }
    for (words, mode), places in right.items():
        keys = {f"{prefix}s:{i}" for i in places}
        assert _found(client, info, Text("t", words, mode)) == keys, words  # type: ignore[arg-type]
    for words in ("über", "CAFÉ"):
        with pytest.raises(BadFilter, match="no word that is indexed"):
            render(Text("t", words), client.server.dialect, info)


@pytest.mark.needs("languages")
def test_the_language_of_the_index_stems_the_words_of_a_filter(client: Client, prefix: str) -> None:
    client.execute(
        "FT.CREATE", prefix + "de", "PREFIX", 1, prefix + "s:", "LANGUAGE", "german", "SCHEMA", "t", "TEXT"
    )
    client.pipeline([("HSET", f"{prefix}s:{i}", "t", text) for i, text in enumerate(TEXTS)])
    info = index_info(client, prefix + "de")
    assert info.rules.language == "german"
    assert _found(client, info, Text("t", "Haus")) == {f"{prefix}s:4"}


@pytest.mark.needs("index_empty")
def test_an_empty_value_is_one_where_the_index_has_it(client: Client, prefix: str) -> None:
    client.execute(
        "FT.CREATE", prefix + "e", "PREFIX", 1, prefix + "s:", "SCHEMA", "a", "TAG", "INDEXEMPTY", "b", "TAG"
    )
    for i, value in enumerate(["", "x", "x,", ",", " "]):
        client.execute("HSET", f"{prefix}s:{i}", "a", value, "b", value)
    info = index_info(client, prefix + "e")
    assert (info.field("a").index_empty, info.field("b").index_empty) == (True, False)
    empty = {f"{prefix}s:{i}" for i in (0, 2, 3, 4)}
    found = _found(client, info, Tag("a", ("",)))
    assert {v.value: v.documents for v in search.tag_values(client, info, "a")} == {"": len(found), "x": 2}
    assert found <= empty
    assert f"{prefix}s:0" in found
    with pytest.raises(BadFilter, match="empty value") as refused:
        render(Tag("b", ("",)), client.server.dialect, info)
    assert "INDEXEMPTY" in refused.value.hint
