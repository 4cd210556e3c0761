"""Indexes on a server: which there are, what state they are in, creating and dropping one."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.replies import Reply
from memdb.display import line
from memdb.errors import NoVectorField, UnknownField, UnknownIndex, UnsupportedFeature
from memdb.vectors.schema import (
    BYTES_PER_NUMBER,
    NO_RULES,
    FieldSpec,
    FlatField,
    HnswField,
    IndexSpec,
    NumericField,
    Rules,
    TagField,
    TextField,
)

KEY_TYPES = {"HASH": "hash", "JSON": "ReJSON-RL"}  # what an index is on → what TYPE and SCAN call it
Kind = Literal["TAG", "NUMERIC", "TEXT", "VECTOR", "GEO", "GEOSHAPE"]
Build = Literal["ready", "building", "queued", "paused", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class VectorParams:
    """How a vector field is indexed. None where the engine does not tell."""

    algorithm: str  # "HNSW" or "FLAT"
    type: str
    dim: int
    metric: str
    m: int | None = None
    ef_construction: int | None = None
    ef_runtime: int | None = None

    @property
    def bytes(self) -> int:
        """Length of one vector as stored."""
        return self.dim * BYTES_PER_NUMBER.get(self.type, 4)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an index as the server describes it."""

    name: str  # as used in queries
    identifier: str  # the hash field or JSON path
    kind: Kind
    separator: str = ","  # of TAG values; "": none, as of JSON, where every matched text is one value
    vector: VectorParams | None = None
    case_sensitive: bool = False
    index_empty: bool = False
    index_missing: bool = False
    no_index: bool = False  # RediSearch's NOINDEX: stored for sorting, never searched


@dataclass(frozen=True, slots=True)
class BuildState:
    """How far the index is with the keys it should hold, on the node that was asked."""

    state: Build
    fraction: float  # of the keys, in [0, 1]
    source: str  # the reply's field(s) this was read from

    @property
    def ready(self) -> bool:
        """Whether every key is in."""
        return self.state == "ready"


