"""The exact answer of a set of queries, kept by what it was computed from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from memdb import array_files, files
from memdb.cluster.client import Client
from memdb.errors import DamagedFile, NotKept
from memdb.jobs import Report, silent
from memdb.tuning import vectors
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.run import Queries, Run, Truth
from memdb.vectors import distance
from memdb.vectors.evidence import Drawing, Evidence, KeptAnswers, from_arrays, holds
from memdb.vectors.exact import nearest
from memdb.vectors.filters import EVERYTHING, Condition
from memdb.vectors.index import IndexInfo

KEPT_FILES = 64
KEPT_BYTES = 256 * 2**20
KEPT_ANSWERS = 64  # in memory, of those that are not kept on disk
KEPT_MEMORY = 64 * 2**20


def _bytes(answer: Truth) -> int:
    return answer.distances.nbytes * 10  # a key takes some 80 bytes


_answers: KeptAnswers[Truth] = KeptAnswers(KEPT_ANSWERS, KEPT_MEMORY, _bytes)


def truth(
    client: Client,
    info: IndexInfo,
    field: str,
    queries: Queries,
    k: int,
    condition: Condition | str = EVERYTHING,
    *,
    home: Path | None = None,
    report: Report = silent,
) -> Truth:
    """The exact k nearest documents of each query, under the filter, itself left out.

    An earlier answer is used only where a check of the data says that it holds (`memdb.vectors.evidence`:
    one changed document in a thousand is noticed with a probability of 0.99).

    Args:
        client: where the index is.
        info: the index as it is now.
        field: its vector field; empty for the first.
        queries: what is asked.
        k: how many neighbours.
        condition: the filter.
        home: MEMDB_HOME; answers are kept there under `truth/`, the newest KEPT_FILES of at most
            KEPT_BYTES. None keeps the newest KEPT_ANSWERS in memory.
        report: progress of the reading.

    Raises:
        UnsupportedFeature: the vectors of this index cannot be read.
    """
    stored = _known(client, info, field, queries, k, condition, home)
    if stored is not None:
        return stored
    began = time.perf_counter()
    _, params = info.vector_field(field)
    drawing = Drawing()
    neighbours = nearest(
        drawing.watch(vectors.documents(client, info, field, condition, report=report)),
        distance.as_sent(queries.vectors, params.type),
        k,
        params.metric,
        excluded=queries.own_keys,
    )
    distances = np.full((len(queries), k), np.nan)
    for row, known_distances in enumerate(neighbours.distances):
        distances[row, : len(known_distances)] = known_distances
    took = time.perf_counter() - began
    computed = Truth(neighbours.keys, distances, neighbours.looked_at, took, notes=neighbours.notes)
    evidence = vectors.vouched(drawing, client, info, condition)
    if evidence is not None:
        name = _name(client, info, field, queries, k, condition)
        if home is None:
            _answers.put(name, replace(computed, took_s=0.0, kept=True), evidence)
        else:
            _keep(_file(home, name), computed, evidence)
    return computed


def at_hand(
    client: Client,
    info: IndexInfo,
    field: str,
    queries: Queries,
    k: int,
    condition: Condition | str = EVERYTHING,
) -> Truth | None:
    """The same where the index need not be read for it: kept in memory, or of kept vectors; else None.

    Raises:
        MemDBError: the server does not answer.
    """
    stored = _known(client, info, field, queries, k, condition, None)
    if stored is None and vectors.at_hand(client, info, field, condition) is not None:
        return truth(client, info, field, queries, k, condition)
    return stored


def still(client: Client, info: IndexInfo, run: Run, home: Path) -> bool | None:
    """Whether the documents are what a run measured; None where nothing is kept that could tell.

    The run's exact answer lies under `home` with the evidence of what it was computed from.

    Args:
        client: where the index is.
        info: the index as it is now.
        run: of this index.
        home: MEMDB_HOME.

    Raises:
        MemDBError: the server does not answer, or the run's filter cannot be asked any more.
    """
    if info.fingerprint != run.fingerprint:
        return False
    request = run.request
    name = _name(client, info, request.field, run.queries, request.k, request.condition)
    entry = _kept(_file(home, name), len(run.queries))
    if entry is None:
        return None
    stored, evidence = entry
    if stored.keys != run.truth.keys or not np.array_equal(
        stored.distances, run.truth.distances, equal_nan=True
    ):
        return False  # the same name was computed again since, from other documents
    return holds(client, info, request.field, request.condition, evidence)


def forget() -> None:
    """Free what is kept in memory."""
    _answers.clear()


def _known(
    client: Client,
    info: IndexInfo,
    field: str,
    queries: Queries,
    k: int,
    condition: Condition | str,
    home: Path | None,
) -> Truth | None:
    name = _name(client, info, field, queries, k, condition)
    if home is None:
        return _answers.get(name, client, info, field, condition)
    entry = _kept(file := _file(home, name), len(queries))
    if entry is None:
        return None
    stored, evidence = entry
    if not holds(client, info, field, condition, evidence):
        file.unlink(missing_ok=True)
        return None
    return stored


def _name(
    client: Client, info: IndexInfo, field: str, queries: Queries, k: int, condition: Condition | str
) -> str:
    return repr((vectors.state(client, info, field, condition), queries.digest, k))


def _file(home: Path, name: str) -> Path:
    return home / "truth" / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]}.npz"


def _kept(file: Path, queries: int) -> tuple[Truth, Evidence] | None:
    """None where there is none or it is damaged."""
    with contextlib.suppress(DamagedFile), array_files.arrays(file) as arrays:
        if arrays is not None:
            keys = unpacked("keys", arrays)
            distances = array_files.checked(arrays["distances"], "f", None, None, gaps=True)
            lengths = array_files.checked(arrays["lengths"], "iu", None, least=0, most=distances.shape[1])
            if not len(lengths) == len(distances) == queries or lengths.sum() != len(keys):
                raise ValueError("its rows do not belong together")
            ends = np.cumsum(lengths).tolist()
            rows = tuple(tuple(keys[a:b]) for a, b in pairwise([0, *ends]))
            os.utime(file)  # the last used are kept
            notes = tuple(unpacked("notes", arrays))
            evidence = from_arrays(unpacked("witnesses", arrays), arrays)
            return Truth(rows, distances, int(arrays["looked_at"]), 0.0, True, notes), evidence
    return None


def _keep(file: Path, answer: Truth, evidence: Evidence) -> None:
    try:
        arrays = {
            "distances": answer.distances,
            "lengths": np.array([len(row) for row in answer.keys], np.int32),
            "looked_at": np.array(answer.looked_at),
            **packed("keys", [key for row in answer.keys for key in row]),
            **packed("notes", answer.notes),
            **packed("witnesses", evidence.keys),
            **evidence.arrays(),
        }
        files.write(file, lambda stream: np.savez_compressed(stream, **arrays))
        entries = sorted(((e.stat().st_mtime, e) for e in file.parent.glob("*.npz")), reverse=True)
        total = 0
        for place, (_, entry) in enumerate(entries):
            total += entry.stat().st_size
            if place and (place >= KEPT_FILES or total > KEPT_BYTES):
                entry.unlink(missing_ok=True)
    except (OSError, NotKept):
        return  # a full disk must not end a sweep: it only computes again next time
