"""Bytes of valkey-search's indexes: an exact part after its source, and counts of what was fitted.

The exact part follows valkey-search 1.2 (hnswlib in chunks of 10,240 places, vectors in pages, interned
strings, abseil's hash tables). The few constants were fitted to sizes recorded of valkey-search 1.2.1 on
Valkey 9.1.2 with libc's allocator (`tests/fixtures/valkey-search-1.2.1-memory.json`), which a test holds this
module against, each size also with constants that were fitted without it. Numbers were not recorded.
"""

from __future__ import annotations

import math

from memdb.sizing import redisearch
from memdb.sizing.allocator import SIZED, Allocator, Sized, doubled_buckets, swiss_slots
from memdb.sizing.keyspace import LISTPACK_VALUE, packed
from memdb.sizing.redisearch import Exact, Occurrences
from memdb.sizing.shape import Shape
from memdb.sizing.valkey_keys import keyspace
from memdb.vectors.index import Field, IndexInfo

BLOCK = 10_240  # places by which an index grows, and INITIAL_CAP's default
_LOCKS = 65_536 * 40  # of labels
# Of a place: lock, level, mark of a visit, pointer to the levels above; after its links, vector and label.
_LOCK, _LEVEL, _VISITED, _UPPER = 40, 4, 2, 8
_POINTER_AND_LABEL = 16
_PAGES = 40_960  # bytes of a chunk of vectors, which holds at least 8
_CHUNK = (128, 512, 64, 56)  # its record, its list of free places, its place in the table of chunks
_STRING_HEADER = 8  # of an interned string
_STRING_APART = 16  # of one whose bytes are in a chunk
_NODE = 24  # of label → place
# A slot of each hash table of keys, with the byte that says whether it is taken.
_SEQUENCES = 41 + 17  # of the key's last change, in the database and in the index
_IDS = 17 + 25  # id → key; key → id and length of its vector
_INTERNED, _QUEUED, _TAGGED, _NUMBERED = 9, 89, 49, 17
_SIZES = 24  # of a document's fields
_TAG_NODE, _TAG_CHILD = 96, 53  # of a tag's value in the tree
_NUMBER = 16 * 4 / 3 + 32 * 4 / 3 + 80  # of a value: its place in two trees

# How much of the documents waits at most, where an index is made over documents that are there: an HNSW index
# takes longer than reading them. The table of what waits stays as large as it was once.
WAITING = {"HNSW": 0.88, "FLAT": 0.5}

FITTED: dict[str, float] = {
    "index": 22_600.0,  # without documents
    "first_document": 64_000.0,  # what the first documents bring
    "hnsw_vector": 100.0,
    "word": 165.0,  # a word of a document: its entry, and its place in the document's own tree
    "repeated": 2.0,
    "term": 160.0,  # a word of all texts
    "text": 120.0,  # a text's own tree
}
CONNECTED = 82_000.0  # beside the keys: buffers of the client that wrote them


def documents(shape: Shape, allocator: Allocator) -> dict[str, float]:
    """Bytes of the documents by component, HASH only; JSON as RedisJSON stores them."""
    n = shape.vectors
    stored = keyspace(allocator)
    sizes = {"keys": 0.0, "vectors_stored": 0.0}
    if not n:
        return sizes
    others = redisearch.layout(shape)
    whole = stored.hash_fields([(9, shape.vector_bytes), *others])
    within = shape.vector_bytes <= LISTPACK_VALUE
    vector = packed(shape.vector_bytes) if within else stored.string(shape.vector_bytes)
    sizes["vectors_stored"] = float(n * vector)
    each = stored.key_object(shape.key_bytes) + whole - vector
    sizes["keys"] = stored.main_table(n) + n * each
    return sizes


def index(
    shape: Shape, allocator: Allocator, *, vectors: bool = True, waited: bool = True
) -> dict[str, float]:
    """Bytes of one index by component of `model.COMPONENTS`.

    Args:
        shape: its documents.
        allocator: of the server.
        vectors: whether it has a vector field.
        waited: whether it was made over documents that were there, which then waited in numbers.
    """
    exact, counts = design(shape, allocator, vectors=vectors)
    if not waited:
        exact["bookkeeping"] -= waiting(shape, expected(shape, vectors=vectors))
    for constant, (component, count) in counts.items():
        exact[component] += FITTED[constant] * count
    return exact


