"""Rates between two samples of a node against commands that were counted as they were sent."""

from __future__ import annotations

import time
from collections.abc import Iterable

from benchmarks.truth.row import Row
from benchmarks.truth.stored import build, clustered, engine
from memdb.operations.rates import rates
from memdb.operations.samples import sample_all

SEARCHES, HITS, MISSES = 250, 900, 300


def rows() -> Iterable[Row]:
    """Searches and lookups a second, and the share of lookups that hit."""
    worst, worst_share = 0.0, 0.0
    rounds = 3
    with engine() as client:
        vectors = clustered(300, 16, 0)
        build(client, "r", vectors, "COSINE")
        client.execute("SET", "here", "1")
        for _ in range(rounds):
            (before,) = sample_all(client)
            began = time.monotonic()
            client.pipeline(
                [
                    (
                        "FT.SEARCH",
                        "r",
                        "*=>[KNN 3 @v $q]",
                        "PARAMS",
                        2,
                        "q",
                        vectors[i].tobytes(),
                        "DIALECT",
                        2,
                    )
                    for i in range(SEARCHES)
                ]
            )
            client.pipeline([("GET", "here")] * HITS + [("GET", "not here")] * MISSES)
            time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
            (after,) = sample_all(client)
            found = rates(before, after)
            seconds = after.at - before.at
            worst = max(worst, abs(found.values["searches"] - SEARCHES / seconds))
            worst_share = max(worst_share, abs(found.values["hit_rate"] - HITS / (HITS + MISSES)))
    yield Row(
        "searches a second; share of lookups that hit",
        "commands counted as they were sent",
        f"{rounds} rounds of {SEARCHES} searches, {HITS} hits, {MISSES} misses",
        f"{worst:.2f} a second; {worst_share:.3f}",
    )
