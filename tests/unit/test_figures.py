"""One table of a node's figures, and what cannot be true: made-up replies, no server."""

from __future__ import annotations

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from memdb.cluster import possible
from memdb.cluster.possible import COUNTER, PERCENT, SHARE, SIZE
from memdb.cluster.topology import SLOTS, Topology, cluster_nodes
from memdb.operations import readings, slowlog
from memdb.operations.build import PERCENT as PROGRESS
from memdb.operations.build import reading
from memdb.operations.exporter import families
from memdb.operations.figures import CHARTS, COUNTED, FIGURES, KEPT, RATED, on_chart
from memdb.operations.rates import Rates
from memdb.operations.readings import Reading
from memdb.operations.samples import Sample
from memdb.operations.thresholds import Thresholds, judge
from memdb.vectors.index import read_info

WRAPPED = str(2**64 - 4096)


@pytest.mark.parametrize(
    ("value", "within", "number", "named"),
    [
        (b"4096", SIZE, 4096.0, False),
        (2**64, SIZE, None, True),
        (WRAPPED, SIZE, None, True),
        (b"-1", SIZE, None, True),
        (b"inf", SIZE, None, True),
        (b"-nan", SIZE, None, True),
        (math.nan, SIZE, None, True),
        (None, SIZE, None, False),
        (b"often", SIZE, None, False),
        (b"101", PERCENT, None, True),
        (b"100%", PERCENT, 100.0, False),
        (1.0001, SHARE, None, True),
        (-(2**63), COUNTER, None, True),
        (2**62, COUNTER, 2.0**62, False),
    ],
)
def test_what_can_be(value: Any, within: possible.Range, number: float | None, named: bool) -> None:
    assert possible.number(value, within) == number
    why = possible.refusal(value, within, "INFO x")
    assert bool(why) is named
    if named:
        assert why.startswith("INFO x tells ")
        assert within.words in why


def told() -> dict[str, str]:
    """INFO with every field that the table names, each with a number of its own."""
    return {figure.info: str(i + 2) for i, figure in enumerate(FIGURES.values()) if figure.info}


def test_a_figure_of_info_is_read_kept_drawn_and_exported_by_its_entry_alone() -> None:
    found = Reading()
    readings.memory_and_load(found, told())
    text = _exported(Sample("a:1", "primary", 0.0, "r", found.told))
    for name, figure in FIGURES.items():
        if figure.info:
            assert found.told[name] == float(told()[figure.info])
        assert figure.text
        assert figure.source
        assert set(figure.charts) <= {chart.title for chart in CHARTS}
        assert (
            bool(figure.legend) == bool(figure.charts)
            or not figure.kept
            or figure.name.startswith("search_p")
        )
    exported = [figure for name, figure in FIGURES.items() if figure.metric and name in found.told]
    assert len(exported) > 20
    for figure in exported:
        value = found.told[figure.name] * figure.factor
        total = "_total" if figure.kind == "counter" else ""
        assert f'memdb_{figure.metric}{total}{{node="a:1",role="primary"}} {value}' in text
    assert set(RATED) <= set(COUNTED)
    for chart in CHARTS:
        assert on_chart(chart), chart.title
        assert set(on_chart(chart)) <= set(KEPT)


@pytest.mark.parametrize("name", [name for name, figure in FIGURES.items() if figure.info])
@pytest.mark.parametrize("value", [WRAPPED, "-5", "inf", "nan"])
def test_an_impossible_figure_of_info_is_absent_and_named_everywhere(name: str, value: str) -> None:
    found = Reading()
    readings.memory_and_load(found, {**told(), FIGURES[name].info: value})
    assert name not in found.told
    assert found.impossible == {name}
    assert value in found.absent[name]
    sample = Sample(
        "a:1", "primary", 0.0, "r", found.told, found.absent, impossible=frozenset(found.impossible)
    )
    named = {f.name: f for f in judge(sample, Rates(1.0), Thresholds())}[name]
    assert (named.level, value in named.saw) == ("absent", True)
    text = _exported(sample)
    assert f'memdb_absent{{figure="{name}",node="a:1",role="primary"}} 1.0' in text.replace(
        f'node="a:1",role="primary",figure="{name}"', f'figure="{name}",node="a:1",role="primary"'
    )
    assert f"memdb_{FIGURES[name].metric}{{" not in text


