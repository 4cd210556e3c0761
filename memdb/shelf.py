"""A folder of MEMDB_HOME in which the newest stay: `<id>.json` for a list, and a file beside it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from memdb.errors import NotFound, NotKept

T = TypeVar("T")
_LEAST_S = 2.0  # between two states of work that is under way
_SHARE = 0.05  # of the time at most is spent on keeping them
_ID = re.compile(r"[0-9A-Za-z_-]{1,80}")


class ShelfEntry(Protocol):
    """What a list shows of an entry."""

    @property
    def id(self) -> str:
        """Its name in the folder."""

    @property
    def size_bytes(self) -> int:
        """Of its files."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where entries of a kind lie."""

    folder: str  # below the home
    beside: str  # suffix of the second file
    what: str  # an entry, in messages

    def path(self, home: Path, entry_id: str) -> Path:
        """The first file of an entry.

        Raises:
            NotFound: that is no id; it may come from a link.
        """
        if not _ID.fullmatch(entry_id):
            raise NotFound(entry_id, self.what)
        return home / self.folder / f"{entry_id}.json"

    def changed(self, home: Path) -> int:
        """A number that changes when an entry is saved or deleted by any process; 0 where there is none."""
        try:
            return (home / self.folder).stat().st_mtime_ns
        except OSError:
            return 0

    def delete(self, home: Path, entry_id: str) -> None:
        """Forget an entry; nothing happens where there is none.

        Raises:
            NotFound: that is no id.
        """
        path = self.path(home, entry_id)
        for each in (path, path.with_suffix(self.beside)):
            each.unlink(missing_ok=True)

    def prune(
        self, home: Path, newest_first: Iterable[ShelfEntry], keep: int, keep_bytes: int
    ) -> tuple[str, ...]:
        """Remove the oldest beyond the bounds (never the newest) and return their ids."""
        removed: list[str] = []
        total = 0
        for place, entry in enumerate(newest_first):
            total += entry.size_bytes
            if place and (place >= keep or total > keep_bytes):
                self.delete(home, entry.id)
                removed.append(entry.id)
        return tuple(removed)


def now_and_then(save: Callable[[T], object]) -> Callable[[T], None]:
    """What keeps states of long work on disk while it is under way, the first at once: it may be killed.

    Later ones at most every two seconds, and in a twentieth of the time. A full disk ends no work: it is
    told when the whole is saved.
    """
    due = 0.0

    def keep(state: T) -> None:
        nonlocal due
        began = time.monotonic()
        if began < due:
            return
        with suppress(NotKept):
            save(state)
        now = time.monotonic()
        due = now + max(_LEAST_S, (now - began) / _SHARE)

    return keep
