"""What embedding an index's documents again would read, ask, cost and add. Only reads; no model is asked."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, cast

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.room import room
from memdb.display import bytes_text, line
from memdb.embedding import Embedder
from memdb.errors import BadInput, OutOfRange
from memdb.sizing import calibrate, live_shape
from memdb.sizing.model import index_bytes, stored_bytes
from memdb.tuning.shadow import DEFAULT_M, HEADROOM_SHARE
from memdb.vectors import index, stored
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.read import matching_keys
from memdb.vectors.schema import (
    FieldSpec,
    FlatField,
    HnswField,
    IndexSpec,
    Metric,
    NumericField,
    TagField,
    TextField,
)
from memdb.vectors.titles import is_title

SAMPLED = 200  # documents whose texts are read for the estimate
CHARACTERS_A_TOKEN = 4.0  # of English, where nothing is counted: an estimate
_BETWEEN = ". "


@dataclass(frozen=True, slots=True)
class ReembedRequest:
    """What to embed again, and where the vectors go."""

    index: str
    field: str  # the new vector field
    texts: tuple[str, ...] = ()  # fields whose texts are embedded, joined; empty: every TEXT field
    prefix: str = ""  # empty: into the documents themselves; else into copies whose keys begin with it
    name: str = ""  # of the new index; empty: made of the old one's and the field's
    price: float | None = None  # dollars for a million tokens, where the user knows it

    @property
    def new_index(self) -> str:
        """The name of the new index."""
        return self.name or f"{self.index}:{self.field}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What it would take. Figures from a sample are estimates."""

    request: ReembedRequest
    base: IndexInfo
    texts: tuple[Field, ...]  # whose texts are embedded
    spec: IndexSpec  # the new index
    dimension: int
    model: str
    leaves: str  # what leaves this machine, in a sentence
    documents: int
    sampled: int
    characters: float  # of all texts, estimated
    tokens: float  # estimated
    calls: int
    dollars: float | None  # None: no price was named
    bytes_read: float
    document_bytes: float  # added to the documents, or taken by the copies
    index_bytes: float
    low_bytes: float  # of both together
    high_bytes: float
    free_bytes: int | None  # None: not told
    refusals: tuple[str, ...]  # why it is not done; empty: it can be
    notes: tuple[str, ...]

    @property
    def added_bytes(self) -> float:
        """Memory of one node that it adds; each replica holds the same again."""
        return self.document_bytes + self.index_bytes


def plan(
    client: Client,
    info: IndexInfo,
    request: ReembedRequest,
    embedder: Embedder,
    *,
    dimension: int | None = None,
) -> Plan:
    """Look at the index and a sample of its texts, and say what it would take.

    Args:
        client: where the index is; nothing is written, and the model is not asked.
        info: the index.
        request: what and where to.
        embedder: the new model.
        dimension: of its vectors, where the model does not tell it without being asked.

    Raises:
        BadInput: there is no text to embed, or the new field or index would be the old one.
        OutOfRange: the engine takes no vectors of this dimension.
        MemDBError: the server does not answer.
    """
    dimension = embedder.dimension or dimension
    if dimension is None:
        raise BadInput(
            f"{embedder.name} does not tell its dimension without being asked.",
            "Name it, e.g. openai:MODEL@512.",
        )
    limits, title = client.server.dialect.limits, client.server.dialect.title
    if dimension > limits.dimensions:
        raise OutOfRange("The dimension", dimension, 1, limits.dimensions, title)
    texts = _texts(info, request)
    spec = spec_of(info, request, dimension)
    sample = list(
        islice((key for keys in matching_keys(client, info, size=SAMPLED) for key in keys), SAMPLED)
    )
    read = texts_of(client, info, texts, sample)
    lengths = [min(len(text), embedder.model.longest) for text in read if text]
    with_text = len(lengths) / len(sample) if sample else 0.0
    documents = info.documents
    characters = documents * with_text * (statistics.fmean(lengths) if lengths else 0.0)
    tokens = characters / CHARACTERS_A_TOKEN
    own, there, factors = _memory(client, info, request, dimension)
    memory = room(client)
    free = None if memory.left is None else max(0, memory.left)
    refusals: list[str] = []
    notes: list[str] = []
    if not client.target.writable:
        refusals.append("This target is read-only.")
    if not info.build.ready:
        refusals.append(f"'{line(info.name)}' is itself still being built ({info.build.fraction:.0%}).")
    names = index.index_names(client)
    if limits.indexes is not None and spec.name not in names and len(names) >= limits.indexes:
        refusals.append(f"{title} takes {limits.indexes} indexes, and {len(names)} exist. Drop one first.")
    if free is None:
        notes.append(
            "The server does not tell how much memory is left, so nothing guards against filling it."
        )
    elif spec.name not in names and own + there > free * (1 - HEADROOM_SHARE):
        refusals.append(
            f"About {bytes_text(own + there)} would be added and {bytes_text(free)} are free; "
            f"{HEADROOM_SHARE:.0%} of that stay free for writes."
        )
    if with_text < 1 and sample:
        notes.append(f"About {1 - with_text:.0%} of the documents have no text there: they are left out.")
    if not request.prefix:
        notes.append(
            "The vectors are written into the documents: every index over them takes each document in again, "
            "and what is read of it grows."
        )
    if others := [
        field.name for field in info.fields if field.kind not in ("TAG", "NUMERIC", "TEXT", "VECTOR")
    ]:
        notes.append(f"Not taken over into the new index: {', '.join(line(name, 60) for name in others)}.")
    return Plan(
        request,
        info,
        texts,
        spec,
        dimension,
        embedder.name,
        embedder.leaves,
        documents,
        len(sample),
        characters,
        tokens,
        math.ceil(documents * with_text / embedder.model.at_once),
        None if request.price is None else tokens / 1e6 * request.price,
        characters * 1.05 + documents * 30,
        own,
        there,
        (own + there) * factors[0],
        (own + there) * factors[1],
        free,
        tuple(refusals),
        tuple(notes),
    )


