"""What each command's reply is made of: one that is made of something else is none, whatever parses it later.

Only what others rely on stands here: kinds, lengths, pairs. Errors and the replies of a queue have no shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import InvalidResponse

from memdb.cluster.replies import Reply
from memdb.cluster.topology import word

Test = Callable[[Sequence[Any], Reply], bool]
_BYTES = frozenset((bytes, type(None)))


def check(command: Sequence[Any], reply: Reply) -> Reply:
    """The reply to a command.

    Raises:
        InvalidResponse: redis-py's; it is none to this command.
    """
    name = command[0]
    test = _TESTS.get(name) or _TESTS.get(word(name))
    if test is not None and not test(command, reply):
        raise InvalidResponse(f"{word(name)} was answered with {_described(reply)}")
    return reply


def _whole(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is int


def _text(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) in _BYTES


def _list(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list


def _texts(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and _BYTES.issuperset(map(type, reply))


def _pairs(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and len(reply) % 2 == 0 and _BYTES.issuperset(map(type, reply))


def _one_each(asked: int) -> Test:
    return lambda command, reply: _texts(command, reply) and len(reply) == len(command) - asked


def _step(of: Test) -> Test:
    return lambda command, reply: (
        type(reply) is list and len(reply) == 2 and type(reply[0]) in (bytes, int) and of(command, reply[1])
    )


def _rows(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and bool(reply) and type(reply[0]) in (int, bytes)


def _aggregated(command: Sequence[Any], reply: Reply) -> bool:
    if any(type(part) in (str, bytes) and word(part) == "WITHCURSOR" for part in command[3:]):
        return _batch(command, reply)
    return _rows(command, reply)


def _batch(command: Sequence[Any], reply: Reply) -> bool:
    return (
        type(reply) is list
        and len(reply) == 2
        and type(reply[0]) is list
        and (not reply[0] or _rows(command, reply[0]))
        and type(reply[1]) in (int, bytes)
    )


def _cursor(command: Sequence[Any], reply: Reply) -> bool:
    return word(command[1]) != "READ" or _batch(command, reply)


_TESTS: dict[Any, Test] = {
    name: test
    for test, names in (
        (
            _whole,
            "DBSIZE TTL PTTL EXPIRETIME PEXPIRETIME EXISTS STRLEN HLEN HSTRLEN HEXISTS LLEN SCARD SISMEMBER "
            "ZCARD XLEN DEL UNLINK EXPIRE PEXPIRE EXPIREAT PERSIST HSET HDEL HSETNX RPUSH LPUSH WAIT "
            "LASTSAVE",
        ),
        (_text, "TYPE GET GETRANGE HGET LINDEX ECHO INFO RANDOMKEY SET"),
        (_texts, "HKEYS LRANGE"),
        (_list, "ZRANGE XRANGE XREVRANGE FT._LIST TIME ROLE"),
        (_pairs, "HGETALL"),
        (_one_each(1), "MGET"),
        (_one_each(2), "HMGET"),
        (_step(_texts), "SCAN SSCAN"),
        (_step(_pairs), "HSCAN ZSCAN"),
        (_rows, "FT.SEARCH"),
        (_aggregated, "FT.AGGREGATE"),
        (_cursor, "FT.CURSOR"),
    )
    for name in names.split()
}


def _described(reply: Reply) -> str:
    if isinstance(reply, list):
        kinds = ", ".join(sorted({type(item).__name__ for item in reply}))
        return f"an array of {len(reply):,} ({kinds or 'nothing'})"
    return f"{type(reply).__name__} {str(reply)[:40]!r}"
