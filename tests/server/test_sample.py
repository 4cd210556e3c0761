"""Samples of an index's documents: uniform, within the budget, kept; on the engine and on both stand-ins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Client, connect
from memdb.cluster.target import Budget, Target
from memdb.errors import BadInput, BudgetSpent
from memdb.tuning import sample
from memdb.tuning.sample import Sample, sampled
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField
from tests.conftest import clean
from tests.splitmix import number
from tests.standins import memorydb, valkey_search
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT = 6, 900
STANDINS = {"valkey-search": valkey_search, "memorydb": memorydb}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    sample.forget()
    yield
    sample.forget()


# Behind a stand-in must be an engine that orders hits as RediSearch does.
@pytest.fixture(
    params=["engine", *(pytest.param(name, marks=pytest.mark.needs("sorted_hits")) for name in STANDINS)]
)
def each(request: pytest.FixtureRequest, server_target: Target, prefix: str) -> Iterator[Client]:
    """A writable client of each engine."""
    with ExitStack() as stack:
        target = server_target
        if request.param != "engine":
            standin = stack.enter_context(STANDINS[request.param](server_target))
            target = replace(standin.target, writable=True)
        opened = stack.enter_context(connect(target))
        yield opened
        clean(opened, prefix)


def vectors(count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(8).normal(size=(count, DIM)).astype(np.float32)


def load(client: Client, prefix: str, count: int = COUNT) -> IndexInfo:
    field = HnswField("v", DIM, "L2", m=8, ef_construction=50)
    index.create(client, IndexSpec(prefix + "idx", (TagField("tag"), field), (prefix + "d:",)))
    rows = [
        ("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", v.tobytes()) for i, v in enumerate(vectors(count))
    ]
    client.pipeline(rows)
    until(lambda: index.index_info(client, prefix + "idx").documents == count, "all documents are indexed")
    return index.index_info(client, prefix + "idx")


def smallest(keys: list[str], seed: int, count: int) -> set[str]:
    """The same choice, made here."""
    return set(sorted(keys, key=lambda key: number(key.encode(), str(seed).encode()))[:count])


def unevenness(counts: Counter[str], keys: list[str], expected: float, share: float = 0.0) -> float:
    """Chi-square a degree of freedom: 1 where all keys are equally likely."""
    parts = [(counts[key] - expected) ** 2 / (expected * (1 - share)) for key in keys]
    return float(np.mean(parts))


def held(drawn: Sample) -> dict[str, np.ndarray]:
    return {key: row for block in drawn.blocks for key, row in zip(block.keys, block.vectors, strict=True)}


def test_each_engine_gives_the_documents_that_the_hash_takes_with_their_vectors(
    each: Client, prefix: str
) -> None:
    info = load(each, prefix)
    every = [f"{prefix}d:{i}" for i in range(COUNT)]
    with connect(each.target.read_only()) as reader:
        drawn = sampled(reader, info, "", 250, seed=3)
        assert set(drawn.keys) == smallest(every, 3, 250)
        assert (drawn.documents, drawn.way, drawn.share) == (COUNT, "listed", 250 / COUNT)
        stored = vectors()
        assert held(drawn).keys() == set(drawn.keys)
        for key, row in held(drawn).items():
            np.testing.assert_array_equal(row, stored[int(key.rsplit(":", 1)[1])])
        # Fewer are the beginning of more, and another seed takes others.
        assert sampled(reader, info, "", 100, seed=3).keys == drawn.keys[:100]
        assert set(sampled(reader, info, "", 250, seed=4).keys) == smallest(every, 4, 250)


def test_under_a_filter_the_sample_is_of_what_matches(each: Client, prefix: str) -> None:
    info = load(each, prefix)
    matching = [f"{prefix}d:{i}" for i in range(COUNT) if i % 3 == 1]
    drawn = sampled(each, info, "", 120, 0, "@tag:{t1}")
    assert set(drawn.keys) == smallest(matching, 0, 120)
    assert drawn.documents == len(matching)
    assert drawn.words == "a sample of 120 (40 %)"
    with pytest.raises(BadInput, match=r"No document of .* matches the filter"):
        sampled(each, info, "", 120, 0, "@tag:{nobody}")


def test_all_keys_are_equally_likely_where_scan_prefers_some(client: Client, prefix: str) -> None:
    info = load(client, prefix, 400)
    keys = [f"{prefix}d:{i}" for i in range(400)]
    seeds, count = 120, 100
    of_sample: Counter[str] = Counter()
    of_scan: Counter[str] = Counter()
    for seed in range(seeds):
        of_sample.update(sampled(client, info, "", count, seed).keys)
        _, first = client.execute("SCAN", 0, "MATCH", f"{prefix}d:*", "COUNT", count)
        of_scan.update(key.decode() for key in first[:count])
    share = count / len(keys)
    # Of 400 keys chi-square by degrees of freedom spreads by 0.07: six times as much is allowed.
    assert 0.58 < unevenness(of_sample, keys, seeds * share, share) < 1.42
    assert unevenness(of_scan, keys, sum(of_scan.values()) / len(keys), share) > 20
    # By what the documents hold the sample is even too: both halves of a coordinate.
    high = {f"{prefix}d:{i}" for i in np.flatnonzero(vectors(400)[:, 0] > 0)}
    among = sum(of_sample[key] for key in high) / (seeds * count)
    assert abs(among - len(high) / len(keys)) < 0.03


@pytest.mark.needs("uneven_randomkey")
def test_randomkey_prefers_some(client: Client, prefix: str) -> None:
    load(client, prefix, 400)
    keys = [f"{prefix}d:{i}" for i in range(400)]
    draws = 80_000
    came = [key for _ in range(16) for key in client.pipeline([("RANDOMKEY",)] * (draws // 16))]
    of_randomkey = Counter(key.decode() for key in came if key.startswith(prefix.encode()))
    assert unevenness(of_randomkey, keys, of_randomkey.total() / len(keys)) > 2


def test_a_bound_of_keys_that_does_not_reach_for_all_lets_them_be_drawn(client: Client, prefix: str) -> None:
    info = load(client, prefix)
    stored = vectors()
    budget = Budget(keys_scanned=800)
    with connect(client.target) as other:
        other.log.clear()
        drawn = sampled(other.budgeted(budget), info, "", 120)
        sent = {entry.name for entry in other.log.entries()}
    assert drawn.way == "drawn"
    assert len(set(drawn.keys)) == len(drawn.keys) == 120
    assert drawn.documents == COUNT
    for key, row in held(drawn).items():
        np.testing.assert_array_equal(row, stored[int(key.rsplit(":", 1)[1])])
    assert not sent & {"SCAN", "FT.AGGREGATE"}
    with pytest.raises(BudgetSpent, match="budget of 150 keys is spent"):
        sampled(client.budgeted(Budget(keys_scanned=150)), info, "", 120, seed=5)


@pytest.mark.needs("in_keys")  # elsewhere which of them match is known by listing all that do
def test_under_a_filter_they_are_drawn_too(client: Client, prefix: str) -> None:
    info = load(client, prefix)
    under = sampled(client.budgeted(Budget(keys_scanned=690)), info, "", 100, 0, "@tag:{t1|t2}")
    assert under.way == "drawn"
    assert {int(key.rsplit(":", 1)[1]) % 3 for key in under.keys} == {1, 2}


def test_a_sample_is_kept_until_the_documents_are_others(client: Client, prefix: str, tmp_path: Path) -> None:
    info = load(client, prefix)
    first = sampled(client, info, "", 300, home=tmp_path)
    again = sampled(client, info, "", 200, home=tmp_path)
    assert not first.kept
    assert again.kept
    assert again.keys == first.keys[:200]
    assert held(again).keys() == set(again.keys)
    for key, row in held(again).items():
        np.testing.assert_array_equal(row, held(first)[key])
    # More than is kept is drawn anew, and begins with it.
    more = sampled(client, info, "", 400, home=tmp_path)
    assert not more.kept
    assert more.keys[:300] == first.keys
    client.pipeline([("HSET", key, "v", np.ones(DIM, np.float32).tobytes()) for key in more.keys])
    assert not sampled(client, index.index_info(client, info.name), "", 200, home=tmp_path).kept
    (tmp_path / "samples").rename(tmp_path / "before")
    assert not sampled(client, index.index_info(client, info.name), "", 200, home=tmp_path).kept
    for file in (tmp_path / "samples").glob("*.npz"):
        file.write_bytes(b"no archive")
    redrawn = sampled(client, index.index_info(client, info.name), "", 200, home=tmp_path)
    assert not redrawn.kept
    assert len(redrawn.keys) == 200


def test_documents_without_a_usable_vector_are_told_and_more_than_there_are_is_all(
    client: Client, prefix: str
) -> None:
    info = load(client, prefix, 300)
    client.pipeline([("HSET", f"{prefix}d:{i}", "v", b"short") for i in range(30)])
    drawn = sampled(client, index.index_info(client, info.name), "", 5_000)
    assert drawn.share == 1
    assert len(held(drawn)) == 270
    with pytest.raises(BadInput, match="sample of 5 documents says nothing"):
        sampled(client, info, "", 5)
