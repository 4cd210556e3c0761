"""Reading replies within bounds: a time limit for the whole call, a most size, and nothing but RESP2.

redis-py's limit is for each piece that arrives: a server that sends a byte a second is never late. Its parser
makes room for an array as soon as the head is there: `*2147483647` takes 16 GB before an item has come. And
what it cannot parse leaves as TypeError, ValueError or MemoryError. Here all of this is one InvalidResponse.
"""

from __future__ import annotations

import re
import threading
from time import monotonic
from types import TracebackType
from typing import Any

from redis._parsers.hiredis import NOT_ENOUGH_DATA, _HiredisParser
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as NoAnswer
from redis.utils import SENTINEL

MOST_BYTES = 513 << 20  # of a reply: the largest value that a server keeps has 512 MB
MOST_ITEMS = 9_999_999  # of an array: what seven digits can say
MOST_DEPTH = 32  # of arrays in arrays; those of real replies have 6

# The head of an array of too many items, or of a kind that RESP2 does not have, where one can stand: at the
# beginning, or after the end of a line.
_REFUSED = rb"(?:\*\d{8}|[%~>|]\d)"
_FIRST, _LATER = re.compile(_REFUSED), re.compile(rb"\n" + _REFUSED)
_CUT = re.compile(rb"(?:\A|\n)(\*\d*|[%~>|])\Z")  # a head that goes on with the next piece
_HEAD_BYTES = 24
_SMALL = 4_096  # bytes


class _Call(threading.local):
    until = float("inf")  # on the clock of time.monotonic
    seconds = float("inf")  # that were given


_call = _Call()


class Within:
    """A time limit for all that this thread asks of servers inside it; an outer one stays in force.

        with Within(15.0):
            connection.execute_command("PING")

    Args:
        seconds: until redis-py's TimeoutError.
        over: they have passed already: nothing is asked.
    """

    __slots__ = ("_outer", "_over", "_seconds")

    def __init__(self, seconds: float, *, over: bool = False) -> None:
        self._seconds, self._over = seconds, over

    def __enter__(self) -> None:
        self._outer = _call.until, _call.seconds
        until = monotonic() + (0.0 if self._over else self._seconds)
        if until < _call.until:
            _call.until, _call.seconds = until, self._seconds

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        _call.until, _call.seconds = self._outer


def limit_s(most: float) -> float:
    """The time limit of the call that runs, in seconds; at most `most`."""
    return min(most, _call.seconds)


def seconds_left(most: float) -> float:
    """Of the call's time limit, at most `most`.

    Raises:
        TimeoutError: redis-py's; none is left.
    """
    seconds = min(most, _call.until - monotonic())
    if seconds <= 0:
        raise NoAnswer("The time of the call is over")
    return seconds


