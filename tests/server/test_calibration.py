"""Calibration against the real engine: samples, a live index, and what cannot be calibrated on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import redis
from redis.crc import key_slot

from benchmarks import session_memory
from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster import replies
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.errors import BadInput, Busy, EngineUnavailable, ReadOnlyTarget, UnknownIndex
from memdb.sessions import append
from memdb.sessions.turns import said
from memdb.settings import Settings
from memdb.sizing import calibrate, keyspace, live_sessions, profiles, redisearch, samples, unplanned
from memdb.sizing.model import predict
from memdb.sizing.shape import Sessions, Shape
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, TagField
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("corpus_folder")


# Shapes that are neither among the fitted ones nor in the benchmark.
@pytest.mark.parametrize(
    "shape",
    [
        Shape(1_700, 24, m=12, tags=1),
        Shape(1_300, 640, m=20, metadata_bytes=333, numbers=1),
        Shape(1_200, 200, "FLOAT64", m=16, random_keys=True, key_bytes=42),
        Shape(1_500, 128, algorithm="FLAT"),
        Shape(1_100, 300, m=16, text_bytes=500),
        Shape(1_100, 150, m=16, key_type="JSON", tags=1),
        Shape(1_400, 48, m=32, tags=11, tag_values=1_400),
        Shape(1_600, 80, tags=1, tag_values=1_600, tag_bytes=32),
        Shape(1_000, 40, text_bytes=2_500),
        Shape(0, 32),
    ],
    ids=lambda s: f"{s.dim} {s.type} {s.key_type} {s.algorithm}",
)
def test_the_model_foretells_what_the_engine_takes(shape: Shape) -> None:
    with samples.fresh(Settings.from_env()) as client:
        if shape.key_type == "JSON" and not samples.serves_json(client):
            pytest.skip("this engine serves no JSON")
        measured = samples.measure(client, shape)
    predicted = predict(shape, profiles.BUILT_IN["redisearch"])
    assert predicted.total_bytes == pytest.approx(measured.total_bytes, rel=0.03)
    assert predicted.low_bytes <= measured.total_bytes <= predicted.high_bytes


@pytest.mark.parametrize(
    "sessions",
    [
        Sessions(2, 4_096, 600),
        Sessions(bytes=900, kept=2_000, key_bytes=30),
        Sessions(1, 12_000, 700, spread=0.4),
        Sessions(1, 3_000, 900, kind="STRING"),
        Sessions(3, 260, 900, kept=600),
    ],
    ids=lambda s: f"{s.kind} {s.bytes} spread {s.spread:g} kept {s.kept}",
)
def test_the_model_foretells_what_sessions_take(sessions: Sessions) -> None:
    """The whole key is measured: by used_memory, and by MEMORY USAGE of each."""
    with samples.fresh(Settings.from_env()) as client:
        measured = session_memory.measure(client, sessions)
        keys = set()
        cursor = "0"
        while True:
            reply = client.execute("SCAN", cursor, "COUNT", 1_000)
            cursor = replies.text(reply[0])
            keys |= {bytes(key) for key in reply[1]}
            if cursor == "0":
                break
        usage = client.pipeline([("MEMORY", "USAGE", key) for key in keys])
    predicted = predict(None, profiles.BUILT_IN["redisearch"], sessions)
    assert len(keys) == sessions.live
    assert predicted.total_bytes == pytest.approx(measured, rel=0.03)
    assert predicted.low_bytes <= measured <= predicted.high_bytes
    assert keyspace.sessions(sessions, redisearch.KEYSPACE) * sessions.live == pytest.approx(
        sum(usage), rel=0.03
    )


@pytest.mark.parametrize("turns", [1, 2, 7])
def test_sessions_as_the_library_writes_them(client: Client, prefix: str, turns: int) -> None:
    """Begun and appended to as the Sessions page does; their bytes are counted here, MEMORY USAGE weighs them."""
    turn = said("user", "How many links has a node? " * 23)
    key = append.create(client, f"{prefix}{turns}", "user123", context="vector search", ttl_s=900)
    for _ in range(turns):
        append.append(client, key, [turn], ttl_s=900)
    fields = replies.pairs(client.execute("HGETALL", key))
    weighed = replies.integer(client.execute("MEMORY", "USAGE", key))
    client.execute("DEL", key)
    sizes = {name: len(name) + len(replies.text(value)) for name, value in fields.items()}
    sessions = Sessions(
        1,
        len(key) + sum(sizes.values()),
        900,
        key_bytes=len(key),
        other_bytes=sum(size for name, size in sizes.items() if name != "history"),
    )
    assert keyspace.sessions(sessions, redisearch.KEYSPACE) == pytest.approx(weighed, rel=0.03)


def test_samples_give_a_profile_that_foretells_a_larger_one(home: Path) -> None:
    shape = Shape(1, 96, m=10, metadata_bytes=150)
    grown = calibrate.from_samples(shape, Settings.from_env(), "small", documents=2_048)
    assert [m.shape.vectors for m in grown.measured] == [512, 1_024, 2_048]
    held_out = grown.held_out
    assert held_out.keys == 2_048
    assert abs(held_out.built_in) < 0.03
    kept = held_out.calibrated if held_out.better else held_out.built_in
    assert (
        abs(kept) == min(abs(held_out.calibrated), abs(held_out.built_in))
        or abs(abs(held_out.calibrated) - abs(held_out.built_in)) < 0.001
    )
    factors = (grown.profile.keyspace_factor, grown.profile.index_factor)
    assert (factors == (1.0, 1.0)) is not held_out.better
    bigger = replace(shape, vectors=4_000)
    with samples.fresh(Settings.from_env()) as client:
        measured = samples.measure(client, bigger).total_bytes
    found = predict(bigger, grown.profile)
    assert found.total_bytes == pytest.approx(measured, rel=0.03)
    assert found.low_bytes < found.total_bytes < found.high_bytes


def test_a_sample_too_small_is_refused() -> None:
    with pytest.raises(BadInput, match="too small to calibrate on"):
        calibrate.from_samples(Shape(1, 8), Settings.from_env(), "x", documents=999)


def test_measuring_needs_an_empty_server(demo_target: Target) -> None:
    with connect(demo_target) as client, pytest.raises(EngineUnavailable, match="not empty"):
        samples.measure(client, Shape(10, 8))


def test_a_live_index_is_read_and_the_model_agrees_with_it(demo_target: Target) -> None:
    read_only = replace(demo_target, writable=False)
    with connect(read_only) as client:
        found = calibrate.from_index(client, "idx:embeddings")
        info = index.index_info(client, "idx:embeddings")
    assert found.shape.vectors == info.documents == 2_000
    assert (found.shape.dim, found.shape.m, found.shape.tags, found.shape.numbers) == (256, 16, 3, 2)
    assert found.shape.text_bytes > 100
    assert found.keys_sampled == calibrate.SAMPLED
    again = predict(found.shape, found.profile).total_bytes
    assert again == pytest.approx(found.keyspace_bytes + found.index_bytes, rel=0.03)
    assert 0.7 < found.profile.index_factor < 1.4
    assert 0.9 < found.profile.keyspace_factor < 1.1
    assert found.held_out.keys == calibrate.SAMPLED // 2
    assert found.held_out.sentence in found.notes


def test_too_few_documents_are_refused(demo_target: Target) -> None:
    with connect(demo_target) as client, pytest.raises(BadInput, match="holds 40 documents, too few"):
        calibrate.from_index(client, "idx:users")


def test_no_such_index(demo_target: Target) -> None:
    with connect(demo_target) as client, pytest.raises(UnknownIndex):
        calibrate.from_index(client, "idx:none")


def test_an_index_that_still_builds_is_refused(client: Client, prefix: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6_000, 128)).astype("<f4")
    for start in range(0, len(vectors), 500):
        client.pipeline(
            [("HSET", f"{prefix}d:{i}", "v", vectors[i].tobytes()) for i in range(start, start + 500)]
        )
    name = prefix + "slow"
    index.create(
        client, IndexSpec(name, (HnswField("v", 128, m=64, ef_construction=1_000),), (prefix + "d:",))
    )
    with pytest.raises(Busy, match="still being built"):
        calibrate.from_index(client, name)
    index.drop(client, name)


def test_an_index_without_vectors_is_refused(client: Client, prefix: str) -> None:
    index.create(client, IndexSpec(prefix + "tags", (TagField("t"),), (prefix,)))
    with pytest.raises(BadInput, match="no vector field"):
        calibrate.from_index(client, prefix + "tags")


def test_samples_write_only_where_they_may(demo_target: Target) -> None:
    with connect(replace(demo_target, writable=False)) as client, pytest.raises(ReadOnlyTarget):
        samples.write(client, Shape(10, 8), 0, 10)


def test_calibrate_and_size_on_the_command_line(
    demo_target: Target, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(demo_target, home).items():
        monkeypatch.setenv(name, value)
    assert main(["calibrate", "--index", "idx:embeddings", "--name", "demo", "--json"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert fitted["profile"] == "demo"
    assert fitted["interval"][0] < 1 < fitted["interval"][1]
    words = (
        "size --vectors 1000000 --dim 1536 --type FLOAT32 --m 16 --metadata-bytes 1024 --replicas 2 --json"
    )
    totals = {}
    for profile in ("article", "redisearch", "memorydb", "demo"):
        assert main([*words.split(), "--profile", profile]) == 0
        found = json.loads(capsys.readouterr().out)
        assert {"total_bytes", "components", "interval", "choice"} <= set(found)
        assert {"node", "nodes", "monthly_usd", "grade"} <= set(found["choice"])
        assert found["choice"]["nodes"] == 3
        totals[profile] = found["total_bytes"]
    assert totals["article"] < totals["redisearch"] < totals["demo"] * 1.3
    assert main(["size", "--vectors", "1000000", "--dim", "1536"]) == 0
    assert "One node in all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("size --vectors -3 --dim 8", "too small"),
        ("size --vectors 1.5 --dim 8", "not a whole number"),
        ("size --vectors 1000000000000000 --dim 8", "accepts 0 to 1,000,000,000,000"),
        ("size --vectors 10 --dim 40000", "accepts 1 to 32,768"),
        ("size --vectors 10 --dim 8 --replicas 9", "Replicas is 9"),
        ("size --vectors 10 --dim 8 --reserve 2", "Reserve is 2"),
        ("size --vectors 10 --dim 8 --region mars-1", "no prices for the region 'mars-1'"),
        ("size --vectors 10 --dim 8 --profile ../x", "cannot name a profile"),
        ("size --vectors 10 --dim 8 --queries nan", "not a number"),
        ("calibrate", "nothing to calibrate on"),
        ("calibrate --dim 8 --docs 10", "too small to calibrate on"),
        ("calibrate --dim 8 --index x", "Both --index and --dim"),
    ],
)
def test_wrong_words_on_the_command_line(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--json"]) == 2
    out = capsys.readouterr()
    assert said in json.loads(out.out)["error"]
    assert "NaN" not in out.out
    assert "Traceback" not in out.err


def test_one_of_several_shards_is_measured_as_a_whole(tmp_path: Path) -> None:
    """Keys, memory and documents are all of one shard: the keys of the others are in no figure."""
    rng = np.random.default_rng(8)
    vectors = rng.normal(size=(6_000, 32)).astype("<f4")
    with local_engine.start(tmp_path, cluster=True, shards=2, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            client.pipeline([("HSET", f"d:{i}", "v", v.tobytes()) for i, v in enumerate(vectors)])
            first, second = (node for node in client.nodes() if node.role == "primary")
            # The local engine keeps an index where its name's slot is; here it must be on the first shard.
            low, high = first.slots[0]
            name = next(f"i{n}" for n in range(99) if low <= key_slot(f"i{n}".encode()) <= high)
            made = IndexSpec(name, (HnswField("v", 32, "L2"),), ("d:",)).create_args()
            with redis.Redis(first.host, first.port, password=running.target.password or None) as plain:
                plain.execute_command(*made)
                until(lambda: plain.ft(name).info()["num_docs"] == plain.dbsize(), "the index is built")
            there, beside = (int(client.on(node).execute("DBSIZE")) for node in (first, second))
            assert there + beside == 6_000
            reading = calibrate.from_index(client, name)
            sessions = [f"session:{i:040d}" for i in range(60)]
            for key in sessions:
                client.execute("HSET", key, "user_id", "u", "created_at", "1", "history", "[]")
            here = sum(low <= key_slot(key.encode()) <= high for low, high in first.slots for key in sessions)
            there_too = live_sessions.sessions_of(unplanned.node_read(client))
            assert there_too is not None
            besides = unplanned.beside(client, name, reading, there_too.sessions)
    assert 0 < here < 60
    assert there_too.sessions.kept == here  # of the shard that was read
    assert (besides.node, besides.indexes, besides.keys) == (first.address, (), 0)
    assert 2_000 < reading.shape.vectors == there < 4_000
    assert any(first.address in note and "2 shards" in note for note in reading.notes)
    assert 0.9 < reading.profile.keyspace_factor < 1.1
    # A table for each of 16,384 slots takes more than this index: its memory cannot be told from theirs.
    assert reading.profile.index_factor == 1.0
    assert any("does not fit FT.INFO" in note for note in reading.notes)
