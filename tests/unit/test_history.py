"""The history's bounds, gaps and readers; alerts over time; events; growth. No server."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.target import Target
from memdb.operations import alerts, events, growth
from memdb.operations.events import Event
from memdb.operations.figures import KEPT, RATED
from memdb.operations.history import Damaged, Writer, keep, path_of
from memdb.operations.keyspace import Coverage
from memdb.operations.past import BuildPoint, Past, with_gaps
from memdb.operations.rates import Rates
from memdb.operations.readings import Following
from memdb.operations.sampler import THRESHOLDS, thresholds_of
from memdb.operations.samples import Sample
from memdb.operations.thresholds import Finding, Thresholds
from memdb.ui.metrics import figures as figures_metrics
from memdb.ui.metrics.builds import gap_text
from memdb.ui.metrics.page import todo_text
from memdb.vectors.index import BuildState, IndexInfo

T0 = 1_800_000_000.0


def one(used: float = 5.0, address: str = "a:1", **more: object) -> Sample:
    return replace(Sample(address, "primary", 0.0, "r", {"used_bytes": used}), **more)  # type: ignore[arg-type]


def index(state: str = "building", fraction: float = 0.5, documents: int = 5) -> IndexInfo:
    build = BuildState(state, fraction, "told")  # type: ignore[arg-type]
    return IndexInfo("i", "HASH", ("d:",), (), documents, None, build, None, None, 0)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "odd # name?" / "h.sqlite"
    writer = Writer(path)
    primary = one(replicas=(Following("b:1", "online", 7.0, 1.0),), indexes=(index(),))
    replica = replace(one(6.0, "b:1"), role="replica", link="up")
    found = [(primary, Rates(2.0, {"cpu": 0.5}, {"slow": "refused"})), (replica, Rates(2.0))]
    writer.add(T0, found, [Event(T0, "a:1", "node", "", "restarted")])
    past = Past(path)
    first, second = past.nodes()
    assert (first.address, first.figures["cpu"], first.absent["slow"]) == ("a:1", 0.5, "refused")
    assert (second.role, second.link, second.figures["behind_bytes"]) == ("replica", "up", 7.0)
    assert first.indexes[0].state == "building"
    assert past.builds(T0, T0)[0].fraction == 0.5
    assert past.events(T0, T0)[0].text == "restarted"
    writer.add(T0 + 2, [(primary, Rates(2.0))])
    assert len(past.builds(T0, T0 + 9)) == 1  # nothing changed: no new point
    assert [n.address for n in past.nodes()] == ["a:1"]  # the other one left
    assert past.path.stat().st_mode & 0o077 == 0
    writer.close()
    assert past.span() == (T0, T0 + 2)


@pytest.mark.parametrize("name", ["bin\udcff\udcfe", "cut \ud83d", "a\x00b", "日本"])
def test_an_index_whose_name_is_no_utf8_is_kept_as_any_other(tmp_path: Path, name: str) -> None:
    """Its history was set aside as damaged, and with it that of all the other indexes."""
    path = tmp_path / "h.sqlite"
    writer = Writer(path)
    sample = one(indexes=(replace(index(), name=name),))
    writer.add(T0, [(sample, Rates(2.0))], [Event(T0, "a:1", "index", name, f"{name} was dropped")])
    writer.close()
    past = Past(path)
    (node,), (point,), (event,) = past.nodes(), past.builds(T0, T0), past.events(T0, T0)
    assert (node.indexes[0].name, point.name, event.name) == (name, name, name)
    assert event.text == f"{name} was dropped"


def test_an_impossible_number_of_documents_is_not_kept_as_none_at_all(tmp_path: Path) -> None:
    """0 would say that the index lost its documents."""
    writer = Writer(tmp_path / "h.sqlite")
    wrapped = replace(index(), documents=0, absent={"documents": "num_docs tells 2^64", "built": "tells 7"})
    writer.add(T0, [(one(indexes=(wrapped,)), Rates(2.0))])
    (node,) = Past(writer.path).nodes()
    assert (node.indexes[0].documents, node.indexes[0].fraction) == (None, None)
    writer.close()
    told = events.happened(T0, {"a:1": one()}, [one(indexes=(wrapped,))])
    assert "number of documents not available" in told[0].text


def test_a_silent_node_is_told_as_such_and_leaves_no_sample(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h.sqlite")
    writer.add(T0, [(one(problem="no answer"), Rates(0.0))])
    (node,) = Past(writer.path).nodes()
    assert node.problem == "no answer"
    assert Past(writer.path).span() is None
    writer.close()


def test_long_times_are_thinned_to_means_and_maxima(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h.sqlite")
    for i in range(1200):
        writer.add(T0 + 2 * i, [(one(float(i % 2)), Rates(2.0))])
    series = Past(writer.path).series("a:1", T0, T0 + 2400, ["used_bytes"], buckets=100)
    writer.close()
    assert 100 <= len(series.times) <= 101
    assert series.bucket_s == 24
    assert series.mean["used_bytes"][5] == pytest.approx(0.5)
    assert series.top["used_bytes"][5] == 1.0


def test_no_line_is_drawn_across_a_time_that_was_not_sampled() -> None:
    table = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [60.0, 1.0], [62.0, 1.0]])
    found = with_gaps(table)
    assert len(found) == 6
    assert np.isnan(found[3, 1])
    assert with_gaps(table[:3]) is not None
    assert len(with_gaps(table[:3])) == 3


def test_the_file_is_bounded_by_size_and_by_age(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h.sqlite", max_bytes=400_000, max_age_s=10_000.0)
    full = one().figures | dict.fromkeys(KEPT, 1234.5)
    for i in range(4000):
        writer.add(T0 + 2 * i, [(one(figures=full), Rates(2.0, dict.fromkeys(RATED, 0.1)))])
    writer.trim(T0 + 8000)
    span = Past(writer.path).span()
    assert span is not None
    assert span[1] == T0 + 2 * 3999
    assert T0 + 1000 < span[0] < span[1]
    writer._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert writer.path.stat().st_size < 500_000
    writer.trim(T0 + 8000 + 9_500)
    span = Past(writer.path).span()
    assert span is not None
    assert span[0] >= T0 + 7500
    writer.close()


def test_a_file_that_is_no_history_is_named_and_one_of_another_version_begins_anew(tmp_path: Path) -> None:
    bad = tmp_path / "bad.sqlite"
    bad.write_text("no database " * 100)
    with pytest.raises(Damaged, match=r"bad\.sqlite"):
        Writer(bad)
    assert Past(bad).nodes() == ()  # it was set aside
    bad.write_text("no database " * 100)
    with pytest.raises(Damaged, match=r"bad\.sqlite\.damaged"):
        Past(bad).nodes()
    Writer(bad).close()  # a new one
    assert Past(tmp_path / "none.sqlite").nodes() == ()
    assert Past(tmp_path / "none.sqlite").span() is None
    old = tmp_path / "old.sqlite"
    with sqlite3.connect(old) as db:
        db.execute("CREATE TABLE samples (node INTEGER, at REAL, cpu REAL)")
    db.close()
    writer = Writer(old)
    writer.add(T0, [(one(), Rates(2.0))])
    writer.close()
    assert Past(old).span() == (T0, T0)


def test_users_of_one_server_have_histories_of_their_own(tmp_path: Path) -> None:
    target = Target.parse("redis://ann@h:6379")
    paths = {path_of(tmp_path, t) for t in (target, replace(target, username="bob"))}
    assert len(paths) == 2
    assert path_of(tmp_path, replace(target, writable=True)) in paths


def test_thresholds_are_kept_beside_a_writer(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h.sqlite")
    keep(writer.path, THRESHOLDS, {"free_memory": 0.1, "cpu": 0.5, "connections": 0.9})
    assert thresholds_of(writer.kept(THRESHOLDS)) == Thresholds(0.1, 0.5, 0.9)
    assert thresholds_of({"cpu": 7}) == Thresholds()
    assert thresholds_of("x") == Thresholds()
    writer.close()
    with pytest.raises(Damaged):
        keep(tmp_path / "none.sqlite", THRESHOLDS, {})


def bad(name: str = "connections", level: str = "warning") -> Finding:
    return Finding("a:1", name, level, "saw", "todo")  # type: ignore[arg-type]


def test_an_alert_is_raised_after_its_hold_and_clears_after_a_minute_beyond_the_margin() -> None:
    standing, changes = alerts.step({}, 0.0, [bad()], [bad()])
    assert not changes
    assert not next(iter(standing.values())).stands
    standing, changes = alerts.step(standing, 5.0, [bad()], [bad()])
    assert [c.raised for c in changes] == [True]
    # Back under the threshold, but not by the margin: it stands.
    standing, changes = alerts.step(standing, 100.0, [bad(level="ok")], [bad()])
    assert next(iter(standing.values())).well_since is None
    standing, changes = alerts.step(standing, 110.0, [bad(level="ok")], [bad(level="ok")])
    assert next(iter(standing.values())).well_since == 110.0
    # Bad again within the minute: no second alarm, and the minute begins anew.
    standing, changes = alerts.step(standing, 150.0, [bad()], [bad()])
    assert not changes
    standing, changes = alerts.step(standing, 160.0, [bad(level="ok")], [bad(level="ok")])
    standing, changes = alerts.step(standing, 219.0, [bad(level="ok")], [bad(level="ok")])
    assert not changes
    standing, changes = alerts.step(standing, 220.0, [bad(level="ok")], [bad(level="ok")])
    assert [c.raised for c in changes] == [False]
    assert standing == {}


def test_what_was_only_suspected_is_forgotten_and_silence_is_raised_at_once() -> None:
    standing, _ = alerts.step({}, 0.0, [bad("CPU")], [bad("CPU")])
    assert alerts.step(standing, 2.0, [], []) == ({}, ())
    _, changes = alerts.step({}, 0.0, [bad("answers", "critical")], [])
    assert changes[0].raised


def test_alerts_survive_their_file_and_one_of_another_version_is_none() -> None:
    standing, _ = alerts.step({}, 0.0, [bad("answers")], [])
    assert alerts.from_facts(alerts.facts(standing)) == standing
    assert alerts.from_facts([{"node": "x"}]) == {}
    assert alerts.from_facts(None) == {}


def test_a_build_that_ended_clears_at_once() -> None:
    standing, _ = alerts.step({}, 0.0, [bad("index i")], [bad("index i")])
    standing, changes = alerts.step(standing, 2.0, [bad("index i", "ok")], [bad("index i", "ok")])
    assert [c.raised for c in changes] == [False]
    assert standing == {}


def test_commands_of_a_remedy_are_code_and_names_in_it_stay_text() -> None:
    assert todo_text("Look: `redis-cli CLIENT LIST`.").replace("\\", "") == "Look: `redis-cli CLIENT LIST`"
    assert "<b>" not in todo_text("See <b>x</b> `a`.").replace("\\<", "")
    assert "[x](y)" not in todo_text("`FT.INFO a`b [x](y)`c`")


def test_two_builds_of_one_name_are_two_lines() -> None:
    points = [BuildPoint(t, "a", "i", "building", f, 0, 0) for t, f in ((1, 0.2), (2, 0.9), (9, 0.1))]
    assert figures_metrics._builds_apart(points) == ([1, 2, 9, 9], [0.2, 0.9, None, 0.1])


def test_relaxed_thresholds_are_stricter_to_leave() -> None:
    found = alerts.relaxed(Thresholds(0.25, 0.7, 0.8))
    assert (found.free_memory, found.cpu, found.connections) == pytest.approx((0.3, 0.65, 0.75))
    assert alerts.relaxed(Thresholds(1.0, 0.0, 0.0)) == Thresholds(1.0, 0.0, 0.0)


def texts(before: list[Sample], after: list[Sample]) -> list[str]:
    return [e.text for e in events.happened(T0, {b.address: b for b in before}, after)]


def test_events_of_nodes_and_builds() -> None:
    ready = one(indexes=(index("ready", 1.0, 9),))
    assert texts([], [one()]) == []
    assert texts([one(indexes=(index(),))], [ready]) == ["build finished, 9 documents"]
    assert texts([one()], [ready]) == ["created, ready, 9 documents"]
    assert texts([ready], [one()]) == ["dropped"]
    assert texts([ready], [one(absent={"indexes": "refused"})]) == []
    assert texts([one()], [one(run_id="r2")]) == ["restarted"]
    assert texts([one()], [one(role="replica")]) == ["became replica"]
    assert texts([one(), one(address="b:1")], [one()]) == ["left"]
    assert texts([one()], [one(), one(address="b:1")]) == ["joined as primary"]


def test_a_restart_while_nobody_answered_is_told_afterwards() -> None:
    silent = one(problem="no answer", run_id="", figures={})
    assert texts([one()], [silent]) == ["stopped answering: no answer"]
    told = texts([events.carried(one(), silent)], [one(run_id="r2")])
    assert told == ["answers again", "restarted"]


def test_growth_with_its_interval_and_time_to_the_limit() -> None:
    times = T0 + np.arange(0, 600, 2.0)
    noise = np.random.default_rng(0).normal(0, 500, len(times))
    found = growth.growth(times, 1e6 + 100 * (times - T0) + noise, 2e6)
    assert found is not None
    assert found.low < 100 < found.high
    assert found.low > 90
    assert found.certain
    assert found.left_s == pytest.approx((2e6 - 1e6 - 60_000) / 100, rel=0.05)
    assert found.soonest_s is not None
    assert found.latest_s is not None
    assert found.soonest_s < found.left_s < found.latest_s
    draws = [np.random.default_rng(i).normal(1e6, 500, len(times)) for i in range(100)]
    flat = [growth.growth(times, draw, 2e6) for draw in draws]
    assert sum(f is not None and f.certain for f in flat) <= 12  # 5 expected of a 95 % interval
    assert growth.growth(times[:5], noise[:5], None) is None
    gaps = np.where(np.arange(len(times)) % 3 == 0, np.nan, 1e6)
    steady = growth.growth(times, gaps, None)
    assert steady is not None
    assert (steady.per_s, steady.left_s) == (0.0, None)


@pytest.mark.parametrize(
    ("keys", "low", "high", "documents", "exact", "expected"),
    [
        (120, 120, 120, 100, True, "+20"),
        (100, 100, 100, 100, True, "+0"),
        (178, 20, 400, 120, False, "≈ 0"),
        (40_000, 39_618, 39_999.9999, 40_000, False, "≈ 0"),
        (500, 450, 560, 400, False, "+100"),
    ],
)
def test_a_gap_is_told_only_where_the_estimate_tells_one(
    keys: float, low: float, high: float, documents: int, exact: bool, expected: str
) -> None:
    assert gap_text(Coverage("i", keys, low, high, documents, exact)) == expected
    assert gap_text(None) == "–"
    assert gap_text(Coverage("i", keys, low, high, None, exact)) == "not available"


def test_documents_that_come_all_day_are_a_point_a_minute(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "h.sqlite")
    for i in range(100):
        writer.add(T0 + 2 * i, [(one(indexes=(index("ready", 1.0, 1000 + i),)), Rates(2.0))])
    writer.add(T0 + 201, [(one(indexes=(index("building", 0.5, 1100),)), Rates(2.0))])
    points = Past(writer.path).builds(T0, T0 + 300)
    writer.close()
    assert [p.at - T0 for p in points] == [0, 60, 120, 180, 201]
