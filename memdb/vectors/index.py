"""Indexes on a server: which there are, what state they are in, creating and dropping one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.cluster.dialects import VALKEY_SPLITS
from memdb.cluster.possible import PERCENT, SHARE, SIZE, THINGS, Range
from memdb.cluster.replies import Reply
from memdb.cluster.topology import Node, hash_tag, slot
from memdb.display import line
from memdb.errors import (
    Busy,
    MemDBError,
    NoVectorField,
    UnknownField,
    UnknownIndex,
    Unreachable,
    UnsupportedFeature,
)
from memdb.vectors import line_breaks
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

    algorithm: str  # "HNSW", "FLAT", or one of a later engine, such as "SVS-VAMANA"
    type: str
    dim: int
    metric: str
    m: int | None = None
    ef_construction: int | None = None
    ef_runtime: int | None = None
    # Places set aside: INITIAL_CAP, and more as it fills. No part of the definition.
    capacity: int | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def bytes(self) -> int:
        """Length of one vector as stored."""
        return self.dim * BYTES_PER_NUMBER.get(self.type, 4)

    @property
    def has_ef(self) -> bool:
        """Whether EF_RUNTIME is a setting of its queries."""
        return self.algorithm == "HNSW"

    @property
    def without_ef(self) -> str:
        """What stands in the place of EF_RUNTIME where there is none."""
        return without_ef(self.algorithm)


def without_ef(algorithm: str) -> str:
    """What an index without EF_RUNTIME does, in a sentence: only FLAT looks at every vector."""
    if algorithm == "FLAT":
        return "FLAT index: every query looks at every vector; there is no EF_RUNTIME."
    return f"{algorithm} index: approximate, and without EF_RUNTIME; it is asked with its own settings."


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
    suffix_trie: bool = False  # of TEXT: the ends of words can be asked for, where that is an option


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
class OnShard:
    """One shard's own account of an index that several hold."""

    node: Node  # its primary
    info: IndexInfo | None  # None where it did not tell
    problem: str = ""  # why


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
    born: str = ""  # when it was created, where the engine tells
    indexing_ms: float | None = None  # spent on indexing since it was created, where the engine tells
    last_error: str = ""
    last_error_key: str = ""
    terms: int | None = None  # different words of all TEXT fields, where the engine tells
    table_bytes: float | None = None  # RediSearch: of documents and their keys, part of the total
    rules: Rules = NO_RULES
    tag_options_told: bool = True  # MemoryDB's FT.INFO names no SEPARATOR and no CASESENSITIVE
    # Figures that were told and cannot be true, with why; then documents are 0, the share built is 0.
    absent: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shards: tuple[OnShard, ...] = ()  # by their slots, where the figures are of several

    def of_kind(self, kind: Kind) -> tuple[Field, ...]:
        """Fields of one kind, in the reply's order."""
        return tuple(f for f in self.fields if f.kind == kind)

    def field(self, name: str, *kinds: Kind) -> Field:
        """The field with this name, of one of these kinds (any if none given).

        Raises:
            UnknownField: there is none; the message lists those there are.
        """
        fitting = [candidate for candidate in self.fields if not kinds or candidate.kind in kinds]
        for candidate in fitting:
            if candidate.name == name:
                return candidate
        raise UnknownField(name, self.name, tuple(candidate.name for candidate in fitting))

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
        field = self.field(name, "VECTOR")
        if field.vector is None:
            raise UnknownField(name, self.name, ())
        return field, field.vector

    @property
    def told_documents(self) -> int | None:
        """How many documents it holds, for people; None where what was told cannot be true."""
        return None if "documents" in self.absent else self.documents

    @property
    def told_fraction(self) -> float | None:
        """The share that is built, for people; None where what was told cannot be true."""
        return None if "built" in self.absent else self.build.fraction

    @property
    def unfinished(self) -> str:
        """That the index does not hold everything yet, as a sentence for beside its figures; "" if it does.

        Also where the engine does not tell how far it is, only that it builds.
        """
        words = {
            "building": f"is still being built ({self.build.fraction:.0%})",
            "queued": "waits to be built",
            "paused": f"is not complete: its build is paused for memory at {self.build.fraction:.0%}",
            "failed": "is not complete: its build failed",
        }
        sentences = [self._silent] if self.missing else []
        if self.build.state in words:
            behind = [s.node.address for s in self.shards if s.info and not s.info.build.ready]
            where = f" on {', '.join(behind)}" if behind else ""
            sentences.append(
                f"The index '{line(self.name)}' {words[self.build.state]}{where}: documents are missing, and "
                "every figure of it is of what it holds so far."
            )
        return " ".join(sentences)

    @property
    def missing(self) -> tuple[str, ...]:
        """Addresses of the shards that did not tell: their documents are in no figure."""
        return tuple(shard.node.address for shard in self.shards if shard.info is None)

    @property
    def _silent(self) -> str:
        rest = len(self.shards) - len(self.missing)
        return (
            f"{silent_words(self.missing)}: every figure of the index '{line(self.name)}' is of {rest} of "
            f"{len(self.shards)} shards."
        )

    @property
    def by_redisearch(self) -> bool:
        """Whether RediSearch told this: no other engine has tables of documents and keys."""
        return self.table_bytes is not None or "table_bytes" in self.absent

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
    """Definition and state of one index; of all shards where the engine searches them all.

    A name that is not UTF-8 may also be given as it is shown, with \\xNN for its bytes, and one with line
    breaks as RediSearch lists it.

    Raises:
        UnknownIndex: there is none, or this node has not got it yet (empty reply of a replica).
        UnsupportedFeature: the server has no vector search.
    """
    _need_search(client)
    if client.server.dialect.whole_cluster and client.server.shards > 1:
        return _over_shards(client, name)
    try:
        reply = replies.pairs(client.execute("FT.INFO", name))
    except UnknownIndex:
        if (broken := line_breaks.broken(name)) != name and "\\x" not in name:
            return index_info(client, broken)
        candidates = (
            [n for n in index_names(client) if n != name and line(n) == name] if "\\x" in name else []
        )
        if len(candidates) != 1:
            raise
        return index_info(client, candidates[0])
    if not reply:
        raise UnknownIndex(name)
    info = read_info(name, reply)
    if info.name != name == line_breaks.broken(info.name):
        info = dataclasses.replace(info, name=name)
    return line_breaks.restored(client, info)


