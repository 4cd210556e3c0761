"""Sending to the right node: by slot, again after MOVED, ASK or a failover, and over several shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import redis
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from memdb.cluster import guard, replies
from memdb.cluster.refusals import explain
from memdb.cluster.replies import Reply
from memdb.cluster.routes import Routes, anywhere, at
from memdb.cluster.server import Server
from memdb.cluster.target import Target
from memdb.cluster.topology import Topology, keys, slot, word
from memdb.display import line
from memdb.errors import BadInput, Busy, MemDBError, NotAllowed, UnsupportedFeature

Arg = str | bytes | int | float
Command = Sequence[Arg]
_REDIRECTS = 5
# Of many keys, and what the parts' answers make together.
_SUMMED = frozenset(("DEL", "UNLINK", "EXISTS"))
WHOLE = frozenset(("DBSIZE", "SCAN"))  # tell of a whole target, and are asked of every shard


class Sender:
    """What a connection does below its guard. Errors of redis-py end here."""

    def __init__(self, target: Target, routes: Routes) -> None:
        self.target = target
        self.routes = routes

    @property
    def server(self) -> Server:
        """What answers."""
        raise NotImplementedError

    def _shards(self) -> int | None:
        """How many shards hold slots, None where the user may not know; makes the map a failover needs."""
        if self.routes.pinned:
            return 1
        try:
            topology = self.routes.topology(fresh=True)
        except NoPermissionError as exc:
            raise NotAllowed(
                "The user may not run CLUSTER NODES or CLUSTER SLOTS here, and this cluster has several "
                "shards: which node holds which keys is not known.",
                "Allow +cluster|slots.",
            ) from exc
        except RedisError:
            return 1  # the command itself will tell what is wrong
        return max(1, len(topology.primaries)) if topology.told else None

    def _here(self, commands: Sequence[Command]) -> list[Reply]:
        """Replies of one node, a MemDBError in its place; nothing is split over shards."""
        for hops_left in reversed(range(_REDIRECTS)):
            client = self.routes.pick(("PING",), read=False)
            try:
                with client.pipeline(transaction=False) as pipe:
                    for command in commands:
                        pipe.execute_command(*sent(command))  # type: ignore[no-untyped-call]
                    answers: list[Reply] = pipe.execute(raise_on_error=False)
                break
            except RedisError as exc:
                if not (hops_left and _out_of_reach(exc) and self.routes.lose(client)):
                    raise self._explained(exc, ()) from exc
        return [
            self._explained(reply, tuple(command)) if isinstance(reply, RedisError) else reply
            for command, reply in zip(commands, answers, strict=True)
        ]

    def _whole(self, commands: Sequence[Command], writes: Sequence[bool]) -> list[Reply]:
        """Replies in order, a MemDBError where a command failed for good."""
        answers = self._piped(commands, writes)
        for i, reply in enumerate(answers):
            if isinstance(reply, RedisError):
                try:
                    answers[i] = self._recovered(reply, tuple(commands[i]), writes[i])
                except MemDBError as exc:
                    answers[i] = exc
        return answers

    def _piped(self, commands: Sequence[Command], writes: Sequence[bool]) -> list[Reply]:
        """Replies in order, an error in its place."""
        groups: dict[int, list[int]] = {}
        collected: list[Reply] = [None] * len(commands)
        clients: dict[int, redis.Redis] = {}
        try:
            for i, command in enumerate(commands):
                several = self.routes.several or command[0] in WHOLE
                if several and (special := self._across(command)) is not None:
                    collected[i] = special()
                    continue
                client = self.routes.pick(command, read=not writes[i])
                clients[id(client)] = client
                groups.setdefault(id(client), []).append(i)
        except RedisError as exc:
            raise explain(exc, self.target, ()) from exc
        for name, places in groups.items():
            with clients[name].pipeline(transaction=False) as pipe:
                for i in places:
                    pipe.execute_command(*sent(commands[i]))  # type: ignore[no-untyped-call]
                try:
                    answers = pipe.execute(raise_on_error=False)
                except RedisError as exc:
                    answers = [exc] * len(places)
                    if not self._may_repeat(exc, any(writes[i] for i in places)) and not (
                        all(anywhere(commands[i]) for i in places)
                        and _out_of_reach(exc)
                        and self.routes.lose(clients[name])
                    ):
                        raise self._explained(exc, tuple(commands[places[0]])) from exc
            for i, answer in zip(places, answers, strict=True):
                collected[i] = answer
        return collected

    def _across(self, args: Command) -> Callable[[], Reply] | None:
        """How to run a command that concerns every shard; None for one that has one place."""
        name = word(args[0])
        if name in WHOLE and not self._several():
            return None
        if name == "DBSIZE":
            return lambda: sum(replies.integer(n) for n in self._each(args))
        if name == "SCAN":
            return lambda: self._scan(args)
        if name.startswith("FT.") and (why := self.server.dialect.refused):
            raise UnsupportedFeature("Search", why, "Sessions and keys work on all shards.")
        if (name in _SUMMED or name == "MGET") and len({slot(key) for key in keys(args)}) > 1:
            return lambda: self._spread(args)
        return None

    def _several(self) -> bool:
        """Whether keys lie on several shards; asked where no answer was redirected yet."""
        if self.routes.map is None and not self.routes.pinned:
            self.server  # noqa: B018  # it makes the map of a cluster
        return self.routes.several

    def _each(self, args: Command) -> list[Reply]:
        answers, target = [], self.target
        try:
            for node in self.routes.topology().primaries:
                target = at(self.target, node)
                answers.append(self.routes.of(node).execute_command(*args))  # type: ignore[no-untyped-call]
        except RedisError as exc:
            raise explain(exc, target, tuple(args)) from exc
        return answers

    def _scan(self, args: Command) -> Reply:
        """SCAN of one shard after the other; a cursor is the shard's, times their number, plus its place."""
        target = self.target
        try:
            primaries = self.routes.topology().primaries
            at_node, place = divmod(replies.whole(args[1]), len(primaries))
            target, client = at(self.target, primaries[place]), self.routes.of(primaries[place])
            cursor, batch = client.execute_command(args[0], at_node, *sent(args)[2:])  # type: ignore[no-untyped-call]
        except RedisError as exc:
            raise explain(exc, target, tuple(args)) from exc
        cursor_left = replies.whole(cursor)
        following = (place + 1) % len(primaries)
        after = cursor_left * len(primaries) + place if cursor_left else following
        return [str(after).encode(), batch]

    def _spread(self, args: Command) -> Reply:
        """A command of many keys, key by key."""
        name = word(args[0])
        parts = [("GET" if name == "MGET" else args[0], key) for key in args[1:]]
        answers = self._whole(parts, [guard.writes(part) for part in parts])
        if failed := next((answer for answer in answers if isinstance(answer, MemDBError)), None):
            raise failed
        return answers if name == "MGET" else sum(replies.integer(n) for n in answers)

    def _recovered(
        self, exc: RedisError, args: Command, writes: bool, client_asked: redis.Redis | None = None
    ) -> Reply:
        """Run a command again where the first node was the wrong one, or is gone.

        Args:
            exc: why it failed.
            args: the command.
            writes: whether it changes data.
            client_asked: the node, where that is not told yet to `routes.lose`.

        Raises:
            MemDBError: it cannot be run; a write whose answer was lost is never sent twice.
        """
        for _ in range(_REDIRECTS):
            if self.routes.pinned:
                break
            try:
                if isinstance(exc, AskError) and not isinstance(exc, MovedError):  # which is one of them
                    return self._asked(exc, args)
                if isinstance(exc, ClusterCrossSlotError) and word(args[0]) in _SUMMED | {"MGET"}:
                    return self._spread(args)
                if isinstance(exc, ClusterDownError) and not writes and self.target.read_from_replicas:
                    # A replica may think so for a moment longer than the primary.
                    return self.routes.pick(args, read=False).execute_command(*sent(args))  # type: ignore[no-untyped-call]
                elsewhere = anywhere(args) and _out_of_reach(exc)
                if client_asked is not None and elsewhere:
                    elsewhere = self.routes.lose(client_asked)
                if not elsewhere and not self._may_repeat(exc, writes):
                    break
                client_asked = (
                    self.routes.seed if self.routes.direct else self.routes.pick(args, read=not writes)
                )
                return client_asked.execute_command(*sent(args))  # type: ignore[no-untyped-call]
            except RedisError as again:
                exc = again
        raise self._explained(exc, tuple(args)) from exc

    def _may_repeat(self, exc: RedisError, writes: bool) -> bool:
        """After a new map: whether another node may know better, and sending again does no harm."""
        refused = isinstance(exc, MovedError | ReadOnlyError)
        lost = isinstance(exc, NoConnection) and not isinstance(exc, NoAnswer)
        routes = self.routes
        if routes.pinned or not (refused or lost) or (lost and routes.map is None):
            return False
        before = routes.map
        try:
            routes.refresh(patient=lost)
        except RedisError:
            return False
        after = routes.map
        if after is None or not after.cluster:
            return False
        return refused or (not writes and (before is None or _owners(before) != _owners(after)))

    def _explained(self, exc: RedisError, args: tuple[object, ...]) -> MemDBError:
        topology = self.routes.map
        if (
            isinstance(exc, NoConnection | NoAnswer)
            and topology is not None
            and topology.cluster
            and not self.routes.pinned
        ):
            others = [n for n in topology.nodes if n.role == "replica" and n.healthy]
            of_keys = keys(args) if args else ()
            owner = topology.owner(slot(of_keys[0])) if of_keys else None
            if owner is not None and not others and self.routes.several:
                return explain(exc, at(self.target, owner), args)
            if others:
                return Busy(
                    f"A primary of {self.target.name} does not answer; {len(others)} "
                    f"{'replica holds' if len(others) == 1 else 'replicas hold'} its data.",
                    "The cluster is choosing a new primary, which takes seconds; the page goes on by itself.",
                )
        return explain(exc, self.target, args)

    def _asked(self, exc: AskError, args: Command) -> Reply:
        """One command at the node that a moving slot goes to."""
        with self.routes.address(exc.host, exc.port).pipeline(transaction=False) as pipe:
            pipe.execute_command("ASKING")  # type: ignore[no-untyped-call]
            pipe.execute_command(*sent(args))  # type: ignore[no-untyped-call]
            return pipe.execute()[1]

    def _for(self, commands: Sequence[Command]) -> redis.Redis:
        """Where a transaction runs: where its first key lies."""
        first = next((c for c in commands if keys(c)), ("PING",))
        return self.routes.pick(first, read=False)

    def _moved_once(self, run: Callable[[], list[Reply]], commands: Sequence[Command]) -> list[Reply]:
        try:
            try:
                return run()
            except (MovedError, ReadOnlyError) as exc:  # nothing was done: the queue was refused
                if len({slot(key) for command in commands for key in keys(command)}) > 1:
                    raise ClusterCrossSlotError("Keys in request don't hash to the same slot") from exc
                if not self._may_repeat(exc, True):
                    raise
                return run()
            except NoConnection as exc:
                self._may_repeat(exc, True)  # a new map for the next call; this one may have been done
                raise
        except RedisError as exc:
            raise self._explained(exc, tuple(commands[0]) if commands else ()) from exc


def _out_of_reach(exc: RedisError) -> bool:
    """Whether a node could not be reached at all; one that is slow got the command."""
    if isinstance(exc, NoAnswer):
        return "connecting" in str(exc)
    return isinstance(exc, NoConnection)


def _owners(topology: Topology) -> list[tuple[str, int]]:
    return [(node.host, node.port) for node in topology.primaries]


def sent(args: Command) -> list[Arg]:
    """Text as bytes, the way back of `replies.key`; hiredis itself takes no lone surrogates.

    Raises:
        BadInput: a text or number that cannot be sent.
    """
    try:
        return [
            args[0],
            *(
                arg.encode("utf-8", "surrogateescape")
                if type(arg) is str
                else arg
                if type(arg) is bytes
                else repr(arg).encode()
                for arg in args[1:]
            ),
        ]
    except ValueError as exc:
        raise BadInput(
            f"{line(word(args[0]), 40)} has an argument that cannot be sent: {exc}.",
            "Texts are Unicode, numbers have at most some thousand digits.",
        ) from None


def key_bytes(key: str) -> bytes:
    """A key as the wire carries it."""
    return key.encode("utf-8", "surrogateescape")
