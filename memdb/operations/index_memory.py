"""What a node's indexes hold, as each engine tells it, and what RediSearch leaves out of its count. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from memdb.errors import MemDBError
from memdb.operations.keyspace import Drawn, Key, under
from memdb.operations.samples import Sample
from memdb.sizing import redisearch, valkey, valkey_keys
from memdb.sizing.allocator import Allocator, grown, power_of_two, size_class
from memdb.sizing.model import Constants
from memdb.sizing.redisearch import Exact, Occurrences
from memdb.sizing.shape import Shape
from memdb.vectors.index import KEY_TYPES, IndexInfo

# Beyond FT.INFO's own count, seen on RediSearch 2.10.5 with the corpus of the demo (docs/memory.md).
CREATED = 104_600.0  # an index without documents
PER_TERM = 130.0  # of TEXT fields: 121 to 138
PER_NUMBER, PER_NUMERIC_FIELD = 1.3, 11_000.0
MODEL_ERROR = 0.04  # of the model, on shapes that were not fitted (docs/sizing.md): its 95 % interval
MOST_IDS = 1_000_000  # places of RediSearch's table of documents (MAXDOCTABLESIZE); then places are shared
_NO_KEY_SEEN = 20  # bytes of a key where no key of the index was drawn


@dataclass(frozen=True, slots=True)
class MemoryPart:
    """What one purpose takes. `absent` says why there is no figure, or what is missing in it."""

    name: str
    bytes: float | None
    within_bytes: float | None  # half of a 95 % interval; None where the figure is told, not estimated
    source: str
    absent: str = ""


def parts(sample: Sample, dialect: str, names: Sequence[bytes]) -> tuple[MemoryPart, ...]:
    """Vectors, structures, other indexes and what is not told, for all indexes together.

    Args:
        sample: of the node.
        dialect: of its search module.
        names: keys that were drawn from the node; their lengths matter to RediSearch's tables.
    """
    if dialect == "none" and not sample.problem:
        return tuple(
            MemoryPart(name, 0.0, None, "the server has no search")
            for name in ("vectors", "structures", "other_indexes", "untold")
        )
    missing = [f"{name}: {why}" for name, why in sample.absent.items() if name.startswith("index ")]
    if "indexes" in sample.absent or sample.problem or (missing and not sample.indexes):
        why = sample.problem or sample.absent.get("indexes") or "; ".join(missing)
        return _only_total(sample, why)
    if dialect == "valkey-search":
        return _valkey(sample, "; ".join(missing))
    return _told(sample, dialect, names, "; ".join(missing))


def dialect_of(indexes: Sequence[IndexInfo]) -> str:
    """The dialect that told these indexes, by what it told."""
    if any(info.by_redisearch for info in indexes):
        return "redisearch"
    return "memorydb" if any(info.total_bytes is not None for info in indexes) else "valkey-search"


def _only_total(sample: Sample, why: str) -> tuple[MemoryPart, ...]:
    total = sample.figures.get("search_bytes")
    source = "INFO's figure of the indexes' memory: vectors and all, not told apart"
    structures = MemoryPart("structures", total, None, source, "" if total is not None else why)
    return (
        MemoryPart("vectors", None, None, "FT.INFO", why),
        structures,
        MemoryPart("other_indexes", None, None, "FT.INFO", why),
        MemoryPart("untold", None, None, "the sizing model", why),
    )


def _valkey(sample: Sample, missing: str) -> tuple[MemoryPart, ...]:
    vectors = _held_once(sample.indexes)
    total = sample.figures.get("search_bytes")
    of_all = "valkey-search tells one total of all indexes"
    why = sample.absent.get("search_bytes", "INFO search does not tell search_used_memory_bytes")
    rest = None if total is None else max(0.0, total - vectors)
    # Vectors that are shared or not in memory would otherwise be more than the total they are part of.
    bytes_known = vectors if total is None else min(vectors, total)
    return (
        MemoryPart("vectors", bytes_known, None, "FT.INFO: vectors × dimension × width", missing),
        MemoryPart(
            "structures",
            rest,
            None,
            "INFO search_used_memory_bytes less the vectors: graph, other fields and names of all indexes",
            "" if total is not None else why,
        ),
        MemoryPart("other_indexes", None, None, "INFO search", f"{of_all}; they are in the index structures"),
        MemoryPart("untold", None, None, "", "only RediSearch's own count is known to leave something out"),
    )


def _held_once(infos: Sequence[IndexInfo]) -> float:
    """Vectors of valkey-search's indexes; those of the same field of the same documents are there once."""
    by_string: dict[tuple[object, ...], float] = {}
    for info in infos:
        fields = [(field, field.vector.bytes) for field in info.of_kind("VECTOR") if field.vector is not None]
        each = vector_bytes(info) / sum(size for _, size in fields) if fields else 0.0
        by_string |= {valkey.string_of(info, field): each * size for field, size in fields}
    return sum(by_string.values())


