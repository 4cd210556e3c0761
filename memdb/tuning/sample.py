"""A uniform random sample of the documents under a filter, with their vectors; kept for the next run.

Where the budget lets all keys be listed, those with the smallest seeded hash are taken: every set of so many
keys is as likely as every other, whatever order the engine lists them in. Where it does not, keys are drawn
with RANDOMKEY: a key's chance then depends on its place in the server's hash table, which knows nothing of
its vector (docs/decisions/0101-uniform-sample.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from memdb import array_files, files
from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.display import counted, percent
from memdb.errors import BadInput, BudgetSpent, DamagedFile, NotAllowed, NotKept
from memdb.jobs import Report, silent
from memdb.tuning import source, vectors
from memdb.tuning.decide import POINTS
from memdb.tuning.packing import packed, unpacked
from memdb.tuning.run import USUAL, Run, SweepRequest
from memdb.tuning.source import COUNT
from memdb.vectors import chance, read
from memdb.vectors.evidence import Drawing, Evidence, KeptAnswers, from_arrays, holds
from memdb.vectors.filters import EVERYTHING, Condition, render
from memdb.vectors.index import IndexInfo
from memdb.vectors.membership import Membership
from memdb.vectors.nothing import nothing
from memdb.vectors.read import NOTHING, Block, LeftOut
from memdb.vectors.search import count as matching

Way = Literal["listed", "drawn"]

SHARE = 0.02  # of the documents, where nobody says otherwise: within FEWEST and MOST
FEWEST, MOST = 20_000, 200_000
LEAST = 100  # below, nothing can be said of the rest
GROWTH = 4  # times a sample that leaves open which setting meets a recall, up to MOST
KEPT_FILES = 8
KEPT_BYTES = 2 * 2**30
KEPT_MEMORY = 256 * 2**20
LISTED_AT_ONCE = 4_000  # keys of one reply: it holds the server for about a millisecond
DRAWN_AT_ONCE = 1_000
_SINGLE_CALLS = 1_000  # at each setting, at most
_TURNS = 30  # draws for each key that is wanted: the index may be a part of the database


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Documents drawn under a filter. The first n of it are a sample as well."""

    blocks: tuple[Block, ...]  # the vectors, as `read.blocks` brings them
    keys: tuple[str, ...]  # of all that were drawn, in order; some may hold no usable vector
    documents: int  # under the filter, of which these are a sample
    seed: int
    way: Way
    kept: bool = False  # whether an earlier one was used

    @property
    def share(self) -> float:
        """Of the documents that were drawn, in (0, 1]."""
        return min(1.0, len(self.keys) / self.documents) if self.documents else 1.0

    @property
    def left_out(self) -> LeftOut:
        """Of the documents drawn, those without a usable vector."""
        return sum((block.left_out for block in self.blocks), NOTHING)

    @property
    def words(self) -> str:
        """For people, e.g. "a sample of 20,000 (2 %)"."""
        return f"a sample of {len(self.keys):,} ({percent(self.share)})"

    def without(self, keys: frozenset[str]) -> tuple[Block, ...]:
        """The vectors of all but some documents."""
        return tuple(_within(self.blocks, frozenset(self.keys) - keys)) if keys else self.blocks

    def first(self, count: int) -> Sample:
        """The sample of `count` documents that this one begins with."""
        if count >= len(self.keys):
            return self
        wanted = self.keys[:count]
        return replace(self, keys=wanted, blocks=tuple(_within(self.blocks, frozenset(wanted))))


def usual(documents: int) -> int:
    """How many are drawn of so many documents, where nobody says otherwise."""
    return min(documents, max(FEWEST, min(MOST, round(SHARE * documents))))


