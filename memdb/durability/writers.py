"""Writers: threads that write at a rate, note what was acknowledged and go on when the server is gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from memdb.cluster.client import Client
from memdb.durability import writes
from memdb.durability.ledger import Entry, Ledger, LedgerBroken
from memdb.errors import MemDBError

_AFTER_ERROR_S = 0.02  # the server is down: asking again at once would only burn the processor


class Writer(threading.Thread):
    """One writer on one server.

    Args:
        client: of the server; shared by its writers.
        run: name of the run.
        number: of the writer.
        rate: writes a second; 0 as fast as they are acknowledged.
        ledger: file for this writer's acknowledgements.
        began: `time.monotonic` of the run's begin.
        most: writes, at which it ends; 0 for no bound.
        ttl_s: after which the keys go by themselves; 0 for never.
    """

    def __init__(
        self,
        client: Client,
        run: str,
        number: int,
        rate: float,
        ledger: Path,
        began: float,
        *,
        most: int = 0,
        ttl_s: int = 0,
    ) -> None:
        super().__init__(name=f"drill writer {number}", daemon=True)
        self._client, self._run_name, self._number, self._rate = client, run, number, rate
        self._path, self._began, self._most, self._ttl_s = ledger, began, most, ttl_s
        self._end = threading.Event()
        self.noted: list[Entry] = []  # as in the ledger; read by the live picture while it grows
        self.unanswered: list[tuple[int, int]] = []
        self.broken: LedgerBroken | None = None

    def move(self, client: Client) -> None:
        """Write to another server from now on: a replica that was promoted."""
        self._client = client

    def end(self) -> None:
        """Ask the writer to end after the write that is under way."""
        self._end.set()

    def run(self) -> None:
        """Write until asked to end, or until the ledger is broken."""
        try:
            with Ledger(self._path) as ledger:
                self._write(ledger)
        except LedgerBroken as exc:
            self.broken = exc

    def _write(self, ledger: Ledger) -> None:
        number = 0
        due = time.monotonic()
        while not self._end.is_set() and not (self._most and number >= self._most):
            commands = writes.commands(self._run_name, self._number, number, self._ttl_s)
            digest = writes.whole(writes.fields(self._run_name, self._number, number))
            sent = time.monotonic()
            try:
                self._client.transaction(commands)
            except MemDBError:
                # The server may have written it and died before it said so.
                self.unanswered.append((self._number, number))
                self._end.wait(_AFTER_ERROR_S)
            else:
                now = time.monotonic()
                entry = Entry(self._number, number, digest, now - self._began, 1e3 * (now - sent))
                ledger.note(entry)
                self.noted.append(entry)
            number += 1
            if self._rate:
                # What was missed while the server was down is not made up for.
                due = max(due + 1 / self._rate, time.monotonic() - 1 / self._rate)
                self._end.wait(max(0.0, due - time.monotonic()))
