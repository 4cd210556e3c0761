"""Labels as others write them: TREC qrels, BEIR (`queries.jsonl`, `qrels/*.tsv`), CSV. Text in, text out.

A file is taken whole or refused with the number of its first wrong line. Text is UTF-8; bytes of a key that
are not stay as they are (`surrogateescape`).
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memdb import files
from memdb.display import line
from memdb.errors import BadInput
from memdb.json_text import json_text
from memdb.relevance.labels import MOST_TEXT, Judgements, Label

Format = Literal["csv", "beir", "trec"]
MOST_BYTES = 256 << 20  # of a file
MOST_QUESTIONS = 20_000
MOST_LABELS = 2_000_000
MOST_GRADE = 100
_IDS = ("_id", "id", "query_id", "query-id", "qid", "question_id")
_TEXTS = ("text", "query", "question", "title")
_KEYS = ("key", "corpus-id", "corpus_id", "docid", "doc_id", "document")
_GRADES = ("grade", "score", "relevance", "rel")
_TIMES = ("time",)
_TREC = re.compile(r"(\S+)[ \t]+(\S+)[ \t]+(\S(?:.*\S)?)[ \t]+(-?\d{1,9})")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.0+)?")


@dataclass(frozen=True, slots=True)
class Graded:
    """A line of qrels: which document was judged for which question, and how."""

    question: str  # its id, or its text where the file knows none
    key: str
    grade: int
    time: str = ""


def content_of(path: str) -> bytes:
    """A file that a user named.

    Raises:
        BadInput: it cannot be read, or is too large.
    """
    try:
        return files.named(Path(path).expanduser(), MOST_BYTES)
    except OSError as exc:
        raise BadInput(
            f"The file '{line(path)}' cannot be read: {files.reason(exc)}.", "Give the path of a file."
        ) from None


def read_queries(name: str, content: bytes) -> dict[str, str]:
    """Questions by id, in the order of the file.

    JSON lines (BEIR: `_id`, `text`), CSV or TSV with a head that names a text, or lines `id<TAB>text`. Where
    there are no ids, the text is its own.

    Raises:
        BadInput: a line is no question, an id stands twice with two texts, or there is no question.
    """
    texts: dict[str, str] = {}
    for number, identity, text in _queries(name, content):
        if not text.strip():
            raise _wrong(name, number, "its question is blank", "Remove the line, or write the question.")
        if len(text) > MOST_TEXT:
            raise _wrong(name, number, f"its question has {len(text):,} characters", _most("characters"))
        if texts.setdefault(identity, text.strip()) != text.strip():
            raise _wrong(
                name, number, f"the id '{line(identity, 80)}' has another text above", "Give each one text."
            )
        if len(texts) > MOST_QUESTIONS:
            raise BadInput(f"{line(name)} holds more than {MOST_QUESTIONS:,} questions.", "Give fewer.")
    if not texts:
        raise BadInput(f"{line(name)} holds no question.", "Give lines of JSON such as BEIR's queries.jsonl.")
    return texts


def read_qrels(name: str, content: bytes) -> list[Graded]:
    """Grades: TREC's four columns, BEIR's three with a head, or a CSV as `to_csv` writes it.

    Raises:
        BadInput: a line is none of these, its grade is no whole number or above 100, one document has two
            grades for one question, or there is no line.
    """
    graded: dict[tuple[str, str], Graded] = {}
    for number, question, key, grade, time in _qrels(name, content):
        if not question or not key:
            raise _wrong(name, number, "it names no question or no document", "Give both.")
        value = _grade(name, number, grade)
        judgement = Graded(question, key, value, time)
        if graded.setdefault((question, key), judgement).grade != value:
            problem = f"'{line(key, 80)}' has another grade for this question above"
            raise _wrong(name, number, problem, "Leave the grade that holds.")
        if len(graded) > MOST_LABELS:
            raise BadInput(f"{line(name)} holds more than {MOST_LABELS:,} grades.", "Give fewer.")
    if not graded:
        raise BadInput(f"{line(name)} holds no grade.", "Give qrels of TREC or BEIR, or a CSV of labels.")
    return list(graded.values())


def judgements(texts: Mapping[str, str] | None, graded: Sequence[Graded], source: str) -> Judgements:
    """Questions and grades put together; what does not fit together is left out and told.

    Args:
        texts: questions by id; None where the qrels name questions by their text.
        graded: the qrels.
        source: where both are from, for people.

    Raises:
        BadInput: no question of the qrels is among the queries.
    """
    grades: dict[str, dict[str, int]] = {}
    for each in graded:
        grades.setdefault(each.question, {})[each.key] = each.grade
    notes: list[str] = []
    if texts is None:
        texts = {question: question for question in grades}
    if unknown := sorted(grades.keys() - texts.keys()):
        if len(unknown) == len(grades):
            raise BadInput(
                f"None of the {len(grades):,} questions of the qrels is among the {len(texts):,} queries, "
                f"e.g. '{line(unknown[0], 80)}'.",
                "Give queries and qrels of one collection.",
            )
        notes.append(
            f"{len(unknown):,} of {len(grades):,} questions of the qrels are not among the queries, e.g. "
            f"'{line(unknown[0], 80)}': left out."
        )
    if unjudged := len(texts.keys() - grades.keys()):
        notes.append(f"{unjudged:,} of {len(texts):,} queries have no grade: left out.")
    return Judgements(
        {identity: text for identity, text in texts.items() if identity in grades},
        {identity: grades[identity] for identity in texts if identity in grades},
        source,
        tuple(notes),
        {(each.question, each.key): each.time for each in graded if each.time},
    )


def read(queries: tuple[str, bytes] | None, qrels: tuple[str, bytes]) -> Judgements:
    """What two files (name, content) say together; without queries, the qrels name questions by their text.

    Raises:
        BadInput: one of them is damaged, or they do not belong together.
    """
    texts = None if queries is None else read_queries(*queries)
    names = [Path(each[0]).name for each in (queries, qrels) if each is not None]
    return judgements(texts, read_qrels(*qrels), ", ".join(names))


def to_labels(judged: Judgements) -> list[Label]:
    """As labels of the user's own, questions by their text."""
    return [
        Label(judged.texts[identity], key, grade, judged.times.get((identity, key), ""))
        for identity, of_question in judged.grades.items()
        for key, grade in of_question.items()
    ]


