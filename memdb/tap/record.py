"""The record of a tap: a bounded, uniform sample of the searches that passed, in one Parquet file.

Of every search since the first the same share is kept. Where the file would grow beyond its bound the share
is halved, and a random half of the rows with it. The file is replaced as a whole at least once a second while
searches pass: whatever ends this process leaves one that can be read.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from memdb import files
from memdb.errors import BadInput, NotKept
from memdb.tap.knn import KnnCall, read

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 10_000  # searches in the file
MOST_ROWS = 200_000  # that it may be told to hold
MOST_BYTES = 32 << 20  # of it
EVERY_S = 0.5
_KEY = b"memdb.tap"
_DICTIONARIES = ["index", "field", "filter", "filter_params"]
_MOST_CHUNKS = 64
_DAMAGED = "is damaged, or of another version of this program"
LARGEST = 256 << 20  # bytes of a file that is read


@dataclass(frozen=True, slots=True)
class Tapped:
    """One search that passed."""

    at: float  # Unix seconds
    took_ms: float | None  # from its last byte to the last of its reply; None where others were on their way
    call: KnnCall


@dataclass(frozen=True, slots=True)
class Record:
    """What a file holds, oldest first."""

    searches: tuple[Tapped, ...]
    share: float  # of the searches that passed
    seen: int  # how many passed


class Recorder:
    """Keeps searches; one thread of its own writes them. Its methods may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        share: float = 1.0,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        every_s: float = EVERY_S,
        server: str = "",
        seed: int | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Begin a file, or go on with the one of an earlier tap.

        Args:
            path: of the file.
            share: of all searches to keep, in (0, 1].
            most: searches in the file.
            most_bytes: of it, about.
            every_s: how often it is written while searches pass.
            server: address of the server that is searched, kept in the file; "" where it is not known.
            seed: of the choice; None for another one each time.
            say: told in a sentence where the file cannot be written.

        Raises:
            BadInput: there is a file that is no record of a tap, or `most` is more than are read again.
            NotKept: it cannot be written.
        """
        if most > MOST_ROWS:
            raise BadInput(
                f"A record of {most:,} searches is not read again.", f"Keep {MOST_ROWS:,} at most."
            )
        self.path = path
        self._most, self._most_bytes, self._every_s, self._say = most, most_bytes, every_s, say
        self._random = random.Random(seed)  # noqa: S311  # a sample, no secret
        self._draws = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._new: list[tuple[float, float, float | None, KnnCall]] = []
        self.seen, self._share = 0, share
        self._servers = {server}
        self._table = _as_table([])
        self._us = np.empty(0)
        self._written_seen = -1
        self._problem = ""
        self._stop = threading.Event()
        self._go_on(share)
        self._write()
        self._thread = threading.Thread(target=self._run, name="tap record", daemon=True)
        self._thread.start()

    @property
    def share(self) -> float:
        """The share of all searches that is kept now."""
        return self._share

    def __len__(self) -> int:
        """How many searches are kept."""
        return len(self._us) + len(self._new)

    def wanted(self) -> float | None:
        """Called once for each search that passes: a draw to hand to `offer`, None where it is not kept."""
        self.seen += 1
        draw = self._random.random()
        return draw if draw < self._share else None

    def offer(self, draw: float, words: Sequence[bytes], at: float, took_ms: float | None) -> None:
        """Keep a search.

        Args:
            draw: from `wanted`.
            words: of its command.
            at: when it came, Unix seconds.
            took_ms: until its reply; None where that is not known.
        """
        call = read(words)
        if call is None:
            return
        with self._lock:
            if draw >= self._share:
                return
            self._new.append((draw, at, took_ms, call))
            if len(self._new) > self._most:
                self._share /= 2
                self._new = [row for row in self._new if row[0] < self._share]

    def close(self) -> None:
        """Write what is left, and end.

        Raises:
            NotKept: it cannot be written.
        """
        self._stop.set()
        self._thread.join()
        if not self._written():
            self._take()
            self._write()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            if self._written():
                continue
            self._take()
            try:
                self._write()
                self._problem = ""
            except NotKept as exc:  # it is tried again
                if str(exc) != self._problem:
                    self._problem = str(exc)
                    self._say(f"{exc.full()} Searches are kept in memory until then.")

    def _written(self) -> bool:
        """Whether the file holds all: a search that comes while it is written has been counted before."""
        return self.seen == self._written_seen and not self._new

    def _take(self) -> None:
        """Move new rows into the table, within its bounds."""
        import pyarrow as pa

        with self._lock:
            new, self._new = self._new, []
        if new:
            self._table = pa.concat_tables(
                [self._table, _as_table([(at, ms, call) for _, at, ms, call in new])]
            )
            self._us = np.concatenate([self._us, [draw for draw, *_ in new]])
        with self._lock:
            self._thin()
            while len(self._us) > self._most or self._table.nbytes > self._most_bytes:
                self._share /= 2
                self._thin()
        if self._table.column(0).num_chunks > _MOST_CHUNKS:
            self._table = self._table.combine_chunks()

    def _thin(self) -> None:
        keep = self._us < self._share
        if not keep.all():
            self._table, self._us = self._table.filter(keep).combine_chunks(), self._us[keep]

    def _write(self) -> None:
        import pyarrow.parquet as pq

        passed = self.seen
        about = json.dumps(
            {"version": 1, "share": self._share, "seen": passed, "servers": sorted(self._servers)}
        )
        table = self._table.replace_schema_metadata({_KEY: about})
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            for old in self.path.parent.glob(f".{self.path.name}.*.part"):  # of a tap that was killed
                old.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
                    pq.write_table(
                        table,
                        file,
                        compression="none",
                        use_dictionary=_DICTIONARIES,
                        write_statistics=False,
                        write_page_checksum=True,
                    )
                part.replace(self.path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as exc:
            raise NotKept(
                f"The record '{self.path}' cannot be written: {files.reason(exc)}.",
                "Free some space, or choose another --out.",
            ) from exc
        self._written_seen = passed

    def _go_on(self, share: float) -> None:
        """With what an earlier tap has left."""
        try:
            content = files.named(self.path, LARGEST)
        except FileNotFoundError:
            with contextlib.suppress(OSError):  # told when it is written
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return
        except OSError as exc:
            raise BadInput(
                f"The record '{self.path}' cannot be read: {files.reason(exc)}.", "Choose another --out."
            ) from None
        try:
            earlier = _read_table(content)
            if earlier is not None:
                _searches(earlier[0])
        except files.DAMAGE as exc:
            raise BadInput(
                f"The record '{self.path}' {_DAMAGED}: {type(exc).__name__}.",
                "Choose another --out, or remove it.",
            ) from exc
        if earlier is None:
            raise BadInput(
                f"'{self.path}' is there, and is no record of a tap.", "Choose another --out, or remove it."
            )
        self._table, about = earlier
        self._share = min(share, float(about["share"]))
        self.seen = int(about["seen"])
        self._servers.update(_servers(about))
        self._us = self._draws.random(len(self._table)) * float(about["share"])


def load(name: str, content: bytes) -> Record | None:
    """The searches of a file; None where it is another Parquet file, or none.

    One that another program has written with the columns of a record, e.g. some of its rows, is read as well.

    Args:
        name: of the file, for messages.
        content: of the file.

    Raises:
        BadInput: it is a record that cannot be read, or of more than are read.
    """
    try:
        read_ = _read_table(content) or _rewritten(content)
        if read_ is None:
            return None
        table, about = read_
        searches = _searches(table)
    except files.DAMAGE as exc:
        raise BadInput(f"The record '{name}' {_DAMAGED}: {type(exc).__name__}.", "Tap again.") from exc
    return Record(searches, float(about["share"]), int(about["seen"]))


def _searches(table: pa.Table) -> tuple[Tapped, ...]:
    """The rows of a table.

    Raises:
        files.DAMAGE: a row is none that a tap writes.
    """
    searches = tuple(
        Tapped(
            row["at"].timestamp(),
            row["took_ms"],
            KnnCall(
                row["index"],
                row["field"],
                row["filter"],
                tuple((str(key), str(value)) for key, value in json.loads(row["filter_params"])),
                row["k"],
                row["ef_runtime"],
                row["vector"],
            ),
        )
        for row in table.to_pylist()
    )
    for each in searches:
        call = each.call
        wrong = call.k < 1 or not call.vector or (call.ef_runtime is not None and call.ef_runtime < 1)
        if wrong or not (each.took_ms is None or each.took_ms >= 0):
            raise ValueError(call)
    return searches


def servers(file: IO[bytes]) -> tuple[str, ...]:
    """Addresses of the servers that the searches of a file were sent to; "" where one is not known.

    Raises:
        ValueError: it is no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = (pq.read_schema(file).metadata or {}).get(_KEY)
    except pa.ArrowException as exc:
        raise ValueError(f"it is no Parquet: {exc}") from None
    about_json = None if about is None else json.loads(about)
    return _servers(about_json) if isinstance(about_json, dict) else ("",)


