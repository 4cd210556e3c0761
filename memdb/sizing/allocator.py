"""What an allocation really takes: size classes and growth of tables; most of what formulas leave out."""

from __future__ import annotations

import math

# Buckets of libstdc++'s unordered_map as it grows: the first prime above twice the last.
_PRIMES = (
    1, 13, 29, 59, 127, 257, 541, 1_109, 2_357, 5_087, 10_273, 20_753, 42_043, 85_229, 172_933, 351_061,
    712_697, 1_447_153, 2_938_679, 5_967_347, 12_117_689, 24_607_243, 49_969_847, 101_473_717, 206_062_531,
    418_450_673, 849_757_849, 1_725_622_937, 3_504_151_727,
)  # fmt: skip


def size_class(size: int) -> int:
    """Bytes jemalloc sets aside for `size` bytes, as Redis builds it (lg-quantum 3).

    Steps of 8 up to 64, then four steps to each power of two: up to a quarter is lost just above one, e.g.
    6,150 bytes (a vector of 1,536 float32 with its header) take 7,168.
    """
    if size <= 0:
        return 0
    if size <= 64:
        return -(-size // 8) * 8
    step = 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


def power_of_two(count: int, least: int = 4) -> int:
    """Buckets of a Redis dict that holds `count` entries: it doubles when it is full."""
    return max(least, 1 << max(0, count - 1).bit_length())


def chained(count: int, buckets: int) -> float:
    """Entries expected beyond the first of their bucket, which Redis 8.2 stores in the table itself."""
    return count - buckets * -math.expm1(-count / buckets) if buckets else 0.0


def prime_buckets(count: int) -> int:
    """Buckets of an unordered_map that holds `count` entries."""
    for prime in _PRIMES:
        if count <= prime:
            return prime
    return count * 3 // 2


def grown(count: int, start: int = 1_000, most_step: int = 1 << 20) -> int:
    """Capacity of RediSearch's document table for ids up to `count`: half again, at most `most_step` more."""
    capacity = start
    while capacity <= count:
        if capacity // 2 >= most_step:
            return capacity + -(-(count + 1 - capacity) // (most_step + 1)) * (most_step + 1)
        capacity += 1 + min(capacity // 2, most_step)
    return capacity


def sds(length: int) -> int:
    """A Redis string with its header, allocated."""
    return size_class(length + sds_header(length) + 1)


def sds_header(length: int) -> int:
    """Header bytes of a Redis string of this length."""
    for header, limit in ((1, 1 << 5), (3, 1 << 8), (5, 1 << 16), (9, 1 << 32)):
        if length < limit:
            return header
    return 17
