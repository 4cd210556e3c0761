"""What a run will read and how long that takes, all documents or a sample, at the rates of this server.

A probe of some keys, vectors and searches measures the rates; the rest is arithmetic. The settings of the
sweep take the same time in both cases and are not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.display import bytes_text, duration
from memdb.errors import BadInput
from memdb.tuning import load
from memdb.tuning.reference import reference_ef
from memdb.tuning.run import SweepRequest
from memdb.vectors import read
from memdb.vectors.exact import nearest
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import IndexInfo

KEYS = 500  # of the probe, whose vectors are read
SEARCHES = 5
COMPARED = 64  # queries that the probe compares with the vectors it read
_ROW_BYTES = 24  # that a reply spends on a key and on a value beside what they hold


@dataclass(frozen=True, slots=True)
class Rates:
    """What a server and this machine do in a second."""

    keys_per_s: float  # listed
    vectors_per_s: float  # read by key
    pairs_per_s: float  # a query compared with a document, here
    reference_s: float  # of a search at the reference's EF_RUNTIME
    key_bytes: float  # of a listed key, on the wire
    vector_bytes: float  # of a document's vector, on the wire


@dataclass(frozen=True, slots=True)
class Reads:
    """What the exact part of a run, or what stands in its place, costs."""

    documents: int  # whose vectors are read
    bytes: float
    seconds: float

    @property
    def words(self) -> str:
        """For people, e.g. "20,000 vectors, 24 MB, about 3 s"."""
        return f"{self.documents:,} vectors, {bytes_text(self.bytes)}, about {duration(self.seconds)}"


def rates(client: Client, info: IndexInfo, request: SweepRequest) -> Rates:
    """Measure by a probe: a batch of keys, at most KEYS vectors, SEARCHES searches.

    Raises:
        BadInput: no document of the index holds a usable vector.
        MemDBError: the server does not answer, or the budget is spent.
    """
    field, params = info.vector_field(request.field)
    began = time.perf_counter()
    batches = read.matching_keys(client, info, EVERYTHING, KEYS)
    keys = next(batches, [])
    listed = time.perf_counter() - began
    batches.close()  # type: ignore[attr-defined]  # a generator: its cursor must not stay open
    began = time.perf_counter()
    block = read.vectors_of(client, info, field.name, keys) if keys else None
    took = time.perf_counter() - began
    if block is None:
        raise BadInput(f"No document of '{info.name}' holds a usable vector.", "Choose another index.")
    places = block.single().vectors[:COMPARED].astype(np.float32)
    began = time.perf_counter()
    nearest((block,), places, request.k, params.metric)
    compared = time.perf_counter() - began
    ef = reference_ef(request, client.server.dialect.limits.ef_runtime) if params.has_ef else 0
    asked = load.questions(client, info, request, places[:SEARCHES], ef, k=request.k, condition=EVERYTHING)
    times = [client.timed(*asked.command(place))[1] / 1000 for place in range(len(asked))]
    length = float(np.mean([len(key.encode("utf-8", "surrogateescape")) for key in keys]))
    return Rates(
        len(keys) / max(listed, 1e-6),
        len(keys) / max(took, 1e-6),
        len(places) * len(block.keys) / max(compared, 1e-6),
        float(np.median(times)),
        length + _ROW_BYTES / 2,
        params.bytes + _ROW_BYTES / 2,
    )


def whole(documents: int, queries: int, measured: Rates) -> Reads:
    """All documents read and compared with every query."""
    size = documents * (measured.vector_bytes + measured.key_bytes)
    seconds = documents / measured.vectors_per_s + documents * queries / measured.pairs_per_s
    return Reads(documents, size, seconds)


def sampled(documents: int, sample: int, queries: int, request: SweepRequest, measured: Rates) -> Reads:
    """All keys listed, a sample read and compared, every query asked for the reference and its hits read."""
    hits = min(documents, queries * request.k)  # at most: queries may have hits in common
    size = documents * measured.key_bytes + (sample + hits) * measured.vector_bytes
    seconds = (
        documents / measured.keys_per_s
        + (sample + hits) / measured.vectors_per_s
        + queries * sample / measured.pairs_per_s
        + queries * measured.reference_s
    )
    return Reads(sample, size, seconds)
