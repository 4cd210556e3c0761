"""What is to be stored: documents with vectors, and sessions that come and go."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from memdb.display import line
from memdb.errors import BadInput, OutOfRange
from memdb.vectors.schema import BYTES_PER_NUMBER, VectorType

KeyType = Literal["HASH", "JSON"]
Algorithm = Literal["HNSW", "FLAT"]
SessionKind = Literal["HASH", "STRING"]

MOST_VECTORS = 10**12  # beyond every service: a typing mistake, not a plan
MOST_DIM = 32_768  # MemoryDB and ElastiCache
MOST_M = 10_000  # hnswlib takes more as this many; MemoryDB takes 512
MOST_TAG = 4_096  # bytes of one value; longer ones are truncated by no engine, and are texts
HISTORY_NAME = 7  # bytes of the field name "history"
MOST_DOCUMENT = 512 * 2**20  # one value of the engine


def whole(name: str, value: object, low: int, high: int) -> int:
    """A whole number within its limits.

    Raises:
        BadInput: it is no whole number.
        OutOfRange: it is outside.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(
            f"{name} is {line(str(value), 60)}, which is not a whole number.", "Give a whole number."
        )
    if not low <= value <= high:
        raise OutOfRange(name, value, low, high, "the calculator")
    return value


def number(name: str, value: object, low: float, high: float) -> float:
    """A finite number within its limits.

    Raises:
        BadInput: it is no finite number.
        OutOfRange: it is outside.
    """
    finite = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite:
        raise BadInput(f"{name} is {line(str(value), 60)}, which is not a number.", "Give a finite number.")
    if not low <= value <= high:
        raise OutOfRange(name, value, low, high, "the calculator")
    return float(value)


@dataclass(frozen=True, slots=True)
class Shape:
    """The documents of one index.

    Sizes in bytes a document. `metadata_bytes` is stored and not indexed; `text_bytes` is stored and indexed
    as words. `text_words` are the indexed words of one text, repeated ones counted again, and
    `text_vocabulary` the different ones of all texts as FT.INFO counts terms, stems too; 0 has both estimated
    as in technical English. Each tag field has `tag_values` different values in all, of `tag_bytes` each.
    """

    vectors: int
    dim: int
    type: VectorType = "FLOAT32"
    m: int = 16
    algorithm: Algorithm = "HNSW"
    key_type: KeyType = "HASH"
    metadata_bytes: int = 0
    text_bytes: int = 0
    text_words: int = 0
    text_vocabulary: int = 0
    tags: int = 0
    tag_values: int = 100
    tag_bytes: int = 6
    numbers: int = 0
    key_bytes: int = 20
    random_keys: bool = False  # UUIDs and hashes, not counters: they share fewer prefixes in the index

    def __post_init__(self) -> None:
        whole("Vectors", self.vectors, 0, MOST_VECTORS)
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
        whole("Words of a text", self.text_words, 0, MOST_DOCUMENT)
        whole("Different words", self.text_vocabulary, 0, MOST_VECTORS)
        whole("Tag fields", self.tags, 0, 50)
        whole("Tag values", self.tag_values, 1, MOST_VECTORS)
        whole("Tag bytes", self.tag_bytes, 1, MOST_TAG)
        whole("Number fields", self.numbers, 0, 50)
        whole("Key bytes", self.key_bytes, 1, 65_536)

    @property
    def vector_bytes(self) -> int:
        """One vector's numbers."""
        return self.dim * BYTES_PER_NUMBER[self.type]


ARTICLE = Shape(1_000_000, 1_536, metadata_bytes=1_024)  # the article's first plan; where the page begins


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that arrive at a rate and live for a time, and those that stay.

    In balance, rate × TTL of the first are there. `bytes` is all data of one session: the name of its key
    and, of a HASH, the names and values of all its fields. `other_bytes` is the part of them that the fields
    besides the longest (the history) take, names and values. A STRING session has one value and no fields.
    `spread` says how far lengths lie from `bytes`: 0.5 for lengths spread evenly over 50 % to 150 % of it.
    """

    per_second: float = 0.0
    bytes: int = 4_096
    ttl_s: float = 1_800.0
    kept: int = 0  # sessions without a time to live
    kind: SessionKind = "HASH"
    key_bytes: int = 44  # "session:" and a UUID
    fields: int = 4  # the article's: user_id, history, context, created_at
    other_bytes: int = 80
    spread: float = 0.0

    def __post_init__(self) -> None:
        number("Sessions a second", self.per_second, 0, 10_000_000)
        whole("Session bytes", self.bytes, 1, MOST_DOCUMENT)
        number("Session TTL in seconds", self.ttl_s, 1, 10 * 365 * 86_400)
        whole("Sessions without a TTL", self.kept, 0, MOST_VECTORS)
        if self.kind not in get_args(SessionKind):
            raise BadInput(f"'{self.kind}' is no kind of session.", "One of: HASH, STRING.")
        whole("Session key bytes", self.key_bytes, 1, 65_536)
        whole("Session fields", self.fields, 1, 10_000)
        whole("Bytes of the other fields", self.other_bytes, 0, MOST_DOCUMENT)
        number("Spread of session lengths", self.spread, 0, 1)
        if self.value_bytes < 0:
            raise BadInput(
                f"A session of {self.bytes:,} bytes cannot hold a key and fields of "
                f"{self.bytes - self.value_bytes:,} bytes.",
                "Count the key and all fields in the session's bytes, or give fewer bytes for the parts.",
            )

    @property
    def value_bytes(self) -> int:
        """Bytes of the longest value: a hash's history, or the string."""
        if self.kind == "STRING":
            return self.bytes - self.key_bytes
        return self.bytes - self.key_bytes - HISTORY_NAME - (self.other_bytes if self.fields > 1 else 0)

    @property
    def expiring(self) -> int:
        """How many with a time to live are there at any time."""
        return math.ceil(self.per_second * self.ttl_s)

    @property
    def live(self) -> int:
        """How many are there at any time, with and without a time to live."""
        return self.expiring + self.kept


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "million": 10**6, "billion": 10**9}
_COUNT = re.compile(r"([+-]?[0-9][0-9,_]*(?:\.[0-9]+)?)\s*([a-z]*)")


def parse_count(name: str, text: str) -> int:
    """A number as people type it: 1,000,000 or 10M or 1.5k.

    Raises:
        BadInput: it is no number, or no whole one.
    """
    match = _COUNT.fullmatch(text.strip().lower())
    if match is None or match.group(2) not in _UNITS:
        raise BadInput(
            f"{name} is '{text.strip()[:40]}', which is not a number.", "Type one like 1,000,000 or 10M."
        )
    value = Decimal(match.group(1).replace(",", "").replace("_", "")) * _UNITS[match.group(2)]
    if value != value.to_integral_value():
        raise BadInput(f"{name} is {text.strip()[:40]}, which is not a whole number.", "Give a whole number.")
    return int(value)