def sampled(
    client: Client,
    info: IndexInfo,
    field: str,
    count: int,
    seed: int = 0,
    condition: Condition | str = EVERYTHING,
    *,
    reserve: int = 0,
    home: Path | None = None,
    report: Report = silent,
) -> Sample:
    """Draw `count` documents under the filter, all of them where fewer match. Nothing is written.

    An earlier sample is used where a check of the data says that it holds (`memdb.vectors.evidence`).

    Args:
        client: where the index is; its budget decides which way is gone.
        info: the index.
        field: its vector field; empty for the first.
        count: how many documents.
        seed: of the choice where keys are listed. The same seed takes the same documents.
        condition: the filter.
        reserve: keys of the budget that other work needs afterwards.
        home: MEMDB_HOME; samples are kept there under `samples/`, the newest KEPT_FILES of at most
            KEPT_BYTES. None keeps them in memory.
        report: progress.

    Raises:
        BadInput: `count` is too small, or no document matches the filter.
        UnsupportedFeature: the engine cannot list the documents of this filter.
        BudgetSpent: the budget does not suffice.
    """
    if count < LEAST:
        raise BadInput(
            f"A sample of {counted(count, 'document')} says nothing about the rest.",
            f"Take at least {LEAST:,}.",
        )
    stored = _known(client, info, field, count, seed, condition, home)
    if stored is not None:
        return stored.first(count)
    documents = matching(client, info, condition)
    if not documents:
        raise nothing(info, render(condition, client.server.dialect, info).query)
    if lists(client, documents, count, reserve):
        keys, documents = _listed(client, info, count, seed, condition, report)
        way: Way = "listed"
    else:
        keys, way = _drawn(client, info, min(count, documents), condition, report), "drawn"
    drawing = Drawing()
    blocks = tuple(drawing.watch(read.blocks_of(client, info, field, keys, report=report)))
    sample = Sample(blocks, tuple(keys), documents, seed, way)
    evidence = vectors.vouched(drawing, client, info, condition)
    if evidence is not None:
        name = _name(client, info, field, seed, condition)
        if home is None:
            _in_memory.put(name, replace(sample, kept=True), evidence)
        else:
            _keep(_file(home, name), sample, evidence)
    return sample


def chosen(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    *,
    queries: int = COUNT,
    home: Path | None = None,
    report: Report = silent,
) -> Sample | None:
    """The sample that a run's recall is estimated from; None where all documents are to be read.

    Where the request leaves it open, that is decided by the target's budget of keys.

    Args:
        client: where the index is.
        info: the index.
        request: of the sweep.
        queries: how many will be asked.
        home: MEMDB_HOME.
        report: progress.

    Raises:
        BadInput: the sample is too small, or no document matches the filter.
        BudgetSpent: the budget suffices for no sample.
        MemDBError: the server does not answer.
    """
    if request.sample == 0:
        return None
    documents = matching(client, info, request.condition)
    if request.sample is None or request.sample == USUAL:
        if request.sample is None and not too_many(client, documents, request, queries):
            return None
        count = within(client, documents, request, queries)
    else:
        count = request.sample
    if documents and LEAST <= count >= documents:
        return None
    return sampled(
        client,
        info,
        request.field,
        count,
        source.seed(request.source) or 0,
        request.condition,
        reserve=_by_queries(client, request, queries),
        home=home,
        report=report,
    )


def larger(
    client: Client,
    info: IndexInfo,
    request: SweepRequest,
    sample: Sample,
    *,
    home: Path | None = None,
    report: Report = silent,
) -> Sample | None:
    """GROWTH times as many documents, beginning with these; None where no more are there or affordable.

    Args:
        client: where the index is.
        info: the index.
        request: of the sweep.
        sample: what was read so far.
        home: MEMDB_HOME.
        report: progress.

    Raises:
        MemDBError: the server does not answer.
    """
    have = len(sample.keys)
    count = min(GROWTH * have, sample.documents, max(MOST, have))
    if count <= have or sample.way != "listed" or not lists(client, sample.documents, count):
        return None
    condition = request.condition
    enlarged = sampled(client, info, request.field, count, sample.seed, condition, home=home, report=report)
    return enlarged if len(enlarged.keys) > have else None


def too_many(client: Client, documents: int, request: SweepRequest, queries: int = COUNT) -> bool:
    """Whether reading all documents takes more keys than the target's budget leaves beside the queries."""
    room = client.keys_left
    return room is not None and documents > room - _by_queries(client, request, queries)


def within(client: Client, documents: int, request: SweepRequest, queries: int = COUNT) -> int:
    """The usual number of documents, or as many as the budget allows to be drawn and read.

    Raises:
        BudgetSpent: it allows too few.
    """
    count, room = usual(documents), client.keys_left
    if room is None:
        return count
    # A third of what is left beside the queries: keys that are drawn count, and those that are read.
    most = (room - _by_queries(client, request, queries)) // 3
    if most < LEAST:
        raise BudgetSpent(
            f"The budget of {room:,} keys is spent by the queries alone: to make and ask {queries:,} of them "
            f"brings about {_by_queries(client, request, queries):,}.",
            "Ask fewer queries, or raise the budget in the sidebar or the settings file.",
        )
    return min(count, most)


def _by_queries(client: Client, request: SweepRequest, queries: int) -> int:
    """Keys that the answers of a run bring, about: of every query at every setting, and of single calls."""
    pace = client.queries_per_s
    single = min(_SINGLE_CALLS, queries if pace is None else 5 * pace)
    return round((POINTS + 1) * (request.k + 1) * (queries + single))


