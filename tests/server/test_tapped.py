"""A tap's record as the queries of a sweep: each with its own filter, K and EF_RUNTIME, held against NumPy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import redis

from memdb.cli.entry import main
from memdb.cluster.client import Client, connect
from memdb.errors import BadInput, BadVector
from memdb.tap.record import Recorder
from memdb.tuning import report, store
from memdb.tuning.ask import recall, run_saved
from memdb.tuning.run import Ask, Goal, SweepRequest
from memdb.tuning.source import File
from memdb.vectors.index import index_info

DIM, DOCUMENTS = 12, 1_500
RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(DOCUMENTS, DIM))
COLOURS = np.array(["red", "blue", "green"])[RNG.integers(0, 3, DOCUMENTS)]
YEARS = RNG.integers(2000, 2020, DOCUMENTS)
ASKS = [
    ("*", 10, 12, np.ones(DOCUMENTS, bool)),
    ("@colour:{red}", 4, 30, COLOURS == "red"),
    ("@colour:{blue} @year:[$from 2030]", 7, None, (COLOURS == "blue") & (YEARS >= 2010)),
]


@pytest.fixture
def index(server: Client) -> Client:
    server.execute(
        "FT.CREATE", "idx", "PREFIX", 1, "d:", "SCHEMA", "colour", "TAG", "year", "NUMERIC",
        "v", "VECTOR", "HNSW", 10, "DIM", DIM, "TYPE", "FLOAT64", "DISTANCE_METRIC", "L2", "M", 4,
        "EF_CONSTRUCTION", 8,
    )  # fmt: skip
    server.pipeline(
        [
            (
                "HSET",
                f"d:{n}",
                "colour",
                COLOURS[n],
                "year",
                int(YEARS[n]),
                "v",
                VECTORS[n].astype("<f8").tobytes(),
            )
            for n in range(DOCUMENTS)
        ]
    )
    return server


def words(
    condition: str, k: int, ef: int | None, vector: np.ndarray, *, index: str = "idx", field: str = "v"
) -> list[bytes]:
    clause = f"({condition})=>[KNN {k} @{field} $q" + (f" EF_RUNTIME {ef}]" if ef else "]")
    blob = vector.astype("<f8").tobytes()
    args = ["FT.SEARCH", index, clause, "PARAMS", 4, "q", blob, "from", 2010, "DIALECT", 2]
    return [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]


def recorded(path: Path, *searches: list[bytes]) -> Path:
    with Recorder(path) as recorder:
        for n, search in enumerate(searches):
            recorder.offer(recorder.wanted() or 0.0, search, 1_000.0 + n, 1.5)
    return path


QUERIES = RNG.normal(size=(90, DIM)) * 1.5


def of_application(path: Path) -> Path:
    return recorded(path, *(words(*ASKS[n % 3][:3], QUERIES[n]) for n in range(len(QUERIES))))


def true_recall(client: Client, n: int, ef: int | None) -> float:
    """The recall of one query, from the engine's own answer and NumPy's exact one."""
    condition, k, _, matches = ASKS[n % 3]
    reply = client.execute(
        *words(condition, k, ef, QUERIES[n])[:8], b"2010", "NOCONTENT", "LIMIT", 0, k, "DIALECT", 2
    )
    far = np.where(matches, ((VECTORS - QUERIES[n]) ** 2).sum(axis=1), np.inf)
    exact = {f"d:{place}" for place in np.argsort(far)[:k]}
    return len(exact & {key.decode() for key in reply[1:]}) / k


@pytest.mark.usefixtures("briefly")
def test_a_sweep_asks_each_search_with_its_own_filter_and_k(index: Client, tmp_path: Path) -> None:
    path = of_application(tmp_path / "tap.parquet")
    request = SweepRequest("idx", goal=Goal("recall", 0.9), source=File(path.name, str(path)), concurrency=())
    run = run_saved(index, index_info(index, "idx"), request, tmp_path)
    assert set(run.queries.asks) == {
        Ask("*", (), 10, 12),
        Ask("@colour:{red}", (), 4, 30),
        Ask("@colour:{blue} @year:[$from 2030]", (("from", "2010"),), 7, None),
    }
    assert np.array_equal(run.queries.vectors, QUERIES.astype(np.float32))
    assert len(run.points) >= 3
    for point in run.points:
        mine = [true_recall(index, n, point.ef_runtime) for n in range(len(QUERIES))]
        assert point.recalls.tolist() == pytest.approx(mine)
        assert point.recall == pytest.approx(np.mean(mine))
    told = run.as_asked
    assert told is not None
    own = [true_recall(index, n, ASKS[n % 3][2]) for n in range(len(QUERIES))]
    assert told.recall == pytest.approx(np.mean(own))
    assert told.low < told.recall < told.high
    assert [(s.filter, s.k, s.ef_runtime, s.queries) for s in told.settings] == [
        (condition, k, ef, 30) for condition, k, ef, _ in ASKS
    ]
    nearest = [
        np.where(ASKS[n % 3][3], ((VECTORS - QUERIES[n]) ** 2).sum(axis=1), np.inf).min() for n in range(90)
    ]
    assert told.nearest == pytest.approx(np.quantile(nearest, np.arange(1, 10) / 10), rel=1e-4)
    assert told.nearest[4] > told.documents_nearest[4]  # they lie farther out than documents
    assert store.load(tmp_path, run.id).queries.asks == run.queries.asks
    assert store.load(tmp_path, run.id).as_asked == told
    page = report.html_report(run).decode()
    assert told.words in page
    assert "<td>@colour:{blue} @year:[$from 2030]</td><td>7</td><td>the index’s own</td><td>30</td>" in page
    again = recall(
        index,
        index_info(index, "idx"),
        SweepRequest("idx", source=File(path.name, str(path)), concurrency=()),
    )
    assert again.queries.digest == run.queries.digest


@pytest.mark.usefixtures("briefly")
def test_of_an_index_too_large_to_read_a_sample_is_held_against_each_search(
    index: Client, tmp_path: Path
) -> None:
    """One sample of all documents: of each search what its filter leaves of it."""
    path = of_application(tmp_path / "tap.parquet")
    request = SweepRequest(
        "idx", goal=Goal("recall", 0.9), source=File(path.name, str(path)), concurrency=(), sample=600
    )
    with connect(index.target.read_only()) as reader:
        run = run_saved(reader, index_info(reader, "idx"), request, tmp_path)
        assert not {entry.name for entry in reader.log.entries()} & {"FT.AGGREGATE", "FT.CURSOR READ"}
    assert run.sampled is not None
    assert (run.sampled.documents, run.sampled.drawn) == (DOCUMENTS, 600)
    assert len(run.points) >= 3
    for point in run.points:
        true = np.mean([true_recall(index, n, point.ef_runtime) for n in range(len(QUERIES))])
        assert point.low - 0.01 <= true <= point.high + 0.01
        assert point.recall == pytest.approx(true, abs=0.05)
    assert run.recommendation is not None
    assert "estimated from a sample of 600 (40 %)" in run.recommendation.sentence
    told = run.as_asked
    assert told is not None
    own = np.mean([true_recall(index, n, ASKS[n % 3][2]) for n in range(len(QUERIES))])
    assert told.low - 0.01 <= own <= told.high + 0.01
    assert "Both are estimated from a sample of 600 (40 %)." in report.html_report(run).decode()
    assert store.load(tmp_path, run.id).sampled == run.sampled


def test_a_filter_that_leaves_fewer_than_k_is_no_miss_of_a_sampled_run(index: Client, tmp_path: Path) -> None:
    few = "@colour:{green} @year:[2003 2003]"
    assert 5 < ((COLOURS == "green") & (YEARS == 2003)).sum() < 60
    path = recorded(tmp_path / "tap.parquet", *(words(few, 60, 20, query) for query in QUERIES[:30]))
    request = SweepRequest("idx", source=File(path.name, str(path)), concurrency=(), sample=600)
    run = recall(index, index_info(index, "idx"), request)
    assert [point.recall for point in run.points] == [1.0] * len(run.points)


@pytest.mark.usefixtures("briefly")
def test_the_command(
    index: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMDB_URL", index.target.url)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "home"))
    path = of_application(tmp_path / "tap.parquet")
    line = ["recall", "--index", "idx", "--queries", str(path), "--target", "0.5", "--clients", "0"]
    assert main([*line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["as_asked"]["documents"] == 90
    assert told["queries"] == 90
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "With its own settings (3 different) the application gets a recall of" in out
    assert "@colour:{blue} @year:[$from 2030]" in out
    assert main([*line, "--filter", "@colour:{red}"]) == 2
    assert "The searches of a tap have filters of their own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("searches", "kind", "part"),
    [
        ([], BadInput, "holds no search yet"),
        ([words("*", 3, 9, QUERIES[0][:6])], BadVector, "have 6 numbers; 'idx' expects 12"),
        ([words("*", 3, 9, QUERIES[0], index="gone")], BadInput, r"no search of 'idx', but of 'gone' \(1\)"),
        ([words("*", 3, 9, QUERIES[0], field="w")], BadInput, "no search of the field 'v', but of 'w'"),
        ([words("*", 3, 9, QUERIES[0] * np.nan)], BadInput, "None of the record's vectors is finite"),
        ([words("@colour:{none}", 3, 9, QUERIES[0])], BadInput, "No search of the record can be asked now"),
        (
            [words("@gone:{x}", 3, 9, QUERIES[0]), words("@year:[", 3, 9, QUERIES[0])],
            BadInput,
            "No search of the record",
        ),
    ],
)
def test_records_that_cannot_be_asked(
    index: Client, tmp_path: Path, searches: list[list[bytes]], kind: type[BadInput], part: str
) -> None:
    path = recorded(tmp_path / "tap.parquet", *searches)
    request = SweepRequest("idx", source=File(path.name, str(path)))
    with pytest.raises(kind, match=part):
        recall(index, index_info(index, "idx"), request)


def test_what_cannot_be_asked_is_left_out_and_told(index: Client, tmp_path: Path) -> None:
    good = [words("*", 3, 20, query) for query in QUERIES[:20]]
    odd = [
        words("*", 3, 9, QUERIES[0][:6]),
        words("*", 3, 9, QUERIES[0] * np.inf),
        words("@colour:{none}", 3, 9, QUERIES[0]),
        words("@gone:[1 2]", 3, 9, QUERIES[0]),
        words("*", 3, 9, QUERIES[0], index="other"),
        words("*", index.server.dialect.limits.k + 1, 9, QUERIES[0]),
        words("*", 3, index.server.dialect.limits.ef_runtime + 1, QUERIES[0]),
    ]
    path = recorded(tmp_path / "tap.parquet", *good, *odd)
    run = recall(
        index,
        index_info(index, "idx"),
        SweepRequest("idx", source=File(path.name, str(path)), concurrency=()),
    )
    assert len(run.queries) == 20
    assert run.request.k == 3
    notes = " ".join(run.notes)
    for part in (
        "Left out of the record: 1 of other indexes or fields.",
        "Left out of the record: 2 of which K or EF_RUNTIME is above what",
        "Left out of the record: 1 of which the vector has another length.",
        "Left out of the record: 1 of which the vector is zero or not finite.",
        "Left out of the record: 1 of which the index does not take the filter any more.",
        "Left out of the record: 1 of which no document matches the filter now.",
    ):
        assert part in notes


def test_a_damaged_record_is_told(index: Client, tmp_path: Path) -> None:
    path = of_application(tmp_path / "tap.parquet")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"'tap.parquet'"):
        recall(index, index_info(index, "idx"), SweepRequest("idx", source=File(path.name, str(path))))


def test_searches_through_an_alias_are_of_the_index(index: Client, tmp_path: Path) -> None:
    with redis.Redis(port=index.target.port, password=index.target.password or None) as other:
        other.execute_command("FT.ALIASADD", "current", "idx")
    path = recorded(tmp_path / "t.parquet", *(words("*", 3, 20, q, index="current") for q in QUERIES[:5]))
    run = recall(
        index,
        index_info(index, "idx"),
        SweepRequest("idx", source=File(path.name, str(path)), concurrency=()),
    )
    assert len(run.queries) == 5
