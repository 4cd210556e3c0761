"""What a comparison of indexes comes to, in words, against differences worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from memdb.tuning.candidates import Candidate, conclusions, timed_together
from memdb.tuning.interleaved import Interleaved, Timed, rising, worth
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


def _timed(candidate: Candidate, comparison: str, times: dict[int, float]) -> Candidate:
    points = tuple(Timed(ef, ms, ms * 0.9, ms * 1.2) for ef, ms in sorted(times.items()))
    return replace(candidate, times=Interleaved(comparison, 5, 20, points))


def test_times_taken_in_turn_say_from_which_target_on_an_index_is_worth_it() -> None:
    original, other = _candidate("i", 16, None), _candidate("i:m32", 32, None, better=0.05)
    assert original.run is not None
    efs = [p.ef_runtime for p in original.run.points]
    slow = _timed(original, "a", {ef: 1.0 + i for i, ef in enumerate(efs)})
    # The second costs twice as much at the smallest setting, as much at the next, a third less at the last.
    fast = _timed(other, "a", {ef: 2.0 + 0.01 * i for i, ef in enumerate(efs)})
    (said,) = conclusions([slow, fast])
    assert f"same p50 at EF_RUNTIME {efs[1]}" in said
    recalls = [p.recall for p in original.run.points]
    least = min(recalls[1] + 0.05, recalls[2])  # the first that the original meets with its last setting
    assert f"worth it from target {math.ceil(1_000 * least) / 1_000:g}: faster there." in said
    assert "worth it" not in conclusions([slow, _timed(other, "b", dict.fromkeys(efs, 0.1))])[0], (
        "of two comparisons: the machine may have been another"
    )
    dear = _timed(other, "a", dict.fromkeys(efs, 100.0))
    assert not timed_together((slow, _candidate("i:x", 4, None)))
    assert "no target" in conclusions([slow, replace(dear, run=slow.run)])[0]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (((0.5, 0.9, 0.99), (0.5, 1.0, 2.0)), (0.9, 0.99)),  # alike at 0.5, faster at 0.9, alone at 0.99
        (((0.5, 0.9), (0.1, 9.0)), (0.5, 0.5)),
        (((0.5, 0.9), (0.1, 0.2)), (0.5, 0.9)),
        (((0.5, 0.9), (0.5, 2.0)), None),
    ],
)
def test_where_a_second_index_is_the_faster_way(
    after: tuple[tuple[float, ...], tuple[float, ...]], expected: tuple[float, float] | None
) -> None:
    assert worth(((0.5, 0.9), (0.5, 2.0)), after, 0.1) == expected


def test_a_line_of_times_never_falls_and_keeps_its_mean() -> None:
    times = (1.0, 3.0, 2.0, 2.5, 7.0)
    line = rising(times)
    assert list(line) == sorted(line)
    assert line == pytest.approx((1.0, 2.5, 2.5, 2.5, 7.0))
    assert rising(()) == ()
