"""LangGraph's checkpoints: what its Redis and Valkey savers store, as plain documents.

The Redis saver writes JSON documents. The Valkey saver writes a text: JSON with the state in MessagePack,
whose extension types name Python classes. Nothing is imported or built from those names: of a message the
keyword arguments are kept, which is all a reader wants.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgpack

_DEEPEST = 8  # extensions within extensions


def plain_state(value: Any) -> Any:
    """A checkpoint's document with its state and metadata readable; anything else as it is."""
    if not isinstance(value, dict) or "checkpoint" not in value:
        return value
    packed = value["checkpoint"]
    if value.get("type") != "msgpack" or not isinstance(packed, str):
        return value
    state = dict(value)
    try:
        state["checkpoint"] = _unpacked(base64.b64decode(packed, validate=True))
        metadata = value.get("metadata")
        if isinstance(metadata, str):
            state["metadata"] = base64.b64decode(metadata, validate=True).decode()
    except (ValueError, TypeError, binascii.Error, msgpack.UnpackException, RecursionError):
        return value
    return state


def _unpacked(data: bytes, depth: int = 0) -> Any:
    def ext(_code: int, inner: bytes) -> Any:
        if depth >= _DEEPEST:
            return "(nested too deeply)"
        # (module, class, arguments or keyword arguments[, method])
        parts = _unpacked(inner, depth + 1)
        return parts[2] if isinstance(parts, list) and len(parts) > 2 else parts

    return msgpack.unpackb(data, ext_hook=ext, strict_map_key=False)
