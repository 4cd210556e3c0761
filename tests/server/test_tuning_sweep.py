"""Sweeps on the real engine: right answers, and clear words for all that can go wrong."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.errors import (
    BadInput,
    BadVector,
    Cancelled,
    MemDBError,
    OutOfRange,
    RejectedQuery,
    UnknownField,
    UnknownIndex,
)
from memdb.jobs import Job
from memdb.tuning import decide, queries, store, vectors
from memdb.tuning.compare import compare
from memdb.tuning.run import Goal, Queries, Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.tuning.truth import truth
from memdb.vectors import index
from memdb.vectors.filters import And, Range, Tag
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, NumericField, TagField
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 16, 1_500


def _vectors(count: int = COUNT, seed: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, DIM))
    return (centres[random.integers(0, 20, count)] + random.normal(size=(count, DIM))).astype(np.float32)


def _load(
    client: Client, prefix: str, metric: str = "COSINE", *, flat: bool = False, m: int = 4
) -> IndexInfo:
    field = (
        FlatField("v", DIM, metric)  # type: ignore[arg-type]
        if flat
        else HnswField("v", DIM, metric, m=m, ef_construction=20)  # type: ignore[arg-type]
    )
    spec = IndexSpec(prefix + "idx", (TagField("tag"), NumericField("n"), field), (prefix + "d:",))
    index.create(client, spec)
    client.pipeline(
        [
            ("HSET", f"{prefix}d:{i}", "tag", f"t{i % 5}", "n", i, "v", v.tobytes())
            for i, v in enumerate(_vectors())
        ]
    )
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    return index.index_info(client, prefix + "idx")


def _asked(client: Client, info: IndexInfo, count: int = 120, **more: object) -> Queries:
    return queries.random_documents(client, info, "", count, 1, **more)  # type: ignore[arg-type]


def _request(info: IndexInfo, **changes: object) -> SweepRequest:
    usual = SweepRequest(info.name, ef_min=5, ef_max=200, concurrency=(), goal=Goal("recall", 0.9))
    return replace(usual, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_recall_is_that_of_an_independent_computation(client: Client, prefix: str, metric: str) -> None:
    info = _load(client, prefix, metric)
    asked = _asked(client, info)
    run = sweep(client, info, _request(info), asked)
    everything = _vectors().astype(np.float64)
    places = [int(key.rsplit(":", 1)[1]) for key in asked.own_keys]
    lengths = np.sqrt((everything**2).sum(axis=1))
    expected = np.full((len(places), len(everything)), np.nan)
    for row, place in enumerate(places):
        dots = everything @ everything[place]
        if metric == "L2":
            expected[row] = ((everything - everything[place]) ** 2).sum(axis=1)
        else:
            expected[row] = 1 - (dots / lengths / lengths[place] if metric == "COSINE" else dots)
        expected[row, place] = np.inf
    nearest = np.argsort(expected, axis=1)[:, :10]
    for row in range(len(places)):
        assert {int(key.rsplit(":", 1)[1]) for key in run.truth.keys[row]} == set(nearest[row])
    np.testing.assert_allclose(run.truth.distances, np.take_along_axis(expected, nearest, 1), atol=2e-6)
    for point in run.points:
        np.testing.assert_allclose(point.recalls, (point.ranks >= 0).sum(axis=1) / 10)
        # All hits that are as near as the farthest true neighbour, counted by the distances alone.
        # The engine's are of its own float32.
        last = run.truth.distances[:, -1:]
        as_near = (point.hit_distances <= last + 1e-6 * (1 + np.abs(last))).sum(axis=1) / 10
        np.testing.assert_allclose(point.recalls, as_near)
        assert point.low <= point.recall <= point.high
        assert point.recall == pytest.approx(point.recalls.mean())
        assert np.nanmax(point.hit_distances[:, -1] - run.truth.distances[:, -1]) > -1e-4
    recalls = [p.recall for p in run.points]
    assert np.diff(recalls).min() > -0.005  # a walk with more candidates may miss what another found
    assert recalls[-1] > 0.9
    assert not run.partial
    # A machine busy with something else may slow the server down meanwhile, and the run says so.
    assert [note for note in run.notes if "became slower" not in note] == []


def test_points_have_all_that_the_curve_needs(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    job = Job(
        "sweep",
        lambda job: sweep(
            client,
            info,
            _request(info, ef_max=40, concurrency=(2,)),
            _asked(client, info),
            report=job.report,
            keep=job.keep,
        ),
    )
    assert job.wait(PATIENCE_S).status == "done"
    run = job.result
    assert run is not None
    assert job.state.fraction == 1
    for point in run.points:
        assert 0 < point.p50_ms <= point.p95_ms <= point.p99_ms
        assert point.calls == len(point.latencies_ms) >= 100
        assert point.throughput[0][0] == 2
        assert point.qps > 0
        assert point.short == 0
        assert point.ranks.shape == point.hit_distances.shape == (120, 10)
    assert run.recommendation is not None
    assert run.recommendation.met
    best = run.point(run.recommendation.ef_runtime or 0)
    assert best is not None
    assert best.low >= 0.9
    below = [p for p in run.points if p.ef_runtime < best.ef_runtime]
    assert all(p.low < 0.9 for p in below[-1:])
    assert str(best.ef_runtime) in run.recommendation.sentence


def test_a_run_is_saved_and_read_as_it_was(client: Client, prefix: str, tmp_path: Path) -> None:
    info = _load(client, prefix)
    run = sweep(client, info, _request(info, filter="@n:[0 900]"), _asked(client, info), home=tmp_path)
    path = store.save(run, tmp_path)
    assert path == tmp_path / "runs" / f"{run.id}.json"
    again = store.load(tmp_path, run.id)
    assert store.to_dict(again) == store.to_dict(run)
    assert (again.request, again.recommendation, again.notes) == (run.request, run.recommendation, run.notes)
    assert again.truth.keys == run.truth.keys
    assert again.queries.own_keys == run.queries.own_keys
    for a, b in zip(again.points, run.points, strict=True):
        for name in ("recalls", "ranks", "hit_distances", "latencies_ms"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert [listed.id for listed in store.listed(tmp_path)] == [run.id]
    password = client.target.password
    assert password not in path.read_text()
    compared = compare(again, run)
    assert compared.paired
    assert all(row.difference == 0 and not row.clear for row in compared.rows)
    store.delete(tmp_path, run.id)
    with pytest.raises(MemDBError, match=run.id):
        store.load(tmp_path, run.id)
    for hostile in ("../etc/passwd", "a/b", "", "x" * 500):
        with pytest.raises(MemDBError):
            store.load(tmp_path, hostile)


def test_old_and_damaged_runs(client: Client, prefix: str, tmp_path: Path) -> None:
    info = _load(client, prefix)
    run = sweep(client, info, _request(info), _asked(client, info, 30))
    for i in range(4):
        store.save(replace(run, id=f"2026010{i}-000000-abcdef"), tmp_path)
    assert len(store.prune(tmp_path, keep=2)) == 2
    left = store.listed(tmp_path)
    assert [r.id[:8] for r in left] == ["20260103", "20260102"]
    assert store.prune(tmp_path, keep_bytes=1) == (left[1].id,)
    (tmp_path / "runs" / f"{left[0].id}.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadInput, match="cannot be read"):
        store.load(tmp_path, left[0].id)
    (tmp_path / "runs" / f"{left[0].id}.json").write_text("{")
    assert store.listed(tmp_path) == ()


def test_the_same_seed_gives_the_same_run(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    first, second = (sweep(client, info, _request(info), _asked(client, info)) for _ in range(2))
    assert first.queries.digest == second.queries.digest
    assert [p.recall for p in first.points] == [p.recall for p in second.points]
    other = queries.random_documents(client, info, "", 120, 2)
    assert other.digest != first.queries.digest


def test_random_documents_are_uniform_and_grow_from_each_other(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    chosen: dict[str, int] = {}
    for seed in range(60):
        for key in queries.random_documents(client, info, "", 100, seed).own_keys:
            chosen[key] = chosen.get(key, 0) + 1
    counts = np.array([chosen.get(f"{prefix}d:{i}", 0) for i in range(COUNT)])
    # Each is expected 4 times; first and last in the index alike.
    assert counts.sum() == 6_000
    assert abs(counts[: COUNT // 3].mean() - 4) < 0.4
    assert abs(counts[-COUNT // 3 :].mean() - 4) < 0.4
    assert counts.var() == pytest.approx(4 * (1 - 100 / COUNT), rel=0.25)
    few, many = (queries.random_documents(client, info, "", n, 3) for n in (50, 200))
    assert many.own_keys[:50] == few.own_keys
    some = queries.random_documents(client, info, "", 10_000, 3, Tag("tag", ("t1",)))
    assert len(some) == COUNT // 5
    assert all(int(key.rsplit(":", 1)[1]) % 5 == 1 for key in some.own_keys)


def test_the_exact_answer_is_kept_until_the_index_changes(
    client: Client, prefix: str, tmp_path: Path
) -> None:
    info = _load(client, prefix)
    asked = _asked(client, info)
    first = truth(client, info, "", asked, 10, home=tmp_path)
    vectors.forget()
    again = truth(client, info, "", asked, 10, home=tmp_path)
    assert (first.kept, again.kept) == (False, True)
    assert again.keys == first.keys
    np.testing.assert_array_equal(again.distances, first.distances)
    assert not truth(client, info, "", asked, 11, home=tmp_path).kept
    assert not truth(client, info, "", asked, 10, "@tag:{t1}", home=tmp_path).kept
    file = next((tmp_path / "truth").glob("*.npz"))
    for each in (tmp_path / "truth").glob("*.npz"):
        each.write_bytes(file.read_bytes()[:100])
    assert not truth(client, info, "", asked, 10, home=tmp_path).kept
    client.execute("HSET", f"{prefix}d:0", "v", np.ones(DIM, "<f4").tobytes())  # as many documents as before
    assert not truth(client, index.index_info(client, info.name), "", asked, 10, home=tmp_path).kept


def test_an_index_without_ef(client: Client, prefix: str) -> None:
    info = _load(client, prefix, flat=True)
    run = sweep(client, info, _request(info), _asked(client, info))
    assert [p.ef_runtime for p in run.points] == [0]
    assert run.points[0].recall == 1
    assert run.recommendation is not None
    assert (run.recommendation.met, run.recommendation.ef_runtime) == (True, None)
    assert "FLAT" in run.recommendation.sentence


@pytest.mark.needs("told_plans")
def test_a_filter_that_is_run_by_brute_force_is_said(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    condition = And((Tag("tag", ("t1",)), Range("n", 0, 400)))
    run = sweep(client, info, _request(info), _asked(client, info), condition=condition)
    assert "@tag" in run.request.filter
    assert {p.recall for p in run.points} == {1.0}
    assert any("brute force" in note for note in run.notes)
    again = sweep(client, info, run.request, run.queries)  # its own request repeats it
    assert again.request == run.request
    assert again.truth.keys == run.truth.keys


def test_k_larger_than_what_matches(client: Client, prefix: str) -> None:
    info = _load(client, prefix, m=16)  # so many links lead to every document
    asked = _asked(client, info, 40, condition="@n:[0 6]")
    assert len(asked) == 7
    run = sweep(client, info, _request(info, filter="@n:[0 6]"), asked)
    assert "only 6 documents match" in " ".join(run.notes)
    assert run.points[0].short == 0
    assert run.points[0].recall == 1
    assert "too few for recall@10" in " ".join(run.notes)


def test_input_that_does_not_fit_is_told_before_anything_is_measured(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    asked = _asked(client, info, 20)
    wrong = replace(asked, vectors=asked.vectors[:, :-1])
    hole = asked.vectors.copy()
    hole[3, 2] = np.nan
    cases: list[tuple[SweepRequest, Queries, type[MemDBError], str]] = [
        (_request(info, filter="@n:[5000 6000]"), asked, BadInput, "matches the filter"),
        (_request(info, filter="@nope:{a}"), asked, UnknownField, "nope"),
        (_request(info, filter="@n:[a b]"), asked, RejectedQuery, ""),
        (_request(info, field="tag"), asked, UnknownField, "tag"),
        (_request(info, k=0), asked, OutOfRange, "k is 0"),
        (_request(info, k=10_000), asked, OutOfRange, "9,999"),
        (_request(info, ef_min=0), asked, OutOfRange, "EF_RUNTIME"),
        (_request(info, ef_min=50, ef_max=20), asked, BadInput, "from 50 to 20"),
        (_request(info, goal=Goal("recall", 1.5)), asked, OutOfRange, "recall"),
        (_request(info, goal=Goal("recall", float("nan"))), asked, OutOfRange, "recall"),
        (_request(info, goal=Goal("p99_ms", -1)), asked, BadInput, "p99"),
        (_request(info, goal=Goal("recall", 0.9, 1.0)), asked, OutOfRange, "confidence"),
        (_request(info, concurrency=(1_000,)), asked, OutOfRange, "clients"),
        (_request(info, budget_qps=0.1), asked, BadInput, "budget"),
        (_request(info), wrong, BadVector, "expects 16"),
        (_request(info), replace(asked, vectors=hole), BadVector, "Query 4"),
    ]
    for request, given, error, said in cases:
        with pytest.raises(error) as caught:
            sweep(client, info, request, given)
        assert said in str(caught.value), request
        assert caught.value.hint, request
    with pytest.raises(BadInput, match="No document of"):
        _asked(client, info, 20, condition="@n:[5000 6000]")
    with pytest.raises(BadInput, match="but the query's own"):
        sweep(client, info, _request(info, filter="@n:[7 7]"), _asked(client, info, 5, condition="@n:[7 7]"))
    client.execute("FT.DROPINDEX", info.name)
    with pytest.raises(UnknownIndex):
        sweep(client, info, _request(info), asked)


def test_a_search_for_one_more_is_not_told_as_one_with_less(client: Client, prefix: str) -> None:
    """A query that is a document is asked for k + 1, and a search never keeps fewer candidates."""
    info = _load(client, prefix)
    assert sweep(client, info, _request(info), _asked(client, info, 40)).points[0].ef_runtime == 11
    given = queries.made(_vectors(40, seed=9), [f"q{i}" for i in range(40)])
    assert sweep(client, info, _request(info), given).points[0].ef_runtime == 5
    few = sweep(client, info, _request(info, ef_max=8), _asked(client, info, 40))
    assert [point.ef_runtime for point in few.points] == [11]


def test_too_few_queries_are_told_with_how_many_it_takes(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    run = sweep(client, info, _request(info, goal=Goal("recall", 0.99)), _asked(client, info, 20))
    note = next(note for note in run.notes if "too few" in note)
    assert "20 queries are too few for recall@10 ≥ 0.99 with 95 % confidence" in note
    assert run.recommendation is not None
    assert not run.recommendation.met


def test_more_queries_are_asked_where_the_first_leave_it_open(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    base = sweep(client, info, _request(info), _asked(client, info, 60))
    # One of the values every sweep begins with; the target lies inside its interval, below its mean.
    start = base.point(decide.first_values(decide.ladder(11, 200, 60))[1])
    assert start is not None
    target = (start.low + start.recall) / 2
    request = _request(info, goal=Goal("recall", target))
    kept: list[Run] = []
    run = sweep(
        client,
        info,
        request,
        _asked(client, info, 60),
        keep=kept.append,
        more=lambda n: _asked(client, info, n),
    )
    assert len(run.queries) == 240
    assert any("180 more were asked" in note for note in run.notes)
    for made in [run, *kept]:
        for point in made.points:
            assert len(point.recalls) == len(point.ranks) == len(made.queries) == len(made.truth.keys)


def test_documents_added_meanwhile_are_counted(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    asked = _asked(client, info)
    added: list[int] = []

    def keep(run: Run) -> None:
        if not added:
            added.append(1)
            client.pipeline(
                [("HSET", f"{prefix}d:new{i}", "v", v.tobytes()) for i, v in enumerate(_vectors(120, 9))]
            )

    run = sweep(client, info, _request(info), asked, keep=keep)
    assert not run.partial
    assert any("grew by 120 documents" in note for note in run.notes)


def test_an_index_dropped_meanwhile_leaves_the_partial_result(client: Client, prefix: str) -> None:
    info = _load(client, prefix)

    def keep(run: Run) -> None:
        if len(run.points) == 3:
            client.execute("FT.DROPINDEX", info.name)

    run = sweep(client, info, _request(info), _asked(client, info), keep=keep)
    assert run.partial
    assert len(run.points) == 3
    assert any("dropped during the run" in note for note in run.notes)


def test_a_cancelled_job_keeps_what_it_has(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    asked = _asked(client, info)
    seen = threading.Event()

    def work(job: Job[Run]) -> Run:
        def keep(run: Run) -> None:
            job.keep(run)
            if len(run.points) == 2:
                seen.set()
                job.cancel()

        return sweep(client, info, _request(info), asked, report=job.report, keep=keep)

    job = Job("sweep", work)
    assert job.wait(PATIENCE_S).status == "cancelled"
    assert seen.is_set()
    assert job.result is not None
    assert job.result.partial
    assert len(job.result.points) == 2
    assert job.result.recommendation is not None
    with pytest.raises(Cancelled):
        sweep(client, info, _request(info), asked, report=_cancel)


def _cancel(stage: str, done: int, total: int) -> None:
    raise Cancelled


def test_a_server_that_goes_away_leaves_the_partial_result(tmp_path: Path) -> None:
    with local_engine.start(tmp_path, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            info = _load(client, "gone:")
            asked = _asked(client, info)

            def keep(run: Run) -> None:
                if len(run.points) == 3:
                    running.stop()

            run = sweep(client, info, _request(info), asked, keep=keep)
            assert run.partial
            assert len(run.points) == 3
            assert any("The run ended early" in note and "No answer" in note for note in run.notes)
            assert run.recommendation is not None


def test_a_budget_is_kept_to(client: Client, prefix: str) -> None:
    info = _load(client, prefix)
    asked = _asked(client, info, 40)
    before = _calls(client)
    run = sweep(client, info, _request(info, ef_min=10, ef_max=20, budget_qps=400), asked)
    calls = _calls(client) - before
    assert calls / run.took_s <= 450
    assert all(p.throughput == () for p in run.points)


def _calls(client: Client) -> int:
    stats = client.info("commandstats")["commandstats"].get("cmdstat_FT.SEARCH", "calls=0")
    return int(stats.split("calls=")[1].split(",")[0])


def test_files_of_queries(client: Client, prefix: str, tmp_path: Path) -> None:
    import io

    import pandas as pd

    info = _load(client, prefix)
    wanted = _vectors(7, 11)
    buffer = io.BytesIO()
    np.save(buffer, wanted)
    frame = pd.DataFrame({"id": range(7), "embedding": [v.tolist() for v in wanted]})
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    listed = "\n".join(json.dumps(v.tolist()) for v in wanted)
    good = {
        "a.npy": buffer.getvalue(),
        "a.parquet": parquet.getvalue(),
        "a.csv": frame.to_csv(index=False).encode(),
        "b.csv": pd.DataFrame(wanted).to_csv(index=False, header=False).encode(),
        "c.csv": pd.DataFrame(wanted).to_csv(index=False).encode(),  # a head that counts the columns
        "d.csv": pd.DataFrame(wanted).to_csv(index=False, header=False, sep=";").encode(),
        "a.jsonl": listed.encode(),
        "b.jsonl": "\n".join(json.dumps({"vector": v.tolist()}) for v in wanted).encode(),
        "c.jsonl": "\r\n".join(
            json.dumps({"note": "two\u2028lines", "vector": v.tolist()}, ensure_ascii=False) for v in wanted
        ).encode(),
    }
    for name, content in good.items():
        found = queries.from_file(name, content, info)
        np.testing.assert_allclose(found.vectors, wanted, rtol=1e-6)
        assert set(found.own_keys) == {""}
    run = sweep(client, info, _request(info), queries.from_file("a.npy", good["a.npy"], info))
    assert queries.from_run(run, info).digest == run.queries.digest
    short = io.BytesIO()
    np.save(short, wanted[:, :5])
    hole = wanted.copy()
    hole[2, 1] = np.inf
    holed = io.BytesIO()
    np.save(holed, hole)
    bad: dict[str, tuple[bytes, type[MemDBError], str]] = {
        "a.txt": (b"1", BadInput, "no file of queries"),
        "b.npy": (b"nonsense", BadInput, "cannot be read"),
        "c.npy": (short.getvalue(), BadVector, "has 5 numbers"),
        "d.npy": (holed.getvalue(), BadVector, "Row 3 of 'd.npy'"),
        "e.parquet": (b"PAR1", BadInput, "cannot be read"),
        "f.jsonl": (b"{", BadInput, "cannot be read"),
        "g.jsonl": (b"", BadInput, "no queries"),
        "h.jsonl": (b'"text"\n[1,2]', BadInput, "both texts and vectors"),
        "i.csv": (b"a,b\n1,x\n", BadInput, "gives 256 numbers"),  # and the index has 16
        "j.jsonl": (b'{"n": 1}\n{"n": null}', BadVector, "1 number;"),
        "k.csv": (b"\xff\xfe\x00", BadInput, "cannot be read"),
        "l.jsonl": (b"[1, NaN]", BadVector, "2 numbers"),
        "m.csv": (f"1,,{','.join('3' * 14)}\n{','.join('4' * 16)}\n".encode(), BadVector, "Row 1 of"),
        "n.csv": (b"0,5;0,25\n0,5;0,75\n", BadVector, "2 numbers"),
        "o.csv": (b"1 2 3\n4 5 6\n", BadInput, "no column of vectors or texts"),
    }
    for name, (content, error, said) in bad.items():
        with pytest.raises(error) as caught:
            queries.from_file(name, content, info)
        assert said in str(caught.value), name
        assert caught.value.hint, name


@pytest.mark.usefixtures("briefly")
def test_the_command_line(
    client: Client,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    info = _load(client, prefix)
    monkeypatch.setenv("MEMDB_URL", client.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    words = ["recall", "--index", info.name, "--ef-min", "5", "--ef-max", "200", "--clients", "0"]
    asked = ["--target", "0.9", "--queries", "200", "--seed", "3"]
    assert main([*words, *asked, "--clients", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["recommended"]) == {"ef_runtime", "recall", "low", "high"}
    assert printed["recommended"]["low"] >= 0.9
    assert [set(p) for p in printed["curve"]] == [
        {"ef_runtime", "recall", "low", "high", "broken", "p50_ms", "p95_ms", "p99_ms", "qps"}
    ] * len(printed["curve"])
    assert (printed["queries"], printed["k"], printed["filter"], printed["seed"]) == (200, 10, "*", 3)
    assert [r.id for r in store.listed(tmp_path)] == [printed["run"]]
    assert main([*words, "--target", "0.9999", "--queries", "100", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["recommended"] is None
    assert main([*words, "--target", "0.9", "--filter", "@tag:{t1}", "--k", "5"]) == 0
    shown = capsys.readouterr().out
    assert "recall@5" in shown
    assert main([*words, "--queries", "nowhere.npy", "--json"]) == 2
    assert "nowhere.npy" in json.loads(capsys.readouterr().out)["error"]
    assert main([*words, "--target", "2"]) == 2
    assert "not between 0 and 1" in capsys.readouterr().err


@pytest.mark.usefixtures("briefly")
@pytest.mark.needs("told_plans")
def test_the_command_line_says_where_a_setting_changes_nothing(
    client: Client,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    info = _load(client, prefix)
    monkeypatch.setenv("MEMDB_URL", client.target.url)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    words = ["recall", "--index", info.name, "--ef-min", "5", "--ef-max", "200", "--clients", "0"]
    assert main([*words, "--target", "0.9", "--filter", "@tag:{t1}", "--k", "5"]) == 0
    # So few match that they are searched by brute force.
    assert "EF_RUNTIME changes nothing" in capsys.readouterr().out
