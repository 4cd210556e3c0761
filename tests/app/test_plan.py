"""Sizing and Compare in AppTest: with and without data, links, wrong input, prices, tuning runs."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.demo.app import environment
from memdb.sizing import profiles
from memdb.tuning import store
from memdb.ui.plan import compare as plan_compare
from memdb.ui.plan import views as plan_views
from memdb.vectors.index import index_names
from tests.unit.tune_run import run as tuned
from tests.waiting import PATIENCE_S, until

ROOT = Path(__file__).parent.parent.parent
ENTRY = ROOT / "memdb/ui/entry.py"
SIZING, COMPARE = ROOT / "pages/plan/sizing.py", ROOT / "pages/plan/compare.py"

Open = Callable[..., AppTest]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def opened(demo_target: Target, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opener(page: Path = SIZING, target: Target = demo_target, **query: object) -> AppTest:
        st.cache_data.clear()
        st.cache_resource.clear()
        for name, value in environment(target, folder).items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(ENTRY), default_timeout=PATIENCE_S)
        for key, value in query.items():
            app.query_params[key.replace("__", ".")] = str(value)
        return app.switch_page(str(page)).run()

    return opener


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.warning, *app.success, *app.info, *app.code]
    titles = [part.proto.title for part in (*app.error, *app.warning, *app.success)]
    return "\n".join([*(str(part.value) for part in parts), *titles]).replace("\\", "")


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def table(app: AppTest, column: str) -> object:
    return next(frame.value for frame in app.dataframe if column in frame.value.columns)


@pytest.mark.parametrize("view", plan_views.VIEWS)
def test_every_view_of_sizing_opens(opened: Open, view: str) -> None:
    app = opened(plan__view=view, plan__rate=5)
    assert not app.exception
    assert not app.error
    assert metrics(app)["Smallest fitting node"] == "3 × r6g.xlarge"
    assert metrics(app)["A month"].startswith("$9")


@pytest.mark.parametrize("view", plan_compare.VIEWS)
def test_every_view_of_compare_opens(opened: Open, view: str) -> None:
    app = opened(COMPARE, compare__view=view)
    assert not app.exception
    assert not app.error


def test_the_article_s_profile_by_link(opened: Open) -> None:
    app = opened(plan__profile="article", plan__n="10M")
    assert app.selectbox(key="plan.profile").value == "article"
    assert metrics(app)["Memory of one node"] == "89.6 GiB"  # 96.3 × 10^9 bytes
    assert "counts each vector once" in texts(app)


def test_the_article_s_50_million_do_not_fit_and_the_page_says_what_does(opened: Open) -> None:
    app = opened(plan__profile="article", plan__n="50M")
    assert metrics(app)["Smallest fitting node"] == "none"
    said = texts(app)
    assert "more shards do not help" in said
    assert "2 clusters of" in said
    assert "ElastiCache for Valkey with" in said
    for view in ("Deploy", "Growth", "Recall cost"):
        app.segmented_control(key="plan.view").set_value(view).run()
        assert not app.exception, view


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("plan.n", "-3", "Vectors is -3"),
        ("plan.n", "1000000000000000", "Vectors is 1,000,000,000,000,000"),
        ("plan.n", "1.5", "1.5, which is not a whole number"),
        ("plan.n", "many", "'many', which is not a number"),
        ("plan.dim", 40_000.0, "Dimension is 40,000"),
        ("plan.dim", 12.5, "12.5, which is not a whole number"),
        ("plan.m", 1.0, "M is 1"),
        ("plan.replicas", 6.0, "Replicas is 6"),
        ("plan.days", -1.0, "Snapshot days is -1"),
        ("plan.rate", -2.0, "Sessions a second is -2"),
        ("plan.qps", 1e15, "Queries a second is"),
    ],
)
def test_wrong_input_is_told_and_kept(opened: Open, key: str, value: object, said: str) -> None:
    for page in (SIZING, COMPARE):
        app = opened(page)
        widget = app.text_input(key=key) if key == "plan.n" else app.number_input(key=key)
        widget.set_value(value).run()
        assert not app.exception
        assert said in texts(app)
        assert "nan" not in texts(app).lower()
        kept = app.text_input(key=key) if key == "plan.n" else app.number_input(key=key)
        assert kept.value == value


@pytest.mark.parametrize(
    "query",
    [
        {"plan__n": "<script>"},
        {"plan__dim": "abc"},
        {"plan__type": "FLOAT1"},
        {"plan__profile": "../../etc/passwd"},
        {"plan__view": "Nope"},
        {"plan__ttl": "77"},
        {"plan__reserve": "400"},
        {"plan__run": "../../x"},
        {"plan__rate": "nan"},
        {"plan__qps": "inf"},
    ],
)
def test_wrong_links_open_the_page(opened: Open, query: dict[str, str]) -> None:
    app = opened(**query)
    assert not app.exception
    assert app.title[0].value == "Sizing"


def test_a_region_without_prices(opened: Open) -> None:
    app = opened(plan__region="mars-1")
    assert "no prices for the region 'mars-1'" in texts(app)
    assert "us-east-1" in texts(app)
    assert not app.exception


def test_an_empty_index_and_sessions_alone(opened: Open) -> None:
    app = opened(plan__n="0", plan__profile="redisearch", plan__kept=10_000, plan__session_kind="STRING")
    assert not app.exception
    assert not app.error
    assert "10,000 sessions at any time" in texts(app)
    for view in plan_views.VIEWS:
        app.segmented_control(key="plan.view").set_value(view).run()
        assert not app.exception, view


def test_the_parts_of_a_session_must_fit_it(opened: Open) -> None:
    app = opened(plan__rate=1, plan__session=100)
    assert "cannot hold a key and fields of 131 bytes" in texts(app)
    assert not app.exception


def test_figures_of_the_sizing_page_from_the_model_s_own_parts(opened: Open) -> None:
    """Memory of one node, its interval and its share of a node, added up here."""
    app = opened(
        plan__n="200k",
        plan__dim=384,
        plan__m=32,
        plan__metadata=0,
        plan__tags=3,
        plan__profile="redisearch",
        plan__kept=50_000,
        plan__session=2_000,
    )
    rows = table(app, "component")
    total = int(rows["bytes"].sum())  # type: ignore[index]
    # Each vector twice: 1,536 bytes with 4 of header as a field in 1,792; blocks of 1,024 in the index.
    stored = 200_000 * (24 + 16 + 1_792)
    blocks = -(-200_000 // 1_024)
    sizes = dict(zip(rows["component"], rows["bytes"], strict=True))  # type: ignore[index]
    assert sizes["Vectors in the documents"] == stored
    assert sizes["Vectors in the index"] == blocks * 1_835_008  # 1,024 × 1,536 + 8, rounded up
    assert rows["share"].sum() == pytest.approx(1)  # type: ignore[index]
    assert metrics(app)["Memory of one node"] == sized(total)
    book = tomllib.loads((ROOT / "memdb/sizing/catalogue.toml").read_text())
    memory = {node["name"]: node["memory_bytes"] for node in book["nodes"]}
    hourly = {
        p["id"].split("/")[1]: p["value"]
        for p in book["prices"]
        if p["region"] == "us-east-1" and p["id"].startswith("memorydb/db.") and p["id"].endswith("/valkey")
    }
    offers = table(app, "data written $")
    assert len(offers) == 3  # type: ignore[arg-type]
    for _, offer in offers.iterrows():  # type: ignore[attr-defined]
        assert offer["used"] == pytest.approx(total / (memory[offer["node"]] * 0.75), rel=1e-3)
        assert offer["nodes $"] == pytest.approx(3 * 730 * hourly[offer["node"]], abs=0.01)
        # A week of daily snapshots, one copy free; what is written lies below the 10 TB that are free.
        assert offer["snapshots $"] == pytest.approx(6 * total / 2**30 * 0.021, abs=0.01)
        assert offer["data written $"] == 0
        whole = offer["nodes $"] + offer["snapshots $"]
        assert offer["a month $"] == pytest.approx(whole, abs=0.01)
    assert metrics(app)["A month"] == f"${offers['a month $'].min():,.0f}"  # type: ignore[index]


def test_figures_of_the_compare_page_added_up_here(opened: Open) -> None:
    app = opened(COMPARE, plan__n="200k", plan__dim=384, plan__metadata=100, plan__qps=50, plan__writes=5)
    lines = table(app, "how")
    sums = {}
    for service, rows in lines.groupby("service"):  # type: ignore[attr-defined]
        told = rows[rows["item"] == "in all"]["a month $"].iloc[0]
        assert told == pytest.approx(rows[rows["item"] != "in all"]["a month $"].sum())
        sums[service] = told
    cheapest = min(sums, key=lambda name: sums[name])
    assert f"For these inputs {cheapest} costs least: ${sums[cheapest]:,.0f}" in texts(app).replace("*", "")
    # S3 Vectors: documents of 20 + 1,536 + 100 bytes; a month of 2,628,000 seconds; a GB is 2^30 bytes.
    document, seconds = 20 + 1_536 + 100, 730 * 3_600
    queries = 50 * seconds / 1e6
    by_hand = {
        "storage": 200_000 * document / 2**30 * 0.06,
        "writes": seconds * 128 * 1_024 / 2**30 * 0.20,  # a PUT of 5 documents a second counts as 128 KB
        "queries": queries * 2.5,
        "data read by queries": queries * (100_000 * 0.004 + 100_000 * 0.002) * document / 2**40 * 1e6,
    }
    s3 = lines[lines["service"] == "S3 Vectors"].set_index("item")["a month $"]  # type: ignore[index]
    for item, usd in by_hand.items():
        assert s3[item] == pytest.approx(usd, rel=1e-3), item


def sized(size: float) -> str:
    """Bytes as the page writes them."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def test_what_memorydb_cannot_do_is_said(opened: Open) -> None:
    app = opened(plan__type="FLOAT64", plan__indexes=20)
    assert "FLOAT32 only; yours FLOAT64." in texts(app)
    assert "At most 10 indexes; yours 20." in texts(app)


