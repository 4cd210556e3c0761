"""Shadow indexes on the real engine: checked first, built, compared by size, dropped by name only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Arg, Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadInput, Cancelled, EngineError, OutOfRange, ReadOnlyTarget, UnknownIndex
from memdb.tuning import candidates, shadow
from memdb.tuning.run import SweepRequest
from memdb.tuning.shadow import Variant
from memdb.tuning.source import Documents
from memdb.vectors import index, search
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField, TextField
from memdb.vectors.query import KnnRequest
from tests.standins import memorydb
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 32, 3_000


@pytest.fixture
def base(client: Client, prefix: str) -> Iterator[IndexInfo]:
    fields = (
        TagField("tag", ";"),
        NumericField("n"),
        TextField("t"),
        HnswField("v", DIM, m=8, ef_construction=50),
    )
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM)).astype("<f4")
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "tag", f"a;t{i % 5}", "n", i, "t", "word", "v", v.tobytes())
            for i, v in enumerate(vectors)
        ]
    )
    yield index.index_info(client, prefix + "idx")
    for name in index.index_names(client):
        if shadow.base_of(name).startswith(prefix):
            index.drop(client, name)


@pytest.mark.needs("told_separators")
def test_a_shadow_holds_the_same_documents_and_the_original_stays(client: Client, base: IndexInfo) -> None:
    told: list[tuple[str, int, int]] = []
    built = shadow.build(
        client, base, "v", Variant(m=24, ef_construction=120), report=lambda *a: told.append(a)
    )
    assert built.name.startswith(f"memdb:shadow:{base.name}:")
    assert shadow.base_of(built.name) == base.name
    assert (built.documents, told[-1][1:]) == (COUNT, (COUNT, COUNT))
    assert built.build_s > 0
    found = index.index_info(client, built.name)
    _, params = found.vector_field("v")
    assert (params.m, params.ef_construction, params.metric) == (24, 120, "COSINE")
    assert {f.name for f in found.fields} == {"tag", "n", "v"}
    assert found.field("tag").separator == ";"
    request = KnnRequest(built.name, tuple([1.0] * DIM), k=5, filter="@tag:{t1} @n:[0 1000]")
    assert len(search.knn(client, request, found).keys) == 5
    assert index.index_info(client, base.name).fingerprint == base.fingerprint
    assert [i.name for i in shadow.shadows_of(client, base.name)] == [built.name]


@pytest.mark.needs("told_separators")
def test_other_algorithms_and_metrics(client: Client, base: IndexInfo) -> None:
    flat = shadow.build(client, base, "v", Variant("FLAT", metric="L2"))
    _, params = index.index_info(client, flat.name).vector_field("v")
    assert (params.algorithm, params.metric) == ("FLAT", "L2")


@pytest.mark.needs("index_sizes")
@pytest.mark.parametrize(
    "variant", [Variant(m=32, ef_construction=100), Variant(m=8, ef_construction=200), Variant("FLAT")]
)
def test_the_estimate_is_near_what_the_engine_then_takes(
    client: Client, base: IndexInfo, variant: Variant
) -> None:
    told = shadow.estimate_bytes(base, "v", variant)
    built = shadow.build(client, base, "v", variant)
    assert built.total_bytes is not None
    assert 0.9 * built.total_bytes < told < 2.2 * built.total_bytes


@pytest.mark.needs("told_separators")
def test_the_check_says_what_there_is_and_what_is_needed(client: Client, base: IndexInfo) -> None:
    found = shadow.check(client, base, "v", (Variant(m=16), Variant("FLAT")))
    assert found.ok
    assert len(found.names) == 2
    assert found.need_bytes > COUNT * DIM * 4 * 2
    assert found.free_bytes is None or found.free_bytes > found.need_bytes
    assert any("maxmemory" in w for w in found.warnings)
    shadow.build(client, base, "v", Variant(m=16))
    again = shadow.check(client, base, "v", (Variant(m=16),))
    assert again.need_bytes == 0
    assert any("exists already" in w for w in again.warnings)


def test_the_check_refuses_what_does_not_fit(client: Client, base: IndexInfo) -> None:
    huge = replace(base, documents=10**9, vectors=10**9, vector_bytes=None, total_bytes=None)
    refused = shadow.check(client, huge, "v", (Variant(m=64),))
    assert not refused.ok
    assert "are needed" in refused.refusals[0]
    building = replace(base, build=replace(base.build, state="building", fraction=0.5))
    assert "still being built (50%)" in shadow.check(client, building, "v", (Variant(),)).refusals[0]
    other = shadow.check(client, base, "v", (Variant(metric="IP"),))
    assert any("its own truth" in w for w in other.warnings)


def test_wrong_variants_are_refused_before_anything_is_sent(client: Client, base: IndexInfo) -> None:
    beyond = client.server.dialect.limits.m + 1
    with pytest.raises(OutOfRange, match=f"M is {beyond:,}"):
        shadow.check(client, base, "v", (Variant(m=beyond),))
    with pytest.raises(OutOfRange, match="EF_CONSTRUCTION"):
        shadow.check(client, base, "v", (Variant(ef_construction=0),))
    with pytest.raises(BadInput, match="already"):
        shadow.check(client, base, "v", (Variant(m=8, ef_construction=50),))
    with pytest.raises(BadInput, match="twice"):
        shadow.check(client, base, "v", (Variant(m=9), Variant(m=9)))
    with pytest.raises(BadInput, match="No variant"):
        shadow.check(client, base, "v", ())
    with pytest.raises(BadInput, match="itself a shadow"):
        shadow.spec(replace(base, name="memdb:shadow:x:1234"), "v", Variant())


def test_a_read_only_target_shows_what_would_be_run(server_target: Target, base: IndexInfo) -> None:
    with connect(server_target.read_only()) as reader:
        found = shadow.check(reader, base, "v", (Variant(m=48),))
        assert not found.ok
        assert "read-only" in found.refusals[0]
        line = shadow.create_command(base, "v", Variant(m=48)).redis_cli(reader.target)
        assert "FT.CREATE memdb:shadow:" in line
        assert "M 48 EF_CONSTRUCTION 200" in line
        assert server_target.password not in line
        with pytest.raises(ReadOnlyTarget):
            shadow.build(reader, base, "v", Variant(m=48))
        assert shadow.shadows_of(reader, base.name) == ()


def test_a_cancelled_build_leaves_nothing_behind(client: Client, base: IndexInfo) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        shadow.build(client, base, "v", Variant(m=40), report=stop)
    assert shadow.shadows_of(client, base.name) == ()


@pytest.mark.needs("told_separators")
def test_only_a_shadow_is_dropped_and_only_by_its_typed_name(client: Client, base: IndexInfo) -> None:
    built = shadow.build(client, base, "v", Variant("FLAT"))
    for name, typed in ((base.name, base.name), ("memdb:shadow:", "memdb:shadow:")):
        with pytest.raises(BadInput, match="no shadow index"):
            shadow.drop(client, name, typed)
    for typed in ("", "yes", base.name, built.name[:-1]):
        with pytest.raises(BadInput, match="The name typed"):
            shadow.drop(client, built.name, typed)
    assert index.exists(client, built.name)
    shadow.drop(client, built.name, f" {built.name} ")
    assert not index.exists(client, built.name)
    assert search.count(client, index.index_info(client, base.name)) == COUNT
    with pytest.raises(UnknownIndex):
        shadow.drop(client, built.name, built.name)


# ---- the same documents under the same rules ----------------------------------------------------------------


def _documents(client: Client, name: str) -> set[str]:
    """The keys that an index holds, by its own answer: the nearest of them all."""
    clause = ("*=>[KNN 1000 @v $b AS far]", "PARAMS", 2, "b", np.ones(4, "<f4").tobytes(), "RETURN", 1, "far")
    reply = client.execute("FT.SEARCH", name, *clause, "LIMIT", 0, 1_000, "DIALECT", 2)
    assert reply[0] == len(reply[1::2])
    return {key.decode() for key in reply[1::2]}


def _drop_shadows(client: Client, prefix: str) -> None:
    for name in index.index_names(client):
        if shadow.base_of(name).startswith(prefix):
            index.drop(client, name)


VECTOR: tuple[Arg, ...] = ("v", "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", 4, "DISTANCE_METRIC", "COSINE")
RULES: dict[str, tuple[tuple[Arg, ...], tuple[Arg, ...]]] = {
    "filter": (("FILTER", '@lang=="en"'), ()),
    "filter by an alias of a text": (("FILTER", "@words=='one two'"), ("title", "AS", "words", "TEXT")),
    "filter by a number": (("FILTER", "@n > 5 && @n < 20"), ("n", "NUMERIC")),
    "filter over two lines": (("FILTER", "@n > 5\n && @n < 20 && @lang != '\\n'"), ("n", "NUMERIC")),
    "language and scores": (
        (
            "LANGUAGE",
            "german",
            "LANGUAGE_FIELD",
            "tongue",
            "SCORE",
            0.5,
            "SCORE_FIELD",
            "sc",
            "PAYLOAD_FIELD",
            "p",
        ),
        (),
    ),
    "stop words": (("STOPWORDS", 2, "foo", "bar"), ("title", "TEXT")),
    "no stop words": (("STOPWORDS", 0), ("title", "TEXT")),
    "options of fields": (
        (),
        (
            "code",
            "TAG",
            "SEPARATOR",
            "|",
            "CASESENSITIVE",
            "INDEXEMPTY",
            "INDEXMISSING",
            "SORTABLE",
            "n",
            "NUMERIC",
            "INDEXMISSING",
            "sort-only",
            "TAG",
            "SORTABLE",
            "NOINDEX",
        ),
    ),
}


NEEDED = {
    "filter": ("index_filters",),
    "filter by an alias of a text": ("index_filters",),
    "filter by a number": ("index_filters",),
    "filter over two lines": ("index_filters",),
    "language and scores": ("languages",),
    # A shadow leaves TEXT out, and without it another engine tells no stop words.
    "stop words": ("lone_stop_words",),
    "no stop words": ("lone_stop_words",),
    "options of fields": ("index_empty", "any_name"),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.needs(*NEEDED.get(kind, ()))) for kind in RULES]
)
def test_options_of_the_original_hold_in_the_shadow(client: Client, prefix: str, kind: str) -> None:
    rules, fields = RULES[kind]
    client.execute(
        "FT.CREATE",
        prefix + "idx",
        "ON",
        "HASH",
        "PREFIX",
        2,
        prefix + "a:",
        prefix + "b:",
        *rules,
        "SCHEMA",
        "lang",
        "TAG",
        *fields,
        *VECTOR,
    )
    rng = np.random.default_rng(0)
    for i in range(60):
        client.execute(
            "HSET",
            f"{prefix}{'abc'[i % 3]}:{i}",
            "lang",
            ("en", "fr")[i % 2],
            "code",
            ("Ab|x", "aB", "", "a,b")[i % 4],
            "title",
            ("one two", "zwei")[i % 2],
            "n",
            i,
            "tongue",
            "english",
            "v",
            rng.normal(size=4).astype("<f4").tobytes(),
        )
    base = _complete(client, prefix + "idx")
    assert shadow.check(client, base, "v", (Variant("FLAT"),)).ok
    built = shadow.build(client, base, "v", Variant("FLAT"))
    try:
        found = index.index_info(client, built.name)
        assert _documents(client, built.name) == _documents(client, base.name)
        assert found.rules == base.rules
        assert (found.prefixes, found.on) == (base.prefixes, base.on)
        for field in base.fields:
            if field.kind in {"TAG", "NUMERIC"} and not field.no_index:
                assert found.field(field.name) == field
        if kind == "options of fields":
            for query in ("@code:{Ab}", '@code:{""}', r"@code:{a\,b}", "ismissing(@code)", "ismissing(@n)"):
                of_base, of_shadow = (search.count(client, info, query) for info in (base, found))
                assert of_base == of_shadow, query
            assert search.count(client, found, "@code:{Ab}") == sum(
                i % 4 == 0 and i % 3 < 2 for i in range(60)
            )
    finally:
        _drop_shadows(client, prefix)


@pytest.mark.needs("geo")
def test_a_shadow_with_other_documents_is_dropped_and_the_reason_told(client: Client, prefix: str) -> None:
    vector = np.ones(4, "<f4").tobytes()
    for i in range(10):
        client.execute("HSET", f"{prefix}d:{i}", "place", "1,1" if i < 7 else "no place", "v", vector)
    # Without the documents that were there before; and without those whose place cannot be read.
    for name, options in {"skipped": ("SKIPINITIALSCAN",), "failed": ()}.items():
        client.execute(
            "FT.CREATE",
            f"{prefix}{name}",
            "PREFIX",
            1,
            prefix + "d:",
            *options,
            "SCHEMA",
            "place",
            "GEO",
            *VECTOR,
        )
    client.execute("HSET", f"{prefix}d:10", "place", "1,1", "v", vector)
    for name, documents, why in (("skipped", 1, "SKIPINITIALSCAN"), ("failed", 8, "could not index 3")):
        base = _complete(client, prefix + name)
        assert base.documents == documents
        with pytest.raises(EngineError, match=f"holds {documents} documents and the shadow 11.*{why}"):
            shadow.build(client, base, "v", Variant("FLAT"))
        assert shadow.shadows_of(client, base.name) == ()


@pytest.mark.needs("sorted_hits")  # of the engine behind the stand-in
def test_where_options_are_not_told_what_filters_find_decides(client: Client, prefix: str) -> None:
    for name, separator in (("plain", ","), ("piped", "|")):
        client.execute(
            "FT.CREATE",
            prefix + name,
            "PREFIX",
            1,
            prefix + "d:",
            "SCHEMA",
            "t",
            "TAG",
            "SEPARATOR",
            separator,
            *VECTOR,
        )
    for i in range(20):
        client.execute("HSET", f"{prefix}d:{i}", "t", f"a|b{i % 2}", "v", np.ones(4, "<f4").tobytes())
    with memorydb(client.target) as proxy, connect(proxy.target) as behind:
        writable = replace(proxy.target, writable=True)
        with connect(writable) as front:
            known = {name: _complete(front, prefix + name) for name in ("plain", "piped")}
            assert not known["piped"].tag_options_told
            warned = shadow.check(front, known["piped"], "v", (Variant("FLAT"),)).warnings
            assert any("does not tell the separator" in w for w in warned)
            try:
                assert shadow.build(front, known["plain"], "v", Variant("FLAT")).documents == 20
                with pytest.raises(EngineError, match="in 't' finds"):
                    shadow.build(front, known["piped"], "v", Variant("FLAT"))
                assert shadow.shadows_of(behind, known["piped"].name) == ()
            finally:
                _drop_shadows(client, prefix)


def _complete(client: Client, name: str) -> IndexInfo:
    until(lambda: index.index_info(client, name).build.ready, "the index is built")
    return index.index_info(client, name)


@pytest.mark.needs("index_filters")
def test_a_shadow_that_is_no_longer_the_same_is_not_measured(
    client: Client, prefix: str, tmp_path: Path
) -> None:
    def made(rule: str) -> None:
        client.execute(
            "FT.CREATE",
            prefix + "idx",
            "PREFIX",
            1,
            prefix + "d:",
            "FILTER",
            rule,
            "SCHEMA",
            "n",
            "NUMERIC",
            "w",
            *VECTOR[1:],
            *VECTOR,
        )

    rng = np.random.default_rng(0)
    for i in range(40):
        v, w = (rng.normal(size=4).astype("<f4").tobytes() for _ in range(2))
        client.execute("HSET", f"{prefix}d:{i}", "n", i, "v", v, "w", w)
    made("@n < 30")
    base = _complete(client, prefix + "idx")
    try:
        shadow.build(client, base, "v", Variant("FLAT"))
        request = SweepRequest(
            base.name, "v", k=3, ef_min=10, ef_max=10, concurrency=(), source=Documents(20)
        )
        runs = candidates.sweep_all(client, base, request, tmp_path)
        assert [run.documents for run in runs] == [30, 30]
        # Both were timed in turn, at each of their settings.
        both = candidates.candidates(client, base, request, tmp_path)
        assert candidates.timed_together(both)
        for each in both:
            assert each.run is not None
            assert each.times is not None
            assert [timed.ef_runtime for timed in each.times.points] == [
                p.ef_runtime for p in each.run.points
            ]
            assert all(0 < t.low_ms <= t.p50_ms <= t.high_ms for t in each.times.points)
            assert each.time(each.run.points[0].ef_runtime) == each.times.points[0].p50_ms
        # A shadow of one vector field is none of the other.
        assert len(candidates.candidates(client, base, replace(request, field="w"), tmp_path)) == 1
        assert len(candidates.candidates(client, base, request, tmp_path)) == 2
        client.execute("FT.DROPINDEX", base.name)
        made("@n < 35")
        again = _complete(client, base.name)
        assert again.documents == 35
        with pytest.raises(BadInput, match=r"cannot be compared.*35 documents and the shadow 30"):
            candidates.sweep_all(client, again, request, tmp_path)
    finally:
        _drop_shadows(client, prefix)
