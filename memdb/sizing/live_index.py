"""What one of a server's indexes weighs, and how that corrects the model. Only reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memdb.cluster import possible
from memdb.cluster.client import Client
from memdb.display import bytes_text
from memdb.errors import EngineError, MemDBError, UnknownIndex
from memdb.sizing import valkey
from memdb.sizing.live_shape import with_vector, without_metadata
from memdb.sizing.model import Profile, index_bytes
from memdb.sizing.shape import Shape
from memdb.vectors import index
from memdb.vectors.index import IndexInfo

FORM = 0.03  # what the model itself may be off, seen on shapes that were not fitted
EMPTY_FORM = 0.02  # of an index without documents
_TOTAL = "search_used_memory_bytes"
PLAUSIBLE = (0.5, 2.0)  # a factor outside says that something else was measured


@dataclass(frozen=True, slots=True)
class Weighed:
    """One index: its bytes, and measured ÷ predicted without what it takes empty."""

    bytes: float
    factor: float  # 1.0 where the measurement does not speak against the model
    notes: tuple[str, ...]
    waited: bool = True  # valkey-search: whether the index was made over documents that were there


def _judged(size: float, factor: float, uncertainty: float, notes: tuple[str, ...]) -> Weighed:
    """The factor is kept where it says more than the model's own error, and can be true."""
    if not PLAUSIBLE[0] <= factor <= PLAUSIBLE[1]:
        text = f"The index seems to take {factor:.2f} times the prediction, which is not plausible"
        return Weighed(size, 1.0, (*notes, f"{text}: the built-in prediction of the index was kept."))
    if abs(factor - 1) <= uncertainty:
        text = f"The index differs by {factor - 1:+.1%} from the prediction, itself sure to {uncertainty:.0%}"
        return Weighed(size, 1.0, (*notes, f"{text}: the built-in prediction of the index was kept."))
    return Weighed(size, factor, notes)


# ---- RediSearch and MemoryDB: FT.INFO tells each index's own -----------------------------------------------


def told(
    client: Client,
    info: IndexInfo,
    shape: Shape,
    base: Profile,
    memory: dict[str, str],
    *,
    keys_bytes: float,
    keys_within: float,
) -> Weighed:
    """What the index takes, and the factor of its documents' part.

    Args:
        client: of the server.
        info: the index.
        shape: its documents.
        base: the built-in profile of the server's engine.
        memory: INFO memory.
        keys_bytes: of all keys and of their table, estimated from a sample.
        keys_within: half of its 95 % interval; by so much the index may be off.

    Raises:
        EngineError: the server's figures leave nothing for the index.
    """
    if base.engine == "memorydb" and info.total_bytes:
        size = info.total_bytes  # space_usage holds all of it
    else:
        size = _shared_out(client, info, memory, keys_bytes)
    predicted = index_bytes(shape, base)
    if info.total_bytes and not 0.5 * info.total_bytes < size < 3 * info.total_bytes:
        # Other keys of very different sizes, or a cluster's table for each slot. RediSearch's own count
        # leaves out what is rounded up, and is no measure.
        note = "Memory beyond the keys does not fit FT.INFO: the built-in prediction of the index was kept."
        return Weighed(predicted, 1.0, (note,))
    empty = index_bytes(replace(shape, vectors=0), base)
    documents = predicted - empty
    return _judged(size, (size - empty) / documents, max(FORM, keys_within / documents), ())


def _shared_out(client: Client, info: IndexInfo, memory: dict[str, str], keys_bytes: float) -> float:
    """What the server uses beyond its keys, shared out by what FT.INFO tells."""
    weights: dict[str, float] = {}
    for name in index.index_names(client):
        try:
            other = info if name == info.name else index.index_info(client, name)
        except UnknownIndex:
            continue
        weights[name] = other.total_bytes or other.vector_bytes or float(other.documents)
    used = float(memory.get("used_memory", "0"))
    idle = float(memory.get("used_memory_startup", "0")) + float(memory.get("mem_clients_normal", "0"))
    rest = used - idle - keys_bytes
    own = weights.get(info.name, 0.0)
    share = rest * own / sum(weights.values()) if weights else rest
    if share <= 0 and not info.total_bytes:
        raise EngineError(
            "The server's memory less its keys leaves nothing for the index.",
            "Calibrate with samples of your shape on the local engine instead.",
        )
    return share


# ---- valkey-search: INFO tells one total of all indexes ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Modelled:
    """Predicted bytes of an index: what it takes empty, and what its documents bring."""

    empty: float
    documents: float


