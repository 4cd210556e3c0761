"""Profiles from measurement: from an index that is there, or from growing samples on the local engine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import get_args

import numpy as np

from memdb import intervals
from memdb.cluster import possible, replies
from memdb.cluster.client import Client
from memdb.errors import BadInput, Busy, EngineError, UnknownIndex, UnsupportedFeature
from memdb.jobs import Report, silent
from memdb.settings import Settings
from memdb.sizing import profiles, redisearch, samples
from memdb.sizing.live_shape import shape_of
from memdb.sizing.model import Engine, Profile, predict
from memdb.sizing.samples import MeasuredSample
from memdb.sizing.shape import Algorithm, Shape
from memdb.vectors import index
from memdb.vectors.index import IndexInfo
from memdb.vectors.schema import VectorType

LEAST = 1_000  # documents: below this, fixed costs and blocks of 1,024 hide what a document takes
SAMPLED = 400  # keys whose MEMORY USAGE is asked
_SCANNED = 20_000  # keys looked at to find them, at most
_FORM = 0.03  # what the model itself may be off, seen on shapes that were not fitted
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
        kept = "the calibrated prediction was kept" if self.better else "the built-in one was kept"
        return (
            f"On {self.keys:,} held-out keys the built-in prediction is off by {self.built_in:+.2%} and the "
            f"calibrated one by {self.calibrated:+.2%}: {kept}."
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


def from_index(client: Client, name: str, profile_name: str = "live", *, report: Report = silent) -> Read:
    """Fit a profile to an index: INFO, FT.INFO, and MEMORY USAGE of a sample. Only reads.

    Raises:
        UnknownIndex: there is none of this name.
        Busy: it is still being built.
        BadInput: it holds too few documents, or no vectors.
        EngineError: the server refuses MEMORY USAGE.
    """
    info = index.index_info(client, name)
    _check(info)
    memory = client.info("memory").get("memory", {})
    keys = replies.integer(client.execute("DBSIZE"))
    ours, others = _sample(client, info.prefixes, keys, report)
    if len(ours) < min(50, info.documents):
        raise BadInput(
            f"Only {len(ours)} documents of '{name}' were found among {min(keys, _SCANNED):,} keys.",
            "Calibrate where the index holds a larger part of the keys.",
        )
    # Every second key fits, the others judge: neighbours in the server's table are no neighbours by name.
    seen, unseen = ours[::2], ours[1::2]
    each = float(np.mean(seen))
    sampling = (intervals.total_within(ours, info.documents) or 0.0) / (info.documents * float(np.mean(ours)))
    engine = _engine(client)
    shape = shape_of(client, info, each)
    table = redisearch.main_table(info.documents)
    keyspace = info.documents * float(np.mean(ours)) + table
    other_bytes = float(np.mean(others)) * max(0, keys - info.documents) if others else 0.0
    indexes, notes = _index_bytes(client, info, memory, keyspace + other_bytes)
    base = profiles.BUILT_IN[engine]
    model = predict(shape, base).components
    predicted_keys = model["keys"] + model["vectors_stored"]
    predicted_index = sum(model.values()) - predicted_keys
    keyspace_factor = (info.documents * each + table) / predicted_keys
    unseen_bytes = info.documents * float(np.mean(unseen)) + table
    held_out = HeldOut(
        len(unseen), predicted_keys / unseen_bytes - 1, keyspace_factor * predicted_keys / unseen_bytes - 1
    )
    index_factor = indexes / predicted_index
    notes = (*notes, held_out.sentence)
    if abs(index_factor - 1) <= _FORM:
        notes = (
            *notes,
            f"The index takes {index_factor - 1:+.1%} of the prediction, within the model's own error.",
        )
        index_factor = 1.0
    error = math.hypot(sampling, _FORM)
    profile = replace(
        base,
        name=profile_name,
        title=f"Calibrated on {name}",
        grade="measured",
        source=f"index '{name}' with {info.documents:,} documents, {len(ours):,} keys sampled",
        low=1 - error,
        high=1 + error,
        keyspace_factor=keyspace_factor if held_out.better else 1.0,
        index_factor=index_factor,
        calibrated=_today(),
        samples=len(ours),
    )
    return Read(shape, profile, len(ours), keyspace, indexes, held_out, notes)


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
            f"Index '{info.name}' holds {info.documents:,} documents, too few to calibrate on.",
            f"At least {LEAST:,} are needed; fixed costs hide what one takes.",
        )


def _engine(client: Client) -> Engine:
    engines: dict[str, Engine] = {"memorydb": "memorydb", "valkey-search": "valkey-search"}
    return engines.get(client.server.dialect.name, "redisearch")


def _sample(
    client: Client, prefixes: Sequence[str], keys: int, report: Report
) -> tuple[list[float], list[float]]:
    """MEMORY USAGE of some keys of the index and of some others, in the order of the server's table."""
    ours: list[float] = []
    others: list[float] = []
    cursor, seen = "0", 0
    starts = tuple(p.encode() for p in prefixes) or (b"",)
    while True:
        reply = client.execute("SCAN", cursor, "COUNT", 500)
        cursor, batch = replies.text(reply[0]), replies.items(reply[1])
        seen += len(batch)
        mine = [key for key in batch if bytes(key).startswith(starts)]
        rest = [key for key in batch if not bytes(key).startswith(starts)]
        ours += _usage(client, mine[: SAMPLED - len(ours)])
        others += _usage(client, rest[: SAMPLED - len(others)])
        if len(ours) < SAMPLED:
            report("Sampling keys", len(ours), SAMPLED)
        enough = len(ours) >= SAMPLED and (len(others) >= SAMPLED or seen >= _SCANNED // 4)
        if cursor == "0" or enough or seen >= min(_SCANNED, max(keys * 2, 1)):
            return ours, others


def _usage(client: Client, keys: Iterable[bytes]) -> list[float]:
    sizes = client.pipeline([("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys])
    return [float(size) for size in map(possible.size, sizes) if size is not None]


def _index_bytes(
    client: Client, info: IndexInfo, memory: dict[str, str], keys_bytes: float
) -> tuple[float, tuple[str, ...]]:
    """Memory of one index: what the server uses beyond its keys, shared out by what FT.INFO tells."""
    told: dict[str, float] = {}
    for name in index.index_names(client):
        try:
            other = info if name == info.name else index.index_info(client, name)
        except UnknownIndex:
            continue
        told[name] = other.total_bytes or other.vector_bytes or float(other.documents)
    used = float(memory.get("used_memory", "0"))
    idle = float(memory.get("used_memory_startup", "0")) + float(memory.get("mem_clients_normal", "0"))
    left = used - idle - keys_bytes
    own = told.get(info.name, 0.0)
    share = left * own / sum(told.values()) if told else left
    notes = []
    if info.total_bytes and not 0.5 * info.total_bytes < share < 3 * info.total_bytes:
        # Other keys of very different sizes can spoil the difference; the index's own count cannot be spoilt.
        notes.append("Memory beyond the keys does not fit FT.INFO; the index's own count was taken.")
        share = info.total_bytes
    if share <= 0:
        raise EngineError(
            "The server's memory less its keys leaves nothing for the index.",
            "Calibrate with samples of your shape on the local engine instead.",
        )
    return share, tuple(notes)


# ---- growing samples ---------------------------------------------------------------------------------


def from_samples(
    shape: Shape,
    settings: Settings,
    profile_name: str,
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
        profile_name: of the profile.
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
    for place, size in enumerate(sizes):
        with samples.fresh(settings) as client:
            sample = replace(shape, vectors=size)
            measured.append(samples.measure(client, sample, seed=seed + place, report=report))
    base = profiles.BUILT_IN["redisearch"]
    largest = measured[-1]
    factors = _factors(measured[:-1], base)
    held_out = HeldOut(
        largest.shape.vectors,
        _total(largest.shape, base, (1.0, 1.0)) / largest.total_bytes - 1,
        _total(largest.shape, base, factors) / largest.total_bytes - 1,
    )
    if not held_out.better:
        factors = (1.0, 1.0)
    left = [_total(m.shape, base, factors) / m.total_bytes - 1 for m in measured]
    error = max(0.01, *(abs(value) for value in left))
    profile = replace(
        base,
        name=profile_name,
        title=f"Calibrated: {shape.dim:,} × {shape.type}, M {shape.m}",
        source=f"samples of {', '.join(f'{size:,}' for size in sizes)} documents on the local engine",
        low=1 - error,
        high=1 + error,
        keyspace_factor=factors[0],
        index_factor=factors[1],
        calibrated=_today(),
        samples=sum(sizes),
    )
    return Grown(profile, tuple(measured), held_out)


def _factors(measured: Sequence[MeasuredSample], base: Profile) -> tuple[float, float]:
    """Measured ÷ predicted of keyspace and index, the larger samples weighing more."""
    predicted = [_parts(m.shape, base) for m in measured]
    keys = sum(m.keyspace_bytes for m in measured) / sum(p[0] for p in predicted)
    indexes = sum(m.index_bytes for m in measured) / sum(p[1] for p in predicted)
    return keys, indexes


def _total(shape: Shape, base: Profile, factors: tuple[float, float]) -> float:
    keys, indexes = _parts(shape, base)
    return keys * factors[0] + indexes * factors[1]


def _parts(shape: Shape, profile: Profile) -> tuple[float, float]:
    estimate = predict(shape, profile)
    keys = estimate.components["keys"] + estimate.components["vectors_stored"]
    return keys, estimate.total_bytes - keys


def _today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
