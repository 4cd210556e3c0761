"""What sets some points of a map apart from the rest: values, ranges and words more frequent there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.cluster import replies
from memdb.display import numbers_apart
from memdb.maps import clusters
from memdb.vectors.distance import Floats

_FEW = 6  # different numbers that each count by themselves
LEAST = 3  # documents that must hold a value before it says something


@dataclass(frozen=True, slots=True)
class Trait:
    """A value that is over-represented in a selection."""

    field: str
    value: str
    inside: float  # share of the selected that hold it
    outside: float  # share of the others
    log_odds: float  # natural; 0 where both are alike


@dataclass(frozen=True, slots=True, eq=False)
class Inside:
    """Documents that stand for a selection, by their vectors and not by the map."""

    typical: NDArray[np.intp]  # places of those nearest to the selection's middle, nearest first
    odd: NDArray[np.intp]  # of those farthest from it, farthest first
    copies: tuple[tuple[int, ...], ...]  # places of documents with the same vector, largest group first


def inside(vectors: Floats, metric: str, chosen: NDArray[np.intp], *, limit: int = 5) -> Inside:
    """Which documents are typical of a selection, which are odd, and which are copies of each other.

    Args:
        vectors: (n, d) prepared for the metric.
        metric: COSINE, IP or L2. The middle is the mean of the vectors, under COSINE and IP its direction.
        chosen: (m,) places of the selected points.
        limit: how many of each.
    """
    some = vectors[chosen]
    middle = some.mean(axis=0, dtype=np.float64)
    far = ((some - middle) ** 2).sum(axis=1) if metric == "L2" else -(some @ middle)
    order = np.argsort(far, kind="stable")
    groups: dict[bytes, list[int]] = {}
    for place, row in zip(chosen.tolist(), np.ascontiguousarray(some), strict=True):
        groups.setdefault(row.tobytes(), []).append(place)
    copies = sorted((tuple(group) for group in groups.values() if len(group) > 1), key=lambda g: (-len(g), g))
    odd = order[::-1][: min(limit, max(0, len(order) - limit))]
    return Inside(chosen[order[:limit]], chosen[odd], tuple(copies))


def traits(
    tags: Mapping[str, Sequence[Sequence[str]]],
    numbers: Mapping[str, Sequence[str]],
    texts: Sequence[str],
    chosen: NDArray[np.intp],
    *,
    limit: int = 12,
) -> tuple[Trait, ...]:
    """The values that distinguish a selection from the rest, strongest first; none where nothing is left.

    Args:
        tags: field → (n,) values of each point, as `tags.held` gives them.
        numbers: field → (n,) numbers as text; told as four ranges, or as they are where few differ.
        texts: (n,) e.g. titles, for words.
        chosen: places of the selected points.
        limit: how many.
    """
    n = max([len(texts), *(len(v) for v in tags.values()), *(len(v) for v in numbers.values())], default=0)
    inside = np.zeros(n, bool)
    inside[chosen] = True
    if inside.all():
        return ()
    compared: list[Trait] = []
    for field, values in tags.items():
        compared += _compared(field, [set(tags) for tags in values], inside)
    for field, values in numbers.items():
        compared += _compared(field, [{name} if name else set() for name in _ranges(values)], inside)
    if any(texts):
        words = [
            {w for w in clusters.words(text).split() if len(w) > 2 and not w.isdigit()} for text in texts
        ]
        compared += _compared("word", words, inside)
    compared = [t for t in compared if t.log_odds > 0.3]
    # Strong and frequent: odds alone would prefer what three documents share.
    compared.sort(key=lambda t: -t.log_odds * np.sqrt(t.inside))
    return tuple(compared[:limit])


def _compared(field: str, values: Sequence[set[str]], inside: NDArray[np.bool_]) -> list[Trait]:
    here: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for values_of, chosen in zip(values, inside.tolist(), strict=True):
        (here if chosen else there).update(values_of)
    n_here, n_there = int(inside.sum()), int((~inside).sum())
    compared = []
    for value, count in here.items():
        if count < min(LEAST, n_here):
            continue
        # Half a document each: a value that nobody else holds has finite odds.
        odds_here = (count + 0.5) / (n_here - count + 0.5)
        odds_there = (there[value] + 0.5) / (n_there - there[value] + 0.5)
        share = there[value] / n_there if n_there else 0.0
        compared.append(Trait(field, value, count / n_here, share, float(np.log(odds_here / odds_there))))
    return compared


def _ranges(values: Sequence[str]) -> list[str]:
    numbers = np.array([replies.number(value) for value in values], dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return [""] * len(values)
    different = np.unique(finite)
    if len(different) <= _FEW:
        text = numbers_apart(different.tolist())
        return [text.get(x, "") for x in numbers.tolist()]
    edges = np.unique(np.quantile(finite, [0, 0.25, 0.5, 0.75, 1.0]))
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    text = numbers_apart(edges.tolist())
    return [
        f"{text[float(edges[p])]} to {text[float(edges[p + 1])]}" if np.isfinite(x) else ""
        for x, p in zip(numbers, places.tolist(), strict=True)
    ]
