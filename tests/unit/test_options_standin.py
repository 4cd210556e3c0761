"""Options of FT.SEARCH, FT.AGGREGATE and FT.CREATE, as the stand-in for valkey-search reads them.

Generated sequences of pieces whose verdicts are known by themselves, of the recorded replies and of the public
source of release 1.2: all are taken where each is, and none where one is refused or ends too early.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from memdb.cluster.target import Target
from tests.standins.aggregate import read_aggregate
from tests.standins.grammar import Options
from tests.standins.resp import Refusal
from tests.standins.schema import Field, Index, read_create
from tests.standins.valkey import ValkeySearch

SEARCH = (
    """
LIMIT 0 10 ¦ LIMIT 5 0 ¦ limit 100000 1 ¦ NOCONTENT ¦ RETURN 0 ¦ RETURN 1 title ¦ RETURN 3 title AS t
RETURN 2 nosuch year ¦ SORTBY year ¦ SORTBY year DESC ¦ sortby title asc ¦ DIALECT 2 ¦ DIALECT 3 ¦ DIALECT 4
TIMEOUT 1 ¦ TIMEOUT 60000 ¦ VERBATIM ¦ INORDER ¦ SLOP 0 ¦ SLOP 3 ¦ LOCALONLY ¦ ALLSHARDS ¦ SOMESHARDS
CONSISTENT ¦ INCONSISTENT ¦ WITHSORTKEYS ¦ PARAMS 0 ¦ PARAMS 4 a 1 b 2
""",
    """
LIMIT -1 10 ¦ LIMIT 0 x ¦ LIMIT 0 1.5 ¦ LIMIT 0 ² ¦ RETURN -1 ¦ RETURN x title ¦ RETURN 2 title AS t
SORTBY nosuch ¦ SORTBY __key ¦ DIALECT 1 ¦ DIALECT 5 ¦ DIALECT x ¦ TIMEOUT 0 ¦ TIMEOUT 60001 ¦ TIMEOUT -1
SLOP x ¦ WITHSCORES ¦ INKEYS 1 k ¦ INFIELDS 1 title ¦ HIGHLIGHT ¦ SUMMARIZE ¦ SCORER BM25 ¦ LANGUAGE english
WITHPAYLOADS ¦ NOSTOPWORDS ¦ EXPLAINSCORE ¦ FILTER year 1 2 ¦ EXPANDER x ¦ PARAMS 1 a ¦ PARAMS 4 a 1 a 2
""",
)
AGGREGATE = (
    """
LOAD 1 @year ¦ LOAD 2 year @source ¦ LOAD 1 @__key ¦ LOAD * ¦ LIMIT 0 3 ¦ LIMIT 7 0 ¦ FILTER @year>2010
APPLY @year+1 AS y ¦ APPLY lower(@source) AS s ¦ APPLY 1 AS one GROUPBY 1 @one ¦ SORTBY 1 @year
SORTBY 2 @year DESC ¦ SORTBY 3 @year DESC @source ¦ SORTBY 2 @year ASC MAX 3 ¦ GROUPBY 1 @source
GROUPBY 2 @source @year REDUCE COUNT 0 AS n ¦ GROUPBY 1 @source REDUCE MIN 1 @year AS low REDUCE AVG 1 @year
TIMEOUT 1000 ¦ DIALECT 2 ¦ VERBATIM ¦ INORDER ¦ SLOP 1 ¦ ADDSCORES ¦ PARAMS 2 a 1
""",
    """
LOAD x ¦ LOAD -1 ¦ LOAD 1 @ ¦ LOAD 1 @nosuch ¦ LOAD 1 @v ¦ LIMIT 0 x ¦ LIMIT -1 3 ¦ FILTER @nosuch>1
APPLY @year+1 y ¦ APPLY split(@source) AS s ¦ APPLY @year+ AS y ¦ SORTBY x @year ¦ SORTBY 1 @nosuch
GROUPBY 0 ¦ GROUPBY 0 REDUCE COUNT 0 AS n ¦ GROUPBY 1 source ¦ GROUPBY 1 @title ¦ GROUPBY 1 @nosuch
GROUPBY 1 @source REDUCE TOLIST 1 @year ¦ GROUPBY 1 @source REDUCE QUANTILE 2 @year 0.5 AS q
GROUPBY 1 @source REDUCE COUNT 1 @year ¦ WITHCURSOR ¦ DIALECT 1 ¦ DIALECT 5 ¦ WITHSCORES ¦ PARAMS 2 a-b 1
""",
)
CREATE = (
    """
