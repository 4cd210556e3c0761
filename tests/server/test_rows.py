"""Rows without a document, vectors without a distance: what is read is right, and what is not there is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import redis

from memdb.cli import main
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadVector, WrongType
from memdb.maps import run as maps
from memdb.maps.request import MapRequest
from memdb.sessions import formats, indexed
from memdb.sessions.filters import SessionFilter
from memdb.tuning import queries, vectors
from memdb.tuning.grid import measure, pick_filters
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import counts, exact, index, read, search, stored, tags
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField, TagField
from memdb.vectors.query import KnnRequest, vector_param
from tests.standins import memorydb
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM = 3
NUL = "nul\0x"  # the engine lists such a key, and cannot load it


# Behind a stand-in must be an engine that orders hits as RediSearch does.
@pytest.fixture(params=["engine", pytest.param("memorydb", marks=pytest.mark.needs("sorted_hits"))])
def front(request: pytest.FixtureRequest, client: Client, server_target: Target) -> Iterator[Client]:
    """The engine itself, and a server that lists documents by SCAN."""
    vectors.forget()
    with ExitStack() as stack:
        if request.param == "memorydb":
            proxy = stack.enter_context(memorydb(server_target))
            yield stack.enter_context(connect(proxy.target))
        else:
            yield client


def _index(
    client: Client, prefix: str, documents: dict[str, bytes], field: FlatField | HnswField
) -> IndexInfo:
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{name}", "n", i, "kind", f"k{i % 2}", "v", blob)
            for i, (name, blob) in enumerate(documents.items())
        ]
    )
    index.create(
        client, IndexSpec(prefix + "idx", (TagField("kind"), NumericField("n"), field), (prefix + "d:",))
    )
    return _built(client, prefix + "idx")


def _built(client: Client, name: str) -> IndexInfo:
    until(lambda: index.index_info(client, name).build.ready, "the index is built")
    return index.index_info(client, name)


def _blob(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def _some(count: int, seed: int = 1) -> dict[str, bytes]:
    made = np.random.default_rng(seed).normal(size=(count, DIM)).astype("<f4")
    return {str(i): row.tobytes() for i, row in enumerate(made)}


@pytest.mark.needs("unloadable_keys")
def test_a_key_that_cannot_be_loaded_is_left_out_and_counted(
    client: Client, prefix: str, tmp_path: Path
) -> None:
    documents = {NUL: _blob(0, 0, 0.1), "\udcff\udcfe": _blob(0, 0, 0.3)} | _some(60)
    info = _index(client, prefix, documents, HnswField("v", DIM, "L2"))
    every = {f"{prefix}d:{name}" for name in documents} - {f"{prefix}d:{NUL}"}

    result = search.knn(client, KnnRequest(info.name, (0.0, 0.0, 0.0), k=100, return_fields=("kind",)), info)
    assert set(result.keys) == every
    assert (np.diff(result.distances) >= 0).all()
    assert all(hit.fields["kind"] in {"k0", "k1"} for hit in result.hits)
    assert result.without_document == 1
    assert "1 row without a document" in result.notes[0]

    blocks = list(read.blocks(client, info))
    assert {key for block in blocks for key in block.keys} == every
    assert sum(block.left_out.gone for block in blocks) == 1
    assert {key for keys in read.matching_keys(client, info) for key in keys} == every
    assert stored.values(client, info, info.field("kind"), [f"{prefix}d:0"]) == [b"k0"]
    truth = exact.nearest(blocks, np.zeros((1, DIM), np.float32), 5, "L2")
    assert truth.looked_at == len(every)
    assert "could not be loaded" in " ".join(truth.notes)

    asked = queries.random_documents(client, info, "v", 50, 0)
    assert set(asked.own_keys) <= every
    run = sweep(client, info, SweepRequest(info.name, "v", 5, ef_min=100, ef_max=200, concurrency=()), asked)
    assert run.points[-1].recall == 1.0
    assert any("1 of the documents that match could not be compared" in note for note in run.notes)
    filters = pick_filters(client, info)
    grid = measure(client, info, "v", filters, (100,), asked.vectors, 5, own_keys=asked.own_keys)
    assert {cell.recall for row in grid.rows for cell in row.cells} == {1.0}

    made = maps.make(client, info, MapRequest(info.name, "v", by="stratified", stratum="kind"), home=tmp_path)
    assert set(made.keys) == every
    assert any("could not be loaded" in note for note in made.notes)
    assert sum(value.documents for value in search.tag_values(client, info, "kind")) >= len(every)
    assert search.numeric_bounds(client, info, "n") is not None


def test_reads_go_on_while_half_of_the_documents_expire(client: Client, prefix: str, tmp_path: Path) -> None:
    count = 6_000
    made = np.random.default_rng(0).normal(size=(count, DIM)).astype("<f4")
    documents = {str(i): row.tobytes() for i, row in enumerate(made)}
    info = _index(client, prefix, documents, FlatField("v", DIM, "L2"))
    at = int(time.time() * 1000) + 1_200
    _expire(client, [f"{prefix}d:{i}" for i in range(1, count, 2)], at)
    stay = {f"{prefix}d:{i}" for i in range(0, count, 2)}
    every = stay | {f"{prefix}d:{i}" for i in range(1, count, 2)}
    _until_ms(at - 40)
    rounds = 0
    while rounds < 3 or time.time() * 1000 < at + 400:  # on a slow machine all may be over before it begins
        rounds += 1
        listed = {key for block in read.blocks(client, info) for key in block.keys}
        assert stay <= listed <= every
        result = search.knn(client, KnnRequest(info.name, (0.0,) * DIM, k=20, return_fields=("n",)), info)
        assert np.isfinite(result.distances).all()
        assert (np.diff(result.distances) >= 0).all()
        assert all(hit.fields["n"] == hit.key.rpartition(":")[2] for hit in result.hits)
        assert len(result.keys) + result.without_document <= 20
    until(lambda: index.index_info(client, info.name).documents == len(stay), "the engine has dropped them")
    assert {key for block in read.blocks(client, info) for key in block.keys} == stay


@pytest.mark.parametrize("what", ["sweep", "map"])
def test_a_run_across_an_expiry_goes_on_and_says_how_many_went(
    client: Client, prefix: str, tmp_path: Path, what: str
) -> None:
    info = _index(client, prefix, _some(1_000), HnswField("v", DIM, "L2"))
    gone: list[int] = []

    def expire(stage: str, done: int, total: int) -> None:
        """Once the vectors were read, a tenth of the documents expires."""
        if not gone and stage in {"Measuring", "Neighbours"}:
            at = int(time.time() * 1000) + 5
            _expire(client, [f"{prefix}d:{i}" for i in range(0, 1_000, 10)], at)
            _until_ms(at + 5)
            client.pipeline([("EXISTS", f"{prefix}d:{i}") for i in range(0, 1_000, 10)])
            gone.append(100)

    if what == "sweep":
        asked = queries.random_documents(client, info, "v", 100, 0)
        request = SweepRequest(info.name, "v", 5, goal=Goal(value=0.8), ef_min=64, ef_max=128, concurrency=())
        notes = sweep(client, info, request, asked, report=expire).notes
        assert any("shrank by 100 documents during the run" in note for note in notes)
    else:
        made = maps.make(client, info, MapRequest(info.name, "v", count=500), home=tmp_path, report=expire)
        assert len(made.keys) == 500
        assert any("100 documents fewer" in note for note in made.notes)


def _expire(client: Client, keys: list[str], at: int) -> None:
    """PEXPIREAT, which our own client never sends."""
    with redis.Redis.from_url(client.target.url) as bare, bare.pipeline(transaction=False) as sent:
        for key in keys:
            sent.pexpireat(key, at)
        sent.execute()


def _until_ms(at: int) -> None:
    time.sleep(max(0.0, at / 1000 - time.time()))


@pytest.mark.needs("undefined_distances")
@pytest.mark.parametrize("field", [FlatField("v", DIM, "COSINE"), HnswField("v", DIM, "COSINE")], ids=repr)
def test_vectors_without_a_distance_are_last_and_named(
    client: Client, prefix: str, field: FlatField | HnswField
) -> None:
    good = _some(30)
    bad = {
        "zero": _blob(0, 0, 0),
        "minus": _blob(-0.0, 0, 0),
        "nan": _blob(float("nan"), 1, 0),
        "inf": _blob(float("inf"), 1, 0),
    }
    info = _index(client, prefix, good | bad, field)
    result = search.knn(client, KnnRequest(info.name, (1.0, 0.0, 0.0), k=40), info)
    assert len(result.keys) == len(good) + len(bad)
    assert np.isfinite(result.distances[: len(good)]).all()
    assert (np.diff(result.distances[: len(good)]) >= 0).all()
    assert np.isnan(result.distances[len(good) :]).all()
    assert {key.rpartition(":")[2] for key in result.keys[len(good) :]} == set(bad)
    assert result.undefined == len(bad)
    assert "4 of 34 hits have no distance" in result.notes[0]
    assert "may lose nearer documents over them" in result.notes[0]

    truth = exact.nearest(read.blocks(client, info), np.array([[1, 0, 0]], np.float32), 40, "COSINE")
    wide = {name: np.frombuffer(blob, "<f4").astype(np.float64) for name, blob in good.items()}
    right = sorted((1 - v[0] / np.linalg.norm(v), f"{prefix}d:{name}") for name, v in wide.items())
    assert truth.keys[0] == tuple(key for _, key in right)
    np.testing.assert_allclose(truth.distances[0], [d for d, _ in right], atol=1e-6)
    assert truth.looked_at == len(good)
    assert (truth.left_out.zero, truth.left_out.unusable) == (2, 2)

    for name, words in {"zero": "direction", "nan": "not finite"}.items():
        with pytest.raises(BadVector, match=words):
            search.document_vector(client, info, "v", f"{prefix}d:{name}")
    with pytest.raises(BadVector, match="zero"):
        search.knn(client, KnnRequest(info.name, (0.0, -0.0, 0.0)), info)
    with pytest.raises(BadVector, match="zero"):
        search.knn(client, KnnRequest(info.name, vector_param(np.zeros(DIM, np.float32))), info)


def test_what_zero_vectors_take_from_an_exact_index_is_measured_and_named(
    client: Client,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Comparing every vector, RediSearch still loses near ones: no number is below one that is none."""
    rows = np.random.default_rng(3).normal(size=(150, DIM)).astype("<f4")
    rows[[2, 60]] = 0
    _index(client, prefix, {}, FlatField("v", DIM, "COSINE"))
    # Into an index that is there: what is lost depends on the order of the documents.
    client.pipeline([("HSET", f"{prefix}d:{i}", "v", row.tobytes()) for i, row in enumerate(rows)])
    until(lambda: index.index_info(client, prefix + "idx").documents == len(rows), "all are indexed")
    info = _built(client, prefix + "idx")
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore"):
        far = 1 - wide @ wide.T / np.linalg.norm(wide, axis=1) / np.linalg.norm(wide, axis=1)[:, None]
    np.fill_diagonal(far, np.inf)
    found = []
    for i in [i for i in range(150) if i not in (2, 60)]:
        near = {f"{prefix}d:{j}" for j in np.argsort(np.nan_to_num(far[i], nan=np.inf))[:5]}
        hits = search.knn(client, KnnRequest(info.name, vector_param(rows[i]), k=6), info).keys
        others = [key for key in hits if key != f"{prefix}d:{i}"][:5]
        found.append(len(near & set(others)) / 5)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    words = ["recall", "--index", info.name, "--documents", "--k", "5", "--clients", "0", "--json"]
    assert main([*words, "--url", client.target.url]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["curve"][0]["recall"] == pytest.approx(np.mean(found), abs=1e-3)
    assert np.mean(found) < 0.5
    assert "loses nearer documents over them" in json.dumps(told)


def test_zero_is_a_place_where_the_metric_has_one(client: Client, prefix: str) -> None:
    info = _index(client, prefix, {"zero": _blob(0, 0, 0), "a": _blob(3, 4, 0)}, FlatField("v", DIM, "L2"))
    result = search.knn(client, KnnRequest(info.name, (0.0, 0.0, 0.0)), info)
    assert list(zip(result.keys, result.distances, strict=True)) == [
        (f"{prefix}d:zero", 0.0),
        (f"{prefix}d:a", 25.0),
    ]
    truth = exact.nearest(read.blocks(client, info), np.zeros((1, DIM), np.float32), 2, "L2")
    assert truth.keys[0] == result.keys
    assert not truth.notes


@pytest.mark.parametrize(
    "length",
    [
        1.0,
        *(pytest.param(n, marks=pytest.mark.needs("any_length")) for n in (1e-30, 1e-19, 1e-15, 3e19, 1e30)),
    ],
)
def test_a_direction_counts_however_short_or_long_the_vector(
    client: Client, prefix: str, length: float
) -> None:
    made = np.random.default_rng(3).normal(size=(40, DIM)) * length
    documents = {str(i): row.astype("<f4").tobytes() for i, row in enumerate(made)}
    info = _index(client, prefix, documents, FlatField("v", DIM, "COSINE"))
    query = made[0].astype(np.float32)
    result = search.knn(client, KnnRequest(info.name, vector_param(query), k=40), info)
    truth = exact.nearest(read.blocks(client, info), query[None], 40, "COSINE")
    wide = np.stack([np.frombuffer(blob, "<f4") for blob in documents.values()]).astype(np.float64)
    wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    right = np.sort(1 - wide @ wide[0])
    np.testing.assert_allclose(truth.distances[0], right, atol=2e-6)
    np.testing.assert_allclose(result.distances, right, atol=2e-6)


def test_a_key_that_became_another_type_meanwhile_is_left_out(
    front: Client, client: Client, prefix: str
) -> None:
    """Between the listing of keys and the reading of their vectors."""
    rows = _some(8)
    _index(client, prefix, rows, FlatField("v", DIM, "L2"))
    info = index.index_info(front, prefix + "idx")
    listed = [f"{prefix}d:{name}" for name in rows]
    client.pipeline([("DEL", *listed[:2]), ("SET", listed[0], "text"), ("RPUSH", listed[1], "text")])
    block = read.vectors_of(front, info, "v", listed)
    assert block is not None
    assert block.keys == tuple(listed[2:])
    assert block.left_out.unusable == 2
    assert tags.held(front, info, info.field("kind"), listed) == [
        (),
        (),
        *[(f"k{i % 2}",) for i in range(2, 8)],
    ]
    with pytest.raises(WrongType, match="another type"):
        search.document_vector(front, info, "v", listed[0])


def test_blobs_of_another_length_are_left_out_and_counted(front: Client, client: Client, prefix: str) -> None:
    good = _some(8)
    bad = {
        "short": b"\0" * 8,
        "long": b"\0" * 16,
        "twice": _blob(1, 2, 3, 4, 5, 6),
        "empty": b"",
        "text": b"a, b, c",
    }
    _index(client, prefix, good | bad, FlatField("v", DIM, "L2"))
    client.execute("HSET", f"{prefix}d:none", "n", 1)
    info = index.index_info(front, prefix + "idx")
    truth = exact.nearest(read.blocks(front, info), np.zeros((1, DIM), np.float32), 20, "L2")
    assert set(truth.keys[0]) == {f"{prefix}d:{name}" for name in good}
    assert truth.looked_at == len(good)
    listed = sum(map(len, read.matching_keys(front, info)))  # RediSearch does not list what it refused
    assert truth.left_out.unusable == listed - len(good)
    named = any("without a usable vector" in note for note in truth.notes)
    assert named is (truth.left_out.unusable > 0)
    assert read.vectors_of(front, info, "v", [f"{prefix}d:{name}" for name in bad]) is None
    with pytest.raises(BadVector):
        search.document_vector(front, info, "v", f"{prefix}d:twice")


def test_an_index_of_sessions_is_read_past_a_key_it_cannot_load(client: Client) -> None:
    names = ["s1", NUL, "s2"]
    client.pipeline(
        [
            (
                "HSET",
                formats.session_key(name),
                formats.USER_ID,
                "u1",
                formats.CONTEXT,
                "c",
                formats.HISTORY,
                "[]",
            )
            for name in names
        ]
    )
    indexed.create(client)
    try:
        info = _built(client, indexed.NAME)
        page = indexed.page(client, info, SessionFilter(user="u1"))
        assert {s.key for s in page.sessions} >= {formats.session_key("s1"), formats.session_key("s2")}
    finally:
        index.drop(client, indexed.NAME)
        client.execute("DEL", *map(formats.session_key, names))


@pytest.mark.parametrize(
    "reply",
    [
        [
            4,
            b"d:a",
            [b"distance", b"0.1"],
            b"d:gone",
            None,
            b"d:b",
            [b"distance", b"0.05"],
            b"d:c",
            [b"distance", b"nan"],
        ],
        [
            4,
            b"d:c",
            [b"distance", b"-nan"],
            b"d:a",
            [b"distance", b"0.1"],
            b"d:gone",
            [],
            b"d:b",
            [b"distance", b"0.05"],
        ],
        {
            b"total_results": 4,
            b"results": [
                {b"id": b"d:gone", b"extra_attributes": None, b"values": []},
                {b"id": b"d:c", b"extra_attributes": {b"distance": b"inf"}, b"values": []},
                {b"id": b"d:a", b"extra_attributes": {b"distance": b"0.1"}, b"values": []},
                {b"id": b"d:b", b"extra_attributes": {b"distance": b"0.05"}, b"values": []},
            ],
        },
    ],
    ids=["nil", "empty", "map"],
)
def test_however_a_row_without_a_document_is_told(client: Client, prefix: str, reply: replies.Reply) -> None:
    from memdb.tuning import load
    from memdb.vectors.query import filled, template

    info = _index(client, prefix, {"a": _blob(1, 0, 0)}, FlatField("v", DIM, "L2"))
    request = KnnRequest(info.name, (0.0,) * DIM)
    made = template(request, info, client.server.dialect)
    result = search.knn_result(reply, made, filled(made, request), 1.0)
    assert result.keys == ("d:b", "d:a", "d:c")
    np.testing.assert_array_equal(result.distances, [0.05, 0.1, np.nan])
    assert result.without_document == 1
    keys, far = load.read(reply, "distance")
    assert keys == ["d:b", "d:a", "d:c"]
    np.testing.assert_array_equal(far[:2], [0.05, 0.1])


@pytest.mark.needs("unloadable_keys", "undefined_distances")
@pytest.mark.parametrize("ending", [".json", ".csv", ".parquet"])
def test_the_command_line_prints_and_writes_what_every_reader_takes(
    client: Client,
    prefix: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
) -> None:
    odd = {
        NUL: _blob(1, 0, 0.1),
        "\udcff\udcfe": _blob(1, 0, 0.3),
        "zero": _blob(0, 0, 0),
        "nan": _blob(float("nan"), 1, 0),
    }
    info = _index(client, prefix, odd | _some(40), FlatField("v", DIM, "COSINE"))
    monkeypatch.setenv("MEMDB_URL", client.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    (tmp_path / "v.json").write_text("[1, 0, 0]")

    def printed(*words: str) -> Any:
        assert main([*words, "--json"]) == 0
        return json.loads(capsys.readouterr().out, parse_constant=_refused)

    found = printed(
        "search", "--index", info.name, "--vector", str(tmp_path / "v.json"), "--k", "60", "--exact"
    )
    assert [hit["distance"] for hit in found["hits"][-2:]] == [None, None]
    assert len(found["notes"]) == 2
    assert len(found["exact"]["notes"]) == 3
    assert found["exact"]["recall"] == 1.0
    path = tmp_path / f"map{ending}"
    made = printed("map", "--index", info.name, "--out", str(path))
    assert made["points"] == 41
    assert sum("Left out" in note for note in made["notes"]) == 3
    if ending == ".json":
        rows = json.loads(path.read_bytes(), parse_constant=_refused)["rows"]
        assert f"{prefix}d:\udcff\udcfe" in {row["key"] for row in rows}
    else:
        rows = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
        assert len(rows) == 41
    assert main(["search", "--index", info.name, "--vector", str(tmp_path / "v.json"), "--k", "60"]) == 0
    shown = capsys.readouterr().out
    assert "nan" not in shown.replace("d:nan", "")
    assert "2 of 43 hits have no distance" in " ".join(shown.split())


def _refused(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize(
    ("numbers", "bounds", "infinite"),
    [
        (["1", "1000", "inf", "-inf", "5.5"], (1.0, 1000.0), 2),
        (["1", "2", "Infinity", "+inf"], (1.0, 2.0), 2),
        (["-3.5", "-3.5"], (-3.5, -3.5), 0),
        (["inf", "-inf"], None, 2),
        (["1e308", "-1e308", "inf"], (-1e308, 1e308), 1),
        (["inf", "7"], (7.0, 7.0), 1),
        ([], None, 0),
    ],
)
def test_bounds_are_finite_and_the_rest_is_counted(
    front: Client,
    client: Client,
    prefix: str,
    numbers: list[str],
    bounds: tuple[float, float] | None,
    infinite: int,
) -> None:
    _index(client, prefix, {}, FlatField("v", DIM, "L2"))
    client.pipeline([("HSET", f"{prefix}d:{i}", "n", n, "v", _blob(1, 2, 3)) for i, n in enumerate(numbers)])
    client.execute("HSET", f"{prefix}d:none", "v", _blob(1, 2, 3))
    until(lambda: index.index_info(client, prefix + "idx").documents == len(numbers) + 1, "all are indexed")
    info = index.index_info(front, prefix + "idx")
    assert search.numeric_bounds(front, info, "n") == bounds
    assert counts.infinite(front, info, "n") == infinite
