"""Types of numbers told by bytes alone, on vectors of many sizes and on bytes that are none."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.sessions.number_types import guessed
from memdb.vectors.distance import to_bytes

TYPES = ("FLOAT32", "FLOAT64", "FLOAT16", "BFLOAT16")


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("kind", ["normal", "of length 1", "large", "sparse", "uniform", "all alike"])
def test_the_type_of_a_vector_is_told_by_its_bytes(type_: str, kind: str) -> None:
    draw = np.random.default_rng(11)
    for dimension in (16, 24, 100, 384, 1536):
        for _ in range(20):
            vector = draw.normal(size=dimension)
            if kind == "of length 1":
                vector /= np.linalg.norm(vector)
            elif kind == "large":
                vector = np.abs(vector) * 10
            elif kind == "sparse":
                vector *= draw.random(dimension) < 0.5
            elif kind == "uniform":
                vector = draw.uniform(-1, 1, dimension)
            elif kind == "all alike":
                vector = np.full(dimension, 0.1)
            assert guessed(to_bytes(vector, type_)) == type_


def test_bytes_that_are_no_vector() -> None:
    draw = np.random.default_rng(12)
    assert {guessed(draw.bytes(int(n))) for n in draw.integers(0, 400, 1_000)} == {""}
    text = "Größe, Übermut und Ärger: die Straße nach Köln ist gesperrt. " * 3
    assert {guessed(text[i : i + n].encode("latin-1")) for i in range(60) for n in (8, 32, 64)} == {""}
    assert guessed(b"") == guessed(bytes(64)) == guessed(b"\xff" * 64) == ""
    assert guessed(np.ones(7, "<f4").tobytes()) == ""
