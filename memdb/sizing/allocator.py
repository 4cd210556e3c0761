"""What an allocation really takes: size classes and growth of tables; most of what formulas leave out."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Literal

# Bucket counts that libstdc++'s unordered_map takes when room is reserved: primes 8 % apart.
_BUCKETS = tuple(
    int(text)
    for text in """
    541 577 619 661 709 761 823 887 953 1031 1109 1193 1289 1381 1493 1613 1741 1879 2029 2179 2357 2549 2753
    2971 3209 3469 3739 4027 4349 4703 5087 5503 5953 6427 6949 7517 8123 8783 9497 10273 11113 12011 12983
    14033 15173 16411 17749 19183 20753 22447 24281 26267 28411 30727 33223 35933 38873 42043 45481 49201
    53201 57557 62233 67307 72817 78779 85229 92203 99733 107897 116731 126271 136607 147793 159871 172933
    187091 202409 218971 236897 256279 277261 299951 324503 351061 379787 410857 444487 480881 520241 562841
    608903 658753 712697 771049 834181 902483 976369 1056323 1142821 1236397 1337629 1447153 1565659 1693859
    1832561 1982627 2144977 2320627 2510653 2716249 2938679 3179303 3439651 3721303 4026031 4355707 4712381
    5098259 5515729 5967347 6456007 6984629 7556579 8175383 8844859 9569143 10352717 11200489 12117689
    13109983 14183539 15345007 16601593 17961079 19431899 21023161 22744717 24607243
    """.split()
)


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


def libc_size(size: int) -> int:
    """Bytes glibc's malloc sets aside for `size` bytes: steps of 16, less its own 8."""
    return max(24, -(-(size + 8) // 16) * 16 - 8) if size > 0 else 0


Allocator = Literal["jemalloc", "libc"]
Sized = Callable[[int], int]  # bytes wanted → bytes set aside
SIZED: dict[Allocator, Sized] = {"jemalloc": size_class, "libc": libc_size}


def power_of_two(count: int, least: int = 4) -> int:
    """Buckets of a Redis dict that holds `count` entries: it doubles when it is full."""
    return max(least, 1 << max(0, count - 1).bit_length())


def chained(count: int, buckets: int) -> float:
    """Entries expected beyond the first of their bucket, which Redis 8.2 stores in the table itself."""
    return count - buckets * -math.expm1(-count / buckets) if buckets else 0.0


def reserved_buckets(count: int) -> int:
    """Buckets of an unordered_map in which room for `count` entries was reserved."""
    place = bisect_left(_BUCKETS, count)
    if count < _BUCKETS[0]:
        return count
    return _BUCKETS[place] if place < len(_BUCKETS) else round(count * 1.04)  # the mean beyond the list


# Bucket counts of libstdc++'s unordered_map that grows as it is filled: twice the last, at the next prime.
_DOUBLED = tuple(
    int(text)
    for text in """
    13 29 59 127 257 541 1109 2357 5087 10273 20753 42043 85229 172933 351061 712697 1447153 2938679 5967347
    12117689 24607243 49969847 101473717 206062531 418451333 849743891
    """.split()
)


def doubled_buckets(count: int) -> int:
    """Buckets of an unordered_map that grew to `count` entries one at a time."""
    place = bisect_left(_DOUBLED, count)
    return _DOUBLED[place] if place < len(_DOUBLED) else 2 * count


def swiss_slots(count: int) -> int:
    """Slots of an abseil hash table with `count` entries: 2ⁿ − 1, at most seven eighths of them used."""
    slots = 1
    while slots - slots // 8 < count:
        slots = 2 * slots + 1
    return slots if count else 0


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
