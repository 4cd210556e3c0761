"""What a server can: asked of the server itself by commands, never told by its name.

A test that rests on one of these says so: `@pytest.mark.needs("profile")`. On a server without it the test is
skipped, and says why.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import ResponseError

from memdb.cluster.target import Target

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

    def module(self, name: str) -> int:
        """The version of a module as the server tells it; 0 where there is none of this name."""
        listed = self._client.execute_command("MODULE", "LIST") if self.has("MODULE|LIST") else []
        told = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in listed]
        return next((entry[b"ver"] for entry in told if entry[b"name"] == name.encode()), 0)

    def makes(
        self, *schema: object, on: str = "HASH", then: Callable[[str], bool] = lambda name: True
    ) -> bool:
        """Whether an index of this schema is made; it is gone afterwards."""
        name = f"ability:{uuid.uuid4().hex[:8]}"
        if not self.takes("FT.CREATE", name, "ON", on, "PREFIX", 1, f"{name}:", "SCHEMA", *schema):
            return False
        try:
            return then(name)
        finally:
            with contextlib.suppress(ResponseError):
                self._client.execute_command("FT.DROPINDEX", name)


def _vector(type_: str) -> tuple[Any, ...]:
    return ("v", "VECTOR", "FLAT", 6, "TYPE", type_, "DIM", 2, "DISTANCE_METRIC", "L2")


def _query(query: str) -> Asked:
    """Whether a query over a TAG, a TEXT and a NUMERIC field is taken."""
    schema = ("t", "TAG", "w", "TEXT", "n", "NUMERIC", *_vector("FLOAT32"))
    return lambda server: server.makes(
        *schema,
        then=lambda name: server.takes("FT.SEARCH", name, query, "LIMIT", 0, 0, "DIALECT", 2),
    )


def _sorts(server: Server) -> bool:
    """Whether hits of a vector clause can be sorted by the name of their distance."""
    clause = ("*=>[KNN 1 @v $b AS d]", "PARAMS", 2, "b", bytes(8), "SORTBY", "d", "DIALECT", 2)
    return server.makes(*_vector("FLOAT32"), then=lambda name: server.takes("FT.SEARCH", name, *clause))


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
    "geo": lambda server: server.makes("g", "GEO", *_vector("FLOAT32")),
    "unf": lambda server: server.makes("n", "NUMERIC", "SORTABLE", "UNF"),
    "any_name": lambda server: server.makes("a-b", "TAG", *_vector("FLOAT32")),
    "star": _query("*"),
    "negation": _query("-@t:{x}"),
    "words": _query("@w:word"),
    "grouped_words": _query("@w:(some words)"),
    "empty_range": _query("@n:[2 1]"),
    "sorted_hits": _sorts,
    "recorded": lambda server: (
        server.module("search") == 0x010201
    ),  # valkey-search 1.2.1: its replies are kept
    "drops_documents": lambda server: server.makes(
        *_vector("FLOAT32"), then=lambda name: server.takes("FT.DROPINDEX", name, "DD")
    ),
}
