"""The bill of four workloads, each recomputed here from prices read out of the file and arithmetic of its own."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import memdb.sizing
from memdb.cli.entry import main
from memdb.sizing import catalogue, facts, services
from memdb.sizing.constraints import Load, broken, constraints
from memdb.sizing.model import predict
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.services import Bill, Wishes
from memdb.sizing.shape import Sessions, Shape

BOOK = catalogue.load()
FILE = tomllib.loads((Path(memdb.sizing.__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
PRICE = {entry["id"]: entry["value"] for entry in FILE["prices"] if entry["region"] == "us-east-1"}
GIB, TIB, MONTH_S = 2**30, 2**40, 730 * 3_600
NONE = Sessions()

RAG = (Shape(100_000, 1_024, metadata_bytes=512, text_bytes=1_500), NONE, Load(2, 0.05, 8, 1, 1, 7))
TENANTS = (
    Shape(10_000_000, 1_024, metadata_bytes=1_024, key_bytes=40),
    NONE,
    Load(1_000_000 / MONTH_S, 0.5, 10, 1, 1, 1, tenants=40, written_together=200),
)
LARGE = (Shape(50_000_000, 1_536, metadata_bytes=1_024), NONE, Load(50, 100, 10, 1, 1, 1))
SESSIONS = (Shape(0, 1_536), Sessions(50, 4_000, 1_800), Load(0, 0, 10, 1, 1, 1))


def bills(workload: tuple[Shape, Sessions, Load]) -> dict[str, Bill]:
    shape, sessions, load = workload
    needed = predict(shape, BUILT_IN["memorydb"], sessions).total_bytes
    return {b.title: b for b in services.bills(shape, sessions, load, needed, BOOK, Wishes())}


def nodes_usd(service: str, needed: float, replicas: int, *, shards: bool, durable: bool = False) -> float:
    """The cheapest month of nodes that hold so much beside a quarter kept free: tried one by one."""
    months = []
    for node in FILE["nodes"]:
        price = PRICE.get(f"{service}/{node['name']}/valkey")
        if node["service"] != service or not node["search"] or price is None:
            continue
        if durable and node["name"].split(".")[1] not in ("r6g", "r7g"):
            continue
        count = math.ceil(needed / (node["memory_bytes"] * 0.75))
        if count <= 1 or shards:
            months.append(max(1, count) * (1 + replicas) * 730 * price)
    return min(months, default=math.nan)


def s3_usd(workload: tuple[Shape, Sessions, Load]) -> float:
    """Storage, PUTs, requests and what they read, as AWS's price page has them."""
    shape, _, load = workload
    kept = shape.key_bytes + 4 * shape.dim + shape.metadata_bytes + shape.text_bytes
    read = shape.key_bytes + 4 * shape.dim + shape.metadata_bytes
    queries = load.queries_per_s * MONTH_S
    together = max(load.written_together, load.written_per_s / load.tenants)  # a PUT is of one index
    puts = load.written_per_s * MONTH_S / together
    one_index = shape.vectors / load.tenants
    read_usd = 0.0
    for low, high, name in (
        (0, 1e5, "processed_first"),
        (1e5, 1e7, "processed_next"),
        (1e7, math.inf, "processed_above"),
    ):
        read_usd += max(0.0, min(one_index, high) - low) * read / TIB * PRICE[f"s3vectors/{name}"]
    return (
        shape.vectors * kept / GIB * 0.06
        + puts * max(128 * 1_024, together * kept) / GIB * 0.20
        + queries / 1e6 * 2.50
        + queries * read_usd
    )


