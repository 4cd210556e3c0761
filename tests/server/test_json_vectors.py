"""JSON documents of several vectors: the nearest of each counts, in the engine and in everything held against it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.errors import BadVector, NotFound
from memdb.maps import overlay
from memdb.maps import run as maps
from memdb.maps.request import MapRequest
from memdb.sizing.samples import serves_json
from memdb.tuning import misses, queries
from memdb.tuning.run import SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import exact, index, read, recall, search
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField, TagField
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param
from tests.standins import memorydb
from tests.waiting import until

Doubles = NDArray[np.float64]
DIM, COUNT = 8, 400


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        local_engine.start(tmp_path_factory.mktemp("json"), log=False, json=True) as running,
        connect(running.target) as found,
    ):
        running.wait_ready()
        if not serves_json(found):
            pytest.skip("this engine has no JSON documents")
        yield found


@pytest.fixture(scope="module")
def documents() -> dict[str, Doubles]:
    """Each document's vectors, as float32 holds them: one to six, some equal to another's, one very many."""
    rng = np.random.default_rng(5)
    made = {f"doc:{i}": rng.normal(size=(1 + i % 6, DIM)).astype(np.float32) for i in range(COUNT)}
    made["doc:7"][0] = made["doc:11"][0]
    made["doc:many"] = rng.normal(size=(700, DIM)).astype(np.float32) * 0.2
    return {key: vectors.astype(np.float64) for key, vectors in made.items()}


def _load(
    client: Client,
    name: str,
    documents: dict[str, object],
    path: str,
    *,
    metric: str = "L2",
    flat: bool = False,
    dim: int = DIM,
) -> IndexInfo:
    prefix = f"{name}:"
    client.pipeline([("JSON.SET", prefix + key, "$", json.dumps(value)) for key, value in documents.items()])
    if flat:
        field: FlatField | HnswField = FlatField("v", dim, metric, path=path)  # type: ignore[arg-type]
    else:
        field = HnswField("v", dim, metric, m=8, ef_construction=100, path=path)  # type: ignore[arg-type]
    index.create(client, IndexSpec(name, (TagField("kind", path="$.kind"), field), (prefix,), "JSON"))
    until(lambda: index.index_info(client, name).build.ready, "the index is built")
    return index.index_info(client, name)


def _chunked(documents: dict[str, Doubles]) -> dict[str, object]:
    return {
        key: {"kind": f"k{zlib.crc32(key.encode()) % 2}", "chunks": [{"v": v.tolist()} for v in vectors]}
        for key, vectors in documents.items()
    }


def _distances(query: Doubles, vectors: Doubles, metric: str) -> Doubles:
    if metric == "L2":
        return np.asarray(((vectors - query) ** 2).sum(axis=1))
    if metric == "IP":
        return np.asarray(1 - vectors @ query)
    return np.asarray(1 - vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query))


def _truth(
    query: Doubles, documents: dict[str, Doubles], metric: str, prefix: str
) -> list[tuple[float, str]]:
    return sorted((float(_distances(query, v, metric).min()), prefix + key) for key, v in documents.items())


@pytest.mark.parametrize("metric", ["L2", "IP", "COSINE"])
def test_the_nearest_vector_of_a_document_counts(
    client: Client, documents: dict[str, Doubles], metric: str
) -> None:
    name = f"near{metric}"
    info = _load(client, name, _chunked(documents), "$.chunks[*].v", metric=metric, flat=True)
    blocks = list(read.blocks(client, info))
    assert sum(block.documents for block in blocks) == len(documents)
    assert sum(len(block.keys) for block in blocks) == sum(map(len, documents.values()))
    asked = np.random.default_rng(8).normal(size=(20, DIM)).astype(np.float32)
    for k in (1, 10, 300, 1_000):
        found = exact.nearest(blocks, asked, k, metric)
        assert found.looked_at == len(documents)
        assert found.several
        for query, keys, distances in zip(asked, found.keys, found.distances, strict=True):
            right = _truth(query.astype(np.float64), documents, metric, f"{name}:")[:k]
            np.testing.assert_allclose(distances, [d for d, _ in right], rtol=2e-6, atol=2e-6)
            assert len(set(keys)) == len(keys) == len(right)
            beyond = right[-1][0] - 1e-5
            assert {key for d, key in right if d < beyond} <= set(keys)
            if k == 10:
                result = search.knn(client, KnnRequest(name, vector_param(query), k=k), info)
                under = Membership(client, info, EVERYTHING)
                verdict = recall.judge(
                    client, info, "", query[None], [result.keys], [keys], [distances], under
                )
                assert verdict[0].recall == 1.0
    # The query is a document: all of its vectors are out.
    own = [f"{name}:doc:many"] * len(asked)
    for query, keys in zip(asked, exact.nearest(blocks, asked, 10, metric, excluded=own).keys, strict=True):
        others = {key: v for key, v in documents.items() if key != "doc:many"}
        right = _truth(query.astype(np.float64), others, metric, f"{name}:")
        assert own[0] not in keys
        assert set(keys) <= {key for d, key in right if d <= right[9][0] + 1e-5}


def test_equal_vectors_by_the_thousand_still_give_k_documents(client: Client) -> None:
    same = {f"doc:{i}": np.zeros((9, DIM)) + (i % 3) for i in range(900)}
    blocks = list(read.blocks(client, _load(client, "same", _chunked(same), "$.chunks[*].v", flat=True)))
    found = exact.nearest(blocks, np.zeros((2, DIM), np.float32), 20, "L2")
    assert all(len(set(keys)) == 20 for keys in found.keys)
    assert all((distances == 0).all() for distances in found.distances)


@pytest.mark.usefixtures("briefly")
def test_recall_map_and_misses_take_the_nearest_vector(
    client: Client, documents: dict[str, Doubles], tmp_path: Path
) -> None:
    info = _load(client, "all", _chunked(documents), "$.chunks[*].v")
    asked = queries.random_documents(client, info, "v", 60, 0)
    assert len(set(asked.own_keys)) == 60
    for key, vector in zip(asked.own_keys, asked.vectors, strict=True):
        np.testing.assert_allclose(vector, documents[key.removeprefix("all:")][0], rtol=1e-6)
    run = sweep(client, info, SweepRequest("all", "v", 10, ef_min=10, ef_max=400, concurrency=()), asked)
    for row, (own, vector) in enumerate(zip(asked.own_keys, asked.vectors, strict=True)):
        others = {key: v for key, v in documents.items() if f"all:{key}" != own}
        right = _truth(vector.astype(np.float64), others, "L2", "all:")[:10]
        np.testing.assert_allclose(run.truth.distances[row], [d for d, _ in right], rtol=1e-5)
    assert run.points[-1].recall > 0.99
    lowest = run.points[0].ef_runtime
    for extra in misses.extras(client, info, run, 0, lowest, read.blocks(client, info)):
        vector = asked.vectors[0].astype(np.float64)
        others = {key: v for key, v in documents.items() if f"all:{key}" != asked.own_keys[0]}
        right = [key for _, key in _truth(vector, others, "L2", "all:")]
        assert extra.true_rank == right.index(extra.key) + 1

    made = maps.make(client, info, MapRequest("all", "v", count=100), home=tmp_path)
    assert len(set(made.keys)) == len(made.keys) == 100
    assert made.total == len(documents)
    assert any("several vectors" in note for note in made.notes)
    block = read.vectors_of(client, info, "v", made.keys)
    assert block is not None
    points = block.one_each().vectors
    query = np.ones(DIM, np.float32)
    truth = overlay.exact(client, info, "v", query, 10)
    shown = overlay.overlay(client, info, made, points, query, truth, k=10, ef_runtime=400)
    assert {mark.key for mark in shown.marks} == {
        key for _, key in _truth(np.ones(DIM), documents, "L2", "all:")[:10]
    }


def test_a_server_without_cursors_brings_every_vector_too(
    client: Client, documents: dict[str, Doubles]
) -> None:
    _load(client, "front", _chunked(documents), "$.chunks[*].v", flat=True)
    with memorydb(client.target) as proxy, connect(proxy.target) as there:
        info = index.index_info(there, "front")
        found = exact.nearest(read.blocks(there, info), np.ones((1, DIM), np.float32), 10, "L2")
        right = _truth(np.ones(DIM), documents, "L2", "front:")[:10]
        assert found.keys[0] == tuple(key for _, key in right)
        result = search.knn(there, KnnRequest("front", (1.0,) * DIM, k=10), info)
        assert result.keys == found.keys[0]


ODD: dict[str, object] = {
    "two": [[9, 9], [1, 0]],
    "short": [[9, 9], [1]],
    "long": [[1, 2, 3]],
    "null": [[9, 9], None],
    "nulls": [None, None],
    "empty": [],
    "words": [["a", "b"]],
    "figures": [["1", "2"]],
    "bools": [[True, False]],
    "deep": [[[1, 2]]],
    "flat": [7, 7],
    "none": None,
    "text": "no vector",
    "object": {"x": [1, 2]},
    "huge": [[1e300, 1], [4, 4]],
    "hole": [[1, None]],
}


@pytest.mark.parametrize(
    "path", ["$.vecs[*]", "$.vecs", "$.vecs[0]", "$.vecs[0:2]", "$.vecs[0,1]", '$["vecs"][*]', "$..vecs[*]"]
)
def test_what_the_engine_takes_of_odd_documents_is_what_is_compared(client: Client, path: str) -> None:
    """The engine's own hits say which vectors it has: those, and no others, are in the exact answer."""
    name = f"odd{zlib.crc32(path.encode()):x}"
    info = _load(client, name, {key: {"vecs": value} for key, value in ODD.items()}, path, dim=2, flat=True)
    asked = np.array([[1, 0]], np.float32)
    result = search.knn(client, KnnRequest(name, (1.0, 0.0), k=50), info)
    held = {k: d for k, d in zip(result.keys, result.distances, strict=True) if np.isfinite(d)}
    truth = exact.nearest(read.blocks(client, info), asked, 50, "L2")
    assert dict(zip(truth.keys[0], truth.distances[0], strict=True)) == pytest.approx(held)
    assert truth.looked_at == len(held)


