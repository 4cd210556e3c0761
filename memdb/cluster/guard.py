"""The commands a client may send. An allow-list: what is not here is not sent.

Reads are the ones Redis flags READONLY or that only report, minus those whose work is unbounded (KEYS,
SMEMBERS of anything, SORT, MONITOR). Writes are the few the product needs, and only on a writable target.
Nothing here changes the connection, which others share: login, database and protocol are chosen when it is
made, and a transaction is sent as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memdb.display import line
from memdb.errors import BadInput, ReadOnlyTarget, UnsupportedFeature
from memdb.numerals import whole_number

# None: every use; a set: only these subcommands.
READS: dict[str, frozenset[str] | None] = dict.fromkeys(
    (
        "PING ECHO TIME INFO DBSIZE LASTSAVE ROLE "
        "TYPE TTL PTTL EXPIRETIME PEXPIRETIME EXISTS SCAN RANDOMKEY STRLEN GET MGET GETRANGE "
        "HGET HMGET HGETALL HLEN HSTRLEN HEXISTS HKEYS HSCAN "
        "LLEN LRANGE LINDEX SCARD SSCAN SISMEMBER ZCARD ZRANGE ZSCAN ZSCORE XLEN XRANGE XREVRANGE "
        "JSON.GET JSON.TYPE JSON.STRLEN JSON.OBJKEYS JSON.ARRLEN "
        "FT._LIST FT.INFO FT.SEARCH FT.HYBRID FT.AGGREGATE FT.PROFILE FT.EXPLAIN FT.EXPLAINCLI FT.TAGVALS "
        "FT._ALIASLIST"
    ).split(" ")
)
READS |= {
    "COMMAND": None,
    "FT.CURSOR": frozenset({"READ", "DEL"}),  # a cursor lives on the server only to be read
    "FT.CONFIG": frozenset({"GET"}),
    "CONFIG": frozenset({"GET"}),
    "CLIENT": frozenset({"ID", "INFO", "LIST", "GETNAME"}),
    "CLUSTER": frozenset({"INFO", "NODES", "SHARDS", "SLOTS", "MYID", "KEYSLOT", "COUNTKEYSINSLOT"}),
    "MEMORY": frozenset({"USAGE", "STATS"}),
    "OBJECT": frozenset({"ENCODING", "FREQ", "IDLETIME", "REFCOUNT"}),
    "MODULE": frozenset({"LIST"}),
    "LATENCY": frozenset({"LATEST", "HISTORY", "HISTOGRAM"}),
    "SLOWLOG": frozenset({"GET", "LEN"}),
    "ACL": frozenset({"WHOAMI", "CAT"}),
}
WRITES: dict[str, frozenset[str] | None] = dict.fromkeys(
    (
        "SET DEL UNLINK EXPIRE PEXPIRE EXPIREAT PERSIST HSET HDEL HSETNX RPUSH LPUSH JSON.SET "
        "WAIT WAITAOF FT.CREATE FT.DROPINDEX"
    ).split(" ")
)
_AS_SENT = frozenset((str, bytes, int, float))


def as_sent(args: Sequence[Any]) -> Sequence[str | bytes | int | float]:
    """A command in Python's own types, whose text is what is sent: what is judged here is what goes out.

    A class derived from one of them may tell the guard another text than the wire.

    Raises:
        BadInput: an argument is of another type.
    """
    if _AS_SENT.issuperset(map(type, args)):
        return args
    return [arg if type(arg) in _AS_SENT else _plain(arg) for arg in args]


def _plain(arg: object) -> str | bytes | int | float:
    if isinstance(arg, str):
        return str.__getitem__(arg, slice(None))
    if isinstance(arg, bytes | bytearray | memoryview):
        return bytes(memoryview(arg))
    if isinstance(arg, int):
        return int.__index__(arg)
    if isinstance(arg, float):
        return float.__float__(arg)
    raise BadInput(
        f"A command has an argument of type {type(arg).__name__}.", "Give text, bytes or a number."
    )


def check(args: Sequence[object], *, writable: bool) -> bool:
    """Refuse a command that is not on the list, before it is sent; tell whether it writes.

    Args:
        args: as `as_sent` makes them.
        writable: whether the target may be written to.

    Raises:
        ReadOnlyTarget: a write on a read-only target, or a command nobody has vouched for.
        UnsupportedFeature: a search that would end the server.
    """
    name = _word(args[0]) if args else ""
    if name in _CRASHING:
        _harmless(name, args)
    allowed: frozenset[str] | None
    if name in READS:
        allowed = READS[name]
    elif name in WRITES:
        if not writable:
            raise ReadOnlyTarget(
                name,
                f"{name} would write, and this target is read-only.",
                "Declare the target writable (MEMDB_WRITABLE=1, or --writable) to allow it.",
            )
        allowed = WRITES[name]
    elif name == "HELLO" and len(args) == 1:  # tells engine and version; with arguments, another protocol
        return False
    else:
        raise ReadOnlyTarget(
            name,
            f"{line(name, 40) or 'An empty command'} is not among the commands this client sends.",
            "Use redis-cli for it.",
        )
    if allowed is not None and (len(args) < 2 or _word(args[1]) not in allowed):
        sub = _word(args[1]) if len(args) > 1 else ""
        raise ReadOnlyTarget(
            name,
            f"{name} {line(sub, 40)}".strip() + " is not among the commands this client sends.",
            "Use redis-cli for it.",
        )
    return name in WRITES


_CRASHING = frozenset(("FT.SEARCH", "FT.PROFILE"))
_FATAL = frozenset(("HIGHLIGHT", "SUMMARIZE"))
_COUNTED = frozenset(("RETURN", "PARAMS", "INKEYS", "INFIELDS"))  # options that say how many words follow


def _harmless(name: str, args: Sequence[object]) -> None:
    """Refuse what ends a server: beside a KNN clause RediSearch 2.10.5 dies of HIGHLIGHT and of SUMMARIZE.

    Both were tried on it; a range query and a search without vectors survive them.

    Raises:
        UnsupportedFeature: the search asks for one of them.
    """
    # On the path of every search: all else is only for a word that may be one of them.
    if not any(len(part) == 9 and _word(part) in _FATAL for part in args if isinstance(part, str | bytes)):
        return
    if not any("KNN" in _word(part) for part in args[2:6] if isinstance(part, str | bytes)):
        return
    place = 3
    while place < len(args):
        part = args[place]
        word = _word(part) if isinstance(part, str | bytes) else ""
        if word in _FATAL:
            raise UnsupportedFeature(
                f"{word} beside a KNN clause",
                f"{name} with both ends RediSearch 2.10.5 with a segmentation fault, and this was not sent",
                "Leave it out.",
            )
        following = args[place + 1] if place + 1 < len(args) else 0
        counted = whole_number(_word(following)) if word in _COUNTED else None
        place += 2 + counted if counted is not None else 2 if word in ("SORTBY", "TIMEOUT") else 1


def check_transaction(*, writable: bool) -> None:
    """Refuse a transaction where nothing may be written.

    Raises:
        ReadOnlyTarget: the target is read-only.
    """
    if not writable:
        raise ReadOnlyTarget(
            "MULTI",
            "A transaction would write, and this target is read-only.",
            "Declare the target writable (MEMDB_WRITABLE=1, or --writable) to allow it.",
        )


def writes(args: Sequence[object]) -> bool:
    """Whether a command on the list is one of those that write."""
    return _word(args[0]) in WRITES


def _word(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 10**40:
        return ""  # Python would not print one of thousands of digits
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.upper() if text.isascii() else text
