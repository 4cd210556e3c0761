"""Predicted against measured memory, on shapes the model's constants were not fitted to.

    python -m benchmarks.sizing [--fit]

Each shape is loaded into an empty local engine of its own and indexed; the difference of used_memory is
held against `memdb.sizing.model.predict`. Goals: median error at most 3 %, worst at most 10 %. `--fit`
measures the other set of shapes and prints the constants that `memdb.sizing.model.Constants` holds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import fields

from memdb.errors import UnsupportedFeature
from memdb.settings import Settings
from memdb.sizing import calibrate, samples
from memdb.sizing.model import predict
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.shape import Shape

MEDIAN_GOAL, WORST_GOAL = 0.03, 0.10
HELD_OUT = (
    Shape(3_000, 16, m=16),
    Shape(5_000, 16, m=4, tags=1),
    Shape(2_500, 16, "FLOAT64", m=32, numbers=2),
    Shape(4_000, 64, m=8, metadata_bytes=200, random_keys=True, key_bytes=38),
    Shape(3_500, 96, m=16, text_bytes=400, tags=2, tag_values=300),
    Shape(6_000, 128, m=24, tags=3, numbers=1),
    Shape(3_000, 256, m=64),
    Shape(2_500, 384, m=16, text_bytes=1_000),
    Shape(3_000, 512, "FLOAT64", m=12),
    Shape(2_000, 768, m=16, metadata_bytes=1_024, tags=4),
    Shape(2_200, 1_024, m=32, metadata_bytes=300, numbers=3),
    Shape(2_000, 1_536, m=16, metadata_bytes=1_024),
    Shape(1_500, 1_536, "FLOAT64", m=16, text_bytes=700),
    Shape(1_600, 3_072, m=16),
    Shape(3_000, 300, algorithm="FLAT", tags=1),
    Shape(2_000, 100, m=16, key_type="JSON", tags=2),
    Shape(1_500, 768, m=32, key_type="JSON", metadata_bytes=500, numbers=2),
)
FITTED = (
    Shape(1_500, 16, m=6),
    Shape(6_000, 16, m=24),
    Shape(2_000, 32, m=16, tags=2, tag_values=2_000),
    Shape(5_000, 32, m=16, tags=5, tag_values=50),
    Shape(4_000, 32, m=16, numbers=4),
    Shape(2_000, 32, m=8, random_keys=True, key_bytes=34),
    Shape(5_000, 48, m=8, random_keys=True, key_bytes=30),
    Shape(2_000, 64, m=16, text_bytes=200),
    Shape(4_000, 64, m=16, text_bytes=200),
    Shape(2_000, 64, m=16, text_bytes=800),
    Shape(4_000, 64, m=16, text_bytes=800),
    Shape(3_000, 200, m=48),
    Shape(4_500, 200, m=12),
    Shape(2_000, 640, m=16),
    Shape(1_500, 32, m=16, key_type="JSON"),
    Shape(4_000, 32, m=16, key_type="JSON", tags=3, numbers=3),
    Shape(2_000, 32, algorithm="FLAT"),
    Shape(4_000, 64, algorithm="FLAT", numbers=2),
)


def measured(shapes: tuple[Shape, ...]) -> list[samples.Measured]:
    found = []
    for shape in shapes:
        with samples.fresh(Settings.from_env()) as client:
            try:
                found.append(samples.measure(client, shape))
            except UnsupportedFeature as exc:
                print(f"  left out, {shape.key_type} {shape.dim}: {exc}")
    return found


def words(shape: Shape) -> str:
    parts = [f"{shape.vectors:,} × {shape.dim:,} {shape.type}", shape.key_type]
    parts.append(f"M {shape.m}" if shape.algorithm == "HNSW" else "FLAT")
    parts += [f"text {shape.text_bytes:,}"] if shape.text_bytes else []
    parts += [f"metadata {shape.metadata_bytes:,}"] if shape.metadata_bytes else []
    parts += [f"{shape.tags} tags"] if shape.tags else []
    parts += [f"{shape.numbers} numbers"] if shape.numbers else []
    return ", ".join(parts) + (", random keys" if shape.random_keys else "")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--fit", action="store_true", help="fit the constants to the other set of shapes")
    given = options.parse_args()
    if given.fit:
        constants = calibrate.fit(measured(FITTED))
        for field in fields(constants):
            print(f"    {field.name}: float = {getattr(constants, field.name):_.1f}")
        return
    began = time.monotonic()
    errors = []
    for m in measured(HELD_OUT):
        predicted = predict(m.shape, BUILT_IN["redisearch"]).total_bytes
        errors.append(abs(predicted / m.total_bytes - 1))
        print(
            f"  {words(m.shape):<66} measured {m.total_bytes / 2**20:7.2f} MiB  "
            f"predicted {predicted / 2**20:7.2f}  {predicted / m.total_bytes - 1:+.1%}",
            flush=True,
        )
    median, worst = statistics.median(errors), max(errors)
    verdict = "met" if median <= MEDIAN_GOAL and worst <= WORST_GOAL else "MISSED"
    print(
        f"{len(errors)} shapes not fitted: median error {median:.1%} (goal {MEDIAN_GOAL:.0%}), "
        f"worst {worst:.1%} (goal {WORST_GOAL:.0%}): {verdict}; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
