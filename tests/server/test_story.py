"""What the presentation shows of a target, made beforehand: against computations of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memdb.cli.entry import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.errors import BadInput
from memdb.story import contrast, leaning, prepare
from memdb.story.contrast import Contrast
from memdb.tuning import store
from memdb.tuning.ask import recall
from memdb.tuning.run import SweepRequest
from memdb.tuning.source import Unseen
from memdb.vectors.index import index_info

INDEX = "idx:embeddings"


@pytest.fixture
def reader(demo_target: Target) -> Iterator[Client]:
    with connect(demo_target.read_only()) as client:
        yield client


def test_the_two_users_are_those_least_alike(reader: Client) -> None:
    first, second = leaning.pair(reader, 256)
    keys = [key for key in reader.execute("SCAN", 0, "COUNT", 100_000)[1] if key.startswith(b"user:")]
    rows = {
        key.decode(): np.frombuffer(reader.execute("HGET", key, "embedding"), "<f4").astype(np.float64)
        for key in keys
    }
    units = {key: row / np.linalg.norm(row) for key, row in rows.items()}
    least = min(units[a] @ units[b] for a in units for b in units if a < b)
    assert units[first.key] @ units[second.key] == pytest.approx(least, abs=1e-5)
    assert first.vector is not None


def test_without_two_users_of_that_model_it_is_told(reader: Client) -> None:
    with pytest.raises(BadInput, match="no two users with a preference of 7 numbers"):
        leaning.pair(reader, 7)


def test_a_look_that_ended_early_does_not_speak_for_the_whole_target(
    reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaning, "_STEPS", 2)
    monkeypatch.setattr(leaning, "_STEP", 5)
    with pytest.raises(BadInput, match="Among the first 10 keys of this target are no two users"):
        leaning.pair(reader, 7)


@pytest.mark.usefixtures("briefly")
def test_the_query_asked_live_finds_what_the_server_returns(reader: Client) -> None:
    info = index_info(reader, INDEX)
    request = SweepRequest(INDEX, "embedding", concurrency=(), ef_max=40, source=Unseen(60, 1, extend=False))
    run = recall(reader, info, request)
    row = 3
    low, high = contrast.ask(reader, info, run, Contrast(row, 11, 200))
    documents = [key for key in reader.execute("SCAN", 0, "COUNT", 100_000)[1] if key.startswith(b"doc:")]
    stored = np.array(
        [np.frombuffer(reader.execute("HGET", key, "embedding"), "<f4") for key in documents], np.float64
    )
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    query = run.queries.vectors[row].astype(np.float64)
    ranked = np.argsort(-(stored @ query), kind="stable")
    truth = [documents[i].decode() for i in ranked if documents[i].decode() != run.queries.own_keys[row]][:10]
    assert list(run.truth.keys[row]) == truth
    for answer in (low, high):
        clause = f"*=>[KNN 11 @embedding $v EF_RUNTIME {answer.ef_runtime}]"
        params = ("PARAMS", 2, "v", query.astype("<f4").tobytes(), "DIALECT", 2)
        reply = reader.execute("FT.SEARCH", INDEX, clause, "NOCONTENT", "LIMIT", 0, 11, *params)
        returned = {key.decode() for key in reply[1:]}
        assert answer.found == tuple(key in returned for key in truth)
    assert sum(high.found) == 10


@pytest.mark.usefixtures("briefly")
def test_everything_is_prepared_and_found_again(reader: Client, tmp_path: Path) -> None:
    info = index_info(reader, INDEX)
    parts: list[prepare.Prepared] = []
    first = prepare.prepare(reader, info, tmp_path, keep=parts.append)
    assert [part.ready("curve") for part in parts] == [False, False, True]
    assert first.problems == {}
    again = prepare.prepare(reader, info, tmp_path)
    assert first.curve is not None
    assert again.curve is not None
    assert again.curve.id == first.curve.id
    assert first.map is not None
    assert again.map is not None
    assert again.map.keys == first.map.keys
    assert len(first.map.keys) == prepare.POINTS


@pytest.mark.usefixtures("briefly")
def test_a_sweep_that_is_not_to_be_saved_is_in_the_presentation_alone(reader: Client, tmp_path: Path) -> None:
    made = prepare.prepare(reader, index_info(reader, INDEX), tmp_path, save=False)
    assert made.curve is not None
    assert made.curve.points
    assert store.listed(tmp_path) == ()


def test_the_index_of_a_presentation_is_the_largest_of_the_model(reader: Client) -> None:
    assert prepare.fitting_index(reader, 256) == INDEX
    assert prepare.fitting_index(reader, 5) == INDEX, "of another model: the largest"


def test_the_command_says_what_is_not_ready(
    demo_target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment(demo_target.read_only(), tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("os.nice", lambda _: 0)  # the rest of this run keeps its priority
    assert main(["present"]) == 0
    assert "--prepare" in capsys.readouterr().out
    assert main(["present", "--prepare", "--index", "idx:users", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["index"] == "idx:users"
    assert set(told["ready"]) | set(told["problems"]) == set(prepare.PARTS)
    assert main(["present", "--prepare", "--index", "nothing"]) == 2
