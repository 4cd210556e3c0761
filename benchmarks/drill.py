"""The durable engine killed again and again, and what durability costs.

    python -m benchmarks.drill                    40 kills
    python -m benchmarks.drill --rounds 1000      the long soak, some 15 minutes

Goal: no acknowledged write lost or half there. The cost is the ratio of write latency, durable : cache, of a
drill with the same writes on both side by side.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.soak import soak
from memdb.durability import drill
from memdb.durability.drill import DrillRequest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder:
        result = drill.run(DrillRequest(seconds=8, rate=50), Path(folder))
        durable, cache = result.engines[drill.DURABLE], result.engines[drill.CACHE]
        p50, p99 = (durable.p50_ms or 0) / (cache.p50_ms or 1), (durable.p99_ms or 0) / (cache.p99_ms or 1)
        print(
            f"durable : cache, p50 {p50:.1f} ({durable.p50_ms:.2f} : "
            f"{cache.p50_ms:.2f} ms), p99 {p99:.1f} ({durable.p99_ms:.2f} : "
            f"{cache.p99_ms:.2f} ms); lost {durable.lost:,} : {cache.lost:,} of {durable.acknowledged:,} : "
            f"{cache.acknowledged:,}",
            flush=True,
        )
        began = time.monotonic()
        found = soak(options.rounds, Path(folder))
    took = time.monotonic() - began
    print(
        f"{found.rounds:,} kills in {took:.0f} s: {found.acknowledged:,} acknowledged writes, "
        f"{found.recovered:,} recovered, {found.lost} lost, {found.partial} half; "
        f"{found.unacknowledged_present} there without an acknowledgement"
    )
    good = found.recovered == found.acknowledged and not found.partial
    print("goal met" if good else "GOAL MISSED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
