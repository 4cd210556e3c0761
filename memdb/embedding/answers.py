"""What a model is, what it answers, and the checks of both: texts before they go, vectors when they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from memdb.errors import BadInput, EngineError
from memdb.vectors.distance import Floats

_MOST_TOKENS = 10**12  # of one call
Side = Literal["query", "document"]  # models of some families embed the two differently


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What a model answered to one call. `rows` is as it came and is not yet checked."""

    rows: Any
    tokens: int | None = None  # that the model counted; None where it does not tell
    cut: frozenset[int] = frozenset()  # places of texts of which it took the beginning only


class Model(Protocol):
    """One call to a model. Batches, prefixes, retries and checks are the `Embedder`'s."""

    @property
    def spec(self) -> str:
        """How it is written in settings, e.g. `titan:512`."""

    @property
    def name(self) -> str:
        """The model, as people call it."""

    @property
    def dimension(self) -> int | None:
        """Numbers of a vector; None where an answer alone tells it."""

    @property
    def identity(self) -> str:
        """What tells its vectors from another model's; no key, no login."""

    @property
    def sends_to(self) -> str:
        """Where texts go; empty where they stay on this machine."""

    @property
    def at_once(self) -> int:
        """Texts that a call may carry."""

    @property
    def longest(self) -> int:
        """Characters of a text that are passed on."""

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        """The vectors of at most `at_once` texts, of whatever length the model gives them.

        Raises:
            MemDBError: there is no answer, or it says no; Throttled where it may be asked again.
        """


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts without blanks around them.

    Raises:
        BadInput: one is blank, or holds bytes that are not UTF-8.
    """
    for place, text in enumerate(texts, 1):
        if not text.strip():
            raise BadInput(f"Text {place} of {len(texts)} is blank.", "A blank text has no embedding.")
        if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise BadInput(
                f"Text {place} of {len(texts)} holds bytes that are not UTF-8.",
                "Give the text in UTF-8; anything else has no embedding.",
            )
    return [text.strip() for text in texts]


def counted_tokens(count: object) -> int | None:
    """The tokens of a call as a service tells them; None where it tells none, or a number that cannot be."""
    return count if type(count) is int and 0 <= count < _MOST_TOKENS else None


def vectors(rows: Any, count: int, name: str, dimension: int | None = None) -> Floats:
    """The answer as (count, d) float32, of the lengths that it has.

    Raises:
        EngineError: it is not `count` finite vectors of one dimension, or of another than was promised.
    """
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite then
            matrix = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0, np.float32)
    if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1]:
        raise EngineError(
            f"{name} did not answer with {count:,} vector{'' if count == 1 else 's'}.",
            "Check the model's name: it must be one for embeddings.",
        )
    if not np.isfinite(matrix).all():
        raise EngineError(
            f"{name} answered with values that are not finite numbers.",
            "Nothing was searched. Ask again, or use another model.",
        )
    if dimension is not None and matrix.shape[1] != dimension:
        raise EngineError(
            f"{name} answered with {matrix.shape[1]:,} numbers, not {dimension:,}.",
            "Check the model's name and its endpoint.",
        )
    return matrix


def unit(matrix: Floats) -> Floats:
    """(n, d) of length 1 each; one without a direction stays zero."""
    wide = matrix.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(lengths == 0, 1.0, lengths), dtype=np.float32)
