"""Whether an answer that was kept still holds: digests of some documents, compared with what is stored now.

What an engine tells of an index (number of documents, the revision of RediSearch) repeats when as many
documents are overwritten and the index is dropped and made again, and MemoryDB and valkey-search tell no
revision at all. So beside every answer that is kept lie digests of WITNESSES documents drawn at random when
it was computed; before it is used, CHECKED of them, drawn anew, are read again
(docs/decisions/0061-kept-answers.md).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from memdb.array_files import checked
from memdb.cluster.client import Client, Command
from memdb.errors import UnknownIndex
from memdb.vectors import read
from memdb.vectors.filters import Condition, render
from memdb.vectors.index import IndexInfo, index_info
from memdb.vectors.read import Block
from memdb.vectors.search import count

CAUGHT = 0.99  # the probability that a check notices what it is made for:
CHANGED = 0.001  # this share of the documents has another vector, is gone, or no longer matches
CHECKED = int(np.ceil(np.log(1 - CAUGHT) / np.log(1 - CHANGED)))  # 4,603 documents
WITNESSES = 4 * CHECKED  # so that a check that follows another looks at other documents

_GONE, _WITHOUT = 0, 1  # in the place of a digest: no such key, no usable vector under it

Digests = NDArray[np.uint64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What an answer was computed from, as far as a later check can tell."""

    keys: tuple[str, ...]  # of the documents drawn, at most WITNESSES
    vectors: Digests  # (len(keys),); _WITHOUT for those without a usable vector
    fields: Digests  # (len(keys),) of the fields that decide whether a document matches; empty: all match
    fingerprint: str  # of the index
    matching: int  # documents under the filter, as the engine counts them

    @property
    def name(self) -> str:
        """Differs where the data does: for the keys of what is derived from an answer."""
        digest = hashlib.sha256(self.vectors.tobytes() + self.fields.tobytes())
        digest.update("\0".join(self.keys).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]

    def arrays(self) -> dict[str, Any]:
        """As an .npz file takes it; the keys are packed beside it by whoever writes."""
        return {
            "witness_vectors": self.vectors,
            "witness_fields": self.fields,
            "witness_of": np.array([self.fingerprint, str(self.matching)]),
        }


def from_arrays(keys: Sequence[str], arrays: Any) -> Evidence:
    """The other way.

    Raises:
        KeyError, ValueError: the file has none.
    """
    fingerprint, matching = arrays["witness_of"].tolist()
    vectors = checked(arrays["witness_vectors"], "iu", len(keys))
    fields = checked(arrays["witness_fields"], "iu", None)
    if len(fields) not in (0, len(keys)):
        raise ValueError("digests of other documents")
    return Evidence(tuple(keys), vectors, fields, fingerprint, int(matching))


