"""Made queries on the real engine: as hard as unseen ones, never written, repeated from what a run holds."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.errors import BadInput
from memdb.tuning import queries, report, store, unseen
from memdb.tuning.ask import asked_queries, recall, run_saved
from memdb.tuning.run import CERTAIN, Goal, Run, SweepRequest
from memdb.tuning.source import Documents, Given, Repeated, Selected, Unseen
from memdb.tuning.sweep import sweep
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexInfo, IndexSpec, TagField

pytestmark = pytest.mark.usefixtures("briefly")
DIM, INSIDE, OUTSIDE = 24, 2_000, 700


def _vectors(seed: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(30, DIM))
    count = INSIDE + OUTSIDE
    return (centres[random.integers(0, 30, count)] + 0.8 * random.normal(size=(count, DIM))).astype(
        np.float32
    )


def _load(client: Client, prefix: str, vectors: np.ndarray, metric: str, flat: bool = False) -> IndexInfo:
    dim = vectors.shape[1]
    field = (
        FlatField("v", dim, metric)  # type: ignore[arg-type]
        if flat
        else HnswField("v", dim, metric, m=4, ef_construction=30)  # type: ignore[arg-type]
    )
    index.create(client, IndexSpec(prefix + "idx", (TagField("tag"), field), (prefix + "d:",)))
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", v.tobytes()) for i, v in enumerate(vectors)]
    )
    return index.index_info(client, prefix + "idx")


def _request(info: IndexInfo, **changes: object) -> SweepRequest:
    usual = SweepRequest(info.name, ef_min=12, ef_max=120, concurrency=(), goal=Goal("recall", 0.9))
    return replace(usual, **changes)  # type: ignore[arg-type]


def _far(query: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    wide, asked = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "L2":
        return ((wide - asked) ** 2).sum(axis=1)
    dots = wide @ asked
    if metric == "COSINE":
        dots = dots / np.linalg.norm(wide, axis=1) / np.linalg.norm(asked)
    return 1 - dots


def _place(key: str) -> int:
    return int(key.rsplit(":", 1)[1])


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_recall_by_made_queries_is_that_of_unseen_ones(client: Client, prefix: str, metric: str) -> None:
    every = _vectors()
    inside, outside = every[:INSIDE], every[INSIDE:]
    info = _load(client, prefix, inside, metric)
    request = _request(info)
    given = queries.made(outside, [f"unseen {i}" for i in range(OUTSIDE)], (), Given())
    truth = sweep(client, info, request, given)
    made = recall(client, info, replace(request, source=Unseen(1_000, extend=False)))
    flattered = recall(client, info, replace(request, source=Documents(1_000, extend=False)))
    judged = 0
    for like in made.points:
        real = truth.point(like.ef_runtime)
        if real is None or real.recall < 0.85:
            continue
        # Means of 700 and of 1,000 queries: by chance they differ by up to 0.02 (two standard errors).
        assert like.recall <= real.recall + 0.025
        # Harder than unseen ones they may be by more, and the interval that is shown says by how much.
        assert real.recall <= like.high + 0.02
        assert like.recall >= real.recall - 0.05
        judged += 1
    assert judged >= 3
    low, high = made.points[0], flattered.points[0]
    assert high.recall > low.recall
    # What the method leaves open is in the interval.
    assert low.low < unseen.surely(low.recall, 0.95, unseen.UNCERTAINTY)
    # The exact answer is NumPy's, the document that a query was made from left out.
    for row in range(0, 1_000, 25):
        far = _far(made.queries.vectors[row], inside, metric)
        own = _place(made.queries.own_keys[row])
        far[own] = np.inf
        assert {_place(key) for key in made.truth.keys[row]} == set(np.argsort(far)[:10].tolist())
        best = made.points[-1]
        hits = (best.ranks[row] >= 0).mean()
        assert best.recalls[row] >= hits - 1e-6


def test_nothing_is_written_and_fewer_are_the_beginning_of_more(client: Client, prefix: str) -> None:
    info = _load(client, prefix, _vectors()[:1_500], "COSINE")
    keys = client.execute("DBSIZE")
    with connect(client.target.read_only()) as reader:
        few = queries.unseen(reader, info, "", 40, 3)
        many = queries.unseen(reader, info, "", 200, 3)
    assert client.execute("DBSIZE") == keys
    np.testing.assert_array_equal(many.vectors[:40], few.vectors)
    assert many.own_keys[:40] == few.own_keys
    assert queries.unseen(client, info, "", 40, 4).digest != few.digest
    assert few.uncertainty.too_high >= unseen.UNCERTAINTY.too_high
    documents = queries.random_documents(client, info, "", 40, 3)
    assert documents.own_keys == few.own_keys
    assert (np.abs(documents.vectors - few.vectors).max(axis=1) > 1e-3).all()
    some = queries.unseen(client, info, "", 40, 3, "@tag:{t1}")
    assert len(some) == 40
    assert all(_place(key) % 3 == 1 for key in some.own_keys)


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_copies_zeros_and_hardly_any_documents(client: Client, prefix: str, metric: str) -> None:
    vectors = np.repeat(_vectors()[:30], 20, axis=0)  # each nineteen times more: no neighbour but copies
    vectors[-5:] = 0
    info = _load(client, prefix, vectors, metric)
    made = queries.unseen(client, info, "", 400, 0)
    assert np.isfinite(made.vectors).all()
    assert metric != "COSINE" or made.vectors.any(axis=1).all()
    run = sweep(client, info, _request(info), made)
    assert run.points
    few = _load(client, prefix + "few:", _vectors()[:7], metric)
    assert len(queries.unseen(client, few, "", 100, 0)) == 7
    one = _load(client, prefix + "one:", _vectors()[:1], metric)
    assert len(queries.unseen(client, one, "", 100, 0)) == 1
    with pytest.raises(BadInput, match="matches the filter"):
        queries.unseen(client, one, "", 100, 0, "@tag:{nothing}")


def test_a_flat_index_needs_no_calibration(client: Client, prefix: str) -> None:
    info = _load(client, prefix, _vectors()[:600], "L2", flat=True)
    run = recall(client, info, _request(info))
    assert run.queries.uncertainty == CERTAIN
    assert run.points[0].recall == 1


def test_documents_tell_by_how_much_they_flatter(client: Client, prefix: str, tmp_path: Path) -> None:
    info = _load(client, prefix, _vectors()[:INSIDE], "L2")
    run = run_saved(client, info, _request(info, source=Documents(400, 2, extend=False)), tmp_path)
    assert run.beside is not None
    made = recall(
        client,
        info,
        _request(
            info,
            ef_min=run.beside.ef_runtime,
            ef_max=run.beside.ef_runtime,
            source=Unseen(400, 2, extend=False),
        ),
    )
    assert run.beside.recall == pytest.approx(made.points[0].recall)
    point = run.point(run.beside.ef_runtime)
    assert point is not None
    assert run.beside.documents == point.recall > run.beside.recall
    assert run.recommendation is not None
    assert any("flatter" in reason for reason in run.recommendation.reasons)
    assert "documents as queries" in run.recommendation.sentence
    assert store.load(tmp_path, run.id).beside == run.beside
    assert made.beside is None


def test_a_map_selection_is_repeated_as_it_was(
    client: Client,
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    info = _load(client, prefix, _vectors()[:1_000], "COSINE")
    keys = tuple(f"{prefix}d:{i}" for i in range(100, 137))
    run = run_saved(client, info, _request(info, source=Selected(keys)), tmp_path)
    assert run.queries.own_keys == keys
    kept = store.load(tmp_path, run.id)
    assert kept.request == run.request
    assert kept.request.source == Selected(keys)
    again = report.command_line(kept)
    assert "run:" in again.command
    assert again.limits
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("MEMDB_URL", f"redis://{client.target.host}:{client.target.port}")
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    main(shlex.split(again.command)[1:])
    told = json.loads(capsys.readouterr().out)
    assert told["queries"] == 37
    assert told["seed"] is None
    second = store.load(tmp_path, told["run"])
    assert second.queries.digest == run.queries.digest
    assert second.request.source == Repeated(run.id, Selected(keys))
    assert [p.recall for p in second.points] == [p.recall for p in run.points]


def test_a_run_that_repeats_another_tells_its_seed(client: Client, prefix: str, tmp_path: Path) -> None:
    info = _load(client, prefix, _vectors()[:1_000], "COSINE")
    first = run_saved(client, info, _request(info, source=Unseen(60, 9, extend=False)), tmp_path)
    again = run_saved(client, info, _request(info, source=Repeated(first.id)), tmp_path)
    assert again.queries.digest == first.queries.digest
    assert "seed 9" in again.queries.words
    assert again.queries.uncertainty == first.queries.uncertainty
    drawn = asked_queries(client, info, first.request)
    assert drawn.digest == first.queries.digest
    with pytest.raises(BadInput, match="handed over"):
        asked_queries(client, info, _request(info, source=Given()))


def test_the_exact_answer_of_further_queries_is_kept(client: Client, prefix: str, tmp_path: Path) -> None:
    info = _load(client, prefix, _vectors()[:INSIDE], "L2")
    base = recall(client, info, _request(info, source=Unseen(60, extend=False)))
    middle = base.points[len(base.points) // 2]
    request = _request(info, goal=Goal("recall", (middle.low + middle.recall) / 2), source=Unseen(60))
    kept: list[Run] = []
    run = recall(client, info, request, home=tmp_path, keep=kept.append)
    assert len(run.queries) == 240
    assert run.request.source == Unseen(240, extend=False)
    assert len(list((tmp_path / "truth").glob("*.npz"))) == 2
    again = recall(client, info, run.request, home=tmp_path)
    assert again.truth.kept
    assert again.queries.digest == run.queries.digest
    for each in kept:
        assert all(len(point.recalls) == len(each.queries) == len(each.truth.keys) for point in each.points)
