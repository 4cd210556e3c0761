"""Kept answers: used where the data is what it was, and not where only what the engine tells of it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.maps import overlay, run, store
from memdb.maps.request import MapRequest
from memdb.sizing.samples import serves_json
from memdb.tuning import queries, truth, vectors
from memdb.tuning.run import SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import evidence, index
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField, TagField
from tests.waiting import until

COUNT, DIM, K = 400, 12, 10


@pytest.fixture(scope="module")
def json_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with (
        local_engine.start(tmp_path_factory.mktemp("kept"), log=False, json=True) as running,
        connect(running.target) as found,
    ):
        running.wait_ready()
        yield found


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    vectors.forget()
    truth.forget()
    yield
    vectors.forget()
    truth.forget()


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(COUNT, DIM)).astype("<f4")


def write(client: Client, prefix: str, values: np.ndarray, on: str) -> None:
    if on == "HASH":
        client.pipeline(
            [
                ("HSET", f"{prefix}d:{i}", "tag", f"t{i % 4}", "n", i, "v", v.tobytes())
                for i, v in enumerate(values)
            ]
        )
    else:
        whole = [{"tag": f"t{i % 4}", "n": i, "v": v.tolist()} for i, v in enumerate(values)]
        client.pipeline([("JSON.SET", f"{prefix}d:{i}", "$", json.dumps(w)) for i, w in enumerate(whole)])


def create(client: Client, prefix: str, metric: str, flat: bool, on: str) -> IndexInfo:
    path = "" if on == "HASH" else "$."
    field = (
        FlatField("v", DIM, metric, path=f"{path}v")  # type: ignore[arg-type]
        if flat
        else HnswField("v", DIM, metric, m=8, ef_construction=50, path=f"{path}v")  # type: ignore[arg-type]
    )
    fields = (TagField("tag", path=f"{path}tag"), NumericField("n", path=f"{path}n"), field)
    index.create(client, IndexSpec(prefix + "idx", fields, (prefix + "d:",), on))  # type: ignore[arg-type]
    until(lambda: index.index_info(client, prefix + "idx").build.state == "ready", "the index is built")
    return index.index_info(client, prefix + "idx")


def nearest(values: np.ndarray, query: np.ndarray, metric: str) -> set[int]:
    v, q = values.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        far = ((v - q) ** 2).sum(axis=1)
    else:
        far = -(v @ q) / (np.linalg.norm(v, axis=1) if metric == "COSINE" else 1.0)
    return set(np.argsort(far)[:K].tolist())


def numbers(keys: tuple[str, ...]) -> set[int]:
    return {int(key.rsplit(":", 1)[1]) for key in keys}


CASES = [
    ("COSINE", False, "HASH"),
    ("L2", True, "HASH"),
    ("IP", False, "HASH"),
    ("COSINE", True, "HASH"),
    ("L2", False, "JSON"),
    ("COSINE", True, "JSON"),
]


@pytest.mark.parametrize(("metric", "flat", "on"), CASES)
@pytest.mark.parametrize("on_disk", [True, False])
def test_as_many_documents_overwritten_and_the_index_made_again(
    client: Client,
    json_client: Client,
    prefix: str,
    tmp_path: Path,
    metric: str,
    flat: bool,
    on: str,
    on_disk: bool,
) -> None:
    """The engine then tells the same of the index as before: name, definition, documents, revision."""
    if on == "JSON":
        client = json_client
        if not serves_json(client):
            pytest.skip("this engine has no JSON documents")
    before, after = drawn(1), drawn(2)
    write(client, prefix, before, on)
    info = create(client, prefix, metric, flat, on)
    asked = queries.made(drawn(3)[:20], [f"q{i}" for i in range(20)])
    home = tmp_path if on_disk else None

    def answer(now: IndexInfo) -> truth.Truth:
        return truth.truth(client, now, "v", asked, K, home=home)

    assert not answer(info).kept
    again = answer(index.index_info(client, info.name))
    assert again.kept
    assert all(
        numbers(keys) == nearest(before, q, metric) for keys, q in zip(again.keys, asked.vectors, strict=True)
    )
    index.drop(client, info.name)
    write(client, prefix, after, on)
    made = create(client, prefix, metric, flat, on)
    assert made.fingerprint == info.fingerprint  # else this case shows nothing
    found = answer(made)
    assert not found.kept
    assert all(
        numbers(keys) == nearest(after, q, metric) for keys, q in zip(found.keys, asked.vectors, strict=True)
    )
    # The vectors kept in memory for queries, the map and the grid are the new ones as well.
    read = {
        key: row
        for block in vectors.documents(client, made)
        for key, row in zip(block.keys, block.vectors, strict=True)
    }
    expected = after[7] / np.linalg.norm(after[7]) if metric == "COSINE" else after[7]
    np.testing.assert_allclose(read[f"{prefix}d:7"], expected, atol=1e-6)
    laid = overlay.exact(client, made, "v", asked.vectors[0], K)
    assert numbers(laid.keys[0]) == nearest(after, asked.vectors[0], metric)


def test_a_run_tells_whether_its_documents_are_the_same(client: Client, prefix: str, tmp_path: Path) -> None:
    """Also where the engine tells the same of the index as before, and where nothing is kept that could tell."""
    write(client, prefix, drawn(1), "HASH")
    info = create(client, prefix, "L2", False, "HASH")
    asked = queries.made(drawn(3)[:60], [f"q{i}" for i in range(60)])
    run = sweep(client, info, SweepRequest(info.name, "v", K, concurrency=()), asked, home=tmp_path)
    assert truth.still(client, info, run, tmp_path) is True
    index.drop(client, info.name)
    write(client, prefix, drawn(2), "HASH")
    again = create(client, prefix, "L2", False, "HASH")
    assert again.fingerprint == info.fingerprint == run.fingerprint  # else this case shows nothing
    assert truth.still(client, again, run, tmp_path) is False
    truth.truth(client, again, "v", asked, K, home=tmp_path)  # the name now stands for the new documents
    assert truth.still(client, again, run, tmp_path) is False
    assert truth.still(client, again, run, tmp_path / "another") is None
    client.execute("DEL", f"{prefix}d:1")
    until(lambda: index.index_info(client, info.name).documents == COUNT - 1, "the document is gone")
    assert truth.still(client, index.index_info(client, info.name), run, tmp_path / "another") is False


def test_a_map_is_drawn_again_where_its_documents_changed(
    client: Client, prefix: str, tmp_path: Path
) -> None:
    write(client, prefix, drawn(1), "HASH")
    info = create(client, prefix, "COSINE", False, "HASH")
    request = MapRequest(info.name, "v")
    first = run.make(client, info, request, home=tmp_path)
    kept = store.find(tmp_path, client, info, request)
    assert kept is not None
    np.testing.assert_array_equal(kept.xy, first.xy)
    assert kept.state == first.state
    index.drop(client, info.name)
    write(client, prefix, drawn(2), "HASH")
    made = create(client, prefix, "COSINE", False, "HASH")
    assert made.fingerprint == info.fingerprint
    assert store.find(tmp_path, client, made, request) is None
    second = run.make(client, made, request, home=tmp_path)
    assert second.state != first.state
    assert not np.allclose(second.xy, first.xy)
    # A title or a tag is part of a map: its colours and the names of its clusters come from them.
    index.drop(client, info.name)
    client.execute("HSET", f"{prefix}d:3", "tag", "other")
    relabelled = create(client, prefix, "COSINE", False, "HASH")
    assert store.find(tmp_path, client, relabelled, request) is None


def test_documents_that_change_places_under_a_filter(client: Client, prefix: str, tmp_path: Path) -> None:
    """As many match as before, but others: their vectors are unchanged."""
    values = drawn(1)
    write(client, prefix, values, "HASH")
    info = create(client, prefix, "L2", True, "HASH")
    asked = queries.made(values[:5], [f"q{i}" for i in range(5)])
    condition = "@tag:{t1}"
    truth.truth(client, info, "v", asked, K, condition, home=tmp_path)
    assert truth.truth(client, info, "v", asked, K, condition, home=tmp_path).kept
    index.drop(client, info.name)
    client.pipeline([("HSET", f"{prefix}d:{i}", "tag", f"t{(i + 1) % 4}") for i in range(COUNT)])
    made = create(client, prefix, "L2", True, "HASH")
    assert made.fingerprint == info.fingerprint
    found = truth.truth(client, made, "v", asked, K, condition, home=tmp_path)
    assert not found.kept
    assert all(number % 4 == 0 for keys in found.keys for number in numbers(keys))


def test_times_to_live_do_not_matter_until_documents_end(client: Client, prefix: str, tmp_path: Path) -> None:
    values = drawn(1)
    write(client, prefix, values, "HASH")
    info = create(client, prefix, "COSINE", True, "HASH")
    asked = queries.made(values[:5], [f"q{i}" for i in range(5)])
    truth.truth(client, info, "v", asked, K, home=tmp_path)
    client.pipeline([("PEXPIRE", f"{prefix}d:{i}", 3_600_000) for i in range(COUNT)])
    now = index.index_info(client, info.name)
    found = truth.truth(client, now, "v", asked, K, home=tmp_path)
    assert all(
        numbers(keys) == nearest(values, q, "COSINE")
        for keys, q in zip(found.keys, asked.vectors, strict=True)
    )
    client.execute("PEXPIRE", f"{prefix}d:0", 1)
    until(lambda: client.execute("EXISTS", f"{prefix}d:0") == 0, "the document ended")
    now = index.index_info(client, info.name)
    found = truth.truth(client, now, "v", asked, K, home=tmp_path)
    assert not found.kept
    assert not any(0 in numbers(keys) for keys in found.keys)


def test_one_changed_document_of_few_is_always_noticed(client: Client, prefix: str) -> None:
    values = drawn(1)
    write(client, prefix, values, "HASH")
    info = create(client, prefix, "COSINE", True, "HASH")
    drawing = evidence.Drawing()
    list(drawing.watch(vectors.blocks(client, info)))
    kept = drawing.evidence(client, info, "*")
    assert kept is not None
    assert len(kept.keys) == COUNT
    assert evidence.holds(client, info, "v", "*", kept)
    index.drop(client, info.name)
    changed = values.copy()
    changed[123, 5] = np.nextafter(changed[123, 5], np.float32(9))
    write(client, prefix, changed, "HASH")
    made = create(client, prefix, "COSINE", True, "HASH")
    assert made.fingerprint == info.fingerprint
    noticed = not evidence.holds(client, made, "v", "*", kept)
    assert noticed or np.array_equal(*(v[123] / np.linalg.norm(v[123]) for v in (values, changed)))


@pytest.mark.parametrize("how", ["zero", "none", "other keys", "few"])
def test_documents_without_a_vector_that_get_one_are_noticed(
    client: Client, prefix: str, tmp_path: Path, how: str
) -> None:
    """They are in no answer, so only their own digests can tell; and with fewer than k neighbours an answer is
    kept as well."""
    values = drawn(1)
    k, usable = (K, 300) if how != "few" else (COUNT + 5, COUNT)
    before = values.copy()
    before[usable:] = 0
    write(client, prefix, before, "HASH")
    if how == "none":
        client.pipeline([("HDEL", f"{prefix}d:{i}", "v") for i in range(usable, COUNT)])
    info = create(client, prefix, "COSINE", True, "HASH")
    asked = queries.made(values[:5], [f"q{i}" for i in range(5)])
    picture = MapRequest(info.name, "v", layout="pca")
    run.make(client, info, picture, home=tmp_path)
    assert store.find(tmp_path, client, info, picture) is not None
    first = truth.truth(client, info, "v", asked, k, home=tmp_path)
    assert [len(set(keys)) for keys in first.keys] == [min(k, usable)] * 5
    assert truth.truth(client, info, "v", asked, k, home=tmp_path).kept
    index.drop(client, info.name)
    if how == "other keys":
        client.pipeline([("DEL", f"{prefix}d:{i}") for i in range(usable, COUNT)])
        client.pipeline(
            [("HSET", f"{prefix}d:{i + COUNT}", "v", values[i].tobytes()) for i in range(usable, COUNT)]
        )
    else:
        write(client, prefix, values, "HASH")
    made = create(client, prefix, "COSINE", True, "HASH")
    assert made.fingerprint == info.fingerprint
    now = truth.truth(client, made, "v", asked, k, home=tmp_path)
    assert now.kept == (how == "few")
    assert (store.find(tmp_path, client, made, picture) is not None) == (how == "few")
    if how != "few":
        assert all(
            {number % COUNT for number in numbers(keys)} == nearest(values, q, "COSINE")
            for keys, q in zip(now.keys, asked.vectors, strict=True)
        )
