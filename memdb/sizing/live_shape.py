"""An index that is there as a shape: from FT.INFO and a sample of its documents. Only reads."""

from __future__ import annotations

import statistics
from dataclasses import replace
from itertools import islice
from typing import get_args

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.keys import beginning
from memdb.sizing import redisearch
from memdb.sizing.model import Profile, stored_by, stored_bytes
from memdb.sizing.shape import MOST_TAG, Shape
from memdb.vectors.index import Field, IndexInfo
from memdb.vectors.schema import VectorType

NAMES = 400  # keys whose names are looked at
_READ = 200  # documents whose tags and lengths of texts are read
_UNIQUE = 0.9  # of the values read: from here on each document is taken to have its own


def shape_of(client: Client, info: IndexInfo, key_bytes: float, base: Profile) -> Shape:
    """The shape of an index's documents.

    What a document holds besides keys, vector and indexed fields is taken from what it weighs.

    Args:
        client: of the server.
        info: of the index.
        key_bytes: mean MEMORY USAGE of a document.
        base: the built-in profile of the server's engine.
    """
    shape = without_metadata(client, info)
    table = stored_by(base).main_table(info.documents)
    bare = (stored_bytes(shape, base) - table) / info.documents
    return replace(shape, metadata_bytes=round(max(0.0, key_bytes - bare)))


def without_metadata(client: Client, info: IndexInfo) -> Shape:
    """What is indexed of an index's documents; of one without vectors, with one number as if it were one.

    Of several vector fields the first; `with_vector` gives the others.
    """
    names = _names(client, info)
    tags = info.of_kind("TAG")
    values, length = _tags(client, info, names, tags)
    texts = _text_bytes(client, info, names)
    shape = Shape(
        vectors=info.documents,
        dim=1,
        key_type="JSON" if info.on == "JSON" else "HASH",
        text_bytes=texts,
        text_vocabulary=(info.terms or 0) if texts else 0,
        tags=len(tags),
        tag_values=values,
        tag_bytes=length,
        numbers=len(info.of_kind("NUMERIC")),
        key_bytes=round(statistics.fmean(map(len, names))) if names else Shape(1, 1).key_bytes,
        random_keys=bool(names) and redisearch.random_names(names),
    )
    vectors = info.of_kind("VECTOR")
    return with_vector(shape, vectors[0]) if vectors else shape


def with_vector(shape: Shape, field: Field) -> Shape:
    """The same documents with this vector field.

    Raises:
        OutOfRange: a dimension or M beyond what the model knows.
    """
    params = field.vector
    if params is None:
        return shape
    return replace(
        shape,
        dim=params.dim,
        type=params.type if params.type in get_args(VectorType) else "FLOAT32",  # type: ignore[arg-type]
        m=params.m or 16,
        algorithm="FLAT" if params.algorithm == "FLAT" else "HNSW",
    )


def _names(client: Client, info: IndexInfo) -> list[bytes]:
    prefix = info.prefixes[0] if info.prefixes else ""
    reply = client.execute("SCAN", "0", "MATCH", beginning(prefix), "COUNT", 1_000)
    return list(islice((bytes(key) for key in replies.items(reply[1])), NAMES))


def _tags(client: Client, info: IndexInfo, names: list[bytes], tags: tuple[Field, ...]) -> tuple[int, int]:
    """Different values of a tag field and the bytes of one, on average over fields and a sample of hashes."""
    usual = Shape(1, 1)
    if not tags or not names or info.on == "JSON":
        return usual.tag_values, usual.tag_bytes
    sample = names[:_READ]
    rows = client.pipeline([("HMGET", key, *(field.identifier for field in tags)) for key in sample])
    counts, lengths = [], []
    for place, field in enumerate(tags):
        cells = [bytes(row[place]) for row in rows if isinstance(row, list) and row[place] is not None]
        separator = field.separator.encode("utf-8", "surrogateescape")
        values = [part for cell in cells for part in (cell.split(separator) if separator else [cell]) if part]
        if not values:
            continue
        different = len(set(values))
        unique = different >= _UNIQUE * len(values)
        counts.append(info.documents if unique and len(values) > 1 else different)
        lengths.append(statistics.fmean(map(len, values)))
    if not counts:
        return usual.tag_values, usual.tag_bytes
    mean_length = round(statistics.fmean(lengths))
    return max(1, round(statistics.fmean(counts))), min(MOST_TAG, max(1, mean_length))


def _text_bytes(client: Client, info: IndexInfo, names: list[bytes]) -> int:
    """Mean bytes of the indexed texts of a document, from a sample of hashes."""
    texts = info.of_kind("TEXT")
    sample = names[:_READ]
    if not texts or not sample or info.on == "JSON":
        return 0
    sizes = client.pipeline([("HSTRLEN", key, field.identifier) for key in sample for field in texts])
    return round(sum(replies.integer(size) for size in sizes) / len(sample))
