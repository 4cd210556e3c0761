"""The one way from texts to vectors: prefix, cut, what is kept, batches, retries, checks, length, cost.

embedder = named("titan:512", settings)
embedded = embedder.ask(["restore a table"])
embedded.vectors, embedded.spent.words
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from memdb.embedding import answers
from memdb.embedding.answers import Model, Side
from memdb.embedding.kept import KeptVectors
from memdb.embedding.prompts import Prompts
from memdb.errors import MemDBError, ServiceUnreachable, TextTooLong, Throttled
from memdb.jobs import Report, silent
from memdb.vectors.distance import Floats

_LEAST = 200  # characters: a text this short is no more halved
_STAGE = "Embedding"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and how long is waited in between: each time twice as long."""

    tries: int = 3
    first_s: float = 0.5
    longest_s: float = 10.0  # also where the service asks for more
    total_s: float = 15.0  # after which no further try begins: who waited so long is told


@dataclass(frozen=True, slots=True)
class Spent:
    """What embedding cost. Sums with `+`."""

    texts: int = 0  # that were embedded
    sent: int = 0  # of them, asked of the model; the others were kept from before, or are the same
    tokens: int | None = 0  # that the model counted; None where it does not tell
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        tokens = None if None in (self.tokens, other.tokens) else (self.tokens or 0) + (other.tokens or 0)
        return Spent(self.texts + other.texts, self.sent + other.sent, tokens, self.seconds + other.seconds)

    @property
    def words(self) -> str:
        """For people, e.g. "2 texts, 11 tokens, 0.21 s"."""
        count = f"{self.texts:,} text{'' if self.texts == 1 else 's'}"
        if not self.sent:
            return f"{count}, kept from before: nothing was asked"
        not_sent = f" ({self.texts - self.sent:,} not asked again)" if self.sent < self.texts else ""
        tokens = "" if self.tokens is None else f", {self.tokens:,} token{'' if self.tokens == 1 else 's'}"
        spent = f"{self.seconds:.2f} s" if self.seconds >= 0.1 else f"{1_000 * self.seconds:.1f} ms"
        return f"{count}{not_sent}{tokens}, {spent}"


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Texts as vectors, in their order."""

    vectors: Floats  # (texts, d)
    spent: Spent
    cut: tuple[int, ...] = ()  # places of texts that were longer than the model takes
    kept_characters: int = 0  # of the shortest beginning that was taken of one; 0: the model itself cut

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of them, a sentence each."""
        if not self.cut:
            return ()
        count, alone = len(self.cut), self.spent.texts == 1
        which = "The text" if alone else f"{count:,} of {self.spent.texts:,} texts"
        verb, whose = ("is", "its") if count == 1 else ("are", "their")
        part = f"first {self.kept_characters:,} characters" if self.kept_characters else "beginning"
        return (f"{which} {verb} longer than the model takes: {whose} {part} counted.",)