def test_sums_and_other_commands_are_held_too() -> None:
    found = Reading()
    readings.memory_and_load(
        found,
        {
            **told(),
            "mem_clients_slaves": WRAPPED,
            "mem_replication_backlog": "1",
            "used_cpu_user_main_thread": "-3",
            "used_cpu_sys_main_thread": "1",
            "db0": "keys=5,expires=7",
            "keyspace_hits": "1",
        },
    )
    readings.search_memory(found, {"search_used_memory_bytes": WRAPPED})
    readings.commands(found, b"# Commandstats\r\ncmdstat_get:calls=" + WRAPPED.encode() + b",usec=1\r\n")
    assert readings.histograms(found, [b"get", [b"histogram_usec", [b"1", 5, b"2", 3]]]) == {}
    wanted = {
        "replication_buffer_bytes",
        "cpu_s",
        "keys_with_ttl",
        "search_bytes",
        "calls_string",
        "latency",
    }
    assert wanted == found.impossible
    assert found.told["keys"] == 5
    assert found.told["calls_hash"] == 0
    behind = readings.following(
        {"master_repl_offset": WRAPPED, "slave0": "ip=b,port=1,state=online,offset=0,lag=-1"}
    )
    assert (behind[0].behind_bytes, behind[0].lag_s) == (None, None)


def test_nothing_told_is_absent_and_not_zero() -> None:
    found = Reading()
    readings.memory_and_load(found, {"used_memory": "1"})
    assert "replication_buffer_bytes" not in found.told
    assert found.absent["keys"]
    assert found.impossible == set()


@pytest.mark.parametrize(
    ("field", "value", "figure"),
    [
        ("num_docs", WRAPPED, "documents"),
        ("num_docs", "-1", "documents"),
        ("num_docs", "nan", "documents"),
        ("max_doc_id", WRAPPED, "revision"),
        ("num_terms", "-7", "terms"),
        ("hash_indexing_failures", WRAPPED, "failures"),
        ("vector_index_sz_mb", "17592186044416", "vector_bytes"),
        ("vector_index_sz_mb", "-0.5", "vector_bytes"),
        ("total_index_memory_sz_mb", "17592186044415.9", "total_bytes"),
        ("total_index_memory_sz_mb", "inf", "total_bytes"),
        ("doc_table_size_mb", "17592186044416", "table_bytes"),
        ("space_usage", WRAPPED, "total_bytes"),
        ("vector_space_usage", WRAPPED, "vector_bytes"),
        ("num_indexed_vectors", WRAPPED, "vectors"),
        ("percent_indexed", "1.7", "built"),
        ("percent_indexed", "-nan", "built"),
    ],
)
def test_an_impossible_figure_of_an_index_is_absent_and_named(field: str, value: str, figure: str) -> None:
    sound = {
        "num_docs": "10",
        "indexing": "1",
        "percent_indexed": "0.5",
        "vector_index_sz_mb": "1",
        "total_index_memory_sz_mb": "2",
        "doc_table_size_mb": "0.1",
        "key_table_size_mb": "0.1",
        "max_doc_id": "12",
        "num_terms": "3",
    }
    assert read_info("i", dict(sound)).absent == {}
    info = read_info("i", {**sound, field: value})
    assert f"FT.INFO {field}" in info.absent[figure] or figure in ("vectors", "failures")
    assert value in info.absent[figure]
    shown = (info.documents, info.build.fraction, info.vector_bytes, info.total_bytes, info.table_bytes)
    assert all(part is None or 0 <= part <= 2**52 for part in shown)
    if figure == "built":
        assert value in info.build.source
    elif figure != "documents":
        assert getattr(info, figure) is None


@pytest.mark.parametrize("value", ["250", "-1", "nan"])
def test_percentages_of_builds_are_held(value: str) -> None:
    behind = read_info("i", {"index_status": "AVAILABLE", "index_degradation_percentage": value})
    assert behind.build.state == "ready"
    assert value in behind.absent["built"]
    catching = reading("i", [b"index_status", b"BACKFILLING"], {PROGRESS: value})
    assert (catching.build.state, catching.build.fraction) == ("building", 0.0)
    assert value in catching.absent["built"]
    assert value in catching.build.source
    valkey = read_info("i", {"backfill_in_progress": "1", "backfill_complete_percent": value})
    assert value in valkey.build.source
    text = _exported(Sample("a:1", "primary", 0.0, "r", indexes=(valkey,)))
    assert "memdb_index_built_ratio{" not in text
    assert "memdb_index_ready{" in text


def _exported(sample: Sample) -> str:
    class Fixed:
        def collect(self) -> list[Any]:
            return families((sample,), "h:1")

    registry = CollectorRegistry()
    registry.register(Fixed())  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_a_slow_log_s_impossible_times_are_no_times() -> None:
    entry = slowlog._read([1, int(WRAPPED), -5, [b"GET", b"k"]])
    assert math.isnan(entry.at)
    assert math.isnan(entry.took_ms)
    sound = slowlog._read([1, 1_790_000_000, 1_500, [b"GET", b"k"]])
    assert (sound.at, sound.took_ms) == (1_790_000_000.0, 1.5)


def test_slots_that_cannot_be_belong_to_nobody() -> None:
    line = "id1 h:1@2 myself,master - 0 0 1 connected 0-5 16380-99999 7-6"
    found = Topology.of(cluster_nodes(line, host="h", port=1), cluster=True)
    assert len(found.owners) == SLOTS
    assert [slot for slot in range(SLOTS) if found.owner(slot) is not None] == [0, 1, 2, 3, 4, 5]
