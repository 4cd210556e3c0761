"""Filters as query strings: compared whole."""

from __future__ import annotations

import math

import pytest

from memdb.cluster.dialects import Dialect, recognise
from memdb.errors import BadFilter, UnknownField, UnsupportedFeature
from memdb.vectors.filters import EVERYTHING, And, Condition, Not, Or, Range, Raw, Tag, Text, render
from memdb.vectors.index import BuildState, Field, IndexInfo, VectorParams
from tests.unit import recorded_filters as recorded

REDISEARCH = recognise(frozenset({"FT.SEARCH", "FT.TAGVALS", "FT.CURSOR", "FT.PROFILE"}))
VALKEY = recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE"}))
MEMORYDB = recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT._ALIASLIST"}))
INFO = IndexInfo(
    name="idx",
    on="HASH",
    prefixes=("d:",),
    fields=(
        Field("service", "service", "TAG"),
        Field("year", "year", "NUMERIC"),
        Field("content", "content", "TEXT"),
        Field("embedding", "embedding", "VECTOR", vector=VectorParams("HNSW", "FLOAT32", 4, "COSINE")),
    ),
    documents=10,
    vectors=None,
    build=BuildState("ready", 1.0, "test"),
    vector_bytes=None,
    total_bytes=None,
    failures=0,
)


@pytest.mark.parametrize(
    ("condition", "query"),
    [
        (EVERYTHING, "*"),
        ("", "*"),
        (" * ", "*"),
        (Tag("service", ("s3",)), "@service:{s3}"),
        (Tag("service", ("s3", "api-gateway v2")), r"@service:{s3 | api\-gateway\ v2}"),
        (Tag("service", (" s3 ",)), "@service:{s3}"),
        (Range("year", 2015, 2020), "@year:[2015 2020]"),
        (Range("year", 2015), "@year:[2015 +inf]"),
        (Range("year", None, 0.1, include_high=False), "@year:[-inf (0.1]"),
        (Range("year", 3e-7, 2e22), "@year:[0.0000003 20000000000000000000000]"),
        (Range("year", -math.inf, math.inf, False, False), "@year:[(-inf (+inf]"),
        (Range("year", None, None, False, False), "@year:[-inf +inf]"),
        (Range("year", 0.1 + 0.2, 2**53 + 2), "@year:[0.30000000000000004 9007199254740994]"),
        (Text("content", "point-in-time, please"), "@content:(point time please)"),
        (Text("content", "bucket table", "any"), "@content:(bucket|table)"),
        (Text("content", "restore the table", "phrase"), '@content:"restore table"'),
        (Text("content", "restore tab", "prefix"), "@content:(restore tab*)"),
        (And((Tag("service", ("s3",)), Range("year", 2015))), "(@service:{s3} @year:[2015 +inf])"),
        (And((Tag("service", ("s3",)), EVERYTHING)), "@service:{s3}"),
        (Or((Tag("service", ("s3",)), Range("year", 2015))), "(@service:{s3} | @year:[2015 +inf])"),
        (Or((Tag("service", ("s3",)), EVERYTHING)), "*"),
        (Not(Tag("service", ("s3",))), "(-@service:{s3})"),
        (Raw("@service:{s3} | @year:[1 2]"), "(@service:{s3} | @year:[1 2])"),
        (Raw(r"@service:{a\}b}"), r"(@service:{a\}b})"),
        (Raw("@year:[(1 (2]"), "(@year:[(1 (2])"),
        (Raw('@content:"a ) b"'), '(@content:"a ) b")'),
    ],
)
def test_query(condition: Condition | str, query: str) -> None:
    rendered = render(condition, REDISEARCH, INFO)
    assert rendered.query == query
    assert rendered.params == ()


