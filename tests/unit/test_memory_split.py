"""Estimates from a sample of keys, what indexes tell by dialect, and the split put together: worked by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from memdb.cli import memory as memory_command
from memdb.operations import index_memory, keyspace
from memdb.operations.index_memory import MemoryPart
from memdb.operations.keyspace import Coverage, Drawn, Freed, Key, TotalEstimate
from memdb.operations.memory import TITLES, MemorySplit, assemble
from memdb.operations.samples import Sample
from memdb.tuning.candidates import Candidate
from memdb.ui.tune.indexes_views import takes_frame
from memdb.vectors.index import BuildState, Field, IndexInfo, VectorParams

VECTOR = Field("v", "v", "VECTOR", vector=VectorParams("HNSW", "FLOAT32", 10, "COSINE", m=16))
INFO = IndexInfo(
    "i", "HASH", ("d:",), (VECTOR,), 100, None, BuildState("ready", 1.0, ""), 5_000.0, 6_000.0, 0
)
SAMPLE = Sample(
    "a:1",
    "primary",
    0.0,
    figures={
        "used_bytes": 1_000_000.0,
        "startup_bytes": 800_000.0,
        "client_buffer_bytes": 10_000.0,
        "replication_buffer_bytes": 0.0,
        "aof_buffer_bytes": 8.0,
        "keys": 4.0,
        "keys_with_ttl": 1.0,
    },
    indexes=(INFO,),
)
KEYS = (
    Key(b"d:1", 100.0, -1, "hash"),
    Key(b"d:2", 200.0, -1, "hash"),
    Key(b"d:3", 50.0, 1_000, "string"),
    Key(b"s:1", 50.0, 7_200_000, None),
)


@pytest.mark.parametrize(
    ("values", "population", "expected"),
    [
        ([], 0, TotalEstimate(0.0, 0.0)),
        ([], 5, TotalEstimate(0.0, None)),
        ([7.0], 1, TotalEstimate(7.0, 0.0)),
        ([7.0], 3, TotalEstimate(21.0, None)),
        ([1.0, 3.0], 2, TotalEstimate(4.0, 0.0)),
        ([5.0, 5.0, 5.0], 100, TotalEstimate(500.0, 0.0)),
    ],
)
def test_totals(values: list[float], population: int, expected: TotalEstimate) -> None:
    assert keyspace.estimate(values, population) == expected


def test_a_total_has_students_interval() -> None:
    found = keyspace.estimate([1.0, 3.0], 4)  # mean 2, s² 2, t(1) 12.706, half of the keys are known
    assert found.total == 8.0
    assert found.within == pytest.approx(12.7062 * 2**0.5 * (0.5 / 2) ** 0.5 * 4, rel=1e-4)


def test_keys_of_an_index_are_of_its_type_and_under_its_prefixes() -> None:
    assert keyspace.belongs(INFO, b"d:1", "hash")
    assert not keyspace.belongs(INFO, b"d:1", "ReJSON-RL")
    assert not keyspace.belongs(INFO, b"e:1", "hash")
    assert keyspace.belongs(replace(INFO, on="JSON", prefixes=()), b"e:1", "ReJSON-RL")
    assert keyspace.belongs(replace(INFO, prefixes=("x", "")), b"e:1", "hash")
    assert keyspace.belongs(replace(INFO, prefixes=("d[*",)), b"d[*1", "hash")
    assert not keyspace.belongs(replace(INFO, prefixes=("d[*",)), b"dd1", "hash")


def test_coverage_of_a_sample() -> None:
    exact = keyspace.estimated(INFO, Drawn(4, KEYS))
    assert exact == Coverage("i", 2, 2, 2, 100, exact=True)
    part = keyspace.estimated(INFO, Drawn(400, KEYS))
    assert part is not None
    assert (part.keys, part.exact) == (200.0, False)
    assert part.low < 200 < part.high <= 400
    assert part.within == pytest.approx((part.high - part.low) / 2)
    assert keyspace.estimated(INFO, Drawn(None)) is None
    assert keyspace.estimated(INFO, Drawn(9, absent={"keys": "refused"})) is None
    assert keyspace.estimated(INFO, Drawn(0)) == Coverage("i", 0, 0, 0, 100, exact=True)
    wrapped = keyspace.estimated(replace(INFO, documents=0, absent={"documents": "impossible"}), Drawn(0))
    assert wrapped == Coverage("i", 0, 0, 0, None, exact=True)
    untyped = Drawn(4, tuple(replace(key, type=None) for key in KEYS[:3]))
    assert keyspace.estimated(INFO, untyped) is None


def test_what_expires_within_an_hour_and_a_day() -> None:
    assert keyspace.freed(Drawn(4, KEYS), 2.0) == (Freed(3_600, 50.0, 0.0), Freed(86_400, 100.0, 0.0))
    assert keyspace.freed(Drawn(4, KEYS), 0.0) == (Freed(3_600, 0.0, 0.0), Freed(86_400, 0.0, 0.0))
    assert keyspace.freed(Drawn(4, tuple(replace(key, size=None) for key in KEYS)), 2.0) == ()
    assert keyspace.freed(Drawn(None), None) == ()
    none = keyspace.freed(Drawn(1_000, KEYS[:2]), 5.0)  # none among those drawn is not none at all
    assert none[0].bytes == 0.0
    # Two that do not expire leave open 1 - √0.025 of the keys, of 150 bytes each.
    assert none[0].within_bytes == pytest.approx((1 - 0.025**0.5) * 150 * 1_000, rel=2e-3)
    assert keyspace.ttl_share(Drawn(4, KEYS)) == 0.5
    assert keyspace.ttl_share(Drawn(0)) is None


def test_redisearch_tells_vectors_and_the_rest_and_leaves_some_out() -> None:
    found = {part.name: part for part in index_memory.parts(SAMPLE, "redisearch", [b"d:1", b"d:2"])}
    assert found["vectors"].bytes == 100 * 10 * 4
    assert found["structures"].bytes == 1_000.0
    assert found["other_indexes"].bytes == 1_000.0
    untold = found["untold"]
    modelled = index_memory.allocated(INFO, [b"d:1", b"d:2"])
    assert untold.bytes == modelled - 5_000
    assert untold.within_bytes == pytest.approx(modelled * 0.04)
    assert "model" in untold.source
    assert index_memory.allocated(replace(INFO, documents=0), []) == index_memory.CREATED
    assert index_memory.allocated(INFO, [b"d:ab", b"d:xy"]) > index_memory.allocated(INFO, [b"d:12", b"d:34"])


def test_words_and_numbers_add_to_what_is_not_told() -> None:
    more = (VECTOR, Field("n", "n", "NUMERIC"), Field("t", "t", "TEXT"))
    plain = index_memory.parts(SAMPLE, "redisearch", [])[3].bytes
    rich = index_memory.parts(
        replace(SAMPLE, indexes=(replace(INFO, fields=more, terms=10),)), "redisearch", []
    )
    assert plain is not None
    assert rich[3].bytes == pytest.approx(plain + 10 * 130 + 1.3 * 100 + 11_000)


def test_what_the_model_does_not_know_is_absent() -> None:
    assert VECTOR.vector is not None
    odd = replace(INFO, fields=(replace(VECTOR, vector=replace(VECTOR.vector, m=20_000)),))
    untold = index_memory.parts(replace(SAMPLE, indexes=(odd,)), "redisearch", [])[3]
    assert untold.bytes is None
    assert "20000" in untold.absent.replace(",", "")
    both = index_memory.parts(replace(SAMPLE, indexes=(odd, INFO)), "redisearch", [])[3]
    assert both.bytes is not None
    assert both.absent


def test_memorydb_tells_bytes_and_vectors() -> None:
    info = replace(INFO, vectors=90, vector_bytes=9_000.0, total_bytes=9_500.0)
    found = index_memory.parts(replace(SAMPLE, indexes=(info,)), "memorydb", [])
    assert [part.bytes for part in found] == [90 * 40, 9_000 - 3_600, 500, None]
    # Vectors that are not in yet are not counted: at most what it says that they take.
    few = index_memory.parts(replace(SAMPLE, indexes=(replace(info, vector_bytes=900.0),)), "memorydb", [])
    assert [part.bytes for part in few[:2]] == [900.0, 0.0]


def test_valkey_search_tells_one_total() -> None:
    info = replace(INFO, vectors=90, vector_bytes=None, total_bytes=None)
    sample = replace(SAMPLE, indexes=(info,), figures={**SAMPLE.figures, "search_bytes": 10_000.0})
    vectors, structures, other, untold = index_memory.parts(sample, "valkey-search", [])
    assert (vectors.bytes, structures.bytes) == (3_600.0, 6_400.0)
    assert other.bytes is None
    assert "one total" in other.absent
    assert untold.bytes is None
    no_total = index_memory.parts(replace(SAMPLE, indexes=(info,)), "valkey-search", [])
    assert no_total[1].bytes is None
    assert no_total[1].absent


def test_valkey_search_holds_vectors_of_the_same_field_once() -> None:
    """Its strings are interned: an index more over the same documents adds none; of another metric it may."""
    assert VECTOR.vector is not None
    info = replace(INFO, vectors=90, vector_bytes=None, total_bytes=None)
    twin = replace(info, name="twin", fields=(replace(VECTOR, name="other"),))
    euclid = replace(info, name="l2", fields=(replace(VECTOR, vector=replace(VECTOR.vector, metric="L2")),))
    for indexes, expected in (((info, twin), 3_600.0), ((info, twin, euclid), 7_200.0)):
        sample = replace(SAMPLE, indexes=indexes, figures={**SAMPLE.figures, "search_bytes": 50_000.0})
        vectors, structures, *_ = index_memory.parts(sample, "valkey-search", [])
        assert (vectors.bytes, structures.bytes) == (expected, 50_000.0 - expected)


def test_indexes_that_are_refused() -> None:
    refused = replace(SAMPLE, indexes=(), absent={"indexes": "may not FT._LIST"})
    assert {part.bytes for part in index_memory.parts(refused, "redisearch", [])} == {None}
    assert {part.absent for part in index_memory.parts(refused, "redisearch", [])} == {"may not FT._LIST"}
    told = replace(refused, figures={"search_bytes": 7.0})
    assert [part.bytes for part in index_memory.parts(told, "memorydb", [])] == [None, 7.0, None, None]
    one = replace(SAMPLE, absent={"index other": "dropped"})
    assert "other: dropped" in index_memory.parts(one, "redisearch", [])[0].absent
    none = index_memory.parts(replace(SAMPLE, indexes=()), "redisearch", [])
    assert [part.bytes for part in none] == [0.0, 0.0, 0.0, 0.0]


def test_a_server_without_search_has_no_indexes() -> None:
    none = replace(SAMPLE, indexes=(), absent={"indexes": "unknown command"})
    assert [part.bytes for part in index_memory.parts(none, "none", [])] == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("table", "total", "expected"),
    [(1.0, 2.0, "redisearch"), (None, 2.0, "memorydb"), (None, None, "valkey-search")],
)
def test_the_dialect_by_what_it_told(table: float | None, total: float | None, expected: str) -> None:
    assert index_memory.dialect_of((replace(INFO, table_bytes=table, total_bytes=total),)) == expected


def test_the_split_adds_up_and_survives_json() -> None:
    found = assemble(SAMPLE, Drawn(4, KEYS), "redisearch", {})
    assert tuple(part.name for part in found.parts) == tuple(TITLES)
    assert found.part("keys") == MemoryPart("keys", 400.0, 0.0, "MEMORY USAGE of all 4 keys")
    assert found.part("aof").bytes == 8.0
    assert found.rest == pytest.approx(1_000_000 - sum(part.bytes or 0 for part in found.parts))
    assert found.ttl_share == 0.25  # as INFO tells, not the sample
    assert found.absent == {}
    assert MemorySplit.from_facts(json.loads(json.dumps(found.facts()))) == found
    with pytest.raises(ValueError, match="no memory split"):
        MemorySplit.from_facts({"address": "a"})
    counted = Coverage("i", 3, 3, 3, 100, exact=True)
    assert assemble(SAMPLE, Drawn(4, KEYS), "redisearch", {"i": counted}).coverage == (counted,)


def test_what_is_refused_is_absent_with_its_reason_and_the_rest_goes_on() -> None:
    drawn = Drawn(9, tuple(replace(key, size=None) for key in KEYS), {"sizes": "may not MEMORY"})
    found = assemble(SAMPLE, drawn, "redisearch", {})
    assert found.part("keys").bytes is None
    assert found.part("keys").absent == "may not MEMORY"
    assert found.part("vectors").bytes == 4_000
    assert found.absent == {"ttl_freed": "may not MEMORY"}
    assert found.rest is not None
    nothing = Sample("a:1", "primary", 0.0, absent={"INFO": "may not INFO"})
    bare = assemble(nothing, Drawn(None, (), {"keys": "may not DBSIZE"}), "redisearch", {})
    assert bare.used is None
    assert bare.rest is None
    assert bare.absent["used"] == "may not INFO"
    assert bare.part("clients").absent == "may not INFO"
    assert bare.part("tables").absent == "may not DBSIZE"
    assert bare.absent["ttl_share"] == "may not DBSIZE"
    typeless = Drawn(9, tuple(replace(key, type=None) for key in KEYS[:3]), {"types": "may not TYPE"})
    assert assemble(SAMPLE, typeless, "redisearch", {}).absent["coverage i"] == "may not TYPE"


def test_json_documents_are_counted_without_what_the_module_counts_twice() -> None:
    assert VECTOR.vector is not None
    field = replace(VECTOR, identifier="$.v", vector=replace(VECTOR.vector, dim=512))
    info = replace(INFO, on="JSON", fields=(field,))
    keys = (Key(b"d:1", 16_577.0, -1, "ReJSON-RL"), Key(b"d:2", 300.0, -1, "ReJSON-RL"), KEYS[0])
    # Seen: MEMORY USAGE says 16,577, used_memory grew by 13,508.
    found = index_memory.corrected(Drawn(3, keys), (info, replace(info, name="again")))
    assert [key.size for key in found.keys] == [pytest.approx(13_508, rel=0.003), 300.0, 100.0]
    assert index_memory.corrected(Drawn(3, keys), (INFO,)).keys == keys
    whole = assemble(replace(SAMPLE, indexes=(info,)), Drawn(3, keys), "redisearch", {}).part("keys").bytes
    assert whole == pytest.approx(13_508 + 400, rel=0.003)


def test_keys_of_other_databases_are_named() -> None:
    elsewhere = replace(SAMPLE, figures={**SAMPLE.figures, "keys": 1_000.0})
    assert (
        "996 keys of other databases" in assemble(elsewhere, Drawn(4, KEYS), "none", {}).part("keys").absent
    )
    assert assemble(SAMPLE, Drawn(4, KEYS), "none", {}).part("keys").absent == ""


def test_an_empty_node() -> None:
    sample = replace(SAMPLE, indexes=(), figures={**SAMPLE.figures, "keys": 0.0, "keys_with_ttl": 0.0})
    found = assemble(sample, Drawn(0), "redisearch", {})
    assert found.part("keys").bytes == 0.0
    assert found.part("tables").bytes == 0.0
    assert found.ttl_freed == (Freed(3_600, 0.0, 0.0), Freed(86_400, 0.0, 0.0))
    assert found.ttl_share == 0.0
    assert found.absent == {}


def test_an_index_that_is_still_built_says_how_far_and_what_it_cannot_tell() -> None:
    """In the comparison of indexes: a share that is a number, and no 0 where the number cannot be true."""
    assert VECTOR.vector is not None
    building = replace(INFO, build=BuildState("building", 0.4, "told"), absent={"documents": "impossible"})
    rows = [Candidate(info, VECTOR.vector, True, None, None) for info in (building, INFO)]
    shown = takes_frame(tuple(rows))
    assert list(shown["state"]) == ["building 40%", "ready"]
    assert np.isnan(shown["documents"][0])
    assert shown["documents"][1] == 100


def test_valkeys_memory_usage_leaves_the_key_out() -> None:
    """By hand, libc: 16 bytes of the object are told; with the key that stands in it, 28 want 40 bytes."""
    key = Key(b"k:0000001", 104.0, -1, "hash")
    whole = index_memory.with_keys(Drawn(1, (key, Key(b"gone"))), "libc")
    assert [key.size for key in whole.keys] == [128.0, None]
    assert index_memory.with_keys(Drawn(1, (key,)), "jemalloc-5.3.0").keys[0].size == 104 - 16 + 32
    # A table beside: 80 and 64 bytes are told as they were asked for, and take 88 and 72 with libc.
    large = replace(key, size=16.0 + 80 + 64 + 24 + 1_032)
    assert index_memory.with_keys(Drawn(1, (large,)), "libc").keys[0].size == 40 + 88 + 72 + 24 + 1_032
    sample = replace(
        SAMPLE, allocator="libc", figures=SAMPLE.figures | {"keys": 10_240.0, "keys_with_ttl": 0.0}
    )
    told = assemble(sample, Drawn(10_240, (key,)), "valkey-search", {})
    tables = told.part("tables").bytes
    assert tables is not None
    assert 2_048 * 64 < tables < 2_048 * 64 * 1.3  # 10,240 keys, 7 in a bucket


def test_a_number_of_documents_that_cannot_be_true_is_not_printed_as_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrapped = replace(INFO, documents=0, absent={"documents": "num_docs tells 2^64"})
    told = assemble(replace(SAMPLE, indexes=(wrapped,)), Drawn(4, KEYS), "redisearch", {})
    memory_command.show("a:1", told)
    lines = capsys.readouterr().out.splitlines()
    assert sum("not available" in row and " i " in f" {row}" for row in lines) == 1, lines
