"""Numbers of keys: SplitMix64 counted in Python's integers, whatever other keys stand beside a key."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.vectors import chance
from tests.splitmix import number

KEYS = [b"", b"a", b"a\0", b"\0", b"d:12345678", b"x" * 8, b"x" * 9, b"\xff\xfe" * 40, "schlüssel".encode()]


@pytest.mark.parametrize("seed", [0, 1, -5])
def test_the_numbers_of_keys(seed: int) -> None:
    salt = chance.salted(seed)
    expected = [number(key, salt) for key in KEYS]
    assert chance.numbers(KEYS, salt).tolist() == expected
    assert [chance.numbers([key], salt)[0] for key in KEYS] == expected
    assert len(set(expected)) == len(KEYS)
    assert chance.numbers([], salt).shape == (0,)


@pytest.mark.parametrize("form", ["d:{}", "{:08d}", "tenant:7:document:{}:chunk:0", "{}:x"])
def test_keys_that_are_counted_up_get_even_numbers_without_order(form: str) -> None:
    keys = [form.format(i).encode() for i in range(20_000)]
    first, second = (chance.numbers(keys, chance.salted(seed)).astype(float) for seed in (0, 1))
    assert len(np.unique(chance.numbers(keys, chance.salted(0)))) == len(keys)
    for numbers in (first, second):
        tenths = np.histogram(numbers, 10, (0, 2.0**64))[0]
        assert np.abs(tenths - 2_000).max() < 5 * np.sqrt(20_000 * 0.09)
        # Of the tenth with the smallest numbers each tenth of the keys has its share.
        chosen = np.histogram(np.argsort(numbers)[:2_000], 10, (0, 20_000))[0]
        assert np.abs(chosen - 200).max() < 5 * np.sqrt(2_000 * 0.09)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert abs(np.corrcoef(first, np.arange(20_000))[0, 1]) < 0.04
