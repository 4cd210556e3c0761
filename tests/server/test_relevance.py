"""Evaluations on servers: hits are those counted in NumPy, and what fails in the middle loses nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Target
from memdb.embedding import Embedder, Patience, Side, local
from memdb.embedding.answers import ModelAnswer
from memdb.errors import BadInput, Cancelled, UnknownField, UnknownIndex, Unreachable, UnsupportedFeature
from memdb.relevance import compare, evaluate, labels, store
from memdb.relevance.evaluate import run_saved
from memdb.relevance.labels import Judgements
from memdb.relevance.run import EvaluationRequest, Setting
from memdb.vectors import index
from memdb.vectors.fusion import Fusion
from memdb.vectors.hybrid import HybridRequest, hybrid
from memdb.vectors.index import FlatField, HnswField, IndexSpec, TagField, TextField
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.search import knn
from memdb.vectors.words import WordsRequest, words
from tests.conftest import clean
from tests.embedders import endpoint
from tests.standins import memorydb, valkey_search
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT, K = 12, 300, 7
METRICS = ("COSINE", "L2", "IP")


@dataclass
class Toy:
    """A model of the tests: a text is the seed of its vector. It may fail after so many texts."""

    name: str = "toy"
    dimension: int | None = DIM
    fails_after: int = 1_000_000
    told: int = field(default=0, compare=False)
    spec, identity, sends_to, at_once, longest = "toy", "toy", "", 1_000, 1_000

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        assert side == "query"
        self.told += len(texts)
        if self.told > self.fails_after:
            raise Unreachable(
                "The embedding endpoint h:1 did not answer (Timeout).", "Check MEMDB_EMBEDDER_URL."
            )
        return ModelAnswer([vector_of(text) for text in texts], sum(len(text.split()) for text in texts))


def vector_of(text: str) -> np.ndarray:
    made = np.random.default_rng(sum(map(ord, text))).normal(size=DIM)
    return made / np.linalg.norm(made)


def ranking(vectors: np.ndarray, text: str, metric: str) -> list[int]:
    """Rows, nearest first, in float64."""
    query = vector_of(text).astype(np.float32).astype(np.float64)
    wide = vectors.astype(np.float64)
    if metric == "L2":
        distances = ((wide - query) ** 2).sum(axis=1)
    else:
        lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(query) if metric == "COSINE" else 1.0
        distances = 1 - wide @ query / lengths
    return np.argsort(distances, kind="stable").tolist()


# Behind a stand-in must be an engine that orders hits as RediSearch does.
@pytest.fixture(
    params=[
        "engine",
        *(
            pytest.param(name, marks=pytest.mark.needs("sorted_hits"))
            for name in ("valkey-search", "memorydb")
        ),
    ]
)
def anywhere(request: pytest.FixtureRequest, server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client of each engine. What begins with `prefix` is gone afterwards."""
    if request.param == "engine":
        with connect(server_target) as opened:
            yield opened
            clean(opened, prefix)
        return
    start = valkey_search if request.param == "valkey-search" else memorydb
    with start(server_target) as running, connect(replace(running.target, writable=True)) as opened:
        yield opened
        with connect(server_target) as behind:
            clean(behind, prefix)


def loaded(client: Client, prefix: str, metric: str = "COSINE") -> np.ndarray:
    """An exact index `<prefix>idx` over `<prefix>d:<i>`, and its vectors (n, d), of different lengths."""
    random = np.random.default_rng(3)
    vectors = (random.normal(size=(COUNT, DIM)) * random.uniform(0.5, 2, (COUNT, 1))).astype(np.float32)
    spec = IndexSpec(prefix + "idx", (TagField("tag"), FlatField("v", DIM, metric)), (prefix + "d:",))  # type: ignore[arg-type]
    index.create(client, spec)
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", v.tobytes()) for i, v in enumerate(vectors)]
    )
    until(lambda: index.index_info(client, prefix + "idx").build.ready, "the index is built")
    return vectors


