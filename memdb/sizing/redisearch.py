"""Bytes as RediSearch 2.10 on Redis 8.2 allocates them: an exact part, and counts of what was fitted.

The exact part follows the allocator (size classes), the tables (powers of two, primes) and the blocks of
1,024 vectors; each rule was checked against MEMORY USAGE and used_memory of the local engine
(docs/sizing.md).
What depends on the data, such as how keys share prefixes, is a count times a constant that
`benchmarks.sizing --fit` finds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from memdb.sizing.allocator import (
    chained,
    grown,
    power_of_two,
    reserved_buckets,
    sds,
    sds_header,
    size_class,
)
from memdb.sizing.keyspace import LISTPACK_VALUE, Keyspace, is_packed, listpack, packed
from memdb.sizing.shape import Shape

BLOCK = 1_024  # vectors of one block of an index; its memory grows a block at a time
_HEADER = 8  # of each allocation of the vector library
_NUMBER_BYTES = 5  # length of a number as text
_KNOWN_TERM = 242.0  # as FT.INFO counts terms; an estimated vocabulary is of words, which bring their stems
_CONTAINER = 72 - _HEADER  # a vector object of the library, e.g. of incoming links

# Component → bytes of all documents, and constant → (component, count).
Exact = dict[str, float]
Occurrences = dict[str, tuple[str, float]]


def design(shape: Shape) -> tuple[Exact, Occurrences]:
    """The exact bytes of a shape by component, and how often each fitted constant occurs in it."""
    exact: Exact = dict.fromkeys(("keys", "vectors_stored", "vectors_indexed", "graph", "bookkeeping"), 0.0)
    exact["fields"] = 0.0
    counts: Occurrences = {"index_fixed": ("bookkeeping", 1.0)}
    _keyspace(shape, exact, counts)
    _documents(shape, exact, counts)
    if shape.algorithm == "HNSW":
        _graph(shape, exact, counts)
    else:
        _flat(shape, exact)
    _fields(shape, exact, counts)
    return exact, counts


def documents(shape: Shape) -> tuple[Exact, Occurrences]:
    """Only what an index keeps of its documents, whatever their fields: the table, the keys' names."""
    exact: Exact = {"bookkeeping": 0.0}
    counts: Occurrences = {"index_fixed": ("bookkeeping", 1.0)}
    _documents(shape, exact, counts)
    return exact, counts


def vector_field(shape: Shape) -> tuple[Exact, Occurrences]:
    """Only one vector field's index: the vectors again, links, labels."""
    exact: Exact = dict.fromkeys(("vectors_indexed", "graph", "bookkeeping"), 0.0)
    counts: Occurrences = {}
    if shape.algorithm == "HNSW":
        _graph(shape, exact, counts)
    else:
        _flat(shape, exact)
    return exact, counts


def key_object(length: int, *, ttl: bool = False) -> int:
    """A key with the object it names, which Redis 8.2 keeps in one allocation.

    A key of 128 bytes or more has room for its time to live before it has one.
    """
    return size_class(17 + (8 if ttl or length >= 128 else 0) + sds_header(length) + length + 1)


def main_table(count: int) -> float:
    """The table of all keys, and the entries of those that share a place in it."""
    buckets = power_of_two(count)
    return float(size_class(8 * buckets) + 16 * chained(count, buckets))


def hash_fields(fields: Sequence[tuple[int, int]]) -> int:
    """A hash without its key; fields as (length of name, length of value)."""
    if is_packed(fields):
        return size_class(listpack(fields))
    entries = sum(24 + sds(name) + sds(value) for name, value in fields)
    return size_class(56) + size_class(8 * power_of_two(len(fields))) + entries


KEYSPACE = Keyspace(key_object, hash_fields, sds, main_table)


def layout(shape: Shape) -> list[tuple[int, int]]:
    """The fields of one document besides its vector, as (length of name, length of value)."""
    fields = [(8, shape.metadata_bytes)] if shape.metadata_bytes else []
    fields += [(4, shape.text_bytes)] if shape.text_bytes else []
    return [*fields, *[(4, shape.tag_bytes)] * shape.tags, *[(7, _NUMBER_BYTES)] * shape.numbers]


def words(shape: Shape) -> float:
    """Indexed words of one document's text: as given, or those of technical English without stop words."""
    return float(shape.text_words) if shape.text_words else 0.1115 * shape.text_bytes


def distinct(shape: Shape) -> float:
    """Different ones among the words of one document; fitted to the demo's corpus.

    At most as many as draws from the given vocabulary would bring.
    """
    each = words(shape)
    different = min(each, 1.33 * math.pow(each, 0.857))
    words_known = shape.text_vocabulary
    return min(different, words_known * -math.expm1(-each / words_known)) if words_known else different


def vocabulary(shape: Shape) -> float:
    """Different ones among all words: as given, or by Heaps' law with the demo's corpus."""
    every = shape.vectors * words(shape)
    return min(every, float(shape.text_vocabulary) or 44.0 * math.pow(every, 0.46))


def _of_length(shape: Shape) -> float:
    """Bytes more of a term where words are longer than a language's, as identifiers are.

    Each character takes some 4 bytes of the tree of terms. A language's texts bring up to 9 bytes a word,
    with blanks and words that are not indexed; from there on the words themselves are taken to be long.
    """
    if not shape.text_words:
        return 0.0
    length = shape.text_bytes / shape.text_words - 1
    return max(0.0, min(12.0 * (length - 9), 4.0 * (length - 2)))


