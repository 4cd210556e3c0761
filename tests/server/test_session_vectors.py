"""Turns by the vectors stored beside them, through an index and by reading, held against NumPy in float64."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.embedding.local import embed
from memdb.errors import BadInput, NoEmbedder, NotFound
from memdb.sessions import known, listing, stored_vectors
from memdb.sessions.mapping import Format
from memdb.settings import Settings
from memdb.vectors.distance import from_bytes, to_bytes
from tests.standins import memorydb, valkey_search

TURNS, DIMENSION = 90, 24
HISTORY = replace(known.REDISVL, prefix="history:")


@pytest.fixture(scope="module")
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with local_engine.start(tmp_path_factory.mktemp("vectors"), log=False, json=True) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module", params=["local", "valkey-search", "MemoryDB"])
def target(own_engine: Engine, request: pytest.FixtureRequest) -> Iterator[Target]:
    """The local engine, by itself and as the others speak."""
    if request.param == "local":
        yield own_engine.target
        return
    with (memorydb if request.param == "MemoryDB" else valkey_search)(own_engine.target) as front:
        yield replace(front.target, writable=True)


@pytest.fixture
def server(target: Target) -> Iterator[Client]:
    with connect(target) as client:
        yield client
        for name in client.execute("FT._LIST"):
            client.execute("FT.DROPINDEX", name)
        client.execute("DEL", *client.execute("SCAN", 0, "COUNT", 10_000)[1])


def load(server: Client, dimension: int = DIMENSION) -> np.ndarray:
    """Turns as redisvl's semantic history stores them, with one of zeros, two alike and one without."""
    rows = np.random.default_rng(7).normal(size=(TURNS, dimension)).astype("<f4")
    rows[11] = rows[12]
    for number, row in enumerate(rows):
        told = ["session_tag", f"s{number % 4}", "role", "user", "content", f"text {number}"]
        server.execute("HSET", f"history:s{number % 4}:{number}", *told, "vector_field", row.tobytes())
    server.execute("HSET", "history:s0:none", "session_tag", "s0", "role", "user", "content", "no vector")
    return rows


