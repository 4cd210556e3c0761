"""What a server can: asked of the server itself by commands, never told by its name.

A test that rests on one of these says so: `@pytest.mark.needs("profile")`. On a server without it the test is
skipped, and says why.
"""

from __future__ import annotations

import contextlib
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError

from memdb.cluster.target import Target
from tests.waiting import until

Asked = Callable[["Server"], bool]


class Server:
    """A server, and what it has been asked before."""

    def __init__(self, target: Target) -> None:
        self._known: dict[str, bool] = {}
        self._client = redis.Redis.from_url(target.url, protocol=2, driver_info=None)
        self._client.response_callbacks.clear()

    def can(self, ability: str) -> bool:
        """Whether the server has an ability.

        Raises:
            KeyError: No such ability is known here.
        """
        if ability not in self._known:
            self._known[ability] = ABILITIES[ability](self)
        return self._known[ability]

    def has(self, *names: str) -> bool:
        """Whether all these commands are there."""
        return None not in self._client.execute_command("COMMAND", "INFO", *names)

    def takes(self, *words: object) -> bool:
        """Whether a command is not refused."""
        try:
            self._client.execute_command(*words)  # type: ignore[arg-type]
        except ResponseError:
            return False
        return True

    def informs(self, section: str, name: bytes) -> bool:
        """Whether a section of INFO has a line of this name."""
        told = bytes(self._client.execute_command("INFO", section))
        return any(line.partition(b":")[0] == name for line in told.splitlines())

    def module(self, name: str) -> int:
        """The version of a module as the server tells it; 0 where there is none of this name."""
        try:
            listed = self._client.execute_command("MODULE", "LIST")
        except ResponseError:
            return 0
        told = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in listed]
        return next((entry[b"ver"] for entry in told if entry[b"name"] == name.encode()), 0)

    def makes(
        self,
        *schema: object,
        on: str = "HASH",
        options: tuple[object, ...] = (),
        then: Callable[[str], bool] = lambda name: True,
    ) -> bool:
        """Whether an index of this schema is made, and what follows holds; it is gone afterwards."""
        name = f"ability:{uuid.uuid4().hex[:8]}"
        words = ("FT.CREATE", name, "ON", on, "PREFIX", 1, f"{name}:", *options, "SCHEMA", *schema)
        if not self.takes(*words):
            return False
        try:
            return then(name)
        finally:
            with contextlib.suppress(ResponseError):
                self._client.execute_command("FT.DROPINDEX", name)

    def counts(self, name: str, documents: tuple[dict[str, str], ...], query: str) -> int:
        """How many of these documents a query finds; none where it is refused."""
        keys = [f"{name}:{place}" for place in range(len(documents))]
        for key, values in zip(keys, documents, strict=True):
            self._client.hset(key, mapping=values)
        until(lambda: not self.tells(name, b"backfill_in_progress", b"1"), "the index is built")
        try:
            found = self._client.execute_command("FT.SEARCH", name, query, "LIMIT", 0, 0, "DIALECT", 2)
        except ResponseError:
            return 0
        finally:
            self._client.delete(*keys)
        return int(found[0])

    def hit(
        self, name: str, document: dict[str, bytes], query: str, *options: Any, under: bytes = b"d"
    ) -> list[Any]:
        """The reply to a query where this is the one document, whose key ends with these bytes."""
        key = name.encode() + b":" + under
        self._client.hset(key, mapping=document)  # type: ignore[arg-type]
        until(lambda: not self.tells(name, b"backfill_in_progress", b"1"), "the index is built")
        try:
            return list(self._client.execute_command("FT.SEARCH", name, query, *options, "DIALECT", 2))
        finally:
            self._client.delete(key)

    def profiles(self, name: str, word: bytes) -> bool:
        """Whether FT.PROFILE tells something of this name."""
        clause = ("*=>[KNN 1 @v $b AS d]", "PARAMS", 2, "b", bytes(8), "LIMIT", 0, 1, "DIALECT", 2)
        try:
            reply = self._client.execute_command("FT.PROFILE", name, "SEARCH", "QUERY", *clause)
        except ResponseError:
            return False
        return word in list(_flat(reply))

    def tells(self, name: str, *words: bytes) -> bool:
        """Whether FT.INFO holds these words, one after the other."""
        flat = list(_flat(self._client.execute_command("FT.INFO", name)))
        return any(tuple(flat[at : at + len(words)]) == words for at in range(len(flat)))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _vector(type_: str) -> tuple[Any, ...]:
    return ("v", "VECTOR", "FLAT", 6, "TYPE", type_, "DIM", 2, "DISTANCE_METRIC", "L2")


