"""Rates, index builds and thresholds, without a server."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from memdb.errors import OutOfRange
from memdb.operations import readings
from memdb.operations.build import PERCENT, reading
from memdb.operations.figures import COUNTED
from memdb.operations.rates import RESTARTED, Rates, difference, quantile, rates
from memdb.operations.readings import Reading
from memdb.operations.samples import Sample
from memdb.operations.thresholds import Thresholds, judge, worst
from memdb.vectors.index import BuildState, IndexInfo
from tests.unit import recorded

BEFORE = Sample(
    "a:1",
    "primary",
    10.0,
    "run1",
    dict.fromkeys(COUNTED, 0.0)
    | {
        "uptime_s": 100.0,
        "cpu_s": 5.0,
        "cpu_process_s": 20.0,
        "commands": 1000.0,
        "searches": 10.0,
        "search_us": 5000.0,
        "hits": 8.0,
        "misses": 2.0,
        "evicted": 0.0,
        "rejected": 0.0,
        "expired": 4.0,
        "used_bytes": 50.0,
        "limit_bytes": 100.0,
        "clients": 3.0,
        "client_limit": 100.0,
    },
)


def later(**figures: float) -> Sample:
    return replace(BEFORE, at=12.0, figures={**BEFORE.figures, "uptime_s": 102.0, **figures})


def test_rates_are_differences_over_the_time_between() -> None:
    found = rates(
        BEFORE,
        later(
            commands=1200.0,
            searches=14.0,
            search_us=13_000.0,
            cpu_s=6.0,
            cpu_process_s=27.0,
            hits=11.0,
            misses=3.0,
        ),
    )
    assert found.seconds == 2.0
    assert found.values["commands"] == 100.0
    assert found.values["searches"] == 2.0
    assert found.values["search_ms"] == 2.0
    assert found.values["cpu"] == 0.5
    assert found.values["cpu_process"] == 3.5  # a main thread half idle on a node that works on 3.5 cores
    assert found.values["hit_rate"] == 0.75
    assert found.absent == {}


@pytest.mark.parametrize(
    "after",
    [
        replace(later(commands=3.0), run_id="run2"),
        later(uptime_s=1.0, commands=3.0),
    ],
)
def test_a_restart_is_a_gap(after: Sample) -> None:
    assert rates(BEFORE, after).values == {}
    assert rates(BEFORE, after).absent == {"all": RESTARTED}


def test_one_counter_that_went_back_takes_no_other_with_it() -> None:
    found = rates(BEFORE, later(searches=0.0, search_us=0.0, commands=1200.0))
    assert "searches" not in found.values
    assert "search_ms" not in found.values
    assert "backwards" in found.absent["searches"]
    assert found.values["commands"] == 100.0


def test_no_time_and_a_dead_node_give_no_rates() -> None:
    assert "no time" in rates(BEFORE, BEFORE).absent["all"]
    assert rates(BEFORE, replace(later(), problem="no answer")).absent == {"all": "no answer"}


def memorydb(command: str, **changed: Any) -> list[Any]:
    entries = json.loads((recorded.FOLDER / "memorydb.json").read_text())["replies"]
    found = next(e["reply"] for e in entries if e["command"].startswith(command))
    pairs = dict(zip(found[::2], found[1::2], strict=True)) | changed
    return [part for pair in pairs.items() for part in pair]


@pytest.mark.parametrize(
    ("changed", "search", "state", "fraction"),
    [
        ({"index_status": "AVAILABLE", "index_degradation_percentage": 0}, {}, "ready", 1.0),
        ({"index_status": "AVAILABLE", "index_degradation_percentage": 41}, {}, "building", 0.59),
        ({"index_status": "BACKFILLING"}, {PERCENT: "37.5"}, "building", 0.375),
        ({"index_status": "BACKFILLING"}, {}, "building", 0.0),
        ({"index_status": "QUEUED"}, {PERCENT: "37.5"}, "queued", 0.0),
    ],
)
def test_memorydb_builds(
    changed: dict[str, Any], search: dict[str, str], state: str, fraction: float
) -> None:
    found = reading("i", memorydb("FT.INFO", **changed), search)
    assert found.build.state == state
    assert found.build.fraction == pytest.approx(fraction)


def test_builds_of_the_other_dialects_and_a_replica_that_lags() -> None:
    valkey = reading("i", [b"backfill_in_progress", b"1", b"backfill_complete_percent", b"0.25"], {})
    assert (valkey.build.state, valkey.build.fraction) == ("building", 0.25)
    redisearch = reading("i", [b"indexing", b"1", b"percent_indexed", b"0.5"], {})
    assert (redisearch.build.state, redisearch.build.fraction) == ("building", 0.5)
    assert reading("i", [], {}).build.state == "queued"


def index_info(build: BuildState, **more: Any) -> IndexInfo:
    plain: dict[str, Any] = {"vectors": None, "vector_bytes": None, "total_bytes": None, "failures": None}
    return IndexInfo("i", "HASH", ("d:",), (), documents=5, build=build, **(plain | more))


def levels(after: Sample, found: Rates | None = None) -> dict[str, str]:
    found = rates(BEFORE, after) if found is None else found
    return {one.name: one.level for one in judge(after, found, Thresholds())}


def test_a_healthy_node_has_nothing_wrong() -> None:
    assert set(levels(later()).values()) == {"ok"}


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"used_bytes": 76.0}, "free memory"),
        ({"clients": 81.0}, "connections"),
        ({"cpu_s": 6.5}, "CPU"),
        ({"evicted": 1.0}, "evictions"),
        ({"rejected": 1.0}, "rejected connections"),
    ],
)
def test_each_threshold_warns_alone(figures: dict[str, float], name: str) -> None:
    found = levels(later(**figures))
    assert found.pop(name) == "warning"
    assert set(found.values()) == {"ok"}


@pytest.mark.parametrize(
    ("state", "level"), [("building", "warning"), ("paused", "warning"), ("failed", "critical")]
)
def test_an_index_that_is_not_ready(state: Any, level: str) -> None:
    after = replace(later(), indexes=(index_info(BuildState(state, 0.5, "told"), failures=0),))
    assert levels(after)["index i"] == level


def test_failures_of_an_index_are_told_with_the_last_key() -> None:
    index = index_info(
        BuildState("ready", 1.0, "told"), failures=2, last_error="wrong length", last_error_key="d:7"
    )
    found = next(
        f for f in judge(replace(later(), indexes=(index,)), Rates(1.0), Thresholds()) if f.name == "index i"
    )
    assert found.level == "warning"
    assert "d:7" in found.saw


def test_what_is_not_told_is_absent_and_no_alarm() -> None:
    after = replace(later(), figures={}, absent={"used_bytes": "INFO does not tell used_memory"})
    found = judge(after, rates(BEFORE, after), Thresholds())
    assert {one.level for one in found} == {"absent"}
    assert worst(found) == "ok"


def test_a_node_that_is_silent_or_cut_off_is_critical() -> None:
    assert levels(replace(later(), problem="no answer")) == {"answers": "critical"}
    assert levels(replace(later(), link="down"))["replication"] == "critical"


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(OutOfRange):
        Thresholds(cpu=1.5)


def test_a_user_who_may_not_ask_for_info_is_no_alarm_and_sees_indexes() -> None:
    index = index_info(BuildState("ready", 1.0, "told"), failures=0)
    after = replace(BEFORE, figures={}, absent={"INFO": "refused"}, indexes=(index,))
    assert levels(after, Rates(1.0)) == {"INFO": "absent", "index i": "ok"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), ((1, 4), (8, 6)), ((1, 4), (8, 6))),
        (((1, 4), (8, 6)), ((1, 4), (2, 9), (8, 12)), ((1, 0), (2, 5), (8, 6))),
        (((1, 4), (8, 6)), ((1, 4), (8, 6)), ()),  # nothing came
        (((1, 4), (8, 6)), ((1, 1),), ()),  # reset
    ],
)
def test_what_came_between_two_histograms(before: Any, after: Any, expected: Any) -> None:
    assert difference(before, after) == expected


def test_quantiles_are_upper_edges_of_buckets() -> None:
    cumulative = ((1.0, 0), (2.0, 50), (8.0, 99), (16.0, 100))
    assert [quantile(cumulative, share) for share in (0.5, 0.51, 0.99, 1.0)] == [2.0, 8.0, 8.0, 16.0]
    assert quantile((), 0.5) is None


def test_histograms_are_summed_over_commands_and_search_stands_alone() -> None:
    reply = [
        [b"get", [b"calls", 3, b"histogram_usec", [1, 2, 4, 3]]],
        [b"FT.SEARCH", [b"calls", 2, b"histogram_usec", [4, 1, 66, 2]]],
    ]
    flat = [part for pair in reply for part in pair]
    found = readings.histograms(Reading(), flat)
    assert found["all"] == ((1.0, 2), (4.0, 4), (66.0, 5))
    assert found["search"] == ((4.0, 1), (66.0, 2))


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("FT.SEARCH", "search"),
        ("json.set", "json"),
        ("hgetall", "hash"),
        ("hello", "server"),
        ("get", "string"),
        ("del", "key"),
        ("lpush", "collection"),
        ("zadd", "collection"),
        ("config|get", "server"),
        ("latency|histogram", "server"),
        ("info", "server"),
    ],
)
def test_commands_by_kind(command: str, kind: str) -> None:
    assert readings.kind_of(command) == kind


def test_commandstats_are_summed_by_kind() -> None:
    text = (
        b"# Commandstats\r\ncmdstat_hset:calls=7,usec=70\r\ncmdstat_FT.SEARCH:calls=3,usec=900\r\n"
        b"cmdstat_hget:calls=1,usec=1\r\n"
    )
    found = Reading()
    readings.commands(found, text)
    assert (found.told["calls_hash"], found.told["calls_search"], found.told["calls_key"]) == (8, 3, 0)
    assert (found.told["searches"], found.told["search_us"]) == (3, 900)


def test_the_replicas_that_a_primary_lists() -> None:
    told = {
        "role": "master",
        "master_repl_offset": "500",
        "slave0": "ip=10.0.0.2,port=6379,state=online,offset=480,lag=1",
        "slave_read_only": "1",
    }
    (one,) = readings.following(told)
    assert (one.address, one.state, one.behind_bytes, one.lag_s) == ("10.0.0.2:6379", "online", 20.0, 1.0)


def test_cpu_of_the_process_and_of_search_threads_as_info_tells_them() -> None:
    told = {
        "used_cpu_user": "10.25",
        "used_cpu_sys": "2.5",
        "used_cpu_user_main_thread": "1.0",
        "used_cpu_sys_main_thread": "0.5",
        "search_used_read_cpu": "87.5",
        "search_used_write_cpu": "3",
    }
    reading = readings.Reading()
    readings.memory_and_load(reading, told)
    readings.search_memory(reading, told)
    assert reading.told["cpu_s"] == 1.5
    assert reading.told["cpu_process_s"] == 12.75
    assert (reading.told["cpu_readers"], reading.told["cpu_writers"]) == (87.5, 3.0)
    bare = readings.Reading()
    readings.memory_and_load(bare, {})
    readings.search_memory(bare, {})
    assert "cpu_process_s" in bare.absent
    assert not {"cpu_readers", "cpu_writers"} & (bare.told.keys() | bare.absent.keys())


def test_remedies_fit_the_service() -> None:
    full = later(used_bytes=95.0, evicted=10.0)
    told = {f.name: f.todo for f in judge(full, rates(BEFORE, full), Thresholds())}
    assert "MemoryDB with search: a larger node" in told["evictions"]
    assert "MemoryDB with search has one" in told["free memory"]
