"""One target's connections: every command passes the allow-list, is logged, and fails as a MemDBError.

Clients share it (memdb.cluster.client): it is made once for a target, and knows what answers there.
The wire is RESP2 with undecoded bytes: keys and values need not be UTF-8, and vectors never are.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import redis
from redis.exceptions import InvalidResponse, RedisError, ResponseError, WatchError

from memdb.cluster import guard, shapes
from memdb.cluster.reader import Within
from memdb.cluster.refusals import explain
from memdb.cluster.replies import Reply
from memdb.cluster.routes import Routes, at
from memdb.cluster.sending import WHOLE, Arg, Command, Sender, key_bytes, sent
from memdb.cluster.sent import CommandLog
from memdb.cluster.server import Server, bare, probe
from memdb.cluster.target import Target
from memdb.cluster.topology import Node
from memdb.display import line
from memdb.errors import Busy, MemDBError, NotAllowed


class Connection(Sender):
    """Thread-safe, reconnects by itself, refuses what the target does not allow.

    On a cluster it follows the slots: MOVED, ASK, a failover, several shards. That of one node (`on`) stays
    there.
    """

    def __init__(self, target: Target, *, pinned: bool = False, readonly: bool = False) -> None:
        super().__init__(target, Routes(target, pinned=pinned, readonly=readonly))
        self.log = CommandLog()
        self._server: Server | None = None
        self._may: dict[str, bool] = {}  # by search command
        self._pinned: dict[str, Connection] = {}
        self._lock = threading.RLock()

    def execute(self, *args: Arg) -> Reply:
        """Send one command and return its reply as the wire brought it (bytes, int, list).

        On several shards DBSIZE and SCAN cover all of them, and commands of many keys are split.

        Raises:
            ReadOnlyTarget: the command is not allowed here; nothing was sent.
            MemDBError: the server did not answer or said no.
        """
        args = tuple(guard.as_sent(args))
        writes = guard.check(args, writable=self.target.writable)
        began = time.perf_counter()
        try:
            with Within(self.target.timeout_s):
                reply = shapes.check(args, self._executed(args, writes))
        except InvalidResponse as exc:
            error = explain(exc, self.target, args)
            self.log.add(args, time.perf_counter() - began, type(error).__name__)
            raise error from exc
        except MemDBError as exc:
            self.log.add(args, time.perf_counter() - began, type(exc).__name__)
            raise
        self.log.add(args, time.perf_counter() - began)
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
        commands = [guard.as_sent(command) for command in commands]
        writes = [guard.check(command, writable=self.target.writable) for command in commands]
        began = time.perf_counter()
        try:
            with Within(self.target.timeout_s):
                answers = self._shaped(commands, self._whole(commands, writes))
        except MemDBError as exc:
            self.log.add(commands[0], time.perf_counter() - began, type(exc).__name__, len(commands))
            raise
        failed = next((reply for reply in answers if isinstance(reply, MemDBError)), None)
        took = time.perf_counter() - began
        self.log.add(commands[0], took, type(failed).__name__ if failed else "ok", len(commands))
        if failed and not errors_as_values:
            raise failed
        return answers

    def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Send many commands as one MULTI … EXEC: all run, or none. All keys lie in one slot.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no.
        """
        guard.check_transaction(writable=self.target.writable)
        commands = self.checked(commands)

        def run() -> list[Reply]:
            with self._for(commands).pipeline(transaction=True) as pipe:
                for command in commands:
                    pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                return self._executed_whole(pipe)

        return self._logged(("MULTI",), len(commands), lambda: self._moved_once(run, commands))

    def transactions(self, groups: Sequence[Sequence[Command]]) -> None:
        """Send many transactions in one go; the keys of each lie in one slot.

        Where a slot has moved meanwhile, all are sent again: done twice, they must do the same.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no to one of them; the others may be done.
        """
        guard.check_transaction(writable=self.target.writable)
        checked = [self.checked(group) for group in groups]

        def run() -> list[Reply]:
            batches: dict[redis.Redis, list[Command]] = {}
            for group in checked:
                batches.setdefault(self._for(group), []).extend((("MULTI",), *group, ("EXEC",)))
            answers: list[Reply] = []
            for node, batch in batches.items():
                with node.pipeline(transaction=False) as pipe:
                    for command in batch:
                        pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                    answers += self._executed_whole(pipe)
            return answers

        if checked:
            number = sum(map(len, checked))
            self._logged(("MULTI",), number, lambda: self._moved_once(run, checked[0]))

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
        guard.check_transaction(writable=self.target.writable)
        reads = self.checked(reads)

        def run() -> list[Reply]:
            with self._for((watch,)).pipeline(transaction=True) as pipe:
                for attempt in range(attempts):
                    try:
                        pipe.watch(key_bytes(key))  # type: ignore[no-untyped-call]
                        values = [
                            shapes.check(command, pipe.immediate_execute_command(*sent(command)))  # type: ignore[no-untyped-call]
                            for command in reads
                        ]
                        commands = self.checked(writes(values))
                        pipe.multi()
                        for command in commands:
                            pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                        return self._executed_whole(pipe)
                    except WatchError:
                        # Others wrote: the more often, the longer and the less predictable the wait.
                        time.sleep(random.uniform(0, min(0.05, 0.001 * 2 ** min(attempt, 6))))  # noqa: S311
            raise Busy(
                f"Others changed '{line(key, 80)}' {attempts} times while this was written.",
                "Try again in a moment.",
            )

        return self._logged(watch, 1, lambda: self._moved_once(run, (watch,)))

    @property
    def server(self) -> Server:
        """What answered; asked once and kept. `forget_server` asks again."""
        with self._lock:
            if self._server is None:
                self._server = probe(self.told, self._shards)
            return self._server

    def may(self, command: str) -> bool:
        """Whether this user may run a search command: tried once, without its arguments."""
        with self._lock:
            if command not in self._may:
                (reply,) = self.told([bare(command)])
                self._may[command] = not isinstance(reply, NotAllowed)
            return self._may[command]

    def told(self, commands: Sequence[Command]) -> list[Reply]:
        """Replies of one node to a batch, a MemDBError in its place."""
        commands = [guard.as_sent(command) for command in commands]
        for command in commands:
            guard.check(command, writable=False)
        return self._logged(commands[0], len(commands), lambda: self._shaped(commands, self._here(commands)))

    def forget_server(self) -> None:
        """Ask again what answers, e.g. after a failover or an upgrade."""
        with self._lock:
            self._server = None
            self._may.clear()

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, shard by shard, the primary first; asked anew. Outside a cluster, with the replicas.

        Raises:
            MemDBError: no node answered.
        """
        try:
            with Within(self.target.timeout_s):
                return self.routes.topology(fresh=True).nodes
        except RedisError as exc:
            raise explain(exc, self.target, ("CLUSTER", "NODES")) from exc

    def on(self, node: Node) -> Connection:
        """Read-only, to this one node, kept as long as this one; also reads from a replica."""
        with self._lock:
            if node.address not in self._pinned:
                topology = self.routes.map
                clustered = topology is not None and topology.cluster and node.role == "replica"
                there = replace(at(self.target, node), writable=False, read_from_replicas=False)
                connection = Connection(there, pinned=True, readonly=clustered)
                connection.log = self.log
                self._pinned[node.address] = connection
            return self._pinned[node.address]

    def ping_ms(self) -> float:
        """Milliseconds until one node answers; a refusal is an answer too."""
        began = time.perf_counter()
        try:
            with Within(self.target.timeout_s):
                self.routes.pick(("PING",), read=False).execute_command("PING")  # type: ignore[no-untyped-call]
        except ResponseError:
            pass
        except RedisError as exc:
            raise self._explained(exc, ("PING",)) from exc
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        self.routes.close()
        for other in self._pinned.values():
            other.close()

    def _executed(self, args: Command, writes: bool) -> Reply:
        routes = self.routes
        if (routes.several or args[0] in WHOLE) and (special := self._across(args)) is not None:
            return special()
        there = routes.seed
        try:
            there = routes.seed if routes.direct else routes.pick(args, read=not writes)
            return there.execute_command(*args)  # type: ignore[no-untyped-call]
        except ValueError:  # a key that is not UTF-8; nothing was sent yet
            (reply,) = self._whole([args], [writes])
            if isinstance(reply, MemDBError):
                raise reply from None
            return reply
        except RedisError as exc:
            return self._recovered(exc, args, writes, there)

    @staticmethod
    def _executed_whole(pipe: Any) -> list[Reply]:
        """Replies of a batch or transaction; redis-py takes what EXEC is answered with for a list."""
        try:
            return list(pipe.execute())
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            if pipe.connection is not None:
                pipe.connection.disconnect()  # what else it sends belongs to nothing
            raise InvalidResponse(f"{type(exc).__name__}, {exc}") from exc

    def _shaped(self, commands: Sequence[Command], answers: list[Reply]) -> list[Reply]:
        """The same; in the place of a reply that is none, an error."""
        for i, (command, reply) in enumerate(zip(commands, answers, strict=True)):
            if not isinstance(reply, MemDBError):
                try:
                    shapes.check(command, reply)
                except InvalidResponse as exc:
                    answers[i] = explain(exc, self.target, tuple(command))
        return answers

    def checked(self, commands: Sequence[Command]) -> list[Command]:
        """Commands as they will be sent.

        Raises:
            ReadOnlyTarget: one of them is not allowed here.
        """
        plain = [guard.as_sent(command) for command in commands]
        for command in plain:
            guard.check(command, writable=self.target.writable)
        return plain

    def _logged(self, command: Command, number: int, run: Callable[[], list[Reply]]) -> list[Reply]:
        began, outcome = time.perf_counter(), "ok"
        try:
            with Within(self.target.timeout_s):
                return run()
        except MemDBError as exc:
            outcome = type(exc).__name__
            raise
        finally:
            self.log.add(command, time.perf_counter() - began, outcome, number)
