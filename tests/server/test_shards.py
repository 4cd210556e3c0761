"""The library on several shards of valkey-search: every figure against a computation over what was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from redis.crc import key_slot

from memdb.cli import main
from memdb.cluster import engine as local_engine
from memdb.cluster.client import Client, connect
from memdb.cluster.room import room
from memdb.cluster.target import Target
from memdb.cluster.topology import Node
from memdb.errors import Busy, SilentShard, Unreachable
from memdb.maps.request import MapRequest
from memdb.maps.sample import sample
from memdb.operations.past import NodeNow, in_all
from memdb.operations.samples import sample_all
from memdb.sessions import bulk, indexed, listing
from memdb.sessions.filters import SessionFilter
from memdb.sessions.formats import HISTORY
from memdb.sessions.known import MESSAGE_LIST
from memdb.sessions.store import count
from memdb.tuning import queries, shadow, store
from memdb.tuning import sweep as timing
from memdb.tuning.by_shard import by_shard
from memdb.tuning.plan import plan
from memdb.tuning.run import Goal, Run, SweepRequest
from memdb.tuning.shadow import Variant
from memdb.tuning.source import Given, Selected
from memdb.tuning.sweep import sweep
from memdb.vectors import counts, index, read, search
from memdb.vectors.conditions import Range, Raw, Tag
from memdb.vectors.exact import nearest
from memdb.vectors.hybrid import HybridRequest, hybrid
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, NumericField, TagField, TextField, index_info
from memdb.vectors.query import KnnRequest, vector_param
from memdb.vectors.words import WordsRequest, words
from tests.conftest import clean
from tests.standins import Shard, memorydb, valkey_cluster, valkey_search
from tests.standins.resp import Asking
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


@pytest.fixture
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are not what these sweeps are about."""
    monkeypatch.setattr(timing, "LEAST_CALLS", 3)
    monkeypatch.setattr(timing, "LATENCY_S", 0.1)


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


def admin(shards: tuple[Shard, ...], node: Node, *words: str | int) -> None:
    """A command to a node that the product's client does not send."""
    shard = next(shard for shard in shards if shard.target.port == node.port)
    with closing(
        Asking("127.0.0.1", shard.target.port, shard.target.username, shard.target.password)
    ) as there:
        there.ask(*words)


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
    client.execute("DEL", *(f"o:{{shard0}}:{i}" for i in range(9)))


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


def swept(client: Client, info: IndexInfo, home: Path, condition: str = "*") -> Run:
    """A sweep whose queries are documents, so that each is left out of its own answer."""
    own = [f"w:{i}" for i in range(5, 120, 5)]
    request = SweepRequest(
        "several",
        k=K,
        ef_min=K + 1,
        ef_max=16,
        goal=Goal("recall", 0.9),
        concurrency=(),
        filter=condition,
        source=Selected(tuple(own)),
    )
    run = sweep(client, info, request, queries.of_keys(client, info, "", tuple(own)), home=home)
    store.save(run, home)
    return run


@pytest.mark.usefixtures("few_calls")
@pytest.mark.parametrize("condition", ["*", "@t:{t1|t2|t4}"])
def test_recall_of_each_shard_is_that_of_its_true_neighbours(
    client: Client, info: IndexInfo, loaded: Loaded, tmp_path: Path, condition: str
) -> None:
    run = swept(client, info, tmp_path, condition)
    rows = [i for i in range(COUNT) if condition == "*" or i % 7 in (1, 2, 4)]
    held = [sum(loaded.shard(i) == place for i in range(COUNT)) for place in range(3)]
    assert [shard.documents for shard in run.shards] == held
    assert run.truth.looked_at == len(rows)
    some_missed = 0
    for point in run.points:
        there, came = np.zeros(3, int), np.zeros(3, int)
        for query, own in zip(run.queries.vectors, run.queries.own_keys, strict=True):
            true = loaded.nearest(query, [i for i in rows if loaded.key(i) != own])
            knn = replace(asked(query, Raw(condition), point.ef_runtime), k=K + 1)
            hits = [key for key in search.knn(client, knn, info).keys if key != own][:K]
            for key in true:
                there[loaded.shard(int(key[2:]))] += 1
                came[loaded.shard(int(key[2:]))] += key in hits
        told = by_shard(run, point.ef_runtime)
        assert [row.neighbours for row in told] == there.tolist()
        assert [row.returned for row in told] == came.tolist()
        assert [row.recall for row in told] == pytest.approx(came / there)
        assert point.recall == pytest.approx(came.sum() / there.sum(), abs=1e-6)
        assert all(row.low <= row.recall <= row.high for row in told)
        some_missed += int((there - came).sum())
    assert some_missed > 0
    kept = store.load(tmp_path, run.id)
    assert [by_shard(kept, p.ef_runtime) for p in kept.points] == [
        by_shard(run, p.ef_runtime) for p in run.points
    ]


