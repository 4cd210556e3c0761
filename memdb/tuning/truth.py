"""The exact answer of a set of queries, kept by what it was computed from."""

from __future__ import annotations

import hashlib
import os
import time
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np

from memdb.cluster.client import Client
from memdb.jobs import Report, silent
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.run import Queries, Truth
from memdb.tuning.vectors import documents, state
from memdb.vectors.exact import nearest
from memdb.vectors.filters import EVERYTHING, Condition
from memdb.vectors.index import IndexInfo

KEPT_FILES = 64
KEPT_BYTES = 256 * 2**20


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

    Args:
        client: where the index is.
        info: the index as it is now: its fingerprint tells whether an earlier computation still holds.
        field: its vector field; empty for the first.
        queries: what is asked.
        k: how many neighbours.
        condition: the filter.
        home: MEMDB_HOME; answers are kept there under `truth/`, the newest KEPT_FILES of at most
            KEPT_BYTES. None keeps nothing. Where the engine tells no revision nothing is kept either,
            since documents may have been overwritten unseen.
        report: progress of the reading.

    Raises:
        UnsupportedFeature: the vectors of this index cannot be read.
    """
    file = None
    if home is not None and info.revision is not None:
        name = repr((state(client, info, field, condition), queries.digest, k))
        file = home / "truth" / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]}.npz"
        if (known := _kept(file, len(queries))) is not None:
            return known
    began = time.perf_counter()
    _, params = info.vector_field(field)
    found = nearest(
        documents(client, info, field, condition, report=report),
        queries.vectors,
        k,
        params.metric,
        excluded=queries.own_keys,
    )
    distances = np.full((len(queries), k), np.nan)
    for row, known_distances in enumerate(found.distances):
        distances[row, : len(known_distances)] = known_distances
    made = Truth(found.keys, distances, found.looked_at, time.perf_counter() - began)
    if file is not None:
        _keep(file, made)
    return made


def _kept(file: Path, queries: int) -> Truth | None:
    """None where there is none or it is damaged."""
    try:
        # Opened here: NumPy leaves a file open that turns out to be damaged.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            keys = unpacked("keys", arrays)
            ends = np.cumsum(arrays["lengths"]).tolist()
            rows = tuple(tuple(keys[a:b]) for a, b in pairwise([0, *ends]))
            if len(rows) != queries:
                return None
            os.utime(file)  # the last used are kept
            return Truth(rows, arrays["distances"], int(arrays["looked_at"]), 0.0, kept=True)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _keep(file: Path, made: Truth) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as stream:
            np.savez_compressed(
                stream,
                distances=made.distances,
                lengths=np.array([len(row) for row in made.keys], np.int32),
                looked_at=np.array(made.looked_at),
                **packed("keys", [key for row in made.keys for key in row]),
            )
        part.replace(file)
        entries = sorted(((e.stat().st_mtime, e) for e in file.parent.glob("*.npz")), reverse=True)
        total = 0
        for place, (_, entry) in enumerate(entries):
            total += entry.stat().st_size
            if place and (place >= KEPT_FILES or total > KEPT_BYTES):
                entry.unlink(missing_ok=True)
    except OSError:
        return  # a full disk must not end a sweep: it only computes again next time
