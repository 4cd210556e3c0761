"""What heavy reads may ask of a server: searches a second, keys read, and a stop when it grows slow."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from memdb.cluster.target import Budget, Target
from memdb.cluster.topology import keys, word
from memdb.errors import BudgetSpent

# Of a production target that says nothing: a sweep then adds a load that a dashboard would, the demo-sized
# collections are read whole, and a server that answers four times slower than before is left alone.
PRODUCTION = Budget(queries_per_s=100.0, keys_scanned=200_000, slow_factor=4.0)
FREE = Budget()

_SEARCHES = frozenset(("FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT.CURSOR"))
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
        self.first_ms = self.now_ms = 0.0
        self._ping, self._clock, self._sleep = ping, clock, sleep
        self._lock = threading.Lock()
        self._next = clock()
        self._probed = clock()
        self._pings: deque[float] = deque(maxlen=_PROBES)

    def before(self, commands: Sequence[Sequence[Any]]) -> None:
        """Wait for the turn of some commands, which are sent or refused as a whole.

        Raises:
            BudgetSpent: a bound is reached.
        """
        searches = sum(word(command[0]) in _SEARCHES for command in commands)
        with self._lock:
            bound = self.budget.keys_scanned
            more = _cost(commands)
            full = (
                self.keys + more > bound if more else self.keys >= bound and any(map(_brings_rows, commands))
            )
            if bound and full:
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
        if wait > 0:
            self._sleep(wait)

    def after(self, commands: Sequence[Sequence[Any]], answers: Sequence[Any]) -> None:
        """Count what they read."""
        looked_at = _cost(commands) + sum(map(_rows, commands, answers))
        with self._lock:
            self.keys += looked_at

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


def _cost(commands: Sequence[Sequence[Any]]) -> int:
    """Keys that commands will look at, where their words tell: what they name, and the COUNT of SCAN.

    A key is counted once for all commands of a batch.
    """
    named: set[Any] = set()
    scanned = 0
    for command in commands:
        if word(command[0]) == "SCAN":
            words = [word(part) if isinstance(part, str | bytes) else "" for part in command]
            scanned += int(command[words.index("COUNT") + 1]) if "COUNT" in words[:-1] else 10
        else:
            named.update(keys(command))
    return scanned + len(named)


def _brings_rows(command: Sequence[Any]) -> bool:
    name = word(command[0])
    return name == "FT.AGGREGATE" or (name == "FT.CURSOR" and word(command[1]) == "READ")


def _rows(command: Sequence[Any], reply: Any) -> int:
    """Rows that an aggregation's cursor brought."""
    if not _brings_rows(command):
        return 0
    rows = reply[0] if isinstance(reply, list) and reply and isinstance(reply[0], list) else ()
    return max(0, len(rows) - 1)
