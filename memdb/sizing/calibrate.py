"""Profiles from measurement: from an index that is there, or from growing samples on the local engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args

import numpy as np

from memdb import intervals
from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.display import counted
from memdb.errors import BadInput, Busy, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.settings import Settings
from memdb.sizing import live_index, profiles, samples, valkey_keys
from memdb.sizing.live_index import FORM
from memdb.sizing.live_shape import shape_of
from memdb.sizing.model import Profile, index_bytes, stored_by, stored_bytes
from memdb.sizing.samples import MeasuredSample
from memdb.sizing.shape import Algorithm, Shape
from memdb.vectors import index
from memdb.vectors.index import IndexInfo
from memdb.vectors.schema import VectorType

LEAST = 1_000  # documents: below this, fixed costs and blocks of 1,024 hide what a document takes
SAMPLED = 400  # keys whose MEMORY USAGE is asked
_SCANNED = 20_000  # keys looked at to find them, at most
_RUNS_DIFFER = 0.001  # between two measurements of the same


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The built-in and the calibrated prediction of keys that the calibration did not see.

    Errors are predicted ÷ measured − 1.
    """

    keys: int
    built_in: float
    calibrated: float

    @property
    def better(self) -> bool:
        """Whether the calibrated prediction is nearer, by more than runs of the same differ."""
        return abs(self.calibrated) < abs(self.built_in) - _RUNS_DIFFER

    @property
    def sentence(self) -> str:
        """Which was kept, and why."""
        outcome = "the calibrated prediction was kept" if self.better else "the built-in one was kept"
        return (
            f"On {self.keys:,} held-out keys the built-in prediction is off by {self.built_in:+.2%} and the "
            f"calibrated one by {self.calibrated:+.2%}: {outcome}."
        )


@dataclass(frozen=True, slots=True)
class Read:
    """What a live index says: its shape, and the profile that makes the model agree with it."""

    shape: Shape
    profile: Profile
    keys_sampled: int
    keyspace_bytes: float  # of all documents of the index
    index_bytes: float
    held_out: HeldOut  # of the keys; an index cannot be split
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grown:
    """A profile fitted to growing samples, and how well the smaller ones foretold the largest."""

    profile: Profile
    measured: tuple[MeasuredSample, ...]  # the last one held out
    held_out: HeldOut


# ---- an index that is there --------------------------------------------------------------------------


def from_index(client: Client, name: str, profile_name: str = "", *, report: Report = silent) -> Read:
    """Fit a profile to an index: INFO, FT.INFO, and MEMORY USAGE of a sample. Only reads.

    Of several shards, one is measured: the shape is of what it holds.

    Args:
        client: of the server.
        name: of the index.
        profile_name: of the profile; by default `profiles.live_name`.
        report: told how far it is; may raise Cancelled.

    Raises:
        UnknownIndex: there is none of this name.
        Busy: it is still being built.
        BadInput: it holds too few documents, or no vectors.
        EngineError: the server refuses MEMORY USAGE.
    """
    primaries = [node for node in client.nodes() if node.role == "primary"]
    if len(primaries) > 1:
        client = client.on(primaries[0])
    info = index.index_info(client, name)
    _check(info)
    memory = client.info("memory").get("memory", {})
    keys = replies.integer(client.execute("DBSIZE"))
    base = built_in_for(client, memory)
    ours, others = _sample(client, info, keys, base, report)
    if len(ours) < min(50, info.documents):
        raise BadInput(
            f"Only {len(ours)} documents of '{name}' were found among {min(keys, _SCANNED):,} keys.",
            "Calibrate where the index holds a larger part of the keys.",
        )
    # Every second key fits, the others judge: neighbours in the server's table are no neighbours by name.
    fitted_on, unseen = ours[::2], ours[1::2]
    each = float(np.mean(fitted_on))
    sampling = _within(ours, info.documents) / (info.documents * float(np.mean(ours)))
    shape = shape_of(client, info, each, base)
    table = stored_by(base).main_table(info.documents)
    keyspace = info.documents * float(np.mean(ours)) + table
    other_bytes = float(np.mean(others)) * max(0, keys - info.documents) if others else 0.0
    predicted = stored_bytes(shape, base)
    keyspace_factor = (info.documents * each + table) / predicted
    unseen_bytes = info.documents * float(np.mean(unseen)) + table
    held_out = HeldOut(
        len(unseen), predicted / unseen_bytes - 1, keyspace_factor * predicted / unseen_bytes - 1
    )
    if base.engine == "valkey-search":
        weighed = live_index.of_total(client, info, shape, base)
    else:
        weighed = live_index.told(
            client,
            info,
            shape,
            base,
            memory,
            keys_bytes=keyspace + other_bytes,
            keys_within=_within(ours, info.documents) + _within(others, max(0, keys - info.documents)),
        )
    error = math.hypot(sampling, FORM)
    profile = replace(
        base,
        name=profile_name or profiles.live_name(name),
        title=f"Calibrated on {name}",
        grade="measured",
        source=f"index '{name}' with {info.documents:,} documents, {len(ours):,} keys sampled",
        low=1 - error,
        high=1 + error,
        keyspace_factor=keyspace_factor if held_out.better else 1.0,
        index_factor=weighed.factor,
        waited=weighed.waited,
        calibrated=_today(),
        samples=len(ours),
    )
    of_one = (
        f"Of {len(primaries)} shards, the one at {primaries[0].address} was measured."
        if primaries[1:]
        else ""
    )
    notes = (*filter(None, [of_one]), *weighed.notes, held_out.sentence)
    return Read(shape, profile, len(ours), keyspace, weighed.bytes, held_out, notes)


