"""From the application's searches to the alert, on each engine: recorded on the way, asked again, watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.operations import history
from memdb.tap.proxy import Proxy
from memdb.tap.record import Recorder, load
from memdb.tuning.ask import recall
from memdb.tuning.run import SweepRequest
from memdb.tuning.source import File
from memdb.vectors import index
from memdb.vectors.conditions import Tag
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField, index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from memdb.watch import runner
from memdb.watch.series import Watch
from tests.conftest import clean
from tests.standins import memorydb, valkey_search
from tests.waiting import PATIENCE_S, until

COUNT, DIM = 500, 8
VECTORS = np.random.default_rng(6).standard_normal((COUNT, DIM)).astype("<f4")
QUERIES = np.random.default_rng(7).standard_normal((40, DIM)).astype("<f4")


@pytest.fixture(params=["RediSearch", "valkey-search", "MemoryDB"])
def server(request: pytest.FixtureRequest, server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client of each engine, with an index."""
    fronts = {"valkey-search": valkey_search, "MemoryDB": memorydb}
    front = fronts[request.param](server_target) if request.param in fronts else nullcontext()
    with front as standin:
        target = server_target if standin is None else standin.target
        with connect(replace(target, writable=True)) as client:
            client.pipeline(
                [
                    ("HSET", f"{prefix}d:{n}", "t", "ab"[n % 2], "v", VECTORS[n].tobytes())
                    for n in range(COUNT)
                ]
            )
            fields = (TagField("t"), HnswField("v", DIM, metric="L2", m=4, ef_construction=10))
            index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
            until(lambda: index_info(client, prefix + "idx").build.ready, "the index is built")
            try:
                yield client
            finally:
                clean(client, prefix)


def asked(client: Client, info: IndexInfo, n: int, k: int, ef: int, *, half: bool) -> list[str]:
    condition = Tag("t", ("a",)) if half else "*"
    return list(
        knn(client, KnnRequest(info.name, vector_param(QUERIES[n]), "v", k, ef, condition), info).keys
    )


def true_recall(info: IndexInfo, n: int, k: int, keys: list[str], *, half: bool) -> float:
    far = ((VECTORS.astype(float) - QUERIES[n].astype(float)) ** 2).sum(axis=1)
    near = [f"{info.prefixes[0]}{row}" for row in np.argsort(far) if not half or row % 2 == 0]
    return len(set(near[:k]) & set(keys)) / k


@pytest.mark.usefixtures("briefly")
def test_what_an_application_asks_is_recorded_asked_again_and_watched(
    server: Client, tmp_path: Path, prefix: str
) -> None:
    info, path = index_info(server, prefix + "idx"), tmp_path / "tap.parquet"
    kinds = [(5, 12, False), (3, 9, True)]
    recalls = []
    with Recorder(path) as recorder:
        proxy = Proxy(server.target, recorder, port=0)
        thread = threading.Thread(target=proxy.run)
        thread.start()
        try:
            with connect(replace(server.target, port=proxy.port)) as through:
                for n in range(len(QUERIES)):
                    k, ef, half = kinds[n % 2]
                    keys = asked(through, info, n, k, ef, half=half)
                    assert keys == asked(server, info, n, k, ef, half=half)
                    recalls.append(true_recall(info, n, k, keys, half=half))
        finally:
            proxy.stop()
            thread.join(PATIENCE_S)
    record = load(path.name, path.read_bytes())
    assert record is not None
    assert [(s.call.k, s.call.ef_runtime, s.call.field) for s in record.searches] == [
        (*kinds[n % 2][:2], "v") for n in range(len(QUERIES))
    ]
    assert np.array_equal(np.stack([np.frombuffer(s.call.vector, "<f4") for s in record.searches]), QUERIES)
    request = SweepRequest(info.name, ef_min=10, ef_max=20, source=File(path.name, str(path)), concurrency=())
    told = recall(server, info, request).as_asked
    assert told is not None
    assert told.recall == pytest.approx(np.mean(recalls))
    watch = Watch(info.name, tap=str(path), target=1.0)
    outcome = runner.once(server.target, watch, tmp_path)
    assert outcome.now.recall == pytest.approx(np.mean(recalls))
    assert outcome.now.build == "ready"
    assert runner.rows_of(history.path_of(tmp_path, server.target), watch) == [outcome.now]
    sampled = recall(server, info, replace(request, sample=150))
    assert sampled.sampled is not None
    assert (sampled.sampled.drawn, sampled.sampled.documents) == (150, len(VECTORS))
    assert sampled.as_asked is not None
    assert sampled.as_asked.low <= np.mean(recalls) <= sampled.as_asked.high
    outcome = runner.once(server.target, replace(watch, sample=150), tmp_path)
    assert outcome.now.estimated == "estimated from a sample of 150 (30 %)"
    assert outcome.now.low is not None
    assert outcome.now.high is not None
    assert outcome.now.low <= np.mean(recalls) <= outcome.now.high
