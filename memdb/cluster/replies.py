"""Reading replies: one tolerant reader for maps and flat arrays, bytes and text, at every level.

RESP2 sends a map as a flat array, RESP3 as a map; valkey-search and MemoryDB send arrays under both;
RediSearch words many numbers as strings, in exponent form or as "nan" (reference: recorded replies in
tests/fixtures).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from memdb.numerals import whole_number

Reply = Any  # what the wire brought: bytes, str, int, float, None, list or dict of these


def text(value: Reply) -> str:
    """A reply as text; bytes that are not UTF-8 are shown with \\xNN, never dropped."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def key(value: Reply) -> str:
    """A key as text that leads back to the very same bytes: the client encodes the same way.

    Bytes that are not UTF-8 become lone surrogates; `memdb.display` makes them visible.
    """
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else text(value)


def pairs(value: Reply) -> dict[str, Reply]:
    """A map, whether it came as a map or as a flat array; anything else is an empty map."""
    if isinstance(value, Mapping):
        return {text(key): item for key, item in value.items()}
    if isinstance(value, list | tuple):
        return {text(value[i]): value[i + 1] for i in range(0, len(value) - 1, 2)}
    return {}


def items(value: Reply) -> list[Reply]:
    """An array or set as a list; a single value as a list of one, nothing as an empty one."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return [] if value is None else [value]


def number(value: Reply, default: float = math.nan) -> float:
    """A number, whatever it came as; `default` where it is none."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(text(value).rstrip("%"))
    except ValueError:
        return default


def integer(value: Reply, default: int = 0) -> int:
    """A whole number, whatever it came as; `default` where it is none."""
    if isinstance(value, int):
        return value
    parsed = number(value)
    return int(parsed) if math.isfinite(parsed) else default


def whole(value: Reply) -> int:
    """A cursor: a whole number of any length, exactly; 0 where it is none."""
    if isinstance(value, int):
        return value
    return whole_number(text(value), most_digits=40) or 0


def info(value: Reply) -> dict[str, dict[str, str]]:
    """INFO's text as section (lower case) → key → value."""
    sections: dict[str, dict[str, str]] = {}
    current = sections.setdefault("", {})
    for line in map(str.strip, text(value).splitlines()):
        if line.startswith("#"):
            current = sections.setdefault(line.lstrip("# ").strip().lower(), {})
        elif ":" in line:
            key, _, rest = line.partition(":")
            current[key] = rest
    return {name: facts for name, facts in sections.items() if facts}