def test_read_from_this_cluster_fills_the_form_and_keeps_a_profile(
    opened: Open, folder: Path, demo_target: Target
) -> None:
    app = opened()
    app.button(key="plan.read_button").click().run()
    assert not app.exception
    assert not app.error
    assert app.text_input(key="plan.n").value == "2,000"
    assert app.number_input(key="plan.dim").value == 256
    assert app.selectbox(key="plan.profile").value == "live-idx-embeddings"
    assert "Read from “idx:embeddings”: 2,000 documents of 256 dimensions" in texts(app)
    assert "live-idx-embeddings" in profiles.names(folder)
    lives = session_lives(demo_target)
    expiring = sum(life >= 0 for life in lives)
    ttl = app.select_slider(key="plan.ttl").value
    assert ttl >= max(lives)
    assert app.number_input(key="plan.rate").value * ttl == pytest.approx(expiring)
    assert app.number_input(key="plan.kept").value == len(lives) - expiring
    assert f"{expiring:,} with a time to live and {len(lives) - expiring:,} without" in texts(app)


def session_lives(target: Target) -> list[int]:
    """Seconds left of each session, -1 for those that stay."""
    with connect(target.read_only()) as client:
        keys = [key for key in client.execute("SCAN", 0, "COUNT", 100_000)[1] if key[:8] == b"session:"]
        return [int(ttl) for ttl in client.pipeline([("TTL", key) for key in keys])]


