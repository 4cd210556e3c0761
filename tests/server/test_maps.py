"""Maps made on the real engine: what is kept, what is said, and what bad input gets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from memdb.cli import main
from memdb.cluster.client import Client
from memdb.cluster.target import Target
from memdb.errors import BadInput, UnknownField
from memdb.jobs import Job
from memdb.maps import run, store
from memdb.maps.request import Map, MapRequest
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField, TextField
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.any_engine

DIM = 12


def made(
    client: Client, prefix: str, vectors: np.ndarray, metric: str = "COSINE", tags: int = 3
) -> tuple[IndexInfo, MapRequest]:
    spec = IndexSpec(
        prefix + "idx",
        (TagField("tag"), TextField("title"), HnswField("v", DIM, metric)),
        (prefix + "d:",),  # type: ignore[arg-type]
    )
    index.create(client, spec)
    client.pipeline(
        [
            (
                "HSET",
                f"{prefix}d:{i}",
                "tag",
                f"t{0 if i % 50 else i % tags}",
                "title",
                f"word{i % 4} alpha",
                "v",
                v.astype(np.float32).tobytes(),
            )
            for i, v in enumerate(vectors)
        ]
    )
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    return index.index_info(client, prefix + "idx"), MapRequest(prefix + "idx", count=500)


def groups(count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(size=(4, DIM))[np.arange(count) % 4] * 4 + rng.normal(size=(count, DIM))


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_a_map_is_kept_and_found_again(client: Client, prefix: str, tmp_path: Path, metric: str) -> None:
    info, request = made(client, prefix, groups(), metric)
    seen: list[str] = []
    first = run.make(client, info, request, home=tmp_path, keep=lambda m: seen.append(m.method))
    assert seen[0] == "PCA"
    assert first.method == "UMAP"
    assert first.xy.shape == (400, 2)
    assert first.quality is not None
    assert first.quality.trustworthiness > 0.7
    assert first.words == "all 400"
    assert [stage for stage, _ in first.seconds] == [
        "read",
        "PCA",
        "neighbours",
        "layout",
        "quality",
        "clusters",
    ]
    seen.clear()
    again = run.make(client, info, request, home=tmp_path, keep=lambda m: seen.append(m.method))
    assert not seen
    np.testing.assert_array_equal(again.xy, first.xy)
    assert again.keys == first.keys
    points = store.vectors(tmp_path, client.target, first)
    assert points is not None
    assert points.shape == (400, DIM)
    other = run.make(client, info, replace(request, layout_seed=5), home=tmp_path)
    assert not np.array_equal(other.xy, first.xy)


def test_samples(client: Client, prefix: str) -> None:
    info, request = made(client, prefix, groups())
    some = replace(request, count=60, seed=7)
    one, two = run.make(client, info, some), run.make(client, info, some)
    assert one.keys == two.keys
    assert one.words == "60 of 400, random, seed 7"
    assert run.make(client, info, replace(some, seed=8)).keys != one.keys
    even = run.make(client, info, replace(some, count=20, by="stratified", stratum="tag"))
    tags = [client.execute("HGET", key, "tag") for key in even.keys]
    # t1 and t2 are on a few documents of 400: all of them are there.
    assert {bytes(t) if isinstance(t, bytes) else t.encode() for t in tags} == {b"t0", b"t1", b"t2"}
    assert "stratified by tag" in even.words
    filtered = run.make(client, info, replace(request, condition="@tag:{t0}"))
    assert len(filtered.keys) == filtered.total < 400
    with pytest.raises(UnknownField):
        run.make(client, info, replace(some, by="stratified", stratum="nothing"))
    three = run.make(client, info, replace(some, dimensions=3))
    assert three.xy.shape == (60, 3)


def test_fewer_documents_than_neighbours(client: Client, prefix: str) -> None:
    info, request = made(client, prefix, groups(9))
    small = run.make(client, info, request)
    assert small.xy.shape == (9, 2)
    assert np.isfinite(small.xy).all()
    assert any("8 neighbours each, not 15" in note for note in small.notes)
    with pytest.raises(BadInput, match="matches the filter @tag:"):
        run.make(client, info, replace(request, condition="@tag:{nothing}"))


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
@pytest.mark.parametrize("kind", ["equal", "zero", "one zero", "two places"])
def test_vectors_that_coincide(client: Client, prefix: str, kind: str, metric: str) -> None:
    vectors = groups(60)
    if kind == "equal":
        vectors = np.ones((60, DIM))
    elif kind == "zero":
        vectors = np.zeros((60, DIM))
    elif kind == "two places":
        vectors = np.repeat(np.eye(DIM)[:2], 30, axis=0)
    else:
        vectors[0] = 0
    info, request = made(client, prefix, vectors, metric)
    if kind == "zero" and metric == "COSINE":  # no direction: nothing that could be laid out
        with pytest.raises(BadInput, match="has a usable vector in 'v'") as refused:
            run.make(client, info, request)
        assert "60 documents with a zero vector" in refused.value.hint
        return
    drawn = run.make(client, info, request)
    assert np.isfinite(drawn.xy).all()
    said = {"equal": "60 documents have the same vector", "zero": "60 vectors are zero"}
    said |= {"one zero": "zero vector" if metric == "COSINE" else "1 vector is zero"}
    said |= {"two places": "neighbours are copies of it"}
    assert any(said[kind] in note for note in drawn.notes)
    if kind == "two places":  # two points, each with half of the documents
        assert "All vectors are equal" not in " ".join(drawn.notes)
        places, counts = np.unique(drawn.xy, axis=0, return_counts=True)
        assert counts.tolist() == [30, 30]
        assert np.linalg.norm(places[0] - places[1]) == pytest.approx(np.sqrt(2), rel=1e-4)
        assert drawn.method == "PCA"


def test_vectors_that_are_not_usable_are_left_out_and_it_is_said(client: Client, prefix: str) -> None:
    info, request = made(client, prefix, groups(80))
    bad = np.full(DIM, np.nan, np.float32)
    client.execute("HSET", f"{prefix}d:nan", "tag", "t0", "v", bad.tobytes())
    client.execute("HSET", f"{prefix}d:short", "tag", "t0", "v", bad[:5].tobytes())
    client.execute("HSET", f"{prefix}d:none", "tag", "t0")
    drawn = run.make(client, index.index_info(client, info.name), request)
    assert len(drawn.keys) == 80
    assert np.isfinite(drawn.xy).all()
    assert any("without a usable vector" in note for note in drawn.notes)


def test_an_index_that_changes_meanwhile_is_said(client: Client, prefix: str, tmp_path: Path) -> None:
    info, request = made(client, prefix, groups(60))

    def grow(drawn: Map) -> None:
        if drawn.method == "PCA":
            client.execute(
                "HSET", f"{prefix}d:new", "tag", "t0", "v", groups(1)[0].astype(np.float32).tobytes()
            )

    drawn = run.make(client, info, request, home=tmp_path, keep=grow)
    assert any("changed while the map was made: 1 document more" in note for note in drawn.notes)
    later = index.index_info(client, info.name)
    assert store.find(tmp_path, client, later, request) is None

    def drop(drawn: Map) -> None:
        if drawn.method == "PCA":
            client.execute("FT.DROPINDEX", info.name)

    before = set(tmp_path.rglob("*.npz"))
    drawn = run.make(client, later, request, home=tmp_path, keep=drop)
    assert any("The index was dropped while the map was made" in note for note in drawn.notes)
    assert drawn.method == "UMAP"
    assert np.isfinite(drawn.xy).all()
    assert set(tmp_path.rglob("*.npz")) == before


def test_a_cancelled_job_keeps_the_first_picture(client: Client, prefix: str, tmp_path: Path) -> None:
    info, request = made(client, prefix, groups())

    def work(job: Job[Map]) -> Map:
        def first(drawn: Map) -> None:
            job.keep(drawn)
            job.cancel()

        return run.make(client, info, request, home=tmp_path, report=job.report, keep=first)

    job = Job("Map", work)
    job.wait(PATIENCE_S)
    assert job.state.status == "cancelled"
    assert job.result is not None
    assert job.result.method == "PCA"
    assert not list(tmp_path.rglob("*.npz"))


def test_a_damaged_file_is_passed_over(client: Client, prefix: str, tmp_path: Path) -> None:
    info, request = made(client, prefix, groups(60))
    run.make(client, info, request, home=tmp_path)
    (kept,) = (tmp_path / "maps").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    assert store.find(tmp_path, client, info, request) is None
    assert len(run.make(client, info, request, home=tmp_path).keys) == 60


def test_a_map_of_another_version_is_no_damage(client: Client, prefix: str, tmp_path: Path) -> None:
    """Whatever its shape: an upgrade of memdb draws maps anew and tells of no damaged file."""
    info, request = made(client, prefix, groups(60))
    run.make(client, info, request, home=tmp_path)
    (kept,) = (tmp_path / "maps").glob("*.npz")
    with np.load(kept) as file:
        arrays = dict(file)
    about = json.loads(arrays["about"].tobytes())
    about |= {"format": about["format"] - 1, "quality": about["quality"][:-1], "gone": 1}
    del about["made_at"]
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(kept, **arrays)
    assert store.find(tmp_path, client, info, request) is None
    assert store.listed(tmp_path, client.target) == ()
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [kept.name]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_the_command_line_writes_coordinates(
    demo_target: Target,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_PASSWORD", demo_target.password or "")
    out = tmp_path / f"map.{ending}"
    url = f"redis://{demo_target.username or ''}{'@' if demo_target.username else ''}{demo_target.host}:{demo_target.port}"
    words = ["map", "--index", "idx:embeddings", "--sample", "300", "--seed", "7", "--url", url]
    assert main([*words, "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sample"] == "300 of 2,000, random, seed 7"
    assert 0.5 < said["quality"]["trustworthiness"] <= 1
    if ending == "csv":
        rows = pd.read_csv(out)
    elif ending == "json":
        rows = pd.DataFrame(json.loads(out.read_text())["rows"])
    else:
        rows = pd.read_parquet(out)
        assert json.loads(pq.read_schema(out).metadata[b"memdb"])["request"]["seed"] == 7
    assert len(rows) == 300
    assert {"key", "x", "y", "kept", "cluster"} <= set(rows)
    assert main([*words, "--out", str(tmp_path / "map.xlsx")]) == 2
    assert ".csv, .json or .parquet" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "no" / "map.csv")]) == 2
    for given in ("many", "-5", "²", "1e3"):
        assert main([*words[:4], given, *words[5:], "--out", str(out)]) == 2
        assert "which is no number of documents" in capsys.readouterr().err
