"""Texts as arrays, so that files of arrays need no pickle and keys that are not UTF-8 survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from memdb.array_files import checked


def packed(name: str, texts: Sequence[str]) -> dict[str, Any]:
    """Two arrays: all bytes under `name`, each text's length under `name`_lengths."""
    raw = [text.encode("utf-8", "surrogateescape") for text in texts]
    return {
        name: np.frombuffer(b"".join(raw), np.uint8),
        f"{name}_lengths": np.array([len(r) for r in raw], np.int64),
    }


def unpacked(name: str, arrays: Mapping[str, Any]) -> list[str]:
    """The texts again.

    Raises:
        KeyError: the arrays are not there.
        ValueError: they are damaged.
    """
    raw = arrays[name].tobytes()
    lengths = checked(arrays[f"{name}_lengths"], "iu", None, least=0, most=len(raw))
    ends = np.cumsum(lengths).tolist()
    if (ends[-1] if ends else 0) != len(raw):
        raise ValueError("the lengths of its texts are those of others")
    return [raw[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise([0, *ends])]