def silent_words(addresses: Sequence[str]) -> str:
    """That these shards do not answer."""
    if len(addresses) == 1:
        return f"The shard at {addresses[0]} does not answer"
    return f"The shards at {', '.join(addresses)} do not answer"


def _over_shards(client: Client, name: str) -> IndexInfo:
    """The account of all shards: an engine that searches all of them still counts on each for itself."""
    accounts: list[OnShard] = []
    failed: MemDBError | None = None
    for node in primaries(client, name):
        try:
            accounts.append(OnShard(node, index_info(client.on(node), name)))
        except UnknownIndex as exc:
            failed = failed or exc
            accounts.append(OnShard(node, None, f"It has no index '{line(name)}'."))
        except (Unreachable, Busy) as exc:
            failed = failed or exc
            accounts.append(OnShard(node, None, str(exc)))
    infos = [account.info for account in accounts if account.info is not None]
    if not infos:
        raise failed or UnknownIndex(name)
    return dataclasses.replace(together(infos), shards=tuple(accounts) if len(accounts) > 1 else ())


def primaries(client: Client, name: str) -> tuple[Node, ...]:
    """The primaries that hold an index: all, or the owner of the slot that its name's hash tag says.

    Raises:
        MemDBError: no node answered.
    """
    every = tuple(node for node in client.nodes() if node.role == "primary" and node.slots)
    if hash_tag(name):
        at = slot(name)
        return tuple(node for node in every if any(first <= at <= last for first, last in node.slots))
    return every


