"""An evaluation as an object: what was asked, what came back, how it was judged. Immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from memdb.errors import BadInput
from memdb.relevance.measures import MeasureValues, measured
from memdb.vectors.fusion import FUSION, Fusion

By = Literal["vectors", "words", "hybrid"]
WAYS: dict[By, str] = {"vectors": "vectors", "words": "words", "hybrid": "words and vectors"}
MOST_SETTINGS = 6
MOST_K = 1_000
MOST_HITS = 2_000_000  # of one evaluation: settings × questions × k


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to answer a question."""

    index: str
    field: str = ""  # its vector field; empty: the first
    by: By = "vectors"
    embedder: str = ""  # as `memdb.embedding` names it; empty: the index's own
    ef_runtime: int | None = None  # None: the index's own
    strip: str = ""  # what the index's keys begin with and the labels' do not
    fusion: Fusion = FUSION  # of both lists, where it is asked by both

    @property
    def words(self) -> str:
        """For people, e.g. "idx:docs, words and vectors, EF 100"."""
        parts = [f"{self.index}.{self.field}" if self.field else self.index, WAYS[self.by]]
        parts += [self.embedder] if self.embedder and self.by != "words" else []
        parts += [f"EF {self.ef_runtime}"] if self.ef_runtime and self.by != "words" else []
        parts += [self.fusion.words] if self.by == "hybrid" and self.fusion != FUSION else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """What to evaluate. All settings are asked the same questions; the first is the base of comparisons."""

    settings: tuple[Setting, ...]
    k: int = 10
    filter: str = "*"  # in the engine's words, for all settings
    relevant: int = 1  # the least grade that counts as relevant
    confidence: float = 0.95  # of every interval

    def __post_init__(self) -> None:
        if not 1 <= len(self.settings) <= MOST_SETTINGS:
            raise BadInput(
                f"{len(self.settings)} settings are to be compared.", f"Name 1 to {MOST_SETTINGS} of them."
            )
        if len(set(self.settings)) < len(self.settings):
            raise BadInput(
                f"The setting '{self.settings[0].words}' is named twice."
                if len(set(self.settings)) == 1
                else "A setting is named twice.",
                "Give each another index, field, model, EF_RUNTIME, or way to search.",
            )
        if not 1 <= self.k <= MOST_K:
            raise BadInput(f"k is {self.k:,}.", f"Give 1 to {MOST_K:,} hits.")
        if self.relevant < 1:
            raise BadInput(f"The least relevant grade is {self.relevant}.", "Give 1 or more.")
        if not 0 < self.confidence < 1:
            raise BadInput(f"The confidence is {self.confidence:g}.", "Give one between 0 and 1, e.g. 0.95.")


@dataclass(frozen=True, slots=True)
class SettingAnswers:
    """What one setting answered."""

    setting: Setting
    hits: tuple[tuple[str, ...], ...]  # of each question: keys as the labels have them, best first, at most k
    took_s: float  # of embedding and asking, wall time at the client


@dataclass(frozen=True)  # no slots: what is measured of it is computed once
class Evaluation:
    """Questions asked under some settings, and what the labels say of the answers."""

    id: str  # sortable by time
    started: str  # ISO, UTC
    target: str  # address without user or password
    engine: str
    request: EvaluationRequest
    source: str  # of questions and labels, for people
    ids: tuple[str, ...]  # of the questions
    questions: tuple[str, ...]
    grades: tuple[Mapping[str, int], ...]  # of each question: key → grade
    answers: tuple[SettingAnswers, ...]  # in the order of the settings
    notes: tuple[str, ...]  # what was left out or went otherwise, a sentence each
    embedded: tuple[str, ...]  # what each model cost, for people
    partial: bool  # whether it ended before all questions were asked
    took_s: float
    memdb_version: str
    title: str = ""  # given by the user

    @cached_property
    def measures(self) -> tuple[MeasureValues, ...]:
        """What each setting got, rows following the questions."""
        return tuple(
            measured(each.hits, self.grades, self.request.k, self.request.relevant) for each in self.answers
        )

    @property
    def names(self) -> tuple[str, ...]:
        """A short name for each setting: A, B, …"""
        return letters(self.answers)


def letters(settings: Sequence[object]) -> tuple[str, ...]:
    """A, B, C, … for so many settings."""
    return tuple(chr(ord("A") + place) for place in range(len(settings)))
