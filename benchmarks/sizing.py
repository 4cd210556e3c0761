"""Predicted against measured memory, on kinds of documents and sessions the model was not fitted to.

    python -m benchmarks.sizing [--fit] [--markdown]

Each kind is loaded into an empty local engine of its own and indexed; the difference of used_memory is held
against `memdb.sizing.model.predict` with the `redisearch` profile. Goals: median error at most 1 %, worst at
most 3 %, every one inside the interval that is shown. `--fit` measures other shapes and prints the constants
that `memdb.sizing.model.Constants` holds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from benchmarks import session_memory
from benchmarks.sizing_fit import FITTED, fit
from memdb.settings import Settings
from memdb.sizing import samples
from memdb.sizing.model import Estimate, predict
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.samples import MeasuredSample
from memdb.sizing.shape import Sessions, Shape

MEDIAN_GOAL, WORST_GOAL = 0.01, 0.03


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of keys: documents with an index, or sessions."""

    words: str
    shape: Shape | None = None
    sessions: Sessions | None = None
    copies: int = 1  # documents with the same vector
    ef_construction: int | None = None

    @property
    def count(self) -> int:
        """Documents or sessions."""
        return self.shape.vectors if self.shape else self.sessions.live if self.sessions else 0


@dataclass(frozen=True, slots=True)
class Held:
    """A prediction and what was measured, bytes."""

    kind: Kind
    estimate: Estimate
    measured: float

    @property
    def error(self) -> float:
        """Predicted ÷ measured − 1."""
        return self.estimate.total_bytes / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the interval that is shown holds what was measured."""
        return self.estimate.low_bytes <= self.measured <= self.estimate.high_bytes


KINDS = (
    Kind("HNSW, 32 dimensions, M 4", Shape(5_000, 32, m=4)),
    Kind("HNSW, 96 dimensions, M 16, EF_CONSTRUCTION 200", Shape(3_500, 96), ef_construction=200),
    Kind("HNSW, 384 dimensions, M 24", Shape(2_200, 384, m=24)),
    Kind("HNSW, 1,536 dimensions, M 64", Shape(1_800, 1_536, m=64)),
    Kind("HNSW, 20,000 vectors", Shape(20_000, 48, m=12)),
    Kind("every vector five times", Shape(4_000, 64), copies=5),
    Kind("FLAT, 300 dimensions", Shape(3_300, 300, algorithm="FLAT")),
    Kind("FLOAT64, 128 dimensions", Shape(2_600, 128, "FLOAT64", m=32)),
    Kind("FLOAT16, 768 dimensions", Shape(2_400, 768, "FLOAT16")),
    Kind("JSON, 200 dimensions, 2 tags", Shape(2_300, 200, key_type="JSON", tags=2)),
    Kind(
        "JSON, 48 dimensions, metadata, number",
        Shape(2_700, 48, key_type="JSON", metadata_bytes=500, numbers=1),
    ),
    Kind("12 tags of 50 values", Shape(3_600, 64, tags=12, tag_values=50)),
    Kind("3 tags of 5 values", Shape(4_200, 40, tags=3, tag_values=5)),
    Kind("2 tags of 1,000 values", Shape(4_000, 32, tags=2, tag_values=1_000)),
    Kind("a unique tag", Shape(3_700, 32, tags=1, tag_values=3_700)),
    Kind("a unique tag of a UUID", Shape(2_900, 128, tags=1, tag_values=2_900, tag_bytes=36)),
    Kind("text of 300 bytes", Shape(4_000, 256, text_bytes=300)),
    Kind("text of 1,500 bytes", Shape(2_500, 384, text_bytes=1_500)),
    Kind("text of 5,000 bytes", Shape(1_200, 768, text_bytes=5_000)),
    Kind("6 numbers", Shape(3_100, 64, numbers=6)),
    Kind("keys of UUIDs", Shape(4_400, 64, key_bytes=40, random_keys=True)),
    Kind("keys of 150 bytes", Shape(3_000, 64, key_bytes=150)),
    Kind("metadata of 2,000 bytes", Shape(2_000, 256, metadata_bytes=2_000)),
    Kind(
        "tags, numbers, text, metadata",
        Shape(3_000, 512, tags=4, numbers=2, text_bytes=200, metadata_bytes=100),
    ),
    Kind("an empty HNSW index", Shape(0, 256)),
    Kind("an empty FLAT index", Shape(0, 256, algorithm="FLAT")),
    Kind("sessions of 4,096 bytes, TTL 30 min", sessions=Sessions(2, 4_096, 1_800)),
    Kind("sessions of 700 bytes, TTL 1 h", sessions=Sessions(1.5, 700, 3_600)),
    Kind("sessions of 30,000 bytes, TTL 15 min", sessions=Sessions(1, 30_000, 900)),
    Kind("sessions of 2,000 bytes without TTL", sessions=Sessions(bytes=2_000, kept=3_000)),
    Kind("sessions of 8,000 bytes ± 60 %", sessions=Sessions(1, 8_000, 2_500, spread=0.6)),
    Kind("sessions as strings of 1,200 bytes", sessions=Sessions(1, 1_200, 3_000, kind="STRING")),
)


def held(kinds: Sequence[Kind] = KINDS) -> Iterator[Held]:
    """Each kind measured on an engine of its own."""
    for kind in kinds:
        with samples.fresh(Settings.from_env()) as client:
            if kind.shape is not None:
                measured = samples.measure(
                    client, kind.shape, copies=kind.copies, ef_construction=kind.ef_construction
                ).total_bytes
            else:
                assert kind.sessions is not None
                measured = session_memory.measure(client, kind.sessions)
        yield Held(kind, predict(kind.shape, BUILT_IN["redisearch"], kind.sessions), measured)


def fitted() -> None:
    """Measure the other shapes; print the constants that fit them."""
    measured: list[MeasuredSample] = []
    for shape in FITTED:
        with samples.fresh(Settings.from_env()) as client:
            measured.append(samples.measure(client, shape))
    constants = fit(measured)
    for field in fields(constants):
        print(f"    {field.name}: float = {getattr(constants, field.name):_.2f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--fit", action="store_true", help="fit the constants to the other set of shapes")
    options.add_argument("--markdown", action="store_true", help="print the table of docs/sizing.md")
    given, _ = options.parse_known_args()
    if given.fit:
        return fitted()
    began = time.monotonic()
    results = []
    if given.markdown:
        print("| kind | keys | measured MiB | predicted | error | interval |\n|---|---|---|---|---|---|")
    for result in held():
        results.append(result)
        ends = (result.estimate.low_bytes, result.estimate.high_bytes)
        low, high = (end / result.estimate.total_bytes - 1 for end in ends)
        cells = (
            result.kind.words,
            f"{result.kind.count:,}",
            f"{result.measured / 2**20:.2f}",
            f"{result.estimate.total_bytes / 2**20:.2f}",
            f"{result.error:+.1%}",
            f"{low:+.0%} to {high:+.0%}" + ("" if result.inside else ": OUTSIDE"),
        )
        line = (
            "| " + " | ".join(cells) + " |"
            if given.markdown
            else "  ".join(cell.ljust(width) for cell, width in zip(cells, (46, 7, 9, 9, 8, 14), strict=True))
        )
        print(line, flush=True)
    errors = [abs(result.error) for result in results]
    median, worst = statistics.median(errors), max(errors)
    inside = sum(result.inside for result in results)
    met = median <= MEDIAN_GOAL and worst <= WORST_GOAL and inside == len(results)
    print(
        f"{len(results)} kinds not fitted: median error {median:.1%} (goal {MEDIAN_GOAL:.0%}), "
        f"worst {worst:.1%} (goal {WORST_GOAL:.0%}), {inside} inside the interval: "
        f"{'met' if met else 'MISSED'}; "
        f"{time.monotonic() - began:.0f} s"
    )
    return None


if __name__ == "__main__":
    main()
