"""Recall watched on a real engine: measured, kept, alarmed, never twice at once, and told where it cannot be."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli.entry import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Budget
from memdb.errors import BadInput, Cancelled, UnderWay, UnknownIndex
from memdb.operations import history
from memdb.operations.past import Past
from memdb.tap.record import Recorder
from memdb.vectors.index import index_info
from memdb.watch import judge, runner, series
from memdb.watch import measure as measuring
from memdb.watch.runner import Watcher, once, rows_of
from memdb.watch.series import Measurement, Watch
from tests.waiting import until

DIM, DOCUMENTS = 10, 1_200
WATCH = Watch("idx", k=5, ef_runtime=12, target=0.5, queries=80)


def vectors(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(DOCUMENTS, DIM)).astype("<f4")


def written(client: Client, seed: int = 1, rows: range = range(DOCUMENTS)) -> np.ndarray:
    stored = vectors(seed)
    client.pipeline([("HSET", f"d:{n}", "v", stored[n].tobytes(), "t", "ab"[n % 2]) for n in rows])
    return stored


@pytest.fixture
def index(server: Client) -> Client:
    server.execute(
        "FT.CREATE", "idx", "PREFIX", 1, "d:", "SCHEMA", "t", "TAG", "v", "VECTOR", "HNSW", 12, "DIM", DIM,
        "TYPE", "FLOAT32", "DISTANCE_METRIC", "COSINE", "M", 3, "EF_CONSTRUCTION", 5, "EF_RUNTIME", 17,
    )  # fmt: skip
    written(server)
    return server


def true_recall(
    client: Client, stored: np.ndarray, asked: np.ndarray, own: list[str], k: int, ef: int
) -> float:
    """Counted by hand: the engine's answers against NumPy's exact neighbours, the own document left out."""
    unit = stored.astype(float) / np.linalg.norm(stored.astype(float), axis=1, keepdims=True)
    shares = []
    for query, mine in zip(asked, own, strict=True):
        near = [f"d:{n}" for n in np.argsort(-(unit @ query.astype(float)))]
        exact = [key for key in near if key != mine][:k]
        clause = f"*=>[KNN {k + 1} @v $q EF_RUNTIME {ef} AS far]"
        reply = client.execute(
            "FT.SEARCH", "idx", clause, "PARAMS", 2, "q", query.astype("<f4").tobytes(), "RETURN", 1, "far",
            "SORTBY", "far", "LIMIT", 0, k + 1, "DIALECT", 2,
        )  # fmt: skip
        came = [key.decode() for key in reply[1::2]]
        came = [key for key in came if key != mine][:k]
        shares.append(len(set(came) & set(exact)) / k)
    return float(np.mean(shares))


@pytest.mark.usefixtures("briefly")
def test_a_measurement_is_the_recall_and_is_kept(index: Client, tmp_path: Path) -> None:
    outcome = once(index.target.read_only(), WATCH, tmp_path)
    now = outcome.now
    file = measuring._file(index, WATCH, tmp_path)
    queries = measuring._kept(file, DIM, DOCUMENTS)
    assert queries is not None
    assert now.recall == pytest.approx(
        true_recall(index, vectors(1), queries.vectors, list(queries.own_keys), 5, 12), abs=1e-6
    )
    assert now.low is not None
    assert now.high is not None
    assert now.low < now.recall < now.high
    assert (now.documents, now.build, now.built, now.queries) == (DOCUMENTS, "ready", 1.0, 80)
    assert rows_of(history.path_of(tmp_path, index.target), WATCH) == [now]
    again = once(index.target, WATCH, tmp_path).now
    assert (again.recall, again.changes) == (now.recall, ())  # the same queries


def test_the_index_s_own_ef_is_named(index: Client, tmp_path: Path) -> None:
    now = once(index.target, replace(WATCH, ef_runtime=None), tmp_path).now
    named = once(index.target, replace(WATCH, ef_runtime=17), tmp_path).now
    assert now.recall == named.recall
    assert now.watch.ef_runtime == index_info(index, "idx").vector_field()[1].ef_runtime  # where it is told


@pytest.mark.usefixtures("briefly")
def test_recall_that_falls_raises_an_alert_that_names_what_changed(index: Client, tmp_path: Path) -> None:
    path = history.path_of(tmp_path, index.target)
    first = once(index.target, replace(WATCH, target=0.05), tmp_path)
    assert first.now.low is not None
    watch = replace(WATCH, target=first.now.low)  # met, and not by much
    assert not once(index.target, watch, tmp_path).below
    for seed in (2, 3, 4):  # half of the documents overwritten, again and again
        written(index, seed, range(DOCUMENTS // 2))
    index.pipeline([("DEL", f"d:{n}") for n in range(0, DOCUMENTS, 3)])
    low = replace(watch, target=1.0)
    outcome = once(index.target, low, tmp_path)
    assert outcome.below
    assert outcome.changed
    assert any("documents were replaced or deleted" in change for change in outcome.now.changes)
    assert "Its queries were made anew, since it grew or shrank." in outcome.now.changes  # by a third
    assert "400 documents fewer" in " ".join(outcome.now.changes)
    assert outcome.causes[0].remedy
    events = [event for event in Past(path).events(0, 1e12) if event.kind == "alert"]
    assert [event.name for event in events] == ["recall idx"]
    assert events[0].text.startswith("raised: recall@5 at EF_RUNTIME 12 of 'idx' is ")
    assert not once(index.target, low, tmp_path).changed  # it stands; it is not raised again
    back = once(index.target, replace(watch, target=0.1), tmp_path)
    assert (back.below, back.changed) == (False, True)
    assert Past(path).events(0, 1e12)[0].text.startswith("cleared: ")


def test_a_tap_s_newest_searches_with_their_own_settings(index: Client, tmp_path: Path) -> None:
    tap = tmp_path / "tap.parquet"
    asked = vectors(9)
    with Recorder(tap) as recorder:
        for n in range(60):
            words = [
                "FT.SEARCH",
                "idx",
                f"@t:{{a}}=>[KNN 4 @v $q EF_RUNTIME {9 + n % 2}]",
                "PARAMS",
                "2",
                "q",
            ]
            recorder.offer(recorder.wanted() or 0.0, [*map(str.encode, words), asked[n].tobytes()], n, 1.0)
    watch = replace(WATCH, ef_runtime=None, tap=str(tap), queries=40)
    now = once(index.target, watch, tmp_path).now
    assert now.queries == 40
    stored = vectors(1).astype(float)
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    shares = []
    for n in range(20, 60):
        near = [f"d:{row}" for row in np.argsort(-(unit @ asked[n].astype(float))) if row % 2 == 0][:4]
        reply = index.execute(
            "FT.SEARCH", "idx", f"@t:{{a}}=>[KNN 4 @v $q EF_RUNTIME {9 + n % 2}]", "PARAMS", 2, "q",
            asked[n].tobytes(), "NOCONTENT", "DIALECT", 2,
        )  # fmt: skip
        shares.append(len({key.decode() for key in reply[1:]} & set(near)) / 4)
    assert now.recall == pytest.approx(np.mean(shares), abs=1e-6)
    with pytest.raises(BadInput, match="filters of their own"):
        once(index.target, replace(watch, filter="@t:{a}", k=6), tmp_path)
    tap.write_bytes(b"damaged")
    outcome = once(index.target, watch, tmp_path)  # it was measured before: that it cannot be now is kept
    assert outcome.now.recall is None
    assert "is no record of a tap" in outcome.now.problem


def test_a_sample_where_the_budget_allows_no_more(index: Client, tmp_path: Path) -> None:
    """An estimate says so, and lies near what all documents tell; a target that is read-only is enough."""
    reader = index.target.read_only()
    whole = once(reader, WATCH, tmp_path).now
    watch = replace(WATCH, sample=600)
    now = once(reader, watch, tmp_path / "other").now
    assert now.estimated == "estimated from a sample of 600 (50 %)"
    assert now.recall is not None
    assert whole.recall is not None
    assert now.recall == pytest.approx(whole.recall, abs=0.15)
    assert now.low is not None
    assert now.high is not None
    assert now.low < now.recall < now.high
    assert "estimated from a sample" in judge.words(now)


def test_a_budget_that_not_even_the_queries_leave_something_of(index: Client, tmp_path: Path) -> None:
    spent = once(replace(index.target, budget=Budget(keys_scanned=900)), WATCH, tmp_path)
    assert "The budget of 900 keys is spent by the queries alone: to make and ask 80" in str(spent.error)
    assert rows_of(history.path_of(tmp_path, index.target), WATCH) == [spent.now]


def test_never_two_at_once(index: Client, tmp_path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow(_stage: str, _done: int, _total: int) -> None:
        entered.set()
        go_on.wait(60)

    first = threading.Thread(target=lambda: once(index.target, WATCH, tmp_path, report=slow))
    first.start()
    try:
        assert entered.wait(60)
        with pytest.raises(UnderWay, match="is being measured just now"):
            once(index.target, WATCH, tmp_path)
        assert once(index.target, replace(WATCH, k=3), tmp_path).now.recall  # another one may be
    finally:
        go_on.set()
        first.join(60)
    assert len(rows_of(history.path_of(tmp_path, index.target), WATCH)) == 1


def test_an_index_that_is_built_is_not_measured_and_says_so(
    index: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = index_info(index, "idx")
    half = replace(info, build=replace(info.build, state="building", fraction=0.4))
    monkeypatch.setattr(measuring, "index_info", lambda client, name: half)
    outcome = once(index.target, WATCH, tmp_path)
    assert outcome.now.recall is None
    assert outcome.error is None
    assert "still being built (40%)" in outcome.now.problem
    assert "not measured until then" in outcome.now.problem
    degraded = replace(half, build=replace(half.build, source="index_degradation_percentage", fraction=0.97))
    monkeypatch.setattr(measuring, "index_info", lambda client, name: degraded)
    now = once(index.target, WATCH, tmp_path).now
    assert now.recall
    assert now.changes == ("Its build went from building (40%) to building (97%).",)


def test_what_ends_a_measurement_is_kept_and_told(index: Client, tmp_path: Path) -> None:
    with pytest.raises(UnknownIndex, match="gone"):
        once(index.target, replace(WATCH, index="gone"), tmp_path)  # mistyped: nothing to keep
    with pytest.raises(BadInput, match="no field 'w'"):
        once(index.target, replace(WATCH, field="w"), tmp_path)
    once(index.target, WATCH, tmp_path)
    written(index, 1)  # so that the exact answer is computed again
    tight = replace(index.target, budget=Budget(keys_scanned=50))
    outcome = once(tight, WATCH, tmp_path)
    assert outcome.now.recall is None
    assert outcome.error is not None
    assert outcome.error.hint
    index.execute("FT.DROPINDEX", "idx")
    outcome = once(index.target, WATCH, tmp_path)
    assert "idx" in outcome.now.problem
    rows = rows_of(history.path_of(tmp_path, index.target), WATCH)
    assert [each.recall is None for each in rows] == [False, True, True]


def test_a_measurement_is_cancelled(index: Client, tmp_path: Path) -> None:
    def cancelled(_stage: str, _done: int, _total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        once(index.target, WATCH, tmp_path, report=cancelled)
    assert rows_of(history.path_of(tmp_path, index.target), WATCH) == []


def test_the_app_s_watcher_survives_the_server_and_itself(tmp_path: Path) -> None:
    with local_engine.start(tmp_path / "engine", log=False) as running:
        running.wait_ready()
        target = running.target
        path = history.path_of(tmp_path, target)
        watch = replace(WATCH, every_s=1.0)
        with connect(target) as client:
            client.execute(
                "FT.CREATE", "idx", "PREFIX", 1, "d:", "SCHEMA", "v", "VECTOR", "HNSW", 6, "DIM", DIM,
                "TYPE", "FLOAT32", "DISTANCE_METRIC", "L2",
            )  # fmt: skip
            written(client)
        series.switch(tmp_path, target, watch, on=True)
        watcher = Watcher(target, tmp_path)
        try:
            until(lambda: len(rows_of(path, watch)) > 1, "measurements")
        finally:
            watcher.stop(wait_s=60)
        count = len(rows_of(path, watch))
        again = Watcher(target, tmp_path)  # as after a restart of the app
        try:
            until(lambda: len(rows_of(path, watch)) > count, "further measurements")
            running.stop()
            until(lambda: _last(path, watch).recall is None, "a measurement without the server")
            assert _last(path, watch).problem
            series.switch(tmp_path, target, watch, on=False)
        finally:
            again.stop(wait_s=60)


def _last(path: Path, watch: Watch) -> Measurement:
    return rows_of(path, watch)[-1]


def test_the_command(
    index: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMDB_URL", index.target.url)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    line = ["watch", "--index", "idx", "--ef", "12", "--k", "5", "--queries", "80", "--once"]
    assert main([*line, "--target", "0.2"]) == 0
    assert "recall@5 at EF_RUNTIME 12 of 'idx' is " in capsys.readouterr().out
    assert main([*line, "--target", "1", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["below"] is True
    assert told["notes"] == ["No sample can show a recall of exactly 1; choose a target below, e.g. 0.999."]
    assert told["watch"]["ef_runtime"] == 12
    assert told["causes"][0]["remedy"]
    few = [
        "watch",
        "--index",
        "idx",
        "--ef",
        "900",
        "--k",
        "5",
        "--queries",
        "5",
        "--once",
        "--target",
        "0.8",
    ]
    assert main(few) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "5 queries are too few for recall@5 ≥ 0.8 with 95 % confidence" in told
    main([*few, "--json"])
    assert "it takes at least 17." in json.loads(capsys.readouterr().out)["notes"][0]
    assert main(["watch", "--index", "gone", "--once"]) == 2
    assert "gone" in capsys.readouterr().err
    assert main([*line[:-1], "--queries", "/no/such/file", "--once"]) == 2
    assert "There is no file '/no/such/file'" in capsys.readouterr().err
    assert main([*line[:-1], "--queries", "0", "--once"]) == 2
    assert "The number of queries is 0" in capsys.readouterr().err
    assert main(["exporter", "--once"]) == 0
    out = capsys.readouterr().out
    assert 'memdb_recall_ratio{ef="12",index="idx",k="5"}' in out
    assert 'memdb_recall_below_target{ef="12",index="idx",k="5"} 1.0' in out
    assert runner.all_rows(history.path_of(tmp_path, index.target))