def _servers(about: dict[str, Any]) -> tuple[str, ...]:
    addresses = about.get("servers")
    return tuple(map(str, addresses)) if isinstance(addresses, list) and addresses else ("",)


def _read_table(content: bytes) -> tuple[pa.Table, dict[str, Any]] | None:
    """The rows and what is told of them; None where it is another file.

    Raises:
        files.DAMAGE: it is a record, and cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from memdb import parquet_files

    try:
        metadata = (pq.read_schema(io.BytesIO(content)).metadata or {}).get(_KEY)
    except (*files.DAMAGE, pa.ArrowException):
        return None
    if metadata is None:
        return None
    about = json.loads(metadata)
    if about["version"] != 1 or not 0 < about["share"] <= 1 or int(about["seen"]) < 0:
        raise ValueError(metadata)
    try:
        table = parquet_files.table(content, most_rows=MOST_ROWS, most_bytes=LARGEST).cast(_schema())
    except parquet_files.TooLarge as exc:
        raise BadInput(f"The record {exc}.", "Tap again, and keep fewer searches.") from None
    except pa.ArrowException as exc:
        raise ValueError(str(exc)) from exc
    return table.replace_schema_metadata(None), about


def _rewritten(content: bytes) -> tuple[pa.Table, dict[str, Any]] | None:
    """The same of a file that has the columns of a record, and does not say that it is one.

    Raises:
        files.DAMAGE: its columns are of other types.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from memdb import parquet_files

    schema = _schema()
    try:
        if not set(schema.names) <= set(pq.read_schema(io.BytesIO(content)).names):
            return None
    except (*files.DAMAGE, pa.ArrowException):
        return None
    try:
        table = parquet_files.table(content, most_rows=MOST_ROWS, most_bytes=LARGEST)
        table = table.select(schema.names).cast(schema, safe=False)
    except parquet_files.TooLarge as exc:
        raise BadInput(f"The record {exc}.", "Keep fewer of its rows.") from None
    except pa.ArrowException as exc:
        raise ValueError(str(exc)) from exc
    return table.replace_schema_metadata(None), {"share": 1.0, "seen": len(table)}


def _schema() -> pa.Schema:
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        [
            pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("index", text, nullable=False),
            pa.field("field", text, nullable=False),
            pa.field("filter", text, nullable=False),
            pa.field("filter_params", text, nullable=False),  # JSON: [[name, value], …]
            pa.field("k", pa.int32(), nullable=False),
            pa.field("ef_runtime", pa.int32()),  # null: the index's own
            pa.field("took_ms", pa.float64()),
            pa.field("vector", pa.binary(), nullable=False),  # as sent: little endian, of the index's type
        ]
    )


def _as_table(rows: Sequence[tuple[float, float | None, KnnCall]]) -> pa.Table:
    import pyarrow as pa

    columns = [
        [int(at * 1e6) for at, _, _ in rows],
        [call.index for _, _, call in rows],
        [call.field for _, _, call in rows],
        [call.filter for _, _, call in rows],
        [json.dumps(call.filter_params) for _, _, call in rows],
        [min(call.k, 2**31 - 1) for _, _, call in rows],
        [call.ef_runtime for _, _, call in rows],
        [ms for _, ms, _ in rows],
        [call.vector for _, _, call in rows],
    ]
    schema = _schema()
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
