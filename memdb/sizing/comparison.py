"""The article's comparison table, its cost row calculated for the user's own inputs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memdb.sizing.services import Bill

COLUMNS = ("MemoryDB", "ElastiCache for Valkey", "S3 Vectors", "OpenSearch Serverless")
ARTICLE = "the article"


@dataclass(frozen=True, slots=True)
class Row:
    """One dimension; a cell for each of COLUMNS."""

    dimension: str
    cells: tuple[str, str, str, str]
    grade: str  # quoted, calculated or measured
    source: str


def rows(bills: Sequence[Bill], measured: str = "") -> tuple[Row, ...]:
    """The table.

    Args:
        bills: of `services.bills`.
        measured: what was measured on the live target, in words; empty where nothing was.
    """
    table = [
        Row(
            "Query latency, p99",
            (
                "2–10 ms",
                "not quoted; in memory",
                "50–200 ms; AWS: about 100 ms warm, below 1 s cold",
                "10–50 ms",
            ),
            "quoted",
            f"{ARTICLE}; S3 Vectors User Guide",
        )
    ]
    if measured:
        table.append(
            Row("… measured on this target", (measured, "–", "–", "–"), "measured", "this app, now"),
        )
    table += [
        Row("Cost a month, your inputs", _costs(bills), "calculated", "Cost view, line by line"),
        Row(
            "… at 10 million vectors, by the article",
            ("$800–1,200 (r6g.large cluster)", "–", "$50–80", "$400–800"),
            "quoted",
            ARTICLE,
        ),
        Row(
            "Hybrid search (vectors + keywords)",
            (
                "no; vectors with filters on tags and numbers",
                "with full text from Valkey 9.0",
                "no",
                "yes, native",
            ),
            "quoted",
            f"{ARTICLE}; ElastiCache User Guide",
        ),
        Row(
            "Freshness of writes",
            ("at once", "at once", "within seconds", "after seconds"),
            "quoted",
            ARTICLE,
        ),
        Row(
            "Durability",
            (
                "log over several zones before the acknowledgement",
                "a cache: a lost node can lose writes",
                "object storage, 11 nines",
                "managed by AWS",
            ),
            "quoted",
            ARTICLE,
        ),
        Row(
            "Largest dimension",
            ("32,768", "32,768", "4,096", "16,000"),
            "quoted",
            f"{ARTICLE}; AWS documentation",
        ),
        Row(
            "Where it ends",
            (
                "one shard, 10 indexes, about 100 MB/s of writes",
                "shards of a node-based cluster",
                "2 billion vectors an index, 2,500 vectors/s written",
                "OCUs of the collection",
            ),
            "quoted",
            "AWS documentation",
        ),
        Row("Speaks Redis", ("yes", "yes", "no", "no"), "quoted", ARTICLE),
        Row(
            "Operations",
            ("low: managed nodes", "low: managed nodes", "very low: nothing runs", "low: serverless"),
            "quoted",
            ARTICLE,
        ),
    ]
    return tuple(table)


def _costs(bills: Sequence[Bill]) -> tuple[str, str, str, str]:
    def text(service: str) -> str:
        told = [b for b in bills if b.service == service and b.monthly_usd is not None]
        if not told:
            return "not possible or no price"
        bill = told[0]
        return f"${bill.monthly_usd:,.0f} ({bill.grade})"

    return (text("memorydb"), text("elasticache"), text("s3vectors"), text("opensearch"))
