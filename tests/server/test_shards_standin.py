"""The stand-in for valkey-search in cluster mode, held to what its source says; no recording of a cluster is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from redis.crc import key_slot

from memdb.cluster import engine as local_engine
from tests.standins import Shard, valkey_cluster
from tests.standins.resp import Asking, Refusal
from tests.waiting import until

COUNT, DIM, K = 240, 6, 9
CLAUSE = "*=>[KNN 9 @v $b EF_RUNTIME 200 AS d]"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shard, ...]]:
    folder = tmp_path_factory.mktemp("cluster")
    with local_engine.start(folder, cluster=True, shards=3, log=False) as running:
        running.wait_ready()
        with valkey_cluster(running) as served:
            yield served


@pytest.fixture
def nodes(shards: tuple[Shard, ...]) -> Iterator[list[Asking]]:
    """A connection to each node; the cluster is as it was afterwards."""
    with ExitStack() as stack:
        yield opened(stack, shards)
    for shard in shards:
        shard.down = shard.differs = shard.building = False


@pytest.fixture(scope="module")
def vectors(shards: tuple[Shard, ...]) -> Iterator[np.ndarray]:
    """(COUNT, DIM) float32 of `doc:N`, indexed by `idx` from the second node, with a number and a tag."""
    made = np.random.default_rng(5).standard_normal((COUNT, DIM)).astype("<f4")
    schema = ("n", "NUMERIC", "t", "TAG", "v", "VECTOR", "HNSW", 6)
    schema += ("TYPE", "FLOAT32", "DIM", str(DIM), "DISTANCE_METRIC", "L2")
    with ExitStack() as stack:
        asking = opened(stack, shards)
        asking[1].ask("FT.CREATE", "idx", "PREFIX", 1, "doc:", "SCHEMA", *schema)
        for i, row in enumerate(made):
            asking[at(f"doc:{i}")].ask("HSET", f"doc:{i}", "n", i, "t", f"t{i % 4}", "v", row.tobytes())
        until(lambda: all(b"ready" in node.ask("FT.INFO", "idx") for node in asking), "it is built")
        yield made
        asking[0].ask("FT.DROPINDEX", "idx")
        assert [node.ask("FT._LIST") for node in asking] == [[], [], []]


def at(key: str) -> int:
    """Which of three even shards a key lies on."""
    slot = key_slot(key.encode())
    return (slot >= 5461) + (slot >= 10922)


def opened(stack: ExitStack, shards: tuple[Shard, ...]) -> list[Asking]:
    every = [Asking("127.0.0.1", s.target.port, s.target.username, s.target.password) for s in shards]
    for node in every:
        stack.callback(node.close)
    return every


def told(reply: list[object]) -> dict[bytes, object]:
    return dict(zip(reply[::2], reply[1::2], strict=True))  # type: ignore[arg-type]


def test_any_node_answers_for_all_shards(nodes: list[Asking], vectors: np.ndarray) -> None:
    query = vectors[17] + np.float32(0.1)
    far = ((vectors.astype(np.float64) - query) ** 2).sum(axis=1)
    right = [b"doc:%d" % i for i in np.argsort(far)[:K]]
    holders = {at(key.decode()) for key in right}
    assert len(holders) > 1
    for place, node in enumerate(nodes):
        ask = ("FT.SEARCH", "idx", CLAUSE, "PARAMS", 2, "b", query.tobytes())
        reply = node.ask(*ask)
        assert (reply[0], reply[1::2]) == (K, right)
        assert [float(told(row)[b"d"]) for row in reply[2::2]] == pytest.approx(np.sort(far)[:K], abs=1e-4)
        assert all(len(told(row)) == 4 for row in reply[2::2])  # with the fields of documents elsewhere
        own = node.ask(*ask, "LOCALONLY", "NOCONTENT", "LIMIT", 0, COUNT)[1:]
        here = [i for i in np.argsort(far) if at(f"doc:{i}") == place][:K]
        assert own == [b"doc:%d" % i for i in here]


def test_counts_rows_and_groups_are_of_all_shards(nodes: list[Asking], vectors: np.ndarray) -> None:
    for node in nodes:
        taken = [i for i in range(len(vectors)) if 30 <= i <= 130]
        reply = node.ask("FT.SEARCH", "idx", "@n:[30 130]", "NOCONTENT", "LIMIT", 0, COUNT)
        assert reply[0] == len(taken)
        assert reply[1:] == sorted((b"doc:%d" % i for i in taken), reverse=True)
        assert node.ask("FT.SEARCH", "idx", "@n:[30 130]", "LIMIT", 0, 0) == [len(taken)]
        rows = node.ask("FT.SEARCH", "idx", "@n:[30 130]", "SORTBY", "n", "DESC", "LIMIT", 2, 3)[1::2]
        assert rows == [b"doc:128", b"doc:127", b"doc:126"]
        groups = node.ask(
            "FT.AGGREGATE",
            "idx",
            "@n:[30 130]",
            "LOAD",
            1,
            "t",
            "GROUPBY",
            1,
            "@t",
            "REDUCE",
            "COUNT",
            0,
            "AS",
            "c",
        )
        assert {told(row)[b"t"]: int(told(row)[b"c"]) for row in groups[1:]} == {  # type: ignore[call-overload]
            b"t%d" % tag: sum(i % 4 == tag for i in taken) for tag in range(4)
        }


def test_pages_of_a_query_without_distances_may_overlap(nodes: list[Asking], vectors: np.ndarray) -> None:
    """Each shard brings its first rows in an order of its own, and they are merged in another."""
    pages = [
        nodes[0].ask("FT.SEARCH", "idx", "@n:[0 +inf]", "NOCONTENT", "LIMIT", start, 20)[1:]
        for start in range(0, COUNT, 20)
    ]
    assert len([key for page in pages for key in page]) == COUNT
    assert len({key for page in pages for key in page}) < COUNT


def test_a_shard_out_of_reach_is_left_out_unless_all_are_asked_for(
    nodes: list[Asking], vectors: np.ndarray, shards: tuple[Shard, ...]
) -> None:
    shards[1].down = True
    reached = [i for i in range(len(vectors)) if at(f"doc:{i}") != 1]
    ask = ("FT.SEARCH", "idx", "@n:[0 +inf]", "LIMIT", 0, 0)
    assert nodes[0].ask(*ask) == nodes[0].ask(*ask, "SOMESHARDS") == [len(reached)]
    assert nodes[2].ask(*ask, "ALLSHARDS", "SOMESHARDS") == [len(reached)]  # the last one holds
    for words in (("ALLSHARDS",), ("SOMESHARDS", "ALLSHARDS")):
        with pytest.raises(Refusal, match="cancelled due to timeout"):
            nodes[0].ask(*ask, *words)
    with pytest.raises(OSError, match="closed the connection"):
        nodes[1].ask("PING")
    with pytest.raises(Refusal, match="Unable to contact all cluster members"):
        nodes[0].ask("FT.INFO", "idx", "CLUSTER", "ALLSHARDS")
    assert int(told(nodes[0].ask("FT.INFO", "idx", "PRIMARY", "SOMESHARDS"))[b"num_docs"]) == len(reached)  # type: ignore[call-overload]
    assert told(nodes[2].ask("FT.INFO", "idx"))[b"num_docs"] == sum(at(f"doc:{i}") == 2 for i in range(COUNT))


def test_consistency_is_asked_for(
    nodes: list[Asking], vectors: np.ndarray, shards: tuple[Shard, ...]
) -> None:
    shards[2].differs = True
    ask = ("FT.SEARCH", "idx", "@n:[0 +inf]", "LIMIT", 0, 0)
    assert nodes[0].ask(*ask) == nodes[0].ask(*ask, "CONSISTENT", "INCONSISTENT") == [COUNT]
    with pytest.raises(Refusal, match="Index or slot consistency check failed"):
        nodes[0].ask(*ask, "CONSISTENT", "SOMESHARDS")
    with pytest.raises(Refusal, match="Unable to contact all cluster members"):
        nodes[0].ask("FT.INFO", "idx", "PRIMARY", "CONSISTENT")


@pytest.mark.parametrize("words", [("ONESHARD",), ("ALL", "SHARDS"), ("ALLSHARDS", "1")])
def test_other_words_are_refused(nodes: list[Asking], vectors: np.ndarray, words: tuple[str, ...]) -> None:
    refused = words[0] if words[0] != "ALLSHARDS" else words[1]
    with pytest.raises(Refusal, match=f"Unexpected argument `{refused}`"):
        nodes[0].ask("FT.SEARCH", "idx", "@n:[0 1]", *words)
    with pytest.raises(Refusal, match=f"Unexpected parameter: {refused}"):
        nodes[0].ask("FT.INFO", "idx", *words)
    with pytest.raises(Refusal, match="Unexpected argument `ALLSHARDS`"):
        nodes[0].ask("FT.AGGREGATE", "idx", "@n:[0 1]", "ALLSHARDS")


def test_info_is_of_one_node_or_of_all(
    nodes: list[Asking], vectors: np.ndarray, shards: tuple[Shard, ...]
) -> None:
    held = [sum(at(f"doc:{i}") == place for i in range(COUNT)) for place in range(3)]
    for words in ((), ("LOCAL",), ("local",)):
        assert [told(node.ask("FT.INFO", "idx", *words))[b"num_docs"] for node in nodes] == held
    assert nodes[0].ask("FT.INFO", "idx", "PRIMARY") == [
        b"mode", b"primary", b"index_name", b"idx", b"num_docs", b"%d" % COUNT, b"num_records", b"%d" % (3 * COUNT),
        b"hash_indexing_failures", b"0",
    ]  # fmt: skip
    shards[1].building = True
    whole = told(nodes[2].ask("FT.INFO", "idx", "CLUSTER"))
    assert (whole[b"backfill_complete_percent_min"], whole[b"backfill_complete_percent_max"]) == (
        b"0.000000",
        b"1.000000",
    )
    assert (whole[b"backfill_in_progress"], whole[b"state"]) == (b"1", b"backfill_in_progress")
    assert [told(node.ask("FT.INFO", "idx"))[b"state"] for node in nodes] == [
        b"ready",
        b"backfill_in_progress",
        b"ready",
    ]


def test_an_index_with_a_hash_tag_lies_on_one_shard(nodes: list[Asking], shards: tuple[Shard, ...]) -> None:
    schema = ("SCHEMA", "n", "NUMERIC")
    with pytest.raises(Refusal, match="must not contain a hash tag"):
        nodes[0].ask("FT.CREATE", "one", "PREFIX", 1, "a:{shard0}", *schema)
    with pytest.raises(Refusal, match="PREFIX parameter is required"):
        nodes[0].ask("FT.CREATE", "one{shard0}", *schema)
    with pytest.raises(Refusal, match="the same hash tag as the index"):
        nodes[0].ask("FT.CREATE", "one{shard0}", "PREFIX", 1, "a:{shard1}", *schema)
    nodes[0].ask("FT.CREATE", "one{shard0}", "PREFIX", 1, "a:{shard0}", *schema)
    assert key_slot(b"shard0") == 14_398  # the source's own example: of the third of three shards
    for i in range(7):
        nodes[2].ask("HSET", f"a:{{shard0}}:{i}", "n", i)
    until(lambda: all(b"ready" in node.ask("FT.INFO", "one{shard0}") for node in nodes), "it is built")
    assert all(b"one{shard0}" in node.ask("FT._LIST") for node in nodes)
    assert [told(node.ask("FT.INFO", "one{shard0}"))[b"num_docs"] for node in nodes] == [0, 0, 7]
    for shard in shards:
        shard.counts.clear()
    for node in nodes:
        assert node.ask("FT.SEARCH", "one{shard0}", "@n:[0 5]", "LIMIT", 0, 0) == [6]
    assert [shard.counts.get("nonvector", 0) for shard in shards] == [0, 0, 3]
    shards[0].down = True  # it has nothing of this index
    assert nodes[1].ask("FT.SEARCH", "one{shard0}", "@n:[0 5]", "LIMIT", 0, 0, "ALLSHARDS") == [6]
    shards[0].down = False
    nodes[2].ask("FT.DROPINDEX", "one{shard0}")


def test_nodes_name_each_other_by_the_ports_that_clients_reach(
    nodes: list[Asking], shards: tuple[Shard, ...]
) -> None:
    fronts = {shard.target.port for shard in shards}
    for place, node in enumerate(nodes):
        rows = node.ask("CLUSTER", "NODES").decode().splitlines()
        assert {int(row.split()[1].split("@")[0].rpartition(":")[2]) for row in rows} == fronts
        slots = node.ask("CLUSTER", "SLOTS")
        assert {(a, b): at[1] for a, b, at in slots} == {s.slots: s.target.port for s in shards}
        elsewhere = next(f"k{i}" for i in range(99) if at(f"k{i}") != place)
        with pytest.raises(Refusal, match=f"MOVED .*:{shards[at(elsewhere)].target.port}"):
            node.ask("GET", elsewhere)