def spec_of(info: IndexInfo, request: ReembedRequest, dimension: int) -> IndexSpec:
    """The new index: the fields and rules of the old one, its vector field's parameters, the new dimension.

    Raises:
        BadInput: the new field or index would be the old one, or the copies lie under the old one's prefixes.
    """
    _, params = info.vector_field()
    taken = {f.name for f in info.fields} | {f.identifier for f in info.fields}
    path = f"$.{request.field}" if info.on == "JSON" else request.field
    if not request.field.strip():
        raise BadInput("The new vector field has no name.", "Give --field, e.g. embedding_v2.")
    if not request.prefix and taken & {request.field, path}:
        raise BadInput(
            f"'{line(info.name)}' has a field '{line(request.field)}' already.",
            "Give the new vectors a field of their own, e.g. embedding_v2.",
        )
    if request.new_index == info.name:
        raise BadInput("The new index would have the old one's name.", "Give it another with --to.")
    prefixes = tuple(f"{request.prefix}{prefix}" for prefix in info.prefixes or ("",))
    if request.prefix and any(p.startswith(tuple(info.prefixes or ("",))) for p in prefixes):
        raise BadInput(
            f"Copies that begin with '{line(request.prefix)}' would be in '{line(info.name)}' as well.",
            "Choose a prefix that none of the old one's begins, e.g. v2:.",
        )
    m = params.m or DEFAULT_M
    metric = cast(Metric, params.metric)
    vector: FieldSpec = HnswField(
        request.field, dimension, metric, m=m, ef_construction=params.ef_construction or 200, path=path
    )
    if params.algorithm == "FLAT":
        vector = FlatField(request.field, dimension, metric, path=path)
    fields: list[FieldSpec] = []
    for each in info.fields:
        if each.no_index:
            continue
        if each.kind == "TAG":
            options = (
                each.separator,
                each.case_sensitive,
                each.identifier,
                each.index_empty,
                each.index_missing,
            )
            fields.append(TagField(each.name, *options))
        elif each.kind == "NUMERIC":
            fields.append(NumericField(each.name, each.identifier, each.index_missing))
        elif each.kind == "TEXT":
            fields.append(TextField(each.name, each.identifier))
    kind: Literal["JSON", "HASH"] = "JSON" if info.on == "JSON" else "HASH"
    prefixes_indexed = prefixes if request.prefix else info.prefixes
    return IndexSpec(request.new_index, (*fields, vector), prefixes_indexed, kind, info.rules)


def texts_of(client: Client, info: IndexInfo, fields: Sequence[Field], keys: Sequence[str]) -> list[str]:
    """What is embedded of each document: its texts, joined; empty where it has none or is gone."""
    columns = [
        [" ".join(replies.text(value).split()) if value is not None else "" for value in values]
        for values in (stored.values(client, info, field, keys) for field in fields)
    ]
    return [_BETWEEN.join(filter(None, row)) for row in zip(*columns, strict=True)]


def _texts(info: IndexInfo, request: ReembedRequest) -> tuple[Field, ...]:
    if request.texts:
        return tuple(_named(info, name) for name in request.texts)
    if not (text_fields := info.of_kind("TEXT")):
        raise BadInput(
            f"'{line(info.name)}' has no TEXT field.", "Name the fields that hold the text with --text."
        )
    # Engines tell the fields of one index in different orders; the texts must not depend on it.
    return tuple(sorted(text_fields, key=lambda field: (not is_title(field.name), field.name)))


def _named(info: IndexInfo, name: str) -> Field:
    """A field of the index, or one that the documents alone have."""
    named_field = next((f for f in info.fields if name in (f.name, f.identifier)), None)
    if named_field is not None and named_field.kind == "VECTOR":
        raise BadInput(f"'{line(name)}' holds vectors, no text.", "Name a field with text.")
    path = f"$.{name}" if info.on == "JSON" and not name.startswith("$") else name
    return named_field or Field(name, path, "TEXT")


def _memory(
    client: Client, info: IndexInfo, request: ReembedRequest, dimension: int
) -> tuple[float, float, tuple[float, float]]:
    """Bytes of the documents and of the index that are added, and the factors of the interval's ends."""
    profile = calibrate.built_in_for(client, client.info("memory").get("memory", {}))
    if not info.documents:
        return 0.0, 0.0, (profile.low, profile.high)
    old, params = info.vector_field()
    before = live_shape.with_vector(live_shape.without_metadata(client, info), old)
    algorithm: Literal["HNSW", "FLAT"] = "FLAT" if params.algorithm == "FLAT" else "HNSW"
    after = replace(before, dim=dimension, type="FLOAT32", m=params.m or DEFAULT_M, algorithm=algorithm)
    if request.prefix:
        keys = replace(after, key_bytes=after.key_bytes + len(request.prefix.encode()))
        return stored_bytes(keys, profile), index_bytes(after, profile), (profile.low, profile.high)
    # A field more: its bytes beside what the document holds already.
    wider = replace(before, metadata_bytes=before.metadata_bytes + dimension * 4)
    own = stored_bytes(wider, profile) - stored_bytes(before, profile)
    return own, index_bytes(after, profile), (profile.low, profile.high)
