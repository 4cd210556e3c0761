"""What answers at an address: engine, version, and what it can do, as far as the user may ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memdb.cluster import dialects, replies
from memdb.cluster.replies import Reply
from memdb.errors import MemDBError, NotAllowed, UnsupportedFeature

Ask = Callable[[Sequence[tuple[str, ...]]], list[Reply]]  # a refusal stands in its reply's place


@dataclass(frozen=True, slots=True)
class Server:
    """What answered. Texts are empty where it is not told."""

    engine: str  # "Redis", "Valkey"; MemoryDB reports one of these
    version: str
    mode: str  # "standalone" or "cluster"
    role: str
    run_id: str
    dialect: dialects.Dialect
    modules: tuple[tuple[str, str], ...]  # (name, version as the module prints it)
    shards: int = 1
    untold: tuple[str, ...] = ()  # commands that this user may not run, and that would tell more

    @property
    def title(self) -> str:
        """Engine and version, for people."""
        return f"{self.engine} {self.version}".strip() or "server that does not tell what it is"

    @property
    def with_search(self) -> str:
        """Engine and its search with their releases, for people, e.g. "Valkey 9.1.2, valkey-search 1.2"."""
        return f"{self.title}, {self.dialect.title}" if self.dialect.searches else self.title

    @property
    def untold_words(self) -> str:
        """What is not told, and the way to it; empty where all is."""
        if not self.untold:
            return ""
        lost = [words for name, words in _LOST.items() if name in self.untold]
        rights = " ".join(f"+{name.lower().replace(' ', '|')}" for name in self.untold)
        return (
            f"This user may not run {' or '.join(self.untold)}: {'; '.join(lost)}. To see it, allow {rights}."
        )


_LOST = {
    "INFO": "memory, clients, uptime, replicas and a restart are not known",
    "COMMAND": "which search commands there are was tried out one by one",
    "CLUSTER NODES": "the other nodes are not known",
}
_MODULE = re.compile(r"^module:name=([^,\r\n]+),ver=(\d+)", re.MULTILINE)
_BARE = {"FT.CURSOR": ("FT.CURSOR", "READ")}  # the client sends no other of its kind
_HELLO = {"server": "engine", "version": "version", "mode": "mode", "role": "role"}


def probe(ask: Ask, shards: Callable[[], int | None]) -> Server:
    """Ask the server; what this user may not ask is found another way, or not told.

    Without INFO, HELLO tells engine and version: nobody can be denied it. Without COMMAND, each search
    command is sent without its arguments, which runs nothing: a server that lacks it says so before it looks
    at the user's rights.

    Args:
        ask: sends a batch to one node.
        shards: how many hold slots; None where this user may not know.

    Raises:
        MemDBError: the server does not answer.
    """
    commands, info, replication, modules = ask(
        [
            ("COMMAND", "INFO", *dialects.ASKED),
            ("INFO", "server"),
            ("INFO", "replication"),
            ("MODULE", "LIST"),
        ]
    )
    untold = []
    facts: dict[str, str] = {}
    if refused(info):
        untold.append("INFO")
        facts = _hello(ask)
    else:
        for reply in (info, replication):
            for section in replies.info(raised(reply)).values():
                facts |= section
    if refused(commands):
        untold.append("COMMAND")
        commands_known = _tried(ask)
    else:
        commands_known = names_described(raised(commands))
    hidden = isinstance(modules, MemDBError)
    listed = () if hidden else named_modules(modules)
    counters: tuple[str, ...] = ()
    if hidden and "FT.SEARCH" in commands_known and not commands_known & dialects.TELLING:
        listed, counters = _release(ask)
    mode = facts.get("redis_mode") or facts.get("server_mode") or facts.get("mode", "standalone")
    shard_count = shards() if mode == "cluster" else 1
    if shard_count is None:
        untold.append("CLUSTER NODES")
    dialect = dialects.recognise(
        commands_known, shards=shard_count or 1, modules=listed, cluster=mode == "cluster", counters=counters
    )
    if dialect.settings:
        (settings,) = ask([("CONFIG", "GET", dialect.settings)])
        dialect = dialects.with_settings(dialect, {} if refused(settings) else _told(raised(settings)))
    engine = "Valkey" if "valkey_version" in facts else "Redis" if "redis_version" in facts else ""
    return Server(
        engine=engine or facts.get("engine", "").capitalize(),
        version=facts.get("valkey_version") or facts.get("redis_version") or facts.get("version", ""),
        mode=mode,
        role=facts.get("role", ""),
        run_id=facts.get("run_id", ""),
        dialect=dialect,
        modules=listed,
        shards=shard_count or 1,
        untold=tuple(untold),
    )


def names_described(reply: Reply) -> frozenset[str]:
    """Names of the commands that a COMMAND INFO reply describes."""
    if isinstance(reply, dict):
        return frozenset(replies.text(name).upper() for name, entry in reply.items() if entry)
    return frozenset(replies.text(entry[0]).upper() for entry in replies.items(reply) if entry)


def _told(settings: Reply) -> dict[str, str]:
    return {name: replies.text(value) for name, value in replies.pairs(settings).items()}


def named_modules(reply: Reply) -> tuple[tuple[str, str], ...]:
    """Names and versions in a MODULE LIST reply."""
    entries = [replies.pairs(entry) for entry in replies.items(reply)]
    return tuple((replies.text(m.get("name")), replies.text(m.get("ver"))) for m in entries)


def modules_told(info: Reply) -> tuple[tuple[str, str], ...]:
    """Names and versions of modules in a reply to INFO; none where it is an error."""
    return () if isinstance(info, MemDBError) else tuple(_MODULE.findall(replies.text(info)))


def bare(command: str) -> tuple[str, ...]:
    """A search command without its arguments: it runs nothing, or lists names."""
    return _BARE.get(command, (command,))


def there(reply: Reply) -> bool:
    """Whether a command exists, by the reply to it without its arguments."""
    return not isinstance(reply, UnsupportedFeature)


def refused(reply: Reply) -> bool:
    """Whether a reply says that the user may not, or that the service blocks the command."""
    return isinstance(reply, NotAllowed | UnsupportedFeature)


def raised(reply: Reply) -> Reply:
    """A reply that is no error.

    Raises:
        MemDBError: it is one.
    """
    if isinstance(reply, MemDBError):
        raise reply
    return reply


def _hello(ask: Ask) -> dict[str, str]:
    (reply,) = ask([("HELLO",)])
    if isinstance(reply, MemDBError):
        return {}
    fields = replies.pairs(reply)
    return {ours: replies.text(fields[name]) for name, ours in _HELLO.items() if name in fields}


def _release(ask: Ask) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Modules and the counters of search as INFO tells them, where MODULE is blocked (ElastiCache)."""
    listed, counted = ask([("INFO", "modules"), ("INFO", "search")])
    named = modules_told(listed)
    if isinstance(counted, MemDBError):
        return named, ()
    return named, tuple(name for section in replies.info(counted).values() for name in section)


def _tried(ask: Ask) -> frozenset[str]:
    answers = ask([bare(name) for name in dialects.PROBED])
    return frozenset(name for name, reply in zip(dialects.PROBED, answers, strict=True) if there(reply))
