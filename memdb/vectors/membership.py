"""Which documents a filter lets through: asked of the index without a KNN clause, never taken from its hits.

An engine may return hits that break the filter they were asked under (`filters.may_be_broken`). A document
that the filter does not let through is no true neighbour, and none that was found.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.dialects import Dialect
from memdb.display import line
from memdb.vectors import read
from memdb.vectors.filters import Condition, render
from memdb.vectors.index import IndexInfo

_AT_ONCE = 1_000  # keys in one INKEYS


class Membership:
    """One filter of one index. What the index answered is kept: a document that changes later is not seen."""

    def __init__(self, client: Client, info: IndexInfo, condition: Condition | str) -> None:
        """Asks nothing yet.

        Raises:
            BadFilter: this engine cannot say the filter.
        """
        self.client, self.info, self.condition = client, info, condition
        self.rendered = render(condition, client.server.dialect, info)
        self._known: dict[str, bool] = {}
        self._listed: np.ndarray | None = None  # (n,) int64, sorted: Python's hashes of the matching keys

    def outside(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of some documents that the filter does not let through, as the index itself says.

        By INKEYS where the engine has it; else all matching keys are listed, once.

        Raises:
            UnsupportedFeature: the engine cannot list the documents of this filter.
            MemDBError: the server does not answer.
        """
        wanted = set(keys)
        if self.rendered.everything or not wanted:
            return frozenset()
        if self.client.server.dialect.in_keys:
            self._ask(sorted(wanted - self._known.keys()))
            return frozenset(key for key in wanted if not self._known[key])
        if self._listed is None:
            batches = read.matching_keys(self.client, self.info, self.condition)
            self._listed = np.sort(np.array([hash(key) for keys in batches for key in keys], np.int64))
        ordered = sorted(wanted)
        hashes = np.array([hash(key) for key in ordered], np.int64)
        there = np.isin(hashes, self._listed)
        return frozenset(key for key, inside in zip(ordered, there.tolist(), strict=True) if not inside)

    def _ask(self, keys: list[str]) -> None:
        bound: list[Arg] = [part for pair in self.rendered.params for part in pair]
        params: list[Arg] = ["PARAMS", len(bound), *bound] if bound else []
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            reply = self.client.execute(
                "FT.SEARCH", self.info.name, self.rendered.query, "NOCONTENT", "INKEYS", len(some), *some,
                *params, "LIMIT", 0, len(some), "DIALECT", 2,
            )  # fmt: skip  # a clause and its arguments side by side
            matching = {replies.key(part) for part in replies.items(reply)[1:]}
            # INKEYS reads a key as far as its first NUL: what cannot be asked about is not accused.
            self._known |= {key: key in matching or "\0" in key for key in some}

    def words(self, hits: int, outside: int) -> str:
        """What a caller says of hits that break the filter; "" where none does."""
        return broken_words(self.client.server.dialect, self.rendered.query, hits, outside)


def broken_words(dialect: Dialect, query: str, hits: int, outside: int) -> str:
    """Hits that break the filter, as the engine's fault, and what to do; "" where there are none."""
    if not outside:
        return ""
    why = "whose KNN search let through what the same filter alone does not find"
    if dialect.text_leaks:
        why = "which ignores words of TEXT fields beside other conditions, and phrases, on an HNSW graph"
    return (
        f"{outside:,} of {hits:,} hits break the filter {line(query, 200)}: "
        f"a fault of {dialect.title}, {why}. "
        "They count as not found. Use TAG fields instead of words, a FLAT index, or a newer release."
    )
