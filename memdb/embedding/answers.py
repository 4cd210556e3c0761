"""What a service answered, held against what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from memdb.errors import BadInput, EngineError
from memdb.vectors import distance
from memdb.vectors.distance import Floats


def asked(texts: Sequence[str]) -> list[str]:
    """The texts, none of them blank.

    Raises:
        BadInput: one is.
    """
    for place, text in enumerate(texts, 1):
        if not text.strip():
            raise BadInput(f"Text {place} of {len(texts)} is blank.", "A blank text has no embedding.")
    return [text.strip() for text in texts]


def vectors(answer: Any, count: int, name: str) -> Floats:
    """The answer as (count, d) float32 of length 1.

    Raises:
        EngineError: it is not `count` finite vectors of one length.
    """
    try:
        matrix = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError):
        matrix = np.empty(0, np.float32)
    if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1] or not np.isfinite(matrix).all():
        raise EngineError(
            f"{name} did not answer with {count} vector{'' if count == 1 else 's'}.",
            "Check the model's name: it must be one for embeddings.",
        )
    return distance.prepared(matrix, "COSINE")
