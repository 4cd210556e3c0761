"""The real engine behind a server that tells FT.INFO in another way: of an index the engine itself lacks."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from memdb.cluster.target import Target
from tests.fronts import listening
from tests.standins.resp import Raw, Refusal, Upstream, commands, encoded


@contextmanager
def info_front(engine: Target, told: Callable[[list[Any]], list[Any]]) -> Iterator[Target]:
    """Serve the engine; each field's description of FT.INFO goes through `told`."""

    def serve(sock: socket.socket) -> None:
        upstream = Upstream(engine.host, engine.port)
        with suppress(OSError, ValueError), sock.makefile("rwb") as stream:
            for words in commands(stream):
                stream.write(encoded(_reply(words, upstream, told)))
                stream.flush()
        upstream.close()

    with listening(serve) as port:
        yield Target("redis", "127.0.0.1", port, password=engine.password, kind="development")


def _reply(words: list[bytes], upstream: Upstream, told: Callable[[list[Any]], list[Any]]) -> Any:
    if words[0].upper() != b"FT.INFO":
        return Raw(upstream.relay(words))
    try:
        reply = upstream.ask(*words)
    except Refusal as exc:
        return exc
    at = reply.index(b"attributes") + 1
    reply[at] = [told(entry) for entry in reply[at]]
    return reply