def _query(query: str, *options: str) -> Asked:
    """Whether a query over a TAG, a TEXT and a NUMERIC field is taken."""
    schema = ("t", "TAG", "w", "TEXT", "n", "NUMERIC", *_vector("FLOAT32"))
    return lambda server: server.makes(
        *schema,
        then=lambda name: server.takes("FT.SEARCH", name, query, *options, "LIMIT", 0, 0, "DIALECT", 2),
    )


def _sorts(server: Server) -> bool:
    """Whether hits of a vector clause can be sorted by the name of their distance."""
    clause = ("*=>[KNN 1 @v $b AS d]", "PARAMS", 2, "b", bytes(8), "SORTBY", "d", "DIALECT", 2)
    return server.makes(*_vector("FLOAT32"), then=lambda name: server.takes("FT.SEARCH", name, *clause))


def _matches(
    schema: tuple[Any, ...], *documents: dict[str, str], query: str, options: tuple[Any, ...] = ()
) -> Asked:
    """Whether a query finds one of these documents, and no more."""

    def asked(server: Server) -> bool:
        return server.makes(
            *schema, options=options, then=lambda name: server.counts(name, documents, query) == 1
        )

    return asked


def _cosine(vector: tuple[float, ...], query: tuple[float, ...]) -> Callable[[Server], float]:
    """How far the engine says a vector is from a query, by their directions."""
    schema = ("v", "VECTOR", "FLAT", 6, "TYPE", "FLOAT32", "DIM", 2, "DISTANCE_METRIC", "COSINE")

    def asked(server: Server) -> float:
        said: list[float] = []

        def far(name: str) -> bool:
            blob = struct.pack("<2f", *query)
            clause = ("*=>[KNN 1 @v $b AS far]", "PARAMS", 2, "b", blob, "RETURN", 1, "far", "LIMIT", 0, 1)
            reply = server.hit(name, {"v": struct.pack("<2f", *vector)}, *clause)
            said.append(float(reply[2][1]))
            return True

        server.makes(*schema, then=far)
        return said[0] if said else math.nan

    return asked


def _unloadable(server: Server) -> bool:
    """Whether a key with a null byte is found, and comes without its document."""

    def asked(name: str) -> bool:
        reply = server.hit(name, {"t": b"x", "v": bytes(8)}, "@t:{x}", "RETURN", 1, "t", under=b"nul\0x")
        return reply[0] == 1 and not any(reply[2:])

    return server.makes("t", "TAG", *_vector("FLOAT32"), then=asked)


def _commands(*names: str) -> Asked:
    return lambda server: server.has(*names)


