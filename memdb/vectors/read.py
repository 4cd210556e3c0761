"""Reading vectors out of an index, in blocks, so that memory stays bounded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.cluster.keys import beginning
from memdb.cluster.replies import Reply
from memdb.errors import UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.vectors import distance, shards, stored
from memdb.vectors.distance import Vectors
from memdb.vectors.filters import EVERYTHING, Condition, Rendered, render
from memdb.vectors.index import KEY_TYPES, Field, IndexInfo, VectorParams

KEYS_A_BATCH = 1_000
BYTES_A_BATCH = 8 * 2**20
AHEAD = 2  # batches asked for before the first of them is decoded


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Documents that were listed and are not among the vectors, by why; counts."""

    gone: int = 0  # no document came with the row: it expired, or the engine cannot load its key
    unusable: int = 0  # no vector, another length, nested, no numbers, not finite, or no finite distance
    zero: int = 0  # of length zero under COSINE: no direction, so no distance to anything

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(self.gone + other.gone, self.unusable + other.unusable, self.zero + other.zero)

    def __bool__(self) -> bool:
        return bool(self.gone or self.unusable or self.zero)

    @property
    def words(self) -> tuple[str, ...]:
        """A sentence for each reason that applies."""
        reasons = (
            (
                self.gone,
                "could not be loaded",
                "expired or deleted meanwhile, or under a key the engine lists and cannot load",
            ),
            (
                self.unusable,
                "without a usable vector",
                "none, another length, not of finite numbers, or too large",
            ),
            (self.zero, "with a zero vector", "it has no direction, so no cosine distance"),
        )
        return tuple(
            f"{n:,} {'document' if n == 1 else 'documents'} {what}: {why}. Left out."
            for n, what, why in reasons
            if n
        )


