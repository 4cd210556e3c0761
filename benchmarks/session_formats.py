"""Sessions of every kind of value, many of each: a page of 50, detection, a conversation of 10,000 turns.

    python benchmarks/session_formats.py [--keys 1000000] [--pages 60] [--only list,uuid]

One format after the other is loaded into a local engine of its own, in a temporary folder and without a
log. A million keys of one take up to 1 GB while they are there.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import redis
from rich.console import Console
from rich.table import Table

from benchmarks.sessions import memory_mb
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.sessions import listing
from memdb.sessions.cursor import Cursor
from memdb.sessions.detect import detect
from memdb.sessions.filters import SessionFilter
from memdb.sessions.mapping import Format

SEED = 20
BATCH = 5_000
TURNS = 10_000  # of the long conversation
PAGE_MS, DETECT_S, OPEN_MS = 200.0, 3.0, 500.0

Commands = Iterator[tuple[object, ...]]


def turn(number: int, speaker: int) -> str:
    role = ("user", "assistant")[speaker % 2]
    return json.dumps({"role": role, "content": f"What of table {number}, part {speaker}?"})


def _list(number: int) -> Commands:
    yield "RPUSH", f"chat:{number:07d}", turn(number, 0), turn(number, 1)


def _langchain(number: int) -> Commands:
    human = {"type": "human", "data": {"content": f"What of table {number}?", "type": "human"}}
    yield "LPUSH", f"message_store:{number:07d}", json.dumps(human)


def _uuid(number: int) -> Commands:
    name = uuid.UUID(int=random.Random(number).getrandbits(128), version=4)  # noqa: S311
    yield "RPUSH", str(name), turn(number, 0), turn(number, 1)


def _text(number: int) -> Commands:
    yield "SET", f"conv:{number:07d}", f'{{"messages": [{turn(number, 0)}, {turn(number, 1)}]}}'


def _document(number: int) -> Commands:
    yield "JSON.SET", f"doc:{number:07d}", "$", f'{{"messages": [{turn(number, 0)}, {turn(number, 1)}]}}'


def _stream(number: int) -> Commands:
    for speaker in (0, 1):
        told = json.loads(turn(number, speaker))
        yield (
            "XADD",
            f"talk:{number:07d}",
            f"{1_784_025_000_000 + speaker}-0",
            *(x for p in told.items() for x in p),
        )


def _sorted_set(number: int) -> Commands:
    yield "ZADD", f"rank:{number:07d}", 1_784_025_000, turn(number, 0), 1_784_025_001, turn(number, 1)


def _hash_fields(number: int) -> Commands:
    yield "HSET", f"fields:{number:07d}", "1", turn(number, 0), "2", turn(number, 1)


def _hash_message(number: int) -> Commands:
    """Two messages a session, a key each, as redisvl has them."""
    session, speaker = divmod(number, 2)
    told = json.loads(turn(session, speaker))
    yield (
        *("HSET", f"hist:{session:07d}:{speaker}", "session_tag", f"{session:07d}"),
        *(x for p in told.items() for x in p),
        *("timestamp", 1_784_025_000 + speaker),
    )


FORMATS: dict[str, Callable[[int], Commands]] = {
    "list": _list,
    "langchain": _langchain,
    "uuid": _uuid,
    "text": _text,
    "json": _document,
    "stream": _stream,
    "zset": _sorted_set,
    "hash-fields": _hash_fields,
    "hash-message": _hash_message,
}


def long_one(name: str) -> Commands:
    """One conversation of TURNS turns, under the same prefix."""
    turns = [turn(TURNS, i) for i in range(TURNS)]
    key = {n: next(f(0))[1] for n, f in FORMATS.items()}[name]
    key = "00000000-1111-4222-8333-abcdefabcdef" if name == "uuid" else f"{str(key).partition(':')[0]}:long"
    if name in ("list", "uuid"):
        yield "RPUSH", key, *turns
    elif name == "langchain":
        yield "LPUSH", key, *(json.dumps({"type": "human", "data": json.loads(t)}) for t in turns)
    elif name == "text":
        yield "SET", key, f'{{"messages": [{", ".join(turns)}]}}'
    elif name == "json":
        yield "JSON.SET", key, "$", f'{{"messages": [{", ".join(turns)}]}}'
    elif name == "stream":
        for i, told in enumerate(map(json.loads, turns)):
            yield "XADD", key, f"{1_784_025_000_000 + i}-0", *(x for p in told.items() for x in p)
    elif name == "zset":
        yield "ZADD", key, *(x for i, t in enumerate(turns) for x in (1_784_025_000 + i, t))
    elif name == "hash-fields":
        yield "HSET", key, *(x for i, t in enumerate(turns) for x in (str(i), t))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--keys", type=int, default=1_000_000, help="of each format")
    options.add_argument("--pages", type=int, default=60, help="pages to measure")
    options.add_argument("--only", default=",".join(FORMATS), help="formats, by commas")
    chosen = options.parse_args()
    table = Table(
        *("format", "keys", "load", "detect", "page p50", "p95", "max", "RSS +", "by words", "open 10,000"),
        title=f"{chosen.keys:,} keys of each",
    )
    slow: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.only.split(","):
            home = Path(folder) / name
            home.mkdir()
            with local_engine.start(home, log=False, json=True) as running:
                running.wait_ready()
                table.add_row(*measured(running.target.url, name, chosen.keys, chosen.pages, slow))
                Console(width=140, stderr=True).print(f"{name} measured")
    Console(width=140).print(table)
    print(f"allowed: a page {PAGE_MS:.0f} ms, detection {DETECT_S:.0f} s, opening {OPEN_MS:.0f} ms")
    if slow:
        print("too slow: " + "; ".join(slow))
        sys.exit(1)


def measured(url: str, name: str, keys: int, pages: int, slow: list[str]) -> list[str]:
    """A row of the table; what takes longer than allowed is put into `slow`."""
    from memdb.cluster.target import Target

    began = time.perf_counter()
    with redis.Redis.from_url(url, protocol=2) as server:
        load(server, (command for number in range(keys) for command in FORMATS[name](number)))
        load(server, long_one(name))
    loaded = time.perf_counter() - began
    with connect(Target.parse(url)) as client:
        began = time.perf_counter()
        seen = detect(client).formats
        detected = time.perf_counter() - began
        format_ = seen[0].format
        listing.page(client, format_)  # warm: imports
        before = memory_mb()
        times = measure(client, format_, pages, SessionFilter())
        grown = memory_mb() - before
        by_words = measure(client, format_, max(5, pages // 10), SessionFilter(words=("table", "777")))
        opened = opening(client, format_, name, keys)
    p50, p95 = np.percentile(times, (50, 95))
    for what, took, most in (
        ("page", max(times), PAGE_MS),
        ("detection", detected, DETECT_S),
        ("open", opened, OPEN_MS),
    ):
        if took > most:
            slow.append(f"{name} {what} {took:.1f}")
    return [
        *(name, f"{keys:,}", f"{loaded:.0f} s", f"{detected:.2f} s"),
        *(f"{ms:.1f} ms" for ms in (p50, p95, max(times))),
        *(f"{grown:.1f} MB", f"{max(by_words):.0f} ms", f"{opened:.0f} ms"),
    ]


def opening(client: Client, format_: Format, name: str, keys: int) -> float:
    """Milliseconds to open the long conversation; of several keys a usual one."""
    if name == "hash-message":
        id_ = f"{keys // 4:07d}"
    else:
        id_ = "00000000-1111-4222-8333-abcdefabcdef" if name == "uuid" else "long"
    began = time.perf_counter()
    session = listing.open_session(client, format_, id_).session
    took = (time.perf_counter() - began) * 1000
    expected = 2 if name == "hash-message" else TURNS
    if session.total != expected:
        sys.exit(f"{name}: {session.total} turns, not {expected}")
    return took


def measure(client: Client, format_: Format, pages: int, wanted: SessionFilter) -> list[float]:
    """Milliseconds of pages from random places of the key space."""
    chance = random.Random(SEED)  # noqa: S311
    times = []
    for _ in range(pages):
        cursor = replace(Cursor(0, (), started=True), scan=chance.getrandbits(48)).token
        began = time.perf_counter()
        listing.page(client, format_, wanted, cursor)
        times.append((time.perf_counter() - began) * 1000)
    return times


def load(server: redis.Redis, commands: Commands) -> None:
    pipe, waiting = server.pipeline(transaction=False), 0
    for command in commands:
        pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        waiting += 1
        if waiting == BATCH:
            pipe.execute()
            waiting = 0
    pipe.execute()


if __name__ == "__main__":
    main()
