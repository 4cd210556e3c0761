"""What heavy reads may ask of a server: searches a second, keys read, and a stop when it grows slow."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

from memdb.cluster import replies
from memdb.cluster.target import Budget, Target
from memdb.cluster.topology import keys, word
from memdb.errors import BudgetSpent

# Of a production target that says nothing: a sweep then adds a load that a dashboard would, the demo-sized
# collections are read whole, and a server that answers four times slower than before is left alone.
PRODUCTION = Budget(queries_per_s=100.0, keys_scanned=200_000, slow_factor=4.0)
FREE = Budget()

T = TypeVar("T", bound=Sequence[Any])
_SEARCHES = frozenset(("FT.SEARCH", "FT.HYBRID", "FT.AGGREGATE", "FT.PROFILE", "FT.CURSOR", "FT.TAGVALS"))
_STEPS = frozenset(("HSCAN", "SSCAN", "ZSCAN", "RANDOMKEY"))
_BESIDE = frozenset(("WITHSCORES", "WITHPAYLOADS", "WITHSORTKEYS"))
_PAGE = 1_000  # rows of an aggregation's batch, where COUNT does not tell
_PROBE_S = 0.25  # how often the server's latency is looked at
_PROBES = 5  # whose median counts
# Below this nobody is slowed down, whatever the factor: the noise of a PING on a busy machine.
_FLOOR_MS = 5.0


def budget_of(target: Target, chosen: Budget | None = None) -> Budget:
    """The budget that holds for a target: the user's choice, the target's own, or that of production."""
    if chosen is not None:
        return chosen
    if target.budget != FREE or target.kind != "production":
        return target.budget
    return PRODUCTION


class Meter:
    """One piece of heavy work against one budget. Thread-safe: the threads of a job share it.

    Args:
        budget: the bounds; 0 is none.
        ping: sends a PING past this meter and returns milliseconds.
        clock: seconds that never go back.
        sleep: waits.
    """

    def __init__(
        self,
        budget: Budget,
        ping: Callable[[], float],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.budget = budget
        self.searches = 0
        self.keys = 0
        self._under_way = 0  # of commands whose answers are not there yet, at most
        self.first_ms = self.now_ms = 0.0
        self._ping, self._clock, self._sleep = ping, clock, sleep
        self._lock = threading.Lock()
        self._next = clock()
        self._probed = clock()
        self._pings: deque[float] = deque(maxlen=_PROBES)

    @property
    def splits(self) -> bool:
        """Whether each search of a batch waits for its turn, and is held against the bound of keys."""
        return bool(self.budget.queries_per_s or self.budget.keys_scanned)

    def before(self, commands: Sequence[Sequence[Any]]) -> None:
        """Wait for the turn of some commands, which are sent or refused as a whole; then `after` is due.

        Raises:
            BudgetSpent: a bound is reached.
        """
        searches = sum(word(command[0]) in _SEARCHES for command in commands)
        more, page = cost(commands), sum(map(_page, commands))
        with self._lock:
            bound, spoken_for = self.budget.keys_scanned, self.keys + self._under_way
            if bound and (spoken_for + more > bound if more else page and spoken_for >= bound):
                raise BudgetSpent(
                    f"The budget of {bound:,} keys is spent ({self.keys:,} were read).",
                    "Raise the budget in the sidebar or the settings file if the server can take it.",
                )
            self._look()
            wait = 0.0
            if searches and self.budget.queries_per_s:
                now = self._clock()
                self._next = max(self._next, now)
                wait = self._next - now
                self._next += searches / self.budget.queries_per_s
            self.searches += searches
            self._under_way += more + page
        if wait > 0:
            self._sleep(wait)

    def after(self, commands: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """Count what they read; what was named counts also where no answer came."""
        named, page = cost(commands), sum(map(_page, commands))
        looked_at = named + sum(map(_rows, commands, answers))
        with self._lock:
            self.keys += looked_at
            self._under_way = max(0, self._under_way - named - page)

    @contextmanager
    def metered(self, commands: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
        """Some commands, sent inside; their answers belong into the list.

        Raises:
            BudgetSpent: a bound is reached; nothing may be sent.
        """
        self.before(commands)
        answers: list[Any] = []
        try:
            yield answers
        finally:
            self.after(commands, answers)

    def _look(self) -> None:
        factor = self.budget.slow_factor
        if factor and not self.first_ms:
            self.first_ms = self.now_ms = statistics.median(self._ping() for _ in range(_PROBES))
            self._probed = self._clock()
        if not factor or self._clock() - self._probed < _PROBE_S:
            return
        self._pings.append(self._ping())
        self._probed = self._clock()
        if len(self._pings) < _PROBES:
            return
        self.now_ms = statistics.median(self._pings)
        if self.now_ms > max(factor * self.first_ms, _FLOOR_MS):
            raise BudgetSpent(
                f"The server answers in {self.now_ms:.1f} ms now, {self.now_ms / self.first_ms:.1f} times "
                f"the {self.first_ms:.1f} ms of the beginning; the work stopped at {factor:g} times.",
                "Try again when the server is less busy, or raise the factor.",
            )


def one_search_each(commands: Sequence[T]) -> Iterator[list[T]]:
    """A batch in parts, in its order, each with one search at most."""
    part: list[T] = []
    for command in commands:
        part.append(command)
        if word(command[0]) in _SEARCHES:
            yield part
            part = []
    if part:
        yield part


def cost(commands: Sequence[Sequence[Any]]) -> int:
    """Keys that commands will look at, where their words tell: what they name, and the COUNT of SCAN.

    A key is counted once for all commands of a batch; each step of a scan within it once more.
    """
    named: set[Any] = set()
    scanned = 0
    for command in commands:
        name = word(command[0])
        if name == "SCAN":
            scanned += _option(command[2:], "COUNT", 10)
        elif name in _STEPS:
            scanned += 1
        else:
            named.update(keys(command))
    return scanned + len(named)


def _option(words: Sequence[Any], name: str, default: int) -> int:
    """The number after an option among pairs of options and values."""
    for option, value in pairwise(words):
        if isinstance(option, str | bytes) and word(option) == name:
            number = replies.integer(value, -1)
            if number >= 0:
                return number
    return default


def _kind(command: Sequence[Any]) -> str:
    """What brings rows: "search", "rows", "cursor"; empty where nothing does."""
    name = word(command[0])
    if name == "FT.PROFILE" and len(command) > 2:
        name = "FT.SEARCH" if word(command[2]) == "SEARCH" else "FT.AGGREGATE"
    if name == "FT.CURSOR":
        return "cursor" if len(command) > 1 and word(command[1]) == "READ" else ""
    return {"FT.SEARCH": "search", "FT.AGGREGATE": "rows"}.get(name, "")


def _page(command: Sequence[Any]) -> int:
    """The rows that a command may bring, 0 where it brings none."""
    match _kind(command):
        case "search":
            for place, part in enumerate(command[3:-2], 3):
                if isinstance(part, str | bytes) and word(part) == "LIMIT":
                    return max(0, replies.integer(command[place + 2]))
            return 10
        case "rows" | "cursor":
            return max(1, _option(command[2:], "COUNT", _PAGE))
    return 0


def _rows(command: Sequence[Any], reply: Any) -> int:
    """Rows that an answer brought."""
    kind = _kind(command)
    if not kind or not isinstance(reply, list) or not reply:
        return 0
    if word(command[0]) == "FT.PROFILE":
        reply = reply[0]
    if kind == "search":
        return hits(command, reply)
    rows = reply[0] if reply and isinstance(reply[0], list) else reply
    return max(0, len(rows) - 1)


def hits(command: Sequence[Any], reply: Any) -> int:
    """Hits in the answer to FT.SEARCH: keys, each with its fields behind it, or without any."""
    if not isinstance(reply, list):
        return 0
    with_fields = sum(1 for item in reply[1:] if item is None or isinstance(item, list))
    if with_fields:
        return with_fields
    beside = sum(1 for part in command[3:] if isinstance(part, str | bytes) and word(part) in _BESIDE)
    return (len(reply) - 1) // (1 + beside)
