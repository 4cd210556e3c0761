"""What counts as found, held against distances that NumPy computes in float64 from what was stored."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client
from memdb.maps import overlay
from memdb.maps.request import Map, MapRequest
from memdb.tuning import grid, queries
from memdb.tuning.grid import GridFilter
from memdb.tuning.run import Goal, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors import distance, exact, index, read
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec
from memdb.vectors.membership import Membership
from memdb.vectors.recall import judge
from tests.abilities import VECTOR_TYPES
from tests.waiting import until

pytestmark = pytest.mark.any_engine

K = 10


def stored(values: np.ndarray, type_: str) -> tuple[list[bytes], np.ndarray]:
    """Vectors as bytes of a type, and the float64 values that these bytes stand for."""
    if type_ == "BFLOAT16":
        bits = values.astype("<f4").view("<u4").astype(np.int64)
        half = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
        exact = (half.astype("<u4") << 16).view("<f4").astype(np.float64)
        return [row.tobytes() for row in half], exact
    made = values.astype({"FLOAT64": "<f8", "FLOAT32": "<f4", "FLOAT16": "<f2"}[type_])
    return [row.tobytes() for row in made], made.astype(np.float64)


def far(query: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    if metric == "L2":
        return ((vectors - query) ** 2).sum(axis=1)
    if metric == "IP":
        return 1 - vectors @ query
    return 1 - (vectors @ query) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)


@dataclass
class Case:
    client: Client
    info: IndexInfo
    prefix: str
    vectors: np.ndarray  # float64, as stored
    asked: np.ndarray  # float64, as sent
    blobs: list[bytes]
    metric: str

    def returned(self, row: int, ef: int | None) -> list[int]:
        """Numbers of the documents that the engine returns, asked without any code of the product."""
        clause = f"*=>[KNN {K} @v $q{'' if ef is None else f' EF_RUNTIME {ef}'} AS far]"
        reply = self.client.execute(
            "FT.SEARCH",
            self.info.name,
            clause,
            "PARAMS",
            2,
            "q",
            self.blobs[row],
            "RETURN",
            1,
            "far",
            "SORTBY",
            "far",
            "ASC",
            "LIMIT",
            0,
            K,
            "DIALECT",
            2,
        )
        return [int(key.rsplit(b":", 1)[1]) for key in reply[1::2]]

    def recalls(self, ef: int | None) -> np.ndarray:
        """Of each query: the share of its K nearest by float64 that the engine returns."""
        found = []
        for row, query in enumerate(self.asked):
            nearest = np.argsort(far(query, self.vectors, self.metric), kind="stable")[:K]
            found.append(len(set(self.returned(row, ef)) & set(nearest.tolist())) / K)
        return np.array(found)

    def as_near(self, row: int, ef: int | None, type_: str) -> float:
        """Share of the hits that lie no farther than the K-th, as far as float32 (FLOAT64: float64) can tell.

        How far its rounding moves a distance is tried: each number is moved at random within half a unit in
        its last place.
        """
        query = self.asked[row]
        hits = self.vectors[self.returned(row, ef)]
        kth = np.sort(far(query, self.vectors, self.metric))[K - 1]
        units = np.spacing(np.abs(hits).astype("f8" if type_ == "FLOAT64" else "f4")).astype(np.float64)
        random = np.random.default_rng(0)
        moved = [
            far(query, hits + units * random.uniform(-0.5, 0.5, hits.shape), self.metric) for _ in range(60)
        ]
        return float((far(query, hits, self.metric) <= kth + 15 * np.std(moved, axis=0)).mean())


def load(
    client: Client,
    prefix: str,
    values: np.ndarray,
    asked: np.ndarray,
    metric: str,
    type_: str = "FLOAT32",
    flat: bool = False,
    m: int = 4,
) -> Case:
    dim = values.shape[1]
    field = (
        FlatField("v", dim, metric, type_)  # type: ignore[arg-type]
        if flat
        else HnswField("v", dim, metric, type_, m=m, ef_construction=16)  # type: ignore[arg-type]
    )
    index.create(client, IndexSpec(prefix + "idx", (field,), (prefix + "d:",)))
    blobs, exact = stored(values, type_)
    for start in range(0, len(blobs), 500):
        client.pipeline(
            [("HSET", f"{prefix}d:{i}", "v", blobs[i]) for i in range(start, min(start + 500, len(blobs)))]
        )
    until(lambda: index.index_info(client, prefix + "idx").build.state == "ready", "the index is built")
    # Queries reach the product as float32, and the engine in its type.
    sent, wide = stored(asked.astype(np.float32), type_)
    return Case(client, index.index_info(client, prefix + "idx"), prefix, exact, wide, sent, metric)


def drawn(kind: str, count: int, dim: int, scale: float, asked: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    if kind == "tight":  # clusters far from the origin, each narrow
        centres = random.normal(size=(8, dim))
        values = centres[np.arange(count) % 8] + scale * random.normal(size=(count, dim))
        return values, centres[np.arange(asked) % 8] + scale * random.normal(size=(asked, dim))
    return scale * random.normal(size=(count, dim)), scale * random.normal(size=(asked, dim))


CASES = [
    # metric, type, kind, dim, scale
    ("COSINE", "FLOAT32", "tight", 1_536, 0.01),
    ("COSINE", "FLOAT64", "tight", 64, 1e-5),
    ("COSINE", "FLOAT16", "tight", 64, 0.1),
    ("COSINE", "BFLOAT16", "tight", 64, 0.1),
    ("COSINE", "BFLOAT16", "wide", 16, 1.0),
    ("COSINE", "BFLOAT16", "tight", 48, 0.004),
    ("L2", "FLOAT16", "tight", 48, 0.0015),
    ("IP", "FLOAT32", "wide", 256, 0.0015),
    ("IP", "FLOAT64", "wide", 32, 1e-6),
    ("IP", "FLOAT16", "wide", 64, 0.003),
    ("L2", "FLOAT32", "wide", 32, 1e-4),
    ("L2", "FLOAT32", "tight", 64, 1e-3),
    ("L2", "FLOAT16", "tight", 64, 0.05),
    ("L2", "BFLOAT16", "tight", 64, 0.05),
]


@pytest.mark.usefixtures("briefly")
@pytest.mark.needs("sorted_hits")
@pytest.mark.parametrize(("metric", "type_", "kind", "dim", "scale"), CASES)
def test_recall_of_a_sweep_is_that_of_float64(
    client: Client, prefix: str, metric: str, type_: str, kind: str, dim: int, scale: float
) -> None:
    values, asked = drawn(kind, 1_200, dim, scale)
    case = load(client, prefix, values, asked, metric, type_)
    made = queries.made(asked.astype(np.float32), [f"q{i}" for i in range(len(asked))])
    request = SweepRequest(case.info.name, k=K, ef_min=10, ef_max=80, concurrency=(), goal=Goal(value=0.9))
    run = sweep(client, case.info, request, made)
    for point in run.points:
        truth = case.recalls(point.ef_runtime)
        # Never less; more only by hits that are equally near, half types as they are stored.
        assert (point.recalls >= truth - 1e-6).all()
        for row in np.flatnonzero(point.recalls > truth + 1e-6):
            assert point.recalls[row] <= case.as_near(row, point.ef_runtime, type_) + 1e-6
        assert point.recalls.mean() <= truth.mean() + 0.002
        assert point.recalls == pytest.approx((point.ranks >= 0).mean(axis=1))
    assert run.points[0].recall < 0.97  # else the case shows nothing


@pytest.mark.needs("sorted_hits")
def test_search_with_the_exact_answer_over_small_numbers(
    client: Client,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All distances are below 1e-5: a fixed tolerance takes every hit for a true neighbour."""
    values, asked = drawn("wide", 3_000, 32, 1e-4, asked=5)
    case = load(client, prefix, values, asked, "L2", m=2)
    monkeypatch.setenv("MEMDB_URL", client.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    for row, query in enumerate(asked.astype(np.float32)):
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(query.tolist())))
        words = ["search", "--index", case.info.name, "--vector", "-", "--ef", "1", "--exact", "--json"]
        assert main(words) == 0
        printed = json.loads(capsys.readouterr().out)["exact"]
        nearest = np.argsort(far(case.asked[row], case.vectors, "L2"))[:K]
        truth = len(set(case.returned(row, 1)) & set(nearest.tolist())) / K
        assert printed["recall"] == truth
        assert [hit["found"] for hit in printed["hits"]].count(True) / K == truth


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
@pytest.mark.parametrize("type_", VECTOR_TYPES)
def test_equal_documents_at_the_last_place_are_found(
    client: Client, prefix: str, metric: str, type_: str
) -> None:
    """Four near documents and thirty equal ones: whichever six of those come, nothing is missed."""
    random = np.random.default_rng(8)
    query = random.normal(size=24)
    near = query * 1.5 + 0.01 * random.normal(size=(4, 24))
    equal = np.repeat(query[None] + 0.3 * random.normal(size=(1, 24)), 30, axis=0)
    others = 0.5 * random.normal(size=(200, 24))
    if metric == "L2":
        near -= 0.5 * query
    case = load(client, prefix, np.vstack([equal, others, near]), query[None], metric, type_, flat=True)
    distances = far(case.asked[0], case.vectors, metric)
    assert set(np.argsort(distances)[:4]) == {230, 231, 232, 233}
    assert np.ptp(distances[:30]) < 1e-15
    made = queries.made(query[None].astype(np.float32), ["q"])
    run = sweep(client, case.info, SweepRequest(case.info.name, k=K, concurrency=()), made)
    assert run.points[0].recall == 1.0
    assert (run.points[0].ranks >= 0).all()


