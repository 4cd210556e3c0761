"""What a map needs of memory: asked before anything is read, and told with the size that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from memdb.errors import BadInput
from memdb.maps import memory
from memdb.maps.request import MapRequest
from memdb.vectors.index import BuildState, Field, IndexInfo, VectorParams


def of(documents: int) -> IndexInfo:
    vector = Field("v", "v", "VECTOR", vector=VectorParams("HNSW", "FLOAT32", 128, "COSINE"))
    return IndexInfo(
        "idx", "HASH", ("d:",), (vector,), documents, None, BuildState("ready", 1.0, ""), None, None, 0
    )


def test_a_million_with_memory_for_half_is_refused_with_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    info = of(1_000_000)
    half = memory.needed(500_000, 128, 15)
    monkeypatch.setattr(memory, "available", lambda: half)
    with pytest.raises(BadInput, match="1,000,000 × 128 needs about") as told:
        memory.check(MapRequest("idx", by="all"), info)
    fits = int("".join(sign for sign in told.value.hint if sign.isdigit()))
    assert 499_000 <= fits <= 500_000
    memory.check(MapRequest("idx", count=fits), info)
    with pytest.raises(BadInput):
        memory.check(MapRequest("idx", count=fits + 2_000), info)


def test_an_index_smaller_than_the_sample_needs_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: memory.needed(2_000, 128, 15))
    memory.check(MapRequest("idx", by="all"), of(1_500))
    monkeypatch.setattr(memory, "available", lambda: 1_000)
    with pytest.raises(BadInput) as told:
        memory.check(MapRequest("idx"), of(1_500))
    assert "larger machine" in told.value.hint


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.available() == 4_096_000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.available() == 4_096_000
    (tmp_path / "memory.max").write_text("3000000\n")
    assert memory.available() == 2_000_000
    (tmp_path / "meminfo").write_text("nothing\n")
    assert memory.available() == 2_000_000
    (tmp_path / "memory.max").unlink()
    assert memory.available() is None
