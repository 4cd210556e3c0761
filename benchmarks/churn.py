"""Recall over churn: inserts, deletes and overwrites on the local engine, and when the watch raises an alert.

    python benchmarks/churn.py [--documents 10000] [--steps 14] [--queries 1500]

In the manner of big-ann's streaming track: each step inserts documents, deletes some and overwrites others.
After it the recall of fresh queries of the same kind is computed by NumPy in float64 over all documents
("true"), and the watch measures once with its few fixed queries. The target lies a little below where the
recall began, so that it is crossed on the way. Printed is each step, where the true mean first lay below the
target, where its whole interval did, and at which step the alert came: it must not come before the first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.intervals import mean
from memdb.operations import history
from memdb.vectors.distance import Doubles
from memdb.watch import runner
from memdb.watch.series import Watch

DIM, CLUSTERS, K, EF = 32, 60, 10, 16
BELOW = 0.03  # the target, below the first true recall


class Stream:
    """Documents that come, go and change; clusters of uneven size, which the queries come from too."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client, self.draw = client, np.random.default_rng(seed)
        self.centres = self.draw.normal(size=(CLUSTERS, DIM)) * 1.2
        self.weights = self.draw.dirichlet(np.full(CLUSTERS, 0.6))
        self.vectors: dict[int, Doubles] = {}
        self.next = 0

    def made(self, count: int) -> Doubles:
        """Vectors (count, DIM)."""
        rows = self.draw.choice(CLUSTERS, count, p=self.weights)
        return self.centres[rows] + self.draw.normal(size=(count, DIM))

    def write(self, numbers: list[int]) -> None:
        """Insert or overwrite documents."""
        made = self.made(len(numbers)).astype("<f4")
        for start in range(0, len(numbers), 500):
            part = range(start, min(start + 500, len(numbers)))
            self.client.pipeline([("HSET", f"d:{numbers[i]}", "v", made[i].tobytes()) for i in part])
        self.vectors |= {number: made[i].astype(float) for i, number in enumerate(numbers)}

    def step(self, inserts: int, deletes: int, overwrites: int) -> None:
        """Some documents more, some fewer, some others."""
        self.write(list(range(self.next, self.next + inserts)))
        self.next += inserts
        there = np.array(sorted(self.vectors))
        gone = self.draw.choice(there, deletes, replace=False).tolist()
        if gone:
            self.client.pipeline([("DEL", f"d:{number}") for number in gone])
        for number in gone:
            del self.vectors[number]
        if overwrites:
            self.write(self.draw.choice(np.array(sorted(self.vectors)), overwrites, replace=False).tolist())

    def true_recall(self, queries: int) -> Doubles:
        """Of fresh queries (queries,), counted against NumPy's exact neighbours."""
        numbers = sorted(self.vectors)
        stored = np.stack([self.vectors[number] for number in numbers])
        asked = self.made(queries).astype("<f4").astype(float)
        squares = (stored**2).sum(axis=1)
        recalls = np.empty(queries)
        commands = [
            (
                "FT.SEARCH", "idx", f"*=>[KNN {K} @v $q EF_RUNTIME {EF}]", "PARAMS", 2, "q",
                query.astype("<f4").tobytes(), "NOCONTENT", "LIMIT", 0, K, "DIALECT", 2,
            )
            for query in asked
        ]  # fmt: skip
        replies = [
            reply
            for start in range(0, queries, 100)
            for reply in self.client.pipeline(commands[start : start + 100])
        ]
        for row, (query, reply) in enumerate(zip(asked, replies, strict=True)):
            near = np.argpartition(squares - 2 * stored @ query, K)[:K]
            exact = {f"d:{numbers[place]}" for place in near}
            recalls[row] = len(exact & {key.decode() for key in reply[1:]}) / K  # type: ignore[union-attr]
        return recalls


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--documents", type=int, default=10_000)
    options.add_argument("--steps", type=int, default=14)
    options.add_argument("--queries", type=int, default=1_500)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        home, target = Path(folder), running.target
        with connect(target) as client:
            client.execute(
                "FT.CREATE", "idx", "PREFIX", 1, "d:", "SCHEMA", "v", "VECTOR", "HNSW", 10,
                "DIM", DIM, "TYPE", "FLOAT32", "DISTANCE_METRIC", "L2", "M", 6, "EF_CONSTRUCTION", 40,
            )  # fmt: skip
            stream = Stream(client, given.seed)
            stream.step(given.documents, 0, 0)
            first = stream.true_recall(given.queries).mean()
            watch = Watch("idx", k=K, ef_runtime=EF, target=round(float(first) - BELOW, 3))
            print(f"recall@{K} at EF_RUNTIME {EF}, {DIM} dimensions, target {watch.target:g}")
            head = (
                f"{'step':>4}  {'documents':>9}  {'true recall (95 %)':<24}  {'watch (95 %)':<24}  "
                "alert  seconds"
            )
            print(head)
            under = fell = raised = None
            part = given.documents // 4
            for step in range(given.steps + 1):
                phase = step % 3
                if step:
                    sizes = (
                        (part, part // 8, part // 4),
                        (part // 4, part // 2, part // 4),
                        (part, 0, part),
                    )[phase]
                    stream.step(*sizes)
                true = mean(stream.true_recall(given.queries))
                began = time.perf_counter()
                outcome = runner.once(target, replace(watch), home)
                took = time.perf_counter() - began
                now = outcome.now
                under = step if under is None and true.mean < watch.target else under
                fell = step if fell is None and true.high < watch.target else fell
                raised = step if raised is None and outcome.below else raised
                print(
                    f"{step:>4}  {now.documents:>9,}  {true.mean:.4f} ({true.low:.4f}–{true.high:.4f})  "
                    f"{now.recall:.4f} ({now.low:.4f}–{now.high:.4f})  "
                    f"{'ALERT' if outcome.below else '–':<5}  "
                    f"{took:.1f}"
                )
                print("".join(f"        {change}\n" for change in now.changes), end="", flush=True)
            print(
                f"The true mean first lay below the target at step {under}, its whole interval at step "
                f"{fell}; "
                f"the alert came at step {raised}."
            )
            print(
                f"{len(runner.rows_of(history.path_of(home, target), watch))} measurements are in the "
                "history."
            )
            for cause in outcome.causes:
                print(f"Told as a candidate: {cause.what}")


if __name__ == "__main__":
    main()