def test_control_characters_go_through_a_parameter_where_nothing_else_says_them() -> None:
    rendered = render(Tag("service", ("a\x01\\b", "plain")), REDISEARCH, INFO)
    assert rendered.query == "@service:{$tag0 | plain}"
    assert rendered.params == (("tag0", "a\x01\\\\b"),)
    assert render(Tag("service", ("a\x01b",)), VALKEY, INFO).query == "@service:{a\\\x01b}"
    with pytest.raises(BadFilter, match="control character"):
        render(Tag("service", ("a\x01b",)), MEMORYDB, INFO)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Tag("service", ()), "empty value"),
        (Tag("service", ("  ",)), "empty value"),
        (Tag("service", ("a,b",)), "separates"),
        (Tag("service", ("a\x00",)), "control character"),
        (Range("year", 5, 1), "from 5 to 1"),
        (Range("year", float("nan")), "not a number"),
        (Text("content", "the of"), "no word that is indexed"),
        (Text("content", "!?"), "no word that is indexed"),
        (Text("content", "table x", "prefix"), "too short"),
        (Or(()), "matches nothing"),
        (Not(EVERYTHING), "matches nothing"),
        (Raw("@service:{s3"), "opens '{' at position 10"),
        (Raw("@service:s3}"), "'}' at position 12"),
        (Raw('@content:"s3'), "never closes"),
        (Raw("*=>[KNN 3 @embedding $vec]"), "holds '=>'"),
    ],
)
def test_what_cannot_be_said(condition: Condition, message: str) -> None:
    with pytest.raises(BadFilter, match=message) as caught:
        render(condition, REDISEARCH, INFO)
    assert caught.value.hint


@pytest.mark.parametrize(
    "condition",
    [Tag("nope", ("x",)), Tag("year", ("x",)), Range("service", 1), Raw("@nope:{x}"), Raw("(@a|nope:x)")],
)
def test_unknown_fields_are_named_with_those_there_are(condition: Condition) -> None:
    with pytest.raises(UnknownField) as caught:
        render(condition, REDISEARCH, INFO)
    assert "It has:" in caught.value.hint


@pytest.mark.parametrize("condition", [Not(Tag("service", ("s3",))), Text("content", "bucket")])
def test_memorydb_lacks_negation_and_text(condition: Condition) -> None:
    with pytest.raises(UnsupportedFeature):
        render(condition, MEMORYDB, INFO)


def test_at_sign_in_a_quoted_text_is_no_field() -> None:
    assert render(Raw('@content:"mail @nope: x"'), REDISEARCH, INFO).query == '(@content:"mail @nope: x")'


def _names(dialects: tuple[Dialect, ...]) -> list[str]:
    return [d.name for d in dialects]


def test_dialects_are_told_apart_by_their_commands() -> None:
    assert _names((REDISEARCH, VALKEY, MEMORYDB, recognise(frozenset()))) == [
        "redisearch",
        "valkey-search",
        "memorydb",
        "none",
    ]


@pytest.mark.parametrize("engine", ["redisearch", "valkey-search", "memorydb"])
def test_a_filter_of_many_levels_is_refused_and_one_of_many_parts_is_not(engine: str) -> None:
    """However deep: Python's own stack ends at some 300 levels of a reader."""
    dialect = recorded.DIALECTS[engine]
    info = recorded.info("redisearch" if engine == "redisearch" else "valkey-search")
    nested: Condition = Tag("source", ("blog",))
    for _ in range(5_000):
        nested = And((nested, Range("year", 2010, 2015)))
    for deep in (
        "(" * 101 + "@source:{blog}" + ")" * 101,
        "(" * 3_000 + "@source:{blog}" + ")" * 3_000,
        "(" * 3_000,
        "-(" * 3_000 + "@source:{blog}" + ")" * 3_000,
        "-" * 3_000 + "@source:{blog}",
        "(@year:[2010 2015] " * 900 + ")" * 900,
        nested,
        Not(nested),
        Raw("(" * 500 + "@source:{blog}" + ")" * 500),
    ):
        with pytest.raises(BadFilter, match=r"nested in [\d,]+ levels; 100 are read here"):
            render(deep, dialect, info)
    wide = (
        " ".join(["(@source:{blog})"] * 400)
        if engine == "memorydb"
        else " ".join(["-(@source:{blog})"] * 400)
    )
    assert render(wide, dialect, info).query == f"({wide})"
    beside = "@source:{" + r"\(" * 500 + "} @year:[(2010 (2015]"
    assert render(beside, dialect, info).query == f"({beside})"
    level = "(" * 90 + "@source:{blog}" + ")" * 90
    assert render(level, dialect, info).query == f"({level})"
