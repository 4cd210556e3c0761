"""Raw filters of words: what a search finds is what its filter counts, or the filter is refused before.

RediSearch 2.10.5 counts nothing for a filter of stop words alone, and lets all documents through beside a KNN
clause.
"""

from __future__ import annotations

import numpy as np
import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadFilter, UnsupportedFeature
from memdb.vectors import index, search
from memdb.vectors.conditions import And, Or, Raw, Tag
from memdb.vectors.index import FlatField, IndexInfo, IndexSpec, NumericField, TagField, TextField
from memdb.vectors.query import KnnRequest
from tests.standins import memorydb
from tests.waiting import until

pytestmark = pytest.mark.any_engine
COUNT = 60
TEXTS = ("hello world", "the hello", "end of it")
# Of stop words alone, however they are put; "…" stands beside a real condition.
STOPPED = (
    "@t:the",
    "(@t:the)",
    "-@t:the",
    "@t:(the of)",
    "the",
    "-(@t:the)",
    "@t:(of the) @t:a",
    "the|of",
    "~@t:THE",
)
ASKING = {
    "@t:the @n:[5 7]": [5, 6, 7],
    "@cat:{a} -@t:hello": [i for i in range(0, COUNT, 2) if i % 3 == 2],
    "@t:hello": [i for i in range(COUNT) if i % 3 < 2],
    "@t:(the hello)": [i for i in range(COUNT) if i % 3 < 2],
    "@t:(the|hello) @n:[0 8]": [0, 1, 3, 4, 6, 7],
    '@t:"the"': [],
    "@t:nowhere": [],
    "@t:the|@n:[5 7]": [5, 6, 7],
}


@pytest.fixture
def info(client: Client, prefix: str) -> IndexInfo:
    fields = (TagField("cat"), NumericField("n"), TextField("t"), FlatField("v", 4, "L2"))
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    rows = np.random.default_rng(2).normal(size=(COUNT, 4)).astype("<f4")
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "cat", "ab"[i % 2], "n", i, "t", TEXTS[i % 3], "v", row.tobytes())
            for i, row in enumerate(rows)
        ]
    )
    until(lambda: index.index_info(client, prefix + "idx").documents == COUNT, "all are indexed")
    return index.index_info(client, prefix + "idx")


@pytest.mark.needs("words")
def test_stop_words_alone_are_no_filter(client: Client, info: IndexInfo) -> None:
    for raw in STOPPED:
        for ask in (
            lambda raw=raw: search.count(client, info, raw),
            lambda raw=raw: search.knn(client, KnnRequest(info.name, (0.0,) * 4, filter=raw), info),
            lambda raw=raw: search.count(client, info, Or((Raw(raw), Raw("@t:of")))),
        ):
            with pytest.raises(BadFilter):
                ask()


@pytest.mark.needs("words", "grouped_words")
def test_a_search_finds_what_its_filter_counts(client: Client, info: IndexInfo) -> None:
    for raw, right in ASKING.items():
        keys = search.knn(client, KnnRequest(info.name, (0.0,) * 4, k=COUNT, filter=raw), info).keys
        assert {key.rpartition(":")[2] for key in keys} == set(map(str, right)), raw
        assert search.count(client, info, raw) == len(right), raw
    beside = And((Raw("@t:the"), Tag("cat", ("a",))))
    assert search.count(client, info, beside) == COUNT // 2


@pytest.mark.needs("sorted_hits")  # of the engine behind the stand-in
def test_words_are_told_as_such_where_none_are_searched(server_target: Target, info: IndexInfo) -> None:
    with memorydb(server_target) as running, connect(running.target) as client:
        there = index.index_info(client, info.name)
        for raw in ("@t:the", "@t:hello", "hello @n:[1 2]", "@t:C++", "@n:[1 2] of"):
            with pytest.raises(UnsupportedFeature, match="Searching the words of"):
                search.count(client, there, raw)
        assert search.count(client, there, "@n:[5 7]") == 3
        assert running.searches_refused == []
