"""Bills by hand, choices, forecast, break-even, the price of recall. docs/sizing.md shows the same sums."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from memdb.errors import BadInput, OutOfRange
from memdb.sizing import advisor, catalogue, forecast, plan, recall_price, services
from memdb.sizing.choose import choose, split, usable
from memdb.sizing.constraints import Load, broken, constraints
from memdb.sizing.profiles import BUILT_IN
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions, Shape

BOOK = catalogue.load()
SHAPE = Shape(1_000_000, 1_536, m=16, metadata_bytes=1_024)
LOAD = Load(queries_per_s=10, written_per_s=1, query_k=10, replicas=2, snapshot_days=7)
NONE = Sessions()
HERE = Wishes()


def usd(bill: services.Bill) -> dict[str, float]:
    return {line.item: line.usd for line in bill.lines}


def test_every_price_has_a_grade_a_source_a_date_and_a_region() -> None:
    for price in BOOK.prices:
        assert price.grade in catalogue.GRADES
        assert price.source
        assert price.date.startswith("2026")
        assert price.currency == "USD"
        assert price.value > 0
    assert len({(p.id, p.region) for p in BOOK.prices}) == len(BOOK.prices)
    for node in BOOK.nodes:
        assert node.source
        assert node.memory_bytes > 1e9


def test_memorydb_by_hand() -> None:
    """10 GiB do not fit r6g.large (10.53e9 free of 14.04e9), so r6g.xlarge: 3 × 730 × 0.43155."""
    bill = services.memorydb(SHAPE, NONE, LOAD, 10 * services.GB, BOOK, HERE)
    assert bill.choice is not None
    assert (bill.choice.node.name, bill.choice.nodes) == ("db.r6g.xlarge", 3)
    assert usd(bill) == pytest.approx({"nodes": 945.09, "data written": 0.0, "snapshots": 1.26}, abs=0.01)
    assert bill.monthly_usd == pytest.approx(946.35, abs=0.01)
    assert bill.grade == "estimate"


def test_memorydb_data_written_beyond_the_free_10_tb() -> None:
    """2,000 documents a second × 7,188 B × 2,628,000 s = 35,185.0 GB; less 10,240 free; × $0.04."""
    bill = services.memorydb(SHAPE, NONE, replace(LOAD, written_per_s=2_000), 10 * services.GB, BOOK, HERE)
    assert usd(bill)["data written"] == pytest.approx((35_185.0 - 10_240) * 0.04, abs=0.5)
    redis = services.memorydb(SHAPE, NONE, LOAD, 10 * services.GB, BOOK, Wishes(flavour="redis"))
    assert usd(redis)["data written"] == pytest.approx(17.593 * 0.20, abs=0.01)


def test_elasticache_by_hand() -> None:
    """16.73e9 B by the elasticache profile: one shard of r6g.xlarge (21.2e9 free), 3 × 730 × 0.3288."""
    bill = services.elasticache(SHAPE, NONE, LOAD, BOOK, HERE)
    assert bill.choice is not None
    assert (bill.choice.node.name, bill.choice.shards, bill.choice.nodes) == ("cache.r6g.xlarge", 1, 3)
    assert bill.monthly_usd == pytest.approx(720.07, abs=0.01)
    many = services.elasticache(replace(SHAPE, vectors=30_000_000), NONE, LOAD, BOOK, HERE)
    assert many.choice is not None
    assert many.choice.shards > 1


def test_s3_vectors_by_hand() -> None:
    """6.694 GB × 0.06; 2,628,000 PUTs of 128 KB × 0.20; 26.28 million × 2.50; each reads 1,000,000 × 7,188 B:
    (100,000 × 0.004 + 900,000 × 0.002) × 7,188 B ÷ 2^40 = $14.38 a million."""
    bill = services.s3vectors(SHAPE, LOAD, BOOK, HERE)
    assert usd(bill) == pytest.approx(
        {
            "storage": 0.40,
            "writes": 64.16,
            "queries": 65.70,
            "data read by queries": 377.97,
            "data returned": 0.0,
        },
        abs=0.01,
    )
    assert bill.monthly_usd == pytest.approx(508.23, abs=0.02)
    assert bill.grade == "third party"


def test_without_vectors_no_typed_write_or_query_costs_anything() -> None:
    """A form keeps what was typed: writes and queries of documents that do not exist are not billed."""
    empty, typed = replace(SHAPE, vectors=0), replace(LOAD, written_per_s=5_000, queries_per_s=100)
    for sessions in (NONE, Sessions(per_second=50, bytes=4_000, ttl_s=1_800)):
        for bill in (
            services.s3vectors(empty, typed, BOOK, HERE, sessions),
            services.opensearch(empty, typed, BOOK, HERE, sessions),
        ):
            assert bill.monthly_usd is None
            assert "no vectors" in bill.why
        memorydb = services.memorydb(empty, sessions, typed, 1e9, BOOK, HERE)
        assert usd(memorydb)["data written"] == 0  # 50 × 4,000 B × 2,628,000 s = 490 GB, of 10 TB free
        assert memorydb.constraints == services.memorydb(empty, sessions, LOAD, 1e9, BOOK, HERE).constraints


def test_opensearch_by_hand() -> None:
    """1.1 × (6,144 + 128) × 10^6 = 6.90e9 B, twice 2.14 half-OCUs of 3 GiB: 2.5; 2 × (2.5 + 0.5) × 730 × 0.24."""
    bill = services.opensearch(SHAPE, LOAD, BOOK, HERE)
    assert usd(bill) == pytest.approx({"OCU hours": 1_051.20, "storage": 0.16}, abs=0.01)
    floor = services.opensearch(Shape(1_000, 100), LOAD, BOOK, HERE)
    assert usd(floor)["OCU hours"] == pytest.approx(350.40)


def test_the_next_generation_has_no_price_until_one_is_given() -> None:
    bill = services.opensearch(SHAPE, LOAD, BOOK, HERE, next_gen=True)
    assert bill.monthly_usd is None
    assert "enter yours" in bill.why
    mine = BOOK.changed({"opensearch/ocu_nextgen": 0.2}, "us-east-1")
    assert services.opensearch(SHAPE, LOAD, mine, HERE, next_gen=True).grade == "estimate"
    assert services.opensearch(Shape(1_000, 100), LOAD, mine, HERE, next_gen=True).grade == "yours"


def test_what_a_service_cannot_do_has_no_price() -> None:
    wide = Shape(1_000, 8_000)
    bill = services.s3vectors(wide, LOAD, BOOK, HERE)
    assert bill.monthly_usd is None
    assert "Dimension at most 4,096; yours 8,000" in bill.why
    double = services.memorydb(replace(SHAPE, type="FLOAT64"), NONE, LOAD, 1e9, BOOK, HERE)
    assert double.monthly_usd is None
    assert "FLOAT32 only" in double.why


def test_constraints_as_memorydb_has_them() -> None:
    found = constraints("memorydb", SHAPE, replace(LOAD, indexes=11, replicas=2), 140.0)
    assert [c.text for c in broken(found)] == [
        "At most 10 indexes; yours 11.",
        "About 100 MB/s of writes; yours 140 MB/s.",
    ]
    assert any("one shard only" in c.text for c in found)
    assert all(c.source for c in found)


def test_the_smallest_that_fits_and_the_next_two() -> None:
    found = choose(15e9, BOOK).options
    assert [c.node.name for c in found] == ["db.r6g.xlarge", "db.r7g.xlarge", "db.r6g.2xlarge"]
    assert [c.monthly_usd for c in found] == sorted(c.monthly_usd for c in found)
    assert all(usable(c.node) >= 15e9 for c in found)
    assert found[0].used_share == pytest.approx(15e9 / (28_261_849_702 * 0.75))


def test_tiered_nodes_are_never_chosen() -> None:
    assert any("r6gd" in n.name for n in BOOK.of("memorydb"))
    for size in (1e9, 2e10, 2e11):
        assert not any("r6gd" in c.node.name for c in choose(size, BOOK, count=50).options)


def test_the_article_s_50_million_vectors_do_not_fit_one_shard() -> None:
    found = choose(480e9, BOOK)
    assert found.first is None
    assert "No MemoryDB node with a price in us-east-1 fits" in found.why_none
    assert "more shards do not help" in found.why_none
    assert any("2 clusters of" in text for text in found.instead)
    assert any("ElastiCache for Valkey with" in text for text in found.instead)
    parts = split(480e9, BOOK)
    assert parts is not None
    assert parts.shards * usable(parts.node) >= 480e9


def test_a_region_without_prices() -> None:
    made = plan.Inputs(SHAPE, wishes=Wishes(region="eu-north-9"))
    with pytest.raises(BadInput, match="no prices for the region 'eu-north-9'") as caught:
        plan.plan(made, BUILT_IN["memorydb"], BOOK)
    assert "us-east-1" in caught.value.hint
    seoul = choose(1e9, BOOK, service="elasticache", region="ap-northeast-2")
    assert seoul.first is None
    assert "no prices of ElastiCache nodes" in seoul.why_none


@pytest.mark.parametrize("change", [{"replicas": 6}, {"replicas": -1}, {"reserve": 1.0}, {"reserve": -0.1}])
def test_replicas_and_reserve_outside(change: dict[str, float]) -> None:
    with pytest.raises(OutOfRange):
        choose(1e9, BOOK, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"queries_per_s": -1.0},
        {"queries_per_s": math.nan},
        {"queries_per_s": 1e15},
        {"written_per_s": math.inf},
        {"query_k": 0},
        {"indexes": 0},
        {"snapshot_days": 36},
        {"replicas": 1.5},
    ],
)
def test_loads_that_make_no_sense(change: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        services.checked(replace(LOAD, **change))  # type: ignore[arg-type]


def test_own_prices_count_and_are_marked() -> None:
    mine = BOOK.changed({"memorydb/db.r6g.xlarge/valkey": 0.30}, "us-east-1")
    first = choose(15e9, mine).first
    assert first is not None
    assert first.monthly_usd == pytest.approx(3 * 730 * 0.30)
    assert first.price.grade == "yours"
    with pytest.raises(BadInput, match="The price of"):
        BOOK.changed({"x": math.nan}, "us-east-1")
    assert BOOK.changed({"s3vectors/query": None}, "us-east-1").find("s3vectors/query", "us-east-1") is None


def test_growth_ends_today_s_node_in_the_month_it_should() -> None:
    """4.5 GB fit t4g? No: r6g.large has 10.53e9. Doubling time at 10 % a month is 7.3 months."""
    profile = BUILT_IN["redisearch"]
    found = forecast.forecast(Shape(350_000, 1_536), NONE, profile, LOAD, BOOK, HERE, growth=0.10)
    assert len(found.months) == 25
    by_hand = next(m.month for m in found.months if m.bytes > 14_037_181_030 * 0.75)
    assert found.first_unfit == by_hand
    assert found.months[by_hand].choice is not None
    flat = forecast.forecast(Shape(350_000, 1_536), NONE, profile, LOAD, BOOK, HERE, growth=0.0)
    assert flat.first_unfit is None
    with pytest.raises(OutOfRange):
        forecast.forecast(SHAPE, NONE, profile, LOAD, BOOK, HERE, growth=3.0)


def test_a_longer_time_to_live_costs_memory_and_at_last_a_larger_node() -> None:
    sessions = Sessions(per_second=50, bytes=4_000, ttl_s=1_800)
    found = forecast.by_ttl(Shape(100_000, 256), sessions, BUILT_IN["redisearch"], LOAD, BOOK, HERE)
    sizes = [p.total_bytes for p in found]
    assert sizes == sorted(sizes)
    half_hour = next(p for p in found if p.ttl_s == 1_800)
    assert half_hour.live == 90_000
    names = [p.choice.node.name for p in found if p.choice]
    assert len(set(names)) > 2


def test_break_even_over_queries_and_vectors() -> None:
    queries = forecast.over_queries(SHAPE, NONE, LOAD, 14e9, BOOK, HERE)
    lines = dict(queries.series)
    assert set(lines) == {
        "MemoryDB",
        "ElastiCache for Valkey",
        "S3 Vectors",
        "OpenSearch Serverless (CLASSIC)",
    }
    s3 = lines["S3 Vectors"]
    assert s3[0] < lines["MemoryDB"][0]
    assert s3[-1] > lines["MemoryDB"][-1]
    assert len(queries.crossings) == 1
    value, before, after = queries.crossings[0]
    assert before == "S3 Vectors"
    assert 5 < value < 100
    assert after in ("ElastiCache for Valkey", "MemoryDB")
    vectors = forecast.over_vectors(SHAPE, NONE, LOAD, BUILT_IN["memorydb"], BOOK, HERE)
    many = dict(vectors.series)["MemoryDB"]
    assert math.isnan(many[-1])  # 100 million do not fit one shard
    assert not math.isnan(many[0])


def test_the_price_of_recall() -> None:
    choice = choose(15e9, BOOK).first
    assert choice is not None
    points = [
        recall_price.MeasuredSetting(10, 0.90, 0.89, 0.91, 4_000, 1.0),
        recall_price.MeasuredSetting(64, 0.97, 0.96, 0.98, 1_000, 2.0),
        recall_price.MeasuredSetting(512, 0.999, 0.99, 1.0, 200, 9.0),
        recall_price.MeasuredSetting(1024, 1.0, 0.99, 1.0, math.nan, math.nan),
    ]
    found = recall_price.price(points, 3_600, choice)
    assert [(p.nodes, p.clusters) for p in found] == [(3, 1), (4, 1), (18, 3), (None, 1)]
    each = choice.monthly_usd / 3
    assert [p.monthly_usd for p in found[:3]] == pytest.approx([3 * each, 4 * each, 18 * each])
    assert found[1].dearer == pytest.approx(each)
    assert found[3].monthly_usd is None


@pytest.mark.parametrize(
    ("yes", "service"),
    [
        (("redis_primary", "durable"), "MemoryDB"),
        (("under_10_ms", "durable"), "MemoryDB"),
        (("one_store", "durable", "knows_redis"), "MemoryDB"),
        (("low_qps", "cost_first"), "S3 Vectors"),
        (("batch", "tenant"), "S3 Vectors"),
        (("hybrid",), "OpenSearch Serverless"),
        (("full_dsl", "facets"), "OpenSearch Serverless"),
        (("losable", "under_10_ms"), "ElastiCache, no durability"),
        (("redis_primary", "losable", "many_shards"), "ElastiCache, async"),
        (("durable", "many_shards", "redis_primary"), "ElastiCache, sync"),
        (("durable", "under_10_ms", "hybrid"), "ElastiCache, sync"),
        (("durable", "many_indexes", "knows_redis"), "ElastiCache, sync"),
        (("seconds", "under_10_ms"), "ElastiCache, async"),
        (("radius", "durable", "many_shards"), "OpenSearch Serverless"),
    ],
)
def test_the_article_s_rules_as_of_today(yes: tuple[str, ...], service: str) -> None:
    advice = advisor.advise(yes)
    assert advice.service == service
    assert advice.sentence.startswith(f"Choose {service}.")
    assert advice.standings[0].reasons


def test_elasticache_is_ruled_out_for_durable_data_in_the_modes_alone_that_lose_writes() -> None:
    out = {s.service for s in advisor.advise(("durable",)).standings if s.against}
    assert out == {"ElastiCache, async", "ElastiCache, no durability"}
    out = {s.service for s in advisor.advise(("seconds",)).standings if s.against}
    assert out == {"ElastiCache, no durability"}
    both = advisor.advise(("under_10_ms", "durable", "one_store"))
    assert both.sentence == "Choose MemoryDB. As good by these answers: ElastiCache, sync."
    assert {d.about for d in advisor.differences()} >= {"Search", "Engine", "EF", "Indexes", "Price"}


def test_demands_that_no_service_meets_alone() -> None:
    advice = advisor.advise(("redis_primary", "many_shards", "durable", "radius"))
    assert advice.service is None
    assert "No service does all of this alone" in advice.sentence
    assert all(s.against for s in advice.standings)


def test_what_would_change_the_answer() -> None:
    advice = advisor.advise(("redis_primary", "durable"))
    assert any("BM25" in text and "answered yes: ElastiCache, sync" in text for text in advice.changes)
    cheap = advisor.advise(("low_qps",))
    assert any("less than 10 ms" in t and t.endswith("answered yes: MemoryDB.") for t in cheap.changes)
    assert advisor.advise(()).service is None
    with pytest.raises(BadInput, match="no question 'x'"):
        advisor.advise(("x",))


def test_the_plan_as_json() -> None:
    made = plan.plan(plan.Inputs(SHAPE, load=LOAD), BUILT_IN["article"], BOOK)
    found = plan.as_json(made)
    assert found["total_bytes"] == pytest.approx(1e6 * (6_144 * 1.4 + 1_024), rel=1e-9)
    assert sum(found["components"].values()) == pytest.approx(found["total_bytes"], abs=5)  # type: ignore[attr-defined]
    low, high = found["interval"]  # type: ignore[misc]
    assert low < found["total_bytes"] < high  # type: ignore[operator]
    assert {"node", "nodes", "monthly_usd", "grade"} <= set(found["choice"])  # type: ignore[call-overload]
    huge = plan.as_json(
        plan.plan(plan.Inputs(replace(SHAPE, vectors=10**9), load=LOAD), BUILT_IN["article"], BOOK)
    )
    assert huge["choice"] is None
    assert huge["why_no_choice"]
    assert "NaN" not in str(huge)


@pytest.mark.parametrize(
    ("yes", "told"),
    [
        (("durable", "losable"), True),
        (("durable", "seconds", "under_10_ms"), True),
        (("seconds", "losable"), True),
        (("losable", "under_10_ms"), False),
        (("durable", "one_store"), False),
    ],
)
def test_answers_about_losses_that_contradict_each_other_are_told(yes: tuple[str, ...], told: bool) -> None:
    advice = advisor.advise(yes)
    assert ("contradict" in advice.sentence) is told
    if "durable" in yes:
        assert advice.service not in (advisor.CACHE, advisor.ASYNC)
    elif "seconds" in yes:
        assert advice.service != advisor.CACHE
