"""One measurement of a watched index, within the target's budget. Nothing is written to the server."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memdb import array_files, files, intervals
from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.errors import BadInput, DamagedFile, MemDBError
from memdb.jobs import Report, silent
from memdb.tap import record as taps
from memdb.tuning import load, own, queries, tapped
from memdb.tuning.checks import checked
from memdb.tuning.estimate import Nearer, estimates
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.reference import reference
from memdb.tuning.run import Queries, SweepRequest, Uncertainty
from memdb.tuning.sample import Sample, chosen
from memdb.tuning.source import File, Unseen
from memdb.vectors import distance
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.membership import Membership
from memdb.vectors.nothing import nothing
from memdb.watch.series import Measurement, Watch

_DEFAULT = SweepRequest("")
ANEW = 0.25  # share of documents more or fewer from which queries are made anew
_LOST = ("del", "unlink", "hdel", "json.del")


def measure(client: Client, watch: Watch, home: Path, *, report: Report = silent) -> Measurement:
    """The recall of a watched index now.

    An index that is being built is not measured: the result says so. One that MemoryDB calls available and
    degraded is measured, and its share is told.

    Args:
        client: from `open_for_work`: its budget holds.
        watch: what to measure.
        home: MEMDB_HOME; the fixed queries and exact answers are kept there.
        report: progress; may raise Cancelled.

    Raises:
        MemDBError: it cannot be measured.
    """
    began, at = time.monotonic(), time.time()
    info = index_info(client, watch.index)
    _, params = info.vector_field(watch.field)
    used = watch.ef_runtime
    if used is None and not watch.tap and params.has_ef:
        used = params.ef_runtime
    outcome = Measurement(
        at=at,
        watch=replace(watch, ef_runtime=used),
        queries=0,
        asked="",
        recall=None,
        low=None,
        high=None,
        documents=info.documents,
        build=info.build.state,
        built=info.build.fraction,
        run_id=client.server.run_id,
        definition=hashlib.sha256(repr((info.on, info.prefixes, info.fields)).encode()).hexdigest()[:16],
        revision=info.revision,
        removals=_removals(client),
    )
    degraded = info.build.source == "index_degradation_percentage"
    if info.unfinished and not degraded:
        return replace(
            outcome,
            took_s=time.monotonic() - began,
            problem=f"{info.unfinished} It is not measured until then.",
        )
    request = SweepRequest(
        watch.index,
        watch.field,
        watch.k,
        watch.filter,
        ef_max=max(watch.k, watch.ef_runtime or _DEFAULT.ef_max),
        goal=watch.goal,
        sample=watch.sample,
    )
    sample = chosen(client, info, request, queries=watch.queries, home=home, report=report)
    query_set = _queries(client, info, watch, request, sample, home, report)
    request = checked(client, info, request, query_set, None)
    query_set = replace(query_set, vectors=distance.as_sent(query_set.vectors, params.type))
    under = Membership(client, info, request.condition)
    nearer: Nearer | None = None
    if sample is None:
        neighbours = own.exact(client, info, request, query_set, home=home, report=report)
    else:
        truth = reference(
            client, info, request, query_set, sample, under, report=report, pace=client.queries_per_s
        )
        neighbours, nearer = truth.truth, truth.nearer
    if not max(map(len, neighbours.keys), default=0):
        name = info.vector_field(watch.field)[0].name
        raise nothing(info, watch.filter, name, but_itself=neighbours.looked_at > 0)
    ef = watch.ef_runtime if query_set.asks else (watch.ef_runtime or 0)
    commands = own.questions(client, info, request, query_set, ef)
    passed = 0

    def progress(more: int) -> None:
        nonlocal passed
        passed += more
        report("Measuring", passed, len(query_set))

    answers = load.answers(client, commands, progress, budget_qps=client.queries_per_s)
    came = own.score(
        client,
        info,
        request,
        [answer for some in answers for answer in some],
        query_set,
        neighbours,
        under,
    )
    # Of queries like these: how well made ones stand for unseen ones does not change from one time to the
    # next,
    # and an interval with all of that in it would hide a fall.
    band = intervals.mean(came.recalls, watch.confidence)
    if sample is not None and nearer is not None:
        (estimate,) = estimates([came.ranks >= 0], nearer, sample.share, watch.confidence)
        band = estimate.recall
    return replace(
        outcome,
        queries=len(query_set),
        asked=query_set.words,
        recall=band.mean,
        low=band.low,
        high=band.high,
        digest=query_set.digest,
        estimated="" if sample is None else f"estimated from {sample.words}",
        took_s=time.monotonic() - began,
    )


def _queries(
    client: Client,
    info: IndexInfo,
    watch: Watch,
    request: SweepRequest,
    sample: Sample | None,
    home: Path,
    report: Report,
) -> Queries:
    """The newest of a tap, or those that were made with the first measurement."""
    if watch.tap:
        content = queries.content_of(watch.tap)
        name = Path(watch.tap).name
        record = taps.load(name, content)
        if record is None:
            raise BadInput(
                f"'{name}' is no record of a tap, or it is damaged.", "Give the file of `memdb tap`."
            )
        if watch.filter not in ("", "*"):
            raise BadInput(
                "The searches of a tap have filters of their own, and a filter is given as well.",
                "Leave the filter out; each search is asked with its own.",
            )
        source = File(name, watch.tap)
        return tapped.queries(client, info, watch.field, record, source, most=watch.queries, newest=True)
    _, params = info.vector_field(watch.field)
    file = _file(client, watch, home)
    stored = _kept(file, params.dim, info.documents)
    if stored is not None:
        return stored
    unseen = queries.unseen(
        client,
        info,
        watch.field,
        watch.queries,
        0,
        request.condition,
        k=watch.k,
        sample=sample,
        report=report,
    )
    arrays: dict[str, Any] = {
        "vectors": unseen.vectors,
        "documents": np.array(info.documents),
        "uncertainty": np.array([unseen.uncertainty.too_high, unseen.uncertainty.too_low]),
        **packed("own_keys", unseen.own_keys),
        **packed("labels", unseen.labels),
    }
    files.write(file, lambda stream: np.savez_compressed(stream, **arrays))
    return unseen


def _file(client: Client, watch: Watch, home: Path) -> Path:
    name = repr((client.target.address, watch.index, watch.field, watch.filter, watch.queries))
    return home / "watch" / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:24]}.npz"


def _kept(file: Path, dim: int, documents: int) -> Queries | None:
    """The queries that are kept; None where there are none, or others are needed.

    That is where the index has another dimension, or by a quarter more or fewer documents than they were made
    of: what lies as far as an unseen query among 10,000 documents lies too far among 20,000.
    """
    try:
        with array_files.arrays(file) as arrays, files.reading(file):
            if arrays is None or arrays["vectors"].ndim != 2 or arrays["vectors"].shape[1] != dim:
                return None
            made_of = int(arrays["documents"])
            if abs(documents - made_of) > ANEW * made_of:
                return None
            own_keys, labels = unpacked("own_keys", arrays), unpacked("labels", arrays)
            if not len(own_keys) == len(labels) == len(arrays["vectors"]):
                raise ValueError("keys and vectors do not belong together")
            too_high, too_low = arrays["uncertainty"].tolist()
            source = Unseen(len(labels), 0, extend=False)
            uncertainty = Uncertainty(too_high, too_low)
            return queries.made(
                arrays["vectors"], tuple(labels), tuple(own_keys), source, uncertainty=uncertainty
            )
    except DamagedFile:
        return None


def _removals(client: Client) -> int | None:
    """Keys that expired or were evicted, and calls of commands that delete, since the server began to
    count."""
    total = 0
    try:
        for section in ("stats", "commandstats"):
            for row in replies.text(client.execute("INFO", section)).splitlines():
                name, _, value = row.partition(":")
                if name in ("expired_keys", "evicted_keys"):
                    total += int(value)
                elif name.removeprefix("cmdstat_") in _LOST and name.startswith("cmdstat_"):
                    total += int(value.partition("calls=")[2].partition(",")[0])
    except (MemDBError, ValueError):  # not allowed, or told in another way
        return None
    return total
