"""A server that speaks MemoryDB's dialect over the real engine: what it refuses, and how it words its replies.

Every answer comes from the engine; only commands, query forms and the shapes of FT.INFO, FT.PROFILE and INFO
SEARCH are MemoryDB's (fact sheet, sections 1 to 4). Its own error wordings are not published: those here are
made up, in the manner of its siblings.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from memdb.cluster import replies
from memdb.cluster.target import Target
from tests.fronts import listening

COMMANDS = frozenset(
    "FT.CREATE FT.DROPINDEX FT._LIST FT.INFO FT.SEARCH FT.AGGREGATE FT.PROFILE FT.EXPLAIN FT.EXPLAINCLI "
    "FT.ALIASADD FT.ALIASDEL FT.ALIASUPDATE FT._ALIASLIST".split(" ")
)
BLOCKED = frozenset(("CONFIG", "MODULE", "DEBUG", "SHUTDOWN", "BGSAVE", "ACL|SETUSER"))
_ALIAS = re.compile(rb"KNN\s+\d+\s+@\S+\s+\$\w+(?:\s+EF_RUNTIME\s+\d+)?\s+AS\s+(\w+)")
_REFUSED_WORDS = (b"NOCONTENT", b"WITHSCORES", b"INKEYS", b"HIGHLIGHT", b"SUMMARIZE", b"WITHCURSOR")


class Refusal(Exception):
    """An error reply of this server."""


@dataclass
class Proxy:
    """The server's state that a test may change, and what it saw."""

    engine: Target
    target: Target
    building: bool = False  # as while the index is built: searches are refused, FT.INFO says so
    refused: list[tuple[str, str]] = field(default_factory=list)  # (command, words) that were refused
    names: set[str] = field(default_factory=set)  # commands that were asked for

    @property
    def searches_refused(self) -> list[str]:
        """What was refused of search commands: an app that knows the dialect sends none of it."""
        return [words for name, words in self.refused if name.startswith("FT.")]


@contextmanager
def memorydb(engine: Target) -> Iterator[Proxy]:
    """Serve MemoryDB's dialect in front of an engine."""
    proxy: Proxy

    def serve(sock: socket.socket) -> None:
        with redis.Redis(
            host=engine.host, port=engine.port, protocol=2, single_connection_client=True, driver_info=None
        ) as upstream:
            upstream.response_callbacks.clear()
            _talk(sock, upstream, proxy)

    with listening(serve) as port:
        proxy = Proxy(
            engine, Target("redis", "127.0.0.1", port, password=engine.password, kind="development")
        )
        yield proxy


def _talk(sock: socket.socket, upstream: redis.Redis, proxy: Proxy) -> None:
    with suppress(OSError, ValueError), sock.makefile("rwb") as stream:
        while head := stream.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2])
            stream.write(_encoded(_answer(words, upstream, proxy)))
            stream.flush()


def _answer(words: list[bytes], upstream: redis.Redis, proxy: Proxy) -> Any:
    name = words[0].decode().upper()
    proxy.names.add(name)
    try:
        return _run(name, words, upstream, proxy)
    except Refusal as exc:
        proxy.refused.append((name, str(exc)))
        return exc
    except ResponseError as exc:
        code = {"AuthenticationError": "WRONGPASS ", "NoPermissionError": "NOPERM "}.get(
            type(exc).__name__, ""
        )
        return Refusal(f"{code or 'ERR '}{exc}")
    except RedisError as exc:
        return Refusal(f"ERR {exc}")


def _run(name: str, words: list[bytes], upstream: redis.Redis, proxy: Proxy) -> Any:
    ask = upstream.execute_command
    if name in BLOCKED or (name.startswith("FT.") and name not in COMMANDS):
        raise Refusal(f"ERR unknown command '{name}'")
    if name == "COMMAND" and words[1:2] and words[1].upper() == b"INFO":
        return [_described(word, ask) for word in words[2:]]
    if name == "FT._ALIASLIST":
        return []
    if name in {"FT.SEARCH", "FT.AGGREGATE"}:
        _check(words, proxy)
        return ask(*_ordered(words) if name == "FT.SEARCH" else words)
    if name == "FT.PROFILE":
        _check(words, proxy)
        result, _ = ask(*_ordered(words))
        count = result[0] if isinstance(result, list) else 0
        return [result, [[b"all.count", count], [b"parse.time", b"0.02"], [b"query.time", b"0.3"]]]
    if name == "FT.INFO":
        return _info(ask(*words), building=proxy.building)
    if name == "INFO" and words[1:2] and words[1].upper() == b"SEARCH":
        return _search_section(proxy.building).encode()
    if name == "INFO":
        text = ask(*words)
        return re.sub(rb"# Modules\r\n(?:module:.*\r\n)*", b"", text)
    return ask(*words)