def together(infos: Sequence[IndexInfo]) -> IndexInfo:
    """What several shards tell of one index as one account: counts and sizes summed, the slowest build."""

    def total(numbers: Sequence[float | None]) -> float | None:
        totals = [number for number in numbers if number is not None]
        return sum(totals) if len(totals) == len(infos) else None

    def count(numbers: Sequence[int | None]) -> int | None:
        number = total(numbers)
        return None if number is None else int(number)

    failed = next((info for info in infos if info.last_error), infos[0])
    return dataclasses.replace(
        infos[0],
        documents=sum(info.documents for info in infos),
        vectors=count([info.vectors for info in infos]),
        build=min((info.build for info in infos), key=lambda build: (build.ready, build.fraction)),
        vector_bytes=total([info.vector_bytes for info in infos]),
        total_bytes=total([info.total_bytes for info in infos]),
        failures=count([info.failures for info in infos]),
        last_error=failed.last_error,
        last_error_key=failed.last_error_key,
        terms=None,  # shards share words
        absent={figure: why for info in infos for figure, why in info.absent.items()},
    )


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
    key_type = replies.text(definition.get("key_type", reply.get("key_type", "HASH")))
    fields = tuple(
        _field(replies.pairs(_flat(entry)), on_hash=key_type.upper() != "JSON")
        for entry in replies.items(reply.get("attributes", reply.get("fields")))
    )
    figures = _Told(reply)
    errors = replies.pairs(reply.get("Index Errors"))
    failures = reply.get("hash_indexing_failures", errors.get("indexing failures"))
    # RediSearch's total leaves the vectors out, MemoryDB's space_usage holds them.
    parts = [name for name in ("vector_index_sz_mb", "total_index_memory_sz_mb") if name in reply]
    last = replies.text(errors.get("last indexing error", ""))
    return IndexInfo(
        name=replies.key(reply.get("index_name", name)),
        on=key_type,
        prefixes=tuple(
            replies.key(p) for p in replies.items(definition.get("prefixes", reply.get("key_prefixes")))
        ),
        fields=fields,
        documents=figures.count("documents", "num_docs", reply.get("num_docs")) or 0,
        vectors=figures.count("vectors", "number of vectors", _vectors(reply)),
        build=_build(reply, figures),
        vector_bytes=figures.size("vector_bytes", ("vector_index_sz_mb",), "vector_space_usage"),
        total_bytes=figures.size("total_bytes", parts, "space_usage"),
        failures=figures.count("failures", "indexing failures", failures),
        revision=figures.count("revision", "max_doc_id", reply.get("max_doc_id")),
        born=replies.text(reply.get("creation_timestamp", "")),
        indexing_ms=_number(reply.get("total_indexing_time")),
        last_error="" if last == "N/A" else last,
        last_error_key="" if last in {"N/A", ""} else replies.text(errors.get("last indexing error key")),
        terms=figures.count("terms", "num_terms", reply.get("num_terms")),
        table_bytes=figures.size("table_bytes", ("doc_table_size_mb", "key_table_size_mb")),
        rules=_rules(reply, definition),
        tag_options_told="attributes" in reply,
        absent=figures.absent,
    )


class _Told:
    """FT.INFO's figures, each held against what it can be."""

    def __init__(self, reply: dict[str, Reply]) -> None:
        self.reply = reply
        self.absent: dict[str, str] = {}

    def count(self, figure: str, name: str, value: Reply) -> int | None:
        """A whole number."""
        things = self.number(figure, name, value, THINGS)
        return None if things is None else int(things)

    def size(self, figure: str, mib: Sequence[str], in_bytes: str = "") -> float | None:
        """Bytes: of the field that tells them, or of all of those that tell MiB."""
        if in_bytes in self.reply:
            return self.number(figure, in_bytes, self.reply[in_bytes], SIZE)
        sizes = [self.number(figure, name, self.reply.get(name), SIZE, scale=2**20) for name in mib]
        return sum(size or 0.0 for size in sizes) if sizes and None not in sizes else None

    def number(
        self, figure: str, name: str, value: Reply, within: Range, *, scale: float = 1.0
    ) -> float | None:
        """A number; None where none was told, or one that cannot be true, which is then in `absent`."""
        if why := possible.refusal(value, within, f"FT.INFO {name}", scale=scale):
            self.absent[figure] = why
        return possible.number(value, within, scale=scale)


def _rules(reply: dict[str, Reply], definition: dict[str, Reply]) -> Rules:
    """RediSearch tells a list of stop words of its own as `stopwords_list`, valkey-search as `stop_words`."""
    stop_words = reply.get("stopwords_list", reply.get("stop_words"))
    score = replies.text(definition.get("default_score", ""))
    splits = replies.text(reply["punctuation"]) if "punctuation" in reply else None
    return Rules(
        filter=line_breaks.in_expression(replies.key(definition.get("filter", ""))),
        language=replies.text(definition.get("default_language", "")),
        language_field=replies.key(definition.get("language_field", "")),
        score="" if replies.number(score, 1.0) == 1.0 else score,
        score_field=replies.key(definition.get("score_field", "")),
        payload_field=replies.key(definition.get("payload_field", "")),
        stop_words=None if stop_words is None else tuple(map(replies.key, replies.items(stop_words))),
        punctuation=None if splits in (None, VALKEY_SPLITS) else splits,
    )


