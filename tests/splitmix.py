"""The numbers that choose a sample's keys, counted in Python's integers."""

from __future__ import annotations

import hashlib

_WORD = 2**64 - 1


def number(key: bytes, salt: bytes) -> int:
    """SplitMix64 over eight bytes at a time, from the salt and the length on."""
    result = _mixed(int.from_bytes(hashlib.blake2b(salt, digest_size=8).digest()) ^ len(key))
    for start in range(0, len(key), 8):
        result = _mixed(result ^ int.from_bytes(key[start : start + 8], "little"))
    return result


def _mixed(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
    return value ^ (value >> 31)
