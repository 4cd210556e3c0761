"""Embeddings: bounded, offline, and clear about texts that have none. Their use is in test_demo.py."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from memdb.embedding import local
from memdb.errors import BadInput

OFFLINE = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("asked the network")
socket.socket.connect = socket.getaddrinfo = refuse
from memdb.embedding import local
assert "wordllama" not in sys.modules, "importing it loads the model"
print(local.embed(["restore a table"]).shape)
import logging
assert not logging.root.handlers and logging.root.level == logging.WARNING, "what is logged fills the terminal"
"""


@pytest.mark.long
def test_a_fresh_process_embeds_without_a_network() -> None:
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("(1, 256)", 0), done.stderr


def test_threads_get_the_same_vectors_as_one(many: list[str]) -> None:
    alone = local.embed(many)
    with ThreadPoolExecutor(4) as threads:
        for vectors in threads.map(local.embed, [many] * 8):
            np.testing.assert_array_equal(vectors, alone)


@pytest.fixture
def many() -> list[str]:
    return [f"restore table {i} of region {i % 7}" for i in range(200)]


def test_a_vector_does_not_depend_on_its_neighbours(many: list[str]) -> None:
    together = local.embed([*many, "x " * 3_000])
    np.testing.assert_allclose(together[17], local.embed([many[17]])[0], atol=1e-6)


def test_five_megabytes_are_embedded_in_bounded_memory() -> None:
    local.embed(["warm"])
    tracemalloc.start()
    vector = local.embed(["restore a table " * 330_000])[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert vector @ local.embed(["restore a table"])[0] > 0.9


@pytest.mark.parametrize("text", ["🙂", "\u200b", "a\x00b", "。", "ß", "\u0301"])
def test_odd_texts_have_finite_vectors_of_length_one(text: str) -> None:
    assert np.linalg.norm(local.embed([text])[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("text", "why"), [("", "blank"), (" \n\t", "blank"), ("a\udcff", "not UTF-8")])
def test_texts_without_a_vector_are_refused(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=f"Text 1 of 1 .*{why}") as caught:
        local.embed([text])
    assert caught.value.hint
