"""Two ways to ask, beside each other: for one question what moved, for many how far the answers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memdb.asking.side import Answer, OpenSide, ask, embeddings
from memdb.embedding import Spent
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.overlap import Overlap, overlap

MOST_QUESTIONS = 2_000
_EMBEDDED_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Move:
    """A document of either list. Ranks are from 1; None where a side does not have it."""

    name: str  # what it is called by both: its key, without the prefix where the indexes have different ones
    first: int | None
    second: int | None

    @property
    def moved(self) -> int | None:
        """Ranks won on the second side; None where one of them does not have it."""
        return None if self.first is None or self.second is None else self.first - self.second


@dataclass(frozen=True, slots=True)
class Question:
    """One question, asked of both sides."""

    text: str
    first: tuple[str, ...]  # names, best first
    second: tuple[str, ...]
    overlap: Overlap

    @property
    def moves(self) -> tuple[Move, ...]:
        """Documents in the order of the first side, then what only the second has."""
        before = {name: rank for rank, name in enumerate(self.first, 1)}
        after = {name: rank for rank, name in enumerate(self.second, 1)}
        names = dict.fromkeys((*self.first, *self.second))
        return tuple(Move(name, before.get(name), after.get(name)) for name in names)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Some questions asked of both sides, those that differ most first."""

    first: str  # the sides, in words
    second: str
    questions: tuple[Question, ...]
    spent: Spent
    notes: tuple[str, ...] = ()

    @property
    def jaccard(self) -> Doubles:
        """(len(questions),) of each question, in their order."""
        return np.array([question.overlap.jaccard for question in self.questions])

    @property
    def rbo(self) -> Doubles:
        """(len(questions),) of each question, in their order."""
        return np.array([question.overlap.rbo for question in self.questions])

    @property
    def words(self) -> str:
        """What came out, in two sentences."""
        count = len(self.questions)
        equal = sum(question.first == question.second for question in self.questions)
        apart = sum(not question.overlap.shared for question in self.questions)
        low, middle, high = np.quantile(self.rbo, [0.1, 0.5, 0.9])
        return (
            f"Of {count:,} question{'' if count == 1 else 's'} {equal:,} got the same answer in the same "
            f"order, {apart:,} nothing in common. Rank-biased overlap: median {middle:.2f}, one in ten below "
            f"{low:.2f}, one in ten above {high:.2f}; Jaccard on average {self.jaccard.mean():.2f}."
        )


def prefixes(first: OpenSide, second: OpenSide) -> tuple[str, str]:
    """What is cut off the keys of each side before they are compared: indexes of different prefixes hold the
    same documents under different keys. Empty where both have the same prefixes, or one has several."""
    first_prefixes, other = first.info.prefixes, second.info.prefixes
    return (
        (first_prefixes[0], other[0])
        if len(first_prefixes) == len(other) == 1 and first_prefixes != other
        else ("", "")
    )


def question(text: str, first: Answer, second: Answer, cut: tuple[str, str] = ("", "")) -> Question:
    """Two answers to one question, compared."""
    before, after = (
        tuple(key.removeprefix(prefix) for key in answer.keys)
        for answer, prefix in zip((first, second), cut, strict=True)
    )
    return Question(text, before, after, overlap(before, after))


def compared(
    first: OpenSide, second: OpenSide, texts: Sequence[str], *, report: Report = silent
) -> Comparison:
    """Many questions asked of both sides.

    Args:
        first: one side.
        second: the other.
        texts: questions; each once.
        report: progress; may end the work.

    Raises:
        BadInput: there are none, too many, or one is blank.
        MemDBError: a server or a model did not answer, or said no.
        Cancelled: from `report`.
    """
    questions = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not questions:
        raise BadInput("There are no questions.", "Give at least one, one a line.")
    if len(questions) > MOST_QUESTIONS:
        raise BadInput(f"There are {len(questions):,} questions.", f"Give at most {MOST_QUESTIONS:,}.")
    cut = prefixes(first, second)
    notes = dict.fromkeys(
        [f"Keys are compared without their prefixes '{cut[0]}' and '{cut[1]}'."] if cut != ("", "") else []
    )
    answered: list[Question] = []
    cost = Spent()
    for start in range(0, len(questions), _EMBEDDED_AT_ONCE):
        part = questions[start : start + _EMBEDDED_AT_ONCE]
        vectors: list[Floats | None] = []
        for place, side in enumerate((first, second)):
            if side.embedder is None:
                vectors.append(None)
            elif place and first.embedder is not None and side.embedder.same_as(first.embedder):
                vectors.append(vectors[0])  # one model: its vectors do for both
            else:
                report("Embedding", start, len(questions))
                embedded = embeddings(side, part)
                vectors.append(embedded.vectors)
                cost += embedded.spent
                notes |= dict.fromkeys(embedded.notes)
        for row, text in enumerate(part):
            report("Asking both", start + row, len(questions))
            answers = [
                ask(side, text, vector=None if own is None else own[row])
                for side, own in zip((first, second), vectors, strict=True)
            ]
            answered.append(question(text, answers[0], answers[1], cut))
    answered.sort(key=lambda each: (each.overlap.rbo, each.overlap.jaccard))
    return Comparison(first.words(second), second.words(first), tuple(answered), cost, tuple(notes))
