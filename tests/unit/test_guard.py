"""The allow-list: what is not vouched for is not sent."""

from __future__ import annotations

import pytest

from memdb.cluster import guard
from memdb.errors import BadInput, ReadOnlyTarget, UnsupportedFeature


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "k"),
        ("get", "k"),
        (b"hgetall", b"k"),
        ("FT.SEARCH", "i", "*"),
        ("FT.CURSOR", "READ", "i", 1),
        ("CONFIG", "GET", "maxmemory"),
        ("MEMORY", "usage", "k"),
        ("CLUSTER", "NODES"),
    ],
)
def test_reads_pass(command: tuple[object, ...]) -> None:
    assert guard.check(command, writable=False) is False  # it does not write


@pytest.mark.parametrize(
    "command",
    [
        ("SET", "k", 1),
        ("set", "k", 1),
        (b"Del", b"k"),
        ("HSET", "k", "f", 1),
        ("EXPIRE", "k", 1),
        ("FT.CREATE", "i"),
        ("FT.DROPINDEX", "i"),
    ],
)
def test_writes_need_a_writable_target(command: tuple[object, ...]) -> None:
    with pytest.raises(ReadOnlyTarget, match="read-only"):
        guard.check(command, writable=False)
    assert guard.check(command, writable=True) is True


@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("EVAL", "return 1", 0),
        ("FCALL", "f", 0),
        ("SHUTDOWN",),
        ("CONFIG", "SET", "a", "b"),
        ("CONFIG",),
        ("CLIENT", "KILL", "x"),
        ("CLUSTER", "RESET"),
        ("MONITOR",),
        ("DEBUG", "SLEEP", 1),
        ("SORT", "k", "STORE", "d"),
        ("FT.CONFIG", "SET", "a", "b"),
        ("MIGRATE",),
        ("RENAME", "a", "b"),
        ("GETDEL", "k"),
        ("GETEX", "k", "EX", 1),
        ("ACL", "SETUSER", "x"),
        ("MODULE", "LOAD", "x"),
        # These change the connection, which others share.
        ("SELECT", 1),
        ("AUTH", "u", "p"),
        ("HELLO", 3),
        ("READONLY",),
        ("RESET",),
        ("MULTI",),
        ("EXEC",),
        ("WATCH", "k"),
        ("CLIENT", "SETNAME", "x"),
        ("CLIENT", "REPLY", "OFF"),
        ("ſET", "k", 1),
        (),
        ("",),
    ],
)
def test_what_nobody_vouched_for_is_never_sent(command: tuple[object, ...]) -> None:
    for writable in (False, True):
        with pytest.raises(ReadOnlyTarget, match="not among the commands"):
            guard.check(command, writable=writable)


def test_no_command_is_in_both_lists() -> None:
    assert not set(guard.READS) & set(guard.WRITES)


class Liar(str):
    """Tells whoever looks that it is GET; the wire takes what it is made of."""

    __slots__ = ()

    def __str__(self) -> str:
        return "GET"

    upper = lower = __repr__ = __str__


def test_judged_is_what_is_sent() -> None:
    class Bytes(bytes):
        def decode(self, *_: object) -> str:
            return "GET"

        __bytes__ = lambda self: b"GET"  # noqa: E731

    for liar in (Liar("SET"), Bytes(b"SET"), bytearray(b"SET"), memoryview(b"SET")):
        command = guard.as_sent((liar, "k", "v"))
        assert command[0] in ("SET", b"SET")
        assert type(command[0]) in (str, bytes)
        with pytest.raises(ReadOnlyTarget):
            guard.check(command, writable=False)
    assert guard.as_sent(("GET", True, 1.5)) == ["GET", 1, 1.5]
    with pytest.raises(BadInput, match="NoneType"):
        guard.as_sent(("GET", None))


KNN = "*=>[KNN 5 @v $vec AS d]"


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        (("FT.SEARCH", "i", KNN, "PARAMS", 2, "vec", b"xxxx", "HIGHLIGHT"), False),
        (("ft.search", "i", KNN.lower(), "params", 2, "vec", b"xxxx", "highlight", "DIALECT", 2), False),
        (("FT.SEARCH", b"i", KNN.encode(), b"SUMMARIZE", b"FIELDS", 1, b"t"), False),
        (("FT.PROFILE", "i", "SEARCH", "QUERY", KNN, "HIGHLIGHT", "PARAMS", 2, "vec", b"xxxx"), False),
        (("FT.SEARCH", "i", "@t:x", "HIGHLIGHT"), True),  # without a KNN clause it is a way to show words
        (("FT.SEARCH", "i", KNN, "RETURN", 2, "highlight", "SUMMARIZE", "LIMIT", 0, 5), True),  # fields
        (("FT.SEARCH", "i", KNN, "PARAMS", 4, "vec", b"xxxx", "p", "HIGHLIGHT", "DIALECT", 2), True),
    ],
)
def test_what_ends_a_server_is_not_sent(command: tuple[object, ...], sent: bool) -> None:
    if sent:
        guard.check(command, writable=False)
        return
    with pytest.raises(UnsupportedFeature, match="segmentation fault"):
        guard.check(command, writable=True)