def export(labels: Sequence[Label], kind: Format) -> tuple[str, bytes]:
    """Labels as a file for others: its name and content.

    CSV holds everything. BEIR is a ZIP of `queries.jsonl` and `qrels/test.tsv`. TREC is a ZIP of `qrels.txt`
    and `queries.tsv`, since qrels hold no texts.

    Raises:
        BadInput: TREC's columns are parted by blanks, and a key has one.
    """
    if kind == "csv":
        return "labels.csv", to_csv(labels)
    ids = {
        question: f"q{place}"
        for place, question in enumerate(dict.fromkeys(each.question for each in labels), 1)
    }
    if kind == "beir":
        queries = "".join(json_text({"_id": ids[text], "text": text}) + "\n" for text in ids)
        rows = [
            ("query-id", "corpus-id", "score"),
            *((ids[each.question], each.key, each.grade) for each in labels),
        ]
        return "labels-beir.zip", _zipped(
            {"queries.jsonl": _bytes(queries), "qrels/test.tsv": _table(rows, "\t")}
        )
    if blank := [each.key for each in labels if re.search(r"\s", each.key)]:
        raise BadInput(
            f"{len(blank):,} keys have blanks, e.g. '{line(blank[0], 80)}'.",
            "TREC's columns are parted by blanks: export CSV or BEIR.",
        )
    qrels = "".join(f"{ids[each.question]} 0 {each.key} {each.grade}\n" for each in labels)
    queries = "".join(f"{ids[text]}\t{' '.join(text.split())}\n" for text in ids)
    return "labels-trec.zip", _zipped({"qrels.txt": _bytes(qrels), "queries.tsv": _bytes(queries)})


def to_csv(labels: Sequence[Label]) -> bytes:
    """question, key, grade, time; as they are, to be read again: no spreadsheet's guard against formulas."""
    return _table(
        [("question", "key", "grade", "time"), *((e.question, e.key, e.grade, e.time) for e in labels)], ","
    )