def lists(client: Client, documents: int, count: int, reserve: int = 0) -> bool:
    """Whether the budget lets all keys be listed, and the vectors of the sample be read after."""
    keys_left = client.keys_left
    return keys_left is None or documents + min(count, documents) + reserve <= keys_left


def still(client: Client, info: IndexInfo, run: Run, home: Path) -> bool | None:
    """Whether the documents are what a sampled run read; None where its sample is not kept any more.

    Args:
        client: where the index is.
        info: the index as it is now.
        run: of this index, `Run.sampled`.
        home: MEMDB_HOME.

    Raises:
        MemDBError: the server does not answer, or the run's filter cannot be asked any more.
    """
    if info.fingerprint != run.fingerprint:
        return False
    request, drawn = run.request, run.sampled
    if drawn is None:
        return None
    stored = _kept(_file(home, _name(client, info, request.field, drawn.seed, request.condition)))
    return None if stored is None else holds(client, info, request.field, request.condition, stored[1])


def forget() -> None:
    """Free what is kept in memory."""
    _in_memory.clear()


def _listed(
    client: Client, info: IndexInfo, count: int, seed: int, condition: Condition | str, report: Report
) -> tuple[list[str], int]:
    """Keys with the smallest seeded hash, in its order, and of how many they were taken."""
    salt = chance.salted(seed)
    best, numbers = np.empty(0, object), np.empty(0, np.uint64)
    total, last = 0, np.uint64(2**64 - 1)
    for keys in every_key(client, info, condition):
        total += len(keys)
        report("Listing keys", min(total, info.documents), info.documents)
        of_keys = chance.numbers(keys, salt)
        fits = np.flatnonzero(of_keys <= last).tolist()
        best = np.concatenate([best, np.array([keys[place] for place in fits], object)])
        numbers = np.concatenate([numbers, of_keys[fits]])
        if len(best) > 2 * count + 1_000:
            best, numbers = _smallest(best, numbers, count)
            last = numbers[-1]
    best, _ = _smallest(best, numbers, count)
    return list(map(replies.key, best)), total


def _smallest(keys: np.ndarray, numbers: chance.Numbers, count: int) -> tuple[np.ndarray, chance.Numbers]:
    """The keys with the smallest numbers, ascending; each once, however often it was listed."""
    numbers, places = np.unique(numbers, return_index=True)
    return keys[places[:count]], numbers[:count]


def every_key(
    client: Client, info: IndexInfo, condition: Condition | str, size: int = LISTED_AT_ONCE
) -> Iterator[list[bytes]]:
    """All keys under the filter, about `size` at a time; a key may come again.

    By SCAN where that tells the same: its replies are a third as long.

    Raises:
        UnsupportedFeature: the engine cannot list the documents of this filter.
        MemDBError: the server does not answer, or the budget is spent.
    """
    everything = render(condition, client.server.dialect, info).everything
    # Under several prefixes a scan brings some keys twice; it passes over all keys of the database.
    if everything and not info.rules.filter and len(info.prefixes) == 1:
        keys = replies.integer(client.execute("DBSIZE"))
        keys_left = client.keys_left
        if keys <= 2 * info.documents and (keys_left is None or keys + size <= keys_left):
            yield from read.scanned(client, info, size)
            return
    for listed in read.matching_keys(client, info, condition, min(size, read.KEYS_A_BATCH)):
        yield [key.encode("utf-8", "surrogateescape") for key in listed]