LANGUAGE english ¦ SKIPINITIALSCAN ¦ NOOFFSETS ¦ WITHOFFSETS ¦ NOSTEM ¦ NOSTOPWORDS ¦ STOPWORDS 0
STOPWORDS 2 foo bar ¦ MINSTEMSIZE 3 ¦ PUNCTUATION ,.- ¦ SCORE 1 ¦ SCORE 1.0
""",
    """
LANGUAGE german ¦ LANGUAGE_FIELD l ¦ SCORE 0.5 ¦ SCORE x ¦ SCORE_FIELD s ¦ PAYLOAD_FIELD p ¦ STOPWORDS x
STOPWORDS -1 ¦ MINSTEMSIZE 0 ¦ MINSTEMSIZE x ¦ TEMPORARY 10 ¦ NOFREQS ¦ NOHL ¦ MAXTEXTFIELDS ¦ FILTER @a>1
""",
)
FIELDS = (
    """
a TAG ¦ b AS c TAG SEPARATOR ; ¦ d TAG CASESENSITIVE SORTABLE ¦ e NUMERIC ¦ f NUMERIC SORTABLE ¦ g TEXT
h TEXT NOSTEM ¦ i TEXT WEIGHT 1.0 WITHSUFFIXTRIE ¦ a␣b TAG ¦ my-field AS my_field TAG ¦ é TAG
v VECTOR FLAT 6 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 ¦ w VECTOR HNSW 8 TYPE FLOAT32 DIM 4 DISTANCE_METRIC IP M 2
x VECTOR hnsw 10 type float32 dim 32768 distance_metric cosine EF_RUNTIME 1000000 INITIAL_CAP 5
y VECTOR FLAT 8 TYPE FLOAT32 DIM 1 DISTANCE_METRIC COSINE BLOCK_SIZE 7
""",
    """
