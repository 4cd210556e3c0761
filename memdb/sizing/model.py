"""Bytes by component for a shape under a profile, with an interval. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from memdb.sizing import keyspace, redisearch, valkey, valkey_keys
from memdb.sizing.allocator import Allocator
from memdb.sizing.keyspace import Keyspace
from memdb.sizing.shape import Sessions, Shape

Engine = Literal["redisearch", "valkey-search", "memorydb", "article"]
Grade = Literal["measured", "quoted", "third party", "estimate"]

COMPONENTS: dict[str, str] = {
    "keys": "Keys, hashes and metadata",
    "vectors_stored": "Vectors in the documents",
    "vectors_indexed": "Vectors in the index",
    "graph": "Graph links",
    "bookkeeping": "Index bookkeeping",
    "fields": "Tags, numbers, text",
    "sessions": "Sessions",
}


@dataclass(frozen=True, slots=True)
class Constants:
    """Bytes that depend on data and build, fitted to measurements of the local engine.

    Redis 8.2.3 with RediSearch 2.10.5; `python -m benchmarks.sizing --fit` measures and prints them again.
    """

    index_fixed: float = 164_988.21
    counter_key: float = 35.42
    random_key: float = 34.53
    random_key_byte: float = 1.06
    reverse_link: float = 25.04
    tag: float = 1.85
    tag_value: float = 112.77
    tag_value_byte: float = 1.06
    number: float = 9.69
    word: float = 5.22
    posting: float = 6.54
    term: float = 353.59
    json_document: float = 151.84
    json_field: float = 19.01
    json_number: float = 7.64


@dataclass(frozen=True, slots=True)
class Profile:
    """How an engine turns documents into bytes.

    `low` and `high` are the interval's ends as factors of the prediction. The factors correct the structural
    model where a calibration found it to differ: the keys', and the index's without what it takes empty.
    """

    name: str
    title: str
    engine: Engine
    grade: Grade
    source: str
    low: float
    high: float
    constants: Constants = field(default_factory=Constants)
    keyspace_factor: float = 1.0
    index_factor: float = 1.0
    # Of valkey-search: the allocator, and whether indexes are made over documents that are there.
    allocator: Allocator = "jemalloc"
    waited: bool = True
    calibrated: str = ""  # ISO date; empty for what is built in
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is predicted for one node, in bytes. Each replica holds the same again."""

    profile: Profile
    components: dict[str, float]
    total_bytes: float
    low_bytes: float
    high_bytes: float
    notes: tuple[str, ...]

    @property
    def data_bytes(self) -> float:
        """All but the sessions."""
        return self.total_bytes - self.components["sessions"]


def predict(shape: Shape | None, profile: Profile, sessions: Sessions | None = None) -> Estimate:
    """Bytes by component; either shape or sessions may be left out.

    The interval is the profile's, wider by what was not said: how far the lengths of sessions lie from each
    other, how many words a text has, and whether the documents or the index were there first.
    """
    components = dict.fromkeys(COMPONENTS, 0.0)
    less = more = 0.0
    if shape is not None:
        components |= _corrected(shape, profile)
        less, more = _unsaid(shape, profile, components)
    if sessions is not None and sessions.live:
        stored = stored_by(profile)
        components["sessions"] = keyspace.all_sessions(sessions, stored, shape.vectors if shape else 0)
        shorter, longer = _unsaid_lengths(sessions, stored)
        less, more = less + shorter, more + longer
    total = sum(components.values())
    low, high = total * profile.low - less, total * profile.high + more
    return Estimate(profile, components, total, max(0.0, low), high, _notes(shape, profile))


def stored_by(profile: Profile) -> Keyspace:
    """How the profile's server stores keys."""
    if profile.engine == "valkey-search":
        return valkey_keys.keyspace(profile.allocator)
    return redisearch.KEYSPACE


