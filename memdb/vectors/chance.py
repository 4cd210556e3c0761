"""Which documents chance takes: a seeded hash of the key, whatever order an engine lists them in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]


def salted(seed: int) -> bytes:
    """What `number` is keyed with."""
    return str(seed).encode()[:64]


def number(key: str, salt: bytes) -> int:
    """Even over 64 bits, the same for the same key and salt on every machine."""
    raw = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8, key=salt).digest())


def numbers(keys: Sequence[bytes], salt: bytes) -> Numbers:
    """(n,) for many keys, others than `number` gives, and several times as fast: for all keys of an index.

    Eight bytes of a key at a time go through the mixing of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    sizes = np.fromiter(map(len, keys), np.uint64, len(keys))
    width = max(1, -(-int(sizes.max(initial=0)) // 8))
    words = np.array(keys, dtype=f"S{8 * width}").view("<u8").reshape(len(keys), width)
    mixed = _mixed(_word(salt) ^ sizes)
    for place in range(width):  # a key's numbers do not depend on how long the others are
        mixed = np.where(sizes > np.uint64(8 * place), _mixed(mixed ^ words[:, place]), mixed)
    return mixed


def _word(salt: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(salt, digest_size=8).digest()))


def _mixed(values: Numbers) -> Numbers:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