NOTHING = LeftOut()


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some documents and their vectors."""

    keys: tuple[str, ...]  # a JSON document of several vectors stands once for each, side by side
    vectors: Vectors  # (len(keys), dim), prepared for the metric of the index, read-only; as wide as stored
    left_out: LeftOut = NOTHING  # what was listed with these, or just before them
    several: bool = False  # whether a document holds more than one vector
    without: tuple[str, ...] = ()  # keys of those left out, as far as they came with one

    @property
    def documents(self) -> int:
        """How many documents these vectors are of."""
        return len(set(self.keys)) if self.several else len(self.keys)

    def single(self) -> Block:
        """The same in float32, of one vector each, without those whose squares leave its range."""
        block = self.one_each()
        with np.errstate(over="ignore"):
            vectors = block.vectors.astype(np.float32, copy=False)
            fits = np.isfinite(np.einsum("ij,ij->i", vectors, vectors))
        if fits.all():
            return replace(block, vectors=vectors)
        return replace(
            block,
            keys=tuple(key for key, good in zip(block.keys, fits, strict=True) if good),
            vectors=vectors[fits],
            left_out=block.left_out + LeftOut(unusable=int((~fits).sum())),
            without=block.without
            + tuple(key for key, good in zip(block.keys, fits, strict=True) if not good),
        )

    def one_each(self) -> Block:
        """The same with the first vector of each document."""
        if not self.several:
            return self
        first = list({key: i for i, key in reversed(list(enumerate(self.keys)))}.values())[::-1]
        return replace(
            self, keys=tuple(self.keys[i] for i in first), vectors=self.vectors[first], several=False
        )


def blocks(
    client: Client,
    info: IndexInfo,
    field: str = "",
    condition: Condition | str = EVERYTHING,
    *,
    most: int = KEYS_A_BATCH,
    report: Report = silent,
) -> Iterator[Block]:
    """The vectors that the index holds under a filter, block by block: at most `most`, about 8 MB.

    Documents without a usable vector are left out, as the index leaves them out, and so are rows whose
    document is gone; the blocks count them. A block may hold nothing but such counts.

    Raises:
        UnsupportedFeature: this engine offers no way to list the documents of this filter, or the vectors are
            of a type that is not read here.
    """
    vector_field, params = info.vector_field(field)
    distance.need(params.type)
    size = max(1, min(most, BYTES_A_BATCH // params.bytes))
    passed = 0
    if has_cursors(client, info):
        # Key and vector in one reply: four times as fast as asking for each hash.
        rendered = render(condition, client.server.dialect, info)
        batches = _by_cursor(client, info, rendered, size, vector_field.name)
    else:
        batches = _fetched(client, matching_keys(client, info, condition, size), info, vector_field)
    waiting = NOTHING
    without: tuple[str, ...] = ()
    for keys, values, gone in batches:
        passed += len(keys) + gone
        report("Reading vectors", min(passed, info.documents), info.documents)
        block = decoded(keys, stored.vectors(info, vector_field, params, values), params)
        waiting += block.left_out + LeftOut(gone=gone)
        without += block.without
        if block.keys:
            yield replace(block, left_out=waiting, without=without)
            waiting, without = NOTHING, ()
    if waiting:
        yield _empty(params, waiting, without)


def vectors_of(client: Client, info: IndexInfo, field: str, keys: Sequence[str]) -> Block | None:
    """The vectors of some documents, without those that hold none that is usable; None if none does."""
    vector_field, params = info.vector_field(field)
    distance.need(params.type)
    values = stored.raw(client, info, vector_field, keys)
    block = decoded(keys, stored.vectors(info, vector_field, params, values), params)
    return block if block.keys else None


def blocks_of(
    client: Client, info: IndexInfo, field: str, keys: Sequence[str], *, report: Report = silent
) -> Iterator[Block]:
    """The vectors of some documents, as `blocks` brings those of all; those without a usable one are counted.

    Raises:
        UnsupportedFeature: the vectors are of a type that is not read here.
        MemDBError: the server does not answer, or the budget is spent.
    """
    vector_field, params = info.vector_field(field)
    distance.need(params.type)
    size = max(1, min(KEYS_A_BATCH, BYTES_A_BATCH // params.bytes))
    batches = (list(keys[start : start + size]) for start in range(0, len(keys), size))
    passed = 0
    for requested, values, _ in _fetched(client, batches, info, vector_field):
        passed += len(requested)
        report("Reading vectors", passed, len(keys))
        block = decoded(requested, stored.vectors(info, vector_field, params, values), params)
        if block.keys or block.left_out:
            yield block


def decoded(keys: Sequence[str], values: Sequence[bytes | None], params: VectorParams) -> Block:
    """Stored values, each of one or more whole vectors or None, as a block of those that are usable.

    A document of several vectors stays with those of them that are usable.
    """
    good = [i for i, value in enumerate(values) if value]
    if not good:
        return _empty(params, LeftOut(unusable=len(values)), tuple(keys))
    joined = b"".join([value for value in values if value])
    matrix = distance.from_bytes(joined, params.type).reshape(-1, params.dim)
    several = len(matrix) > len(good)
    if several:
        decoded_keys = tuple(keys[i] for i in good for _ in range(len(values[i] or b"") // params.bytes))
    else:
        decoded_keys = tuple(keys) if len(good) == len(values) else tuple(keys[i] for i in good)
    # One number tells whether all are finite; only where it is not, or overflows, each is looked at.
    flat = matrix.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(flat @ flat)
    usable = np.ones(len(matrix), bool) if finite else np.isfinite(matrix).all(axis=1)
    if not finite and (params.metric == "L2" or (params.type == "FLOAT64" and params.metric == "COSINE")):
        # The engine has no distance to it either: its square overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            usable &= np.isfinite(np.einsum("ij,ij->i", matrix, matrix))
    directed = matrix.any(axis=1) if params.metric == "COSINE" else usable
    zero = 0
    if not (usable & directed).all():
        rest = np.flatnonzero(usable & directed)
        zero = len(
            {decoded_keys[i] for i in np.flatnonzero(usable & ~directed)} - {decoded_keys[i] for i in rest}
        )
        matrix, decoded_keys = matrix[rest], tuple(decoded_keys[i] for i in rest)
    make = distance.prepared_wide if params.type == "FLOAT64" else distance.prepared
    prepared = make(matrix, params.metric)
    prepared.setflags(write=False)
    documents = len(set(decoded_keys)) if several else len(decoded_keys)
    left_out = LeftOut(unusable=len(values) - documents - zero, zero=zero)
    without: tuple[str, ...] = ()
    if left_out:
        inside = set(decoded_keys)
        without = tuple(key for key in keys if key not in inside)
    return Block(decoded_keys, prepared, left_out, several and len(decoded_keys) > documents, without)


def _empty(params: VectorParams, left_out: LeftOut, without: tuple[str, ...] = ()) -> Block:
    return Block((), np.empty((0, params.dim), np.float32), left_out, without=without)


def _fetched(
    client: Client, batches: Iterator[list[str]], info: IndexInfo, field: Field
) -> Iterator[tuple[list[str], list[Reply], int]]:
    """One field of all keys: while one batch is on its way, the next is listed and the last one decoded."""
    waiting: deque[tuple[list[str], Future[list[Reply]]]] = deque()
    with ThreadPoolExecutor(1, "read") as thread:
        try:
            for keys in batches:
                waiting.append((keys, thread.submit(stored.raw, client, info, field, keys)))
                if len(waiting) > AHEAD:
                    requested, future = waiting.popleft()
                    yield requested, future.result(), 0
            while waiting:
                requested, future = waiting.popleft()
                yield requested, future.result(), 0
        finally:
            for _, future in waiting:
                future.cancel()
            batches.close()  # type: ignore[attr-defined]  # a generator: its cursor must not stay open


def has_cursors(client: Client, info: IndexInfo) -> bool:
    """Whether the engine has cursors that bring documents with their keys, and this user may use them.

    A field of the index that is called as the key is in such rows would come in its place.
    """
    dialect = client.server.dialect
    hidden = any(field.name == "__key" for field in info.fields)
    # Only an engine that has them is asked whether this user may: what it lacks it would count as an error.
    return (
        dialect.loads
        and dialect.cursors
        and not hidden
        and all(map(client.may, ("FT.CURSOR", "FT.AGGREGATE")))
    )


def matching_keys(
    client: Client, info: IndexInfo, condition: Condition | str = EVERYTHING, size: int = KEYS_A_BATCH
) -> Iterator[list[str]]:
    """Keys of all documents under a filter, at most `size` at a time; each key once.

    By cursor where the engine has one, by SCAN where nothing is filtered, else in one reply of keys, or page
    by page where the engine always sends fields along.

    Raises:
        UnsupportedFeature: the engine answers no query without a KNN clause, or brings fewer rows than match.
    """
    dialect = client.server.dialect
    rendered = render(condition, dialect, info)
    if has_cursors(client, info):
        for keys, _, _ in _by_cursor(client, info, rendered, size):
            if keys:
                yield keys
    elif rendered.everything and dialect.loads:
        yield from by_scan(client, info, size)
    elif not dialect.plain_queries:
        raise UnsupportedFeature(
            "A list of the documents under a filter",
            f"{dialect.title} answers only queries with a KNN clause",
            "Leave the filter out, or use a later release.",
        )
    elif dialect.no_content:
        yield from _at_once(client, info, rendered, size)
    else:
        yield from _by_page(client, info, rendered, size)


def _by_cursor(
    client: Client, info: IndexInfo, rendered: Rendered, size: int, field: str = ""
) -> Iterator[tuple[list[str], list[Reply], int]]:
    """Keys, the raw values of one field if it is named, and how many rows came without their document."""
    loaded: list[Arg] = ["@__key", f"@{field}"] if field else ["@__key"]
    args: list[Arg] = ["FT.AGGREGATE", info.name, rendered.query, "LOAD", len(loaded), *loaded]
    bound = [part for pair in rendered.params for part in pair]
    args += ["PARAMS", len(bound), *bound] if bound else []
    args += ["WITHCURSOR", "COUNT", size, "TIMEOUT", client.server.dialect.limits.timeout_ms]
    # Dialect 3 brings all that a JSON path matches, 2 only the first.
    args += ["DIALECT", 3 if field and info.on == "JSON" else 2]
    rows, cursor = replies.items(client.execute(*args))
    try:
        while True:
            # A row is a flat array of names and values; a document without the field has only its key.
            # One that expired since the query began, or whose key the engine cannot load, comes as nil.
            listed = replies.items(rows)[1:]
            named = [dict(zip(row[::2], row[1::2], strict=False)) for row in listed if row]
            named = [row for row in named if row.get(b"__key") is not None]
            keys = [replies.key(row[b"__key"]) for row in named]
            cursor = replies.integer(cursor)
            if listed:
                wanted = field.encode("utf-8", "surrogateescape")
                yield keys, [row.get(wanted) for row in named] if field else [], len(listed) - len(named)
            if not cursor:
                return
            rows, cursor = replies.items(
                client.execute("FT.CURSOR", "READ", info.name, cursor, "COUNT", size)
            )
    finally:
        if replies.integer(cursor):
            client.execute("FT.CURSOR", "DEL", info.name, replies.integer(cursor))


def by_scan(client: Client, info: IndexInfo, size: int) -> Iterator[list[str]]:
    """The keys under the index's prefixes, whether or not the index has them yet, by batches; each once."""
    yielded: set[str] = set()
    for listed in scanned(client, info, size):
        keys = [key for key in map(replies.key, listed) if key not in yielded]
        yielded.update(keys)
        for start in range(0, len(keys), size):
            yield keys[start : start + size]


