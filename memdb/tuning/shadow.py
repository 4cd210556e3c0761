"""Shadow indexes: the same documents under other index parameters, to compare before anything is changed.

A shadow index lies beside the original over the same keys, is called memdb:shadow:<original>:<digest>, and
is the only kind of index that this module creates or drops.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from memdb.cluster.client import Client
from memdb.cluster.room import room
from memdb.display import bytes_text, line
from memdb.errors import BadInput, Busy, Cancelled, EngineError, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.vectors import index, search
from memdb.vectors.filters import Tag
from memdb.vectors.index import IndexInfo, VectorParams, index_info, index_names
from memdb.vectors.query import Command, check_range
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
    VectorType,
)

PREFIX = "memdb:shadow:"
Algorithm = Literal["HNSW", "FLAT"]

# Kept free beside the new indexes: a node that is full refuses writes (MemoryDB) or pauses the build.
HEADROOM_SHARE = 0.2
# Bytes of a node beyond its vector and lowest-layer links: upper layers, incoming links, labels, table
# slack. 241 were measured on RediSearch 2.10 at M 16 with 22,308 vectors; rounded up.
NODE_BYTES = 260
FLAT_BYTES = 40
DEFAULT_M = 16  # of all three engines
_LOOK_EVERY_S = 0.25
_GIVE_UP_S = 20.0  # for the index to be seen after it was created
_COMPARISONS = 4  # looks before two indexes are said to differ
_VALUES_COMPARED = 20  # of each TAG field

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Variant:
    """Parameters to try. An empty metric is the original's."""

    algorithm: Algorithm = "HNSW"
    m: int = DEFAULT_M
    ef_construction: int = 200
    metric: Metric | Literal[""] = ""

    @property
    def words(self) -> str:
        """E.g. HNSW, M 32, EF_CONSTRUCTION 400."""
        parts: list[str] = [self.algorithm]
        if self.algorithm == "HNSW":
            parts += [f"M {self.m}", f"EF_CONSTRUCTION {self.ef_construction}"]
        return ", ".join([*parts, *([self.metric] if self.metric else [])])


@dataclass(frozen=True, slots=True)
class ShadowCheck:
    """Whether shadow indexes can be built here. Sizes in bytes; the need is an estimate."""

    names: tuple[str, ...]
    new: tuple[str, ...]  # those of the names that are not there yet
    need_bytes: int
    used_bytes: int
    limit_bytes: int | None  # maxmemory, or the machine's memory where no limit is set; None: not told
    indexes: int
    index_limit: int | None  # None: this engine sets none
    refusals: tuple[str, ...]  # why it is not done; empty: it can be
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refusals

    @property
    def free_bytes(self) -> int | None:
        """What is left on the server now."""
        return None if self.limit_bytes is None else max(0, self.limit_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class Built:
    """A shadow index that is complete."""

    name: str
    build_s: float
    documents: int
    vector_bytes: float | None
    total_bytes: float | None


def is_shadow(name: str) -> bool:
    """Whether an index is one of ours to drop."""
    return name.startswith(PREFIX) and bool(base_of(name))


def base_of(name: str) -> str:
    """The original that a shadow index belongs to; "" for an index that is no shadow."""
    return name[len(PREFIX) :].rpartition(":")[0] if name.startswith(PREFIX) else ""


def shadows_of(client: Client, base: str, field: str = "") -> tuple[IndexInfo, ...]:
    """The shadow indexes of an original, by name; with `field`, those of that vector field."""
    names = [name for name in index_names(client) if is_shadow(name) and base_of(name) == base]
    infos = (index_info(client, name) for name in names)
    return tuple(i for i in infos if not field or any(f.name == field for f in i.of_kind("VECTOR")))


def spec(base: IndexInfo, field: str, variant: Variant) -> IndexSpec:
    """The shadow index: prefixes, rules, TAG and NUMERIC fields of the original, the vector otherwise.

    TEXT fields are left out: they filter nothing in a recall run and would double the words' memory. What
    FT.INFO tells of which documents an index takes (FILTER, LANGUAGE, scores) and how it reads a field
    (SEPARATOR, CASESENSITIVE, INDEXEMPTY, INDEXMISSING) is said again.

    Raises:
        BadInput: the original is itself a shadow, differs in nothing from the variant, or has a name or a
            vector type that no FT.CREATE of ours says.
        UnknownField: there is no such vector field.
    """
    if is_shadow(base.name):
        raise BadInput(
            f"'{line(base.name)}' is itself a shadow index.", f"Choose '{line(base_of(base.name))}'."
        )
    vector_field, params = base.vector_field(field)
    if params.type not in (types := get_args(VectorType)):
        raise BadInput(
            f"'{line(vector_field.name)}' holds vectors of type {params.type}, which memdb does not build.",
            f"Types that can be compared: {', '.join(types)}.",
        )
    metric = cast(Metric, variant.metric or params.metric)
    kind = cast(VectorType, params.type)
    if same(variant, params):
        raise BadInput(
            f"{variant.words} is what '{line(base.name)}' has already.", "Change at least one parameter."
        )
    vector: FieldSpec
    if variant.algorithm == "FLAT":
        vector = FlatField(
            vector_field.name,
            params.dim,
            metric,
            kind,
            path=vector_field.identifier,
            index_missing=vector_field.index_missing,
        )
    else:
        vector = HnswField(
            vector_field.name,
            params.dim,
            metric,
            kind,
            m=variant.m,
            ef_construction=variant.ef_construction,
            path=vector_field.identifier,
            index_missing=vector_field.index_missing,
        )
    # A field with NOINDEX is searched by nobody, in the original neither.
    others: list[FieldSpec] = [
        TagField(f.name, f.separator, f.case_sensitive, f.identifier, f.index_empty, f.index_missing)
        for f in base.of_kind("TAG")
        if not f.no_index
    ]
    others += [
        NumericField(f.name, f.identifier, f.index_missing) for f in base.of_kind("NUMERIC") if not f.no_index
    ]
    if base.rules.filter:  # its expression names fields as the schema does, TEXT too
        others += [
            TextField(f.name, f.identifier)
            for f in base.of_kind("TEXT")
            if f.name in base.rules.filter or f.identifier in base.rules.filter
        ]
    # An original that was made again under other rules gets shadows of other names.
    text = f"{vector_field.name}|{params.type}|{params.dim}|{metric}|{variant.words}"
    text += f"|{base.prefixes}|{base.rules}|{others}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return IndexSpec(
        f"{PREFIX}{base.name}:{digest}",
        (*others, vector),
        base.prefixes,
        "JSON" if base.on == "JSON" else "HASH",
        base.rules,
    )