class Reader(_HiredisParser):
    """redis-py's parser by hiredis, within bounds."""

    def on_connect(self, connection: Any, **options: Any) -> None:
        """Begin with a new socket."""
        super().on_connect(connection, **options)  # type: ignore[no-untyped-call]
        self._cut = b""  # the beginning of a head, kept back until the rest has arrived
        self._ahead = b""  # what has arrived and holds what looks like a head that is refused
        self._shortened = False  # the socket's own limit is that of the call
        self.begin()

    def begin(self) -> None:
        """Start the clock for what is about to be sent."""
        limit = self._socket_timeout
        self._arrays = 0  # heads of arrays that arrived since then, at least
        now = monotonic()
        self._until = min(_call.until, now + limit)
        seconds = self._until - now
        if (self._shortened or seconds < 0.9 * limit) and self._sock is not None:
            if seconds <= 0:
                raise NoAnswer("The time of the call is over")
            self._sock.settimeout(seconds)
            self._shortened = seconds < 0.9 * limit

    def can_read(self, timeout: float = 0) -> bool:
        """Whether something is there that belongs to no command."""
        return bool(self._ahead or self._cut) or bool(super().can_read(timeout))

    def read_response(
        self, disable_decoding: bool = False, push_request: bool = False, timeout: Any = SENTINEL
    ) -> Any:
        """The next reply.

        Raises:
            InvalidResponse: what came is none, or is larger than a reply may be.
            TimeoutError: redis-py's; the time of the call is over.
            ConnectionError: redis-py's; the server closed the connection.
        """
        reader = self._reader
        if reader is None:
            raise NoConnection("Connection closed.")
        try:
            reply = reader.gets(False)
            if reply is NOT_ENOUGH_DATA:
                reply = self._received(reader)
            if type(reply) is list and self._arrays >= MOST_DEPTH:
                _check_depth(reply)
        except (RedisError, OSError):
            raise
        except Exception as exc:  # whatever the parser made of it
            raise InvalidResponse(f"{type(exc).__name__}, {exc}") from exc
        first = reply[0] if type(reply) is list and reply else reply
        if isinstance(first, NoConnection):
            raise first
        return reply

    def _received(self, reader: Any) -> Any:
        size = 0
        while True:
            size += self._feed_ahead(reader) if self._ahead else self._receive(reader)
            reply = reader.gets(False)
            if reply is not NOT_ENOUGH_DATA:
                return reply
            if size > MOST_BYTES:
                raise InvalidResponse(f"more than {MOST_BYTES >> 20} MB")

    def _receive(self, reader: Any) -> int:
        """Feed the parser with what arrives next; how many bytes it was."""
        sock, buffer, cut_bytes = self._sock, self._buffer, len(self._cut)
        seconds = self._until - monotonic()
        if seconds <= 0:
            raise NoAnswer("Timeout reading from socket")
        if sock is None:
            raise NoConnection("Connection closed.")
        if self._shortened or seconds < 0.9 * self._socket_timeout:
            sock.settimeout(seconds)
            self._shortened = True
        try:
            if cut_bytes:
                buffer[:cut_bytes] = self._cut
                self._cut = b""
                size = sock.recv_into(memoryview(buffer)[cut_bytes:])
            else:
                size = sock.recv_into(buffer)
        except TimeoutError:
            raise NoAnswer("Timeout reading from socket") from None
        if not size:
            raise NoConnection("Connection closed by server.")
        end = cut_bytes + size
        if buffer[end - 1] != 10:  # no reply ends here
            tail = max(0, end - _HEAD_BYTES)
            if cut := _CUT.search(bytes(buffer[tail:end])):
                self._cut, end = cut[1], tail + cut.start(1)
        # In a small piece heads are counted in no time; of large ones every reply is walked through.
        self._arrays += buffer.count(b"\n*", 0, end) if end < _SMALL else MOST_DEPTH
        if _LATER.search(buffer, 0, end) or _FIRST.match(buffer, 0, end):
            self._ahead = bytes(buffer[:end])
        else:
            reader.feed(buffer, 0, end)
        return int(size)

    def _feed_ahead(self, reader: Any) -> int:
        """Feed the parser up to the next place that looks like a head that is refused.

        The parser holds the bytes of an item that is not whole yet, and no others. Where it holds none, the
        next byte begins an item: what looks like a head is one, and not the text of a value.
        """
        ahead, start = self._ahead, 0
        if _FIRST.match(ahead):
            if not reader.has_data():
                raise InvalidResponse(f"an array of more than {MOST_ITEMS:,} items, or none of RESP2")
            start = 1
        head = _LATER.search(ahead, start)
        end = head.start() + 1 if head else len(ahead)
        self._ahead = ahead[end:]
        reader.feed(ahead, 0, end)
        return end


def _check_depth(reply: list[Any]) -> None:
    level = [reply]
    for _ in range(MOST_DEPTH):
        level = [item for items in level for item in items if type(item) is list]
        if not level:
            return
    raise InvalidResponse(f"arrays in arrays, more than {MOST_DEPTH} deep")