def test_the_vector_of_one_document_is_its_first(client: Client) -> None:
    name = "oneof"
    info = _load(client, name, {key: {"vecs": value} for key, value in ODD.items()}, "$.vecs[*]", dim=2)
    for key, right in {"two": [9, 9], "null": [9, 9], "deep": [1, 2]}.items():
        np.testing.assert_array_equal(search.document_vector(client, info, "v", f"{name}:{key}"), right)
    for key in ("short", "words", "bools", "text", "hole", "figures"):
        block = read.vectors_of(client, info, "v", [f"{name}:{key}"])
        assert block is None, key
    for key in ("nulls", "empty", "none", "short", "words", "bools", "figures", "hole"):
        with pytest.raises((NotFound, BadVector)):
            search.document_vector(client, info, "v", f"{name}:{key}")


@pytest.mark.parametrize(
    "values",
    [
        [[3, 1, 20], [7], []],
        [[-1e-300, 2.5, 1e300], [5], None],
        [[0.1], [0.1, 0.1]],
        [[-5], [-7, -6]],
        [[2**53, 2**53 + 2], [1]],
        [[], None],
    ],
)
def test_all_numbers_of_an_array_count_for_its_bounds(
    client: Client, request: pytest.FixtureRequest, values: list[list[float] | None]
) -> None:
    name = f"num{zlib.crc32(repr(values).encode()):x}"
    client.pipeline(
        [
            ("JSON.SET", f"{name}:{i}", "$", json.dumps({"n": v, "v": [1.0, 2.0]}))
            for i, v in enumerate(values)
        ]
    )
    fields = (NumericField("n", path="$.n[*]"), FlatField("v", 2, "L2", path="$.v"))
    index.create(client, IndexSpec(name, fields, (f"{name}:",), "JSON"))
    until(lambda: index.index_info(client, name).build.ready, "the index is built")
    info = index.index_info(client, name)
    every = [number for row in values if row for number in row]
    assert search.numeric_bounds(client, info, "n") == ((min(every), max(every)) if every else None)
    with memorydb(client.target) as proxy, connect(proxy.target) as there:
        assert search.numeric_bounds(there, index.index_info(there, name), "n") == (
            (min(every), max(every)) if every else None
        )
