"""The index's own answer at a high EF_RUNTIME in the place of the exact one, and what it misses itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from memdb.cluster.client import Client
from memdb.jobs import Report
from memdb.tuning import load, own
from memdb.tuning.estimate import Nearer, shared
from memdb.tuning.run import Queries, SweepRequest, Truth
from memdb.tuning.sample import Sample
from memdb.tuning.settling import MOST_EF, TRIED, reference_ef, settled
from memdb.vectors import distance
from memdb.vectors.exact import Neighbours, nearest
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.recall import judge
from memdb.vectors.search import count as matching

_SHOWN = 64  # sampled documents looked at for each query, at least


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What stands in the place of an exact answer."""

    truth: Truth
    nearer: Nearer
    ef: int  # 0 where the index has none
    answers: tuple[load.Answer, ...]  # of each query at it, as the engine gave them; () where more was asked


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
    earlier: Reference | None = None,
) -> Reference:
    """Ask the queries at a high EF_RUNTIME, and compare them exactly with the sample.

    Some of the first TRIED queries are asked at twice the EF_RUNTIME as well, until that brings next to
    nothing more; all are asked at the last. The sample is compared while the server answers; queries with a
    filter and a K of their own with what their filter leaves of it, which is as uniform.

    Args:
        client: where the index is.
        info: the index.
        request: what is measured; its EF_RUNTIME and k.
        queries: as they are sent.
        sample: documents of the index under the filter; of all where queries have filters of their own.
        under: the filter.
        report: progress; may raise Cancelled.
        pace: at most so many queries a second.
        progress: called with how many more were answered.
        earlier: of queries that these begin with: its EF_RUNTIME is kept, and they are not asked again.

    Raises:
        MemDBError: the server does not answer, or the budget is spent.
    """
    began = time.perf_counter()
    params = info.vector_field(request.field)[1]
    ef = reference_ef(request, client.server.dialect.limits.ef_runtime) if params.has_ef else 0
    divided = own.parts(request, queries)
    answered_count = 0

    def answered(more: int) -> None:
        nonlocal answered_count
        answered_count += more
        report("Reference answers", min(answered_count, len(queries)), len(queries))
        if progress is not None:
            progress(more)

    def answers(rows: slice, ef: int) -> list[load.Answer]:
        some = own.section(queries, rows)
        batch = own.questions(client, info, request, some, ef)
        return [each for got in load.answers(client, batch, answered, budget_qps=pace) for each in got]

    memberships = _memberships(client, info, queries, divided, under)
    widest = max(part.request.k for part in divided)
    with ThreadPoolExecutor(1, "compare") as thread:
        close = thread.submit(_close, sample, queries, divided, memberships, params.metric)
        if earlier is not None:
            ef, first = earlier.ef, list(earlier.answers)
        else:
            limit = min(client.server.dialect.limits.ef_runtime, max(MOST_EF, ef))
            ef, first = settled(answers, ef, limit, min(TRIED, len(queries)), widest + any(queries.own_keys))
        rest = answers(slice(len(first), None), ef) if len(first) < len(queries) else []
        answers_of_all = plain = [*first, *rest]
    if sample.left_out.zero and ef:  # a search goes wrong among them, the more so the higher the EF_RUNTIME
        low = answers(slice(None), max(widest + 1, request.ef_min))
        answers_of_all = [
            ([*dict.fromkeys([*high[0], *more[0]])], [])
            for high, more in zip(answers_of_all, low, strict=True)
        ]
        plain = []
    report("Comparing with the sample", 0, len(queries))
    keys: list[tuple[str, ...]] = [()] * len(queries)
    distances = np.full((len(queries), widest), np.nan)
    for part, each in zip(divided, memberships, strict=True):
        some = [answers_of_all[row] for row in part.rows.tolist()]
        of_part = _judged(client, info, part, some, each, widest)
        for row, of_row in zip(part.rows.tolist(), of_part.keys, strict=True):
            keys[row] = of_row
        distances[part.rows] = of_part.distances
    truth = Truth(
        tuple(keys),
        distances,
        len(sample.keys),
        time.perf_counter() - began,
        notes=sample.left_out.words,
    )
    nearer = _all_nearer(client, info, queries, divided, truth, sample, close.result())
    return Reference(truth, nearer, ef, tuple(plain))


