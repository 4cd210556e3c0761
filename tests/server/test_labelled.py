"""The demo's labelled set: what is asked is in nothing that is indexed, and evaluating it counts right."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client
from memdb.cluster.engine import Engine
from memdb.cluster.target import Target
from memdb.demo import corpus, labelled
from memdb.embedding import local
from memdb.errors import EngineError
from memdb.vectors import index
from memdb.vectors.index import FlatField, IndexSpec

DOCS = 1_500


@pytest.fixture
def home(tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(corpus_folder, tmp_path / "home" / "corpus")
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_question_is_the_first_sentence_and_is_left_out_of_the_rest(home: Path) -> None:
    documents = corpus.documents(count=DOCS, home=home)
    whole = {document.key.removeprefix("doc:"): document.content for document in documents}
    made = labelled.items(documents)
    assert len(made) > 200
    assert len({item.question for item in made}) == len(made)
    for item in made:
        text = whole[item.key.removeprefix("labelled:")]
        assert text.split() == f"{item.question} {item.content}".split()
        assert item.question not in item.content
        assert len(item.content) >= 200
    assert labelled.items(documents, 50) == made[:50]


def test_it_is_loaded_once_and_evaluated_as_counted_in_numpy(
    server: Client,
    own_engine: Engine,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = labelled.load(server, home=home, docs=DOCS)
    made = labelled.items(corpus.documents(count=DOCS, home=home))
    assert said == f"A labelled set of {len(made):,} questions was loaded."
    assert labelled.load(server, home=home, docs=DOCS) == ""
    info = index.index_info(server, "idx:labelled")
    assert info.documents == len(made)
    assert labelled.QUESTION not in {field.identifier for field in info.fields}
    assert labelled.judgements(server).texts == dict(sorted((item.key, item.question) for item in made))

    monkeypatch.setenv("MEMDB_URL", own_engine.target.url)
    assert main(["evaluate", "--labels", "demo", "--index", "idx:labelled", "--ef", "400", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert any("without human judgement" in note for note in told["notes"])
    stored = local.embed([item.content for item in made]).astype(np.float64)
    asked = local.embed([item.question for item in made]).astype(np.float64)
    scores = asked @ stored.T
    places = (scores > np.diag(scores)[:, None]).sum(axis=1)
    expected = np.mean([1 / math.log2(place + 2) if place < 10 else 0.0 for place in places])
    assert told["settings"][0]["ndcg"] == pytest.approx(expected, abs=0.01)  # HNSW may miss one
    assert told["questions"] == len(made)


def test_the_model_words_and_both_are_compared_to_a_sentence(
    server: Client,
    own_engine: Engine,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labelled.load(server, home=home, docs=DOCS)
    monkeypatch.setenv("MEMDB_URL", own_engine.target.url)
    ways = [part for way in ("vectors", "words", "hybrid") for part in ("--by", way)]
    assert main(["evaluate", "--labels", "demo", "--index", "idx:labelled", *ways, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ndcg = {each["by"]: each["ndcg"] for each in told["settings"]}
    letters = dict(zip(ndcg, "ABC", strict=True))
    assert letters[max(ndcg, key=ndcg.__getitem__)] == told["conclusion"][0]
    assert len(told["differences"]) == 3
    assert min(ndcg.values()) > 0.2
    for each in told["differences"]:
        by = {letter: way for way, letter in letters.items()}
        expected = ndcg[by[each["second"]]] - ndcg[by[each["first"]]]
        assert each["ndcg"] == pytest.approx(expected, abs=2e-5)
        assert each["clear"] is (each["low"] > 0 or each["high"] < 0)


def test_an_index_of_that_name_that_is_another_stays_as_it_is(server: Client, home: Path) -> None:
    index.create(server, IndexSpec("idx:labelled", (FlatField("v", 4),), ("mine:",)))
    with pytest.raises(EngineError, match="another index named 'idx:labelled'"):
        labelled.load(server, home=home, docs=DOCS)
    assert server.execute("DBSIZE") == 0


def test_without_the_set_the_command_says_so(
    server_target: Target,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    client: Client,
    prefix: str,
) -> None:
    index.create(client, IndexSpec(prefix + "idx", (FlatField("v", 256),), (prefix + "d:",)))
    monkeypatch.setenv("MEMDB_URL", server_target.url)
    assert main(["evaluate", "--labels", "demo", "--index", prefix + "idx"]) == 2
    err = capsys.readouterr().err
    assert "labelled set of the demo" in err
    assert len(err.strip().splitlines()) == 1
