"""An index over JSON documents is measured, sliced, searched and compared like one over hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Arg, Client, connect
from memdb.sizing.samples import serves_json
from memdb.tuning import queries, shadow, slices
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.shadow import Variant
from memdb.tuning.sweep import sweep
from memdb.vectors import index, read, search
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField, TextField
from memdb.vectors.query import KnnRequest
from tests.waiting import until

COUNT, DIM = 1_500, 16
VECTORS = np.random.default_rng(7).normal(size=(COUNT, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("json")
    with (
        local_engine.start(folder, log=False, json=True) as running,
        connect(running.target) as found,
    ):
        running.wait_ready()
        if not serves_json(found):
            pytest.skip("this engine has no JSON documents")
        commands: list[list[Arg]] = []
        for i, vector in enumerate(VECTORS):
            whole = {
                "title": f"Document «{i}»",
                "kind": f"k{i % 3}",
                "labels": ["a", f"b{i % 2}"],
                "year": 2000 + i % 20,
                "embedding": vector.tolist(),
                "more": {"deep": i},
            }
            commands.append(["JSON.SET", f"doc:{i}", "$", json.dumps(whole)])
        commands += [
            ["JSON.SET", "doc:none", "$", '{"kind": "k0"}'],
            ["JSON.SET", "doc:short", "$", '{"kind": "k0", "embedding": [1, 2]}'],
            ["JSON.SET", "doc:words", "$", '{"kind": "k0", "embedding": "no vector"}'],
        ]
        found.pipeline(commands)
        index.create(
            found,
            IndexSpec(
                "idx:json",
                (
                    TagField("kind", path="$.kind"),
                    TagField("label", path="$.labels[*]"),
                    NumericField("year", path="$.year"),
                    TextField("title", path="$.title"),
                    HnswField("embedding", DIM, "COSINE", m=4, ef_construction=20, path="$.embedding"),
                ),
                ("doc:",),
                "JSON",
            ),
        )
        until(lambda: index.index_info(found, "idx:json").build.state == "ready", "the index is built")
        yield found


@pytest.fixture
def info(client: Client) -> IndexInfo:
    return index.index_info(client, "idx:json")


def test_vectors_are_read_as_they_were_written(client: Client, info: IndexInfo) -> None:
    found = {
        key: vector
        for block in read.blocks(client, info)
        for key, vector in zip(block.keys, block.vectors, strict=True)
    }
    assert len(found) == COUNT  # without those that hold no usable vector
    units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    for i in (0, 700, COUNT - 1):
        np.testing.assert_allclose(found[f"doc:{i}"], units[i], atol=1e-6)
    block = read.vectors_of(
        client, info, "embedding", ["doc:3", "doc:none", "doc:short", "doc:words", "doc:no"]
    )
    assert block is not None
    assert block.keys == ("doc:3",)
    np.testing.assert_allclose(block.vectors[0], units[3], atol=1e-6)


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("condition", ["*", "@kind:{k1}"])
def test_recall_is_measured(client: Client, info: IndexInfo, condition: str) -> None:
    request = SweepRequest(
        "idx:json", "embedding", 10, condition, ef_min=10, ef_max=400, goal=Goal(value=0.9), concurrency=()
    )
    asked = queries.random_documents(client, info, "embedding", 200, 0, condition)
    run = sweep(client, info, request, asked)
    units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    allowed = np.arange(COUNT) if condition == "*" else np.arange(COUNT)[np.arange(COUNT) % 3 == 1]
    for i, key in enumerate(asked.own_keys[:20]):
        own = int(key.split(":")[1])
        others = allowed[allowed != own]
        nearest = others[np.argsort(1 - units[others] @ units[own], kind="stable")[:10]]
        assert set(run.truth.keys[i]) >= {f"doc:{n}" for n in nearest}
    assert run.points[-1].recall > 0.99
    assert run.recommendation is not None


def test_fields_slice_queries(client: Client, info: IndexInfo) -> None:
    keys = ["doc:4", "doc:none", "doc:no"]
    assert slices.field_values(client, info, "kind", keys) == ["k1", "k0", ""]
    assert slices.field_values(client, info, "year", keys) == ["2004", "", ""]
    assert slices.field_values(client, info, "label", keys) == ["a,b0", "", ""]


def test_a_document_is_shown_and_its_neighbours_found(client: Client, info: IndexInfo) -> None:
    fields = search.document(client, "doc:5", "JSON")
    assert fields["$.title"] == "Document «5»".encode()
    assert json.loads(fields["$.more"]) == {"deep": 5}
    assert len(fields["$.embedding"]) == DIM
    vector = search.document_vector(client, info, "embedding", "doc:5")
    found = search.knn(client, KnnRequest("idx:json", tuple(vector.tolist()), "embedding", k=3), info)
    assert found.keys[0] == "doc:5"


def test_a_shadow_index_lies_over_the_same_documents(client: Client, info: IndexInfo, tmp_path: Path) -> None:
    variant = Variant("HNSW", 16, 100)
    made = shadow.build(client, info, "embedding", variant)
    try:
        beside = index.index_info(client, made.name)
        assert beside.on == "JSON"
        assert beside.documents == info.documents
        assert [one.name for one in shadow.shadows_of(client, "idx:json")] == [made.name]
    finally:
        shadow.drop(client, made.name, made.name)
