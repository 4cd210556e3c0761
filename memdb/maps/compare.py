"""Two maps over the same documents: the second turned and scaled onto the first, and how alike they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memdb.maps.quality import without_self
from memdb.maps.request import Map
from memdb.vectors.distance import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Points that both maps show."""

    left: NDArray[np.intp]  # (m,) places in the first map
    right: NDArray[np.intp]  # (m,) places of the same documents in the second
    aligned: Floats  # (n2, dimensions) the second map's points, turned onto the first
    shared: Floats  # (m,) share of each point's map neighbours that are the same on both
    neighbours: int


def pair(first: Map, second: Map, *, k: int = 10) -> Pair | None:
    """The points in common, or None where there are fewer than four."""
    from scipy.spatial import cKDTree

    where = {key: i for i, key in enumerate(second.keys)}
    common = [(i, where[key]) for i, key in enumerate(first.keys) if key in where]
    if len(common) < 4 or first.xy.shape[1] != second.xy.shape[1]:
        return None
    left, right = (np.array(side, dtype=np.intp) for side in zip(*common, strict=True))
    a, b = first.xy[left].astype(np.float64), second.xy[right].astype(np.float64)
    k = min(k, len(left) - 1)
    near_a, near_b = (without_self(cKDTree(points).query(points, k=k + 1)[1], k) for points in (a, b))
    shared = np.fromiter(
        (len(np.intersect1d(x, y)) / k for x, y in zip(near_a, near_b, strict=True)),
        np.float32,
        len(left),
    )
    return Pair(left, right, _onto(a, b, second.xy), shared, k)


def _onto(a: NDArray[np.float64], b: NDArray[np.float64], points: Floats) -> Floats:
    """Procrustes: the turn, mirror, scale and shift of b that bring it nearest to a; for all points."""
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    u, s, vt = np.linalg.svd((b - mean_b).T @ (a - mean_a))
    spread = float(((b - mean_b) ** 2).sum())
    scale = float(s.sum()) / spread if spread > 0 else 1.0
    turned: Floats = ((points - mean_b) @ (u @ vt) * scale + mean_a).astype(np.float32)
    return turned
