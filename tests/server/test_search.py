"""Searches on the real engine: right answers, and one clear sentence for every wrong input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import (
    BadInput,
    BadVector,
    MemDBError,
    NotFound,
    OutOfRange,
    RejectedQuery,
    UnknownField,
    UnknownIndex,
)
from memdb.vectors import exact, index, read, recall, search
from memdb.vectors.filters import EVERYTHING, And, Condition, Range, Tag
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField, TagField, TextField
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from tests.abilities import VECTOR_TYPES, Server
from tests.waiting import until

pytestmark = pytest.mark.any_engine

DIM, COUNT = 16, 1_200


def _load(client: Client, prefix: str, metric: str, type_: str = "FLOAT32", flat: bool = False) -> IndexInfo:
    """An index of random vectors with a tag and a number; three documents are broken on purpose."""
    field = (
        FlatField("v", DIM, metric, type_)
        if flat
        else HnswField("v", DIM, metric, type_, m=16, ef_construction=200)  # type: ignore[arg-type]
    )
    fields = (TagField("tag"), NumericField("n"), TextField("title"), field)
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    # A scan that goes on would take what is written meanwhile in once more, and a reader would miss some.
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the empty index is built")
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM))
    raw = search.distance.to_bytes
    commands: list[tuple[str | bytes | int, ...]] = [
        ("HSET", f"{prefix}d:{i}", "tag", f"t{i % 5}", "n", i, "title", f"Title {i}", "v", raw(v, type_))
        for i, v in enumerate(vectors)
    ]
    commands.append(("HSET", f"{prefix}d:short", "tag", "t0", "v", b"123"))
    commands.append(("HSET", f"{prefix}d:none", "tag", "t0", "title", "no vector"))
    client.pipeline(commands)
    return index.index_info(client, prefix + "idx")


def _query() -> np.ndarray:
    return np.random.default_rng(6).normal(size=DIM).astype(np.float32)


def _stored(values: np.ndarray, type_: str) -> np.ndarray:
    """What is left of values in a field of this type, as float64: rounded to the nearest, halves to even."""
    if type_ != "BFLOAT16":
        return values.astype({"FLOAT16": "<f2", "FLOAT32": "<f4", "FLOAT64": "<f8"}[type_]).astype(np.float64)
    bits = values.astype("<f4").view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view("<f4").astype(np.float64)


def _distances(vectors: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "L2":
        return ((vectors - query) ** 2).sum(axis=1)  # type: ignore[no-any-return]
    if metric == "COSINE":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        query = query / np.linalg.norm(query)
    return 1 - vectors @ query  # type: ignore[no-any-return]


# How far the engine's distance may lie off: it computes in float32, and for COSINE rounds vectors of length 1
# to the type of the field first.
WITHIN = {("COSINE", "FLOAT16"): 2**-11, ("COSINE", "BFLOAT16"): 2**-8}


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
@pytest.mark.parametrize("type_", VECTOR_TYPES)
def test_a_flat_index_answers_as_the_exact_computation(
    client: Client, prefix: str, metric: str, type_: str
) -> None:
    info = _load(client, prefix, metric, type_, flat=True)
    query, k, within = _query(), 20, WITHIN.get((metric, type_), 1e-5)
    vectors = _stored(np.random.default_rng(5).normal(size=(COUNT, DIM)), type_)
    narrow = And((Tag("tag", ("t1", "t2")), Range("n", 100, 700)))
    every = np.arange(COUNT)
    few = every[np.isin(every % 5, (1, 2)) & (every >= 100) & (every <= 700)]
    for condition, rows in ((And(), every), (narrow, few)):
        # Our own computation takes the query as it was given; the engine has to store it in the field's type.
        right = _distances(vectors[rows], query.astype(np.float64), metric)
        truth = exact.nearest(read.blocks(client, info, "v", condition), query[None], k, metric)
        assert truth.keys[0] == tuple(f"{prefix}d:{row}" for row in rows[np.argsort(right)[:k]])
        np.testing.assert_allclose(truth.distances[0], np.sort(right)[:k], rtol=1e-6, atol=1e-6)

        told = np.full(COUNT, np.nan)
        told[rows] = _distances(vectors[rows], _stored(query, type_), metric)
        result = search.knn(client, KnnRequest(info.name, vector_param(query), k=k, filter=condition), info)
        hits = told[[int(key.rpartition(":")[2]) for key in result.keys]]
        assert len(set(result.keys)) == k
        np.testing.assert_allclose(result.distances, hits, rtol=0, atol=within)
        np.testing.assert_allclose(hits, np.sort(told[rows])[:k], rtol=0, atol=2 * within)
        under = Membership(client, info, condition)
        verdict = recall.judge(
            client, info, "v", query[None], [result.keys], truth.keys, truth.distances, under
        )
        assert 1.0 >= verdict[0].recall >= len(set(result.keys) & set(truth.keys[0])) / k >= 0.9
        assert verdict[0].recall == 1.0 or type_ == "BFLOAT16"


def test_hnsw_reaches_the_exact_answer_with_a_high_ef(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    query = _query()
    blocks = list(read.blocks(client, info))
    assert sum(len(block.keys) for block in blocks) == COUNT  # neither the short vector nor the missing one
    truth = exact.nearest(blocks, query[None], 10, "COSINE")
    request = KnnRequest(info.name, vector_param(query), k=10, ef_runtime=1_000, return_fields=("title", "n"))
    result = search.knn(client, request)
    under = Membership(client, info, EVERYTHING)
    verdict = recall.judge(client, info, "", query[None], [result.keys], truth.keys, truth.distances, under)
    assert verdict[0].recall == 1.0
    assert list(result.distances) == sorted(result.distances)
    first = result.hits[0]
    assert first.fields == {"title": f"Title {first.key.split(':')[-1]}", "n": first.key.split(":")[-1]}
    assert result.took_ms > 0


def test_reading_under_a_filter_gives_each_document_once(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    condition: Condition = Range("n", 100, 899)
    for size in (7, 1_000):
        keys = [key for batch in read.matching_keys(client, info, condition, size) for key in batch]
        assert sorted(keys) == sorted(f"{prefix}d:{i}" for i in range(100, 900))
    paged = [
        k
        for batch in read._by_page(client, info, read.render(condition, client.server.dialect, info), 90)
        for k in batch
    ]
    assert sorted(paged) == sorted(f"{prefix}d:{i}" for i in range(100, 900))
    scanned = [k for batch in read.by_scan(client, info, 100) for k in batch]
    assert len(scanned) == len(set(scanned)) == COUNT + 2


@pytest.mark.needs("cursor")
def test_a_reader_that_stops_early_leaves_no_cursor_behind(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    batches = read.matching_keys(client, info, size=10)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    stats = search.replies.pairs(search.replies.pairs(client.execute("FT.INFO", info.name))["cursor_stats"])
    assert stats["index_total"] == 0


@pytest.mark.needs("whole_documents")
def test_values_with_counts_and_bounds(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    assert [(v.value, v.documents) for v in search.tag_values(client, info, "tag")] == [
        ("t0", COUNT // 5 + 1),
        *((f"t{i}", COUNT // 5) for i in range(1, 5)),
    ]
    assert search.numeric_bounds(client, info, "n") == (0, COUNT - 1)
    with pytest.raises(UnknownField):
        search.tag_values(client, info, "n")


def test_several_values_in_a_tag_count_each(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "idx", (TagField("tag"), HnswField("v", 2)), (prefix + "d:",)))
    for i, value in enumerate(("a,b", "b", " b ,c")):
        client.execute("HSET", f"{prefix}d:{i}", "tag", value)
    info = index.index_info(client, prefix + "idx")
    assert {v.value: v.documents for v in search.tag_values(client, info, "tag")} == {"a": 1, "b": 3, "c": 1}


def test_bad_input_is_told_and_nothing_is_lost(client: Client, prefix: str, abilities: Server) -> None:
    info = _load(client, prefix, "COSINE")
    good = KnnRequest(info.name, vector_param(_query()), k=3)
    cases: list[tuple[KnnRequest, type[MemDBError]]] = [
        (replace(good, vector=good.vector[:-1]), BadVector),
        (replace(good, field="title"), UnknownField),
        (replace(good, return_fields=("nope",)), UnknownField),
        (replace(good, k=0), OutOfRange),
        (replace(good, k=1_000_000), OutOfRange),
        (replace(good, ef_runtime=0), OutOfRange),
        (replace(good, ef_runtime=100_000_000), OutOfRange),
        (replace(good, filter="@tag:{t1"), BadInput),
        (replace(good, filter="@nope:{t1}"), UnknownField),
        (replace(good, filter="@tag:{*}"), RejectedQuery),
        (replace(good, filter="@n:[a b]"), RejectedQuery),
        (replace(good, index=prefix + "gone"), UnknownIndex),
    ]
    if abilities.can("bound_values"):
        cases.append((replace(good, filter="@tag:{$p}"), RejectedQuery))
    for request, error in cases:
        with pytest.raises(error) as caught:
            search.knn(client, request, info if request.index == info.name else None)
        assert str(caught.value).strip(), request
        assert caught.value.hint, request
        assert "Traceback" not in caught.value.full()
    assert len(search.knn(client, good).keys) == 3


def test_documents_without_a_usable_vector(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    with pytest.raises(NotFound):
        search.document_vector(client, info, "v", f"{prefix}d:nobody")
    with pytest.raises(NotFound):
        search.document_vector(client, info, "v", f"{prefix}d:none")
    with pytest.raises(BadVector) as caught:
        search.document_vector(client, info, "v", f"{prefix}d:short")
    assert f"{prefix}d:short" in str(caught.value)
    client.execute("SET", f"{prefix}plain", "x")
    with pytest.raises(MemDBError, match="another type"):
        search.document_vector(client, info, "v", f"{prefix}plain")
    with pytest.raises(NotFound):
        search.document(client, f"{prefix}d:nobody")


def test_an_index_that_vanishes(client: Client, prefix: str) -> None:
    info = _load(client, prefix, "COSINE")
    index.drop(client, info.name)
    with pytest.raises(UnknownIndex) as caught:
        search.knn(client, KnnRequest(info.name, vector_param(_query())), info)
    assert caught.value.name == info.name
    with pytest.raises(UnknownIndex):
        index.index_info(client, info.name)
    assert client.execute("EXISTS", f"{prefix}d:1") == 1


def test_hostile_values_come_back_as_they_are(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "idx", (TextField("title"), HnswField("v", 2)), (prefix + "d:",)))
    hostile = {
        "html": "<script>alert(1)</script>",
        "ansi": "\x1b[31mred",
        "big": "x" * 5_000_000,
        "md": "![x](http://e)",
    }
    for name, value in hostile.items():
        client.execute("HSET", f"{prefix}d:{name}", "title", value, "v", np.array([1, 2], "<f4").tobytes())
    client.execute("HSET", f"{prefix}d:bytes", "title", b"\xff\xfe", "v", np.array([1, 2], "<f4").tobytes())
    result = search.knn(client, KnnRequest(prefix + "idx", (1.0, 2.0), k=5, return_fields=("title",)))
    found = {
        key.split(":")[-1]: fields["title"] for key, fields in zip(result.keys, result.fields, strict=True)
    }
    assert {name: found[name] for name in hostile} == hostile
    assert found["bytes"] == "\\xff\\xfe"


def test_search_in_a_one_shard_cluster(tmp_path: Path) -> None:
    """There the module finds documents and loads none: rows of keys in other slots come empty."""
    with engine.start(tmp_path, cluster=True, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            assert client.server.mode == "cluster"
            assert "cannot load" in client.server.dialect.lacking
            client.execute(
                "FT.CREATE", "c", "PREFIX", 1, "c:", "FILTER", "@year>1990",
                "SCHEMA", "kind", "TAG", "year", "NUMERIC", "v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32",
                "DIM", 2, "DISTANCE_METRIC", "L2",
            )  # fmt: skip  # a clause and its arguments side by side
            rows = {f"c:{i}": (f"k{i % 3}", 1990 + i, np.array([i, 1], "<f4")) for i in range(40)}
            for key, (kind, year, vector) in rows.items():
                client.execute("HSET", key, "kind", kind, "year", year, "v", vector.tobytes())
            held = {key: row for key, row in rows.items() if row[1] > 1990}
            info = index.index_info(client, "c")
            assert info.documents == len(held)
            for condition, wanted in (
                (EVERYTHING, held),
                (Tag("kind", ("k1",)), {key: row for key, row in held.items() if row[0] == "k1"}),
            ):
                request = KnnRequest("c", (5.2, 1.0), k=3, filter=condition, return_fields=("kind", "year"))
                nearest = sorted(wanted, key=lambda key: abs(wanted[key][2][0] - 5.2))[:3]
                hits = search.knn(client, request, info).hits
                assert [hit.key for hit in hits] == nearest
                assert [dict(hit.fields) for hit in hits] == [
                    {"kind": wanted[key][0], "year": str(wanted[key][1])} for key in nearest
                ]
                found = {
                    key: vector.tolist()
                    for block in read.blocks(client, info, condition=condition)
                    for key, vector in zip(block.keys, block.vectors, strict=True)
                }
                assert found == {key: row[2].tolist() for key, row in wanted.items()}
            values = search.tag_values(client, info, "kind")
            assert {v.value: v.documents for v in values} == {"k0": 13, "k1": 13, "k2": 13}
            assert values.complete
            assert search.numeric_bounds(client, info, "year") == (1991.0, 2029.0)


@pytest.mark.needs("profile", "tagvals")
def test_what_answers_is_probed(client: Client, server_target: Target) -> None:
    server = client.server
    assert (server.engine, server.dialect.name, server.mode, server.role) == (
        "Redis",
        "redisearch",
        "standalone",
        "master",
    )
    assert server.version.startswith("8.2")
    assert server.dialect.has("FT.PROFILE")
