"""The library on several shards of valkey-search: every figure against a computation over what was stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from redis.crc import key_slot

from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.errors import Busy, Unreachable
from memdb.vectors import counts, index, read, search
from memdb.vectors.conditions import Range, Tag
from memdb.vectors.exact import nearest
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField, index_info
from memdb.vectors.query import KnnRequest, vector_param
from tests.standins import Shard, valkey_cluster
from tests.waiting import until

COUNT, DIM, K = 900, 10, 10
OUT = 1  # the shard that is out of reach in some tests


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shard, ...]]:
    folder = tmp_path_factory.mktemp("cluster")
    with local_engine.start(folder, cluster=True, shards=3, log=False) as running:
        running.wait_ready()
        with valkey_cluster(running) as served:
            yield served


@pytest.fixture
def client(shards: tuple[Shard, ...]) -> Iterator[Client]:
    """Of the first node; the cluster is as it was afterwards."""
    with connect(replace(shards[0].target, writable=True)) as opened:
        yield opened
    for shard in shards:
        shard.down = shard.building = False
        shard.refused.clear()


@dataclass(frozen=True)
class Loaded:
    """What was stored."""

    vectors: np.ndarray  # (COUNT, DIM) float32, uneven: a tenth of them doubled

    def key(self, i: int) -> str:
        return f"w:{i}"

    def shard(self, i: int) -> int:
        slot = key_slot(self.key(i).encode())
        return (slot >= 5461) + (slot >= 10922)

    def nearest(self, query: np.ndarray, rows: list[int], k: int = K) -> list[str]:
        """The k nearest of some documents by inner product, in float64."""
        far = 1 - self.vectors[rows].astype(np.float64) @ query.astype(np.float64)
        return [self.key(rows[at]) for at in np.argsort(far, kind="stable")[:k]]


@pytest.fixture(scope="module")
def loaded(shards: tuple[Shard, ...]) -> Loaded:
    """Documents of the index `several`; a number that every third one lacks, and a tag."""
    vectors = np.random.default_rng(11).standard_normal((COUNT, DIM)).astype("<f4")
    vectors[::10] *= 2
    made = Loaded(vectors)
    with connect(replace(shards[2].target, writable=True)) as client:
        client.pipeline(
            [
                (
                    "HSET",
                    made.key(i),
                    "t",
                    f"t{i % 7}",
                    *(("n", i) if i % 3 else ()),
                    "v",
                    vectors[i].tobytes(),
                )
                for i in range(COUNT)
            ]
        )
        fields = (TagField("t"), NumericField("n"), HnswField("v", DIM, metric="IP", m=4, ef_construction=12))
        index.create(client, IndexSpec("several", fields, ("w:",)))
        until(lambda: index_info(client, "several").build.ready, "the index is built")
    return made


@pytest.fixture
def info(client: Client, loaded: Loaded) -> IndexInfo:
    return index_info(client, "several")


def place_of(shard: Shard) -> str:
    return f"127.0.0.1:{shard.target.port}"


def asked(query: np.ndarray, condition: object = "*", ef: int | None = 400) -> KnnRequest:
    return KnnRequest("several", vector_param(query), "v", K, ef, condition, ("t",))  # type: ignore[arg-type]


QUERIES = np.random.default_rng(12).standard_normal((20, DIM)).astype("<f4")


def test_an_index_is_told_of_all_shards_and_of_each(client: Client, info: IndexInfo, loaded: Loaded) -> None:
    assert client.server.shards == 3
    assert client.server.dialect.searches
    held = [sum(loaded.shard(i) == place for i in range(COUNT)) for place in range(3)]
    assert (info.documents, info.vectors) == (COUNT, COUNT)
    assert [shard.info.documents for shard in info.shards if shard.info] == held
    assert [shard.node.address for shard in info.shards] == [n.address for n in client.nodes()]
    assert info.unfinished == ""


@pytest.mark.parametrize("place", range(3))
def test_searches_counts_and_lists_are_of_all_shards(
    shards: tuple[Shard, ...], loaded: Loaded, place: int
) -> None:
    conditions = {
        "*": lambda i: True,
        Tag("t", ("t3", "t5")): lambda i: i % 7 in (3, 5),
        Range("n", 100, 250): lambda i: bool(i % 3) and 100 <= i <= 250,
    }
    with connect(shards[place].target) as client:
        info = index_info(client, "several")
        for condition, holds in conditions.items():
            rows = [i for i in range(COUNT) if holds(i)]
            assert search.count(client, info, condition) == len(rows)  # type: ignore[arg-type]
            listed = [key for batch in read.matching_keys(client, info, condition) for key in batch]  # type: ignore[arg-type]
            assert sorted(listed) == sorted(map(loaded.key, rows))
            for query in QUERIES[:5]:
                came = search.knn(client, asked(query, condition), info)
                right = loaded.nearest(query, rows)
                assert len(set(came.keys) & set(right)) >= K - 2
                gaps = [
                    1 - float(loaded.vectors[int(k[2:])].astype(float) @ query.astype(float))
                    for k in came.keys
                ]
                assert came.distances == pytest.approx(gaps, abs=1e-4)
                assert [dict(f)["t"] for f in came.fields] == [f"t{int(k[2:]) % 7}" for k in came.keys]
                assert came.missing == ()
                assert "ALLSHARDS" in came.command.args
        values = counts.tag_values(client, info, "t")
        assert {v.value: v.documents for v in values} == {
            f"t{tag}": len(range(tag, COUNT, 7)) for tag in range(7)
        }
    assert [words for shard in shards for words in shard.searches_refused] == []


def test_the_exact_answer_reads_every_shard_once(client: Client, info: IndexInfo, loaded: Loaded) -> None:
    exact = nearest(read.blocks(client, info), QUERIES, K, "IP")
    assert exact.looked_at == COUNT
    assert [list(row) for row in exact.keys] == [loaded.nearest(q, list(range(COUNT))) for q in QUERIES]


def test_an_index_of_one_slot_is_of_one_shard(client: Client, shards: tuple[Shard, ...]) -> None:
    client.pipeline([("HSET", f"o:{{shard0}}:{i}", "n", i, "v", QUERIES[i].tobytes()) for i in range(9)])
    fields = (NumericField("n"), HnswField("v", DIM))
    index.create(client, IndexSpec("one{shard0}", fields, ("o:{shard0}",)))
    until(lambda: index_info(client, "one{shard0}").build.ready, "the index is built")
    shards[0].down = shards[1].down = True  # they have nothing of it
    with connect(shards[2].target) as other:
        info = index_info(other, "one{shard0}")
        assert (info.documents, info.unfinished, info.shards) == (9, "", ())
        assert search.count(other, info, Range("n", 0, 4)) == 5
        knn = KnnRequest("one{shard0}", vector_param(QUERIES[3]), "v", 1)
        assert search.knn(other, knn, info).keys == ("o:{shard0}:3",)
    shards[0].down = shards[1].down = False
    index.drop(client, "one{shard0}")


@pytest.mark.parametrize("out", range(3))
def test_a_shard_that_does_not_answer_is_named_and_never_counted_as_all(
    shards: tuple[Shard, ...], client: Client, info: IndexInfo, loaded: Loaded, out: int
) -> None:
    address = place_of(shards[out])
    shards[out].down = True
    rows = [i for i in range(COUNT) if loaded.shard(i) != out]
    for query in QUERIES[:3]:
        came = search.knn(client, asked(query), info)
        assert came.missing == (address,)
        assert {loaded.shard(int(key[2:])) for key in came.keys} <= {0, 1, 2} - {out}
        assert len(set(came.keys) & set(loaded.nearest(query, rows))) >= K - 2
        assert any(f"The shard at {address} does not answer" in note for note in came.notes)
    now = index_info(client, "several")
    assert (now.documents, now.missing) == (len(rows), (address,))
    assert f"The shard at {address} does not answer" in now.unfinished
    assert "of 2 of 3 shards" in now.unfinished
    assert now.fingerprint != info.fingerprint
    with pytest.raises(Busy, match=f"The shard at {address} does not answer"):
        search.count(client, info, Tag("t", ("t3",)))
    with pytest.raises(Busy, match=address):
        list(read.matching_keys(client, info, Tag("t", ("t3",))))
    with pytest.raises(Unreachable, match=address):
        nearest(read.blocks(client, info), QUERIES, K, "IP")
    with pytest.raises(Unreachable, match=address):
        client.execute("DBSIZE")
    shards[out].down = False
    again = index_info(client, "several")
    assert (again.documents, again.unfinished) == (COUNT, "")
    assert search.knn(client, asked(QUERIES[0]), again).missing == ()


def test_no_shard_answers(shards: tuple[Shard, ...], client: Client, info: IndexInfo) -> None:
    for shard in shards:
        shard.down = True
    with pytest.raises(Unreachable, match="No answer from"):
        search.knn(client, asked(QUERIES[0]), info)
    with pytest.raises(Unreachable, match="No answer from"):
        index_info(client, "several")


def test_a_shard_that_is_still_building_is_named(
    shards: tuple[Shard, ...], client: Client, loaded: Loaded
) -> None:
    shards[OUT].building = True
    now = index_info(client, "several")
    assert not now.build.ready
    assert now.build.fraction == 0.0  # the least of the three, two of which are ready
    assert f"on {place_of(shards[OUT])}" in now.unfinished
    assert [shard.info.build.ready for shard in now.shards if shard.info] == [True, False, True]