def same(variant: Variant, params: VectorParams) -> bool:
    """Whether a variant is what the index has already, as far as the engine reports."""
    if variant.algorithm != params.algorithm or (variant.metric or params.metric) != params.metric:
        return False
    if variant.algorithm == "FLAT":
        return True
    return (variant.m, variant.ef_construction) == (params.m, params.ef_construction)


def create_command(base: IndexInfo, field: str, variant: Variant) -> Command:
    """The FT.CREATE that `build` sends: what a read-only target shows instead."""
    return Command(spec(base, field, variant).create_args())


def estimate_bytes(base: IndexInfo, field: str, variant: Variant) -> int:
    """Memory a shadow index will take. An estimate: the model of fact sheet §10 with what was measured.

    Where the engine tells what the original takes, its own overhead a vector and its TAG and NUMERIC
    structures (with TEXT in them: an upper bound) are used.
    """
    _, params = base.vector_field(field)
    vectors = base.vectors or base.documents
    overhead = float(NODE_BYTES)
    if base.vector_bytes and vectors and params.algorithm == "HNSW":
        measured = base.vector_bytes / vectors - params.bytes - 8 * (params.m or DEFAULT_M)
        overhead = max(measured, 64.0)
    links = 8 * variant.m
    each = params.bytes + FLAT_BYTES if variant.algorithm == "FLAT" else params.bytes + links + overhead
    if variant.algorithm == "HNSW" and variant.m > (params.m or DEFAULT_M):
        each += links * 0.5  # incoming links and upper layers grow with M
    rest = 0.0
    if base.total_bytes is not None and base.vector_bytes is not None:
        rest = max(0.0, base.total_bytes - base.vector_bytes)
    return round(vectors * each + rest)