def scanned(client: Client, info: IndexInfo, size: int) -> Iterator[list[bytes]]:
    """The same as SCAN brings them: a key may come again, and they need not all fit into memory.

    The next reply is on its way while one is looked at.
    """
    kind = KEY_TYPES.get(info.on.upper(), info.on)

    def page(prefix: str, cursor: Arg) -> tuple[str, list[bytes]]:
        reply = client.execute("SCAN", cursor, "MATCH", beginning(prefix), "COUNT", size, "TYPE", kind)
        return replies.text(reply[0]), [k if isinstance(k, bytes) else k.encode() for k in reply[1]]

    with ThreadPoolExecutor(1, "scan") as thread:
        for prefix in info.prefixes or ("",):
            coming, first = thread.submit(page, prefix, 0), True
            while True:
                cursor, keys = coming.result()
                if first:  # who wants no more than a page spends no budget on another
                    yield keys
                if cursor != "0":
                    coming = thread.submit(page, prefix, cursor)
                if not first:
                    yield keys
                if cursor == "0":
                    break
                first = False


def _at_once(client: Client, info: IndexInfo, rendered: Rendered, size: int) -> Iterator[list[str]]:
    """All keys in one reply: the pages of a query are in no order that lasts from one to the next.

    valkey-search brings so many rows and no more, without a word.
    """
    dialect = client.server.dialect
    most = dialect.limits.rows
    args: list[Arg] = ["FT.SEARCH", info.name, rendered.query, "NOCONTENT"]
    bound = [part for pair in rendered.params for part in pair]
    args += ["PARAMS", len(bound), *bound] if bound else []
    args += ["LIMIT", 0, most or max(info.documents, 1), "TIMEOUT", dialect.limits.timeout_ms, "DIALECT", 2]
    with shards.explained(client, info.name):
        reply = replies.items(client.execute(*args, *dialect.every_shard))
    matching = replies.integer(reply[0]) if reply else 0
    if most is not None and matching >= most:
        raise UnsupportedFeature(
            f"A list of {matching:,} documents or more under a filter",
            f"{dialect.title} brings at most {most:,} rows of a query without a KNN clause",
            "Narrow the filter, or leave it out: without one, keys are listed with SCAN.",
        )
    keys = [replies.key(part) for part in reply[1:]]
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _by_page(client: Client, info: IndexInfo, rendered: Rendered, size: int) -> Iterator[list[str]]:
    plain = [f.name for f in info.fields if f.kind in {"NUMERIC", "TAG"}]
    returned: tuple[Arg, ...] = ("RETURN", 1, plain[0]) if plain else ()
    offset = 0
    while True:
        reply = client.execute(
            "FT.SEARCH", info.name, rendered.query, *returned, "LIMIT", offset, size, "DIALECT", 2
        )
        listed = replies.items(reply)[1:]
        keys = [replies.key(part) for part in listed if not isinstance(part, list) and part is not None]
        if keys:
            yield keys
        offset += size
        if len(keys) < size:
            return
