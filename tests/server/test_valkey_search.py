"""The library and the command line on valkey-search, by a stand-in that is held against its recordings.

Every figure is held against a computation of the test's own over what was stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadFilter, EngineError, RefusedFilter, RejectedQuery, UnknownField
from memdb.maps import overlay
from memdb.tuning import ask, misses
from memdb.tuning.queries import random_documents
from memdb.tuning.run import Goal, Run, SweepRequest
from memdb.tuning.source import Documents
from memdb.tuning.sweep import sweep
from memdb.vectors import counts, index, read, search
from memdb.vectors.conditions import And, Condition, Not, Range, Raw, Tag, Text
from memdb.vectors.filters import render
from memdb.vectors.index import (
    FlatField,
    HnswField,
    IndexInfo,
    IndexSpec,
    NumericField,
    TagField,
    TextField,
    index_info,
)
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from tests.conftest import clean
from tests.standins import Standin, valkey_search
from tests.unit import recorded_filters as recorded
from tests.waiting import until

COUNT, DIM, K = 600, 12, 10
WORDS = ("amazon", "backup", "table", "restore", "cluster", "vector")
SAID = 400  # generated conditions


@pytest.fixture
def standin(server_target: Target) -> Iterator[Standin]:
    with valkey_search(server_target) as running:
        yield running


@pytest.fixture
def valkey(standin: Standin, prefix: str) -> Iterator[Client]:
    """A writable client of the stand-in. What begins with `prefix` is gone afterwards."""
    with connect(replace(standin.target, writable=True)) as opened:
        yield opened
        standin.building = False
        clean(opened, prefix)


@dataclass(frozen=True)
class Loaded:
    """What was stored."""

    info: IndexInfo
    vectors: np.ndarray  # (COUNT, DIM) float32
    titles: tuple[str, ...]
    years: tuple[int, ...]

    def key(self, i: int) -> str:
        return f"{self.info.prefixes[0]}{i}"

    def nearest(self, query: np.ndarray, rows: list[int], own: str) -> list[str]:
        """The K nearest of some documents, itself left out, by float64."""
        some = self.vectors[rows].astype(np.float64)
        asked = query.astype(np.float64)
        far = 1 - some @ asked / (np.linalg.norm(some, axis=1) * np.linalg.norm(asked))
        return [key for i in np.argsort(far) if (key := self.key(rows[i])) != own][:K]


def load(client: Client, prefix: str, vector: HnswField | FlatField) -> Loaded:
    """Documents with a title, a year, a tag; a number that only every third one has."""
    vectors = np.random.default_rng(4).standard_normal((COUNT, DIM)).astype("<f4")
    titles = tuple(f"{WORDS[i % 6]} {WORDS[(i * 5 + 1) % 6]} item" for i in range(COUNT))
    years = tuple(2006 + i % 20 for i in range(COUNT))
    rows = [
        (
            ("HSET", f"{prefix}doc:ram:{i}", "title", titles[i], "year", years[i], "my_tag", f"t{i % 4}")
            + (("third", i) if i % 3 == 0 else ())
            + ("emb", vectors[i].tobytes())
        )
        for i in range(COUNT)
    ]
    client.pipeline(rows)
    fields = (TextField("title"), NumericField("third"), NumericField("year"), TagField("my_tag"), vector)
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "doc:ram:",)))
    until(lambda: index_info(client, prefix + "idx").build.ready, "the index is built")
    return Loaded(index_info(client, prefix + "idx"), vectors, titles, years)


def test_generated_conditions_are_taken_and_count_what_they_hold_for(
    valkey: Client, standin: Standin, prefix: str
) -> None:
    rows = []
    for i, document in enumerate(recorded.documents()):
        values = [part for pair in document.items() for part in pair]
        rows.append(("HSET", f"{prefix}cf:{i}", *values, "embedding", np.ones(8, "<f4").tobytes()))
    valkey.pipeline(rows)
    created = next(
        e["args"] for e in recorded.entries("valkey-search")[1:] if e["note"] == "HNSW over hashes"
    )
    words = [prefix + word if word in ("cf", "cf:") else recorded.wire(word) for word in created]
    valkey.execute(*words)
    until(lambda: index_info(valkey, prefix + "cf").build.ready, "the index is built")
    info = index_info(valkey, prefix + "cf")
    said: list[Condition] = []
    for condition in recorded.generated(2 * SAID, 8, text=True, negation=True):
        try:
            render(condition, valkey.server.dialect, info)
        except BadFilter:
            continue
        said.append(condition)
    said = said[:SAID]
    assert len(said) == SAID
    rendered = [render(condition, valkey.server.dialect, info) for condition in said]
    right = [recorded.holds(condition).bit_count() for condition in said]
    assert counts.counts(valkey, info, rendered) == right
    assert standin.searches_refused == []
    for condition in said[:40]:
        keys = {key for batch in read.matching_keys(valkey, info, condition) for key in batch}
        assert keys == {f"{prefix}cf:{i}" for i in range(400) if recorded.holds(condition) >> i & 1}


FILTERS = [
    (And((Text("title", "amazon"), Range("year", 2015, 2018))), True),
    (Text("title", "amazon backup", "phrase"), True),
    (Text("title", "amazon"), False),
    (And((Tag("my_tag", ("t1",)), Range("year", 2015, 2018))), False),
]


def matching(loaded: Loaded, condition: Condition) -> list[int]:
    held = {
        FILTERS[0][0]: lambda i: "amazon" in loaded.titles[i] and 2015 <= loaded.years[i] <= 2018,
        FILTERS[1][0]: lambda i: "amazon backup" in loaded.titles[i],
        FILTERS[2][0]: lambda i: "amazon" in loaded.titles[i],
        FILTERS[3][0]: lambda i: i % 4 == 1 and 2015 <= loaded.years[i] <= 2018,
    }[condition]
    return [i for i in range(COUNT) if held(i)]


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize(("condition", "broken"), FILTERS)
def test_only_documents_under_the_filter_count(
    valkey: Client, prefix: str, tmp_path: Path, condition: Condition, broken: bool
) -> None:
    loaded = load(valkey, prefix, HnswField("emb", DIM, m=8, ef_construction=60))
    rows = matching(loaded, condition)
    under = {loaded.key(i) for i in rows}
    assert search.count(valkey, loaded.info, condition) == len(rows) > K
    assert Membership(valkey, loaded.info, condition).outside(map(loaded.key, range(COUNT))) == (
        {loaded.key(i) for i in range(COUNT)} - under
    )
    request = SweepRequest(
        loaded.info.name,
        k=K,
        filter=render(condition, valkey.server.dialect, loaded.info).query,
        ef_max=60,
        goal=Goal("recall", 0.9),
        concurrency=(),
        source=Documents(30, 0, extend=False),
    )
    run = ask.run_saved(valkey, loaded.info, request, tmp_path)
    for point in run.points:
        shares, outside = [], 0
        for query, own in zip(run.queries.vectors, run.queries.own_keys, strict=True):
            knn = KnnRequest(loaded.info.name, vector_param(query), "", K + 1, point.ef_runtime, condition)
            hits = [key for key in search.knn(valkey, knn, loaded.info).keys if key != own][:K]
            true = loaded.nearest(query, rows, own)
            shares.append(len(set(true) & set(hits)) / len(true))
            outside += len(set(hits) - under)
        assert point.recall == pytest.approx(np.mean(shares), abs=1e-6)
        assert point.broken == outside
        assert (point.broken > 0) is broken
    assert any("a fault of valkey-search 1.2" in note for note in run.notes) is broken
    assert run.engine == "Valkey 9.1.2, valkey-search 1.2"

    first = run.points[0]
    worst = [misses.anatomy(run, query, first.ef_runtime) for query in range(len(run.queries))]
    assert sum(miss.outside for miss in worst) == first.broken
    assert any("a fault of the engine" in miss.words() for miss in worst) is broken
    extras = misses.extras(
        valkey,
        loaded.info,
        run,
        int(np.argmax(first.outside)),
        first.ef_runtime,
        read.blocks(valkey, loaded.info, "", condition),
    )
    assert any(extra.true_rank is None for extra in extras) is broken
    assert {extra.key for extra in extras if extra.true_rank is None}.isdisjoint(under)


@pytest.mark.parametrize(("condition", "broken"), FILTERS)
def test_a_search_marks_hits_that_break_the_filter(
    valkey: Client, prefix: str, condition: Condition, broken: bool
) -> None:
    loaded = load(valkey, prefix, HnswField("emb", DIM, m=8, ef_construction=60))
    under = {loaded.key(i) for i in matching(loaded, condition)}
    query = vector_param(loaded.vectors[7])
    result = search.knn(valkey, KnnRequest(loaded.info.name, query, "", K, 60, condition), loaded.info)
    assert result.outside == set(result.keys) - under
    assert bool(result.outside) is broken
    assert set(result.under_filter().keys) == set(result.keys) & under
    assert any("Use TAG fields" in note for note in result.notes) is broken
    near = overlay.exact(valkey, loaded.info, "emb", loaded.vectors[7], K, condition)
    assert set(near.keys[0]) <= under


def test_a_flat_index_keeps_to_every_filter(valkey: Client, prefix: str) -> None:
    loaded = load(valkey, prefix, FlatField("emb", DIM))
    query = vector_param(loaded.vectors[7])
    for condition, _ in FILTERS:
        result = search.knn(valkey, KnnRequest(loaded.info.name, query, "", K, None, condition), loaded.info)
        assert result.outside == frozenset()
        assert list(result.keys) == loaded.nearest(loaded.vectors[7], matching(loaded, condition), "")


def test_a_vector_without_numbers_comes_last(valkey: Client, prefix: str) -> None:
    loaded = load(valkey, prefix, FlatField("emb", DIM))
    odd = f"{prefix}doc:ram:nan"
    valkey.execute("HSET", odd, "title", "amazon", "year", 2016, "emb", np.full(DIM, np.nan, "<f4").tobytes())
    until(lambda: index_info(valkey, loaded.info.name).documents == COUNT + 1, "it is indexed")
    info = index_info(valkey, loaded.info.name)
    query = vector_param(loaded.vectors[7])
    result = search.knn(valkey, KnnRequest(info.name, query, "", COUNT + 1), info)
    assert result.keys[:-1] == tuple(loaded_nearest(loaded))
    assert result.keys[-1] == odd
    assert np.isnan(result.distances[-1])
    assert result.undefined == 1


def loaded_nearest(loaded: Loaded) -> list[str]:
    """All documents from the nearest to document 7, by float64."""
    wide = loaded.vectors.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return [loaded.key(int(i)) for i in np.argsort(1 - unit @ unit[7])]


def test_values_and_bounds_where_a_star_is_no_filter(valkey: Client, standin: Standin, prefix: str) -> None:
    loaded = load(valkey, prefix, HnswField("emb", DIM))
    values = counts.tag_values(valkey, loaded.info, "my_tag")
    assert {v.value: v.documents for v in values} == {f"t{i}": COUNT // 4 for i in range(4)}
    assert values.complete
    assert counts.numeric_bounds(valkey, loaded.info, "third") == (0.0, COUNT - 3.0)
    assert counts.numeric_bounds(valkey, loaded.info, "year") == (2006.0, 2025.0)
    assert search.count(valkey, loaded.info, Not(Range("third"))) == COUNT - COUNT // 3
    assert standin.searches_refused == []


@pytest.mark.usefixtures("briefly")
def test_an_index_that_is_built_says_so_beside_every_figure(
    valkey: Client,
    standin: Standin,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = load(valkey, prefix, HnswField("emb", DIM))
    monkeypatch.setenv("MEMDB_PASSWORD", standin.target.password)
    where = ("--url", standin.target.address)
    about = ("--index", loaded.info.name)
    commands = [
        ("search", *about, "--key", loaded.key(3), "--exact"),
        ("search", *about, "--key", loaded.key(3), "--filter", "@title:amazon @year:[2015 2018]"),
        ("recall", *about, "--queries", "10", "--documents", "--clients", "0"),
        ("memory",),
    ]
    for building in (True, False):
        standin.building = building
        for command in commands:
            main([*command, *where])
            out = capsys.readouterr().out
            assert ("is still being built" in out) is building, command
            assert "\N{RAM}" not in out
            assert "nan" not in out
        main([*commands[1], *where, "--json"])
        told = json.loads(capsys.readouterr().out)
        assert any("is still being built" in note for note in told["notes"]) is building
        broken = {hit["key"] for hit in told["hits"] if hit.get("breaks_filter")}
        under = {loaded.key(i) for i in matching(loaded, FILTERS[0][0])}
        assert broken == {hit["key"] for hit in told["hits"]} - under
        assert broken


@pytest.mark.parametrize(
    ("field", "named"),
    [
        (HnswField("v", 8, type="FLOAT64"), "no vectors of type FLOAT64"),
        (FlatField("v", 8, type="BFLOAT16"), "no vectors of type BFLOAT16"),
        (HnswField("v", 8, epsilon=0.1), "no EPSILON"),
        (HnswField("v-1", 8), "no '-' in the name of a field, and one is called 'v-1'"),
        (HnswField("v", 8, m=1), "must be a positive integer"),
    ],
)
def test_a_refused_index_says_what_it_was_about(
    valkey: Client, prefix: str, field: HnswField | FlatField, named: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        index.create(valkey, IndexSpec(prefix + "x", (field,), (prefix + "x:",)))
    assert named in str(refusal.value)


def test_a_word_of_a_blank_is_sent_behind_its_backslash(valkey: Client, prefix: str) -> None:
    loaded = load(valkey, prefix, FlatField("emb", DIM))
    valkey.execute("HSET", loaded.key(0), "title", "left \\  right")
    valkey.execute("HSET", loaded.key(1), "title", "left right")
    for condition in (Text("title", "left \\  right"), Text("title", "\\ "), Raw("@title:\\ ")):
        assert search.count(valkey, loaded.info, condition) == 1, condition


@pytest.mark.parametrize(("blank", "word"), [(" ", "a blank"), ("\t", "a tab"), ("\n", "a line break")])
def test_a_field_that_queries_cannot_name_is_told_before_anything_is_sent(
    valkey: Client, standin: Standin, prefix: str, blank: str, word: str
) -> None:
    name = f"a{blank}b"
    vector = "emb" if blank == " " else f"e{blank}mb"  # in a KNN clause only a blank ends a name
    valkey.execute(
        "FT.CREATE", prefix + "idx", "PREFIX", 1, prefix + "d:", "SCHEMA", name, "TAG", "n", "NUMERIC",
        vector, "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "L2",
    )  # fmt: skip  # a clause and its arguments side by side
    valkey.execute("HSET", prefix + "d:1", name, "x", "n", 1, vector, np.ones(2, "<f4").tobytes())
    until(lambda: index_info(valkey, prefix + "idx").build.ready, "the index is built")
    info = index_info(valkey, prefix + "idx")
    for condition in (Tag(name, ("x",)), Not(Tag(name, ("x",)))):
        with pytest.raises(BadFilter, match=rf"cannot be queried on valkey-search.*holds {word}") as refused:
            search.count(valkey, info, condition)
        assert "AS" in refused.value.hint
    with pytest.raises(BadFilter, match="which no query can: a blank ends a name"):
        search.count(valkey, info, f"@n:[1 1] @{name}:{{x}}")
    assert search.count(valkey, info, Range("n", 1, 1)) == search.count(valkey, info) == 1
    assert search.knn(valkey, KnnRequest(info.name, (1.0, 1.0)), info).keys == (prefix + "d:1",)
    assert len(search.tag_values(valkey, info, name)) == 0
    assert standin.searches_refused == []


def test_an_unknown_field_of_a_raw_filter_is_the_error_of_every_engine(valkey: Client, prefix: str) -> None:
    loaded = load(valkey, prefix, FlatField("emb", DIM))
    for raw in ("@nope:{x}", "@nope:[1 2]", "@nope:word", "-@nope:{x}"):
        with pytest.raises(UnknownField, match="has no field 'nope'"):
            search.count(valkey, loaded.info, raw)
    for raw in ("@my_tag:{*}", "@year:[a b]", "@year:{x}"):
        with pytest.raises(RefusedFilter) as refused:
            search.count(valkey, loaded.info, raw)
        assert isinstance(refused.value, RejectedQuery)
        assert refused.value.hint


@pytest.mark.usefixtures("briefly")
def test_recall_does_not_pass_on_an_index_that_is_being_built(
    valkey: Client,
    standin: Standin,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load(valkey, prefix, FlatField("emb", DIM))
    monkeypatch.setenv("MEMDB_URL", standin.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", standin.target.password)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    words = ("recall", "--index", prefix + "idx", "--queries", "200", "--target", "0.5", "--clients", "0")
    assert main(words) == 0
    capsys.readouterr()
    standin.building = True
    assert main(words) == 1
    assert "is still being built" in capsys.readouterr().err


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize(
    ("field", "told"), [(HnswField("emb", DIM), "During the run: "), (FlatField("emb", DIM), "At the end of")]
)
def test_a_build_that_begins_during_a_run_is_told_and_shows_no_target(
    valkey: Client, standin: Standin, prefix: str, field: HnswField | FlatField, told: str
) -> None:
    info = load(valkey, prefix, field).info
    request = SweepRequest(info.name, k=K, concurrency=(), goal=Goal("recall", 0.5), sample=0)
    asked = random_documents(valkey, info, "emb", 200, 3)
    built = sweep(valkey, info, request, asked)
    assert built.recommendation is not None
    assert (built.unfinished, built.recommendation.met) == ("", True)
    kept: list[Run] = []

    def keep(so_far: Run) -> None:
        """It begins behind the first setting, and is over behind the second, where there is one."""
        kept.append(so_far)
        standin.building = len(kept) == 1 or isinstance(field, FlatField)

    run = sweep(valkey, info, request, asked, keep=keep)
    assert "is still being built" in run.unfinished
    (note,) = (note for note in run.notes if "is still being built" in note)
    assert note.startswith(told)
    assert run.recommendation is not None
    assert (run.recommendation.met, run.recommendation.ef_runtime) == (False, None)
    assert run.recommendation.sentence.startswith("Not shown: documents were missing")
