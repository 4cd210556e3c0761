"""The records of taps that lie here and are for this visitor."""

from __future__ import annotations

from pathlib import Path

from memdb.tap.store import listed
from memdb.ui.kit import targets


def visible(home: Path) -> dict[str, Path]:
    """Files by their names, newest first: those of servers that this visitor may open, every one of them.

    Args:
        home: MEMDB_HOME.

    Raises:
        BadSettings: the settings file does not parse.
    """
    return {tap.path.name: tap.path for tap in listed(home) if all(map(targets.may_see_of, tap.servers))}
