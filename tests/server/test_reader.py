"""Replies that drip, never end, are too large or are none: the call ends in time, with an error of ours."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.engine import Engine
from memdb.cluster.reader import MOST_DEPTH, Within
from memdb.cluster.target import Target
from memdb.errors import MemDBError, Unreachable
from tests.fronts import dripping, listening, saying
from tests.waiting import PATIENCE_S

LIMIT_S = 0.5
# A call may take its limit; what lies above it is what a busy machine may add, far below a second limit each
# for a piece (some hundred of them), for a retry and for a login.
MOST_S = LIMIT_S + 4.0


def at(port: int, limit_s: float = LIMIT_S) -> Target:
    return Target(port=port, timeout_s=limit_s)


def endless(sock: socket.socket) -> None:
    """An array of which more and more comes."""
    sock.recv(4096)
    sock.sendall(b"*9000000\r\n")
    while True:
        sock.sendall(b":1\r\n" * 1_000)
        time.sleep(0.01)


@pytest.mark.parametrize(
    "serve",
    [
        dripping(b"+" + b"x" * 1_000),
        dripping(b"$1000\r\n" + b"x" * 1_000),
        dripping(b"*1000\r\n"),
        dripping(b"-ERR " + b"x" * 1_000),
        endless,
    ],
    ids=["status", "value", "array", "error", "endless array"],
)
@pytest.mark.parametrize("way", ["execute", "pipeline", "transaction", "told", "nodes", "ping_ms"])
def test_the_limit_is_of_the_whole_call(serve: Callable[[socket.socket], None], way: str) -> None:
    with listening(serve) as port, connect(replace(at(port), writable=True)) as client:
        calls: dict[str, Callable[[], object]] = {
            "execute": lambda: client.execute("PING"),
            "pipeline": lambda: client.pipeline([("PING",)] * 20),
            "transaction": lambda: client.transaction([("SET", "k", 1)]),
            "told": lambda: client.connection.told([("PING",)]),
            "nodes": client.nodes,
            "ping_ms": client.connection.ping_ms,
        }
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 0.5 s|not as Redis"):
            calls[way]()
        assert time.monotonic() - began < MOST_S


def test_a_batch_has_one_limit(server_target: Target) -> None:
    """Each reply is there in time; all of them are not."""

    def late(sock: socket.socket) -> None:
        sock.recv(65536)
        while True:
            time.sleep(0.3)
            sock.sendall(b"+PONG\r\n")

    with listening(late) as port, connect(at(port)) as client:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 0.5 s"):
            client.pipeline([("PING",)] * 50)
        assert time.monotonic() - began < MOST_S


def test_a_login_that_drips_is_part_of_the_call() -> None:
    with (
        listening(dripping(b"+OK" + b" " * 1_000)) as port,
        connect(replace(at(port), password="x", db=3)) as client,
    ):
        began = time.monotonic()
        with pytest.raises(Unreachable):
            client.execute("PING")
        assert time.monotonic() - began < MOST_S


def test_an_outer_limit_holds_for_every_call_inside(engine: Engine) -> None:
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        with connect(replace(engine.target, timeout_s=60.0)) as client:
            began = time.monotonic()
            with Within(0.5), pytest.raises(Unreachable):
                client.execute("PING")
            with Within(0.5), pytest.raises(Unreachable):
                client.server  # noqa: B018
            assert time.monotonic() - began < 10.0
    finally:
        os.kill(engine.pid, signal.SIGCONT)


NONE_AT_ALL = {
    "too many items": b"*2147483647\r\n",
    "too many in an array": b"*2\r\n:1\r\n*2147483647\r\n",
    "more than 64 bits": b"*99999999999999999999\r\n",
    "a negative array": b"*-2\r\n",
    "a negative value": b"$-5\r\n",
    "no integer": b":abc\r\n",
    "a large integer": b":99999999999999999999\r\n",
    "MOVED without a place": b"-MOVED\r\n",
    "MOVED to no number": b"-MOVED x y\r\n",
    "ASK to no place": b"-ASK 1 2\r\n",
    "a map": b"%1\r\n*0\r\n:1\r\n",
    "a set": b"~2147483647\r\n",
    "a push": b">1\r\n+message\r\n" * 100,
    "an attribute": b"|1\r\n+a\r\n+b\r\n+c\r\n",
    "arrays in arrays": b"*1\r\n" * 20_000 + b":1\r\n",
    "arrays in arrays, last": b"*2\r\n:1\r\n" * 9_000 + b":1\r\n",
    "arrays in arrays, amid": b"*3\r\n:1\r\n" * 9_000 + b":1\r\n" * 9_001,
    "bytes of no kind": b"\xff\xfe\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("reply", NONE_AT_ALL.values(), ids=NONE_AT_ALL)
def test_what_is_no_reply_is_one_error(reply: bytes) -> None:
    with listening(saying(reply)) as port, connect(at(port)) as client:
        for call in (
            lambda: client.execute("HGETALL", "k"),
            lambda: client.pipeline([("HGETALL", "k"), ("GET", "k")]),
            lambda: client.connection.told([("PING",)]),
            client.nodes,
        ):
            with pytest.raises(MemDBError):
                call()


@pytest.mark.parametrize("cut", [1, 7, 1_000, 65_536])
def test_values_that_look_like_heads_are_values(client: Client, prefix: str, cut: int) -> None:
    """Text that an array's head would be made of, at every place of a piece, arrives as it was stored."""
    values = [
        b"\r\n*2147483647\r\n" * 5_000,
        b"*99999999",
        b"\n>5 apples\r\n%3\r\n~" * 3_000,
        b"x" * (65_536 - 24 + cut % 24) + b"\r\n*123456789\r\n" + b"y" * 65_536,
        os.urandom(200_000),
    ]
    client.pipeline([("SET", f"{prefix}{i}", value) for i, value in enumerate(values)])
    target = client.target

    def relay(sock: socket.socket) -> None:
        with socket.create_connection((target.host, target.port)) as server:
            server.settimeout(0.02)
            while request := sock.recv(65536):
                server.sendall(request)
                while True:
                    try:
                        piece = server.recv(cut)
                    except TimeoutError:
                        break
                    sock.sendall(piece)

    if cut < 1_000:  # byte by byte, the short one alone
        values[0], values[2:] = values[0][:400], [values[2][:400]]
        client.pipeline([("SET", f"{prefix}{i}", value) for i, value in enumerate(values)])
    with listening(relay) as port, connect(replace(target, port=port)) as through:
        commands = [("GET", f"{prefix}{i}") for i in range(len(values))]
        assert [through.execute(*command) for command in commands] == values
        assert through.execute("MGET", *(key for _, key in commands)) == values
        assert through.pipeline([*commands, ("PING",)]) == [*values, b"PONG"]


