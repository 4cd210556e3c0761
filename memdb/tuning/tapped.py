"""The searches of a tap as queries: each with its own filter, K and EF_RUNTIME."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from memdb.cluster.client import Client
from memdb.errors import BadInput, BadVector, MemDBError, RejectedQuery
from memdb.tap.record import Record, Tapped
from memdb.tuning.queries import made
from memdb.tuning.run import Ask, Queries
from memdb.tuning.source import Source
from memdb.vectors import distance
from memdb.vectors.distance import Floats
from memdb.vectors.filters import Raw
from memdb.vectors.index import IndexInfo, VectorParams, index_info
from memdb.vectors.search import count

MOST_QUERIES = 4_000  # of a record; which, is chosen at random
_LEFT = "Left out of the record:"
MOST_FILTERS = 50  # each has exact neighbours of its own


def queries(
    client: Client,
    info: IndexInfo,
    field: str,
    record: Record,
    source: Source,
    *,
    most: int = MOST_QUERIES,
    newest: bool = False,
) -> Queries:
    """The searches of one field that a record holds, as they can be asked now.

    Those of other indexes or fields, whose vector does not fit, whose K or EF_RUNTIME the engine does not
    take, or whose filter it refuses or lets nothing through, are left out; `Queries.notes` says how many.

    Args:
        client: where the index is.
        info: the index.
        field: its vector field; empty for the first.
        record: of a tap.
        source: where it came from.
        most: queries at most.
        newest: take the newest ones instead of a random choice.

    Raises:
        BadInput: the record holds no search of this index and field, or none that can be asked now.
        BadVector: all vectors are of another length.
    """
    vector_field, params = info.vector_field(field)
    of_index = _of_index(client, info, record)
    of_field = [each for each in of_index if each.call.field == vector_field.name]
    if not of_field:
        names = ", ".join(sorted({f"'{each.call.field}'" for each in of_index})[:5])
        raise BadInput(
            f"The record holds no search of the field '{vector_field.name}', but of {names}.",
            "Choose that field.",
        )
    notes: list[str] = []
    if others := len(record.searches) - len(of_field):
        notes.append(f"{_LEFT} {others:,} of other indexes or fields.")
    fitting = _fitting(_within(client, of_field, notes), params, info, notes)
    chosen = _chosen(fitting, most, newest, notes)
    askable = _askable(client, info, chosen, notes)
    asks = tuple(
        Ask(each.call.filter, each.call.filter_params, each.call.k, each.call.ef_runtime)
        for each, _ in askable
    )
    counts = Counter(ask.k for ask in asks)
    if len(counts) > 1:
        notes.append(
            f"The searches have a K between {min(counts)} and {max(counts)}; the recall of each is of its "
            "own K."
        )
    labels = tuple(
        f"search of {datetime.fromtimestamp(each.at, UTC):%Y-%m-%d %H:%M:%S} UTC" for each, _ in askable
    )
    vectors = np.stack([vector for _, vector in askable])
    return replace(made(vectors, labels, (), source, asks=asks), notes=tuple(notes))


def most_common_k(query_set: Queries) -> int:
    """The K that most of the queries have."""
    return Counter(ask.k for ask in query_set.asks).most_common(1)[0][0]


def _of_index(client: Client, info: IndexInfo, record: Record) -> list[Tapped]:
    """The searches of this index, by its name or an alias."""
    names = Counter(each.call.index for each in record.searches)
    if not names:
        raise BadInput("The record holds no search yet.", "Let the application search through the tap.")
    same = {info.name}
    for name in names:
        if name != info.name:
            try:
                if index_info(client, name).fingerprint == info.fingerprint:
                    same.add(name)
            except MemDBError:  # gone
                continue
    of_index = [each for each in record.searches if each.call.index in same]
    if not of_index:
        listed = ", ".join(f"'{name}' ({count:,})" for name, count in names.most_common(5))
        raise BadInput(
            f"The record holds no search of '{info.name}', but of {listed}.",
            "Choose that index; one that is not on this server any more cannot be asked.",
        )
    return of_index


def _within(client: Client, searches: Sequence[Tapped], notes: list[str]) -> list[Tapped]:
    """The searches whose K and EF_RUNTIME this engine takes: the record may be of another."""
    dialect = client.server.dialect
    most_k, most_ef = dialect.limits.k, dialect.limits.ef_runtime
    taken = [each for each in searches if each.call.k <= most_k and (each.call.ef_runtime or 0) <= most_ef]
    above = f"above what {dialect.title} takes ({most_k:,} and {most_ef:,})"
    if not taken:
        raise BadInput(
            f"K or EF_RUNTIME of every search of the record is {above}.",
            "Tap the application that searches this server.",
        )
    if others := len(searches) - len(taken):
        notes.append(f"{_LEFT} {others:,} of which K or EF_RUNTIME is {above}.")
    return taken


def _fitting(
    searches: Sequence[Tapped], params: VectorParams, info: IndexInfo, notes: list[str]
) -> list[tuple[Tapped, Floats]]:
    """The searches with vectors that the field takes, decoded."""
    distance.need(params.type)
    right = [each for each in searches if len(each.call.vector) == params.bytes]
    if not right:
        size = params.bytes // params.dim
        have, expected = len(searches[-1].call.vector) // size, params.dim
        raise BadVector(
            f"The vectors of the record have {have:,} numbers; '{info.name}' expects {expected:,}.",
            "They are of another model: tap the application that searches this index.",
            expected=expected,
            got=have,
        )
    if others := len(searches) - len(right):
        notes.append(f"{_LEFT} {others:,} of which the vector has another length.")
    fitting = []
    for each in right:
        vector = distance.from_bytes(each.call.vector, params.type).astype(np.float32)
        if np.isfinite(vector).all() and (params.metric != "COSINE" or vector.any()):
            fitting.append((each, vector))
    if not fitting:
        raise BadInput(
            "None of the record's vectors is finite and has a direction.",
            "Look at what the application sends.",
        )
    if odd := len(right) - len(fitting):
        notes.append(f"{_LEFT} {odd:,} of which the vector is zero or not finite.")
    return fitting


def _chosen(
    searches: list[tuple[Tapped, Floats]], most: int, newest: bool, notes: list[str]
) -> list[tuple[Tapped, Floats]]:
    if len(searches) <= most:
        return searches
    if newest:
        return searches[-most:]
    notes.append(f"{most:,} of {len(searches):,} searches of the record are asked, chosen at random.")
    rows = np.random.default_rng(0).choice(len(searches), most, replace=False)
    return [searches[row] for row in sorted(rows.tolist())]


def _askable(
    client: Client, info: IndexInfo, searches: list[tuple[Tapped, Floats]], notes: list[str]
) -> list[tuple[Tapped, Floats]]:
    """Those whose filter lets something through."""
    by_filter = Counter((each.call.filter, each.call.filter_params) for each, _ in searches)
    usual = by_filter.most_common(MOST_FILTERS)
    if rare := sum(by_filter.values()) - sum(number for _, number in usual):
        notes.append(
            f"{rare:,} searches have one of {len(by_filter) - len(usual):,} rarer filters; of "
            f"{len(by_filter):,} "
            f"filters the {MOST_FILTERS} most frequent are asked."
        )
    searches_kept, refused, empty = set(), 0, 0
    for each, number in usual:
        try:
            matching = count(client, info, Raw(*each))
        except (BadInput, RejectedQuery):
            refused += number
            continue
        if matching:
            searches_kept.add(each)
        else:
            empty += number
    if refused:
        notes.append(f"{_LEFT} {refused:,} of which the index does not take the filter any more.")
    if empty:
        notes.append(f"{_LEFT} {empty:,} of which no document matches the filter now.")
    askable = [
        each for each in searches if (each[0].call.filter, each[0].call.filter_params) in searches_kept
    ]
    if not askable:
        raise BadInput(
            "No search of the record can be asked now: its filters match no document, or the index does "
            "not take "
            "them any more.",
            "Tap again.",
        )
    return askable