@pytest.mark.parametrize(
    "workload", [RAG, TENANTS, LARGE, SESSIONS], ids=["rag", "tenants", "large", "sessions"]
)
def test_nodes_of_memorydb_and_of_elasticache_in_each_mode(workload: tuple[Shape, Sessions, Load]) -> None:
    shape, sessions, load = workload
    made = bills(workload)
    needed = predict(shape, BUILT_IN["memorydb"], sessions).total_bytes
    by_hand = nodes_usd("memorydb", needed, 1, shards=False)
    if math.isnan(by_hand):
        assert made["MemoryDB"].monthly_usd is None
        assert "one shard" in made["MemoryDB"].why
    else:
        written = load.written_per_s * services.document_bytes(shape) + sessions.per_second * sessions.bytes
        beyond = max(0.0, written * MONTH_S / GIB - 10_240) * PRICE["memorydb/written/valkey"]
        days = (load.snapshot_days - 1) * needed / GIB * PRICE["memorydb/snapshot"]
        assert made["MemoryDB"].monthly_usd == pytest.approx(by_hand + beyond + days)
        assert made["MemoryDB"].interval_usd == pytest.approx(
            (by_hand * 0.7 + beyond + days, by_hand * 1.3 + beyond + days)
        )
    cache = predict(shape, BUILT_IN["elasticache"], sessions).total_bytes
    assert made["ElastiCache for Valkey"].monthly_usd == pytest.approx(
        nodes_usd("elasticache", cache, 1, shards=True)
    )
    durable = pytest.approx(nodes_usd("elasticache", cache, 1, shards=True, durable=True))
    assert made["ElastiCache for Valkey, async"].monthly_usd == durable
    sync = made["ElastiCache for Valkey, sync"]
    assert sync.monthly_usd == durable
    assert sync.unknown
    assert sync.words.startswith("at least $")


@pytest.mark.parametrize("workload", [RAG, TENANTS, LARGE], ids=["rag", "tenants", "large"])
def test_s3_vectors_and_opensearch(workload: tuple[Shape, Sessions, Load]) -> None:
    shape, _, _ = workload
    made = bills(workload)
    assert made["S3 Vectors"].monthly_usd == pytest.approx(s3_usd(workload))
    graphs = 1.1 * (4 * shape.dim + 8 * 16) * shape.vectors
    halves = max(1, math.ceil(graphs / (3 * GIB) * 2))
    stored = shape.vectors * services.document_bytes(shape) / GIB * 0.024
    assert made["OpenSearch Serverless (CLASSIC)"].monthly_usd == pytest.approx(
        2 * (halves / 2 + 0.5) * 730 * 0.24 + stored
    )
    assert made["OpenSearch Serverless (NEXTGEN)"].monthly_usd is None


def test_sessions_alone_have_no_price_where_none_can_be_kept() -> None:
    made = bills(SESSIONS)
    for title in ("S3 Vectors", "OpenSearch Serverless (CLASSIC)", "OpenSearch Serverless (NEXTGEN)"):
        assert made[title].monthly_usd is None
        assert made[title].why


def test_aws_s_worked_example_of_s3_vectors() -> None:
    """10 million × 1,024 in 40 indexes, 1 KB of metadata read and 1 KB not, keys of 0.17 KB; 1 million queries, a
    sixth of the vectors written again in large PUTs: AWS says $11.38. In one index $97 of data are read."""
    shape = Shape(10_000_000, 1_024, metadata_bytes=1_024, text_bytes=1_024, key_bytes=174)
    load = Load(1_000_000 / MONTH_S, 10_000_000 / 6 / MONTH_S, 10, tenants=40, written_together=500)
    example = services.s3vectors(shape, load, BOOK, Wishes())
    assert example.monthly_usd == pytest.approx(facts.value("s3vectors/example"), abs=0.02)
    lines = {line.item: line.usd for line in example.lines}
    assert lines["storage"] == pytest.approx(3.53, abs=0.005)
    assert lines["queries"] == pytest.approx(2.50, abs=0.005)
    assert lines["data read by queries"] == pytest.approx(3.37, abs=0.005)
    one = services.s3vectors(shape, replace(load, tenants=1), BOOK, Wishes())
    read = {line.item: line.usd for line in one.lines}["data read by queries"]
    assert read == pytest.approx(97.3, abs=0.1)
    assert any("knows its tenant" in note for note in one.notes)
    assert not any("knows its tenant" in note for note in example.notes)


