"""What one of a server's indexes weighs, and how that corrects the model. Only reads."""

from __future__ import annotations

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


def weigh(
    client: Client, info: IndexInfo, shape: Shape, base: Profile, memory: dict[str, str], keys_bytes: float
) -> Weighed:
    """What the index takes, and the factor of its documents' part.

    Args:
        client: of the server.
        info: the index.
        shape: its documents.
        base: the built-in profile of the server's engine.
        memory: INFO memory.
        keys_bytes: of all keys and of their table.

    Raises:
        EngineError: the server's figures leave nothing for the index.
    """
    if base.engine == "valkey-search":
        return _of_total(client, info, shape, base)
    size, notes = _shared_out(client, info, memory, keys_bytes)
    empty = index_bytes(replace(shape, vectors=0), base)
    return _judged(size, (size - empty) / (index_bytes(shape, base) - empty), FORM, notes)


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


def _shared_out(
    client: Client, info: IndexInfo, memory: dict[str, str], keys_bytes: float
) -> tuple[float, tuple[str, ...]]:
    """What the server uses beyond its keys, shared out by what FT.INFO tells."""
    told: dict[str, float] = {}
    for name in index.index_names(client):
        try:
            other = info if name == info.name else index.index_info(client, name)
        except UnknownIndex:
            continue
        told[name] = other.total_bytes or other.vector_bytes or float(other.documents)
    used = float(memory.get("used_memory", "0"))
    idle = float(memory.get("used_memory_startup", "0")) + float(memory.get("mem_clients_normal", "0"))
    left = used - idle - keys_bytes
    own = told.get(info.name, 0.0)
    share = left * own / sum(told.values()) if told else left
    notes = []
    if info.total_bytes and not 0.5 * info.total_bytes < share < 3 * info.total_bytes:
        # Other keys of very different sizes can spoil the difference; the index's own count cannot be spoilt.
        notes.append("Memory beyond the keys does not fit FT.INFO; the index's own count was taken.")
        share = info.total_bytes
    if share <= 0:
        raise EngineError(
            "The server's memory less its keys leaves nothing for the index.",
            "Calibrate with samples of your shape on the local engine instead.",
        )
    return share, tuple(notes)


# ---- valkey-search: INFO tells one total of all indexes ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Modelled:
    """Predicted bytes of an index: what it takes empty, and what its documents bring."""

    empty: float
    documents: float


def _of_total(client: Client, info: IndexInfo, shape: Shape, base: Profile) -> Weighed:
    """The total less what every index takes empty, shared out by what the documents of each should bring.

    A deviation is only told from the model's own error where the index's documents bring most of it.
    """
    predicted = index_bytes(shape, base)
    facts = client.info("search")
    total = possible.size(next((told[_TOTAL] for told in facts.values() if _TOTAL in told), None))
    if total is None:
        note = "INFO does not tell the memory of the indexes: the built-in prediction of the index was kept."
        return Weighed(predicted, 1.0, (note,))
    held: set[tuple[object, ...]] = set()
    own = _modelled(client, info, base, held)
    others: list[_Modelled] = []
    for name in index.index_names(client):
        if name == info.name:
            continue
        try:
            others.append(_modelled(client, index.index_info(client, name), base, held))
        except UnknownIndex:
            continue
        except MemDBError as exc:
            note = f"Index '{name}' is in INFO's total and cannot be modelled ({exc})"
            return Weighed(predicted, 1.0, (f"{note}: the built-in prediction of the index was kept.",))
    empty = own.empty + sum(other.empty for other in others)
    beside = sum(other.documents for other in others)
    factor = (total - empty) / (own.documents + beside)
    uncertainty = max(FORM, (EMPTY_FORM * empty + FORM * beside) / own.documents)
    notes = []
    if others:
        notes.append(
            f"valkey-search tells one total of all {len(others) + 1} indexes. "
            f"The share of '{info.name}' follows the model; {bytes_text(own.empty)} of it are taken empty."
        )
    return _judged(own.empty + factor * own.documents, factor, uncertainty, tuple(notes))


def _modelled(client: Client, info: IndexInfo, base: Profile, held: set[tuple[object, ...]]) -> _Modelled:
    """All fields of an index. A vector that another index of the same documents holds is there once.

    Args:
        client: of the server.
        info: the index.
        base: the built-in profile.
        held: what is held of the documents of others; this index's are added.

    Raises:
        OutOfRange: a dimension or M beyond what the model knows.
    """
    shape = without_metadata(client, info)
    whole, empty = (_bytes(info, of, base) for of in (shape, replace(shape, vectors=0)))
    for field in info.of_kind("VECTOR"):
        if field.vector is None:
            continue
        string = valkey.string_of(info, field)
        if string in held:
            whole -= valkey.index(with_vector(shape, field), base.allocator)["vectors_indexed"]
        held.add(string)
    return _Modelled(empty, whole - empty)


def _bytes(info: IndexInfo, shape: Shape, base: Profile) -> float:
    total = alone = sum(valkey.index(shape, base.allocator, vectors=False).values())
    for field in info.of_kind("VECTOR"):
        total += sum(valkey.index(with_vector(shape, field), base.allocator).values()) - alone
    return total
