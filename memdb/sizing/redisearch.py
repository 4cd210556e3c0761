"""Bytes as RediSearch 2.10 on Redis 8.2 allocates them: an exact part, and counts of what was fitted.

The exact part follows the allocator (size classes), the tables (powers of two, primes) and the blocks of
1,024 vectors; each rule was checked against MEMORY USAGE and used_memory of the local engine
(docs/sizing.md).
What depends on the data, such as how keys share prefixes, is a count times a constant that `calibrate.fit`
finds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from memdb.sizing.allocator import (
    chained,
    grown,
    power_of_two,
    prime_buckets,
    sds,
    sds_header,
    size_class,
)
from memdb.sizing.shape import Shape

BLOCK = 1_024  # vectors of one block of an index; its memory grows a block at a time
LISTPACK_VALUE = 64  # hash-max-listpack-value: one longer value, and every field gets an allocation
_HEADER = 8  # of each allocation of the vector library
_TAG_BYTES, _NUMBER_BYTES = 6, 5  # lengths of a tag and a number as text
_CONTAINER = 72 - _HEADER  # a vector object of the library, e.g. of incoming links

# Component → bytes of all documents, and constant → (component, count).
Exact = dict[str, float]
Counts = dict[str, tuple[str, float]]


def design(shape: Shape) -> tuple[Exact, Counts]:
    """The exact bytes of a shape by component, and how often each fitted constant occurs in it."""
    exact: Exact = dict.fromkeys(("keys", "vectors_stored", "vectors_indexed", "graph", "bookkeeping"), 0.0)
    exact["fields"] = 0.0
    counts: Counts = {"index_fixed": ("bookkeeping", 1.0)}
    _keyspace(shape, exact, counts)
    _documents(shape, exact, counts)
    if shape.algorithm == "HNSW":
        _graph(shape, exact, counts)
    else:
        _flat(shape, exact)
    _fields(shape, counts)
    return exact, counts


def documents(shape: Shape) -> tuple[Exact, Counts]:
    """Only what an index keeps of its documents, whatever their fields: the table, the keys' names."""
    exact: Exact = {"bookkeeping": 0.0}
    counts: Counts = {"index_fixed": ("bookkeeping", 1.0)}
    _documents(shape, exact, counts)
    return exact, counts


def vector_field(shape: Shape) -> tuple[Exact, Counts]:
    """Only one vector field's index: the vectors again, links, labels."""
    exact: Exact = dict.fromkeys(("vectors_indexed", "graph", "bookkeeping"), 0.0)
    counts: Counts = {}
    if shape.algorithm == "HNSW":
        _graph(shape, exact, counts)
    else:
        _flat(shape, exact)
    return exact, counts


def key_object(length: int, *, ttl: bool = False) -> int:
    """A key with the object it names, which Redis 8.2 keeps in one allocation."""
    return size_class(17 + (8 if ttl else 0) + sds_header(length) + length + 1)


def main_table(count: int) -> float:
    """The table of all keys, and the entries of those that share a place in it."""
    buckets = power_of_two(count)
    return float(size_class(8 * buckets) + 16 * chained(count, buckets))


def hash_fields(fields: Sequence[tuple[int, int]]) -> int:
    """A hash without its key; fields as (length of name, length of value)."""
    if all(value <= LISTPACK_VALUE and name <= LISTPACK_VALUE for name, value in fields):
        return size_class(7 + sum(_packed(name) + _packed(value) for name, value in fields))
    entries = sum(24 + sds(name) + sds(value) for name, value in fields)
    return size_class(56) + size_class(8 * power_of_two(len(fields))) + entries


def layout(shape: Shape) -> list[tuple[int, int]]:
    """The fields of one document besides its vector, as (length of name, length of value)."""
    fields = [(8, shape.metadata_bytes)] if shape.metadata_bytes else []
    fields += [(4, shape.text_bytes)] if shape.text_bytes else []
    return [*fields, *[(4, _TAG_BYTES)] * shape.tags, *[(7, _NUMBER_BYTES)] * shape.numbers]


def words(text_bytes: float) -> float:
    """Indexed words of a text of so many bytes: technical English, stop words left out."""
    return 0.1115 * text_bytes


