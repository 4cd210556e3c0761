"""The guarded client: every command passes the allow-list, has a timeout, and fails as a MemDBError.

    with connect(Target.parse("redis://127.0.0.1:6379")) as client:
        client.execute("HGETALL", "doc:s3:CreateBucket")

Heavy reads go through a client with a budget:

    with open_for_work(target) as client:
        …
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from memdb.cluster import replies
from memdb.cluster.budget import Meter, budget_of, one_search_each
from memdb.cluster.connection import Connection
from memdb.cluster.replies import Reply
from memdb.cluster.sending import Arg, Command
from memdb.cluster.sent import CommandLog
from memdb.cluster.server import Server
from memdb.cluster.target import Budget, Target
from memdb.cluster.topology import Node
from memdb.errors import MemDBError, NotAllowed


class Client:
    """A target's connection, and the budget of the work that is done over it, if there is one.

    Small: any number may share a connection. Thread-safe.
    """

    __slots__ = ("connection", "meter")

    def __init__(self, connection: Connection, meter: Meter | None = None) -> None:
        self.connection = connection
        self.meter = meter

    @property
    def target(self) -> Target:
        """What is open."""
        return self.connection.target

    @property
    def log(self) -> CommandLog:
        """What was sent, by all clients of the connection."""
        return self.connection.log

    @property
    def server(self) -> Server:
        """What answered; asked once and kept. `forget_server` asks again."""
        return self.connection.server

    def forget_server(self) -> None:
        """Ask again what answers, e.g. after a failover or an upgrade."""
        self.connection.forget_server()

    def may(self, command: str) -> bool:
        """Whether this user may run a search command: tried once, without its arguments."""
        return self.connection.may(command)

    def ping(self) -> None:
        """One round trip; a refusal is an answer too.

        Raises:
            MemDBError: the server does not answer, or not yet.
        """
        with contextlib.suppress(NotAllowed):
            self.execute("PING")

    def execute(self, *args: Arg) -> Reply:
        """Send one command and return its reply as the wire brought it (bytes, int, list).

        On several shards DBSIZE and SCAN cover all of them, and commands of many keys are split.

        Raises:
            ReadOnlyTarget: the command is not allowed here; nothing was sent.
            BudgetSpent: a bound of the budget is reached; nothing was sent.
            MemDBError: the server did not answer or said no.
        """
        meter = self.meter
        if meter is None:
            return self.connection.execute(*args)
        with meter.metered((args,)) as answers:
            answers.append(self.connection.execute(*args))
        return answers[0]

    def timed(self, *args: Arg) -> tuple[Reply, float]:
        """As `execute`, with the milliseconds from sending to the reply, without a wait for the budget."""
        with self._metered((args,)) as answers:
            began = time.perf_counter()
            answers.append(self.connection.execute(*args))
            took_ms = (time.perf_counter() - began) * 1000
        return answers[0], took_ms

    @property
    def queries_per_s(self) -> float | None:
        """Searches a second that the budget allows; None without a bound."""
        return (self.meter.budget.queries_per_s or None) if self.meter is not None else None

    @property
    def keys_left(self) -> int | None:
        """Keys that the budget still allows to be read; None without a bound."""
        bound = self.meter.budget.keys_scanned if self.meter is not None else 0
        return max(0, bound - self.meter.keys) if bound and self.meter is not None else None

    def pipeline(self, commands: Sequence[Command], *, errors_as_values: bool = False) -> list[Reply]:
        """Send many commands in one go; not a transaction. Within a budget each search waits for its turn.

        Args:
            commands: keep a batch to some thousand commands or a few MB; the caller chunks.
            errors_as_values: put a MemDBError in the reply's place instead of raising the first one.

        Raises:
            ReadOnlyTarget: one of them is not allowed here; none was sent.
            BudgetSpent: a bound of the budget is reached; none was sent, or some of its searches were.
            MemDBError: the server did not answer, or said no to one of them.
        """
        meter = self.meter
        if meter is None:
            return self.connection.pipeline(commands, errors_as_values=errors_as_values)
        commands = self.connection.checked(commands)
        every: list[Reply] = []
        for part in one_search_each(commands) if meter.splits else (commands,):
            with meter.metered(part) as answers:
                answers.extend(self.connection.pipeline(part, errors_as_values=True))
            every += answers
        failed = next((reply for reply in every if isinstance(reply, MemDBError)), None)
        if failed and not errors_as_values:
            raise failed
        return every

    def transaction(self, commands: Sequence[Command]) -> list[Reply]:
        """Send many commands as one MULTI … EXEC: all run, or none. All keys lie in one slot.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no.
        """
        with self._metered(commands) as answers:
            answers.extend(self.connection.transaction(commands))
        return answers

    def transactions(self, groups: Sequence[Sequence[Command]]) -> None:
        """Send many transactions in one go; the keys of each lie in one slot.

        Where a slot has moved meanwhile, all are sent again: done twice, they must do the same.

        Raises:
            ReadOnlyTarget: the target is read-only; nothing was sent.
            MemDBError: the server did not answer, or said no to one of them; the others may be done.
        """
        with self._metered([command for group in groups for command in group]):
            self.connection.transactions(groups)

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
        with self._metered((("WATCH", key), *reads)) as answers:
            answers.extend(self.connection.compare_and_set(key, reads, writes, attempts=attempts))
        return answers

    def info(self, section: str = "") -> dict[str, dict[str, str]]:
        """INFO as section → key → value; of the first shard's primary where there are several nodes.

        Raises:
            MemDBError: the server did not answer, or the user may not ask.
        """
        return replies.info(self.execute("INFO", section) if section else self.execute("INFO"))

    def nodes(self) -> tuple[Node, ...]:
        """All nodes, shard by shard, the primary first; asked anew. Outside a cluster, with the replicas.

        Raises:
            MemDBError: no node answered.
        """
        return self.connection.nodes()

    def on(self, node: Node) -> Client:
        """A read-only client of this one node, also of a replica, within the same budget."""
        return Client(self.connection.on(node), self.meter)

    def budgeted(self, budget: Budget) -> Client:
        """The same connections, for one piece of heavy work within `budget`."""
        return self if budget == Budget() else Client(self.connection, Meter(budget, self.connection.ping_ms))

    def _metered(self, commands: Sequence[Command]) -> AbstractContextManager[list[Reply]]:
        return contextlib.nullcontext([]) if self.meter is None else self.meter.metered(commands)

    def close(self) -> None:
        """Close all connections. A later call opens new ones."""
        self.connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(target: Target) -> Client:
    """A client for `target`, without a budget. Nothing is sent until the first command."""
    return Client(Connection(target))


def open_for_work(target: Target, budget: Budget | None = None) -> Client:
    """A client for heavy reads: sweeps, maps, exact answers, scans. Nothing is sent until the first command.

    Args:
        target: what to open.
        budget: a choice for this piece of work; without one the target's own (MEMDB_BUDGET_*, the settings
            file), else production's default.
    """
    return connect(target).budgeted(budget_of(target, budget))


__all__ = ["Arg", "Client", "Command", "Server", "connect", "open_for_work"]
