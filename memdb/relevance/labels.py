"""The user's own labels: question, key, grade, time, in `labels.json` under MEMDB_HOME.

`memdb.relevance.exchange` reads and writes the formats of others; `judgements` makes what is evaluated.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memdb import files
from memdb.display import line
from memdb.errors import BadInput, DamagedFile
from memdb.json_text import json_text

FILE = "labels.json"
FORMAT = 1
_FORMATS = 10_000  # no version of this package ever writes such a number
GRADES = {0: "not relevant", 1: "related", 2: "relevant", 3: "answers it"}
MOST = 500_000  # labels of the file
MOST_TEXT = 4_000  # characters of a question
_LOCK = threading.Lock()
_Row = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Label:
    """How well a document answers a question, as somebody judged it."""

    question: str
    key: str
    grade: int  # 0 to 3, see GRADES
    time: str = ""  # ISO, UTC; empty where an imported file tells none


@dataclass(frozen=True, slots=True)
class Judgements:
    """Questions with graded documents: what an evaluation needs.

    Ids are those of the files; of the user's own labels a question's id is its text.
    """

    texts: Mapping[str, str]  # question by id
    grades: Mapping[str, Mapping[str, int]]  # by id: key → grade; below 0 counts as 0
    source: str  # where they are from, for people
    notes: tuple[str, ...] = ()  # what was left out, a sentence each
    times: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by id and key, where they are told

    @property
    def count(self) -> int:
        """How many documents are graded."""
        return sum(map(len, self.grades.values()))


def path(home: Path) -> Path:
    """Where the file is."""
    return home / FILE


def load(home: Path) -> tuple[Label, ...]:
    """The labels, oldest first; none where there is no file.

    Raises:
        DamagedFile: the file is damaged, and was set aside.
        BadInput: another version of memdb wrote it; it stays as it is.
    """
    where = path(home)
    about: dict[str, Any] | None = files.document(where, dict[str, Any])
    if about is None:
        return ()
    with files.reading(where):
        if about["format"] == FORMAT:
            rows: list[_Row] = files.typed(about["labels"], list[_Row])
            return tuple(_stored(*row) for row in rows)
        if not 0 < files.typed(about["format"], int) < _FORMATS:
            raise ValueError("that is no format")
    raise BadInput(
        f"The labels in '{where}' are of format {about['format']}, and this version reads format {FORMAT}.",
        "Open them with the version of memdb that wrote them.",
    )


def _stored(question: str, key: str, grade: int, time: str) -> Label:
    if not question.strip() or grade not in GRADES:
        raise ValueError(f"a label of grade {grade} for the question '{line(question, 80)}'")
    return Label(question, key, grade, time)


def judge(home: Path, question: str, key: str, grade: int | None) -> tuple[Label, ...]:
    """Keep a grade, in the place of an earlier one; None takes it back. Returns all labels.

    Raises:
        BadInput: the question is blank or too long, the grade is none, or there are too many labels.
        NotKept: the file cannot be written.
    """
    changed = () if grade is None else (checked(question, key, grade, now()),)
    return _changed(home, changed, without=((question.strip(), key),))


def add(home: Path, more: Sequence[Label]) -> tuple[Label, ...]:
    """Keep labels, each in the place of an earlier one of its question and key. Returns all labels.

    Raises:
        BadInput: one of them is none; nothing is kept then.
        NotKept: the file cannot be written.
    """
    return _changed(home, [checked(each.question, each.key, each.grade, each.time) for each in more])


def remove(home: Path, some: Sequence[Label]) -> tuple[Label, ...]:
    """Take labels back, by question and key. Returns those that are left.

    Raises:
        NotKept: the file cannot be written.
    """
    return _changed(home, (), without=[(each.question, each.key) for each in some])


def checked(question: str, key: str, grade: int, time: str = "") -> Label:
    """A label that can be kept.

    Raises:
        BadInput: the question is blank or too long, the key is empty, or the grade is not 0 to 3.
    """
    question = question.strip()
    if not question or not key:
        raise BadInput("A label needs a question and a key.", "Give both.")
    if len(question) > MOST_TEXT:
        raise BadInput(
            f"The question has {len(question):,} characters.", f"At most {MOST_TEXT:,} are kept with a label."
        )
    if grade not in GRADES:
        raise BadInput(
            f"{grade} is no grade of a label.",
            f"Grades are {', '.join(f'{g} ({words})' for g, words in GRADES.items())}.",
        )
    return Label(question, key, grade, time)


def judgements(labels: Sequence[Label], source: str = "your labels") -> Judgements:
    """Labels as what is evaluated; a later label replaces an earlier one of its question and key."""
    grades: dict[str, dict[str, int]] = {}
    for label in labels:
        grades.setdefault(label.question, {})[label.key] = label.grade
    return Judgements({question: question for question in grades}, grades, source)


def now() -> str:
    """The time that a new label carries."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _changed(home: Path, more: Sequence[Label], without: Sequence[tuple[str, str]] = ()) -> tuple[Label, ...]:
    with _alone(home):
        try:
            before = load(home)
        except DamagedFile:
            if os.path.lexists(path(home)):  # it could not be set aside: it is not written over
                raise
            before = ()
        label_of = {(label.question, label.key): label for label in before}
        for place in (*without, *((label.question, label.key) for label in more)):
            label_of.pop(place, None)
        label_of |= {(label.question, label.key): label for label in more}
        if len(label_of) > MOST:
            raise BadInput(f"There would be {len(label_of):,} labels.", f"At most {MOST:,} are kept.")
        rows = [[label.question, label.key, label.grade, label.time] for label in label_of.values()]
        files.write(path(home), json_text({"format": FORMAT, "labels": rows}, indent=0).encode())
        return tuple(label_of.values())


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One change at a time, of all threads and processes: each reads what the one before has written."""
    where = path(home)
    with _LOCK:
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(where.with_name(f"{FILE}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise files.not_kept(where, exc) from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
