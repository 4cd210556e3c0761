"""Reading vectors out of an index, in blocks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.errors import BadVector, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.vectors import distance
from memdb.vectors.distance import Floats
from memdb.vectors.filters import EVERYTHING, Condition, Rendered, render
from memdb.vectors.index import Field, IndexInfo, VectorParams

KEYS_A_BATCH = 1_000
BYTES_A_BATCH = 8 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some documents and their vectors."""

    keys: tuple[str, ...]
    vectors: Floats  # (len(keys), dim), prepared for the metric of the index, read-only


def blocks(
    client: Client,
    info: IndexInfo,
    field: str = "",
    condition: Condition | str = EVERYTHING,
    *,
    report: Report = silent,
) -> Iterator[Block]:
    """The vectors that the index holds under a filter, block by block, each of at most 8 MB.

    Documents without a usable vector are left out, as the index leaves them out.

    Raises:
        UnsupportedFeature: this engine offers no way to list the documents of this filter or type.
    """
    found, params = info.vector_field(field)
    if info.on != "HASH":
        raise UnsupportedFeature("Reading all vectors", "the index is over JSON documents")
    size = max(1, min(KEYS_A_BATCH, BYTES_A_BATCH // params.bytes))
    done = 0
    for keys in matching_keys(client, info, condition, size):
        replies_ = client.pipeline([("HGET", key, found.identifier) for key in keys])
        kept, vectors = _decode(keys, replies_, found, params)
        done += len(keys)
        report("Reading vectors", min(done, info.documents), info.documents)
        if kept:
            prepared = distance.prepared(np.stack(vectors), params.metric)
            prepared.setflags(write=False)
            yield Block(tuple(kept), prepared)


def matching_keys(
    client: Client, info: IndexInfo, condition: Condition | str = EVERYTHING, size: int = KEYS_A_BATCH
) -> Iterator[list[str]]:
    """Keys of all documents under a filter, at most `size` at a time; each key once.

    By cursor where the engine has one, by SCAN where nothing is filtered, else page by page.
    """
    rendered = render(condition, client.server.dialect, info)
    if client.server.dialect.has("FT.CURSOR"):
        yield from _by_cursor(client, info, rendered, size)
    elif rendered.everything:
        yield from _by_scan(client, info, size)
    else:
        yield from _by_page(client, info, rendered, size)


def _decode(
    keys: Sequence[str], values: Sequence[object], found: Field, params: VectorParams
) -> tuple[list[str], list[Floats]]:
    kept: list[str] = []
    vectors: list[Floats] = []
    for key, value in zip(keys, values, strict=True):
        if not isinstance(value, bytes) or len(value) != params.bytes:
            continue
        try:
            vectors.append(distance.checked(distance.from_bytes(value, params.type), params.dim, found.name))
        except BadVector:
            continue
        kept.append(key)
    return kept, vectors


def _by_cursor(client: Client, info: IndexInfo, rendered: Rendered, size: int) -> Iterator[list[str]]:
    args: list[Arg] = ["FT.AGGREGATE", info.name, rendered.query, "LOAD", 1, "@__key"]
    bound = [part for pair in rendered.params for part in pair]
    args += ["PARAMS", len(bound), *bound] if bound else []
    args += ["WITHCURSOR", "COUNT", size, "TIMEOUT", client.server.dialect.limits.timeout_ms, "DIALECT", 2]
    rows, cursor = replies.items(client.execute(*args))
    try:
        while True:
            keys = [replies.key(replies.pairs(row).get("__key")) for row in replies.items(rows)[1:]]
            cursor = replies.integer(cursor)
            if keys:
                yield keys
            if not cursor:
                return
            rows, cursor = replies.items(
                client.execute("FT.CURSOR", "READ", info.name, cursor, "COUNT", size)
            )
    finally:
        if replies.integer(cursor):
            client.execute("FT.CURSOR", "DEL", info.name, replies.integer(cursor))


def _by_scan(client: Client, info: IndexInfo, size: int) -> Iterator[list[str]]:
    seen: set[str] = set()
    for prefix in info.prefixes or ("",):
        pattern = "".join(f"\\{c}" if c in "*?[]\\^" else c for c in prefix) + "*"
        cursor: Arg = 0
        while True:
            reply = client.execute("SCAN", cursor, "MATCH", pattern, "COUNT", size, "TYPE", info.on.lower())
            cursor = replies.text(reply[0])
            keys = [key for key in map(replies.key, reply[1]) if key not in seen]
            seen.update(keys)
            for start in range(0, len(keys), size):
                yield keys[start : start + size]
            if cursor == "0":
                break


def _by_page(client: Client, info: IndexInfo, rendered: Rendered, size: int) -> Iterator[list[str]]:
    plain = [f.name for f in info.fields if f.kind in {"NUMERIC", "TAG"}]
    returned: tuple[Arg, ...] = ("RETURN", 1, plain[0]) if plain else ()
    offset = 0
    while True:
        reply = client.execute(
            "FT.SEARCH", info.name, rendered.query, *returned, "LIMIT", offset, size, "DIALECT", 2
        )
        keys = [replies.key(part) for part in replies.items(reply)[1:] if not isinstance(part, list)]
        if keys:
            yield keys
        offset += size
        if len(keys) < size:
            return
