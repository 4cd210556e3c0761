"""Many short drills on the durable engine alone: write at full speed, kill, restart, compare; again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from memdb.cluster import engine
from memdb.cluster.client import connect
from memdb.durability import writes
from memdb.durability.drill import gone
from memdb.durability.ledger import entries
from memdb.durability.verdict import verdict
from memdb.durability.writers import Writer
from memdb.jobs import Report, silent
from memdb.vectors import index

_PART = 50  # rounds on one log: it grows with each, and so does its loading
_WRITING_S = (0.05, 0.25)


@dataclass(frozen=True, slots=True)
class SoakResult:
    """All rounds together."""

    rounds: int
    acknowledged: int
    recovered: int
    lost: int
    partial: int
    unacknowledged_present: int


def soak(
    rounds: int, home: Path, *, writers: int = 4, seed: int | None = None, report: Report = silent
) -> SoakResult:
    """Kill the durable engine `rounds` times while it is written to.

    A round's writes are looked for after its restart.

    Args:
        rounds: kills.
        home: MEMDB_HOME; a folder is made there and removed.
        writers: threads.
        seed: of the moments; None takes any.
        report: progress by rounds.

    Raises:
        MemDBError: the engine did not start again.
    """
    chance = random.Random(seed)  # noqa: S311  # moments, no secrets
    total = SoakResult(0, 0, 0, 0, 0, 0)
    while total.rounds < rounds:
        part = min(_PART, rounds - total.rounds)
        folder = home / "drill" / f"soak-{uuid.uuid4().hex[:8]}"
        try:
            total = _part(part, folder, writers, chance, total, rounds, report)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return total


def _part(
    part: int,
    folder: Path,
    writers: int,
    chance: random.Random,
    total: SoakResult,
    rounds: int,
    report: Report,
) -> SoakResult:
    with ExitStack() as stack:
        running = stack.enter_context(engine.start(folder, log=True))
        running.wait_ready()
        client = stack.enter_context(connect(running.target))
        index.create(client, writes.SPECS[0])
        for number in range(part):
            report("Killing and comparing", total.rounds, rounds)
            name = f"r{number}"
            began = time.monotonic()
            threads = [Writer(client, name, i, 0, folder / f"{name}-{i}.txt", began) for i in range(writers)]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(*_WRITING_S))
            os.kill(running.pid, signal.SIGKILL)
            for thread in threads:
                thread.end()
            for thread in threads:
                thread.join()
            gone(running)
            running.restart()
            running.wait_ready()
            unanswered = [place for thread in threads for place in thread.unanswered]
            noted = [e for i in range(writers) for e in entries(folder / f"{name}-{i}.txt")]
            found = verdict(client, name, noted, unanswered)
            total = SoakResult(
                total.rounds + 1,
                total.acknowledged + found.acknowledged,
                total.recovered + found.recovered,
                total.lost + found.lost,
                total.partial + found.partial,
                total.unacknowledged_present + found.unacknowledged_present,
            )
    return total