def design(shape: Shape, allocator: Allocator, *, vectors: bool = True) -> tuple[Exact, Occurrences]:
    """The exact bytes of an index by component, and how often each fitted constant occurs in it."""
    sized = SIZED[allocator]
    n = shape.vectors
    exact: Exact = dict.fromkeys(("vectors_indexed", "graph", "bookkeeping", "fields"), 0.0)
    counts: Occurrences = {"index": ("bookkeeping", 1.0), "first_document": ("bookkeeping", float(n > 0))}
    exact["bookkeeping"] += _table(n, _SEQUENCES) + n * (
        sized(_STRING_HEADER + shape.key_bytes + 1) + sized(_SIZES)
    )
    exact["bookkeeping"] += _table(2 * n if vectors else n, _INTERNED)
    exact["bookkeeping"] += waiting(shape, expected(shape, vectors=vectors))
    if vectors:
        exact["vectors_indexed"] += _stored(n, shape.vector_bytes, sized)
        exact["bookkeeping"] += _table(n, _IDS) + n * sized(_NODE) + sized(8 * doubled_buckets(n))
        _places(shape, sized, exact, counts)
    _fields(shape, sized, exact, counts)
    return exact, counts


def string_of(info: IndexInfo, field: Field) -> tuple[object, ...]:
    """What a vector field's vectors are as strings: fields that agree in it hold each vector once.

    Of the same documents and the same field; COSINE holds them with length 1.
    """
    metric = field.vector.metric if field.vector is not None else ""
    return (info.on, info.prefixes, field.identifier, metric == "COSINE")


def expected(shape: Shape, *, vectors: bool = True) -> float:
    """Which share of the documents waits at most, where the index is made over documents that are there."""
    return WAITING[shape.algorithm if vectors else "FLAT"]


def waiting(shape: Shape, share: float) -> float:
    """Bytes of the table of documents that waited, if this share of all waited at once."""
    return _table(math.ceil(share * shape.vectors), _QUEUED)


def _table(entries: int, slot: int) -> float:
    return float(slot * swiss_slots(entries))


def _stored(n: int, vector_bytes: int, sized: Sized) -> float:
    """Vectors in their chunks, with a record of each."""
    size = -(-(vector_bytes + 1) // 8) * 8
    each = max(8, _PAGES // size)
    chunk = sized(each * size) + sum(map(sized, _CHUNK))
    return float(-(-n // each) * chunk + n * sized(_STRING_APART))


def _places(shape: Shape, sized: Sized, exact: Exact, counts: Occurrences) -> None:
    n, m = shape.vectors, shape.m
    if shape.algorithm == "FLAT":
        exact["bookkeeping"] += _room(shape, sized, capacity(n))
        return
    exact["graph"] += _room(shape, sized, capacity(n)) + sized(_LOCKS)
    exact["graph"] += n / (m - 1) * sized(4 + 4 * m + 1)  # 1/M of each level is in the one above
    counts["hnsw_vector"] = ("bookkeeping", float(n))


def capacity(vectors: int, initial: int = BLOCK) -> int:
    """Places set aside for so many vectors: INITIAL_CAP, and a block more whenever they are taken."""
    return initial + max(0, -(-(vectors - initial) // BLOCK)) * BLOCK


def beyond_default(shape: Shape, allocator: Allocator, places: int) -> float:
    """Bytes that an index with so many places takes more than one that began with the default."""
    sized = SIZED[allocator]
    return _room(shape, sized, places) - _room(shape, sized, capacity(shape.vectors))


def _room(shape: Shape, sized: Sized, places: int) -> float:
    """Places, whether they are taken or not: in blocks, the rest for each place."""
    blocks = -(-places // BLOCK)
    if shape.algorithm == "FLAT":
        return float(blocks * sized(BLOCK * _POINTER_AND_LABEL))
    links = -(-(4 + 8 * shape.m) // 8) * 8
    in_blocks = blocks * (sized(BLOCK * (links + _POINTER_AND_LABEL)) + sized(BLOCK * _UPPER))
    return float(in_blocks + sum(sized(places * size) for size in (_LOCK, _LEVEL, _VISITED)))


def _fields(shape: Shape, sized: Sized, exact: Exact, counts: Occurrences) -> None:
    n = shape.vectors
    if not n:
        return
    if shape.tags:
        values = min(n, shape.tag_values)
        # A set of one document needs no memory of its own.
        entries = sized(_INTERNED * swiss_slots(-(-n // values)) + 16) if values < n else 0
        value = sized(_STRING_HEADER + shape.tag_bytes + 1) + sized(_TAG_NODE) + _TAG_CHILD + entries
        exact["fields"] += shape.tags * (_table(n, _TAGGED) + values * value + _table(values, _INTERNED))
    if shape.numbers:
        exact["fields"] += shape.numbers * (_table(n, _NUMBERED) + n * _NUMBER)
    if shape.text_bytes:
        different = redisearch.distinct(shape)
        counts["text"] = ("fields", float(n))
        counts["word"] = ("fields", n * different)
        counts["repeated"] = ("fields", n * (redisearch.words(shape) - different))
        counts["term"] = ("fields", redisearch.vocabulary(shape))
