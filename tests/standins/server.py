"""What every stand-in is: a server in front of the real engine, and what a test may see and change of it."""

from __future__ import annotations

import re
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from memdb.cluster.target import Target
from tests.fronts import listening
from tests.standins.documents import Document, Documents, json_values
from tests.standins.resp import Asking, Raw, Refusal, Status, Upstream, commands, encoded
from tests.standins.schema import Index, read_engine

_COUNTERS = ("rdb_changes_since_last_save", "rdb_last_save_time", "expired_keys", "evicted_keys", "db0")
_TYPES = {"HASH": "hash", "JSON": "ReJSON-RL"}
# Indexes that a stand-in made, by the engine behind it: the engine itself knows their vectors alone.
_MADE: dict[tuple[str, int], dict[str, tuple[Index, float]]] = {}


@dataclass
class Session:
    """One client's connection, with one to the engine that has its login."""

    upstream: Upstream
    words: list[bytes] = field(default_factory=list)

    def relayed(self) -> Raw:
        return Raw(self.upstream.relay(self.words))


@dataclass(eq=False)
class Standin:
    """The server's state that a test may change, and what it saw."""

    engine: Target
    target: Target = field(init=False)
    building: bool = False  # as while an index is built
    backfill_s: float = 0.05  # how long a new index says that it is being built
    json: bool = False  # whether indexes of JSON documents can be made
    refused: list[tuple[str, str]] = field(default_factory=list)  # (command, words) that were refused
    names: set[str] = field(default_factory=set)  # commands that were sent
    searches: int = 0  # FT.SEARCH that were sent
    sent_bytes: int = 0  # that it answered with
    counts: dict[str, int] = field(default_factory=dict)

    commands: ClassVar[frozenset[str]] = frozenset()  # of search

    def __post_init__(self) -> None:
        self._own = threading.local()
        self._made = _MADE.setdefault((self.engine.host, self.engine.port), {})
        self._read: dict[Index, tuple[Any, Documents]] = {}
        self._lock = threading.Lock()

    @property
    def searches_refused(self) -> list[str]:
        """What was refused of search commands: an app that knows the dialect sends none of it."""
        return [words for name, words in self.refused if name.startswith("FT.")]

    def answer(self, session: Session) -> Any:
        """The reply to one command."""
        raise NotImplementedError

    def serve(self, sock: socket.socket) -> None:
        """Answer one connection's commands until it ends."""
        upstream = Upstream(self.engine.host, self.engine.port)
        session = Session(upstream)
        try:
            with suppress(OSError, ValueError), sock.makefile("rwb") as stream:
                for words in commands(stream):
                    session.words = words
                    reply = encoded(self._answered(session))
                    with self._lock:
                        self.sent_bytes += len(reply)
                    stream.write(reply)
                    stream.flush()
        finally:
            upstream.close()
            self.hang_up()

    def _answered(self, session: Session) -> Any:
        name = session.words[0].decode("latin-1").upper()
        self.names.add(name)
        if name == "FT.SEARCH":
            with self._lock:
                self.searches += 1
        try:
            return self.answer(session)
        except Refusal as exc:
            self.refused.append((name, str(exc)))
            return exc
        except OSError:
            raise  # the engine is gone: so is this connection
        except Exception as exc:  # noqa: BLE001 - a mistake in here must not look like a lost connection
            traceback.print_exc()
            return Refusal(f"ERR the stand-in failed: {exc!r}")

    # What the engine behind has.

    @property
    def own(self) -> Asking:
        """This thread's connection to the engine, under the engine's own login."""
        if not hasattr(self._own, "asking"):
            engine = self.engine
            self._own.asking = Asking(engine.host, engine.port, engine.username, engine.password)
        return self._own.asking

    def hang_up(self) -> None:
        """Close this thread's connection."""
        if hasattr(self._own, "asking"):
            self._own.asking.close()
            del self._own.asking

    def index(self, name: str, *, there: bool = False) -> Index:
        """An index by its name; `there` where the engine has just said so.

        Raises:
            Refusal: There is none.
        """
        if there and name in self._made:
            return self._made[name][0]
        try:
            told = self.own.ask("FT.INFO", self.inside(name).encode("latin-1"))
        except Refusal:
            raise self.unknown(name) from None
        own = self.outside(told[told.index(b"index_name") + 1].decode("latin-1"))  # an alias was asked for
        made = self._made.get(own)
        return made[0] if made else read_engine(own, told)

    def indexes(self) -> list[Index]:
        """All of them."""
        return [self.index(self.outside(name.decode("latin-1"))) for name in self.own.ask("FT._LIST")]

    def inside(self, name: str) -> str:
        """What the engine behind calls an index of this name."""
        return name

    def outside(self, name: str) -> str:
        """The other way. RediSearch tells a line break of a name as two signs; no other engine does."""
        if name in self._made:
            return name
        told = (made for made in self._made if made.replace("\r", "\\r").replace("\n", "\\n") == name)
        return next(told, name)

    def unknown(self, name: str) -> Refusal:
        """There is no such index, any more."""
        self.forget(name)
        return Refusal(f"Index with name '{name}' not found in database 0")

    def keep(self, index: Index) -> None:
        """Remember an index that was made through this server."""
        self._made[index.name] = (index, time.monotonic())

    def forget(self, name: str) -> None:
        """An index is gone."""
        self._made.pop(name, None)

    def made_us(self, index: Index) -> int:
        """When it was made through this server, in microseconds from a time of the past."""
        return int(1e6 * self._made[index.name][1]) if index.name in self._made else 0

    def fresh(self, name: str) -> bool:
        """Whether an index says that it is being built."""
        made = self._made.get(name)
        return self.building or (made is not None and time.monotonic() - made[1] < self.backfill_s)

    def documents(self, index: Index) -> Documents:
        """What an index holds now; read again only after the engine was written to."""
        told = self.own.ask("INFO", "persistence", "stats", "keyspace").decode()
        # Of the key space only how many keys: the mean time to live changes by itself.
        lines = (line.partition(",expires")[0] for line in told.split("\r\n"))
        state = tuple(line for line in lines if line.split(":")[0] in _COUNTERS)
        with self._lock:
            known = self._read.get(index)
            if known is None or known[0] != state:
                known = state, Documents(index, self._documents(index))
                self._read[index] = known
            return known[1]

    def _documents(self, index: Index) -> list[Document]:
        keys: dict[bytes, None] = {}
        for prefix in index.prefixes:
            pattern = re.sub(rb"([*?\[\]\\^])", rb"\\\1", prefix.encode("latin-1")) + b"*"
            cursor: Any = 0
            while True:
                cursor, some = self.own.ask(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", 2000, "TYPE", _TYPES[index.key_type]
                )
                keys |= dict.fromkeys(some)
                if int(cursor) == 0:
                    break
        paths = [known.identifier for known in index.fields]
        get = "HMGET" if index.key_type == "HASH" else "JSON.GET"
        made = []
        for key, reply in self.pipelined([(get, key, *map(_bytes, paths)) for key in keys], list(keys)):
            if isinstance(reply, Exception) or reply is None:
                continue
            if index.key_type == "HASH":
                told = {
                    path: value.decode("latin-1")
                    for path, value in zip(paths, reply, strict=True)
                    if value is not None
                }
            else:
                told = json_values(reply, paths)
            # A path of JSON that matches nothing comes as an empty list, a field that a hash lacks not at all.
            values = {
                known.alias: told[known.identifier]
                for known in index.fields
                if told.get(known.identifier, []) != []
            }
            if values:
                made.append(Document(key, values))
        return made

    def pipelined(self, asked: list[tuple[Any, ...]], names: list[Any]) -> list[tuple[Any, Any]]:
        """Replies of the engine to many commands, each beside a name."""
        return list(zip(names, self.own.many(asked), strict=True))

    def counted(self, text: str) -> str:
        """INFO of the engine behind, with what this server itself has searched and sent."""
        text = re.sub(r"(?<=total_net_output_bytes:)\d+", str(self.sent_bytes), text)
        return re.sub(r"(?<=cmdstat_FT\.SEARCH:calls=)\d+", str(self.searches), text)

    def count(self, *names: str) -> None:
        """Raise counters of INFO SEARCH."""
        with self._lock:
            for name in names:
                self.counts[name] = self.counts.get(name, 0) + 1


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def unknown_command(words: list[bytes]) -> Refusal:
    """The server's answer to a command it has not."""
    told, size = "", 0
    for word in words[1:]:
        if size >= 128:
            break
        shown = word[: 128 - size].decode("utf-8", "replace")
        told, size = f"{told}'{shown}' ", size + len(shown) + 3
    name = words[0].decode("utf-8", "replace")
    return Refusal(f"ERR unknown command '{name}', with args beginning with: {told}")


S = TypeVar("S", bound="Standin")


@contextmanager
def running(make: Callable[[Target], S], engine: Target) -> Iterator[S]:
    """Serve a stand-in on a port of its own."""
    standin = make(engine)
    try:
        with listening(standin.serve) as port:
            standin.target = Target(
                "redis",
                "127.0.0.1",
                port,
                username=engine.username,
                password=engine.password,
                kind="development",
            )
            yield standin
    finally:
        standin.hang_up()


OK = Status(b"OK")