@dataclass(slots=True, eq=False)
class Drawing:
    """Draws documents evenly while they are read: those with the smallest of as many random numbers.

    Those without a usable vector are drawn as well: one that gets one changes the answer.
    """

    size: int = WITNESSES
    _random: np.random.Generator = field(default_factory=np.random.default_rng)
    _below: float = 1.0
    _drawn: list[tuple[float, str, int]] = field(default_factory=list)
    _seen: int = 0  # documents
    _gone: int = 0  # rows that came without one, which no check can read

    def watch(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The same blocks."""
        for block in blocks:
            self.look_at(block)
            yield block

    def look_at(self, block: Block) -> None:
        """Take in the documents of one block."""
        spans = _spans(block)
        self._seen += len(spans) + len(block.without)
        self._gone += block.left_out.gone
        draws = self._random.random(len(spans) + len(block.without))
        for place in np.flatnonzero(draws < self._below).tolist():
            if place < len(spans):
                start, end = spans[place]
                key, digest = block.keys[start], _digest(block.vectors[start:end].tobytes())
            else:
                key, digest = block.without[place - len(spans)], _WITHOUT
            self._drawn.append((float(draws[place]), key, digest))
        if len(self._drawn) > 2 * self.size:
            self._cut()

    def evidence(self, client: Client, info: IndexInfo, condition: Condition | str) -> Evidence | None:
        """What was drawn, with what else a check compares.

        None where the index changed meanwhile, or where a share CHANGED of the rows came without a document.

        Args:
            client: where the index is.
            info: the index as it was before the reading.
            condition: the filter.

        Raises:
            MemDBError: the server does not answer.
        """
        if self._gone > CHANGED * self._seen:
            return None
        self._cut()
        keys = tuple(key for _, key, _ in self._drawn)
        vectors = np.array([digest for _, _, digest in self._drawn], np.uint64)
        return _evidence(client, info, condition, keys, vectors, fields=_decides(client, info, condition))

    def _cut(self) -> None:
        if len(self._drawn) > self.size:
            self._drawn.sort(key=lambda entry: entry[0])
            del self._drawn[self.size :]
            self._below = self._drawn[-1][0]


def of_documents(
    client: Client, info: IndexInfo, name: str, keys: Sequence[str], condition: Condition | str
) -> Evidence | None:
    """Of an answer over some documents alone, as a map; their other fields are part of it.

    Reads at most WITNESSES of them; None where the index changed meanwhile.

    Raises:
        MemDBError: the server does not answer.
    """
    random = np.random.default_rng()
    rows = random.choice(len(keys), min(WITNESSES, len(keys)), replace=False)
    some = tuple(keys[row] for row in rows)
    return _evidence(client, info, condition, some, _vectors(client, info, name, some), fields=True)


def _evidence(
    client: Client,
    info: IndexInfo,
    condition: Condition | str,
    keys: tuple[str, ...],
    vectors: Digests,
    *,
    fields: bool,
) -> Evidence | None:
    others = _fields(client, info, keys) if fields else np.empty(0, np.uint64)
    current = index_info(client, info.name)
    if current.fingerprint != info.fingerprint:
        return None
    return Evidence(keys, vectors, others, current.fingerprint, count(client, current, condition))


def holds(
    client: Client,
    info: IndexInfo,
    name: str,
    condition: Condition | str,
    evidence: Evidence,
    *,
    random: np.random.Generator | None = None,
) -> bool:
    """Whether the data still is what an answer was computed from.

    The index must have the same definition, as many documents (and the same revision, where the engine
    tells), and as many under the filter; of CHECKED documents drawn at random, vectors and deciding fields
    must be the same. Where a share CHANGED of the documents is not what it was, this returns False with a
    probability of at least CAUGHT; always, where no more than CHECKED documents match. It reads CHECKED
    vectors at most, 1,000 or 8 MB in a round trip.

    Args:
        client: where the index is.
        info: the index; it is asked for again.
        name: the vector field.
        condition: the filter.
        evidence: of the answer.
        random: of the choice; of the operating system where it is not given.

    Raises:
        MemDBError: the server does not answer.
    """
    try:
        current = index_info(client, info.name)
    except UnknownIndex:
        return False
    if current.fingerprint != evidence.fingerprint or count(client, current, condition) != evidence.matching:
        return False
    rows = drawn(len(evidence.keys), random or np.random.default_rng())
    keys = [evidence.keys[row] for row in rows]
    if not np.array_equal(_vectors(client, current, name, keys), evidence.vectors[rows]):
        return False
    if not len(evidence.fields):
        return True
    return bool(np.array_equal(_fields(client, current, keys), evidence.fields[rows]))


def drawn(size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Places of the documents a check looks at, (min(CHECKED, known),)."""
    return random.choice(size, min(CHECKED, size), replace=False)


def _spans(block: Block) -> list[tuple[int, int]]:
    """Where the vectors of each document begin and end."""
    if not block.several:
        return [(i, i + 1) for i in range(len(block.keys))]
    starts = [i for i, key in enumerate(block.keys) if not i or key != block.keys[i - 1]]
    return list(pairwise([*starts, len(block.keys)]))


def _vectors(client: Client, info: IndexInfo, name: str, keys: Sequence[str]) -> Digests:
    """Digest of each document's vectors; _WITHOUT where none is usable, _GONE where there is no document."""
    known: dict[str, int] = {}
    size = max(1, min(read.KEYS_A_BATCH, read.BYTES_A_BATCH // info.vector_field(name)[1].bytes))
    for start in range(0, len(keys), size):
        block = read.vectors_of(client, info, name, keys[start : start + size])
        if block is not None:
            known |= {block.keys[a]: _digest(block.vectors[a:b].tobytes()) for a, b in _spans(block)}
    others = [key for key in keys if key not in known]
    for start in range(0, len(others), read.KEYS_A_BATCH):
        asked = others[start : start + read.KEYS_A_BATCH]
        there = client.pipeline([("EXISTS", key) for key in asked])
        known |= {key: _WITHOUT if n else _GONE for key, n in zip(asked, there, strict=True)}
    return np.array([known[key] for key in keys], np.uint64)


def _decides(client: Client, info: IndexInfo, condition: Condition | str) -> bool:
    """Whether other fields than the vector decide which documents an answer is over."""
    return bool(info.rules.filter) or not render(condition, client.server.dialect, info).everything


def _fields(client: Client, info: IndexInfo, keys: Sequence[str]) -> Digests:
    """Digest of what each document holds beside its vectors; of all of it where the index has a FILTER."""
    paths = sorted({f.identifier for f in info.fields if f.kind != "VECTOR"})
    if info.rules.filter:
        whole: tuple[str, ...] = ("HGETALL",) if info.on == "HASH" else ("JSON.GET",)
        commands: list[Command] = [(*whole, key) for key in keys]
    elif paths:
        command = "HMGET" if info.on == "HASH" else "JSON.GET"
        commands = [(command, key, *paths) for key in keys]
    else:
        return np.zeros(len(keys), np.uint64)
    digests: list[int] = []
    for start in range(0, len(commands), read.KEYS_A_BATCH):
        replies = client.pipeline(commands[start : start + read.KEYS_A_BATCH])
        digests += [_digest(repr(reply).encode("utf-8", "surrogateescape")) for reply in replies]
    return np.array(digests, np.uint64)


def _digest(raw: bytes) -> int:
    """Never a number that stands for no vector."""
    return max(int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest()), _WITHOUT + 1)


class KeptAnswers(Generic[T]):
    """Answers in this process's memory, each given out only where a check says that it holds."""

    def __init__(self, most: int, most_bytes: int, size: Callable[[T], int]) -> None:
        """At most so many answers of at most so many bytes; those not used for longest go first."""
        self._most, self._most_bytes, self._size = most, most_bytes, size
        self._lock = threading.Lock()
        self._answers: OrderedDict[object, tuple[T, Evidence]] = OrderedDict()

    def get(
        self, name: object, client: Client, info: IndexInfo, field_name: str, condition: Condition | str
    ) -> T | None:
        """The answer of this name; None where there is none or it no longer holds.

        Raises:
            MemDBError: the server does not answer.
        """
        with self._lock:
            entry = self._answers.get(name)
        if entry is None:
            return None
        if not holds(client, info, field_name, condition, entry[1]):
            with self._lock:
                if self._answers.get(name) is entry:
                    del self._answers[name]
            return None
        with self._lock:
            if name in self._answers:
                self._answers.move_to_end(name)
        return entry[0]

    def put(self, name: object, answer: T, evidence: Evidence) -> None:
        """Keep an answer; one that is larger than all that may be kept is not."""
        if self._size(answer) > self._most_bytes:
            return
        with self._lock:
            self._answers[name] = (answer, evidence)
            self._answers.move_to_end(name)
            while len(self._answers) > self._most or (
                sum(self._size(answer) for answer, _ in self._answers.values()) > self._most_bytes
            ):
                self._answers.popitem(last=False)

    def clear(self) -> None:
        """Free all that is kept."""
        with self._lock:
            self._answers.clear()
