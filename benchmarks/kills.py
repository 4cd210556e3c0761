"""Acknowledged writes after kills, counted by an outside ledger: raw sockets, none of the package's drill.

    python benchmarks/kills.py [--kills 36] [--drills 1]        # 1,000 for the figure in docs/security.md

In rounds writers send SET over sockets of their own and note a write once `+OK` has come. Then the engine is
killed (SIGKILL), or the whole process that holds it, is started again, and every noted write is read back.
Two engines are written to and killed at once; last, two of the package's own drills run at once in one home,
each by its own ledger. The goal is 0 writes lost of the durable engine. Exit 1 else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlparse

from memdb.cluster import engine
from memdb.durability import drill
from memdb.durability.drill import DrillRequest

WRITERS = 4
KEYS_AT_ONCE = 500
PATIENCE_S = 60.0
CHANCE = random.Random()  # noqa: S311  # when to kill, and what to write


class Raw:
    """A connection that knows RESP2's two shapes that are needed here."""

    def __init__(self, port: int, password: str) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._file = self._sock.makefile("rb")
        if self.ask(b"AUTH", password.encode()) != b"+OK":
            self.close()
            raise ConnectionError("no login")

    def ask(self, *words: bytes) -> bytes:
        """The first line of the reply, without its end."""
        self._sock.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("cut")
        return line[:-2]

    def values(self, keys: list[bytes]) -> list[bytes | None]:
        """MGET."""
        head = self.ask(b"MGET", *keys)
        if head != b"*%d" % len(keys):
            raise ConnectionError(head.decode("latin-1"))
        read: list[bytes | None] = []
        for _ in keys:
            length = int(self._file.readline()[1:])
            read.append(None if length < 0 else self._file.read(length + 2)[:-2])
        return read

    def wait_loaded(self) -> None:
        """Until the server has read its log: before that it answers nothing but LOADING."""
        until = time.monotonic() + PATIENCE_S
        while (answer := self.ask(b"PING")).startswith(b"-LOADING"):
            if time.monotonic() > until:
                raise ConnectionError(answer.decode("latin-1"))
            time.sleep(0.02)

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._sock.close()


@dataclass
class Ledger:
    """What was acknowledged: a file of its own for each engine, written before the write counts."""

    path: Path
    noted: dict[bytes, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, key: bytes, value: bytes) -> None:
        """Note an acknowledged write."""
        with self._lock:
            os.write(self._file, key + b" " + value + b"\n")
            self.noted[key] = value


def write(port: int, password: str, ledger: Ledger, name: str, ending: threading.Event) -> None:
    """Write until the connection breaks."""
    with contextlib.suppress(OSError):
        number = 0
        with contextlib.closing(Raw(port, password)) as raw:
            while not ending.is_set():
                key = f"{name}:{number}".encode()
                value = CHANCE.randbytes(CHANCE.randrange(1, 400)).hex().encode()
                if raw.ask(b"SET", key, value) != b"+OK":
                    break
                ledger.note(key, value)
                number += 1


def lost(port: int, password: str, ledger: Ledger) -> int:
    """How many noted writes are not there."""
    keys = list(ledger.noted)
    missing = 0
    with contextlib.closing(Raw(port, password)) as raw:
        raw.wait_loaded()
        for start in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[start : start + KEYS_AT_ONCE]
            values = raw.values(part)
            missing += sum(ledger.noted[key] != value for key, value in zip(part, values, strict=True))
    return missing


class Held:
    """The durable engine, held by this process; `kill` ends the server."""

    def __init__(self, home: Path) -> None:
        self._engine = engine.start(home, log=True)
        self._engine.wait_ready()

    @property
    def address(self) -> tuple[int, str]:
        """Port and password."""
        return self._engine.target.port, self._engine.target.password

    def kill(self) -> None:
        """SIGKILL, and start again."""
        os.kill(self._engine.pid, signal.SIGKILL)
        while self._engine.alive():
            time.sleep(0.01)
        self._engine.restart()
        self._engine.wait_ready()

    def end(self) -> None:
        """End it."""
        self._engine.stop()


class InApp:
    """The same, held by a process of its own as the app's are; `kill` ends that process."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._begin()

    def _begin(self) -> None:
        self._app = subprocess.Popen(
            [sys.executable, "-m", "memdb", "engine", "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MEMDB_HOME": str(self._home)},
            text=True,
        )
        assert self._app.stdout is not None
        url = next((word for line in self._app.stdout for word in line.split() if "redis://" in word), "")
        self._app.stdout.close()
        parts = urlparse(url)
        self.address = int(parts.port or 0), str(parts.password or "")

    def kill(self) -> None:
        """SIGKILL of the process, whose engine goes with it; start again."""
        self._app.kill()
        self._app.wait()
        self._begin()

    def end(self) -> None:
        """End it."""
        self._app.send_signal(signal.SIGINT)
        self._app.wait(PATIENCE_S)


def rounds(make: type[Held] | type[InApp], folder: Path, kills: int) -> tuple[int, int]:
    """So many kills of one engine; acknowledged writes, and how many of them were lost."""
    home = folder / "home"
    home.mkdir(parents=True)
    ledger = Ledger(folder / "outside-ledger")
    held = make(home)
    missing = 0
    try:
        for number in range(kills):
            ending = threading.Event()
            writers = [
                threading.Thread(target=write, args=(*held.address, ledger, f"{number}.{i}", ending))
                for i in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            time.sleep(CHANCE.uniform(0.02, 0.4))
            held.kill()
            ending.set()
            for writer in writers:
                writer.join(PATIENCE_S)
            missing = max(missing, lost(*held.address, ledger))
    finally:
        held.end()
    return len(ledger.noted), missing


def two_drills(folder: Path, rounds_: int) -> tuple[int, int]:
    """Two drills of the package at once, so often; writes acknowledged by the durable engines, and lost."""
    written = missing = 0
    asked = DrillRequest(seconds=4, rate=50, documents=0)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(rounds_):
            for result in pool.map(lambda _: drill.run(asked, folder), range(2)):
                side = result.engines[drill.DURABLE]
                written += side.acknowledged
                missing += side.lost + side.partial
    return written, missing


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=36)
    options.add_argument("--drills", type=int, default=1, help="rounds of two drills at once")
    given = options.parse_args()
    kills = given.kills
    plan = {
        "engine killed": (Held, kills // 2),
        "two at once, first": (Held, kills // 6),
        "two at once, second": (Held, kills // 6),
        "app killed": (InApp, kills - kills // 2 - 2 * (kills // 6)),
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        at = Path(folder)
        results = {"engine killed": rounds(Held, at / "1", plan["engine killed"][1])}
        both = [name for name in plan if name.startswith("two")]
        running = {
            name: pool.submit(rounds, Held, at / str(2 + i), plan[name][1]) for i, name in enumerate(both)
        }
        results |= {name: each.result() for name, each in running.items()}
        results["app killed"] = rounds(InApp, at / "4", plan["app killed"][1])
        plan["two drills at once"] = (Held, 2 * given.drills)
        results["two drills at once"] = two_drills(at / "5", given.drills)
    kills += 2 * given.drills
    for name, (written, missing) in results.items():
        print(f"  {name:<20} {plan[name][1]:>5,} kills  {written:>9,} acknowledged  {missing:,} lost")
    written, missing = (sum(numbers) for numbers in zip(*results.values(), strict=True))
    took_s = time.monotonic() - began
    print(f"{kills:,} kills in {took_s:.0f} s: {written:,} acknowledged writes, {missing:,} lost")
    if missing or not written:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