def test_a_link_takes_the_cluster_into_the_plan_once(opened: Open) -> None:
    app = opened(plan__take=1)
    assert app.text_input(key="plan.n").value == "2,000"
    app.text_input(key="plan.n").set_value("5,000").run()
    assert app.text_input(key="plan.n").value == "5,000", "it is not read again"


def test_beside_the_plan_stands_the_cluster_as_it_is(
    opened: Open, monkeypatch: pytest.MonkeyPatch, demo_target: Target
) -> None:
    app = opened()
    assert "sampling is switched off" in texts(app)
    monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "1")
    app = opened()

    def sampled() -> bool:
        app.run()
        return "This cluster, now" in texts(app)

    until(sampled, "the first sample is there")
    with connect(demo_target.read_only()) as client:
        used = int(client.info("memory")["memory"]["used_memory"])
    told = re.search(r"([\d.]+) MiB used, ([\d.]+)% of the ([\d.]+) GiB planned", texts(app).replace("*", ""))
    assert told is not None
    now, share, planned = (float(part) for part in told.groups())
    assert now * 2**20 == pytest.approx(used, rel=0.1)
    assert share / 100 == pytest.approx(now * 2**20 / (planned * 2**30), abs=0.001)
    assert "free on the plan's r6g.xlarge" in texts(app)