_FLAGS = frozenset(
    "SORTABLE NOSTEM NOINDEX UNF WITHSUFFIXTRIE INDEXEMPTY INDEXMISSING CASESENSITIVE".split(" ")
)


def _flat(entry: Reply) -> Reply:
    """A field's description with bare flags (SORTABLE, CASESENSITIVE, NOSTEM), which break its pairs, as
    names with the value 1."""
    if not isinstance(entry, list | tuple):
        return entry
    flat: list[Reply] = []
    i = 0
    while i < len(entry):
        word = replies.text(entry[i]) if isinstance(entry[i], bytes | str) else ""
        # CASESENSITIVE stands alone in RediSearch and has a value in valkey-search.
        valued = i + 1 < len(entry) and replies.text(entry[i + 1]) in {"0", "1"}
        if (
            i >= 6 and word in _FLAGS and not valued
        ):  # behind identifier, attribute and type with their values
            flat += [word, 1]
            i += 1
        else:
            flat += entry[i : i + 2]
            i += 2
    return flat


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
            capacity=_optional(inner.get("capacity", inner.get("current_capacity"))),
        )
    return Field(
        name=replies.key(low.get("attribute", low.get("field_name", identifier))),
        identifier=identifier,
        kind=kind,  # type: ignore[arg-type]  # a kind of a later engine is shown as it is called
        # One sign, so that two are RediSearch's words for a line break.
        separator=line_breaks.broken(replies.key(low.get("separator", "," if on_hash else ""))),
        vector=vector,
        case_sensitive=replies.integer(low.get("casesensitive")) == 1,
        index_empty=replies.integer(low.get("indexempty")) == 1,
        index_missing=replies.integer(low.get("indexmissing")) == 1,
        no_index=replies.integer(low.get("noindex")) == 1,
        suffix_trie=replies.integer(low.get("with_suffix_trie", low.get("withsuffixtrie"))) == 1,
    )


def _build(reply: dict[str, Reply], figures: _Told) -> BuildState:
    if "index_status" in reply or "backfill_status" in reply:  # MemoryDB, fact sheet §3.2
        status = replies.text(reply.get("index_status", reply.get("backfill_status"))).upper()
        name = "index_degradation_percentage"
        behind = figures.number("built", name, reply.get(name), PERCENT)
        if status in {"AVAILABLE", "COMPLETED"} and behind:
            return BuildState("building", 1 - behind / 100, name)
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
        answer = states.get(status, "unknown")
        return BuildState(answer, 1.0 if answer == "ready" else 0.0, f"index_status {status}")
    if "backfill_in_progress" in reply:  # valkey-search, ElastiCache
        running = replies.integer(reply["backfill_in_progress"]) != 0
        state = replies.text(reply.get("state", ""))
        name = "backfill_complete_percent"
        fraction = _share(figures, name) if running else 1.0
        if state == "backfill_paused_by_oom":
            return BuildState("paused", fraction, figures.absent.get("built", "state"))
        # 1.000000 is told on an empty key space although in progress, so state decides.
        return BuildState("building" if running else "ready", fraction, figures.absent.get("built", name))
    if "indexing" in reply:  # RediSearch
        running = replies.integer(reply["indexing"]) != 0
        name = "percent_indexed"
        fraction = _share(figures, name) if running else 1.0
        return BuildState("building" if running else "ready", fraction, figures.absent.get("built", name))
    return BuildState("unknown", 0.0, "not told")


def _share(figures: _Told, name: str) -> float:
    """How far a build that runs says it is; 0 where that cannot be, and `absent` has why."""
    return figures.number("built", name, figures.reply.get(name), SHARE) or 0.0


def _vectors(reply: dict[str, Reply]) -> Reply:
    if "num_indexed_vectors" in reply:
        return reply["num_indexed_vectors"]
    for entry in replies.items(reply.get("attributes")):
        index = replies.pairs(replies.pairs(_flat(entry)).get("index"))
        if "size" in index:
            return index["size"]
    return None


def _number(value: Reply) -> float | None:
    return None if value is None else replies.number(value, 0.0)


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
