"""Loading the demo: repeatable, resumable, and never destructive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.demo import corpus, kept, loader, people, second
from memdb.errors import BadInput, BadSettings, Cancelled, EngineError, ReadOnlyTarget
from memdb.sessions import append, formats
from memdb.vectors import index, search
from memdb.vectors.index import HnswField, IndexSpec, TagField
from memdb.vectors.query import KnnRequest

pytestmark = pytest.mark.usefixtures("corpus_folder")

DOCS, SESSIONS = 600, 40


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An engine of our own: the demo's keys and indexes have fixed names."""
    with engine.start(tmp_path_factory.mktemp("demo"), log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            yield client


@pytest.fixture
def empty(fresh: Client) -> Client:
    for name in index.index_names(fresh):
        index.drop(fresh, name)
    cursor: bytes = b"0"
    while True:
        cursor, keys = fresh.execute("SCAN", cursor, "COUNT", 5_000)
        if keys:
            fresh.execute("DEL", *keys)
        if cursor == b"0":
            return fresh


def _load(client: Client, home: Path, **options: object) -> loader.LoadReport:
    return loader.load(client, home=home, docs=DOCS, sessions=SESSIONS, users=10, **options)  # type: ignore[arg-type]


def _all(client: Client) -> dict[bytes, object]:
    keys = sorted(client.execute("SCAN", 0, "COUNT", 100_000)[1])
    return dict(zip(keys, client.pipeline([("HGETALL", key) for key in keys]), strict=True))


def test_a_second_load_changes_nothing_and_embeds_nothing(empty: Client, tmp_path: Path) -> None:
    first = _load(empty, tmp_path)
    assert (first.documents_written, first.users_written, first.sessions_written) == (DOCS, 10, SESSIONS)
    assert first.embedded == DOCS + 10
    before = _all(empty)
    assert len(before) == DOCS + 10 + SESSIONS
    second = _load(empty, tmp_path)
    assert (second.documents_written, second.users_written, second.sessions_written) == (0, 0, 0)
    assert (second.documents_there, second.users_there, second.sessions_there) == (DOCS, 10, SESSIONS)
    assert second.embedded == 0
    assert _all(empty) == before


def test_what_is_loaded_can_be_searched(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    info = index.index_info(empty, "idx:embeddings")
    assert info.documents == DOCS
    _, params = info.vector_field()
    assert (params.algorithm, params.dim, params.metric, params.m, params.ef_construction) == (
        "HNSW",
        256,
        "COSINE",
        16,
        200,
    )
    assert sum(v.documents for v in search.tag_values(empty, info, "source")) == DOCS
    assert index.index_info(empty, "idx:users").documents == 10
    keys = [k for k in _all(empty) if k.startswith(b"session:")]
    ttls = empty.pipeline([("TTL", key) for key in keys])
    assert all(0 < ttl <= people.LONGEST_TTL_S or ttl == -1 for ttl in ttls)


def _lives(client: Client) -> dict[bytes, int]:
    keys = sorted(key for key in client.execute("SCAN", 0, "COUNT", 100_000)[1] if key[:8] == b"session:")
    return dict(zip(keys, client.pipeline([("TTL", key) for key in keys]), strict=True))


def test_each_load_renews_lives_and_shortens_none(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    first = _lives(empty)
    assert min(first.values()) == -1, "none stays"
    most = max(first, key=first.__getitem__)
    for key in first:
        empty.execute("EXPIRE", key, 60)
    empty.execute("EXPIRE", most, 900_000)
    _load(empty, tmp_path)
    again = _lives(empty)
    assert again.keys() == first.keys()
    assert again.pop(most) > 890_000
    assert all(abs(ttl - first[key]) < 60 for key, ttl in again.items())


def test_reset_brings_the_demo_s_sessions_back_and_touches_no_other(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    before = _all(empty)
    talk, gone = [key for key in before if key.startswith(b"session:")][:2]
    history = {key: empty.execute("HGET", key, "history") for key in (talk, gone)}
    empty.execute("HSET", talk, "history", "[]")
    empty.execute("UNLINK", gone)
    begun = append.create(empty, "user001-0a1b2c3d", "user001")
    mine = append.create(empty, "user001-mine", "user001")
    loader.reset(empty, home=tmp_path, sessions=SESSIONS)
    after = _all(empty)
    assert begun.encode() not in after
    assert after.pop(mine.encode())
    assert after.keys() == before.keys()
    for key in (talk, gone):
        assert empty.execute("HGET", key, "history") == history[key]


def test_an_interrupted_load_goes_on(empty: Client, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if stage == "Loading documents" and done > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        _load(empty, tmp_path, report=stop)
    there = index.index_info(empty, "idx:embeddings").documents
    assert 0 < there < DOCS + 1
    after = _load(empty, tmp_path)
    assert after.documents_there == there
    assert after.documents_written == DOCS - there
    assert after.sessions_written == SESSIONS
    assert after.embedded == 10, "only the users' preferences: the documents' were kept"


def test_interrupted_embedding_goes_on(
    empty: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BLOCK", 100)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "Embedding documents" and done >= 200:
            raise Cancelled

    with pytest.raises(Cancelled):
        _load(empty, tmp_path, report=stop)
    assert len(list((tmp_path / "embeddings").iterdir())) == 2
    assert _all(empty) == {}
    assert _load(empty, tmp_path).embedded == DOCS - 200 + 10


def test_gaps_are_filled_with_their_own_vectors(
    empty: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BLOCK", 100)
    _load(empty, tmp_path)
    before = _all(empty)
    documents = sorted(key for key in before if key.startswith(b"doc:"))
    for key in [*documents[::7], *documents[:150]]:
        empty.execute("DEL", key)
    assert _load(empty, tmp_path).embedded == 0
    assert _all(empty) == before


def test_what_is_there_is_never_changed(empty: Client, tmp_path: Path) -> None:
    mine = corpus.documents(empty, count=DOCS)[3].key
    empty.execute("SET", mine, "mine")
    report = _load(empty, tmp_path)
    assert (report.documents_written, report.documents_there) == (DOCS - 1, 1)
    assert empty.execute("GET", mine) == b"mine"


def test_the_report_says_where_the_time_went(empty: Client, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    report = _load(
        empty, tmp_path, report=lambda stage, done, total: seen.setdefault(stage, []).append((done, total))
    )
    assert seen["Loading documents"][0] == (0, DOCS)
    assert seen["Loading documents"][-1] == (DOCS, DOCS)
    assert all(reports == sorted(reports) for reports in seen.values())
    assert seen["Loading sessions"][-1] == (SESSIONS, SESSIONS)
    parts = (report.reading_s, report.embedding_s, report.ingest_s, report.sessions_s)
    assert all(part > 0 for part in parts)
    assert sum(parts) <= report.took_s
    assert report.engine_busy is not None
    assert 0 < report.engine_busy < 1.2
    assert _load(empty, tmp_path).engine_busy is None


@pytest.mark.parametrize(
    "wrong", [{"docs": -1}, {"users": -1}, {"sessions": -1}, {"users": 0}, {"docs": 0}], ids=str
)
def test_numbers_that_make_no_demo_are_refused(empty: Client, tmp_path: Path, wrong: dict[str, int]) -> None:
    options = {"docs": DOCS, "users": 10, "sessions": 5} | wrong
    with pytest.raises(BadInput) as caught:
        loader.load(empty, home=tmp_path, **options)  # type: ignore[arg-type]
    assert caught.value.hint
    assert index.index_names(empty) == ()


def test_nothing_but_indexes_can_be_asked_for(empty: Client, tmp_path: Path) -> None:
    report = loader.load(empty, home=tmp_path, docs=0, users=0, sessions=0)
    assert report.sessions_there == report.documents_there == report.users_there == 0
    assert set(index.index_names(empty)) == {"idx:embeddings", "idx:users"}


def test_a_home_that_cannot_be_written_is_told(empty: Client, tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    with pytest.raises(BadSettings, match="cannot be written"):
        _load(empty, home)


def test_redis_documents_name_group_and_arguments(empty: Client) -> None:
    found = {d.key: d for d in corpus.documents(empty)}
    said = found["doc:redis:SET"].content
    assert "Group: string." in said
    assert "Arguments: key, value, [NX | XX], [GET], [EX seconds | PX milliseconds" in said
    assert found["doc:redis:CLIENT-LIST"].source == "redis_docs"


def test_an_expired_session_comes_back(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    key = next(k for k in _all(empty) if k.startswith(formats.SESSION_PREFIX.encode()))
    empty.execute("DEL", key)
    assert _load(empty, tmp_path).sessions_written == 1
    assert empty.execute("EXISTS", key) == 1


def test_embeddings_are_kept_for_another_server_and_damage_is_mended(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    files = sorted((tmp_path / "embeddings").glob("*.npy"))
    assert files
    assert not list((tmp_path / "embeddings").glob("*.part"))
    for key in _all(empty):
        empty.execute("DEL", key)
    files[0].write_bytes(files[0].read_bytes()[:500])
    again = _load(empty, tmp_path)
    assert 0 < again.embedded <= DOCS + 10
    assert np.load(files[0]).dtype == np.float32
    assert _load(empty, tmp_path).embedded == 0


def test_a_read_only_target_is_left_alone(empty: Client, tmp_path: Path) -> None:
    with connect(empty.target.read_only()) as reader, pytest.raises(ReadOnlyTarget):
        _load(reader, tmp_path)
    assert index.index_names(empty) == ()


@pytest.mark.parametrize(
    ("other", "has"),
    [
        (IndexSpec("idx:embeddings", (HnswField("embedding", 8),), ("doc:",)), "8 dimensions of FLOAT32"),
        (
            IndexSpec("idx:embeddings", (HnswField("embedding", 256, type="FLOAT64"),), ("doc:",)),
            "of FLOAT64",
        ),
        (IndexSpec("idx:users", (HnswField("embedding", 256),), ("person:",)), "under person:"),
        (IndexSpec("idx:users", (TagField("company_size"),), ("user:",)), "no vector field 'embedding'"),
    ],
)
def test_a_foreign_index_is_left_alone(empty: Client, tmp_path: Path, other: IndexSpec, has: str) -> None:
    index.create(empty, other)
    with pytest.raises(EngineError, match=f"another index named '{other.name}'.*{has}") as caught:
        _load(empty, tmp_path)
    assert caught.value.hint
    assert _all(empty) == {}
    assert index.index_names(empty) == (other.name,)


def test_a_one_shard_cluster_takes_the_demo(tmp_path: Path) -> None:
    with engine.start(tmp_path / "e", cluster=True, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            report = _load(client, tmp_path)
            assert (report.documents_written, report.sessions_written) == (DOCS, SESSIONS)


def test_the_second_index_misses_what_the_first_finds_until_ef_rises(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    before = _all(empty)
    assert "M 5, EF_CONSTRUCTION 64, was built in" in second.build(empty, home=tmp_path)
    assert second.build(empty, home=tmp_path) == "", "a second start builds nothing"
    assert _all(empty) == before
    (name,) = set(index.index_names(empty)) - {"idx:embeddings", "idx:users"}
    documents = [key for key in before if key.startswith(b"doc:")]
    stored = empty.pipeline([("HGET", key, "embedding") for key in documents])
    rows = np.array([np.frombuffer(row, "<f4") for row in stored], dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    asked = rows[:100] + rows[100:200]  # between two documents, so none is asked for itself
    truth = np.argsort(-(asked @ rows.T), axis=1)[:, :10]

    def recall(of: str, ef: int) -> float:
        info = index.index_info(empty, of)
        hits = [
            search.knn(empty, KnnRequest(of, row.astype("<f4").tobytes(), "embedding", 10, ef), info).keys
            for row in asked
        ]
        names = [[documents[i].decode() for i in nearest] for nearest in truth]
        return float(np.mean([len({*a} & {*b}) / 10 for a, b in zip(hits, names, strict=True)]))

    curve = [recall(name, ef) for ef in (10, 40, 400)]
    assert curve == sorted(curve)
    assert curve[0] < recall("idx:embeddings", 10) - 0.02
    assert curve[2] > 0.99


def test_without_room_the_second_index_is_not_built_and_that_is_said(empty: Client, tmp_path: Path) -> None:
    _load(empty, tmp_path)
    used = int(empty.info("memory")["memory"]["used_memory"])
    at = empty.target
    with redis.Redis(at.host, at.port, username=at.username or None, password=at.password) as operator:
        operator.config_set("maxmemory", used + 100_000)
        try:
            said = second.build(empty, home=tmp_path)
        finally:
            operator.config_set("maxmemory", 0)
    assert "is not built: About" in said
    assert set(index.index_names(empty)) == {"idx:embeddings", "idx:users"}


def test_without_documents_there_is_no_second_index(empty: Client, tmp_path: Path) -> None:
    loader.load(empty, home=tmp_path, docs=0, users=0, sessions=0)
    assert second.build(empty, home=tmp_path) == ""
    assert set(index.index_names(empty)) == {"idx:embeddings", "idx:users"}
