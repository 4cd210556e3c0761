"""Whether an index holds vectors of unit length, from a sample: a question is given the length they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.vectors import distance, search, stored
from memdb.vectors.distance import ROUNDING
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest

SAMPLE = 64  # documents: the nearest to a random direction, which costs the same however large the index is


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of the vectors that were looked at."""

    looked_at: int
    shortest: float
    longest: float
    unit: bool  # each is 1, but for what rounding to the stored type changes

    def words(self, metric: str) -> str:
        """For people, with what it means for a question under this metric."""
        sentence = f"All {self.looked_at:,} vectors looked at have length 1"
        if not self.unit:
            apart = f"{self.shortest:.3g} to {self.longest:.3g}"
            sentence = f"The {self.looked_at:,} vectors looked at are {apart} long"
        if metric == "COSINE":
            return f"{sentence}, which does not matter under COSINE."
        own = "questions get it too" if self.unit else "questions keep the length that the model gives them"
        return f"{sentence}; {own}."


def sample(client: Client, info: IndexInfo, field: str = "") -> Lengths | None:
    """Lengths of up to 64 vectors of an index; None where it holds none that can be read.

    Raises:
        UnsupportedFeature: the vectors are of a type that is not read here.
        MemDBError: the server did not answer, or said no.
    """
    vector_field, params = info.vector_field(field)
    direction = np.random.default_rng().normal(size=params.dim).astype(np.float32)
    request = KnnRequest(info.name, tuple(direction.tolist()), vector_field.name, SAMPLE)
    keys = search.knn(client, request, info).keys
    # As they are stored: `read` brings vectors of unit length under COSINE.
    values = stored.raw(client, info, vector_field, keys)
    packed = [raw for raw in stored.vectors(info, vector_field, params, values) if raw]
    if not packed:
        return None
    rows = distance.from_bytes(b"".join(packed), params.type).reshape(-1, params.dim)
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if not len(lengths):
        return None
    # Each number is rounded by this share; services round theirs to a few digits before.
    allowed = max(1e-3, 2 * ROUNDING.get(params.type, 0.0))
    return Lengths(
        len(lengths),
        float(lengths.min()),
        float(lengths.max()),
        bool((np.abs(lengths - 1) <= allowed).all()),
    )
