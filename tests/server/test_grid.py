"""Filter selectivity x EF on the real engine."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.errors import BadInput, Cancelled
from memdb.tuning import grid
from memdb.tuning.grid import Grid
from memdb.vectors import index, search
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField

pytestmark = pytest.mark.any_engine

DIM, COUNT = 16, 2_000


def _load(client: Client, prefix: str) -> IndexInfo:
    fields = (TagField("tag"), NumericField("n"), HnswField("v", DIM, m=4, ef_construction=10))
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM)).astype("<f4")
    tags = ["half" if i % 2 else "fifth" if i % 5 == 0 else "rest" for i in range(COUNT)]
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "tag", tag, "n", i, "v", v.tobytes())
            for i, (v, tag) in enumerate(zip(vectors, tags, strict=True))
        ]
    )
    return index.index_info(client, prefix + "idx")


def test_filters_of_the_users_own_data(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    found = grid.pick_filters(client, info, (0.01, 0.5, 1.0))
    assert [round(f.share, 2) for f in found] == [0.01, 0.5, 1.0]
    assert found[1].name == "@tag:{half}"
    assert found[0].name.startswith("@n:[0 ")
    assert found[0].matching == search.count(client, info, found[0].condition)
    assert found[2].name == "no filter"
    for wrong in (0.0, 1.5):
        with pytest.raises(BadInput, match="no share"):
            grid.pick_filters(client, info, (wrong,))


@pytest.mark.needs("profile")
def test_every_pair_is_measured(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    queries = np.random.default_rng(6).normal(size=(40, DIM)).astype(np.float32)
    filters = grid.pick_filters(client, info, (0.001, 0.5, 1.0))
    kept: list[Grid] = []
    found = grid.measure(client, info, "v", filters, (5, 300), queries, 5, keep=kept.append)
    assert not found.partial
    assert [len(row.cells) for row in found.rows] == [2, 2, 2]
    assert len(kept) == 6
    assert all(k.partial for k in kept)
    rare, half, everything = found.rows
    assert rare.plan.exact
    assert [c.recall for c in rare.cells] == [1.0, 1.0]
    assert rare.cells[0].short == 0  # two match, and two come
    assert half.plan.exact
    assert everything.plan.exact is False
    assert everything.cells[0].recall < 0.9 < everything.cells[1].recall
    assert everything.cells[0].low < everything.cells[0].recall < everything.cells[0].high
    assert all(c.p50_ms > 0 for row in found.rows for c in row.cells)


def test_a_query_document_does_not_count_for_itself(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    keys = tuple(f"{prefix}d:{i}" for i in range(10))
    queries = np.stack([search.document_vector(client, info, "v", key) for key in keys])
    filters = grid.pick_filters(client, info, (1.0,))
    found = grid.measure(client, info, "", filters, (500,), queries, 3, own_keys=keys)
    assert found.rows[0].cells[0].recall == pytest.approx(1.0, abs=0.05)
    assert found.rows[0].cells[0].short == 0


def test_cancel_keeps_what_there_is(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    queries = np.random.default_rng(6).normal(size=(10, DIM)).astype(np.float32)
    kept: list[Grid] = []

    def report(stage: str, done: int, total: int) -> None:
        if kept:
            raise Cancelled

    filters = grid.pick_filters(client, info, (0.5, 1.0))
    with pytest.raises(Cancelled):
        grid.measure(client, info, "v", filters, (10, 20), queries, 5, report=report, keep=kept.append)
    assert [len(row.cells) for row in kept[-1].rows] == [1]


def test_nothing_to_measure(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    with pytest.raises(BadInput, match="nothing to measure"):
        grid.measure(client, info, "v", (), (10,), np.ones((1, DIM), np.float32), 5)
    index.create(client, IndexSpec(prefix + "none", (HnswField("v", DIM),), (prefix + "none:",)))
    with pytest.raises(BadInput, match="no document"):
        grid.pick_filters(client, index.index_info(client, prefix + "none"))
