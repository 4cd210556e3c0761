"""Live operations: what a sample costs the server, ten browsers against one, and a day of history.

    python benchmarks/operations.py [--samples 200]

The server's time is what its main thread spent, from INFO, less what the same wait costs without samples.
Starts a local engine of its own, without a log.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.operations.figures import CHARTS, RATED, on_chart
from memdb.operations.history import Writer
from memdb.operations.past import Past
from memdb.operations.rates import Rates
from memdb.operations.sampler import Sampler
from memdb.operations.samples import Sample, sample
from memdb.ui.metrics import figures as figures_metrics
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexSpec

DAY_S, EVERY_S = 86_400, 2
BROWSERS, WATCH_S = 10, 20.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--samples", type=int, default=200)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with engine.start(Path(folder), log=False) as running:
            running.wait_ready()
            with connect(running.target) as client:
                fill(client)
                one_sample(client, chosen.samples)
                browsers(client, Path(folder))
        a_day(Path(folder))


def fill(client: Client) -> None:
    vectors = np.random.default_rng(0).normal(size=(5_000, 64)).astype("<f4")
    for i in range(5):
        index.create(client, IndexSpec(f"idx{i}", (HnswField("v", 64),), (f"d{i}:",)))
    client.pipeline([("HSET", f"d{i % 5}:{i}", "v", v.tobytes()) for i, v in enumerate(vectors)])


def one_sample(client: Client, count: int) -> None:
    """Round trips and the server's time of one sample of a node with five indexes."""
    node = client.nodes()[0]
    client.log.clear()
    found = sample(client, node)
    trips = len(client.log.entries())
    walls = []
    cpu = found.figures["cpu_s"]
    for _ in range(count):
        found = sample(client, node)
        walls.append(found.took_ms)
    server = (found.figures["cpu_s"] - cpu) / count * 1000
    print(
        f"one sample, 5 indexes: {trips} round trips (goal 5), server {server:.2f} ms (goal 20), "
        f"wall {statistics.median(walls):.2f} ms, median of {count}"
    )


def browsers(client: Client, folder: Path) -> None:
    """Commands a second that the server gets with one reader of the history, and with ten."""
    sampler = Sampler(client.target, folder, every_s=float(EVERY_S))
    past = Past(sampler.path)
    while not past.nodes():
        time.sleep(0.1)
    time.sleep(2 * EVERY_S)  # the first split is over
    rates = []
    for count in (1, BROWSERS):
        ended = threading.Event()
        threads = [threading.Thread(target=watch, args=(past, ended), daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        before = calls(client)
        time.sleep(WATCH_S)
        rates.append((calls(client) - before) / WATCH_S)
        ended.set()
        for thread in threads:
            thread.join()
    sampler.stop()
    print(
        f"commands a second on the server: 1 browser {rates[0]:.1f}, {BROWSERS} browsers {rates[1]:.1f} "
        f"({rates[1] / rates[0]:.2f} x)"
    )


def watch(past: Past, ended: threading.Event) -> None:
    """What the page reads each time it is drawn."""
    while not ended.wait(EVERY_S):
        now = time.time()
        past.series(past.nodes()[0].address, now - 300, now, ["used_bytes", "cpu", "commands", "searches"])


def calls(client: Client) -> float:
    found = client.info("commandstats")["commandstats"]
    return sum(float(v.partition("calls=")[2].partition(",")[0]) for v in found.values())


def a_day(folder: Path) -> None:
    """Size of a day at 2 s, and the time from the file to the overview's four charts."""
    rng = np.random.default_rng(0)
    writer = Writer(folder / "day.sqlite")
    count = DAY_S // EVERY_S
    values = rng.uniform(1e3, 1e9, (count, len(RATED)))
    for i in range(count):
        rates = Rates(2.0, dict(zip(RATED, values[i].tolist(), strict=True)))
        gauges = {"used_bytes": 1e9 + 1e3 * i, "limit_bytes": 2e9, "keys": float(i), "clients": 20.0}
        writer.add(float(EVERY_S * i), [(Sample("a:1", "primary", 0.0, "r", gauges), rates)])
    writer.trim(float(DAY_S))
    writer._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    past = Past(writer.path)
    charts = [chart for chart in CHARTS if chart.view == "Overview"]
    names = list(dict.fromkeys(name for chart in charts for name in on_chart(chart)))
    times = []
    for _ in range(11):
        began = time.perf_counter()
        series = past.series("a:1", 0.0, float(DAY_S), names)
        for chart in charts:
            figures_metrics.over_time(
                series, on_chart(chart), (0.0, float(DAY_S)), unit=chart.unit, dark=False
            ).to_json()
        times.append((time.perf_counter() - began) * 1000)
    size = writer.path.stat().st_size / 2**20
    writer.close()
    print(
        f"24 h at {EVERY_S} s of one node: {count:,} samples, {size:.1f} MiB (goal 50 MB), four charts in "
        f"{statistics.median(times):.0f} ms, longest {max(times):.0f} (goal 300)"
    )


if __name__ == "__main__":
    main()
