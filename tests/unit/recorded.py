"""Recorded replies of real servers, as redis-py would hand them over."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "fixtures"
FILES = (
    "redisearch-2.10.5-resp2.json",
    "redisearch-2.10.5-resp3.json",
    "valkey-search-1.2.1-resp2.json",
    "valkey-search-1.2.1-resp3.json",
)


def replies(file: str) -> list[dict[str, Any]]:
    """Entries of a file, each with a decoded `reply`; text becomes bytes, as on the wire."""
    entries = json.loads((FOLDER / file).read_text())["replies"]
    return [entry | {"reply": _wire(entry["reply"])} for entry in entries]


def reply(file: str, note: str) -> Any:
    """The reply with this note."""
    return next(entry["reply"] for entry in replies(file) if entry.get("note", entry.get("state")) == note)


def _wire(value: Any) -> Any:
    if isinstance(value, dict):
        if "base64" in value:
            return base64.b64decode(value["base64"])
        if "map" in value:
            return {_wire(key): _wire(item) for key, item in value["map"]}
        return value  # {"error": …}
    if isinstance(value, list):
        return [_wire(item) for item in value]
    return value.encode() if isinstance(value, str) else value
