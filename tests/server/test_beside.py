"""Two ways to ask beside each other, on real indexes: what moved, how far answers agree, command line too."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.asking.beside import compared, prefixes, question
from memdb.asking.side import Side, ask, opened
from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.errors import BadInput, UnsupportedFeature
from memdb.settings import Settings
from tests import embedders
from tests.embedders import Endpoint, indexed, vector_of
from tests.standins import memorydb

WORDS = "restore table rotate password count visitors bucket object region budget".split()
TEXTS = [" ".join(some) for some in itertools.islice(itertools.combinations(WORDS, 4), 0, 180, 3)]
QUESTIONS = ["restore the bucket", "count visitors of a region", "rotate", "budget object table", "password"]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        yield about


@pytest.fixture
def settings(endpoint: Endpoint, tmp_path: Path) -> Settings:
    return Settings.from_env({"MEMDB_HOME": str(tmp_path), "MEMDB_EMBEDDER_URL": endpoint.url})


def exact(text: str, dim: int, k: int) -> list[int]:
    """The nearest texts by a computation of the test's own."""
    rows = np.array([vector_of(each, dim) for each in TEXTS])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    own = vector_of(text, dim)
    return np.argsort(-(rows @ (own / np.linalg.norm(own))), kind="stable")[:k].tolist()


def test_two_models_with_indexes_of_their_own(client: Client, prefix: str, settings: Settings) -> None:
    """Other dimension, other prefix: the documents are known by what follows the prefix."""
    infos = [indexed(client, prefix, dim, texts=TEXTS) for dim in (16, 96)]
    sides = [
        opened(client, Side(info.name, k=8, ef_runtime=200, model=f"openai:any-{dim}"), settings)
        for info, dim in zip(infos, (16, 96), strict=True)
    ]
    assert prefixes(*sides) == (infos[0].prefixes[0], infos[1].prefixes[0])
    made = compared(*sides, QUESTIONS)
    assert made.first != made.second
    assert "openai:any-16" in made.first
    assert {each.text for each in made.questions} == set(QUESTIONS)
    for each in made.questions:
        first, second = ([str(i) for i in exact(each.text, dim, 8)] for dim in (16, 96))
        assert (list(each.first), list(each.second)) == (first, second)
        assert each.overlap.shared == len(set(first) & set(second))
        for move in each.moves:
            assert move.first == (first.index(move.name) + 1 if move.name in first else None)
            assert move.second == (second.index(move.name) + 1 if move.name in second else None)
    assert (np.diff(made.rbo) >= 0).all()  # those that differ most come first
    assert made.spent.texts == 2 * len(QUESTIONS)
    assert any("without their prefixes" in note for note in made.notes)
    assert made.words.startswith("Of 5 questions ")


def test_sides_that_are_alike_agree_and_a_model_is_asked_once(
    client: Client, prefix: str, settings: Settings, endpoint: Endpoint
) -> None:
    info = indexed(client, prefix, 16, texts=TEXTS)
    side = Side(info.name, k=8, ef_runtime=200, model="openai:any-16")
    made = compared(
        opened(client, side, settings), opened(client, side, settings), [*QUESTIONS, "rotate", " "]
    )
    assert made.rbo.tolist() == made.jaccard.tolist() == pytest.approx([1.0] * len(QUESTIONS))
    asked = [text for call in endpoint.calls for text in call[2]["input"]]
    assert sorted(asked) == sorted([*QUESTIONS, "dimension"])


def test_with_and_without_a_filter_and_vectors_against_words(
    client: Client, prefix: str, settings: Settings
) -> None:
    info = indexed(client, prefix, 16, texts=TEXTS)
    plain = Side(info.name, k=60, ef_runtime=200, model="openai:any-16")
    open_plain = opened(client, plain, settings)
    filtered = opened(client, replace(plain, filter="@title:bucket"), settings)
    holding = {f"{info.prefixes[0]}{i}" for i, text in enumerate(TEXTS) if "bucket" in text}
    (each,) = compared(open_plain, filtered, ["restore the bucket"]).questions
    assert set(each.second) == holding
    assert (each.overlap.shared, each.overlap.only_second) == (len(holding), 0)
    said = opened(client, replace(plain, by="words"), settings)
    answer = ask(said, "bucket")
    assert set(answer.keys) == holding
    both = ask(opened(client, replace(plain, by="both", k=5), settings), "bucket")
    assert len(both.legs) == 5
    assert both.legs[0].words is not None
    assert said.words(open_plain) == "words"
    assert filtered.words(open_plain) == "filter (@title:bucket)"


