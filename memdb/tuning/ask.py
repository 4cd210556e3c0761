"""From what a user chose to a saved run: queries made, sweep run, whatever was measured kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memdb.cluster.client import Client
from memdb.errors import Cancelled
from memdb.jobs import Report, silent
from memdb.tuning import queries, store
from memdb.tuning.run import Queries, Run, SweepRequest
from memdb.tuning.sweep import sweep
from memdb.vectors.index import IndexInfo

By = Literal["Documents", "Texts", "File", "Run", "Region"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the queries come from."""

    by: By
    count: int = 0  # of documents
    extend: bool = False  # ask more documents where these leave the answer open
    texts: tuple[str, ...] = ()
    file_name: str = ""
    content: bytes = b""
    run_id: str = ""
    keys: tuple[str, ...] = ()  # of documents selected on the map


def asked_queries(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    source: Source,
    home: Path,
    *,
    report: Report = silent,
) -> Queries:
    """The queries that a user chose.

    Raises:
        BadInput: they cannot be made, or do not fit the index.
        NotFound: the earlier run is gone.
    """
    field = request.field
    if source.by == "Texts":
        return queries.texts(source.texts, info, field, report=report)
    if source.by == "File":
        return queries.from_file(source.file_name, source.content, info, field, report=report)
    if source.by == "Region":
        return queries.of_keys(client, info, field, source.keys)
    if source.by == "Run":
        return queries.from_run(store.load(home, source.run_id), info, field)
    return queries.random_documents(
        client, info, field, source.count, request.seed, request.condition, report=report
    )


def extension(
    client: Client, info: IndexInfo, request: SweepRequest, source: Source, *, report: Report = silent
) -> Callable[[int], Queries] | None:
    """What a sweep may ask for more queries; None where only the user's own are to be asked."""
    if source.by != "Documents" or not source.extend:
        return None

    def more(count: int) -> Queries:
        return queries.random_documents(
            client, info, request.field, count, request.seed, request.condition, report=report
        )

    return more


def run_saved(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    asked: Queries,
    home: Path,
    *,
    report: Report = silent,
    keep: Callable[[Run], None] | None = None,
    more: Callable[[int], Queries] | None = None,
) -> Run:
    """A sweep whose result is kept on disk, also that of a cancelled one.

    Raises:
        Cancelled: from `report`; what had been measured is saved.
        MemDBError: nothing could be measured, or the result could not be saved.
    """
    last: Run | None = None

    def remember(run: Run) -> None:
        nonlocal last
        last = run
        if keep is not None:
            keep(run)

    try:
        run = sweep(client, info, request, asked, report=report, keep=remember, home=home, more=more)
    except Cancelled:
        if last is not None and last.points:
            store.save(last, home)
        raise
    store.save(run, home)
    return run
