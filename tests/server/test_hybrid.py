"""Words, and words with vectors, on the engine and both stand-ins; figures against a count of the test's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadFilter, UnsupportedFeature
from memdb.vectors.conditions import Condition, Tag
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.fusion import Fusion
from memdb.vectors.hybrid import HybridRequest, hybrid, native_command
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField, TextField, create, index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from memdb.vectors.words import LOOKED_AT, WordsRequest, words
from tests.conftest import clean
from tests.standins import Standin, memorydb, valkey_search
from tests.waiting import until

WORDS = ("amazon", "backup", "table", "vector", "cluster", "snapshot")
COUNT, DIM = 300, 8


@dataclass(frozen=True)
class Loaded:
    client: Client
    info: IndexInfo
    titles: list[str]
    bodies: list[str]
    tags: list[str]
    vectors: np.ndarray

    def key(self, i: int) -> str:
        return f"{self.info.prefixes[0]}{i}"

    def holds(self, i: int, word: str) -> bool:
        return word in self.titles[i].split() or word in self.bodies[i].split()


def loaded(client: Client, prefix: str) -> Loaded:
    rng = np.random.default_rng(3)
    name, key = f"{prefix}hy", f"{prefix}hy:"
    fields = (TextField("title"), TextField("body"), TagField("tag"), HnswField("v", DIM, "COSINE"))
    create(client, IndexSpec(name, fields, (key,)))
    often = 1 / np.arange(1, len(WORDS) + 1) ** 2
    said = [
        [" ".join(rng.choice(WORDS, size=size, p=often / often.sum())) for _ in range(COUNT)]
        for size in (1, 3)
    ]
    tags = [f"t{i % 3}" for i in range(COUNT)]
    vectors = rng.normal(size=(COUNT, DIM)).astype("<f4")
    client.pipeline(
        [
            (
                "HSET",
                f"{key}{i}",
                "title",
                said[0][i],
                "body",
                said[1][i],
                "tag",
                tags[i],
                "v",
                vectors[i].tobytes(),
            )
            for i in range(COUNT)
        ]
    )
    until(lambda: index_info(client, name).documents == COUNT, "the documents are indexed")
    return Loaded(client, index_info(client, name), *said, tags, vectors)


FRONTS: dict[str, Callable[[Target], AbstractContextManager[Standin]]] = {
    "valkey-search": valkey_search,
    "memorydb": memorydb,
}


@pytest.fixture
def served(request: pytest.FixtureRequest, server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client of the engine or of a stand-in, by the parameter's name."""
    if request.param == "engine":
        with connect(server_target) as opened:
            yield opened
            clean(opened, prefix)
        return
    with (
        FRONTS[request.param](server_target) as running,
        connect(replace(running.target, writable=True)) as opened,
    ):
        yield opened
        clean(opened, prefix)


SEARCHING = pytest.mark.parametrize("served", ["engine", "valkey-search"], indirect=True)
FILTERS: list[Condition] = [EVERYTHING, Tag("tag", ("t1",))]


@SEARCHING
@pytest.mark.parametrize("condition", FILTERS, ids=["all", "under a filter"])
def test_words_find_what_holds_any_of_them(served: Client, prefix: str, condition: Condition) -> None:
    data = loaded(served, prefix)
    question = "the Table of a SNAPSHOT, and nosuchword?"
    own = {
        data.key(i)
        for i in range(COUNT)
        if (data.holds(i, "table") or data.holds(i, "snapshot"))
        and (condition == EVERYTHING or data.tags[i] == "t1")
    }
    result = words(
        served, data.info, WordsRequest(data.info.name, question, 300, condition, ("title", "tag"))
    )
    assert set(result.keys) == own
    assert result.matching == len(own)
    assert (np.diff(result.scores) <= 1e-9).all()
    places = [int(key.rpartition(":")[2]) for key in result.keys]
    assert [row["title"] for row in result.fields] == [data.titles[i] for i in places]
    best = words(served, data.info, WordsRequest(data.info.name, question, 5, condition))
    assert list(best.scores) == pytest.approx(list(result.scores[:5]))


@pytest.mark.parametrize("served", ["valkey-search"], indirect=True)
def test_where_the_engine_tells_no_score_rarities_are_summed(served: Client, prefix: str) -> None:
    data = loaded(served, prefix)
    asked = ("table", "snapshot", "amazon")
    count = {word: sum(data.holds(i, word) for i in range(COUNT)) for word in asked}
    own = {
        data.key(i): sum(
            math.log(1 + (COUNT - count[word] + 0.5) / (count[word] + 0.5))
            for word in asked
            if data.holds(i, word)
        )
        for i in range(COUNT)
    }
    result = words(served, data.info, WordsRequest(data.info.name, " ".join(asked), 40))
    assert list(result.scores) == pytest.approx(sorted(own.values(), reverse=True)[:40])
    assert [own[key] for key in result.keys] == pytest.approx(list(result.scores))
    assert "computed here" in result.scored


