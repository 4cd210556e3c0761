"""What was acknowledged, noted on disk by somebody other than the server that is put to the test."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from memdb import files
from memdb.errors import MemDBError


class LedgerBroken(MemDBError):
    """The ledger cannot be written or read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged write."""

    writer: int
    number: int  # of the writer's writes
    digest: str  # of what was written
    at_s: float  # of the acknowledgement, since the writing began
    took_ms: float


class Ledger:
    """One writer's file, a line for each acknowledgement.

    A line is handed to the operating system before the write counts: it survives the end of any process. It
    is not forced to disk, since the drill kills processes and not the machine.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            raise _broken(path, exc) from exc

    def note(self, entry: Entry) -> None:
        """Write one line.

        Raises:
            LedgerBroken: the disk is full, or the file is gone; the entry does not count.
        """
        line = f"{entry.writer} {entry.number} {entry.digest} {entry.at_s:.6f} {entry.took_ms:.4f}\n".encode()
        try:
            written = os.write(self._file, line)
        except OSError as exc:
            raise _broken(self._path, exc) from exc
        if written != len(line):  # the disk became full within the line
            raise LedgerBroken(f"The ledger {self._path} took half a line: its disk is full.", _HINT)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_HINT = "Free some space where MEMDB_HOME lies, or set MEMDB_HOME to another disk."


def entries(path: Path) -> tuple[Entry, ...]:
    """The lines of one ledger. Half a line at its end, left by a full disk, does not count.

    Raises:
        LedgerBroken: the file cannot be read, or holds something else.
    """
    try:
        text = files.text(path, most=files.MOST_BYTES)
    except OSError as exc:
        raise _broken(path, exc) from exc
    noted = []
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        words = line.split()
        try:
            writer, number, digest, at, took = words
            noted.append(Entry(int(writer), int(number), digest, float(at), float(took)))
        except ValueError as exc:
            raise LedgerBroken(f"The ledger {path} holds a line that is not its own: {line[:80]!r}.") from exc
    return tuple(noted)


def _broken(path: Path, exc: OSError) -> LedgerBroken:
    return LedgerBroken(f"The ledger {path} cannot be used: {files.reason(exc)}.", _HINT)
