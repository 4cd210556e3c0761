"""A vector from what people paste or upload: JSON, comma-separated numbers, .npy, .bin."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np

from memdb.errors import BadVector
from memdb.vectors import distance
from memdb.vectors.distance import Floats


def from_text(text: str, dim: int, where: str) -> Floats:
    """Numbers as a JSON list or separated by commas, semicolons or blanks, (dim,) float32.

    Raises:
        BadVector: it does not parse, or has another length.
    """
    stripped = text.strip()
    try:
        if stripped.startswith(("[", "{")):
            value = json.loads(stripped)
            if isinstance(value, dict):
                value = value.get("embedding", value.get("vector"))
        else:
            value = [float(part) for part in stripped.replace(",", " ").replace(";", " ").split()]
    except ValueError:
        raise BadVector(
            "The pasted text is not a vector.",
            "Give numbers separated by commas, or a JSON list such as [0.1, -0.2].",
            expected=dim,
            got=0,
        ) from None
    return distance.checked(value, dim, where)


def from_file(name: str, content: bytes, dim: int, type_: str, where: str) -> Floats:
    """The vector in an uploaded file, (dim,) float32; of a matrix, the first row.

    `.npy` is read without pickle; `.bin` holds the numbers as the index stores them; anything else is text.

    Raises:
        BadVector: it cannot be read, or has another length.
    """
    suffix = name.rsplit(".", 1)[-1].lower()
    if suffix == "npy":
        try:
            array = np.load(BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError, OSError):
            raise BadVector(
                f"'{name}' is not a NumPy file of numbers.",
                "Save it with numpy.save(path, vector); object arrays are not read.",
                expected=dim,
                got=0,
            ) from None
        return distance.checked(array[0] if array.ndim == 2 and len(array) else array, dim, where)
    if suffix == "bin":
        return distance.checked(distance.from_bytes(content, type_), dim, where)
    try:
        return from_text(content.decode("utf-8"), dim, where)
    except UnicodeDecodeError:
        raise BadVector(
            f"'{name}' is neither text nor .npy nor .bin.",
            "Upload .npy, .bin, .json, .csv or .txt.",
            expected=dim,
            got=0,
        ) from None
