"""Whole numbers in texts that others wrote."""

from __future__ import annotations

_MOST_DIGITS = 18  # fits 64 bits


def whole_number(text: str | bytes, *, most_digits: int = _MOST_DIGITS) -> int | None:
    """What decimal digits say; None for anything else, and for more than `most_digits` of them.

    `str.isdigit` takes "²" for a digit, of which `int` fails, as of more than 4,300 digits.
    """
    if not (0 < len(text) <= most_digits and text.isascii() and text.isdigit()):
        return None
    return int(text)
