"""Documents of a shape on the local engine, and what they really take. The one part that writes."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from memdb.cluster import engine
from memdb.cluster.client import Arg, Client, Command, connect
from memdb.demo import corpus
from memdb.errors import BadInput, EngineError, EngineUnavailable, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.settings import Settings
from memdb.sizing.shape import Shape
from memdb.vectors import index
from memdb.vectors.index import FieldSpec, FlatField, HnswField, IndexSpec, NumericField, TagField, TextField

INDEX = "sizing"
AT_ONCE_BYTES = 2 << 20
COUNTED_TAG = 10  # bytes; longer values of sample tags are random
_POLL_S = 0.05
_CALM_S = 1.2  # the server counts what a connection holds once a second
_BUILD_S = 600.0


@dataclass(frozen=True, slots=True)
class MeasuredSample:
    """What so many documents took on a server that held nothing before. Bytes of used_memory."""

    shape: Shape
    keyspace_bytes: float
    index_bytes: float
    vector_bytes: float  # the index's own count of its vectors, without the allocator's rounding

    @property
    def total_bytes(self) -> float:
        """Documents and index."""
        return self.keyspace_bytes + self.index_bytes


@contextmanager
def fresh(settings: Settings) -> Iterator[Client]:
    """An empty engine of its own, without a log, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="memdb-sizing-") as folder:
        own = replace(settings, home=Path(folder))
        with engine.start(own, log=False, json=True) as running:
            running.wait_ready()
            with connect(running.target) as client:
                yield client


def measure(
    client: Client,
    shape: Shape,
    *,
    seed: int = 0,
    copies: int = 1,
    ef_construction: int | None = None,
    report: Report = silent,
) -> MeasuredSample:
    """Load the documents of a shape into an empty server, then index them; how much each took.

    Args:
        client: of a server without keys.
        shape: what to load.
        seed: of the documents.
        copies: so many documents each have the same vector.
        ef_construction: of an HNSW index; None for one that is built soon.
        report: told how far it is.

    Raises:
        EngineUnavailable: the server is not empty.
        UnsupportedFeature: it serves no JSON.
        Cancelled: by `report`.
    """
    _need_json(client, shape)
    ready(client)
    before = settled(client)
    write(client, shape, 0, shape.vectors, seed=seed, copies=copies, report=report)
    between = settled(client)
    index.create(client, spec(shape, ef_construction))
    info = wait_built(client, shape.vectors, report)
    after = settled(client)
    return MeasuredSample(shape, between - before, after - between, info.vector_bytes or 0.0)


def ready(client: Client) -> None:
    """An empty server that was asked once all that is asked later: first answers take memory that stays.

    Raises:
        EngineUnavailable: it holds keys.
        MemDBError: it does not answer.
    """
    if used_keys(client):
        raise EngineUnavailable("The engine to measure on is not empty.", "Use one of its own.")
    if client.server.dialect.searches:
        index.index_names(client)


def used_keys(client: Client) -> int:
    """How many keys the server holds."""
    reply = client.execute("DBSIZE")
    return int(reply)


def spec(shape: Shape, ef_construction: int | None = None) -> IndexSpec:
    """The index of a shape's documents."""

    def path(name: str) -> str:
        return f"$.{name}" if shape.key_type == "JSON" else ""

    vector: FieldSpec
    if shape.algorithm == "HNSW":
        vector = HnswField(
            "embedding",
            shape.dim,
            "COSINE",
            shape.type,
            m=shape.m,
            path=path("embedding"),
            ef_construction=ef_construction or _effort(shape),
        )
    else:
        vector = FlatField("embedding", shape.dim, "COSINE", shape.type, path=path("embedding"))
    fields: list[FieldSpec] = [vector]
    fields += [TextField("text", path("text"))] if shape.text_bytes else []
    fields += [TagField(f"t{i:03d}", path=path(f"t{i:03d}")) for i in range(shape.tags)]
    fields += [NumericField(f"num{i:04d}", path(f"num{i:04d}")) for i in range(shape.numbers)]
    return IndexSpec(INDEX, tuple(fields), ("d:",), shape.key_type)