@pytest.mark.usefixtures("few_calls")
def test_the_command_line_tells_recall_by_shard(
    shards: tuple[Shard, ...],
    loaded: Loaded,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEMDB_URL", shards[1].target.url)
    np.save(tmp_path / "queries.npy", QUERIES)
    words = ["recall", "--index", "several", "--queries", str(tmp_path / "queries.npy")]
    words += ["--ef-max", "11", "--clients", "0"]
    main([*words, "--target", "0.5", "--json"])
    told = json.loads(capsys.readouterr().out)
    by_ef: dict[int, list[dict[str, float]]] = {}
    for row in told["shards"]:
        by_ef.setdefault(row["ef_runtime"], []).append(row)
    for point in told["curve"]:
        rows = by_ef[point["ef_runtime"]]
        assert [row["address"] for row in rows] == [place_of(shard) for shard in shards]
        assert sum(row["neighbours"] for row in rows) == len(QUERIES) * K
        assert sum(row["returned"] for row in rows) / (len(QUERIES) * K) == pytest.approx(
            point["recall"], abs=1e-4
        )
    main([*words, "--target", "0.5"])
    shown = capsys.readouterr().out
    assert "By shard at EF_RUNTIME" in shown
    assert all(place_of(shard) in shown for shard in shards)


def test_a_shard_that_goes_away_ends_a_sweep_and_is_named(
    shards: tuple[Shard, ...], client: Client, info: IndexInfo
) -> None:
    def goes(run: Run) -> None:
        shards[OUT].down = bool(run.points)

    request = SweepRequest("several", k=K, ef_max=40, concurrency=(), source=Given())
    given = queries.made(QUERIES, tuple(map(str, range(len(QUERIES)))), ("",) * len(QUERIES), Given())
    run = sweep(client, info, request, given, keep=goes)
    assert run.partial
    assert any(f"The shard at {place_of(shards[OUT])} does not answer" in note for note in run.notes)
    assert len(run.shards) == 3
    with pytest.raises((Busy, Unreachable), match=place_of(shards[OUT])):
        sweep(client, info, request, given)  # nothing is measured of two shards


def test_a_map_is_of_all_shards(client: Client, info: IndexInfo, loaded: Loaded) -> None:
    made = sample(client, info, MapRequest("several", by="all"))
    assert sorted(made.keys) == sorted(map(loaded.key, range(COUNT)))
    assert made.total == COUNT
    some = sample(client, info, MapRequest("several", count=90, condition="@t:{t6}"))
    assert len(some.keys) == 90
    assert all(int(key[2:]) % 7 == 6 for key in some.keys)
    assert {loaded.shard(int(key[2:])) for key in some.keys} == {0, 1, 2}


def test_memory_and_metrics_are_of_each_shard_and_of_all(
    shards: tuple[Shard, ...],
    client: Client,
    loaded: Loaded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken = sample_all(client)
    assert [sample.figures["keys"] for sample in taken] == [
        sum(loaded.shard(i) == place for i in range(COUNT)) for place in range(3)
    ]
    assert [sample.indexes[0].documents for sample in taken] == [sample.figures["keys"] for sample in taken]
    monkeypatch.setenv("MEMDB_URL", shards[0].target.url)
    main(["memory", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["in_all"]["shards"] == 3
    assert told["in_all"]["keys"] == COUNT == sum(node["keys"] for node in told["nodes"])
    assert told["in_all"]["used"] == sum(node["used"] for node in told["nodes"])
    assert told["in_all"]["parts"]["vectors"] == COUNT * DIM * 4
    shards[OUT].down = True
    assert main(["memory"]) == 1
    shown = capsys.readouterr().out
    assert "2 of 3 shards" in shown
    assert f"The shard at {place_of(shards[OUT])} does not answer" in shown


def test_figures_are_summed_over_primaries_that_told_them() -> None:
    first = NodeNow("a:1", "primary", 0.0, {"used_bytes": 10.0, "keys": 3.0, "searches": 1.5})
    second = NodeNow("b:2", "primary", 0.0, {"used_bytes": 20.0, "keys": 4.0})
    replica = NodeNow("c:3", "replica", 0.0, {"used_bytes": 99.0, "keys": 3.0, "searches": 9.0})
    assert in_all((first, second, replica)) == {"used_bytes": 30.0, "keys": 7.0}
    assert in_all((first, replace(second, problem="gone"))) == {}
    assert in_all(()) == {}


def test_room_is_that_of_the_fullest_shard(
    shards: tuple[Shard, ...], client: Client, info: IndexInfo
) -> None:
    shares = {s.node.address: s.info.documents / COUNT for s in info.shards if s.info}
    used: dict[str, int] = {}
    for i, shard in enumerate(info.shards):
        node = client.on(shard.node)
        used[shard.node.address] = int(node.info("memory")["memory"]["used_memory"])
        admin(
            shards, shard.node, "CONFIG", "SET", "maxmemory", used[shard.node.address] + (i + 1) * 30_000_000
        )
    try:
        told = room(client, shares)
        assert told.limited
        fullest = info.shards[0].node.address
        assert told.fullest == fullest
        # What a shard uses moves by some kilobytes from one look to the next.
        assert told.left == pytest.approx(30_000_000 / shares[fullest], rel=0.05)
        assert told.used == pytest.approx(sum(used.values()), rel=0.1)
        assert told.most == sum(used.values()) + 180_000_000
        checked = shadow.check(client, info, "v", (Variant(m=8, ef_construction=40),))
        assert (checked.refusals, checked.need_bytes < told.left) == ((), True)
    finally:
        for shard in info.shards:
            admin(shards, shard.node, "CONFIG", "SET", "maxmemory", 0)


def test_a_shadow_index_is_built_on_all_shards(client: Client, info: IndexInfo, loaded: Loaded) -> None:
    built = shadow.build(client, info, "v", Variant(m=24, ef_construction=120))
    try:
        made = index_info(client, built.name)
        assert built.documents == made.documents == COUNT
        assert [s.info.documents for s in made.shards if s.info] == [
            s.info.documents for s in info.shards if s.info
        ]
        knn = KnnRequest(built.name, vector_param(QUERIES[0]), "v", K, 200)
        assert set(search.knn(client, knn, made).keys) == set(loaded.nearest(QUERIES[0], list(range(COUNT))))
    finally:
        shadow.drop(client, built.name, built.name)
    assert index.index_names(client) == ("several",)


def test_how_a_filter_was_run_is_told_only_where_all_shards_agree(
    client: Client, info: IndexInfo, loaded: Loaded
) -> None:
    """A shard of which nothing matches compares, one of which something does walks its graph."""
    elsewhere = next(i for i in range(COUNT) if i % 3 and loaded.shard(i) != 0)
    told = plan(client, asked(QUERIES[0], Range("n", elsewhere, elsewhere)), info)
    assert (told.exact, "shards decided differently" in told.words) == (None, True)
    assert plan(client, asked(QUERIES[0], Range("n", -9, -5)), info).exact is True
    walked = plan(client, asked(QUERIES[0], Range("n", 0, COUNT)), info)
    assert (walked.exact, walked.details) == (False, (("prefiltering", "+0"), ("inline filtering", "+3")))


@pytest.mark.usefixtures("few_calls")
@pytest.mark.parametrize("dialect", ["redisearch", "valkey-search", "memorydb"])
def test_one_shard_is_asked_and_told_as_before(server_target: Target, prefix: str, dialect: str) -> None:
    served = {"valkey-search": valkey_search, "memorydb": memorydb}
    with ExitStack() as stack:
        target = server_target
        if dialect in served:
            target = stack.enter_context(served[dialect](server_target)).target
        opened = stack.enter_context(connect(replace(target, writable=True)))
        stack.callback(clean, opened, prefix)
        opened.pipeline([("HSET", f"{prefix}{i}", "n", i, "v", QUERIES[i].tobytes()) for i in range(12)])
        fields = (NumericField("n"), HnswField("v", DIM, metric="L2"))
        index.create(opened, IndexSpec(prefix + "idx", fields, (prefix,)))
        until(lambda: index_info(opened, prefix + "idx").build.ready, "the index is built")
        info = index_info(opened, prefix + "idx")
        assert (opened.server.dialect.name, info.documents, info.shards, info.missing) == (
            dialect,
            12,
            (),
            (),
        )
        came = search.knn(opened, KnnRequest(info.name, vector_param(QUERIES[4]), "v", 3, 50), info)
        far = ((QUERIES[:12].astype(float) - QUERIES[4]) ** 2).sum(axis=1)
        assert came.keys == tuple(f"{prefix}{i}" for i in np.argsort(far)[:3])
        assert not {"ALLSHARDS", "SOMESHARDS"} & set(came.command.args)
        assert search.count(opened, info, Range("n", 3, 7)) == 5
        assert room(opened).fullest == ""
        made = queries.made(QUERIES[:3], ("a", "b", "c"), (), Given())
        request = SweepRequest(info.name, k=2, ef_max=12, concurrency=(), source=Given())
        assert sweep(opened, info, request, made).shards == ()


def test_words_are_searched_on_all_shards(shards: tuple[Shard, ...], client: Client) -> None:
    """Words, and both fused: of all shards, or the silent one is told."""
    said = ["restore", "rotate", "count"]
    index.create(client, IndexSpec("said", (TextField("t"), HnswField("v", DIM, "COSINE")), ("said:",)))
    vectors = np.random.default_rng(5).standard_normal((60, DIM)).astype("<f4")
    client.pipeline([("HSET", f"said:{i}", "t", said[i % 3], "v", vectors[i].tobytes()) for i in range(60)])
    until(lambda: index_info(client, "said").documents == 60, "the documents are indexed")
    info = index_info(client, "said")
    own = {f"said:{i}" for i in range(60) if i % 3 == 1}
    request = WordsRequest("said", "rotate", 60)
    assert set(words(client, info, request).keys) == own
    near = KnnRequest("said", vector_param(vectors[0]), "v", 60, 200)
    both = hybrid(client, info, HybridRequest(near, "rotate"))
    assert {hit.key for hit in both.hits if hit.words} == own
    assert len(both.keys) == 60
    shards[OUT].down = True
    with pytest.raises(SilentShard, match="nothing is told of all shards"):
        words(client, info, request)
    shards[OUT].down = False
    index.drop(client, "said")
    client.execute("DEL", *(f"said:{i}" for i in range(60)))


def test_sessions_are_listed_searched_and_changed_on_all_shards(
    shards: tuple[Shard, ...], client: Client
) -> None:
    """With an index over them and without: every session once, whichever shard holds it."""
    said = ["green tea", "more tea, please", "coffee"]
    keys = [f"session:{i}" for i in range(90)]
    assert {(slot >= 5461) + (slot >= 10922) for key in keys for slot in [key_slot(key.encode())]} == {
        0,
        1,
        2,
    }
    rows = []
    for i, key in enumerate(keys):
        history = json.dumps([{"role": "user", "content": said[i % 3]}])
        rows.append(("HSET", key, "user_id", f"u{i % 4}", "context", "c", HISTORY, history))
    client.pipeline(rows)
    lists = [f"chat:{i}" for i in range(30)]
    client.pipeline(
        [("RPUSH", k, json.dumps({"role": "user", "content": said[i % 3]})) for i, k in enumerate(lists)]
    )
    indexed.create(client)
    until(lambda: (info := indexed.find(client)) is not None and info.documents == 90, "they are indexed")
    info = indexed.find(client)
    assert info is not None
    assert len(info.shards) == 3
    of_user = SessionFilter(user="u1")
    for over in (None, info):
        for wanted, right in (
            (SessionFilter(), keys),
            (of_user, keys[1::4]),
            (SessionFilter(words=("tea",)), [key for i, key in enumerate(keys) if i % 3 != 2]),
            (SessionFilter(user="u1", words=("coffee",)), [k for i, k in enumerate(keys) if i % 12 == 5]),
        ):
            listed, cursor = [], ""
            while True:
                part = listing.page(client, wanted=wanted, cursor=cursor, size=7, index=over)
                listed += [session.key for session in part.sessions]
                cursor = part.next_cursor
                if part.complete:
                    break
            assert sorted(listed) == sorted(right), (over, wanted)
            came = listing.search(client, wanted=wanted, index=over)
            assert {session.key for session in came.sessions} == set(right)
            assert came.complete
    assert count(client).value == 90
    planned = bulk.plan(client, of_user, bulk.Action("expire", 500))
    assert sorted(planned.keys) == sorted(keys[1::4])
    assert bulk.apply(client, planned).changed == len(planned.keys)
    assert {key for key in keys if client.execute("TTL", key) > 0} == set(keys[1::4])
    gone = bulk.plan(
        client, SessionFilter(words=("tea",)), bulk.Action("delete"), replace(MESSAGE_LIST, prefix="chat:")
    )
    assert sorted(gone.keys) == sorted(key for i, key in enumerate(lists) if i % 3 != 2)
    assert bulk.apply(client, gone).changed == 20
    assert [key for key in lists if client.execute("EXISTS", key)] == lists[2::3]
    index.drop(client, info.name)
    client.execute("DEL", *keys, *lists)
