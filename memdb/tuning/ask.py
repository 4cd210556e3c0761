"""From a request to a run: queries made, sweep run, whatever was measured kept.

run = recall(client, info, SweepRequest("idx", goal=Goal("recall", 0.95)))
print(run.recommendation.sentence)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from memdb.cluster.client import Client
from memdb.embedding import Embedder, embedder_for
from memdb.errors import BadInput, Cancelled
from memdb.jobs import Report, silent
from memdb.settings import Settings
from memdb.shelf import now_and_then
from memdb.tap import record as taps
from memdb.tuning import queries, store, tapped
from memdb.tuning.run import Queries, Run, SweepRequest
from memdb.tuning.sample import Sample, chosen
from memdb.tuning.source import COUNT, Documents, File, Given, Repeated, Selected, Texts, Unseen
from memdb.tuning.sweep import sweep
from memdb.vectors.index import IndexInfo

BESIDE = 500  # made queries that tell by how much documents flatter


def asked_queries(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    *,
    home: Path | None = None,
    settings: Settings | None = None,
    report: Report = silent,
    sample: Sample | None = None,
) -> Queries:
    """The queries of `request.source`.

    Args:
        client: where the index is.
        info: the index.
        request: of the sweep.
        home: MEMDB_HOME, where saved runs are.
        settings: which model embeds texts; of the environment where they are not given.
        report: progress.
        sample: documents that they are made of or are, where not all of the index are read.

    Raises:
        BadInput: they cannot be made, or do not fit the index.
        NotFound: the earlier run is gone.
        MemDBError: the model that embeds texts did not answer.
    """
    field, source = request.field, request.source

    def embedder() -> Embedder:
        here = source.model if isinstance(source, Texts | File) else ""
        return embedder_for(client, info, settings or Settings.from_env(), field=field, here=here)

    match source:
        case Unseen(count=count, seed=seed):
            return queries.unseen(
                client, info, field, count, seed, request.condition, k=request.k, report=report, sample=sample
            )
        case Documents(count=count, seed=seed):
            return queries.random_documents(
                client, info, field, count, seed, request.condition, report=report, sample=sample
            )
        case Selected(keys=keys):
            return queries.of_keys(client, info, field, keys)
        case Texts(texts=texts):
            return queries.texts(texts, info, field, embedder=embedder, report=report)
        case File() as file:
            content = file.content or queries.content_of(file.path or file.name)
            if (record := taps.load(file.name, content)) is not None:
                return _tapped(client, info, request, record, File(file.name, file.path), report)
            return queries.from_file(
                file.name, content, info, field, path=file.path, embedder=embedder, report=report
            )
        case Repeated(run_id=run_id):
            if home is None:
                raise BadInput(f"Where run '{run_id}' is kept is not known.", "Give `home`, i.e. MEMDB_HOME.")
            return queries.from_run(store.load(home, run_id), info, field)
        case Given():
            raise BadInput(
                "These queries were handed over by a program and are kept with their run only.",
                "Repeat that run, or hand them over again.",
            )


def _tapped(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    record: taps.Record,
    source: File,
    report: Report,
) -> Queries:
    if request.filter not in ("", "*"):
        raise BadInput(
            "The searches of a tap have filters of their own, and a filter is given as well.",
            "Leave the filter out; each search is asked with its own.",
        )
    report("Reading the tap", 0, len(record.searches))
    return tapped.queries(client, info, request.field, record, source)


def recall(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    *,
    asked: Queries | None = None,
    home: Path | None = None,
    report: Report = silent,
    keep: Callable[[Run], None] | None = None,
) -> Run:
    """The sweep of a request, with the queries of its source. Nothing is written to the server.

    Args:
        client: the server.
        info: the index.
        request: what to measure, with which queries.
        asked: those queries, where they were made already, e.g. for several indexes.
        home: MEMDB_HOME: exact answers are kept there, earlier runs found.
        report: progress; may raise Cancelled.
        keep: called with the run so far after every step.

    Raises:
        BadInput: the request or its queries do not fit the index.
        NotFound: the earlier run is gone.
        MemDBError: the server failed before anything was measured.
        Cancelled: from `report`.
    """
    source = request.source
    few = source.count if isinstance(source, Unseen | Documents) else COUNT
    drawn = chosen(
        client, info, request, queries=few if asked is None else len(asked), home=home, report=report
    )
    if asked is None:
        asked = asked_queries(client, info, request, home=home, report=report, sample=drawn)
    if asked.asks:  # what is told of all: the K that most of them have
        request = replace(request, k=tapped.most_common_k(asked))
    own_settings = len(asked.asks)

    def documents() -> Queries:
        count = min(BESIDE, own_settings)
        return queries.random_documents(client, info, request.field, count, 0, report=report, sample=drawn)

    def more(count: int) -> Queries:
        assert isinstance(source, Unseen | Documents)  # noqa: S101  # offered for these only
        wider = replace(request, source=replace(source, count=count))
        return asked_queries(client, info, wider, report=report, sample=drawn)

    def beside() -> Queries:
        assert isinstance(source, Documents | Selected)  # noqa: S101  # offered for these only
        keys = source.keys if isinstance(source, Selected) else ()
        seed = source.seed if isinstance(source, Documents) else 0
        return queries.unseen(
            client,
            info,
            request.field,
            min(BESIDE, len(asked)),
            seed,
            request.condition,
            k=request.k,
            keys=keys[:BESIDE],
            report=report,
            sample=drawn,
        )

    return sweep(
        client,
        info,
        request,
        asked,
        report=report,
        keep=keep,
        home=home,
        more=more if isinstance(source, Unseen | Documents) and source.extend else None,
        beside=beside if isinstance(source, Documents | Selected) else None,
        sample=drawn,
        documents=documents if own_settings else None,
    )


def run_saved(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    home: Path,
    *,
    asked: Queries | None = None,
    report: Report = silent,
    keep: Callable[[Run], None] | None = None,
) -> Run:
    """As `recall`; the result is kept on disk, also of a cancelled one, and what a killed process had.

    Raises:
        Cancelled: from `report`; what had been measured is saved.
        KeyboardInterrupt: likewise.
        MemDBError: nothing could be measured, or the result could not be saved.
    """
    last: Run | None = None
    under_way: Callable[[Run], None] = now_and_then(lambda run: store.save(run, home))

    def remember(run: Run) -> None:
        nonlocal last
        last = run
        if run.points:
            under_way(run)
        if keep is not None:
            keep(run)

    try:
        run = recall(client, info, request, asked=asked, home=home, report=report, keep=remember)
    except (Cancelled, KeyboardInterrupt):
        if last is not None and last.points:
            store.save(last, home)
        raise
    store.save(run, home)
    return run