def stored_bytes(shape: Shape, profile: Profile) -> float:
    """Bytes of the documents and of the table of their keys: what keys weigh, without what clients take."""
    sizes = _corrected(shape, profile)
    clients = valkey.CONNECTED if profile.engine == "valkey-search" and shape.vectors else 0.0
    return sizes["keys"] + sizes["vectors_stored"] - clients * profile.keyspace_factor


def index_bytes(shape: Shape, profile: Profile) -> float:
    """Bytes of the index, without the documents themselves."""
    sizes = _corrected(shape, profile)
    return sum(sizes[name] for name in OF_INDEX)


OF_INDEX = ("vectors_indexed", "graph", "bookkeeping", "fields")


def _corrected(shape: Shape, profile: Profile) -> dict[str, float]:
    """The structural model's bytes with the profile's factors."""
    sizes = _of(shape, profile)
    if profile.engine == "article":
        return sizes
    for name in ("keys", "vectors_stored"):
        sizes[name] *= profile.keyspace_factor
    if profile.index_factor != 1.0:
        empty = _of(replace(shape, vectors=0), profile)
        for name in OF_INDEX:
            sizes[name] = empty[name] + profile.index_factor * (sizes[name] - empty[name])
    return sizes


TEXT_UNSAID = 0.2  # of the bytes of indexed text, where its words are estimated from its bytes
# Less and more, where the words are told: English has stems and stop words, and some words often.
LANGUAGE_UNSAID = (0.2, 0.05)
LENGTHS_UNSAID = 0.3  # sessions whose lengths may vary are also taken to vary by so much


def _unsaid(shape: Shape, profile: Profile, components: dict[str, float]) -> tuple[float, float]:
    """Bytes less and more that the documents and their index take by what the shape does not say."""
    less = more = 0.0
    if profile.engine == "article":
        return less, more
    if shape.text_bytes:
        both_said = shape.text_words and shape.text_vocabulary
        shares = LANGUAGE_UNSAID if both_said else (TEXT_UNSAID, TEXT_UNSAID)
        less, more = (share * components["fields"] for share in shares)
    if profile.engine == "valkey-search" and not profile.calibrated:
        # Documents that are written to an index that is there do not wait in numbers.
        expected = valkey.waiting(shape, valkey.expected(shape))
        less += expected
        more += valkey.waiting(shape, 1.0) - expected
    return less, more


def _unsaid_lengths(sessions: Sessions, stored: Keyspace) -> tuple[float, float]:
    """Bytes less and more that the sessions take if their lengths vary where they were said to be alike.

    One length is rounded up to one size class, by nothing or by a quarter; many lengths to many.
    """
    if sessions.spread:
        return 0.0, 0.0
    alike = keyspace.sessions(sessions, stored)
    varied = keyspace.sessions(replace(sessions, spread=LENGTHS_UNSAID), stored) - alike
    return max(0.0, -varied) * sessions.live, max(0.0, varied) * sessions.live


