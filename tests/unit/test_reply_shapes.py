"""What a command may be answered with, and what is no reply to it."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import InvalidResponse, ResponseError

from memdb.cluster import shapes

PAIR = [b"name", b"value"]


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (("HGETALL", "k"), []),
        (("HGETALL", "k"), [*PAIR, b"\xff", b""]),
        (("GET", "k"), None),
        (("MGET", "a", "b"), [None, b"x"]),
        (("LRANGE", "k", 0, -1), [b"\x00"]),
        (("ZRANGE", "k", 0, -1, "WITHSCORES"), [b"member", b"1.5"]),
        (("ZRANGE", "k", 0, -1), [b"a", b"b", b"c"]),
        (("XRANGE", "k", "-", "+"), [[b"1-0", PAIR], [b"2-0", None]]),
        (("XREVRANGE", "k", "+", "-"), []),
        (("COMMAND", "INFO", "GET", "NONE"), [[b"get", 2, [b"readonly"]], None]),
        (("COMMAND", "COUNT"), 240),
        (("MODULE", "LIST"), [[b"name", b"search", b"ver", 21005]]),
        (("CONFIG", "GET", "search.*"), []),
        (("HMGET", "k", "a"), [None]),
        (("FT.AGGREGATE", "docs", "*"), [2, [b"__key", b"d:1"], None, []]),
        (("FT.AGGREGATE", "docs", "*", "WITHCURSOR"), [[1, [b"__key", None]], 7]),
        (("FT.CURSOR", "READ", "docs", 7), [[], 0]),
    ],
    ids=str,
)
def test_what_servers_answer_is_taken(command: tuple[Any, ...], reply: Any) -> None:
    assert shapes.check(command, reply) is reply


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (("HGETALL", "k"), [b"name", None]),
        (("HGETALL", "k"), [b"name", [b"value"]]),
        (("HGETALL", "k"), [b"name"]),
        (("LRANGE", "k", 0, -1), [None]),
        (("LRANGE", "k", 0, -1), [ResponseError("ERR in an array")]),
        (("ZRANGE", "k", 0, -1, "WITHSCORES"), [b"member"]),
        (("ZRANGE", "k", 0, -1, b"withscores"), [b"member", 1]),
        (("ZRANGE", "k", 0, -1), [7]),
        (("XRANGE", "k", "-", "+"), [b"1-0", PAIR]),
        (("XRANGE", "k", "-", "+"), [[b"1-0", [b"name"]]]),
        (("XREVRANGE", "k", "+", "-"), [[None, PAIR]]),
        (("SCAN", 0), [b"0", [None]]),
        (("TYPE", "k"), None),
        (("INFO",), None),
        (("FT._LIST",), [b"docs", 1]),
        (("COMMAND", "INFO", "GET"), [1]),
        (("COMMAND", "INFO", "GET"), [[1, 2]]),
        (("MODULE", "LIST"), [b"name"]),
        (("CONFIG", "GET", "search.*"), [b"name"]),
        (("JSON.GET", "k"), 3),
        (("FT.AGGREGATE", "docs", "*"), [2, [b"__key", b"d:1", b"odd"]]),
        (("FT.AGGREGATE", "docs", "*"), [2, [[b"__key"], b"d:1"]]),
        (("FT.CURSOR", "READ", "docs", 7), [[1, b"row"], 0]),
    ],
    ids=str,
)
def test_what_is_none_to_the_command_is_told(command: tuple[Any, ...], reply: Any) -> None:
    with pytest.raises(InvalidResponse, match=f"{command[0]} was answered with"):
        shapes.check(command, reply)
