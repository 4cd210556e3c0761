"""How far two ranked lists agree: shared, moved, Jaccard@k, rank-biased overlap. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdb.errors import OutOfRange

PERSISTENCE = 0.9  # of rank-biased overlap: the first ten ranks then carry 86 % of the weight


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of two lists of keys."""

    shared: int
    only_first: int
    only_second: int
    jaccard: float  # shared / all; 1 for two empty lists
    rbo: float  # extrapolated, in [0, 1]; 1 for equal lists

    @property
    def words(self) -> str:
        """For people."""
        return (
            f"{self.shared:,} shared, {self.only_first:,} and {self.only_second:,} in one alone; "
            f"Jaccard {self.jaccard:.2f}, rank-biased overlap {self.rbo:.2f}"
        )


def overlap(first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE) -> Overlap:
    """How far two ranked lists of distinct keys agree."""
    shared = len(set(first) & set(second))
    every = len(set(first) | set(second))
    return Overlap(
        shared,
        len(set(first)) - shared,
        len(set(second)) - shared,
        shared / every if every else 1.0,
        rank_biased_overlap(first, second, persistence),
    )


def rank_biased_overlap(
    first: Sequence[str], second: Sequence[str], persistence: float = PERSISTENCE
) -> float:
    """Rank-biased overlap, extrapolated beyond the ends: RBO_EXT of Webber, Moffat, Zobel 2010, (32).

    Lists may have different lengths. 1 where both are equal, 0 where they share nothing; two empty lists
    are equal, and an empty and another one share nothing.

    Raises:
        OutOfRange: `persistence` is not between 0 and 1.
    """
    p = persistence
    if not 0 < p < 1:
        raise OutOfRange("The persistence", p, 0, 1, "rank-biased overlap, without its ends,")
    short, long = sorted((list(dict.fromkeys(first)), list(dict.fromkeys(second))), key=len)
    s, n = len(short), len(long)
    if not n:
        return 1.0
    if not s:
        return 0.0
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    agreed = 0  # size of the overlap at the depth reached
    total = 0.0
    at_short = 0
    for depth in range(1, n + 1):
        new = {long[depth - 1]} | ({short[depth - 1]} if depth <= s else set())
        seen_long.add(long[depth - 1])
        if depth <= s:
            seen_short.add(short[depth - 1])
        agreed += sum(key in seen_short and key in seen_long for key in new)
        if depth == s:
            at_short = agreed
        total += p**depth * agreed / depth
        if depth > s:
            total += p**depth * at_short * (depth - s) / (s * depth)
    rest = ((agreed - at_short) / n + at_short / s) * p**n
    return min(1.0, (1 - p) / p * total + rest)