def test_documents_of_several_tenants_share_no_put() -> None:
    """3 documents a second: one PUT of 3 in one index, and for 9 tenants a PUT each, counted as 128 KB."""
    shape, load = Shape(3_000_000, 768, metadata_bytes=500), Load(7, 3, 20)
    for tenants, puts, words in (
        (1, 2_628_000, "2,628,000 PUTs of 3 documents"),
        (9, 7_884_000, "7,884,000 PUTs,"),
    ):
        bill = services.s3vectors(shape, replace(load, tenants=tenants), BOOK, Wishes())
        (written,) = (line for line in bill.lines if line.item == "writes")
        assert written.usd == pytest.approx(puts * 128 * 1_024 / GIB * 0.20)
        assert written.how.startswith(words)


def test_durable_modes_need_a_replica_and_shards_for_their_writes_and_no_t4g() -> None:
    small, load = Shape(10_000, 128), Load(replicas=0)
    assert services.elasticache(small, NONE, load, BOOK, Wishes()).monthly_usd is not None
    for mode in ("async", "sync"):
        assert (
            "At least 1 replica a shard; yours 0."
            in services.elasticache(small, NONE, load, BOOK, Wishes(), mode).why
        )
    cache = services.elasticache(small, NONE, Load(), BOOK, Wishes()).choice
    durable = services.elasticache(small, NONE, Load(), BOOK, Wishes(), "sync").choice
    assert cache is not None
    assert durable is not None
    assert (cache.node.family, durable.node.family) == ("t4g", "r6g")
    # 250 MiB a second are more than two primaries take.
    heavy = replace(Load(), written_per_s=250 * 2**20 / services.document_bytes(small))
    busy = services.elasticache(small, NONE, heavy, BOOK, Wishes(), "async").choice
    assert busy is not None
    assert busy.shards == 3
    memorydb = constraints("memorydb", small, heavy, 250 * 2**20 / 1e6)
    assert any("MB/s" in limit.text for limit in broken(memorydb))


def test_the_command_tells_what_the_page_tells(capsys: pytest.CaptureFixture[str]) -> None:
    words = "compare --vectors 10000000 --dim 1024 --queries 0.38 --tenants 40 --together 200 --yes durable,tenant"
    assert main([*words.split(), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_title = {bill["title"]: bill for bill in told["bills"]}
    shape = Shape(10_000_000, 1_024, metadata_bytes=1_024)
    load = Load(0.38, 1, 10, 1, 2, 7, 40, 200)
    assert by_title["S3 Vectors"]["monthly_usd"] == pytest.approx(s3_usd((shape, NONE, load)), abs=0.01)
    assert told["advice"]["service"] == "S3 Vectors"
    assert main(words.split()) == 0
    assert "at least $" in capsys.readouterr().out


def test_more_indexes_than_one_bucket_holds_go_into_several() -> None:
    """20,000 tenants of 3,000 vectors: two buckets. 768 numbers and a key of 20 bytes are read of each vector."""
    shape = Shape(60_000_000, 768, metadata_bytes=0, key_bytes=20)
    load = Load(3, 0, 10, tenants=20_000)
    bill = services.s3vectors(shape, load, BOOK, Wishes())
    assert bill.why == ""
    read = {line.item: line.usd for line in bill.lines}["data read by queries"]
    assert read == pytest.approx(
        3 * MONTH_S * 3_000 * (768 * 4 + 20) / TIB * PRICE["s3vectors/processed_first"]
    )
    assert any("20,000 in 2." in limit.text for limit in bill.constraints)
    assert services.s3vectors(shape, replace(load, tenants=100_000_001), BOOK, Wishes()).why
