"""JSON that every reader takes: what is not a finite number is null, never NaN or Infinity.

All JSON that people and programs get from here is written here: `--json`, exports, webhooks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Set
from datetime import date

# What UTF-8 cannot say, and what a terminal obeys: controls, and marks that change the direction of writing.
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def json_text(value: object, *, indent: int | None = None, ascii_only: bool = True) -> str:
    """One JSON document.

    Args:
        value: of dicts, lists, texts and numbers, NumPy's too; dates and other things become text.
        indent: for people; None writes one line.
        ascii_only: escape all other characters. Otherwise only bytes that were not UTF-8, lone surrogates
            here, are escaped, since JSON can say so and UTF-8 cannot, and what a terminal would obey.
    """
    text = json.dumps(plain(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)
    return _ESCAPED.sub(lambda sign: f"\\u{ord(sign.group()):04x}", text)


def plain(value: object) -> object:
    """The value in JSON's own types, null for a number that is not finite."""
    if value is None or isinstance(value, str | int):  # bool among them
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | Set):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    return str(value)
