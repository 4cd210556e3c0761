"""The real engine behind a server that tells FT.INFO in another way: of an index the engine itself lacks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.exceptions import RedisError

from memdb.cluster.target import Target
from tests.fronts import listening
from tests.memorydb_proxy import Refusal, _encoded


@contextmanager
def info_front(engine: Target, told: Callable[[list[Any]], list[Any]]) -> Iterator[Target]:
    """Serve the engine; each field's description of FT.INFO goes through `told`."""

    def serve(sock: socket.socket) -> None:
        with redis.Redis(
            host=engine.host, port=engine.port, protocol=2, single_connection_client=True, driver_info=None
        ) as upstream:
            upstream.response_callbacks.clear()
            _talk(sock, upstream, told)

    with listening(serve) as port:
        yield Target("redis", "127.0.0.1", port, password=engine.password, kind="development")


def _talk(sock: socket.socket, upstream: redis.Redis, told: Callable[[list[Any]], list[Any]]) -> None:
    with suppress(OSError, ValueError), sock.makefile("rwb") as stream:
        while head := stream.readline():
            words = []
            for _ in range(int(head[1:])):
                size = int(stream.readline()[1:])
                words.append(stream.read(size + 2)[:-2])
            try:
                reply = upstream.execute_command(*words)
                if words[0].upper() == b"FT.INFO":
                    at = reply.index(b"attributes") + 1
                    reply[at] = [told(entry) for entry in reply[at]]
            except RedisError as exc:
                reply = Refusal(f"ERR {exc}")
            stream.write(_encoded(reply))
            stream.flush()
