"""Where there is nothing to measure, what is said names the reason, and speaks of a filter only where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.errors import BadInput
from memdb.maps import sample as maps_sample
from memdb.maps.request import MapRequest
from memdb.tuning import ask, queries
from memdb.tuning.run import SweepRequest
from memdb.tuning.source import Documents, Unseen
from memdb.vectors import index, read
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField
from tests.waiting import until

pytestmark = pytest.mark.any_engine

DIM = 4


def made(client: Client, prefix: str, vectors: list[bytes], metric: str = "COSINE") -> IndexInfo:
    field = HnswField("v", DIM, metric)  # type: ignore[arg-type]
    index.create(client, IndexSpec(prefix + "idx", (TagField("t"), field), (prefix + "d:",)))
    # A scan that goes on would take what is written meanwhile in once more.
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the empty index is built")
    client.pipeline([("HSET", f"{prefix}d:{i}", "t", "a", "v", v) for i, v in enumerate(vectors)])
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    return index.index_info(client, prefix + "idx")


def told(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(BadInput) as caught:
        call()
    return str(caught.value), caught.value.hint


def every_way(client: Client, info: IndexInfo, filter_: str = "*") -> list[tuple[str, str]]:
    """What sweeps by either kind of query and a map say."""
    request = SweepRequest(info.name, filter=filter_, concurrency=())
    return [
        told(lambda: queries.unseen(client, info, "", 20, 0, filter_)),
        told(lambda: queries.random_documents(client, info, "", 20, 0, filter_)),
        told(lambda: ask.recall(client, info, SweepRequest(info.name, filter=filter_, source=Documents(20)))),
        told(lambda: ask.recall(client, info, SweepRequest(info.name, filter=filter_, source=Unseen(20)))),
        told(lambda: maps_sample.sample(client, info, MapRequest(info.name, condition=request.filter))),
    ]


def test_zero_vectors_and_vectors_of_another_length_are_named(client: Client, prefix: str) -> None:
    info = made(client, prefix, [np.zeros(DIM, "<f4").tobytes()] * 30)
    for message, hint in every_way(client, info):
        assert message == f"No document of '{prefix}idx' has a usable vector in 'v'."
        assert hint.startswith("30 documents with a zero vector: it has no direction")
        assert "ilter" not in message + hint


def test_an_index_without_documents_is_called_so(client: Client, prefix: str) -> None:
    for message, hint in every_way(client, made(client, prefix, [])):
        assert message == f"Index '{prefix}idx' holds no documents."
        assert hint == "Choose another index."


@pytest.mark.needs("whole_documents")
def test_documents_that_were_not_taken_are_counted(client: Client, prefix: str) -> None:
    for message, hint in every_way(client, made(client, prefix, [b"short"] * 7)):
        assert message == f"Index '{prefix}idx' holds no documents."
        assert hint.startswith("7 attempts to index a document failed, the last because: ")


def test_a_filter_that_matches_none_is_told(client: Client, prefix: str) -> None:
    vectors = np.random.default_rng(1).normal(size=(30, DIM)).astype("<f4")
    info = made(client, prefix, [v.tobytes() for v in vectors])
    for message, hint in every_way(client, info, "@t:{none}"):
        assert "matches the filter @t:{none}" in message
        assert "Widen the filter" in hint


def test_a_single_document_has_no_neighbours(client: Client, prefix: str, tmp_path: Path) -> None:
    info = made(client, prefix, [np.ones(DIM, "<f4").tobytes()])
    message, hint = told(
        lambda: ask.recall(client, info, SweepRequest(info.name, source=Documents(20)), home=tmp_path)
    )
    assert message == f"No document of '{prefix}idx' but the query's own has a usable vector in 'v'."
    assert "ilter" not in hint
    message, _ = told(lambda: maps_sample.sample(client, info, MapRequest(info.name)))
    assert message == "1 document with a usable vector; a map needs at least 4."


def test_a_field_that_is_called_as_the_key_hides_no_key(client: Client, prefix: str) -> None:
    """RediSearch's cursors would bring the field's value in the place of the key: all documents one."""
    vectors = np.random.default_rng(2).normal(size=(40, DIM)).astype("<f4")
    fields = (TagField("__key"), HnswField("v", DIM, "L2"))
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "__key", "same", "v", v.tobytes()) for i, v in enumerate(vectors)]
    )
    until(lambda: index.index_info(client, prefix + "idx").documents == 40, "all are indexed")
    info = index.index_info(client, prefix + "idx")
    keys = [key for block in read.blocks(client, info) for key in block.keys]
    assert sorted(keys) == sorted(f"{prefix}d:{i}" for i in range(40))
    listed = [key for keys in read.matching_keys(client, info, "@__key:{same}") for key in keys]
    assert sorted(listed) == sorted(keys)
    run = ask.recall(client, info, SweepRequest(info.name, source=Documents(20), concurrency=()))
    assert set(map(len, run.truth.keys)) == {10}
    for row, near in enumerate(run.truth.keys):
        own = int(run.queries.own_keys[row].rsplit(":", 1)[1])
        far = ((vectors.astype(float) - vectors[own].astype(float)) ** 2).sum(axis=1)
        assert set(near) == {f"{prefix}d:{i}" for i in np.argsort(far)[1:11]}
