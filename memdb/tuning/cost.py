"""What a run will read and how long that takes, all documents or a sample, at the rates of this server.

A probe of some keys, vectors and searches measures the rates; the rest is arithmetic. The settings of the
sweep take the same time in both cases and are not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import bytes_text, duration
from memdb.errors import BadInput
from memdb.tuning import load
from memdb.tuning.run import SweepRequest
from memdb.tuning.sample import every_key
from memdb.tuning.settling import MOST_EF, TRIED, reference_ef, settled
from memdb.vectors import chance, read
from memdb.vectors.exact import nearest
from memdb.vectors.filters import EVERYTHING
from memdb.vectors.index import IndexInfo
from memdb.vectors.read import Block

KEYS = 4_000  # that the probe lists, or an eighth of what the budget leaves: fewer say less
VECTORS = 1_000  # that it reads in each way, of these
SEARCHES = 32
COMPARED = 256  # queries of the comparison that is timed
ROWS = 4_096  # documents of it
_ROW_BYTES = 24  # that a reply spends on a key and on a value beside what they hold


@dataclass(frozen=True, slots=True)
class Rates:
    """What a server and this machine do in a second."""

    keys_per_s: float  # listed for a sample
    vectors_per_s: float  # read by key
    read_per_s: float  # vectors read as a full run reads them
    pairs_per_s: float  # a query compared with a document, here
    reference_ef: int  # of the reference, as far as so few searches tell; 0 where the index has none
    reference_s: float  # of a search at it
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
    """Measure by a probe: KEYS keys, VECTORS vectors read in each way, SEARCHES searches at some EF_RUNTIME.

    Raises:
        BadInput: no document of the index holds a usable vector.
        MemDBError: the server does not answer, or the budget is spent.
    """
    field, params = info.vector_field(request.field)
    keys_left = client.keys_left
    size = KEYS if keys_left is None else max(1, min(KEYS, keys_left // 8))
    batches = every_key(client, info, EVERYTHING, size)
    began = time.perf_counter()
    listed = next(batches, [])
    chance.numbers(listed, chance.salted(0))
    listing = time.perf_counter() - began
    batches.close()  # type: ignore[attr-defined]  # a generator: its cursor must not stay open
    keys = [replies.key(key) for key in listed]
    began = time.perf_counter()
    block = read.vectors_of(client, info, field.name, keys[: min(size, VECTORS)]) if keys else None
    by_key = time.perf_counter() - began
    if block is None:
        raise BadInput(f"No document of '{info.name}' holds a usable vector.", "Choose another index.")
    places = block.single().vectors[:SEARCHES].astype(np.float32)
    ef = reference_ef(request, client.server.dialect.limits.ef_runtime) if params.has_ef else 0
    limit = min(client.server.dialect.limits.ef_runtime, max(MOST_EF, ef))
    times: dict[int, list[float]] = {}  # by EF_RUNTIME, seconds

    def search(rows: slice, ef: int) -> list[load.Answer]:
        batch = load.questions(client, info, request, places[rows], ef, k=request.k, condition=EVERYTHING)
        replied = [client.timed(*batch.command(place)) for place in range(len(batch))]
        times.setdefault(ef, []).extend(took_ms / 1000 for _, took_ms in replied)
        return [load.read(reply, batch.made.alias) for reply, _ in replied]

    ef, answered = settled(search, ef, limit, len(places), request.k)
    search(slice(len(answered), None), ef)  # of an index without the setting none were asked yet
    keys_per_s, vectors_per_s = (
        len(keys) / max(listing, 1e-6),
        len(keys[: min(size, VECTORS)]) / max(by_key, 1e-6),
    )
    length = float(np.mean([len(key) for key in listed]))
    return Rates(
        keys_per_s,
        vectors_per_s,
        _read_per_s(client, info, field.name, min(size, VECTORS)) or min(keys_per_s, vectors_per_s),
        pairs_per_s(params.dim, request.k, params.metric),
        ef,
        float(np.median(times[ef])),
        length + _ROW_BYTES / 2,
        params.bytes + _ROW_BYTES / 2,
    )


def _read_per_s(client: Client, info: IndexInfo, field: str, count: int) -> float | None:
    """Vectors a second by cursor; None where the engine has none, where keys are listed meanwhile."""
    if not read.has_cursors(client, info):
        return None
    begun = read.blocks(client, info, field, most=count)
    began = time.perf_counter()
    first = next(begun, None)
    took = time.perf_counter() - began
    begun.close()  # type: ignore[attr-defined]  # a generator: its cursor must not stay open
    return first.documents / max(took, 1e-6) if first is not None and first.documents else None


def pairs_per_s(dim: int, k: int, metric: str) -> float:
    """How many pairs of a query and a document this machine compares in a second, once it is at it."""
    random = np.random.default_rng(0)
    names = tuple(map(str, range(ROWS)))
    block = Block(names, random.normal(size=(ROWS, dim)).astype(np.float32))
    queries = random.normal(size=(COMPARED, dim)).astype(np.float32)
    took = []
    for blocks in ((block,), (block, block, block)):  # the first block of all takes longer than others
        began = time.perf_counter()
        nearest(blocks, queries, k, metric)
        took.append(time.perf_counter() - began)
    return 2 * COMPARED * ROWS / max(took[1] - took[0], 1e-6)


def whole(documents: int, queries: int, measured: Rates) -> Reads:
    """All documents read and compared with every query."""
    size = documents * (measured.vector_bytes + measured.key_bytes)
    seconds = documents / measured.read_per_s + documents * queries / measured.pairs_per_s
    return Reads(documents, size, seconds)


def sampled(documents: int, sample: int, queries: int, request: SweepRequest, measured: Rates) -> Reads:
    """All keys listed, a sample read; every query asked for the reference while both are compared, hits read.

    The reference's EF_RUNTIME is taken to be what the probe ended with; the run's own queries may raise it
    further (`memdb.tuning.reference`).
    """
    hits = min(documents, queries * request.k)  # at most: queries may have hits in common
    size = documents * measured.key_bytes + (sample + hits) * measured.vector_bytes
    searches = queries + min(TRIED, queries)  # half of those that are tried at twice the EF_RUNTIME as well
    seconds = (
        documents / measured.keys_per_s
        + (sample + hits) / measured.vectors_per_s
        + max(queries * sample / measured.pairs_per_s, searches * measured.reference_s)
    )
    return Reads(sample, size, seconds)