def test_what_the_plan_leaves_out_of_the_cluster_stands_beside_it(
    opened: Open, monkeypatch: pytest.MonkeyPatch, demo_target: Target
) -> None:
    """After a read, used memory is held against the plan without the other indexes and keys."""
    monkeypatch.setenv("MEMDB_SAMPLE_SECONDS", "1")
    app = opened(plan__take=1)

    def sampled() -> bool:
        app.run()
        return "This cluster, now" in texts(app)

    until(sampled, "the first sample is there")
    told = texts(app).replace("*", "")
    with connect(demo_target.read_only()) as client:
        others = {name for name in index_names(client) if name != "idx:embeddings"}
    assert others
    assert f"Not in the plan: {len(others)} other index" in told
    size = r"([\d.]+) MiB"
    line = re.search(
        rf"{size} used, about {size} of it not in the plan \(([^)]*)\); the other {size} are ([\d.]+)% of the {size} planned",
        told,
    )
    assert line is not None, told
    assert line[3].startswith(f"{len(others)} other index")
    used, outside, rest, share, planned = (float(line[i]) for i in (1, 2, 4, 5, 6))
    assert used == pytest.approx(outside + rest, abs=0.2)
    assert share / 100 == pytest.approx(rest / planned, abs=0.02)
    left_out = re.search(rf"neither documents of idx:embeddings nor sessions, about {size} when", told)
    assert left_out is not None, told
    assert float(left_out[1]) == outside
    app.text_input(key="plan.n").set_value("4,000").run()
    assert f"about {line[2]} MiB of it not in the plan" in texts(app).replace("*", "")


def test_the_price_of_recall_does_not_start_from_an_index_that_is_gone(opened: Open, folder: Path) -> None:
    store.save(tuned(), folder)  # of "idx" on another server
    app = opened(plan__view="Recall cost")
    assert app.selectbox(key="plan.run").value is None
    assert "No run of an index that is on this target now" in texts(app)
    app.selectbox(key="plan.run").set_value(tuned().id).run()
    assert "idx is not on this target" in texts(app).replace("`", "")


def test_an_index_too_small_to_read_is_told(opened: Open) -> None:
    app = opened()
    app.selectbox(key="index").set_value("idx:users").run()
    app.button(key="plan.read_button").click().run()
    assert "holds 40 documents, too few to calibrate on" in texts(app)
    assert app.text_input(key="plan.n").value == "1,000,000"


