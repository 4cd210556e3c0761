"""Two ranked lists as one: by reciprocal ranks, or by weighted scores, each brought to 0 … 1. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memdb.errors import OutOfRange
from memdb.vectors.distance import Doubles

Method = Literal["rrf", "weighted"]
METHODS: dict[Method, str] = {"rrf": "reciprocal ranks", "weighted": "weighted scores"}


@dataclass(frozen=True, slots=True)
class Fusion:
    """How two legs become one list.

    `constant` of reciprocal ranks: the larger, the less the first places count (Cormack et al. 2009: 60).
    `weight` of weighted scores: the share of the vectors, in [0, 1].
    `depth`: hits that each leg brings; at least k.
    """

    method: Method = "rrf"
    constant: int = 60
    weight: float = 0.5
    depth: int = 50

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("The constant", self.constant, 1, 10_000),
            ("The weight of the vectors", self.weight, 0, 1),
            ("The depth", self.depth, 1, 10_000),
        ):
            if not low <= value <= high:
                raise OutOfRange(name, value, low, high, "the fusion")

    @property
    def words(self) -> str:
        """For people."""
        if self.method == "rrf":
            return f"1 / ({self.constant} + rank), summed over both"
        return f"{self.weight:g} × vectors + {1 - self.weight:g} × words, each score brought to 0 … 1"


FUSION = Fusion()  # where nothing else is said


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leg has a document: its rank from 1, and the leg's own score; larger is better."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Fused:
    """A document of the fused list; a leg that does not have it is None."""

    key: str
    score: float
    vectors: Place | None
    words: Place | None


def fused(
    vectors: Sequence[str],
    similarities: Doubles,
    words: Sequence[str],
    scores: Doubles,
    fusion: Fusion,
) -> tuple[Fused, ...]:
    """Both legs as one list, best first. Equal scores go by the rank among the vectors, then the words.

    Args:
        vectors: keys of the vectors' leg, best first.
        similarities: (len(vectors),) of them, larger is better; NaN: none.
        words: keys of the words' leg, best first.
        scores: (len(words),) of them, larger is better.
        fusion: how.
    """
    near, by_words = places(vectors, similarities), places(words, scores)
    if fusion.method == "rrf":
        parts = [
            {key: 1 / (fusion.constant + place.rank) for key, place in leg.items()}
            for leg in (near, by_words)
        ]
    else:
        parts = [
            {key: share * value for key, value in zip(leg, normalised(leg), strict=True)}
            for leg, share in ((near, fusion.weight), (by_words, 1 - fusion.weight))
        ]
    every = [
        Fused(key, parts[0].get(key, 0.0) + parts[1].get(key, 0.0), near.get(key), by_words.get(key))
        for key in dict.fromkeys((*near, *by_words))
    ]
    last = len(near) + len(by_words) + 1
    return tuple(
        sorted(
            every,
            key=lambda hit: (
                -hit.score,
                hit.vectors.rank if hit.vectors else last,
                hit.words.rank if hit.words else last,
            ),
        )
    )


def places(keys: Sequence[str], scores: Doubles) -> dict[str, Place]:
    """Rank and score by key; scores is (len(keys),). Of a key that comes twice the better place counts."""
    places_of: dict[str, Place] = {}
    for rank, (key, score) in enumerate(zip(keys, scores.tolist(), strict=True), 1):
        places_of.setdefault(key, Place(rank, score))
    return places_of


def normalised(leg: dict[str, Place]) -> list[float]:
    """A leg's scores from 0, its least, to 1, its best; all 1 where they are equal, 0 where there is none."""
    values = np.array([place.score for place in leg.values()], dtype=np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return [0.0] * len(values)
    low, high = float(finite.min()), float(finite.max())
    scaled = np.ones_like(values) if high == low else (values - low) / (high - low)
    return [float(value) if np.isfinite(value) else 0.0 for value in np.where(np.isfinite(values), scaled, 0)]
