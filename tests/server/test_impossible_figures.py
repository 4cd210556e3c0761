"""Figures that cannot be true, on the real engine: RediSearch wraps the size of an emptied index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.operations.memory import split
from memdb.operations.samples import sample_all
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexSpec

EMPTIED = "emptied"


def empty(client: Client, field: HnswField | FlatField) -> None:
    """An index that had 3,000 documents and has none."""
    index.create(client, IndexSpec(EMPTIED, (field,), ("e:",)))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3_000, 8)).astype("<f4")
    keys = [f"e:{i}" for i in range(len(vectors))]
    client.pipeline([("HSET", k, "v", v.tobytes()) for k, v in zip(keys, vectors, strict=True)])
    # In another order than they came: the tree of names is then counted smaller than nothing.
    client.pipeline([("DEL", keys[i]) for i in random.permutation(len(keys)).tolist()])
    if client.server.dialect.name != "redisearch":
        pytest.skip("only RediSearch wraps the size of an emptied index")
    told = replies.pairs(client.execute("FT.INFO", EMPTIED))
    assert replies.number(told["total_index_memory_sz_mb"]) > 2**43


@pytest.fixture(scope="module", params=[HnswField("v", 8), FlatField("v", 8)])
def target(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Target]:
    with local_engine.start(tmp_path_factory.mktemp("emptied"), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            empty(client, request.param)
        yield running.target


@pytest.fixture
def emptied(target: Target) -> Iterator[Client]:
    with connect(target) as client:
        yield client


def test_the_size_is_not_available_and_named(emptied: Client) -> None:
    info = index.index_info(emptied, EMPTIED)
    assert info.total_bytes is None
    assert "total_index_memory_sz_mb tells 17592186044416" in info.absent["total_bytes"]
    assert info.documents == 0
    (one,) = sample_all(emptied)
    assert f"total_bytes of index {EMPTIED}" in one.impossible
    assert "search_bytes" not in one.figures
    assert EMPTIED in one.absent["search_bytes"]
    found = split(emptied, emptied.nodes()[0], one)
    assert all(part.bytes is None or part.bytes < 2**40 for part in found.parts)
    assert "impossible" in found.part("other_indexes").absent


def test_commands_name_it(target: Target, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--url", target.url, "--seconds", "1", "--json"])
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    named = findings[f"total_bytes of index {EMPTIED}"]
    assert (named["level"], "impossible" in named["saw"]) == ("absent", True)
    main(["exporter", "--url", target.url, "--once"])
    text = capsys.readouterr().out
    assert "memdb_index_memory_bytes{" not in text
    assert f'figure="total_bytes of index {EMPTIED}"' in text
    main(["memory", "--url", target.url])
    out = capsys.readouterr().out
    assert "TiB" not in out
    assert "impossible" in " ".join(out.split())
