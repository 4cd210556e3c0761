"""What measurements of recall say together, without a server."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from memdb.cli.entry import parse
from memdb.cli.watch import Watch as WatchCommand
from memdb.cluster.target import Target
from memdb.errors import BadInput, DamagedFile, OutOfRange, UnderWay
from memdb.operations import history
from memdb.operations.past import Past
from memdb.watch import judge, metrics, runner, series
from memdb.watch.series import Measurement, Watch

T0 = 1_800_000_000.0
WATCH = Watch("idx", k=10, ef_runtime=40, target=0.9)


def row(at: float, recall: float | None, half: float = 0.02, **more: object) -> Measurement:
    bounds = (None, None) if recall is None else (recall - half, recall + half)
    made = Measurement(
        T0 + at, WATCH, 500, "500 made queries", recall, *bounds, 1_000, "ready", 1.0, "run", "def", 1_000, 0
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("recalls", "since"),
    [
        ([], None),
        ([0.95, 0.93], None),
        ([0.95, 0.89], None),  # the interval still reaches the target
        ([0.95, 0.87], 1),
        ([0.87, 0.89], 0),  # once raised it stays until the mean is back
        ([0.87, 0.90], None),
        ([0.87, None, 0.89], 0),  # what was not measured says nothing
        ([0.87, 0.91, 0.86, 0.85], 2),
        ([None, None], None),
    ],
)
def test_an_alert_is_raised_by_a_whole_interval_and_ends_at_the_target(
    recalls: list[float | None], since: int | None
) -> None:
    rows = [row(60.0 * n, recall) for n, recall in enumerate(recalls)]
    fell = judge.fell(rows)
    assert (None if fell is None else rows.index(fell)) == since
    assert (judge.alert(rows, "node") is None) == (since is None)


def test_the_newest_measurement_in_a_few_words() -> None:
    assert judge.brief([row(0, 0.5), row(60, 0.9617)]) == "recall@10 of idx 0.962 (target 0.9)"
    assert judge.brief([row(0, 0.95), row(60, None)]) == "recall@10 of idx not measured"


@pytest.mark.parametrize(
    ("target", "confidence", "queries"),
    [(0.9, 0.95, 5), (0.9, 0.95, 1), (0.95, 0.95, 71), (0.99, 0.9, 200), (0.999, 0.95, 500), (0.5, 0.99, 7)],
)
def test_too_few_queries_for_the_confidence_are_told(target: float, confidence: float, queries: int) -> None:
    watch = replace(WATCH, target=target, confidence=confidence)
    told = judge.note(row(0, 1.0, watch=watch, queries=queries))
    counted = "1 query is" if queries == 1 else f"{queries} queries are"
    assert told.startswith(f"{counted} too few for recall@10 ≥ {target:g} with {confidence * 100:g} % confid")
    # All answered perfectly: by Clopper and Pearson the lower end is (α/2)^(1/n); ours is as low or a bit lower.
    needed = int(told.rpartition("at least ")[2].rstrip(".").replace(",", ""))
    exact = math.ceil(math.log((1 - confidence) / 2) / math.log(target))
    assert exact <= needed <= 1.01 * exact + 1
    assert judge.note(row(0, 1.0, watch=watch, queries=needed)) == ""
    assert judge.note(row(0, None, watch=watch, queries=queries)) == ""  # nothing was measured


def test_what_changed_is_told() -> None:
    before = row(0, 0.95)
    after = row(
        60,
        0.95,
        documents=1_300,
        revision=1_700,
        run_id="other",
        definition="new",
        build="building",
        built=0.5,
    )
    assert judge.changes(before, before) == ()
    assert judge.changes(before, replace(after, definition="def")) == (
        "The server was restarted or replaced.",
        "It holds 300 documents more (30.0%).",
        "400 documents were replaced or deleted.",
        "Its build went from ready (100%) to building (50%).",
    )
    assert "The index has another definition." in judge.changes(before, after)
    untold = replace(before, revision=None)
    lost = replace(untold, removals=70, documents=900)
    assert judge.changes(untold, lost) == (
        "It holds 100 documents fewer (10.0%).",
        "The server counts 70 keys that expired or were evicted, and calls that delete.",
    )


@pytest.mark.parametrize(
    ("after", "what"),
    [
        ({"definition": "new"}, "another definition"),
        ({"revision": 1_400}, "About 400 documents were replaced or deleted"),
        ({"documents": 1_500, "revision": 1_500}, "grew by 500 documents"),
        ({"run_id": "b"}, "was restarted"),
        ({"build": "building", "built": 0.4}, "is building, 40% built"),
        ({"watch": replace(WATCH, tap="/t.parquet")}, "asks other questions"),
        ({}, "Nothing that is counted changed"),
    ],
)
def test_candidates_for_the_cause(after: dict[str, object], what: str) -> None:
    rows = [row(0, 0.95), row(60, 0.8, **after)]
    causes = judge.causes(rows)
    assert what in causes[0].what
    assert all(cause.remedy for cause in causes)
    told = judge.alert(rows, "node")
    assert told is not None
    assert "0.800 (0.780 to 0.820); the target is 0.9" in told.saw
    assert what in told.todo


def test_an_index_that_never_met_the_target() -> None:
    assert judge.causes([row(0, 0.5), row(60, 0.5)])[0].what == "It was never seen at the target."


def test_measurements_are_kept_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_RECALLS", 5)
    path = history.path_of(tmp_path, Target())
    assert runner.all_rows(path) == {}
    for n in range(9):
        history.add_recall(path, WATCH.name, T0 + n, asdict(row(n, 0.9)), [])
    history.add_recall(path, "other", T0, {"of": "another version"}, [])
    assert [each.at - T0 for each in runner.rows_of(path, WATCH)] == [4, 5, 6, 7, 8]
    assert runner.rows_of(path, WATCH, limit=1) == [row(8, 0.9)]
    assert list(runner.all_rows(path)) == [WATCH.name]  # what another version kept is left out
    writer = history.Writer(path)  # the app's sampler tidies the rest away by age; these stay
    writer.trim(T0 + 30 * 86_400)
    writer.close()
    assert len(runner.rows_of(path, WATCH)) == 5


def test_a_history_of_an_earlier_version_has_no_measurements(tmp_path: Path) -> None:
    path = history.path_of(tmp_path, Target())
    writer = history.Writer(path)
    writer._db.execute("DROP TABLE recalls")
    writer.close()
    assert Past(path).recall_names() == ()
    history.add_recall(path, WATCH.name, T0, asdict(row(0, 0.9)), [])
    assert len(runner.rows_of(path, WATCH)) == 1


def test_what_the_app_watches_is_kept(tmp_path: Path) -> None:
    target = Target()
    assert series.listed(tmp_path, target) == ()
    other = replace(WATCH, ef_runtime=None, tap="/x/t.parquet", sample="usual")
    for watch in (WATCH, other, replace(WATCH, every_s=60.0)):
        series.switch(tmp_path, target, watch, on=True)
    assert series.listed(tmp_path, target) == (other, replace(WATCH, every_s=60.0))
    series.switch(tmp_path, target, other, on=False)
    assert series.listed(tmp_path, target) == (replace(WATCH, every_s=60.0),)
    assert series.listed(tmp_path, replace(target, port=1)) == ()
    series.path_of(tmp_path, target).write_text("[{")
    with pytest.raises(DamagedFile):
        series.listed(tmp_path, target)


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"ef_runtime": 0}, {"target": 1.1}, {"queries": 0}, {"confidence": 1.0}]
)
def test_what_cannot_be_watched(wrong: dict[str, float]) -> None:
    with pytest.raises(OutOfRange, match="a watch accepts"):
        replace(WATCH, **wrong)  # type: ignore[arg-type]


class Told(Collector):
    def collect(self) -> list[metrics.Metric]:
        rows = [row(0, 0.95), row(60, 0.8), row(120, None, problem="gone")]
        own = [row(0, 0.5, watch=replace(WATCH, ef_runtime=None, k=3))]
        return metrics.families({"a": rows, "b": own, "c": [row(0, None)]})


def test_the_exporter_tells_recall_with_its_bounds() -> None:
    registry = CollectorRegistry()
    registry.register(Told())
    text = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    for line in (
        'memdb_recall_ratio{ef="40",index="idx",k="10"} 0.8',
        'memdb_recall_low_ratio{ef="40",index="idx",k="10"} 0.78',
        'memdb_recall_high_ratio{ef="40",index="idx",k="10"} 0.82',
        'memdb_recall_below_target{ef="40",index="idx",k="10"} 1.0',
        'memdb_recall_ratio{ef="own",index="idx",k="3"} 0.5',
    ):
        assert line in text
    assert text.count("memdb_recall_ratio{") == 2


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("15m", 900), ("6h", 21_600), ("1d", 86_400)])
def test_how_often(text: str, seconds: float) -> None:
    chosen = parse(["watch", "--index", "i", "--every", text])
    assert chosen.watch.every_s == seconds  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["15", "m", "1s", "1.5h", "-5m", "every day"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadInput, match="--every"):
        parse(["watch", "--index", "i", "--every", text])


def test_repeat_waits_for_the_next_turn_and_skips_what_another_measured(tmp_path: Path) -> None:
    path = history.path_of(tmp_path, Target())
    at = time.time() - 100
    history.add_recall(path, WATCH.name, at, asdict(replace(row(0, 0.9), at=at)), [])
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return True

    runner.repeat(WATCH, lambda: pytest.fail("it is not due"), path, wait)
    assert 500 < waited[0] <= 800


def test_repeat_waits_for_what_another_process_measures(tmp_path: Path) -> None:
    path = history.path_of(tmp_path, Target.parse("redis://a"))
    waited: list[float] = []

    def measured_elsewhere() -> None:
        waited.append(-1.0)
        if waited.count(-1.0) == 3:  # it is done by then
            history.add_recall(
                path, WATCH.name, time.time(), asdict(replace(row(0, 0.9), at=time.time())), []
            )
        raise UnderWay("it is being measured just now")

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return seconds > 500

    runner.repeat(WATCH, measured_elsewhere, path, wait)
    assert waited[:-1] == [-1.0, 2.0, -1.0, 2.0, -1.0, 2.0]
    assert 500 < waited[-1] <= 900


def test_the_command_asks_the_same_server_with_the_login_it_has_by_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("MEMDB_TARGET", "MEMDB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEMDB_HOME", str(tmp_path))
    monkeypatch.setenv("MEMDB_URL", "redis://:new@127.0.0.1:7")
    first = Target.parse("redis://:old@127.0.0.1:7")
    command = WatchCommand(index="idx")
    assert command._again(first).password == "new"
    monkeypatch.setenv("MEMDB_URL", "redis://:new@127.0.0.1:8")  # another server is not what is watched
    assert command._again(first) == first
    monkeypatch.delenv("MEMDB_URL")
    assert command._again(first) == first


def test_a_clock_that_goes_back_delays_nothing_and_the_last_measurement_stays_the_newest(
    tmp_path: Path,
) -> None:
    """A day ahead the clock was set right: the next is due now, and once."""
    path = history.path_of(tmp_path, Target.parse("redis://a"))
    now = time.time()
    ahead = now + 86_400
    for at, recall in ((ahead - 900, 0.9), (ahead, 0.8)):
        history.add_recall(path, WATCH.name, at, asdict(replace(row(0, recall), at=at)), [])
    assert runner.due_s(path, WATCH) == 0
    for n in range(2):
        history.add_recall(path, WATCH.name, now + n, asdict(replace(row(0, 0.7 + n), at=now + n)), [])
    assert [each.at for each in runner.rows_of(path, WATCH)] == [ahead - 900, ahead, now, now + 1]
    assert runner.rows_of(path, WATCH, limit=1)[0].recall == 1.7
    assert 0 < runner.due_s(path, WATCH) <= WATCH.every_s + 60
