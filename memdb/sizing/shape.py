"""What is to be stored: documents with vectors, and sessions that come and go."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from memdb.errors import BadInput, OutOfRange
from memdb.vectors.schema import BYTES_PER_NUMBER, VectorType

KeyType = Literal["HASH", "JSON"]
Algorithm = Literal["HNSW", "FLAT"]

MOST_VECTORS = 10**12  # beyond every service: a typing mistake, not a plan
MOST_DIM = 32_768  # MemoryDB and ElastiCache
MOST_M = 512  # MemoryDB
MOST_DOCUMENT = 512 * 2**20  # one value of the engine


@dataclass(frozen=True, slots=True)
class Shape:
    """The documents of one index.

    Sizes in bytes a document. `metadata_bytes` is stored and not indexed; `text_bytes` is stored and indexed
    as words. Each tag field has `tag_values` different values in all.
    """

    vectors: int
    dim: int
    type: VectorType = "FLOAT32"
    m: int = 16
    algorithm: Algorithm = "HNSW"
    key_type: KeyType = "HASH"
    metadata_bytes: int = 0
    text_bytes: int = 0
    tags: int = 0
    tag_values: int = 100
    numbers: int = 0
    key_bytes: int = 20
    random_keys: bool = False  # UUIDs and hashes, not counters: they share fewer prefixes in the index

    def __post_init__(self) -> None:
        whole("Vectors", self.vectors, 1, MOST_VECTORS)
        whole("Dimension", self.dim, 1, MOST_DIM)
        if self.type not in (types := get_args(VectorType)):
            raise BadInput(f"'{self.type}' is no vector type we model.", f"One of: {', '.join(types)}.")
        if self.algorithm not in ("HNSW", "FLAT"):
            raise BadInput(f"'{self.algorithm}' is no algorithm.", "One of: HNSW, FLAT.")
        if self.key_type not in ("HASH", "JSON"):
            raise BadInput(f"'{self.key_type}' is no key type.", "One of: HASH, JSON.")
        whole("M", self.m, 2, MOST_M)
        whole("Metadata bytes", self.metadata_bytes, 0, MOST_DOCUMENT)
        whole("Text bytes", self.text_bytes, 0, MOST_DOCUMENT)
        whole("Tag fields", self.tags, 0, 50)
        whole("Tag values", self.tag_values, 1, MOST_VECTORS)
        whole("Number fields", self.numbers, 0, 50)
        whole("Key bytes", self.key_bytes, 1, 65_536)

    @property
    def vector_bytes(self) -> int:
        """One vector's numbers."""
        return self.dim * BYTES_PER_NUMBER[self.type]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that arrive at a rate and live for a time. In balance, rate × TTL of them are there."""

    per_second: float = 0.0
    bytes: int = 4_096
    ttl_s: float = 1_800.0

    def __post_init__(self) -> None:
        number("Sessions a second", self.per_second, 0, 10_000_000)
        whole("Session bytes", self.bytes, 1, MOST_DOCUMENT)
        number("Session TTL in seconds", self.ttl_s, 1, 10 * 365 * 86_400)

    @property
    def live(self) -> int:
        """How many are there at any time."""
        return math.ceil(self.per_second * self.ttl_s)


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number within its limits.

    Raises:
        BadInput: it is no whole number.
        OutOfRange: it is outside.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{name} is {value}, which is not a whole number.", "Give a whole number.")
    if not low <= value <= high:
        raise OutOfRange(name, value, low, high, "the calculator")
    return value


def number(name: str, value: object, low: float, high: float) -> float:
    """A finite number within its limits.

    Raises:
        BadInput: it is no finite number.
        OutOfRange: it is outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{name} is {value}, which is not a number.", "Give a finite number.")
    if not low <= value <= high:
        raise OutOfRange(name, value, low, high, "the calculator")
    return float(value)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "million": 10**6, "billion": 10**9}
_COUNT = re.compile(r"([+-]?[0-9][0-9,_]*(?:\.[0-9]+)?)\s*([a-z]*)")


def parse_count(name: str, text: str) -> int:
    """A number as people type it: 1,000,000 or 10M or 1.5k.

    Raises:
        BadInput: it is no number, or no whole one.
    """
    found = _COUNT.fullmatch(text.strip().lower())
    if found is None or found.group(2) not in _UNITS:
        raise BadInput(
            f"{name} is '{text.strip()[:40]}', which is not a number.", "Type one like 1,000,000 or 10M."
        )
    value = Decimal(found.group(1).replace(",", "").replace("_", "")) * _UNITS[found.group(2)]
    if value != value.to_integral_value():
        raise BadInput(f"{name} is {text.strip()[:40]}, which is not a whole number.", "Give a whole number.")
    return int(value)
