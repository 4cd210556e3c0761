"""Filters in valkey-search's words: read and written here, and read by the stand-in, which shares no code.

Generated expressions, most of them not well formed: what one refuses the other refuses, and what both take
means the same documents. Words on indexes whose signs and stop words are their own.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from memdb.errors import BadFilter, MemDBError
from memdb.vectors import expression
from memdb.vectors.conditions import And, Condition, Or, Range, Tag, Text, Words
from memdb.vectors.filters import render
from tests.standins.documents import Document, Documents, words_of
from tests.standins.grammar import Node, Options, read_query
from tests.standins.resp import Refusal
from tests.standins.schema import PUNCTUATION, STOP_WORDS, Field, Index
from tests.unit import recorded_filters as recorded

DIALECT = recorded.DIALECTS["valkey-search"]
INFO = recorded.info("valkey-search")
PARTS = (
    """
@year:[2010 2015] ¦ @year:[(2010 2015] ¦ @year:[2010,(2015] ¦ @year:[2010, 2015] ¦ @year:[ 2010 2015 ]
@year:[2010  2015] ¦ @year:[-inf 2010] ¦ @year:[2012 inf] ¦ @year:[INF Infinity] ¦ @year:[1e3 2010]
@year:[+5 2010] ¦ @year:[.5 2015.] ¦ @year:[2010\t2015] ¦ @year:[2010 ,2015] ¦ @year:[--5 2010]
@half:[-5.5 200] ¦ @half:[200 0] ¦ @half:[5 5] ¦ @half:[(5 5] ¦ @half:[2010] ¦ @half:[$a $b] ¦ @half:3
@source:{aws-docs} ¦ @source:{aws*} ¦ @source:{a\\*} ¦ @source:{blog|docs} ¦ @source:{} ¦ @source:{ | }
@source:{b*} ¦ @source:{*} ¦ @source:{a**} ¦ @source:{a\\} ¦ @source:{\\}x} ¦ @source:{bl(og}
@source : {blog} ¦ @ source:{x} ¦ @source:blog ¦ @company_size:{SMALL} ¦ @company_size:{"small"}
@tags:{amazon;backup} ¦ @nosuch:{x} ¦ @nosuch:x ¦ @year==2010 ¦ @title|body:amazon ¦ @title:{x}
@title:amazon ¦ @title:amaz* ¦ @title:*zon ¦ @title:*az* ¦ @title:%amazn% ¦ @title:%%amazn%% ¦ @title:%a
@title:%%%%a%%%% ¦ @title:the ¦ @title:the amazon ¦ @title:"amazon backup" ¦ @title:"the" ¦ @title:""
@title:amazon-backup ¦ @title:amazon,backup ¦ @title: amazon ¦ @title:a\\-b ¦ @title:\\a
@title:(amazon) ¦ @body:+7 ¦ @body:7! ¦ amazon ¦ backup ¦ the ¦ amaz* ¦ * ¦ "number 7" ¦ über ¦ AND
NOT ¦ | ¦ ( ¦ ) ¦ - ¦ -- ¦ ! ¦ ' ¦ , ¦ = ¦ $x ¦ { ¦ } ¦ [ ¦ ] ¦ : ¦ \\ ¦ " ¦ @ ¦ < ¦ & ¦ #
\xa0 ¦ @year:[2010 2015]\u3000@source:{blog} ¦ @year:\u3000[2010 2015] ¦ @year:[2010\xa02015]
""".strip("\n ")
    .replace("\n", " ¦ ")
    .split(" ¦ ")
)
SIGNS = [*"ab \t\n\\-_.,:;'\"()[]{}|@$%*=><~&#^!?+/", "é", "日", "\xa0", "\u3000", "the", "of", "A", "É"]


def of_fields(
    *fields: Field, stop_words: tuple[str, ...] = STOP_WORDS, punctuation: str = PUNCTUATION
) -> Index:
    return Index("cf", fields, stop_words=tuple(map(as_bytes, stop_words)), punctuation=punctuation)


def as_bytes(text: str) -> str:
    """Text of one character a byte, as the stand-in has it."""
    return text.encode().decode("latin-1")


def taken(documents: Documents, node: Node | None) -> int:
    """The documents that the stand-in takes, a bit each."""
    keys = {document.key for document in documents.taken(repr(node), node)}
    return sum(1 << i for i, document in enumerate(documents.all) if document.key in keys)


@pytest.fixture(scope="module")
def documents() -> Documents:
    """The recorded documents as the stand-in holds them."""
    fields = [
        Field(f.identifier, f.name, f.kind, separator=f.separator or ",")
        for f in INFO.fields
        if f.kind != "VECTOR"
    ]
    rows = [
        Document(
            b"%d" % i, {f.alias: as_bytes(str(row[f.identifier])) for f in fields if f.identifier in row}
        )
        for i, row in enumerate(recorded.documents())
    ]
    return Documents(of_fields(*fields), rows)


def generated(number: int, seed: int) -> list[str]:
    draw, made = random.Random(seed), set[str]()
    while len(made) < number:
        parts = [draw.choice(PARTS) for _ in range(draw.randint(1, 4))]
        if draw.random() < 0.6:
            signed = [draw.choice(["", "", "", "-"]) + part for part in parts]
            parts = [f"({part})" if draw.random() < 0.2 else part for part in signed]
        made.add(draw.choice([" ", " ", "|", " | ", ""]).join(parts))
    return sorted(made - {"*", "(*)"})  # of every document: taken here, and sent as it is written there


def test_raw_filters_are_refused_or_mean_the_same_as_the_engine_reads_them(documents: Documents) -> None:
    judged, wrong = Counter[str](), []
    for text in generated(6_000, 3):
        try:
            right: int | None = taken(
                documents, read_query(as_bytes(text), documents.index, Options()).filter
            )
        except Refusal:
            right = None
        try:
            sent = render(text, DIALECT, INFO).query
        except MemDBError as exc:
            judged["refused"] += 1
            # A quote that is never closed is a slip of the finger, though the engine takes it.
            if right is not None and "a quote and never closes it" not in str(exc):
                wrong.append((text, str(exc)))
            continue
        judged["taken"] += 1
        if right is None:
            wrong.append((text, "refused by the engine"))
        elif taken(documents, read_query(as_bytes(sent), documents.index, Options()).filter) != right:
            wrong.append((text, sent))
    assert wrong == []
    assert judged["taken"] > 700
    assert judged["refused"] > 3_000


OWN = (
    (PUNCTUATION, STOP_WORDS),
    (PUNCTUATION.replace("-", "").replace("@", ""), ()),
    (PUNCTUATION.replace("\\", ""), ("a",)),
    (",.", ("é", "b")),
    ("%\\]&<;+{|", ()),
)


@pytest.mark.parametrize(("punctuation", "stop_words"), OWN)
def test_words_are_found_whatever_parts_them_in_an_index(
    punctuation: str, stop_words: tuple[str, ...]
) -> None:
    draw = random.Random(len(punctuation))
    text_field = replace(INFO.of_kind("TEXT")[0], name="t", identifier="t")
    rules = replace(INFO.rules, punctuation=punctuation, stop_words=stop_words)
    info = replace(INFO, fields=(text_field,), rules=rules)
    index = of_fields(Field("t", "t", "TEXT", stems=False), stop_words=stop_words, punctuation=punctuation)
    texts = ["".join(draw.choices(SIGNS, k=draw.randint(1, 9))).rstrip("\\") for _ in range(400)]
    documents = Documents(index, [Document(b"%d" % i, {"t": as_bytes(t)}) for i, t in enumerate(texts)])
    held = [words_of(as_bytes(text), index) for text in texts]
    said, wrong = 0, []
    for text, wanted in zip(texts, held, strict=True):
        for mode in MODES:
            try:
                query = render(Text("t", text, mode), DIALECT, info).query
            except BadFilter:
                # Where the backslash parts words too, signs of the query's own cannot be said; else all can.
                assert not wanted or ("\\" in punctuation and punctuation != PUNCTUATION), text
                continue
            said += 1
            right = sum(1 << i for i, words in enumerate(held) if _holds(wanted, words, mode))
            if taken(documents, read_query(as_bytes(query), index, Options()).filter) != right:
                wrong.append((text, query))
    assert wrong == []
    assert said > 500


MODES: tuple[Words, ...] = ("all", "any", "phrase")


def _holds(wanted: list[str], words: list[str], mode: Words) -> bool:
    if mode == "phrase":
        return any(words[at : at + len(wanted)] == wanted for at in range(len(words)))
    both = set(wanted) & set(words)
    return both == set(wanted) if mode == "all" else bool(both)


def test_a_filter_of_more_parts_than_the_engine_counts_is_refused_before_it_is_sent(
    documents: Documents,
) -> None:
    """1,000 parts on 1.2, and 16 before: each condition, each word of a phrase, and what joins them."""

    def made(number: int) -> Condition:
        ranges = tuple(Range("year", low=n) for n in range(number - 1))
        return Or((And(ranges[: number // 2]), *ranges[number // 2 :], Tag("source", ("blog", "docs"))))

    read_query(render(made(450), DIALECT, INFO).query, documents.index, Options())
    short = replace(DIALECT, limits=replace(DIALECT.limits, nodes=16))
    assert render(made(8), short, INFO).query
    for dialect, number in ((DIALECT, 501), (short, 9)):
        large = replace(dialect, limits=replace(dialect.limits, query_bytes=100_000))
        with pytest.raises(BadFilter, match=rf"{2 * number - 1:,} parts .* takes {dialect.limits.nodes:,}"):
            render(made(number), large, INFO)
    unlimited = replace(DIALECT, limits=replace(DIALECT.limits, query_bytes=100_000, nodes=None))
    with pytest.raises(Refusal, match="max number of terms can't exceed 1000"):
        read_query(render(made(501), unlimited, INFO).query, documents.index, Options())
    phrase = Text("body", " ".join(f"word{n}" for n in range(9)), "phrase")
    assert expression.nodes(expression.conditions(render(phrase, DIALECT, INFO).query, DIALECT, INFO)) == 10
