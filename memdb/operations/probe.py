"""What searches find and how many are refused while an index is built.

The truth is taken from the keys, not from the index: every vector under the prefixes is read once, and the
exact neighbours of some of them are computed. Keys written after that are not in it.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import BadInput, MemDBError, OutOfRange
from memdb.jobs import Report, silent
from memdb.operations.samples import sample
from memdb.vectors import distance, exact, read, recall, search
from memdb.vectors.distance import Floats
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import BuildState, IndexInfo, index_info
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest
from memdb.vectors.read import Block

QUERIES, K = 20, 10
LONGEST_S = 3_600.0
_DRAWN = 2_000  # of the first keys read, from which the queries are drawn


@dataclass(frozen=True, slots=True)
class Look:
    """All queries once, at one moment of the build."""

    at_s: float  # since the first look
    state: str
    fraction: float
    recall: float | None  # recall@k of those that were answered; None where none was
    asked: int
    rejected: int
    p50_ms: float | None
    problem: str = ""  # of the last one rejected


@dataclass(frozen=True, slots=True)
class Probe:
    """Looks so far. `keys` are those the truth was taken from."""

    index: str
    k: int
    keys: int
    looks: tuple[Look, ...] = ()


def run(
    client: Client,
    index: str,
    *,
    queries: int = QUERIES,
    k: int = K,
    every_s: float = 1.0,
    report: Report = silent,
    keep: Callable[[Probe], None] = lambda _: None,
) -> Probe:
    """Take the truth, then look once every `every_s` until the index is ready, and once more.

    Raises:
        OutOfRange: queries or k outside 1 to 1,000.
        BadInput: no key under the prefixes has a vector.
        MemDBError: the vectors could not be read; `Cancelled` from `report`.
    """
    for name, value in (("queries", queries), ("k", k)):
        if not 1 <= value <= 1_000:
            raise OutOfRange(name, value, 1, 1_000, "the probe")
    info = index_info(client, index)
    field, params = info.vector_field()
    drawn = distance.as_sent(_drawn(client, info, queries), params.type)
    truth = exact.nearest(_every(client, info, report), drawn, k, params.metric)
    probe = Probe(index, k, truth.looked_at)
    began = time.monotonic()
    ended = threading.Event()
    while True:
        look = _look(client, info, drawn, truth, k, time.monotonic() - began, field.name)
        probe = Probe(index, k, truth.looked_at, (*probe.looks, look))
        keep(probe)
        report("Probing while it builds", round(100 * look.fraction), 100)
        if look.state == "ready" or look.at_s > LONGEST_S:
            return probe
        ended.wait(every_s)


def _every(client: Client, info: IndexInfo, report: Report) -> Iterator[Block]:
    _, params = info.vector_field()
    size = max(1, min(read.KEYS_A_BATCH, read.BYTES_A_BATCH // params.bytes))
    passed = 0
    for keys in read.by_scan(client, info, size):
        passed += len(keys)
        report("Reading vectors for the truth", passed, 0)
        if keys and (block := read.vectors_of(client, info, "", keys)):
            yield block


def _drawn(client: Client, info: IndexInfo, queries: int) -> Floats:
    blocks: list[Floats] = []
    for block in _every(client, info, silent):
        blocks.append(block.vectors.astype(np.float32))
        if sum(map(len, blocks)) >= max(_DRAWN, queries):
            break
    if not blocks:
        raise BadInput(f"No key under the prefixes of {info.name} has a vector.", "Load some first.")
    rows = np.concatenate(blocks)
    chosen = np.random.default_rng(0).choice(len(rows), min(queries, len(rows)), replace=False)
    return np.ascontiguousarray(rows[chosen])


def _look(
    client: Client,
    info: IndexInfo,
    queries: Floats,
    truth: exact.Neighbours,
    k: int,
    at_s: float,
    field: str,
) -> Look:
    answered: list[int] = []
    returned: list[tuple[str, ...]] = []
    took: list[float] = []
    problem = ""
    for row, vector in enumerate(queries):
        request = KnnRequest(info.name, tuple(vector.tolist()), field, k)
        try:
            answer = search.knn(client, request, info)
        except MemDBError as exc:
            problem = str(exc)
            continue
        if answer.missing:  # of some shards: no answer to be held against the truth of all
            problem = next(iter(answer.notes))
            continue
        took.append(answer.took_ms)
        answered.append(row)
        returned.append(answer.keys)
    verdicts = recall.judge(
        client,
        info,
        field,
        queries[answered],
        returned,
        [truth.keys[row] for row in answered],
        [truth.distances[row] for row in answered],
        Membership(client, info, EVERYTHING),
    )
    shares = [verdict.recall for verdict in verdicts]
    # The node that answers searches; what it tells last, so that "ready" is not from before the queries.
    if info.shards:  # the least of them
        build: BuildState | None = index_info(client, info.name).build
    else:
        node_sample = sample(client, client.nodes()[0])
        build = next((index.build for index in node_sample.indexes if index.name == info.name), None)
    state, fraction = ("unknown", 0.0) if build is None else (build.state, build.fraction)
    return Look(
        at_s,
        state,
        fraction,
        statistics.fmean(shares) if shares else None,
        len(queries),
        len(queries) - len(shares),
        statistics.median(took) if took else None,
        problem,
    )