a.b TAG ¦ j GEO ¦ k TAG SEPARATOR ;; ¦ l TAG WITHSUFFIXTRIE ¦ m NUMERIC NOINDEX ¦ n TEXT WEIGHT 2 ¦ o TEXT WEIGHT x
p TAG INDEXEMPTY ¦ a-b NUMERIC ¦ $.x TEXT ¦ q AS r:s TAG ¦ t NUMERIC SORTABLE UNF
v1 VECTOR FLAT 6 TYPE FLOAT64 DIM 4 DISTANCE_METRIC L2 ¦ v2 VECTOR FLAT 6 TYPE FLOAT32 DIM 0 DISTANCE_METRIC L2
v3 VECTOR FLAT 6 TYPE FLOAT32 DIM 32769 DISTANCE_METRIC L2 ¦ v4 VECTOR FLAT 4 TYPE FLOAT32 DIM 4
v5 VECTOR HNSW 8 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 M 1 ¦ v6 VECTOR HNSW 8 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 M -3
v7 VECTOR FLAT 8 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 M 16 ¦ v8 VECTOR SVS-VAMANA 6 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2
v9 VECTOR FLAT 6 TYPE FLOAT32 DIM x DISTANCE_METRIC L2 ¦ va VECTOR FLAT 6 TYPE FLOAT32 DIM 4 DISTANCE_METRIC JACCARD
vb VECTOR FLAT x TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 ¦ vc VECTOR HNSW 8 TYPE FLOAT32 DIM 4 DISTANCE_METRIC L2 EPSILON 0.1
""",
)
INDEX = Index(
    "idx",
    (
        Field("title", "title", "TEXT"),
        Field("source", "source", "TAG"),
        Field("year", "year", "NUMERIC"),
        Field("v", "v", "VECTOR"),
    ),
)
Read = Callable[[list[str]], object]


def pieces(text: str) -> list[list[str]]:
    parts = text.strip("\n").replace("\n", " ¦ ").split(" ¦ ")
    return [[word.replace("␣", " ") for word in part.split(" ")] for part in parts]


def search(words: list[str]) -> object:
    standin = ValkeySearch(Target("redis", "127.0.0.1", 1))
    return standin.read_search(words, INDEX)


def aggregate(words: list[str]) -> object:
    return read_aggregate(list(words), INDEX, Options(), "")


def create(words: list[str]) -> object:
    options = ["idx", "ON", "HASH", "PREFIX", "1", "d:", *words, "SCHEMA", "year", "NUMERIC"]
    return read_create([word.encode("latin-1") for word in options], json=False)


def fields(words: list[str]) -> object:
    return read_create([word.encode("latin-1") for word in ("idx", "SCHEMA", *words)], json=False)


def taken(read: Read, words: list[str]) -> bool:
    """Whether a command is read. Anything but a refusal is a mistake of the stand-in."""
    try:
        read(words)
    except Refusal:
        return False
    return True


READERS = {
    "search": (search, SEARCH),
    "aggregate": (aggregate, AGGREGATE),
    "create": (create, CREATE),
    "fields": (fields, FIELDS),
}


@pytest.mark.parametrize("of", READERS)
def test_each_piece_gets_its_verdict(of: str) -> None:
    read, (good, bad) = READERS[of]
    assert [words for words in pieces(good) if not taken(read, words)] == []
    assert [words for words in pieces(bad) if taken(read, words)] == []


@pytest.mark.parametrize("of", READERS)
def test_a_sequence_is_taken_where_each_of_its_pieces_is(of: str) -> None:
    read, texts = READERS[of]
    good, bad = map(pieces, texts)
    draw, wrong, judged = random.Random(7), [], Counter[bool]()
    for _ in range(4_000):
        chosen = draw.sample(good, draw.randint(1, 5))  # each name once
        if of == "search":  # of two PARAMS one may repeat a name of the other
            chosen = [part for part in chosen if part[0] != "PARAMS"] or [["NOCONTENT"]]
        right = draw.random() < 0.6
        if not right:
            chosen.insert(draw.randint(0, len(chosen)), draw.choice(bad))
        judged[right] += 1
        words = [word for part in chosen for word in part]
        if taken(read, words) is not right:
            wrong.append((right, " ".join(words)))
    assert wrong == []
    assert min(judged.values()) > 1_000


@pytest.mark.parametrize("of", READERS)
def test_a_command_that_ends_too_early_is_refused_or_read_and_never_a_mistake(of: str) -> None:
    read, (good, _) = READERS[of]
    cut = [words[:size] for words in pieces(good) for size in range(1, len(words))]
    judged = Counter(taken(read, words) for words in cut)
    assert judged[False] > judged[True]
    for words in (["LIMIT"], ["LIMIT", "0"], ["RETURN", "2", "title"], ["SORTBY"], ["PARAMS", "2", "a"]):
        assert not taken(search, words), words
    for words in (["LOAD"], ["LOAD", "2", "@year"], ["APPLY", "1", "AS"], ["GROUPBY", "1"], ["SORTBY", "1"]):
        assert not taken(aggregate, words), words


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["a" * 256, "TAG"], False),
        (["a" * 257, "TAG"], True),
        (["a" * 128, "NUMERIC"], False),
        (["a" * 129, "NUMERIC"], True),
        (["a" * 5_000, "TEXT"], False),
        (["a", "TAG", "a", "TEXT"], True),
        (["a", "TAG", "b", "AS", "a", "TEXT"], True),
        ([word for i in range(64) for word in (f"t{i}", "TEXT")], False),
        ([word for i in range(65) for word in (f"t{i}", "TEXT")], True),
        ([word for i in range(1_000) for word in (f"t{i}", "TAG")], False),
        ([word for i in range(1_001) for word in (f"t{i}", "TAG")], True),
    ],
    ids=lambda given: f"{len(given)} words" if isinstance(given, list) else None,
)
def test_names_and_numbers_of_fields_are_bounded(words: list[str], refused: bool) -> None:
    assert taken(fields, words) is not refused
