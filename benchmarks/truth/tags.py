"""Counts of TAG values against counting in Python and against the filter of each value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from benchmarks.truth.row import Row
from benchmarks.truth.stored import engine
from memdb.vectors import index, search
from memdb.vectors.index import IndexSpec, TagField

DOCUMENTS = 3_000


def rows() -> Iterable[Row]:
    """Of single, several, repeated and many values, in several cases."""
    kinds = ("one of 8", "several of 30", "repeated", "upper and lower case", "one of 900")
    worst = worst_filter = values = 0
    with engine() as client:
        for place, kind in enumerate(kinds):
            texts = [_text(kind, np.random.default_rng((place, i))) for i in range(DOCUMENTS)]
            client.pipeline([("HSET", f"t{place}:{i}", "t", text) for i, text in enumerate(texts)])
            index.create(client, IndexSpec(f"t{place}", (TagField("t"),), (f"t{place}:",)))
            while (
                not (info := index.index_info(client, f"t{place}")).build.ready or info.documents < DOCUMENTS
            ):
                pass
            # The index folds case, and a document that holds a value twice counts once.
            truth = Counter(
                value for text in texts for value in {part.strip().lower() for part in text.split(",")}
            )
            told = {
                found.value.lower(): found.documents
                for found in search.tag_values(client, info, "t", limit=1_000, counted=1_000)
            }
            values += len(truth)
            worst = max(worst, *(abs(told.get(value, 0) - count) for value, count in truth.items()))
            for value, count in told.items():
                reply = client.execute(
                    "FT.SEARCH", f"t{place}", f"@t:{{{value}}}", "LIMIT", 0, 0, "DIALECT", 2
                )
                worst_filter = max(worst_filter, abs(_total(reply) - count))
    yield Row(
        "documents of a TAG value",
        "counted in Python; what the value's filter finds",
        f"{values:,} values of {len(kinds)} fields, {DOCUMENTS:,} documents: {', '.join(kinds)}",
        f"{worst} documents; {worst_filter} against the filter",
    )


def _text(kind: str, random: np.random.Generator) -> str:
    if kind == "one of 8":
        return f"v{random.integers(8)}"
    if kind == "several of 30":
        return ", ".join(f"v{value}" for value in random.integers(30, size=random.integers(1, 6)))
    if kind == "repeated":
        return f"v{random.integers(5)},x,x"
    if kind == "upper and lower case":
        return str(random.choice(["Red", "red", "RED", "Blue", "blue"]))
    return f"v{random.integers(900)}"


def _total(reply: object) -> int:
    if isinstance(reply, dict):
        return int(next(value for name, value in reply.items() if bytes(name) == b"total_results"))
    assert isinstance(reply, list)
    return int(reply[0])
