"""The index's own answer at a high EF_RUNTIME in the place of the exact one, and what it misses itself."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.jobs import Report
from memdb.tuning import load
from memdb.tuning.estimate import Nearer
from memdb.tuning.run import Queries, SweepRequest, Truth
from memdb.tuning.sample import Sample
from memdb.vectors import distance
from memdb.vectors.exact import Neighbours, nearest
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.recall import judge

LEAST_EF = 1_000
TIMES_EF = 2  # of the largest EF that is measured
MOST_EF = 4_096  # unless more is measured
TRIED = 128  # queries that tell whether a higher EF would find more
SETTLED = 0.001  # share of nearer hits at twice the EF, up to which it is not raised further
_ROUNDING = 1e-5  # of distances that the engine computed in float32
_SHOWN = 64  # sampled documents looked at for each query, at least


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What stands in the place of an exact answer."""

    truth: Truth
    nearer: Nearer
    ef: int  # 0 where the index has none


def reference_ef(request: SweepRequest, limit: int) -> int:
    """The EF_RUNTIME that the reference begins with, above what is measured."""
    return min(limit, max(LEAST_EF, TIMES_EF * request.ef_max))


def settled(
    ask: Callable[[int], Sequence[load.Answer]], ef: int, limit: int
) -> tuple[int, Sequence[load.Answer]]:
    """The lowest doubling of an EF_RUNTIME beyond which another brings next to nothing nearer.

    Args:
        ask: answers of some queries at an EF_RUNTIME.
        ef: to begin with; 0 where the index has none.
        limit: the highest.

    Returns:
        (EF_RUNTIME, the answers there).
    """
    answers = ask(ef)
    while ef > 0 and 2 * ef <= limit:
        further = ask(2 * ef)
        hits = sum(len(keys) for keys, _ in further)
        nearer = sum(_nearer_hits(low, high) for low, high in zip(answers, further, strict=True))
        if nearer <= SETTLED * hits:
            break
        ef, answers = 2 * ef, further
    return ef, answers


def _nearer_hits(low: load.Answer, high: load.Answer) -> int:
    """Hits of the one answer that are not in the other and nearer than its last."""
    (keys, far), (further, nearer) = low, high
    last = far[-1] - _ROUNDING * abs(far[-1]) if far and len(keys) >= len(further) else math.inf
    return sum(length < last for key, length in zip(further, nearer, strict=True) if key not in keys)


def reference(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    sample: Sample,
    under: Membership,
    *,
    report: Report,
    pace: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Reference:
    """Ask the queries at a high EF_RUNTIME, and compare them exactly with the sample.

    The first TRIED queries are asked at twice the EF_RUNTIME as well, until that brings next to nothing more;
    all are asked at the last. The sample is compared while the server answers.

    Args:
        client: where the index is.
        info: the index.
        request: what is measured; its EF_RUNTIME and k.
        queries: as they are sent.
        sample: documents of the index under the filter.
        under: the filter.
        report: progress; may raise Cancelled.
        pace: at most so many queries a second.
        progress: called with how many more were answered.

    Raises:
        MemDBError: the server does not answer, or the budget is spent.
    """
    began = time.perf_counter()
    params = info.vector_field(request.field)[1]
    ef = reference_ef(request, client.server.dialect.limits.ef_runtime) if params.has_ef else 0
    k = request.k
    done = 0

    def answered(more: int) -> None:
        nonlocal done
        done += more
        report("Reference answers", min(done, len(queries)), len(queries))
        if progress is not None:
            progress(more)

    def answers(rows: slice, ef: int) -> list[load.Answer]:
        vectors = queries.vectors[rows]
        asked = load.questions(
            client, info, request, vectors, ef, k=k + any(queries.own_keys), condition=request.condition
        )
        return [each for some in load.answers(client, asked, answered, budget_qps=pace) for each in some]

    with ThreadPoolExecutor(1, "compare") as thread:
        close = thread.submit(
            nearest,
            sample.blocks,
            queries.vectors,
            max(_SHOWN, 2 * k),
            params.metric,
            excluded=queries.own_keys,
        )
        limit = min(client.server.dialect.limits.ef_runtime, max(MOST_EF, ef))
        ef, first = settled(lambda ef: answers(slice(TRIED), ef), ef, limit)
        answers_of_all = [*first, *answers(slice(TRIED, None), ef)]
    returned = [
        [key for key in keys if key != own][:k]
        for (keys, _), own in zip(answers_of_all, queries.own_keys, strict=True)
    ]
    report("Comparing with the sample", 0, len(queries))
    nobody: list[tuple[str, ...]] = [()] * len(returned)
    verdicts = judge(
        client, info, request.field, queries.vectors, returned, nobody, [np.empty(0)] * len(returned), under
    )
    rows: list[tuple[str, ...]] = []
    distances = np.full((len(queries), k), np.nan)
    for row, (keys, verdict) in enumerate(zip(returned, verdicts, strict=True)):
        good = [
            (far, key)
            for place, (key, far) in enumerate(zip(keys, verdict.distances, strict=True))
            if place not in verdict.outside and np.isfinite(far)
        ]
        good.sort()
        rows.append(tuple(key for _, key in good))
        distances[row, : len(good)] = [far for far, _ in good]
    truth = Truth(
        tuple(rows),
        distances,
        len(sample.keys),
        time.perf_counter() - began,
        notes=sample.left_out.words,
    )
    return Reference(
        truth, _nearer(close.result(), queries, truth, sample, k, params.metric, params.type), ef
    )


def _nearer(
    close: Neighbours, queries: Queries, truth: Truth, sample: Sample, k: int, metric: str, type_: str
) -> Nearer:
    """Sampled documents that lie clearly nearer than the reference's last hit and are not in it."""
    number = {key: i for i, key in enumerate(sample.keys)}
    at: dict[str, list[tuple[int, int]]] = {}
    for b, block in enumerate(sample.blocks):
        for i, key in enumerate(block.keys):
            at.setdefault(key, []).append((b, i))
    rows: list[int] = []
    before: list[int] = []
    documents: list[int] = []
    for row, (keys, far) in enumerate(zip(close.keys, close.distances, strict=True)):
        have = truth.distances[row]
        last = have[-1] if np.isfinite(have[-1]) else np.inf  # fewer than k: whatever matches is nearer
        own = set(truth.keys[row])
        for key, length in zip(keys, far.tolist(), strict=True):
            if length >= last:
                break
            if key in own:
                continue
            vectors = np.stack([sample.blocks[b].vectors[i] for b, i in at[key]])
            asked = np.repeat(queries.vectors[row : row + 1], len(vectors), axis=0)
            unsure = float(distance.uncertainty(asked, vectors, metric, type_).max())
            if length < last - unsure:
                rows.append(row)
                before.append(min(k - 1, int((have <= length + unsure).sum())))
                documents.append(number[key])
    return Nearer(np.array(rows, np.int64), np.array(before, np.int64), np.array(documents, np.int64))
