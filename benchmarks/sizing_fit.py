"""The constants of the `redisearch` profile, fitted to measured shapes: non-negative least squares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from scipy.optimize import nnls

from memdb.errors import BadInput
from memdb.sizing import redisearch, samples
from memdb.sizing.model import Constants
from memdb.sizing.samples import MeasuredSample
from memdb.sizing.shape import Shape

# RediSearch's own, of FT.CREATE without STOPWORDS.
STOP_WORDS = frozenset(
    "a is the an and are as at be but by for if in into it no not of on or such that their then there these "
    "they this to was will with".split()
)
FITTED = (
    *(Shape(n, 32) for n in (0, 1_000, 2_500, 12_000)),
    *(Shape(n, 32, algorithm="FLAT") for n in (0, 1_000, 4_000, 10_000)),
    *(Shape(3_000, dim, m=m) for dim, m in ((16, 4), (16, 16), (64, 8), (64, 32), (256, 16), (768, 4))),
    Shape(3_000, 32, tags=1, tag_values=50),
    Shape(3_000, 32, tags=4, tag_values=500),
    Shape(3_000, 32, tags=2, tag_values=3_000),
    Shape(8_000, 32, tags=5, tag_values=100),
    Shape(3_000, 32, tags=1, tag_values=3_000, tag_bytes=20),
    Shape(8_000, 32, tags=2, tag_values=8_000, tag_bytes=36),
    Shape(3_000, 32, tags=2, tag_values=3_000, tag_bytes=100),
    Shape(2_000, 32, numbers=1),
    Shape(8_000, 32, numbers=4),
    Shape(2_000, 32, numbers=10),
    Shape(3_000, 32, key_bytes=38, random_keys=True),
    Shape(8_000, 32, key_bytes=100, random_keys=True),
    Shape(3_000, 32, key_bytes=200),
    Shape(2_000, 64, text_bytes=100),
    Shape(2_000, 64, text_bytes=1_000),
    Shape(5_000, 64, text_bytes=400),
    Shape(1_000, 64, text_bytes=6_000),
    Shape(2_000, 64, text_bytes=8_000),
    Shape(5_000, 64, text_bytes=3_000),
    Shape(2_000, 32, key_type="JSON"),
    Shape(4_000, 32, key_type="JSON", tags=3),
    Shape(2_000, 100, key_type="JSON", numbers=3),
    Shape(2_000, 64, key_type="JSON", metadata_bytes=300),
)


def fit(measured: Sequence[MeasuredSample]) -> Constants:
    """Constants that make the model agree with measurements of many shapes; none negative.

    Relative errors count: each shape's row is divided by what the shape took.

    Raises:
        BadInput: fewer measurements than constants.
    """
    names = [field.name for field in fields(Constants)]
    if len(measured) < len(names):
        raise BadInput(f"{len(measured)} shapes cannot fit {len(names)} constants.", "Measure more shapes.")
    rows, wanted = [], []
    for m in measured:
        exact, counts = redisearch.design(with_words(m.shape))
        rows.append(np.array([counts[n][1] if n in counts else 0.0 for n in names]) / m.total_bytes)
        wanted.append((m.total_bytes - sum(exact.values())) / m.total_bytes)
    matrix = np.array(rows)
    scale = np.maximum(matrix.max(axis=0), 1e-30)  # counts differ by a million
    solved, _ = nnls(matrix / scale, np.array(wanted))
    default, seen = Constants(), matrix.any(axis=0)
    return Constants(
        **{
            name: float(value) if known else getattr(default, name)
            for name, value, known in zip(names, solved / scale, seen, strict=True)
        }
    )


def with_words(shape: Shape) -> Shape:
    """A shape with the words of its sample texts counted: the fit is of the engine, not of English."""
    if not shape.text_bytes:
        return shape
    every, different = 0, set()
    for text in samples.texts(shape):
        found = [word for word in re.findall(r"[a-z0-9_]+", text.lower()) if word not in STOP_WORDS]
        every += len(found)
        different.update(found)
    return replace(shape, text_words=round(every / shape.vectors), text_vocabulary=len(different))
