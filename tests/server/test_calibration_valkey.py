"""Calibrating on valkey-search, whose INFO tells one total of all indexes; the local engine answers the rest.

Totals are recorded ones of a real valkey-search 1.2.1 (`tests/fixtures/valkey-search-1.2.1-memory.json`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster import engine
from memdb.cluster.client import Client, connect
from memdb.cluster.dialects import recognise
from memdb.cluster.server import Server
from memdb.demo.app import environment
from memdb.settings import Settings
from memdb.sizing import calibrate, model
from memdb.vectors import index
from memdb.vectors.index import FlatField, HnswField, IndexSpec, TagField
from tests.standins import valkey_search
from tests.waiting import until

ROWS = json.loads((Path(__file__).parent.parent / "fixtures/valkey-search-1.2.1-memory.json").read_text())[
    "rows"
]
DIALECT = recognise(frozenset({"FT.SEARCH", "FT.AGGREGATE"}), modules=(("search", "66049"),))


def recorded(algorithm: str, vectors: int, dim: int | None = 16, tags: int = 0) -> dict[str, Any]:
    return next(
        row
        for row in ROWS
        if (row["algorithm"], row["vectors"], row.get("dim"), row.get("tags", 0))
        == (algorithm, vectors, dim, tags)
    )


EMPTY = recorded("empty HNSW 1536", 0, None)["index_bytes"]
SMALL = recorded("HNSW", 2_000)


class AsValkey:
    """The local engine's client, but for what valkey-search tells of itself."""

    def __init__(self, client: Client, total: float | None) -> None:
        self.client = client
        self.total = total

    @property
    def server(self) -> Server:
        return dataclasses.replace(self.client.server, dialect=DIALECT)

    def info(self, section: str = "") -> dict[str, dict[str, str]]:
        if section == "search":
            return {"search": {"search_used_memory_bytes": f"{self.total:.0f}"} if self.total else {}}
        told = self.client.info(section)
        told["memory"]["mem_allocator"] = "libc"
        return told

    def pipeline(self, commands: Any) -> Any:
        """MEMORY USAGE as Valkey 9 computes it: the object, the listpack as libc rounds it, without the key."""
        if commands and commands[0][:2] == ("MEMORY", "USAGE"):
            listpack = 7 + (1 + 2) + (64 + 3)
            return [16 + (listpack + 8 + 15) // 16 * 16 - 8] * len(commands)
        return self.client.pipeline(commands)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """2,000 × 16 under two prefixes, keys and fields as in the recording."""
    settings = dataclasses.replace(Settings.from_env(), home=tmp_path_factory.mktemp("valkey"))
    rng = np.random.default_rng(3)
    with engine.start(settings, log=False) as running:
        running.wait_ready()
        with connect(running.target) as client:
            for prefix in ("k:", "o:"):
                vectors = rng.normal(size=(2_000, 16)).astype("<f4")
                client.pipeline(
                    [("HSET", f"{prefix}{i:07d}", "v", v.tobytes()) for i, v in enumerate(vectors)]
                )
            _index(client, "own", "k:")
            yield client


def _index(client: Client, name: str, prefix: str, *, flat: bool = False, dim: int = 16) -> None:
    field = FlatField("v", dim, "L2") if flat else HnswField("v", dim, "L2", m=16)
    index.create(client, IndexSpec(name, (field,), (prefix,)))
    while not index.index_info(client, name).build.ready:
        pass


def read(client: Client, total: float | None) -> calibrate.Read:
    return calibrate.from_index(AsValkey(client, total), "own")  # type: ignore[arg-type]


def foretold(reading: calibrate.Read, vectors: int) -> float:
    """The index's bytes at another size, by the calibrated profile."""
    return model.index_bytes(
        dataclasses.replace(reading.shape, vectors=vectors, key_bytes=9), reading.profile
    )


def test_an_index_alone_foretells_eleven_times_its_size(loaded: Client) -> None:
    reading = read(loaded, SMALL["info"]["search_used_memory_bytes"])
    assert reading.profile.name == "live-own"
    assert reading.profile.allocator == "libc"
    assert reading.index_bytes == pytest.approx(SMALL["index_bytes"], rel=0.02)
    assert reading.shape.metadata_bytes == 0
    for vectors in (10_240, 12_000, 22_000):
        truth = recorded("HNSW", vectors)["index_bytes"]
        assert foretold(reading, vectors) == pytest.approx(truth, rel=0.02)
        row = recorded("HNSW", vectors)
        keys = model.predict(dataclasses.replace(reading.shape, vectors=vectors), reading.profile).components
        stored = keys["keys"] + keys["vectors_stored"]
        assert stored == pytest.approx(row["used_with_keys"] - row["used_at_start"], rel=0.02)


@pytest.mark.parametrize("others", [1, 14])
def test_other_indexes_are_not_charged_to_this_one(loaded: Client, others: int) -> None:
    """Empty indexes take 4.8 MB each, which is in the total: two, and fifteen indexes."""
    for place in range(others):
        _index(loaded, f"other{place}", f"none{place}:")
    try:
        reading = read(loaded, SMALL["index_bytes"] + others * EMPTY)
    finally:
        for place in range(others):
            loaded.execute("FT.DROPINDEX", f"other{place}")
    assert reading.index_bytes == pytest.approx(SMALL["index_bytes"], rel=0.05)
    assert foretold(reading, 22_000) == pytest.approx(recorded("HNSW", 22_000)["index_bytes"], rel=0.03)
    assert any(f"all {others + 1} indexes" in note for note in reading.notes)


def test_an_index_of_other_documents_takes_its_own_part(loaded: Client) -> None:
    _index(loaded, "large", "o:")
    try:
        reading = read(loaded, 2 * SMALL["index_bytes"])
    finally:
        loaded.execute("FT.DROPINDEX", "large")
    assert reading.profile.index_factor == 1.0
    assert reading.index_bytes == pytest.approx(SMALL["index_bytes"], rel=0.02)


def test_vectors_of_two_indexes_over_the_same_documents_are_there_once(loaded: Client) -> None:
    """Strings are interned: an index more over the same field holds no vector of its own."""
    _index(loaded, "twin", "k:")
    strings = 2_000 * 72
    try:
        reading = read(loaded, 2 * SMALL["index_bytes"] - strings)
    finally:
        loaded.execute("FT.DROPINDEX", "twin")
    assert reading.index_bytes == pytest.approx(SMALL["index_bytes"], rel=0.02)


def test_what_really_differs_is_kept_and_the_empty_part_is_not_stretched(loaded: Client) -> None:
    empty = EMPTY
    more = empty + 1.4 * (SMALL["index_bytes"] - empty)
    reading = read(loaded, more)
    assert reading.profile.index_factor == pytest.approx(1.4, rel=0.03)
    assert model.index_bytes(reading.shape, reading.profile) == pytest.approx(more, rel=0.02)


def test_an_index_that_was_there_first_is_told_apart(loaded: Client) -> None:
    """Without the table of documents that waited: 2,047 slots of 89 bytes at 2,000, 32,767 at 22,000."""
    reading = read(loaded, SMALL["index_bytes"] - 2_047 * 89)
    assert (reading.profile.index_factor, reading.profile.waited) == (1.0, False)
    assert any("before its documents" in note for note in reading.notes)
    truth = recorded("HNSW", 22_000)["index_bytes"] - 32_767 * 89
    assert foretold(reading, 22_000) == pytest.approx(truth, rel=0.01)


def test_places_of_another_initial_cap_are_not_charged_to_documents(
    loaded: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INITIAL_CAP 1,000 grew to 11,240 places, two blocks: by hand, 160 bytes a place of a block and 46 each."""
    asked = index.index_info

    def told(client: Client, name: str) -> index.IndexInfo:
        info = asked(client, name)
        vector = info.fields[0].vector
        assert vector is not None
        field = dataclasses.replace(info.fields[0], vector=dataclasses.replace(vector, capacity=11_240))
        return dataclasses.replace(info, fields=(field,))

    monkeypatch.setattr(index, "index_info", told)
    reading = read(loaded, SMALL["index_bytes"] + 10_240 * (152 + 8) + 1_000 * (40 + 4 + 2))
    assert reading.profile.index_factor == 1.0
    assert foretold(reading, 22_000) == pytest.approx(recorded("HNSW", 22_000)["index_bytes"], rel=0.02)


@pytest.mark.parametrize(
    ("total", "word"), [(None, "does not tell"), (80e6, "not plausible"), (1e6, "not plausible")]
)
def test_what_cannot_be_this_index_keeps_the_built_in_prediction(
    loaded: Client, total: float | None, word: str
) -> None:
    reading = read(loaded, total)
    assert reading.profile.index_factor == 1.0
    assert any(word in note for note in reading.notes)
    assert foretold(reading, 22_000) == pytest.approx(recorded("HNSW", 22_000)["index_bytes"], rel=0.02)


def test_an_index_without_vectors_is_taken_off_too(loaded: Client) -> None:
    """Tags and a FLAT index are in the total, and are not this one's."""
    index.create(loaded, IndexSpec("tags", (TagField("t"),), ("o:",)))
    _index(loaded, "flat", "none:", flat=True)
    flat = recorded("empty FLAT", 0, None)["index_bytes"]
    try:
        reading = read(loaded, SMALL["index_bytes"] + flat + 22_600 + 2_000 * 400)
    finally:
        loaded.execute("FT.DROPINDEX", "tags")
        loaded.execute("FT.DROPINDEX", "flat")
    assert reading.index_bytes == pytest.approx(SMALL["index_bytes"], rel=0.1)


def test_the_command_reads_a_server_that_speaks_valkey_search(
    loaded: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its replies end to end; its figures of memory are rough, so that only their use is held here."""
    with valkey_search(loaded.target) as standin:
        writable = dataclasses.replace(standin.target, writable=True)
        with connect(writable) as client:
            fields = (HnswField("v", 16, "L2", m=16), TagField("t"))
            index.create(client, IndexSpec("spoken", fields, ("k:",)))
            until(lambda: index.index_info(client, "spoken").build.ready, "the index is built")
        for variable, value in environment(standin.target, tmp_path).items():
            monkeypatch.setenv(variable, value)
        assert main(["calibrate", "--index", "spoken", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["profile"], told["engine"]) == ("live-spoken", "valkey-search")
        assert main(["memory", "--json"]) == 0
        (node,) = json.loads(capsys.readouterr().out)["nodes"]
        parts = {part["name"]: part for part in node["parts"]}
        # The two indexes over the same field hold its vectors once.
        assert parts["vectors"]["bytes"] == 2_000 * 64
        assert main(["size", "--vectors", "6000", "--dim", "16", "--profile", "live-spoken", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
        with connect(writable) as client:
            index.drop(client, "spoken")