def _drawn(
    client: Client, info: IndexInfo, count: int, condition: Condition | str, report: Report
) -> list[str]:
    """Different keys of the index, as RANDOMKEY brought them, without listing any.

    Raises:
        BudgetSpent: the budget ends before so many came.
    """
    under = Membership(client, info, condition)
    starts = info.prefixes or ("",)
    chosen: dict[str, None] = {}
    nodes = _nodes(client)
    drawn = 0
    while len(chosen) < count and drawn < _TURNS * max(count, DRAWN_AT_ONCE):
        times = min(DRAWN_AT_ONCE, 2 * (count - len(chosen)))
        if (keys_left := client.keys_left) is not None:  # the rest is for reading what was chosen
            times = max(1, min(times, (keys_left - count) // 2))
        drawn += times
        fresh: dict[str, None] = {}
        for node, share in nodes:
            came = node.pipeline([("RANDOMKEY",)] * max(1, round(times * share)))
            fresh |= dict.fromkeys(replies.key(key) for key in came if isinstance(key, bytes | str))
        fitting = [key for key in fresh if key.startswith(starts) and key not in chosen]
        outside = under.outside(fitting)
        chosen |= dict.fromkeys(key for key in fitting if key not in outside)
        report("Drawing keys", min(len(chosen), count), count)
    if len(chosen) < min(LEAST, count):
        raise BadInput(
            f"Of {drawn:,} random keys of this database only {len(chosen):,} belong to '{info.name}'.",
            "Raise the budget of keys, so that they can be listed.",
        )
    return list(chosen)[:count]


def _nodes(client: Client) -> list[tuple[Client, float]]:
    """Each primary, with the share of all keys that it holds."""
    primaries = []
    with contextlib.suppress(NotAllowed):
        primaries = [client.on(node) for node in client.nodes() if node.role == "primary"]
    if len(primaries) < 2:
        return [(client, 1.0)]
    sizes = [replies.integer(node.execute("DBSIZE")) for node in primaries]
    whole = max(1, sum(sizes))
    return [(node, size / whole) for node, size in zip(primaries, sizes, strict=True)]


# ---- kept --------------------------------------------------------------------------------------------


def _bytes(sample: Sample) -> int:
    return sum(block.vectors.nbytes for block in sample.blocks) + 80 * len(sample.keys)


_in_memory: KeptAnswers[Sample] = KeptAnswers(8, KEPT_MEMORY, _bytes)


def _name(client: Client, info: IndexInfo, field: str, seed: int, condition: Condition | str) -> str:
    return repr((vectors.state(client, info, field, condition), seed))


def _known(
    client: Client,
    info: IndexInfo,
    field: str,
    count: int,
    seed: int,
    condition: Condition | str,
    home: Path | None,
) -> Sample | None:
    name = _name(client, info, field, seed, condition)
    if home is None:
        sample = _in_memory.get(name, client, info, field, condition)
    else:
        stored = _kept(file := _file(home, name))
        if stored is None:
            return None
        sample, evidence = stored
        if not holds(client, info, field, condition, evidence):
            file.unlink(missing_ok=True)
            return None
    if sample is None or len(sample.keys) < min(count, sample.documents):
        return None
    return sample


def _file(home: Path, name: str) -> Path:
    return home / "samples" / f"{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:32]}.npz"


def _kept(file: Path) -> tuple[Sample, Evidence] | None:
    """None where there is none or it is damaged."""
    with contextlib.suppress(DamagedFile), array_files.arrays(file) as arrays:
        if arrays is not None:
            drawn, rows = tuple(unpacked("drawn", arrays)), tuple(unpacked("rows", arrays))
            matrix = array_files.checked(arrays["vectors"], "f", len(rows), None)
            matrix.setflags(write=False)
            gone, unusable, zero, documents, seed, several, listed = arrays["about"].tolist()
            os.utime(file)  # the last used are kept
            block = Block(rows, matrix, LeftOut(gone, unusable, zero), bool(several))
            sample = Sample((block,), drawn, documents, seed, "listed" if listed else "drawn", kept=True)
            return sample, from_arrays(unpacked("witnesses", arrays), arrays)
    return None


def _keep(file: Path, sample: Sample, evidence: Evidence) -> None:
    left_out = sample.left_out
    about = (
        left_out.gone,
        left_out.unusable,
        left_out.zero,
        sample.documents,
        sample.seed,
        any(block.several for block in sample.blocks),
        sample.way == "listed",
    )
    blocks = [block.vectors for block in sample.blocks if block.keys]
    if not blocks:
        return
    arrays: dict[str, Any] = {
        "vectors": np.concatenate(blocks),
        "about": np.array(about, np.int64),
        **packed("drawn", sample.keys),
        **packed("rows", [key for block in sample.blocks for key in block.keys]),
        **packed("witnesses", evidence.keys),
        **evidence.arrays(),
    }
    try:
        files.write(file, lambda stream: np.savez(stream, **arrays))
        entries = sorted(((e.stat().st_mtime, e) for e in file.parent.glob("*.npz")), reverse=True)
        total = 0
        for place, (_, entry) in enumerate(entries):
            total += entry.stat().st_size
            if place and (place >= KEPT_FILES or total > KEPT_BYTES):
                entry.unlink(missing_ok=True)
    except (OSError, NotKept):
        return  # a full disk must not end a run: the next one only draws again


def _within(blocks: Sequence[Block], wanted: frozenset[str]) -> Iterator[Block]:
    for block in blocks:
        rows = [i for i, key in enumerate(block.keys) if key in wanted]
        if rows:
            yield replace(
                block, keys=tuple(block.keys[i] for i in rows), vectors=block.vectors[rows], left_out=NOTHING
            )
