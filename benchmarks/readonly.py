"""No write leaves a read-only client: every command of the server, in every spelling, by every route.

    python benchmarks/readonly.py [--spellings 5] [--routes 10]

Commands are the server's own account of itself (COMMAND), and some that it does not know. MONITOR on a
connection of its own tells what arrived. The goal is 0 writes of at least 16,000 calls; anything else that
arrives must be a read by the server's own flags. Exit 1 where one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from memdb.cluster import engine, replies
from memdb.cluster.client import Client, connect, open_for_work
from memdb.cluster.target import Budget, Target
from memdb.errors import MemDBError, ReadOnlyTarget

GOAL_CALLS = 16_000
KEY = "precious"
# Flagged `write` or without flags, though they change no data: a cursor lives only to be read.
HARMLESS = {"ft.cursor"}
OTHERS = (
    "EVAL|EVALSHA|FCALL|SCRIPT LOAD|FUNCTION LOAD|JSON.SET|JSON.DEL|JSON.MSET|JSON.MERGE|FT.CREATE|"
    "FT.DROPINDEX|FT.ALTER|FT.ALIASADD|FT.SYNUPDATE|FT.DICTADD|FT.SUGADD|FT.CONFIG SET|_FT.DEBUG|FT.ADD|"
    "FT.DEL|FT.DROP|"
    "SYNC|PSYNC|REPLICAOF|SLAVEOF|CLUSTER FAILOVER|GETEX|GETDEL|SORT|GEORADIUS|XREADGROUP|RESTORE|MIGRATE"
).split("|")


class _Text(str):
    """Says that it is GET."""

    __slots__ = ()

    def __str__(self) -> str:
        return "GET"

    def upper(self) -> str:
        return "GET"

    def encode(self, *_: Any) -> bytes:
        return b"GET"


class _Bytes(bytes):
    def decode(self, *_: Any) -> str:
        return "GET"


def spellings(words: Sequence[str]) -> list[list[Any]]:
    """A command's name in different dress."""
    return [
        list(words),
        [word.lower().encode() for word in words],
        [" ".join(words)],
        [_Text(words[0]), *words[1:]],
        [_Bytes(words[0].encode()), *words[1:]],
        [word.title() for word in words],
        [f" {words[0]}", *words[1:]],
        [bytearray(words[0].encode()), *words[1:]],
    ]


def routes(client: Client, frugal: Client) -> list[Callable[[Sequence[Any]], object]]:
    """The ways by which a command can reach the wire."""
    (node,) = client.nodes()
    there = client.on(node)
    return [
        lambda c: client.execute(*c),
        lambda c: client.pipeline([("PING",), c]),
        lambda c: client.transaction([c]),
        lambda c: client.transactions([[c]]),
        lambda c: client.compare_and_set(KEY, [c], lambda _: [c]),
        lambda c: client.timed(*c),
        lambda c: there.execute(*c),
        lambda c: there.pipeline([c, c], errors_as_values=True),
        lambda c: frugal.pipeline([("FT._LIST",), c]),
        lambda c: client.connection.told([c]),
    ]


def described(client: Client) -> dict[str, set[str]]:
    """Every command and subcommand of the server, `config|set`, with its flags."""
    flags: dict[str, set[str]] = {}

    def take(entry: list[Any]) -> None:
        flags[replies.text(entry[0]).lower()] = {replies.text(flag) for flag in replies.items(entry[2])}
        for below in replies.items(entry[9]) if len(entry) > 9 else []:
            take(below)

    for entry in client.execute("COMMAND"):
        take(entry)
    return flags


class Monitor:
    """What arrives at the server, by MONITOR over a raw socket: commands with their subcommands."""

    def __init__(self, target: Target) -> None:
        self.seen: Counter[str] = Counter()
        self._end = threading.Event()
        self._sock = socket.create_connection((target.host, target.port), timeout=60)
        self._file = self._sock.makefile("rwb")
        self._ask(b"AUTH", target.password.encode())
        self._ask(b"MONITOR")
        threading.Thread(target=self._listen, daemon=True).start()

    def _ask(self, *words: bytes) -> None:
        self._file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        self._file.flush()
        if self._file.readline() != b"+OK\r\n":
            raise SystemExit("MONITOR was refused.")

    def _listen(self) -> None:
        for line in self._file:
            words = re.findall(rb'"((?:[^"\\]|\\.)*)"', line)
            names = [word.decode("latin-1").lower() for word in words[:2]]
            if names == ["echo", "the end"]:
                break
            self.seen["|".join(names)] += 1
        self._end.set()

    def ended(self, target: Target) -> Counter[str]:
        """All of it, once what was sent until now has arrived."""
        with connect(target) as client:
            client.execute("ECHO", "the end")
        if not self._end.wait(60):
            raise SystemExit("MONITOR did not tell the end.")
        self._sock.close()
        return self.seen


def calls(flags: dict[str, set[str]], limit: int) -> Iterator[list[Any]]:
    """Every command × spelling, with and without arguments."""
    names = [name.upper().split("|") for name in flags] + [other.split() for other in OTHERS]
    for words in names:
        dressed = spellings(words)[:limit]
        yield list(words)
        for spelling in dressed:
            yield [*spelling, KEY, "1", "2"]
        yield [*dressed[-1], KEY]


def tried(target: Target, spellings: int = 8, ways: int = 10) -> tuple[int, Counter[str], set[str]]:
    """Run it.

    Returns:
        How many calls, what arrived, and which of that is no read by the server's own account.
    """
    with connect(target) as admin:
        flags = described(admin)
        admin.execute("SET", KEY, "untouched")
    watch = Monitor(target)
    made = 0
    read_only = target.read_only()
    with connect(read_only) as client, open_for_work(read_only, Budget(keys_scanned=10**9)) as frugal:
        each = routes(client, frugal)[:ways]
        for call in calls(flags, spellings):
            for way in each:
                made += 1
                # ReadOnlyTarget: not sent. Others: sent, and the engine did not like the arguments.
                with contextlib.suppress(ReadOnlyTarget, MemDBError):
                    way(call)
    seen = watch.ended(target)
    writes = {name for name, of in flags.items() if "write" in of} - HARMLESS
    wrong = set()
    for name in seen:
        first = name.split("|")[0]
        if first not in HARMLESS and (first not in flags or {name, first} & writes):
            wrong.add(name)
    return made, seen, wrong


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--spellings", type=int, default=8)
    options.add_argument("--routes", type=int, default=10)
    given = options.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, engine.start(Path(folder), log=False) as running:
        running.wait_ready()
        made, seen, wrong = tried(running.target, given.spellings, given.routes)
        with connect(running.target) as client:
            untouched = client.execute("GET", KEY) == b"untouched" and client.execute("DBSIZE") == 1
    names = {name.split("|")[0] for name in seen}
    print(f"{made:,} calls in {time.monotonic() - began:.0f} s; {sum(seen.values()):,} commands arrived")
    print(f"  {len(names)} names: {', '.join(sorted(names))}")
    print(f"  writes: {len(wrong)} {', '.join(sorted(wrong))}; data untouched: {untouched}")
    if made < GOAL_CALLS:
        print(f"  fewer than the {GOAL_CALLS:,} calls of the goal")
    if wrong or not untouched:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