def changes(shape: Shape, profile: Profile) -> list[tuple[str, Shape, float]]:
    """What one change of the shape would cost or save: words, the shape, bytes more than now."""
    current = predict(shape, profile).total_bytes
    variants: list[tuple[str, Shape]] = []
    if shape.algorithm == "HNSW":
        variants += [(f"M {m}", replace(shape, m=m)) for m in (shape.m // 2, shape.m * 2) if 4 <= m <= 512]
    cuts = [d for d in (shape.dim // 2, shape.dim // 3, shape.dim // 4) if d >= 16]
    variants += [(f"cut to {d:,} dimensions (Matryoshka)", replace(shape, dim=d)) for d in cuts]
    other: tuple[tuple[Literal["FLOAT32", "FLOAT64", "FLOAT16"], str], ...] = (
        ("FLOAT64", "FLOAT64"),
        ("FLOAT32", "FLOAT32"),
        ("FLOAT16", "FLOAT16 (RediSearch only)"),
    )
    variants += [(words, replace(shape, type=kind)) for kind, words in other if kind != shape.type]
    if shape.metadata_bytes:
        variants.append(("without metadata", replace(shape, metadata_bytes=0)))
    if shape.text_bytes:
        variants.append(("text stored, not indexed", _unindexed(shape)))
    if shape.algorithm == "HNSW":
        variants.append(("FLAT: exact, no graph", replace(shape, algorithm="FLAT")))
    return [(words, other, predict(other, profile).total_bytes - current) for words, other in variants]


def _unindexed(shape: Shape) -> Shape:
    return replace(
        shape,
        text_bytes=0,
        text_words=0,
        text_vocabulary=0,
        metadata_bytes=shape.metadata_bytes + shape.text_bytes,
    )


def _of(shape: Shape, profile: Profile) -> dict[str, float]:
    if profile.engine == "article":
        return _article(shape)
    if profile.engine == "valkey-search":
        sizes = _valkey(shape, profile)
        sizes["keys"] += valkey.CONNECTED if shape.vectors else 0.0
        return sizes
    if profile.engine == "redisearch":
        return _redisearch(shape, profile)
    # Nothing is published: halfway between the two engines that can be measured.
    by_redisearch, other = _redisearch(shape, profile), _valkey(shape, profile)
    sizes = {name: (by_redisearch[name] + other[name]) / 2 for name in by_redisearch}
    if shape.key_type == "JSON":
        # MemoryDB converts a JSON vector in place to float32: the document keeps no copy of its own.
        sizes["vectors_stored"] = 0.0
    return sizes


def _redisearch(shape: Shape, profile: Profile) -> dict[str, float]:
    exact, counts = redisearch.design(shape)
    sizes = dict(exact)
    for constant, (component, count) in counts.items():
        sizes[component] += getattr(profile.constants, constant) * count
    return sizes


def _valkey(shape: Shape, profile: Profile) -> dict[str, float]:
    of_index = valkey.index(shape, profile.allocator, waited=profile.waited)
    if shape.key_type == "HASH":
        return valkey.documents(shape, profile.allocator) | of_index
    # Valkey's JSON was not recorded: as RedisJSON stores it.
    stored = _redisearch(shape, profile)
    return {name: stored[name] for name in ("keys", "vectors_stored")} | of_index


ARTICLE_OVERHEAD = (0.30, 0.50)  # of the raw vectors, as the article puts it


def _article(shape: Shape) -> dict[str, float]:
    """The article's plan: raw vectors, 30–50 % on top for the graph (here the middle), and metadata."""
    raw = float(shape.vectors * shape.vector_bytes)
    middle = sum(ARTICLE_OVERHEAD) / 2
    stored = shape.metadata_bytes + shape.text_bytes
    return {"vectors_indexed": raw, "graph": raw * middle, "keys": float(shape.vectors * stored)}


def _notes(shape: Shape | None, profile: Profile) -> tuple[str, ...]:
    notes = []
    if profile.engine == "article":
        notes.append(
            "The article counts each vector once; a HASH keeps it twice: in the document, in the index."
        )
    if profile.engine == "memorydb":
        notes.append("MemoryDB publishes no sizing; this is an estimate between two open engines.")
    if shape is None or profile.engine == "redisearch":
        return tuple(notes)
    if shape.type != "FLOAT32" and profile.engine in ("memorydb", "valkey-search"):
        notes.append(f"{profile.title} indexes FLOAT32 only; {shape.type} is counted as if it could.")
    if shape.text_bytes and profile.engine == "memorydb":
        notes.append("MemoryDB stores text and does not search it.")
    if profile.engine == "valkey-search":
        notes += _valkey_notes(shape, profile)
    return tuple(notes)


def _valkey_notes(shape: Shape, profile: Profile) -> list[str]:
    notes = []
    if not profile.calibrated and shape.vectors:
        notes.append(
            "Counted for an index made over documents that are there: valkey-search keeps the table of those "
            "that waited. The interval includes an index that was there first."
        )
    if shape.numbers:
        notes.append("NUMERIC fields of valkey-search were not recorded; each value is taken to differ.")
    if shape.key_type == "JSON":
        notes.append("Valkey's JSON documents were not recorded; they are counted as RedisJSON's.")
    return notes
