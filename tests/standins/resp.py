"""The wire: commands in, replies out, and one connection to the engine behind for each connection in front.

Text is handled as one character a byte (latin-1), so that positions and lengths are those of the bytes.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import IO, Any

import hiredis


class Refusal(Exception):
    """An error reply, worded as it goes over the wire."""


class Status(bytes):
    """A simple string such as OK."""

    __slots__ = ()


class Upstream:
    """A connection to the engine. What it answers can be handed on byte by byte, whatever its protocol."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._stream: IO[bytes] = self._socket.makefile("rb")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def relay(self, words: list[bytes]) -> bytes:
        """The engine's reply as it came."""
        self._socket.sendall(request(words))
        return b"".join(self._parts())

    def ask(self, *words: bytes | str | int) -> Any:
        """The engine's reply, read.

        Raises:
            Refusal: The engine's error.
        """
        raw = self.relay([_raw(word) for word in words])
        value, _ = decoded(raw, 0)
        if isinstance(value, Refusal):
            raise value
        return value

    def _parts(self) -> Iterator[bytes]:
        line = self._stream.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the engine closed the connection")
        yield line
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=!" and rest != b"-1":
            yield self._stream.read(int(rest) + 2)
        elif kind in b"*~>%|" and rest != b"-1":
            for _ in range(int(rest) * (2 if kind in b"%|" else 1)):
                yield from self._parts()
            if kind == b"|":
                yield from self._parts()


class Asking:
    """A connection of the stand-in's own, for what it needs of the engine to answer."""

    def __init__(self, host: str, port: int, username: str, password: str) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        if password:
            self.ask("AUTH", *([username] if username else []), password)

    def close(self) -> None:
        self._socket.close()

    def ask(self, *words: bytes | str | int) -> Any:
        """One reply.

        Raises:
            Refusal: The engine's error.
        """
        (reply,) = self.many([words])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def many(self, every: list[tuple[bytes | str | int, ...]]) -> list[Any]:
        """The replies to many commands that are sent at once; an error is a Refusal among them."""
        replies: list[Any] = []
        for at in range(0, len(every), 500):
            some = every[at : at + 500]
            self._socket.sendall(b"".join(request([_raw(word) for word in words]) for words in some))
            for _ in some:
                while (reply := self._reader.gets()) is False:
                    if not (more := self._socket.recv(1 << 16)):
                        raise OSError("the engine closed the connection")
                    self._reader.feed(more)
                replies.append(Refusal(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply)
        return replies


def _raw(word: bytes | str | int) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def request(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def commands(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """What a client sends, command by command."""
    while head := stream.readline():
        words = []
        for _ in range(int(head[1:])):
            size = int(stream.readline()[1:])
            words.append(stream.read(size + 2)[:-2])
        yield words


def decoded(raw: bytes, at: int) -> tuple[Any, int]:
    """The value at a place of a reply, and where the next one begins."""
    end = raw.index(b"\r\n", at)
    kind, rest, at = raw[at : at + 1], raw[at + 1 : end], end + 2
    if kind == b"+":
        return Status(rest), at
    if kind == b"-":
        return Refusal(rest.decode("utf-8", "replace")), at
    if kind == b":":
        return int(rest), at
    if kind == b",":
        return float(rest), at
    if kind == b"#":
        return rest == b"t", at
    if kind == b"_" or rest == b"-1":
        return None, at
    if kind in b"$=!":
        size = int(rest)
        body = raw[at : at + size]
        value = Refusal(body.decode()) if kind == b"!" else body[4:] if kind == b"=" else body
        return value, at + size + 2
    items = []
    for _ in range(int(rest) * (2 if kind in b"%|" else 1)):
        item, at = decoded(raw, at)
        items.append(item)
    return items, at


def encoded(value: Any) -> bytes:
    """A reply in RESP2, which RESP3 clients read as well; `bytes` of a relayed reply are wrapped in Raw."""
    if isinstance(value, Raw):
        return value.reply
    if isinstance(value, Exception):
        return b"-%s\r\n" % str(value).replace("\r", " ").replace("\n", " ").encode(
            "utf-8", "surrogateescape"
        )
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, Status):
        return b"+%s\r\n" % value
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list | tuple):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    raw = value if isinstance(value, bytes) else str(value).encode("latin-1")
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


class Raw:
    """A reply of the engine that is handed on as it came."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
