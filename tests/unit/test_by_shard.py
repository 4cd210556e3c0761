"""Recall of each shard, from a run worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from redis.crc import key_slot

from memdb import intervals
from memdb.errors import BadInput
from memdb.tuning import report, store
from memdb.tuning.by_shard import by_shard, compared, words
from memdb.tuning.run import Run, Shard, Truth, Uncertainty
from tests.unit.tune_run import EFS, RANKS, TRUE, run

# Slots of a: 15495, b: 3300, c: 7365 (redis-py's crc16, as the cluster specification has it).
SHARDS = (
    Shard("one:1", ((0, 5000),), 40),
    Shard("two:2", ((5001, 9000), (15000, 16383)), 50),
    Shard("three:3", ((9001, 14999),), 10),
)


def spread(**changes: object) -> Run:
    return run(shards=SHARDS, **changes)


def test_each_true_neighbour_counts_where_its_key_lies() -> None:
    assert [key_slot(key) for key in (b"a", b"b", b"c")] == [15495, 3300, 7365]
    for ef in EFS:
        ranks = np.array(RANKS[ef])
        first, second, third = by_shard(spread(), ef)
        assert (first.address, first.documents, first.neighbours) == ("one:1", 40, 5)
        assert first.returned == (ranks[:, 1] >= 0).sum()
        assert (second.neighbours, second.returned) == (10, (ranks[:, [0, 2]] >= 0).sum())
        assert second.recall == pytest.approx((ranks[:, [0, 2]] >= 0).mean())
        assert (third.neighbours, third.returned, third.low, third.high) == (0, 0, 0.0, 1.0)
        assert math.isnan(third.recall)
        # Weighted by their neighbours the shards make up the whole.
        assert (first.returned + second.returned) / 15 == pytest.approx((ranks >= 0).mean())


def test_the_interval_is_over_queries_and_of_equal_weights_that_of_a_mean() -> None:
    one = by_shard(spread(), 10)[0]
    band = intervals.mean(np.array([float(row[1] >= 0) for row in RANKS[10]]))
    assert (one.low, one.high) == pytest.approx((band.low, band.high))


def test_queries_with_fewer_neighbours_on_a_shard_weigh_less() -> None:
    keys = (("a", "b", "c"), ("c",), ("b",), (), ("a", "c", "b"))
    distances = np.where(np.arange(3) < np.array([len(row) for row in keys])[:, None], TRUE, np.nan)
    ranks = np.array([[0, -1, 1], [-1, -1, -1], [0, -1, -1], [-1, -1, -1], [0, 1, 2]], np.int16)
    point = replace(run().points[0], ranks=ranks)
    made = spread(truth=Truth(keys, distances, 100, 0.1), points=(point,))
    first, second, _ = by_shard(made, 10)
    assert (first.neighbours, first.returned) == (3, 2)  # b: missed, brought, brought
    assert (second.neighbours, second.returned) == (5, 4)  # a c, c missed, a c
    assert second.recall == pytest.approx(4 / 5)
    assert second.low < 4 / 5 < second.high


def test_what_is_not_known_of_made_queries_widens_it() -> None:
    sure = by_shard(spread(), 10)[0]
    queries = replace(run().queries, uncertainty=Uncertainty(0.3, 0.2))
    unsure = by_shard(spread(queries=queries), 10)[0]
    assert unsure.recall == sure.recall
    assert unsure.low < sure.low or sure.low == 0
    assert unsure.high > sure.high or sure.high == 1


def test_words_name_a_difference_only_where_it_is_shown() -> None:
    few = by_shard(spread(), 10)
    told = words(spread(), 10)
    assert told.startswith("No difference between the shards is shown at EF_RUNTIME 10: from ")
    assert "three:3" not in told  # no true neighbour lies there
    worse = replace(few[0], recall=0.5, low=0.4, high=0.6)
    better = replace(few[1], recall=0.9, low=0.7, high=1.0)
    told = compared((better, worse), 10)
    assert told.startswith("Shards differ at EF_RUNTIME 10: one:1 brings 0.500 (0.400 to 0.600)")
    assert "two:2 0.900 (0.700 to 1.000)" in told
    assert "EF_RUNTIME" not in compared((better, worse), 0)
    alone = replace(spread(), shards=(Shard("all:1", ((0, 16383),), 100),))
    assert words(alone, 10) == ""


def test_a_run_of_one_shard_has_none_and_an_unmeasured_ef_is_refused() -> None:
    assert by_shard(run(), 10) == ()
    with pytest.raises(BadInput, match="EF_RUNTIME 11 was not measured"):
        by_shard(spread(), 11)


def test_it_is_kept_with_the_run_in_its_report_and_its_table(tmp_path: Path) -> None:
    made = spread()
    store.save(made, tmp_path)
    kept = store.load(tmp_path, made.id)
    assert kept.shards == SHARDS
    assert by_shard(kept, 40)[:2] == by_shard(made, 40)[:2]
    frame = report.shards_frame(made)
    assert list(frame["ef_runtime"]) == [ef for ef in EFS for _ in SHARDS]
    assert list(frame["returned"][:3]) == [row.returned for row in by_shard(made, 10)]
    page = report.html_report(made).decode()
    assert "By shard at EF 40" in page
    assert f"<td>one:1</td><td>40</td><td>5</td><td>{by_shard(made, 40)[0].returned}</td>" in page
    assert "By shard" not in report.html_report(run()).decode()
    store.save(run(), tmp_path)
    assert store.load(tmp_path, made.id).shards == ()
