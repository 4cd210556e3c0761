"""Names of keys in patterns of SCAN's MATCH, where `*?[]^` and the backslash mean something."""

from __future__ import annotations

_SPECIAL = frozenset("*?[]^\\")


def literal(text: str) -> str:
    """`text` inside a pattern, where it stands for nothing but itself."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def beginning(prefix: str) -> str:
    """The pattern of all keys that begin with a prefix, whatever characters it holds."""
    return literal(prefix) + "*"
