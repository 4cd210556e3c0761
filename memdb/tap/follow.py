"""What passes on one connection, read beside it: where commands begin and end, which reply is whose.

Nothing here changes a byte. What cannot be read passes unread: that connection is not followed from then on,
and says so.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import hiredis

from memdb.numerals import whole_number
from memdb.tap import knn

# What answers with no reply, several, or some that nobody asked for: replies cannot be counted from then on.
UNCOUNTED = frozenset(
    b"SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR SYNC PSYNC".split()
)
MOST_BYTES = 4 << 20  # of a search: an index takes at most 32,768 numbers of 8 bytes
_MOST_LINE = 64 << 10  # of an inline command, and of a length
_MOST_REPLY = 64 << 20  # of a reply that is not complete; above, times are no longer taken
_LARGE = 64 << 10  # a reply that is one value of this length is passed over instead of read
_MOST_WAITING = 32 << 20  # bytes of searches without their reply; above, the oldest do not wait for theirs
_TRANSACTION = frozenset((b"MULTI", b"EXEC", b"DISCARD", b"RESET"))
_INLINE = re.compile(rb"""(?:"(?:\\.|[^"\\])*"|'(?:\\'|[^'])*'|[^\s"'])+""")
_QUOTED = re.compile(rb"""\\x([0-9a-fA-F]{2})|\\(.)""", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_READ_WHOLE = frozenset((*knn.COMMANDS, b"CLIENT"))
_NOTHING = object()

Offer = Callable[[float, list[bytes], float, "float | None"], None]
Wanted = Callable[[], "float | None"]


class _Waiting(NamedTuple):
    """A search, or a command of a transaction, without its reply."""

    draw: float
    number: int  # of the command on its connection
    words: list[bytes]  # of a transaction only its name
    at: float  # Unix seconds
    began: float  # of the monotonic clock
    alone: bool  # no other command waited for its reply


class Follower:
    """The searches of one connection."""

    def __init__(self, wanted: Wanted, offer: Offer) -> None:
        """Nothing has passed yet.

        Args:
            wanted: asked once for each search; None where it is not kept (`Recorder.wanted`).
            offer: called with that draw, the words, when they came (Unix seconds), and how many milliseconds
                the reply took; None where that cannot be told. What the server refused is not offered.
        """
        self._wanted, self._offer = wanted, offer
        self.followed = True  # whether commands are read
        self.timed = True  # whether replies are counted
        self.commands = 0
        self.searches = 0
        self._replies = 0
        self._tail = b""  # the beginning of what is not complete
        self._skip = 0  # bytes that follow of a value which is not read
        self._left = 0  # words that follow of a command which is not read
        self._reader = hiredis.Reader(notEnoughData=_NOTHING)
        self._unread = 0  # bytes of a reply that is not complete
        self._pass_over = 0  # bytes that follow of a reply that is not read
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._multi = 0  # number of the MULTI that was answered last
        self._queued: list[_Waiting] = []  # searches behind it, until EXEC runs them

    def sent(self, data: bytes, began: float) -> None:
        """Bytes that went to the server, received at `began` of the monotonic clock."""
        if not self.followed:
            return
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        raw = data[self._skip :]
        self._skip = 0
        if self._tail:
            raw = self._tail + raw
        try:
            place = self._read(raw, began)
        except ValueError:  # no length where one must be
            self._lost()
            return
        self._skip = max(0, place - len(raw))
        self._tail = raw[place:]
        if len(self._tail) > MOST_BYTES + _MOST_LINE:
            self._lost()

    def answered(self, data: bytes, now: float) -> None:
        """Bytes that came from the server."""
        if not self.timed:
            return
        if self._pass_over:
            passed = min(self._pass_over, len(data))
            self._pass_over -= passed
            data = data[passed:]
        raw = data
        if not self._unread and raw[:1] == b"$":
            end = raw.find(b"\r\n", 0, 24)
            size = whole_number(raw[1:end]) if end > 5 else None
            if size is not None and size >= max(_LARGE, len(raw)):
                self._pass_over = size + end + 4 - len(raw)
                self._reply(b"", now)
                return
        if not raw:
            return
        try:
            self._reader.feed(raw)
            self._unread += len(raw)
            while (reply := self._reader.gets()) is not _NOTHING:
                self._unread = 0
                if not isinstance(reply, hiredis.PushNotification):
                    self._reply(reply, now)
        except (hiredis.ProtocolError, TypeError, ValueError):  # or a map whose key is a list
            self._untimed()
            return
        if not self._reader.has_data():
            self._unread = 0
        if self._unread > _MOST_REPLY:
            self._untimed()

    def _read(self, data: bytes, began: float) -> int:
        """Read what is complete; where the rest begins, behind the end where a value is passed over.

        Raises:
            ValueError: it is no RESP.
        """
        place, size = 0, len(data)
        while place < size:
            if self._left:
                end, after = _value(data, place)
                if end < 0:
                    return place
                place, self._left = after + 2, self._left - 1
                continue
            if data[place] != 42:  # "*"; else a line typed by hand
                end = data.find(b"\n", place)
                if end < 0:
                    return place
                if line := _inline(data[place:end]):
                    self._command(line, began)
                place = end + 1
                continue
            end = data.find(b"\r\n", place, place + _MOST_LINE)
            if end < 0:
                return place
            count = int(data[place + 1 : end])
            if count <= 0:
                place = end + 2
                continue
            begin, after = _value(data, end + 2)
            if begin < 0 or after + 2 > size:
                return place
            name = data[begin:after].upper()
            if name in _READ_WHOLE:
                words, rest = _words(data, end + 2, count)
                if words is None and rest <= place + MOST_BYTES:
                    return place  # the rest will come
                if words is not None:
                    self._command(words, began)
                    place = rest
                    continue
            self._command([name], began)
            place, self._left = after + 2, count - 1
        return place

    def _command(self, words: list[bytes], began: float) -> None:
        self.commands += 1
        name = words[0].upper()
        if name in UNCOUNTED or (name == b"CLIENT" and len(words) > 1 and words[1].upper() == b"REPLY"):
            self._untimed()
        elif name in knn.COMMANDS and knn.likely(words):
            self.searches += 1
            draw = self._wanted()
            if draw is not None:
                self._search(draw, words, began)
        elif name in _TRANSACTION and self.timed:
            self._waiting.append(_Waiting(0.0, self.commands, [name], 0.0, began, alone=False))

    def _search(self, draw: float, words: list[bytes], began: float) -> None:
        at = time.time()
        if not self.timed:
            self._offer(draw, words, at, None)
            return
        alone = self.commands - self._replies == 1
        self._waiting.append(_Waiting(draw, self.commands, words, at, began, alone))
        self._waiting_bytes += sum(map(len, words))
        while self._waiting_bytes > _MOST_WAITING:
            self._keep(self._next())

    def _next(self) -> _Waiting:
        first = self._waiting.popleft()
        if first.words[0] not in _TRANSACTION:
            self._waiting_bytes -= sum(map(len, first.words))
        return first

    def _keep(self, search: _Waiting, took_ms: float | None = None) -> None:
        if search.words[0] not in _TRANSACTION:
            self._offer(search.draw, search.words, search.at, took_ms)

    def _reply(self, reply: object, now: float) -> None:
        self._replies += 1
        while self._waiting and self._waiting[0].number <= self._replies:
            command = self._next()
            if command.words[0] in _TRANSACTION:
                self._transaction(command, reply)
            elif reply == b"QUEUED":
                self._queued.append(command)
            elif not isinstance(reply, hiredis.ReplyError):
                alone = command.alone and self.commands == command.number
                self._keep(command, (now - command.began) * 1000 if alone else None)

    def _transaction(self, command: _Waiting, reply: object) -> None:
        """Searches that were queued have run where EXEC brings no error in their place."""
        name = command.words[0]
        if name == b"MULTI" and isinstance(reply, hiredis.ReplyError):
            return  # within another
        if name == b"EXEC" and isinstance(reply, list):
            in_order = len(reply) == command.number - self._multi - 1
            for search in self._queued:
                place = search.number - self._multi - 1
                if not (in_order and isinstance(reply[place], hiredis.ReplyError)):
                    self._keep(search)
        self._multi = command.number
        self._queued.clear()

    def _untimed(self) -> None:
        """Replies cannot be counted any more: searches are kept without their times."""
        self.timed = False
        self._reader = hiredis.Reader()  # frees what the other holds
        for search in (*self._queued, *self._waiting):
            self._keep(search)
        self._queued.clear()
        self._waiting.clear()
        self._waiting_bytes = 0

    def _lost(self) -> None:
        self.followed, self._tail = False, b""
        self._untimed()


def _value(data: bytes, place: int) -> tuple[int, int]:
    """Where a value begins and ends whose length stands at `place`; (-1, -1) where that is not complete.

    Raises:
        ValueError: there stands no length.
    """
    end = data.find(b"\r\n", place, place + 32)
    if data[place : place + 1] not in (b"$", b"") or (end < 0 and len(data) - place > 32):
        raise ValueError
    if end < 0:
        return -1, -1
    size = int(data[place + 1 : end])
    if size < 0:
        raise ValueError
    return end + 2, end + 2 + size


def _words(data: bytes, place: int, count: int) -> tuple[list[bytes] | None, int]:
    """So many values and where they end; None where they are not complete, and where they end at least.

    Raises:
        ValueError: it is no RESP.
    """
    words, size, find = [], len(data), data.find
    for _ in range(count):
        line = find(b"\r\n", place, place + 32)
        if line < 0 or data[place] != 36:  # "$"
            return None, max(place, *_value(data, place))
        end = line + 2 + int(data[place + 1 : line])
        if end + 2 > size or end < line + 2:
            return None, max(place, *_value(data, place))
        words.append(data[line + 2 : end])
        place = end + 2
    return words, place


def _inline(line: bytes) -> list[bytes]:
    """The words of a command typed by hand, the first in capitals; those of a search unquoted."""
    words: list[bytes] = _INLINE.findall(line)
    if words:
        words[0] = words[0].upper()
        if words[0] in _READ_WHOLE:
            words = [_unquoted(word) for word in words]
    return words


def _unquoted(word: bytes) -> bytes:
    if word[:1] == b"'":
        return word[1:-1].replace(b"\\'", b"'")
    if word[:1] != b'"':
        return word
    return _QUOTED.sub(
        lambda m: bytes.fromhex(m[1].decode()) if m[1] else _ESCAPES.get(m[2], m[2]), word[1:-1]
    )
