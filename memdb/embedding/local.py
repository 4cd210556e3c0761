"""The model that is shipped: no network, no key."""

from __future__ import annotations

from collections.abc import Sequence

from memdb import embed as model
from memdb.vectors.distance import Floats


class Local:
    """wordllama, 256 numbers, on this machine."""

    name = model.MODEL
    dimension: int | None = model.DIMENSION

    def embed(self, texts: Sequence[str]) -> Floats:
        """(len(texts), dimension) float32 of length 1; see `memdb.embed.embed`."""
        return model.embed(texts)
