"""What was sampled, kept in one SQLite file a target: bounded by size and age, read by any number of pages.

One writer (the sampler) and readers that open the file for each question: no page asks the server. Times are
this machine's wall clock (Unix seconds), since they are drawn; rates were taken on the monotonic one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memdb import files
from memdb.cluster.target import Target
from memdb.errors import DamagedFile, MemDBError
from memdb.json_text import json_text
from memdb.operations.events import Event
from memdb.operations.figures import FIGURES, KEPT
from memdb.operations.rates import Rates
from memdb.operations.readings import Following
from memdb.operations.samples import Sample

MAX_BYTES = 50 * 2**20
MAX_AGE_S = 7 * 86_400.0
_QUIET_S = 60.0
_DROP = 0.05  # of the time kept, when the file is full: rarely, not with every sample
_TABLES = f"""
CREATE TABLE IF NOT EXISTS nodes (id INTEGER PRIMARY KEY, address TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS samples (
  node INTEGER NOT NULL, at REAL NOT NULL, {", ".join(f"{name} REAL" for name in KEPT)},
  PRIMARY KEY (node, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS now (node INTEGER PRIMARY KEY, at REAL NOT NULL, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS builds (
  node INTEGER NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, state TEXT NOT NULL, fraction REAL NOT NULL,
  documents INTEGER NOT NULL, failures INTEGER, PRIMARY KEY (node, name, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS splits (
  node INTEGER NOT NULL, at REAL NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (node, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  at REAL NOT NULL, node TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_at ON events (at);
CREATE TABLE IF NOT EXISTS recalls (
  watch TEXT NOT NULL, at REAL NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (watch, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
"""
_AFTER_S = 0.001  # behind the one before, where the clock has gone back
MOST_RECALLS = 20_000  # measurements of recall: two hundred days of one every quarter of an hour
_BY_TIME = ("samples", "builds", "splits", "events")
VERSION = 1


class Damaged(MemDBError):
    """The history file cannot be read or written. Where its content is damaged it was set aside."""


def path_of(folder: Path, target: Target) -> Path:
    """Where the history of a target lies; users have their own, since an ACL decides what is told."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", target.address)[:60]
    digest = hashlib.sha256(f"{target.address} {target.username}".encode()).hexdigest()[:8]
    return folder / "history" / f"{name}-{digest}.sqlite"


class Writer:
    """The sampler's hold on the file. Belongs to one thread.

    Raises:
        Damaged: the file is no history, or the disk is full; also from every method.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
        self.path = path
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        with told_of(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            there(path)
            path.touch(mode=0o600)
            self._file = path.stat().st_ino
            self._db = sqlite3.connect(path, timeout=5.0)
            self._db.text_factory = text_of
            self._db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a crash of the machine may lose the last seconds
            self._db.execute("PRAGMA journal_size_limit = 1048576")
            _shape(self._db)
        self._ids: dict[str, int] = {}
        self._builds: dict[tuple[str, str], tuple[float, tuple[Any, ...]]] = {}
        self._writes = 0

    def add(self, at: float, rated: Sequence[tuple[Sample, Rates]], events: Sequence[Event] = ()) -> None:
        """Keep one round of samples.

        Args:
            at: the wall clock.
            rated: every node with its rates since the sample before.
            events: what happened since then.
        """
        with told_of(self.path):
            if not self.path.exists() or self.path.stat().st_ino != self._file:
                raise OSError(errno.ENOENT, "it was moved away")
        lags = {replica.address: replica for sample, _ in rated for replica in sample.replicas}
        with told_of(self.path), self._db:
            for sample, rates in rated:
                self._add(at, sample, rates, lags.get(sample.address))
            self._db.executemany(
                _ADD_EVENT,
                [_row(event) for event in events],
            )
            here = {sample.address for sample, _ in rated}
            for address in [a for a in self._known() if a not in here]:
                self._db.execute("DELETE FROM now WHERE node = ?", (self._id(address),))
        self._writes += 1
        if self._writes % 30 == 1:
            self.trim(at)

    def add_recall(self, watch: str, at: float, facts: Mapping[str, object], events: Sequence[Event]) -> None:
        """Keep a measurement of a watched index, and what it changed: the newest, whatever the clock says."""
        with told_of(self.path), self._db:
            text = json_text(facts)
            sql = "SELECT MAX(at) FROM recalls WHERE watch = ?"
            (newest,) = self._db.execute(sql, (watch,)).fetchone()
            place = at if newest is None or at > newest else newest + _AFTER_S
            self._db.execute("INSERT INTO recalls VALUES (?, ?, ?)", (watch, place, text))
            self._db.executemany(_ADD_EVENT, [_row(event) for event in events])
            self._db.execute(
                "DELETE FROM recalls WHERE watch = ? AND at <= (SELECT at FROM recalls WHERE watch = ? "
                "ORDER BY at DESC LIMIT 1 OFFSET ?)",
                (watch, watch, MOST_RECALLS),
            )

    def add_split(self, at: float, node: str, facts: Mapping[str, object]) -> None:
        """Keep where a node's memory goes."""
        with told_of(self.path), self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO splits VALUES (?, ?, ?)", (self._id(node), at, json.dumps(facts))
            )

    def keep(self, name: str, facts: object) -> None:
        """Keep a small thing by name, e.g. the alerts that stand."""
        with told_of(self.path), self._db:
            self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(facts)))

    def kept(self, name: str) -> object:
        """A small thing by name; None where there is none."""
        with told_of(self.path):
            row = self._db.execute("SELECT facts FROM kept WHERE name = ?", (name,)).fetchone()
            return json.loads(row[0]) if row else None

    def trim(self, now: float) -> None:
        """Delete what is too old, and the oldest while the file is too large."""
        with told_of(self.path):
            self._before(now - self._max_age_s)
            for _ in range(40):
                if self._bytes() <= self._max_bytes:
                    break
                low, high = self._db.execute("SELECT min(at), max(at) FROM samples").fetchone()
                if low is None or high <= low:
                    break
                self._before(low + max(_DROP * (high - low), 1.0))
            self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _before(self, at: float) -> None:
        with self._db:
            for table in _BY_TIME:
                self._db.execute(f"DELETE FROM {table} WHERE at < ?", (at,))  # noqa: S608  # our own names

    def _bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _add(self, at: float, sample: Sample, rates: Rates, following: Following | None) -> None:
        node = self._id(sample.address)
        gauges = {
            name: value for name, value in sample.figures.items() if FIGURES[name].kind == "gauge"
        }  # of counters the rates are kept
        figures: dict[str, float | None] = {**gauges, **rates.values}
        if following is not None:
            figures |= {"behind_bytes": following.behind_bytes, "lag_s": following.lag_s}
        if not sample.problem:
            figures["took_ms"] = round(sample.took_ms, 3)
            values = (node, at, *[figures.get(name) for name in KEPT])
            self._db.execute(f"INSERT OR REPLACE INTO samples VALUES ({_marks(len(values))})", values)  # noqa: S608
        figures_kept = {name: value for name, value in figures.items() if value is not None and name in KEPT}
        facts = {
            "role": sample.role,
            "figures": figures_kept,
            "absent": {**sample.absent, **rates.absent},
            "link": sample.link,
            "problem": sample.problem,
            "uptime_s": sample.figures.get("uptime_s"),
            "replicas": [asdict(replica) for replica in sample.replicas],
            "indexes": [
                (
                    index.name,
                    index.build.state,
                    index.told_fraction,
                    index.build.source,
                    index.told_documents,
                    index.failures,
                    index.last_error,
                    index.last_error_key,
                )
                for index in sample.indexes
            ],
        }
        self._db.execute("INSERT OR REPLACE INTO now VALUES (?, ?, ?)", (node, at, json.dumps(facts)))
        for index in sample.indexes:
            state = (index.build.state, index.build.fraction, index.documents, index.failures)
            last, before = self._builds.get((sample.address, index.name), (0.0, ()))
            # Where documents come all day each sample would be a point: then one a minute.
            quiet = before and (state[0], round(index.build.fraction, 3), index.failures) == (
                before[0],
                round(before[1], 3),
                before[3],
            )
            if state != before and not (quiet and at - last < _QUIET_S):
                self._builds[sample.address, index.name] = (at, state)
                self._db.execute(
                    "INSERT OR REPLACE INTO builds VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?)",
                    (node, _stored(index.name), at, *state),
                )

    def _known(self) -> list[str]:
        rows = self._db.execute("SELECT address FROM nodes JOIN now ON nodes.id = now.node")
        return [address for (address,) in rows]

    def _id(self, address: str) -> int:
        if address not in self._ids:
            self._db.execute("INSERT OR IGNORE INTO nodes (address) VALUES (?)", (address,))
            row = self._db.execute("SELECT id FROM nodes WHERE address = ?", (address,)).fetchone()
            self._ids[address] = int(row[0])
        return self._ids[address]


def keep(path: Path, name: str, facts: object) -> None:
    """Keep a small thing beside a sampler that writes.

    Raises:
        Damaged: there is no history yet, or it cannot be written.
    """
    with told_of(path):
        there(path)
        db = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5.0)
        try:
            with db:
                db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(facts)))
        finally:
            db.close()


def add_recall(
    path: Path, watch: str, at: float, facts: Mapping[str, object], events: Sequence[Event]
) -> None:
    """Keep a measurement beside a sampler that writes, or in a history of its own.

    Raises:
        Damaged: it cannot be written.
    """
    writer = Writer(path)
    try:
        writer.add_recall(watch, at, facts, events)
    finally:
        writer.close()


# SQLite takes text in UTF-8. An index's name may be no such text: its bytes are stored as they are.
_ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT))"


def _stored(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def text_of(stored: bytes) -> str:
    """A text of the file, for SQLite's `text_factory`: as it was written, where it is no UTF-8 too."""
    return stored.decode("utf-8", "surrogatepass")


def _row(event: Event) -> tuple[float, str, str, bytes, bytes]:
    return event.at, event.node, event.kind, _stored(event.name), _stored(event.text)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _shape(db: sqlite3.Connection) -> None:
    """Make the tables; a file of another version is emptied, since figures are not worth a migration."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    columns = [row[1] for row in db.execute("PRAGMA table_info(samples)")]
    if columns and (version != VERSION or columns != ["node", "at", *KEPT]):
        for table in ("nodes", "now", *_BY_TIME):
            db.execute(f"DROP TABLE IF EXISTS {table}")
    db.executescript(_TABLES)
    db.execute(f"PRAGMA user_version = {VERSION}")


def there(path: Path) -> bool:
    """Whether there is a history: SQLite would follow a link, and wait for a pipe.

    Raises:
        DamagedFile: it or a file beside it is one of these; it was set aside.
    """
    for each in _beside(path):
        files.is_there(each)
    return files.is_there(path)


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """What goes wrong with a history as Damaged; one whose content is damaged is set aside."""
    try:
        yield
    except DamagedFile as exc:
        raise Damaged(str(exc), exc.hint) from exc
    except MemDBError:
        raise
    except (sqlite3.OperationalError, OSError) as exc:  # sqlite3's: full, locked, gone
        why = files.reason(exc) if isinstance(exc, OSError) else str(exc)
        full = "full" in why
        raise Damaged(
            f"The history {path.name} cannot be used: {'the disk is full' if full else why}.",
            f"Free some space where '{path.parent}' lies."
            if full
            else f"Check '{path}', or move it away; a new one is begun.",
        ) from exc
    except (sqlite3.Error, *files.DAMAGE) as exc:
        aside = files.set_aside(path, f"cannot be read ({exc})", *_beside(path))
        raise Damaged(str(aside), "A new one is begun.") from exc