def write(
    client: Client,
    shape: Shape,
    first: int,
    last: int,
    *,
    seed: int = 0,
    copies: int = 1,
    report: Report = silent,
) -> None:
    """Documents first … last − 1, `copies` of them with the same vector. A seed writes the same documents."""
    text = _texts(shape, last)
    each = shape.vector_bytes + shape.metadata_bytes + shape.text_bytes + 500
    step = max(1, min(500, AT_ONCE_BYTES // each))
    for start in range(first, last, step):
        report("Loading a sample", start - first, last - first)
        places = range(start, min(last, start + step))
        client.pipeline([_command(shape, i, text, seed, copies) for i in places])
    report("Loading a sample", last - first, last - first)


def wait_built(client: Client, documents: int, report: Report = silent) -> index.IndexInfo:
    """Wait until the index holds so many documents.

    Raises:
        EngineError: it failed on some, or did not get there in time.
    """
    end = time.monotonic() + _BUILD_S
    while True:
        info = index.index_info(client, INDEX)
        report("Building the index", info.documents, documents)
        if info.failures:
            raise EngineError(f"The engine refused {info.failures:,} sample documents: {info.last_error}")
        if info.build.ready and info.documents >= documents:
            return info
        if time.monotonic() > end:
            raise EngineError(
                f"The sample's index was not built within {_BUILD_S:g} s.", "Take a smaller sample."
            )
        time.sleep(_POLL_S)


def settled(client: Client) -> float:
    """used_memory once it no longer moves: tables are rehashed in the background, buffers given back.

    What connections hold is left out: it is not the data's.
    """
    last, since = -1.0, time.monotonic()
    for _ in range(200):
        facts = client.info("memory").get("memory", {})
        used = float(facts.get("used_memory", "0")) - float(facts.get("mem_clients_normal", "0"))
        if used != last:
            last, since = used, time.monotonic()
        elif time.monotonic() - since >= _CALM_S:
            break
        time.sleep(_POLL_S)
    return last


def _need_json(client: Client, shape: Shape) -> None:
    if shape.key_type == "JSON" and not client.server.dialect.searches:
        raise UnsupportedFeature("JSON", "the local engine serves no search")
    if shape.key_type == "JSON" and not serves_json(client):
        raise UnsupportedFeature(
            "JSON", "this engine has no JSON module", "Measure HASH documents, or use an engine with JSON."
        )


def serves_json(client: Client) -> bool:
    """Whether the server has JSON documents."""
    return any("json" in name.lower() for name, _ in client.server.modules)


def _effort(shape: Shape) -> int:
    # EF_CONSTRUCTION changes which links there are, hardly how many; a low one measures sooner.
    return max(2 * shape.m, 40)


def _command(shape: Shape, place: int, text: str, seed: int, copies: int) -> Command:
    rng = np.random.default_rng((seed, place))
    vector = np.random.default_rng((seed, place // copies, 1)).normal(size=shape.dim)
    key = _key(shape, place)
    fields: list[tuple[str, str]] = []
    if shape.text_bytes:
        fields.append(("text", _slice(text, place, shape.text_bytes)))
    if shape.metadata_bytes:
        fields.append(("metadata", rng.bytes(shape.metadata_bytes // 2 + 1).hex()[: shape.metadata_bytes]))
    fields += [(f"t{i:03d}", _tag(shape, (place + i) % shape.tag_values)) for i in range(shape.tags)]
    numbers = {f"num{i:04d}": int(rng.integers(10_000, 99_999)) for i in range(shape.numbers)}
    if shape.key_type == "JSON":
        document = {**dict(fields), **numbers, "embedding": [float(x) for x in vector.astype("<f4")]}
        return ("JSON.SET", key, "$", json.dumps(document))
    flat: list[Arg] = [part for pair in fields for part in pair]
    flat += [part for pair in numbers.items() for part in pair]
    return ("HSET", key, *flat, "embedding", _encoded(vector, shape.type))


def _encoded(vector: np.ndarray, kind: str) -> bytes:
    if kind == "BFLOAT16":  # the upper half of a float32
        return bytes((vector.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes())
    return bytes(vector.astype({"FLOAT32": "<f4", "FLOAT64": "<f8", "FLOAT16": "<f2"}[kind]).tobytes())


def _key(shape: Shape, place: int) -> str:
    room = max(1, shape.key_bytes - 2)
    if not shape.random_keys:
        return f"d:{place:0{room}d}"
    hexed = uuid.uuid5(uuid.NAMESPACE_OID, str(place)).hex
    return f"d:{(hexed * (room // 32 + 1))[:room]}"


def _tag(shape: Shape, value: int) -> str:
    """A tag's value of the right length: short ones count, long ones are as random as UUIDs."""
    if shape.tag_bytes <= COUNTED_TAG:
        return f"{value:0{shape.tag_bytes}d}"[-shape.tag_bytes :]
    hexed = uuid.uuid5(uuid.NAMESPACE_OID, f"tag {value}").hex
    return (hexed * (shape.tag_bytes // 32 + 1))[: shape.tag_bytes]


_made: dict[int, str] = {}


def texts(shape: Shape) -> Iterator[str]:
    """The text of each document of a shape, as `write` stores it."""
    text = _texts(shape, shape.vectors)
    return (_slice(text, place, shape.text_bytes) for place in range(shape.vectors))


def _texts(shape: Shape, documents: int) -> str:
    """Enough of the demo's corpus that documents share no passage, if there is so much."""
    if not shape.text_bytes:
        return ""
    wanted = min(20_000, max(1_000, documents * shape.text_bytes // 350))
    if not any(count >= wanted for count in _made):
        _made.clear()
        _made[wanted] = " ".join(document.content for document in corpus.documents(count=wanted))
    text = next(iter(_made.values()))
    if len(text) < shape.text_bytes:
        raise BadInput(
            f"Sample texts of {shape.text_bytes:,} bytes cannot be made.", f"At most {len(text):,} bytes."
        )
    return text


def _slice(text: str, place: int, size: int) -> str:
    start = place * size % (len(text) - size + 1)
    # Bytes, not characters: what is beyond ASCII would take more.
    return text[start : start + size].encode("ascii", "replace").decode("ascii")