def _told(sample: Sample, dialect: str, names: Sequence[bytes], missing: str) -> tuple[MemoryPart, ...]:
    infos = sample.indexes
    silent = [info for info in infos if info.vector_bytes is None and info.of_kind("VECTOR")]
    untotalled = [info for info in infos if info.total_bytes is None]
    wrong = [f"{info.name}: {info.absent['documents']}" for info in infos if "documents" in info.absent]
    missing = "; ".join([*([missing] if missing else []), *wrong])
    unit = "space_usage" if dialect == "memorydb" else "total_index_memory_sz_mb"
    whole = "vector_space_usage" if dialect == "memorydb" else "vector_index_sz_mb"
    vectors = sum(vector_bytes(info) for info in infos)
    structures = sum(max(0.0, info.vector_bytes - vector_bytes(info)) for info in infos if info.vector_bytes)
    other = sum(max(0.0, info.total_bytes - (info.vector_bytes or 0.0)) for info in infos if info.total_bytes)
    return (
        MemoryPart("vectors", vectors, None, "FT.INFO: vectors × dimension × width", missing),
        _some("structures", structures, f"FT.INFO {whole} less the vectors", whole, silent, missing, infos),
        _some("other_indexes", other, _other_source(dialect, unit), unit, untotalled, missing, infos),
        _untold(infos, names, missing)
        if dialect == "redisearch"
        else MemoryPart(
            "untold", None, None, "", "only RediSearch's own count is known to leave something out"
        ),
    )


def _other_source(dialect: str, unit: str) -> str:
    if dialect == "memorydb":
        return "FT.INFO space_usage less vector_space_usage: TAG, NUMERIC and names"
    return f"FT.INFO {unit}: TAG, NUMERIC, TEXT, tables of documents and keys"


def _some(
    name: str,
    total: float,
    source: str,
    wanted: str,
    silent: Sequence[IndexInfo],
    missing: str,
    infos: Sequence[IndexInfo],
) -> MemoryPart:
    """A sum over the indexes that tell; absent where none does."""
    untold = [info.name for info in silent if not info.absent]
    reasons = [f"{info.name}: {why}" for info in silent for why in info.absent.values()]
    why = f"FT.INFO of {', '.join(untold)} does not tell {wanted}" if untold else ""
    absent = "; ".join(reason for reason in (missing, *reasons, why) if reason)
    return MemoryPart(name, None if silent and len(silent) == len(infos) else total, None, source, absent)


def vector_bytes(info: IndexInfo) -> float:
    """Bytes of the vectors an index holds, at most what it says its vector indexes take.

    A document may lack the field: RediSearch counts documents, the others vectors.
    """
    fields = [field.vector.bytes for field in info.of_kind("VECTOR") if field.vector is not None]
    # The others' count of vectors is that of one field.
    count = info.vectors if info.vectors is not None and len(fields) == 1 else info.documents
    size = float(count * sum(fields))
    return size if info.vector_bytes is None else min(size, info.vector_bytes)


def corrected(drawn: Drawn, infos: Sequence[IndexInfo]) -> Drawn:
    """Sizes of RedisJSON documents without what MEMORY USAGE counts too much of their vectors."""
    of_json = [info for info in infos if info.on.upper() == "JSON"]
    if not of_json:
        return drawn
    return replace(drawn, keys=tuple(_corrected(key, of_json) for key in drawn.keys))


