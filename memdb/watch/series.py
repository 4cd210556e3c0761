"""What is watched, and what a measurement of it says. What the app watches is kept under MEMDB_HOME."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from memdb import files
from memdb.cluster.target import Target
from memdb.errors import OutOfRange
from memdb.json_text import json_text
from memdb.tuning.query_rows import MOST_QUERIES
from memdb.tuning.run import Goal, SweepRequest

QUERIES = 500
EVERY_S = 900.0
LEAST_EVERY_S = 10.0
_DEFAULT = SweepRequest("")
_LONGEST_S = 366 * 86_400.0  # between two measurements


@dataclass(frozen=True, slots=True)
class Watch:
    """One index watched with one setting. Hashable."""

    index: str
    field: str = ""  # empty: the first vector field
    k: int = _DEFAULT.k
    ef_runtime: int | None = None  # None: the index's own, or of a tap each search's own
    filter: str = "*"
    target: float = _DEFAULT.goal.value
    confidence: float = _DEFAULT.goal.confidence
    every_s: float = EVERY_S
    queries: int = QUERIES  # at most
    tap: str = ""  # path of a tap's record, whose newest searches are asked; empty: fixed made queries
    # Documents that recall is estimated from; 0: all are read, None: the target's budget decides.
    sample: int | Literal["usual"] | None = None

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("k", self.k, 1, 100_000),
            ("EF_RUNTIME", 1 if self.ef_runtime is None else self.ef_runtime, 1, 1_000_000),
            ("The target recall", self.target, 0, 1),
            ("The confidence", self.confidence, 0.5, 0.9999),
            ("The number of queries", self.queries, 1, MOST_QUERIES),
            ("The seconds between two measurements", self.every_s, 1, _LONGEST_S),
        ):
            if not low <= value <= high:
                raise OutOfRange(name, value, low, high, "a watch")

    @property
    def name(self) -> str:
        """The same where measurements belong into one line of a chart: whatever the target and how often."""
        own = "own" if self.ef_runtime is None else str(self.ef_runtime)
        question_words = f"tap {self.tap}" if self.tap else f"{self.queries} made"
        return json_text([self.index, self.field, self.filter, self.k, own, question_words])

    @property
    def goal(self) -> Goal:
        """What the recall must reach."""
        return Goal("recall", self.target, self.confidence)

    @property
    def words(self) -> str:
        """For people."""
        ef = "the index's own EF_RUNTIME" if self.ef_runtime is None else f"EF_RUNTIME {self.ef_runtime}"
        ef = "each search's own EF_RUNTIME" if self.tap and self.ef_runtime is None else ef
        under = "" if self.filter in ("", "*") else f" under {self.filter}"
        return f"recall@{self.k} at {ef}{under}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement. Its recall is None where there is none; `problem` then says why."""

    at: float  # Unix seconds
    watch: Watch
    queries: int
    asked: str  # what they were, for people
    recall: float | None
    low: float | None
    high: float | None
    documents: int
    build: str  # state of the build
    built: float  # share in [0, 1]
    run_id: str  # of the server's process
    definition: str  # of the index, as a digest
    revision: int | None  # grows with every document written, where the engine tells
    removals: int | None  # keys that expired or were evicted, calls that delete: counters of the server
    digest: str = ""  # of the queries
    estimated: str = ""  # of what sample; empty: the exact neighbours are of all documents
    took_s: float = 0.0
    problem: str = ""
    changes: tuple[str, ...] = ()  # since the measurement before, a sentence each


def path_of(home: Path, target: Target) -> Path:
    """Where what the app watches on a target is kept."""
    digest = hashlib.sha256(f"{target.address} {target.username}".encode()).hexdigest()[:12]
    return home / "watch" / f"{digest}.json"


def listed(home: Path, target: Target) -> tuple[Watch, ...]:
    """What the app watches on a target.

    Raises:
        DamagedFile: the list cannot be read; it was set aside.
    """
    stored: list[Watch] | None = files.document(path_of(home, target), list[Watch])
    return tuple(stored or ())


def keep(home: Path, target: Target, watches: Sequence[Watch]) -> None:
    """Replace that list.

    Raises:
        NotKept: it cannot be written.
    """
    text = json_text([asdict(watch) for watch in watches])
    files.write(path_of(home, target), text.encode("utf-8", "surrogatepass"))


def switch(home: Path, target: Target, watch: Watch, *, on: bool) -> None:
    """Begin or end to watch.

    Raises:
        DamagedFile, NotKept: the list cannot be read or written.
    """
    others = [each for each in listed(home, target) if each.name != watch.name]
    keep(home, target, [*others, watch] if on else others)
