"""Filters and FT.INFO held against what two real engines of different families answered to the same commands."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memdb.cluster import replies
from memdb.cluster.dialects import Dialect, recognise
from memdb.errors import BadFilter
from memdb.vectors.filters import Condition, Not, Range, Tag, Text, render
from memdb.vectors.index import BuildState, IndexInfo, read_info, together
from tests.unit import recorded_filters

RECORDED = json.loads((Path(__file__).parent.parent / "fixtures" / "conformance-filters.json").read_text())
DATA = RECORDED["data"]
DIALECTS = {
    "redisearch": recognise(
        frozenset({"FT.SEARCH", "FT.AGGREGATE", "FT.TAGVALS", "FT.CURSOR", "FT.PROFILE"})
    ),
    "valkey-search": recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE"}), modules=(("search", "66049"),)),
}


def wire(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]) if "base64" in value else value
    if isinstance(value, list):
        return [wire(item) for item in value]
    return value.encode() if isinstance(value, str) else value


def info(engine: str, name: str) -> IndexInfo:
    found = (replies.pairs(wire(entry[engine])) for entry in RECORDED["infos"])
    return next(read_info(name, reply) for reply in found if reply["index_name"] == name.encode())


def answered(engine: str, dialect: Dialect, condition: Condition) -> Any:
    """What the engine answered to this very query; None where it was not among the recorded ones."""
    rendered = render(condition, dialect, info(engine, "cf"))
    params = dict(rendered.params)
    for entry in RECORDED["filters"]:
        args = [a if isinstance(a, str) else wire(a).decode() for a in entry["args"]]
        bound = dict(zip(args[5::2], args[6::2], strict=False)) if args[3:4] == ["PARAMS"] else {}
        query = args[2].replace("$p", "$tag0") if bound else args[2]
        same = list(params.values()) == [bound.get("p")] if params else not bound
        # Brackets around a whole query or a single word change nothing.
        bare = rendered.query.removeprefix("(").removesuffix(")")
        if same and query in (rendered.query, bare, bare.replace(":(", ":")):
            return entry[engine]
    return None


def documents() -> list[dict[str, Any]]:
    words, special = DATA["words"], DATA["special"]
    return [
        {
            "title": {words[(i * k + k) % 13] for k in (1, 3)},
            "source": DATA["sources"][i % 5].lower(),
            "tags": {words[(i * k + k) % 13] for k in (1, 3, 5, 7)[: 1 + i % 3]},
            "year": 2006 + i % 20,
            "odd": f"a{special[i % len(special)]}b",
        }
        for i in range(DATA["documents"])
    ]


@pytest.mark.parametrize("engine", DIALECTS)
@pytest.mark.parametrize("sign", DATA["special"])
def test_a_tag_value_with_any_sign_is_found(engine: str, sign: str) -> None:
    right = sum(d["odd"] == f"a{sign}b" for d in documents())
    assert right
    assert answered(engine, DIALECTS[engine], Tag("odd", (f"a{sign}b",))) == right


CONDITIONS: list[tuple[Condition, Any]] = [
    (Tag("source", ("blog",)), lambda d: d["source"] == "blog"),
    (Tag("source", ("PARIS",)), lambda d: d["source"] == "paris"),
    (Tag("source", ("blog", "paris")), lambda d: d["source"] in {"blog", "paris"}),
    (Not(Tag("source", ("blog",))), lambda d: d["source"] != "blog"),
    (Tag("tags", ("backup",)), lambda d: "backup" in d["tags"]),
    (Tag("myfield", ("v1",)), None),
    (Tag("company_size", ("startup",)), None),
    (Range("year", 2010, 2012), lambda d: 2010 <= d["year"] <= 2012),
    (Range("year", 2010, 2012, include_low=False), lambda d: 2010 < d["year"] <= 2012),
    (Range("year", None, 2012), lambda d: d["year"] <= 2012),
    (Range("year", 2012), lambda d: d["year"] >= 2012),
    (Text("title", "amazon"), lambda d: "amazon" in d["title"]),
    (Text("title", "the amazon"), lambda d: "amazon" in d["title"]),
    (Text("title", "amazon backup"), lambda d: {"amazon", "backup"} <= d["title"]),
    (Text("title", "amaz", "prefix"), lambda d: "amazon" in d["title"]),
]


@pytest.mark.parametrize("engine", DIALECTS)
@pytest.mark.parametrize("place", range(len(CONDITIONS)))
def test_conditions_are_queries_that_each_engine_answers_rightly(engine: str, place: int) -> None:
    condition, holds = CONDITIONS[place]
    found = answered(engine, DIALECTS[engine], condition)
    if holds is None:
        assert isinstance(found, int)
        assert found > 0
    else:
        assert found == sum(map(holds, documents()))


def test_words_are_conditions_of_their_own_where_brackets_are_refused() -> None:
    told = info("valkey-search", "cf")
    assert render(Text("title", "amazon backup", "any"), DIALECTS["valkey-search"], told).query == (
        "(@title:amazon | @title:backup)"
    )
    refused = next(e for e in RECORDED["filters"] if e["args"][2] == "@title:(amazon|backup)")
    assert "error" in refused["valkey-search"]


def test_a_value_that_ends_with_a_star_is_refused_where_it_would_mean_a_prefix() -> None:
    assert (
        render(Tag("odd", ("ab*",)), DIALECTS["redisearch"], info("redisearch", "cf")).query == r"@odd:{ab\*}"
    )
    with pytest.raises(BadFilter, match="ends with a star"):
        render(Tag("odd", ("ab*",)), DIALECTS["valkey-search"], info("valkey-search", "cf"))


@pytest.mark.parametrize("engine", DIALECTS)
def test_options_are_read_from_what_the_engine_tells(engine: str) -> None:
    assert {f.name: f.separator for f in info(engine, "cf").of_kind("TAG")} == {
        "source": ",",
        "company_size": ",",
        "tags": ";",
        "myfield": ",",
        "odd": "\x1f",
    }
    assert [f.case_sensitive for f in info(engine, "cfcase").of_kind("TAG")] == [True]
    assert not any(f.case_sensitive for f in info(engine, "cf").fields)
    assert info(engine, "cfalias").field("where_from").identifier == "source"
    assert info(engine, "cfplain").of_kind("VECTOR") == ()
    stopped = [
        read_info("cfx", replies.pairs(wire(entry[engine]))).rules.stop_words
        for entry in RECORDED["infos"]
        if replies.pairs(wire(entry[engine]))["index_name"] == b"cfx"
    ]
    assert stopped == [(), ("amazon",)]
    assert info(engine, "cfplain").rules.stop_words is None


def test_shards_are_counted_together() -> None:
    told = info("valkey-search", "cf")
    building = replace(told, documents=100, vectors=90, build=BuildState("building", 0.25, "state"))
    both = together([told, building])
    assert (both.documents, both.vectors, both.failures) == (500, 490, 0)
    assert (both.build.state, both.build.fraction) == ("building", 0.25)
    assert "still being built (25%)" in both.unfinished
    assert both.fields == told.fields
    assert together([told]).build.ready
    assert together([told, replace(told, vectors=None)]).vectors is None


def test_an_index_that_is_built_says_so_on_every_engine() -> None:
    on_valkey = [
        entry["reply"]
        for entry in recorded_filters.entries("valkey-search")[1:]
        if entry["note"] == "info after STOPWORDS"
    ]
    assert len(on_valkey) == 2
    for reply in on_valkey:
        assert "still being built (0%)" in read_info("cfx", replies.pairs(wire(reply))).unfinished
    on_redisearch = next(
        replies.pairs(recorded_filters.wire(entry["reply"]))
        for entry in recorded_filters.entries("redisearch")[1:]
        if entry["args"] == ["FT.INFO", "cf"]
    )
    assert read_info("cf", on_redisearch).unfinished == ""
    half = read_info("cf", on_redisearch | {"indexing": 1, "percent_indexed": b"0.5"})
    assert "'cf' is still being built (50%)" in half.unfinished
    on_memorydb = {
        "AVAILABLE": "",
        "BACKFILLING": "still being built (0%)",
        "QUEUED": "waits to be built",
        "FAILED": "its build failed",
    }
    for status, words in on_memorydb.items():
        told = {"index_name": b"m", "num_docs": 7, "fields": [], "index_status": status.encode()}
        said = read_info("m", told).unfinished
        assert words in said
        assert bool(said) is bool(words)