def check(client: Client, base: IndexInfo, field: str, variants: tuple[Variant, ...]) -> ShadowCheck:
    """Headroom, the engine's limits and permission, before anything is built. Three round trips.

    Raises:
        BadInput: a variant cannot be built at all (see `spec`), or is named twice.
        OutOfRange: M or EF_CONSTRUCTION outside what this engine takes.
    """
    if not variants:
        raise BadInput("No variant is chosen.", "Add at least one index to compare.")
    limits, title = client.server.dialect.limits, client.server.dialect.title
    for variant in variants:
        if variant.algorithm == "HNSW":
            check_range("M", variant.m, 2, limits.m, title)
            check_range("EF_CONSTRUCTION", variant.ef_construction, 1, limits.ef_construction, title)
    names = tuple(spec(base, field, variant).name for variant in variants)
    if len(set(names)) < len(names):
        raise BadInput("A variant is named twice.", "Remove one of them.")
    there = index_names(client)
    new = [variant for variant, name in zip(variants, names, strict=True) if name not in there]
    need = sum(estimate_bytes(base, field, variant) for variant in new)
    space = room(client, _shares(base))
    refusals: list[str] = []
    warnings: list[str] = []
    if not client.target.writable:
        refusals.append("This target is read-only: the commands are shown instead of run.")
    if not base.build.ready:
        refusals.append(f"'{line(base.name)}' is itself still being built ({base.build.fraction:.0%}).")
    if limits.indexes is not None and len(there) + len(new) > limits.indexes:
        refusals.append(
            f"{title} takes {limits.indexes} indexes; {len(there)} exist and {len(new)} would be added. "
            "Drop one first."
        )
    if space.left is not None:
        if need > space.left * (1 - HEADROOM_SHARE):
            where = f", for the fullest shard is {space.fullest}" if space.fullest else ""
            refusals.append(
                f"About {bytes_text(need)} are needed and {bytes_text(max(0, space.left))} are free{where}; "
                f"{HEADROOM_SHARE:.0%} of that stay free for writes. Compare fewer indexes, or a smaller M."
            )
        if not space.limited:
            warnings.append(
                f"No maxmemory is set: the {bytes_text(space.most)} of its machine are taken as the limit."
            )
    else:
        warnings.append(
            "The server does not tell how much memory is left, so nothing guards against filling it."
        )
    if any(variant.metric not in ("", base.vector_field(field)[1].metric) for variant in variants):
        warnings.append(
            "With another metric other documents are nearest: its recall is against its own truth."
        )
    if base.of_kind("TAG") and not base.tag_options_told:
        warnings.append(
            f"{title} does not tell the separator and case of TAG fields: the defaults are taken, and a "
            "shadow that finds other documents by them is dropped again."
        )
    warnings += [f"{name} exists already and is used as it is." for name in names if name in there]
    return ShadowCheck(
        names,
        tuple(n for n in names if n not in there),
        need,
        space.used or 0,
        space.most if space.used is not None else None,
        len(there),
        limits.indexes,
        tuple(refusals),
        tuple(warnings),
    )


def _shares(base: IndexInfo) -> dict[str, float] | None:
    """How the documents of an index lie on its shards; None where it has one, or holds nothing."""
    documents_of = {
        shard.node.address: shard.info.documents for shard in base.shards if shard.info is not None
    }
    whole = sum(documents_of.values())
    return {address: number / whole for address, number in documents_of.items()} if whole else None


def build(client: Client, base: IndexInfo, field: str, variant: Variant, *, report: Report = silent) -> Built:
    """Create a shadow index, wait until it holds every document, and hold it against the original.

    Ended early (Cancelled), or found to hold other documents or values, the index is dropped again.

    Raises:
        ReadOnlyTarget: the target is read-only; nothing was sent.
        EngineError: the server refuses, the build failed or was paused for want of memory, or the shadow is
            not the same documents under the same rules (see `difference`).
    """
    wanted = spec(base, field, variant)
    began = time.monotonic()
    index.create(client, wanted)
    try:
        info = _wait(client, wanted.name, f"Building {variant.words}", base.documents, began, report)
        took = time.monotonic() - began
        differs = difference(client, base, info)
    except Cancelled:
        index.drop(client, wanted.name)
        raise
    if differs:
        index.drop(client, wanted.name)
        raise EngineError(
            f"A shadow index of '{line(base.name)}' is not the same index: {differs} It was dropped again.",
            "Compare by hand, with an index of your own that holds the documents you mean.",
        )
    # Read again: an engine may say ready a moment before it has counted every document.
    info = index_info(client, wanted.name)
    return Built(wanted.name, took, info.documents, info.vector_bytes, info.total_bytes)


