"""Vector fields of later engines: number types that are not read here, and an index without EF_RUNTIME."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import UnsupportedFeature
from memdb.maps import run as maps
from memdb.maps.request import MapRequest
from memdb.sizing import calibrate
from memdb.tuning import queries
from memdb.tuning.plan import plan
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import exact, index, read, search, upload
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, TagField
from memdb.vectors.query import KnnRequest, knn_command
from tests.info_front import info_front
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 16, 600
Serve = Callable[[Callable[[list[Any]], list[Any]]], Client]


def _svs(entry: list[Any]) -> list[Any]:
    """As Redis 8.2 describes such a field."""
    if b"VECTOR" not in entry:
        return entry
    kept = entry[: entry.index(b"M")]
    kept[kept.index(b"algorithm") + 1] = b"SVS-VAMANA"
    return [*kept, b"graph_max_degree", 32, b"construction_window_size", 200, b"compression", b"LVQ8"]


def _typed(type_: bytes) -> Callable[[list[Any]], list[Any]]:
    def told(entry: list[Any]) -> list[Any]:
        if b"VECTOR" in entry:
            entry[entry.index(b"data_type") + 1] = type_
        return entry

    return told


@pytest.fixture
def serve(client: Client, server_target: Target, prefix: str) -> Iterator[Serve]:
    """An index of a graph with few links, told as another one."""
    made = np.random.default_rng(2).normal(size=(COUNT, DIM)).astype("<f4")
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "kind", f"k{i % 2}", "v", row.tobytes()) for i, row in enumerate(made)]
    )
    field = HnswField("v", DIM, "L2", m=2, ef_construction=4)
    index.create(client, IndexSpec(prefix + "idx", (TagField("kind"), field), (prefix + "d:",)))
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    with ExitStack() as stack:
        yield lambda told: stack.enter_context(connect(stack.enter_context(info_front(server_target, told))))


def _info(client: Client, prefix: str) -> IndexInfo:
    return index.index_info(client, prefix + "idx")


@pytest.mark.usefixtures("briefly")
@pytest.mark.needs("flat_info")  # the front changes its words
@pytest.mark.parametrize("condition", ["*", "@kind:{k1}"])
def test_a_graph_without_ef_runtime_is_one_point_and_approximate(
    serve: Serve, prefix: str, condition: str
) -> None:
    client = serve(_svs)
    info = _info(client, prefix)
    asked = queries.random_documents(client, info, "v", 200, 0)
    request = SweepRequest(info.name, "v", 10, condition, goal=Goal(value=0.95), concurrency=())
    run = sweep(client, info, request, asked)
    assert [point.ef_runtime for point in run.points] == [0]
    assert run.recommendation is not None
    words = " ".join((run.recommendation.sentence, *run.recommendation.reasons, *run.notes))
    if condition == "*":
        assert run.points[0].recall < 0.9  # it was built so that it misses
        assert run.recommendation.sentence.startswith("This SVS-VAMANA index does not show")
        assert not run.recommendation.met
    else:  # the engine decides by the filter, and tells
        assert run.points[0].recall == 1.0
        assert "brute force" in words
    for wrong in ("every vector", "EF_RUNTIME from", "FLAT index does", "EF_RUNTIME changes"):
        assert wrong not in words

    request = SweepRequest(info.name, "v", 10, condition, goal=Goal(value=0.05), concurrency=())
    met = sweep(client, info, request, asked).recommendation
    assert met is not None
    assert met.ef_runtime is None
    assert met.sentence.startswith("This SVS-VAMANA index meets")
    one = KnnRequest(info.name, (0.5,) * DIM, k=3, ef_runtime=200, filter=condition)
    assert "EF_RUNTIME" not in " ".join(map(str, knn_command(one, info, client.server.dialect).args))
    told = plan(client, one, info)
    assert told.exact is (condition != "*")
    assert ("approximate" if condition == "*" else "brute force") in told.words
    assert "EF_RUNTIME" not in told.words.replace("without EF_RUNTIME", "")
    with pytest.raises(UnsupportedFeature, match="SVS-VAMANA"):
        calibrate.from_index(client, info.name)


@pytest.mark.needs("flat_info")  # the front changes its words
@pytest.mark.parametrize("type_", ["INT8", "UINT8", "FLOAT8"])
def test_numbers_that_are_not_read_here_are_refused_in_a_sentence(
    serve: Serve,
    prefix: str,
    tmp_path: Path,
    type_: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = serve(_typed(type_.encode()))
    info = _info(client, prefix)
    params = info.vector_field()[1]
    assert params.type == type_
    if type_ != "FLOAT8":
        assert params.bytes == DIM
    request = KnnRequest(info.name, (1.0,) * DIM)
    for refused in (
        lambda: search.knn(client, request, info),
        lambda: search.document_vector(client, info, "v", f"{prefix}d:1"),
        lambda: exact.nearest(read.blocks(client, info), np.zeros((1, DIM), np.float32), 3, "L2"),
        lambda: read.vectors_of(client, info, "v", [f"{prefix}d:1"]),
        lambda: queries.random_documents(client, info, "v", 10, 0),
        lambda: maps.make(client, info, MapRequest(info.name), home=tmp_path),
        lambda: upload.from_file("v.bin", bytes(DIM), DIM, type_, "here"),
        lambda: calibrate.from_index(client, info.name),
    ):
        with pytest.raises(UnsupportedFeature, match=type_) as caught:
            refused()
        assert caught.value.hint
    assert search.count(client, info, "@kind:{k1}") == COUNT // 2
    monkeypatch.setenv("MEMDB_URL", client.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    vector = tmp_path / "v.json"
    vector.write_text(str([1] * DIM))
    for words in (
        ["search", "--index", info.name, "--vector", str(vector)],
        ["search", "--index", info.name, "--key", f"{prefix}d:1", "--exact", "--json"],
        ["recall", "--index", info.name, "--json"],
        ["map", "--index", info.name, "--out", str(tmp_path / "m.json")],
    ):
        assert main(words) == 2
        told = capsys.readouterr().err
        assert f"A vector field of type {type_} is not available here" in " ".join(told.split())
        assert "Traceback" not in told


@pytest.mark.needs("float64")
@pytest.mark.filterwarnings("error")
def test_values_beyond_float32_are_no_queries_and_no_points(client: Client, prefix: str) -> None:
    """FLOAT64 holds them, and the engine compares them; the map and the queries are of float32."""
    rows = np.random.default_rng(5).normal(size=(60, 4))
    rows[:6] *= [[1e25], [1e25], [1e60], [1e60], [1e150], [1e200]]
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "v", row.astype("<f8").tobytes()) for i, row in enumerate(rows)]
    )
    fields = (FlatField("v", 4, "L2", "FLOAT64"),)
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",)))
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    info = _info(client, prefix)
    large = {f"{prefix}d:{i}" for i in range(6)}
    drawn = queries.random_documents(client, info, "v", 60, 0)
    assert len(drawn.own_keys) == 54
    assert not large & set(drawn.own_keys)
    answer = exact.nearest(read.blocks(client, info), drawn.vectors, 5, "L2", excluded=drawn.own_keys)
    for row, own in enumerate(drawn.own_keys):
        with np.errstate(over="ignore"):
            far = ((rows - rows[int(own.rsplit(":", 1)[1])].astype(np.float32)) ** 2).sum(axis=1)
        far[int(own.rsplit(":", 1)[1])] = np.inf
        np.testing.assert_allclose(answer.distances[row], np.sort(far)[:5], rtol=1e-9)
    drawn_map = maps.make(client, info, MapRequest(prefix + "idx", count=60))
    assert len(drawn_map.keys) == 54
    assert not large & set(drawn_map.keys)
    assert any("6 documents without a usable vector" in note for note in drawn_map.notes)


@pytest.mark.parametrize("given", ["--key", "npy", "bin", "json"])
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_a_query_of_float64_keeps_its_digits(
    client: Client, prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str, offset: float
) -> None:
    """Far from the origin float32 moves a query by as much as its neighbours lie away."""
    rows = offset + offset * 1e-7 * np.random.default_rng(8).normal(size=(200, 8))
    index.create(client, IndexSpec(prefix + "idx", (FlatField("v", 8, "L2", "FLOAT64"),), (prefix + "d:",)))
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "v", row.astype("<f8").tobytes()) for i, row in enumerate(rows)]
    )
    until(lambda: index.index_info(client, prefix + "idx").documents == 200, "all are indexed")
    far = ((rows - rows[17]) ** 2).sum(axis=1)
    right = [f"{prefix}d:{i}" for i in np.argsort(far)[:10]]
    if given == "npy":
        np.save(tmp_path / "q.npy", rows[17])
    elif given == "bin":
        (tmp_path / "q.bin").write_bytes(rows[17].astype("<f8").tobytes())
    else:
        (tmp_path / "q.json").write_text(json.dumps(rows[17].tolist()))
    asked = ["--key", f"{prefix}d:17"] if given == "--key" else ["--vector", str(tmp_path / f"q.{given}")]
    words = ["search", "--index", prefix + "idx", *asked, "--exact", "--json", "--url", client.target.url]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    for hits in (told["hits"], told["exact"]["hits"]):
        assert [hit["key"] for hit in hits] == right
        np.testing.assert_allclose([hit["distance"] for hit in hits], np.sort(far)[:10], rtol=1e-9)
    assert told["exact"]["recall"] == 1.0
