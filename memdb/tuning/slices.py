"""Recall by slice: where in the data an index finds less. Groups of queries, pure but for reading fields.

A slice's recall is of the queries that lie in it: query documents with this tag value, in this range, in
this cluster, in a region this dense.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import line, numbers_apart
from memdb.errors import BadInput
from memdb.tuning.run import Run
from memdb.vectors import stored
from memdb.vectors.distance import Doubles, Floats
from memdb.vectors.index import IndexInfo

# Below this many queries an interval is so wide that a slice's recall says little: thirty that found
# everything leave 0.88 to 1 at 95 %.
FEW_QUERIES = 30
SLICES = 12  # the largest groups of a tag; the others are put together
BINS = 5
CLUSTERS = 8
OTHERS = "all others"
MISSING = "without a value"

# (n,) recalls in [0, 1] → the ends of their mean's interval.
Interval = Callable[[Doubles], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Slice:
    """The queries of one group."""

    name: str
    queries: int
    recall: float
    low: float
    high: float

    @property
    def small(self) -> bool:
        """Whether it holds too few queries to tell much."""
        return self.queries < FEW_QUERIES


def sliced(
    labels: Sequence[str | tuple[str, ...]], recalls: Doubles, interval: Interval, *, by_size: bool
) -> tuple[Slice, ...]:
    """Recall of each group of queries.

    Args:
        labels: (n,) the group of each query, or all groups that it lies in.
        recalls: (n,) recall of each query.
        interval: of the mean of some recalls.
        by_size: largest group first, and all beyond SLICES in one; else in order of first appearance.

    Raises:
        BadInput: as many labels as recalls are needed.
    """
    if len(labels) != len(recalls):
        raise BadInput(f"{len(labels)} labels for {len(recalls)} queries.", "Give one for each query.")
    groups = [{label} if isinstance(label, str) else set(label) for label in labels]
    sizes: dict[str, int] = {}
    for label in labels:
        for name in (label,) if isinstance(label, str) else dict.fromkeys(label):
            sizes[name] = sizes.get(name, 0) + 1
    names = list(sizes)
    if by_size:
        names.sort(key=lambda name: (name == MISSING, -sizes[name], name))
        if len(names) > SLICES:
            largest = set(names[: SLICES - 1])
            groups = [{name if name in largest else OTHERS for name in group} for group in groups]
            names = [*names[: SLICES - 1], OTHERS]
    slices = []
    for name in names:
        of_group = recalls[np.array([name in group for group in groups], dtype=np.bool_)]
        low, high = interval(of_group)
        slices.append(Slice(name, len(of_group), float(of_group.mean()), low, high))
    return tuple(slices)


def field_values(client: Client, info: IndexInfo, field: str, keys: Sequence[str]) -> list[str]:
    """The value of a TAG or NUMERIC field in each document, "" where it has none. One round trip a thousand.

    Raises:
        UnknownField: the index has no such field.
    """
    indexed = info.field(field, "TAG", "NUMERIC")
    return [replies.text(value) for value in stored.values(client, info, indexed, keys)]


def tag_labels(values: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The groups of each document: one for each value that it holds, as `tags.held` gives them."""
    return [tuple(tags) or (MISSING,) for tags in values]


def number_labels(values: Sequence[str], bins: int = BINS) -> list[str]:
    """The group of each document: a range that holds about as many queries as the others.

    Equal numbers are never split, so heavily repeated ones give fewer ranges.
    """
    numbers = np.array([replies.number(value) for value in values], dtype=np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return [MISSING if math.isnan(number) else f"{number:g}" for number in numbers.tolist()]
    ordered = np.sort(numbers[finite])
    # Ranges begin at numbers that occur; behind a number that fills a whole range the next begins.
    starts = [float(ordered[0])]
    for i in range(1, bins):
        start = float(ordered[i * len(ordered) // bins])
        if start == starts[-1]:
            after = int(np.searchsorted(ordered, start, side="right"))
            start = float(ordered[after]) if after < len(ordered) else start
        if start > starts[-1]:
            starts.append(start)
    ends = [float(ordered[np.searchsorted(ordered, start) - 1]) for start in starts[1:]] + [
        float(ordered[-1])
    ]
    text = numbers_apart({*starts, *ends})
    names = [text[a] if a == b else f"{text[a]} to {text[b]}" for a, b in zip(starts, ends, strict=True)]
    places = np.searchsorted(starts, numbers, side="right") - 1
    others = [MISSING if math.isnan(number) else f"{number:g}" for number in numbers.tolist()]  # inf, -inf
    return [
        names[place] if ok else other
        for place, ok, other in zip(places.tolist(), finite.tolist(), others, strict=True)
    ]


def as_number(value: str) -> float:
    """A stored number; NaN where it is none."""
    return replies.number(value)


def kth_distances(run: Run) -> Doubles:
    """(q,) distance of each query's farthest true neighbour; NaN where nothing matches."""
    rows = zip(run.truth.keys, run.truth.distances, strict=True)
    return np.array([row[len(keys) - 1] if keys else np.nan for keys, row in rows], dtype=np.float64)


def asked_labels(run: Run) -> list[str]:
    """The group of each query by what the application asked it with: filter, its parameters, and K."""
    labels = []
    for ask in run.queries.asks:
        bound = ", ".join(f"${name} = {value}" for name, value in ask.filter_params)
        labels.append(f"K {ask.k}, {line(ask.filter, 160)}{f' with {line(bound, 60)}' if bound else ''}")
    return labels


def density_labels(kth: Doubles, bins: int = BINS) -> list[str]:
    """The group of each query by the distance to its k-th true neighbour: near is a dense region.

    Args:
        kth: (n,) distance of the farthest true neighbour; NaN where there is none.
        bins: groups of about the same size.
    """
    named = number_labels([f"{d:.4g}" if np.isfinite(d) else "" for d in kth], bins)
    return [name if name == MISSING else f"k-th neighbour at {name}" for name in named]


def clusters(
    vectors: Floats, count: int = CLUSTERS, *, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """k-means over the queries: which cluster each belongs to, and the query nearest to each centre.

    Args:
        vectors: (n, d), prepared for the metric (of unit length for COSINE).
        count: clusters at most; never more than a fifth of the queries.
        seed: of the start.

    Returns:
        ((n,), (c,)): clusters are numbered by size, largest first.
    """
    from sklearn.cluster import KMeans

    n = len(vectors)
    wanted = min(max(1, min(count, n // 5)), len(np.unique(vectors, axis=0)))
    fitted = KMeans(wanted, n_init=1, random_state=seed).fit(vectors)
    sizes = np.bincount(fitted.labels_, minlength=wanted)
    by_size = np.argsort(-sizes, kind="stable")
    renamed = np.argsort(by_size)[fitted.labels_]
    away = np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1)
    middle = [int(np.where(renamed == i, away, np.inf).argmin()) for i in range(int((sizes > 0).sum()))]
    return renamed, np.array(middle, dtype=np.intp)


def cluster_labels(
    vectors: Floats, titles: Sequence[str], count: int = CLUSTERS, *, seed: int = 0
) -> list[str]:
    """The group of each query (n, d): a cluster, named after the query in its middle."""
    labels, middle = clusters(vectors, count, seed=seed)
    return [f"{place + 1}: like “{line(titles[middle[place]], 40)}”" for place in labels.tolist()]
