"""Reading vectors out of an index, in blocks, so that memory stays bounded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.replies import Reply
from memdb.jobs import Report, silent
from memdb.vectors import distance, stored
from memdb.vectors.distance import Vectors
from memdb.vectors.filters import EVERYTHING, Condition, Rendered, render
from memdb.vectors.index import KEY_TYPES, Field, IndexInfo, VectorParams, key_pattern

KEYS_A_BATCH = 1_000
BYTES_A_BATCH = 8 * 2**20
AHEAD = 2  # batches asked for before the first of them is decoded


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some documents and their vectors."""

    keys: tuple[str, ...]
    vectors: Vectors  # (len(keys), dim), prepared for the metric of the index, read-only; as wide as stored


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
    size = max(1, min(KEYS_A_BATCH, BYTES_A_BATCH // params.bytes))
    done = 0
    if client.server.dialect.has("FT.CURSOR"):
        # Key and vector in one reply: four times as fast as asking for each hash.
        rendered = render(condition, client.server.dialect, info)
        batches = _by_cursor(client, info, rendered, size, found.name)
    else:
        batches = _fetched(client, matching_keys(client, info, condition, size), info, found)
    for keys, values in batches:
        done += len(keys)
        report("Reading vectors", min(done, info.documents), info.documents)
        if block := decoded(keys, stored.vectors(info, params, values), found, params):
            yield block


def vectors_of(client: Client, info: IndexInfo, field: str, keys: Sequence[str]) -> Block | None:
    """The vectors of some documents, without those that hold none that is usable; None if none does."""
    found, params = info.vector_field(field)
    values: list[Reply] = []
    for start in range(0, len(keys), KEYS_A_BATCH):
        batch = keys[start : start + KEYS_A_BATCH]
        values += client.pipeline([stored.asking(info, found, key) for key in batch])
    return decoded(keys, stored.vectors(info, params, values), found, params)


def decoded(keys: Sequence[str], values: Sequence[Reply], found: Field, params: VectorParams) -> Block | None:
    """Stored values as a block; values that are no usable vector are left out, None if none is left."""
    good = [i for i, value in enumerate(values) if type(value) is bytes and len(value) == params.bytes]
    if not good:
        return None
    if len(good) == len(values):
        kept, joined = tuple(keys), b"".join(values)
    else:
        kept, joined = tuple(keys[i] for i in good), b"".join([values[i] for i in good])
    matrix = distance.from_bytes(joined, params.type).reshape(len(good), params.dim)
    # One number tells whether all are finite; only where it is not, or overflows, each is looked at.
    flat = matrix.reshape(-1)
    if not math.isfinite(flat @ flat):
        usable = np.flatnonzero(np.isfinite(matrix).all(axis=1))
        matrix = matrix[usable]
        kept = tuple(kept[i] for i in usable)
        if not kept:
            return None
    make = distance.prepared_wide if params.type == "FLOAT64" else distance.prepared
    prepared = make(matrix, params.metric)
    prepared.setflags(write=False)
    return Block(kept, prepared)


def _fetched(
    client: Client, batches: Iterator[list[str]], info: IndexInfo, found: Field
) -> Iterator[tuple[list[str], list[Reply]]]:
    """One field of all keys: while one batch is on its way, the next is listed and the last one decoded."""
    waiting: deque[tuple[list[str], Future[list[Reply]]]] = deque()
    with ThreadPoolExecutor(1, "read") as thread:
        try:
            for keys in batches:
                commands = [stored.asking(info, found, key) for key in keys]
                waiting.append((keys, thread.submit(client.pipeline, commands)))
                if len(waiting) > AHEAD:
                    asked, future = waiting.popleft()
                    yield asked, future.result()
            while waiting:
                asked, future = waiting.popleft()
                yield asked, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
            batches.close()  # type: ignore[attr-defined]  # a generator: its cursor must not stay open


def matching_keys(
    client: Client, info: IndexInfo, condition: Condition | str = EVERYTHING, size: int = KEYS_A_BATCH
) -> Iterator[list[str]]:
    """Keys of all documents under a filter, at most `size` at a time; each key once.

    By cursor where the engine has one, by SCAN where nothing is filtered, else page by page.
    """
    rendered = render(condition, client.server.dialect, info)
    if client.server.dialect.has("FT.CURSOR"):
        for keys, _ in _by_cursor(client, info, rendered, size):
            yield keys
    elif rendered.everything:
        yield from by_scan(client, info, size)
    else:
        yield from _by_page(client, info, rendered, size)


def _by_cursor(
    client: Client, info: IndexInfo, rendered: Rendered, size: int, field: str = ""
) -> Iterator[tuple[list[str], list[Reply]]]:
    """Keys, and the raw values of one field if it is named."""
    loaded: list[Arg] = ["@__key", f"@{field}"] if field else ["@__key"]
    args: list[Arg] = ["FT.AGGREGATE", info.name, rendered.query, "LOAD", len(loaded), *loaded]
    bound = [part for pair in rendered.params for part in pair]
    args += ["PARAMS", len(bound), *bound] if bound else []
    args += ["WITHCURSOR", "COUNT", size, "TIMEOUT", client.server.dialect.limits.timeout_ms, "DIALECT", 2]
    rows, cursor = replies.items(client.execute(*args))
    try:
        while True:
            # A row is a flat array of names and values; a document without the field has only its key.
            found = [dict(zip(row[::2], row[1::2], strict=False)) for row in replies.items(rows)[1:]]
            keys = [replies.key(row.get(b"__key")) for row in found]
            cursor = replies.integer(cursor)
            if keys:
                wanted = field.encode("utf-8", "surrogateescape")
                yield keys, [row.get(wanted) for row in found] if field else []
            if not cursor:
                return
            rows, cursor = replies.items(
                client.execute("FT.CURSOR", "READ", info.name, cursor, "COUNT", size)
            )
    finally:
        if replies.integer(cursor):
            client.execute("FT.CURSOR", "DEL", info.name, replies.integer(cursor))


def by_scan(client: Client, info: IndexInfo, size: int) -> Iterator[list[str]]:
    """The keys under the index's prefixes, whether or not the index has them yet, batch by batch."""
    seen: set[str] = set()
    kind = KEY_TYPES.get(info.on.upper(), info.on)
    for prefix in info.prefixes or ("",):
        cursor: Arg = 0
        while True:
            reply = client.execute("SCAN", cursor, "MATCH", key_pattern(prefix), "COUNT", size, "TYPE", kind)
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
