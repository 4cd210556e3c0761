"""Where records lie whose place nobody chose: the Recall page lists them."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from memdb import files
from memdb.cluster.target import Target
from memdb.errors import DamagedFile
from memdb.tap.record import LARGEST, servers


def new_path(home: Path, target: Target, at: float) -> Path:
    """A file for a tap that begins now.

    Args:
        home: MEMDB_HOME.
        target: the server.
        at: Unix seconds.
    """
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", target.label or f"{target.host or 'unix'}-{target.port}")[:60]
    return home / "taps" / f"{datetime.fromtimestamp(at, UTC):%Y%m%d-%H%M%S}-{name}.parquet"


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record that lies here."""

    path: Path
    servers: tuple[str, ...]  # addresses of those that were searched; "" where one is not known


def listed(home: Path) -> tuple[KeptRecord, ...]:
    """The records there are, newest first. Damaged ones are set aside and told."""
    records = []
    for path in sorted((home / "taps").glob("*.parquet"), reverse=True):
        with (
            contextlib.suppress(DamagedFile),
            files.opened(path, LARGEST) as file,
            files.reading(path),
        ):
            if file is not None:
                records.append(KeptRecord(path, servers(file)))
    return tuple(records)