def index(server: Client, metric: str, dimension: int = DIMENSION) -> None:
    server.execute(
        *("FT.CREATE", "history", "ON", "HASH", "PREFIX", 1, "history:", "SCHEMA", "session_tag", "TAG"),
        *("vector_field", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", dimension),
        *("DISTANCE_METRIC", metric),
    )


def expected(rows: np.ndarray, asked: np.ndarray, metric: str) -> tuple[list[str], list[float]]:
    wide, question = rows.astype(np.float64), asked.astype(np.float64)
    cosines = wide @ question / np.linalg.norm(wide, axis=1) / np.linalg.norm(question)
    rank = {"COSINE": -cosines, "L2": np.square(wide - question).sum(axis=1), "IP": -(wide @ question)}
    order = np.argsort(rank[metric], kind="stable")[:5]
    return [f"text {number}" for number in order], [float(cosines[number]) for number in order]


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_the_nearest_turns_through_an_index(server: Client, metric: str) -> None:
    index(server, metric)
    rows = load(server)  # into the index at once; what was there before is indexed in the background
    stored = stored_vectors.find(server, HISTORY)
    assert stored is not None
    assert stored.info is not None
    asked = np.random.default_rng(8).normal(size=DIMENSION).astype(np.float32)
    near = stored_vectors.near_stored(server, HISTORY, stored, asked, 5)
    texts, cosines = expected(rows, asked, metric)
    assert [n.turn.content for n in near.turns] == texts
    assert [n.cosine for n in near.turns] == pytest.approx(cosines, abs=1e-5)
    assert [n.session for n in near.turns] == [f"s{int(text.split()[1]) % 4}" for text in texts]
    assert "index 'history' (exact)" in near.how


def test_the_nearest_turns_by_reading_where_no_index_is(server: Client) -> None:
    rows = load(server)
    stored = stored_vectors.find(server, HISTORY)
    assert stored == stored_vectors.StoredVectors("vector_field", DIMENSION, None)
    asked = stored_vectors.turn_vector(server, HISTORY, stored, "history:s1:5")
    assert np.array_equal(asked, rows[5])
    near = stored_vectors.near_stored(server, HISTORY, stored, asked, 5)
    texts, cosines = expected(rows, asked, "COSINE")
    assert [n.turn.content for n in near.turns] == texts
    assert near.turns[0].cosine == pytest.approx(1.0)
    assert [n.cosine for n in near.turns] == pytest.approx(cosines, abs=1e-6)
    assert near.how == f"The nearest by cosine of the {TURNS + 1} keys that were read compared here."
    few = stored_vectors.near_stored(server, HISTORY, stored, asked, 5, most_keys=10)
    assert "the 10 keys that were read, at most 10," in few.how


@pytest.mark.parametrize("type_", ["FLOAT64", "FLOAT16", "BFLOAT16"])
def test_vectors_of_another_type_without_an_index(server: Client, type_: str) -> None:
    rows = np.random.default_rng(9).normal(size=(40, 48))
    kept = np.stack([from_bytes(to_bytes(row, type_), type_) for row in rows]).astype(np.float64)
    for number, row in enumerate(rows):
        told = [
            "session_tag",
            "s",
            "role",
            "user",
            "content",
            f"text {number}",
            "vector",
            to_bytes(row, type_),
        ]
        server.execute("HSET", f"history:s:{number}", *told, "vector", to_bytes(row, type_))
    stored = stored_vectors.find(server, HISTORY)
    assert stored == stored_vectors.StoredVectors("vector", 48, None, type_)
    assert type_ in stored.words
    asked = stored_vectors.turn_vector(server, HISTORY, stored, "history:s:3")
    near = stored_vectors.near_stored(server, HISTORY, stored, asked, 5)
    cosines = kept @ kept[3] / np.linalg.norm(kept, axis=1) / np.linalg.norm(kept[3])
    order = np.argsort(-cosines, kind="stable")[:5]
    assert [n.turn.content for n in near.turns] == [f"text {number}" for number in order]
    assert [n.cosine for n in near.turns] == pytest.approx([cosines[number] for number in order], abs=1e-6)
    (row,) = listing.page(server, HISTORY).sessions
    assert row.problems == ()  # a vector is no damaged text


def test_a_question_needs_the_model_that_made_the_vectors(server: Client, tmp_path: Path) -> None:
    load(server)
    settings = Settings(home=tmp_path)
    stored = stored_vectors.find(server, HISTORY)
    assert stored is not None
    with pytest.raises(NoEmbedder, match="24 numbers"):
        stored_vectors.question_vector(server, stored, "a refund", settings)
    with pytest.raises(BadInput, match="256 numbers"):
        stored_vectors.question_vector(server, stored, "a refund", settings, model="local")
    with pytest.raises(NotFound):
        stored_vectors.turn_vector(server, HISTORY, stored, "history:s0:none")
    with pytest.raises(NotFound):
        stored_vectors.turn_vector(server, HISTORY, stored, "history:gone")


@pytest.mark.parametrize("indexed", [True, False])
def test_memories_are_found_by_a_question_of_their_model(
    server: Client, tmp_path: Path, indexed: bool
) -> None:
    if indexed:
        server.execute(
            *("FT.CREATE", "memories", "ON", "HASH", "PREFIX", 1, "memory_idx:", "SCHEMA"),
            *("vector", "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", 256, "DISTANCE_METRIC", "COSINE"),
        )
    texts = ["Likes green tea", "Was charged twice and wants the money back", "Lives in Oslo"]
    for number, (text, row) in enumerate(zip(texts, embed(texts), strict=True)):
        told = ["text", text, "memory_type", "semantic", "user_id", "ann", "topics", "a,b"]
        server.execute("HSET", f"memory_idx:{number}", *told, "vector", row.astype("<f4").tobytes())
    format_ = replace(known.MEMORY, prefix="memory_idx:")
    stored = stored_vectors.find(server, format_)
    assert stored is not None
    asked, _ = stored_vectors.question_vector(server, stored, "a refund", Settings(home=tmp_path))
    near = stored_vectors.near_stored(server, format_, stored, asked, 3)
    assert near.turns[0].turn.content == texts[1]
    assert sorted(n.turn.content for n in near.turns) == sorted(texts)


def test_vectors_in_documents_and_formats_without_any(server: Client) -> None:
    told = {"role": "user", "content": "Hi", "session_id": "s1", "embedding": [0.25] * 11 + [1]}
    server.execute("JSON.SET", "talk:1", "$", json.dumps(told))
    talk = replace(known.MESSAGE_JSON, prefix="talk:")
    assert stored_vectors.find(server, talk) == stored_vectors.StoredVectors("embedding", 12, None)
    server.execute("RPUSH", "chat:1", json.dumps({"role": "user", "content": "Hi"}))
    plain: list[Format] = [known.MESSAGE_LIST, known.DOCUMENT, replace(known.HASH, prefix="h:")]
    assert [stored_vectors.find(server, format_) for format_ in plain] == [None] * 3