def judged(prefix: str, count: int = 40, step: int = 11) -> Judgements:
    """Questions with two graded documents each."""
    texts = {f"q{i}": f"question {i}" for i in range(count)}
    grades = {f"q{i}": {f"{prefix}d:{i * step % COUNT}": 2, f"{prefix}d:{i}": 1} for i in range(count)}
    return Judgements(texts, grades, "tests")


def made(model: Toy) -> Embedder:
    return Embedder(model, patience=Patience(tries=1))


def toy(*_: object) -> Embedder:
    return made(Toy())


@pytest.mark.parametrize("metric", METRICS)
def test_hits_are_the_nearest_counted_in_numpy(anywhere: Client, prefix: str, metric: str) -> None:
    vectors = loaded(anywhere, prefix, metric)
    setting = Setting(prefix + "idx")
    run = evaluate.evaluate(anywhere, EvaluationRequest((setting,), k=K), judged(prefix), toy)
    expected = [[f"{prefix}d:{row}" for row in ranking(vectors, text, metric)[:K]] for text in run.questions]
    assert [list(row) for row in run.answers[0].hits] == expected
    relevant = [set(known) for known in run.grades]
    precision = [len(set(row) & keys) / K for row, keys in zip(expected, relevant, strict=True)]
    assert compare.values(run, 0, "precision") == pytest.approx(precision, abs=1e-6)
    assert not run.partial
    assert run.notes == ()
    assert run.embedded[0].startswith("toy: 40 texts, 80 tokens, ")


@pytest.mark.needs("sorted_hits")  # of the engine behind the stand-in
def test_a_build_that_begins_while_questions_are_asked_is_told(server_target: Target, prefix: str) -> None:
    with valkey_search(server_target) as running, connect(replace(running.target, writable=True)) as client:
        loaded(client, prefix)

        def begin(*_: object) -> None:
            running.building = True

        request = EvaluationRequest((Setting(prefix + "idx"),), k=K)
        run = evaluate.evaluate(client, request, judged(prefix), toy, report=begin)
        running.building = False
        clean(client, prefix)
    (note,) = run.notes
    assert note.startswith("While questions were asked: ")
    assert "is still being built" in note


def test_a_filter_holds_for_every_setting(anywhere: Client, prefix: str) -> None:
    vectors = loaded(anywhere, prefix)
    request = EvaluationRequest((Setting(prefix + "idx"),), k=K, filter="@tag:{t1}")
    run = evaluate.evaluate(anywhere, request, judged(prefix), toy)
    for text, hits in zip(run.questions, run.answers[0].hits, strict=True):
        under = [f"{prefix}d:{row}" for row in ranking(vectors, text, "COSINE") if row % 3 == 1]
        assert list(hits) == under[:K]


def test_two_indexes_are_asked_the_same_and_paired(client: Client, prefix: str) -> None:
    """The second knows a copy of each document under another prefix, turned away from its place."""
    vectors = loaded(client, prefix)
    random = np.random.default_rng(9)
    poor = (vectors + random.normal(size=vectors.shape)).astype(np.float32)
    index.create(client, IndexSpec(prefix + "two", (HnswField("w", DIM, "COSINE"),), (prefix + "v2:",)))
    client.pipeline([("HSET", f"{prefix}v2:{prefix}d:{i}", "w", v.tobytes()) for i, v in enumerate(poor)])
    nearest = {text: ranking(vectors, text, "COSINE")[0] for text in judged(prefix).texts.values()}
    right = Judgements(
        judged(prefix).texts,
        {identity: {f"{prefix}d:{nearest[text]}": 3} for identity, text in judged(prefix).texts.items()},
        "tests",
    )
    settings = (Setting(prefix + "idx"), Setting(prefix + "two", strip=f"{prefix}v2:", ef_runtime=200))
    run = evaluate.evaluate(client, EvaluationRequest(settings), right, toy)
    assert compare.values(run, 0) == pytest.approx(np.ones(40))
    places = [ranking(poor, text, "COSINE").index(nearest[text]) for text in run.questions]
    expected = [1 / math.log2(place + 2) if place < 10 else 0.0 for place in places]
    assert compare.values(run, 1) == pytest.approx(expected, abs=1e-6)
    assert compare.conclusion(run).startswith("A is better than B with 95 % confidence")