def of_total(client: Client, info: IndexInfo, shape: Shape, base: Profile) -> Weighed:
    """The total less what every index takes empty, shared out by what the documents of each should bring.

    A deviation is only told from the model's own error where the index's documents bring most of it.

    Args:
        client: of the server.
        info: the index.
        shape: its documents.
        base: the built-in profile of the server.

    Raises:
        MemDBError: the server does not answer, or the index cannot be modelled.
    """
    predicted = index_bytes(shape, base)
    facts = client.info("search")
    indexes_bytes = possible.size(next((part[_TOTAL] for part in facts.values() if _TOTAL in part), None))
    if indexes_bytes is None:
        note = "INFO does not tell the memory of the indexes: the built-in prediction of the index was kept."
        return Weighed(predicted, 1.0, (note,))
    try:
        infos = [info, *_others(client, info.name)]
        shapes = [without_metadata(client, each) for each in infos]
        # The index was there first, or its documents were: whichever explains the total better.
        over, first = (
            _shared(infos, shapes, how, indexes_bytes) for how in (base, replace(base, waited=False))
        )
    except MemDBError as exc:
        note = f"An index that is in INFO's total cannot be modelled ({exc})"
        return Weighed(predicted, 1.0, (f"{note}: the built-in prediction of the index was kept.",))
    nearer = min(over, first, key=lambda part: abs(part.factor - 1))
    notes = []
    if len(infos) > 1:
        notes.append(
            f"valkey-search tells one total of all {len(infos)} indexes. "
            f"The share of '{info.name}' follows the model; {bytes_text(nearer.empty)} of it are taken empty."
        )
    if nearer is first:
        notes.append("The index was there before its documents, or was loaded: few of them waited at once.")
    size = nearer.empty + nearer.factor * nearer.documents
    weighed = _judged(size, nearer.factor, nearer.uncertainty, tuple(notes))
    return replace(weighed, waited=nearer is over or not PLAUSIBLE[0] <= nearer.factor <= PLAUSIBLE[1])


@dataclass(frozen=True, slots=True)
class _Share:
    """One index in the total: what it takes empty, what its documents should bring, and how that fits."""

    empty: float
    documents: float
    factor: float
    uncertainty: float


def _shared(infos: Sequence[IndexInfo], shapes: Sequence[Shape], base: Profile, total: float) -> _Share:
    """The first index's part of the total of all."""
    strings: set[tuple[object, ...]] = set()
    own, *others = (_modelled(info, shape, base, strings) for info, shape in zip(infos, shapes, strict=True))
    empty = own.empty + sum(other.empty for other in others)
    beside = sum(other.documents for other in others)
    factor = (total - empty) / (own.documents + beside)
    uncertainty = max(FORM, (EMPTY_FORM * empty + FORM * beside) / own.documents)
    return _Share(own.empty, own.documents, factor, uncertainty)


def _others(client: Client, name: str) -> list[IndexInfo]:
    infos = []
    for other in index.index_names(client):
        try:
            infos += [index.index_info(client, other)] if other != name else []
        except UnknownIndex:
            continue
    return infos


def _modelled(info: IndexInfo, shape: Shape, base: Profile, strings: set[tuple[object, ...]]) -> _Modelled:
    """All fields of an index. A vector that another index of the same documents holds is there once.

    Args:
        info: the index.
        shape: its documents.
        base: the built-in profile.
        strings: what is held of the documents of others; this index's are added.

    Raises:
        OutOfRange: a dimension or M beyond what the model knows.
    """
    whole, empty = (_bytes(info, of, base) for of in (shape, replace(shape, vectors=0)))
    for field in info.of_kind("VECTOR"):
        if field.vector is None:
            continue
        string = valkey.string_of(info, field)
        if string in strings:
            whole -= valkey.index(with_vector(shape, field), base.allocator)["vectors_indexed"]
        strings.add(string)
        if field.vector.capacity:
            # INITIAL_CAP was another, or documents were deleted: the places stay, empty or not.
            more = valkey.beyond_default(with_vector(shape, field), base.allocator, field.vector.capacity)
            empty, whole = empty + more, whole + more
    return _Modelled(empty, whole - empty)


def _bytes(info: IndexInfo, shape: Shape, base: Profile) -> float:
    total = alone = sum(valkey.index(shape, base.allocator, vectors=False, waited=base.waited).values())
    for field in info.of_kind("VECTOR"):
        with_it = valkey.index(with_vector(shape, field), base.allocator, waited=base.waited)
        total += sum(with_it.values()) - alone
    return total
