"""The pages about searching, on the engine itself and on the stand-ins for valkey-search and MemoryDB.

What a page shows is held against a count or a distance of this file's own, on data unlike the demo's: another
metric, a number that half the documents have, a name with an underscore, a vector twice, one of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import redis
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.embedding.local import embed
from memdb.sessions import append, formats, store
from memdb.tuning import store as runs
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec, NumericField, TagField, TextField
from tests.abilities import Server
from tests.app import test_assistant_page, test_map_page, test_search_page, test_tune
from tests.app.test_search_page import calm, hits, texts
from tests.conftest import clean
from tests.standins import memorydb, valkey_search
from tests.waiting import until

pytestmark = pytest.mark.any_engine
# Behind a stand-in must be an engine that orders hits as RediSearch does.
FRONTS = (
    "engine",
    pytest.param("valkey-search", marks=pytest.mark.needs("sorted_hits")),
    pytest.param("memorydb", marks=pytest.mark.needs("sorted_hits")),
)
WORDS = "amazon backup table restore cluster vector index".split(" ")
SIZES = ("startup", "small", "large")
COUNT, DIM = 700, 12


@dataclass(frozen=True)
class Front:
    """A server as users reach it, and what this file knows of the documents in it."""

    kind: str
    target: Target
    demo: Target
    prefix: str
    vectors: NDArray[np.float64]

    @property
    def name(self) -> str:
        return f"{self.prefix}idx"

    def size(self, i: int) -> str:
        return SIZES[i % 3]

    def title(self, i: int) -> list[str]:
        return [WORDS[i % 7], WORDS[(3 * i + 1) % 7]]

    def nearest(self, query: NDArray[np.float64], taken: list[int], k: int) -> list[float]:
        """The k smallest squared distances to those documents."""
        gaps = self.vectors[taken] - query
        return sorted((gaps**2).sum(axis=1))[:k]


def documents() -> NDArray[np.float64]:
    vectors = np.random.default_rng(5).normal(size=(COUNT, DIM)).astype(np.float32).astype(np.float64)
    vectors[5], vectors[6] = vectors[4], 0
    return vectors


@pytest.fixture(scope="module", params=FRONTS)
def front(request: pytest.FixtureRequest, server_target: Target, demo_target: Target) -> Iterator[Front]:
    stands = {"valkey-search": valkey_search, "memorydb": memorydb}
    kind, prefix, vectors = request.param, f"en{len(request.param)}:", documents()
    with ExitStack() as stack:
        targets = (server_target, demo_target)
        if kind in stands:
            targets = tuple(stack.enter_context(stands[kind](target)).target for target in targets)
        target, demo = (replace(target, writable=True) for target in targets)
        made = Front(kind, target, demo, prefix, vectors)
        client = stack.enter_context(connect(target))
        fields = (
            TextField("title"),
            TagField("company_size"),
            NumericField("half"),
            HnswField("v", DIM, "L2", m=4, ef_construction=20),
        )
        index.create(client, IndexSpec(made.name, fields, (f"{prefix}d:",)))
        client.pipeline(
            [
                (
                    *(
                        "HSET",
                        f"{prefix}d:{i}",
                        "title",
                        " ".join(made.title(i)),
                        "company_size",
                        made.size(i),
                    ),
                    *(("half", i) if i % 2 == 0 else ()),
                    *("v", row.astype("<f4").tobytes()),
                )
                for i, row in enumerate(vectors)
            ]
        )
        until(lambda: index.index_info(client, made.name).build.ready, "the index is built")
        yield made
    with connect(server_target) as client:
        clean(client, prefix)


def searched(front: Front, home: Path, monkeypatch: pytest.MonkeyPatch, **query: object) -> AppTest:
    app = test_search_page.started(front.target, home, monkeypatch)
    return test_search_page.searched(app, index=front.name, search__by="Vector", search__k="10", **query)


def with_vector(app: AppTest, query: NDArray[np.float64]) -> AppTest:
    return app.text_area(key="search.vector").set_value(str(query.tolist())).run()


def test_search_counts_filters_and_finds_the_nearest(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = searched(front, tmp_path, monkeypatch, search__ef="1000")
    query = np.full(DIM, 0.2)
    with_vector(app, query)
    assert calm(app), texts(app)
    assert list(hits(app)["distance"]) == pytest.approx(
        front.nearest(query, list(range(COUNT)), 10), rel=1e-5
    )
    app.multiselect(key="search.f.company_size").select("small").run()
    app.slider(key="search.f.half").set_value((100, 400)).run()
    assert calm(app), texts(app)
    taken = [i for i in range(0, COUNT, 2) if front.size(i) == "small" and 100 <= i <= 400]
    assert f"**{len(taken)}** of {COUNT} documents match" in texts(app)
    assert list(hits(app)["distance"]) == pytest.approx(front.nearest(query, taken, 10), rel=1e-5)
    keys = {int(key.rpartition(":")[2]) for key in hits(app)["key"]}
    assert keys <= set(taken)


def test_search_by_words_marks_what_breaks_the_filter(
    front: Front, abilities: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """valkey-search follows its graph without looking at the words; MemoryDB has no search by words at all."""
    app = searched(front, tmp_path, monkeypatch, search__ef="64")
    with_vector(app, np.full(DIM, -0.3))
    offered = [field for field in app.text_input if field.key == "search.f.title"]
    assert bool(offered) == (abilities.can("words") if front.kind == "engine" else front.kind != "memorydb")
    for field in offered:
        field.set_value("amazon").run()
        app.multiselect(key="search.f.company_size").select("small").run()
        assert calm(app), texts(app)
        taken = [i for i in range(COUNT) if front.size(i) == "small" and "amazon" in front.title(i)]
        assert f"**{len(taken)}** of {COUNT} documents match" in texts(app)
        table = hits(app)
        breaks = [int(key.rpartition(":")[2]) not in taken for key in table["key"]]
        assert any(breaks) or front.kind != "valkey-search"
        told = list(table["filter"] == "breaks it") if "filter" in table else [False] * len(table)
        assert told == breaks


def test_the_map_is_drawn_and_a_query_lies_on_it(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = test_tune.opened(front.target, tmp_path, monkeypatch, test_map_page.PAGE, front.name, map__n="300")
    test_map_page.drawn(app)
    said = test_map_page.said(app)
    assert not app.exception
    assert not app.error, said
    assert f"Showing 300 of {COUNT}, random, seed 0" in said
    app.text_input(key="map.q").set_value(f"{front.prefix}d:9").run()
    assert not app.exception
    assert not app.error, test_map_page.said(app)
    assert "recall@10" in test_map_page.said(app)


@pytest.mark.usefixtures("briefly")
def test_recall_rises_with_ef_and_is_of_every_document(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = test_tune.opened(front.target, tmp_path, monkeypatch, test_tune.RECALL, front.name)
    app.number_input(key="recall.n").set_value(20)
    app = test_tune.swept(app.run())
    assert not app.exception
    assert not app.error, test_tune.texts(app)
    (saved,) = runs.listed(tmp_path)
    points = sorted(runs.load(tmp_path, saved.id).points, key=lambda point: point.ef_runtime)
    recalls = [point.recall for point in points]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.9 < recalls[-1]


def test_a_shadow_index_is_built_beside_the_original(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = test_tune.opened(front.target, tmp_path, monkeypatch, test_tune.INDEXES, front.name)
    assert not app.exception
    assert not app.error, test_tune.texts(app)
    app.multiselect(key="indexes.m").set_value([8]).run()
    app = test_tune.done(app, "indexes.build")
    assert not app.exception
    assert not app.error, test_tune.texts(app)
    takes = next(frame.value for frame in app.dataframe if "built in" in frame.value.columns)
    assert list(takes["documents"]) == [COUNT, COUNT]
    assert set(takes["state"]) == {"ready"}
    assert "M 4" in takes["parameters"].iloc[0]
    assert "M 8" in takes["parameters"].iloc[1]


def test_the_assistant_answers_from_the_nearest_documents(
    front: Front, demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with connect(demo_target) as client:
        key = append.create(client, f"{front.prefix}talk", "user001", ttl_s=600)
        session = key.removeprefix(formats.SESSION_PREFIX)
        talk = {"assistant__user": "user001", "assistant__session": session, "assistant__weight": "0.0"}
        app = test_tune.opened(
            front.demo, tmp_path, monkeypatch, test_assistant_page.PAGE, "idx:embeddings", **talk
        )
        app.chat_input[0].set_value(test_assistant_page.QUESTION).run()
        said = test_assistant_page.said(app)
        kept = store.read(client, key).turns
        client.execute("DEL", key)  # the demo is for reading: others count its sessions
    gaps = distances(demo_target, test_assistant_page.QUESTION)
    assert not app.exception
    assert not app.error, said
    assert "2 turns" in said, said
    assert [turn.role for turn in kept] == ["user", "assistant"]
    table = next(frame.value for frame in app.dataframe if "distance" in frame.value.columns)
    assert list(table["distance"]) == pytest.approx(sorted(gaps.values())[: len(table)], abs=1e-5)
    assert [gaps[name] for name in table["key"]] == pytest.approx(list(table["distance"]), abs=1e-5)


def distances(target: Target, text: str) -> dict[str, float]:
    """Cosine distances of the demo's documents to a text, from what lies in their keys."""
    with redis.Redis(port=target.port, password=target.password, protocol=2, driver_info=None) as client:
        keys = list(client.scan_iter("doc:*", count=1000))
        raw = [client.hget(key, "embedding") for key in keys]
    rows = np.array([np.frombuffer(vector, "<f4") for vector in raw], np.float64)
    query = embed([text])[0].astype(np.float64)
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    return {key.decode(): 1 - cosine for key, cosine in zip(keys, cosines, strict=True)}