def with_keys(drawn: Drawn, allocator: str) -> Drawn:
    """Sizes as Valkey allocates them: its MEMORY USAGE leaves the key itself out.

    Args:
        drawn: keys with what MEMORY USAGE told.
        allocator: INFO mem_allocator.
    """
    allocator_name = valkey_keys.allocator_of(allocator)
    return replace(drawn, keys=tuple(_with_key(key, allocator_name) for key in drawn.keys))


def _with_key(key: Key, allocator: Allocator) -> Key:
    if key.size is None:
        return key
    return replace(key, size=key.size + valkey_keys.untold(len(key.name), int(key.size), allocator))


def _corrected(key: Key, infos: Sequence[IndexInfo]) -> Key:
    if key.size is None or key.type != KEY_TYPES["JSON"]:
        return key
    # By path: a vector that several indexes take is there once.
    dims = {
        field.identifier: field.vector.dim
        for info in infos
        if under(info, key.name)
        for field in info.of_kind("VECTOR")
        if field.vector is not None
    }
    excess = sum(map(_json_excess, dims.values()))
    # A document without the vector is smaller than what its vector would have been counted as.
    return replace(key, size=key.size - excess) if key.size > 3 * excess else key


def _json_excess(dim: int) -> float:
    """RedisJSON 2.8 counts 24 bytes a number and 8 a place of the array; 16 and a rounded block are taken."""
    places = 8 * power_of_two(dim)
    return max(0.0, 24 * dim + places - (16 * dim + size_class(places + 16)))


# ---- RediSearch: what FT.INFO leaves out --------------------------------------------------------------


def _untold(infos: Sequence[IndexInfo], names: Sequence[bytes], missing: str) -> MemoryPart:
    source = "the sizing model of RediSearch 2.10 less FT.INFO: rounding of allocations, links back, names"
    total, within, failed = 0.0, 0.0, []
    for info in infos:
        try:
            modelled = allocated(info, names)
        except MemDBError as exc:  # a dimension or M beyond what the model knows
            failed.append(f"{info.name}: {exc}")
            continue
        total += max(0.0, modelled - (info.vector_bytes or 0.0) - (info.table_bytes or 0.0))
        total += _of_fields(info)
        within += MODEL_ERROR * modelled
    absent = "; ".join([*([missing] if missing else []), *failed])
    if failed and len(failed) == len(infos):
        return MemoryPart("untold", None, None, source, absent)
    return MemoryPart("untold", total, within, source, absent)


def allocated(info: IndexInfo, names: Sequence[bytes]) -> float:
    """What RediSearch 2.10 takes for an index's documents and vectors, without its other fields' entries.

    Args:
        info: the index.
        names: keys that were drawn; those under its prefixes tell how long names are and whether they count.

    Raises:
        BadInput: a shape the model does not know.
        OutOfRange: the same.
    """
    if not info.documents:
        return CREATED
    ours = [name for name in names if under(info, name)]
    length = round(sum(map(len, ours)) / len(ours)) if ours else _NO_KEY_SEEN
    shape = Shape(info.documents, 1, key_bytes=max(1, length), random_keys=redisearch.random_names(ours))
    total = CREATED + _sum(redisearch.documents(shape))
    # The table of documents is as long as the largest id: writing a document again takes the next one.
    total += max(0.0, _table(min(info.revision or 0, MOST_IDS)) - _table(info.documents))
    for field in info.of_kind("VECTOR"):
        if field.vector is not None:
            of_field = replace(
                shape,
                dim=field.vector.dim,
                type=field.vector.type,  # type: ignore[arg-type]  # Shape refuses what it does not know
                m=field.vector.m or 16,
                algorithm=field.vector.algorithm,  # type: ignore[arg-type]  # the same
            )
            total += _sum(redisearch.vector_field(of_field))
    return total


def _table(ids: int) -> float:
    return float(size_class(16 * grown(ids)))


def _of_fields(info: IndexInfo) -> float:
    numeric = len(info.of_kind("NUMERIC"))
    return PER_TERM * (info.terms or 0) + numeric * (PER_NUMBER * info.documents + PER_NUMERIC_FIELD)


def _sum(design: tuple[Exact, Occurrences]) -> float:
    exact, counts = design
    fitted = asdict(Constants())
    return sum(exact.values()) + sum(float(fitted[name]) * count for name, (_, count) in counts.items())
