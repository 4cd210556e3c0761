"""Keys and what is in them, as a server stores them; sessions on top. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from memdb.sizing.shape import HISTORY_NAME, Sessions

LISTPACK_VALUE = 64  # hash-max-listpack-value: one longer value, and every field gets an allocation
_SPREAD_STEPS = 512


class KeyObject(Protocol):
    """Bytes of a key with the object it names."""

    def __call__(self, length: int, *, ttl: bool = False) -> int:
        """Of a key of so many bytes, with or without a time to live."""
        ...


@dataclass(frozen=True, slots=True)
class Keyspace:
    """How a server stores keys. All in allocated bytes."""

    key_object: KeyObject
    hash_fields: Callable[[Sequence[tuple[int, int]]], int]  # (length of name, length of value) of each
    string: Callable[[int], int]  # a long value without its key
    main_table: Callable[[int], float]  # of so many keys


def packed(length: int) -> int:
    """A name or value in a listpack."""
    return length + (2 if length < 64 else 3) + (length > 125)


def is_packed(fields: Sequence[tuple[int, int]]) -> bool:
    """Whether a hash of these fields is one listpack."""
    return all(value <= LISTPACK_VALUE and name <= LISTPACK_VALUE for name, value in fields)


def listpack(fields: Sequence[tuple[int, int]]) -> int:
    """Bytes wanted for a hash that is one listpack."""
    return 7 + sum(packed(name) + packed(value) for name, value in fields)


def sessions(planned: Sessions, keyspace: Keyspace) -> float:
    """Bytes of one session without its places in the tables of keys and of times to live, on average.

    Lengths that vary are averaged after each was rounded to its size class.
    """
    if not planned.spread:
        return float(_session(planned, planned.value_bytes, keyspace))
    # The key and the other fields stay; what makes a session long or short is its history.
    reach = planned.spread * planned.bytes
    lengths = [
        max(0, round(planned.value_bytes + reach * (2 * (i + 0.5) / _SPREAD_STEPS - 1)))
        for i in range(_SPREAD_STEPS)
    ]
    return sum(_session(planned, length, keyspace) for length in lengths) / _SPREAD_STEPS


def all_sessions(planned: Sessions, keyspace: Keyspace, keys: int = 0) -> float:
    """All sessions of a plan: their keys with what is in them, and their places in the server's tables.

    Args:
        planned: the plan's.
        keyspace: how the server stores keys.
        keys: others that are there; both are in one table, which doubles when it is full.
    """
    tables = keyspace.main_table(keys + planned.live) - (keyspace.main_table(keys) if keys else 0.0)
    if planned.expiring:
        tables += keyspace.main_table(planned.expiring)
    return sessions(planned, keyspace) * planned.live + tables


def _session(planned: Sessions, value: int, keyspace: Keyspace) -> int:
    expiring = planned.expiring >= planned.kept
    key = keyspace.key_object(planned.key_bytes, ttl=expiring)
    if planned.kind == "STRING":
        # Up to 44 bytes a value would stand in its key's allocation; sessions are longer.
        return key + keyspace.string(value)
    others = planned.fields - 1
    each = planned.other_bytes // others if others else 0
    name = min(HISTORY_NAME, each)
    return key + keyspace.hash_fields([(HISTORY_NAME, value), *[(name, each - name)] * others])
