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
from dataclasses import dataclass, replace
from types import TracebackType

from redis.exceptions import (
    RedisError,
    WatchError,
)

from memdb.cluster import dialects, guard, replies
from memdb.cluster.budget import Meter
from memdb.cluster.refusals import explain
from memdb.cluster.replies import Reply
from memdb.cluster.routes import Routes, at
from memdb.cluster.sending import Arg, Command, Sender, key_bytes, sent
from memdb.cluster.sent import CommandLog
from memdb.cluster.target import Budget, Target
from memdb.cluster.topology import Node
from memdb.display import line
from memdb.errors import Busy, EngineError, LoginFailed, MemDBError


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
    shards: int = 1


class Client(Sender):
    """One target. Thread-safe, reconnects by itself, refuses what the target does not allow.

    On a cluster it follows the slots: MOVED, ASK, a failover, several shards. A client of one node
    (`on`) stays there.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.log = CommandLog()
        self._routes = Routes(target)
        self._server: Server | None = None
        self._pinned: dict[str, Client] = {}
        self._meter: Meter | None = None
        self._lock = threading.Lock()

    def execute(self, *args: Arg) -> Reply:
        """Send one command and return its reply as the wire brought it (bytes, int, list).

        On several shards DBSIZE and SCAN cover all of them, and commands of many keys are split.

        Raises:
            ReadOnlyTarget: the command is not allowed here; nothing was sent.
            MemDBError: the server did not answer or said no.
        """
        writes = guard.check(args, writable=self.target.writable)
        if self._meter is not None:
            self._meter.before(args)
        routes = self._routes
        began = time.perf_counter()
        try:
            if routes.several and (special := self._across(args)) is not None:
                reply = special()
            else:
                try:
                    there = routes.seed if routes.direct else routes.pick(args, read=not writes)
                    reply = there.execute_command(*args)  # type: ignore[no-untyped-call]
                except UnicodeEncodeError:  # a key that is not UTF-8; nothing was sent yet
                    (reply,) = self._whole([args], [writes])
                    if isinstance(reply, MemDBError):
                        raise reply from None
                except RedisError as exc:
                    reply = self._recovered(exc, args, writes)
        except MemDBError as exc:
            self.log.add(args, time.perf_counter() - began, type(exc).__name__)
            raise
        took = time.perf_counter() - began
        self.log.add(args, took)
        if self._meter is not None:
            self._meter.after(args, reply, took)
        return reply

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
        writes = [guard.check(command, writable=self.target.writable) for command in commands]
        if self._meter is not None:
            self._meter.before_many(commands)
        began = time.perf_counter()
        try:
            found = self._whole(commands, writes)
        except MemDBError as exc:
            self.log.add(commands[0], time.perf_counter() - began, type(exc).__name__, len(commands))
            raise
        failed = next((reply for reply in found if isinstance(reply, MemDBError)), None)
        took = time.perf_counter() - began
        self.log.add(commands[0], took, type(failed).__name__ if failed else "ok", len(commands))
        if self._meter is not None:
            self._meter.after_many(commands, found, took)
        if failed and not errors_as_values:
            raise failed
        return found

    def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Send many commands as one MULTI … EXEC: all run, or none. All keys lie in one slot.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no.
        """
        guard.check(("MULTI",), writable=self.target.writable)
        for command in commands:
            guard.check(command, writable=self.target.writable)

        def run() -> list[Reply]:
            with self._for(commands).pipeline(transaction=True) as pipe:
                for command in commands:
                    pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                return list(pipe.execute())

        return self._logged(("MULTI",), len(commands), lambda: self._moved_once(run, commands))

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
        watch: Command = ("WATCH", key)
        for command in (watch, *reads):
            guard.check(command, writable=self.target.writable)

        def run() -> list[Reply]:
            with self._for((watch,)).pipeline(transaction=True) as pipe:
                for attempt in range(attempts):
                    try:
                        pipe.watch(key_bytes(key))  # type: ignore[no-untyped-call]
                        found = [pipe.immediate_execute_command(*sent(command)) for command in reads]  # type: ignore[no-untyped-call]
                        commands = writes(found)
                        for command in commands:
                            guard.check(command, writable=self.target.writable)
                        pipe.multi()
                        for command in commands:
                            pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                        return list(pipe.execute())
                    except WatchError:
                        # Others wrote: the more often, the longer and the less predictable the wait.
                        time.sleep(random.uniform(0, min(0.05, 0.001 * 2 ** min(attempt, 6))))  # noqa: S311
            raise Busy(
                f"Others changed '{line(key, 80)}' {attempts} times while this was written.",
                "Try again in a moment.",
            )

        return self._logged(watch, 1, lambda: self._moved_once(run, (watch,)))

    def info(self, section: str = "") -> dict[str, dict[str, str]]:
        """INFO as section → key → value; of the first shard's primary where there are several nodes."""
        return replies.info(self.execute("INFO", section) if section else self.execute("INFO"))

    @property
    def server(self) -> Server:
        """What answered; asked once and kept. `forget_server` asks again."""
        with self._lock:
            if self._server is None:
                self._server = _probe(self)
            return self._server

    def _search_refused(self) -> str:
        return self.server.dialect.refused

    def forget_server(self) -> None:
        """Ask again what answers, e.g. after a failover or an upgrade."""
        with self._lock:
            self._server = None

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, shard by shard, the primary first; asked anew. Outside a cluster, with the replicas.

        Raises:
            MemDBError: no node answered.
        """
        try:
            return self._routes.topology(fresh=True).nodes
        except RedisError as exc:
            raise explain(exc, self.target, ("CLUSTER", "NODES")) from exc

    def on(self, node: Node) -> Client:
        """A read-only client of this one node, kept as long as this client; also reads from a replica."""
        with self._lock:
            if node.address not in self._pinned:
                there = replace(at(self.target, node), writable=False, read_from_replicas=False)
                found = Client(there)
                known = self._routes.map
                clustered = known is not None and known.cluster and node.role == "replica"
                found._routes = Routes(there, pinned=True, readonly=clustered)
                found.log = self.log
                self._pinned[node.address] = found
            return self._pinned[node.address]

    def within(self, meter: Meter | None) -> Client:
        """The same connections, for heavy reads that stay within a budget."""
        if meter is None:
            return self
        other = Client.__new__(Client)
        other.target, other.log, other._routes = self.target, self.log, self._routes
        other._server, other._pinned, other._lock = self._server, self._pinned, self._lock
        other._meter = meter
        return other

    def budgeted(self, budget: Budget) -> Client:
        """The same, for one piece of heavy work within `budget`."""
        return self if budget == Budget() else self.within(Meter(budget, self._ping_ms))

    def _ping_ms(self) -> float:
        began = time.perf_counter()
        try:
            self._routes.pick(("PING",), read=False).execute_command("PING")  # type: ignore[no-untyped-call]
        except RedisError as exc:
            raise self._explained(exc, ("PING",)) from exc
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        self._routes.close()
        for other in self._pinned.values():
            other.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _logged(self, command: Command, number: int, run: Callable[[], list[Reply]]) -> list[Reply]:
        began, outcome = time.perf_counter(), "ok"
        try:
            return run()
        except MemDBError as exc:
            outcome = type(exc).__name__
            raise
        finally:
            self.log.add(command, time.perf_counter() - began, outcome, number)


def connect(target: Target) -> Client:
    """A client for `target`. Nothing is sent until the first command."""
    return Client(target)


def _probe(client: Client) -> Server:
    described = items_by_name(client.execute("COMMAND", "INFO", *dialects.PROBED))
    facts = client.info("server").get("server", {})
    role = client.info("replication").get("replication", {}).get("role", "")
    mode = facts.get("redis_mode") or facts.get("server_mode", "standalone")
    shards = client._shards() if mode == "cluster" else 1
    modules: tuple[tuple[str, str], ...] = ()
    try:
        found = [replies.pairs(entry) for entry in replies.items(client.execute("MODULE", "LIST"))]
        modules = tuple((replies.text(m.get("name")), replies.text(m.get("ver"))) for m in found)
    except (EngineError, LoginFailed):
        pass  # MemoryDB blocks MODULE; what is there is known from COMMAND INFO
    return Server(
        engine="Valkey" if "valkey_version" in facts else "Redis",
        version=facts.get("valkey_version") or facts.get("redis_version", "?"),
        mode=mode,
        role=role,
        run_id=facts.get("run_id", ""),
        dialect=dialects.recognise(described, shards=shards, modules=modules),
        modules=modules,
        shards=shards,
    )


def items_by_name(reply: Reply) -> frozenset[str]:
    """Names of the commands that a COMMAND INFO reply describes."""
    if isinstance(reply, dict):
        return frozenset(replies.text(name).upper() for name, entry in reply.items() if entry)
    return frozenset(replies.text(entry[0]).upper() for entry in replies.items(reply) if entry)


__all__ = ["Arg", "Client", "Command", "Server", "connect", "items_by_name"]