def test_nesting_up_to_the_bound_is_read() -> None:
    deep = b"*1\r\n" * MOST_DEPTH + b":1\r\n"
    with listening(saying(deep)) as port, connect(at(port, PATIENCE_S)) as client:
        assert str(client.execute("SLOWLOG", "GET")) == "[" * MOST_DEPTH + "1" + "]" * MOST_DEPTH
    deeper = saying(b"*1\r\n" + deep)
    with (
        listening(deeper) as port,
        connect(at(port, PATIENCE_S)) as client,
        pytest.raises(Unreachable, match="deep"),
    ):
        client.execute("SLOWLOG", "GET")


def test_the_connection_after_a_short_limit_has_its_own_again(server_target: Target) -> None:
    with connect(replace(server_target, timeout_s=30.0)) as client:
        for _ in range(3):
            with Within(5.0):
                assert client.execute("PING") == b"PONG"
            assert client.execute("PING") == b"PONG"
        with Within(-1.0), pytest.raises(Unreachable):
            client.execute("PING")
        assert client.execute("PING") == b"PONG"


def test_a_refusal_that_repeats_bytes_of_a_key_is_told() -> None:
    reply = saying(b"-ERR no such key \xff\xfe\r\n")
    with (
        listening(reply) as port,
        connect(at(port, PATIENCE_S)) as client,
        pytest.raises(MemDBError, match="no such key"),
    ):
        client.execute("GET", "k")