def test_growth_names_the_month(opened: Open) -> None:
    app = opened()
    today = table(app, "component")["bytes"].sum()  # type: ignore[index]
    room = 28_261_849_702 * 0.75  # r6g.xlarge
    ends = math.ceil(math.log(room / today) / math.log(1.1))
    app = opened(plan__view="Growth", plan__growth=10)
    assert f"In month {ends} r6g.xlarge no longer holds it. Then: r6g.2xlarge" in texts(app)
    months = table(app, "month")
    assert len(months) == 25  # type: ignore[arg-type]
    app.number_input(key="plan.growth").set_value(0.0).run()
    assert "holds it for the next 24 months" in texts(app)
    app.number_input(key="plan.growth").set_value(900.0).run()
    assert "Growth a month is 9" in texts(app)


def test_the_time_to_live_changes_memory_and_bill(opened: Open) -> None:
    app = opened(plan__view="Sessions", plan__rate=20)
    assert "36,000 sessions take" in texts(app).replace("*", "")
    bills = table(app, "time to live")["nodes a month $"]  # type: ignore[index]
    assert bills.iloc[-1] > bills.iloc[0]
    app.select_slider(key="plan.ttl").set_value(86_400).run()
    assert "1,728,000 sessions take" in texts(app).replace("*", "")


def test_own_prices_count_at_once(opened: Open) -> None:
    app = opened()
    app.session_state["plan.prices"] = {"memorydb/db.r6g.xlarge/valkey": 1.0}
    app.session_state["plan.prices_region"] = "us-east-1"
    app.run()
    assert metrics(app)["Smallest fitting node"] == "3 × r7g.xlarge"
    app.segmented_control(key="plan.view").set_value("Prices").run()
    assert not app.exception
    app.button(key="plan.prices.forget").click().run()
    assert metrics(app)["Smallest fitting node"] == "3 × r6g.xlarge"


