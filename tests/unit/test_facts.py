"""What is said about services has a source and a date, and is read again before nine months are over."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import get_args

import botocore.session
import pytest

from memdb.cli.entry import main
from memdb.errors import BadInput
from memdb.sizing import comparison, facts, services
from memdb.sizing.constraints import DURABLE_FAMILIES, MODES, Durability


def test_nothing_was_read_more_than_nine_months_ago() -> None:
    """Fails with time: read the source again and write the day into `confirmed`, or correct the fact."""
    late = [row.id for row in facts.everything(datetime.now(UTC).date()) if row.overdue]
    assert not late


@pytest.mark.parametrize(
    ("seen", "today", "late"),
    [
        ("2026-11-25", date(2027, 8, 25), False),
        ("2026-11-25", date(2027, 8, 26), True),
        ("2026-10", date(2027, 7, 1), False),
        ("2026-10", date(2027, 7, 2), True),
        ("2026", date(2026, 10, 2), True),
        ("2026-05-31", date(2027, 2, 28), False),  # February has no 31st
        ("2026-05-31", date(2027, 3, 1), True),
    ],
)
def test_nine_months(seen: str, today: date, late: bool) -> None:
    assert facts.overdue(seen, today) is late


def test_a_fact_that_was_confirmed_counts_from_then() -> None:
    old = facts.Fact("memorydb/x", "text", "quoted", "page", "2025-01-01")
    again = facts.Fact("memorydb/x", "text", "quoted", "page", "2025-01-01", confirmed="2026-11-01")
    today = date(2026, 11, 26)
    assert facts.overdue(old.seen, today)
    assert not facts.overdue(again.seen, today)


def test_every_fact_has_what_it_needs() -> None:
    known = facts.load()
    assert len({fact.id for fact in known}) == len(known)
    assert {fact.service for fact in known} == {"memorydb", "elasticache", "s3vectors", "opensearch"}
    for fact in known:
        assert fact.grade in get_args(facts.FactGrade)
        assert fact.source
        assert fact.text
        assert fact.date >= "2026-10"
    with pytest.raises(BadInput, match="no fact 'memorydb/none'"):
        facts.fact("memorydb/none")
    with pytest.raises(BadInput, match="has no number"):
        facts.value("memorydb/durability")


def test_modes_and_generations_are_those_of_aws_s_own_models() -> None:
    session = botocore.session.get_session()
    elasticache = session.get_service_model("elasticache")
    assert set(elasticache.shape_for("EffectiveDurability").enum) == set(MODES) == set(get_args(Durability))
    assert set(elasticache.shape_for("Durability").enum) == {*MODES, "default"}
    generations = session.get_service_model("opensearchserverless").shape_for("ServerlessGeneration").enum
    assert set(generations) == {services.CLASSIC, services.NEXTGEN}
    query = session.get_service_model("s3vectors").operation_model("QueryVectors").input_shape
    assert query is not None
    assert "topK" in query.members
    assert not any("adius" in name or "istanceBelow" in name for name in query.members)
    modes = session.get_service_model("s3vectors").shape_for("IndexMode").enum
    assert all(
        mode in facts.fact("s3vectors/text").text + facts.fact("s3vectors/classic").text for mode in modes
    )
    families = facts.fact("elasticache/durable_families").text.lower().split("(")[0]
    assert all(family in families for family in DURABLE_FAMILIES)
    assert "t4g" not in DURABLE_FAMILIES


def test_the_table_says_as_of_when_and_what_each_mode_loses() -> None:
    table = {row.dimension: row for row in comparison.rows(())}
    assert all(len(row.cells) == len(comparison.COLUMNS) for row in table.values())
    lost = dict(zip(comparison.COLUMNS, table["Lost when a node dies"].cells, strict=True))
    assert lost["MemoryDB"] == lost["ElastiCache, sync"] == "nothing that was acknowledged"
    assert "10 s" in lost["ElastiCache, async"]
    assert "no replica" in lost["ElastiCache, no durability"]
    assert table["Engine"].cells[2] == table["Engine"].cells[3] == "Valkey 9.0 and later"
    assert table["Durability"].cells[1].startswith("a cache without durability")
    assert comparison.as_of(tuple(table.values())) == min(row.date for row in table.values() if row.date)
    assert all(row.date for row in table.values() if row.grade != "calculated")


def test_the_command_lists_facts_nodes_and_prices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["facts", "--service", "s3vectors", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["id"].split("/")[0] for row in rows} == {"s3vectors"}
    assert any(row["id"] == "s3vectors/storage" and "0.06" in row["says"] for row in rows)
    assert main(["facts", "--service", "dynamodb"]) == 2
    assert "There is no service 'dynamodb'" in capsys.readouterr().err
