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
_ONLY_BYTES = frozenset((bytes,))


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


def _told(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is bytes


def _texts(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and _ONLY_BYTES.issuperset(map(type, reply))


def _pairs(command: Sequence[Any], reply: Reply) -> bool:
    return _texts(command, reply) and len(reply) % 2 == 0


def _members(command: Sequence[Any], reply: Reply) -> bool:
    scored = any(type(part) in (str, bytes) and word(part) == "WITHSCORES" for part in command[3:])
    return _pairs(command, reply) if scored else _texts(command, reply)


def _entries(command: Sequence[Any], reply: Reply) -> bool:
    """Of a stream: the id and the fields of each; an entry that was deleted while it was read has none."""
    return type(reply) is list and all(
        type(entry) is list
        and len(entry) == 2
        and type(entry[0]) is bytes
        and (entry[1] is None or _pairs(command, entry[1]))
        for entry in reply
    )


def _lists(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and all(type(item) is list for item in reply)


def _command(command: Sequence[Any], reply: Reply) -> bool:
    """COMMAND INFO: what describes each name, or nothing where there is no such command."""
    if len(command) < 2 or word(command[1]) != "INFO":
        return True
    return type(reply) is list and all(
        item is None or (type(item) is list and (not item or type(item[0]) is bytes)) for item in reply
    )


def _module(command: Sequence[Any], reply: Reply) -> bool:
    return len(command) < 2 or word(command[1]) != "LIST" or _lists(command, reply)


def _config(command: Sequence[Any], reply: Reply) -> bool:
    if len(command) < 2 or word(command[1]) != "GET":
        return True
    return type(reply) is list and len(reply) % 2 == 0 and _BYTES.issuperset(map(type, reply))


def _one_each(count: int) -> Test:
    return lambda command, reply: (
        type(reply) is list and _BYTES.issuperset(map(type, reply)) and len(reply) == len(command) - count
    )


def _step(test: Test) -> Test:
    return lambda command, reply: (
        type(reply) is list and len(reply) == 2 and type(reply[0]) in (bytes, int) and test(command, reply[1])
    )


def _rows(_: Sequence[Any], reply: Reply) -> bool:
    return type(reply) is list and bool(reply) and type(reply[0]) in (int, bytes)


def _groups(command: Sequence[Any], reply: Reply) -> bool:
    """A count, then names and values of each row; one whose document is gone comes as nothing."""
    return _rows(command, reply) and all(
        row is None
        or (type(row) is list and len(row) % 2 == 0 and _ONLY_BYTES.issuperset(map(type, row[::2])))
        for row in reply[1:]
    )


def _aggregated(command: Sequence[Any], reply: Reply) -> bool:
    if any(type(part) in (str, bytes) and word(part) == "WITHCURSOR" for part in command[3:]):
        return _batch(command, reply)
    return _groups(command, reply)


def _batch(command: Sequence[Any], reply: Reply) -> bool:
    return (
        type(reply) is list
        and len(reply) == 2
        and type(reply[0]) is list
        and (not reply[0] or _groups(command, reply[0]))
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
        (_text, "GET GETRANGE HGET LINDEX RANDOMKEY SET JSON.GET"),
        (_told, "TYPE ECHO INFO"),
        (_texts, "HKEYS LRANGE FT._LIST"),
        (_members, "ZRANGE"),
        (_entries, "XRANGE XREVRANGE"),
        (_command, "COMMAND"),
        (_module, "MODULE"),
        (_config, "CONFIG"),
        (_list, "TIME ROLE"),
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