def test_equal_documents_do_not_hide_a_nearer_one_that_was_missed(client: Client, prefix: str) -> None:
    """Ten equal documents come and the nearest does not: nine of ten are found, not all."""
    values = np.vstack([np.tile([1.0, 1.0], (40, 1)), [[1.0, 0.1]]])
    case = load(client, prefix, values, np.array([[1.0, 0.0]]), "COSINE", flat=True)
    true = (f"{prefix}d:40", *(f"{prefix}d:{i}" for i in range(9)))
    distances = np.sort(far(case.asked[0], case.vectors, "COSINE"))[:K]
    came = [f"{prefix}d:{i}" for i in range(20, 30)]
    under = Membership(client, case.info, EVERYTHING)
    verdict = judge(client, case.info, "v", case.asked, [came], [true], [distances], under)[0]
    assert verdict.recall == 0.9
    assert verdict.retrieved == (False, *([True] * 9))
    assert len(verdict.extra) == 1


@pytest.mark.usefixtures("briefly")
@pytest.mark.needs("sorted_hits")
def test_every_view_counts_the_same(client: Client, prefix: str) -> None:
    """The grid and the map's overlay against the same float64 answer as the sweep."""
    values, asked = drawn("tight", 1_000, 128, 0.01, asked=20)
    case = load(client, prefix, values, asked, "COSINE")
    truth = case.recalls(10)
    whole = (GridFilter("no filter", EVERYTHING, 1_000, 1.0),)
    cells = grid.measure(client, case.info, "v", whole, (10,), asked.astype(np.float32), K).rows[0].cells
    assert cells[0].recall == pytest.approx(truth.mean(), abs=0.006)
    made = Map(
        MapRequest(case.info.name, "v"),
        "PCA",
        tuple(f"{prefix}d:{i}" for i in range(1_000)),
        np.zeros((1_000, 2), np.float32),
        1_000,
        "COSINE",
        "",
        (),
    )
    points = case.vectors.astype(np.float32)
    for row, query in enumerate(asked[:5].astype(np.float32)):
        near = overlay.exact(client, case.info, "v", query, K)
        laid = overlay.overlay(client, case.info, made, points, query, near, k=K, ef_runtime=10)
        assert laid.recall == pytest.approx(truth[row], abs=0.1001)
        assert sum(mark.kind == "found" for mark in laid.marks) / K == pytest.approx(laid.recall)


@pytest.mark.needs("float16")
@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_a_flat_index_of_half_numbers_finds_its_own_documents(
    client: Client, prefix: str, metric: str
) -> None:
    """BFLOAT16 is rounded to the nearest: cutting bits puts a document beside itself."""
    values, _ = drawn("wide", 300, 16, 1.0)
    case = load(client, prefix, values, values[:20], metric, "BFLOAT16", flat=True)
    for row in range(20):
        assert distance.to_bytes(values[row].astype(np.float32), "BFLOAT16") == case.blobs[row]
    found = exact.nearest(read.blocks(client, case.info), case.asked, K, metric)
    for row, query in enumerate(case.asked):
        order = np.sort(far(query, case.vectors, metric))[:K]
        np.testing.assert_allclose(found.distances[row], order, rtol=1e-5, atol=1e-7)