def test_two_targets(client: Client, prefix: str, settings: Settings, server_target: Target) -> None:
    info = indexed(client, prefix, 16, texts=TEXTS)
    with memorydb(server_target) as standin, connect(standin.target) as other:
        side = Side(info.name, k=8, ef_runtime=200, model="openai:any-16")
        made = compared(opened(client, side, settings), opened(other, side, settings), QUESTIONS)
        assert made.rbo.tolist() == pytest.approx([1.0] * len(QUESTIONS))
        with pytest.raises(UnsupportedFeature, match="MemoryDB returns TEXT fields but does not search them"):
            opened(other, replace(side, by="both"), settings)


def test_a_vector_for_two_indexes_of_other_dimensions(
    client: Client, prefix: str, settings: Settings
) -> None:
    side = opened(client, Side(indexed(client, prefix, 16).name, model="openai:any-16"), settings)
    with pytest.raises(
        BadInput, match=r"The question's vector has 24 numbers; the vectors of .* have 16"
    ) as caught:
        ask(side, "x", vector=np.ones(24, np.float32))
    assert "Ask in words" in caught.value.hint


def test_questions_that_are_none(client: Client, prefix: str, settings: Settings) -> None:
    side = opened(client, Side(indexed(client, prefix, 16).name, model="openai:any-16"), settings)
    with pytest.raises(BadInput, match="There are no questions"):
        compared(side, side, [" ", ""])
    with pytest.raises(BadInput, match=r"There are 2,001 questions"):
        compared(side, side, [f"q{i}" for i in range(2_001)])
    answer = ask(side, "a table")
    assert question("x", answer, answer).overlap.rbo == pytest.approx(1)


def test_the_command_line(
    client: Client,
    prefix: str,
    settings: Settings,
    endpoint: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("MEMDB_URL", client.target.address)
    monkeypatch.setenv("MEMDB_PASSWORD", client.target.password)
    monkeypatch.setenv("MEMDB_EMBEDDER_URL", endpoint.url)
    infos = [indexed(client, prefix, dim, texts=TEXTS) for dim in (16, 96)]
    words = ["search", "--index", infos[0].name, "--embedder", "openai:any-16", "--k", "8", "--ef", "200"]
    beside = ["--beside-index", infos[1].name, "--beside-embedder", "openai:any-96"]
    assert main([*words, "--text", QUESTIONS[0], *beside, "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    first, second = ([str(i) for i in exact(QUESTIONS[0], dim, 8)] for dim in (16, 96))
    assert [hit["key"].rpartition(":")[2] for hit in reply["first"]["hits"]] == first
    assert [hit["key"].rpartition(":")[2] for hit in reply["second"]["hits"]] == second
    assert reply["shared"] == len(set(first) & set(second))
    assert reply["moves"][0]["first"] == 1
    assert reply["moves"][0]["second"] == (second.index(first[0]) + 1 if first[0] in second else None)
    assert main([*words, "--text", QUESTIONS[0], *beside]) == 0
    assert "shared" in capsys.readouterr().out
    file = tmp_path / "questions.txt"
    file.write_text("\n".join(QUESTIONS))
    assert main([*words, "--questions", str(file), *beside, "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert [each["rbo"] for each in reply["questions"]] == sorted(each["rbo"] for each in reply["questions"])
    assert main([*words, "--questions", str(file), *beside]) == 0
    assert "Of 5 questions" in capsys.readouterr().out
    # Words, and both: ranks of each leg.
    assert main([*words, "--text", "bucket", "--by", "both", "--json"]) == 0
    hit = json.loads(capsys.readouterr().out)["hits"][0]
    assert hit["words"]["rank"] >= 1
    assert main([*words, "--text", "bucket", "--by", "words"]) == 0
    assert "bucket" in capsys.readouterr().out
    for wrong, said in (
        (["--questions", str(file)], "Say what to compare with"),
        (["--key", "x", *beside], "Two sides are compared by a question in words"),
        (["--text", "x", "--exact", *beside], "belong to one search by vectors"),
        (["--text", "the of", "--by", "words"], "holds no word that is indexed"),
        (["--questions", str(tmp_path / "none.txt"), *beside], "cannot be read"),
    ):
        assert main([*words, *wrong]) == 2
        assert said in capsys.readouterr().err
