"""Bytes of valkey-search's indexes: its hnswlib's arrays, and constants fitted to recorded sizes.

The arrays follow the source (blocks of 10,240 places, 65,536 locks of labels). The rest was fitted to sizes
of valkey-search 1.2.1 on Valkey 9.1.2 (`tests/fixtures/valkey-search-1.2.1-memory.json`), which a test
holds this module against. They were recorded with libc's allocator; here are jemalloc's size classes, which
the services use.
"""

from __future__ import annotations

from memdb.sizing import redisearch
from memdb.sizing.allocator import size_class
from memdb.sizing.shape import Shape

BLOCK = 10_240  # places by which an index grows, and INITIAL_CAP's default
_LOCKS = 65_536 * 40  # label_op_locks
_PLACE = 8 + 40 + 2  # pointer to upper levels, lock, mark of a visit
# Fitted.
_FIXED = 131_000.0  # an index without documents
_DOCUMENT, _DOCUMENT_SLOT = 77.0, 62.0  # key, metadata; a place in hash tables of 2ⁿ − 1 slots
_HNSW_VECTOR, _HNSW_SLOT = 236.0, 86.0
_FLAT_PLACE, _FLAT_SLOT = 5.4, 145.0
_TAG, _WORD, _NUMBER = 112.0, 158.0, 112.0  # a field of a document; numbers were not recorded


def index(shape: Shape) -> dict[str, float]:
    """Bytes of one index by component of `model.COMPONENTS`."""
    n, m = shape.vectors, shape.m
    capacity = max(1, -(-n // BLOCK)) * BLOCK
    kept = {
        "vectors_indexed": float(n * size_class(shape.vector_bytes + 1)),
        "graph": 0.0,
        "bookkeeping": _FIXED + n * _DOCUMENT + _slots(n) * _DOCUMENT_SLOT,
        "fields": n * (shape.tags * _TAG + shape.numbers * _NUMBER),
    }
    if shape.text_bytes:
        kept["fields"] += n * redisearch.words(shape) * _WORD
    if shape.algorithm == "HNSW":
        blocks = capacity // BLOCK
        kept["graph"] = blocks * size_class(BLOCK * (8 * m + 4 + 16)) + capacity * _PLACE + _LOCKS
        kept["graph"] += n / (m - 1) * size_class(4 * m + 5)
        kept["bookkeeping"] += n * _HNSW_VECTOR + _slots(n) * _HNSW_SLOT
    else:
        kept["bookkeeping"] += capacity * _FLAT_PLACE + _slots(n) * _FLAT_SLOT
    return kept


def _slots(count: int) -> int:
    """Slots of an abseil hash table with `count` entries: a power of two, at most seven eighths full."""
    slots = 1
    while slots - slots // 8 < count:
        slots = 2 * slots + 1
    return slots + 1 if count else 0