def random_names(names: Iterable[bytes]) -> bool:
    """Whether names of keys are random, as UUIDs are: counters share what stands before their digits."""
    ours = list(names)
    stems = {name.rstrip(b"0123456789") for name in ours}
    return 2 * len(stems) > len(ours)


def _keyspace(shape: Shape, exact: Exact, counts: Occurrences) -> None:
    n = shape.vectors
    if not n:
        return
    exact["keys"] += main_table(n) + n * key_object(shape.key_bytes)
    if shape.key_type == "JSON":
        _json(shape, exact, counts)
        return
    others = layout(shape)
    whole = hash_fields([(9, shape.vector_bytes), *others])
    within = shape.vector_bytes <= LISTPACK_VALUE
    vector = packed(shape.vector_bytes) if within else 24 + sds(9) + sds(shape.vector_bytes)
    exact["vectors_stored"] += n * vector
    exact["keys"] += n * (whole - vector)


def _json(shape: Shape, exact: Exact, counts: Occurrences) -> None:
    """Documents as RedisJSON 2.8 stores them."""
    n = shape.vectors
    numbers = 16 * shape.dim + size_class(8 * power_of_two(shape.dim) + 16)
    exact["vectors_stored"] += n * numbers
    long = [size for size in (shape.metadata_bytes, shape.text_bytes) if size]
    exact["keys"] += n * sum(size_class(size + 16) for size in long)
    # RedisJSON keeps equal strings once, so that few tag values take nothing.
    exact["keys"] += shape.tags * min(n, shape.tag_values) * size_class(shape.tag_bytes + 16)
    counts["json_document"] = ("keys", float(n))
    counts["json_field"] = ("keys", float(n * len(long)))
    counts["json_number"] = ("keys", float(n * shape.numbers))


def _documents(shape: Shape, exact: Exact, counts: Occurrences) -> None:
    """RediSearch's own record of each document: metadata, its key once more, its place in two tables."""
    n = shape.vectors
    exact["bookkeeping"] += n * (64 + sds(shape.key_bytes))
    exact["bookkeeping"] += size_class(16 * grown(n)) - size_class(16 * 1_000)
    if shape.random_keys:
        counts["random_key"] = ("bookkeeping", float(n))
        counts["random_key_byte"] = ("bookkeeping", float(n * shape.key_bytes))
    else:
        counts["counter_key"] = ("bookkeeping", float(n))


def _graph(shape: Shape, exact: Exact, counts: Occurrences) -> None:
    n, m = shape.vectors, shape.m
    blocks = -(-n // BLOCK)
    capacity = max(1, blocks) * BLOCK
    exact["vectors_indexed"] += blocks * size_class(BLOCK * shape.vector_bytes + _HEADER)
    # A node: level, lock, pointer to upper levels (56), its lowest level (16), 2·M links of 4 bytes.
    exact["graph"] += blocks * size_class(BLOCK * (72 + 8 * m) + _HEADER)
    incoming = size_class(_CONTAINER + _HEADER)
    upper = 1 / (m - 1)  # mean number of levels above the lowest: each holds 1/M of the one below
    exact["graph"] += n * incoming + n * upper * (incoming + size_class(16 + 4 * m + _HEADER))
    _labels(n, exact)
    exact["bookkeeping"] += size_class(9 * capacity + _HEADER) + size_class(2 * capacity + _HEADER)
    counts["reverse_link"] = ("graph", n * one_way(m, shape.dim))


def one_way(m: int, dim: int) -> float:
    """Bytes a node keeps for links that lead to it and not back, in units of those at M 16 and 32 dimensions.

    Such links arise where a full node drops one. With a large M no node is full, with a small one few links
    are there to be dropped; in more dimensions more nodes are neighbours of very many. Seen on random
    vectors.
    """
    width = math.log2(max(16, min(dim, 768)) / 16)
    peak, height = 3.7 + 0.33 * width, 20.0 + 4.5 * width
    away = math.log2(m) - peak
    if away < 0:
        return (15 + (height - 15) * math.exp(-((away / 0.8) ** 2))) / 25
    return height * math.exp(-((away / 1.07) ** 2)) / 25


def _flat(shape: Shape, exact: Exact) -> None:
    n = shape.vectors
    blocks = -(-n // BLOCK)
    exact["vectors_indexed"] += blocks * size_class(BLOCK * shape.vector_bytes + _HEADER)
    _labels(n, exact)
    exact["bookkeeping"] += size_class(8 * blocks * BLOCK + _HEADER)


def _labels(n: int, exact: Exact) -> None:
    """Label → place: an entry for each vector, and buckets for whole blocks."""
    exact["bookkeeping"] += n * size_class(24 + _HEADER)
    exact["bookkeeping"] += size_class(8 * reserved_buckets(-(-n // BLOCK) * BLOCK) + _HEADER)


def _fields(shape: Shape, exact: Exact, counts: Occurrences) -> None:
    n = shape.vectors
    if shape.tags:
        values = min(n, shape.tag_values) * shape.tags
        counts["tag"] = ("fields", float(n * shape.tags))
        counts["tag_value"] = ("fields", float(values))
        counts["tag_value_byte"] = ("fields", float(values * shape.tag_bytes))
    if shape.numbers:
        counts["number"] = ("fields", float(n * shape.numbers))
    if shape.text_bytes:
        counts["word"] = ("fields", n * words(shape))
        counts["posting"] = ("fields", n * distinct(shape))
        if shape.text_vocabulary:
            exact["fields"] += (_KNOWN_TERM + _of_length(shape)) * vocabulary(shape)
        else:
            counts["term"] = ("fields", vocabulary(shape))
