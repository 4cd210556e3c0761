"""What a figure that a server tells can be. One that cannot be true is not available, and is named with why.

Servers wrap: RediSearch tells 2^64 bytes of an index that has lost its documents. Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.replies import Reply
from memdb.display import line


@dataclass(frozen=True, slots=True)
class Range:
    """The values a figure can have, ends included."""

    least: float
    most: float
    words: str  # what lies in it, for people

    def holds(self, value: float) -> bool:
        """Whether the value can be; NaN and the infinities cannot."""
        return self.least <= value <= self.most


SIZE = Range(0, 2**52, "a size is 0 to 4 PiB")  # more than a process of today's processors can address
THINGS = Range(0, 2**47, "a number of things in memory is 0 to 2^47")  # each takes more than a byte
COUNTER = Range(0, 2**63 - 1, "a counter is 0 to 2^63")
SECONDS = Range(0, 9e9, "a time is 0 to 285 years")
MICROSECONDS = Range(0, 1e13, "a time is 0 to 100 days")
RATIO = Range(0, 1e9, "a ratio is 0 to 10^9")
SHARE = Range(0, 1, "a share is 0 to 1")
PERCENT = Range(0, 100, "a percentage is 0 to 100")


def number(value: Reply, within: Range, *, scale: float = 1.0) -> float | None:
    """A figure as a number times `scale`; None where it is none, or cannot be true."""
    scaled = replies.number(value) * scale
    return scaled if within.holds(scaled) else None


def refusal(value: Reply, within: Range, source: str, *, scale: float = 1.0) -> str:
    """Why a figure cannot be true; empty where it can, or where nothing was told.

    Args:
        value: as it came.
        within: what it can be.
        source: the command and field that told it.
        scale: from the unit that is told to the one of the range.
    """
    scaled = replies.number(value) * scale
    value_words = line(replies.text(value), 40)
    # "nan" was calculated by the server; other text is no number, and absent for other reasons.
    if within.holds(scaled) or (math.isnan(scaled) and "nan" not in value_words.lower()):
        return ""
    return f"{source} tells {value_words}, which is impossible: {within.words}"


def size(value: Reply) -> int | None:
    """Bytes, e.g. of MEMORY USAGE; None where nothing, an error or the impossible is told."""
    value_bytes = number(value, SIZE)
    return None if value_bytes is None else int(value_bytes)


def count(value: Reply) -> int | None:
    """A number of things, e.g. of DBSIZE; None where nothing, an error or the impossible is told."""
    things = number(value, THINGS)
    return None if things is None else int(things)
