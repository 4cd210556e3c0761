"""Keys and hashes as Valkey 9 stores them, allocated by jemalloc or by libc. Pure.

After Valkey's source (`object.c`, `entry.c`, `hashtable.c`), and held against the recorded sizes
(`tests/fixtures/valkey-search-1.2.1-memory.json`). Valkey 8.0 and older store keys otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memdb.sizing.allocator import SIZED, Allocator, Sized, sds_header
from memdb.sizing.keyspace import Keyspace, is_packed, listpack

_BUCKET, _ENTRIES = 64, 7  # bytes of a bucket, entries it holds
_OBJECT, _POINTER, _EXPIRE = 16, 8, 8
_TABLE = 80  # hashtable, without its buckets
_FIELD_HEADER = 3  # of a field's name, which has room for marks
_PACKED_AT_MOST = 512  # MEMORY USAGE of a hash of few fields that is a listpack
_EMBEDDED = 128  # bytes up to which a value stands beside its field's name


def keyspace(allocator: Allocator) -> Keyspace:
    """How Valkey 9 stores keys with this allocator."""
    sized = SIZED[allocator]

    def key_object(length: int, *, ttl: bool = False) -> int:
        # The key's string stands in the object, after a byte that says how long its header is.
        return sized(_OBJECT + (_EXPIRE if ttl else 0) + 1 + sds_header(length) + length + 1)

    def hash_fields(fields: Sequence[tuple[int, int]]) -> int:
        if is_packed(fields):
            return sized(listpack(fields))
        entries = sum(_entry(name, value, sized) for name, value in fields)
        return sized(_TABLE) + sized(_BUCKET * _buckets(len(fields))) + entries

    def string(length: int) -> int:
        return sized(length + sds_header(length) + 1)

    def main_table(count: int) -> float:
        buckets = _buckets(count)
        return float(sized(_BUCKET * buckets) + sized(_BUCKET) * buckets * _overfull(count / buckets))

    return Keyspace(key_object, hash_fields, string, main_table)


def allocator_of(name: str) -> Allocator:
    """The allocator by INFO's mem_allocator; jemalloc where it is not told, as most builds use it."""
    return "libc" if name.startswith("libc") else "jemalloc"


def untold(length: int, usage: int, allocator: Allocator) -> int:
    """Bytes of a hash that MEMORY USAGE leaves out: its key, and what was rounded up.

    Valkey 8.1 and 9 count the object without the key that stands in it, and a table as it was asked for.

    Args:
        length: of the key.
        usage: MEMORY USAGE; more than a listpack of 64 bytes a field is taken for a table.
        allocator: of the server.
    """
    sized = SIZED[allocator]
    rounded = sized(_TABLE) - _TABLE + sized(_BUCKET) - _BUCKET if usage > _PACKED_AT_MOST else 0
    return keyspace(allocator).key_object(length) - _OBJECT + rounded


def _entry(name: int, value: int, sized: Sized) -> int:
    """A field of a hash that is a table: a short value stands beside the name, a long one is a string."""
    named = _FIELD_HEADER + name + 1
    together = named + sds_header(value) + value + 1
    if together <= _EMBEDDED:
        return sized(together)
    return sized(_POINTER + named) + sized(value + sds_header(value) + 1)


def _buckets(count: int) -> int:
    """A power of two with room for so many entries."""
    return 1 << max(0, -(-count // _ENTRIES) - 1).bit_length()


def _overfull(mean: float) -> float:
    """Share of buckets with more entries than they hold, each of which has one more bucket."""
    return 1 - sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(_ENTRIES + 1))
