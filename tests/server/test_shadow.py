"""Shadow indexes on the real engine: checked first, built, compared by size, dropped by name only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadInput, Cancelled, OutOfRange, ReadOnlyTarget, UnknownIndex
from memdb.tuning import shadow
from memdb.tuning.shadow import Variant
from memdb.vectors import index, search
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField, TextField
from memdb.vectors.query import KnnRequest

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


def test_other_algorithms_and_metrics(client: Client, base: IndexInfo) -> None:
    flat = shadow.build(client, base, "v", Variant("FLAT", metric="L2"))
    _, params = index.index_info(client, flat.name).vector_field("v")
    assert (params.algorithm, params.metric) == ("FLAT", "L2")


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
    with pytest.raises(OutOfRange, match="M is 100,000"):
        shadow.check(client, base, "v", (Variant(m=100_000),))
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