def _within(sizes: Sequence[float], population: int) -> float:
    """Half of the 95 % interval of all keys' bytes, by those that were weighed."""
    return (intervals.total_within(sizes, population) or 0.0) if sizes else 0.0


def built_in_for(client: Client, memory: dict[str, str]) -> Profile:
    """The built-in profile of the server's engine and allocator."""
    dialect = client.server.dialect.name
    if dialect == "valkey-search":
        allocator = valkey_keys.allocator_of(memory.get("mem_allocator", ""))
        return profiles.BUILT_IN["valkey-search" if allocator == "libc" else "elasticache"]
    return profiles.BUILT_IN["memorydb" if dialect == "memorydb" else "redisearch"]


def _check(info: IndexInfo) -> None:
    if not info.of_kind("VECTOR"):
        raise BadInput(f"Index '{info.name}' has no vector field.", "Choose an index of vectors.")
    _, params = info.vector_field()
    if params.algorithm not in get_args(Algorithm) or params.type not in get_args(VectorType):
        raise UnsupportedFeature(
            "A profile of this index",
            f"the memory of {params.algorithm} over {params.type} is not modelled",
            "Choose an HNSW or FLAT index of floating-point vectors.",
        )
    if not info.build.ready:
        raise Busy(
            f"Index '{info.name}' is still being built ({info.build.fraction:.0%}).",
            "Calibrate when it is ready; until then its memory says nothing about a document.",
        )
    if info.documents < LEAST:
        raise BadInput(
            f"Index '{info.name}' holds {counted(info.documents, 'document')}, too few to calibrate on.",
            f"At least {LEAST:,} are needed; fixed costs hide what one takes.",
        )