@pytest.mark.parametrize("served", ["valkey-search"], indirect=True)
def test_of_frequent_words_a_part_is_looked_at_and_that_is_said(
    served: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memdb.vectors.words.LOOKED_AT", 120)
    data = loaded(served, prefix)
    rare = {data.key(i) for i in range(COUNT) if data.holds(i, "snapshot")}
    either = sum(data.holds(i, "snapshot") or data.holds(i, "amazon") for i in range(COUNT))
    assert 0 < len(rare) < 120 < either < LOOKED_AT
    result = words(served, data.info, WordsRequest(data.info.name, "amazon snapshot", 300))
    assert set(result.keys) == rare
    assert result.notes == (
        f"{either:,} documents hold any of the words; scored are the {len(rare):,} with the rarest.",
    )
    # The frequent word counts in those that were looked at.
    both = {data.key(i) for i in range(COUNT) if data.holds(i, "snapshot") and data.holds(i, "amazon")}
    assert set(result.keys[: len(both)]) == both


@SEARCHING
@pytest.mark.parametrize(
    "fusion", [Fusion(depth=40), Fusion("weighted", weight=0.3, depth=40)], ids=["rrf", "weighted"]
)
@pytest.mark.parametrize("condition", FILTERS, ids=["all", "under a filter"])
def test_both_legs_are_fused_and_shown(
    served: Client, prefix: str, fusion: Fusion, condition: Condition
) -> None:
    data = loaded(served, prefix)
    vector = np.random.default_rng(8).normal(size=DIM).astype(np.float32)
    request = KnnRequest(data.info.name, vector_param(vector), "v", 12, 200, condition, ("title",))
    result = hybrid(served, data.info, HybridRequest(request, "table snapshot", fusion))
    near = knn(served, replace(request, k=40), data.info)
    said = words(served, data.info, WordsRequest(data.info.name, "table snapshot", 40, condition))
    scores: dict[str, float] = {}
    for keys, values, share in (
        (near.keys, 1 - near.distances, fusion.weight),
        (said.keys, said.scores, 1 - fusion.weight),
    ):
        for rank, (key, value) in enumerate(zip(keys, values, strict=True), 1):
            spread = values.max() - values.min()
            part = (
                1 / (60 + rank)
                if fusion.method == "rrf"
                else share * ((value - values.min()) / spread if spread else 1)
            )
            scores[key] = scores.get(key, 0.0) + part
    assert len(result.keys) == 12
    assert [hit.score for hit in result.hits] == pytest.approx([scores[key] for key in result.keys])
    assert [hit.score for hit in result.hits] == pytest.approx(sorted(scores.values(), reverse=True)[:12])
    for hit, row in zip(result.hits, result.fields, strict=True):
        place = int(hit.key.rpartition(":")[2])
        assert row["title"] == data.titles[place]
        assert (hit.words is not None) == (hit.key in said.keys)
        rank = near.keys.index(hit.key) + 1 if hit.key in near.keys else None
        assert (hit.vectors.rank if hit.vectors else None) == rank
        assert condition == EVERYTHING or data.tags[place] == "t1"
    assert result.fused_by == "here"
    assert any("KNN 40" in str(command.args[2]) for command in result.commands)


@pytest.mark.parametrize("served", ["memorydb"], indirect=True)
def test_memorydb_says_why_not(served: Client, prefix: str) -> None:
    data = loaded(served, prefix)
    request = KnnRequest(data.info.name, vector_param(data.vectors[0]), "v")
    with pytest.raises(UnsupportedFeature, match="MemoryDB returns TEXT fields but does not search them"):
        hybrid(served, data.info, HybridRequest(request, "table"))


@SEARCHING
def test_questions_without_a_word(served: Client, prefix: str) -> None:
    data = loaded(served, prefix)
    for question in ("the of", "?!", "  "):
        with pytest.raises(BadFilter, match="holds no word that is indexed"):
            words(served, data.info, WordsRequest(data.info.name, question))
    many = " ".join(f"word{i}" for i in range(60)) + " table"
    result = words(served, data.info, WordsRequest(data.info.name, many))
    assert (result.keys, result.notes) == ((), ("Of the question the first 24 words were asked.",))
    odd = words(
        served, data.info, WordsRequest(data.info.name, 'table "quoted" (x|y) -no @tag:{t1} 50% a\\b')
    )
    assert odd.keys


def test_where_ft_hybrid_is_refused_the_legs_are_fused_here(
    client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server with FT.HYBRID runs here: its command is judged by its words, and its refusal is real."""
    data = loaded(client, prefix)
    server = client.server
    dialect = dataclasses.replace(
        server.dialect, commands=server.dialect.commands | {"FT.HYBRID"}, fuses=True
    )
    monkeypatch.setattr(client.connection, "_server", dataclasses.replace(server, dialect=dialect))
    request = KnnRequest(
        data.info.name, vector_param(data.vectors[0]), "v", 5, 80, Tag("tag", ("t1",)), ("title",)
    )
    result = hybrid(client, data.info, HybridRequest(request, "table", Fusion(depth=20)))
    assert result.fused_by == "here"
    assert any("FT.HYBRID was refused" in note for note in result.notes)
    command = native_command(client, data.info, replace(request, k=20), "table", Fusion(depth=20), 5)
    said = [arg if isinstance(arg, (str, int)) else "BLOB" for arg in command.args]
    assert said[:6] == [
        "FT.HYBRID",
        data.info.name,
        "SEARCH",
        "(@tag:{t1} (@title:(table) | @body:(table)))",
        "SCORER",
        "BM25STD",
    ]
    assert said[6:] == (
        [
            "VSIM",
            "@v",
            "$vec",
            "KNN",
            4,
            "K",
            20,
            "EF_RUNTIME",
            80,
            "FILTER",
            "@tag:{t1}",
            "COMBINE",
            "RRF",
            4,
            "CONSTANT",
            60,
            "WINDOW",
            20,
            "LIMIT",
            0,
            5,
            "PARAMS",
            2,
            "vec",
            "BLOB",
            "TIMEOUT",
            dialect.limits.timeout_ms,
        ]
    )
