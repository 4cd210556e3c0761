"""Whether an index was created anew since it was looked at: its searches lacked documents while it was built.

A build that is over tells nothing of itself. MemoryDB tells when an index was created. RediSearch counts the
time it spent on indexing, and numbers its documents: either begins again. Of valkey-search the server's own
counts of FT.CREATE and FT.DROPINDEX are left, which are of every index.
"""

from __future__ import annotations

import re

from memdb.cluster.client import Client
from memdb.display import line
from memdb.errors import MemDBError
from memdb.vectors.index import IndexInfo, primaries

_MAKING = ("FT.CREATE", "FT.DROPINDEX")


class Watched:
    """An index between two looks at it."""

    def __init__(self, client: Client, info: IndexInfo) -> None:
        """Remember what tells that it was created anew.

        Args:
            client: where it is.
            info: what it told now.
        """
        self.client, self.info = client, info
        self.counted = self._counts()

    def certain(self, now: IndexInfo) -> str:
        """That it was created anew since the last look, as a sentence; "" where it was not, or is not told.

        Args:
            now: what it tells at this look, from which the next one counts.
        """
        before, self.info = self.info, now
        if not replaced(before, now):
            return ""
        return (
            f"The index '{line(now.name)}' was created anew meanwhile: while it was built documents were "
            "missing, and every figure measured then is of what it held."
        )

    def possible(self) -> str:
        """That an index of this server was dropped and one created since the last look; "" otherwise.

        Asked where an index tells nothing by which it could be known again.
        """
        before, self.counted = self.counted, self._counts()
        if before is None or self.counted is None:
            return ""
        if not all(now > then for then, now in zip(before, self.counted, strict=True)):
            return ""
        return (
            "An index was dropped and one created on this server meanwhile, and it does not tell which. If "
            f"it was '{line(self.info.name)}', documents were missing while it was built: measure again."
        )

    def _counts(self) -> tuple[int, ...] | None:
        """How often indexes were created and dropped, of all primaries; None where the index itself tells
        its age, or the server does not tell."""
        if self.info.born or self.info.indexing_ms is not None:
            return None
        try:
            several = [self.client.on(node) for node in primaries(self.client, self.info.name)]
            per_primary = [
                each.info("commandstats").get("commandstats", {}) for each in several or [self.client]
            ]
        except MemDBError:  # not allowed to this user, or a node does not answer
            return None
        return tuple(sum(_calls(stats, name) for stats in per_primary) for name in _MAKING)


def replaced(before: IndexInfo, now: IndexInfo) -> bool:
    """Whether these are two indexes of one name, as far as the engine tells."""
    if before.born != now.born:
        return True
    if before.indexing_ms is None or now.indexing_ms is None:
        return False
    if before.revision is None or now.revision is None:
        return now.indexing_ms < before.indexing_ms
    # Time is spent on a document that then has a new number, or counts as a failure: it never grows alone.
    counts = [(info.revision, info.failures) for info in (before, now)]
    again = counts[0] == counts[1] and before.indexing_ms != now.indexing_ms
    return again or now.revision < before.revision or now.indexing_ms < before.indexing_ms


def _calls(stats: dict[str, str], command: str) -> int:
    """Calls of a command that were not refused."""
    line_of_stats = stats.get(f"cmdstat_{command}", "")
    counts = {
        name: int(number) for name, number in re.findall(r"\b(calls|failed_calls)=(\d+)", line_of_stats)
    }
    return counts.get("calls", 0) - counts.get("failed_calls", 0)