def _described(name: bytes, ask: Any) -> Any:
    upper = name.decode().upper()
    if upper == "FT._ALIASLIST":
        return [b"FT._ALIASLIST", 1, [b"readonly"], 0, 0, 0]
    if upper in BLOCKED or (upper.startswith("FT.") and upper not in COMMANDS):
        return None
    return ask("COMMAND", "INFO", name)[0]


def _check(words: list[bytes], proxy: Proxy) -> None:
    if proxy.building:
        raise Refusal("ERR Index is not available: backfill in progress")
    upper = [word.upper() for word in words]
    if b"SORTBY" in upper and upper[0] == b"FT.SEARCH":
        raise Refusal("ERR unexpected argument 'SORTBY'")
    if b"DIALECT" not in upper or words[upper.index(b"DIALECT") + 1] != b"2":
        raise Refusal("ERR only DIALECT 2 is supported")
    for word in _REFUSED_WORDS:
        if word in upper:
            raise Refusal(f"ERR unexpected argument '{word.decode()}'")
    query = words[4] if upper[0] == b"FT.PROFILE" else words[2]
    if re.search(rb"KNN\s+\$|EF_RUNTIME\s+\$", query):
        raise Refusal("ERR query syntax: a number is expected after KNN")
    if re.search(rb"(^|[\s(])-@", query):
        raise Refusal("ERR query syntax: unexpected '-'")
    if b"KNN" in query and b"LIMIT" not in upper:
        raise Refusal("ERR this proxy wants LIMIT: ten answers come without it")


def _ordered(words: list[bytes]) -> list[bytes]:
    """MemoryDB's answers come by distance; the engine is told to."""
    found = next((match for word in words if (match := _ALIAS.search(word))), None)
    return [*words, b"SORTBY", found.group(1), b"ASC"] if found else words


def _info(reply: Any, *, building: bool) -> list[Any]:
    known = replies.pairs(reply)
    definition = replies.pairs(known["index_definition"])
    documents = replies.integer(known["num_docs"])
    size = int(replies.number(known.get("vector_index_sz_mb"), 0.0) * 2**20)
    fields = []
    for entry in replies.items(known["attributes"]):
        flat = {replies.text(entry[i]): entry[i + 1] for i in range(0, len(entry) - 1, 2)}
        kind = flat["type"]
        about = [
            b"identifier",
            flat["identifier"],
            b"field_name",
            flat["attribute"],
            b"type",
            kind,
            b"option",
            b"",
        ]
        if kind == b"VECTOR":
            params = [
                b"algorithm",
                flat["algorithm"],
                b"data_type",
                b"FLOAT32",
                b"dimension",
                flat["dim"],
                b"distance_metric",
                flat["distance_metric"],
                b"initial_capacity",
                1000,
                b"current_capacity",
                max(1000, documents),
            ]
            if flat["algorithm"] == b"HNSW":
                params += [
                    b"maximum_edges",
                    flat["M"],
                    b"ef_construction",
                    flat["ef_construction"],
                    b"ef_runtime",
                    10,
                    b"epsilon",
                    b"0.01",
                ]
            about += [b"vector_params", params]
        fields.append(about)
    return [
        b"index_name",
        known["index_name"],
        b"creation_timestamp",
        1728348101728771,
        b"key_type",
        definition["key_type"],
        b"key_prefixes",
        definition["prefixes"],
        b"fields",
        fields,
        b"space_usage",
        size + 653_471,
        b"fulltext_space_usage",
        0,
        b"vector_space_usage",
        size,
        b"num_docs",
        documents,
        b"num_indexed_vectors",
        documents,
        b"current_lag",
        0,
        b"index_status",
        b"BACKFILLING" if building else b"AVAILABLE",
        b"index_degradation_percentage",
        0,
    ]


def _search_section(building: bool) -> str:
    lines = [
        "# search_memory",
        "search_used_memory_bytes:653471",
        "# search_index_stats",
        "search_number_of_indexes:1",
        "# search_ingestion",
        f"search_background_indexing_status:{'IN_PROGRESS' if building else 'NO_ACTIVITY'}",
        "# search_backfill",
        f"search_num_active_backfills:{int(building)}",
    ]
    if building:
        lines.append("search_current_backfill_progress_percentage:42")
    return "\r\n".join(lines) + "\r\n"


def _encoded(value: Any) -> bytes:
    if isinstance(value, Exception):
        return b"-%s\r\n" % str(value).replace("\r\n", " ").encode()
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list | tuple):
        return b"*%d\r\n" % len(value) + b"".join(map(_encoded, value))
    raw = value if isinstance(value, bytes) else str(value).encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


__all__ = ["Proxy", "memorydb"]
