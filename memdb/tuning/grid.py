"""Filter selectivity x EF_RUNTIME, on the live index: recall, latency and short results of each pair.

The filters are of the user's own data: tag values and numeric ranges that let about the wanted share of
the documents through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import BadInput, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.tuning import unseen
from memdb.tuning.load import percentiles
from memdb.tuning.plan import QueryPlan, plan
from memdb.tuning.run import CERTAIN, Uncertainty
from memdb.tuning.vectors import documents
from memdb.vectors import distance, exact, recall, search
from memdb.vectors.distance import Vectors
from memdb.vectors.exact import Neighbours
from memdb.vectors.filters import EVERYTHING, Condition, Range, Tag, render
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.query import KnnRequest, vector_param

SHARES = (0.001, 0.01, 0.05, 0.2, 0.5, 1.0)
MAX_OFF = 2.0  # a filter that lets through twice or half of the wanted share is not taken for it
CONFIDENCE = 0.95
_BISECTIONS = 14  # of a numeric range: counts, each a round trip


@dataclass(frozen=True, slots=True)
class GridFilter:
    """A filter and what it lets through."""

    name: str  # in the engine's words
    condition: Condition
    matching: int
    share: float  # of the documents, in [0, 1]


@dataclass(frozen=True, slots=True)
class Cell:
    """One filter at one EF_RUNTIME. Times in milliseconds, of sequential calls."""

    ef_runtime: int
    recall: float
    low: float
    high: float
    p50_ms: float
    p95_ms: float
    short: int  # queries answered with fewer than min(k, what matches)
    queries: int
    outside: int = 0  # hits that break the filter; they count as not found


@dataclass(frozen=True, slots=True)
class Row:
    """One filter over all EF_RUNTIMEs measured so far."""

    filter: GridFilter
    plan: QueryPlan
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """What was measured; rows by share, most selective first."""

    index: str
    k: int
    efs: tuple[int, ...]
    rows: tuple[Row, ...]
    queries: int
    partial: bool
    notes: tuple[str, ...] = ()  # of filters that hits break


def pick_filters(
    client: Client, info: IndexInfo, shares: tuple[float, ...] = SHARES, *, report: Report = silent
) -> tuple[GridFilter, ...]:
    """For each share a tag value or numeric range of the user's data that lets about it through.

    Shares for which the data has none are left out; 1.0 is no filter at all. Most selective first.

    Raises:
        BadInput: the index is empty, or a share is outside (0, 1].
    """
    if not info.documents:
        raise BadInput(f"'{line(info.name)}' holds no document.", "Load documents first.")
    if wrong := [share for share in shares if not 0 < share <= 1]:
        raise BadInput(f"{wrong[0]} is no share of the documents.", "Use shares above 0, up to 1.")
    tags = _tag_filters(client, info)
    picked: list[GridFilter] = []
    for place, share in enumerate(sorted(set(shares))):
        report("Choosing filters", place, len(set(shares)))
        if share == 1.0:
            picked.append(GridFilter("no filter", EVERYTHING, info.documents, 1.0))
            continue
        best = min(tags, key=lambda f: _off(f.share, share), default=None)
        if best is None or _off(best.share, share) > 1.25:
            ranges = [r for f in info.of_kind("NUMERIC") if (r := _range_filter(client, info, f.name, share))]
            best = min([*ranges, *([best] if best else [])], key=lambda f: _off(f.share, share), default=None)
        if best is not None and _off(best.share, share) <= MAX_OFF and best not in picked:
            picked.append(best)
    return tuple(picked)


def measure(
    client: Client,
    info: IndexInfo,
    field: str,
    filters: tuple[GridFilter, ...],
    efs: tuple[int, ...],
    queries: Vectors,
    k: int,
    *,
    own_keys: tuple[str, ...] = (),
    uncertainty: Uncertainty = CERTAIN,
    report: Report = silent,
    keep: Callable[[Grid], None] | None = None,
) -> Grid:
    """Measure every pair, filter by filter.

    Args:
        client: of the index.
        info: the index.
        field: its vector field; may be empty.
        filters: from `pick_filters`.
        efs: settings, ascending.
        queries: (q, dim).
        k: neighbours that count.
        own_keys: for each query the document that it is or was made from, which does not count; empty for
            none.
        uncertainty: of `Queries`.
        report: told stage, done and total; may raise Cancelled.
        keep: given what there is after each cell.

    Raises:
        BadInput: no filter, no setting or no query is given.
        MemDBError: a search fails.
    """
    if not filters or not efs or not len(queries):
        raise BadInput("There is nothing to measure.", "Choose at least one filter, one EF and one query.")
    _, params = info.vector_field(field)
    own = own_keys or ("",) * len(queries)
    rows: list[Row] = []
    total, asked_before = len(filters) * len(efs) * len(queries), 0
    result = Grid(info.name, k, efs, (), len(queries), True)
    for chosen in filters:
        blocks = documents(client, info, field, chosen.condition, report=report)
        sent = distance.as_sent(queries, params.type)
        truth = exact.nearest(blocks, sent, k, params.metric, excluded=own)
        first = KnnRequest(info.name, vector_param(queries[0]), field, k, efs[0], chosen.condition)
        how = plan(client, first, info)
        under = Membership(client, info, chosen.condition)
        cells: list[Cell] = []
        for ef in efs:
            cell = _cell(
                client,
                info,
                field,
                chosen,
                ef,
                queries,
                k,
                own,
                truth,
                under,
                uncertainty,
                report,
                asked_before,
                total,
            )
            cells.append(cell)
            asked_before += len(queries)
            if note := under.words(len(queries) * k, cell.outside):
                result = replace(result, notes=(*result.notes, f"At EF {ef}: {note}"))
            result = replace(result, rows=(*rows, Row(chosen, how, tuple(cells))))
            if keep is not None:
                keep(result)
        rows.append(Row(chosen, how, tuple(cells)))
    return replace(result, rows=tuple(rows), partial=False)


def _cell(
    client: Client,
    info: IndexInfo,
    field: str,
    chosen: GridFilter,
    ef: int,
    queries: Vectors,
    k: int,
    own: tuple[str, ...],
    truth: Neighbours,
    under: Membership,
    uncertainty: Uncertainty,
    report: Report,
    done: int,
    total: int,
) -> Cell:
    times, returned, short = np.zeros(len(queries)), [], 0
    stage = f"Measuring {line(chosen.name, 60)} at EF {ef}"
    for i, vector in enumerate(queries):
        if i % 10 == 0:
            report(stage, done + i, total)
        more = k + (1 if own[i] else 0)
        request = KnnRequest(info.name, vector_param(vector), field, more, ef, chosen.condition)
        answer = search.knn(client, request, info, under=under)
        times[i] = answer.took_ms
        returned.append([key for key in answer.keys if key != own[i]][:k])
        short += len(returned[i]) < len(truth.keys[i])
    sent = distance.as_sent(queries, info.vector_field(field)[1].type)
    verdicts = recall.judge(client, info, field, sent, returned, truth.keys, truth.distances, under)
    outside = sum(len(verdict.outside) for verdict in verdicts)
    recalls = np.array([verdict.recall for verdict in verdicts])
    likely = unseen.interval(recalls, CONFIDENCE, uncertainty)
    p50, p95, _ = percentiles(times)
    return Cell(ef, likely.mean, likely.low, likely.high, p50, p95, short, len(queries), outside)


def _tag_filters(client: Client, info: IndexInfo) -> list[GridFilter]:
    filters: list[GridFilter] = []
    for field in info.of_kind("TAG"):
        try:
            values = search.tag_values(client, info, field.name)
        except UnsupportedFeature:
            continue
        for value in values:
            condition = Tag(field.name, (value.value,))
            share = min(1.0, value.documents / info.documents)
            name = render(condition, client.server.dialect, info).query
            filters.append(GridFilter(name, condition, value.documents, share))
    return filters


def _range_filter(client: Client, info: IndexInfo, field: str, share: float) -> GridFilter | None:
    """A range from the smallest value up that holds about the share; None where there is no number."""
    try:
        bounds = search.numeric_bounds(client, info, field)
    except UnsupportedFeature:
        return None
    if bounds is None:
        return None
    low, high = bounds
    whole = low.is_integer() and high.is_integer() and high - low > 100
    best: GridFilter | None = None
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if whole:
            middle = math.floor(middle)
        condition = Range(field, bounds[0], middle)
        count = search.count(client, info, condition)
        candidate = GridFilter(
            render(condition, client.server.dialect, info).query, condition, count, count / info.documents
        )
        if count and (best is None or _off(candidate.share, share) < _off(best.share, share)):
            best = candidate
        low, high = (low, middle) if candidate.share > share else (middle, high)
    return best


def _off(share: float, other: float) -> float:
    """How many times one share is the other, at least 1."""
    return max(share / other, other / share) if share > 0 and other > 0 else float("inf")