def _sample(
    client: Client, info: IndexInfo, keys: int, base: Profile, report: Report
) -> tuple[list[float], list[float]]:
    """Sizes of some keys of the index and of some others, in the order of the server's table."""
    ours: list[float] = []
    others: list[float] = []
    cursor, scanned = "0", 0
    starts = tuple(p.encode() for p in info.prefixes) or (b"",)
    while True:
        reply = client.execute("SCAN", cursor, "COUNT", 500)
        cursor, batch = replies.text(reply[0]), replies.items(reply[1])
        scanned += len(batch)
        mine = [key for key in batch if bytes(key).startswith(starts)]
        rest = [key for key in batch if not bytes(key).startswith(starts)]
        ours += _usage(client, mine[: SAMPLED - len(ours)], base)
        others += _usage(client, rest[: SAMPLED - len(others)], base)
        if len(ours) < SAMPLED:
            report("Sampling keys", len(ours), SAMPLED)
        enough = len(ours) >= SAMPLED and (len(others) >= SAMPLED or scanned >= _SCANNED // 4)
        if cursor == "0" or enough or scanned >= min(_SCANNED, max(keys * 2, 1)):
            return ours, others


def _usage(client: Client, keys: Sequence[bytes], base: Profile) -> list[float]:
    """MEMORY USAGE, and the key itself where the engine leaves it out."""
    sizes = client.pipeline([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys])
    sized = [
        (key, size) for key, size in zip(keys, map(possible.size, sizes), strict=True) if size is not None
    ]
    if base.engine != "valkey-search":
        return [float(size) for _, size in sized]
    return [float(size + valkey_keys.untold(len(key), size, base.allocator)) for key, size in sized]


# ---- growing samples ---------------------------------------------------------------------------------


def from_samples(
    shape: Shape,
    settings: Settings,
    profile_name: str = "",
    *,
    documents: int = 4_096,
    seed: int = 0,
    report: Report = silent,
) -> Grown:
    """Load growing samples of a shape into a local engine of its own and fit a profile to the smaller ones.

    The largest is held out: where the built-in profile foretells it as well, it is kept.

    Args:
        shape: its number of vectors does not matter here.
        settings: which engine to run.
        profile_name: of the profile; by default `profiles.samples_name`.
        documents: of the largest sample; the others hold a quarter and a half of it.
        seed: of the documents.
        report: told how far it is; may raise Cancelled.

    Raises:
        BadInput: the sample is too small.
        EngineUnavailable: there is no local engine.
    """
    if documents < LEAST:
        raise BadInput(
            f"A sample of {documents:,} documents is too small to calibrate on.", f"Take at least {LEAST:,}."
        )
    sizes = sorted({max(LEAST // 2, documents // 4), documents // 2, documents})
    measured = []
    base = profiles.BUILT_IN["redisearch"]
    for place, size in enumerate(sizes):
        with samples.fresh(settings) as client:
            base = built_in_for(client, client.info("memory").get("memory", {}))
            sample = replace(shape, vectors=size)
            measured.append(samples.measure(client, sample, seed=seed + place, report=report))
    keyspace_factor, index_factor = _factors(measured[:-1], base)
    fitted = replace(base, keyspace_factor=keyspace_factor, index_factor=index_factor)
    largest = measured[-1]
    held_out = HeldOut(largest.shape.vectors, _error(largest, base), _error(largest, fitted))
    chosen = fitted if held_out.better else base
    error = max(0.01, *(abs(_error(each, chosen)) for each in measured))
    profile = replace(
        chosen,
        name=profile_name or profiles.samples_name(shape),
        title=f"Calibrated: {shape.dim:,} × {shape.type}, M {shape.m}",
        source=f"samples of {', '.join(f'{size:,}' for size in sizes)} documents on the local engine",
        low=1 - error,
        high=1 + error,
        calibrated=_today(),
        samples=sum(sizes),
    )
    return Grown(profile, tuple(measured), held_out)


def _factors(measured: Sequence[MeasuredSample], base: Profile) -> tuple[float, float]:
    """Measured ÷ predicted of keyspace and index, the larger samples weighing more; an empty index apart."""
    keys = sum(m.keyspace_bytes for m in measured) / sum(stored_bytes(m.shape, base) for m in measured)
    empty = index_bytes(replace(measured[0].shape, vectors=0), base)
    grown = sum(m.index_bytes - empty for m in measured)
    return keys, max(0.0, grown) / sum(index_bytes(m.shape, base) - empty for m in measured)


def _error(measured: MeasuredSample, profile: Profile) -> float:
    predicted = stored_bytes(measured.shape, profile) + index_bytes(measured.shape, profile)
    return predicted / measured.total_bytes - 1


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
