"""Recall estimated from a sample on real engines, held against all documents; and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cli import main
from memdb.cluster.client import Client, connect
from memdb.cluster.target import Budget
from memdb.errors import BadInput, BudgetSpent, MemDBError, ReadOnlyTarget
from memdb.jobs import silent
from memdb.tuning import cost, queries, report, sample, store, truth
from memdb.tuning.ask import asked_queries, recall, run_saved
from memdb.tuning.reference import reference
from memdb.tuning.run import USUAL, Goal, Queries, Run, SweepRequest
from memdb.tuning.source import Documents, Given, Unseen
from memdb.tuning.sweep import sweep
from memdb.vectors import index
from memdb.vectors.index import HnswField, IndexInfo, IndexSpec, TagField
from memdb.vectors.membership import Membership
from tests.server.test_sample import each  # noqa: F401  # a fixture
from tests.waiting import until

pytestmark = pytest.mark.any_engine
DIM, COUNT, K = 12, 1_800, 10


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    sample.forget()
    yield
    sample.forget()


def vectors(count: int = COUNT, seed: int = 4) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = 2 * random.normal(size=(40, DIM))
    return (centres[random.integers(0, 40, count)] + random.normal(size=(count, DIM))).astype(np.float32)


def load(client: Client, prefix: str, metric: str = "L2", count: int = COUNT) -> IndexInfo:
    field = HnswField("v", DIM, metric, m=2, ef_construction=10)  # type: ignore[arg-type]
    index.create(client, IndexSpec(prefix + "idx", (TagField("tag"), field), (prefix + "d:",)))
    rows = [
        ("HSET", f"{prefix}d:{i}", "tag", f"t{i % 3}", "v", v.tobytes()) for i, v in enumerate(vectors(count))
    ]
    client.pipeline(rows)
    until(lambda: index.index_info(client, prefix + "idx").documents == count, "all documents are indexed")
    return index.index_info(client, prefix + "idx")


def asked(count: int = 150) -> Queries:
    made = vectors(count, seed=99)
    return queries.made(made, [f"q{i}" for i in range(count)], (), Given())


def request(info: IndexInfo, **changes: object) -> SweepRequest:
    usual = SweepRequest(
        info.name, ef_min=10, ef_max=28, concurrency=(), goal=Goal("recall", 0.8), sample=540
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def exact(info: IndexInfo, made: Queries, metric: str, keep: np.ndarray) -> np.ndarray:
    """Counted here: distances of every query to every document under the filter, sorted; (q, n)."""
    rows, at = vectors().astype(np.float64)[keep], made.vectors.astype(np.float64)
    if metric == "L2":
        far = ((at[:, None] - rows[None]) ** 2).sum(axis=2)
    else:
        far = 1 - at @ rows.T
        if metric == "COSINE":
            lengths = np.linalg.norm(at, axis=1)[:, None] * np.linalg.norm(rows, axis=1)
            far = 1 - (at @ rows.T) / lengths
    return np.sort(far, axis=1)


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize(("metric", "condition"), [("L2", "*"), ("COSINE", "*"), ("IP", "@tag:{t1|t2}")])
def test_the_estimate_holds_the_recall_that_all_documents_give(
    each: Client,  # noqa: F811
    prefix: str,
    metric: str,
    condition: str,
) -> None:
    info, made = load(each, prefix, metric), asked()
    keep = np.arange(COUNT) % 3 > 0 if condition != "*" else np.ones(COUNT, bool)
    far = exact(info, made, metric, keep)
    estimated = sweep(each, info, request(info, filter=condition), made)
    assert estimated.sampled is not None
    assert (estimated.sampled.documents, estimated.sampled.drawn) == (int(keep.sum()), 540)
    whole = sweep(each, info, request(info, filter=condition, sample=0), made)
    assert whole.sampled is None
    for point in estimated.points:
        true = whole.point(point.ef_runtime)
        if true is None:
            continue
        # What was returned is judged against NumPy's own k-th distance.
        last = far[:, K - 1 : K]
        counted = (true.hit_distances <= last + 1e-5 * np.abs(last) + 1e-7).mean()
        assert true.recall == pytest.approx(counted, abs=2e-3)
        assert point.low - 0.01 <= counted <= point.high + 0.01
        if point.estimate is None:  # the engine said that it compares all that match
            assert point.recall == counted == 1
            continue
        assert point.recall == pytest.approx(point.estimate.recall.mean)
        assert point.estimate.reference.mean >= point.recall
    assert estimated.recommendation is not None
    said = estimated.recommendation.sentence
    assert "estimated from a sample of 540" in said or "exact by brute force" in said


@pytest.mark.long
def test_queries_are_made_and_documents_taken_from_the_sample_alone(client: Client, prefix: str) -> None:
    info = load(client, prefix)
    with connect(client.target.read_only()) as reader:
        made = recall(reader, info, request(info, source=Unseen(200, 3, extend=False), ef_max=14))
        names = {entry.name for entry in reader.log.entries()}
    assert made.sampled is not None
    assert not names & {"FT.AGGREGATE", "FT.CURSOR READ"}  # that would bring every vector
    chosen = sample.sampled(client, info, "", 540, 3)
    assert set(made.queries.own_keys) <= set(chosen.keys)
    assert made.queries.uncertainty.too_high > 0
    # They lie apart from their documents, as far as neighbours do.
    own = vectors()[[int(key.rsplit(":", 1)[1]) for key in made.queries.own_keys]]
    moved = np.linalg.norm(made.queries.vectors - own, axis=1)
    near = np.sqrt(np.sort(((own[:, None] - vectors()[None]) ** 2).sum(axis=2), axis=1)[:, 1])
    assert 0.2 < np.median(moved / near) < 4
    documents = asked_queries(
        client, info, request(info, source=Documents(150, 3, extend=False)), sample=chosen
    )
    assert documents.own_keys == chosen.keys[:150]


@pytest.mark.usefixtures("briefly")
def test_a_sampled_run_says_so_everywhere_and_is_kept(client: Client, prefix: str, tmp_path: Path) -> None:
    info = load(client, prefix)
    run = run_saved(client, info, request(info), tmp_path, asked=asked())
    again = store.load(tmp_path, run.id)
    assert again.sampled == run.sampled
    assert [p.estimate for p in again.points] == [p.estimate for p in run.points]
    words = "estimated from a sample of 540 (30 %)"
    assert run.sampled is not None
    assert run.sampled.words == words
    page = report.html_report(again).decode()
    assert words in page
    assert "would be about" in page
    assert "--sample 540" in report.command_line(again).command
    assert run.recommendation is not None
    parts = " ".join(run.recommendation.reasons)
    assert "of the reference's answer" in parts
    assert "with a sample of 1,800 it would be about" in parts
    assert sample.still(client, info, run, tmp_path) is True
    client.pipeline(
        [("HSET", f"{prefix}d:{i}", "v", np.ones(DIM, np.float32).tobytes()) for i in range(COUNT)]
    )
    assert sample.still(client, index.index_info(client, info.name), run, tmp_path) is False
    assert sample.still(client, info, run, tmp_path / "elsewhere") is None
    load_again = [("HSET", f"{prefix}d:{i}", "v", v.tobytes()) for i, v in enumerate(vectors())]
    client.pipeline(load_again)
    info = index.index_info(client, info.name)
    run_saved(client, info, request(info), tmp_path, asked=asked())
    second = run_saved(client, info, request(info), tmp_path, asked=asked())
    assert second.sampled is not None
    assert second.sampled.kept


@pytest.mark.usefixtures("briefly")
def test_the_command_estimates_and_prints_it(
    client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = load(client, prefix)
    monkeypatch.setenv("MEMDB_URL", client.target.url)
    words = ["recall", "--index", info.name, "--queries", "120", "--clients", "0", "--ef-max", "40"]
    status = main([*words, "--sample", "360", "--target", "0.05", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert status == 0, told
    assert told["sample"]["drawn"] == 360
    assert told["sample"]["words"] == "estimated from a sample of 360 (20 %)"
    for point in told["curve"]:
        mean = point["reference"]["mean"] - point["unseen"]["mean"]
        assert point["recall"] == pytest.approx(mean, abs=2e-5)
        assert point["low"] <= point["recall"] <= point["high"]
    each_query = told["each_query"]
    assert each_query["of"] == "the reference"
    assert [s["ef_runtime"] for s in each_query["spread"]] == [p["ef_runtime"] for p in told["curve"]]
    assert sum(each_query["needs"]["queries"]) + each_query["needs"]["never"] == told["queries"]
    assert main([*words, "--sample", "360", "--target", "0.05"]) == 0
    assert "estimated from a sample of 360 (20 %)" in capsys.readouterr().out


def test_a_read_only_target_is_estimated_on_every_engine(
    each: Client,  # noqa: F811
    prefix: str,
) -> None:
    """Its client refuses every write, so that one would end the run, or the probe before it."""
    info = load(each, prefix)
    wanted = request(info, ef_max=14, sample=540)
    with connect(each.target.read_only()) as reader:
        with pytest.raises(ReadOnlyTarget):
            reader.execute("SET", f"{prefix}x", "1")
        assert cost.rates(reader, info, wanted).keys_per_s > 0
        run = sweep(reader, info, wanted, asked(60))
    assert not run.partial
    assert run.sampled is not None
    assert run.sampled.drawn == 540
    assert run.recommendation is not None
    assert "estimated from a sample of 540 (30 %)" in run.recommendation.sentence


def test_the_usual_sample_is_read_on_where_it_leaves_the_answer_open_and_a_number_is_kept_to(
    client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "FEWEST", 150)
    monkeypatch.setattr(sample, "GROWTH", 12)
    monkeypatch.setattr("memdb.tuning.reference.MOST_EF", 500)  # the sweep's own last setting
    info, made = load(client, prefix), asked()
    some = request(info, sample=150, ef_min=250, ef_max=500)
    first = sweep(client, info, some, made)
    best = max(first.points, key=lambda point: point.recall)
    assert best.estimate is not None
    hits = best.estimate.reference
    # Just what it would show, were it known what the reference misses.
    target = best.recall - (hits.mean - hits.low) - 1e-6
    assert best.low < target
    kept_to = sweep(client, info, replace(some, goal=Goal("recall", target)), made)
    assert kept_to.sampled is not None
    assert kept_to.sampled.drawn == 150
    run = sweep(client, info, replace(kept_to.request, sample=USUAL), made)
    assert run.sampled is not None
    assert run.sampled.drawn == COUNT
    assert "A sample of 150 left open which setting meets the goal; 1,800 were read." in run.notes
    assert run.recommendation is not None
    assert "a sample of 1,800 " in run.recommendation.sentence
    whole = sweep(client, info, replace(kept_to.request, sample=0), made)
    for point, true in zip(run.points, whole.points, strict=True):
        assert point.recall == pytest.approx(true.recall, abs=1e-6)
        assert (point.low, point.high) == pytest.approx((true.low, true.high), abs=1e-6)
    last = run.points[-1].estimate
    assert last is not None
    assert (run.sampled.reference_ef, last.reference.mean) == (500, 1)  # its answers serve twice


# ---- bad input ---------------------------------------------------------------------------------------


def test_a_sample_larger_than_the_index_is_a_full_run_and_told(client: Client, prefix: str) -> None:
    info = load(client, prefix, count=400)
    run = sweep(client, info, request(info, sample=5_000), asked(60))
    assert run.sampled is None
    assert any("A sample of 5,000 was asked for; 400 documents match: all were read" in n for n in run.notes)
    run = sweep(client, info, request(info, sample=USUAL), asked(60))
    assert any("A sample was asked for; 400 documents match: all were read" in note for note in run.notes)


def test_a_filter_that_leaves_no_sample_is_told(client: Client, prefix: str) -> None:
    info = load(client, prefix, count=400)
    with pytest.raises(BadInput, match="matches the filter"):
        sweep(client, info, request(info, filter="@tag:{nobody}"), asked(60))
    with pytest.raises(BadInput, match="sample of 20 documents says nothing"):
        sweep(client, info, request(info, sample=20), asked(60))


def test_too_few_queries_for_the_confidence_are_told_and_the_target_is_not_met(
    client: Client, prefix: str
) -> None:
    info = load(client, prefix, count=1_000)
    run = sweep(client, info, request(info, sample=300, goal=Goal("recall", 0.999)), asked(40))
    assert any("40 queries are too few for" in note for note in run.notes)
    assert run.recommendation is not None
    assert not run.recommendation.met


def test_beyond_the_budget_of_keys_a_sample_is_drawn_and_a_spent_budget_told(
    client: Client, prefix: str
) -> None:
    info, made = load(client, prefix), asked(60)
    small = request(info, sample=None, ef_max=20)
    # 9 settings bring 11 keys for each of 60 queries and as many single calls.
    enough = Budget(keys_scanned=9 * 11 * 120 + 1_200)
    run = sweep(client.budgeted(enough), info, small, made)
    assert run.sampled is not None
    assert run.sampled.way == "drawn"
    assert run.sampled.drawn == 400
    assert run.recommendation is not None
    assert run.recommendation.sentence.count("estimated from a sample of 400 (22 %)") == 1
    assert sweep(client, info, small, made).sampled is None  # without a bound all are read
    with pytest.raises(BudgetSpent, match="The budget of 9,000 keys is spent by the queries alone"):
        sweep(client.budgeted(Budget(keys_scanned=9_000)), info, small, made)


@pytest.mark.parametrize("after", [1, 3])
def test_an_index_dropped_meanwhile_leaves_what_was_measured(client: Client, prefix: str, after: int) -> None:
    info = load(client, prefix, count=1_000)
    kept: list[Run] = []

    def keep(run: Run) -> None:
        kept.append(run)
        if len(run.points) == after and len(kept) == after:
            client.execute("FT.DROPINDEX", info.name)

    run = sweep(client, info, request(info, sample=300), asked(60), report=silent, keep=keep)
    assert run.partial
    assert any("the index was dropped during the run" in note for note in run.notes)
    assert len(run.points) == after
    assert run.sampled is not None
    assert all(p.estimate is not None for p in run.points)
    with pytest.raises(MemDBError):
        sweep(client, info, request(info, sample=300), asked(60))


# ---- what it takes -----------------------------------------------------------------------------------


def sent_bytes(client: Client) -> int:
    """What the server has sent so far, as it counts."""
    return int(client.info("stats")["stats"]["total_net_output_bytes"])


@pytest.mark.parametrize("way", ["all", "sample"])
def test_the_bytes_that_are_promised_are_those_the_server_sends(
    client: Client, prefix: str, way: str
) -> None:
    info, made = load(client, prefix), asked(60)
    wanted = request(info, sample=400)
    measured = cost.rates(client, info, wanted)
    before = sent_bytes(client)
    if way == "all":
        promised = cost.whole(COUNT, 60, measured)
        truth.truth(client, info, "", made, K)
    else:
        promised = cost.sampled(COUNT, 400, 60, wanted, measured)
        drawn = sample.sampled(client, info, "", 400)
        under = Membership(client, info, "*")
        reference(client, info, wanted, made, drawn, under, report=silent)
    used = sent_bytes(client) - before
    # Vectors of 12 numbers: what stands around them in a reply is as long as they are.
    assert 0.4 < promised.bytes / used < 2.5
    assert promised.seconds > 0
    assert promised.documents == (COUNT if way == "all" else 400)


def test_a_probe_reads_little_on_every_engine(each: Client, prefix: str) -> None:  # noqa: F811
    info = load(each, prefix)
    measured = cost.rates(each.budgeted(Budget(keys_scanned=cost.KEYS * 2 + 200)), info, request(info))
    rates = (measured.keys_per_s, measured.vectors_per_s, measured.read_per_s, measured.pairs_per_s)
    assert min(*rates, measured.reference_s) > 0
    whole = cost.whole(10_000, 100, measured).seconds
    assert cost.whole(10_000, 100, replace(measured, read_per_s=measured.read_per_s / 2)).seconds > whole
    half = replace(measured, vectors_per_s=measured.vectors_per_s / 2, keys_per_s=measured.keys_per_s / 2)
    some = cost.sampled(10_000, 1_000, 100, request(info), measured)
    assert cost.sampled(10_000, 1_000, 100, request(info), half).seconds > some.seconds
    # Ten million vectors of 12 numbers, of which 200,000 are read: the keys and the sample.
    some = cost.sampled(10_000_000, 200_000, 1_000, request(info), measured)
    least = 10_000_000 * len(f"{prefix}d:1") + 200_000 * 4 * DIM
    assert least < some.bytes < cost.whole(10_000_000, 1_000, measured).bytes


@pytest.mark.usefixtures("briefly")
def test_zero_vectors_under_cosine_lead_a_search_astray_and_the_estimate_stays_right(
    client: Client, prefix: str
) -> None:
    """They have no distance to anything: a higher EF_RUNTIME then finds less, and is no reference alone."""
    stored = vectors(3_000)
    stored[1_500:] = stored[np.random.default_rng(5).integers(0, 1_500, 1_500)]
    stored[::50] = 0
    field = HnswField("v", DIM, "COSINE", m=4, ef_construction=20)
    index.create(client, IndexSpec(prefix + "idx", (field,), (prefix + "d:",)))
    client.pipeline([("HSET", f"{prefix}d:{i}", "v", v.tobytes()) for i, v in enumerate(stored)])
    info = index.index_info(client, prefix + "idx")
    made = asked()
    whole = sweep(client, info, request(info, sample=0), made)
    estimated = sweep(client, info, request(info, sample=600), made)
    assert estimated.sampled is not None
    assert any("zero vector" in note for note in estimated.notes)
    pairs = [(point, whole.point(point.ef_runtime)) for point in estimated.points]
    both = [(point, true) for point, true in pairs if true is not None]
    assert len(both) >= 2
    for point, true in both:
        assert point.low - 0.01 <= true.recall <= point.high + 0.01
        assert point.recall == pytest.approx(true.recall, abs=0.12)