@dataclass(frozen=True)
class Embedder:
    """A model with what an index wants of it. Where `unit` is set, vectors have length 1."""

    model: Model
    unit: bool = True
    prompts: Prompts = field(default_factory=Prompts)
    kept: KeptVectors | None = field(default=None, repr=False, compare=False)
    patience: Patience = field(default_factory=Patience, repr=False, compare=False)

    @property
    def spec(self) -> str:
        """How the model is written in settings."""
        return self.model.spec

    @property
    def name(self) -> str:
        """The model, as people call it."""
        return self.model.name

    @property
    def dimension(self) -> int | None:
        """Numbers of a vector, if they are known without asking."""
        return self.model.dimension

    @property
    def leaves(self) -> str:
        """What leaves this machine, in one sentence; to be said before something does."""
        if not self.model.sends_to:
            return "Texts are embedded on this machine; none leaves it."
        return f"Texts are sent to {self.model.sends_to}."

    @property
    def identity(self) -> tuple[str, bool, str, str]:
        """What tells its questions' vectors from another embedder's."""
        return self.model.identity, self.unit, self.prompts.query, self.prompts.document

    def same_as(self, other: Embedder) -> bool:
        """Whether both give the same vectors."""
        return self.identity == other.identity

    def embed(self, texts: Sequence[str], side: Side = "query") -> Floats:
        """(len(texts), dimension) float32; see `ask`."""
        return self.ask(texts, side).vectors

    def ask(self, texts: Sequence[str], side: Side = "query", *, report: Report = silent) -> Embedded:
        """Texts as vectors, with what they cost.

        Args:
            texts: none of them blank. Of each, as many characters count as the model takes.
            side: questions or documents.
            report: progress, told before each call; may end the work.

        Returns:
            (len(texts), d) float32, of length 1 where `unit` is set, and otherwise as the model gives them.

        Raises:
            BadInput: a text is blank or not UTF-8.
            MemDBError: the model did not answer, refused, or answered with something else than vectors.
        """
        began = time.perf_counter()
        prefix = self.prompts.of(side)
        whole = [prefix + text for text in answers.checked_texts(texts)]
        sent = [text[: self.model.longest] for text in whole]
        cut = {place for place, text in enumerate(whole) if len(text) > self.model.longest}
        least = self.model.longest - len(prefix) if cut else 0
        rows_of = self._known(sent, side)
        missing = list(dict.fromkeys(text for text in sent if text not in rows_of))
        tokens: int | None = 0
        for start in range(0, len(missing), self.model.at_once):
            report(_STAGE, start, len(missing))
            part = missing[start : start + self.model.at_once]
            rows, used, shortened = self._part(part, side)
            tokens = None if tokens is None or used is None else tokens + used
            rows_of |= dict(zip(part, rows, strict=True))
            for text, length in shortened.items():
                cut |= {place for place, other in enumerate(sent) if other == text}
                if length:
                    least = min(least or length, length - len(prefix))
            if self.kept is not None:
                self.kept.put(
                    {
                        self._digest(text, side): row
                        for text, row in zip(part, rows, strict=True)
                        if text not in shortened
                    }
                )
        rows = [rows_of[text] for text in sent]
        width = len(rows[0]) if rows else self.dimension or 0
        if any(len(row) != width for row in rows):  # what was kept is of a model that has changed
            raise self._changed()
        matrix = np.stack(rows) if rows else np.empty((0, width), np.float32)
        spent = Spent(len(texts), len(missing), tokens, time.perf_counter() - began)
        return Embedded(answers.unit(matrix) if self.unit else matrix, spent, tuple(sorted(cut)), least)

    def _part(self, texts: Sequence[str], side: Side) -> tuple[list[Floats], int | None, dict[str, int]]:
        """Rows, tokens, and which texts were cut: to how many characters, 0 where the model does not tell."""
        try:
            answer = self._called(texts, side)
        except TextTooLong:
            if len(texts) > 1:
                return self._each(texts, side)
            (text,) = texts
            if len(text) <= _LEAST:
                raise
            half = text[: len(text) // 2]
            rows, used, deeper = self._part([half], side)
            return rows, used, {text: deeper.get(half, 0) or len(half)}
        matrix = answers.vectors(answer.rows, len(texts), self.model.name, self.model.dimension)
        return list(matrix), answer.tokens, {texts[place]: 0 for place in answer.cut}

    def _each(self, texts: Sequence[str], side: Side) -> tuple[list[Floats], int | None, dict[str, int]]:
        rows: list[Floats] = []
        tokens: int | None = 0
        shortened: dict[str, int] = {}
        for text in texts:
            own, used, cut = self._part([text], side)
            rows += own
            tokens = None if tokens is None or used is None else tokens + used
            shortened |= cut
        return rows, tokens, shortened

    def _called(self, texts: Sequence[str], side: Side) -> answers.ModelAnswer:
        """One call, tried again where that may help."""
        began, wait = time.monotonic(), self.patience.first_s
        for again in range(self.patience.tries - 1, -1, -1):
            try:
                return self.model.call(texts, side)
            except (Throttled, ServiceUnreachable) as exc:
                wished = max(wait, exc.after_s) if isinstance(exc, Throttled) else wait
                pause = min(wished, self.patience.longest_s)
                if not again or time.monotonic() - began + pause > self.patience.total_s:
                    raise
                time.sleep(pause)
                wait *= 2
        raise AssertionError("a call is tried at least once")

    def _known(self, texts: Sequence[str], side: Side) -> dict[str, Floats]:
        if self.kept is None:
            return {}
        digests = {text: self._digest(text, side) for text in texts}
        rows = self.kept.get(list(digests.values()))
        width = self.model.dimension
        return {
            text: row
            for text, digest in digests.items()
            if (row := rows.get(digest)) is not None and width in (None, len(row))
        }

    def _digest(self, text: str, side: Side) -> bytes:
        return KeptVectors.digest(self.model.identity, side, text)

    def _changed(self) -> MemDBError:
        if self.kept is not None:
            self.kept.forget()
        return Throttled(
            f"{self.model.name} gives vectors of another dimension than before.",
            "What was kept of it is forgotten: ask again.",
        )
