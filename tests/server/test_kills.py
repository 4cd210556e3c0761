"""Some kills with the outside ledger of `benchmarks/kills.py`, and that this ledger sees a loss."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.kills import Held, InApp, Ledger, lost, rounds, write
from memdb.cluster import engine as local_engine


@pytest.mark.parametrize("make", [Held, InApp], ids=["engine killed", "app killed"])
def test_no_acknowledged_write_is_lost(make: type[Held] | type[InApp], tmp_path: Path) -> None:
    written, missing = rounds(make, tmp_path, 3)
    assert written > 50
    assert missing == 0


def test_the_ledger_sees_what_is_lost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ending = threading.Event()
    with local_engine.start(tmp_path / "home", log=False) as running:
        running.wait_ready()
        address = running.target.port, running.target.password
        writer = threading.Thread(target=write, args=(*address, ledger, "w", ending))
        writer.start()
        while len(ledger.noted) < 20:
            ending.wait(0.01)
        ending.set()
        writer.join()
        ledger.note(b"never", b"written")
        assert lost(*address, ledger) == 1
