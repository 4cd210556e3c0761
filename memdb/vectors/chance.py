"""Which documents chance takes: a seeded hash of the key, whatever order an engine lists them in."""

from __future__ import annotations

import hashlib


def salted(seed: int) -> bytes:
    """What `number` is keyed with."""
    return str(seed).encode()[:64]


def number(key: str, salt: bytes) -> int:
    """Even over 64 bits, the same for the same key and salt on every machine."""
    raw = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8, key=salt).digest())
