"""The guarded client: every command passes the allow-list, has a timeout, and fails as a MemDBError.

    with connect(Target.parse("redis://127.0.0.1:6379")) as client:
        client.execute("HGETALL", "doc:s3:CreateBucket")

The wire is RESP2 with undecoded bytes: keys and values need not be UTF-8, and vectors never are.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    MovedError,
    RedisError,
    ResponseError,
    WatchError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from memdb.cluster import dialects, guard, iam, replies, tls, wire
from memdb.cluster.replies import Reply
from memdb.cluster.target import Target
from memdb.display import line
from memdb.errors import Busy, EngineError, LoginFailed, MemDBError, Unreachable

Arg = str | bytes | int | float
Command = Sequence[Arg]


@dataclass(frozen=True, slots=True)
class Server:
    """What answered: engine, version, and what it can do."""

    engine: str  # "Redis", "Valkey"; MemoryDB reports one of these
    version: str
    mode: str  # "standalone" or "cluster"
    role: str
    run_id: str
    dialect: dialects.Dialect
    modules: tuple[tuple[str, str], ...]  # (name, version as the module prints it)


class Client:
    """One target. Thread-safe, reconnects by itself, refuses what the target does not allow."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._redis = _redis(target)
        self._server: Server | None = None
        self._lock = threading.Lock()

    def execute(self, *args: Arg) -> Reply:
        """Send one command and return its reply as the wire brought it (bytes, int, list).

        Raises:
            ReadOnlyTarget: the command is not allowed here; nothing was sent.
            MemDBError: the server did not answer or said no.
        """
        guard.check(args, writable=self.target.writable)
        try:
            try:
                return self._redis.execute_command(*args)  # type: ignore[no-untyped-call]
            except UnicodeEncodeError:  # a key that is not UTF-8; nothing was sent yet
                return self._redis.execute_command(*_sent(args))  # type: ignore[no-untyped-call]
        except RedisError as exc:
            raise explain(exc, self.target, args) from exc

    def pipeline(self, commands: Sequence[Command], *, errors_as_values: bool = False) -> list[Reply]:
        """Send many commands in one go; not a transaction.

        Args:
            commands: keep a batch to some thousand commands or a few MB; the caller chunks.
            errors_as_values: put a MemDBError in the reply's place instead of raising the first one.

        Raises:
            ReadOnlyTarget: one of them is not allowed here; none was sent.
            MemDBError: the server did not answer, or said no to one of them.
        """
        if not commands:
            return []
        for command in commands:
            guard.check(tuple(command), writable=self.target.writable)
        with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
            try:
                found = pipe.execute(raise_on_error=False)
            except RedisError as exc:
                raise explain(exc, self.target, ()) from exc
        for i, reply in enumerate(found):
            if isinstance(reply, RedisError):
                error = explain(reply, self.target, tuple(commands[i]))
                if not errors_as_values:
                    raise error from reply
                found[i] = error
        return found

    def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Send many commands as one MULTI … EXEC: all run, or none.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no.
        """
        guard.check(("MULTI",), writable=self.target.writable)
        for command in commands:
            guard.check(tuple(command), writable=self.target.writable)
        with self._redis.pipeline(transaction=True) as pipe:
            for command in commands:
                pipe.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
            try:
                return list(pipe.execute())
            except RedisError as exc:
                raise explain(exc, self.target, ()) from exc

    def compare_and_set(
        self,
        key: str,
        reads: Sequence[Command],
        writes: Callable[[list[Reply]], Sequence[Command]],
        *,
        attempts: int = 200,
    ) -> list[Reply]:
        """Read a key, decide, and write only if nobody changed it meanwhile; else read again.

        Args:
            key: the key that is watched.
            reads: sent first, on the same connection.
            writes: from the replies of `reads`, the commands of one MULTI … EXEC. May raise; nothing is
                written then.
            attempts: how often others may come first.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            Busy: others came first every time.
            MemDBError: the server did not answer, or said no.
        """
        for command in (("WATCH", key), *reads):
            guard.check(tuple(command), writable=self.target.writable)
        with self._redis.pipeline(transaction=True) as pipe:
            for attempt in range(attempts):
                try:
                    pipe.watch(_bytes(key))  # type: ignore[no-untyped-call]
                    found = [pipe.immediate_execute_command(*_sent(command)) for command in reads]  # type: ignore[no-untyped-call]
                    commands = writes(found)
                    for command in commands:
                        guard.check(tuple(command), writable=self.target.writable)
                    pipe.multi()
                    for command in commands:
                        pipe.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
                    return list(pipe.execute())
                except WatchError:
                    # Others wrote: the more often, the longer and the less predictable the wait.
                    time.sleep(random.uniform(0, min(0.05, 0.001 * 2 ** min(attempt, 6))))  # noqa: S311
                except RedisError as exc:
                    raise explain(exc, self.target, ()) from exc
        raise Busy(
            f"Others changed '{line(key, 80)}' {attempts} times while this was written.",
            "Try again in a moment.",
        )

    def info(self, section: str = "") -> dict[str, dict[str, str]]:
        """INFO as section → key → value."""
        return replies.info(self.execute("INFO", section) if section else self.execute("INFO"))

    @property
    def server(self) -> Server:
        """What answered; asked once and kept. `forget_server` asks again."""
        with self._lock:
            if self._server is None:
                self._server = _probe(self)
            return self._server

    def forget_server(self) -> None:
        """Ask again what answers, e.g. after a failover or an upgrade."""
        with self._lock:
            self._server = None

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        self._redis.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(target: Target) -> Client:
    """A client for `target`. Nothing is sent until the first command."""
    return Client(target)


def _sent(args: Command) -> list[Arg]:
    """Text as bytes, the way back of `replies.key`; hiredis itself takes no lone surrogates."""
    return [
        args[0],
        *(arg.encode("utf-8", "surrogateescape") if type(arg) is str else arg for arg in args[1:]),
    ]


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _redis(target: Target) -> redis.Redis:
    client = redis.Redis.from_pool(wire.pool(target))
    # redis-py reshapes some replies (INFO, SCAN, HGETALL, FT.*); ours arrive as the wire brought them.
    client.response_callbacks.clear()
    return client


def _probe(client: Client) -> Server:
    described = items_by_name(client.execute("COMMAND", "INFO", *dialects.PROBED))
    facts = client.info("server").get("server", {})
    role = client.info("replication").get("replication", {}).get("role", "")
    modules: tuple[tuple[str, str], ...] = ()
    try:
        found = [replies.pairs(entry) for entry in replies.items(client.execute("MODULE", "LIST"))]
        modules = tuple((replies.text(m.get("name")), replies.text(m.get("ver"))) for m in found)
    except (EngineError, LoginFailed):
        pass  # MemoryDB blocks MODULE; what is there is known from COMMAND INFO
    return Server(
        engine="Valkey" if "valkey_version" in facts else "Redis",
        version=facts.get("valkey_version") or facts.get("redis_version", "?"),
        mode=facts.get("redis_mode") or facts.get("server_mode", "standalone"),
        role=role,
        run_id=facts.get("run_id", ""),
        dialect=dialects.recognise(described),
        modules=modules,
    )


def items_by_name(reply: Reply) -> frozenset[str]:
    """Names of the commands that a COMMAND INFO reply describes."""
    if isinstance(reply, dict):
        return frozenset(replies.text(name).upper() for name, entry in reply.items() if entry)
    return frozenset(replies.text(entry[0]).upper() for entry in replies.items(reply) if entry)


def explain(exc: RedisError, target: Target, command: tuple[Arg, ...]) -> MemDBError:
    """A redis-py error as one of ours; the one place that knows redis-py's error classes."""
    reply = str(exc)
    if isinstance(exc, BusyLoadingError):
        return dialects.explain_refusal("LOADING " + reply, command)
    if isinstance(exc, AuthenticationError | AuthorizationError):
        return _login_failed(reply.rstrip("."), target)
    if isinstance(exc, NoAnswer):
        return Unreachable(
            f"{target.name} did not answer within {target.timeout_s:g} s.",
            "Check the address and the network, or try again when the server is less busy.",
        )
    if isinstance(exc, InvalidResponse):
        return Unreachable(
            f"{target.address} answered, but not as Redis does: {line(reply, 80)}.",
            "Another program listens there, or the port speaks TLS (rediss://). Check address and port.",
        )
    if isinstance(exc, NoConnection):
        if target.scheme == "rediss" and (failed := tls.explain(reply, target)):
            return failed
        return Unreachable(
            f"No answer from {target.name} ({target.address}): {reply.rstrip('.')}.",
            "Check that the server runs and that the address, port and TLS setting are right.",
        )
    if isinstance(exc, MovedError):  # redis-py cuts the leading code off
        return dialects.explain_refusal("MOVED " + reply, command)
    if isinstance(exc, ResponseError):
        return dialects.explain_refusal(reply, command)
    return EngineError(f"{target.name}: {reply}", "")


def _login_failed(reply: str, target: Target) -> LoginFailed:
    if target.iam is not None:
        return LoginFailed(f"{target.name} refused the login: {reply}.", iam.HINT)
    if not target.password:
        return LoginFailed(
            f"{target.name} wants a password, and none is given.",
            "Give one: MEMDB_PASSWORD, or password_env, password_file or secret in the settings file.",
        )
    return LoginFailed(
        f"{target.name} refused the login: {reply}.",
        "Check user and password of this target (MEMDB_PASSWORD, or where the settings file says it is).",
    )