def test_refresh_without_credentials_is_told(
    opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from memdb.ui.kit import cached

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    app = opened(plan__view="Prices")
    app.button(key="plan.prices.refresh").click().run()
    job = cached.jobs().get(app.session_state["plan.job"].id)
    assert job is not None
    assert job.wait(PATIENCE_S).status == "failed"
    app.run()
    assert "There are no AWS credentials here" in texts(app)
    assert not app.exception


def test_the_price_of_recall_from_a_saved_run(opened: Open, folder: Path) -> None:
    app = opened(plan__view="Recall cost")
    assert "No tuning run yet" in texts(app)
    store.save(tuned(), folder)
    app = opened(plan__view="Recall cost", plan__qps=5_000, plan__run=tuned().id)
    assert not app.exception
    priced = table(app, "more than the cheapest $")
    assert {"recall", "nodes", "a month $"} <= set(priced.columns)  # type: ignore[attr-defined]
    assert "an estimate" in texts(app)


def test_deploy_in_three_texts(opened: Open) -> None:
    app = opened(plan__view="Deploy")
    for kind, word in (
        ("boto3", "create_cluster"),
        ("CloudFormation", "AWS::MemoryDB::Cluster"),
        ("Terraform", "aws_memorydb_cluster"),
    ):
        app.segmented_control(key="plan.deploy.kind").set_value(kind).run()
        assert word in app.code[0].value
        assert "db.r6g.xlarge" in app.code[0].value
    app.text_input(key="plan.deploy.name").set_value('x"}').run()
    assert "cannot name a cluster" in texts(app)
    assert not app.exception


def test_the_command_line_of_a_plan_runs(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    import json
    import shlex

    from memdb.cli import main

    app = opened(
        plan__view="Code", plan__rate=3, plan__tags=2, plan__profile="redisearch", plan__keys="UUIDs or hashes",
        plan__tag_values=1_000_000, plan__tag_bytes=36, plan__key=40, plan__text=500, plan__words=70,
        plan__vocabulary=9_000, plan__kept=2_000, plan__session=3_000, plan__session_spread=25,
        plan__session_key=60, plan__session_other=200, plan__session_fields=6, plan__k=20, plan__indexes=2,
    )  # fmt: skip  # a part of the form on each line
    words = shlex.split(app.code[0].value)
    for option, value in {
        "--tag-values": "1000000", "--tag-bytes": "36", "--text-words": "70", "--text-vocabulary": "9000",
        "--sessions-kept": "2000", "--session-spread": "0.25", "--session-key-bytes": "60",
        "--session-other-bytes": "200", "--session-fields": "6", "--k": "20", "--indexes": "2",
    }.items():  # fmt: skip  # an option and its value
        assert words[words.index(option) + 1] == value
    assert "--random-keys" in words
    capsys.readouterr()
    assert main(words[1:]) == 0
    found = json.loads(capsys.readouterr().out)
    assert f"{found['total_bytes'] / 2**30:.1f} GiB" == metrics(app)["Memory of one node"]
    app.segmented_control(key="plan.code").set_value("Python").run()
    exec(app.code[0].value, {})  # noqa: S102  # our own text
    assert str(found["total_bytes"])[:4] in capsys.readouterr().out


def test_compare_names_the_cheapest_and_marks_every_grade(opened: Open) -> None:
    app = opened(COMPARE)
    said = texts(app).replace("*", "")
    assert "S3 Vectors costs least: $508 a month, by a third party's reading of AWS's prices." in said
    # What the difference buys, from the table of facts.
    assert "S3 Vectors, $508. p99 of a query: 50–200 ms" in said
    assert "MemoryDB, $947. p99 of a query: 2–10 ms. Lost when a node dies: nothing that was" in said
    lines = table(app, "how")
    assert set(lines["grade"]) <= {"estimate", "third party", "quoted", "yours", "price list"}  # type: ignore[index]
    assert "NEXTGEN): no cost" in texts(app)


def test_latency_is_measured_beside_the_quoted_one(opened: Open) -> None:
    app = opened(COMPARE, compare__view="Table")
    before = app.table[0].value
    assert not any("measured" in name for name in before.index)
    app.button(key="compare.measure").click().run()
    assert not app.exception
    after = app.table[0].value
    row = after.loc["… measured on this target"]
    assert row["MemoryDB"].startswith("p50 ")
    assert "200 calls" in row["MemoryDB"]
    grades = table(app, "read").set_index("dimension")["grade"]  # type: ignore[attr-defined]
    assert grades["Query latency, p99"] == "third party"  # the article's 2–10 ms


def test_break_even_says_where_the_cheapest_changes(opened: Open) -> None:
    app = opened(COMPARE, compare__view="Break-even")
    assert "queries a second the cheapest changes from S3 Vectors to" in texts(app).replace("*", "")


def test_the_advisor_answers_with_reasons(opened: Open) -> None:
    app = opened(COMPARE, compare__view="Advisor")
    assert "Answer what applies to you." in texts(app)
    app.checkbox(key="compare.q.redis_primary").check()
    app.checkbox(key="compare.q.durable").check().run()
    assert "Choose MemoryDB." in texts(app)
    assert "Every acknowledged write is in a log over several zones first" in texts(app)
    assert "What would change the answer" in texts(app)
    assert {"Search", "EF", "Price"} <= set(app.table[0].value.index)  # MemoryDB beside sync
    app.checkbox(key="compare.q.hybrid").check().run()
    assert "Choose ElastiCache, sync." in texts(app)
    app.checkbox(key="compare.q.radius").check().run()
    assert "No service does all of this alone" in texts(app)


def test_pages_work_without_a_server_and_without_an_index(opened: Open, server_target: Target) -> None:
    down = Target.parse("redis://127.0.0.1:1")
    for page in (SIZING, COMPARE):
        app = opened(page, target=down)
        assert not app.exception
        assert app.metric or app.dataframe
    empty = opened(SIZING, target=server_target)
    assert not empty.exception
    assert metrics(empty)["A month"].startswith("$9")