def test_a_model_that_fails_in_the_middle_loses_nothing(
    client: Client, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(client, prefix)
    monkeypatch.setattr(evaluate, "AT_ONCE", 10)
    model = Toy(fails_after=25)
    request = EvaluationRequest((Setting(prefix + "idx"),))
    run = run_saved(client, request, judged(prefix), lambda *_: made(model), tmp_path)
    assert (len(run.questions), run.partial) == (20, True)
    assert run.notes == (
        "It ended after 20 of 40 questions: The embedding endpoint h:1 did not answer (Timeout).",
    )
    assert store.load(tmp_path, run.id) == run
    whole = evaluate.evaluate(client, request, judged(prefix), toy)
    assert run.answers[0].hits == whole.answers[0].hits[:20]
    with pytest.raises(Unreachable):
        run_saved(client, request, judged(prefix), lambda *_: made(Toy(fails_after=5)), tmp_path)


def test_a_cancelled_evaluation_keeps_what_was_asked(
    client: Client, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(client, prefix)
    monkeypatch.setattr(evaluate, "AT_ONCE", 10)

    def report(stage: str, done: int, total: int) -> None:
        if done >= 30:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_saved(
            client,
            EvaluationRequest((Setting(prefix + "idx"),)),
            judged(prefix),
            toy,
            tmp_path,
            report=report,
        )
    (entry,) = store.listed(tmp_path)
    assert (entry.questions, entry.partial) == (20, True)


def test_labels_for_keys_that_are_gone_count_for_nothing_and_are_told(client: Client, prefix: str) -> None:
    loaded(client, prefix)
    request = EvaluationRequest((Setting(prefix + "idx"),))
    known = judged(prefix)
    before = evaluate.evaluate(client, request, known, toy)
    more = {identity: {**of, f"{prefix}d:gone": 3, "elsewhere": 1} for identity, of in known.grades.items()}
    more["lost"] = {f"{prefix}d:gone": 3}
    more["never"] = {f"{prefix}d:1": 0}
    texts = {**known.texts, "lost": "lost?", "never": "never?"}
    run = evaluate.evaluate(client, request, Judgements(texts, more, "tests"), toy)
    assert compare.values(run, 0) == pytest.approx(compare.values(before, 0))
    first, second, third = run.notes
    assert first.startswith("1 of 42 questions have no document of grade 1 or more: left out")
    assert second.startswith("2 of ")
    assert "labelled documents are gone, or in none of these indexes, e.g. " in second
    assert third == "1 of 41 questions have none of their documents left: left out."
    with pytest.raises(BadInput, match="None of the 1 questions has a relevant document that is still there"):
        evaluate.evaluate(client, request, Judgements({"a": "a"}, {"a": {"gone": 1}}, "tests"), toy)


def test_what_does_not_fit_is_told_before_anything_is_asked(client: Client, prefix: str) -> None:
    loaded(client, prefix)
    model = Toy()
    for setting, error, said in (
        (Setting(prefix + "none"), UnknownIndex, "There is no index"),
        (Setting(prefix + "idx", field="nope"), UnknownField, "nope"),
        (
            Setting(prefix + "idx", embedder="other"),
            BadInput,
            f"wide gives 13 numbers; the vectors of '{prefix}idx'",
        ),
    ):
        with pytest.raises(error, match=said):
            evaluate.evaluate(
                client,
                EvaluationRequest((Setting(prefix + "idx"), replace(setting, strip="x"))),
                judged(prefix),
                lambda chosen, _: made(Toy("wide", 13) if chosen.embedder else model),
            )
    assert model.told == 0


def test_words_and_both_together_are_what_a_single_search_gives(anywhere: Client, prefix: str) -> None:
    """Each question by itself, and by every question of a batch; one has no word that is indexed."""
    said = ("horse", "boat", "stone house", "red boat", "old horse stone")
    spec = IndexSpec(prefix + "idx", (TextField("t"), FlatField("v", DIM)), (prefix + "d:",))
    index.create(anywhere, spec)
    for i in range(60):
        vector = vector_of(f"place {i}").astype("<f4").tobytes()
        anywhere.execute("HSET", f"{prefix}d:{i}", "t", f"{said[i % 5]} {i}", "v", vector)
    until(lambda: index.index_info(anywhere, prefix + "idx").build.ready, "the index is built")
    info = index.index_info(anywhere, prefix + "idx")
    questions = ["a red horse", "boat of stone", "the", "house 7"]
    known = Judgements(
        {text: text for text in questions},
        {text: {f"{prefix}d:{i}": 1} for i, text in enumerate(questions)},
        "t",
    )
    weighted = Fusion("weighted", weight=0.9)
    settings = (
        *(Setting(info.name, by=by) for by in ("vectors", "words", "hybrid")),
        Setting(info.name, by="hybrid", fusion=weighted),
    )
    if anywhere.server.dialect.name == "memorydb":
        with pytest.raises(UnsupportedFeature, match="Searching words is not available here"):
            evaluate.evaluate(anywhere, EvaluationRequest(settings, k=K), known, toy)
        return
    run = evaluate.evaluate(anywhere, EvaluationRequest(settings, k=K), known, toy)
    for row, text in enumerate(questions):
        near = KnnRequest(info.name, vector_param(vector_of(text).astype(np.float32)), "v", K)
        assert run.answers[0].hits[row] == knn(anywhere, near, info).keys
        if text == "the":
            assert run.answers[1].hits[row] == ()
            assert run.answers[2].hits[row] == run.answers[0].hits[row]
        else:
            alone = words(anywhere, info, WordsRequest(info.name, text, K)).keys
            assert run.answers[1].hits[row] == alone
            assert {
                f"{prefix}d:{i}" for i in range(60) if set(text.split()) & set(f"{said[i % 5]} {i}".split())
            } >= set(alone)
            assert run.answers[2].hits[row] == hybrid(anywhere, info, HybridRequest(near, text)).keys
            assert (
                run.answers[3].hits[row] == hybrid(anywhere, info, HybridRequest(near, text, weighted)).keys
            )
    assert run.answers[3].hits != run.answers[2].hits


# ---- the command -------------------------------------------------------------------------------------------

TEXTS = [
    f"the {a} of a {b}"
    for a in ("price", "colour", "weight", "age")
    for b in ("horse", "boat", "house", "stone", "tree")
]


@pytest.fixture
def shelf(
    client: Client, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_target: Target
) -> str:
    """An index of the shipped model's vectors, and files of labels: the right document of a text is its own."""
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEMDB_URL", server_target.url)
    vectors = local.embed(TEXTS)
    index.create(client, IndexSpec(prefix + "idx", (FlatField("v", local.DIMENSION),), (prefix + "d:",)))
    client.pipeline([("HSET", f"{prefix}d:{i}", "v", v.tobytes()) for i, v in enumerate(vectors)])
    lines = [json.dumps({"_id": f"q{i}", "text": f"{text}?"}) for i, text in enumerate(TEXTS)]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    rows = ["query-id\tcorpus-id\tscore", *(f"q{i}\t{prefix}d:{i}\t1" for i in range(len(TEXTS)))]
    (tmp_path / "test.tsv").write_text("\n".join(rows))
    monkeypatch.chdir(tmp_path)
    return prefix + "idx"


def test_the_command_evaluates_keeps_and_guards(
    shelf: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--index", shelf, "--queries", "queries.jsonl", "--qrels", "test.tsv"]
    assert main([*words, "--json", "--ndcg", "0.5", "--out", "rows.csv"]) == 0
    told = json.loads(capsys.readouterr().out)
    vectors = local.embed(TEXTS).astype(np.float64)
    asked = local.embed([f"{text}?" for text in TEXTS]).astype(np.float64)
    order = np.argsort(-(asked @ vectors.T), axis=1, kind="stable")
    places = [order[i].tolist().index(i) for i in range(len(TEXTS))]
    expected = [1 / math.log2(place + 2) if place < 10 else 0.0 for place in places]
    assert told["settings"][0]["ndcg"] == pytest.approx(np.mean(expected), abs=1e-5)
    assert (told["questions"], told["partial"], told["gates"][0]["kept"]) == (20, False, True)
    assert pd.read_csv("rows.csv")["A"].tolist() == pytest.approx(expected, abs=1e-6)
    assert store.load(tmp_path / "home", told["run"]).ids == tuple(f"q{i}" for i in range(20))

    assert main(["evaluate", "--run", told["run"], "--ndcg", "1"]) == (0 if np.mean(expected) == 1 else 1)
    assert main([*words, "--not-below", told["run"], "--json"]) == 0
    again = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))
    assert again["gates"][0]["words"].startswith("nDCG@10 ")
    assert main([*words, "--k", "3", "--not-below", told["run"]]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No index is named."),
        (
            ["--index", "a", "--index", "b", "--ef", "1", "--ef", "2", "--ef", "3"],
            "3 settings are named, and --index 2 times.",
        ),
        (["--index", "a", "--hybrid", "--by", "words"], "two ways to search"),
        (
            ["--index", "a", "--hybrid", "--fusion", "weighted", "--weight", "1.5"],
            "The weight of the vectors",
        ),
        (["--index", "a", "--queries", "queries.jsonl"], "--queries names questions without grades."),
        (["--index", "a", "--qrels", "nowhere"], "'nowhere' cannot be read"),
        (["--index", "a"], "You have no labels yet."),
        (["--index", "a", "--qrels", "queries.jsonl"], "line 1: "),
        (["--index", "a", "--out", "x.txt"], "'x.txt' names no kind of file."),
        (["--run", "../x"], "x"),
    ],
)
def test_a_wrong_command_is_told_in_a_line(
    shelf: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [shelf if word == "a" else word for word in words]
    assert main(["evaluate", *given]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""


def test_what_leaves_the_machine_is_said_before_it_does(
    shelf: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint() as model:
        monkeypatch.setenv("MEMDB_EMBEDDER_URL", model.url)
        name = f"openai:any-{local.DIMENSION}@{local.DIMENSION}"
        words = ["evaluate", "--index", shelf, "--queries", "queries.jsonl", "--qrels", "test.tsv"]
        assert main([*words, "--embedder", name, "--json"]) == 0
        printed = capsys.readouterr()
        assert "Texts are sent to " in printed.err
        assert {text for _, _, body in model.calls for text in body["input"]} == {
            f"{text}?" for text in TEXTS
        }
        assert "20 texts" in json.loads(printed.out)["embedded"][0]
        assert main([*words, "--json"]) == 0
        assert "sent to" not in capsys.readouterr().err


def test_labels_are_imported_listed_exported_and_evaluated(
    shelf: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["labels", "import", "--queries", "queries.jsonl", "--qrels", "test.tsv"]) == 0
    assert "Imported 20 labels of 20 questions; there are 20 now." in capsys.readouterr().out
    for kind, name in (("csv", "labels.csv"), ("beir", "labels-beir.zip"), ("trec", "labels-trec.zip")):
        assert main(["labels", "export", "--as", kind]) == 0
        assert Path(name).stat().st_size > 0
    kept = labels.load(tmp_path / "home")
    assert main(["labels", "import", "--qrels", "labels.csv"]) == 0
    assert labels.load(tmp_path / "home") == kept
    capsys.readouterr()
    assert main(["labels", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["labels"]) == 20
    assert main(["evaluate", "--index", shelf, "--k", "3"]) == 0
    assert "20 questions of your labels" in capsys.readouterr().out


def test_an_import_with_one_wrong_grade_keeps_nothing(
    shelf: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("more.csv").write_text("question,key,grade\na,doc:1,3\nb,doc:2,4\n")
    assert main(["labels", "import", "--qrels", "more.csv"]) == 2
    assert "4 is no grade of a label" in capsys.readouterr().err
    assert labels.load(tmp_path / "home") == ()
