"""How far `memdb demo` is with its data: told to the app, another process, which is opened meanwhile."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from memdb import files
from memdb.errors import MemDBError

FILE = "demo-progress.json"
_FRESH_S = 10.0  # a demo that was killed says nothing any more


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at it.

    Attributes:
        address: of the server that is being loaded.
        stage: what is done now, e.g. "Embedding documents".
        done: of `total`.
        total: 0 where it is not known.
        at: Unix seconds.
    """

    address: str
    stage: str
    done: int
    total: int
    at: float


def note(home: Path, address: str, stage: str, done: int, total: int) -> None:
    """Keep it for the app. A home that cannot be written shows nothing, and the demo goes on."""
    progress = Progress(address, stage, done, total, time.time())
    with suppress(MemDBError):
        files.write(home / FILE, json.dumps(asdict(progress)).encode())


def clear(home: Path) -> None:
    """It has ended, however it did."""
    with suppress(OSError):
        (home / FILE).unlink(missing_ok=True)


def now(home: Path, address: str) -> Progress | None:
    """What was noted in the last seconds for this server; None where nothing was.

    Raises:
        DamagedFile: the file is something else; it was set aside.
    """
    if not files.is_there(home / FILE):
        return None
    progress: Progress | None = files.document(home / FILE, Progress, most=2_000)
    if progress is None or progress.address != address or not 0 <= time.time() - progress.at <= _FRESH_S:
        return None
    return progress
