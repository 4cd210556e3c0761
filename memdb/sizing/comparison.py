"""The article's comparison table, as of today: ElastiCache in three modes, costs for the user's inputs.

What the cells say stands in catalogue.toml, with source and date. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdb.sizing import facts
from memdb.sizing.constraints import MODES
from memdb.sizing.services import Bill

COLUMNS = (
    "MemoryDB",
    "ElastiCache, no durability",
    "ElastiCache, async",
    "ElastiCache, sync",
    "S3 Vectors",
    "OpenSearch Serverless",
)
ARTICLE = "the article"
_ARTICLE_DATE = "2026-10-02"  # when it was read
_OTHERS = len(MODES)  # columns of ElastiCache


@dataclass(frozen=True, slots=True)
class Row:
    """One dimension; a cell for each of COLUMNS. `date` is the oldest that a cell rests on."""

    dimension: str
    cells: tuple[str, ...]
    grade: str  # quoted, calculated or measured
    source: str
    date: str = ""


def rows(bills: Sequence[Bill], measured: str = "") -> tuple[Row, ...]:
    """The table.

    Args:
        bills: of `services.bills`.
        measured: what was measured on the live target, in words; empty where nothing was.
    """
    table = [_facts("Query latency, p99", "latency")]
    if measured:
        table.append(
            Row("… measured on this target", (measured, *["–"] * 5), "measured", "this app, now"),
        )
    table += [
        _facts("Lost when a node dies", "loss", by_mode=True),
        _facts("Durability", "durability", by_mode=True),
        _facts("Write latency", "write_latency", by_mode=True),
        Row("Cost a month, your inputs", _costs(bills), "calculated", "Cost view, line by line"),
        _article(
            "… at 10 million vectors, by the article",
            ("$800–1,200 (r6g.large cluster)", "–", "–", "–", "$50–80", "$400–800"),
        ),
        _facts("Keywords with vectors", "text"),
        _article(
            "Freshness of writes",
            ("at once", "at once", "at once", "at once", "within seconds", "after seconds"),
        ),
        _facts("Largest dimension", "dimension"),
        _named(
            "More than one node",
            ("memorydb/shards", "elasticache/shards", "s3vectors/vectors", "opensearch/ocus"),
        ),
        _named("Indexes", ("memorydb/indexes", "elasticache/indexes", "s3vectors/indexes", "")),
        _named("EF", ("memorydb/ef", "elasticache/ef", "", "")),
        _limits(),
        _engines(),
        _named("Search by distance", ("memorydb/range", "elasticache/range", "s3vectors/range", "")),
        _article("Speaks Redis", ("yes", "yes", "yes", "yes", "no", "no")),
        _article(
            "Operations",
            (
                "low: managed nodes",
                *["low: managed nodes"] * _OTHERS,
                "very low: nothing runs",
                "low: serverless",
            ),
        ),
    ]
    return tuple(table)


def as_of(table: Sequence[Row]) -> str:
    """The oldest date in the table."""
    return facts.oldest(row.date for row in table)


def gives(bill: Bill) -> tuple[str, str]:
    """What a service gives for its month, in the table's words: p99 of a query, what a node's death loses."""
    place = COLUMNS.index(_column(bill))
    table = (_facts("", "latency"), _facts("", "loss", by_mode=True))
    return table[0].cells[place], table[1].cells[place]


def beside_memorydb(bills: Sequence[Bill], cheapest: Bill) -> tuple[Bill, ...]:
    """The cheapest, and MemoryDB where that is another."""
    return (cheapest, *(bill for bill in bills if bill.service == "memorydb" and bill is not cheapest))


def _column(bill: Bill) -> str:
    others = [("memorydb", None), *(("elasticache", mode) for mode in MODES)]
    others += [("s3vectors", None), ("opensearch", None)]
    return COLUMNS[others.index((bill.service, bill.mode))]


def _facts(dimension: str, what: str, *, by_mode: bool = False) -> Row:
    """A row of the fact `what` of each service; of ElastiCache by mode, or the same for all."""
    middle = [f"elasticache/{mode}/{what}" if by_mode else f"elasticache/{what}" for mode in MODES]
    return _row(dimension, (f"memorydb/{what}", *middle, f"s3vectors/{what}", f"opensearch/{what}"))


def _named(dimension: str, names: tuple[str, str, str, str]) -> Row:
    """A row of one fact for each service; empty where none fits."""
    memorydb, elasticache, s3vectors, opensearch = names
    return _row(dimension, (memorydb, *[elasticache] * _OTHERS, s3vectors, opensearch))


def _limits() -> Row:
    durable = "elasticache/durable_write_mib_s"
    return _row("Writes end at", ("memorydb/write_mb_s", "", durable, durable, "s3vectors/written", ""))


def _engines() -> Row:
    durable = "elasticache/durable_version"
    names = ("memorydb/version", "elasticache/version", durable, durable, "", "opensearch/generations")
    return _row("Engine", names)


def _row(dimension: str, names: Sequence[str]) -> Row:
    facts_told = [facts.fact(name) if name else None for name in names]
    facts_known = [fact for fact in facts_told if fact is not None]
    return Row(
        dimension,
        tuple("–" if fact is None else fact.text for fact in facts_told),
        _grade([fact.grade for fact in facts_known]),
        "; ".join(dict.fromkeys(fact.source for fact in facts_known)),
        facts.oldest(fact.seen for fact in facts_known),
    )


def _grade(grades: Sequence[facts.FactGrade]) -> str:
    """As sure as the least sure cell."""
    order: tuple[facts.FactGrade, ...] = ("quoted", "service model", "source code", "third party", "estimate")
    return max(grades, key=order.index)


def _article(dimension: str, cells: tuple[str, ...]) -> Row:
    return Row(dimension, cells, "third party", ARTICLE, _ARTICLE_DATE)


def _costs(bills: Sequence[Bill]) -> tuple[str, ...]:
    def text(service: str, mode: str | None = None) -> str:
        bills_told = [b for b in bills if b.service == service and b.mode == mode and b.words]
        return bills_told[0].words if bills_told else "not possible or no price"

    return (
        text("memorydb"),
        *(text("elasticache", mode) for mode in MODES),
        text("s3vectors"),
        text("opensearch"),
    )
