"""The tap inside a Python application: `with recording(client): …` around a redis-py client."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memdb.cluster import address as addresses
from memdb.errors import NotKept
from memdb.tap import knn
from memdb.tap.record import MOST, Recorder


@contextmanager
def recording(
    client: Any, path: str | Path = "tap.parquet", *, share: float = 1.0, most: int = MOST
) -> Iterator[Recorder]:
    """Record the searches that go through a client until the block ends.

    The commands and their replies are the client's own; searches in pipelines are recorded without a time. An
    object of `client.ft(…)` or a pipeline that was made before the block is not seen.

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
    asked, pipeline = client.execute_command, client.pipeline
    client.execute_command = _watched(asked, recorder)
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
    told = getattr(pool, "connection_kwargs", {})
    host, port, path = told.get("host"), told.get("port"), told.get("path")
    if not (host and port) and not path:
        return ""
    secure = "SSL" in getattr(pool, "connection_class", type(None)).__name__
    scheme = "unix" if path else "rediss" if secure else "redis"
    return addresses.written(scheme, host or "", int(port or 0), path or "", int(told.get("db") or 0))


def _watched(asked: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(asked):

        async def awaited(*args: Any, **options: Any) -> Any:
            seen = _seen(args, recorder)
            began = time.perf_counter()
            reply = await asked(*args, **options)
            _keep(seen, recorder, (time.perf_counter() - began) * 1000)
            return reply

        return awaited

    def called(*args: Any, **options: Any) -> Any:
        seen = _seen(args, recorder)
        began = time.perf_counter()
        reply = asked(*args, **options)
        _keep(seen, recorder, (time.perf_counter() - began) * 1000)
        return reply

    return called


def _watched_pipeline(made: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    def pipeline(*args: Any, **options: Any) -> Any:
        pipe = made(*args, **options)
        execute = pipe.execute

        def stacked() -> list[tuple[Any, ...]]:
            stack = pipe.command_stack
            return [tuple(getattr(each, "args", None) or each[0]) for each in stack]

        if inspect.iscoroutinefunction(execute):

            async def awaited(*args: Any, **options: Any) -> Any:
                seen = [_seen(command, recorder) for command in stacked()]
                replies = await execute(*args, **options)
                _keep_all(seen, replies, recorder)
                return replies

            pipe.execute = awaited
        else:

            def called(*args: Any, **options: Any) -> Any:
                seen = [_seen(command, recorder) for command in stacked()]
                replies = execute(*args, **options)
                _keep_all(seen, replies, recorder)
                return replies

            pipe.execute = called
        return pipe

    return pipeline


_Seen = tuple[float, list[bytes], float]


def _seen(args: Sequence[Any], recorder: Recorder) -> _Seen | None:
    """The words of a search that is to be kept."""
    if not args or str(args[0]).upper().encode() not in knn.COMMANDS:
        return None
    words = [_as_bytes(arg) for arg in args]
    if not knn.likely(words):
        return None
    draw = recorder.wanted()
    return None if draw is None else (draw, words, time.time())


def _keep(seen: _Seen | None, recorder: Recorder, took_ms: float | None) -> None:
    if seen is not None:
        draw, words, at = seen
        recorder.offer(draw, words, at, took_ms)


def _keep_all(seen: Sequence[_Seen | None], replies: Sequence[Any], recorder: Recorder) -> None:
    for each, reply in zip(seen, replies, strict=False):
        if not isinstance(reply, Exception):
            _keep(each, recorder, None)


def _as_bytes(arg: Any) -> bytes:
    if isinstance(arg, bytes | bytearray | memoryview):
        return bytes(arg)
    return str(arg).encode("utf-8", "surrogateescape")
