"""The tap inside a Python application: `with recording(client): …` around a redis-py client."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memdb.cluster import address as addresses
from memdb.errors import NotKept
from memdb.tap import knn
from memdb.tap.record import MOST, Recorder

_Seen = tuple[float, list[bytes], float]  # a draw, the words of a search, when it was asked


@contextmanager
def recording(
    client: Any, path: str | Path = "tap.parquet", *, share: float = 1.0, most: int = MOST
) -> Iterator[Recorder]:
    """Record the searches that go through a client until the block ends.

    The commands and their replies are the client's own. Searches in pipelines are recorded without a time;
    those of a pipeline that was refused as a whole, or of a cluster's that raised an error, are not. Nor is
    what goes through a pipeline or a `client.ft(…)` from before the block, or `client.ft(…).pipeline()`.

    Args:
        client: redis-py's `Redis` or `RedisCluster`, or that of `redis.asyncio`.
        path: of the file; an earlier record is continued.
        share: of all searches to keep, in (0, 1].
        most: searches in the file.

    Yields:
        The recorder, which tells how many searches it has seen.

    Raises:
        BadInput: there is a file that is no record of a tap.
        NotKept: it cannot be written when the block begins.
    """
    recorder = Recorder(Path(path), share=share, most=most, server=_address(client))
    own = {name: vars(client)[name] for name in ("execute_command", "pipeline") if name in vars(client)}
    execute, pipeline = client.execute_command, client.pipeline
    client.execute_command = _watched(execute, recorder)
    client.pipeline = _watched_pipeline(pipeline, recorder)
    try:
        yield recorder
    finally:
        for name in ("execute_command", "pipeline"):
            delattr(client, name)
        vars(client).update(own)
        with contextlib.suppress(NotKept):  # the application goes on; what was written before stays
            recorder.close()


def _address(client: Any) -> str:
    """Where a client is connected to, as targets write it; "" for a cluster, or where it does not tell."""
    pool = getattr(client, "connection_pool", None)
    connection = getattr(pool, "connection_kwargs", {})
    host, port, path = connection.get("host"), connection.get("port"), connection.get("path")
    if not (host and port) and not path:
        return ""
    secure = "SSL" in getattr(pool, "connection_class", type(None)).__name__
    scheme = "unix" if path else "rediss" if secure else "redis"
    return addresses.written(scheme, host or "", int(port or 0), path or "", int(connection.get("db") or 0))


def _watched(execute: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(execute):

        async def awaited(*args: Any, **options: Any) -> Any:
            return await _awaited(_seen(args, recorder), execute(*args, **options), recorder)

        return awaited

    def called(*args: Any, **options: Any) -> Any:
        search = _seen(args, recorder)
        began = time.perf_counter()
        reply = execute(*args, **options)
        _keep(search, recorder, (time.perf_counter() - began) * 1000)
        return reply

    return called


async def _awaited(search: _Seen | None, reply: Awaitable[Any], recorder: Recorder) -> Any:
    began = time.perf_counter()
    came = await reply
    _keep(search, recorder, (time.perf_counter() - began) * 1000)
    return came


def _watched_pipeline(make_pipeline: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    def pipeline(*args: Any, **options: Any) -> Any:
        pipe = make_pipeline(*args, **options)
        _Pipeline(pipe, recorder)
        return pipe

    return pipeline


class _Pipeline:
    """The commands that a pipeline collects: some of its methods are replaced by these, which call them."""

    def __init__(self, pipe: Any, recorder: Recorder) -> None:
        self._pipe, self._recorder = pipe, recorder
        self._collected: list[_Seen | None] = []
        self._replies: Sequence[Any] = ()
        self._asked, self._execute, self._reset = pipe.execute_command, pipe.execute, pipe.reset
        pipe.execute_command = self.execute_command
        pipe.execute = self.awaited if inspect.iscoroutinefunction(self._execute) else self.execute
        pipe.reset = self.reset
        if hasattr(pipe, "raise_first_error"):
            self._raise_first_error = pipe.raise_first_error
            pipe.raise_first_error = self.raise_first_error

    def execute_command(self, *args: Any, **options: Any) -> Any:
        search, began = _seen(args, self._recorder), time.perf_counter()
        reply = self._asked(*args, **options)
        if reply is self._pipe:
            self._collected.append(search)
        elif inspect.isawaitable(reply):  # behind WATCH a command is asked at once
            return _awaited(search, reply, self._recorder)
        else:
            _keep(search, self._recorder, (time.perf_counter() - began) * 1000)
        return reply

    def execute(self, *args: Any, **options: Any) -> Any:
        collected = self._take()
        try:
            self._replies = replies = self._execute(*args, **options)
        finally:
            self._keep(collected)
        return replies

    async def awaited(self, *args: Any, **options: Any) -> Any:
        collected = self._take()
        try:
            self._replies = replies = await self._execute(*args, **options)
        finally:
            self._keep(collected)
        return replies

    def reset(self, *args: Any, **options: Any) -> Any:
        self._collected.clear()
        return self._reset(*args, **options)

    def raise_first_error(self, commands: Any, replies: Sequence[Any], *args: Any) -> None:
        self._replies = replies  # beside the one that was refused are others
        self._raise_first_error(commands, replies, *args)

    def _take(self) -> list[_Seen | None]:
        self._replies, collected = (), self._collected.copy()
        return collected

    def _keep(self, collected: Sequence[_Seen | None]) -> None:
        replies, self._replies = self._replies, ()
        if len(replies) == len(collected):
            for search, reply in zip(collected, replies, strict=True):
                if not isinstance(reply, Exception):
                    _keep(search, self._recorder, None)


def _seen(args: Sequence[Any], recorder: Recorder) -> _Seen | None:
    """The words of a search that is to be kept."""
    if not args:
        return None
    first = _as_bytes(args[0]).split()  # as redis-py sends it
    if not first or first[0].upper() not in knn.COMMANDS:
        return None
    words = [*first, *map(_as_bytes, args[1:])]
    if not knn.likely(words):
        return None
    draw = recorder.wanted()
    return None if draw is None else (draw, words, time.time())


def _keep(search: _Seen | None, recorder: Recorder, took_ms: float | None) -> None:
    if search is not None:
        draw, words, at = search
        recorder.offer(draw, words, at, took_ms)


def _as_bytes(arg: Any) -> bytes:
    if isinstance(arg, bytes | bytearray | memoryview):
        return bytes(arg)
    return str(arg).encode("utf-8", "surrogateescape")
