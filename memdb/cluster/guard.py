"""The commands a client may send. An allow-list: what is not here is not sent.

Reads are the ones Redis flags READONLY or that only report, minus those whose work is unbounded (KEYS,
SMEMBERS of anything, SORT, MONITOR). Writes are the few the product needs, and only on a writable target.
"""

from __future__ import annotations

from collections.abc import Sequence

from memdb.errors import ReadOnlyTarget

# None: every use; a set: only these subcommands.
READS: dict[str, frozenset[str] | None] = dict.fromkeys(
    (
        "AUTH PING ECHO TIME INFO DBSIZE LASTSAVE ROLE READONLY READWRITE SELECT HELLO "
        "TYPE TTL PTTL EXPIRETIME PEXPIRETIME EXISTS SCAN RANDOMKEY STRLEN GET MGET GETRANGE "
        "HGET HMGET HGETALL HLEN HSTRLEN HEXISTS HKEYS HSCAN "
        "LLEN LRANGE LINDEX SCARD SSCAN SISMEMBER ZCARD ZRANGE ZSCAN ZSCORE XLEN XRANGE XREVRANGE "
        "JSON.GET JSON.TYPE JSON.STRLEN JSON.OBJKEYS JSON.ARRLEN "
        "FT._LIST FT.INFO FT.SEARCH FT.AGGREGATE FT.PROFILE FT.EXPLAIN FT.EXPLAINCLI FT.TAGVALS "
        "FT._ALIASLIST"
    ).split(" ")
)
READS |= {
    "COMMAND": None,
    "FT.CURSOR": frozenset({"READ", "DEL"}),  # a cursor lives on the server only to be read
    "FT.CONFIG": frozenset({"GET"}),
    "CONFIG": frozenset({"GET"}),
    "CLIENT": frozenset({"ID", "INFO", "LIST", "SETNAME", "GETNAME", "SETINFO", "NO-EVICT", "NO-TOUCH"}),
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
        "MULTI EXEC DISCARD WATCH UNWATCH WAIT WAITAOF FT.CREATE FT.DROPINDEX"
    ).split(" ")
)


def check(args: Sequence[object], *, writable: bool) -> bool:
    """Refuse a command that is not on the list, before it is sent; tell whether it writes.

    Raises:
        ReadOnlyTarget: a write on a read-only target, or a command nobody has vouched for.
    """
    name = _word(args[0]) if args else ""
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
    else:
        raise ReadOnlyTarget(
            name,
            f"{name or 'An empty command'} is not among the commands this client sends.",
            "Use redis-cli for it.",
        )
    if allowed is not None and (len(args) < 2 or _word(args[1]) not in allowed):
        sub = _word(args[1]) if len(args) > 1 else ""
        raise ReadOnlyTarget(
            name,
            f"{name} {sub}".strip() + " is not among the commands this client sends.",
            "Use redis-cli for it.",
        )
    return name in WRITES


def writes(args: Sequence[object]) -> bool:
    """Whether a command on the list is one of those that write."""
    return _word(args[0]) in WRITES


def _word(value: object) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.upper()
