"""A front of the real engine that changes one reply, as a broken or hostile server would send it."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import hiredis

from memdb.cluster.target import Target
from tests.fronts import listening

DEEP: list[Any] = []
for _ in range(20):
    DEEP = [DEEP]
OTHERS: tuple[Any, ...] = (
    None,
    0,
    -1,
    2**63 - 1,
    b"",
    b"text",
    b"-1e400",
    b"nan",
    b"\xff\xfe\x00",
    b"x" * 3_000,
    [],
    [[]],
    [None, None, None],
    [b"a", 1, [b"b", []]],
    DEEP,
    hiredis.ReplyError("ERR something else"),
    hiredis.ReplyError("MOVED 1 nowhere"),
    hiredis.ReplyError("NOAUTH no"),
    hiredis.ReplyError(""),
)
RAW = (
    b"*2147483647\r\n",
    b"*-7\r\n",
    b"$-7\r\n",
    b":9" * 30 + b"\r\n",
    b"%1\r\n+a\r\n+b\r\n",
    b"*3\r\n:1\r\n",
    b"\x00\x01\x02\r\n",
    b"",
)


def encoded(reply: Any) -> bytes:
    """In RESP2."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%s\r\n" % (len(reply), reply)
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
    return b"-%s\r\n" % str(reply).encode()


def mutated(reply: Any, rng: random.Random) -> bytes:
    """One place of a reply, at any depth, is another."""
    if rng.random() < 0.15:
        return rng.choice(RAW)
    return encoded(_changed(reply, rng))


def _changed(reply: Any, rng: random.Random) -> Any:
    if not isinstance(reply, list) or not reply or rng.random() < 0.25:
        return rng.choice(OTHERS)
    at = rng.randrange(len(reply))
    match rng.randrange(6):
        case 0:
            return reply[:at]
        case 1:
            return reply[:at] + reply[at + 1 :]
        case 2:
            return [*reply, reply[at]]
        case _:
            return [*reply[:at], _changed(reply[at], rng), *reply[at + 1 :]]


@dataclass
class Front:
    """What the front did."""

    target: Target
    place: int  # of the reply that is changed; -1 for none
    rng: random.Random
    replies: int = 0
    commands: list[str] = field(default_factory=list)


@contextlib.contextmanager
def front(target: Target, place: int, seed: int, limit_s: float = 1.0) -> Iterator[Front]:
    """The server behind a port whose reply number `place` is changed; a call to it may take so long."""

    def relay(sock: socket.socket) -> None:
        # The doctor speaks TLS to it too.
        with (
            contextlib.suppress(hiredis.ProtocolError),
            socket.create_connection((target.host, target.port)) as server,
        ):
            requests, answers = hiredis.Reader(), hiredis.Reader()
            while request := sock.recv(1 << 20):
                requests.feed(request)
                server.sendall(request)
                due = 0
                while (command := requests.gets()) is not False:
                    told.commands.append(command[0].decode("latin-1").upper())
                    due += 1
                out = b""
                while due:
                    reply = answers.gets()
                    if reply is False:
                        answers.feed(server.recv(1 << 20))
                        continue
                    due -= 1
                    changed = told.replies == told.place
                    told.replies += 1
                    out += mutated(reply, told.rng) if changed else encoded(reply)
                sock.sendall(out)

    with listening(relay) as port:
        told = Front(
            Target(port=port, password=target.password, writable=True, timeout_s=limit_s),
            place,
            random.Random(seed),
        )
        yield told