def difference(client: Client, base: IndexInfo, shadow: IndexInfo) -> str:
    """What tells a shadow index from its original, as a sentence; "" where nothing does.

    Documents: by key, where the engine lists an index's keys (FT.CURSOR), else their number. How fields are
    read: the most frequent values of each TAG field find as many documents in both. Writes that come in
    between change both; only what differs each time counts.
    """
    by_key = client.server.dialect.cursors
    differing: Hashes | None = None
    for attempt in range(_COMPARISONS):
        if attempt:
            time.sleep(_LOOK_EVERY_S)
        if by_key:
            differing_now = np.setxor1d(_keys(client, base), _keys(client, shadow))
            differing = differing_now if differing is None else np.intersect1d(differing, differing_now)
            if not len(differing):
                break
        elif index_info(client, base.name).documents == index_info(client, shadow.name).documents:
            break
    else:
        first, second = index_info(client, base.name), index_info(client, shadow.name)
        difference_words = (
            f"the original holds {first.documents:,} documents and the shadow {second.documents:,}"
        )
        if differing is not None and first.documents == second.documents:
            difference_words = f"{len(differing):,} of {first.documents:,} documents are in one of them only"
        return f"{difference_words}, under the options that FT.INFO tells ({_why(base)})."
    for field in base.of_kind("TAG"):
        if not field.no_index and (differs := _values_differ(client, base, shadow, field.name)):
            return differs
    return ""


def _why(base: IndexInfo) -> str:
    """What may be behind another number of documents."""
    if base.failures:
        return f"the original could not index {base.failures:,}: a TEXT or other field that a shadow lacks"
    return (
        "an original created with SKIPINITIALSCAN, or with an option that FT.INFO does not tell, holds others"
    )


def _keys(client: Client, info: IndexInfo) -> Hashes:
    """A hash of every key that the index holds, eight bytes each."""
    hashes = [
        int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest())
        for batch in matching_keys(client, info)
        for key in batch
    ]
    return np.array(hashes, dtype=np.uint64)


def _values_differ(client: Client, base: IndexInfo, shadow: IndexInfo, field: str) -> str:
    try:
        values = search.tag_values(client, base, field, limit=_VALUES_COMPARED)
    except UnsupportedFeature:
        return ""
    for item in values:
        condition = Tag(field, (item.value,))
        for attempt in range(_COMPARISONS):
            if attempt:
                time.sleep(_LOOK_EVERY_S)
            in_base, in_shadow = (search.count(client, info, condition) for info in (base, shadow))
            if in_base == in_shadow:
                break
        else:
            return (
                f"'{line(item.value, 60)}' in '{line(field)}' finds {in_base:,} documents in the original "
                f"and {in_shadow:,} in the shadow; its separator or case is not what FT.INFO tells."
            )
    return ""


def drop_command(name: str) -> str:
    """The command that drops an index and leaves its documents, for redis-cli."""
    return Command(("FT.DROPINDEX", name)).redis_cli()


def drop(client: Client, name: str, typed: str) -> None:
    """Drop a shadow index; the documents stay.

    Args:
        client: of a writable target.
        name: the index.
        typed: its name as the user typed it.

    Raises:
        BadInput: it is no shadow index, or what was typed is another name. Nothing was sent.
        UnknownIndex: it is gone already.
    """
    if not is_shadow(name):
        raise BadInput(
            f"'{line(name)}' is no shadow index, and only those are dropped here.",
            f"Their names begin with {PREFIX}.",
        )
    if typed.strip() != name:
        raise BadInput(
            f"The name typed is '{line(typed)}', not '{line(name)}'.",
            "Type the whole name to drop the index.",
        )
    index.drop(client, name)


def _wait(client: Client, name: str, stage: str, documents: int, began: float, report: Report) -> IndexInfo:
    total = max(1, documents)
    while True:
        info = index_info(client, name)
        state = info.build.state
        if state == "ready" and (info.documents or not documents or time.monotonic() - began > _GIVE_UP_S):
            report(stage, total, total)
            return info
        if state in {"paused", "failed"}:
            raise EngineError(
                f"The build of {name} is {state} at {info.build.fraction:.0%}.",
                "The server is short of memory; drop the shadow index, or free memory and wait.",
            )
        if state == "unknown" and time.monotonic() - began > _GIVE_UP_S:
            raise Busy(f"This engine does not tell how far {name} is.", "Look at it again later.")
        report(stage, min(total - 1, round(info.build.fraction * total)), total)
        time.sleep(_LOOK_EVERY_S)
