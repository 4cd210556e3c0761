"""What the Map page does on the server when EF_RUNTIME moves: the fragment with the query, 50,000 points.

    python benchmarks/map_overlay.py             50,000 x 256, 20 moves of EF_RUNTIME
    python benchmarks/map_overlay.py --n 20000

The page's own fragment runs in Streamlit's test runner, which starts a script for each move and so counts
more than a browser's move costs. Beside it, in the same run: the KNN call alone. Goal: a median of at most
150 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIM, BATCH = 256, 1_000
EFS = (1, 2, 5, 10, 20, 40, 64, 100, 200, 400)


def fragment(shown: object, query: object, colour: str) -> None:
    # Streamlit runs this body as a script of its own.
    from memdb.ui.map import page as map_page
    from memdb.ui.map import session as map_session

    map_page._picture(shown, colour, query, map_session.Path())  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000)
    options, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="memdb-") as folder:
        os.environ["MEMDB_HOME"] = folder
        return measured(Path(folder), options.n)


def measured(home: Path, n: int) -> int:
    from streamlit.testing.v1 import AppTest  # noqa: TID251  # the page itself is measured

    from memdb.cluster import engine
    from memdb.cluster.client import connect
    from memdb.maps import run
    from memdb.maps.request import MapRequest
    from memdb.ui.map.page import CLUSTERS
    from memdb.ui.map.query import Query
    from memdb.ui.map.shown import MapView
    from memdb.vectors import index
    from memdb.vectors.index import HnswField, IndexSpec, TagField
    from memdb.vectors.query import KnnRequest, vector_param
    from memdb.vectors.search import knn

    random = np.random.default_rng(0)
    centres = random.standard_normal((40, DIM), dtype=np.float32)
    with engine.start(home / "engine", log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            spec = IndexSpec("idx", (TagField("t"), HnswField("v", DIM, m=8, ef_construction=32)), ("d:",))
            index.create(client, spec)
            for start in range(0, n, BATCH):
                block = centres[random.integers(0, 40, BATCH)]
                block = block + random.standard_normal((BATCH, DIM), dtype=np.float32)
                client.pipeline(
                    [
                        ("HSET", f"d:{start + i}", "t", f"t{i % 9}", "v", v.tobytes())
                        for i, v in enumerate(block)
                    ]
                )
            info = index.index_info(client, "idx")
            made = run.make(client, info, MapRequest("idx", field="v", count=n), home=home)
            shown = MapView(running.target, info, made)
            vector = centres[0] / np.linalg.norm(centres[0])
            app = AppTest.from_function(
                fragment,
                kwargs={"shown": shown, "query": Query("q", vector), "colour": CLUSTERS},
                default_timeout=120,
            )
            app.run()
            assert not app.exception, app.exception
            took, alone = [], []
            for ef in EFS * 2:
                app.select_slider(key="map.ef").set_value(ef)
                began = time.perf_counter()
                app.run()
                took.append(1e3 * (time.perf_counter() - began))
                assert not app.exception, app.exception
                request = KnnRequest("idx", vector_param(vector), "v", 10, ef)
                alone.append(knn(client, request, info).took_ms)
    middle = statistics.median(took)
    print(
        f"{len(made.keys):,} points, EF_RUNTIME moved {len(took)} times: median {middle:.0f} ms, longest "
        f"{max(took):.0f} ms; the KNN call alone {statistics.median(alone):.1f} ms"
    )
    good = middle <= 150
    print("goal met" if good else "GOAL MISSED (150 ms)")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
