"""The values of a field over the points of a map: how many hold each, in all and in a selection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from memdb.cluster import replies
from memdb.display import numbers_apart

MOST = 30  # values of a field that are counted by themselves, the most frequent ones
PARTS = 8  # ranges of a field of numbers, of about as many points each

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Facet:
    """A field's values, most frequent first; ranges of numbers in their order."""

    field: str
    values: tuple[str, ...]
    holds: Bools  # (len(values), n) which points hold which
    left: int  # values that are not among them

    def counts(self, within: Bools) -> NDArray[np.intp]:
        """How many of the points within (n,) hold each value: (len(values),)."""
        return np.asarray((self.holds & within).sum(axis=1), np.intp)

    def holding(self, chosen: Sequence[int]) -> Bools:
        """The points (n,) that hold any of the values at these places; all of them where none is chosen."""
        places = [place for place in chosen if 0 <= place < len(self.values)]
        if not places:
            return np.ones(self.holds.shape[1], bool)
        return np.asarray(self.holds[places].any(axis=0))


def of_tags(field: str, tags: Sequence[Sequence[str]]) -> Facet:
    """Of a TAG field; a point counts for each value it holds, and once.

    Args:
        field: its name.
        tags: (n,) values of each point.
    """
    sets = [set(values) for values in tags]
    counts = Counter(value for values in sets for value in values)
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    most_frequent = ranked[:MOST]
    place = {value: i for i, value in enumerate(most_frequent)}
    holds = np.zeros((len(most_frequent), len(sets)), bool)
    for point, values in enumerate(sets):
        for value in values:
            if value in place:
                holds[place[value], point] = True
    return Facet(field, tuple(most_frequent), holds, len(ranked) - len(most_frequent))


def of_numbers(field: str, texts: Sequence[str]) -> Facet:
    """Of a NUMERIC field, as ranges; a range holds its lower end, the last one its upper end too.

    Args:
        field: its name.
        texts: (n,) numbers as text, anything else for points without one.
    """
    numbers = np.array([replies.number(value) for value in texts], np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return Facet(field, (), np.zeros((0, len(numbers)), bool), 0)
    different = np.unique(numbers[finite])
    if len(different) <= PARTS:
        text = numbers_apart(different.tolist())
        words = [text[x] for x in different.tolist()]
        return Facet(field, tuple(words), different[:, None] == numbers[None, :], 0)
    edges = np.unique(np.quantile(numbers[finite], np.linspace(0, 1, PARTS + 1), method="nearest"))
    part = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    holds = (np.arange(len(edges) - 1)[:, None] == part[None, :]) & finite[None, :]
    text = numbers_apart(edges.tolist())
    words = [f"{text[low]} to below {text[high]}" for low, high in pairwise(edges.tolist())]
    words[-1] = words[-1].replace("below ", "")
    return Facet(field, tuple(words), holds, 0)