@dataclass(frozen=True, slots=True, eq=False)
class IndexInfo:
    """FT.INFO, whatever dialect it came in. Values are those of the node asked.

    Compared by identity, which makes it a cheap cache key; `fingerprint` tells two states apart.
    """

    name: str
    on: str
    prefixes: tuple[str, ...]
    fields: tuple[Field, ...]
    documents: int
    vectors: int | None
    build: BuildState
    vector_bytes: float | None
    total_bytes: float | None
    failures: int | None
    revision: int | None = None  # grows with every change, where the engine tells
    last_error: str = ""
    last_error_key: str = ""
    terms: int | None = None  # different words of all TEXT fields, where the engine tells
    table_bytes: float | None = None  # RediSearch: of documents and their keys, part of the total
    rules: Rules = NO_RULES
    tag_options_told: bool = True  # MemoryDB's FT.INFO names no SEPARATOR and no CASESENSITIVE

    def of_kind(self, kind: Kind) -> tuple[Field, ...]:
        """Fields of one kind, in the reply's order."""
        return tuple(f for f in self.fields if f.kind == kind)

    def field(self, name: str, *kinds: Kind) -> Field:
        """The field with this name, of one of these kinds (any if none given).

        Raises:
            UnknownField: there is none; the message lists those there are.
        """
        fitting = [f for f in self.fields if not kinds or f.kind in kinds]
        for f in fitting:
            if f.name == name:
                return f
        raise UnknownField(name, self.name, tuple(f.name for f in fitting))

    def vector_field(self, name: str = "") -> tuple[Field, VectorParams]:
        """The vector field with this name, or the only/first one.

        Raises:
            NoVectorField: the index has none at all.
            UnknownField: there is no such vector field.
        """
        vectors = self.of_kind("VECTOR")
        if not vectors:
            raise NoVectorField(self.name, tuple(f.name for f in self.fields))
        name = name or vectors[0].name
        found = self.field(name, "VECTOR")
        if found.vector is None:
            raise UnknownField(name, self.name, ())
        return found, found.vector

    @property
    def fingerprint(self) -> str:
        """Changes when the definition or the number of documents does; part of cache keys."""
        parts = (
            self.name,
            self.on,
            self.prefixes,
            self.fields,
            self.rules,
            self.documents,
            self.revision,
            self.build.state,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def index_names(client: Client) -> tuple[str, ...]:
    """All index names, sorted; empty where the server has no search. Bytes that are not UTF-8 become lone
    surrogates, which lead back to the same name (`memdb.display` makes them visible)."""
    if not client.server.dialect.searches:
        return ()
    return tuple(sorted(replies.key(name) for name in replies.items(client.execute("FT._LIST"))))


def exists(client: Client, name: str) -> bool:
    """Whether there is an index of this name."""
    return name in index_names(client)


def index_info(client: Client, name: str) -> IndexInfo:
    """Definition and state of one index.

    A name that is not UTF-8 may also be given as it is shown, with \\xNN for its bytes.

    Raises:
        UnknownIndex: there is none, or this node has not got it yet (empty reply of a replica).
        UnsupportedFeature: the server has no vector search.
    """
    _need_search(client)
    try:
        reply = replies.pairs(client.execute("FT.INFO", name))
    except UnknownIndex:
        shown = [n for n in index_names(client) if n != name and line(n) == name] if "\\x" in name else []
        if len(shown) != 1:
            raise
        return index_info(client, shown[0])
    if not reply:
        raise UnknownIndex(name)
    return read_info(name, reply)


def create(client: Client, spec: IndexSpec) -> None:
    """FT.CREATE. Existing keys under the prefixes are indexed in the background.

    Raises:
        ReadOnlyTarget: the target is read-only.
        EngineError: the server refuses, e.g. because the name is taken.
    """
    _need_search(client)
    client.execute(*spec.create_args())


def drop(client: Client, name: str) -> None:
    """FT.DROPINDEX; the documents stay."""
    _need_search(client)
    client.execute("FT.DROPINDEX", name)


def _need_search(client: Client) -> None:
    server = client.server
    if server.dialect.refused:
        raise UnsupportedFeature(
            "Vector search", server.dialect.refused, "Sessions and keys work on all shards."
        )
    if not server.dialect.searches:
        raise UnsupportedFeature(
            "Vector search",
            f"this {server.title} has no search module",
            "On MemoryDB it is chosen when the cluster is created (a parameter group with search).",
        )


# ---- reading FT.INFO: MemoryDB, valkey-search, ElastiCache 8.2 and RediSearch in one reader -------------


def read_info(name: str, reply: dict[str, Reply]) -> IndexInfo:
    """An FT.INFO reply, as pairs, of any dialect."""
    definition = replies.pairs(reply.get("index_definition"))
    on = replies.text(definition.get("key_type", reply.get("key_type", "HASH")))
    fields = tuple(
        _field(replies.pairs(_flat(entry)), on_hash=on.upper() != "JSON")
        for entry in replies.items(reply.get("attributes", reply.get("fields")))
    )
    documents = replies.integer(reply.get("num_docs"))
    errors = replies.pairs(reply.get("Index Errors"))
    failures = reply.get("hash_indexing_failures", errors.get("indexing failures"))
    vector_mib = replies.number(reply.get("vector_index_sz_mb"))
    total_mib = replies.number(reply.get("total_index_memory_sz_mb"))
    last = replies.text(errors.get("last indexing error", ""))
    return IndexInfo(
        name=replies.key(reply.get("index_name", name)),
        on=on,
        prefixes=tuple(
            replies.key(p) for p in replies.items(definition.get("prefixes", reply.get("key_prefixes")))
        ),
        fields=fields,
        documents=documents,
        vectors=_vectors(reply),
        build=_build(reply),
        vector_bytes=_bytes(reply.get("vector_space_usage"), vector_mib),
        # RediSearch's total leaves the vectors out, MemoryDB's space_usage holds them.
        total_bytes=_bytes(reply.get("space_usage"), _sum(vector_mib, total_mib)),
        failures=None if failures is None else replies.integer(failures),
        revision=_optional(reply.get("max_doc_id")),
        last_error="" if last == "N/A" else last,
        last_error_key="" if last in {"N/A", ""} else replies.text(errors.get("last indexing error key")),
        terms=_optional(reply.get("num_terms")),
        table_bytes=_bytes(
            None,
            replies.number(reply.get("doc_table_size_mb")) + replies.number(reply.get("key_table_size_mb")),
        ),
        rules=_rules(reply, definition),
        tag_options_told="attributes" in reply,
    )


def _rules(reply: dict[str, Reply], definition: dict[str, Reply]) -> Rules:
    """RediSearch tells a list of stop words of its own as `stopwords_list`, valkey-search as `stop_words`."""
    stop_words = reply.get("stopwords_list", reply.get("stop_words"))
    score = replies.text(definition.get("default_score", ""))
    return Rules(
        filter=replies.key(definition.get("filter", "")),
        language=replies.text(definition.get("default_language", "")),
        language_field=replies.key(definition.get("language_field", "")),
        score="" if replies.number(score, 1.0) == 1.0 else score,
        score_field=replies.key(definition.get("score_field", "")),
        payload_field=replies.key(definition.get("payload_field", "")),
        stop_words=None if stop_words is None else tuple(map(replies.key, replies.items(stop_words))),
    )


_FLAGS = frozenset(
    "SORTABLE NOSTEM NOINDEX UNF WITHSUFFIXTRIE INDEXEMPTY INDEXMISSING CASESENSITIVE".split(" ")
)


def _flat(entry: Reply) -> Reply:
    """A field's description with bare flags (SORTABLE, CASESENSITIVE, NOSTEM), which break its pairs, as
    names with the value 1."""
    if not isinstance(entry, list | tuple):
        return entry
    kept: list[Reply] = []
    i = 0
    while i < len(entry):
        word = replies.text(entry[i]) if isinstance(entry[i], bytes | str) else ""
        # CASESENSITIVE stands alone in RediSearch and has a value in valkey-search.
        valued = i + 1 < len(entry) and replies.text(entry[i + 1]) in {"0", "1"}
        if (
            i >= 6 and word in _FLAGS and not valued
        ):  # behind identifier, attribute and type with their values
            kept += [word, 1]
            i += 1
        else:
            kept += entry[i : i + 2]
            i += 2
    return kept


def _field(entry: dict[str, Reply], *, on_hash: bool) -> Field:
    low = {key.lower(): value for key, value in entry.items()}
    # RESP3 puts the flags of a field in a list of their own.
    low |= {replies.text(flag).lower(): 1 for flag in replies.items(low.get("flags"))}
    identifier = replies.key(low.get("identifier"))
    kind = replies.text(low.get("type")).upper()
    vector = None
    if kind == "VECTOR":
        # RediSearch: in the entry itself; MemoryDB: vector_params; valkey-search: index → algorithm.
        nested = replies.pairs(low.get("vector_params", low.get("index")))
        inner = {**low, **{key.lower(): value for key, value in nested.items()}}
        algorithm = inner.get("algorithm")
        if isinstance(algorithm, list | tuple | dict):
            inner |= {key.lower(): value for key, value in replies.pairs(algorithm).items()}
            algorithm = inner.get("name")
        vector = VectorParams(
            algorithm=replies.text(algorithm).upper() or "HNSW",
            type=replies.text(inner.get("data_type", "FLOAT32")).upper(),
            dim=replies.integer(inner.get("dim", inner.get("dimension", inner.get("dimensions")))),
            metric=replies.text(inner.get("distance_metric")).upper(),
            m=_optional(inner.get("m", inner.get("maximum_edges"))),
            ef_construction=_optional(inner.get("ef_construction")),
            ef_runtime=_optional(inner.get("ef_runtime")),
        )
    return Field(
        name=replies.key(low.get("attribute", low.get("field_name", identifier))),
        identifier=identifier,
        kind=kind,  # type: ignore[arg-type]  # a kind of a later engine is shown as it is called
        separator=replies.text(low.get("separator", "," if on_hash else "")),
        vector=vector,
        case_sensitive=replies.integer(low.get("casesensitive")) == 1,
        index_empty=replies.integer(low.get("indexempty")) == 1,
        index_missing=replies.integer(low.get("indexmissing")) == 1,
        no_index=replies.integer(low.get("noindex")) == 1,
    )


def _build(reply: dict[str, Reply]) -> BuildState:
    if "index_status" in reply or "backfill_status" in reply:  # MemoryDB, fact sheet §3.2
        status = replies.text(reply.get("index_status", reply.get("backfill_status"))).upper()
        behind = replies.number(reply.get("index_degradation_percentage"), 0.0)
        if status in {"AVAILABLE", "COMPLETED"} and behind > 0:
            return BuildState("building", 1 - behind / 100, "index_degradation_percentage")
        states: dict[str, Build] = {
            "AVAILABLE": "ready",
            "COMPLETED": "ready",
            "BACKFILLING": "building",
            "INPROGRES": "building",
            "INPROGRESS": "building",
            "QUEUED": "queued",
            "PAUSED": "paused",
            "FAILED": "failed",
        }
        found = states.get(status, "unknown")
        return BuildState(found, 1.0 if found == "ready" else 0.0, f"index_status {status}")
    if "backfill_in_progress" in reply:  # valkey-search, ElastiCache
        running = replies.integer(reply["backfill_in_progress"]) != 0
        state = replies.text(reply.get("state", ""))
        fraction = replies.number(reply.get("backfill_complete_percent"), 0.0) if running else 1.0
        if state == "backfill_paused_by_oom":
            return BuildState("paused", fraction, "state")
        # 1.000000 is told on an empty key space although in progress, so state decides.
        return BuildState("building" if running else "ready", fraction, "backfill_complete_percent")
    if "indexing" in reply:  # RediSearch
        running = replies.integer(reply["indexing"]) != 0
        fraction = replies.number(reply.get("percent_indexed"), 1.0)
        return BuildState("building" if running else "ready", fraction if running else 1.0, "percent_indexed")
    return BuildState("unknown", 0.0, "not told")


def _vectors(reply: dict[str, Reply]) -> int | None:
    if "num_indexed_vectors" in reply:
        return replies.integer(reply["num_indexed_vectors"])
    for entry in replies.items(reply.get("attributes")):
        index = replies.pairs(replies.pairs(_flat(entry)).get("index"))
        if "size" in index:
            return replies.integer(index["size"])
    return None


def _bytes(exact: Reply, mib: float) -> float | None:
    if exact is not None:
        return replies.number(exact)
    return None if math.isnan(mib) else mib * 2**20


def _sum(a: float, b: float) -> float:
    return b if math.isnan(a) else a + b


def _optional(value: Reply) -> int | None:
    return None if value is None else replies.integer(value)


__all__ = [
    "BuildState",
    "Field",
    "FieldSpec",
    "FlatField",
    "HnswField",
    "IndexInfo",
    "IndexSpec",
    "NumericField",
    "Rules",
    "TagField",
    "TextField",
    "VectorParams",
    "create",
    "drop",
    "exists",
    "index_info",
    "index_names",
    "read_info",
]
