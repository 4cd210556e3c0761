"""Groups that the eye sees on a map, found by density, and named by the words that set them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memdb.display import line
from memdb.jobs import Report, silent
from memdb.maps.request import Ints
from memdb.vectors.distance import Floats

MOST = 150  # clusters of the first level: since each has its share of the points, none is left out
_DENSE = 10_000  # points that HDBSCAN looks at; the rest follow their nearest
_TERMS = 3
_LIFT = 1.5  # a term that names a cluster is so many times as frequent in it as elsewhere
_TOLD = 50_000  # points whose texts name the clusters


@dataclass(frozen=True, slots=True)
class _Grain:
    """How fine the clusters of a level are."""

    share: int  # a cluster has at least one of so many points
    least: int  # and at least so many
    samples: int
    chosen: Literal["eom", "leaf"]  # HDBSCAN's way of choosing among clusters within clusters
    most: int


# The first level colours the map; the others are names that appear as one comes nearer.
_GRAINS = (
    _Grain(MOST, 15, 5, "eom", MOST),
    _Grain(120, 15, 3, "leaf", 60),
    _Grain(400, 8, 3, "leaf", 160),
)


def clusters(xy: Floats, *, level: int = 0, seed: int = 0, report: Report = silent) -> Ints:
    """(n,) cluster of each point, 0 for the largest, -1 for points between clusters.

    HDBSCAN on the map's places: what is grouped is what is seen, not what is near in the original space.

    Args:
        xy: (n, 2 or 3).
        level: 0 for the coarse ones, up to LEVELS - 1 for finer ones.
        seed: which points HDBSCAN looks at where there are more than 10,000; the rest follow their nearest.
        report: progress.
    """
    from scipy.spatial import cKDTree
    from sklearn.cluster import HDBSCAN

    n, grain = len(xy), _GRAINS[level]
    report("Clusters", level, LEVELS)
    if n < 30 or not np.ptp(xy, axis=0).any():
        return np.zeros(n, np.int32)
    chosen = np.arange(n)
    if n > _DENSE:
        chosen = np.sort(np.random.default_rng(seed).choice(n, _DENSE, replace=False))
    method = HDBSCAN(
        min_cluster_size=max(grain.least, len(chosen) // grain.share),
        min_samples=grain.samples,
        cluster_selection_method=grain.chosen,
        copy=True,
    )
    labels = np.asarray(method.fit(xy[chosen]).labels_, np.int32)
    if n > _DENSE:
        labels = labels[cKDTree(xy[chosen]).query(xy, k=1)[1]]
    sizes = np.bincount(labels[labels >= 0]) if (labels >= 0).any() else np.empty(0, np.int64)
    places = np.full(len(sizes) + 1, -1, np.int32)
    for rank, label in enumerate(np.argsort(-sizes, kind="stable")[: grain.most]):
        places[label] = rank
    report("Clusters", level + 1, LEVELS)
    named: Ints = places[labels]  # -1 is the last place, which stays -1
    return named


LEVELS = len(_GRAINS)


def told(n: int, *, seed: int = 0) -> Ints:
    """Which of n points' texts name the clusters, (m,): all up to 50,000, else as many at random."""
    if n <= _TOLD:
        return np.arange(n, dtype=np.int32)
    return np.sort(np.random.default_rng(seed).choice(n, _TOLD, replace=False)).astype(np.int32)


def names(texts: Sequence[str], labels: Ints, count: int) -> tuple[str, ...]:
    """A name for each cluster: the terms that are more frequent in it than elsewhere (class-based TF-IDF).

    Args:
        texts: (n,) of each point, e.g. its title; may be empty.
        labels: (n,) of `clusters`.
        count: how many clusters there are; of some there may be no text.

    Returns:
        One name a cluster; `cluster 3` where no term stands out.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    fallback = tuple(f"cluster {i + 1}" for i in range(count))
    if not count or not any(text.strip() for text in texts):
        return fallback
    vectorizer = CountVectorizer(
        stop_words="english",
        token_pattern=r"(?u)\b[^\W\d_][\w-]{2,}\b",  # noqa: S106  # a pattern of words
        max_features=20_000,
        preprocessor=words,
    )
    try:
        counted = vectorizer.fit_transform(texts)
    except ValueError:  # no word is left
        return fallback
    terms = vectorizer.get_feature_names_out()
    # A document counts a term once: one long text must not name its cluster.
    counted.data = np.minimum(counted.data, 1)
    within = np.stack([np.asarray(counted[labels == i].sum(axis=0)).ravel() for i in range(count)]).astype(
        float
    )
    of_all = np.asarray(counted.sum(axis=0)).ravel()
    sizes = np.bincount(labels[labels >= 0], minlength=count)[:, None]
    share = within / np.maximum(sizes, 1)
    elsewhere = (of_all - within + 1) / (len(texts) - sizes + 1)  # finite also for a term of its own
    # Where nothing is elsewhere, the most frequent terms name it.
    lift = np.where(sizes == len(texts), np.e, share / elsewhere)
    score = share * np.log(np.maximum(lift, 1.0))
    score[(within < 3) | (lift < _LIFT)] = 0.0
    named = []
    for row, name in zip(score, fallback, strict=True):
        best: dict[str, str] = {}  # a word in both numbers counts once
        for place in np.argsort(-row, kind="stable")[: 2 * _TERMS].tolist():
            if row[place] > 0:
                best.setdefault(terms[place].removesuffix("s"), terms[place])
        named.append(line(", ".join(list(best.values())[:_TERMS]), 60) if best else name)
    return tuple(named)


def words(text: str) -> str:
    """CamelCase and dashes as words, lower case."""
    spaced = []
    for before, sign in zip(" " + text, text, strict=False):
        spaced.append(f" {sign}" if sign.isupper() and before.islower() else sign)
    return "".join(spaced).lower()
