"""Embedded texts on disk, so that a question asked twice is paid once. Bounded; holds no text and no key.

A row is the hash of model, side and text, and the vector. Whatever is wrong with the file, work goes on
without it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memdb import files
from memdb.errors import MemDBError
from memdb.vectors.distance import Floats

MOST_BYTES = 128 << 20  # of the vectors; the file is a little larger
_AT_ONCE = 500  # digests of one statement
_TABLES = """
CREATE TABLE IF NOT EXISTS vectors (digest BLOB PRIMARY KEY, vector BLOB, used REAL, size INTEGER);
CREATE INDEX IF NOT EXISTS by_use ON vectors (used, size);
"""


@dataclass(frozen=True, slots=True)
class KeptVectors:
    """The file of one MEMDB_HOME."""

    path: Path
    most_bytes: int = MOST_BYTES

    @classmethod
    def under(cls, home: Path) -> KeptVectors:
        """Where MEMDB_HOME keeps it."""
        return cls(home / "embeddings" / "texts.sqlite")

    @staticmethod
    def digest(identity: str, side: str, text: str) -> bytes:
        """What stands for a text: nothing of it can be read back."""
        return hashlib.blake2b(json.dumps([identity, side, text]).encode(), digest_size=20).digest()

    def get(self, digests: Sequence[bytes]) -> dict[bytes, Floats]:
        """(d,) by digest, of those that are kept; marks them as used."""
        rows: dict[bytes, Floats] = {}
        with suppress(_Unusable), self._opened() as db:
            for start in range(0, len(digests), _AT_ONCE):
                part = digests[start : start + _AT_ONCE]
                marks = ", ".join("?" * len(part))
                for digest, raw in db.execute(
                    f"SELECT digest, vector FROM vectors WHERE digest IN ({marks})",  # noqa: S608
                    part,
                ):
                    vector = np.frombuffer(raw, dtype="<f4")
                    if len(vector) and np.isfinite(vector).all():
                        rows[bytes(digest)] = vector
            used_at = time.time()
            db.executemany(
                "UPDATE vectors SET used = ? WHERE digest = ?", [(used_at, digest) for digest in rows]
            )
        return rows

    def put(self, rows: Mapping[bytes, Floats]) -> None:
        """Keep vectors, each (d,); the ones longest unused make room."""
        used_at = time.time()
        entries = [
            (digest, row.astype("<f4").tobytes(), used_at, row.size * 4) for digest, row in rows.items()
        ]
        with suppress(_Unusable), self._opened() as db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", entries)
            (total,) = db.execute("SELECT COALESCE(SUM(size), 0) FROM vectors").fetchone()
            if total > self.most_bytes:
                excess, old = total - self.most_bytes * 9 // 10, []
                for digest, size in db.execute("SELECT digest, size FROM vectors ORDER BY used"):
                    if excess <= 0:
                        break
                    old.append((digest,))
                    excess -= size
                db.executemany("DELETE FROM vectors WHERE digest = ?", old)

    def forget(self) -> None:
        """Empty it."""
        with suppress(_Unusable), self._opened() as db:
            db.execute("DELETE FROM vectors")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for each in (self.path, self.path.with_name(f"{self.path.name}-journal")):
                files.is_there(each)  # SQLite would follow a link, and wait for a pipe
            self.path.touch(mode=0o600)
            with closing(sqlite3.connect(self.path, timeout=2.0)) as db, db:
                db.executescript(_TABLES)
                yield db
        except (sqlite3.OperationalError, OSError, MemDBError) as exc:  # full, locked, gone, a link
            raise _Unusable from exc
        except (sqlite3.Error, *files.DAMAGE) as exc:
            files.set_aside(self.path, f"cannot be read ({exc})")
            raise _Unusable from exc


class _Unusable(Exception):
    """Work goes on without what is kept."""
