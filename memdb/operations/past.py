"""Reading the history of a target: any number of readers, none of which asks the server."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from memdb import files
from memdb.operations.events import Event
from memdb.operations.figures import KEPT
from memdb.operations.history import VERSION, text_of, there, told_of
from memdb.operations.memory import MemorySplit
from memdb.operations.readings import Following
from memdb.vectors.distance import Doubles

BUCKETS = 600  # points of a line: more than a chart has pixels to tell apart
_EVENT = ("at", "node", "kind", "name", "text")
_BUILD = ("at", "node", "name", "state", "fraction", "documents", "failures")
_GAP = 2.5  # times the usual distance of two samples: more is a time that was not sampled


@dataclass(frozen=True, slots=True)
class IndexNow:
    """An index on a node when it was last sampled."""

    name: str
    state: str
    fraction: float | None  # None: what was told cannot be true
    source: str
    documents: int | None  # the same
    failures: int | None
    last_error: str
    last_error_key: str


@dataclass(frozen=True, slots=True)
class NodeNow:
    """A node when it was last sampled: gauges and rates in `figures`, or in `absent` with the reason."""

    address: str
    role: str
    at: float
    figures: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    problem: str = ""
    uptime_s: float | None = None
    replicas: tuple[Following, ...] = ()
    indexes: tuple[IndexNow, ...] = ()


SUMMED = ("used_bytes", "search_bytes", "keys", "commands", "searches")  # over the shards of a target


def in_all(nodes: Sequence[NodeNow]) -> dict[str, float]:
    """Figures of SUMMED over all primaries; a figure that one of them did not tell is not in it."""
    primaries = [node for node in nodes if node.role == "primary"]
    return {
        name: sum(node.figures[name] for node in primaries)
        for name in SUMMED
        if primaries and all(name in node.figures and not node.problem for node in primaries)
    }


@dataclass(frozen=True, slots=True)
class Series:
    """Figures of one node over time. NaN where nothing was told; a row of NaN where sampling stopped."""

    times: Doubles  # (n,) Unix seconds
    mean: Mapping[str, Doubles]  # name → (n,)
    top: Mapping[str, Doubles]  # the largest of each bucket; the same as mean where nothing was thinned
    bucket_s: float  # 0 where every sample is shown


@dataclass(frozen=True, slots=True)
class BuildPoint:
    """An index on a node at one moment; kept when something changed."""

    at: float
    node: str
    name: str
    state: str
    fraction: float
    documents: int  # 0 where what was told cannot be true
    failures: int | None


class Past:
    """One history file, read anew for each question.

    Raises:
        Damaged: from every method, where the file is no history.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def nodes(self) -> tuple[NodeNow, ...]:
        """Every node of the last round, primaries first; empty before the first one."""
        rows = self._rows(
            "SELECT address, at, facts FROM now JOIN nodes ON nodes.id = now.node ORDER BY node"
        )
        with told_of(self.path):
            nodes = [_node(address, at, json.loads(facts)) for address, at, facts in rows]
        return tuple(sorted(nodes, key=lambda node: node.role != "primary"))

    def span(self) -> tuple[float, float] | None:
        """When the oldest and the newest sample were taken."""
        ((low, high),) = self._rows("SELECT min(at), max(at) FROM samples") or [(None, None)]
        with told_of(self.path):
            return None if low is None else (float(low), float(high))

    def series(
        self, node: str, start: float, end: float, names: Sequence[str], *, buckets: int = BUCKETS
    ) -> Series:
        """Figures of a node over a time, thinned to at most `buckets` means and maxima.

        Args:
            node: its address.
            start: from this time on, Unix seconds.
            end: up to this time.
            names: of KEPT.
            buckets: at most so many points, besides gaps.
        """
        if not set(names) <= set(KEPT):
            raise ValueError(f"no such figures: {set(names) - set(KEPT)}")
        which = "FROM samples WHERE node = (SELECT id FROM nodes WHERE address = ?) AND at BETWEEN ? AND ?"
        ((count,),) = self._rows(f"SELECT count(*) {which}", node, start, end) or [(0,)]
        width = 0.0
        if count > buckets:
            width = (end - start) / buckets
            columns = ", ".join(f"avg({name}), max({name})" for name in names)
            rows = self._rows(
                f"SELECT avg(at), {columns} {which} GROUP BY CAST((at - ?) / ? AS INTEGER) ORDER BY 1",
                node,
                start,
                end,
                start,
                width,
            )
        else:
            columns = ", ".join(f"{name}, {name}" for name in names)
            rows = self._rows(f"SELECT at, {columns} {which} ORDER BY at", node, start, end)
        with told_of(self.path):
            table = np.array(rows, dtype=np.float64).reshape(-1, 1 + 2 * len(names))
        table = with_gaps(table)
        mean = {name: table[:, 1 + 2 * i] for i, name in enumerate(names)}
        top = {name: table[:, 2 + 2 * i] for i, name in enumerate(names)}
        return Series(table[:, 0], mean, top, width)

    def builds(self, start: float, end: float) -> tuple[BuildPoint, ...]:
        """How builds went, oldest first: where each stood at `start`, then where something changed."""
        columns = (
            "address, name, state, fraction, documents, failures FROM builds AS b JOIN nodes ON id = node"
        )
        before = self._rows(
            f"SELECT {columns} WHERE at = (SELECT max(at) FROM builds WHERE node = b.node AND name = b.name "  # noqa: S608
            "AND at < ?) AND node IN (SELECT node FROM now)",
            start,
        )
        since = self._rows(f"SELECT at, {columns} WHERE at BETWEEN ? AND ? ORDER BY at", start, end)
        with told_of(self.path):
            every = [dict(zip(_BUILD, row, strict=True)) for row in [*((start, *r) for r in before), *since]]
            points: tuple[BuildPoint, ...] = files.typed(every, tuple[BuildPoint, ...])
        return points

    def events(self, start: float, end: float, *, limit: int = 500) -> tuple[Event, ...]:
        """What happened, newest first."""
        sql = (
            "SELECT at, node, kind, name, text FROM events WHERE at BETWEEN ? AND ? ORDER BY at DESC LIMIT ?"
        )
        rows = self._rows(sql, start, end, limit)
        with told_of(self.path):
            every = [dict(zip(_EVENT, row, strict=True)) for row in rows]
            happened: tuple[Event, ...] = files.typed(every, tuple[Event, ...])
        return happened

    def recall_names(self) -> tuple[str, ...]:
        """What was ever watched."""
        return tuple(name for (name,) in self._recalls("SELECT DISTINCT watch FROM recalls ORDER BY watch"))

    def recalls(self, watch: str, *, limit: int) -> tuple[object, ...]:
        """The newest measurements of what is watched, oldest first, as they were kept."""
        sql = "SELECT facts FROM recalls WHERE watch = ? ORDER BY at DESC LIMIT ?"
        rows = self._recalls(sql, watch, limit)
        with told_of(self.path):
            return tuple(json.loads(facts) for (facts,) in reversed(rows))

    def _recalls(self, sql: str, *values: object) -> list[Any]:
        """A history that an earlier version began has no such table until it is written again."""
        there_is = self._rows("SELECT name FROM sqlite_master WHERE name = 'recalls'")
        return self._rows(sql, *values) if there_is else []

    def last_split(self, node: str, until: float) -> tuple[float, MemorySplit] | None:
        """Where the node's memory went at that time, with when it was asked; None where nothing is known."""
        rows = self._rows(
            "SELECT at, facts FROM splits WHERE node = (SELECT id FROM nodes WHERE address = ?) "
            "AND at <= ? ORDER BY at DESC LIMIT 1",
            node,
            until,
        )
        try:
            return (rows[0][0], MemorySplit.from_facts(json.loads(rows[0][1]))) if rows else None
        except (ValueError, RecursionError):  # of another version, or damaged
            return None

    def kept(self, name: str) -> object:
        """A small thing by name; None where there is none."""
        rows = self._rows("SELECT facts FROM kept WHERE name = ?", name)
        with told_of(self.path):
            return json.loads(rows[0][0]) if rows else None

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with told_of(self.path):
            if not there(self.path):
                return []
        with told_of(self.path), self._open() as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                return []  # its writer is about to make the tables
            return db.execute(sql, values).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=5.0)
        db.text_factory = text_of
        try:
            yield db
        finally:
            db.close()


def with_gaps(table: Doubles) -> Doubles:
    """Put a row of NaN where time was not sampled, so that no line is drawn across it.

    Args:
        table: (n, 1 + figures), the time first, ascending.
    """
    if len(table) < 3:
        return table
    steps = np.diff(table[:, 0])
    where = np.flatnonzero(steps > _GAP * max(float(np.median(steps)), 1.0)) + 1
    if not len(where):
        return table
    holes = np.full((len(where), table.shape[1]), np.nan)
    holes[:, 0] = table[where, 0] - steps[where - 1] / 2
    return np.insert(table, where, holes, axis=0)


def _node(address: object, at: object, facts: dict[str, Any]) -> NodeNow:
    names = [each.name for each in fields(IndexNow)]
    indexes = [dict(zip(names, index, strict=True)) for index in facts["indexes"]]
    node: NodeNow = files.typed({**facts, "address": address, "at": at, "indexes": indexes}, NodeNow)
    return node