def distinct(text_words: float) -> float:
    """Different ones among the words of one document; fitted to the demo's corpus."""
    return min(text_words, 1.33 * math.pow(text_words, 0.857))


def vocabulary(all_words: float) -> float:
    """Different ones among all words (Heaps' law); fitted to the demo's corpus."""
    return min(all_words, 25.0 * math.pow(all_words, 0.52))


def _packed(length: int) -> int:
    return length + (2 if length < 64 else 3) + (length > 125)


def _keyspace(shape: Shape, exact: Exact, counts: Counts) -> None:
    n = shape.vectors
    exact["keys"] += main_table(n) + n * key_object(shape.key_bytes)
    others = layout(shape)
    if shape.key_type == "JSON":
        numbers = 16 * shape.dim + size_class(8 * power_of_two(shape.dim) + 16)
        exact["vectors_stored"] += n * numbers
        exact["keys"] += n * sum(size_class(value + 16) for _, value in others if value > _TAG_BYTES)
        counts["json_document"] = ("keys", float(n))
        counts["json_field"] = ("keys", float(n * len(others)))
        return
    whole = hash_fields([(9, shape.vector_bytes), *others])
    packed = shape.vector_bytes <= LISTPACK_VALUE
    vector = _packed(shape.vector_bytes) if packed else 24 + sds(9) + sds(shape.vector_bytes)
    exact["vectors_stored"] += n * vector
    exact["keys"] += n * (whole - vector)


def _documents(shape: Shape, exact: Exact, counts: Counts) -> None:
    """RediSearch's own record of each document: metadata, its key once more, its place in two tables."""
    n = shape.vectors
    exact["bookkeeping"] += n * (64 + sds(shape.key_bytes))
    exact["bookkeeping"] += size_class(16 * grown(n)) - size_class(16 * 1_000)
    counts["random_key" if shape.random_keys else "counter_key"] = ("bookkeeping", float(n))


def _graph(shape: Shape, exact: Exact, counts: Counts) -> None:
    n, m = shape.vectors, shape.m
    blocks = -(-n // BLOCK)
    capacity = blocks * BLOCK
    exact["vectors_indexed"] += blocks * size_class(BLOCK * shape.vector_bytes + _HEADER)
    # A node: level, lock, pointer to upper levels (56), its lowest level (16), 2·M links of 4 bytes.
    exact["graph"] += blocks * size_class(BLOCK * (72 + 8 * m) + _HEADER)
    incoming = size_class(_CONTAINER + _HEADER)
    upper = 1 / (m - 1)  # mean number of levels above the lowest: each holds 1/M of the one below
    exact["graph"] += n * incoming + n * upper * (incoming + size_class(16 + 4 * m + _HEADER))
    exact["bookkeeping"] += n * size_class(24 + _HEADER)  # label → place
    exact["bookkeeping"] += size_class(8 * prime_buckets(n) + _HEADER)
    exact["bookkeeping"] += size_class(9 * capacity + _HEADER) + size_class(2 * capacity + _HEADER)
    counts["reverse_link"] = ("graph", float(n))


def _flat(shape: Shape, exact: Exact) -> None:
    n = shape.vectors
    blocks = -(-n // BLOCK)
    exact["vectors_indexed"] += blocks * size_class(BLOCK * shape.vector_bytes + _HEADER)
    exact["bookkeeping"] += n * size_class(24 + _HEADER) + size_class(8 * prime_buckets(n) + _HEADER)
    exact["bookkeeping"] += size_class(8 * blocks * BLOCK + _HEADER)


def _fields(shape: Shape, counts: Counts) -> None:
    n = shape.vectors
    if shape.tags:
        counts["tag"] = ("fields", float(n * shape.tags))
        counts["tag_value"] = ("fields", float(min(n, shape.tag_values) * shape.tags))
    if shape.numbers:
        counts["number"] = ("fields", float(n * shape.numbers))
    if shape.text_bytes:
        each = words(shape.text_bytes)
        counts["posting"] = ("fields", n * distinct(each))
        counts["term"] = ("fields", vocabulary(n * each))
