"""Asking many queries: as fast as the engine answers, one after another, or by several clients at once."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.errors import MemDBError
from memdb.intervals import Numbers
from memdb.tuning.run import SweepRequest
from memdb.vectors import distance
from memdb.vectors.distance import Vectors
from memdb.vectors.filters import Condition
from memdb.vectors.index import IndexInfo
from memdb.vectors.query import KnnRequest, Template, template
from memdb.vectors.search import read_hits

BATCH = 32  # queries in one pipeline; two are on their way, so that the engine never waits for us
IN_FLIGHT = 2
MOST_CLIENTS = 48  # connections of one client, less some for what else goes on

Progress = Callable[[int], None]  # called with how many more queries were answered; may raise Cancelled
Answer = tuple[list[str], list[float]]  # keys and distances, nearest first


@dataclass(frozen=True, slots=True)
class Questions:
    """The commands of one EF_RUNTIME: all alike but for the vector, or each of its own template."""

    made: Template
    blobs: tuple[bytes, ...]
    each: tuple[Template, ...] = ()

    def command(self, place: int) -> tuple[Arg, ...]:
        """The command of one query."""
        made = self.each[place] if self.each else self.made
        return (*made.before, self.blobs[place], *made.after)

    def __len__(self) -> int:
        return len(self.blobs)


def questions(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    vectors: Vectors,
    ef_runtime: int,
    *,
    k: int,
    condition: Condition | str,
) -> Questions:
    """The commands for all vectors (n, d); `ef_runtime` 0 leaves it out.

    Raises:
        BadInput: field, k, EF_RUNTIME or filter do not fit the index.
    """
    request_knn = KnnRequest(request.index, b"", request.field, k, ef_runtime or None, condition)
    shape = template(request_knn, info, client.server.dialect)
    for vector in vectors:
        distance.directed(vector, shape.params.metric)
    return Questions(shape, tuple(distance.to_bytes(v, shape.params.type) for v in vectors))


def answers(
    client: Client, query_set: Questions, progress: Progress, *, budget_qps: float | None = None
) -> Iterator[list[Answer]]:
    """All queries once, in pipelines, two of them on their way: the engine's own limit.

    Yields:
        Answers in the order of the queries, some at a time; what is done with them overlaps with the wait
        for the next ones.

    Raises:
        MemDBError: the server does not answer or refuses.
        Cancelled: by `progress`.
    """
    waiting: deque[Future[list[Answer]]] = deque()
    began = time.monotonic()
    batch = BATCH if budget_qps is None else max(1, min(BATCH, int(budget_qps / 4)))

    def ask(start: int) -> list[Answer]:
        places = range(start, min(start + batch, len(query_set)))
        replied = client.pipeline([query_set.command(i) for i in places])
        return [read(reply, query_set.made.alias) for reply in replied]

    with ThreadPoolExecutor(IN_FLIGHT, "recall") as threads:
        try:
            for start in range(0, len(query_set), batch):
                if budget_qps is not None:
                    time.sleep(max(0.0, start / budget_qps - (time.monotonic() - began)))
                waiting.append(threads.submit(ask, start))
                if len(waiting) > 2 * IN_FLIGHT:
                    yield _collected(waiting, progress)
            while waiting:
                yield _collected(waiting, progress)
        finally:
            for future in waiting:
                future.cancel()


def _collected(waiting: deque[Future[list[Answer]]], progress: Progress) -> list[Answer]:
    collected = waiting.popleft().result()
    progress(len(collected))
    return collected


def latencies(
    client: Client,
    query_set: Questions,
    progress: Progress,
    *,
    least: int,
    most: int,
    at_most_s: float,
    budget_qps: float | None = None,
) -> list[float]:
    """Milliseconds of single calls one after another on one connection, wall time at the client.

    Between `least` and `most` calls; within these no longer than `at_most_s`.
    """
    client.execute(*query_set.command(0))  # the connection may be new
    took: list[float] = []
    began = time.monotonic()
    while len(took) < most and (len(took) < least or time.monotonic() - began < at_most_s):
        command = query_set.command(len(took) % len(query_set))
        took.append(client.timed(*command)[1])
        if len(took) % 16 == 0:
            progress(16)
        if budget_qps is not None:
            time.sleep(max(0.0, len(took) / budget_qps - (time.monotonic() - began)))
    return took


def throughput(client: Client, query_set: Questions, clients: int, seconds: float) -> float:
    """Answers a second that `clients` connections get, each waiting for its answer before it asks again."""
    ready = threading.Barrier(clients + 1)
    stop = threading.Event()

    def ask(first: int) -> int:
        sent = 0
        try:
            client.execute(*query_set.command(first % len(query_set)))
        finally:
            ready.wait()
        while not stop.is_set():
            client.execute(*query_set.command((first + sent * clients) % len(query_set)))
            sent += 1
        return sent

    with ThreadPoolExecutor(clients, "throughput") as threads:
        running = [threads.submit(ask, i) for i in range(clients)]
        ready.wait()
        began = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        total, error = 0, None
        for each in running:
            try:
                total += each.result()
            except MemDBError as exc:
                error = exc
        if error is not None:
            raise error
        return total / (time.perf_counter() - began)


def percentiles(latencies_ms: Numbers) -> tuple[float, float, float]:
    """p50, p95, p99 of (n,): the smallest measured value that so many per cent do not exceed; NaN of none."""
    if not len(latencies_ms):
        return math.nan, math.nan, math.nan
    p50, p95, p99 = np.percentile(latencies_ms, (50, 95, 99), method="inverted_cdf")
    return float(p50), float(p95), float(p99)


def read(reply: Reply, alias: str) -> Answer:
    """Keys and distances of one reply, nearest first; undefined distances last, rows without a body out."""
    if type(reply) is list:
        keys = [replies.key(part) for part in reply[1::2]]
        fields: Sequence[Reply] = reply[2::2]
        wanted = alias.encode()
        if all(type(part) is list and len(part) == 2 and part[0] == wanted for part in fields):
            distances = [float(part[1]) for part in fields]
            if len(distances) == len(keys):
                return _ordered(keys, distances)
    keys, hits = read_hits(reply)  # a map, fields in another shape, or rows whose document expired
    hits_read = [(key, replies.number(hit.get(alias))) for key, hit in zip(keys, hits, strict=True) if hit]
    return _ordered([key for key, _ in hits_read], [far for _, far in hits_read])


def _ordered(keys: list[str], distances: list[float]) -> Answer:
    order = sorted(
        range(len(distances)), key=lambda i: distances[i] if math.isfinite(distances[i]) else math.inf
    )
    return [keys[i] for i in order], [distances[i] for i in order]
