"""The drill's ledger, and the digests it holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memdb.durability import writes
from memdb.durability.drill import DrillRequest
from memdb.durability.ledger import Entry, Ledger, LedgerBroken, entries
from memdb.errors import OutOfRange

ONE = Entry(2, 17, "ab" * 32, 1.5, 0.25)


def test_what_is_noted_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "ledger.txt"
    with Ledger(path) as ledger:
        ledger.note(ONE)
    with Ledger(path) as ledger:  # a second run goes on behind the first
        ledger.note(Entry(0, 0, "cd", 2.0, 1.0))
    assert entries(path) == (ONE, Entry(0, 0, "cd", 2.0, 1.0))


def test_half_a_line_does_not_count_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.txt"
    with Ledger(path) as ledger:
        ledger.note(ONE)
        ledger.note(ONE)
    path.write_bytes(path.read_bytes()[:-4])
    assert entries(path) == (ONE,)
    path.write_text("a poem\n")
    with pytest.raises(LedgerBroken, match="a poem"):
        entries(path)
    with pytest.raises(LedgerBroken, match="No such file"):
        entries(tmp_path / "none.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_told_and_the_write_does_not_count() -> None:
    with Ledger(Path("/dev/full")) as ledger, pytest.raises(LedgerBroken, match="the disk is full") as caught:
        ledger.note(ONE)
    assert "MEMDB_HOME" in caught.value.hint


def test_a_write_is_known_by_its_digest() -> None:
    session, vector = writes.fields("run", 1, 2)
    assert (session, vector) == writes.fields("run", 1, 2)
    assert writes.whole((session, vector)) != writes.whole(writes.fields("run", 1, 3))
    assert writes.digest(dict(reversed(session.items()))) == writes.digest(session)
    assert writes.digest(session | {b"more": b""}) != writes.digest(session)
    assert writes.whole(({}, {})) == ""
    assert writes.whole((session, {})) not in ("", writes.whole((session, vector)))


@pytest.mark.parametrize("change", [{"writers": 0}, {"seconds": 0}, {"seconds": 1e9}, {"rate": -1}])
def test_drills_that_make_no_sense(change: dict[str, float]) -> None:
    with pytest.raises(OutOfRange, match="the drill accepts"):
        DrillRequest(**change)  # type: ignore[arg-type]
