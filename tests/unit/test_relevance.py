"""Labels, their files, the measures and what follows from them: against computations of the tests' own."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from memdb.errors import BadInput, DamagedFile, MemDBError, NotFound
from memdb.relevance import compare, exchange, gate, labels, report, store
from memdb.relevance.labels import Label
from memdb.relevance.measures import measured
from memdb.relevance.run import Evaluation, EvaluationRequest, Setting, SettingAnswers

HOSTILE = "k:\udcff <b>\t, \"q\" 'x'"


def by_hand(hits: Sequence[str], grades: Mapping[str, int], k: int, relevant: int) -> tuple[float, ...]:
    """nDCG, reciprocal rank, precision, recall and unjudged of one question, counted in plain Python."""
    top = list(hits)[:k]
    gains = [max(grades.get(key, 0), 0) for key in top]
    ideal = sorted((max(grade, 0) for grade in grades.values()), reverse=True)[:k]
    best = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal))
    got = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
    places = [rank for rank, key in enumerate(top, 1) if grades.get(key, 0) >= relevant]
    right = sum(grade >= relevant for grade in grades.values())
    return (
        got / best if best else 0.0,
        1 / places[0] if places else 0.0,
        len(places) / k,
        len(places) / right if right else 0.0,
        sum(key not in grades for key in top) / len(top) if top else 0.0,
    )


def drawn(seed: int, count: int = 60) -> tuple[list[tuple[str, ...]], list[dict[str, int]]]:
    """Hits and grades of all kinds: nothing returned, nothing judged, hostile keys, more hits than count."""
    random = np.random.default_rng(seed)
    keys = [f"{HOSTILE}{i}" for i in range(40)]
    hits, grades = [], []
    for _ in range(count):
        hits.append(tuple(keys[i] for i in random.permutation(40)[: random.integers(0, 25)]))
        judged = random.permutation(40)[: random.integers(0, 30)]
        grades.append({keys[i]: int(random.integers(-1, 4)) for i in judged})
    return hits, grades


@pytest.mark.parametrize(("k", "relevant"), [(1, 1), (3, 1), (10, 2), (20, 3), (100, 1)])
def test_the_measures_are_those_counted_by_hand(k: int, relevant: int) -> None:
    hits, grades = drawn(k)
    got = measured(hits, grades, k, relevant)
    rows = np.array([by_hand(row, known, k, relevant) for row, known in zip(hits, grades, strict=True)])
    for place, column in enumerate((got.ndcg, got.reciprocal_rank, got.precision, got.recall, got.unjudged)):
        assert column == pytest.approx(rows[:, place], abs=1e-6), place
    assert (rows.max(axis=0) > 0).all()


def test_ndcg_is_that_of_scikit_learn() -> None:
    """Where every judged document comes back: then its ideal order is the same."""
    random = np.random.default_rng(5)
    grades = random.integers(0, 4, (30, 12))
    grades[:, 0] = 1
    scores = random.permuted(np.tile(np.arange(12.0), (30, 1)), axis=1)
    hits = [[str(i) for i in np.argsort(-row)] for row in scores]
    known = [{str(i): int(grade) for i, grade in enumerate(row)} for row in grades]
    for k in (1, 5, 12):
        expected = [ndcg_score(g[None, :], s[None, :], k=k) for g, s in zip(grades, scores, strict=True)]
        assert measured(hits, known, k).ndcg == pytest.approx(expected, abs=1e-6)


def test_a_key_that_comes_twice_counts_once() -> None:
    got = measured([("a", "a", "b")], [{"a": 3, "b": 1}], 3)
    assert (got.ndcg[0], got.precision[0], got.recall[0]) == pytest.approx((1.0, 2 / 3, 1.0))


# ---- the labels' file --------------------------------------------------------------------------------------


def test_a_label_is_kept_replaced_and_taken_back(tmp_path: Path) -> None:
    labels.judge(tmp_path, " who? ", HOSTILE, 2)
    labels.judge(tmp_path, "who?", "b", 0)
    kept = labels.judge(tmp_path, "who?", HOSTILE, 3)
    assert [(each.question, each.key, each.grade) for each in kept] == [
        ("who?", "b", 0),
        ("who?", HOSTILE, 3),
    ]
    assert labels.load(tmp_path) == kept
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", each.time) for each in kept)
    labels.judge(tmp_path, "who?", "b", None)
    assert [each.key for each in labels.load(tmp_path)] == [HOSTILE]
    assert labels.judgements(labels.load(tmp_path)).grades == {"who?": {HOSTILE: 3}}
    assert (tmp_path / labels.FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("question", "key", "grade"),
    [("", "a", 1), (" ", "a", 1), ("q", "", 1), ("q", "a", 4), ("q", "a", -1), ("q" * 4001, "a", 1)],
)
def test_what_is_no_label_is_not_kept(tmp_path: Path, question: str, key: str, grade: int) -> None:
    labels.judge(tmp_path, "q", "before", 1)
    with pytest.raises(BadInput):
        labels.judge(tmp_path, question, key, grade)
    with pytest.raises(BadInput):
        labels.add(tmp_path, [Label("fine", "a", 1), Label(question, key, grade)])
    assert [each.key for each in labels.load(tmp_path)] == ["before"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": 1',
        b'{"format": 1, "labels": [["q", "k"]]}',
        b'{"format": 1, "labels": [["q", "k", 7, ""]]}',
        b'{"format": 1, "labels": [["q", "k", true, ""]]}',
        b'{"format": "1", "labels": []}',
        b'{"labels": []}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_set_aside_with_all_it_holds(tmp_path: Path, content: bytes) -> None:
    (tmp_path / labels.FILE).write_bytes(content)
    labels.judge(tmp_path, "q", "new", 1)
    assert (tmp_path / f"{labels.FILE}.damaged").read_bytes() == content
    assert [each.key for each in labels.load(tmp_path)] == ["new"]


def test_reading_a_damaged_file_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / labels.FILE).write_bytes(b'{"format": 1, "labels": 3}')
    with pytest.raises(
        DamagedFile, match=r"labels.json cannot be read .*; it was set aside as labels.json.damaged\.$"
    ):
        labels.load(tmp_path)
    assert labels.load(tmp_path) == ()


def test_a_file_of_a_later_version_stays_as_it_is(tmp_path: Path) -> None:
    content = b'{"format": 2, "labels": {"anything": 1}}'
    (tmp_path / labels.FILE).write_bytes(content)
    for work in (labels.load, lambda home: labels.judge(home, "q", "k", 1)):
        with pytest.raises(BadInput, match="format 2"):
            work(tmp_path)
    assert (tmp_path / labels.FILE).read_bytes() == content


# ---- files of others ---------------------------------------------------------------------------------------

KEPT = (
    Label("how do I restore?", "doc:a b", 3, "2026-01-02T03:04:05+00:00"),
    Label("how do I restore?", 'doc:"c",\t', 0),
    Label('say "=1+1", please\nnow', HOSTILE, 2),
)
PLAIN = (Label("one  question", "doc:1", 1), Label("another", "doc:1", 3), Label("another", "doc:2", 0))


def test_csv_brings_everything_back() -> None:
    name, content = exchange.export(KEPT, "csv")
    assert tuple(exchange.to_labels(exchange.read(None, (name, content)))) == KEPT
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8", "surrogateescape"), newline="")))
    assert [(r["question"], r["key"], int(r["grade"]), r["time"]) for r in rows] == [
        (each.question, each.key, each.grade, each.time) for each in KEPT
    ]


def test_beir_is_laid_out_as_its_loader_reads_it() -> None:
    """As `GenericDataLoader` of BEIR reads it: one JSON object a line, tab-separated qrels below a head."""
    _, content = exchange.export(KEPT, "beir")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["queries.jsonl", "qrels/test.tsv"]
        queries, qrels = (archive.read(name) for name in archive.namelist())
    texts = {(row := json.loads(each))["_id"]: row["text"] for each in queries.decode().splitlines()}
    reader = csv.reader(io.StringIO(qrels.decode("utf-8", "surrogateescape"), newline=""), delimiter="\t")
    next(reader)
    assert [(texts[q], key, int(score)) for q, key, score in reader] == [
        (e.question, e.key, e.grade) for e in KEPT
    ]
    back = exchange.to_labels(exchange.read(("queries.jsonl", queries), ("test.tsv", qrels)))
    assert [(e.question, e.key, e.grade) for e in back] == [(e.question, e.key, e.grade) for e in KEPT]


def test_trec_has_four_columns_and_refuses_a_key_with_a_blank() -> None:
    _, content = exchange.export(PLAIN, "trec")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        qrels, queries = archive.read("qrels.txt"), archive.read("queries.tsv")
    assert qrels == b"q1 0 doc:1 1\nq2 0 doc:1 3\nq2 0 doc:2 0\n"
    back = exchange.to_labels(exchange.read(("queries.tsv", queries), ("qrels.txt", qrels)))
    assert back == [Label("one question", "doc:1", 1), *PLAIN[1:]]
    with pytest.raises(BadInput, match="2 keys have blanks"):
        exchange.export(KEPT[:2], "trec")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.jsonl", b'{"_id": "1", "text": "a b"}\n\n{"_id": 2, "text": "c", "metadata": {}}\n'),
        ("q.jsonl", b'\xef\xbb\xbf{"id": "1", "query": "a b"}\r\n{"id": "2", "question": "c"}'),
        ("q.tsv", b"1\ta b\n2\tc\n"),
        ("q.tsv", b"query_id\ttext\n1\ta b\r\n2\tc"),
        ("q.csv", b'id,question\n1,"a b"\n2,c\n'),
        ("q.csv", b'"id","text","more"\n1,a b,x\n2,c,y\n'),
    ],
)
def test_questions_are_read_from_what_people_have(name: str, content: bytes) -> None:
    assert exchange.read_queries(name, content) == {"1": "a b", "2": "c"}


def test_questions_without_ids_are_their_own() -> None:
    assert exchange.read_queries("q.txt", b"a b?\nc, d\n") == {"a b?": "a b?", "c, d": "c, d"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t", b"1 0 doc:a 2\n1 Q0 doc:b -2\n\n2\t0\tdoc:a b\t1\n"),
        ("b.tsv", b"query-id\tcorpus-id\tscore\n1\tdoc:a\t2\n1\tdoc:b\t0\n2\tdoc:a b\t1\n"),
        ("c.csv", b"question,key,grade\n1,doc:a,2\n1,doc:b,0.0\n2,doc:a b,1\n"),
        ("c.csv", b"grade,key,question,note\r\n2,doc:a,1,x\r\n-1,doc:b,1,\r\n1,doc:a b,2,y\r\n"),
    ],
)
def test_grades_are_read_from_what_people_have(name: str, content: bytes) -> None:
    assert [(e.question, e.key, e.grade) for e in exchange.read_qrels(name, content)] == [
        ("1", "doc:a", 2),
        ("1", "doc:b", 0),
        ("2", "doc:a b", 1),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no grade"),
        (b"\n \n", "holds no grade"),
        (b"1 0 doc:a 2\n1 doc:b 1\n", "line 2: '1 doc:b 1' is no line of qrels"),
        (b"1 0 doc:a high\n", "line 1"),
        (b"1 0 doc:a 1.5\n", "line 1"),
        (b"1 0 doc:a 101\n", "line 1: its grade is 101"),
        (b"1 0 doc:a 99999999999999999999\n", "line 1"),
        (b"1 0 doc:a 1\n1 0 doc:a 2\n", "line 2: 'doc:a' has another grade"),
        (b"query-id\tcorpus-id\tscore\n1\tdoc:a\n", "line 2: it has 2 columns, and 3 are needed"),
        (b"question,key,grade\n1,doc:a,two\n", "line 2: its grade is 'two'"),
        (b'question,key,grade\n1,"doc:a,2\n', "is no row of a table"),
        (b"question,key,grade\n,doc:a,2\n", "line 2: it names no question"),
        (b"PK\x03\x04\0\0", "is no text"),
    ],
)
def test_damaged_qrels_are_refused_with_the_line(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        exchange.read_qrels("qrels", content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no question"),
        (b'{"_id": "1", "text": "a"}\n{"_id": "2"\n', "line 2: it is no JSON object"),
        (b'{"_id": "1"}\n', "line 1: it names no text"),
        (b'{"_id": "1", "text": " "}\n', "line 1: its question is blank"),
        (b'{"_id": "1", "text": "a"}\n{"_id": "1", "text": "b"}\n', "line 2: the id '1' has another text"),
        (b'{"_id": "1", "text": "' + b"a" * 4_001 + b'"}', "line 1: its question has 4,001 characters"),
        (b"{" * 100_000, "line 1: it is no JSON object"),
        (b"id,text\n1\n", "line 2: it has 1 column, and 2 are needed"),
    ],
)
def test_damaged_questions_are_refused_with_the_line(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        exchange.read_queries("queries", content)


def test_questions_that_only_one_file_knows_are_left_out_and_told() -> None:
    graded = exchange.read_qrels("r", b"1 0 a 1\n2 0 a 1\n9 0 a 1\n")
    judged = exchange.judgements({"1": "one", "2": "two", "3": "three", "4": "four"}, graded, "s")
    assert (dict(judged.texts), judged.count) == ({"1": "one", "2": "two"}, 2)
    assert judged.notes == (
        "1 of 3 questions of the qrels are not among the queries, e.g. '9': left out.",
        "2 of 4 queries have no grade: left out.",
    )
    with pytest.raises(BadInput, match="None of the 3 questions of the qrels is among the 1 queries"):
        exchange.judgements({"x": "x"}, graded, "s")


# ---- evaluations -------------------------------------------------------------------------------------------


def evaluation(
    *hits: Sequence[Sequence[str]], grades: Sequence[Mapping[str, int]] | None = None, **changes: object
) -> Evaluation:
    """An evaluation with these hits of its settings; the only right document of question i is `r<i>`."""
    count = len(hits[0])
    settings = tuple(Setting(f"idx:{i}") for i in range(len(hits)))
    values = {
        "id": "20260101-000000-abcdef",
        "started": "2026-01-01T00:00:00+00:00",
        "target": "redis://h:1",
        "engine": "Redis 8",
        "request": EvaluationRequest(settings, k=5),
        "source": "tests",
        "ids": tuple(f"q{i}" for i in range(count)),
        "questions": tuple(f"question {i}" for i in range(count)),
        "grades": tuple(grades or ({f"r{i}": 1} for i in range(count))),
        "answers": tuple(
            SettingAnswers(s, tuple(tuple(row) for row in rows), 0.5)
            for s, rows in zip(settings, hits, strict=True)
        ),
        "notes": (),
        "embedded": (),
        "partial": False,
        "took_s": 1.0,
        "memdb_version": "0",
    }
    return Evaluation(**values | changes)  # type: ignore[arg-type]


def at_rank(ranks: Sequence[int]) -> list[list[str]]:
    """Five hits for each question, with its right document at this rank (from 1); 0: without it."""
    return [
        [f"r{i}" if rank == place else f"x{place}" for place in range(1, 6)] for i, rank in enumerate(ranks)
    ]


RANKS = [1, 2, 0, 3, 1, 5] * 20


def test_a_mean_and_a_paired_difference_are_those_of_the_questions() -> None:
    better = [1 if rank in (1, 2) else rank for rank in RANKS]
    run = evaluation(at_rank(RANKS), at_rank(better))
    gains = {0: 0.0, **{rank: 1 / math.log2(rank + 1) for rank in range(1, 6)}}
    expected = np.array([gains[rank] for rank in RANKS])
    assert compare.mean(run, 0).mean == pytest.approx(expected.mean())
    difference = compare.difference(run, 0, 1)
    assert difference.interval.mean == pytest.approx((np.array([gains[r] for r in better]) - expected).mean())
    assert difference.clear
    assert difference.interval.low > 0
    assert compare.conclusion(run).startswith("B is better than A with 95 % confidence: nDCG@5 ")
    assert set(compare.most_changed(run, 0, 1)[:20]) == set(range(1, 120, 6))
    assert set(compare.worst(run, 0)[:20]) == set(range(2, 120, 6))
    assert compare.worst(run, 0)[0] == 2


def test_the_better_setting_is_named_wherever_it_stands() -> None:
    run = evaluation(at_rank([1] * 60), at_rank(RANKS[:60]))
    assert compare.conclusion(run).startswith(
        "A is better than B with 95 % confidence: nDCG@5 1.000 against B "
    )


def test_what_may_be_chance_is_called_open_with_how_many_questions_would_tell() -> None:
    ranks = [1, 2] * 15
    run = evaluation(at_rank(ranks), at_rank([1, 1, *ranks[2:]]))
    said = compare.conclusion(run)
    assert said.startswith("B has the highest nDCG@5")
    assert "whether it is better than A is open" in said
    assert re.search(r"About [\d,]+ such questions would show a difference of that size \(estimated\)", said)
    same = compare.conclusion(evaluation(at_rank(ranks), at_rank(ranks)))
    assert same.startswith("No difference: every setting has the same nDCG@5")


def test_with_three_settings_every_pair_holds_together() -> None:
    """Bonferroni: each of three intervals is as wide as one of 1 - 0.05 / 3 alone."""
    one, two, three = at_rank(RANKS), at_rank([max(r - 1, 0) for r in RANKS]), at_rank([1] * len(RANKS))
    run = evaluation(one, two, three)
    alone = evaluation(
        one, three, request=EvaluationRequest((Setting("a"), Setting("b")), k=5, confidence=1 - 0.05 / 3)
    )
    assert compare.difference(run, 0, 2).interval == compare.difference(alone, 0, 1).interval
    assert compare.conclusion(run).startswith("C is better than A and B with 95 % confidence")


def test_hits_that_nobody_judged_are_warned_of_where_they_decide() -> None:
    grades = [{f"r{i}": 1, **{f"x{n}": 0 for n in range(1, 6)}} for i in range(60)]
    strange = [[f"new{n}" for n in range(5)]] * 60
    said = compare.conclusion(evaluation(at_rank([1] * 60), strange, grades=grades))
    assert "Unjudged hits count as not relevant, and their share differs (A 0%, B 100%)" in said
    assert "Unjudged" not in compare.conclusion(
        evaluation(at_rank([1] * 60), at_rank([2] * 60), grades=grades)
    )


def test_a_run_is_saved_and_comes_back_whole(tmp_path: Path) -> None:
    run = evaluation(at_rank(RANKS), at_rank([1] * 120), title="mine", notes=("a note",))
    store.save(run, tmp_path)
    back = store.load(tmp_path, run.id)
    assert back == run
    (entry,) = store.listed(tmp_path)
    assert (entry.questions, entry.title, entry.settings) == (120, "mine", run.request.settings)
    assert entry.ndcg == pytest.approx([compare.mean(run, 0).mean, 1.0])
    assert entry.conclusion == compare.conclusion(run)
    store.rename(tmp_path, run.id, "other")
    assert store.listed(tmp_path)[0].title == "other"
    store.delete(tmp_path, run.id)
    assert store.listed(tmp_path) == ()
    for name in (run.id, "../../etc/passwd"):
        with pytest.raises(NotFound):
            store.load(tmp_path, name)


@pytest.mark.parametrize("suffix", [".json", ".run"])
@pytest.mark.parametrize("content", [b"", b"null", b"{}", b"[1", b'{"format": 1, "about": {}}'])
def test_a_damaged_run_is_set_aside(tmp_path: Path, suffix: str, content: bytes) -> None:
    run = evaluation(at_rank([1, 2]))
    store.save(run, tmp_path)
    path = tmp_path / store.FOLDER / f"{run.id}{suffix}"
    path.write_bytes(content)
    with pytest.raises(MemDBError):
        store.load(tmp_path, run.id)
    assert not path.exists()
    assert store.listed(tmp_path) == ()


def test_old_runs_make_room(tmp_path: Path) -> None:
    for day in range(1, 6):
        store.save(evaluation(at_rank([1, 2]), id=f"2026010{day}-000000-abcdef"), tmp_path)
    assert store.prune(tmp_path, keep=2) == tuple(f"2026010{day}-000000-abcdef" for day in (3, 2, 1))
    assert [entry.id[:8] for entry in store.listed(tmp_path)] == ["20260105", "20260104"]


def test_bounds_look_at_the_first_setting() -> None:
    run = evaluation(at_rank([1, 0, 2, 0]), at_rank([1, 1, 1, 1]))
    mean = (1 + 1 / math.log2(3)) / 4
    assert gate.at_least(run, mean - 1e-6).kept
    assert gate.at_least(run, mean + 1e-6) == gate.Verdict(
        False, f"nDCG@5 of A is {mean:.4f}, below the {mean + 1e-6:g} asked for."
    )


def test_not_below_an_earlier_run_is_judged_over_the_questions_of_both() -> None:
    good, poor = evaluation(at_rank([1] * 60), id="earlier"), evaluation(at_rank([2, 0, 1] * 20))
    verdict = gate.not_below(poor, good)
    assert not verdict.kept
    assert "is worse than the 1.000 of run earlier" in verdict.words
    assert gate.not_below(good, poor).kept
    assert gate.not_below(good, good).kept
    later = evaluation(at_rank([1] * 70))  # ten questions more than before
    assert len(compare.diff(good, later).questions) == 60
    with pytest.raises(BadInput, match="asked none of these 60 questions"):
        gate.not_below(evaluation(at_rank([1] * 60), questions=tuple("abc" * 20)), good)
    with pytest.raises(BadInput, match="counted 5 hits, the other 3"):
        gate.not_below(evaluation(at_rank([1] * 60), request=EvaluationRequest((Setting("a"),), k=3)), good)


def test_an_earlier_run_is_measured_by_the_later_ones_labels() -> None:
    """Labels that came since count for both."""
    before = evaluation(at_rank([0] * 40), id="earlier")
    grades = [{f"r{i}": 1, "x1": 3} for i in range(40)]
    after = evaluation(at_rank([0] * 40), grades=grades)
    assert compare.diff(before, after).interval.mean == 0
    assert compare.diff(before, after).before == pytest.approx(compare.values(after, 0))


def test_tables_and_json_hold_what_was_measured() -> None:
    run = evaluation(at_rank([1, 0, 2]), at_rank([1, 1, 1]))
    frame = report.questions_frame(run)
    assert list(frame["A"]) == pytest.approx([1, 0, 1 / math.log2(3)])
    assert list(frame["change"]) == pytest.approx([0, 1, 1 - 1 / math.log2(3)])
    assert list(frame["in both"]) == [5, 4, 4]
    document = report.as_json(run)
    assert [s["ndcg"] for s in document["settings"]] == pytest.approx([frame["A"].mean(), 1.0], abs=1e-5)  # type: ignore[attr-defined]
    assert [s["unjudged"] for s in document["settings"]] == pytest.approx([13 / 15, 12 / 15], abs=1e-5)  # type: ignore[attr-defined]
    assert document["differences"][0]["ndcg"] == pytest.approx(frame["change"].mean(), abs=1e-5)  # type: ignore[index]


def test_a_request_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match="named twice"):
        EvaluationRequest((Setting("a"), Setting("a")))
    with pytest.raises(BadInput, match="0 settings"):
        EvaluationRequest(())
    for wrong in ({"k": 0}, {"k": 5_000}, {"relevant": 0}, {"confidence": 1.0}):
        with pytest.raises(BadInput):
            EvaluationRequest((Setting("a"),), **wrong)  # type: ignore[arg-type]