def _queries(name: str, content: bytes) -> Iterator[tuple[int, str, str]]:
    text = _text(name, content)
    if text.lstrip()[:1] == "{":
        for number, raw in enumerate(text.split("\n"), 1):
            if raw.strip():
                parsed = _json(name, number, raw)
                question = _first(parsed, _TEXTS)
                if not isinstance(question, str):
                    raise _wrong(
                        name, number, f"it names no {', '.join(_TEXTS[:3])}", "Give BEIR's queries.jsonl."
                    )
                identity = _first(parsed, _IDS)
                yield number, question if identity is None else str(identity), question
        return
    separator, head = _head(text)
    of_text = next((head.index(column) for column in _TEXTS if column in head), None)
    if of_text is not None:
        of_id = next((head.index(column) for column in _IDS if column in head), of_text)
        for number, row in _rows(name, text, separator, max(of_text, of_id) + 1):
            yield number, row[of_id], row[of_text]
        return
    for number, raw in enumerate(text.split("\n"), 1):
        if raw.strip():
            identity, tab, question = raw.rstrip("\r").partition("\t")
            yield number, identity.strip(), question if tab else identity


def _qrels(name: str, content: bytes) -> Iterator[tuple[int, str, str, str, str]]:
    text = _text(name, content)
    separator, head = _head(text)
    places = [
        next((head.index(column) for column in names if column in head), None)
        for names in ((*_IDS, "question", "query"), _KEYS, _GRADES, _TIMES)
    ]
    of_question, of_key, of_grade, of_time = places
    if of_question is not None and of_key is not None and of_grade is not None:
        for number, row in _rows(name, text, separator, max(of_question, of_key, of_grade) + 1):
            time = row[of_time] if of_time is not None and of_time < len(row) else ""
            yield number, row[of_question].strip(), row[of_key], row[of_grade], time
        return
    for number, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        match = _TREC.fullmatch(raw.strip(" \t\r"))
        if match is None:
            problem = f"'{line(raw, 80)}' is no line of qrels"
            hint = "TREC: question 0 document grade. BEIR and CSV have a head: query-id, corpus-id, score."
            raise _wrong(name, number, problem, hint)
        question, _, key, grade = match.groups()
        yield number, question, key, grade, ""


def _head(text: str) -> tuple[str, list[str]]:
    """What parts the columns of the first line, and the names in it, in small letters."""
    first = next((each for each in text.split("\n") if each.strip()), "")
    separator = "\t" if "\t" in first else ","
    return separator, [cell.strip().strip('"').lower() for cell in first.split(separator)]


def _rows(name: str, text: str, separator: str, columns: int) -> Iterator[tuple[int, list[str]]]:
    """The rows below a head, with the numbers of their last lines; each as wide as `columns` at least."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    below = False
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if below and len(row) < columns:
                problem = (
                    f"it has {len(row)} {'column' if len(row) == 1 else 'columns'}, and {columns} are needed"
                )
                raise _wrong(name, reader.line_num, problem, "Correct the line.")
            if below:
                yield reader.line_num, row
            below = True
    except csv.Error as exc:
        raise _wrong(name, reader.line_num, f"it is no row of a table ({exc})", "Correct the line.") from None


def _grade(name: str, number: int, text: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise _wrong(name, number, f"its grade is '{line(text, 40)}'", "Give a whole number.")
    value = int(float(text))
    if value > MOST_GRADE:
        raise _wrong(name, number, f"its grade is {value:,}", f"Grades are at most {MOST_GRADE}.")
    return max(value, 0)  # below 0 TREC has spam: not relevant


def _json(name: str, number: int, raw: str) -> Mapping[str, object]:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise _wrong(
            name, number, "it is no JSON object", "Write one object a line, as BEIR's queries.jsonl."
        )
    return parsed


def _first(parsed: Mapping[str, object], names: Sequence[str]) -> object:
    return next((parsed[each] for each in names if parsed.get(each) is not None), None)


def _text(name: str, content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise BadInput(f"{line(name)} has {len(content):,} bytes.", f"At most {MOST_BYTES:,} are read.")
    if b"\0" in content:
        raise BadInput(f"{line(name)} is no text.", "Give JSON lines, TSV, CSV or TREC qrels.")
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _table(rows: Sequence[Sequence[object]], separator: str) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator="\n").writerows(rows)
    return _bytes(buffer.getvalue())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _zipped(parts: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _most(what: str) -> str:
    return f"At most {MOST_TEXT:,} {what} are taken."


def _wrong(name: str, number: int, problem: str, hint: str) -> BadInput:
    return BadInput(f"{line(name)}, line {number:,}: {problem}.", hint)
