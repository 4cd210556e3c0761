"""`memdb facts`: what is said about the services, with source, grade and date."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from memdb.cli.options import Command, option
from memdb.cli.output import print_json, print_table, say
from memdb.sizing import facts

FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Facts(Command):
    """`memdb facts`."""

    service: str = option(
        "--service", default="", metavar="NAME", help="memorydb, elasticache, s3vectors or opensearch"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List them; 1 where one has to be confirmed again."""
        listed = facts.everything(datetime.now(UTC).date(), self.service)
        late = [row for row in listed if row.overdue]
        if self.json:
            print_json([asdict(row) for row in listed])
        else:
            rows = [
                (row.id, row.says, row.grade, f"{row.seen}{' overdue' if row.overdue else ''}", row.source)
                for row in listed
            ]
            print_table("", ("fact", "says", "grade", "read", "source"), rows)
            say(
                f"{len(listed)} facts, nodes and prices; the oldest was read in "
                f"{facts.oldest(row.seen for row in listed)}. {len(late)} have to be confirmed again."
            )
        return FAILED if late else 0