ABILITIES: dict[str, Asked] = {
    "profile": _commands("FT.PROFILE"),
    "explain": _commands("FT.EXPLAIN"),
    "cursor": _commands("FT.CURSOR"),
    "tagvals": _commands("FT.TAGVALS"),
    "alter": _commands("FT.ALTER"),
    "aliases": _commands("FT.ALIASADD"),
    "ftconfig": _commands("FT.CONFIG"),
    "config": _commands("CONFIG"),
    "json": lambda server: server.has("JSON.SET") and server.makes("$.t", "AS", "t", "TAG", on="JSON"),
    "float64": lambda server: server.makes(*_vector("FLOAT64")),
    "float16": lambda server: server.makes(*_vector("FLOAT16")),
    "bfloat16": lambda server: server.makes(*_vector("BFLOAT16")),
    "geo": lambda server: server.makes("g", "GEO", *_vector("FLOAT32")),
    "unf": lambda server: server.makes("n", "NUMERIC", "SORTABLE", "UNF"),
    "any_name": lambda server: server.makes("a-b", "TAG", *_vector("FLOAT32")),
    "star": _query("*"),
    "negation": _query("-@t:{x}"),
    "words": _query("@w:word"),
    "grouped_words": _query("@w:(some words)"),
    # A tag value can be a parameter: without it the query is refused, elsewhere it is that very value.
    "bound_values": lambda server: not _query("@t:{$p}")(server),
    "nocontent": _query("@n:[1 2]", "NOCONTENT"),
    "in_keys": _query("@n:[1 2]", "INKEYS", "1", "nowhere"),
    "empty_range": _query("@n:[2 1]"),
    "index_empty": lambda server: server.makes("t", "TAG", "INDEXEMPTY", *_vector("FLOAT32")),
    "languages": lambda server: server.makes("w", "TEXT", options=("LANGUAGE", "german")),
    "escaped_stars": _matches(("t", "TAG"), {"t": "a*"}, {"t": "ab"}, query=r"@t:{a\*}"),
    # Of RediSearch alone: what a word is, and which documents are left out.
    "glued_lines": _matches(("t", "TEXT"), {"t": "a\nbc"}, query="@t:abc"),
    "ascii_stop_words": _matches(
        ("t", "TEXT"), {"t": "ÜBER"}, query="@t:ÜBER", options=("STOPWORDS", 1, "über")
    ),
    "whole_documents": lambda server: (
        not _matches(("t", "TAG", *_vector("FLOAT32")), {"t": "x", "v": "short"}, query="@t:{x}")(server)
    ),
    "untold_stop_words": lambda server: server.makes(
        "w", "TEXT", then=lambda name: not server.tells(name, b"the")
    ),
    "told_separators": lambda server: server.makes(
        "t", "TAG", "SEPARATOR", ";", then=lambda name: server.tells(name, b";")
    ),
    "lone_stop_words": lambda server: server.makes(
        "t", "TAG", options=("STOPWORDS", 1, "foo"), then=lambda name: server.tells(name, b"foo")
    ),
    "sorted_hits": _sorts,
    # Valkey's table of keys draws them more evenly than one that takes a bucket first.
    "uneven_randomkey": lambda server: not server.informs("server", b"valkey_version"),
    # FT.PROFILE shows how a query was run; another engine's tells times alone.
    "told_plans": lambda server: server.makes(
        *_vector("FLOAT32"), then=lambda name: server.profiles(name, b"Iterators profile")
    ),
    "flat_info": lambda server: server.makes(
        *_vector("FLOAT32"), then=lambda name: server.tells(name, b"VECTOR", b"algorithm")
    ),
    "index_sizes": lambda server: server.makes(
        *_vector("FLOAT32"), then=lambda name: server.tells(name, b"vector_index_sz_mb")
    ),
    "index_filters": lambda server: server.makes("n", "NUMERIC", options=("FILTER", "@n > 5")),
    # A vector of zeros has no direction: some engines say that it is at no distance, others at 1.
    "undefined_distances": lambda server: math.isnan(_cosine((0, 0), (1, 0))(server)),
    "any_length": lambda server: all(
        abs(_cosine((length, length), (length, length))(server)) < 1e-3 for length in (1e-30, 1e30)
    ),
    "unloadable_keys": _unloadable,
    "recorded": lambda server: (
        server.module("search") == 0x010201
    ),  # valkey-search 1.2.1: its replies are kept
    "drops_documents": lambda server: server.makes(
        *_vector("FLOAT32"), then=lambda name: server.takes("FT.DROPINDEX", name, "DD")
    ),
}

# Types of the numbers of a vector, where a test is parametrised with them.
VECTOR_TYPES = (
    "FLOAT32",
    *(
        pytest.param(name, marks=pytest.mark.needs(name.lower()))
        for name in ("FLOAT64", "FLOAT16", "BFLOAT16")
    ),
)