def enlarged(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    queries: Queries,
    sample: Sample,
    under: Membership,
    reference_before: Reference,
) -> Reference:
    """The same reference beside a larger sample; nothing is asked again.

    Raises:
        MemDBError: the server does not answer.
    """
    metric = info.vector_field(request.field)[1].metric
    divided = own.parts(request, queries)
    close = _close(sample, queries, divided, _memberships(client, info, queries, divided, under), metric)
    truth = replace(reference_before.truth, looked_at=len(sample.keys), notes=sample.left_out.words)
    return replace(
        reference_before,
        truth=truth,
        nearer=_all_nearer(client, info, queries, divided, truth, sample, close),
    )


def _memberships(
    client: Client, info: IndexInfo, queries: Queries, divided: Sequence[own.QueryPart], under: Membership
) -> list[Membership]:
    return [Membership(client, info, part.request.condition) if queries.asks else under for part in divided]


def _close(
    sample: Sample,
    queries: Queries,
    divided: Sequence[own.QueryPart],
    memberships: Sequence[Membership],
    metric: str,
) -> list[Neighbours]:
    """Of each part the sampled documents that lie nearest to its queries."""
    return [
        nearest(
            sample.without(each.outside(sample.keys)) if queries.asks else sample.blocks,
            part.queries.vectors,
            max(_SHOWN, 2 * part.request.k),
            metric,
            excluded=part.queries.own_keys,
        )
        for part, each in zip(divided, memberships, strict=True)
    ]


def _all_nearer(
    client: Client,
    info: IndexInfo,
    queries: Queries,
    divided: Sequence[own.QueryPart],
    truth: Truth,
    sample: Sample,
    close: Sequence[Neighbours],
) -> Nearer:
    """What the sample shows that the reference misses, of all parts."""
    ks = np.full(len(queries), truth.distances.shape[1])
    by_part: list[Nearer] = []
    for part, near in zip(divided, close, strict=True):
        k, params = part.request.k, info.vector_field(part.request.field)[1]
        rows = part.rows.tolist()
        of_part = replace(
            truth, keys=tuple(truth.keys[row] for row in rows), distances=truth.distances[part.rows]
        )
        of_this_part = _nearer(near, part.queries, of_part, sample, k, params.metric, params.type)
        by_part.append(replace(of_this_part, rows=part.rows[of_this_part.rows]))
        if queries.asks:
            ks[part.rows] = max(1, min(k, matching(client, info, part.request.condition)))
    rows = np.concatenate([each.rows for each in by_part])
    order = np.argsort(rows, kind="stable")
    return Nearer(
        rows[order],
        np.concatenate([each.places for each in by_part])[order],
        np.concatenate([each.documents for each in by_part])[order],
        ks if queries.asks else None,
        shared([row[-1] for row in truth.keys if row]),
    )


def _judged(
    client: Client,
    info: IndexInfo,
    part: own.QueryPart,
    answers: Sequence[load.Answer],
    under: Membership,
    width: int,
) -> Truth:
    """The answers of some queries by distances computed here, without what breaks the filter."""
    queries, k = part.queries, part.request.k
    returned = [
        [key for key in keys if key != own_key]
        for (keys, _), own_key in zip(answers, queries.own_keys, strict=True)
    ]
    nobody: list[tuple[str, ...]] = [()] * len(returned)
    verdicts = judge(
        client,
        info,
        part.request.field,
        queries.vectors,
        returned,
        nobody,
        [np.empty(0)] * len(returned),
        under,
    )
    rows: list[tuple[str, ...]] = []
    distances = np.full((len(queries), width), np.nan)
    for row, (keys, verdict) in enumerate(zip(returned, verdicts, strict=True)):
        good = [
            (far, key)
            for place, (key, far) in enumerate(zip(keys, verdict.distances, strict=True))
            if place not in verdict.outside and np.isfinite(far)
        ]
        good = sorted(good)[:k]
        rows.append(tuple(key for _, key in good))
        distances[row, : len(good)] = [far for far, _ in good]
    return Truth(tuple(rows), distances, 0, 0.0)


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
        have = truth.distances[row, :k]
        last = have[-1] if np.isfinite(have[-1]) else np.inf  # fewer than k: whatever matches is nearer
        own = set(truth.keys[row])
        for key, length in zip(keys, far.tolist(), strict=True):
            if length >= last:
                break
            if key in own:
                continue
            vectors = np.stack([sample.blocks[b].vectors[i] for b, i in at[key]])
            repeated = np.repeat(queries.vectors[row : row + 1].astype(np.float64), len(vectors), axis=0)
            unsure = float(distance.uncertainty(repeated, vectors, metric, type_).max())
            if length < last - unsure:
                rows.append(row)
                before.append(min(k - 1, int((have <= length + unsure).sum())))
                documents.append(number[key])
    return Nearer(np.array(rows, np.int64), np.array(before, np.int64), np.array(documents, np.int64))
