"""What a comparison of indexes comes to, in words, against differences worked by hand."""

from __future__ import annotations

from dataclasses import replace

from memdb.tuning.candidates import Candidate, conclusions
from memdb.vectors.index import BuildState, IndexInfo, VectorParams
from tests.unit.tune_run import run

MIB = 1_048_576


def _candidate(
    name: str, m: int, vector_bytes: float | None, *, slower: float = 1.0, better: float = 0.0
) -> Candidate:
    made = run()
    points = tuple(
        replace(p, recall=min(1.0, p.recall + better), p50_ms=p.p50_ms * slower) for p in made.points
    )
    info = IndexInfo(
        name, "HASH", ("d:",), (), 100, 100, BuildState("ready", 1.0, "x"), vector_bytes, None, 0
    )
    params = VectorParams("HNSW", "FLOAT32", 8, "L2", m, 200)
    return Candidate(info, params, name == "i", None, replace(made, points=points))


def test_recall_memory_and_p50_are_held_against_the_original_at_one_setting() -> None:
    original = _candidate("i", 16, 49 * MIB)
    verdict = original.run.recommendation if original.run else None
    assert verdict is not None
    at = verdict.ef_runtime or 160
    better = _candidate("i:m32", 32, 51.5 * MIB, slower=1.05, better=0.01)
    smaller = _candidate("i:m4", 4, 40 * MIB, slower=0.5, better=-0.2)
    said = conclusions([original, better, smaller])
    assert len(said) == 2
    assert said[0].startswith(
        f"HNSW, M 32, EF_CONSTRUCTION 200, L2: +1.0 points of recall@3, +2.5 MiB of vectors, same p50 at EF_RUNTIME {at}"
    )
    old = next(p.p50_ms for p in run().points if p.ef_runtime == at)
    assert f"-20.0 points of recall@3, -9.0 MiB of vectors, p50 {old:.2f} → {old / 2:.2f} ms" in said[1]


def test_what_was_not_measured_is_not_concluded() -> None:
    original = _candidate("i", 16, None)
    assert conclusions([original, replace(_candidate("i:x", 4, 1.0), run=None)]) == ()
    assert conclusions([replace(original, run=None), _candidate("i:x", 4, 1.0)]) == ()
    assert "of vectors" not in conclusions([original, _candidate("i:x", 4, 1.0)])[0]
