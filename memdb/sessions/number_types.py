"""Which type of number bytes are an embedding of, where no index says it: told by what the numbers would be.

Numbers of one embedding are of a size: few powers of two lie between them. Read as another type they are not,
for bits of a fraction become an exponent then; or they are infinite, or huge. Two of BFLOAT16 are one of
FLOAT32 as well, whose fraction is a number of that size again: that is chance in no real FLOAT32.
"""

from __future__ import annotations

import numpy as np

from memdb.errors import BadVector
from memdb.vectors.distance import from_bytes

LEAST = 8  # numbers: fewer are no embedding
_LEAST_HALF = 16  # of two bytes each, which more bytes that are none look like
_HUGE = {"FLOAT32": 1e6, "FLOAT64": 1e6, "BFLOAT16": 1e6, "FLOAT16": 256.0}  # letters of a text are larger
_SPREAD = 3.4  # of powers of two, at most; numbers of a normal distribution have 1.6


def guessed(raw: bytes, least: int = LEAST) -> str:
    """FLOAT32, FLOAT64, BFLOAT16 or FLOAT16, whichever gives numbers of a size; empty where none does.

    Args:
        raw: little-endian numbers, or anything else.
        least: numbers; of two bytes each it takes 16.
    """
    spreads = {type_: spread for type_ in _HUGE if (spread := _spread(raw, type_, least)) <= _SPREAD}
    if "BFLOAT16" in spreads and np.frombuffer(raw, "<u2")[::2].any():
        return "BFLOAT16"  # read as FLOAT16 its numbers are of a size as well, but not the other way round
    return min(spreads, key=spreads.__getitem__, default="")


def _spread(raw: bytes, type_: str, least: int) -> float:
    """Standard deviation of the numbers' powers of two; infinite where they are none of an embedding."""
    try:
        numbers = from_bytes(raw, type_)
    except BadVector:  # no whole number of them
        return np.inf
    if len(numbers) < (_LEAST_HALF if type_.endswith("16") else least):
        return np.inf
    with np.errstate(all="ignore"):
        sizes = np.abs(numbers.astype(np.float64))
        if not np.isfinite(sizes).all() or not 1e-9 < sizes.max() < _HUGE[type_]:
            return np.inf
        return float(np.log2(sizes[sizes > 0]).std())
