"""Exact neighbours against NumPy's own matrix product on the same machine.

    python benchmarks/exact.py                    1,000 queries on 1,000,000 x 256 vectors
    python benchmarks/exact.py --n 200000         fewer
    python benchmarks/exact.py --metric L2

Vectors are drawn block by block, so that the whole never stands in memory; the time to draw them is not
counted. The product is timed on the same blocks, alternating with the search: median of the ratios of ten
parts. Goal: at least 60 % of the product's rate, peak memory of the process at most 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import sys
import time

import numpy as np

from memdb.vectors import exact
from memdb.vectors.distance import prepared
from memdb.vectors.read import Block

BLOCK = 8_192
PARTS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--metric", default="COSINE", choices=["COSINE", "IP", "L2"])
    options = parser.parse_args()
    random = np.random.default_rng(0)
    centres = random.normal(size=(1_000, options.dim)).astype(np.float32)
    queries = _drawn(random, centres, options.queries)
    ready = prepared(queries, options.metric)
    product = np.empty((options.queries, BLOCK), np.float32)
    multiplied: list[float] = [0.0] * PARTS
    drawn = [0.0] * PARTS

    def blocks() -> object:
        for start in range(0, options.n, BLOCK):
            began = time.perf_counter()
            part = start * PARTS // options.n
            size = min(BLOCK, options.n - start)
            vectors = prepared(_drawn(random, centres, size), options.metric)
            keys = tuple(f"doc:{i}" for i in range(start, start + size))
            middle = time.perf_counter()
            np.matmul(ready, vectors.T, out=product[:, :size])
            multiplied[part] += time.perf_counter() - middle
            drawn[part] += time.perf_counter() - began
            marks[part] = time.perf_counter()
            yield Block(keys, vectors)
            searched[part] += time.perf_counter() - marks[part]

    marks, searched = [0.0] * PARTS, [0.0] * PARTS
    list(np.matmul(ready[:8], ready[:8].T))  # BLAS starts its threads
    began = time.perf_counter()
    found = exact.nearest(blocks(), queries, options.k, options.metric)  # type: ignore[arg-type]
    total = time.perf_counter() - began
    ratios = [m / s for m, s in zip(multiplied, searched, strict=True)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    ratio, whole = statistics.median(ratios), sum(multiplied) / (total - sum(drawn))
    print(
        json.dumps(
            {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "machine": platform.machine(),
                "documents": found.looked_at,
                "dim": options.dim,
                "queries": options.queries,
                "metric": options.metric,
                "product_s": round(sum(multiplied), 2),
                "search_s": round(total - sum(drawn), 2),
                "ratio_median": round(ratio, 3),
                "ratio_whole": round(whole, 3),
                "peak_mb": round(peak / 2**20),
            },
            indent=1,
        )
    )
    good = min(ratio, whole) >= 0.6 and peak <= 1.5 * 2**30
    print("goals met" if good else "GOALS MISSED (60 % of the product's rate, 1.5 GB)")
    return 0 if good else 1


def _drawn(random: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
    noise = random.standard_normal((count, centres.shape[1]), dtype=np.float32)
    return centres[random.integers(0, len(centres), count)] + noise


if __name__ == "__main__":
    sys.exit(main())
