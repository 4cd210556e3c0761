"""What each engine's grammar takes: every recorded filter judged as the engine judged it, and 10,000 generated
conditions a dialect that are said, read back, and mean what they meant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from memdb.errors import BadFilter, UnknownField, UnsupportedFeature
from memdb.vectors import expression
from memdb.vectors.conditions import And, Condition, Not, Or, Range, Raw, Tag, Text
from memdb.vectors.filters import all_documents, may_be_broken, render
from tests.unit import recorded_filters as recorded

FAMILIES = {"tag filter", "text filter", "numeric filter", "tag escape"}
EACH = 10_000
# valkey-search takes a star alone only beside a KNN clause. RediSearch looks for prefixes of two letters.
STARS = ("*", "(*)")
STARRED = {"redisearch": "everywhere", "valkey-search": "end"}  # where a star of a tag stands for others
SHORT = "@source:{b*}"


def asked(engine: str) -> list[tuple[str, str, Any]]:
    """Query, index and reply of each recorded filter without a KNN clause and without parameters."""
    queries = []
    for entry in recorded.entries(engine)[1:]:
        args = [arg if isinstance(arg, str) else recorded.wire(arg) for arg in entry["args"]]
        query = args[2].decode() if len(args) > 2 and isinstance(args[2], bytes) else str(args[2:3])
        query = args[2] if len(args) > 2 and isinstance(args[2], str) else query
        if entry["family"] in FAMILIES and "=>" not in query and "PARAMS" not in args:
            queries.append((query, str(args[1]), entry["reply"]))
    return queries


@pytest.mark.parametrize("engine", recorded.FILES)
def test_every_recorded_filter_is_judged_as_the_engine_judged_it(engine: str) -> None:
    dialect = recorded.DIALECTS[engine]
    judged, wrong = Counter[str](), []
    for query, name, reply in asked(engine):
        refused = isinstance(reply, dict)
        if query in STARS:
            assert refused is not dialect.bare_star
            continue
        try:
            read = expression.conditions(query, dialect, recorded.info(engine, name))
        except (BadFilter, UnknownField) as exc:
            judged["refused"] += 1
            if not refused:
                wrong.append((query, str(exc)))
            continue
        judged["accepted"] += 1
        if refused:
            wrong.append((query, reply["error"]))
            continue
        right = recorded.holds(read, stars=STARRED[engine], folded=name != "cfcase").bit_count()
        if reply[0] != right and query != SHORT:
            wrong.append((query, f"{reply[0]} recorded, {right} by the documents"))
    assert wrong == []
    assert judged["accepted"] > 100
    assert judged["refused"] > 25


def test_a_refusal_says_how_it_is_written_there() -> None:
    dialect, info = recorded.DIALECTS["valkey-search"], recorded.info("valkey-search")
    for query, why, hint in [
        (r"@company\_size:{small}", "company", "@company_size"),
        ("@title:(amazon backup)", "word is expected", "one condition"),
        ("@title:the", "stop word", "other words"),
        ("@year:[2012 2010]", "holds no number", "smaller number first"),
        ("@year==2010", "without a colon", "[low high]"),
        ("@title:{x}", "title", "company_size"),
    ]:
        with pytest.raises(BadFilter, match=why) as refusal:
            render(query, dialect, info)
        assert hint in refusal.value.hint
        assert "valkey-search 1.2" in str(refusal.value)
    with pytest.raises(UnknownField, match="nosuch") as unknown:
        render("@nosuch:{x}", dialect, info)
    assert "company_size" in unknown.value.hint


@pytest.mark.long
@pytest.mark.parametrize("engine", recorded.DIALECTS)
def test_generated_conditions_are_taken_and_mean_what_they_say(engine: str) -> None:
    dialect = recorded.DIALECTS[engine]
    info = recorded.info("valkey-search" if engine == "valkey-search" else "redisearch")
    every = recorded.generated(2 * EACH, 15, text=dialect.text_search, negation=dialect.negation)
    said, wrong, refused = 0, [], []
    for condition in every:
        if _cannot_be_said(condition, engine):
            refused.append(condition)
            continue
        rendered = render(condition, dialect, info)
        if rendered.params:  # control characters on RediSearch: asked of the engine in tests/server
            continue
        said += 1
        read = expression.conditions(rendered.query, dialect, info)
        if recorded.holds(read) != recorded.holds(condition):
            wrong.append((condition, rendered.query))
        if said == EACH:
            break
    assert wrong == []
    assert said == EACH
    for condition in refused[:500]:
        with pytest.raises(BadFilter):
            render(condition, dialect, info)


def _cannot_be_said(condition: Condition, engine: str) -> bool:
    """Whether a condition holds a part that no query of this engine can say, or nobody would mean."""
    match condition:
        case And() | Or():
            return any(_cannot_be_said(part, engine) for part in condition.conditions)
        case Not():
            return _cannot_be_said(condition.condition, engine) or condition.condition == And()
        case Tag():
            stars = engine == "valkey-search" and any(value.endswith("*") for value in condition.values)
            controls = engine == "memorydb" and any(
                "\x01" in v or "\t" in v or "\n" in v for v in condition.values
            )
            return stars or controls
        case Range():
            equal = condition.low == condition.high and condition.low is not None
            empty = equal and not (condition.include_low and condition.include_high)
            return empty and engine != "redisearch"
        case Text():
            stopped = all(word in recorded.STOP_WORDS for word in condition.words.lower().split())
            return stopped and condition.mode != "prefix"
    return False


def test_a_filter_of_all_documents_where_a_star_is_none() -> None:
    dialect, info = recorded.DIALECTS["valkey-search"], recorded.info("valkey-search")
    for kinds in (("TAG", "NUMERIC"), ("NUMERIC",), ("TEXT",)):
        fields = tuple(f for f in info.fields if f.kind in kinds)
        some = recorded.replace_fields(info, fields)
        read = expression.conditions(all_documents(dialect, some), dialect, some)
        assert recorded.holds(read) == recorded.ALL, kinds
    with pytest.raises(UnsupportedFeature, match="no field for another filter"):
        all_documents(dialect, recorded.replace_fields(info, info.of_kind("VECTOR")))
    assert all_documents(recorded.DIALECTS["memorydb"], info) == "*"


@pytest.mark.parametrize(
    ("filter_", "broken"),
    [
        ("@title:amazon", False),  # recorded: right
        ("@title:amazon @year:[2015 2018]", True),
        ("(@title:amazon) (@source:{blog})", True),
        ('@title:"amazon backup"', True),
        ("@title:amazon @title:backup", True),
        ("@source:{blog} @year:[2015 2018]", False),
        (Text("title", "amazon backup"), True),
        (And((Tag("source", ("blog",)), Range("year", 2015))), False),
        (And((Raw("@title:amazon"), Range("year", 2015))), True),
        (And((Raw("@title:amazon"),)), False),
        (Or((Not(Raw('@title:"amazon backup"')), Tag("source", ("blog",)))), True),
        ("*", False),
    ],
)
def test_filters_that_hits_may_break_are_known(filter_: Condition | str, broken: bool) -> None:
    dialect, info = recorded.DIALECTS["valkey-search"], recorded.info("valkey-search")
    assert may_be_broken(filter_, dialect, info) is broken
    assert not may_be_broken(filter_, recorded.DIALECTS["redisearch"], recorded.info("redisearch"))


def test_a_filter_longer_than_the_engine_reads_is_refused() -> None:
    many = tuple(f"value{i:05d}" for i in range(1_000))
    info = recorded.info("valkey-search")
    with pytest.raises(BadFilter, match="reads queries of 10,240"):
        render(Tag("source", many), recorded.DIALECTS["valkey-search"], info)
    assert render(Tag("source", many), recorded.DIALECTS["redisearch"], recorded.info("redisearch"))
